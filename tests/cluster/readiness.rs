//! What Flux says of an environment, from its own notification-controller to the pull request.

use std::time::{Duration, Instant};

use local_github::Outcome;

use crate::cluster::{Cluster, Environment, PullRequest, at_once};
use crate::kube::PATIENCE;
use crate::plane::Plane;
use crate::unready::{
    is_waited_for, pull_request as unready_pull_request, sound, unready, until_waited_for,
};

/// Longer than any of these stories ought to take.
const WAIT: &str = "4m";
/// How soon Flux gives an environment up that does not get ready.
const GIVE_UP: &str = "10s";

/// An overlay that kustomize does not build.
const BROKEN: &str = "resources: [not-there.yaml]\n";
/// What the lockdown keeps out of every environment.
const FORBIDDEN: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: forbidden\nrules: []\n";

/// A pull request whose environment Flux speaks of.
struct Reported<'a> {
    cluster: &'a Cluster,
    pull_request: PullRequest<'a>,
    environment: Environment<'a>,
}

impl<'a> Reported<'a> {
    fn new(
        cluster: &'a Cluster,
        pull_request: PullRequest<'a>,
        environment: Environment<'a>,
    ) -> Reported<'a> {
        Reported {
            cluster,
            pull_request,
            environment,
        }
    }

    /// The context of Flux's commit status.
    fn context(&self) -> String {
        format!("flux/{}", self.environment.object)
    }

    /// What the statuses of a context say of a commit, oldest first.
    fn statuses(&self, context: &str, commit: &str) -> Vec<String> {
        let statuses = self.cluster.github.statuses(commit);
        let of_context = statuses.iter().filter(|status| status.context == context);
        of_context
            .map(|status| {
                let description = status.description.as_deref().unwrap_or_default();
                format!("{}: {description}", status.state)
            })
            .collect()
    }

    /// What was said of a commit in Flux's name.
    fn said(&self, commit: &str) -> Vec<String> {
        self.statuses(&self.context(), commit)
    }

    /// What the action's own commit status says by now.
    fn own_status(&self, commit: &str) -> String {
        let statuses = self.statuses("flux-ephemeral-env", commit);
        statuses.last().cloned().unwrap_or_default()
    }

    /// Waits until Flux says this of a commit, and nothing else before.
    fn until_said(&self, commit: &str, words: &str) {
        let began = Instant::now();
        while self.said(commit).is_empty() {
            assert!(
                began.elapsed() < PATIENCE,
                "not in {PATIENCE:?}: Flux says {words:?} of {commit}; {}",
                self.cluster.watch.now().describe()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(self.said(commit), [words]);
    }

    /// Waits for that, and has the action run on it as its workflow would.
    fn report(&self, commit: &str, words: &str) -> Outcome {
        self.until_said(commit, words);
        let ran = self.pull_request.on_status(commit, &self.context());
        assert_eq!(ran.outputs["changed"], "false", "{}", ran.stdout);
        ran
    }

    /// The status comment, which is the only one of the action's.
    fn comment(&self) -> String {
        let comments = self.cluster.github.comments(self.pull_request.number);
        let mut ours = comments
            .into_iter()
            .filter(|comment| comment.login == "github-actions[bot]");
        let comment = ours.next().unwrap().body;
        assert_eq!(ours.next(), None);
        comment
    }

    fn assert_title(&self, title: &str) {
        let comment = self.comment();
        let line = comment.lines().find(|line| line.starts_with("### "));
        assert_eq!(line, Some(title), "{comment}");
    }

    /// How each of the environment's deployments went, oldest first.
    fn deployments(&self) -> Vec<Vec<String>> {
        let task = self.environment.object.replace("ephemeral-", "deploy:");
        let deployments = self.cluster.github.deployments();
        let ours = deployments
            .into_iter()
            .filter(|deployment| deployment.task == task);
        ours.map(|deployment| {
            assert_eq!(deployment.environment, "preview");
            let statuses = deployment.statuses.into_iter();
            statuses.map(|status| status.state).collect()
        })
        .collect()
    }

    fn close(&self) {
        self.pull_request.close();
        self.environment.until_gone();
    }
}

/// The outputs that say how a run ended.
fn ending(ran: &Outcome) -> [&str; 3] {
    ["decision", "reason", "ready"].map(|name| ran.outputs[name].as_str())
}

pub(crate) fn flux_says_of_each_commit_how_its_environment_fares(cluster: &Cluster) {
    let pull_request = cluster
        .pull_request("fares", "first")
        .input("timeout", GIVE_UP);
    let environment = pull_request.deploy();
    let reported = Reported::new(cluster, pull_request, environment);
    let pull_request = &reported.pull_request;
    let ready = "success: reconciliation succeeded";

    reported.until_said(&pull_request.head(), ready);
    let nothing_new = pull_request.push_elsewhere("docs/elsewhere.md", "Nothing that is applied\n");
    reported.until_said(&nothing_new, ready);
    let unready = pull_request.push_files(&[("kustomization.yaml", unready(cluster))]);
    reported.until_said(&unready, "failure: health check failed");
    let broken = pull_request.push_files(&[("kustomization.yaml", BROKEN.to_owned())]);
    reported.until_said(&broken, "failure: build failed");
    let forbidden = sound(cluster).replace("  - ns.yaml\n", "  - ns.yaml\n  - forbidden.yaml\n");
    let forbidden = pull_request.push_files(&[
        ("kustomization.yaml", forbidden),
        ("forbidden.yaml", FORBIDDEN.to_owned()),
    ]);
    reported.until_said(&forbidden, "failure: reconciliation failed");
    let repaired = pull_request.push_files(&[("kustomization.yaml", sound(cluster))]);
    reported.until_said(&repaired, ready);
    let without = pull_request.push_without_overlay();
    reported.until_said(&without, "failure: artifact failed");

    reported.close();
    // It says nothing of its end.
    assert_eq!(reported.said(&without), ["failure: artifact failed"]);
}

pub(crate) fn a_deploy_waits_for_flux_and_the_pull_request_follows_every_push(cluster: &Cluster) {
    let pull_request = cluster
        .pull_request("awaited", "first")
        .input("wait", WAIT)
        .input("timeout", GIVE_UP)
        .input("github-environment", "preview")
        .input("environment-url", "https://{namespace}.example.com");

    let ran = pull_request.command("/deploy-ephemeral");

    assert_eq!(ending(&ran), ["create", "deploy-command", "true"]);
    let environment = pull_request.environment(&ran);
    let reported = Reported::new(cluster, pull_request, environment);
    let (pull_request, context) = (&reported.pull_request, reported.context());
    reported.environment.until_ready();
    let first = pull_request.head();
    let ready = "success: reconciliation succeeded";
    assert_eq!(
        reported.said(&first),
        ["pending: Flux is bringing awaited up", ready]
    );
    assert_eq!(reported.own_status(&first), "success: awaited is ready");
    reported.assert_title("### 🟢 `awaited` is ready");
    let open = "**[Open awaited.example.com](<https://awaited.example.com>)**";
    assert!(reported.comment().contains(open), "{}", reported.comment());
    assert_eq!(reported.deployments(), [["in_progress", "success"]]);
    let begun = cluster.github.deployments();
    let begun = begun.iter().find(|begun| begun.task == "deploy:awaited");
    let succeeded = begun.unwrap().statuses.last().unwrap();
    assert_eq!(succeeded.environment_url, "https://awaited.example.com");
    let ran = pull_request.on_status(&first, "flux-ephemeral-env");
    assert_eq!(ending(&ran), ["none", "another-status", ""]);

    let second = pull_request.push_elsewhere("docs/elsewhere.md", "Nothing that is applied\n");
    let ran = reported.report(&second, ready);
    assert_eq!(ending(&ran), ["report", "flux-ready", "true"]);
    reported.assert_title("### 🟢 `awaited` is ready");
    assert!(reported.comment().contains(&second[..7]));
    assert_eq!(reported.own_status(&second), "success: awaited is ready");
    let ran = pull_request.on_status(&first, &context);
    assert_eq!(ending(&ran), ["none", "not-current", ""]);

    let broken = pull_request.push_files(&[("kustomization.yaml", BROKEN.to_owned())]);
    let ran = reported.report(&broken, "failure: build failed");
    assert_eq!(ending(&ran), ["report", "flux-failed", "false"]);
    reported.assert_title("### 🔴 `awaited` is not ready: build failed");
    assert!(reported.comment().contains("`kubectl kustomize "));
    assert_eq!(reported.own_status(&broken), "failure: Flux: build failed");

    let repaired = pull_request.push_files(&[("kustomization.yaml", sound(cluster))]);
    let ran = reported.report(&repaired, ready);
    assert_eq!(ending(&ran), ["report", "flux-ready", "true"]);
    reported.assert_title("### 🟢 `awaited` is ready");
    assert_eq!(
        reported.deployments(),
        [["in_progress", "success", "success", "failure", "success"]]
    );

    reported.close();
    reported.assert_title("### ⚪ Flux is removing `awaited`");
    assert_eq!(reported.deployments()[0].last().unwrap(), "inactive");
    let ran = pull_request.on_status(&repaired, &context);
    assert_eq!(ending(&ran), ["none", "no-environment", ""]);
}

pub(crate) fn a_deploy_that_never_gets_healthy_fails_and_its_repair_is_reported(cluster: &Cluster) {
    let files = [("kustomization.yaml", unready(cluster))];
    let pull_request = cluster
        .pull_request_with(cluster.repository.clone(), "never-healthy", &files)
        .input("wait", WAIT)
        .input("timeout", GIVE_UP);

    let ran = pull_request.try_command("/deploy-ephemeral");

    assert_eq!(ran.status, 1, "{}", ran.stdout);
    assert_eq!(ending(&ran), ["create", "flux-failed", "false"]);
    assert_eq!(ran.outputs["changed"], "true");
    let error = "::Flux could not bring never-healthy up at ";
    assert!(ran.stdout.contains(error), "{}", ran.stdout);
    let environment = pull_request.environment(&ran);
    let reported = Reported::new(cluster, pull_request, environment);
    reported.assert_title("### 🔴 `never-healthy` is not ready: health check failed");
    let pods = "`kubectl -n never-healthy get pods`";
    assert!(reported.comment().contains(pods), "{}", reported.comment());
    let instance = cluster.repository.read("main", &ran.outputs["manifest"]);
    assert!(instance.is_some());

    let files = [("kustomization.yaml", sound(cluster))];
    let repaired = reported.pull_request.push_files(&files);
    let ran = reported.report(&repaired, "success: reconciliation succeeded");
    assert_eq!(ending(&ran), ["report", "flux-ready", "true"]);
    reported.assert_title("### 🟢 `never-healthy` is ready");

    reported.close();
}

pub(crate) fn the_same_commit_deployed_again_is_waited_for_anew(cluster: &Cluster) {
    let pull_request = cluster
        .pull_request("waited-anew", "first")
        .input("wait", WAIT);
    let head = pull_request.head();
    let ran = pull_request.command("/deploy-ephemeral");
    let environment = pull_request.environment(&ran);
    let reported = Reported::new(cluster, pull_request, environment);
    let pull_request = &reported.pull_request;
    let once = [
        "pending: Flux is bringing waited-anew up",
        "success: reconciliation succeeded",
    ];
    assert_eq!(reported.said(&head), once);

    pull_request.command("/destroy-ephemeral");
    reported.environment.until_gone();
    let ran = pull_request.command("/deploy-ephemeral");
    assert_eq!(ending(&ran), ["create", "deploy-command", "true"]);
    reported.environment.until_ready();
    assert_eq!(reported.said(&head), [once, once].concat());

    // Where nothing changes, what Flux has said is still so.
    let before = reported.said(&head);
    let ran = pull_request.command("/deploy-ephemeral");
    assert_eq!(ran.outputs["changed"], "false");
    assert_eq!(ran.outputs["ready"], "true");
    assert_eq!(reported.said(&head), before);

    reported.close();
}

pub(crate) fn neighbours_that_never_get_ready_do_not_hold_up_a_wait(cluster: &Cluster) {
    let neighbours: Vec<PullRequest<'_>> = (0..5)
        .map(|number| unready_pull_request(cluster, &format!("neighbour-{number}")))
        .collect();
    let environments = at_once(&neighbours, PullRequest::deploy);
    for environment in &environments {
        until_waited_for(cluster, environment);
    }

    let pull_request = cluster
        .pull_request("not-held-up", "first")
        .input("wait", WAIT);
    let ran = pull_request.command("/deploy-ephemeral");
    assert_eq!(ending(&ran), ["create", "deploy-command", "true"]);
    let world = cluster.watch.now();
    for environment in &environments {
        assert!(is_waited_for(&world, environment), "{}", environment.object);
    }
    drop(world);

    let environment = pull_request.environment(&ran);
    pull_request.close();
    at_once(&neighbours, PullRequest::close);
    for environment in environments.iter().chain([&environment]) {
        environment.until_gone();
    }
}

pub(crate) fn a_wait_follows_a_push_and_ends_with_a_close(cluster: &Cluster) {
    let deploy = |branch: &'static str| {
        let pull_request = unready_pull_request(cluster, branch).input("wait", WAIT);
        let environment = Environment::named(cluster, branch);
        (pull_request, environment)
    };
    let (pushed, pushed_environment) = deploy("pushed-meanwhile");
    let (closed, closed_environment) = deploy("closed-meanwhile");
    std::thread::scope(|scope| {
        let pushed_ran = scope.spawn(|| pushed.command("/deploy-ephemeral"));
        let closed_ran = scope.spawn(|| closed.command("/deploy-ephemeral"));

        until_waited_for(cluster, &pushed_environment);
        let fix = pushed.push_files(&[("kustomization.yaml", sound(cluster))]);
        until_waited_for(cluster, &closed_environment);
        closed.close();

        let ran = pushed_ran.join().unwrap();
        assert_eq!(ending(&ran), ["create", "deploy-command", "true"]);
        let said = cluster.github.statuses(&fix);
        let own = said
            .iter()
            .rfind(|status| status.context == "flux-ephemeral-env");
        assert_eq!(own.unwrap().state, "success");
        let ran = closed_ran.join().unwrap();
        assert_eq!(ending(&ran), ["create", "deploy-command", "false"]);
    });
    let reported = Reported::new(cluster, closed, closed_environment);
    reported.assert_title("### ⚪ Flux is removing `closed-meanwhile`");
    reported.environment.until_gone();
    let reported = Reported::new(cluster, pushed, pushed_environment);
    reported.assert_title("### 🟢 `pushed-meanwhile` is ready");
    reported.close();
}

