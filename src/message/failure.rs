//! Something broke: what was attempted, what the server said, and what to do.

use crate::message::context::{Context, help_line, notice};
use crate::message::markdown::{block, code};
use crate::message::sections::{FAILED, Message};
use crate::model::failure::Failure;

/// A request failed.
pub(crate) fn failed(context: &Context, failure: &Failure) -> Message {
    let again = match context.is_open {
        true => "give the command again.".to_owned(),
        // Whatever the request was, the environment has to go.
        false => format!("comment {}.", code(&context.destroy_command)),
    };
    let (why, remedy) = words(&context.target_branch, again, failure);
    context.notice(FAILED, &why, &remedy, failure.code())
}

/// A sweep failed. This is for the summary of its job, for there is no pull request to notify.
pub(crate) fn sweep_failed(target_branch: &str, help_url: &str, failure: &Failure) -> Message {
    let again = "run this job again, or leave it to the next sweep.".to_owned();
    let (why, remedy) = words(target_branch, again, failure);
    let help = help_line(help_url, failure.code());
    notice("### 👎 The sweep failed", &why, &remedy, &[help])
}

/// Why it failed, and the remedy. `again` says how to try again.
fn words(target_branch: &str, again: String, failure: &Failure) -> (String, String) {
    let branch = code(target_branch);
    match failure {
        Failure::Rejected(words) => (
            format!(
                "The server rejected the push to {branch}:\n\n{}",
                block(words)
            ),
            format!(
                "set the input `token` to the token of a GitHub App that may bypass the rules of {branch}, \
                 or set the input `branch` to a branch without such rules."
            ),
        ),
        Failure::Forbidden(words) => (
            format!("The Git server refused the token:\n\n{}", block(words)),
            format!(
                "add this to the workflow's job, or set the input `token` to a token that may push:\n\n{}",
                permission("contents: write")
            ),
        ),
        Failure::BranchMissing(words) => (
            format!("The target branch does not exist:\n\n{}", block(words)),
            "set the input `branch` to the branch that Flux watches.".to_owned(),
        ),
        Failure::TimedOut(after, words) => (
            format!(
                "Git did not finish within {after:?}, so the change may not have landed. The last response was:\n\n{}",
                block(words)
            ),
            format!("{again} If this repeats, raise the input `push-timeout`."),
        ),
        Failure::Interrupted => (
            "The run was cancelled, so the change may not have landed.".to_owned(),
            again,
        ),
        Failure::GitHubRefused(words) => (
            format!("GitHub refused the token:\n\n{}", block(words)),
            format!(
                "add this to the workflow's job, or set the input `token` to a token that may read pull requests:\n\n{}",
                permission("pull-requests: write")
            ),
        ),
        Failure::GitHub(error) => (
            format!(
                "GitHub's API gave no usable answer:\n\n{}",
                block(&format!("{error:#}"))
            ),
            again,
        ),
        Failure::Broken(error) => (
            format!("Something broke:\n\n{}", block(&format!("{error:#}"))),
            again,
        ),
    }
}

fn permission(line: &str) -> String {
    format!("```yaml\npermissions:\n  {line}\n```")
}
