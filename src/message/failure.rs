//! Something that broke: what was said, and what to do.

use crate::message::markdown::{block, code};
use crate::message::sections::{Context, FAILED, Message, more_about, notice, notice_on};
use crate::model::failure::Failure;

/// Something broke.
pub(crate) fn failed(context: &Context, failure: &Failure) -> Message {
    let again = match context.is_open {
        true => "give the command again".to_owned(),
        // Whatever was wanted of it, it comes down.
        false => format!("comment {}", code(&context.destroy_command)),
    };
    let again = format!("{again}; the run's log is at {}.", context.run_url);
    let (why, remedy) = failure_words(&context.target_branch, again, failure);
    notice_on(context, FAILED, &why, &remedy, failure.code())
}

/// A sweep broke, for its job's summary: there is no pull request to tell the remedy.
pub(crate) fn sweep_failed(target_branch: &str, help_url: &str, failure: &Failure) -> Message {
    let again = "run this job again, or leave it to the next sweep.".to_owned();
    let (why, remedy) = failure_words(target_branch, again, failure);
    let help = more_about(help_url, failure.code());
    notice("### 👎 The sweep failed", &why, &remedy, &[help])
}

/// Why something failed, and the remedy.
pub(crate) fn failure_words(
    target_branch: &str,
    again: String,
    failure: &Failure,
) -> (String, String) {
    let branch = code(target_branch);
    match failure {
        Failure::Rejected(words) => (
            format!("The server rejected the push to {branch}:\n\n{}", block(words)),
            format!(
                "let this workflow push to {branch}: allow it past the branch's rules, \
                 or give the input `token` a token that may push."
            ),
        ),
        Failure::Forbidden(words) => (
            format!("The server refused the workflow's token:\n\n{}", block(words)),
            "add this to the workflow's job, or give the input `token` a token that may push:\n\n```yaml\npermissions:\n  contents: write\n```".to_owned(),
        ),
        Failure::BranchMissing(words) => (
            format!("The branch to commit to is not there:\n\n{}", block(words)),
            "set the action's input `branch` to the branch Flux watches.".to_owned(),
        ),
        Failure::TimedOut(after, words) => (
            format!(
                "The change was not seen to land within {} s. The last answer was:\n\n{}",
                after.as_secs(),
                block(words)
            ),
            format!("raise the input `push-timeout` if this repeats, and {again}"),
        ),
        Failure::Interrupted => ("The run was cancelled before the change was seen to land.".to_owned(), again),
        Failure::GitHubRefused(words) => (
            format!("GitHub refused the workflow's token:\n\n{}", block(words)),
            "add this to the workflow's job, or give the input `token` a token that may read pull requests:\n\n```yaml\npermissions:\n  pull-requests: write\n```".to_owned(),
        ),
        Failure::GitHub(error) => (
            format!("GitHub's API gave no usable answer:\n\n{}", block(&format!("{error:#}"))),
            again,
        ),
        Failure::Broken(error) => (
            format!("Something broke:\n\n{}", block(&format!("{error:#}"))),
            again,
        ),
    }
}
