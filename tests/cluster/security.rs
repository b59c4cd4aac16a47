//! What a hostile overlay can do with Flux's defaults, and what `k8s/lockdown` leaves of it.

use serde_json::Value;

use crate::cluster::{Cluster, Environment, PullRequest};
use crate::kube::is_ready;
use crate::plane::Plane;

/// An overlay that does what it should not: the branch, its manifests beside the namespace, the object that shows whether it
/// could (namespace, kind, name), and what Flux says where it may not.
struct Attempt {
    branch: &'static str,
    namespace_label: &'static str,
    manifest: &'static str,
    shows: (&'static str, &'static str, &'static str),
    refusal: &'static str,
}

const ATTEMPTS: [Attempt; 8] = [
    Attempt {
        branch: "rights",
        namespace_label: "restricted",
        manifest: "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: stolen}\n\
                   roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n\
                   subjects: [{kind: ServiceAccount, name: default, namespace: rights}]\n",
        shows: ("", "clusterrolebinding", "stolen"),
        refusal: "forbidden",
    },
    Attempt {
        branch: "production",
        namespace_label: "restricted",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: app}\n",
        shows: ("app", "configmap", "planted"),
        refusal: "an environment may change nothing outside of its own namespace, and app is not that of ephemeral-production",
    },
    Attempt {
        branch: "neighbour",
        namespace_label: "restricted",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: victim}\n---\n\
                   apiVersion: v1\nkind: ConfigMap\nmetadata: {name: only-here, namespace: victim}\ndata: {text: taken over}\n",
        shows: ("victim", "configmap", "planted"),
        refusal: "victim is not that of ephemeral-neighbour",
    },
    Attempt {
        branch: "monitoring",
        namespace_label: "restricted",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: monitoring}\n",
        shows: ("monitoring", "configmap", "planted"),
        refusal: "the namespace monitoring was there before ephemeral-monitoring",
    },
    Attempt {
        branch: "nested",
        namespace_label: "restricted",
        manifest: NESTED,
        shows: ("nested", "kustomization", "nested"),
        refusal: "forbidden",
    },
    Attempt {
        branch: "privileged",
        namespace_label: "privileged",
        manifest: "apiVersion: v1\nkind: Pod\nmetadata: {name: root, namespace: privileged}\n\
                   spec: {hostPID: true, containers: [{name: root, image: busybox, securityContext: {privileged: true}}]}\n",
        shows: ("privileged", "pod", "root"),
        refusal: "pod-security.kubernetes.io/enforce",
    },
    Attempt {
        branch: "host",
        namespace_label: "restricted",
        manifest: "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: stolen, namespace: host}\n\
                   spec: {rules: [{host: app.localhost, http: {paths: [{path: /, pathType: Prefix, \
                   backend: {service: {name: app, port: {number: 80}}}}]}}]}\n",
        shows: ("host", "ingress", "stolen"),
        refusal: "the hosts of an environment have to start with host.",
    },
    Attempt {
        branch: "port",
        namespace_label: "restricted",
        manifest: "apiVersion: v1\nkind: Service\nmetadata: {name: open, namespace: port}\n\
                   spec: {type: NodePort, ports: [{port: 80}]}\n",
        shows: ("port", "service", "open"),
        refusal: "has to be of the type ClusterIP",
    },
];

/// Flux's own kind inside of an environment: applied with Flux's rights, from a repository that it names.
const NESTED: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
                      metadata: {name: nested, namespace: nested}\n\
                      spec: {interval: 10m0s, prune: true, path: ./k8s/app/base, targetNamespace: default, \
                      sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}\n";

impl Attempt {
    fn pull_request<'a>(&self, cluster: &'a Cluster) -> PullRequest<'a> {
        let overlay = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [ns.yaml, hostile.yaml]\n";
        let namespace = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${{BRANCH_NAME}}\n  \
             labels: {{pod-security.kubernetes.io/enforce: {}}}\n",
            self.namespace_label
        );
        let files = [
            ("kustomization.yaml", overlay.to_owned()),
            ("ns.yaml", namespace),
            ("hostile.yaml", self.manifest.to_owned()),
        ];
        cluster.pull_request_with(cluster.repository.clone(), self.branch, &files)
    }

    fn is_there(&self, cluster: &Cluster) -> bool {
        let (namespace, kind, name) = self.shows;
        cluster.plane.kube.get(namespace, kind, name).is_some()
    }
}

pub(crate) fn a_hostile_overlay_may_do_anything_by_default_and_nothing_under_lockdown() {
    let mut cluster = Cluster::new(Plane::start());
    let flags = by_default(&cluster);
    // In a cluster of containers the changed Deployment does this.
    cluster.plane.restart("kustomize-controller", &flags);
    under_lockdown(&cluster);
}

/// A namespace that somebody else made, with something in it, whose name is also a branch's.
fn create_monitoring(cluster: &Cluster) {
    cluster.plane.kube.apply(
        "{apiVersion: v1, kind: Namespace, metadata: {name: monitoring}}\n---\n\
         {apiVersion: v1, kind: ConfigMap, metadata: {name: precious, namespace: monitoring}}\n",
    );
}

