//! The words of each message, as a person reads them. `cargo insta test --accept` takes over a change of wording.

use insta::assert_snapshot;

use crate::decide::refusal::Refusal;
use crate::decide::sweep::tests::removal;
use crate::decide::sweep::{Reason, Removal, Unresolved};
use crate::decide::tests::{now, refusals};
use crate::message::context::{Context, ended_in_short};
use crate::message::deploy::{
    Deployed, InstanceSummary, deployed, deployed_in_short, destroyed, nothing_to_destroy,
    overtaken,
};
use crate::message::failure::{failed, sweep_failed};
use crate::message::refusal::refused;
use crate::message::sections::Message;
use crate::message::summary::summary;
use crate::message::sweep::{sweep_summary, swept, swept_in_short};
use crate::message::tests::{context, environment, failures, gone};
use crate::message::warning::{self, StopReason};
use crate::model::failure::Failure;
use crate::model::notification::Channel;
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
    ### 🚀 Flux is bringing `pr-dev` up

    - Namespace: `pr-dev`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42
    - URL: <https://pr-dev.example.com>

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready. This comment does not change then: `flux get kustomizations ephemeral-dev` shows it.
    Flux picks up a push to the branch within 1m0s.

    To destroy it, comment `/destroy-ephemeral` or close the pull request.
    <!-- /state -->
    ");
}

