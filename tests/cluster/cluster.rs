//! The harness: a local GitHub whose Git server a real Flux clones, with this repository's own `k8s/`, and the action
//! started on its events.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use flux_ephemeral_env::INPUTS;
use local_github::{Job, LocalGitHub, Outcome, Repository};
use serde_json::Value;

use crate::kube::{Watch, World, is_at, is_ready};
use crate::plane::Plane;

/// Who may command.
const REVIEWER: &str = "rita";
/// Who opens pull requests.
const AUTHOR: &str = "paul";
/// Whose token Flux has.
const FLUX: &str = "flux";
const FLUX_TOKEN: &str = "ghp_fluxreadsthis";
pub(crate) const OVERLAY: &str = "k8s/app/overlays/ephemeral";
const KUSTOMIZATION: &str = "k8s/kustomization.yaml";
const PROVIDER: &str = "k8s/report/provider.yaml";
/// Whose token Flux reports with.
const REPORTER: &str = "flux-reports";
const REPORT_TOKEN: &str = "ghp_fluxwritesstatuses";
/// What Flux's webhook receiver and GitHub both know.
pub(crate) const WEBHOOK_SECRET: &str = "0f6d2c4f1f8a";

/// A cluster whose Flux watches a repository on a local GitHub.
pub(crate) struct Cluster {
    pub(crate) watch: Watch,
    pub(crate) github: LocalGitHub,
    pub(crate) repository: Repository,
    pub(crate) plane: Plane,
    /// Held by each close until the action has run, for a sweep in between would have its part done.
    closing: RwLock<()>,
}

impl Cluster {
    /// As the docs' reader has it: bootstrapped, production ready, with the webhook, and Flux reports to GitHub.
    pub(crate) fn new(plane: Plane) -> Cluster {
        let cluster = Cluster::polling(plane);
        cluster.add_webhook(WEBHOOK_SECRET);
        cluster
    }

    /// The same before GitHub has the webhook: Flux would be woken, but nobody does.
    pub(crate) fn polling(plane: Plane) -> Cluster {
        let cluster = Cluster::unconnected(plane);
        cluster.come_up();
        cluster
    }

    /// A cluster with the webhook, in which Flux applies an environment as its defaults say, with all of its own rights.
    pub(crate) fn without_lockdown() -> Cluster {
        let lockdown = "  - lockdown\n";
        let (_, shipped) = shipped()
            .into_iter()
            .find(|(path, _)| path == KUSTOMIZATION)
            .unwrap();
        assert!(shipped.contains(lockdown), "{shipped}");
        let without = shipped.replace(lockdown, "");
        let cluster = Cluster::unconnected(Plane::start_with(Some(&without)));
        let changes = [(KUSTOMIZATION, Some(without.as_str()))];
        cluster
            .repository
            .commit("main", &changes, "Take the lockdown out");
        cluster.come_up();
        cluster.add_webhook(WEBHOOK_SECRET);
        cluster
    }

    fn come_up(&self) {
        self.list("resources", "webhook");
        self.create_secret("webhook-token", WEBHOOK_SECRET);
        self.report_to_github();
        self.bootstrap();
    }

    /// Has Flux report to the local GitHub, in the place of github.com, once `k8s/` is applied.
    fn report_to_github(&self) {
        // GitHub asks for no less of a person who sets a status; of a token it asks less.
        self.github.set_permission(REPORTER, "write");
        self.github.add_personal_token(REPORT_TOKEN, REPORTER);
        self.create_secret("report-token", REPORT_TOKEN);
        let shipped = self.repository.read("main", PROVIDER).unwrap();
        let url = self.repository.clone_url();
        let address = url.trim_end_matches(".git");
        let ours = shipped.replace("https://github.com/example/example", address);
        assert_ne!(ours, shipped);
        let changes = [(PROVIDER, Some(ours.as_str()))];
        self.repository
            .commit("main", &changes, "Report to our GitHub");
        self.list("resources", "report");
    }

