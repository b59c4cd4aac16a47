//! Why a request is not granted.

use crate::command::{Problem, UsageError};
use crate::model::instance::Owner;
use crate::model::repository::Permission;
use crate::model::sha::Sha;

/// Why a request is not granted. It is an answer to somebody, not a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The command has an argument that it does not take.
    Usage(UsageError),
    /// There are as many environments as there may be.
    LimitReached {
        /// How many there may be.
        limit: usize,
        /// The ones there are: name and pull request, by number.
        instances: Vec<(String, u64)>,
    },
    /// The requester lacks the permission.
    NotPermitted {
        /// Login of the requester.
        login: String,
        /// What they may do.
        has: Permission,
        /// What it takes.
        needs: Permission,
    },
    /// GitHub gave no clear answer about the permission of the requester.
    PermissionUnknown {
        /// Login of the requester.
        login: String,
        /// What it takes.
        needs: Permission,
        /// What was answered instead.
        answer: String,
    },
    /// The pull request is closed.
    Closed,
    /// The head of the pull request is the target branch: each commit of ours would move it.
    BranchIsWatched { branch: String },
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
    /// The fork was pushed to after the command was given, or that is not clear.
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
    /// Flux would not apply the file: the `kustomization.yaml` beside it does not list it.
    NotListed { path: String, kustomization: String },
    /// Something is there that the action did not write.
    NotOurs {
        /// The file, or a directory above it that is none.
        path: String,
    },
}

impl Refusal {
    /// The output `reason`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Refusal::Usage(error) => match error.problem {
                Problem::Unknown => "unknown-argument",
                Problem::Repeated => "repeated-argument",
                Problem::InvalidTtl => "bad-ttl",
            },
            Refusal::LimitReached { .. } => "limit-reached",
            Refusal::NotPermitted { .. } => "not-permitted",
            Refusal::PermissionUnknown { .. } => "permission-unknown",
            Refusal::Closed => "pull-request-is-closed",
            Refusal::BranchIsWatched { .. } => "branch-is-watched",
            Refusal::Fork => "fork-not-allowed",
            Refusal::HeadDeleted => "head-repository-deleted",
            Refusal::ForkUrl { .. } => "fork-url-not-https",
            Refusal::BranchMoved { .. } => "branch-has-moved",
            Refusal::PushedSince { .. } => "fork-pushed-since",
            Refusal::ProtectedNamespace { .. } => "namespace-protected",
            Refusal::ClaimedNamespace { .. } => "namespace-claimed",
            Refusal::NamespaceTaken { .. } => "namespace-taken",
            Refusal::OwnedByAnother { .. } => "owned-by-another-pull-request",
            Refusal::NotListed { .. } => "instances-not-listed",
            Refusal::NotOurs { .. } => "file-not-ours",
        }
    }

    /// Whether the requester has the permission.
    pub(crate) fn is_to_a_permitted_person(&self) -> bool {
        !matches!(
            self,
            Refusal::NotPermitted { .. } | Refusal::PermissionUnknown { .. }
        )
    }
}
