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
        // `error` is none of Flux's words: the action says so that nothing was deployed.
        Some(status) if status.state == "failure" => Readiness::Failed(status.description.clone()),
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
        Some(pinned) => Sha::parse(pinned),
        None => Some(pull_request.commit.clone()),
    };
    pull_request.state == State::Open && current.as_ref() == Some(commit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::tests::pull_request;
    use crate::manifest::read::read;
    use crate::manifest::tests::manifest;

    fn status(state: &str) -> FluxStatus {
        FluxStatus {
            state: state.to_owned(),
            description: "words".to_owned(),
        }
    }

    #[test]
    fn a_context_is_that_of_an_object_of_ours_or_of_none() {
        for (context, object) in [
            ("flux/ephemeral-dev", Some("ephemeral-dev")),
            (
                "flux/ephemeral-feature-x-0a1b2c3d",
                Some("ephemeral-feature-x-0a1b2c3d"),
            ),
            ("flux/ephemeral-", None),
            ("flux/app", None),
            ("ephemeral-dev", None),
            ("kustomization/ephemeral-dev/0a1b2c", None),
            (" flux/ephemeral-dev", None),
            ("", None),
        ] {
            assert_eq!(object_in(context), object, "{context}");
            if let Some(object) = object {
                assert_eq!(status_context(object), context);
            }
        }
    }

    #[test]
    fn a_state_is_ready_failed_or_not_known_yet() {
        let failed = || Readiness::Failed("words".to_owned());
        for (state, expected) in [
            ("success", Readiness::Ready),
            ("failure", failed()),
            ("error", Readiness::ComingUp),
            ("pending", Readiness::ComingUp),
            ("SUCCESS", Readiness::ComingUp),
            ("", Readiness::ComingUp),
        ] {
            assert_eq!(readiness(Some(&status(state))), expected, "{state}");
        }
        assert_eq!(readiness(None), Readiness::ComingUp);
    }

    #[test]
    fn it_looks_often_for_a_minute_and_then_every_ten_seconds() {
        let seconds = Duration::from_secs;
        for (waited, expected) in [(0, 2), (59, 2), (60, 10), (299, 10), (20_000, 10)] {
            assert_eq!(pause(seconds(waited)), seconds(expected), "{waited}");
        }
        let (mut waited, mut looks) = (Duration::ZERO, 1);
        while waited < seconds(300) {
            waited += pause(waited);
            looks += 1;
        }
        assert_eq!(looks, 1 + 30 + 24);
    }

    #[test]
    fn a_commit_is_current_where_the_environment_is_meant_to_run_it() {
        let (head, other) = (pull_request().commit, Sha::parse(&"e".repeat(40)).unwrap());
        let instance = |pinned: Option<&Sha>| Instance {
            pinned: pinned.map(Sha::to_string),
            ..read(manifest().render().unwrap().as_bytes()).unwrap()
        };
        let closed = PullRequest {
            state: State::Closed,
            ..pull_request()
        };
        for (commit, pinned, pull_request, expected) in [
            (&head, None, pull_request(), true),
            (&other, None, pull_request(), false),
            (&other, Some(&other), pull_request(), true),
            (&head, Some(&other), pull_request(), false),
            (&head, None, closed, false),
        ] {
            let instance = instance(pinned);
            assert_eq!(
                is_current(commit, &instance, &pull_request),
                expected,
                "{commit} {pinned:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_status_is_a_panic(context in "\\PC{0,30}|flux/\\PC{0,30}", state in "\\PC{0,9}") {
            let _ = (object_in(&context), readiness(Some(&status(&state))));
        }
    }
}