pub(crate) fn a_wait_that_is_over_says_what_to_look_at_and_has_asked_little(cluster: &Cluster) {
    // Past the minute in which it looks often.
    let wait = Duration::from_secs(75);
    let pull_request = unready_pull_request(cluster, "too-late").input("wait", "75s");

    let ran = pull_request.try_command("/deploy-ephemeral");

    assert_eq!(ran.status, 1, "{}", ran.stdout);
    assert_eq!(ending(&ran), ["create", "not-ready-in-time", "false"]);
    assert!(ran.duration >= wait, "{:?}", ran.duration);
    assert!(
        ran.duration < wait + Duration::from_secs(30),
        "{:?}",
        ran.duration
    );
    let environment = pull_request.environment(&ran);
    let reported = Reported::new(cluster, pull_request, environment);
    reported.assert_title("### 🔴 `too-late` is not ready yet");
    let source = "`flux get sources git ephemeral-too-late`";
    assert!(
        reported.comment().contains(source),
        "{}",
        reported.comment()
    );
    let repository = "/repos/octo-org/demo";
    let head = reported.pull_request.head();
    let status = format!("{repository}/commits/{head}/status?");
    let pull_request = format!("{repository}/pulls/{}", reported.pull_request.number);
    let requests = cluster.github.requests();
    let looks = requests
        .iter()
        .filter(|request| request.path.starts_with(&status) || request.path == pull_request);
    // Those that GitHub counts against the limit of the token.
    let (free, counted): (Vec<_>, Vec<_>) = looks.partition(|look| look.status == Some(304));
    eprintln!("{} looks count, {} do not", counted.len(), free.len());
    assert!(free.len() >= 30, "{free:#?}");
    assert!(counted.len() <= 10, "{counted:#?}");

    reported.close();
}

