//! What an event asks for, and what is decided about it. Nothing here reads or writes anything.

use url::Url;

use crate::command::{self, Command, DeployArguments, Sha, UsageError};
use crate::config::{Config, Inputs, Permission, Track};
use crate::environment::Environment;
use crate::event::{Event, Head, Ignored, PullRequest};
use crate::manifest::{Manifest, Owner};

/// What an event alone says: nothing to do, or a question that GitHub has to answer first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Triage {
    /// Nothing to do, and why.
    None(NoOp),
    /// Somebody asks for something.
    Request(Request),
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
        /// The command, or what is wrong with it.
        command: Result<Command, UsageError>,
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
    Create(Create),
    /// Take it down.
    Destroy(Destroy),
    /// Tell why not.
    Refuse(Refusal),
}

/// An environment to bring up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Its names.
    pub environment: Environment,
    /// Its file.
    pub manifest: Manifest,
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
            Refusal::Usage(_) => "unknown-argument",
            Refusal::NotPermitted { .. } => "not-permitted",
            Refusal::PermissionUnknown { .. } => "permission-unknown",
            Refusal::Closed => "pull-request-is-closed",
            Refusal::Fork => "fork-not-allowed",
            Refusal::HeadDeleted => "head-repository-deleted",
            Refusal::ForkUrl { .. } => "fork-url-not-https",
            Refusal::BranchMoved { .. } => "branch-has-moved",
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
                    command,
                },
                default_branch: event.default_branch,
            }),
        },
        Event::PullRequest(event) => Triage::Request(Request {
            pull_request: event.pull_request.number,
            login: event.sender,
            trigger: Trigger::Close(event.pull_request),
            default_branch: event.default_branch,
        }),
    }
}

impl Request {
    /// The output `reason` of a decision to create or destroy.
    pub fn code(&self) -> &'static str {
        match &self.trigger {
            Trigger::Close(_) => "pull-request-closed",
            Trigger::Comment {
                command: Ok(Command::Deploy(_)),
                ..
            } => "deploy-command",
            Trigger::Comment {
                command: Ok(Command::Destroy),
                ..
            } => "destroy-command",
            Trigger::Comment {
                command: Err(_), ..
            } => "unknown-argument",
        }
    }

    /// The comment with the command.
    pub fn comment_id(&self) -> Option<u64> {
        match self.trigger {
            Trigger::Comment { comment_id, .. } => Some(comment_id),
            Trigger::Close(_) => None,
        }
    }
}

/// Decides what the facts allow. What the target branch already holds is looked at later, in [`crate::plan`].
pub fn decide(request: &Request, facts: &Facts, config: &Config) -> Decision {
    if let Some(refusal) = refuse_person(request, facts.access.as_ref(), &config.inputs) {
        return Decision::Refuse(refusal);
    }
    let destroy = || {
        Decision::Destroy(Destroy {
            owner: owner(request, config),
            branch: facts.pull_request.branch.clone(),
            requested_by: request.login.clone(),
        })
    };
    match &request.trigger {
        Trigger::Close(_) => destroy(),
        Trigger::Comment { command, .. } => match command {
            Err(usage) => Decision::Refuse(Refusal::Usage(usage.clone())),
            Ok(Command::Destroy) => destroy(),
            Ok(Command::Deploy(arguments)) => {
                match create(request, arguments, &facts.pull_request, config) {
                    Ok(create) => Decision::Create(create),
                    Err(refusal) => Decision::Refuse(refusal),
                }
            }
        },
    }
}

/// A refusal unless there is a clear yes to the person, or nobody to ask about.
fn refuse_person(request: &Request, access: Option<&Access>, inputs: &Inputs) -> Option<Refusal> {
    let needs = inputs.allowed_permission;
    let login = request.login.clone();
    match (&request.trigger, access) {
        (Trigger::Close(_), _) => None,
        (_, Some(Access::Known(has))) if *has >= needs => None,
        (_, Some(Access::Known(has))) => Some(Refusal::NotPermitted {
            login,
            has: *has,
            needs,
        }),
        (_, Some(Access::Unknown(answer))) => Some(Refusal::PermissionUnknown {
            login,
            needs,
            answer: answer.clone(),
        }),
        (_, None) => Some(Refusal::PermissionUnknown {
            login,
            needs,
            answer: "the question was not asked".to_owned(),
        }),
    }
}

fn owner(request: &Request, config: &Config) -> Owner {
    Owner {
        repository: config.repository.to_string(),
        pull_request: request.pull_request,
    }
}

fn create(
    request: &Request,
    arguments: &DeployArguments,
    pull_request: &PullRequest,
    config: &Config,
) -> Result<Create, Refusal> {
    let inputs = &config.inputs;
    if !pull_request.open {
        return Err(Refusal::Closed);
    }
    let head = &pull_request.commit;
    let fork = match &pull_request.head {
        Head::Here => None,
        Head::Deleted => return Err(Refusal::HeadDeleted),
        Head::Fork { .. } if !inputs.allow_forks => return Err(Refusal::Fork),
        Head::Fork { owner, clone_url } => Some((owner, fork_url(clone_url, config)?)),
    };
    if let Some(wanted) = arguments.commit.as_ref().filter(|wanted| *wanted != head) {
        return Err(Refusal::BranchMoved {
            wanted: wanted.clone(),
            head: head.clone(),
        });
    }
    let environment = Environment::new(
        &pull_request.branch,
        fork.as_ref().map(|(owner, _)| owner.as_str()),
        &inputs.namespace_prefix,
        &inputs.instances_path,
    );
    let namespace = &environment.namespace;
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
        owner: owner(request, config),
        branch: pull_request.branch.clone(),
        commit: head.to_string(),
        requested_by: request.login.clone(),
        pinned: fork.is_some() || inputs.track == Track::Commit,
        // Our credentials are for our repository: Flux must not show them to a fork's server.
        secret_ref: inputs.secret_ref.clone().filter(|_| fork.is_none()),
        url: fork.map_or_else(|| inputs.repository_url.clone(), |(_, url)| url),
        interval: inputs.interval.clone(),
        timeout: inputs.timeout.clone(),
        overlay_path: inputs.overlay_path.clone(),
        substitute: inputs.substitute.clone(),
    };
    Ok(Create {
        environment,
        manifest,
    })
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
