//! A request that is not granted: why, and what to do.

use crate::command::{Problem, UsageError};
use crate::decide::refusal::Refusal;
use crate::message::context::{Context, notice, with_reason};
use crate::message::markdown::{block, code, listed};
use crate::message::sections::Message;
use crate::model::instance::Owner;
use crate::model::repository::Permission;
use crate::model::ttl::TTL_FORMAT;

const TITLE: &str = "### 🚫 Refused";
const OTHER_NAME: &str = "rename the branch, or set the input `namespace-prefix`.";
const BRANCH_HERE: &str = "push the branch to this repository and open a pull request from there.";

/// A request is not granted.
pub(crate) fn refused(context: &Context, refusal: &Refusal) -> Message {
    let (why, remedy) = words(context, refusal);
    let title = with_reason(TITLE, refusal.code());
    let footer = context.footer(refusal.code());
    Message::below(&notice(&title, &why, &remedy, &footer))
}

/// Why the request is refused, and the remedy.
fn words(context: &Context, refusal: &Refusal) -> (String, String) {
    let deploy = code(&context.deploy_command);
    match refusal {
        Refusal::Usage(error) => (usage_words(error), usage_remedy(error)),
        Refusal::LimitReached { limit, instances } => limit_words(context, *limit, instances),
        Refusal::NotPermitted { login, has, needs } => (
            format!(
                "{} has the permission {} on this repository, and the command needs {}.",
                code(login),
                code(has.as_str()),
                code(needs.as_str())
            ),
            ask_somebody(*needs),
        ),
        Refusal::PermissionUnknown { login, answer, .. } => (
            format!(
                "GitHub gave no clear answer about the permission of {} on this repository, which counts as no:\n\n{}",
                code(login),
                block(answer)
            ),
            "comment again in a minute. If that does not help, set the input `token` to a token that may read the \
             repository's collaborators."
                .to_owned(),
        ),
        Refusal::Closed => (
            "The pull request is closed.".to_owned(),
            format!("reopen it, then comment {deploy}."),
        ),
        Refusal::BranchIsWatched { branch } => (
            format!(
                "The head branch of this pull request is {}, the branch that the action commits to. Each deploy would \
                 move the head, and so ask for another deploy.",
                code(branch)
            ),
            "set the input `branch` to a separate branch for the instances, and let Flux watch it.".to_owned(),
        ),
        Refusal::Fork => (
            "The pull request comes from a fork. Forks are not allowed here, because their code would run in the cluster."
                .to_owned(),
            "push the branch to this repository and open a pull request from there, or set the input `allow-forks` to \
             `true`."
                .to_owned(),
        ),
        Refusal::HeadDeleted => (
            "The repository of the head branch was deleted.".to_owned(),
            BRANCH_HERE.to_owned(),
        ),
        Refusal::ForkUrl { url } => (
            format!("The fork cannot be cloned over https: its URL is {}.", code(url)),
            BRANCH_HERE.to_owned(),
        ),
        Refusal::BranchMoved { wanted, head } => (
            format!(
                "The branch has moved: its head is {}, not {}.",
                code(head.as_str()),
                code(wanted.as_str())
            ),
            format!(
                "look at what was pushed, then comment {}.",
                context.deploy_with(head.as_str())
            ),
        ),
        Refusal::PushedSince { head } => (
            "The fork was pushed to after the command, so its head may be a commit that nobody has looked at."
                .to_owned(),
            format!(
                "look at {}, then comment {}.",
                code(head.short()),
                context.deploy_with(head.as_str())
            ),
        ),
        Refusal::ProtectedNamespace { namespace, pattern } if namespace == pattern => (
            format!("The namespace {} is protected.", code(namespace)),
            OTHER_NAME.to_owned(),
        ),
        Refusal::ProtectedNamespace { namespace, pattern } => (
            format!(
                "The namespace {} is protected by the pattern {}.",
                code(namespace),
                code(pattern)
            ),
            OTHER_NAME.to_owned(),
        ),
        Refusal::ClaimedNamespace { namespace, path } => (
            format!(
                "The namespace {} belongs to the overlay {}.",
                code(namespace),
                code(path)
            ),
            OTHER_NAME.to_owned(),
        ),
        Refusal::NamespaceTaken { namespace, owner } => (
            format!(
                "The namespace {} belongs to the environment of {}.",
                code(namespace),
                pull_request(owner)
            ),
            format!(
                "close that pull request or comment {} on it, or rename this branch.",
                code(&context.destroy_command)
            ),
        ),
        Refusal::OwnedByAnother { path, owner } => (
            format!("The file {} belongs to {}.", code(path), pull_request(owner)),
            format!(
                "close that pull request or comment {} on it, then comment {deploy} here.",
                code(&context.destroy_command)
            ),
        ),
        Refusal::NotListed {
            path,
            kustomization,
        } => (
            format!(
                "Flux would not apply {}, because {} on {} does not list it.",
                code(path),
                code(kustomization),
                code(&context.target_branch)
            ),
            format!(
                "remove {}: without it, Flux applies every YAML file in the directory. What it changes in the instances \
                 goes into `spec.patches` of the Kustomization that applies the directory.",
                code(kustomization)
            ),
        ),
        Refusal::NotOurs { path } => (
            format!(
                "There is already something at {} on {} that this action did not create, so the action leaves it alone.",
                code(path),
                code(&context.target_branch)
            ),
            "move that file, rename the branch, or set the input `instances-path`.".to_owned(),
        ),
    }
}

fn usage_remedy(error: &UsageError) -> String {
    let usage = code(&error.usage);
    match error.usage.contains('[') {
        true => format!("use this form, in which the parts in brackets are optional: {usage}."),
        false => format!("write {usage}."),
    }
}

fn usage_words(error: &UsageError) -> String {
    let argument = code(&error.argument);
    match error.problem {
        Problem::Unknown => format!("{argument} is not a valid argument."),
        Problem::Repeated => {
            format!("{argument} is one argument too many: give at most one commit and one TTL.")
        }
        Problem::InvalidTtl => format!("{argument} is not a valid TTL: give {TTL_FORMAT}."),
    }
}

fn limit_words(context: &Context, limit: usize, instances: &[(String, u64)]) -> (String, String) {
    let named = listed(instances, |(name, pull_request)| {
        format!("{} (pull request {pull_request})", code(name))
    });
    let oldest = instances.first().map_or_else(String::new, |(name, pull_request)| {
        format!(
            "comment {} on a pull request that no longer needs its environment (the oldest is pull request \
             {pull_request}, with {}), or ",
            code(&context.destroy_command),
            code(name)
        )
    });
    (
        format!("`max-environments` is {limit}. These environments exist: {named}."),
        format!("{oldest}raise the input `max-environments`."),
    )
}

fn pull_request(owner: &Owner) -> String {
    format!(
        "pull request {} of {}",
        owner.pull_request,
        code(&owner.repository.name)
    )
}

fn ask_somebody(needs: Permission) -> String {
    format!(
        "ask somebody with {} to comment, or lower the input `allowed-permission`.",
        code(needs.as_str())
    )
}
