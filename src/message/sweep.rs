//! A sweep: what went, and what stays.

use crate::decide::sweep::{Reason, Removal, Unresolved};
use crate::message::deploy::{Destroyed, on_its_way_down};
use crate::message::markdown::{NAME_LENGTH, code, listed, shortened, visible};
use crate::message::sections::{Context, Message, deploy_with, ended_in_short, gone, way_back};
use crate::model::ttl::date;

/// Most lines of a sweep's summary.
const LINE_LIMIT: usize = 200;

/// A sweep has taken the environment down.
pub(crate) fn swept(context: &Context, reason: Reason, destroyed: &Destroyed) -> Message {
    let deploy = code(&context.deploy_command);
    let why = match reason {
        Reason::Closed => {
            "The pull request was closed, and its environment was still there: what should have removed it then did not."
                .to_owned()
        }
        Reason::HeadDeleted => "The repository of the head branch has been deleted.".to_owned(),
        Reason::Expired(end) => format!("Its time was over at {}.", date(end)),
    };
    let way_back = match reason {
        Reason::Closed => way_back(context),
        Reason::HeadDeleted => format!(
            "To bring one up again, push the branch to this repository, open a pull request from there and comment {deploy}."
        ),
        Reason::Expired(_) => format!(
            "Comment {deploy} to bring it up again, or {} to give it 72 hours from then.",
            deploy_with(context, "ttl=72h")
        ),
    };
    gone([
        "### 🧹 Destroyed by a sweep".to_owned(),
        String::new(),
        why,
        String::new(),
        on_its_way_down(context, destroyed),
        String::new(),
        way_back,
    ])
}

/// What a sweep removed, or would remove, for its job's summary.
///
/// `warnings` says how many warnings there are about what stays.
pub(crate) fn sweep_summary(
    target_branch: &str,
    removals: &[Removal],
    is_done: bool,
    warnings: usize,
) -> Message {
    let branch = code(target_branch);
    let lines = removals
        .iter()
        .take(LINE_LIMIT)
        .map(|Removal { deployed, reason }| {
            format!(
                "- {}, pull request {}: {}",
                code(&deployed.name),
                deployed.instance.owner.pull_request,
                reason.code()
            )
        });
    let more = removals.len().saturating_sub(LINE_LIMIT);
    let title = match (removals.len(), is_done) {
        (0, _) if warnings > 0 => format!("### 🧹 Nothing was swept from {branch}"),
        (0, _) => format!("### 🧹 Nothing to sweep on {branch}"),
        (count, true) => format!("### 🧹 Swept from {branch}: {count}"),
        (count, false) => format!("### 🧹 Would be swept from {branch}: {count}"),
    };
    let lines = [title, String::new()]
        .into_iter()
        .chain(lines)
        .chain((more > 0).then(|| format!("- and {more} more")))
        .chain((warnings > 0).then(|| {
            format!("\nWhat became of some could not be told, so they stay; warnings: {warnings}.")
        }));
    Message {
        text: lines.collect::<Vec<_>>().join("\n").trim_end().to_owned(),
        state: None,
    }
}

/// Why an instance stays that may have to go, and the remedy, as a warning of the job.
pub(crate) fn unresolved_words(unresolved: &Unresolved) -> String {
    match unresolved {
        Unresolved::Unclear {
            words,
            pull_requests,
        } => {
            format!(
                "the environments of these pull requests stay, for GitHub did not say what became of them: {}: {words}",
                listed(pull_requests, u64::to_string)
            )
        }
        Unresolved::Unreadable { path, text } => format!(
            "{path} stays: its annotation `flux-ephemeral-env/expires` is {:?}, which is no time as RFC 3339 writes it; \
             deploy it again or destroy it",
            shortened(&visible(text), NAME_LENGTH)
        ),
    }
}

/// What kept a sweep from telling everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Somebody cancelled the run.
    Cancelled,
    /// Whether the change landed could not be seen in time.
    PushTimedOut,
    /// GitHub does not answer any more, or takes no more.
    GitHubGone,
}

/// Which pull requests a sweep did not get to, as a warning of the job.
pub(crate) fn undelivered(stop_reason: StopReason, pull_requests: &[u64]) -> String {
    let what = match stop_reason {
        StopReason::Cancelled => "the run was cancelled",
        StopReason::PushTimedOut => "the push was given up",
        StopReason::GitHubGone => "GitHub was given up",
    };
    format!(
        "{what} before these pull requests were told: {}",
        listed(pull_requests, u64::to_string)
    )
}

/// Whose commit status a sweep left as it was, as a warning of the job.
pub(crate) fn without_status(pull_requests: &[u64]) -> String {
    format!(
        "the commit status was not set any more for these pull requests: {}",
        listed(pull_requests, u64::to_string)
    )
}

/// The one line of a commit status once a sweep has taken the environment down.
pub(crate) fn swept_in_short(reason: Reason) -> String {
    ended_in_short("Swept", reason.code())
}
