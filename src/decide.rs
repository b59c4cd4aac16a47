//! What an event asks for, and what is decided about it. Nothing here reads or writes anything.

use std::num::NonZeroUsize;

use chrono::{DateTime, Utc};
use url::Url;

use crate::command::{self, Command, DeployArguments, Problem, Sha, UsageError};
use crate::config::{Config, Inputs, Permission, Track};
use crate::environment::Environment;
use crate::event::{Event, Head, Ignored, PullRequest, PullRequestAction, State, SweepEvent};
use crate::manifest::{Manifest, Owner, can_be_followed};

/// What an event alone says: nothing to do, or a question that GitHub has to answer first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Triage {
    /// Nothing to do, and why.
    None(NoOp),
    /// Somebody asks for something.
    Request(Request),
    /// Everything that is there is to be looked after.
    Sweep(SweepEvent),
}

/// Why there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoOp {
    /// The event is none of ours.
    EventNotHandled,
    /// The event's action is none of ours.
    ActionNotHandled,
    /// A comment was edited or deleted.
    CommentNotCreated,
    /// The comment is on an issue.
    NotAPullRequest,
    /// A bot wrote the comment.
    BotComment,
    /// The comment's first line is no command.
    NotACommand,
    /// The label is not the one that deploys.
    AnotherLabel,
}

impl NoOp {
    /// The output `reason`.
    pub fn code(self) -> &'static str {
        match self {
            NoOp::EventNotHandled => "event-not-handled",
            NoOp::ActionNotHandled => "action-not-handled",
            NoOp::CommentNotCreated => "comment-not-created",
            NoOp::NotAPullRequest => "not-a-pull-request",
            NoOp::BotComment => "bot-comment",
            NoOp::NotACommand => "not-a-command",
            NoOp::AnotherLabel => "another-label",
        }
    }
}

/// What somebody asks for on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The pull request's number.
    pub pull_request: u64,
    /// Login of who asks.
    pub login: String,
    /// How it was asked for.
    pub trigger: Trigger,
    /// The repository's default branch.
    pub default_branch: String,
}

/// How a request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A command in a comment: its author's permission counts.
    Comment {
        /// The comment's id.
        comment_id: u64,
        /// When it was written, as GitHub writes times.
        created_at: Option<String>,
        /// The command, or what is wrong with it.
        command: Result<Command, UsageError>,
    },
    /// The label that deploys was put on or taken off: whoever did it commands by that.
    Label {
        /// Whether it is there now.
        is_on: bool,
        /// The head when that was done.
        head: Sha,
    },
    /// The pull request was closed: this only ever removes its own instance, so nobody is asked.
    Close(PullRequest),
}

/// What GitHub answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The pull request as it is now.
    pub pull_request: PullRequest,
    /// What the one who asks may do; `None` where it does not matter.
    pub access: Option<Access>,
    /// When all this was so.
    pub now: DateTime<Utc>,
}

/// GitHub's answer to what somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A clear answer.
    Known(Permission),
    /// Anything else, in the server's words. It is a no.
    Unknown(String),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Bring the environment up.
    Create(Box<Create>),
    /// Take it down.
    Destroy(Destroy),
}

/// An environment to bring up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Its names.
    pub environment: Environment,
    /// Its file.
    pub manifest: Manifest,
    /// How many environments there may be with it.
    pub most: Option<NonZeroUsize>,
}

/// An environment to take down, whatever it is called by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destroy {
    /// The pull request it belongs to.
    pub owner: Owner,
    /// Head branch of the pull request.
    pub branch: String,
    /// Login of who asked for it.
    pub requested_by: String,
}

/// Why a request is not granted. It is an answer to somebody, not a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The command has an argument that it does not take.
    Usage(UsageError),
    /// There are as many environments as there may be.
    LimitReached {
        /// How many there may be.
        most: usize,
        /// The ones there are: name and pull request, by number.
        instances: Vec<(String, u64)>,
    },
    /// Who asks may not.
    NotPermitted {
        /// Login of who asks.
        login: String,
        /// What they may do.
        has: Permission,
        /// What it takes.
        needs: Permission,
    },
    /// Nobody could tell whether who asks may.
    PermissionUnknown {
        /// Login of who asks.
        login: String,
        /// What it takes.
        needs: Permission,
        /// What was answered instead.
        answer: String,
    },
    /// The pull request is closed.
    Closed,
    /// The pull request comes from a fork.
    Fork,
    /// The repository of the head branch is gone.
    HeadDeleted,
    /// The fork cannot be cloned over https.
    ForkUrl {
        /// Its URL.
        url: String,
    },
    /// The commit that was asked for is not the head any more.
    BranchMoved {
        /// What was asked for.
        wanted: Sha,
        /// The head.
        head: Sha,
    },
    /// The fork was pushed to after the command was given, or nobody can tell.
    PushedSince {
        /// The head.
        head: Sha,
    },
    /// No environment may have this namespace.
    ProtectedNamespace {
        /// The namespace.
        namespace: String,
        /// The pattern it matches.
        pattern: String,
    },
    /// Another overlay has this namespace.
    ClaimedNamespace {
        /// The namespace.
        namespace: String,
        /// The overlay's file.
        path: String,
    },
    /// Another instance has this namespace.
    NamespaceTaken {
        /// The namespace.
        namespace: String,
        /// The instance's owner.
        owner: Owner,
    },
    /// The file belongs to another pull request.
    OwnedByAnother {
        /// The file.
        path: String,
        /// Its owner.
        owner: Owner,
    },
    /// Something is there that is none of ours.
    NotOurs {
        /// The file, or a directory above it that is none.
        path: String,
    },
}

