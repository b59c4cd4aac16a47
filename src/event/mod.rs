//! GitHub's event payloads, read down to the fields that matter here.
//!
//! Shapes: <https://docs.github.com/webhooks/webhook-events-and-payloads>.

pub(crate) mod payload;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::event::payload::{
    Action, CommentPayload, LabelPayload, PullRequestPayload, StatusPayload, SweepPayload, User,
};
use crate::model::pull_request::{PullRequest, is_label};
use crate::model::sha::Sha;

/// What happened.
///
/// A run may start hours after the event, or again days later. So what an event says is old:
///
/// - The state and the labels of the pull request: they are asked for, and what is there now counts.
/// - The head of the pull request, and the time of a comment: they are meant to be old. Only what was there when the command
///   was given may be deployed from a fork.
/// - The state of a commit: it is asked for.
/// - The text of a comment: it is the command as it was given. Editing a comment gives no new command.
/// - A login, and the default branch: a renamed one is not found, and the run fails or refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody commented on an issue or a pull request.
    Comment(CommentEvent),
    /// A pull request was closed, or the label that deploys was put on or taken off.
    PullRequest(PullRequestEvent),
    /// It is time to look after what is there, or somebody asked for that.
    Sweep(SweepEvent),
    /// Somebody set the status of a commit.
    Status(StatusEvent),
    /// Something else, by the name and the action of the event.
    Ignored(Ignored),
}

/// A comment that was just created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommentEvent {
    /// Number of the issue or pull request.
    pub(crate) number: u64,
    /// Whether it is a pull request.
    pub(crate) on_pull_request: bool,
    /// The comment's id.
    pub(crate) comment_id: u64,
    /// Its text, as it was written.
    pub(crate) body: String,
    /// Login of its author.
    pub(crate) author: String,
    /// Whether the author is a bot.
    pub(crate) by_bot: bool,
    /// When it was written, as GitHub writes times: RFC 3339, UTC, to the second.
    pub(crate) created_at: Option<String>,
    /// The repository's default branch.
    pub(crate) default_branch: String,
    /// GitHub's id of the repository.
    pub(crate) repository_id: Option<u64>,
}

/// Something that was just done to a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullRequestEvent {
    /// What was done.
    pub(crate) action: PullRequestAction,
    /// The pull request.
    pub(crate) pull_request: PullRequest,
    /// Login of who did it.
    pub(crate) sender: String,
    /// The repository's default branch.
    pub(crate) default_branch: String,
    /// GitHub's id of the repository.
    pub(crate) repository_id: Option<u64>,
}

/// What was done to a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullRequestAction {
    /// It was closed, merged or not.
    Closed,
    /// The label that deploys was put on it.
    Labeled,
    /// The label that deploys was taken off it.
    Unlabeled,
    /// A label was put on it or taken off it that is deleted by now, so that nobody knows which it was.
    LabelUnknown,
    /// It was opened again.
    Reopened,
}

/// What started a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SweepEvent {
    /// Why, as the output `reason` says it.
    pub(crate) code: &'static str,
    /// The repository's default branch; a schedule does not say it.
    pub(crate) default_branch: Option<String>,
    /// GitHub's id of the repository; a schedule does not say it, either.
    pub(crate) repository_id: Option<u64>,
}

/// A commit's status that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusEvent {
    /// The commit.
    pub(crate) sha: Sha,
    /// What the status is about.
    pub(crate) context: String,
    /// Whether it says that something has begun, and no more.
    pub(crate) is_pending: bool,
    /// The repository's default branch.
    pub(crate) default_branch: String,
    /// GitHub's id of the repository.
    pub(crate) repository_id: Option<u64>,
}

/// Why an event is ignored, judged by its name and action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// The event itself.
    Event,
    /// An action other than the one that counts.
    Action,
    /// A comment that was edited or deleted.
    CommentNotCreated,
    /// A label other than the one that deploys.
    Label,
}

/// Whether [`parse`] looks into the payload of the event called `name`.
pub(crate) fn has_payload(name: &str) -> bool {
    matches!(
        name,
        "issue_comment"
            | "pull_request"
            | "pull_request_target"
            | "schedule"
            | "status"
            | "workflow_dispatch"
    )
}

