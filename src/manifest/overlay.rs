//! What a `kustomization.yaml` says: the namespace that it claims, and the files that it lists.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::manifest::as_flux_reads;

/// Returns the namespaces that an overlay's `kustomization.yaml` claims: none where it cannot be read.
///
/// kustomize takes a key in any case and reads on where YAML would not, so whatever may count for it counts here.
pub(crate) fn claimed_namespaces(kustomization: &[u8]) -> Vec<String> {
    let documents: Vec<BTreeMap<String, Claim>> = std::str::from_utf8(kustomization)
        .ok()
        .and_then(|text| serde_yaml::from_multiple_with_options(text, as_flux_reads()).ok())
        .unwrap_or_default();
    let claims = documents
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.eq_ignore_ascii_case("namespace"));
    claims
        .filter_map(|(_, claim)| match claim {
            Claim::Text(namespace) => Some(namespace.trim().to_owned()),
            Claim::Other(_) => None,
        })
        .collect()
}

/// Whether a `kustomization.yaml` has Flux apply a file beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Listed,
    NotListed,
    /// It cannot be read, or something else in it may bring the file in.
    Unclear,
}

/// Looks for a file among the resources of a `kustomization.yaml` in the same directory.
pub(crate) fn listing(kustomization: &[u8], file_name: &str) -> Listing {
    let document: Option<BTreeMap<String, Value>> = std::str::from_utf8(kustomization)
        .ok()
        .and_then(|text| serde_yaml::from_str_with_options(text, as_flux_reads()).ok());
    let Some(document) = document else {
        return Listing::Unclear;
    };
    let value = |name: &str| {
        let mut fields = document.iter();
        let field = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
        field
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    };
    let is_file = |entry: &Value| {
        let path = entry.as_str().unwrap_or_default();
        path.strip_prefix("./").unwrap_or(path) == file_name
    };
    match value("resources") {
        Some(Value::Array(entries)) if entries.iter().any(is_file) => Listing::Listed,
        Some(Value::Array(_)) | None
            if value("components").is_none() && value("generators").is_none() =>
        {
            Listing::NotListed
        }
        _ => Listing::Unclear,
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Claim {
    Text(String),
    Other(serde::de::IgnoredAny),
}
