//! The instances on a branch of their own, beside a branch that takes no push: what the docs say, to the letter.

use crate::cluster::Cluster;
use crate::docs::blocks;
use crate::kube::is_ready;
use crate::plane::Plane;

/// What the server says of a push to main.
const PROTECTION: &str = "#!/bin/sh
while read -r _ _ reference; do
    if [ \"$reference\" = refs/heads/main ]; then
        echo 'error: GH006: Protected branch update failed for refs/heads/main.'
        exit 1
    fi
done
";

/// What follows the first line, which is the key, as pairs.
fn pairs(block: &str) -> Vec<(&str, &str)> {
    let lines = block.lines().skip(1);
    lines
        .map(|line| line.trim().split_once(": ").unwrap())
        .collect()
}

pub(crate) fn the_instances_live_on_a_branch_of_their_own_as_the_docs_say() {
    let blocks = blocks("set-up", "### A separate branch for the instances");
    let [sync, inputs, resources] = blocks.as_slice() else {
        panic!("{blocks:#?}")
    };
    let cluster = Cluster::new(Plane::start());
    let repository = &cluster.repository;

    // An orphan with the directory and nothing else.
    let tree = repository.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let root = repository.git(&["commit-tree", &tree, "-m", "Start"]);
    repository.create_branch("environments", &root);
    let directory = "k8s/app/overlays/ephemeral-instances";
    let keep = format!("{directory}/.gitkeep");
    repository.commit(
        "environments",
        &[(keep.as_str(), Some(""))],
        "Hold the instances",
    );

    let path = format!("{directory}/sync.yaml");
    let theirs = "ssh://git@github.com/<you>/<fork>";
    assert!(sync.contains(theirs), "{sync}");
    let sync = sync.replace(theirs, &repository.clone_url());
    let receiver_path = "k8s/webhook/receiver.yaml";
    let receiver = repository.read("main", receiver_path).unwrap();
    let (key, entries) = resources.split_once('\n').unwrap();
    let entries: Vec<String> = entries.lines().map(|line| format!("  {line}\n")).collect();
    let key = format!("  {key}\n");
    let listed = receiver.replace(&key, &(key.clone() + &entries.concat()));
    assert_ne!(listed, receiver);
    repository.commit(
        "main",
        &[
            (path.as_str(), Some(sync.as_str())),
            (receiver_path, Some(listed.as_str())),
        ],
        "Watch the branch of the instances",
    );
    repository.install_hook("pre-receive", PROTECTION);
    let tip = repository.tip("main");
    cluster
        .watch
        .until("Flux watches the branch of the instances", |world| {
            world.kustomization("environments").is_some_and(|object| {
                let revision = object["status"]["lastAppliedRevision"].as_str();
                is_ready(object)
                    && revision.is_some_and(|revision| revision.starts_with("environments@sha1:"))
            })
        });

    let mut pull_request = cluster.pull_request("protected", "here");
    for (name, value) in pairs(inputs) {
        pull_request = pull_request.input(name, value);
    }
    let environment = pull_request.deploy();
    environment.until_ready();
    assert_eq!(environment.only_here().as_deref(), Some("here"));
    pull_request.close();
    environment.until_gone();

    assert_eq!(repository.tip("main"), tip);
    assert_eq!(repository.files("environments", ""), [keep]);
    let subjects: Vec<String> = repository
        .log("environments")
        .into_iter()
        .map(|commit| commit.message.lines().next().unwrap().to_owned())
        .collect();
    assert_eq!(
        subjects,
        [
            "[ci skip] destroy ephemeral env from protected",
            "[ci skip] create ephemeral env from protected",
            "Hold the instances",
            "Start",
        ]
    );
}
