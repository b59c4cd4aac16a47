//! A pull request, as GitHub's API and its events both write it.

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::model::sha::Sha;

/// A pull request, as far as an environment depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullRequest {
    /// Its number.
    pub(crate) number: u64,
    /// What became of it.
    pub(crate) state: State,
    /// Name of the head branch.
    pub(crate) branch: String,
    /// The head commit.
    pub(crate) commit: Sha,
    /// Where the head branch is.
    pub(crate) head: Head,
    /// Names of its labels, `None` where that cannot be read.
    pub(crate) labels: Option<Vec<String>>,
}

impl PullRequest {
    /// Whether the pull request has a label of this name, `None` where nobody knows. GitHub has no two labels that differ
    /// in case alone.
    pub(crate) fn has_label(&self, name: &str) -> Option<bool> {
        let labels = self.labels.as_ref()?;
        Some(labels.iter().any(|label| is_label(label, name)))
    }
}

/// Whether both are the same label.
pub(crate) fn is_label(name: &str, label: &str) -> bool {
    name.to_lowercase() == label.to_lowercase()
}

/// What became of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It is neither closed nor merged.
    Open,
    /// It is closed or merged.
    Closed,
    /// A word that GitHub does not document: nothing is deployed for it, and nothing removed unasked.
    Unknown(String),
}

/// Says that GitHub does not document this state of a pull request.
pub(crate) fn unknown_state(word: &str) -> String {
    format!("its state is {word:?}, which GitHub does not document")
}

impl From<String> for State {
    fn from(word: String) -> State {
        match word.as_str() {
            "open" => State::Open,
            "closed" => State::Closed,
            _ => State::Unknown(word),
        }
    }
}

/// The repository of a pull request's head branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Head {
    /// The pull request's own repository.
    Here,
    /// Another one.
    Fork {
        /// Login of its owner.
        owner: String,
        /// Its URL over https.
        clone_url: String,
        /// When something was last pushed to it, as GitHub writes times.
        pushed_at: Option<String>,
    },
    /// A repository that was deleted.
    Deleted,
}

/// What GitHub says of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It is open.
    Open,
    /// It is closed or merged.
    Closed,
    /// It is open, and the repository of its head branch was deleted.
    HeadDeleted,
    /// Anything else, in the server's words.
    Unclear(String),
}

/// What GitHub says of a pull request that has an environment.
#[derive(Debug, Clone)]
pub(crate) struct PullRequestSummary {
    /// What became of it.
    pub(crate) answer: Liveness,
    /// The head branch and its commit, if GitHub said.
    pub(crate) head: Option<(String, Sha)>,
}

/// A pull request as GitHub's API and its events both write it.
#[derive(Debug, Deserialize)]
pub(crate) struct PullRequestObject {
    number: u64,
    state: String,
    head: HeadObject,
    base: BaseObject,
    /// Only what a label asks for depends on it.
    #[serde(default)]
    labels: Value,
}

/// The names of labels, `None` where one is not as GitHub documents it.
fn label_names(labels: &Value) -> Option<Vec<String>> {
    let name = |label: &Value| Some(label.get("name")?.as_str()?.to_owned());
    labels.as_array()?.iter().map(name).collect()
}

#[derive(Debug, Deserialize)]
struct HeadObject {
    r#ref: String,
    sha: String,
    /// `null` once the repository is deleted.
    repo: Option<HeadRepository>,
}

#[derive(Debug, Deserialize)]
struct HeadRepository {
    id: u64,
    clone_url: String,
    #[serde(default)]
    pushed_at: Value,
    /// `null` in an event, where its account is deleted.
    owner: Option<Owner>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    login: String,
}

#[derive(Debug, Deserialize)]
struct BaseObject {
    repo: BaseRepository,
}

#[derive(Debug, Deserialize)]
struct BaseRepository {
    id: u64,
}

impl PullRequestObject {
    /// The same with an owner of the head repository, where the payload names none.
    pub(crate) fn with_head_owner_or(mut self, login: String) -> PullRequestObject {
        if let Some(repository) = &mut self.head.repo {
            repository.owner.get_or_insert(Owner { login });
        }
        self
    }
}

impl TryFrom<PullRequestObject> for PullRequest {
    type Error = anyhow::Error;

    fn try_from(object: PullRequestObject) -> Result<PullRequest> {
        let Some(commit) = Sha::parse(&object.head.sha) else {
            bail!(
                "the head of pull request #{} is {:?}, not a commit's 40 hexadecimal digits",
                object.number,
                object.head.sha
            );
        };
        let head = match object.head.repo {
            None => Head::Deleted,
            // A fork can be renamed to our name, but never to our id.
            Some(HeadRepository { owner: None, .. }) => bail!(
                "the head repository of pull request #{} has no `owner`",
                object.number
            ),
            Some(repository) if repository.id == object.base.repo.id => Head::Here,
            Some(HeadRepository {
                owner: Some(owner),
                clone_url,
                pushed_at,
                ..
            }) => Head::Fork {
                owner: owner.login,
                clone_url,
                pushed_at: pushed_at.as_str().map(str::to_owned),
            },
        };
        Ok(PullRequest {
            number: object.number,
            state: object.state.into(),
            branch: object.head.r#ref,
            commit,
            head,
            labels: label_names(&object.labels),
        })
    }
}