#[test]
fn a_deployment_that_changes_nothing() {
    assert_snapshot!(text(&deployed(&context(), &Deployed { commit_url: None, environment_url: None, ..environment() })), @"
    ### 🚀 `pr-dev` is deployed already: nothing changed

    - Namespace: `pr-dev`
    - Branch: `dev` at `aaaaaaa`
    - File: https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml
    - Run: https://github.com/octo/app/actions/runs/42

    Flux picks up a push to the branch within 1m0s.

    To destroy it, comment `/destroy-ephemeral` or close the pull request.
    ");
}

#[test]
fn a_pinned_deployment_in_place_of_another() {
    assert_snapshot!(text(&deployed(&context(), &Deployed { pinned: true, replaced: vec!["pr-old".to_owned(), String::new()], ..environment() })), @"
    ### 🚀 Flux is bringing `pr-dev` up

    - Namespace: `pr-dev`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42
    - Replaces: `pr-old`
    - URL: <https://pr-dev.example.com>

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready. This comment does not change then: `flux get kustomizations ephemeral-dev` shows it.
    The environment stays on this commit. To move it to the newest one, comment `/deploy-ephemeral`.

    To destroy it, comment `/destroy-ephemeral` or close the pull request.
    ");
}

#[test]
fn a_deployment_by_label() {
    assert_snapshot!(text(&deployed(&Context { label: Some("pre`view".to_owned()), ..context() }, &environment())), @"
    ### 🚀 Flux is bringing `pr-dev` up

    - Namespace: `pr-dev`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42
    - URL: <https://pr-dev.example.com>

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready. This comment does not change then: `flux get kustomizations ephemeral-dev` shows it.
    Flux picks up a push to the branch within 1m0s.

    To destroy it, comment `/destroy-ephemeral`, remove the label ``pre`view`` or close the pull request.
    ");
}

#[test]
fn a_deployment_that_expires() {
    assert_snapshot!(text(&deployed(&context(), &Deployed { expires: Some(at("2026-03-02T12:00:00Z")), ..environment() })), @"
    ### 🚀 Flux is bringing `pr-dev` up

    - Namespace: `pr-dev`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42
    - URL: <https://pr-dev.example.com>

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready. This comment does not change then: `flux get kustomizations ephemeral-dev` shows it.
    Flux picks up a push to the branch within 1m0s.
    The environment expires at 2026-03-02 12:00 UTC, in 3 days; the next sweep after that destroys it. To keep it, comment `/deploy-ephemeral ttl=72h` (72 hours from that comment) or `/deploy-ephemeral ttl=never` (until the pull request closes).

    To destroy it, comment `/destroy-ephemeral` or close the pull request.
    ");
}

#[test]
fn a_deployment_that_has_expired() {
    assert_snapshot!(text(&deployed(&context(), &Deployed { expires: Some(at("2026-02-27T12:00:00Z")), ..environment() })), @"
    ### 🚀 Flux is bringing `pr-dev` up

    - Namespace: `pr-dev`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42
    - URL: <https://pr-dev.example.com>

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. Then it fetches the pull request's branch, applies the overlay and waits up to 5m0s until everything is ready. This comment does not change then: `flux get kustomizations ephemeral-dev` shows it.
    Flux picks up a push to the branch within 1m0s.
    The environment expired at 2026-02-27 12:00 UTC; the next sweep destroys it. To keep it, comment `/deploy-ephemeral ttl=72h` (72 hours from that comment) or `/deploy-ephemeral ttl=never` (until the pull request closes).

    To destroy it, comment `/destroy-ephemeral` or close the pull request.
    ");
}

#[test]
fn a_removal() {
    assert_snapshot!(destroyed(&context(), &gone()).body(None), @"
    <!-- flux-ephemeral-env -->
    <!-- state e3b0c44298fc1c14 -->
    ### 🚀 Flux is removing `pr-dev`, `pr-old`

    - Namespace: `pr-dev`, `pr-old`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    To deploy again, comment `/deploy-ephemeral`.
    <!-- /state -->
    ");
}

#[test]
fn a_removal_after_the_close() {
    assert_snapshot!(text(&destroyed(&closed(), &gone())), @"
    ### 🚀 Flux is removing `pr-dev`, `pr-old`

    - Namespace: `pr-dev`, `pr-old`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    To deploy again, reopen the pull request and comment `/deploy-ephemeral`.
    ");
}

#[test]
fn nothing_to_remove() {
    assert_snapshot!(text(&nothing_to_destroy(&context())), @"
    ### 🚀 Nothing to destroy: this pull request has no environment

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42

    There is no file for it on `main`.

    To deploy again, comment `/deploy-ephemeral`.
    ");
    assert_snapshot!(text(&nothing_to_destroy(&closed())), @"
    ### 🚀 Nothing to destroy: this pull request has no environment

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42

    There is no file for it on `main`.

    To deploy again, reopen the pull request and comment `/deploy-ephemeral`.
    ");
}

#[test]
fn another_run_that_deployed() {
    assert_snapshot!(text(&overtaken(&context(), Some(&instance()))), @"
    ### 🚀 Flux is bringing `pr-dev` up

    - Namespace: `pr-dev`
    - Branch: `dev` at `aaaaaaa`
    - File: https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml
    - Run: https://github.com/octo/app/actions/runs/42
    - URL: <https://dev.example.com>

    Another run for this pull request deployed it at the same time, as `otto` requested.
    Flux polls `main` every minute by default, or immediately when a webhook notifies it.
    The environment expires at 2026-03-02 12:00 UTC, in 3 days; the next sweep after that destroys it. To keep it, comment `/deploy-ephemeral ttl=72h` (72 hours from that comment) or `/deploy-ephemeral ttl=never` (until the pull request closes).

    To destroy it, comment `/destroy-ephemeral` or close the pull request.
    ");
}

fn instance() -> InstanceSummary {
    InstanceSummary {
        namespaces: vec!["pr-dev".to_owned()],
        branch: "dev".to_owned(),
        commit: "a".repeat(40),
        file_url: "https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml".to_owned(),
        environment_url: Some("https://dev.example.com".to_owned()),
        requested_by: "otto".to_owned(),
        expires: Some(at("2026-03-02T12:00:00Z")),
        fingerprint: "0123456789abcdef".to_owned(),
    }
}

#[test]
fn another_run_that_destroyed() {
    assert_snapshot!(text(&overtaken(&context(), None)), @"
    ### 🚀 Flux is removing the environment

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42

    Another run for this pull request destroyed it at the same time.
    Flux polls `main` every minute by default, or immediately when a webhook notifies it.

    To deploy again, comment `/deploy-ephemeral`.
    ");
}

#[test]
fn a_sweep_after_a_close() {
    assert_snapshot!(text(&swept(&closed(), Reason::Closed, &gone())), @"
    ### 🧹 A sweep destroyed the environment

    The pull request was closed, but its environment was still there.

    - Namespace: `pr-dev`, `pr-old`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    To deploy again, reopen the pull request and comment `/deploy-ephemeral`.
    ");
}

#[test]
fn a_sweep_after_a_fork_was_deleted() {
    assert_snapshot!(text(&swept(&context(), Reason::HeadDeleted, &gone())), @"
    ### 🧹 A sweep destroyed the environment

    The repository of the head branch was deleted.

    - Namespace: `pr-dev`, `pr-old`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    To deploy again, push the branch to this repository, open a pull request from there and comment `/deploy-ephemeral`.
    ");
}

#[test]
fn a_sweep_after_the_expiry() {
    assert_snapshot!(text(&swept(&context(), Reason::Expired(now()), &gone())), @"
    ### 🧹 A sweep destroyed the environment

    It expired at 2026-02-27 12:00 UTC.

    - Namespace: `pr-dev`, `pr-old`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    To deploy again, comment `/deploy-ephemeral`, or `/deploy-ephemeral ttl=72h` to keep it for 72 hours.
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
    ### 😕 Refused

    `` `sam` `` is not a valid argument.

    **What to do:** write `` `sam` ``.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#unknown-argument

    repeated-argument
    ### 😕 Refused

    `` `sam` `` is one argument too many: give at most one commit and one TTL.

    **What to do:** write `` `sam` ``.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#repeated-argument

    bad-ttl
    ### 😕 Refused

    `` `sam` `` is not a valid TTL: give a duration from `1s` to ten years, like `72h` or `1h30m` (units s, m, h), or `never`.

    **What to do:** write `` `sam` ``.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#bad-ttl

    limit-reached
    ### 😕 Refused

    `max-environments` is 2. These environments exist: `` `sam` `` (pull request 3), `` `sam` `` (pull request 5).

    **What to do:** comment `/destroy-ephemeral` on a pull request that no longer needs its environment (the oldest is pull request 3, with `` `sam` ``), or raise the input `max-environments`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#limit-reached

    not-permitted
    ### 😕 Refused

    `` `sam` `` has the permission `read` on this repository, and the command needs `write`.

    **What to do:** ask somebody with `write` to comment, or lower the input `allowed-permission`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#not-permitted

    permission-unknown
    ### 😕 Refused

    GitHub gave no clear answer about the permission of `` `sam` `` on this repository, which counts as no:

    ```text
    `sam`
    ```

    **What to do:** comment again in a minute. If that does not help, set the input `token` to a token that may read the repository's collaborators.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#permission-unknown

    pull-request-is-closed
    ### 😕 Refused

    The pull request is closed.

    **What to do:** reopen it, then comment `/deploy-ephemeral`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#pull-request-is-closed

    branch-is-watched
    ### 😕 Refused

    The head branch of this pull request is `` `sam` ``, the branch that the action commits to. Each deploy would move the head, and so ask for another deploy.

    **What to do:** set the input `branch` to a separate branch for the instances, and let Flux watch it.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#branch-is-watched

    fork-not-allowed
    ### 😕 Refused

    The pull request comes from a fork. Forks are not allowed here, because their code would run in the cluster.

    **What to do:** push the branch to this repository and open a pull request from there, or set the input `allow-forks` to `true`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#fork-not-allowed

    head-repository-deleted
    ### 😕 Refused

    The repository of the head branch was deleted.

    **What to do:** push the branch to this repository and open a pull request from there.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#head-repository-deleted

    fork-url-not-https
    ### 😕 Refused

    The fork cannot be cloned over https: its URL is `` `sam` ``.

    **What to do:** push the branch to this repository and open a pull request from there.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#fork-url-not-https

    branch-has-moved
    ### 😕 Refused

    The branch has moved: its head is `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`, not `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb`.

    **What to do:** look at what was pushed, then comment `/deploy-ephemeral aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#branch-has-moved

    fork-pushed-since
    ### 😕 Refused

    The fork was pushed to after the command, so its head may be a commit that nobody has looked at.

    **What to do:** look at `aaaaaaa`, then comment `/deploy-ephemeral aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#fork-pushed-since

    namespace-protected
    ### 😕 Refused

    The namespace `` `sam` `` is protected.

    **What to do:** rename the branch, or set the input `namespace-prefix`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#namespace-protected

    namespace-claimed
    ### 😕 Refused

    The namespace `` `sam` `` belongs to the overlay `` `sam` ``.

    **What to do:** rename the branch, or set the input `namespace-prefix`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#namespace-claimed

    namespace-taken
    ### 😕 Refused

    The namespace `` `sam` `` belongs to the environment of pull request 7 of `` `sam` ``.

    **What to do:** close that pull request or comment `/destroy-ephemeral` on it, or rename this branch.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#namespace-taken

    owned-by-another-pull-request
    ### 😕 Refused

    The file `` `sam` `` belongs to pull request 7 of `` `sam` ``.

    **What to do:** close that pull request or comment `/destroy-ephemeral` on it, then comment `/deploy-ephemeral` here.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#owned-by-another-pull-request

    instances-not-listed
    ### 😕 Refused

    Flux would not apply `` `sam` ``, because `` `sam` `` on `main` does not list it.

    **What to do:** remove `` `sam` ``: without it, Flux applies every YAML file in the directory. What it changes in the instances goes into `spec.patches` of the Kustomization that applies the directory.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#instances-not-listed

    file-not-ours
    ### 😕 Refused

    There is already something at `` `sam` `` on `main` that this action did not create, so the action leaves it alone.

    **What to do:** move that file, rename the branch, or set the input `instances-path`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#file-not-ours
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
    ### 😕 Refused

    `max-environments` is 2. These environments exist: `b1` (pull request 1), `b2` (pull request 2), `b3` (pull request 3), `b4` (pull request 4), `b5` (pull request 5), `b6` (pull request 6), `b7` (pull request 7), `b8` (pull request 8), `b9` (pull request 9), `b10` (pull request 10) and 2 more.

    **What to do:** comment `/destroy-ephemeral` on a pull request that no longer needs its environment (the oldest is pull request 1, with `b1`), or raise the input `max-environments`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#limit-reached
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
    ### 👎 Failed

    The server rejected the push to `main`:

    ```text
    the server's words
    ```

    **What to do:** set the input `token` to the token of a GitHub App that may bypass the rules of `main`, or set the input `branch` to a branch without such rules.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#push-rejected

    push-forbidden
    ### 👎 Failed

    The Git server refused the token:

    ```text
    the server's words
    ```

    **What to do:** add this to the workflow's job, or set the input `token` to a token that may push:

    ```yaml
    permissions:
      contents: write
    ```

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#push-forbidden

    branch-missing
    ### 👎 Failed

    The target branch does not exist:

    ```text
    the server's words
    ```

    **What to do:** set the input `branch` to the branch that Flux watches.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#branch-missing

    push-timeout
    ### 👎 Failed

    Git did not finish within 60s, so the change may not have landed. The last response was:

    ```text
    the server's words
    ```

    **What to do:** give the command again. If this repeats, raise the input `push-timeout`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#push-timeout

    interrupted
    ### 👎 Failed

    The run was cancelled, so the change may not have landed.

    **What to do:** give the command again.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#interrupted

    github-refused
    ### 👎 Failed

    GitHub refused the token:

    ```text
    the server's words
    ```

    **What to do:** add this to the workflow's job, or set the input `token` to a token that may read pull requests:

    ```yaml
    permissions:
      pull-requests: write
    ```

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#github-refused

    github-failed
    ### 👎 Failed

    GitHub's API gave no usable answer:

    ```text
    the server's words
    ```

    **What to do:** give the command again.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#github-failed

    git-failed
    ### 👎 Failed

    Something broke:

    ```text
    the server's words
    ```

    **What to do:** give the command again.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#git-failed
    ");
}

#[test]
fn a_failure_after_the_close_and_without_the_head() {
    assert_snapshot!(text(&failed(&Context { head: None, ..closed() }, &Failure::Interrupted)), @"
    ### 👎 Failed

    The run was cancelled, so the change may not have landed.

    **What to do:** comment `/destroy-ephemeral`.

    - Pull request: 7
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#interrupted
    ");
}

#[test]
fn a_sweep_that_fails() {
    assert_snapshot!(text(&sweep_failed("main", "https://github.com/octo/action/blob/v1/help.md", &Failure::Interrupted)), @"
    ### 👎 The sweep failed

    The run was cancelled, so the change may not have landed.

    **What to do:** run this job again, or leave it to the next sweep.

    - More about this: https://github.com/octo/action/blob/v1/help.md#interrupted
    ");
}

#[test]
fn a_refusal_below_which_the_environment_is_known() {
    assert_snapshot!(refused(&context(), &Refusal::Closed).body(Some(&destroyed(&context(), &gone()).body(None))), @"
    <!-- flux-ephemeral-env -->
    ### 😕 Refused

    The pull request is closed.

    **What to do:** reopen it, then comment `/deploy-ephemeral`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#pull-request-is-closed

    ---

    Last known state of the environment:

    <!-- state e3b0c44298fc1c14 -->
    ### 🚀 Flux is removing `pr-dev`, `pr-old`

    - Namespace: `pr-dev`, `pr-old`
    - Branch: `dev` at `aaaaaaa`
    - Commit on `main`: https://github.com/octo/app/commit/c0ffee
    - Run: https://github.com/octo/app/actions/runs/42

    Flux polls `main` every minute by default, or immediately when a webhook notifies it. It then removes everything that it had applied.

    To deploy again, comment `/deploy-ephemeral`.
    <!-- /state -->
    ");
}

#[test]
fn descriptions_of_the_commit_status() {
    assert_snapshot!(deployed_in_short("pr-dev"), @"Flux is bringing pr-dev up");
    assert_snapshot!(ended_in_short("Refused", "branch-has-moved"), @"Refused: branch has moved");
    assert_snapshot!(swept_in_short(Reason::HeadDeleted), @"Destroyed by a sweep: head deleted");
}

#[test]
fn the_job_summary() {
    assert_snapshot!(summary(&[("decision", "refuse".to_owned()), ("name", String::new())], Some(&refused(&context(), &Refusal::Closed))), @"
    ## flux-ephemeral-env

    ### 😕 Refused

    The pull request is closed.

    **What to do:** reopen it, then comment `/deploy-ephemeral`.

    - Branch: `dev` at `aaaaaaa`
    - Run: https://github.com/octo/app/actions/runs/42
    - More about this: https://github.com/octo/action/blob/v1/help.md#pull-request-is-closed

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
