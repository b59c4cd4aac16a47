//! An environment as YAML: the Flux `GitRepository` and `Kustomization` that bring it up, and the same file read back.

pub(crate) mod overlay;
pub(crate) mod read;
pub(crate) mod render;
pub(crate) mod search;
#[cfg(test)]
pub(crate) mod tests;

/// A key that stands twice is an error to YAML and none to kustomize and Flux, for which the last one counts.
fn as_flux_reads() -> serde_yaml::Options {
    let mut options = serde_yaml::Options::default();
    options.duplicate_keys = serde_yaml::options::DuplicateKeyPolicy::LastWins;
    options
}
