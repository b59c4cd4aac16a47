//! GitHub's event payloads, read down to the fields that matter here.
//!
//! Shapes: <https://docs.github.com/webhooks/webhook-events-and-payloads>.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::command::Sha;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody commented on an issue or a pull request.
    Comment(CommentEvent),
    /// A pull request was closed, or the label that deploys was put on or taken off.
    PullRequest(PullRequestEvent),
    /// It is time to look after what is there, or somebody asked for that.
    Sweep(SweepEvent),
}

/// A comment that was just created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentEvent {
    /// Number of the issue or pull request.
    pub number: u64,
    /// Whether it is a pull request.
    pub on_pull_request: bool,
    /// The comment's id.
    pub comment_id: u64,
    /// Its text, as it was written.
    pub body: String,
    /// Login of its author.
    pub author: String,
    /// Whether the author is a bot.
    pub by_bot: bool,
    /// When it was written, as GitHub writes times: RFC 3339, UTC, to the second.
    pub created_at: Option<String>,
    /// The repository's default branch.
    pub default_branch: String,
}

/// Something that was just done to a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestEvent {
    /// What was done.
    pub action: PullRequestAction,
    /// The pull request.
    pub pull_request: PullRequest,
    /// Login of who did it.
    pub sender: String,
    /// The repository's default branch.
    pub default_branch: String,
}

/// What was done to a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestAction {
    /// It was closed, merged or not.
    Closed,
    /// The label that deploys was put on it.
    Labeled,
    /// The label that deploys was taken off it.
    Unlabeled,
}

/// What started a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepEvent {
    /// Why, as the output `reason` says it.
    pub code: &'static str,
    /// The repository's default branch; a schedule does not say it.
    pub default_branch: Option<String>,
}

/// A pull request, as far as an environment depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// What became of it.
    pub state: State,
    /// Name of the head branch.
    pub branch: String,
    /// The head commit.
    pub commit: Sha,
    /// Where the head branch is.
    pub head: Head,
}

/// What became of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is neither closed nor merged.
    Open,
    /// It is closed or merged.
    Closed,
    /// A word that GitHub does not document: nothing is deployed for it, and nothing removed unasked.
    Unknown(String),
}

