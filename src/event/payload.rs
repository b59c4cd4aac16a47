//! The shapes of GitHub's event payloads, down to the fields that matter here.

use serde::Deserialize;
use serde_json::Value;

use crate::model::pull_request::PullRequestObject;

#[derive(Deserialize)]
pub(crate) struct Action {
    pub(crate) action: String,
}

#[derive(Deserialize)]
pub(crate) struct CommentPayload {
    pub(crate) issue: Issue,
    pub(crate) comment: Comment,
    pub(crate) repository: Repository,
}

#[derive(Deserialize)]
pub(crate) struct Issue {
    pub(crate) number: u64,
    /// Present on pull requests only.
    pub(crate) pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) created_at: Value,
    /// `null` once the account is deleted.
    pub(crate) user: Option<User>,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub(crate) login: String,
    #[serde(default)]
    pub(crate) r#type: String,
}

#[derive(Deserialize)]
pub(crate) struct Repository {
    pub(crate) id: Option<u64>,
    pub(crate) default_branch: String,
}

#[derive(Deserialize)]
pub(crate) struct SweepPayload {
    pub(crate) repository: Option<Repository>,
}

#[derive(Deserialize)]
pub(crate) struct StatusPayload {
    pub(crate) sha: String,
    pub(crate) context: String,
    pub(crate) state: String,
    pub(crate) repository: Repository,
}

#[derive(Deserialize)]
pub(crate) struct LabelPayload {
    /// Missing once the label is deleted from the repository.
    pub(crate) label: Option<Label>,
}

#[derive(Deserialize)]
pub(crate) struct Label {
    pub(crate) name: String,
}

#[derive(Deserialize)]
pub(crate) struct PullRequestPayload {
    pub(crate) pull_request: PullRequestObject,
    pub(crate) repository: Repository,
    pub(crate) sender: Option<User>,
}

impl User {
    /// Whom GitHub shows in the place of a deleted account.
    pub(crate) fn deleted() -> User {
        User {
            login: "ghost".to_owned(),
            r#type: "User".to_owned(),
        }
    }
}
