//! GitHub's API: facts in, reactions, comments and statuses out.
//!
//! octocrab's own models and retry are not used: the models reject real data (a deleted user, a new value), the retry
//! repeats POSTs.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use octocrab::Octocrab;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use crate::command::Sha;
use crate::comment::MARKER;
use crate::config::{Config, Permission, RepositoryName, Token, base};
use crate::decide::Access;
use crate::event::{Head, PullRequest, PullRequestObject, State, odd_state};
use crate::silence::{self, Silence};
use crate::sweep::Answer;

/// Longest wait for a connection, and for each read from it.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest time for one try.
const ONE_TRY: Duration = Duration::from_secs(15);
/// No server is waited for any longer, whatever it asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(65);
/// Tries of one request.
const TRIES: u32 = 4;
/// Wait before the second try; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Entries of one page of a list, the most GitHub gives.
const PAGE: usize = 100;
/// Pages of comments that are looked through for ours: GitHub's own limit on a pull request's comments is lower.
const PAGES: usize = 100;
/// Login behind a workflow's own token.
const WORKFLOW_BOT: &str = "github-actions[bot]";
/// Why a question of many was left out.
const NOT_ASKED: &str = "not asked, for GitHub has not answered anything for a while";
/// What lets a token see pull requests.
const PULL_REQUESTS_REMEDY: &str = "add `pull-requests: write` to the job's `permissions`";
/// Name of our commit status.
const STATUS_CONTEXT: &str = "flux-ephemeral-env";
/// What a segment of a path keeps as it is ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A client for one repository.
#[derive(Debug)]
pub struct GitHub {
    client: Octocrab,
    token: Token,
    name: RepositoryName,
    /// URL of the repository in the API.
    repository: String,
    graphql: String,
    /// The login behind the token, once it is known.
    viewer: OnceCell<String>,
    silence: Cell<Silence>,
}

/// A request that did not succeed: what was attempted and what was answered.
#[derive(Debug)]
pub struct ApiError {
    attempted: String,
    status: Option<u16>,
    words: String,
    /// How long the server asked to be left alone.
    retry_after: Option<Duration>,
    is_rate_limit: bool,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{}: {status}: {}", self.attempted, self.words)?,
            None => write!(f, "{}: {}", self.attempted, self.words)?,
        }
        match self.retry_after {
            Some(pause) => write!(f, " (try again in {} s)", pause.as_secs()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    #[cfg(test)]
    pub(crate) fn answered(status: u16, words: &str, retry_after: Option<u64>) -> ApiError {
        ApiError {
            attempted: "POST x".to_owned(),
            status: Some(status),
            words: words.to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
            is_rate_limit: retry_after.is_some(),
        }
    }

    /// Whether the same request may succeed later.
    fn is_transient(&self) -> bool {
        match self.status {
            None => true,
            Some(status) => status >= 500 || status == 429 || self.is_rate_limit,
        }
    }

    /// Whether the token lacks a permission.
    pub fn is_forbidden(&self) -> bool {
        // A locked conversation is closed to some tokens that may write comments otherwise.
        self.status == Some(403) && !self.is_rate_limit && !self.words.contains("is locked")
    }

    /// Whether the last answer was that GitHub wants to be left alone.
    pub fn is_rate_limit(&self) -> bool {
        self.is_rate_limit
    }

    /// Whether the token is of no use here: GitHub hides what a token may not see.
    pub fn is_refused(&self) -> bool {
        matches!(self.status, Some(401 | 404)) || self.is_forbidden()
    }
}

/// A reaction to the comment with the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// 👀
    Seen,
    /// 🚀
    Done,
    /// 😕
    Refused,
    /// 👎
    Failed,
}

impl Reaction {
    /// GitHub's word ([API](https://docs.github.com/rest/reactions/reactions#about-reactions)).
    fn content(self) -> &'static str {
        match self {
            Reaction::Seen => "eyes",
            Reaction::Done => "rocket",
            Reaction::Refused => "confused",
            Reaction::Failed => "-1",
        }
    }
}

