//! A pull request to open in the browser, and to comment on.

use std::env;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use flux_ephemeral_env::INPUTS;
use local_github::{Job, LocalGitHub, Repository, Sent, Submission, interrupted};
use serde_json::Value;

const REVIEWER: &str = "rita";
const AUTHOR: &str = "paul";
const BRANCH: &str = "dev";
const INSTANCES: &str = "k8s/app/overlays/ephemeral-instances";
/// Who sets Flux's statuses: the stand-in, and whoever has its token.
const FLUX: &str = "flux[bot]";
const FLUX_TOKEN: &str = "flux";
/// How long the stand-in takes to bring an environment up.
const BRINGING_UP: Duration = Duration::from_secs(4);

const PUSH: &str = "paul pushes to dev";
/// What else Flux may say, each on a button.
const REPORTS: [(&str, &str, &str); 3] = [
    ("Flux: ready", "success", "reconciliation succeeded"),
    ("Flux: build failed", "failure", "build failed"),
    (
        "Flux: health check failed",
        "failure",
        "health check failed",
    ),
];

/// Serves until Ctrl-C.
pub(crate) fn serve(executable: &Path) {
    let interrupted = interrupted();
    let is_real = env::var_os("KUBECONFIG").is_some_and(|path| !path.is_empty());
    let github = start(is_real);
    let repository = github.repository();
    repository.commit(
        BRANCH,
        &[("app.txt", Some("a new feature\n"))],
        "Add a feature",
    );
    let number = github.open_pull_request_titled(&repository, BRANCH, AUTHOR, "Add a feature");

    let commands = ["/deploy-ephemeral", "/destroy-ephemeral"];
    let (buttons, note) = if is_real {
        (
            vec![PUSH],
            "Flux reports from the cluster that KUBECONFIG points to.",
        )
    } else {
        let reports = REPORTS.iter().map(|(label, _, _)| *label);
        let note = "There is no cluster: a stand-in reports as Flux does, some seconds after a change. The buttons have it \
                    report something else.";
        ([PUSH].into_iter().chain(reports).collect(), note)
    };
    let submissions = github.offer_form(REVIEWER, &commands, &buttons, note);
    println!(
        "{}/{}/pull/{number}",
        github.server_url(),
        repository.full_name()
    );
    if is_real {
        println!("\n{}", connect(&github, &repository));
    }
    println!("\nCtrl-C ends it; nothing stays behind.");

    let mut desk = Desk {
        github: &github,
        repository: &repository,
        executable,
        number,
        runs: 0,
        heard: 0,
    };
    let mut flux = (!is_real).then_some(StandIn {
        github: &github,
        repository: &repository,
        applied: None,
        due: None,
    });
    // The page shows that something is under way as long as this is kept.
    let mut last = None;
    while !interrupted.load(Ordering::Relaxed) {
        match submissions.recv_timeout(Duration::from_millis(100)) {
            Ok(submission) => {
                desk.handle(&submission);
                last = Some(submission);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(flux) = &mut flux {
            flux.look();
        }
        desk.hear_flux();
        last = last.filter(|_| flux.as_ref().is_some_and(|flux| flux.due.is_some()));
    }
}

/// With a real Flux, the repository holds this one's `k8s/`, and its address is one that the cluster reaches.
fn start(is_real: bool) -> LocalGitHub {
    let address = env::var("LOCAL_GITHUB_ADDRESS").unwrap_or_default();
    let github = if address.is_empty() {
        LocalGitHub::start()
    } else {
        let address: IpAddr = address.parse().unwrap_or_else(|error| {
            panic!("LOCAL_GITHUB_ADDRESS={address} is not an address: {error}")
        });
        LocalGitHub::start_on(address)
    };
    github.set_permission(REVIEWER, "write");
    github.set_permission(FLUX, "write");
    github.add_personal_token(FLUX_TOKEN, FLUX);
    if is_real {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        read_files(root, &root.join("k8s"), &mut files);
        let changes: Vec<(&str, Option<&str>)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), Some(text.as_str())))
            .collect();
        let repository = github.repository();
        repository.commit("main", &changes, "Bring the cluster's files");
    }
    github
}

fn read_files(root: &Path, directory: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).expect("this repository's k8s/") {
        let path = entry.expect("an entry of k8s/").path();
        if path.is_dir() {
            read_files(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below the root");
            let text = fs::read_to_string(&path).expect("a text of k8s/");
            files.push((name.display().to_string(), text));
        }
    }
}

