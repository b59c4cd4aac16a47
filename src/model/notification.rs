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
    /// GitHub's record of a deployment.
    Deployment,
}

impl Channel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Channel::Comment => "the comment",
            Channel::Reaction => "the reaction",
            Channel::CommitStatus => "the commit status",
            Channel::Deployment => "the deployment",
        }
    }

    /// The line of a workflow's `permissions` that it needs.
    pub(crate) fn permission(self) -> &'static str {
        match self {
            Channel::Comment | Channel::Reaction => "pull-requests: write",
            Channel::CommitStatus => "statuses: write",
            Channel::Deployment => "deployments: write",
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

/// State of a GitHub Deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeploymentState {
    InProgress,
    Success,
    Failure,
    /// It is gone.
    Inactive,
}

impl DeploymentState {
    /// GitHub's word ([API](https://docs.github.com/rest/deployments/statuses#create-a-deployment-status)).
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            DeploymentState::InProgress => "in_progress",
            DeploymentState::Success => "success",
            DeploymentState::Failure => "failure",
            DeploymentState::Inactive => "inactive",
        }
    }
}

/// What GitHub's deployment box says of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeploymentStatus {
    pub(crate) state: DeploymentState,
    /// At most 140 characters.
    pub(crate) description: String,
    pub(crate) environment_url: Option<String>,
}

/// What becomes of the GitHub Deployments of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeploymentChange {
    /// A new one of this commit, in place of the older ones of these names.
    Begin {
        /// Name of the environment.
        name: String,
        commit: String,
        status: DeploymentStatus,
        /// Names that it replaces.
        replaced: Vec<String>,
    },
    /// More is known of the newest one of this name.
    Follow {
        name: String,
        /// Where there is none, one of this commit begins.
        missing: Option<String>,
        status: DeploymentStatus,
    },
    /// The environments of these names are gone.
    End { names: Vec<String> },
}

impl DeploymentChange {
    /// The same where it has begun already.
    #[must_use]
    pub(crate) fn begun(self) -> DeploymentChange {
        match self {
            DeploymentChange::Begin {
                name,
                commit,
                status,
                ..
            } => DeploymentChange::Follow {
                name,
                missing: Some(commit),
                status,
            },
            other => other,
        }
    }

    /// The environment that there is with it.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            DeploymentChange::Begin { name, .. } | DeploymentChange::Follow { name, .. } => {
                Some(name)
            }
            DeploymentChange::End { .. } => None,
        }
    }
}
