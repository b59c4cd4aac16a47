//! An environment as YAML: the Flux `GitRepository` and `Kustomization` that bring it up, and the same file read back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The label that says a file is ours, and its value.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "flux-ephemeral-env");
const PULL_REQUEST: &str = "flux-ephemeral-env/pull-request";
const REPOSITORY: &str = "flux-ephemeral-env/repository";
const BRANCH: &str = "flux-ephemeral-env/branch";
const COMMIT: &str = "flux-ephemeral-env/commit";
const REQUESTED_BY: &str = "flux-ephemeral-env/requested-by";
/// Flux's notifications about the objects are attached to this pull request
/// ([docs](https://fluxcd.io/flux/components/notification/providers/#github-pull-request-comment)).
const CHANGE_REQUEST: &str = "event.toolkit.fluxcd.io/change_request";
/// Keeps the watcher's own `postBuild`, if it has one, from substituting in our file
/// ([docs](https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution)).
const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";
/// The variable that holds the namespace.
const NAMESPACE_VARIABLE: &str = "BRANCH_NAME";
/// The variables that every overlay is given; the input `substitute` cannot name them.
pub const RESERVED_VARIABLES: [&str; 4] = [
    NAMESPACE_VARIABLE,
    "EPHEMERAL_NAME",
    "PULL_REQUEST",
    "COMMIT",
];

/// How often Flux looks for drift; a new revision is applied at once, whatever this says.
const DRIFT_INTERVAL: &str = "10m0s";
/// How soon Flux tries again after a failed apply.
const RETRY_INTERVAL: &str = "30s";

/// Everything that the file of one environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name of both objects.
    pub object_name: String,
    /// Name of the environment, `${EPHEMERAL_NAME}`.
    pub name: String,
    /// Namespace of the application, `${BRANCH_NAME}`.
    pub namespace: String,
    /// Namespace of both objects.
    pub flux_namespace: String,
    /// The pull request the instance belongs to.
    pub owner: Owner,
    /// Head branch, as it is.
    pub branch: String,
    /// Head commit when the command was given, 40 hexadecimal digits.
    pub commit: String,
    /// Login of who asked for it.
    pub requested_by: String,
    /// What Flux clones.
    pub url: String,
    /// Whether Flux stays on `commit` instead of following `branch`.
    pub pinned: bool,
    /// Name of the Secret with Flux's Git credentials, in `flux_namespace`.
    pub secret_ref: Option<String>,
    /// How often Flux looks at the branch.
    pub interval: String,
    /// How long Flux waits for readiness.
    pub timeout: String,
    /// Directory of the overlay in the branch.
    pub overlay_path: String,
    /// More variables for the overlay.
    pub substitute: BTreeMap<String, String>,
}

/// The one pull request that may change an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `owner/name` of the repository the pull request is in.
    pub repository: String,
    /// The pull request's number.
    pub pull_request: u64,
}

impl Owner {
    /// Whether both are the same pull request; GitHub compares the names of repositories without case.
    pub fn is(&self, other: &Owner) -> bool {
        self.pull_request == other.pull_request
            && self.repository.eq_ignore_ascii_case(&other.repository)
    }
}

/// What a file of ours says of the instance it describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The pull request it belongs to.
    pub owner: Owner,
    /// Namespace of the application; empty where somebody removed it from the file.
    pub namespace: String,
    /// Head branch when it was deployed; empty where the file does not say.
    pub branch: String,
    /// Login of who asked for it; empty where the file does not say.
    pub requested_by: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: S,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GitRepositorySpec<'a> {
    interval: &'a str,
    url: &'a str,
    r#ref: Reference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_ref: Option<Named<'a>>,
}

#[derive(Serialize)]
struct Reference<'a> {
    branch: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KustomizationSpec<'a> {
    interval: &'static str,
    retry_interval: &'static str,
    timeout: &'a str,
    path: String,
    prune: bool,
    wait: bool,
    source_ref: SourceReference<'a>,
    post_build: PostBuild<'a>,
}

#[derive(Serialize)]
struct SourceReference<'a> {
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
struct PostBuild<'a> {
    substitute: BTreeMap<&'a str, String>,
}

