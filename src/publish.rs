//! Brings a change to the target branch, and stops where somebody cancels it or the server takes too long.

use std::time::Duration;

use anyhow::Result;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::cancellation::Cancellation;
use crate::config::Config;
use crate::decide::refusal::Refusal;
use crate::git::{Stop, Target, Work};
use crate::model::failure::Failure;
use crate::plan::{Plan, Published, Tip};

/// How long the work goes on after it was told to end, and how long telling about it may take then.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How long Git goes on after `push-timeout`, for the answers that are under way by then and to look for the change.
/// libgit2 waits for each read and never for the whole, so a server that sends on and on would not be left by itself.
const LAST_ANSWERS: Duration = Duration::from_secs(25);

/// How long the checkout may take to follow the pushed commit.
const FOLLOWED: Duration = Duration::from_secs(20);

/// Where changes go, and what of it is read.
pub(crate) fn target(config: &Config, branch: &str) -> Target {
    let inputs = &config.inputs;
    Target {
        url: config.remote_url(),
        token: inputs.token.clone(),
        branch: branch.to_owned(),
        instances_path: inputs.instances_path.clone(),
        overlay_path: inputs.overlay_path.clone(),
        workspace: config.workspace.clone(),
        timeout: inputs.push_timeout,
    }
}

/// Makes the change, in the repository that an earlier one was made in if there is one.
///
/// `plan` is asked anew for every tip.
pub(crate) async fn publish(
    target: Target,
    plan: impl Fn(&Tip) -> Result<Result<Plan, Refusal>> + Send + 'static,
    work: Option<Work>,
    cancellation: &Cancellation,
) -> (Result<Published, Failure>, Option<Work>) {
    let stop = Stop::default();
    let (given, stopped) = (target.timeout, stop.clone());
    let without_workspace = Target {
        workspace: None,
        ..target.clone()
    };
    let mut publishing = spawn_blocking(move || {
        let mut work = Work::resume(work, target, stopped)?;
        let published = work.publish(plan);
        Ok((published, work))
    });
    let published = tokio::select! {
        published = &mut publishing => flatten(published),
        failure = enough(given) => {
            stop.stop();
            Err(failure)
        }
        () = cancellation.requested() => {
            stop.stop();
            // A push that is under way may still land, and then that is what the pull request is told.
            timeout(LAST_WORDS, publishing).await.map_or(Err(Failure::Interrupted), flatten)
        }
    };
    match published {
        Ok((Ok(Published::Pushed { plan, commit, .. }), work)) => {
            let (followed, work) = follow(&commit, work, cancellation).await;
            let published = Published::Pushed {
                plan,
                commit,
                warning: followed.err().map(|words| {
                    format!("the change is pushed, but the checkout could not follow it: {words}")
                }),
            };
            let anew = || {
                // Whoever still follows has the checkout for itself, as far as that goes.
                stop.stop();
                Work::resume(None, without_workspace, Stop::default()).ok()
            };
            (Ok(published), work.or_else(anew))
        }
        Ok((published, work)) => (published, Some(work)),
        Err(failure) => (Err(failure), None),
    }
}

/// Has the checkout follow what was pushed, or says why it does not; and gives the work back, where that is at an end.
async fn follow(
    commit: &str,
    mut work: Work,
    cancellation: &Cancellation,
) -> (Result<(), String>, Option<Work>) {
    let commit = commit.to_owned();
    let following = spawn_blocking(move || Ok((work.follow(&commit), work)));
    let followed = tokio::select! {
        followed = timeout(FOLLOWED, following) => {
            followed.map_err(|_| format!("it takes longer than {} s", FOLLOWED.as_secs()))
        }
        () = too_late(cancellation) => Err("the run was cancelled".to_owned()),
    };
    match followed.map(flatten) {
        Ok(Ok((followed, work))) => (followed.map_err(|error| format!("{error:#}")), Some(work)),
        Ok(Err(failure)) => (Err(failure.to_string()), None),
        Err(words) => (Err(words), None),
    }
}

/// Reads the tip, in the repository that something was done in before if there is one, and gives the repository back.
///
/// # Errors
/// Why it could not be read.
pub(crate) async fn read<T: Send + 'static>(
    target: Target,
    work: Option<Work>,
    read: impl Fn(&Tip) -> Result<T> + Send + 'static,
) -> Result<(T, Work), Failure> {
    let patience = target.timeout;
    let reading = spawn_blocking(move || {
        let mut work = Work::resume(work, target, Stop::default())?;
        let read = work.read(patience, read)?;
        Ok((read, work))
    });
    tokio::select! {
        read = reading => flatten(read),
        failure = enough(patience) => Err(failure),
    }
}

/// Comes back once Git has had all the time there is for it.
async fn enough(given: Duration) -> Failure {
    sleep(given.saturating_add(LAST_ANSWERS)).await;
    Failure::TimedOut(given, "an answer that did not end".to_owned())
}

/// Waits until the run was cancelled and nothing that began before is worth waiting for.
pub(crate) async fn too_late(cancellation: &Cancellation) {
    cancellation.requested().await;
    sleep(LAST_WORDS).await;
}

/// A panic on the other thread is a failure like any other.
fn flatten<T>(outcome: Result<Result<T, Failure>, JoinError>) -> Result<T, Failure> {
    outcome.unwrap_or_else(|error| Err(Failure::Broken(error.into())))
}
