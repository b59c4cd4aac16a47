//! Decides what needs no answer from GitHub.

use crate::command::{Command, UsageError, parse};
use crate::config::inputs::Inputs;
use crate::decide::readiness::object_in;
use crate::decide::refusal::Refusal;
use crate::event::{Event, Ignored, PullRequestAction, StatusEvent, SweepEvent};
use crate::model::pull_request::PullRequest;
use crate::model::sha::Sha;

/// What an event alone says: nothing to do, or a question that GitHub has to answer first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Triage {
    /// Nothing to do, and why.
    None(NoOp),
    /// Somebody asks for something.
    Request(Request),
    /// Everything that is there is to be looked after.
    Sweep(SweepEvent),
    /// Flux has said something about an environment.
    Report(ReportRequest),
}

/// Why there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoOp {
    /// The action does not handle the event.
    EventNotHandled,
    /// The action does not handle what happened to the pull request.
    ActionNotHandled,
    /// A comment was edited or deleted.
    CommentNotCreated,
    /// The comment is on an issue.
    NotAPullRequest,
    /// A bot wrote the comment.
    BotComment,
    /// The comment's first line is not a command.
    NotACommand,
    /// The label is not the one that deploys.
    AnotherLabel,
    /// A close whose pull request is open: it was reopened since, or the job ran again later.
    PullRequestIsOpen,
    /// The status is not Flux's about an environment.
    AnotherStatus,
    /// Flux has not said how it went.
    StatusPending,
    /// There is no environment of this name.
    NoEnvironment,
    /// The status is about a commit that the environment does not run any more, or that is of a closed pull request.
    NotCurrent,
}

impl NoOp {
    /// The output `reason`.
    pub(crate) fn code(self) -> &'static str {
        match self {
            NoOp::EventNotHandled => "event-not-handled",
            NoOp::ActionNotHandled => "action-not-handled",
            NoOp::CommentNotCreated => "comment-not-created",
            NoOp::NotAPullRequest => "not-a-pull-request",
            NoOp::BotComment => "bot-comment",
            NoOp::NotACommand => "not-a-command",
            NoOp::AnotherLabel => "another-label",
            NoOp::PullRequestIsOpen => "pull-request-is-open",
            NoOp::AnotherStatus => "another-status",
            NoOp::StatusPending => "status-pending",
            NoOp::NoEnvironment => "no-environment",
            NoOp::NotCurrent => "not-current",
        }
    }
}

/// What somebody asks for on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The pull request's number.
    pub(crate) pull_request: u64,
    /// Login of the requester.
    pub(crate) login: String,
    /// How it was asked for.
    pub(crate) trigger: Trigger,
    /// The repository's default branch.
    pub(crate) default_branch: String,
    /// GitHub's id of the repository.
    pub(crate) repository_id: Option<u64>,
}

/// What Flux said something about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportRequest {
    /// Name of the `Kustomization`.
    pub(crate) object_name: String,
    /// The commit that has the status.
    pub(crate) commit: Sha,
    /// The repository's default branch.
    pub(crate) default_branch: String,
    /// GitHub's id of the repository.
    pub(crate) repository_id: Option<u64>,
}

/// How a request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A command in a comment: its author's permission counts.
    Comment {
        /// The comment's id.
        comment_id: u64,
        /// When it was written, as GitHub writes times.
        created_at: Option<String>,
        /// The command, or what is wrong with it.
        command: Result<Command, UsageError>,
    },
    /// The label that deploys was put on or taken off: whoever did it commands by that. What they command is up to the labels
    /// that the pull request has now, for the event may be hours old.
    Label {
        /// Whether somebody put it on or took it off. Nobody can tell of a label that was deleted since, and nobody did with
        /// a pull request that was reopened with it.
        is_known: bool,
        /// The head when that was done.
        head: Sha,
    },
    /// The pull request was closed: this only ever removes its own instance, so nobody is asked.
    Close(PullRequest),
}

/// Decides what needs no answer from GitHub.
pub(crate) fn triage(event: Event, inputs: &Inputs) -> Triage {
    match event {
        Event::Ignored(Ignored::Event) => Triage::None(NoOp::EventNotHandled),
        Event::Ignored(Ignored::Action) => Triage::None(NoOp::ActionNotHandled),
        Event::Ignored(Ignored::CommentNotCreated) => Triage::None(NoOp::CommentNotCreated),
        Event::Ignored(Ignored::Label) => Triage::None(NoOp::AnotherLabel),
        Event::Comment(event) if !event.on_pull_request => Triage::None(NoOp::NotAPullRequest),
        Event::Comment(event) if event.by_bot => Triage::None(NoOp::BotComment),
        Event::Comment(event) => match parse(&event.body, &inputs.commands) {
            None => Triage::None(NoOp::NotACommand),
            Some(command) => Triage::Request(Request {
                pull_request: event.number,
                login: event.author,
                trigger: Trigger::Comment {
                    comment_id: event.comment_id,
                    created_at: event.created_at,
                    command,
                },
                repository_id: event.repository_id,
                default_branch: event.default_branch,
            }),
        },
        Event::PullRequest(event) => Triage::Request(Request {
            pull_request: event.pull_request.number,
            login: event.sender,
            trigger: match event.action {
                PullRequestAction::Closed => Trigger::Close(event.pull_request),
                PullRequestAction::Labeled
                | PullRequestAction::Unlabeled
                | PullRequestAction::LabelUnknown
                | PullRequestAction::Reopened => Trigger::Label {
                    is_known: matches!(
                        event.action,
                        PullRequestAction::Labeled | PullRequestAction::Unlabeled
                    ),
                    head: event.pull_request.commit,
                },
            },
            repository_id: event.repository_id,
            default_branch: event.default_branch,
        }),
        Event::Sweep(event) => Triage::Sweep(event),
        Event::Status(event) => report(event),
    }
}

fn report(event: StatusEvent) -> Triage {
    match object_in(&event.context) {
        None => Triage::None(NoOp::AnotherStatus),
        Some(_) if event.is_pending => Triage::None(NoOp::StatusPending),
        Some(object_name) => Triage::Report(ReportRequest {
            object_name: object_name.to_owned(),
            commit: event.sha,
            default_branch: event.default_branch,
            repository_id: event.repository_id,
        }),
    }
}

impl Request {
    /// What was asked for, for the log.
    pub(crate) fn code(&self) -> &'static str {
        match &self.trigger {
            Trigger::Close(_) => "pull-request-closed",
            Trigger::Label { .. } => "label-changed",
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

    /// Whether nobody may have asked for anything: the label is perhaps another one.
    pub(crate) fn is_guess(&self) -> bool {
        matches!(
            self.trigger,
            Trigger::Label {
                is_known: false,
                ..
            }
        )
    }

    /// Whether it is nobody's news that it changes nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_guess() || matches!(self.trigger, Trigger::Close(_))
    }

    /// The comment with the command.
    pub(crate) fn comment_id(&self) -> Option<u64> {
        match self.trigger {
            Trigger::Comment { comment_id, .. } => Some(comment_id),
            Trigger::Label { .. } | Trigger::Close(_) => None,
        }
    }
}