fn has_precious(cluster: &Cluster) -> bool {
    let precious = cluster
        .plane
        .kube
        .get("monitoring", "configmap", "precious");
    precious.is_some()
}

/// Everything succeeds. Afterwards the lockdown is on, but for the flags, which are given back.
fn by_default(cluster: &Cluster) -> Vec<String> {
    create_monitoring(cluster);
    let victim = cluster.pull_request("victim", "mine").deploy();
    victim.until_ready();
    let hostile: Vec<_> = ATTEMPTS
        .iter()
        .map(|attempt| attempt.pull_request(cluster))
        .collect();
    let environments: Vec<Environment<'_>> = hostile.iter().map(PullRequest::deploy).collect();
    for (attempt, environment) in ATTEMPTS.iter().zip(&environments) {
        environment.until_ready();
        assert!(attempt.is_there(cluster), "{}", attempt.branch);
    }
    cluster.watch.until(
        "the nested Kustomization is applied with Flux's rights",
        |world| world.kustomization("nested").is_some_and(is_ready),
    );
    assert!(
        cluster
            .plane
            .kube
            .get("default", "deployment", "app")
            .is_some()
    );
    assert_eq!(victim.only_here().as_deref(), Some("taken over"));
    for pull_request in &hostile {
        pull_request.close();
    }
    environments.iter().for_each(Environment::until_gone);
    // What they had taken over goes with them.
    assert!(!has_precious(cluster));
    assert_eq!(victim.only_here(), None);
    assert!(!ATTEMPTS.iter().any(|attempt| attempt.is_there(cluster)));

    cluster.list("components", "lockdown");
    cluster.watch.until("the lockdown is on", |world| {
        let account = |name: &str| {
            world
                .kustomization(name)
                .map(|object| object["spec"]["serviceAccountName"].clone())
        };
        account(&victim.object) == Some("ephemeral".into())
            && account("flux-system") == Some("kustomize-controller".into())
    });
    victim.until_ready();
    flags(
        &cluster
            .plane
            .kube
            .get("flux-system", "deployment", "kustomize-controller")
            .unwrap(),
    )
}

/// The flags of Flux's lockdown among those of a Deployment.
fn flags(deployment: &Value) -> Vec<String> {
    let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    let args = args
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap().to_owned());
    let flags: Vec<String> = args
        .filter(|arg| arg.starts_with("--no-") || arg.starts_with("--default-"))
        .collect();
    let expected = [
        "--no-cross-namespace-refs=true",
        "--no-remote-bases=true",
        "--default-service-account=default",
    ];
    assert_eq!(flags, expected);
    flags
}

fn under_lockdown(cluster: &Cluster) {
    create_monitoring(cluster);
    let victim = cluster
        .plane
        .kube
        .get("victim", "configmap", "only-here")
        .unwrap();
    assert_eq!(victim["data"]["text"], "mine");
    let honest = cluster.pull_request("honest", "here");
    let environment = honest.deploy();
    environment.until_ready();
    assert_eq!(environment.only_here().as_deref(), Some("here"));

    let again: Vec<_> = ATTEMPTS
        .iter()
        .map(|attempt| attempt.pull_request(cluster))
        .collect();
    let environments: Vec<Environment<'_>> = again.iter().map(PullRequest::deploy).collect();
    for (attempt, environment) in ATTEMPTS.iter().zip(&environments) {
        cluster
            .watch
            .until_failing(&environment.object, attempt.refusal);
        assert!(!attempt.is_there(cluster), "{}", attempt.branch);
    }
    assert_eq!(
        cluster
            .plane
            .kube
            .get("victim", "configmap", "only-here")
            .unwrap(),
        victim
    );

    // Were the rights wider, so that an environment could hold Flux's own kinds, Flux's flags would still stop those: it
    // neither reaches another namespace's repository nor, with a repository of its own, has Flux's rights.
    let fork = cluster.forge.fork("public");
    fork.make_public();
    let across = NESTED.replace("namespace: nested}", "namespace: honest}");
    let within = across
        .replace("{name: nested,", "{name: nested-within,")
        .replace(", namespace: flux-system}", "}");
    cluster.plane.kube.apply(&format!(
        "{across}---\n{within}---\n\
         {{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {{name: flux-system, namespace: honest}}, \
         spec: {{interval: 1m0s, url: '{}', ref: {{branch: main}}}}}}\n",
        fork.clone_url()
    ));
    for (name, refusal) in [
        ("nested", "cross-namespace"),
        ("nested-within", "system:serviceaccount:honest:default"),
    ] {
        cluster.watch.until_failing(name, refusal);
    }

    for pull_request in &again {
        pull_request.close();
    }
    honest.close();
    environments.iter().for_each(Environment::until_let_go);
    assert!(has_precious(cluster));
    environment.until_gone();
}