/// What connects the cluster to this repository.
fn connect(github: &LocalGitHub, repository: &Repository) -> String {
    format!(
        "\
Connect the cluster to it:
  GIT_PASSWORD={FLUX_TOKEN} flux bootstrap git --url={} --branch=main --path=k8s/ --token-auth --username='{FLUX}' --allow-insecure-http

Then let Flux report, as docs/readiness.md says: the Provider's address is {}/{}, and its token `{FLUX_TOKEN}`.",
        repository.clone_url(),
        github.server_url(),
        repository.full_name(),
    )
}

/// What starts the action, as a workflow would: one run after the other.
struct Desk<'a> {
    github: &'a LocalGitHub,
    repository: &'a Repository,
    executable: &'a Path,
    number: u64,
    runs: u64,
    /// How many of Flux's statuses on the head have started a run.
    heard: usize,
}

impl Desk<'_> {
    fn handle(&mut self, submission: &Submission) {
        match &submission.sent {
            Sent::Comment(comment) => {
                let event = self.github.issue_comment_event(*comment, "created");
                self.run("issue_comment", &event);
            }
            Sent::Button(label) if label == PUSH => {
                let text = format!("pushed after run {}\n", self.runs);
                self.repository
                    .commit(BRANCH, &[("app.txt", Some(&text))], "Improve it");
                self.heard = 0;
                let event = self
                    .github
                    .pull_request_event(self.number, "synchronize", AUTHOR);
                self.run("pull_request_target", &event);
            }
            Sent::Button(label) => {
                let report = REPORTS.iter().find(|(button, _, _)| button == label);
                if let Some((_, state, description)) = report {
                    report_as_flux(self.github, &self.head(), state, description);
                }
            }
        }
    }

    fn head(&self) -> String {
        self.repository
            .tip(BRANCH)
            .expect("the head of the pull request")
    }

    /// Starts the action for each status that Flux has set since.
    fn hear_flux(&mut self) {
        let head = self.head();
        let statuses = self.github.statuses(&head);
        let of_flux = statuses.iter().filter(|status| status.login == FLUX);
        let contexts: Vec<_> = of_flux.map(|status| status.context.clone()).collect();
        for context in contexts.iter().skip(self.heard) {
            let event = self.github.status_event(&head, context);
            self.run("status", &event);
        }
        self.heard = contexts.len();
    }

    fn run(&mut self, event: &str, payload: &Value) {
        self.runs += 1;
        let url = format!(
            "{}/{}/tree/{{name}}",
            self.github.server_url(),
            self.repository.full_name()
        );
        let outcome = Job::new(self.github)
            .declared_inputs(&INPUTS)
            .input("readiness", "flux")
            .input("environment-url", &url)
            .input("github-environment", "preview")
            .input("repository-url", &self.repository.clone_url())
            .run_id(self.runs)
            .event(event, payload)
            .run(self.executable);
        let log = outcome.stdout + &outcome.stderr;
        print!("\n── run {}, {event}\n{log}", self.runs);
        self.github.keep_run(self.runs, &log, &outcome.summary);
    }
}

fn report_as_flux(github: &LocalGitHub, head: &str, state: &str, description: &str) {
    let context = format!("flux/ephemeral-{BRANCH}");
    github.set_status(head, &context, state, description, FLUX);
}

/// Does Flux's part where there is no cluster: some seconds after a change, it says that the environment is ready.
struct StandIn<'a> {
    github: &'a LocalGitHub,
    repository: &'a Repository,
    /// The instance and the head that it knows.
    applied: Option<(String, String)>,
    /// When it will say so.
    due: Option<Instant>,
}

impl StandIn<'_> {
    fn look(&mut self) {
        let head = self
            .repository
            .tip(BRANCH)
            .expect("the head of the pull request");
        let instance = self
            .repository
            .read("main", &format!("{INSTANCES}/sync-{BRANCH}.yaml"));
        let wanted = instance.map(|instance| (instance, head.clone()));
        if wanted != self.applied {
            self.due = wanted.as_ref().map(|_| Instant::now() + BRINGING_UP);
            self.applied = wanted;
        }
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            report_as_flux(self.github, &head, "success", "reconciliation succeeded");
        }
    }
}
