//! The words of each message, as a person reads them. `cargo insta test --accept` takes over a change of wording.

use std::time::Duration;

use insta::assert_snapshot;

use crate::decide::refusal::Refusal;
use crate::decide::sweep::tests::removal;
use crate::decide::sweep::{Reason, Removal, Unresolved};
use crate::decide::tests::{now, refusals};
use crate::message::context::{Context, ended_in_short};
use crate::message::deploy::{
    Cause, Deployed, deployed, destroyed, destroyed_by_another, nothing_to_destroy,
};
use crate::message::failure::{failed, sweep_failed};
use crate::message::readiness::{Place, error, in_short};
use crate::message::refusal::refused;
use crate::message::sections::Message;
use crate::message::summary::summary;
use crate::message::sweep::{sweep_summary, swept, swept_in_short};
use crate::message::tests::{context, environment, failures, gone};
use crate::message::warning::{self, StopReason};
use crate::model::failure::Failure;
use crate::model::notification::Channel;
use crate::model::readiness::Readiness;
use crate::model::ttl::tests::at;

fn closed() -> Context {
    Context {
        is_open: false,
        ..context()
    }
}

fn text(message: &Message) -> &str {
    message.text()
}

#[test]
fn a_deployment() {
    assert_snapshot!(deployed(&context(), &environment()).body(None), @"
    <!-- flux-ephemeral-env -->
    <!-- state 0123456789abcdef -->
    ### 🟡 Flux is bringing `pr-dev` up

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.
    - Flux does not report here, so this comment does not say when it is ready: `flux get kustomizations ephemeral-dev` does.
    - Flux picks up a push to the branch within 1m0s.
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    <!-- /state -->
    ");
}

#[test]
fn a_deployment_that_changes_nothing() {
    assert_snapshot!(text(&deployed(&context(), &Deployed { cause: Cause::Unchanged, environment_url: None, ..environment() })), @"
    ### 🟡 `pr-dev` is deployed already: nothing changed

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Change** | [file](<https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux does not report here, so this comment does not say when it is ready: `flux get kustomizations ephemeral-dev` does.
    - Flux picks up a push to the branch within 1m0s.
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
}

#[test]
fn a_pinned_deployment_in_place_of_another() {
    assert_snapshot!(text(&deployed(&context(), &Deployed { place: Place { is_pinned: true, ..environment().place }, replaced: vec!["pr-old".to_owned(), String::new()], ..environment() })), @"
    ### 🟡 Flux is bringing `pr-dev` up

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Replaces** | `pr-old` |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.
    - Flux does not report here, so this comment does not say when it is ready: `flux get kustomizations ephemeral-dev` does.
    - The environment stays on this commit. To move it to the newest one, comment `/deploy-ephemeral`.
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
}

#[test]
fn a_deployment_by_label() {
    assert_snapshot!(text(&deployed(&Context { label: Some("pre`view".to_owned()), ..context() }, &environment())), @"
    ### 🟡 Flux is bringing `pr-dev` up

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.
    - Flux does not report here, so this comment does not say when it is ready: `flux get kustomizations ephemeral-dev` does.
    - Flux picks up a push to the branch within 1m0s.
    - To destroy it, comment `/destroy-ephemeral`, remove the label ``pre`view`` or close the pull request.

    </details>
    ");
}

#[test]
fn a_deployment_that_expires() {
    assert_snapshot!(text(&deployed(&context(), &Deployed { expires: Some(at("2026-03-02T12:00:00Z")), ..environment() })), @"
    ### 🟡 Flux is bringing `pr-dev` up

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Expires** | 2026-03-02 12:00 UTC, in 3 days |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.
    - Flux does not report here, so this comment does not say when it is ready: `flux get kustomizations ephemeral-dev` does.
    - Flux picks up a push to the branch within 1m0s.
    - The next sweep after its expiry destroys it. To keep it, comment `/deploy-ephemeral ttl=72h` (72 hours from that comment) or `/deploy-ephemeral ttl=never` (until the pull request closes).
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
}

#[test]
fn a_deployment_that_has_expired() {
    assert_snapshot!(text(&deployed(&context(), &Deployed { expires: Some(at("2026-02-27T12:00:00Z")), ..environment() })), @"
    ### 🟡 Flux is bringing `pr-dev` up

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Expires** | 2026-02-27 12:00 UTC: the next sweep destroys it |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.
    - Flux does not report here, so this comment does not say when it is ready: `flux get kustomizations ephemeral-dev` does.
    - Flux picks up a push to the branch within 1m0s.
    - The next sweep after its expiry destroys it. To keep it, comment `/deploy-ephemeral ttl=72h` (72 hours from that comment) or `/deploy-ephemeral ttl=never` (until the pull request closes).
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
}

#[test]
fn a_removal() {
    assert_snapshot!(destroyed(&context(), &gone()).body(None), @"
    <!-- flux-ephemeral-env -->
    <!-- state e3b0c44298fc1c14 -->
    ### ⚪ Flux is removing `pr-dev`, `pr-old`

    To deploy again, comment `/deploy-ephemeral`.

    | **Namespace** | `pr-dev`, `pr-old` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    </details>
    <!-- /state -->
    ");
}

#[test]
fn a_removal_after_the_close() {
    assert_snapshot!(text(&destroyed(&closed(), &gone())), @"
    ### ⚪ Flux is removing `pr-dev`, `pr-old`

    To deploy again, reopen the pull request and comment `/deploy-ephemeral`.

    | **Namespace** | `pr-dev`, `pr-old` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    </details>
    ");
}

#[test]
fn nothing_to_remove() {
    assert_snapshot!(text(&nothing_to_destroy(&context())), @"
    ### ⚪ Nothing to destroy: this pull request has no environment

    To deploy again, comment `/deploy-ephemeral`.

    There is no file for it on `main` · [run](<https://github.com/octo/app/actions/runs/42>)
    ");
    assert_snapshot!(text(&nothing_to_destroy(&closed())), @"
    ### ⚪ Nothing to destroy: this pull request has no environment

    To deploy again, reopen the pull request and comment `/deploy-ephemeral`.

    There is no file for it on `main` · [run](<https://github.com/octo/app/actions/runs/42>)
    ");
}

#[test]
fn another_run_that_deployed() {
    assert_snapshot!(text(&deployed(&context(), &by_another())), @"
    ### 🟡 Flux is bringing `pr-dev` up

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `otto` |
    | **Expires** | 2026-03-02 12:00 UTC, in 3 days |
    | **Change** | [file](<https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Another run for this pull request deployed it at the same time, as `otto` requested.
    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.
    - Flux does not report here, so this comment does not say when it is ready: `flux get kustomizations ephemeral-dev` does.
    - Flux picks up a push to the branch within 1m0s.
    - The next sweep after its expiry destroys it. To keep it, comment `/deploy-ephemeral ttl=72h` (72 hours from that comment) or `/deploy-ephemeral ttl=never` (until the pull request closes).
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
}

fn by_another() -> Deployed {
    Deployed {
        cause: Cause::AnotherRun,
        requested_by: "otto".to_owned(),
        expires: Some(at("2026-03-02T12:00:00Z")),
        ..environment()
    }
}

fn flux_says(readiness: Readiness) -> Deployed {
    Deployed {
        cause: Cause::Reported,
        readiness,
        ..environment()
    }
}

#[test]
fn an_environment_that_flux_reports_on() {
    let coming = Deployed {
        readiness: Readiness::ComingUp,
        ..environment()
    };
    assert_snapshot!(text(&deployed(&context(), &coming)), @"
    ### 🟡 Flux is bringing `pr-dev` up

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.
    - Flux reports to this pull request, also after each push. `flux get kustomizations ephemeral-dev` shows more.
    - Flux picks up a push to the branch within 1m0s.
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
    let unwatched = Deployed {
        readiness: Readiness::Unwatched,
        ..environment()
    };
    assert_snapshot!(text(&deployed(&context(), &unwatched)), @"
    ### 🟡 Flux is bringing `pr-dev` up

    The run that waited for Flux was cancelled. The environment stays, and Flux goes on.

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready.
    - Flux reports to this pull request, also after each push. `flux get kustomizations ephemeral-dev` shows more.
    - Flux picks up a push to the branch within 1m0s.
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
}

#[test]
fn an_environment_that_is_ready() {
    assert_snapshot!(text(&deployed(&context(), &flux_says(Readiness::Ready))), @"
    ### 🟢 `pr-dev` is ready

    **[Open pr-dev.example.com](<https://pr-dev.example.com>)**

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Change** | [file](<https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux reports to this pull request, also after each push. `flux get kustomizations ephemeral-dev` shows more.
    - Flux picks up a push to the branch within 1m0s.
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
}

/// Each of Flux's reasons, and words of somebody else's.
#[test]
fn an_environment_that_flux_could_not_bring_up() {
    let words = [
        "build failed",
        "health check failed",
        "artifact failed",
        "reconciliation failed",
        "prune failed",
        "dependency not ready",
        "<b>`@mallory`",
    ];
    let messages = words.map(|words| {
        let failed = flux_says(Readiness::Failed(words.to_owned()));
        let message = deployed(&context(), &failed);
        let text = text(&message).split("\n\nOnce").next().unwrap_or_default();
        format!("{text}\n")
    });
    assert_snapshot!(messages.join("\n"), @"
    ### 🔴 `pr-dev` is not ready: build failed

    This usually means that kustomize cannot build the overlay, or that a variable in it has no value.

    **What to do:** run `kubectl kustomize k8s/overlay` on the branch. `flux get kustomizations ephemeral-dev` shows Flux's own message. Then push a fix: Flux picks it up by itself. [More about this](<https://github.com/octo/action/blob/v1/help.md#flux-failed>).

    ### 🔴 `pr-dev` is not ready: health check failed

    This usually means that a pod crashes, or that its image cannot be pulled.

    **What to do:** look at the pods: `kubectl -n pr-dev get pods`. `flux get kustomizations ephemeral-dev` names what is not ready. Then push a fix: Flux picks it up by itself. [More about this](<https://github.com/octo/action/blob/v1/help.md#flux-failed>).

    ### 🔴 `pr-dev` is not ready: artifact failed

    This usually means that the commit has no directory of the overlay's name, or that Flux could not fetch the branch.

    **What to do:** check that `k8s/overlay` is on the branch, and that Flux can fetch it: `flux get sources git ephemeral-dev`. `flux get kustomizations ephemeral-dev` shows Flux's own message. Then push a fix: Flux picks it up by itself. [More about this](<https://github.com/octo/action/blob/v1/help.md#flux-failed>).

    ### 🔴 `pr-dev` is not ready: reconciliation failed

    This usually means that the Kubernetes API refuses something in the overlay, or that Flux may not apply it.

    **What to do:** run `flux get kustomizations ephemeral-dev`, which shows Flux's own message. Then push a fix: Flux picks it up by itself. [More about this](<https://github.com/octo/action/blob/v1/help.md#flux-failed>).

    ### 🔴 `pr-dev` is not ready: prune failed

    This usually means that Flux could not remove something that the overlay no longer has.

    **What to do:** run `flux get kustomizations ephemeral-dev`, which shows Flux's own message. Then push a fix: Flux picks it up by itself. [More about this](<https://github.com/octo/action/blob/v1/help.md#flux-failed>).

    ### 🔴 `pr-dev` is not ready: dependency not ready

    This usually means that something that the environment depends on (`dependsOn`) is not ready.

    **What to do:** run `flux get kustomizations ephemeral-dev`, which shows Flux's own message. Then push a fix: Flux picks it up by itself. [More about this](<https://github.com/octo/action/blob/v1/help.md#flux-failed>).

    ### 🔴 `pr-dev` is not ready: `` <b>`@mallory` ``

    Flux could not bring the environment up.

    **What to do:** run `flux get kustomizations ephemeral-dev`, which shows Flux's own message. Then push a fix: Flux picks it up by itself. [More about this](<https://github.com/octo/action/blob/v1/help.md#flux-failed>).
    ");
    let elsewhere = Deployed {
        place: Place {
            flux_namespace: "flux".to_owned(),
            ..environment().place
        },
        ..flux_says(Readiness::Failed("build failed".to_owned()))
    };
    assert!(
        text(&deployed(&context(), &elsewhere))
            .contains("`flux get kustomizations ephemeral-dev -n flux`")
    );
    let pinned = Deployed {
        place: Place {
            is_pinned: true,
            ..environment().place
        },
        ..flux_says(Readiness::Failed("build failed".to_owned()))
    };
    let told = deployed(&context(), &pinned);
    for words in [
        "Then push a fix and comment `/deploy-ephemeral`. ",
        "Flux reports to this pull request. ",
    ] {
        assert!(text(&told).contains(words), "{}", text(&told));
    }
}

#[test]
fn an_environment_that_is_not_ready_in_time() {
    let late = |answer: Option<&str>| {
        flux_says(Readiness::Late {
            waited: Duration::from_secs(90),
            answer: answer.map(str::to_owned),
        })
    };
    assert_snapshot!(text(&deployed(&context(), &late(None))), @"
    ### 🔴 `pr-dev` is not ready yet

    Flux has not said within 1m30s whether it is ready.

    **What to do:** see whether Flux could fetch the branch, which it reports nowhere: `flux get sources git ephemeral-dev`. Then run `flux get kustomizations ephemeral-dev`. If the environment is ready there, Flux does not report to GitHub. [More about this](<https://github.com/octo/action/blob/v1/help.md#not-ready-in-time>).

    Once it is ready, it is at **[pr-dev.example.com](<https://pr-dev.example.com>)**.

    | **Namespace** | `pr-dev` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Requested by** | `rita` |
    | **Change** | [file](<https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux reports to this pull request, also after each push. `flux get kustomizations ephemeral-dev` shows more.
    - Flux picks up a push to the branch within 1m0s.
    - To destroy it, comment `/destroy-ephemeral` or close the pull request.

    </details>
    ");
    let message = deployed(&context(), &late(Some("403: no")));
    let (top, _) = text(&message).split_once("\n\nOnce").unwrap();
    assert_snapshot!(top, @"
    ### 🔴 `pr-dev` is not ready yet

    Nobody can tell whether it is ready, for GitHub did not answer as it should:

    ```text
    403: no
    ```

    **What to do:** see whether Flux could fetch the branch, which it reports nowhere: `flux get sources git ephemeral-dev`. Then run `flux get kustomizations ephemeral-dev`. If the environment is ready there, Flux does not report to GitHub. [More about this](<https://github.com/octo/action/blob/v1/help.md#not-ready-in-time>).
    ");
}

#[test]
fn readiness_in_short_and_why_a_job_fails() {
    let late = |answer: Option<&str>| Readiness::Late {
        waited: Duration::from_secs(3_661),
        answer: answer.map(str::to_owned),
    };
    let all = [
        Readiness::Unreported,
        Readiness::ComingUp,
        Readiness::Unwatched,
        Readiness::Ready,
        Readiness::Failed("build failed".to_owned()),
        late(None),
        late(Some("403: no")),
    ];
    let lines = all.iter().map(|readiness| {
        let error = error(readiness, "pr-dev", &"a".repeat(40));
        format!(
            "{} | {}\n",
            in_short(readiness, "pr-dev"),
            error.unwrap_or_default()
        )
    });
    assert_snapshot!(lines.collect::<String>(), @"
    Flux is bringing pr-dev up | 
    Flux is bringing pr-dev up | 
    The run that waited for Flux was cancelled | the run was cancelled while it waited for Flux; the environment pr-dev stays
    pr-dev is ready | 
    Flux: build failed | Flux could not bring pr-dev up at aaaaaaa: build failed; the environment stays
    Not ready within 1h1m1s | Flux has not said within 1h1m1s that pr-dev is ready at aaaaaaa; the environment stays
    Cannot tell whether pr-dev is ready | cannot tell whether pr-dev is ready at aaaaaaa: 403: no; the environment stays
    ");
}

#[test]
fn another_run_that_destroyed() {
    assert_snapshot!(text(&destroyed_by_another(&context())), @"
    ### ⚪ Flux is removing the environment

    To deploy again, comment `/deploy-ephemeral`.

    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | :-- | :-- |
    | **Seen by** | [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Another run for this pull request destroyed it at the same time.
    - Flux polls `main` every minute by default, or immediately when a webhook notifies it.

    </details>
    ");
}

#[test]
fn a_sweep_after_a_close() {
    assert_snapshot!(text(&swept(&closed(), Reason::Closed, &gone())), @"
    ### ⚪ A sweep destroyed the environment: closed

    The pull request was closed, but its environment was still there. To deploy again, reopen the pull request and comment `/deploy-ephemeral`.

    | **Namespace** | `pr-dev`, `pr-old` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    </details>
    ");
}

#[test]
fn a_sweep_after_a_fork_was_deleted() {
    assert_snapshot!(text(&swept(&context(), Reason::HeadDeleted, &gone())), @"
    ### ⚪ A sweep destroyed the environment: head deleted

    The repository of the head branch was deleted. To deploy again, push the branch to this repository, open a pull request from there and comment `/deploy-ephemeral`.

    | **Namespace** | `pr-dev`, `pr-old` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    </details>
    ");
}

#[test]
fn a_sweep_after_the_expiry() {
    assert_snapshot!(text(&swept(&context(), Reason::Expired(now()), &gone())), @"
    ### ⚪ A sweep destroyed the environment: expired

    It expired at 2026-02-27 12:00 UTC. To deploy again, comment `/deploy-ephemeral`, or `/deploy-ephemeral ttl=72h` to keep it for 72 hours.

    | **Namespace** | `pr-dev`, `pr-old` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    </details>
    ");
}

fn removals() -> Vec<Removal> {
    vec![
        removal("dev", 7, Reason::Closed),
        removal("pre`view", 9, Reason::HeadDeleted),
    ]
}

#[test]
fn the_summary_of_a_sweep() {
    assert_snapshot!(text(&sweep_summary(&removals(), true, 0)), @"
    ### 🧹 Environments destroyed: 2

    - `dev`, pull request 7: closed
    - ``pre`view``, pull request 9: head-deleted
    ");
    assert_snapshot!(text(&sweep_summary(&removals(), false, 2)), @"
    ### 🧹 Environments that would be destroyed: 2

    - `dev`, pull request 7: closed
    - ``pre`view``, pull request 9: head-deleted

    Some environments were kept because it is unclear whether they should go: see the warnings (2).
    ");
    assert_snapshot!(text(&sweep_summary(&[], true, 0)), @"### 🧹 Nothing to destroy");
    assert_snapshot!(text(&sweep_summary(&[], true, 2)), @"
    ### 🧹 Nothing was destroyed

    Some environments were kept because it is unclear whether they should go: see the warnings (2).
    ");
}

#[test]
fn the_summary_of_a_sweep_names_two_hundred() {
    let many: Vec<Removal> = (0..202)
        .map(|_| removal("dev", 7, Reason::Closed))
        .collect();
    let summary = sweep_summary(&many, true, 0);
    assert!(
        text(&summary).ends_with("closed\n- and 2 more"),
        "{}",
        text(&summary)
    );
    assert_eq!(text(&summary).lines().count(), 2 + 200 + 1);
}

/// Every refusal, each below its reason.
#[test]
fn every_refusal() {
    let refusals = refusals("`sam`");
    let messages = refusals.iter().map(|refusal| {
        format!(
            "{}\n{}\n",
            refusal.code(),
            text(&refused(&context(), refusal))
        )
    });
    assert_snapshot!(messages.collect::<Vec<_>>().join("\n"), @"
    unknown-argument
    ### 🚫 Refused: unknown argument

    `` `sam` `` is not a valid argument.

    **What to do:** write `` `sam` ``.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#unknown-argument>) · [run](<https://github.com/octo/app/actions/runs/42>)

    repeated-argument
    ### 🚫 Refused: repeated argument

    `` `sam` `` is one argument too many: give at most one commit and one TTL.

    **What to do:** write `` `sam` ``.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#repeated-argument>) · [run](<https://github.com/octo/app/actions/runs/42>)

    bad-ttl
    ### 🚫 Refused: bad ttl

    `` `sam` `` is not a valid TTL: give a duration from `1s` to ten years, like `72h` or `1h30m` (units s, m, h), or `never`.

    **What to do:** write `` `sam` ``.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#bad-ttl>) · [run](<https://github.com/octo/app/actions/runs/42>)

    limit-reached
    ### 🚫 Refused: limit reached

    `max-environments` is 2. These environments exist: `` `sam` `` (pull request 3), `` `sam` `` (pull request 5).

    **What to do:** comment `/destroy-ephemeral` on a pull request that no longer needs its environment (the oldest is pull request 3, with `` `sam` ``), or raise the input `max-environments`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#limit-reached>) · [run](<https://github.com/octo/app/actions/runs/42>)

    not-permitted
    ### 🚫 Refused: not permitted

    `` `sam` `` has the permission `read` on this repository, and the command needs `write`.

    **What to do:** ask somebody with `write` to comment, or lower the input `allowed-permission`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#not-permitted>) · [run](<https://github.com/octo/app/actions/runs/42>)

    permission-unknown
    ### 🚫 Refused: permission unknown

    GitHub gave no clear answer about the permission of `` `sam` `` on this repository, which counts as no:

    ```text
    `sam`
    ```

    **What to do:** comment again in a minute. If that does not help, set the input `token` to a token that may read the repository's collaborators.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#permission-unknown>) · [run](<https://github.com/octo/app/actions/runs/42>)

    pull-request-is-closed
    ### 🚫 Refused: pull request is closed

    The pull request is closed.

    **What to do:** reopen it, then comment `/deploy-ephemeral`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#pull-request-is-closed>) · [run](<https://github.com/octo/app/actions/runs/42>)

    branch-is-watched
    ### 🚫 Refused: branch is watched

    The head branch of this pull request is `` `sam` ``, the branch that the action commits to. Each deploy would move the head, and so ask for another deploy.

    **What to do:** set the input `branch` to a separate branch for the instances, and let Flux watch it.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#branch-is-watched>) · [run](<https://github.com/octo/app/actions/runs/42>)

    fork-not-allowed
    ### 🚫 Refused: fork not allowed

    The pull request comes from a fork. Forks are not allowed here, because their code would run in the cluster.

    **What to do:** push the branch to this repository and open a pull request from there, or set the input `allow-forks` to `true`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#fork-not-allowed>) · [run](<https://github.com/octo/app/actions/runs/42>)

    head-repository-deleted
    ### 🚫 Refused: head repository deleted

    The repository of the head branch was deleted.

    **What to do:** push the branch to this repository and open a pull request from there.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#head-repository-deleted>) · [run](<https://github.com/octo/app/actions/runs/42>)

    fork-url-not-https
    ### 🚫 Refused: fork url not https

    The fork cannot be cloned over https: its URL is `` `sam` ``.

    **What to do:** push the branch to this repository and open a pull request from there.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#fork-url-not-https>) · [run](<https://github.com/octo/app/actions/runs/42>)

    branch-has-moved
    ### 🚫 Refused: branch has moved

    The branch has moved: its head is `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`, not `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb`.

    **What to do:** look at what was pushed, then comment `/deploy-ephemeral aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#branch-has-moved>) · [run](<https://github.com/octo/app/actions/runs/42>)

    fork-pushed-since
    ### 🚫 Refused: fork pushed since

    The fork was pushed to after the command, so its head may be a commit that nobody has looked at.

    **What to do:** look at `aaaaaaa`, then comment `/deploy-ephemeral aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#fork-pushed-since>) · [run](<https://github.com/octo/app/actions/runs/42>)

    namespace-protected
    ### 🚫 Refused: namespace protected

    The namespace `` `sam` `` is protected.

    **What to do:** rename the branch, or set the input `namespace-prefix`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#namespace-protected>) · [run](<https://github.com/octo/app/actions/runs/42>)

    namespace-claimed
    ### 🚫 Refused: namespace claimed

    The namespace `` `sam` `` belongs to the overlay `` `sam` ``.

    **What to do:** rename the branch, or set the input `namespace-prefix`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#namespace-claimed>) · [run](<https://github.com/octo/app/actions/runs/42>)

    namespace-taken
    ### 🚫 Refused: namespace taken

    The namespace `` `sam` `` belongs to the environment of pull request 7 of `` `sam` ``.

    **What to do:** close that pull request or comment `/destroy-ephemeral` on it, or rename this branch.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#namespace-taken>) · [run](<https://github.com/octo/app/actions/runs/42>)

    owned-by-another-pull-request
    ### 🚫 Refused: owned by another pull request

    The file `` `sam` `` belongs to pull request 7 of `` `sam` ``.

    **What to do:** close that pull request or comment `/destroy-ephemeral` on it, then comment `/deploy-ephemeral` here.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#owned-by-another-pull-request>) · [run](<https://github.com/octo/app/actions/runs/42>)

    instances-not-listed
    ### 🚫 Refused: instances not listed

    Flux would not apply `` `sam` ``, because `` `sam` `` on `main` does not list it.

    **What to do:** remove `` `sam` ``: without it, Flux applies every YAML file in the directory. What it changes in the instances goes into `spec.patches` of the Kustomization that applies the directory.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#instances-not-listed>) · [run](<https://github.com/octo/app/actions/runs/42>)

    file-not-ours
    ### 🚫 Refused: file not ours

    There is already something at `` `sam` `` on `main` that this action did not create, so the action leaves it alone.

    **What to do:** move that file, rename the branch, or set the input `instances-path`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#file-not-ours>) · [run](<https://github.com/octo/app/actions/runs/42>)
    ");
}

#[test]
fn a_limit_with_many_environments() {
    let refusal = Refusal::LimitReached {
        limit: 2,
        instances: (1..=12)
            .map(|number| (format!("b{number}"), number))
            .collect(),
    };
    assert_snapshot!(text(&refused(&context(), &refusal)), @"
    ### 🚫 Refused: limit reached

    `max-environments` is 2. These environments exist: `b1` (pull request 1), `b2` (pull request 2), `b3` (pull request 3), `b4` (pull request 4), `b5` (pull request 5), `b6` (pull request 6), `b7` (pull request 7), `b8` (pull request 8), `b9` (pull request 9), `b10` (pull request 10) and 2 more.

    **What to do:** comment `/destroy-ephemeral` on a pull request that no longer needs its environment (the oldest is pull request 1, with `b1`), or raise the input `max-environments`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#limit-reached>) · [run](<https://github.com/octo/app/actions/runs/42>)
    ");
}

/// Every failure, each below its reason.
#[test]
fn every_failure() {
    let failures = failures("the server's words");
    let messages = failures.iter().map(|failure| {
        format!(
            "{}\n{}\n",
            failure.code(),
            text(&failed(&context(), failure))
        )
    });
    assert_snapshot!(messages.collect::<Vec<_>>().join("\n"), @"
    push-rejected
    ### 🔴 Failed: push rejected

    The server rejected the push to `main`:

    ```text
    the server's words
    ```

    **What to do:** set the input `token` to the token of a GitHub App that may bypass the rules of `main`, or set the input `branch` to a branch without such rules.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#push-rejected>) · [run](<https://github.com/octo/app/actions/runs/42>)

    push-forbidden
    ### 🔴 Failed: push forbidden

    The Git server refused the token:

    ```text
    the server's words
    ```

    **What to do:** add this to the workflow's job, or set the input `token` to a token that may push:

    ```yaml
    permissions:
      contents: write
    ```

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#push-forbidden>) · [run](<https://github.com/octo/app/actions/runs/42>)

    branch-missing
    ### 🔴 Failed: branch missing

    The target branch does not exist:

    ```text
    the server's words
    ```

    **What to do:** set the input `branch` to the branch that Flux watches.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#branch-missing>) · [run](<https://github.com/octo/app/actions/runs/42>)

    push-timeout
    ### 🔴 Failed: push timeout

    Git did not finish within 60s, so the change may not have landed. The last response was:

    ```text
    the server's words
    ```

    **What to do:** give the command again. If this repeats, raise the input `push-timeout`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#push-timeout>) · [run](<https://github.com/octo/app/actions/runs/42>)

    interrupted
    ### 🔴 Failed: interrupted

    The run was cancelled, so the change may not have landed.

    **What to do:** give the command again.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#interrupted>) · [run](<https://github.com/octo/app/actions/runs/42>)

    github-refused
    ### 🔴 Failed: github refused

    GitHub refused the token:

    ```text
    the server's words
    ```

    **What to do:** add this to the workflow's job, or set the input `token` to a token that may read pull requests:

    ```yaml
    permissions:
      pull-requests: write
    ```

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#github-refused>) · [run](<https://github.com/octo/app/actions/runs/42>)

    github-failed
    ### 🔴 Failed: github failed

    GitHub's API gave no usable answer:

    ```text
    the server's words
    ```

    **What to do:** give the command again.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#github-failed>) · [run](<https://github.com/octo/app/actions/runs/42>)

    git-failed
    ### 🔴 Failed: git failed

    Something broke:

    ```text
    the server's words
    ```

    **What to do:** give the command again.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#git-failed>) · [run](<https://github.com/octo/app/actions/runs/42>)
    ");
}

#[test]
fn a_failure_after_the_close_and_without_the_head() {
    assert_snapshot!(text(&failed(&Context { head: None, ..closed() }, &Failure::Interrupted)), @"
    ### 🔴 Failed: interrupted

    The run was cancelled, so the change may not have landed.

    **What to do:** comment `/destroy-ephemeral`.

    Pull request 7 · [More about this](<https://github.com/octo/action/blob/v1/help.md#interrupted>) · [run](<https://github.com/octo/app/actions/runs/42>)
    ");
}

#[test]
fn a_sweep_that_fails() {
    assert_snapshot!(text(&sweep_failed("main", "https://github.com/octo/action/blob/v1/help.md", &Failure::Interrupted)), @"
    ### 🔴 The sweep failed

    The run was cancelled, so the change may not have landed.

    **What to do:** run this job again, or leave it to the next sweep.

    [More about this](<https://github.com/octo/action/blob/v1/help.md#interrupted>)
    ");
}

#[test]
fn a_refusal_below_which_the_environment_is_known() {
    assert_snapshot!(refused(&context(), &Refusal::Closed).body(Some(&destroyed(&context(), &gone()).body(None))), @"
    <!-- flux-ephemeral-env -->
    <!-- state e3b0c44298fc1c14 -->
    ### ⚪ Flux is removing `pr-dev`, `pr-old`

    To deploy again, comment `/deploy-ephemeral`.

    | **Namespace** | `pr-dev`, `pr-old` |
    | :-- | :-- |
    | **Branch** | `dev` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>) |
    | **Change** | [commit](<https://github.com/octo/app/commit/c0ffee>) on `main` · [run](<https://github.com/octo/app/actions/runs/42>) |

    <details><summary>What happens next, and where to look</summary>

    - Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    </details>
    <!-- /state -->

    ---

    ### 🚫 Refused: pull request is closed

    The pull request is closed.

    **What to do:** reopen it, then comment `/deploy-ephemeral`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#pull-request-is-closed>) · [run](<https://github.com/octo/app/actions/runs/42>)
    ");
}

#[test]
fn descriptions_of_the_commit_status() {
    assert_snapshot!(ended_in_short("Refused", "branch-has-moved"), @"Refused: branch has moved");
    assert_snapshot!(swept_in_short(Reason::HeadDeleted), @"Destroyed by a sweep: head deleted");
}

#[test]
fn the_job_summary() {
    assert_snapshot!(summary(&[("decision", "refuse".to_owned()), ("name", String::new())], Some(&refused(&context(), &Refusal::Closed))), @"
    ## flux-ephemeral-env

    ### 🚫 Refused: pull request is closed

    The pull request is closed.

    **What to do:** reopen it, then comment `/deploy-ephemeral`.

    `dev` at `aaaaaaa` · [More about this](<https://github.com/octo/action/blob/v1/help.md#pull-request-is-closed>) · [run](<https://github.com/octo/app/actions/runs/42>)

    - decision: `refuse`
    ");
    assert_snapshot!(summary(&[("decision", "none".to_owned())], None), @"
    ## flux-ephemeral-env

    - decision: `none`
    ");
}

fn unclear(pull_requests: Vec<u64>) -> String {
    warning::unresolved(&Unresolved::Unclear {
        words: "404".to_owned(),
        pull_requests,
    })
}

#[test]
fn warnings_about_what_stays() {
    assert_snapshot!(unclear(vec![7, 9]), @"kept the environments of these pull requests, because GitHub did not say whether they are closed: 7, 9 (404)");
    assert_snapshot!(unclear((1..=12).collect()), @"kept the environments of these pull requests, because GitHub did not say whether they are closed: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more (404)");
    assert_snapshot!(warning::unresolved(&Unresolved::Unreadable { path: "i/sync-dev.yaml".to_owned(), text: "so\non".to_owned() }), @r#"kept i/sync-dev.yaml: its annotation `flux-ephemeral-env/expires` is "so\non", which is not a valid RFC 3339 timestamp; deploy it again or destroy it"#);
}

#[test]
fn warnings_about_what_a_sweep_did_not_get_to() {
    assert_snapshot!(warning::not_notified(StopReason::Cancelled, &[7, 9]), @"the run was cancelled before these pull requests were notified: 7, 9");
    assert_snapshot!(warning::not_notified(StopReason::PushTimedOut, &[7, 9]), @"the push timed out before these pull requests were notified: 7, 9");
    assert_snapshot!(warning::not_notified(StopReason::GitHubGone, &[7, 9]), @"GitHub stopped answering or limited our requests before these pull requests were notified: 7, 9");
    assert_snapshot!(warning::without_status(&[7, 9]), @"the commit status was not updated for these pull requests: 7, 9");
}

#[test]
fn warnings_about_a_channel() {
    assert_snapshot!(warning::forbidden(&[Channel::Reaction, Channel::Comment], "pull-requests: write", "403"), @"the reaction and the comment could not be written; add `pull-requests: write` to the job's `permissions`: 403");
    assert_snapshot!(warning::not_written(Channel::CommitStatus, "502"), @"the commit status could not be written: 502");
}
