//! What Flux's commit status says of an environment, and when to look at it again.

use std::time::Duration;

use crate::model::instance::Instance;
use crate::model::names::OBJECT_PREFIX;
use crate::model::pull_request::{PullRequest, State};
use crate::model::readiness::{FluxStatus, Readiness};
use crate::model::sha::Sha;

/// What stands in front of an object's name in the context of Flux's commit status, as `commitStatusExpr` in
/// `k8s/report/provider.yaml` says it.
const CONTEXT_PREFIX: &str = "flux/";

/// How long a run looks often, and how often it looks then and later.
const OFTEN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(2));
const LATER: Duration = Duration::from_secs(10);

/// The context of Flux's commit status for an object.
pub(crate) fn status_context(object_name: &str) -> String {
    format!("{CONTEXT_PREFIX}{object_name}")
}

/// The object in the context of a commit status, where it is one of ours.
pub(crate) fn object_in(context: &str) -> Option<&str> {
    let object_name = context.strip_prefix(CONTEXT_PREFIX)?;
    let name = object_name.strip_prefix(OBJECT_PREFIX)?;
    (!name.is_empty()).then_some(object_name)
}

/// What the newest status of Flux's context on a commit says.
pub(crate) fn readiness(newest: Option<&FluxStatus>) -> Readiness {
    match newest {
        Some(status) if status.state == "success" => Readiness::Ready,
        Some(status) if matches!(status.state.as_str(), "failure" | "error") => {
            Readiness::Failed(status.description.clone())
        }
        _ => Readiness::ComingUp,
    }
}

/// How long to wait before the next look, this long after the first.
pub(crate) fn pause(waited: Duration) -> Duration {
    let (often, pause) = OFTEN;
    if waited < often { pause } else { LATER }
}

/// Whether a commit is the one that the pull request's environment is meant to run.
pub(crate) fn is_current(commit: &Sha, instance: &Instance, pull_request: &PullRequest) -> bool {
    let current = match &instance.pinned {
        Some(pinned) => pinned,
        None => pull_request.commit.as_str(),
    };
    pull_request.state == State::Open && current == commit.as_str()
}
