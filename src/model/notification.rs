//! What can be said on a pull request.

/// Starts our comment, so that it is found again. Invisible to a reader.
pub(crate) const MARKER: &str = "<!-- flux-ephemeral-env -->";

/// How a pull request is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Comment,
    /// To the comment with the command.
    Reaction,
    CommitStatus,
}

impl Channel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Channel::Comment => "the comment",
            Channel::Reaction => "the reaction",
            Channel::CommitStatus => "the commit status",
        }
    }

    /// The line of a workflow's `permissions` that it needs.
    pub(crate) fn permission(self) -> &'static str {
        match self {
            Channel::Comment | Channel::Reaction => "pull-requests: write",
            Channel::CommitStatus => "statuses: write",
        }
    }
}

/// A reaction to the comment with the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaction {
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
    pub(crate) fn content(self) -> &'static str {
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
pub(crate) enum StatusState {
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
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
            StatusState::Error => "error",
        }
    }
}
