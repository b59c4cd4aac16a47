//! Warnings of the job: what went wrong beside the change.

use std::path::PathBuf;

use crate::decide::sweep::Unresolved;
use crate::message::markdown::{NAME_LENGTH, code, listed, shortened, visible};
use crate::model::notification::Channel;

/// Why a sweep stopped notifying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    Cancelled,
    /// The change was not seen to land in time.
    PushTimedOut,
    /// GitHub does not answer any more, or takes no more.
    GitHubGone,
}

/// The token may not use these channels, which all need the same permission.
pub(crate) fn forbidden(channels: &[Channel], permission: &str, answer: &str) -> String {
    let names: Vec<&str> = channels.iter().map(|channel| channel.name()).collect();
    format!(
        "{} could not be written; add `{permission}` to the job's `permissions`: {answer}",
        names.join(" and ")
    )
}

pub(crate) fn not_written(channel: Channel, words: &str) -> String {
    format!("{} could not be written: {words}", channel.name())
}

/// Flux's commit status still says that it is pending, although nothing was deployed.
pub(crate) fn not_restored(context: &str, words: &str) -> String {
    format!("the commit status {context} could not be set back: {words}")
}

/// An instance stays that may have to go.
pub(crate) fn unresolved(unresolved: &Unresolved) -> String {
    match unresolved {
        Unresolved::Unclear {
            words,
            pull_requests,
        } => {
            format!(
                "kept the environments of these pull requests, because GitHub did not say whether they are closed: {} ({words})",
                listed(pull_requests, u64::to_string)
            )
        }
        Unresolved::Unreadable { path, text } => format!(
            "kept {path}: its annotation `flux-ephemeral-env/expires` is {:?}, which is not a valid RFC 3339 timestamp; \
             deploy it again or destroy it",
            shortened(&visible(text), NAME_LENGTH)
        ),
    }
}

/// A sweep did not notify these pull requests.
pub(crate) fn not_notified(reason: StopReason, pull_requests: &[u64]) -> String {
    let what = match reason {
        StopReason::Cancelled => "the run was cancelled",
        StopReason::PushTimedOut => "the push timed out",
        StopReason::GitHubGone => "GitHub stopped answering or limited our requests",
    };
    format!(
        "{what} before these pull requests were notified: {}",
        listed(pull_requests, u64::to_string)
    )
}

/// A sweep did not set the commit status of these pull requests.
pub(crate) fn without_status(pull_requests: &[u64]) -> String {
    format!(
        "the commit status was not updated for these pull requests: {}",
        listed(pull_requests, u64::to_string)
    )
}

/// Why the checkout did not follow: these files need Git itself.
pub(crate) fn needs_git(files: &[PathBuf]) -> String {
    format!(
        "only Git itself can write {} (a filter, an encoding or a submodule); all of it stays at its old commit until a later \
         step runs `git pull`",
        listed(files, |path| code(&path.to_string_lossy()))
    )
}
