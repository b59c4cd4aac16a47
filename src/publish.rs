//! Brings a change to the target branch, and stops where somebody cancels it or the server takes too long.

use std::time::Duration;

use anyhow::Result;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::cancellation::Cancellation;
use crate::config::Config;
use crate::decide::refusal::Refusal;
use crate::git::{Session, Stop, Target};
use crate::model::failure::Failure;
use crate::plan::{Plan, Published, Tip};

/// How long work goes on after it was told to end, and how long telling about it may take then.
const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// How long Git goes on after `push-timeout`, for the answers that are under way by then and to look for the change.
/// libgit2 waits for each read and never for the whole, so a server that sends on and on would not be left by itself.
const ANSWER_GRACE: Duration = Duration::from_secs(25);

/// How long the checkout may take to follow the pushed commit.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(20);

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
    session: Option<Session>,
    cancellation: &Cancellation,
) -> (Result<Published, Failure>, Option<Session>) {
    let stop = Stop::default();
    let (given, stopped) = (target.timeout, stop.clone());
    let without_workspace = Target {
        workspace: None,
        ..target.clone()
    };
    let mut publishing = spawn_blocking(move || {
        let mut session = Session::resume(session, target, stopped)?;
        let published = session.publish(plan);
        Ok((published, session))
    });
    let published = tokio::select! {
        published = &mut publishing => flatten(published),
        failure = time_over(given) => {
            stop.stop();
            Err(failure)
        }
        () = cancellation.requested() => {
            stop.stop();
            // A push that is under way may still land, and then that is what the pull request is told.
            timeout(CANCEL_GRACE, publishing).await.map_or(Err(Failure::Interrupted), flatten)
        }
    };
    match published {
        Ok((Ok(Published::Pushed { plan, commit, .. }), session)) => {
            let (followed, session) = follow(&commit, session, cancellation).await;
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
                Session::resume(None, without_workspace, Stop::default()).ok()
            };
            (Ok(published), session.or_else(anew))
        }
        Ok((published, session)) => (published, Some(session)),
        Err(failure) => (Err(failure), None),
    }
}

/// Has the checkout follow what was pushed, or says why it does not; and gives the session back, where that is at an end.
async fn follow(
    commit: &str,
    mut session: Session,
    cancellation: &Cancellation,
) -> (Result<(), String>, Option<Session>) {
    let commit = commit.to_owned();
    let following = spawn_blocking(move || Ok((session.follow(&commit), session)));
    let followed = tokio::select! {
        followed = timeout(FOLLOW_TIMEOUT, following) => {
            followed.map_err(|_| format!("it takes longer than {} s", FOLLOW_TIMEOUT.as_secs()))
        }
        () = cancel_grace_over(cancellation) => Err("the run was cancelled".to_owned()),
    };
    match followed.map(flatten) {
        Ok(Ok((followed, session))) => (
            followed.map_err(|error| format!("{error:#}")),
            Some(session),
        ),
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
    session: Option<Session>,
    read: impl Fn(&Tip) -> Result<T> + Send + 'static,
) -> Result<(T, Session), Failure> {
    let time_limit = target.timeout;
    let reading = spawn_blocking(move || {
        let mut session = Session::resume(session, target, Stop::default())?;
        let read = session.read(time_limit, read)?;
        Ok((read, session))
    });
    tokio::select! {
        read = reading => flatten(read),
        failure = time_over(time_limit) => Err(failure),
    }
}

/// Comes back once Git has had all the time there is for it.
async fn time_over(given: Duration) -> Failure {
    sleep(given.saturating_add(ANSWER_GRACE)).await;
    Failure::TimedOut(given, "an answer that did not end".to_owned())
}

/// Waits until the run was cancelled and nothing that began before is worth waiting for.
pub(crate) async fn cancel_grace_over(cancellation: &Cancellation) {
    cancellation.requested().await;
    sleep(CANCEL_GRACE).await;
}

/// A panic on the other thread is a failure like any other.
fn flatten<T>(outcome: Result<Result<T, Failure>, JoinError>) -> Result<T, Failure> {
    outcome.unwrap_or_else(|error| Err(Failure::Broken(error.into())))
}