/// State of the commit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusState {
    /// The work goes on.
    Pending,
    /// Done.
    Success,
    /// Refused, by us or by the server.
    Failure,
    /// Something broke.
    Error,
}

impl StatusState {
    /// GitHub's word ([API](https://docs.github.com/rest/commits/statuses#create-a-commit-status)).
    fn as_str(self) -> &'static str {
        match self {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
            StatusState::Error => "error",
        }
    }
}

/// Our comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusComment {
    id: u64,
    /// Its page.
    pub url: String,
    /// Its text.
    pub body: String,
}

#[derive(Deserialize)]
struct PermissionObject {
    permission: String,
    role_name: Option<String>,
}

#[derive(Deserialize)]
struct CommentObject {
    id: u64,
    html_url: String,
    body: Option<String>,
    user: Option<UserObject>,
}

#[derive(Deserialize)]
struct UserObject {
    login: String,
    #[serde(default)]
    r#type: String,
}

#[derive(Deserialize)]
struct StatusObject {
    state: String,
    context: String,
    target_url: Option<String>,
    description: Option<String>,
}

impl PullRequestStanding {
    /// Whether it says anything.
    pub fn is_clear(&self) -> bool {
        !matches!(self.answer, Answer::Unclear(_))
    }

    fn unclear(words: String) -> PullRequestStanding {
        PullRequestStanding {
            answer: Answer::Unclear(words),
            head: None,
        }
    }

    fn read(node: &Value) -> PullRequestStanding {
        let node = match PullRequestNode::deserialize(node) {
            Ok(node) => node,
            Err(error) => {
                let words = format!("the answer is not as GitHub documents it: {error}");
                return PullRequestStanding::unclear(words);
            }
        };
        PullRequestStanding {
            answer: match (node.state.as_str(), node.head_repository) {
                ("OPEN", Some(_)) => Answer::Open,
                ("OPEN", None) => Answer::HeadDeleted,
                ("CLOSED" | "MERGED", _) => Answer::Closed,
                (word, _) => Answer::Unclear(odd_state(word)),
            },
            head: Sha::parse(&node.head_ref_oid).map(|commit| (node.head_ref_name, commit)),
        }
    }
}

impl GraphQlError {
    fn words(&self) -> String {
        match self.r#type.as_str() {
            "FORBIDDEN" => format!("{} ({PULL_REQUESTS_REMEDY})", self.message),
            _ => self.message.clone(),
        }
    }
}

impl CommentObject {
    fn found(mut self) -> StatusComment {
        let body = self.body.take().unwrap_or_default();
        self.saying(body)
    }

    fn saying(self, body: String) -> StatusComment {
        StatusComment {
            id: self.id,
            url: self.html_url,
            body,
        }
    }

    fn login(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.login.as_str())
    }
}

/// GraphQL's answer, which is a 200 where it is an error, too.
#[derive(Deserialize)]
struct GraphQl<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<GraphQlError>,
}

#[derive(Deserialize)]
struct GraphQlError {
    message: String,
    #[serde(default)]
    r#type: String,
    /// Which part of the answer it is about.
    #[serde(default)]
    path: Vec<Value>,
}

#[derive(Deserialize)]
struct ViewerData {
    viewer: ViewerLogin,
}

#[derive(Deserialize)]
struct ViewerLogin {
    login: String,
}