    /// A repository that holds this one's `k8s/`, of which the cluster knows nothing yet.
    ///
    /// `LOCAL_GITHUB_ADDRESS` is the address by which the cluster reaches this machine, where that is not the loopback one.
    pub(crate) fn unconnected(plane: Plane) -> Cluster {
        let address = std::env::var("LOCAL_GITHUB_ADDRESS")
            .ok()
            .filter(|address| !address.is_empty());
        let github = match address {
            None => LocalGitHub::start(),
            Some(address) => {
                let address: IpAddr = address
                    .parse()
                    .unwrap_or_else(|error| panic!("LOCAL_GITHUB_ADDRESS={address}: {error}"));
                LocalGitHub::start_on(address)
            }
        };
        github.set_permission(REVIEWER, "write");
        github.add_personal_token(FLUX_TOKEN, FLUX);
        let repository = github.repository();
        let shipped = shipped();
        let mut changes: BTreeMap<String, Option<&str>> = repository
            .files("main", "k8s")
            .into_iter()
            .map(|path| (path, None))
            .collect();
        changes.extend(
            shipped
                .iter()
                .map(|(path, text)| (path.clone(), Some(text.as_str()))),
        );
        let changes: Vec<_> = changes
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect();
        repository.commit("main", &changes, "Bring the cluster's files");
        Cluster {
            watch: Watch::new(&plane.kube),
            github,
            repository,
            plane,
            closing: RwLock::default(),
        }
    }

    /// `flux bootstrap git`, until production is ready.
    pub(crate) fn bootstrap(&self) {
        // It commits what it installs; from then on reading is enough.
        self.github.set_permission(FLUX, "write");
        let kube = &self.plane.kube;
        let mut command = kube.command("flux");
        command
            .args([
                "bootstrap",
                "git",
                &format!("--url={}", self.repository.clone_url()),
                "--branch=main",
                "--path=k8s/",
                "--components=source-controller,kustomize-controller,notification-controller",
                "--token-auth",
                &format!("--username={FLUX}"),
                "--allow-insecure-http",
                "--timeout=3m",
            ])
            .env("GIT_PASSWORD", FLUX_TOKEN);
        kube.feed(&mut command, "")
            .unwrap_or_else(|said| panic!("flux bootstrap: {said}"));
        self.github.set_permission(FLUX, "read");
        self.watch.until("production is ready", |world| {
            ["flux-system", "app", "environments"]
                .iter()
                .all(|name| world.kustomization(name).is_some_and(is_ready))
        });
    }

    /// Adds an entry to a field of `k8s/kustomization.yaml`, on main.
    pub(crate) fn list(&self, field: &str, entry: &str) {
        let text = self.repository.read("main", KUSTOMIZATION).unwrap();
        let field = format!("\n{field}:\n");
        let listed = text.replacen(&field, &format!("{field}  - {entry}\n"), 1);
        assert_ne!(listed, text);
        let changes = [(KUSTOMIZATION, Some(listed.as_str()))];
        self.repository
            .commit("main", &changes, &format!("List {entry}"));
    }

    /// A Secret with a token, as the docs say to create it.
    fn create_secret(&self, name: &str, token: &str) {
        self.plane.kube.apply(&format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}, namespace: flux-system}}, \
             stringData: {{token: {token}}}}}"
        ));
    }

    /// Has GitHub send its webhook to Flux, signed with this secret.
    pub(crate) fn add_webhook(&self, secret: &str) {
        self.github.add_webhook(&self.webhook_url(), secret);
    }

    fn webhook_url(&self) -> String {
        let kube = &self.plane.kube;
        kube.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "receiver/github",
            "--namespace=flux-system",
            "--timeout=60s",
        ]);
        let receiver = kube.get("flux-system", "receiver", "github").unwrap();
        let path = receiver["status"]["webhookPath"].as_str().unwrap();
        format!("{}{path}", self.plane.receiver)
    }

    /// Has Flux reconcile a `GitRepository` or a `Kustomization` now, and waits until it has.
    ///
    /// As [Flux says to](https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile): what kubectl
    /// writes under its own name on an object that Flux applies, Flux takes away at its next apply, maybe unread.
    pub(crate) fn reconcile(&self, kind: &str, name: &str) {
        static REQUESTS: AtomicUsize = AtomicUsize::new(0);
        let request = format!("by-hand-{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
        let annotation = format!("reconcile.fluxcd.io/requestedAt={request}");
        let args = [
            "annotate",
            "--field-manager=flux-client-side-apply",
            "--overwrite",
            kind,
            name,
            "--namespace=flux-system",
            &annotation,
        ];
        self.plane.kube.kubectl(&args);
        self.watch.until(&format!("{name} is reconciled"), |world| {
            world.object(kind, name).is_some_and(|object| {
                object["status"]["lastHandledReconcileAt"] == request.as_str()
            })
        });
    }

    /// A schedule starts the action.
    pub(crate) fn sweep(&self) -> Outcome {
        let _no_close = self.closing.write().unwrap_or_else(PoisonError::into_inner);
        self.run("schedule", &self.github.schedule_event(), &[])
    }

    /// The action runs on an event, with these inputs beside those that the cluster needs.
    fn run(&self, name: &str, event: &Value, inputs: &[(&str, &str)]) -> Outcome {
        let outcome = self.try_run(name, event, inputs);
        assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
        outcome
    }

    /// The same where it may fail.
    fn try_run(&self, name: &str, event: &Value, inputs: &[(&str, &str)]) -> Outcome {
        let mut job = Job::new(&self.github)
            .declared_inputs(&INPUTS)
            .event(name, event)
            .input("repository-url", &self.repository.clone_url());
        for (name, value) in inputs {
            job = job.input(name, value);
        }
        job.run(Path::new(env!("CARGO_BIN_EXE_flux-ephemeral-env")))
    }

    /// Opens a pull request from a branch of this repository whose overlay has something that no other has: the ConfigMap
    /// `only-here`, which says `text`.
    pub(crate) fn pull_request(&self, branch: &str, text: &str) -> PullRequest<'_> {
        self.pull_request_from(self.repository.clone(), branch, text)
    }

    /// The same from a fork.
    pub(crate) fn pull_request_from(
        &self,
        head: Repository,
        branch: &str,
        text: &str,
    ) -> PullRequest<'_> {
        let main = self
            .repository
            .read("main", &format!("{OVERLAY}/kustomization.yaml"))
            .unwrap();
        let overlay = main.replace("  - ns.yaml\n", "  - ns.yaml\n  - only-here.yaml\n");
        assert_ne!(main, overlay);
        let files = [
            ("kustomization.yaml", overlay),
            ("only-here.yaml", only_here(text)),
        ];
        self.pull_request_with(head, branch, &files)
    }

    /// Opens a pull request from a branch whose overlay has these files over those that main's has.
    pub(crate) fn pull_request_with(
        &self,
        head: Repository,
        branch: &str,
        overlay: &[(&str, String)],
    ) -> PullRequest<'_> {
        commit(&head, branch, overlay);
        let number = self.github.open_pull_request(&head, branch, AUTHOR);
        PullRequest {
            cluster: self,
            number,
            branch: branch.to_owned(),
            head,
            inputs: Vec::new(),
        }
    }
}

