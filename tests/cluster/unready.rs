//! Environments that do not get ready: they hold up nobody, and what happens to their pull requests counts at once.
//!
//! Each may take twenty minutes, which is longer than any story waits, so a story ends only where Flux does not wait either.

use crate::cluster::{Cluster, Environment, OVERLAY, PullRequest, at_once};
use crate::kube::{World, condition, is_ready};

const TIMEOUT: &str = "20m";

/// More than the four workers that Flux has unless told otherwise, one of which waits for each.
const UNREADY: usize = 6;

/// The overlay of main.
pub(crate) fn sound(cluster: &Cluster) -> String {
    let path = format!("{OVERLAY}/kustomization.yaml");
    cluster.repository.read("main", &path).unwrap()
}

/// The same whose pod wants a node that is not there.
pub(crate) fn unready(cluster: &Cluster) -> String {
    let sound = sound(cluster);
    let unready = sound.replace(
        "\npatches:\n",
        "\npatches:\n  - target: {kind: Deployment, name: app}\n    patch: |\n      - op: add\n        \
         path: /spec/template/spec/nodeSelector\n        value: {kubernetes.io/hostname: not-there}\n",
    );
    assert_ne!(sound, unready);
    unready
}

pub(crate) fn pull_request<'a>(cluster: &'a Cluster, branch: &str) -> PullRequest<'a> {
    let files = [("kustomization.yaml", unready(cluster))];
    let pull_request = cluster.pull_request_with(cluster.repository.clone(), branch, &files);
    pull_request.input("timeout", TIMEOUT)
}

/// Whether Flux has applied it and waits.
pub(crate) fn is_waited_for(world: &World, environment: &Environment<'_>) -> bool {
    world
        .kustomization(&environment.object)
        .is_some_and(|object| {
            let message = &condition(object, "Reconciling")["message"];
            message
                .as_str()
                .is_some_and(|message| message.starts_with("Running health checks"))
        })
}

pub(crate) fn until_waited_for(cluster: &Cluster, environment: &Environment<'_>) {
    cluster
        .watch
        .until(&format!("Flux waits for {}", environment.object), |world| {
            is_waited_for(world, environment)
        });
}

pub(crate) fn a_fix_that_is_pushed_to_an_unready_environment_counts_at_once(cluster: &Cluster) {
    let pull_request = pull_request(cluster, "unready-fixed");
    let environment = pull_request.deploy();
    until_waited_for(cluster, &environment);

    let fix = pull_request.push_files(&[("kustomization.yaml", sound(cluster))]);
    environment.until_applied(&fix);

    pull_request.close();
    environment.until_gone();
}

pub(crate) fn an_unready_environment_is_gone_soon_after_its_close(cluster: &Cluster) {
    let pull_request = pull_request(cluster, "unready-closed");
    let environment = pull_request.deploy();
    until_waited_for(cluster, &environment);

    pull_request.close();
    environment.until_gone();
}

pub(crate) fn an_unready_environment_that_is_destroyed_and_deployed_again_gets_ready(
    cluster: &Cluster,
) {
    let pull_request = pull_request(cluster, "unready-again");
    let environment = pull_request.deploy();
    until_waited_for(cluster, &environment);

    pull_request.command("/destroy-ephemeral");
    // Else Flux may see both commits as one.
    cluster.watch.until("Flux removes it", |world| {
        let object = world.kustomization(&environment.object);
        object.is_none_or(|object| object["metadata"].get("deletionTimestamp").is_some())
    });
    pull_request.push_files(&[("kustomization.yaml", sound(cluster))]);
    let again = pull_request.deploy();
    cluster.watch.until("it is ready and stays", |world| {
        let object = world.kustomization(&again.object);
        object.is_some_and(|object| {
            object["metadata"].get("deletionTimestamp").is_none() && is_ready(object)
        })
    });

    pull_request.close();
    again.until_gone();
}

/// A ConfigMap more, which no other story looks at.
fn change_production(cluster: &Cluster) {
    let overlay = "k8s/app/overlays/main";
    let (path, map) = (
        format!("{overlay}/kustomization.yaml"),
        format!("{overlay}/changed.yaml"),
    );
    let production = cluster.repository.read("main", &path).unwrap();
    let changed = production.replace("  - ns.yaml\n", "  - ns.yaml\n  - changed.yaml\n");
    assert_ne!(production, changed);
    let files = [
        (path.as_str(), Some(changed.as_str())),
        (
            map.as_str(),
            Some("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: changed\n"),
        ),
    ];
    cluster
        .repository
        .commit("main", &files, "Change production");
}

pub(crate) fn environments_that_are_not_ready_hold_nobody_up(cluster: &Cluster) {
    let there = cluster.pull_request("held-up-there", "first");
    let there_environment = there.deploy();
    there_environment.until_ready();
    let unready: Vec<PullRequest<'_>> = (0..UNREADY)
        .map(|number| pull_request(cluster, &format!("unready-{number}")))
        .collect();
    let environments = at_once(&unready, PullRequest::deploy);
    for environment in &environments {
        until_waited_for(cluster, environment);
    }

    let pushed = there.push("second");
    let new = cluster.pull_request("held-up-new", "here");
    let new_environment = new.deploy();
    change_production(cluster);
    there_environment.until_applied(&pushed);
    new_environment.until_ready();
    cluster.watch.until("production has changed", |world| {
        let object = world.kustomization("app").unwrap();
        let entries = object["status"]["inventory"]["entries"].as_array().unwrap();
        is_ready(object)
            && entries
                .iter()
                .any(|entry| entry["id"] == "app_changed__ConfigMap")
    });
    let world = cluster.watch.now();
    for environment in &environments {
        assert!(is_waited_for(&world, environment), "{}", environment.object);
    }
    drop(world);

    at_once(&unready, PullRequest::close);
    there.close();
    new.close();
    for environment in environments
        .iter()
        .chain([&there_environment, &new_environment])
    {
        environment.until_gone();
    }
}
