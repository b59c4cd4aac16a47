//! What these stories say where there is no cluster for them.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

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
    end_of(&mut command)
}

/// What came of it, once nothing that it started runs any more.
fn end_of(command: &mut Command) -> Output {
    let child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let group = child.id().to_string();
    let output = child.wait_with_output().unwrap();
    // `pid (name) state parent group …`, <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
    let is_of_group = |stat: &str| {
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        fields.split(' ').nth(2) == Some(&group)
    };
    let left: Vec<String> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| is_of_group(stat))
        .collect();
    assert_eq!(left, [] as [String; 0]);
    output
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
    fs::write(
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
        &end_of(&mut command),
        &["does not answer", "127.0.0.1:9", "refused"],
    );
}
