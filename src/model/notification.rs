//! What can be said on a pull request beside the comment.

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
