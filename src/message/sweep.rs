//! A sweep: what it destroyed.

use crate::decide::sweep::{Reason, Removal};
use crate::message::context::{Context, ended_in_short};
use crate::message::deploy::{Destroyed, removal};
use crate::message::markdown::code;
use crate::message::sections::Message;
use crate::model::ttl::date;

/// The most lines of a sweep's summary.
const LINE_LIMIT: usize = 200;

/// A sweep destroyed the environment.
pub(crate) fn swept(context: &Context, reason: Reason, destroyed: &Destroyed) -> Message {
    let deploy = code(&context.deploy_command);
    let why = match reason {
        Reason::Closed => {
            "The pull request was closed, but its environment was still there.".to_owned()
        }
        Reason::HeadDeleted => "The repository of the head branch was deleted.".to_owned(),
        Reason::Expired(end) => format!("It expired at {}.", date(end)),
    };
    let how_to_deploy_again = match reason {
        Reason::Closed => context.how_to_deploy_again(),
        Reason::HeadDeleted => format!(
            "To deploy again, push the branch to this repository, open a pull request from there and comment {deploy}."
        ),
        Reason::Expired(_) => format!(
            "To deploy again, comment {deploy}, or {} to keep it for 72 hours.",
            context.deploy_with("ttl=72h")
        ),
    };
    Message::of_no_environment(&[
        "### 🧹 A sweep destroyed the environment".to_owned(),
        String::new(),
        why,
        String::new(),
        removal(context, destroyed),
        String::new(),
        how_to_deploy_again,
    ])
}

/// What a sweep destroyed, or would destroy, for the summary of its job. `warnings` counts the warnings about what stays.
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
        (0, _) if warnings > 0 => format!("### 🧹 Nothing was destroyed on {branch}"),
        (0, _) => format!("### 🧹 Nothing to destroy on {branch}"),
        (count, true) => format!("### 🧹 Destroyed on {branch}: {count}"),
        (count, false) => format!("### 🧹 Would be destroyed on {branch}: {count}"),
    };
    let lines: Vec<String> = lines
        .chain((more > 0).then(|| format!("- and {more} more")))
        .collect();
    let unresolved = format!(
        "Some environments stay because it is not clear whether they are needed; warnings: {warnings}."
    );
    let parts = [
        Some(title),
        Some(lines.join("\n")).filter(|lines| !lines.is_empty()),
        Some(unresolved).filter(|_| warnings > 0),
    ];
    Message::notice(parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"))
}

/// The description of the commit status once a sweep has destroyed the environment.
pub(crate) fn swept_in_short(reason: Reason) -> String {
    ended_in_short("Destroyed by a sweep", reason.code())
}
