//! A request that is not granted: why, and what to do.

use crate::command::{Problem, UsageError};
use crate::decide::refusal::Refusal;
use crate::message::markdown::{block, code, listed};
use crate::message::sections::{Context, Message, deploy_with, notice_on};
use crate::model::repository::Permission;
use crate::model::sha::Sha;
use crate::model::ttl::TTL_FORMAT;

/// A request that is not granted.
pub(crate) fn refused(context: &Context, refusal: &Refusal) -> Message {
    let (why, remedy) = refusal_words(context, refusal);
    let title = "### 😕 Refused";
    notice_on(context, title, &why, &remedy, refusal.code())
}

/// Why a request is refused, and the remedy.
pub(crate) fn refusal_words(context: &Context, refusal: &Refusal) -> (String, String) {
    let deploy = code(&context.deploy_command);
    match refusal {
        Refusal::Usage(error) => (usage_words(error), format!("write {}.", code(&error.usage))),
        Refusal::LimitReached { limit, instances } => limit_words(context, *limit, instances),
        Refusal::NotPermitted { login, has, needs } => (
            format!(
                "{} has the permission {} on this repository, and the command takes {}.",
                code(login),
                code(has.as_str()),
                code(needs.as_str())
            ),
            ask_somebody(*needs),
        ),
        Refusal::PermissionUnknown {
            login,
            needs,
            answer,
        } => (
            format!(
                "GitHub gave no clear answer to what {} may do here, which counts as no:\n\n{}",
                code(login),
                block(answer)
            ),
            format!(
                "comment again in a minute. If that does not help, give the action's input `token` a token that may \
                 read who works on this repository, or {}",
                ask_somebody(*needs)
            ),
        ),
        Refusal::Closed => (
            "The pull request is closed.".to_owned(),
            format!("reopen it, then comment {deploy}."),
        ),
        Refusal::Fork => (
            "The pull request comes from a fork, and what a fork deploys runs in the cluster."
                .to_owned(),
            "push the branch to this repository, or set the action's input `allow-forks: true`."
                .to_owned(),
        ),
        Refusal::HeadDeleted => (
            "The repository of the head branch has been deleted.".to_owned(),
            "push the branch to this repository and open a pull request from there.".to_owned(),
        ),
        Refusal::ForkUrl { url } => (
            format!(
                "The fork cannot be cloned over https; its URL is {}.",
                code(url)
            ),
            "push the branch to this repository and open a pull request from there.".to_owned(),
        ),
        Refusal::BranchMoved { wanted, head } => (
            format!(
                "The branch has moved: its head is {}, not {}.",
                code(head.as_str()),
                code(wanted.as_str())
            ),
            format!("look at what was pushed, then comment {}.", deploy_of(context, head)),
        ),
        Refusal::PushedSince { head } => (
            "The fork was pushed to after the command was given, so its head may be something that nobody has looked at."
                .to_owned(),
            format!(
                "look at {}, then comment {}.",
                code(head.short()),
                deploy_of(context, head)
            ),
        ),
        Refusal::ProtectedNamespace { namespace, pattern } => (
            format!(
                "The namespace {} is protected by the pattern {}.",
                code(namespace),
                code(pattern)
            ),
            "rename the branch, or set the action's input `namespace-prefix`.".to_owned(),
        ),
        Refusal::ClaimedNamespace { namespace, path } => (
            format!(
                "The namespace {} belongs to the overlay {}.",
                code(namespace),
                code(path)
            ),
            "rename the branch, or set the action's input `namespace-prefix`.".to_owned(),
        ),
        Refusal::NamespaceTaken { namespace, owner } => (
            format!(
                "The namespace {} belongs to the environment of pull request {} of {}.",
                code(namespace),
                owner.pull_request,
                code(&owner.repository)
            ),
            format!(
                "close that pull request or comment {} on it, or rename this branch.",
                code(&context.destroy_command)
            ),
        ),
        Refusal::OwnedByAnother { path, owner } => (
            format!(
                "The file {} belongs to pull request {} of {}.",
                code(path),
                owner.pull_request,
                code(&owner.repository)
            ),
            format!(
                "close that pull request or comment {} on it, then comment {deploy} here.",
                code(&context.destroy_command)
            ),
        ),
        Refusal::NotOurs { path } => (
            format!(
                "{} on {} was not written by this action.",
                code(path),
                code(&context.target_branch)
            ),
            "move it away, rename the branch, or set the action's input `instances-path`."
                .to_owned(),
        ),
    }
}

fn usage_words(error: &UsageError) -> String {
    let argument = code(&error.argument);
    match error.problem {
        Problem::Unknown => format!("{argument} is no argument of the command."),
        Problem::Repeated => {
            format!("{argument} is one argument too many: each kind may come once.")
        }
        Problem::InvalidTtl => format!("{argument} gives no time to live: it takes {TTL_FORMAT}."),
    }
}

fn limit_words(context: &Context, limit: usize, instances: &[(String, u64)]) -> (String, String) {
    let named = listed(instances, |(name, pull_request)| {
        format!("{} (pull request {pull_request})", code(name))
    });
    let oldest = instances.first().map_or_else(String::new, |(name, pull_request)| {
        format!(
            "comment {} where nobody needs it any more (the oldest pull request with one is {pull_request}, with {}), or ",
            code(&context.destroy_command),
            code(name)
        )
    });
    (
        format!(
            "There may be {limit} environments at a time, and there are {}: {named}.",
            instances.len()
        ),
        format!("{oldest}raise the action's input `max-environments`."),
    )
}

/// The command that deploys this very commit.
fn deploy_of(context: &Context, commit: &Sha) -> String {
    deploy_with(context, commit.as_str())
}

fn ask_somebody(needs: Permission) -> String {
    format!(
        "ask somebody with {} to comment, or lower the action's input `allowed-permission`.",
        code(needs.as_str())
    )
}
