//! What a run costs: `cargo bench`. The real executable on the local GitHub, as many times as it takes for a steady figure.
#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark talks to a person, and ends where it cannot go on"
)]

use std::path::Path;
use std::time::Duration;

use flux_ephemeral_env::config::INPUTS;
use forge::{Forge, Job, Outcome};

const RUNS: usize = 21;

fn main() {
    println!(
        "{:<44} {:>10} {:>10} {:>10} {:>12}",
        "", "wall", "CPU", "CPU, most", "memory, most"
    );

    let forge = Forge::start();
    forge.set_permission("rita", "write");
    let repository = forge.repository();
    repository.commit("dev", &[("app.txt", Some("new\n"))], "Change the app");
    let number = forge.open_pull_request(&repository, "dev", "paul");
    let commented = |body: &str| {
        let event = forge.issue_comment_event(forge.comment(number, "rita", body), "created");
        Job::new(&forge)
            .declared_inputs(&INPUTS)
            .event("issue_comment", &event)
    };
    let (chat, deploy, destroy) = (
        commented("Looks good"),
        commented("/deploy-ephemeral"),
        commented("/destroy-ephemeral"),
    );

    measure("a comment that is no command", || {}, &chat);
    measure("a deploy, no checkout", || drop(run(&destroy)), &deploy);
    measure("a deploy that changes nothing", || {}, &deploy);
    measure("a destroy, no checkout", || drop(run(&deploy)), &destroy);

    let workspace = tempfile::TempDir::new().unwrap();
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
}

fn run(job: &Job) -> Outcome {
    let outcome = job.run(Path::new(env!("CARGO_BIN_EXE_flux-ephemeral-env")));
    assert_eq!(outcome.status, 0, "{}", outcome.stdout);
    outcome
}

/// Prints the medians of wall and processor time, and the worst of processor time and memory.
fn measure(what: &str, prepare: impl Fn(), job: &Job) {
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
        "{what:<44} {:>7.1} ms {:>7.1} ms {:>7.1} ms {:>8.1} MiB",
        milliseconds(median(|outcome| outcome.duration)),
        milliseconds(median(|outcome| outcome.cpu_time)),
        milliseconds(most_cpu),
        most_memory as f64 / f64::from(1 << 20),
    );
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
