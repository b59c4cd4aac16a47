//! Branches of every kind, many at once, and one that does not build.

use crate::cluster::{Cluster, Environment, PullRequest, at_once};

const ODD: [&str; 12] = [
    "feature/odd/Login_Page",
    "on",
    "team/@/x",
    "instances",
    "2026-01-01",
    "a/refs/heads/dev",
    "émoji-🚀",
    "it's-\"quoted\"",
    "${HOME}-$(id)-`id`",
    "@team/#1-%0A",
    "refs/heads/dev",
    "dependabot/npm_and_yarn/with-a-name-that-is-much-longer-than-any-namespace-may-be-1.2.3",
];

fn come_and_go(cluster: &Cluster, branches: &[String]) {
    // They wait for each other's pushes, longer on a busy machine than anybody should otherwise.
    let pull_requests: Vec<PullRequest<'_>> = branches
        .iter()
        .map(|branch| {
            cluster
                .pull_request(branch, "here")
                .input("push-timeout", "200s")
        })
        .collect();
    let environments = at_once(&pull_requests, PullRequest::deploy);
    let mut namespaces: Vec<&str> = environments
        .iter()
        .map(|environment| environment.namespace.as_str())
        .collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    assert_eq!(namespaces.len(), branches.len(), "{namespaces:?}");
    for environment in &environments {
        environment.until_ready();
        assert_eq!(
            environment.only_here().as_deref(),
            Some("here"),
            "{}",
            environment.object
        );
    }
    at_once(&pull_requests, PullRequest::close);
    environments.iter().for_each(Environment::until_gone);
}

pub(crate) fn twelve_odd_branches_become_ready(cluster: &Cluster) {
    come_and_go(cluster, &ODD.map(str::to_owned));
}

pub(crate) fn twenty_deployed_at_once_are_ready_and_twenty_closed_at_once_are_gone(
    cluster: &Cluster,
) {
    let branches: Vec<String> = (1..=20).map(|number| format!("crowd-{number}")).collect();
    come_and_go(cluster, &branches);
}

pub(crate) fn an_overlay_that_does_not_build_harms_no_other_and_goes_with_its_pull_request(
    cluster: &Cluster,
) {
    let broken = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [not-there.yaml]\n";
    let files = [("kustomization.yaml", broken.to_owned())];
    let broken = cluster.pull_request_with(cluster.repository.clone(), "broken", &files);
    let broken_environment = broken.deploy();
    cluster
        .watch
        .until_failing(&broken_environment.object, "not-there.yaml");

    let sound = cluster.pull_request("beside-the-broken-one", "here");
    let sound_environment = sound.deploy();
    sound_environment.until_ready();
    assert!(
        cluster
            .watch
            .now()
            .namespace(&broken_environment.namespace)
            .is_none()
    );

    broken.close();
    sound.close();
    broken_environment.until_gone();
    sound_environment.until_gone();
}

/// Flux prunes what its inventory lists, which it writes once everything is applied, and it applies the namespace first.
pub(crate) fn an_overlay_that_never_applied_leaves_a_namespace_that_says_whose_it_was(
    cluster: &Cluster,
) {
    let pull_request = cluster.pull_request("never-applied", "[not, a, text]");
    let environment = pull_request.deploy();
    cluster
        .watch
        .until_failing(&environment.object, "ConfigMap/never-applied/only-here");
    pull_request.close();
    environment.until_let_go();
    {
        let world = cluster.watch.now();
        let namespace = world.namespace(&environment.namespace).unwrap();
        let owner = &namespace["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"];
        assert_eq!(*owner, environment.object.as_str());
        assert!(namespace["metadata"].get("deletionTimestamp").is_none());
    }

    // Deployed again and applied, it goes with its pull request as any other.
    let again = cluster.pull_request("never-applied", "here");
    again.deploy().until_ready();
    again.close();
    environment.until_gone();
}