impl Manifest {
    /// The file: two YAML documents, the same to the byte for the same manifest, ending in a newline.
    ///
    /// # Errors
    /// The serializer's, none of which a manifest is known to cause.
    pub fn render(&self) -> anyhow::Result<String> {
        let git_repository = Document {
            api_version: "source.toolkit.fluxcd.io/v1",
            kind: "GitRepository",
            metadata: self.metadata(),
            spec: GitRepositorySpec {
                interval: &self.interval,
                url: &self.url,
                r#ref: Reference {
                    branch: &self.branch,
                    commit: self.pinned.then_some(&self.commit),
                },
                secret_ref: self.secret_ref.as_deref().map(|name| Named { name }),
            },
        };
        let kustomization = Document {
            api_version: "kustomize.toolkit.fluxcd.io/v1",
            kind: "Kustomization",
            metadata: self.metadata(),
            spec: KustomizationSpec {
                interval: DRIFT_INTERVAL,
                retry_interval: RETRY_INTERVAL,
                timeout: &self.timeout,
                path: format!("./{}", self.overlay_path),
                prune: true,
                wait: true,
                source_ref: SourceReference {
                    kind: "GitRepository",
                    name: &self.object_name,
                },
                post_build: PostBuild {
                    substitute: self.variables(),
                },
            },
        };
        Ok(format!(
            "---\n{}---\n{}",
            yaml(&git_repository)?,
            yaml(&kustomization)?
        ))
    }

    fn metadata(&self) -> Metadata<'_> {
        let number = self.owner.pull_request.to_string();
        Metadata {
            name: &self.object_name,
            namespace: &self.flux_namespace,
            labels: BTreeMap::from([
                (MANAGED_BY.0, MANAGED_BY.1.to_owned()),
                (PULL_REQUEST, number.clone()),
            ]),
            annotations: BTreeMap::from([
                (CHANGE_REQUEST, number),
                (REPOSITORY, self.owner.repository.clone()),
                (BRANCH, self.branch.clone()),
                (COMMIT, self.commit.clone()),
                (REQUESTED_BY, self.requested_by.clone()),
                (SUBSTITUTE, "disabled".to_owned()),
            ]),
        }
    }

    fn variables(&self) -> BTreeMap<&str, String> {
        let own = [
            self.namespace.clone(),
            self.name.clone(),
            self.owner.pull_request.to_string(),
            self.commit.clone(),
        ];
        let given = self
            .substitute
            .iter()
            .map(|(variable, value)| (variable.as_str(), value.clone()));
        given
            .chain(RESERVED_VARIABLES.into_iter().zip(own))
            .collect()
    }
}

fn yaml<S: Serialize>(document: &Document<'_, S>) -> anyhow::Result<String> {
    let mut options = serde_yaml::SerializerOptions::default();
    // One line a scalar: what a branch is called cannot change the shape of the file.
    options.prefer_block_scalars = false;
    let mut text = String::new();
    serde_yaml::to_fmt_writer_with_options(&mut text, document, options)?;
    Ok(text)
}

#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    metadata: ReadMetadata,
    #[serde(default)]
    spec: ReadSpec,
}

#[derive(Deserialize, Default)]
struct ReadMetadata {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ReadSpec {
    #[serde(default)]
    post_build: ReadPostBuild,
}

#[derive(Deserialize, Default)]
struct ReadPostBuild {
    #[serde(default)]
    substitute: BTreeMap<String, String>,
}

/// Reads back a file in the instances directory.
///
/// `None` for anything that does not carry our marker and an owner: somebody else's file.
pub fn read(file: &[u8]) -> Option<Instance> {
    let text = std::str::from_utf8(file).ok()?;
    let documents: Vec<Read> = serde_yaml::from_multiple(text).ok()?;
    let owner = documents.iter().find_map(Read::owner)?;
    let annotation = |key: &str| {
        documents
            .iter()
            .find_map(|document| document.metadata.annotations.get(key))
            .cloned()
            .unwrap_or_default()
    };
    let namespace = documents
        .iter()
        .find_map(|document| document.spec.post_build.substitute.get(NAMESPACE_VARIABLE))
        .cloned()
        .unwrap_or_default();
    Some(Instance {
        owner,
        namespace,
        branch: annotation(BRANCH),
        requested_by: annotation(REQUESTED_BY),
    })
}

impl Read {
    fn owner(&self) -> Option<Owner> {
        let labels = &self.metadata.labels;
        if labels.get(MANAGED_BY.0)? != MANAGED_BY.1 {
            return None;
        }
        Some(Owner {
            repository: self.metadata.annotations.get(REPOSITORY)?.clone(),
            pull_request: labels.get(PULL_REQUEST)?.parse().ok()?,
        })
    }
}

/// The namespace that an overlay's `kustomization.yaml` claims; `None` where it claims none or is no YAML.
pub fn claimed_namespace(kustomization: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Overlay {
        namespace: Option<String>,
    }
    let text = std::str::from_utf8(kustomization).ok()?;
    serde_yaml::from_str::<Overlay>(text).ok()?.namespace
}