impl Refusal {
    /// The output `reason`.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Usage(error) => match error.problem {
                Problem::Unknown => "unknown-argument",
                Problem::Twice => "repeated-argument",
                Problem::NoLifetime => "bad-ttl",
            },
            Refusal::LimitReached { .. } => "limit-reached",
            Refusal::NotPermitted { .. } => "not-permitted",
            Refusal::PermissionUnknown { .. } => "permission-unknown",
            Refusal::Closed => "pull-request-is-closed",
            Refusal::Fork => "fork-not-allowed",
            Refusal::HeadDeleted => "head-repository-deleted",
            Refusal::ForkUrl { .. } => "fork-url-not-https",
            Refusal::BranchMoved { .. } => "branch-has-moved",
            Refusal::PushedSince { .. } => "fork-pushed-since",
            Refusal::ProtectedNamespace { .. } => "namespace-protected",
            Refusal::ClaimedNamespace { .. } => "namespace-claimed",
            Refusal::NamespaceTaken { .. } => "namespace-taken",
            Refusal::OwnedByAnother { .. } => "owned-by-another-pull-request",
            Refusal::NotOurs { .. } => "file-not-ours",
        }
    }

    /// Whether the one who asked turned out to be somebody to listen to.
    pub fn is_to_a_permitted_person(&self) -> bool {
        !matches!(
            self,
            Refusal::NotPermitted { .. } | Refusal::PermissionUnknown { .. }
        )
    }
}

/// Sorts out what needs no answer from GitHub.
pub fn triage(event: Result<Event, Ignored>, inputs: &Inputs) -> Triage {
    let event = match event {
        Ok(event) => event,
        Err(Ignored::Event) => return Triage::None(NoOp::EventNotHandled),
        Err(Ignored::Action) => return Triage::None(NoOp::ActionNotHandled),
        Err(Ignored::CommentNotCreated) => return Triage::None(NoOp::CommentNotCreated),
        Err(Ignored::Label) => return Triage::None(NoOp::AnotherLabel),
    };
    match event {
        Event::Comment(event) if !event.on_pull_request => Triage::None(NoOp::NotAPullRequest),
        Event::Comment(event) if event.by_bot => Triage::None(NoOp::BotComment),
        Event::Comment(event) => match command::parse(&event.body, &inputs.commands) {
            None => Triage::None(NoOp::NotACommand),
            Some(command) => Triage::Request(Request {
                pull_request: event.number,
                login: event.author,
                trigger: Trigger::Comment {
                    comment_id: event.comment_id,
                    created_at: event.created_at,
                    command,
                },
                default_branch: event.default_branch,
            }),
        },
        Event::PullRequest(event) => Triage::Request(Request {
            pull_request: event.pull_request.number,
            login: event.sender,
            trigger: match event.action {
                PullRequestAction::Closed => Trigger::Close(event.pull_request),
                PullRequestAction::Labeled | PullRequestAction::Unlabeled => Trigger::Label {
                    is_on: event.action == PullRequestAction::Labeled,
                    head: event.pull_request.commit,
                },
            },
            default_branch: event.default_branch,
        }),
        Event::Sweep(event) => Triage::Sweep(event),
    }
}

impl Request {
    /// The output `reason` of a decision to create or destroy.
    pub fn code(&self) -> &'static str {
        match &self.trigger {
            Trigger::Close(_) => "pull-request-closed",
            Trigger::Label { is_on: true, .. } => "label-added",
            Trigger::Label { is_on: false, .. } => "label-removed",
            Trigger::Comment {
                command: Ok(Command::Deploy(_)),
                ..
            } => "deploy-command",
            Trigger::Comment {
                command: Ok(Command::Destroy),
                ..
            } => "destroy-command",
            Trigger::Comment {
                command: Err(error),
                ..
            } => Refusal::Usage(error.clone()).code(),
        }
    }

    /// The comment with the command.
    pub fn comment_id(&self) -> Option<u64> {
        match self.trigger {
            Trigger::Comment { comment_id, .. } => Some(comment_id),
            Trigger::Label { .. } | Trigger::Close(_) => None,
        }
    }
}

/// Decides what the facts allow. What the target branch already holds is looked at later, in [`crate::plan`].
///
/// # Errors
/// Why the request is not granted.
pub fn decide(request: &Request, facts: &Facts, config: &Config) -> Result<Decision, Refusal> {
    refuse_person(request, facts.access.as_ref(), &config.inputs)?;
    let by_default = DeployArguments::default();
    let wanted = match &request.trigger {
        Trigger::Close(_) | Trigger::Label { is_on: false, .. } => None,
        Trigger::Label { is_on: true, .. } => Some(&by_default),
        Trigger::Comment { command, .. } => match command {
            Err(usage) => return Err(Refusal::Usage(usage.clone())),
            Ok(Command::Destroy) => None,
            Ok(Command::Deploy(arguments)) => Some(arguments),
        },
    };
    Ok(match wanted {
        None => Decision::Destroy(destroy(request, &facts.pull_request, config)),
        Some(arguments) => Decision::Create(Box::new(create(request, arguments, facts, config)?)),
    })
}

