//! Something broke: what was attempted, what the server said, and what to do.

use crate::message::context::{Context, more, notice, with_reason};
use crate::message::markdown::{block, code};
use crate::message::sections::{FAILED, Message};
use crate::model::failure::{Barrier, Failure};

/// A request failed.
pub(crate) fn failed(context: &Context, failure: &Failure) -> Message {
    let again = match context.is_open {
        true => "give the command again.".to_owned(),
        // Whatever the request was, the environment has to go.
        false => format!("comment {}.", code(&context.destroy_command)),
    };
    let (why, remedy) = words(&context.target_branch, again, failure);
    let title = with_reason(FAILED, failure.code());
    let footer = context.footer(failure.code());
    Message::above(&notice(&title, &why, &remedy, &footer))
}

/// A sweep failed. This is for the summary of its job, for there is no pull request to notify.
pub(crate) fn sweep_failed(target_branch: &str, help_url: &str, failure: &Failure) -> Message {
    let again = "run this job again, or leave it to the next sweep.";
    job_failed(
        "### 🔴 The sweep failed",
        again,
        target_branch,
        help_url,
        failure,
    )
}

/// What Flux said could not be handed on. This is for the summary of the job, for the pull request is not known.
pub(crate) fn report_failed(target_branch: &str, help_url: &str, failure: &Failure) -> Message {
    let again = "run this job again.";
    job_failed(
        "### 🔴 The report failed",
        again,
        target_branch,
        help_url,
        failure,
    )
}

fn job_failed(
    title: &str,
    again: &str,
    target_branch: &str,
    help_url: &str,
    failure: &Failure,
) -> Message {
    let (why, remedy) = words(target_branch, again.to_owned(), failure);
    let help = more(help_url, failure.code());
    Message::above(&notice(title, &why, &remedy, &help))
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
        Failure::Forbidden(barrier, words) => (
            format!("The Git server refused the token:\n\n{}", block(words)),
            admission(*barrier, "push", "contents: write"),
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
        Failure::GitHubRefused(barrier, words) => (
            format!("GitHub refused the token:\n\n{}", block(words)),
            admission(*barrier, "read pull requests", "pull-requests: write"),
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

/// What gets a token past a barrier. `task` is what it has to be able to do, and `permission` what the workflow's own token
/// needs for that.
fn admission(barrier: Barrier, task: &str, permission: &str) -> String {
    match barrier {
        Barrier::Permission => format!(
            "add this to the workflow's job, or set the input `token` to a token that may {task}:\n\n\
             ```yaml\npermissions:\n  {permission}\n```"
        ),
        Barrier::Token => format!(
            "set the input `token` to a token that is valid and may {task}, or leave the input out. \
             The workflow's own token ends with its job; other tokens expire or are revoked."
        ),
        Barrier::IpAllowList => {
            "run the job on a runner whose IP address is on the organization's IP allow list, \
             or have an owner of the organization add the address."
                .to_owned()
        }
        Barrier::SingleSignOn => {
            "authorize the token of the input `token` for the organization's single sign-on, \
             or use the workflow's own token or a GitHub App's."
                .to_owned()
        }
        Barrier::Archived => "unarchive the repository.".to_owned(),
    }
}
