//! How long a person waits: `cargo bench --bench cluster`, on the cluster that `KUBECONFIG` points to. The real executable
//! and a real Flux at its default polls, first by themselves, then with GitHub's webhook.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark talks to a person, and ends where it cannot go on"
)]

#[path = "../tests/cluster/cluster.rs"]
#[allow(dead_code, reason = "the stories use the rest")]
mod cluster;
#[path = "../tests/cluster/kube.rs"]
#[allow(dead_code, reason = "the stories use the rest")]
mod kube;
#[path = "../tests/cluster/plane.rs"]
#[allow(dead_code, reason = "the stories use the rest")]
mod plane;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Cluster, PullRequest, WEBHOOK_SECRET, at_once};
use crate::kube::{World, condition, is_at, is_ready};
use crate::plane::Plane;

const RUNS: usize = 7;
/// Each of them waits for three polls, up to a minute each.
const POLLED_RUNS: usize = 3;
const CROWD: usize = 20;

fn main() -> ExitCode {
    let plane = match Plane::from_env() {
        Ok(plane) => plane,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let cluster = Cluster::polling(plane);
    println!(
        "{:<32} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "all", "most", "action", "fetch", "apply", "wait", "told"
    );
    lives(&cluster, "polls", POLLED_RUNS);
    cluster.add_webhook(WEBHOOK_SECRET);
    lives(&cluster, "webhook", RUNS);
    crowd(&cluster);
    ExitCode::SUCCESS
}

/// The lives of as many pull requests, one after the other.
fn lives(cluster: &Cluster, how: &str, runs: usize) {
    let (mut comments, mut pushes, mut closes) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        let bench = Bench::new(cluster, &format!("{how}-{run}"));
        comments.push(bench.comment());
        pushes.push(bench.push());
        closes.push(bench.close());
    }
    let ready: Vec<Split> = comments.iter().map(Split::until_ready).collect();
    report(&format!("{how}: comment until ready"), &ready);
    report(&format!("{how}: comment until told"), &comments);
    report(&format!("{how}: push until ready"), &pushes);
    report(&format!("{how}: close until gone"), &closes);
}

/// Where the time went. The parts add up to the whole.
struct Split {
    /// Until the commit is on main.
    action: Duration,
    /// Until Flux has fetched main and the branch.
    fetch: Duration,
    /// Until the objects are in the cluster, or on their way out.
    apply: Duration,
    /// Until Flux has seen everything ready, or Kubernetes has removed everything.
    wait: Duration,
    /// Until the run that waited for Flux has told the pull request.
    told: Duration,
}

impl Split {
    /// The same, up to when Flux is done.
    fn until_ready(&self) -> Split {
        Split {
            told: Duration::ZERO,
            ..*self
        }
    }

    fn all(&self) -> Duration {
        self.action + self.fetch + self.apply + self.wait + self.told
    }
}

/// One pull request, whose environment goes by the name of its branch.
struct Bench<'a> {
    cluster: &'a Cluster,
    pull_request: PullRequest<'a>,
    branch: String,
    object: String,
}