/// A refusal unless there is a clear yes to the person, or nobody to ask about.
fn refuse_person(
    request: &Request,
    access: Option<&Access>,
    inputs: &Inputs,
) -> Result<(), Refusal> {
    let needs = inputs.allowed_permission;
    let login = request.login.clone();
    match (&request.trigger, access) {
        (Trigger::Close(_), _) => Ok(()),
        (_, Some(Access::Known(has))) if *has >= needs => Ok(()),
        (_, Some(Access::Known(has))) => Err(Refusal::NotPermitted {
            login,
            has: *has,
            needs,
        }),
        (_, Some(Access::Unknown(answer))) => Err(Refusal::PermissionUnknown {
            login,
            needs,
            answer: answer.clone(),
        }),
        (_, None) => Err(Refusal::PermissionUnknown {
            login,
            needs,
            answer: "the question was not asked".to_owned(),
        }),
    }
}

/// What takes down whatever the pull request has.
pub fn destroy(request: &Request, pull_request: &PullRequest, config: &Config) -> Destroy {
    Destroy {
        owner: owner(request.pull_request, config),
        branch: pull_request.branch.clone(),
        requested_by: request.login.clone(),
    }
}

/// A pull request of this repository as the owner of instances.
pub fn owner(pull_request: u64, config: &Config) -> Owner {
    Owner {
        repository: config.repository.to_string(),
        pull_request,
    }
}

fn create(
    request: &Request,
    arguments: &DeployArguments,
    facts: &Facts,
    config: &Config,
) -> Result<Create, Refusal> {
    let inputs = &config.inputs;
    let pull_request = &facts.pull_request;
    if pull_request.state != State::Open {
        return Err(Refusal::Closed);
    }
    let head = &pull_request.commit;
    let fork = match &pull_request.head {
        Head::Here => None,
        Head::Deleted => return Err(Refusal::HeadDeleted),
        Head::Fork { .. } if !inputs.allow_forks => return Err(Refusal::Fork),
        Head::Fork {
            owner, clone_url, ..
        } => Some((owner, fork_url(clone_url, config)?)),
    };
    if let Some(wanted) = arguments.commit.as_ref().filter(|wanted| *wanted != head) {
        return Err(Refusal::BranchMoved {
            wanted: wanted.clone(),
            head: head.clone(),
        });
    }
    if arguments.commit.is_none() && was_pushed_since(request, pull_request) {
        return Err(Refusal::PushedSince { head: head.clone() });
    }
    let environment = Environment::new(
        &pull_request.branch,
        fork.as_ref().map(|(owner, _)| owner.as_str()),
        &inputs.namespace_prefix,
        &inputs.instances_path,
    );
    let namespace = &environment.namespace;
    // Flux's own goes with the environment otherwise, whatever the patterns say.
    if *namespace == inputs.flux_namespace {
        return Err(Refusal::ProtectedNamespace {
            namespace: namespace.clone(),
            pattern: inputs.flux_namespace.clone(),
        });
    }
    if let Some(glob) = inputs
        .protected_namespaces
        .iter()
        .find(|glob| glob.matches(namespace))
    {
        return Err(Refusal::ProtectedNamespace {
            namespace: namespace.clone(),
            pattern: glob.to_string(),
        });
    }
    let manifest = Manifest {
        object_name: environment.object_name(),
        name: environment.name.clone(),
        namespace: environment.namespace.clone(),
        flux_namespace: inputs.flux_namespace.clone(),
        owner: owner(request.pull_request, config),
        branch: pull_request.branch.clone(),
        commit: head.to_string(),
        requested_by: request.login.clone(),
        // Whoever names a commit wants that one and not what is pushed a second later.
        pinned: fork.is_some()
            || inputs.track == Track::Commit
            || arguments.commit.is_some()
            || !can_be_followed(&pull_request.branch),
        // Our credentials are for our repository: Flux must not show them to a fork's server.
        secret_ref: inputs.secret_ref.clone().filter(|_| fork.is_none()),
        url: fork.map_or_else(|| inputs.repository_url.clone(), |(_, url)| url),
        interval: inputs.interval.clone(),
        timeout: inputs.timeout.clone(),
        overlay_path: inputs.overlay_path.clone(),
        substitute: inputs.substitute.clone(),
        expires: arguments.ttl.unwrap_or(inputs.ttl).end(facts.now),
    };
    Ok(Create {
        environment,
        manifest,
        most: inputs.most_environments,
    })
}

/// Whether a fork may hold something that nobody had seen when the command was given: minutes can pass until it is carried
/// out. Who may push to this repository is trusted that far; no clear answer counts as yes.
fn was_pushed_since(request: &Request, pull_request: &PullRequest) -> bool {
    let Head::Fork { pushed_at, .. } = &pull_request.head else {
        return false;
    };
    match &request.trigger {
        // Times of one format, which sort as text.
        Trigger::Comment { created_at, .. } => {
            !matches!((pushed_at, created_at), (Some(pushed), Some(given)) if pushed < given)
        }
        Trigger::Label { head, .. } => *head != pull_request.commit,
        Trigger::Close(_) => false,
    }
}