#[derive(Deserialize)]
struct RepositoryData {
    /// Pull requests by the names that the query gives them.
    repository: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequestNode {
    state: String,
    head_ref_name: String,
    head_ref_oid: String,
    head_repository: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RepositoryObject {
    default_branch: String,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

/// What GitHub says of a pull request that has an environment.
#[derive(Debug, Clone)]
pub struct PullRequestStanding {
    /// What became of it.
    pub answer: Answer,
    /// The head branch and its commit, where GitHub told.
    pub head: Option<(String, Sha)>,
}

enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    fn as_str(&self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

impl GitHub {
    /// A client for the repository of this run. Makes no request.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(config: &Config) -> Result<GitHub> {
        // octocrab gives its credentials to the origin of the base URL alone; every route here is a whole URL.
        let origin = config.api_url.origin().ascii_serialization();
        let client = Octocrab::builder()
            .base_uri(origin)
            .context("reading GITHUB_API_URL")?
            .personal_token(config.inputs.token.expose())
            .set_connect_timeout(Some(ANSWER))
            .set_read_timeout(Some(ANSWER))
            .set_write_timeout(Some(ANSWER))
            .build()
            .context("setting up the client for GitHub's API")?;
        Ok(GitHub {
            client,
            token: config.inputs.token.clone(),
            name: config.repository.clone(),
            repository: format!("{}/repos/{}", base(&config.api_url), config.repository),
            graphql: base(&config.graphql_url).to_owned(),
            viewer: OnceCell::new(),
            silence: Cell::default(),
        })
    }

    /// A pull request as it is now.
    ///
    /// # Errors
    /// No answer, or one that is no pull request.
    pub async fn pull_request(&self, number: u64) -> Result<PullRequest> {
        let object: PullRequestObject = self.get(&self.route(&format!("pulls/{number}"))).await?;
        object.try_into()
    }

    /// The repository's default branch.
    ///
    /// # Errors
    /// No answer, or one that does not say.
    pub async fn default_branch(&self) -> Result<String> {
        let object: RepositoryObject = self.get(&self.repository).await?;
        Ok(object.default_branch)
    }

    /// What became of these pull requests, a hundred of them with one request. No answer is an unclear one.
    ///
    /// They are named one by one instead of listing the open ones: a page of a list shifts where a pull request is closed
    /// meanwhile, and one that is open could be missed.
    pub async fn standings(&self, numbers: &BTreeSet<u64>) -> BTreeMap<u64, PullRequestStanding> {
        // GraphQL's whole numbers have 32 bits, and one that is larger would be an error about the whole question.
        let (numbers, too_large): (Vec<u64>, Vec<u64>) = numbers
            .iter()
            .partition(|number| i32::try_from(**number).is_ok());
        let no_number = |number| {
            let words = "no pull request has such a number".to_owned();
            (number, PullRequestStanding::unclear(words))
        };
        let mut standings: BTreeMap<_, _> = too_large.into_iter().map(no_number).collect();
        for numbers in numbers.chunks(PAGE) {
            let asked = match self.is_silent() {
                true => Err(NOT_ASKED.to_owned()),
                false => self.ask_for_standings(numbers).await.map_err(|error| {
                    match error.is_refused() {
                        true => format!("{error} ({PULL_REQUESTS_REMEDY})"),
                        false => error.to_string(),
                    }
                }),
            };
            standings.extend(asked.unwrap_or_else(|words| {
                let unclear = |number: &u64| (*number, PullRequestStanding::unclear(words.clone()));
                numbers.iter().map(unclear).collect()
            }));
        }
        // Rare, and GraphQL may also say nothing of a repository that the token cannot see.
        for (number, standing) in &mut standings {
            if standing.answer == Answer::HeadDeleted {
                standing.answer = self.second_answer(*number).await;
            }
        }
        standings
    }

    async fn second_answer(&self, number: u64) -> Answer {
        if self.is_silent() {
            return Answer::Unclear(NOT_ASKED.to_owned());
        }
        match self.pull_request(number).await {
            Ok(PullRequest { state, head, .. }) => match state {
                State::Open if head == Head::Deleted => Answer::HeadDeleted,
                State::Open => Answer::Open,
                State::Closed => Answer::Closed,
                State::Unknown(word) => Answer::Unclear(odd_state(&word)),
            },
            Err(error) => Answer::Unclear(format!("{error:#}")),
        }
    }

    async fn ask_for_standings(
        &self,
        numbers: &[u64],
    ) -> Result<BTreeMap<u64, PullRequestStanding>, ApiError> {
        let fields = "{ state headRefName headRefOid headRepository { id } }";
        let asked = numbers
            .iter()
            .map(|number| format!("p{number}: pullRequest(number: {number}) {fields}"))
            .collect::<Vec<_>>()
            .join(" ");
        let query = json!({
            "query": format!(
                "query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{ {asked} }} }}"
            ),
            "variables": { "owner": self.name.owner, "name": self.name.name },
        });
        let (data, errors): (RepositoryData, _) = self.graphql(&query).await?;
        let nodes = data.repository.unwrap_or_default();
        let standing = |number: &u64| {
            let name = format!("p{number}");
            let about = |error: &&GraphQlError| {
                error
                    .path
                    .get(1)
                    .is_none_or(|part| part.as_str() == Some(&name))
            };
            let words = errors.iter().filter(about).map(GraphQlError::words);
            let words = words.collect::<Vec<_>>().join("; ");
            let standing = match nodes.get(&name) {
                _ if !words.is_empty() => PullRequestStanding::unclear(self.token.redact(&words)),
                Some(node) => PullRequestStanding::read(node),
                None => PullRequestStanding::unclear("the answer does not speak of it".to_owned()),
            };
            (*number, standing)
        };
        Ok(numbers.iter().map(standing).collect())
    }

    /// What somebody may do in the repository. Anything but a clear answer is [`Access::Unknown`].
    pub async fn access(&self, login: &str) -> Access {
        let login = utf8_percent_encode(login, SEGMENT);
        let route = self.route(&format!("collaborators/{login}/permission"));
        match self.get::<PermissionObject>(&route).await {
            Ok(object) => {
                let Some(permission) = Permission::parse(&object.permission) else {
                    let word = object.permission;
                    return Access::Unknown(format!(
                        "the permission is called {word:?}, which is no known word"
                    ));
                };
                // `permission` knows neither `maintain` nor `triage`.
                Access::Known(match (permission, object.role_name.as_deref()) {
                    (Permission::Write, Some("maintain")) => Permission::Maintain,
                    (Permission::Read, Some("triage")) => Permission::Triage,
                    (permission, _) => permission,
                })
            }
            Err(error) => Access::Unknown(error.to_string()),
        }
    }

    /// Reacts to a comment. GitHub keeps one reaction of a kind, so this is safe to repeat.
    ///
    /// # Errors
    /// The reaction is not there.
    pub async fn react(&self, comment_id: u64, reaction: Reaction) -> Result<(), ApiError> {
        let route = self.route(&format!("issues/comments/{comment_id}/reactions"));
        let body = json!({ "content": reaction.content() });
        self.retried(|| self.send::<Value>(Method::Post, &route, Some(&body)))
            .await?;
        Ok(())
    }

    /// Sets our status on a commit.
    ///
    /// # Errors
    /// The status is not there.
    pub async fn set_status(
        &self,
        sha: &str,
        state: StatusState,
        description: &str,
        run_url: &str,
    ) -> Result<(), ApiError> {
        #[derive(Serialize)]
        struct Body<'a> {
            state: &'a str,
            target_url: &'a str,
            description: &'a str,
            context: &'a str,
        }
        let body = Body {
            state: state.as_str(),
            target_url: run_url,
            description,
            context: STATUS_CONTEXT,
        };
        let route = self.route(&format!("statuses/{sha}"));
        let statuses = self.route(&format!("commits/{sha}/statuses?per_page={PAGE}"));
        let send = || async {
            self.send::<Value>(Method::Post, &route, Some(&body))
                .await?;
            Ok(())
        };
        let find = || async {
            let newest: Vec<StatusObject> =
                self.send(Method::Get, &statuses, None::<&Value>).await?;
            let is_there = newest
                .iter()
                .find(|status| status.context == STATUS_CONTEXT)
                .is_some_and(|status| {
                    status.state == state.as_str()
                        && status.target_url.as_deref() == Some(run_url)
                        && status
                            .description
                            .as_ref()
                            .is_none_or(|words| words == description)
                });
            Ok(is_there.then_some(()))
        };
        self.sent_once(send, find).await
    }

    /// Our comment on a pull request: the first that carries the marker and is ours.
    ///
    /// # Errors
    /// The comments cannot be read.
    pub async fn status_comment(&self, number: u64) -> Result<Option<StatusComment>, ApiError> {
        let (viewer, comments) = tokio::join!(self.viewer(), self.marked_comments(number));
        let (viewer, comments) = (viewer?, comments?);
        Ok(comments
            .into_iter()
            .find(|comment| {
                comment
                    .user
                    .as_ref()
                    .is_some_and(|user| is_viewer(user, viewer))
            })
            .map(CommentObject::found))
    }

    /// Writes our comment: edits the one that is there, or creates it. `body` is given what the comment says so far, which
    /// may be more than is known by now: another run of the same pull request may have created it meanwhile.
    ///
    /// # Errors
    /// The comment does not say what it should.
    pub async fn write_status_comment(
        &self,
        number: u64,
        existing: Option<&StatusComment>,
        body: &impl Fn(Option<&str>) -> String,
    ) -> Result<StatusComment, ApiError> {
        if let Some(existing) = existing {
            match self.edit(existing, body).await {
                // Somebody deleted it since it was found.
                Err(error) if error.status == Some(404) => {}
                outcome => return outcome,
            }
        }
        let route = self.route(&format!("issues/{number}/comments"));
        let first_words = body(None);
        let json = json!({ "body": first_words });
        let send = || async {
            let comment: CommentObject = self.send(Method::Post, &route, Some(&json)).await?;
            Ok(comment.saying(first_words.clone()))
        };
        let find = || async {
            match self.status_comment(number).await? {
                Some(found) => self.edit(&found, body).await.map(Some),
                None => Ok(None),
            }
        };
        let created: StatusComment = self.sent_once(send, find).await?;
        // Another run of the same pull request may have created one at the same time: the first one stays.
        match self.status_comment(number).await {
            Ok(Some(first)) if first.id < created.id => {
                let edited = self.edit(&first, body).await?;
                self.delete(&created).await?;
                Ok(edited)
            }
            _ => Ok(created),
        }
    }

    async fn delete(&self, comment: &StatusComment) -> Result<(), ApiError> {
        let route = self.route(&format!("issues/comments/{}", comment.id));
        let send = || self.send::<Value>(Method::Delete, &route, None::<&Value>);
        match self.retried(send).await {
            // It is gone, which an answer that was lost may have said before.
            Err(error) if error.status == Some(404) => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    async fn edit(
        &self,
        comment: &StatusComment,
        body: &impl Fn(Option<&str>) -> String,
    ) -> Result<StatusComment, ApiError> {
        let route = self.route(&format!("issues/comments/{}", comment.id));
        let body = body(Some(&comment.body));
        let json = json!({ "body": body });
        let edited: CommentObject = self
            .retried(|| self.send(Method::Patch, &route, Some(&json)))
            .await?;
        Ok(edited.saying(body))
    }

    async fn marked_comments(&self, number: u64) -> Result<Vec<CommentObject>, ApiError> {
        let mut marked: Vec<CommentObject> = Vec::new();
        for page in 1..=PAGES {
            let route = self.route(&format!(
                "issues/{number}/comments?per_page={PAGE}&page={page}"
            ));
            let comments: Vec<CommentObject> = self.get(&route).await?;
            let is_last = comments.len() < PAGE;
            for comment in comments {
                let is_marked = comment
                    .body
                    .as_deref()
                    .is_some_and(|body| body.starts_with(MARKER));
                // The first of each author is enough, however many copies of ours somebody writes.
                let is_known = || marked.iter().any(|known| known.login() == comment.login());
                if is_marked && !is_known() {
                    marked.push(comment);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(marked)
    }

    /// The login behind the token. GraphQL tells it for every kind of token, REST for personal ones only.
    async fn viewer(&self) -> Result<&str, ApiError> {
        let viewer = self.viewer.get_or_try_init(|| self.ask_for_viewer());
        viewer.await.map(String::as_str)
    }

    async fn ask_for_viewer(&self) -> Result<String, ApiError> {
        let query = json!({ "query": "{ viewer { login } }" });
        match self.graphql::<ViewerData>(&query).await {
            Ok((data, _)) => Ok(data.viewer.login),
            // No clear answer is no reason to take ourselves for somebody else, and to comment twice.
            Err(error) if error.is_refused() => Ok(WORKFLOW_BOT.to_owned()),
            Err(error) => Err(error),
        }
    }

    /// Asks GraphQL; the errors are about parts of the answer.
    async fn graphql<T: DeserializeOwned>(
        &self,
        query: &Value,
    ) -> Result<(T, Vec<GraphQlError>), ApiError> {
        // A query changes nothing, so this POST is safe to repeat.
        let ask = || async {
            let sent = self.send(Method::Post, &self.graphql, Some(query)).await;
            // Whatever else it answers with a 200 is trouble of its own, which may pass.
            let answer: GraphQl<T> = sent.map_err(|error: ApiError| ApiError {
                status: error.status.filter(|status| *status != 200),
                ..error
            })?;
            let Some(data) = answer.data else {
                let errors = answer.errors.iter().map(|error| error.message.as_str());
                let is_rate_limit = |error: &GraphQlError| error.r#type == "RATE_LIMITED";
                return Err(ApiError {
                    attempted: format!("POST {}", self.graphql),
                    status: None,
                    words: self.token.redact(&errors.collect::<Vec<_>>().join("; ")),
                    retry_after: None,
                    is_rate_limit: answer.errors.iter().any(is_rate_limit),
                });
            };
            Ok((data, answer.errors))
        };
        self.retried(ask).await
    }

    /// Whether GitHub has not answered anything for a while, so that there is little hope for another request.
    pub fn is_silent(&self) -> bool {
        self.silence.get().is_lasting()
    }

    fn route(&self, path: &str) -> String {
        format!("{}/{path}", self.repository)
    }

    async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ApiError> {
        self.retried(|| self.send(Method::Get, route, None::<&Value>))
            .await
    }

    /// Tries a request that is safe to repeat until it succeeds, fails for good, or has been tried enough.
    async fn retried<T, F, A>(&self, attempt: F) -> Result<T, ApiError>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, ApiError>>,
    {
        match attempt().await {
            Err(error) if error.is_transient() => self.retried_after(error, attempt).await,
            outcome => outcome,
        }
    }

    /// Sends what must not be there twice: where an answer was lost, it is looked for before it is sent again.
    async fn sent_once<T, F, A, G, B>(&self, send: F, find: G) -> Result<T, ApiError>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, ApiError>>,
        G: Fn() -> B,
        B: Future<Output = Result<Option<T>, ApiError>>,
    {
        match send().await {
            Err(error) if error.is_transient() => {
                let attempt = || async {
                    match find().await? {
                        Some(found) => Ok(found),
                        None => send().await,
                    }
                };
                self.retried_after(error, attempt).await
            }
            outcome => outcome,
        }
    }

    async fn retried_after<T, F, A>(&self, first: ApiError, attempt: F) -> Result<T, ApiError>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, ApiError>>,
    {
        let started = Instant::now();
        let mut last = first;
        for tried in 1..TRIES {
            match last.retry_after {
                _ if self.is_silent() => break,
                Some(pause) if pause > LONGEST_WAIT.saturating_sub(started.elapsed()) => break,
                Some(pause) => sleep(pause).await,
                // One that answers each time, and late, keeps us waiting as well.
                None if started.elapsed() > silence::LONGEST => break,
                None => {
                    let ceiling = FIRST_PAUSE.saturating_mul(1 << tried);
                    sleep(ceiling.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                }
            }
            match attempt().await {
                Err(error) if error.is_transient() => last = error,
                outcome => return outcome,
            }
        }
        Err(last)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ApiError> {
        let attempted = format!("{} {url}", method.as_str());
        let failed = |words: String| ApiError {
            attempted: attempted.clone(),
            status: None,
            words: self.token.redact(&words),
            retry_after: None,
            is_rate_limit: false,
        };
        let sent = Instant::now();
        let answer = async {
            let response = match method {
                Method::Get => self.client._get(url).await,
                Method::Post => self.client._post(url, body).await,
                Method::Patch => self.client._patch(url, body).await,
                Method::Delete => self.client._delete(url, body).await,
            }?;
            let status = response.status();
            let headers = Headers::read(|name| response.headers().get(name)?.to_str().ok());
            let text = self.client.body_to_string(response).await?;
            Ok::<_, octocrab::Error>((status, headers, text))
        };
        let answer = match timeout(ONE_TRY, answer).await {
            Ok(answer) => answer.map_err(|error| chain(&error)),
            Err(_) => Err(format!("no answer within {} s", ONE_TRY.as_secs())),
        };
        let (status, headers, text) = answer.map_err(|words| {
            let silence = self.silence.get();
            self.silence.set(silence.and_another(sent, Instant::now()));
            failed(words)
        })?;
        self.silence.set(Silence::None);
        if status.is_success() {
            // What is deleted is answered by no content.
            let text = if text.is_empty() { "null" } else { &text };
            let mut json = serde_json::Deserializer::from_str(text);
            return serde_path_to_error::deserialize(&mut json).map_err(|error| ApiError {
                status: Some(status.as_u16()),
                ..failed(format!("the answer is not as GitHub documents it: {error}"))
            });
        }
        let mut words = serde_json::from_str::<Message>(&text)
            .map_or_else(|_| text.trim().to_owned(), |body| body.message);
        // The secondary limits may come without a header.
        let is_rate_limit = headers.is_rate_limit() || words.contains("rate limit");
        if let Some(location) = &headers.location {
            words = format!(
                "{words} (to {location}, which is not followed: see whether the repository has moved)"
            );
        }
        Err(ApiError {
            status: Some(status.as_u16()),
            is_rate_limit,
            retry_after: headers.retry_after(),
            ..failed(words)
        })
    }
}

/// What an answer says about trying again
/// ([docs](https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately)).
struct Headers {
    retry_after: Option<u64>,
    remaining: Option<u64>,
    reset: Option<u64>,
    /// Where a redirect leads.
    location: Option<String>,
}

impl Headers {
    fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Headers {
        let number = |name: &str| header(name)?.trim().parse().ok();
        Headers {
            retry_after: number("retry-after"),
            remaining: number("x-ratelimit-remaining"),
            reset: number("x-ratelimit-reset"),
            location: header("location").map(str::to_owned),
        }
    }

    fn is_rate_limit(&self) -> bool {
        self.retry_after.is_some() || self.remaining == Some(0)
    }

    fn retry_after(&self) -> Option<Duration> {
        if let Some(seconds) = self.retry_after {
            return Some(Duration::from_secs(seconds));
        }
        let reset = self.reset.filter(|_| self.remaining == Some(0))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(Duration::from_secs(reset).saturating_sub(now))
    }
}

/// An error with what is behind it; octocrab's own text hides the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        source = error.source();
    }
    words
}

/// Whether a comment's author is who we are; an app's bot has a suffix in one API that it lacks in the other.
fn is_viewer(user: &UserObject, viewer: &str) -> bool {
    let is_bot = user.r#type == "Bot";
    user.login == viewer || (is_bot && user.login.strip_suffix("[bot]") == Some(viewer))
}
