//! A sweep: what it destroyed.

use crate::decide::sweep::{Reason, Removal};
use crate::message::context::{Context, ended_in_short};
use crate::message::deploy::{Destroyed, removal, what_goes};
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
        format!(
            "### ⚪ A sweep destroyed the environment: {}",
            reason.code().replace('-', " ")
        ),
        format!("{why} {how_to_deploy_again}"),
        removal(context, destroyed),
        what_goes(context),
    ])
}

/// What a sweep destroyed, or would destroy, for the summary of its job. `warnings` counts the warnings about what stays.
pub(crate) fn sweep_summary(removals: &[Removal], is_done: bool, warnings: usize) -> Message {
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
        (0, _) if warnings > 0 => "### 🧹 Nothing was destroyed".to_owned(),
        (0, _) => "### 🧹 Nothing to destroy".to_owned(),
        (count, true) => format!("### 🧹 Environments destroyed: {count}"),
        (count, false) => format!("### 🧹 Environments that would be destroyed: {count}"),
    };
    let lines: Vec<String> = lines
        .chain((more > 0).then(|| format!("- and {more} more")))
        .collect();
    let unresolved = format!(
        "Some environments were kept because it is unclear whether they should go: see the warnings ({warnings})."
    );
    let parts = [
        Some(title),
        Some(lines.join("\n")).filter(|lines| !lines.is_empty()),
        Some(unresolved).filter(|_| warnings > 0),
    ];
    Message::above(&parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"))
}

/// The description of the commit status once a sweep has destroyed the environment.
pub(crate) fn swept_in_short(reason: Reason) -> String {
    ended_in_short("Destroyed by a sweep", reason.code())
}
