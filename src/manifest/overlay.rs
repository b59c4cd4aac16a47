//! What an overlay claims.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::manifest::as_flux_reads;

/// The namespaces that an overlay's `kustomization.yaml` claims; none where it is no YAML.
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

#[derive(Deserialize)]
#[serde(untagged)]
enum Claim {
    Text(String),
    Other(serde::de::IgnoredAny),
}
