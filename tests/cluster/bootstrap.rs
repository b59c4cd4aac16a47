//! What the README's reader sets up, both ways, and what a person may break in it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::kube::{World, is_at, is_ready};
use crate::plane::Plane;

const OURS: [&str; 2] = ["app", "environments"];

/// What each of our two `Kustomization`s says.
fn specs(cluster: &Cluster) -> Vec<Value> {
    let world = cluster.watch.now();
    OURS.iter()
        .map(|name| world.kustomization(name).unwrap()["spec"].clone())
        .collect()
}

/// The objects that each `Kustomization` owns.
fn owned(world: &World) -> BTreeMap<String, Vec<String>> {
    let entries = |object: &Value| -> Vec<String> {
        let entries = object["status"]["inventory"]["entries"].as_array();
        entries
            .into_iter()
            .flatten()
            .map(|entry| entry["id"].as_str().unwrap().to_owned())
            .collect()
    };
    world
        .kustomizations()
        .map(|(name, object)| (name.to_owned(), entries(object)))
        .collect()
}

/// As the docs say, without `flux bootstrap`.
fn apply_by_hand(cluster: &Cluster) {
    let kube = &cluster.plane.kube;
    let directory = tempfile::TempDir::new().unwrap();
    let clone = directory.path().join("clone");
    cluster.repository.checkout(&clone, &[]);
    let k8s = clone.join("k8s");
    let flux = k8s.join("flux-system");
    if !flux.exists() {
        let install = [
            "install",
            "--export",
            "--components=source-controller,kustomize-controller,notification-controller",
        ];
        let components = kube.run("flux", &install, "").unwrap();
        fs::create_dir(&flux).unwrap();
        fs::write(flux.join("gotk-components.yaml"), components).unwrap();
        let listed = "resources: [gotk-components.yaml]\n";
        fs::write(flux.join("kustomization.yaml"), listed).unwrap();
    }
    kube.kubectl(&[
        "apply",
        "--server-side",
        "--force-conflicts",
        "--kustomize",
        k8s.to_str().unwrap(),
    ]);
}

/// The flags with which kustomize-controller runs, as its Deployment says.
fn flags(cluster: &Cluster) -> Value {
    let controller = cluster
        .plane
        .kube
        .get("flux-system", "deployment", "kustomize-controller");
    controller.unwrap()["spec"]["template"]["spec"]["containers"][0]["args"].clone()
}

fn assert_owned_once(cluster: &Cluster) {
    let owned = owned(&cluster.watch.now());
    let mut all: Vec<&String> = owned.values().flatten().collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "{owned:#?}");
    let watched = &owned["flux-system/environments"];
    assert!(
        !watched.iter().any(|id| id.contains("_environments_")),
        "{watched:?}"
    );
}

pub(crate) fn by_hand_and_by_bootstrap_come_to_the_same(bootstrapped: &Cluster) {
    let cluster = Cluster::unconnected(Plane::start());
    let kube = &cluster.plane.kube;
    let url = cluster.repository.clone_url();
    kube.apply(&format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: flux-system, namespace: flux-system}}, \
         stringData: {{username: x-access-token, password: {}}}}}",
        cluster.github.token()
    ));
    let source = [
        "create",
        "source",
        "git",
        "flux-system",
        &format!("--url={url}"),
        "--branch=main",
        "--interval=1m",
        "--secret-ref=flux-system",
    ];
    kube.run("flux", &source, "").unwrap();
    apply_by_hand(&cluster);
    let are_ready = |world: &World| {
        OURS.iter()
            .all(|name| world.kustomization(name).is_some_and(is_ready))
    };
    cluster.watch.until("production is ready", are_ready);
    assert_eq!(specs(&cluster), specs(bootstrapped));
    assert_eq!(flags(&cluster), flags(bootstrapped));
    assert_owned_once(&cluster);

    let environment = cluster.pull_request("by-hand", "here").deploy();
    cluster.reconcile("GitRepository", "flux-system");
    environment.until_ready();
    let uids = |cluster: &Cluster| {
        let world = cluster.watch.now();
        let namespaces = ["app", &environment.namespace]
            .map(|name| world.namespace(name).unwrap()["metadata"]["uid"].clone());
        let ours = OURS.map(|name| world.kustomization(name).unwrap()["metadata"]["uid"].clone());
        (namespaces, ours)
    };
    let before = uids(&cluster);
    assert_owned_once(&cluster);

    // Who bootstraps later loses nothing.
    cluster.bootstrap();
    assert_eq!(uids(&cluster), before);
    assert_eq!(specs(&cluster), specs(bootstrapped));
    assert_eq!(flags(&cluster), flags(bootstrapped));
    assert_owned_once(&cluster);
    assert_owned_once(bootstrapped);

    // And the other way round: applied by hand on top, nothing changes either.
    apply_by_hand(&cluster);
    cluster.reconcile("Kustomization", "flux-system");
    for name in OURS {
        cluster.reconcile("Kustomization", name);
    }
    assert_eq!(uids(&cluster), before);
    assert_eq!(specs(&cluster), specs(bootstrapped));
    assert_eq!(flags(&cluster), flags(bootstrapped));
}

pub(crate) fn a_malformed_file_beside_ours_stops_all_changes_and_removes_nothing() {
    let cluster = Cluster::new(Plane::start());
    let (there, next) = (
        cluster.pull_request("there", "here"),
        cluster.pull_request("next", "here"),
    );
    let environment = there.deploy();
    environment.until_ready();

    let file = "k8s/app/overlays/ephemeral-instances/notes.yaml";
    let dropped = cluster
        .repository
        .commit("main", &[(file, Some("not: [yaml\n"))], "Add notes");
    let waiting = next.deploy();
    cluster.watch.until_failing("environments", "notes.yaml");
    there.close();
    cluster.reconcile("GitRepository", "flux-system");
    cluster
        .watch
        .until("Flux has fetched the close and complains again", |world| {
            let tip = cluster.repository.tip("main").unwrap();
            assert_ne!(tip, dropped);
            let revision =
                &world.kustomization("environments").unwrap()["status"]["lastAttemptedRevision"];
            is_at(revision, &tip)
        });
    assert!(environment.is_ready(&cluster.watch.now()));
    assert!(cluster.watch.now().kustomization(&waiting.object).is_none());

    cluster
        .repository
        .commit("main", &[(file, None)], "Remove notes");
    environment.until_gone();
    waiting.until_ready();
}

pub(crate) fn an_instance_that_a_list_names_goes_without_breaking_the_list() {
    let cluster = Cluster::new(Plane::start());
    let instances = "k8s/app/overlays/ephemeral-instances";
    let list = format!("{instances}/kustomization.yaml");
    let resources = "resources:\n- sync.yaml\n- sync-listed.yaml\n";
    let commit = |content| {
        let change = [(list.as_str(), content)];
        cluster.repository.commit("main", &change, "List instances");
    };
    commit(Some(resources));
    let listed = cluster.pull_request("listed", "here");
    let environment = listed.deploy();
    environment.until_ready();

    listed.close();
    environment.until_gone();

    // What stays of it breaks nothing, without the list either.
    commit(None);
    let next = cluster.pull_request("next", "here").deploy();
    next.until_ready();
    let left = cluster
        .repository
        .read("main", &format!("{instances}/sync-listed.yaml"));
    assert!(left.is_some_and(|left| left.starts_with('#')));
}
