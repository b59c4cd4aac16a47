//! Whether an environment is ready, as far as anybody knows.

use std::time::Duration;

/// What is known of whether an environment is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Nobody will know: Flux does not report to GitHub.
    Unreported,
    /// Flux has not said yet.
    ComingUp,
    /// The run that waited for Flux was cancelled.
    Unwatched,
    Ready,
    /// Flux could not bring it up, in Flux's words.
    Failed(String),
    /// Flux has not said so in time. Where GitHub did not let us look, its answer.
    Late {
        waited: Duration,
        answer: Option<String>,
    },
}

impl Readiness {
    /// The output `reason` of what Flux said, or did not say in time.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Readiness::Unreported | Readiness::ComingUp => "status-pending",
            Readiness::Ready => "flux-ready",
            Readiness::Failed(_) => "flux-failed",
            Readiness::Late { .. } => "not-ready-in-time",
            Readiness::Unwatched => "interrupted",
        }
    }
}

/// A commit status of Flux's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FluxStatus {
    /// GitHub's word for the state.
    pub(crate) state: String,
    pub(crate) description: String,
}
