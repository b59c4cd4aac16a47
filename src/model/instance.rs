//! What an instance is: its owner, what its file says, and the file itself.

use sha2::{Digest, Sha256};

use crate::model::names::instance_name;
use crate::model::repository::RepositoryIdentity;
use crate::model::ttl::Expiry;

/// The label that says a file is ours, and its value.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "flux-ephemeral-env");

pub(crate) const PULL_REQUEST: &str = "flux-ephemeral-env/pull-request";

pub(crate) const REPOSITORY: &str = "flux-ephemeral-env/repository";

/// GitHub's id of the repository, which a rename does not change.
pub(crate) const REPOSITORY_ID: &str = "flux-ephemeral-env/repository-id";

pub(crate) const BRANCH: &str = "flux-ephemeral-env/branch";

pub(crate) const COMMIT: &str = "flux-ephemeral-env/commit";

/// Has Flux look at an object where it says something else than before
/// ([docs](https://fluxcd.io/flux/components/kustomize/kustomizations/#triggering-a-reconcile)).
pub(crate) const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

pub(crate) const REQUESTED_BY: &str = "flux-ephemeral-env/requested-by";

pub(crate) const EXPIRES: &str = "flux-ephemeral-env/expires";

/// The variable that holds the namespace.
pub(crate) const NAMESPACE_VARIABLE: &str = "BRANCH_NAME";

/// The variables that every overlay is given; the input `substitute` cannot name them.
pub(crate) const RESERVED_VARIABLES: [&str; 5] = [
    NAMESPACE_VARIABLE,
    "EPHEMERAL_NAME",
    "PULL_REQUEST",
    "COMMIT",
    "quote",
];

/// The one pull request that may change an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The repository that the pull request is in.
    pub(crate) repository: RepositoryIdentity,
    pub(crate) pull_request: u64,
}

impl Owner {
    /// Whether both are the same pull request.
    pub(crate) fn is(&self, other: &Owner) -> bool {
        self.pull_request == other.pull_request && self.repository.is(&other.repository)
    }
}

/// What a file of ours says of the instance it describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    /// The pull request it belongs to.
    pub(crate) owner: Owner,
    /// Namespace of the application; empty where somebody removed it from the file.
    pub(crate) namespace: String,
    /// Head branch when it was deployed; empty where the file does not say.
    pub(crate) branch: String,
    /// Head commit when it was deployed; empty where the file does not say.
    pub(crate) commit: String,
    /// The one commit that Flux stays on, where it follows no branch.
    pub(crate) pinned: Option<String>,
    /// Login of the requester; empty where the file does not say.
    pub(crate) requested_by: String,
    /// When Flux was last asked to look at what the file describes.
    pub(crate) requested_at: Option<String>,
    /// From when on it may go.
    pub(crate) expires: Expiry,
}

/// An instance that a pull request has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeployedInstance {
    /// The environment's name.
    pub(crate) name: String,
    /// The file.
    pub(crate) path: String,
    /// What the file says.
    pub(crate) instance: Instance,
    /// SHA-256 of the file, in hexadecimal.
    pub(crate) digest: String,
}

impl DeployedInstance {
    /// The instance that the file at `path` describes; `None` where no instance has such a path.
    pub(crate) fn new(path: &str, content: &[u8], instance: Instance) -> Option<DeployedInstance> {
        Some(DeployedInstance {
            name: instance_name(path)?.to_owned(),
            path: path.to_owned(),
            instance,
            digest: hexadecimal(content),
        })
    }
}

/// A short text that is the same for the same instances, and for these only: what a comment spoke of can be told apart
/// from what is there by now.
pub(crate) fn fingerprint(instances: &[DeployedInstance]) -> String {
    let listed = instances
        .iter()
        .map(|deployed| format!("{} {}\n", deployed.digest, deployed.path));
    let mut digest = hexadecimal(listed.collect::<String>().as_bytes());
    digest.truncate(16);
    digest
}

pub(crate) fn hexadecimal(content: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    let digest = Sha256::digest(content);
    digest.iter().flat_map(digits).flatten().collect()
}
