//! Brings a change to the target branch. `land` is the only loop that pushes: it fetches the tip, plans, commits and pushes,
//! and starts again after a lost race or a temporary error, until the commit is there or `push-timeout` is over. `git::error`
//! decides what is temporary, `Session::pause` how long to wait.
//!
//! Git blocks, so it works on a thread of its own, which the functions here wait for no longer than they should.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::git::checkout::Followed;
use crate::git::push::PushOutcome;
use crate::git::{CommitId, Session, Target};
use crate::http::HttpClient;
use crate::message::warning;
use crate::model::failure::Failure;
use crate::plan::{Plan, PlanOutcome, Published, Tip};

/// How long work goes on after the run was cancelled, and how long notifying may take then.
const CANCEL_GRACE: Duration = Duration::from_secs(3);
/// How long Git goes on after `push-timeout`: for the answers that are under way by then, and to look for the change.
/// Each part of an answer has a timeout and the whole has none, so Git would never leave a server that sends on and on.
const ANSWER_GRACE: Duration = Duration::from_secs(25);
/// How long the checkout may take to follow the pushed commit.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns where changes go, and what of it is read.
pub(crate) fn target(config: &Config, client: &HttpClient, branch: &str) -> Target {
    let inputs = &config.inputs;
    Target {
        url: config.remote_url(),
        client: client.clone(),
        token: inputs.token.clone(),
        branch: branch.to_owned(),
        instances_path: inputs.instances_path.clone(),
        overlay_path: inputs.overlay_path.clone(),
        workspace: config.workspace.clone(),
        timeout: inputs.push_timeout,
    }
}

/// What publishing came to.
#[derive(Debug)]
pub(crate) enum PublishOutcome {
    Published(Published),
    /// Flux's commit status has to be reset first.
    StatusOutdated,
    /// GitHub has to tell first whether these are former names of the repository.
    Unidentified(BTreeSet<String>),
}

/// Publishes what `plan` makes of the tip, in the earlier session if there is one. `plan` is called again for every new tip.
///
/// Gives the session back, unless it still waits for an answer.
pub(crate) async fn publish(
    target: Target,
    plan: impl Fn(&Tip) -> Result<PlanOutcome> + Send + 'static,
    session: Option<Session>,
    cancellation: &CancellationToken,
) -> (Result<PublishOutcome, Failure>, Option<Session>) {
    let time_limit = target.timeout;
    let without_workspace = Target {
        workspace: None,
        ..target.clone()
    };
    let give_up = CancellationToken::new();
    let given_up = give_up.clone();
    let mut landing = spawn_blocking(move || {
        let mut session = Session::resume(session, target, given_up)?;
        session.begin(time_limit);
        let landed = land(&mut session, plan);
        Ok((landed, session))
    });
    let landed = tokio::select! {
        landed = &mut landing => joined(landed),
        failure = time_over(time_limit) => {
            give_up.cancel();
            Err(failure)
        }
        () = cancellation.cancelled() => {
            give_up.cancel();
            // A push that is under way may still land, and then the comment says so.
            timeout(CANCEL_GRACE, landing).await.map_or(Err(Failure::Interrupted), joined)
        }
    };
    match landed {
        Ok((Ok(Landing::Landed { plan, commit }), session)) => {
            let (followed, session) = follow(commit, session, cancellation).await;
            let published = Published::Pushed {
                plan,
                commit: commit.to_string(),
                warning: match followed {
                    Ok(Followed::Yes) => None,
                    Ok(Followed::Not(files)) => Some(not_followed(&warning::needs_git(&files))),
                    Err(words) => Some(not_followed(&words)),
                },
            };
            let fresh_session = || {
                // The thread that still follows has the checkout for itself.
                give_up.cancel();
                Session::resume(None, without_workspace, CancellationToken::new()).ok()
            };
            (
                Ok(PublishOutcome::Published(published)),
                session.or_else(fresh_session),
            )
        }
        Ok((Ok(Landing::Not(outcome)), session)) => (Ok(outcome), Some(session)),
        Ok((Err(failure), session)) => (Err(failure), Some(session)),
        Err(failure) => (Err(failure), None),
    }
}

fn not_followed(words: &str) -> String {
    format!("the change is pushed, but the checkout could not follow it: {words}")
}

/// How the loop ended, short of a failure.
enum Landing {
    Landed {
        plan: Plan,
        commit: CommitId,
    },
    /// There was nothing to land.
    Not(PublishOutcome),
}