/// A pull request on the local GitHub.
pub(crate) struct PullRequest<'a> {
    cluster: &'a Cluster,
    pub(crate) number: u64,
    branch: String,
    head: Repository,
    inputs: Vec<(&'a str, &'a str)>,
}

impl<'a> PullRequest<'a> {
    /// An input that the workflow sets.
    pub(crate) fn input(mut self, name: &'a str, value: &'a str) -> Self {
        self.inputs.push((name, value));
        self
    }

    /// A reviewer comments `/deploy-ephemeral`, and the action runs.
    pub(crate) fn deploy(&self) -> Environment<'a> {
        self.deploy_with("")
    }

    /// The same with arguments behind the command.
    pub(crate) fn deploy_with(&self, arguments: &str) -> Environment<'a> {
        self.environment(&self.command(&format!("/deploy-ephemeral {arguments}")))
    }

    /// What a run has deployed.
    pub(crate) fn environment(&self, outcome: &Outcome) -> Environment<'a> {
        assert_eq!(outcome.outputs["decision"], "create", "{}", outcome.stdout);
        Environment {
            cluster: self.cluster,
            object: format!("ephemeral-{}", outcome.outputs["name"]),
            namespace: outcome.outputs["namespace"].clone(),
        }
    }

    /// A reviewer comments, and the action runs.
    pub(crate) fn command(&self, body: &str) -> Outcome {
        let outcome = self.try_command(body);
        assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
        outcome
    }

    /// The same where the action may fail.
    pub(crate) fn try_command(&self, body: &str) -> Outcome {
        let github = &self.cluster.github;
        let comment = github.comment(self.number, REVIEWER, body);
        let event = github.issue_comment_event(comment, "created");
        self.cluster.try_run("issue_comment", &event, &self.inputs)
    }

    /// Somebody's status of a commit has come to GitHub, and the action runs.
    pub(crate) fn on_status(&self, commit: &str, context: &str) -> Outcome {
        let event = self.cluster.github.status_event(commit, context);
        self.run("status", &event)
    }

    /// The head of its branch.
    pub(crate) fn head(&self) -> String {
        self.head.tip(&self.branch).unwrap()
    }

    /// Removes the whole overlay from the branch, and returns the commit.
    pub(crate) fn push_without_overlay(&self) -> String {
        let files = self.head.files(&self.branch, OVERLAY);
        let changes: Vec<_> = files.iter().map(|path| (path.as_str(), None)).collect();
        self.head
            .commit(&self.branch, &changes, "Remove the overlay")
    }

    /// Pushes a file that is no part of the overlay, and returns the commit.
    pub(crate) fn push_elsewhere(&self, path: &str, text: &str) -> String {
        let changes = [(path, Some(text))];
        self.head
            .commit(&self.branch, &changes, "Change something else")
    }

    /// Pushes another text for `only-here`, and returns the commit.
    pub(crate) fn push(&self, text: &str) -> String {
        self.push_files(&[("only-here.yaml", only_here(text))])
    }

    /// Pushes files of the overlay, and returns the commit.
    pub(crate) fn push_files(&self, overlay: &[(&str, String)]) -> String {
        commit(&self.head, &self.branch, overlay)
    }

    /// The author closes it, and the action runs.
    pub(crate) fn close(&self) -> Outcome {
        let closing = self.cluster.closing.read();
        let _no_sweep = closing.unwrap_or_else(PoisonError::into_inner);
        self.cluster.github.close_pull_request(self.number);
        let event = self
            .cluster
            .github
            .pull_request_event(self.number, "closed", AUTHOR);
        let outcome = self.run("pull_request_target", &event);
        assert_eq!(outcome.outputs["decision"], "destroy", "{}", outcome.stdout);
        outcome
    }

    fn run(&self, name: &str, event: &Value) -> Outcome {
        self.cluster.run(name, event, &self.inputs)
    }
}