/// Reads the payload of the event called `name`. `label` is the label that deploys, if there is one.
///
/// The payload of an ignored event is read no further than that takes.
///
/// # Errors
/// The payload of an event of ours is not JSON or lacks a field; the message names the field.
pub(crate) fn parse(name: &str, payload: &[u8], label: Option<&str>) -> Result<Event> {
    match name {
        "schedule" => sweep(name, payload, "schedule"),
        "workflow_dispatch" => sweep(name, payload, "workflow-dispatch"),
        "issue_comment" => match read::<Action>(name, payload)?.action.as_str() {
            "created" => {
                let payload: CommentPayload = read(name, payload)?;
                Ok(Event::Comment(payload.into()))
            }
            _ => Ok(Event::Ignored(Ignored::CommentNotCreated)),
        },
        "pull_request" | "pull_request_target" => {
            let mut action = match read::<Action>(name, payload)?.action.as_str() {
                "closed" => PullRequestAction::Closed,
                "labeled" => PullRequestAction::Labeled,
                "unlabeled" => PullRequestAction::Unlabeled,
                "reopened" => PullRequestAction::Reopened,
                _ => return Ok(Event::Ignored(Ignored::Action)),
            };
            let label = match (action, label) {
                (PullRequestAction::Closed, _) => None,
                (_, None) => return Ok(Event::Ignored(Ignored::Action)),
                (_, label) => label,
            };
            if let (Some(label), PullRequestAction::Labeled | PullRequestAction::Unlabeled) =
                (label, action)
            {
                match read::<LabelPayload>(name, payload)?.label {
                    None => action = PullRequestAction::LabelUnknown,
                    Some(other) if !is_label(&other.name, label) => {
                        return Ok(Event::Ignored(Ignored::Label));
                    }
                    Some(_) => {}
                }
            }
            let payload: PullRequestPayload = read(name, payload)?;
            let event = payload.into_event(action)?;
            let is_without = |label| event.pull_request.has_label(label) == Some(false);
            if action == PullRequestAction::Reopened && label.is_some_and(is_without) {
                return Ok(Event::Ignored(Ignored::Label));
            }
            Ok(Event::PullRequest(event))
        }
        "status" => {
            let payload: StatusPayload = read(name, payload)?;
            Ok(Event::Status(payload.try_into()?))
        }
        _ => Ok(Event::Ignored(Ignored::Event)),
    }
}

fn sweep(name: &str, payload: &[u8], code: &'static str) -> Result<Event> {
    let payload: SweepPayload = read(name, payload)?;
    Ok(Event::Sweep(SweepEvent {
        code,
        repository_id: payload.repository.as_ref().and_then(|it| it.id),
        default_branch: payload
            .repository
            .map(|repository| repository.default_branch),
    }))
}

fn read<T: DeserializeOwned>(name: &str, payload: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    serde_path_to_error::deserialize(&mut json)
        .with_context(|| format!("the payload of the event `{name}` is not as GitHub documents it"))
}

impl TryFrom<StatusPayload> for StatusEvent {
    type Error = anyhow::Error;

    fn try_from(payload: StatusPayload) -> Result<StatusEvent> {
        let Some(sha) = Sha::parse(&payload.sha) else {
            bail!(
                "the payload of the event `status` is not as GitHub documents it: sha: {:?} is not a commit's 40 hexadecimal \
                 digits",
                payload.sha
            );
        };
        Ok(StatusEvent {
            sha,
            context: payload.context,
            is_pending: payload.state == "pending",
            default_branch: payload.repository.default_branch,
            repository_id: payload.repository.id,
        })
    }
}

impl From<CommentPayload> for CommentEvent {
    fn from(payload: CommentPayload) -> CommentEvent {
        let author = payload.comment.user.unwrap_or_else(User::deleted);
        CommentEvent {
            number: payload.issue.number,
            on_pull_request: payload.issue.pull_request.is_some(),
            comment_id: payload.comment.id,
            body: payload.comment.body.unwrap_or_default(),
            created_at: payload.comment.created_at.as_str().map(str::to_owned),
            by_bot: author.r#type == "Bot",
            author: author.login,
            repository_id: payload.repository.id,
            default_branch: payload.repository.default_branch,
        }
    }
}

impl PullRequestPayload {
    fn into_event(self, action: PullRequestAction) -> Result<PullRequestEvent> {
        Ok(PullRequestEvent {
            action,
            pull_request: self
                .pull_request
                .with_head_owner_or(User::deleted().login)
                .try_into()?,
            sender: self.sender.unwrap_or_else(User::deleted).login,
            repository_id: self.repository.id,
            default_branch: self.repository.default_branch,
        })
    }
}