/// Plans at the remote tip and pushes the change as one commit, until it lands or the time is over.
fn land(
    session: &mut Session,
    plan: impl Fn(&Tip) -> Result<PlanOutcome>,
) -> Result<Landing, Failure> {
    let mut attempts: Vec<(CommitId, Plan)> = Vec::new();
    loop {
        let began = Instant::now();
        let (tip, contents) = session.fetch_tip()?;
        // The answer to a push may have been lost: look for its commit before pushing again or giving up.
        let landed = attempts
            .iter()
            .position(|(commit, _)| session.contains(tip, *commit));
        if let Some(index) = landed {
            let (commit, plan) = attempts.swap_remove(index);
            return Ok(Landing::Landed { plan, commit });
        }
        if !attempts.is_empty() {
            session.check_time()?;
        }
        let plan = match plan(&contents)? {
            PlanOutcome::Planned(plan) => plan,
            PlanOutcome::Unidentified(names) => {
                return Ok(Landing::Not(PublishOutcome::Unidentified(names)));
            }
            PlanOutcome::StatusOutdated => {
                return Ok(Landing::Not(PublishOutcome::StatusOutdated));
            }
            PlanOutcome::Refused(refusal) => {
                let refused = Published::Refused(refusal);
                return Ok(Landing::Not(PublishOutcome::Published(refused)));
            }
        };
        let Some(commit) = session.commit(tip, &plan.change)? else {
            let unchanged = Published::Unchanged(plan);
            return Ok(Landing::Not(PublishOutcome::Published(unchanged)));
        };
        session.check_cancelled()?;
        // Without the push: its answer may be what takes so long.
        let taken = began.elapsed();
        match session.push(tip, commit)? {
            PushOutcome::Landed => return Ok(Landing::Landed { plan, commit }),
            PushOutcome::Failed(failure) => return Err(failure),
            PushOutcome::Retry(answer) => {
                session.note_answer(answer);
                session.pause(taken);
                attempts.push((commit, plan));
            }
        }
    }
}

/// Moves the checkout to the pushed commit, or says why it does not follow. Gives the session back, unless it still works.
async fn follow(
    commit: CommitId,
    mut session: Session,
    cancellation: &CancellationToken,
) -> (Result<Followed, String>, Option<Session>) {
    let following = spawn_blocking(move || Ok((session.follow(commit), session)));
    let followed = tokio::select! {
        followed = timeout(FOLLOW_TIMEOUT, following) => {
            followed.map_err(|_| format!("it takes longer than {} s", FOLLOW_TIMEOUT.as_secs()))
        }
        () = cancel_grace_over(cancellation) => Err("the run was cancelled".to_owned()),
    };
    match followed.map(joined) {
        Ok(Ok((followed, session))) => (
            followed.map_err(|error| format!("{error:#}")),
            Some(session),
        ),
        Ok(Err(failure)) => (Err(failure.to_string()), None),
        Err(words) => (Err(words), None),
    }
}

/// Reads the tip, in the earlier session if there is one, and gives the session back.
pub(crate) async fn read<T: Send + 'static>(
    target: Target,
    session: Option<Session>,
    read: impl Fn(&Tip) -> Result<T> + Send + 'static,
) -> Result<(T, Session), Failure> {
    let time_limit = target.timeout;
    let reading = spawn_blocking(move || {
        let mut session = Session::resume(session, target, CancellationToken::new())?;
        session.begin(time_limit);
        let (_, tip) = session.fetch_tip()?;
        Ok((read(&tip)?, session))
    });
    tokio::select! {
        read = reading => joined(read),
        failure = time_over(time_limit) => Err(failure),
    }
}

/// Returns once Git has had all the time it may take.
async fn time_over(time_limit: Duration) -> Failure {
    sleep(time_limit.saturating_add(ANSWER_GRACE)).await;
    Failure::TimedOut(
        time_limit,
        "the server had not finished its response".to_owned(),
    )
}

/// Returns some seconds after the run was cancelled, when nothing that began before is worth waiting for.
pub(crate) async fn cancel_grace_over(cancellation: &CancellationToken) {
    cancellation.cancelled().await;
    sleep(CANCEL_GRACE).await;
}

/// A panic on the other thread is a failure like any other.
fn joined<T>(outcome: Result<Result<T, Failure>, JoinError>) -> Result<T, Failure> {
    outcome.unwrap_or_else(|error| Err(Failure::Broken(error.into())))
}