/// What a deploy made, by the names that the action gave it.
pub(crate) struct Environment<'a> {
    cluster: &'a Cluster,
    /// The name of the `GitRepository` and the `Kustomization`.
    pub(crate) object: String,
    pub(crate) namespace: String,
}

impl<'a> Environment<'a> {
    /// That of a branch which is a legal name itself, before it is deployed.
    pub(crate) fn named(cluster: &'a Cluster, branch: &str) -> Environment<'a> {
        Environment {
            cluster,
            object: format!("ephemeral-{branch}"),
            namespace: branch.to_owned(),
        }
    }
}

impl Environment<'_> {
    /// Waits until Flux says that everything in it is ready.
    pub(crate) fn until_ready(&self) {
        self.cluster
            .watch
            .until(&format!("{} is ready", self.object), |world| {
                self.is_ready(world)
            });
    }

    /// Whether Flux says so.
    pub(crate) fn is_ready(&self, world: &World) -> bool {
        world.kustomization(&self.object).is_some_and(is_ready)
    }

    /// Waits until nothing of it is left.
    pub(crate) fn until_gone(&self) {
        self.cluster
            .watch
            .until(&format!("{} is gone", self.object), |world| {
                self.is_gone(world)
            });
    }

    /// Waits until Flux has none of its objects any more; the namespace of one that never applied stays behind.
    pub(crate) fn until_let_go(&self) {
        self.cluster
            .watch
            .until(&format!("{} is let go", self.object), |world| {
                self.is_let_go(world)
            });
    }

    fn is_let_go(&self, world: &World) -> bool {
        world.kustomization(&self.object).is_none() && world.git_repository(&self.object).is_none()
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_gone(&self, world: &World) -> bool {
        self.is_let_go(world) && world.namespace(&self.namespace).is_none()
    }

    /// Waits until Flux is done with a commit of its branch.
    pub(crate) fn until_applied(&self, commit: &str) {
        self.cluster
            .watch
            .until(&format!("{} has {commit}", self.object), |world| {
                world.kustomization(&self.object).is_some_and(|object| {
                    is_ready(object) && is_at(&object["status"]["lastAppliedRevision"], commit)
                })
            });
    }

    /// What the ConfigMap `only-here` says in it.
    pub(crate) fn only_here(&self) -> Option<String> {
        let found = self
            .cluster
            .plane
            .kube
            .get(&self.namespace, "configmap", "only-here")?;
        Some(
            found["data"]["text"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}

/// Does the same for each, all at once, as GitHub starts jobs.
pub(crate) fn at_once<'a, T: Send>(
    pull_requests: &[PullRequest<'a>],
    act: impl Fn(&PullRequest<'a>) -> T + Sync,
) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = pull_requests
            .iter()
            .map(|pull_request| scope.spawn(|| act(pull_request)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn only_here(text: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: only-here\ndata:\n  text: {text}\n"
    )
}

fn commit(head: &Repository, branch: &str, overlay: &[(&str, String)]) -> String {
    let files: Vec<(String, &str)> = overlay
        .iter()
        .map(|(name, text)| (format!("{OVERLAY}/{name}"), text.as_str()))
        .collect();
    let files: Vec<(&str, Option<&str>)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), Some(*text)))
        .collect();
    head.commit(branch, &files, "Change the environment")
}

/// This repository's own `k8s/`: the path of each file, and what it holds.
fn shipped() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut left = vec![root.join("k8s")];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    files
}