impl<'a> Bench<'a> {
    fn new(cluster: &'a Cluster, branch: &str) -> Bench<'a> {
        Bench {
            cluster,
            pull_request: cluster.pull_request(branch, "first").input("wait", "10m"),
            branch: branch.to_owned(),
            object: format!("ephemeral-{branch}"),
        }
    }

    fn comment(&self) -> Split {
        let main = self.main();
        let began = Instant::now();
        // Flux does not wait for the end of the job, which waits for Flux.
        let (fetched, applied, branch_fetched, environment_applied, ready, told) =
            std::thread::scope(|scope| {
                let told = scope.spawn(|| {
                    self.pull_request.deploy();
                    Instant::now()
                });
                (
                    self.until_main_moves(&main),
                    self.until(|world| world.kustomization(&self.object).is_some()),
                    self.until(|world| world.git_repository(&self.object).is_some_and(is_ready)),
                    self.until(|world| self.is_applied(world)),
                    self.until(|world| world.kustomization(&self.object).is_some_and(is_ready)),
                    told.join().expect("the run"),
                )
            });
        let pushed = self.pushed();
        Split {
            action: pushed - began,
            fetch: (fetched - pushed) + (branch_fetched - applied),
            apply: (applied - fetched) + (environment_applied - branch_fetched),
            wait: ready - environment_applied,
            told: told - ready,
        }
    }

    fn push(&self) -> Split {
        let began = Instant::now();
        let commit = self.pull_request.push("second");
        let pushed = Instant::now();
        let has = |revision: &Value| is_at(revision, &commit);
        let fetched = self.until(|world| {
            let source = world.git_repository(&self.object);
            source.is_some_and(|source| has(&source["status"]["artifact"]["revision"]))
        });
        let applied = self.until(|world| {
            let object = world.kustomization(&self.object);
            object.is_some_and(|object| has(&object["status"]["lastAttemptedRevision"]))
                && self.is_applied(world)
        });
        let ready = self.until(|world| {
            let object = world.kustomization(&self.object);
            object.is_some_and(|object| {
                is_ready(object) && has(&object["status"]["lastAppliedRevision"])
            })
        });
        Split {
            action: pushed - began,
            fetch: fetched - pushed,
            apply: applied - fetched,
            wait: ready - applied,
            told: Duration::ZERO,
        }
    }

    fn close(&self) -> Split {
        let main = self.main();
        let began = Instant::now();
        let (fetched, pruned, gone) = std::thread::scope(|scope| {
            scope.spawn(|| self.pull_request.close());
            (
                self.until_main_moves(&main),
                self.until(|world| world.kustomization(&self.object).is_none()),
                self.until(|world| world.namespace(&self.branch).is_none()),
            )
        });
        let pushed = self.pushed();
        Split {
            action: pushed - began,
            fetch: fetched - pushed,
            apply: pruned - fetched,
            wait: gone - pruned,
            told: Duration::ZERO,
        }
    }

    fn until(&self, condition: impl Fn(&World) -> bool) -> Instant {
        self.cluster.watch.until(&self.object, condition)
    }

    /// Main's commit that Flux has.
    fn main(&self) -> Value {
        revision(&self.cluster.watch.now())
    }

    fn until_main_moves(&self, from: &Value) -> Instant {
        self.until(|world| revision(world) != *from)
    }

    /// Whether Flux has applied everything, and waits or has waited for it to be ready.
    fn is_applied(&self, world: &World) -> bool {
        world.kustomization(&self.object).is_some_and(|object| {
            let doing = condition(object, "Reconciling")["message"].as_str();
            is_ready(object)
                || doing.is_some_and(|doing| doing.starts_with("Running health checks"))
        })
    }

    /// When the newest push of the action had its answer.
    fn pushed(&self) -> Instant {
        let requests = self.cluster.github.requests();
        let push = requests
            .iter()
            .rfind(|request| {
                request.method == "POST" && request.path.ends_with("/git-receive-pack")
            })
            .expect("a push");
        push.arrived + push.duration.unwrap_or_default()
    }
}

fn revision(world: &World) -> Value {
    let source = world.git_repository("flux-system").expect("bootstrapped");
    source["status"]["artifact"]["revision"].clone()
}

/// Many at once: until the last is ready, and until the last is gone.
fn crowd(cluster: &Cluster) {
    let branches = (0..CROWD).map(|number| format!("crowd-{number}"));
    let pull_requests: Vec<PullRequest<'_>> = branches
        .map(|branch| cluster.pull_request(&branch, "first"))
        .collect();
    let began = Instant::now();
    let environments = at_once(&pull_requests, PullRequest::deploy);
    let acted = began.elapsed();
    let ready = cluster.watch.until("all are ready", |world| {
        environments
            .iter()
            .all(|environment| environment.is_ready(world))
    });
    line(
        &format!("webhook: {CROWD} comments at once"),
        ready - began,
        None,
        &[acted],
    );
    let began = Instant::now();
    at_once(&pull_requests, PullRequest::close);
    let acted = began.elapsed();
    let gone = cluster.watch.until("all are gone", |world| {
        environments
            .iter()
            .all(|environment| environment.is_gone(world))
    });
    line(
        &format!("webhook: {CROWD} closes at once"),
        gone - began,
        None,
        &[acted],
    );
}

/// The medians, and the worst of the wholes.
fn report(what: &str, splits: &[Split]) {
    let median = |of: &dyn Fn(&Split) -> Duration| {
        let mut values: Vec<Duration> = splits.iter().map(of).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    let parts = [
        median(&|split| split.action),
        median(&|split| split.fetch),
        median(&|split| split.apply),
        median(&|split| split.wait),
        median(&|split| split.told),
    ];
    line(
        what,
        median(&Split::all),
        splits.iter().map(Split::all).max(),
        &parts,
    );
}

fn line(what: &str, all: Duration, most: Option<Duration>, parts: &[Duration]) {
    let seconds = |duration: &Duration| format!("{:>6.2} s", duration.as_secs_f64());
    let most = most.map_or_else(|| " ".repeat(8), |most| seconds(&most));
    let parts = parts.iter();
    let parts: Vec<String> = parts
        .map(|part| match part.is_zero() {
            true => " ".repeat(8),
            false => seconds(part),
        })
        .collect();
    let line = format!("{what:<32} {} {most} {}", seconds(&all), parts.join(" "));
    println!("{}", line.trim_end());
}
