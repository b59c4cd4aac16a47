//! Reads an instance's file back.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::manifest::as_flux_reads;
use crate::model::instance::{
    BRANCH, COMMIT, DeployedInstance, EXPIRES, Instance, MANAGED_BY, NAMESPACE_VARIABLE, Owner,
    PULL_REQUEST, REPOSITORY, REPOSITORY_ID, REQUESTED_AT, REQUESTED_BY,
};
use crate::model::repository::RepositoryIdentity;
use crate::model::ttl::Expiry;

#[derive(Deserialize)]
struct Read {
    #[serde(default, deserialize_with = "or_default")]
    metadata: ReadMetadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: ReadSpec,
}

#[derive(Deserialize, Default)]
struct ReadMetadata {
    #[serde(default, deserialize_with = "or_default")]
    labels: ReadStrings,
    #[serde(default, deserialize_with = "or_default")]
    annotations: ReadStrings,
}

type ReadStrings = BTreeMap<String, Option<String>>;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ReadSpec {
    #[serde(default, deserialize_with = "or_default")]
    post_build: ReadPostBuild,
    #[serde(default, deserialize_with = "or_default")]
    r#ref: ReadReference,
}

#[derive(Deserialize, Default)]
struct ReadReference {
    commit: Option<String>,
}

#[derive(Deserialize, Default)]
struct ReadPostBuild {
    #[serde(default, deserialize_with = "or_default")]
    substitute: ReadStrings,
}

/// Nothing where a value is missing, as Kubernetes reads it: a field emptied by hand does not make the file another's.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads the instance that the file at `path` describes. Returns `None` where it describes none.
pub(crate) fn deployed_at(path: &str, file: &[u8]) -> Option<DeployedInstance> {
    DeployedInstance::new(path, file, read(file)?)
}

/// Reads what a file in the instances directory says. Returns `None` for a file without our marker and an owner, which is
/// somebody else's.
pub(crate) fn read(file: &[u8]) -> Option<Instance> {
    let text = std::str::from_utf8(file).ok()?;
    let documents: Vec<Read> =
        serde_yaml::from_multiple_with_options(text, as_flux_reads()).ok()?;
    let owner = documents.iter().find_map(Read::owner)?;
    let annotation = |key: &str| {
        documents
            .iter()
            .find_map(|document| document.metadata.annotations.get(key)?.clone())
    };
    let namespace = documents
        .iter()
        .find_map(|document| {
            let substitute = &document.spec.post_build.substitute;
            substitute.get(NAMESPACE_VARIABLE)?.clone()
        })
        .unwrap_or_default();
    Some(Instance {
        owner,
        namespace,
        branch: annotation(BRANCH).unwrap_or_default(),
        commit: annotation(COMMIT).unwrap_or_default(),
        pinned: documents
            .iter()
            .find_map(|document| document.spec.r#ref.commit.clone()),
        requested_by: annotation(REQUESTED_BY).unwrap_or_default(),
        requested_at: annotation(REQUESTED_AT),
        expires: annotation(EXPIRES).map_or(Expiry::Never, |text| Expiry::read(&text)),
    })
}

/// What a file has Flux apply: of each document what it is, its name and its `spec`, without labels and annotations. Flux
/// does nothing anew where two files agree in it. `None` for what is not YAML.
pub(crate) fn applied(file: &[u8]) -> Option<Vec<Applied>> {
    let text = std::str::from_utf8(file).ok()?;
    serde_yaml::from_multiple_with_options(text, as_flux_reads()).ok()
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applied {
    #[serde(default)]
    api_version: Value,
    #[serde(default)]
    kind: Value,
    #[serde(default)]
    metadata: AppliedMetadata,
    #[serde(default)]
    spec: Value,
}

#[derive(Deserialize, PartialEq, Default)]
struct AppliedMetadata {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    namespace: Value,
}

impl Read {
    fn owner(&self) -> Option<Owner> {
        let label = |key: &str| self.metadata.labels.get(key)?.as_deref();
        if label(MANAGED_BY.0)? != MANAGED_BY.1 {
            return None;
        }
        let annotation = |key: &str| self.metadata.annotations.get(key)?.as_deref();
        let id = annotation(REPOSITORY_ID).and_then(|id| id.parse().ok());
        Some(Owner {
            repository: RepositoryIdentity::new(annotation(REPOSITORY)?, id),
            pull_request: label(PULL_REQUEST)?.parse().ok()?,
        })
    }
}