/// Flux calls a health check off where there is something newer to apply, and says so as what is no failure.
pub(crate) fn a_health_check_that_flux_calls_off_is_not_taken_for_ready(cluster: &Cluster) {
    let pull_request = unready_pull_request(cluster, "called-off");
    let environment = pull_request.deploy();
    until_waited_for(cluster, &environment);

    let pull_request = pull_request
        .input("substitute", "ANOTHER=value")
        .input("wait", "30s");
    let ran = pull_request.try_command("/deploy-ephemeral");

    let reported = Reported::new(cluster, pull_request, environment);
    assert_eq!(ending(&ran), ["create", "not-ready-in-time", "false"]);
    let said = reported.said(&reported.pull_request.head());
    assert_eq!(said, ["pending: Flux is bringing called-off up"]);
    reported.close();
}

/// Without a webhook, and often with one, Flux sees both commits as one, and so nothing that it would have to apply again.
pub(crate) fn a_destroy_and_deploy_between_two_looks_of_flux_is_not_waited_for_in_vain() {
    let cluster = Cluster::polling(Plane::start());
    let pull_request = cluster
        .pull_request("between-looks", "first")
        .input("wait", WAIT);
    // Once it has landed, Flux looks.
    let deploy = || {
        let before = cluster.repository.tip("main");
        std::thread::scope(|scope| {
            let ran = scope.spawn(|| pull_request.command("/deploy-ephemeral"));
            while cluster.repository.tip("main") == before {
                std::thread::sleep(Duration::from_millis(50));
            }
            cluster.reconcile("GitRepository", "flux-system");
            ran.join().unwrap()
        })
    };
    let ran = deploy();
    assert_eq!(ending(&ran), ["create", "deploy-command", "true"]);
    let environment = pull_request.environment(&ran);
    let uid = || {
        let world = cluster.watch.now();
        world.kustomization(&environment.object).unwrap()["metadata"]["uid"].clone()
    };
    let before = uid();

    pull_request.command("/destroy-ephemeral");
    let ran = deploy();

    assert_eq!(ending(&ran), ["create", "deploy-command", "true"]);
    assert_eq!(uid(), before);
    pull_request.close();
    cluster.reconcile("GitRepository", "flux-system");
    environment.until_gone();
}
