//! One pull request's life in the cluster.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Environment};
use crate::kube::{is_at, is_ready};

/// What must not change while environments come and go.
fn production(cluster: &Cluster) -> Vec<String> {
    [
        "namespace/app",
        "deployment/app",
        "service/app",
        "ingress/app",
    ]
    .iter()
    .map(|object| {
        let args = [
            "get",
            object,
            "--namespace=app",
            "--output=jsonpath={.metadata.uid} {.metadata.generation}",
        ];
        cluster.plane.kube.kubectl(&args)
    })
    .collect()
}

pub(crate) fn a_pull_request_gets_its_own_overlay_and_production_does_not_notice(
    cluster: &Cluster,
) {
    let before = production(cluster);
    let pull_request = cluster.pull_request("feature/login", "first");
    let environment = pull_request.deploy();
    environment.until_ready();

    assert_eq!(environment.only_here().as_deref(), Some("first"));
    let get = |kind: &str, name: &str| {
        let found = cluster.plane.kube.get(&environment.namespace, kind, name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    };
    let deployment = get("deployment", "app");
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(deployment["status"]["readyReplicas"], 1);
    let host = format!("{}.localhost", environment.namespace);
    assert_eq!(
        get("ingress", "app")["spec"]["rules"][0]["host"],
        host.as_str()
    );
    for (kind, name) in [
        ("resourcequota", "environment"),
        ("limitrange", "container"),
        ("networkpolicy", "default-deny-ingress"),
        ("networkpolicy", "allow-ingress-controller"),
    ] {
        get(kind, name);
    }
    let namespace = get("namespace", &environment.namespace);
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );

    let pushed = pull_request.push("second");
    environment.until_applied(&pushed);
    assert_eq!(environment.only_here().as_deref(), Some("second"));

    let closed = pull_request.close();
    assert_eq!(closed.outputs["namespace"], environment.namespace);
    environment.until_gone();
    assert_eq!(production(cluster), before);
    // Not at once: Flux looks it over again at every commit to main, which others make as well.
    cluster.watch.until("production is ready", |world| {
        world.kustomization("app").is_some_and(is_ready)
    });
}

pub(crate) fn destroy_and_deploy_again_bring_it_back(cluster: &Cluster) {
    let pull_request = cluster.pull_request("comes-back", "first");
    let environment = pull_request.deploy();
    environment.until_ready();
    pull_request.command("/destroy-ephemeral");
    environment.until_gone();
    pull_request.push("second");
    let again = pull_request.deploy();
    assert_eq!(again.namespace, environment.namespace);
    again.until_ready();
    assert_eq!(again.only_here().as_deref(), Some("second"));
    pull_request.close();
    again.until_gone();
}

pub(crate) fn a_pinned_commit_stays_whatever_is_pushed(cluster: &Cluster) {
    let pull_request = cluster
        .pull_request("pinned", "first")
        .input("track", "commit");
    let environment = pull_request.deploy();
    environment.until_ready();
    let head = cluster.repository.tip("pinned").unwrap();
    pull_request.push("second");
    assert_stays_on(cluster, &environment, &head);
    pull_request.close();
    environment.until_gone();
}

pub(crate) fn an_allowed_fork_runs_from_its_own_url_pinned_and_without_credentials(
    cluster: &Cluster,
) {
    let fork = cluster.github.fork("octo-fork");
    fork.make_public();
    let pull_request = cluster
        .pull_request_from(fork.clone(), "theirs", "first")
        .input("allow-forks", "true");
    let environment = pull_request.deploy();
    environment.until_ready();
    let head = fork.tip("theirs").unwrap();
    {
        let world = cluster.watch.now();
        let spec = &world.git_repository(&environment.object).unwrap()["spec"];
        assert_eq!(spec["url"], fork.clone_url().as_str());
        assert_eq!(spec["ref"]["commit"], head.as_str());
        assert!(spec.get("secretRef").is_none(), "{spec}");
    }
    pull_request.push("second");
    assert_stays_on(cluster, &environment, &head);
    pull_request.close();
    environment.until_gone();
}

pub(crate) fn an_environment_whose_time_is_over_is_swept_and_its_namespace_is_gone(
    cluster: &Cluster,
) {
    let for_a_while = cluster.pull_request("for-a-while", "first");
    let environment = for_a_while.deploy_with("ttl=1s");
    let kept = cluster.pull_request("kept", "first");
    let other = kept.deploy_with("ttl=1h");
    environment.until_ready();
    sleep(Duration::from_secs(1));

    let outcome = cluster.sweep();
    let swept: Value = serde_json::from_str(&outcome.outputs["swept"]).unwrap();
    let number = for_a_while.number;
    assert_eq!(
        swept,
        json!([{ "name": "for-a-while", "pull-request": number, "reason": "expired" }])
    );
    assert_eq!(outcome.outputs["changed"], "true");
    environment.until_gone();
    let comments = cluster.github.comments(number);
    let told: Vec<&str> = comments
        .iter()
        .map(|comment| comment.body.as_str())
        .filter(|body| {
            body.contains("### ⚪ A sweep destroyed the environment: expired\n\nIt expired at ")
        })
        .collect();
    assert_eq!(told.len(), 1, "{comments:?}");

    other.until_ready();
    kept.close();
    other.until_gone();
    let closed = for_a_while.close();
    assert_eq!(closed.outputs["changed"], "false");
}

/// Flux looks at the branch again, and stays on the commit.
fn assert_stays_on(cluster: &Cluster, environment: &Environment<'_>, head: &str) {
    cluster.reconcile("GitRepository", &environment.object);
    let source = {
        let world = cluster.watch.now();
        world.git_repository(&environment.object).unwrap().clone()
    };
    let revision = &source["status"]["artifact"]["revision"];
    assert!(is_at(revision, head), "{revision} is not {head}");
    assert_eq!(environment.only_here().as_deref(), Some("first"));
}
