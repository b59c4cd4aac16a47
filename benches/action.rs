//! What a run costs: `cargo bench`, or `cargo bench --bench action -- sweep` for the rows with this in their name. The real
//! executable on the local GitHub, as many times as it takes for a steady figure.
#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark talks to a person, and ends where it cannot go on"
)]

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use flux_ephemeral_env::INPUTS;
use local_github::{Job, LocalGitHub, Outcome, Repository, temporary_directory};

const RUNS: usize = 21;
/// Instances where there are many.
const MANY: u64 = 2_000;
const INSTANCES: &str = "k8s/app/overlays/ephemeral-instances";

fn main() {
    println!(
        "{:<50} {:>10} {:>10} {:>10} {:>12}",
        "", "wall", "CPU", "CPU, most", "memory, most"
    );

    let github = LocalGitHub::start();
    let (number, [deploy, destroy]) = pull_request(&github, "dev");
    let chat = commented(&github, number, "Looks good");
    let repository = github.repository();

    measure("a comment that is no command", || {}, &chat);
    measure("a deploy, no checkout", || drop(run(&destroy)), &deploy);
    measure("a deploy that changes nothing", || {}, &deploy);
    measure("a destroy, no checkout", || drop(run(&deploy)), &destroy);
    drop(run(&deploy));
    let report = reported(&github, &repository);
    measure("a report of Flux's", || {}, &report);
    let deploy_again = deploy.clone().input("readiness", "flux");
    measure(
        "a deploy where Flux reports",
        || drop(run(&destroy)),
        &deploy_again,
    );

    let workspace = temporary_directory();
    repository.checkout(workspace.path(), &[]);
    let (deploy, destroy) = (
        deploy.workspace(workspace.path()),
        destroy.workspace(workspace.path()),
    );
    drop(run(&destroy));
    measure(
        "a deploy, the checkout follows",
        || drop(run(&destroy)),
        &deploy,
    );
    among_many();
}

/// The same among many instances.
fn among_many() {
    let github = LocalGitHub::start();
    let repository = github.repository();
    let (number, [deploy, destroy]) = pull_request(&github, "dev");
    let numbers = add_instances(&github, number, &deploy, &destroy);

    github.close_pull_request(number);
    let event = github.pull_request_event(number, "closed", "paul");
    let close = job(&github).event("pull_request_target", &event);
    let row = |what: &str, prepare: &dyn Fn(), job: &Job| {
        let what = format!("{MANY} instances: {what}");
        measure(&what, prepare, job);
    };
    let close_deployed = |deploy: &Job| {
        github.reopen_pull_request(number);
        drop(run(deploy));
        github.close_pull_request(number);
    };

    row("a close, no checkout", &|| close_deployed(&deploy), &close);
    let workspace = temporary_directory();
    repository.checkout(workspace.path(), &[]);
    let follows = |job: &Job| job.clone().workspace(workspace.path());
    let (deploys, destroys, closes) = (follows(&deploy), follows(&destroy), follows(&close));
    row(
        "a close, the checkout follows",
        &|| close_deployed(&deploys),
        &closes,
    );

    github.reopen_pull_request(number);
    row("a deploy, no checkout", &|| drop(run(&destroy)), &deploy);
    row(
        "a deploy, the checkout follows",
        &|| drop(run(&destroys)),
        &deploys,
    );

    drop(run(&deploy));
    let report = reported(&github, &repository);
    row("a report of Flux's", &|| {}, &report);

    // The server tells each fetch of every reference, three for a pull request.
    let branches: Vec<String> = numbers.map(branch).collect();
    repository.create_branches(&branches, "dev");
    github.open_pull_requests(&repository, &branches, "paul");
    row(
        "a deploy, all the pull requests there",
        &|| drop(run(&destroy)),
        &deploy,
    );

    drop(run(&destroy));
    let sweep = job(&github).event("schedule", &github.schedule_event());
    row("a sweep, nothing to remove", &|| {}, &sweep);
    github.close_pull_request(number);
    row(
        "a sweep, one to remove",
        &|| close_deployed(&deploy),
        &sweep,
    );
}

