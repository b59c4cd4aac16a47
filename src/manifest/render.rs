//! An environment as YAML.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_yaml::SingleQuoted;

use crate::model::instance::{
    BRANCH, COMMIT, EXPIRES, MANAGED_BY, Owner, PULL_REQUEST, REPOSITORY, REPOSITORY_ID,
    REQUESTED_AT, REQUESTED_BY, RESERVED_VARIABLES,
};
use crate::model::names::can_be_followed;
use crate::model::ttl::rfc3339;

/// Flux's notifications about the objects are attached to this pull request
/// ([docs](https://fluxcd.io/flux/components/notification/providers/#github-pull-request-comment)).
const CHANGE_REQUEST: &str = "event.toolkit.fluxcd.io/change_request";

/// Keeps the watcher's own `postBuild`, if it has one, from substituting in our file
/// ([docs](https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution)).
const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// How often Flux looks for drift; a new revision is applied at once, whatever this says.
const DRIFT_INTERVAL: &str = "10m0s";

/// How soon Flux tries again after a failed apply.
const RETRY_INTERVAL: &str = "30s";

/// `${quote}`. Kustomize drops the quotes that an overlay has around a variable before Flux puts the value in, so an overlay
/// that means a string puts these around it
/// ([docs](https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-substitution-of-numbers-and-booleans)).
const QUOTE: &str = "\"";

/// Everything that the file of one environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Name of both objects.
    pub(crate) object_name: String,
    /// Name of the environment, `${EPHEMERAL_NAME}`.
    pub(crate) name: String,
    /// Namespace of the application, `${BRANCH_NAME}`.
    pub(crate) namespace: String,
    /// Namespace of both objects.
    pub(crate) flux_namespace: String,
    /// The pull request the instance belongs to.
    pub(crate) owner: Owner,
    /// Head branch, as it is.
    pub(crate) branch: String,
    /// Head commit when the command was given, 40 hexadecimal digits.
    pub(crate) commit: String,
    /// Login of the requester.
    pub(crate) requested_by: String,
    /// What Flux clones.
    pub(crate) url: String,
    /// Whether Flux stays on `commit` instead of following `branch`, which it has to where the branch cannot be followed.
    pub(crate) pinned: bool,
    /// Name of the Secret with Flux's Git credentials, in `flux_namespace`.
    pub(crate) secret_ref: Option<String>,
    /// How often Flux looks at the branch.
    pub(crate) interval: String,
    /// How long Flux waits for readiness.
    pub(crate) timeout: String,
    /// Directory of the overlay in the branch.
    pub(crate) overlay_path: String,
    /// More variables for the overlay.
    pub(crate) substitute: BTreeMap<String, String>,
    /// From when on it may go, if it may not stay until the pull request closes.
    pub(crate) expires: Option<DateTime<Utc>>,
    /// Has Flux report on the commit once more, though it may have seen nothing else change: a destroy and a deploy in quick
    /// succession are one to it.
    pub(crate) requested_at: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<&'a str>,
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
pub(crate) struct PostBuild<'a> {
    substitute: BTreeMap<&'a str, Variable>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Variable {
    Text(String),
    /// Written `'"'`, which is read back without a YAML parser; an escape in double quotes is not.
    Quote(SingleQuoted<&'static str>),
}

/// A time as [`Manifest::requested_at`] says it: no two commands have the same.
pub(crate) fn request_at(now: DateTime<Utc>) -> String {
    now.to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl Manifest {
    /// The file: two YAML documents, the same to the byte for the same manifest, ending in a newline.
    ///
    /// # Errors
    /// The serializer's, none of which a manifest is known to cause.
    pub(crate) fn render(&self) -> anyhow::Result<String> {
        let git_repository = Document {
            api_version: "source.toolkit.fluxcd.io/v1",
            kind: "GitRepository",
            metadata: self.metadata(),
            spec: GitRepositorySpec {
                interval: &self.interval,
                url: &self.url,
                r#ref: self.reference(),
                secret_ref: self.secret_ref.as_deref().map(|name| Named { name }),
            },
        };
        let mut requested = self.metadata();
        let requested_at = self.requested_at.clone();
        let requested_at = requested_at.map(|time| (REQUESTED_AT, time));
        requested.annotations.extend(requested_at);
        let kustomization = Document {
            api_version: "kustomize.toolkit.fluxcd.io/v1",
            kind: "Kustomization",
            metadata: requested,
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

    fn reference(&self) -> Reference<'_> {
        let is_followed = can_be_followed(&self.branch);
        Reference {
            branch: is_followed.then_some(&self.branch),
            commit: (self.pinned || !is_followed).then_some(&self.commit),
        }
    }

    fn metadata(&self) -> Metadata<'_> {
        let number = self.owner.pull_request.to_string();
        let id = self.owner.repository.id;
        let id = id.map(|id| (REPOSITORY_ID, id.to_string()));
        let expires = self.expires.map(|time| (EXPIRES, rfc3339(time)));
        let annotations = [
            (CHANGE_REQUEST, number.clone()),
            (REPOSITORY, self.owner.repository.name.clone()),
            (BRANCH, self.branch.clone()),
            (COMMIT, self.commit.clone()),
            (REQUESTED_BY, self.requested_by.clone()),
            (SUBSTITUTE, "disabled".to_owned()),
        ];
        Metadata {
            name: &self.object_name,
            namespace: &self.flux_namespace,
            labels: BTreeMap::from([
                (MANAGED_BY.0, MANAGED_BY.1.to_owned()),
                (PULL_REQUEST, number),
            ]),
            annotations: annotations.into_iter().chain(id).chain(expires).collect(),
        }
    }

    fn variables(&self) -> BTreeMap<&str, Variable> {
        let own = [
            Variable::Text(self.namespace.clone()),
            Variable::Text(self.name.clone()),
            Variable::Text(self.owner.pull_request.to_string()),
            Variable::Text(self.commit.clone()),
            Variable::Quote(SingleQuoted(QUOTE)),
        ];
        let given = self
            .substitute
            .iter()
            .map(|(variable, value)| (variable.as_str(), Variable::Text(value.clone())));
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
