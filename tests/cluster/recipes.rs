//! What the watcher puts into every environment beyond what the action writes.

use crate::cluster::Cluster;
use crate::docs::blocks;
use crate::plane::Plane;

const WATCHER: &str = "k8s/app/overlays/ephemeral-instances/sync.yaml";

pub(crate) fn every_environment_gets_what_the_watchers_patches_say() {
    let blocks = blocks("set-up", "## What every environment gets");
    let (_, patches) = blocks[0].split_once('\n').unwrap();
    let patches: String = patches.lines().map(|line| format!("  {line}\n")).collect();
    let cluster = Cluster::new(Plane::start());
    let before = cluster.pull_request("before", "here").deploy();
    before.until_ready();

    let watcher = cluster.repository.read("main", WATCHER).unwrap() + &patches;
    let changes = [(WATCHER, Some(watcher.as_str()))];
    cluster.repository.commit("main", &changes, "Patch");
    let after = cluster.pull_request("after", "here").deploy();
    after.until_ready();

    for environment in [&before, &after] {
        cluster
            .watch
            .until(&format!("{} is patched", environment.object), |world| {
                world
                    .git_repository(&environment.object)
                    .is_some_and(|object| {
                        object["spec"]["timeout"] == "5m0s"
                            && object["spec"]["recurseSubmodules"] == true
                    })
            });
        environment.until_ready();
    }
}