/// The step that Flux's status of the head of `dev` starts.
fn reported(github: &LocalGitHub, repository: &Repository) -> Job {
    let (head, context) = (repository.tip("dev").unwrap(), "flux/ephemeral-dev");
    github.set_status(&head, context, "success", "words", "flux-reports");
    job(github).event("status", &github.status_event(&head, context))
}

/// Puts the instances of many pull requests, which are the next to be opened, beside what is there. They are as the action
/// renders them.
fn add_instances(
    github: &LocalGitHub,
    number: u64,
    deploy: &Job,
    destroy: &Job,
) -> RangeInclusive<u64> {
    let repository = github.repository();
    let outcome = run(deploy);
    let model = repository
        .read("main", &outcome.outputs["manifest"])
        .unwrap();
    drop(run(destroy));
    let head = repository.tip("dev").unwrap();
    let numbers = number + 1..=number + MANY;
    let files: Vec<(String, String)> = numbers
        .clone()
        .map(|other| {
            let commit = u128::from(other).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let text = model
                .replace(": dev\n", &format!(": {}\n", branch(other)))
                .replace("-dev\n", &format!("-{}\n", branch(other)))
                .replace(&format!("\"{number}\""), &format!("\"{other}\""))
                .replace(&head, &format!("{commit:040x}"));
            (format!("{INSTANCES}/sync-{}.yaml", branch(other)), text)
        })
        .collect();
    let changes: Vec<(&str, Option<&str>)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), Some(text.as_str())))
        .collect();
    repository.commit("main", &changes, "Deploy many");
    numbers
}

fn branch(number: u64) -> String {
    format!("feature-{number}")
}

/// A pull request, and the steps that deploy and destroy its instance.
fn pull_request(github: &LocalGitHub, branch: &str) -> (u64, [Job; 2]) {
    github.set_permission("rita", "write");
    let repository = github.repository();
    repository.commit(branch, &[("app.txt", Some("new\n"))], "Change the app");
    let number = github.open_pull_request(&repository, branch, "paul");
    let jobs = ["/deploy-ephemeral", "/destroy-ephemeral"];
    (
        number,
        jobs.map(|command| commented(github, number, command)),
    )
}

/// The step that a comment starts.
fn commented(github: &LocalGitHub, number: u64, body: &str) -> Job {
    let event = github.issue_comment_event(github.comment(number, "rita", body), "created");
    job(github).event("issue_comment", &event)
}

/// Flux clones from github.com: the local GitHub's address has a number in it, for which each instance would be parsed.
fn job(github: &LocalGitHub) -> Job {
    Job::new(github)
        .declared_inputs(&INPUTS)
        .input("repository-url", "ssh://git@github.com/octo-org/demo")
}

fn run(job: &Job) -> Outcome {
    let outcome = job.run(Path::new(env!("CARGO_BIN_EXE_flux-ephemeral-env")));
    assert_eq!(outcome.status, 0, "{}", outcome.stdout);
    outcome
}

/// Prints the medians of wall and processor time, and the worst of processor time and memory.
fn measure(what: &str, prepare: impl Fn(), job: &Job) {
    let mut wanted = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    if !wanted.all(|part| what.contains(&part)) {
        return;
    }
    let outcomes: Vec<Outcome> = (0..RUNS)
        .map(|_| {
            prepare();
            run(job)
        })
        .collect();
    let median = |of: fn(&Outcome) -> Duration| {
        let mut values: Vec<Duration> = outcomes.iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let most_cpu = outcomes
        .iter()
        .map(|outcome| outcome.cpu_time)
        .max()
        .unwrap_or_default();
    let most_memory = outcomes
        .iter()
        .map(|outcome| outcome.peak_memory)
        .max()
        .unwrap_or_default();
    println!(
        "{what:<50} {:>7.1} ms {:>7.1} ms {:>7.1} ms {:>8.1} MiB",
        milliseconds(median(|outcome| outcome.duration)),
        milliseconds(median(|outcome| outcome.cpu_time)),
        milliseconds(most_cpu),
        most_memory as f64 / f64::from(1 << 20),
    );
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