/// The URL a fork is cloned from: over https, or over http where the GitHub we talk to is itself reached so.
fn fork_url(clone_url: &str, config: &Config) -> Result<String, Refusal> {
    let is_good = Url::parse(clone_url).is_ok_and(|url| {
        (url.scheme() == "https" || url.scheme() == config.server_url.scheme())
            && url.username().is_empty()
            && url.password().is_none()
    });
    if is_good {
        Ok(clone_url.to_owned())
    } else {
        Err(Refusal::ForkUrl {
            url: clone_url.to_owned(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::tests::configured;
    use crate::event::{CommentEvent, PullRequestEvent};
    use crate::lifetime::Lifetime;
    use crate::lifetime::tests::at;
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::collections::BTreeSet;
    use std::time::Duration;

    const PERMISSIONS: [Permission; 6] = [
        Permission::None,
        Permission::Read,
        Permission::Triage,
        Permission::Write,
        Permission::Maintain,
        Permission::Admin,
    ];

    fn sha(digit: &str) -> Sha {
        Sha::parse(&digit.repeat(40)).unwrap()
    }

    /// Pull request 7, open, with the branch `dev` of the same repository.
    pub(crate) fn pull_request() -> PullRequest {
        PullRequest {
            number: 7,
            state: State::Open,
            branch: "dev".to_owned(),
            commit: sha("a"),
            head: Head::Here,
        }
    }

    /// Before the command was given.
    fn before() -> Option<String> {
        Some("2026-01-02T00:00:00Z".to_owned())
    }

    fn fork(clone_url: &str) -> PullRequest {
        PullRequest {
            head: Head::Fork {
                owner: "mallory".to_owned(),
                clone_url: clone_url.to_owned(),
                pushed_at: before(),
            },
            ..pull_request()
        }
    }

    pub(crate) fn deploy() -> Result<Command, UsageError> {
        Ok(Command::Deploy(DeployArguments::default()))
    }

    fn usage() -> UsageError {
        UsageError {
            usage: "/deploy-ephemeral [40-digit commit SHA] [ttl=72h or ttl=never]".to_owned(),
            argument: "now".to_owned(),
            problem: Problem::Unknown,
        }
    }

    /// Rita's comment on pull request 7.
    pub(crate) fn commented(command: Result<Command, UsageError>) -> Request {
        Request {
            pull_request: 7,
            login: "rita".to_owned(),
            trigger: Trigger::Comment {
                comment_id: 70,
                created_at: Some("2026-01-02T03:04:05Z".to_owned()),
                command,
            },
            default_branch: "main".to_owned(),
        }
    }

    /// Rita's closing of pull request 7.
    pub(crate) fn closed() -> Request {
        Request {
            trigger: Trigger::Close(PullRequest {
                state: State::Closed,
                ..pull_request()
            }),
            ..commented(deploy())
        }
    }

    /// Rita's putting the label on pull request 7, or taking it off.
    fn labeled(is_on: bool) -> Request {
        Request {
            trigger: Trigger::Label {
                is_on,
                head: sha("a"),
            },
            ..commented(deploy())
        }
    }

    fn permitted(pull_request: PullRequest) -> Facts {
        Facts {
            pull_request,
            access: Some(Access::Known(Permission::Admin)),
            now: now(),
        }
    }

    pub(crate) fn now() -> DateTime<Utc> {
        at("2026-02-27T12:00:00Z")
    }

    fn decided(
        request: &Request,
        facts: &Facts,
        inputs: &[(&str, &str)],
    ) -> Result<Decision, Refusal> {
        decide(request, facts, &configured(inputs).unwrap())
    }

    /// What is decided about a deploy command by somebody who may.
    fn deployed(pull_request: PullRequest, inputs: &[(&str, &str)]) -> Result<Create, Refusal> {
        match decided(&commented(deploy()), &permitted(pull_request), inputs) {
            Ok(Decision::Create(create)) => Ok(*create),
            Err(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn ours() -> Owner {
        Owner {
            repository: "octo/app".to_owned(),
            pull_request: 7,
        }
    }

    /// Every refusal, with `text` wherever something comes from outside.
    pub(crate) fn refusals(text: &str) -> Vec<Refusal> {
        let text = || text.to_owned();
        let owner = || Owner {
            repository: text(),
            ..ours()
        };
        let usage = |problem| {
            Refusal::Usage(UsageError {
                usage: text(),
                argument: text(),
                problem,
            })
        };
        vec![
            usage(Problem::Unknown),
            usage(Problem::Twice),
            usage(Problem::NoLifetime),
            Refusal::LimitReached {
                most: 2,
                instances: vec![(text(), 3), (text(), 5)],
            },
            Refusal::NotPermitted {
                login: text(),
                has: Permission::Read,
                needs: Permission::Write,
            },
            Refusal::PermissionUnknown {
                login: text(),
                needs: Permission::Write,
                answer: text(),
            },
            Refusal::Closed,
            Refusal::Fork,
            Refusal::HeadDeleted,
            Refusal::ForkUrl { url: text() },
            Refusal::BranchMoved {
                wanted: sha("b"),
                head: sha("a"),
            },
            Refusal::PushedSince { head: sha("a") },
            Refusal::ProtectedNamespace {
                namespace: text(),
                pattern: text(),
            },
            Refusal::ClaimedNamespace {
                namespace: text(),
                path: text(),
            },
            Refusal::NamespaceTaken {
                namespace: text(),
                owner: owner(),
            },
            Refusal::OwnedByAnother {
                path: text(),
                owner: owner(),
            },
            Refusal::NotOurs { path: text() },
        ]
    }

    fn is_kebab_case(code: &str) -> bool {
        code.split('-')
            .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()))
    }

    #[test]
    fn every_reason_has_a_code_of_its_own() {
        let no_ops = [
            NoOp::EventNotHandled,
            NoOp::ActionNotHandled,
            NoOp::CommentNotCreated,
            NoOp::NotAPullRequest,
            NoOp::BotComment,
            NoOp::NotACommand,
            NoOp::AnotherLabel,
        ]
        .map(NoOp::code);
        let requests = [
            labeled(true).code(),
            labeled(false).code(),
            commented(deploy()).code(),
            commented(Ok(Command::Destroy)).code(),
            closed().code(),
        ];
        let refusals = refusals("text");
        let codes: Vec<&str> = no_ops
            .into_iter()
            .chain(requests)
            .chain(refusals.iter().map(Refusal::code))
            .collect();
        assert!(codes.iter().all(|code| is_kebab_case(code)), "{codes:?}");
        assert_eq!(
            codes.iter().collect::<BTreeSet<_>>().len(),
            codes.len(),
            "{codes:?}"
        );
        // The same refusal, seen from both ends.
        let misspelt = commented(Err(usage()));
        assert_eq!(misspelt.code(), Refusal::Usage(usage()).code());
    }

    fn comment() -> CommentEvent {
        CommentEvent {
            number: 7,
            on_pull_request: true,
            comment_id: 70,
            created_at: Some("2026-01-02T03:04:05Z".to_owned()),
            body: "/deploy-ephemeral\r\nplease".to_owned(),
            author: "rita".to_owned(),
            by_bot: false,
            default_branch: "main".to_owned(),
        }
    }

    fn triaged(event: Result<Event, Ignored>) -> Triage {
        triage(event, &configured(&[]).unwrap().inputs)
    }

    #[test]
    fn what_is_no_request_is_a_no_op_with_its_reason() {
        let comment = |change: fn(&mut CommentEvent)| {
            let mut event = comment();
            change(&mut event);
            Ok(Event::Comment(event))
        };
        for (event, no_op) in [
            (Err(Ignored::Event), NoOp::EventNotHandled),
            (Err(Ignored::Action), NoOp::ActionNotHandled),
            (Err(Ignored::CommentNotCreated), NoOp::CommentNotCreated),
            (Err(Ignored::Label), NoOp::AnotherLabel),
            (
                comment(|event| event.on_pull_request = false),
                NoOp::NotAPullRequest,
            ),
            (comment(|event| event.by_bot = true), NoOp::BotComment),
            (
                comment(|event| event.body = "nice\n/deploy-ephemeral".to_owned()),
                NoOp::NotACommand,
            ),
        ] {
            assert_eq!(triaged(event), Triage::None(no_op));
        }
    }

    #[test]
    fn a_command_and_a_close_are_requests() {
        assert_eq!(
            triaged(Ok(Event::Comment(comment()))),
            Triage::Request(commented(deploy()))
        );
        let closing = PullRequestEvent {
            action: PullRequestAction::Closed,
            pull_request: PullRequest {
                state: State::Closed,
                ..pull_request()
            },
            sender: "rita".to_owned(),
            default_branch: "main".to_owned(),
        };
        assert_eq!(
            triaged(Ok(Event::PullRequest(closing))),
            Triage::Request(closed())
        );
        for (action, is_on) in [
            (PullRequestAction::Labeled, true),
            (PullRequestAction::Unlabeled, false),
        ] {
            let event = PullRequestEvent {
                action,
                pull_request: pull_request(),
                sender: "rita".to_owned(),
                default_branch: "main".to_owned(),
            };
            assert_eq!(
                triaged(Ok(Event::PullRequest(event))),
                Triage::Request(labeled(is_on))
            );
        }
        let sweep = SweepEvent {
            code: "schedule",
            default_branch: None,
        };
        assert_eq!(
            triaged(Ok(Event::Sweep(sweep.clone()))),
            Triage::Sweep(sweep)
        );
        let mut misspelt = comment();
        misspelt.body = "/deploy-ephemeral now".to_owned();
        assert_eq!(
            triaged(Ok(Event::Comment(misspelt))),
            Triage::Request(commented(Err(usage())))
        );
    }

    #[test]
    fn only_a_request_by_comment_has_a_comment() {
        assert_eq!(commented(deploy()).comment_id(), Some(70));
        for request in [closed(), labeled(true), labeled(false)] {
            assert_eq!(request.comment_id(), None);
        }
    }

    #[test]
    fn a_command_counts_from_the_allowed_permission_on() {
        for has in PERMISSIONS {
            for needs in &PERMISSIONS[1..] {
                let inputs = [("INPUT_ALLOWED-PERMISSION", needs.as_str())];
                let facts = Facts {
                    pull_request: pull_request(),
                    access: Some(Access::Known(has)),
                    now: now(),
                };
                let word = |request: &Request| match decided(request, &facts, &inputs) {
                    Ok(Decision::Create(_)) => "create",
                    Ok(Decision::Destroy(_)) => "destroy",
                    Err(refusal) => refusal.code(),
                };
                let requests = [
                    commented(deploy()),
                    commented(Ok(Command::Destroy)),
                    commented(Err(usage())),
                    labeled(true),
                    labeled(false),
                    closed(),
                ];
                let words = if has >= *needs {
                    [
                        "create",
                        "destroy",
                        "unknown-argument",
                        "create",
                        "destroy",
                        "destroy",
                    ]
                } else {
                    let no = "not-permitted";
                    [no, no, no, no, no, "destroy"]
                };
                assert_eq!(requests.each_ref().map(word), words, "{has:?} of {needs:?}");
            }
        }
    }

    #[test]
    fn anything_but_a_clear_yes_is_a_no() {
        for (access, answer) in [
            (Some(Access::Unknown("404".to_owned())), "404"),
            (None, "the question was not asked"),
        ] {
            let facts = Facts {
                pull_request: pull_request(),
                access,
                now: now(),
            };
            let commands = [deploy(), Ok(Command::Destroy), Err(usage())].map(commented);
            for request in commands.into_iter().chain([true, false].map(labeled)) {
                assert_eq!(
                    decided(&request, &facts, &[]),
                    Err(Refusal::PermissionUnknown {
                        login: "rita".to_owned(),
                        needs: Permission::Write,
                        answer: answer.to_owned(),
                    })
                );
            }
        }
    }

    #[test]
    fn only_who_may_is_somebody_to_listen_to() {
        for refusal in refusals("text") {
            let is_strangers = matches!(refusal.code(), "not-permitted" | "permission-unknown");
            assert_eq!(
                refusal.is_to_a_permitted_person(),
                !is_strangers,
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn a_deploy_command_makes_the_manifest_of_its_branch() {
        let create = deployed(
            pull_request(),
            &[
                ("INPUT_NAMESPACE-PREFIX", "pr-"),
                ("INPUT_SUBSTITUTE", "A=1"),
            ],
        )
        .unwrap();
        assert_eq!(
            create.environment,
            Environment::new("dev", None, "pr-", "k8s/app/overlays/ephemeral-instances")
        );
        assert_eq!(
            create.manifest,
            Manifest {
                object_name: "ephemeral-dev".to_owned(),
                name: "dev".to_owned(),
                namespace: "pr-dev".to_owned(),
                flux_namespace: "flux-system".to_owned(),
                owner: ours(),
                branch: "dev".to_owned(),
                commit: "a".repeat(40),
                requested_by: "rita".to_owned(),
                url: "ssh://git@github.com/octo/app".to_owned(),
                pinned: false,
                secret_ref: Some("flux-system".to_owned()),
                interval: "1m0s".to_owned(),
                timeout: "5m0s".to_owned(),
                overlay_path: "k8s/app/overlays/ephemeral".to_owned(),
                substitute: [("A".to_owned(), "1".to_owned())].into(),
                expires: None,
            }
        );
    }

    #[test]
    fn the_inputs_decide_what_is_followed_and_with_which_secret() {
        let manifest = |inputs: &[(&str, &str)]| deployed(pull_request(), inputs).unwrap().manifest;
        assert!(manifest(&[("INPUT_TRACK", "commit")]).pinned);
        let odd = PullRequest {
            branch: "refs/heads/dev".to_owned(),
            ..pull_request()
        };
        assert!(deployed(odd, &[]).unwrap().manifest.pinned);
        let public = manifest(&[
            ("INPUT_SECRET-REF", ""),
            ("INPUT_REPOSITORY-URL", "https://a.b/c"),
        ]);
        assert_eq!(
            (public.secret_ref, public.url.as_str()),
            (None, "https://a.b/c")
        );
    }

    #[test]
    fn what_cannot_be_deployed_is_refused() {
        let protected = |pattern: &str| Refusal::ProtectedNamespace {
            namespace: "dev".to_owned(),
            pattern: pattern.to_owned(),
        };
        let closed = PullRequest {
            state: State::Closed,
            ..pull_request()
        };
        let deleted = PullRequest {
            head: Head::Deleted,
            ..pull_request()
        };
        let forks = ("INPUT_ALLOW-FORKS", "true");
        for (pull_request, input, refusal) in [
            (closed, forks, Refusal::Closed),
            (deleted, forks, Refusal::HeadDeleted),
            (
                fork("https://github.com/mallory/app.git"),
                ("INPUT_ALLOW-FORKS", "false"),
                Refusal::Fork,
            ),
            (
                pull_request(),
                ("INPUT_PROTECTED-NAMESPACES", "default,d?v,dev"),
                protected("d?v"),
            ),
        ] {
            assert_eq!(deployed(pull_request, &[input]), Err(refusal));
        }
    }

    #[test]
    fn the_prefix_counts_for_a_protected_namespace() {
        let inputs = [("INPUT_PROTECTED-NAMESPACES", "dev,pr-*")];
        assert!(deployed(pull_request(), &inputs).is_err());
        let prefixed = [inputs[0], ("INPUT_NAMESPACE-PREFIX", "my-")];
        assert!(deployed(pull_request(), &prefixed).is_ok());
        let prefixed = [inputs[0], ("INPUT_NAMESPACE-PREFIX", "pr-")];
        assert!(deployed(pull_request(), &prefixed).is_err());
    }

    #[test]
    fn a_commit_is_deployed_where_it_is_the_head_and_stayed_on() {
        let ask = |commit: Sha| {
            let arguments = DeployArguments {
                commit: Some(commit),
                ttl: None,
            };
            decided(
                &commented(Ok(Command::Deploy(arguments))),
                &permitted(pull_request()),
                &[],
            )
        };
        assert!(matches!(ask(sha("A")), Ok(Decision::Create(create)) if create.manifest.pinned));
        assert_eq!(
            ask(sha("b")),
            Err(Refusal::BranchMoved {
                wanted: sha("b"),
                head: sha("a"),
            })
        );
    }

    #[test]
    fn a_lifetime_is_the_commands_or_else_the_inputs() {
        let hours = |hours: u64| Lifetime::For(Duration::from_secs(hours * 3_600));
        for (ttl, input, expires) in [
            (None, "", None),
            (None, "never", None),
            (None, "72h", Some("2026-03-02T12:00:00Z")),
            (Some(hours(1)), "72h", Some("2026-02-27T13:00:00Z")),
            (Some(hours(1)), "", Some("2026-02-27T13:00:00Z")),
            (Some(Lifetime::Unlimited), "72h", None),
        ] {
            let arguments = DeployArguments { commit: None, ttl };
            let request = commented(Ok(Command::Deploy(arguments)));
            let decision = decided(
                &request,
                &permitted(pull_request()),
                &[("INPUT_TTL", input)],
            );
            let Ok(Decision::Create(create)) = decision else {
                panic!("{decision:?}");
            };
            assert_eq!(
                create.manifest.expires,
                expires.map(at),
                "{ttl:?} {input:?}"
            );
        }
    }

    #[test]
    fn a_label_deploys_as_a_command_without_arguments_does() {
        let facts = permitted(pull_request());
        for inputs in [
            &[][..],
            &[("INPUT_TTL", "72h"), ("INPUT_MAX-ENVIRONMENTS", "3")],
        ] {
            assert_eq!(
                decided(&labeled(true), &facts, inputs),
                decided(&commented(deploy()), &facts, inputs)
            );
            assert_eq!(
                decided(&labeled(false), &facts, inputs),
                decided(&commented(Ok(Command::Destroy)), &facts, inputs)
            );
        }
    }

    #[test]
    fn a_label_deploys_the_head_of_a_fork_that_was_there_when_it_was_put_on() {
        let inputs = [("INPUT_ALLOW-FORKS", "true")];
        let mut facts = permitted(fork("https://github.com/mallory/app.git"));
        assert!(decided(&labeled(true), &facts, &inputs).is_ok());
        facts.pull_request.commit = sha("b");
        assert_eq!(
            decided(&labeled(true), &facts, &inputs),
            Err(Refusal::PushedSince { head: sha("b") })
        );
        // Who may push here is trusted that far.
        facts.pull_request.head = Head::Here;
        assert!(decided(&labeled(true), &facts, &inputs).is_ok());
        assert!(decided(&labeled(false), &facts, &inputs).is_ok());
    }

    #[test]
    fn a_fork_is_pinned_and_cloned_over_https_without_our_secret() {
        let inputs = [("INPUT_ALLOW-FORKS", "true")];
        let url = "https://github.com/mallory/app.git";
        let create = deployed(fork(url), &inputs).unwrap();
        assert_eq!(create.environment.name, "mallory-dev");
        assert_eq!(create.manifest.url, url);
        assert_eq!(create.manifest.secret_ref, None);
        assert!(create.manifest.pinned);
        assert_eq!(create.manifest.branch, "dev");

        let local = [inputs[0], ("GITHUB_SERVER_URL", "http://127.0.0.1:8080")];
        for (url, inputs, is_taken) in [
            ("http://127.0.0.1:8080/mallory/app.git", &local[..], true),
            (url, &local[..], true),
            ("http://github.com/mallory/app.git", &inputs[..], false),
            ("ssh://git@github.com/mallory/app.git", &inputs[..], false),
            ("git@github.com:mallory/app.git", &inputs[..], false),
            ("file:///etc", &inputs[..], false),
            (
                "https://mallory@github.com/mallory/app.git",
                &inputs[..],
                false,
            ),
            (
                "https://:password@github.com/mallory/app.git",
                &local[..],
                false,
            ),
            ("", &inputs[..], false),
        ] {
            let refusal = (!is_taken).then(|| Refusal::ForkUrl {
                url: url.to_owned(),
            });
            assert_eq!(deployed(fork(url), inputs).err(), refusal, "{url}");
        }
    }

    #[test]
    fn a_fork_is_deployed_as_it_was_when_the_command_was_given() {
        let at = |pushed_at: Option<&str>, created: Option<&str>, arguments: DeployArguments| {
            let mut pull_request = fork("https://github.com/mallory/app.git");
            if let Head::Fork { pushed_at: at, .. } = &mut pull_request.head {
                *at = pushed_at.map(str::to_owned);
            }
            let mut request = commented(Ok(Command::Deploy(arguments)));
            if let Trigger::Comment { created_at, .. } = &mut request.trigger {
                *created_at = created.map(str::to_owned);
            }
            let inputs = [("INPUT_ALLOW-FORKS", "true")];
            decided(&request, &permitted(pull_request), &inputs)
        };
        let given = Some("2026-01-02T03:04:05Z");
        for (pushed_at, created_at, is_deployed) in [
            (Some("2026-01-02T03:04:04Z"), given, true),
            // GitHub's times are to the second, so this one may be either.
            (given, given, false),
            (Some("2026-01-02T03:04:06Z"), given, false),
            (None, given, false),
            (given, None, false),
        ] {
            let decision = at(pushed_at, created_at, DeployArguments::default());
            let refused = Err(Refusal::PushedSince { head: sha("a") });
            assert_eq!(
                decision != refused,
                is_deployed,
                "{pushed_at:?} {created_at:?}"
            );
            // Whoever names the commit has seen it.
            let named = DeployArguments {
                commit: Some(sha("a")),
                ttl: None,
            };
            let decision = at(pushed_at, created_at, named);
            assert!(matches!(decision, Ok(Decision::Create(_))), "{decision:?}");
        }
    }

    #[test]
    fn fluxs_own_namespace_is_protected_whatever_the_patterns_say() {
        for (inputs, namespace) in [
            (
                [
                    ("INPUT_FLUX-NAMESPACE", "dev"),
                    ("INPUT_PROTECTED-NAMESPACES", "kube-*"),
                ],
                "dev",
            ),
            (
                [
                    ("INPUT_FLUX-NAMESPACE", "pr-dev"),
                    ("INPUT_NAMESPACE-PREFIX", "pr-"),
                ],
                "pr-dev",
            ),
        ] {
            assert_eq!(
                deployed(pull_request(), &inputs).err(),
                Some(Refusal::ProtectedNamespace {
                    namespace: namespace.to_owned(),
                    pattern: namespace.to_owned(),
                })
            );
        }
    }

    #[test]
    fn a_destroy_command_works_on_whatever_became_of_the_pull_request() {
        for pull_request in [
            pull_request(),
            PullRequest {
                state: State::Closed,
                ..pull_request()
            },
            PullRequest {
                head: Head::Deleted,
                ..pull_request()
            },
            fork("ssh://nowhere"),
        ] {
            assert_eq!(
                decided(
                    &commented(Ok(Command::Destroy)),
                    &permitted(pull_request),
                    &[]
                ),
                Ok(Decision::Destroy(Destroy {
                    owner: ours(),
                    branch: "dev".to_owned(),
                    requested_by: "rita".to_owned(),
                }))
            );
        }
    }

    fn facts() -> impl Strategy<Value = Facts> {
        let heads = prop_oneof![
            Just(Head::Here),
            Just(Head::Deleted),
            ("\\PC{0,9}", "\\PC{0,9}").prop_map(|(owner, clone_url)| Head::Fork {
                owner,
                clone_url,
                pushed_at: before()
            }),
        ];
        let access = prop_oneof![
            Just(None),
            select(&PERMISSIONS[..]).prop_map(|permission| Some(Access::Known(permission))),
            "\\PC{0,9}".prop_map(|answer| Some(Access::Unknown(answer))),
        ];
        let states = select(vec![
            State::Open,
            State::Closed,
            State::Unknown(String::new()),
        ]);
        (states, "\\PC{0,20}", heads, access).prop_map(|(state, branch, head, access)| Facts {
            pull_request: PullRequest {
                state,
                branch,
                head,
                ..pull_request()
            },
            access,
            now: now(),
        })
    }

    proptest! {
        #[test]
        fn a_close_destroys_its_own_instance_whoever_did_it(facts in facts(), allow_forks in any::<bool>()) {
            let inputs = [("INPUT_ALLOW-FORKS", if allow_forks { "true" } else { "false" })];
            let Ok(Decision::Destroy(destroy)) = decided(&closed(), &facts, &inputs) else {
                panic!("{facts:?}");
            };
            prop_assert_eq!(destroy.owner, ours());
        }

        #[test]
        fn nothing_is_deployed_for_who_may_not(facts in facts()) {
            let may = matches!(facts.access, Some(Access::Known(permission)) if permission >= Permission::Write);
            let decision = decided(&commented(deploy()), &facts, &[("INPUT_ALLOW-FORKS", "true")]);
            if let Ok(Decision::Create(create)) = decision {
                prop_assert!(may && facts.pull_request.state == State::Open);
                if facts.pull_request.head != Head::Here {
                    prop_assert!(create.manifest.pinned && create.manifest.secret_ref.is_none());
                }
            }
        }
    }
}
