//! What these stories say where there is no cluster for them.

use std::process::{Command, Output};

use crate::plane::Plane;

/// This executable, asked for a story with another `KUBECONFIG`.
fn run_with(plane: Option<&Plane>, kubeconfig: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "destroy_and_deploy_again"])
        .env_remove("KUBECONFIG");
    if let Some(plane) = plane {
        command
            .env("PATH", &plane.kube.path)
            .env("FLUX_RECEIVER", &plane.receiver);
    }
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    command.output().unwrap()
}

fn assert_refused(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("error: "), "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

pub(crate) fn without_a_kubeconfig_one_line_says_what_to_do() {
    for kubeconfig in [None, Some("")] {
        assert_refused(
            &run_with(None, kubeconfig),
            &["KUBECONFIG is not set", "tests/cluster/up"],
        );
    }
}

pub(crate) fn a_cluster_that_will_not_do_is_named_in_one_line() {
    let plane = Plane::start();
    let kubeconfig = plane.kube.kubeconfig.to_str().unwrap().to_owned();

    // It serves another repository.
    plane.kube.apply(
        "{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {name: flux-system, namespace: flux-system}, \
         spec: {interval: 1m0s, url: 'https://example.com/acme/production'}}",
    );
    assert_refused(
        &run_with(Some(&plane), Some(&kubeconfig)),
        &["https://example.com/acme/production", "take it over"],
    );

    // There is no Flux in it.
    plane.kube.kubectl(&[
        "delete",
        "customresourcedefinition",
        "receivers.notification.toolkit.fluxcd.io",
    ]);
    assert_refused(
        &run_with(Some(&plane), Some(&kubeconfig)),
        &["there is no Flux", &kubeconfig, "flux install"],
    );

    // It is dead.
    let path = plane.kube.path.clone();
    drop(plane);
    let directory = tempfile::TempDir::new().unwrap();
    let dead = directory.path().join("kubeconfig");
    std::fs::write(
        &dead,
        "apiVersion: v1\nkind: Config\nclusters: [{name: dead, cluster: {server: 'https://127.0.0.1:9'}}]\n\
         users: [{name: dead, user: {token: none}}]\n\
         contexts: [{name: dead, context: {cluster: dead, user: dead}}]\ncurrent-context: dead\n",
    )
    .unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "destroy_and_deploy_again"])
        .env("PATH", path)
        .env("KUBECONFIG", &dead);
    assert_refused(
        &command.output().unwrap(),
        &["does not answer", "127.0.0.1:9", "refused"],
    );
}