/// Says that a pull request's state is no word that GitHub documents.
pub fn odd_state(word: &str) -> String {
    format!("its state is called {word:?}")
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
pub enum Head {
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
    /// A repository that is no more.
    Deleted,
}

/// Why an event is none of ours, before its payload was looked into any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
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
pub fn has_payload(name: &str) -> bool {
    matches!(
        name,
        "issue_comment" | "pull_request" | "pull_request_target" | "schedule" | "workflow_dispatch"
    )
}

/// Reads the payload of the event called `name`; `label` is the one that deploys, if there is one.
///
/// `Err(Ignored)` inside for what is decided by the event's name and action alone; the rest of such a payload is not read.
///
/// # Errors
/// A payload of ours that is no JSON or lacks a field; the message names the field.
pub fn parse(name: &str, payload: &[u8], label: Option<&str>) -> Result<Result<Event, Ignored>> {
    match name {
        "schedule" => sweep(name, payload, "schedule"),
        "workflow_dispatch" => sweep(name, payload, "workflow-dispatch"),
        "issue_comment" => match read::<Action>(name, payload)?.action.as_str() {
            "created" => Ok(Ok(Event::Comment(
                read::<CommentPayload>(name, payload)?.into(),
            ))),
            _ => Ok(Err(Ignored::CommentNotCreated)),
        },
        "pull_request" | "pull_request_target" => {
            let action = match read::<Action>(name, payload)?.action.as_str() {
                "closed" => PullRequestAction::Closed,
                "labeled" => PullRequestAction::Labeled,
                "unlabeled" => PullRequestAction::Unlabeled,
                _ => return Ok(Err(Ignored::Action)),
            };
            if action != PullRequestAction::Closed {
                let Some(label) = label else {
                    return Ok(Err(Ignored::Action));
                };
                if !is_label(&read::<LabelPayload>(name, payload)?.label.name, label) {
                    return Ok(Err(Ignored::Label));
                }
            }
            let payload: PullRequestPayload = read(name, payload)?;
            Ok(Ok(Event::PullRequest(payload.into_event(action)?)))
        }
        _ => Ok(Err(Ignored::Event)),
    }
}

fn sweep(name: &str, payload: &[u8], code: &'static str) -> Result<Result<Event, Ignored>> {
    let payload: SweepPayload = read(name, payload)?;
    Ok(Ok(Event::Sweep(SweepEvent {
        code,
        default_branch: payload
            .repository
            .map(|repository| repository.default_branch),
    })))
}

/// Whether both are the same label: GitHub has no two that differ in case alone.
fn is_label(name: &str, label: &str) -> bool {
    name.to_lowercase() == label.to_lowercase()
}

fn read<T: DeserializeOwned>(name: &str, payload: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    serde_path_to_error::deserialize(&mut json)
        .with_context(|| format!("the payload of the event `{name}` is not as GitHub documents it"))
}

#[derive(Deserialize)]
struct Action {
    action: String,
}

#[derive(Deserialize)]
struct CommentPayload {
    issue: Issue,
    comment: Comment,
    repository: Repository,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// Present on pull requests only.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    #[serde(default)]
    created_at: Value,
    /// `null` once the account is deleted.
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    login: String,
    #[serde(default)]
    r#type: String,
}

#[derive(Deserialize)]
struct Repository {
    default_branch: String,
}

#[derive(Deserialize)]
struct SweepPayload {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct LabelPayload {
    label: Label,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct PullRequestPayload {
    pull_request: PullRequestObject,
    repository: Repository,
    sender: Option<User>,
}

/// A pull request as GitHub's API and its events both write it.
#[derive(Debug, Deserialize)]
pub struct PullRequestObject {
    number: u64,
    state: String,
    head: HeadObject,
    base: BaseObject,
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
    owner: Owner,
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

impl User {
    /// Whom GitHub shows in the place of a deleted account.
    fn deleted() -> User {
        User {
            login: "ghost".to_owned(),
            r#type: "User".to_owned(),
        }
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
            default_branch: payload.repository.default_branch,
        }
    }
}

impl PullRequestPayload {
    fn into_event(self, action: PullRequestAction) -> Result<PullRequestEvent> {
        Ok(PullRequestEvent {
            action,
            pull_request: self.pull_request.try_into()?,
            sender: self.sender.unwrap_or_else(User::deleted).login,
            default_branch: self.repository.default_branch,
        })
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
            Some(repository) if repository.id == object.base.repo.id => Head::Here,
            Some(repository) => Head::Fork {
                owner: repository.owner.login,
                clone_url: repository.clone_url,
                pushed_at: repository.pushed_at.as_str().map(str::to_owned),
            },
        };
        Ok(PullRequest {
            number: object.number,
            state: object.state.into(),
            branch: object.head.r#ref,
            commit,
            head,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn comment() -> Value {
        json!({
            "action": "created",
            "issue": { "number": 7, "pull_request": { "url": "https://api" } },
            "comment": { "id": 70, "body": "/deploy-ephemeral", "user": { "login": "rita", "type": "User" } },
            "repository": { "default_branch": "main" },
        })
    }

    fn closed() -> Value {
        json!({
            "action": "closed",
            "pull_request": {
                "number": 7, "state": "closed",
                "head": { "ref": "dev", "sha": SHA,
                    "repo": { "id": 1, "clone_url": "https://github.com/o/r.git", "pushed_at": "2026-01-02T03:04:05Z", "owner": { "login": "o" } } },
                "base": { "repo": { "id": 1 } },
            },
            "repository": { "default_branch": "main" },
            "sender": { "login": "rita", "type": "User" },
        })
    }

    fn parsed(name: &str, payload: &Value) -> Result<Result<Event, Ignored>> {
        parse(name, payload.to_string().as_bytes(), Some("Preview"))
    }

    fn head_of(payload: &Value) -> Head {
        match parsed("pull_request_target", payload).unwrap().unwrap() {
            Event::PullRequest(event) => event.pull_request.head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_comment_is_read_down_to_what_matters() {
        let Event::Comment(event) = parsed("issue_comment", &comment()).unwrap().unwrap() else {
            panic!("no comment");
        };
        assert_eq!((event.number, event.comment_id), (7, 70));
        assert!(event.on_pull_request && !event.by_bot);
        assert_eq!(event.author, "rita");
    }

    #[test]
    fn what_a_deleted_account_does_is_a_ghosts() {
        let mut payload = comment();
        payload["comment"]["user"] = Value::Null;
        payload["comment"]["body"] = Value::Null;
        let Event::Comment(event) = parsed("issue_comment", &payload).unwrap().unwrap() else {
            panic!("no comment");
        };
        assert_eq!((event.author.as_str(), event.body.as_str()), ("ghost", ""));
        let mut payload = closed();
        payload["sender"] = Value::Null;
        let parsed = parsed("pull_request_target", &payload).unwrap().unwrap();
        let Event::PullRequest(event) = parsed else {
            panic!("{parsed:?}");
        };
        assert_eq!(event.sender, "ghost");
    }

    #[test]
    fn the_repositories_ids_tell_a_fork_and_not_its_name() {
        let mut payload = closed();
        assert_eq!(head_of(&payload), Head::Here);
        payload["pull_request"]["head"]["repo"]["id"] = json!(2);
        assert_eq!(
            head_of(&payload),
            Head::Fork {
                owner: "o".to_owned(),
                clone_url: "https://github.com/o/r.git".to_owned(),
                pushed_at: Some("2026-01-02T03:04:05Z".to_owned()),
            }
        );
        payload["pull_request"]["head"]["repo"] = Value::Null;
        assert_eq!(head_of(&payload), Head::Deleted);
    }

    #[test]
    fn what_is_ignored_is_not_read_any_further() {
        let action = |action: &str| json!({ "action": action });
        for (name, payload, ignored) in [
            (
                "issue_comment",
                action("edited"),
                Ignored::CommentNotCreated,
            ),
            (
                "issue_comment",
                action("deleted"),
                Ignored::CommentNotCreated,
            ),
            ("pull_request", action("opened"), Ignored::Action),
            (
                "pull_request_target",
                action("synchronize"),
                Ignored::Action,
            ),
            ("push", json!(null), Ignored::Event),
        ] {
            assert_eq!(
                parsed(name, &payload).unwrap(),
                Err(ignored),
                "{name} {payload}"
            );
        }
        assert_eq!(
            parse("push", b"not JSON", None).unwrap(),
            Err(Ignored::Event)
        );
        for action in ["labeled", "unlabeled"] {
            let payload = json!({ "action": action }).to_string();
            let ignored = parse("pull_request", payload.as_bytes(), None).unwrap();
            assert_eq!(ignored, Err(Ignored::Action));
            let other = json!({ "action": action, "label": { "name": "preview 2" } });
            assert_eq!(parsed("pull_request", &other).unwrap(), Err(Ignored::Label));
        }
    }

    #[test]
    fn the_label_that_deploys_is_known_in_any_case() {
        for (action, read) in [
            ("labeled", PullRequestAction::Labeled),
            ("unlabeled", PullRequestAction::Unlabeled),
        ] {
            let mut payload = closed();
            payload["action"] = json!(action);
            payload["label"] = json!({ "name": "preVIEW" });
            let Event::PullRequest(event) = parsed("pull_request", &payload).unwrap().unwrap()
            else {
                panic!("no pull request");
            };
            assert_eq!((event.action, event.sender.as_str()), (read, "rita"));
        }
    }

    #[test]
    fn a_state_is_open_closed_or_unknown() {
        let unknown = |word: &str| State::Unknown(word.to_owned());
        for (word, state) in [
            ("open", State::Open),
            ("closed", State::Closed),
            ("", unknown("")),
            ("OPEN", unknown("OPEN")),
        ] {
            let mut payload = closed();
            payload["pull_request"]["state"] = json!(word);
            let event = parsed("pull_request", &payload).unwrap().unwrap();
            let Event::PullRequest(event) = event else {
                panic!("{event:?}");
            };
            assert_eq!(event.pull_request.state, state, "{word:?}");
        }
    }

    #[test]
    fn a_payload_is_there_for_what_is_read() {
        for name in ["issue_comment", "pull_request", "pull_request_target"] {
            assert!(has_payload(name), "{name}");
        }
        for name in ["push", "issues", ""] {
            assert!(!has_payload(name), "{name}");
        }
    }

    #[test]
    fn a_sweep_needs_no_repository_in_its_payload() {
        let on_main = json!({ "repository": { "default_branch": "main" } });
        for (name, payload, code, branch) in [
            (
                "schedule",
                json!({ "schedule": "7 * * * *" }),
                "schedule",
                None,
            ),
            (
                "workflow_dispatch",
                on_main,
                "workflow-dispatch",
                Some("main"),
            ),
        ] {
            assert!(has_payload(name));
            let event = SweepEvent {
                code,
                default_branch: branch.map(str::to_owned),
            };
            assert_eq!(parsed(name, &payload).unwrap(), Ok(Event::Sweep(event)));
        }
    }

    #[test]
    fn a_field_that_is_missing_or_of_another_type_is_named() {
        let mut payload = comment();
        payload["issue"]["number"] = json!("seven");
        let error = format!("{:#}", parsed("issue_comment", &payload).unwrap_err());
        assert!(error.contains("issue.number"), "{error}");

        let mut payload = closed();
        payload["pull_request"]["head"]["sha"] = json!("main");
        let error = format!("{:#}", parsed("pull_request", &payload).unwrap_err());
        assert!(error.contains("\"main\""), "{error}");
    }

    proptest! {
        #[test]
        fn no_payload_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for name in ["issue_comment", "pull_request", "schedule", "workflow_dispatch", "push"] {
                let _ = parse(name, &bytes, Some("preview"));
            }
        }

        #[test]
        fn no_field_of_any_kind_is_a_panic(
            is_comment: bool,
            path in proptest::collection::vec(0_usize..6, 1..5),
            value in json_value(),
        ) {
            let (name, mut payload) = if is_comment { ("issue_comment", comment()) } else { ("pull_request", closed()) };
            let mut place = &mut payload;
            for step in path {
                let fields: Vec<String> = place.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
                let Some(field) = fields.get(step % fields.len().max(1)) else { break };
                place = &mut place[field];
            }
            *place = value;
            let inputs = crate::config::tests::configured(&[]).unwrap().inputs;
            match parsed(name, &payload) {
                Ok(event) => drop(crate::decide::triage(event, &inputs)),
                Err(error) => {
                    let words = format!("{error:#}");
                    prop_assert!(words.contains(name) || words.contains("not a commit"), "{}", words);
                }
            }
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "\\PC{0,10}|/deploy-ephemeral( [0-9a-f]{40})?|open|closed|created"
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("[a-z_]{1,8}", inner, 0..4)
                    .prop_map(|fields| json!(fields)),
            ]
        })
    }
}
