//! The words that start a command.

/// The words that start a command, from the inputs `deploy-command` and `destroy-command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandWords {
    /// Deploys.
    pub(crate) deploy: String,
    /// Destroys.
    pub(crate) destroy: String,
}
