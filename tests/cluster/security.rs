//! What a hostile overlay can do with Flux's defaults, and what `k8s/lockdown` leaves of it.

use std::sync::{Mutex, PoisonError};

use local_github::{Fault, Repository};
use serde_json::Value;

use crate::cluster::{Cluster, Environment, PullRequest};
use crate::docs::blocks;
use crate::kube::{is_at, is_ready};

/// An overlay that does what it should not.
struct Attempt {
    branch: &'static str,
    /// What the namespace's metadata holds beside its name.
    namespace: &'static str,
    /// Manifests beside the namespace.
    manifest: &'static str,
    /// A directory that the overlay takes from a public repository.
    remote: Option<&'static str>,
    /// What is there where it could: namespace, kind, name.
    shows: (&'static str, &'static str, &'static str),
    /// What Flux says where it could not.
    refusal: &'static str,
    /// Whether the namespace stays when the pull request is closed.
    stays: bool,
}

const HARMLESS: Attempt = Attempt {
    branch: "",
    namespace: "labels: {pod-security.kubernetes.io/enforce: restricted}",
    manifest: "",
    remote: None,
    shows: ("", "", ""),
    refusal: "",
    stays: false,
};

const RIGHTS: Attempt = Attempt {
    branch: "rights",
    manifest: "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: stolen}\n\
               roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n\
               subjects: [{kind: ServiceAccount, name: default, namespace: rights}]\n",
    shows: ("", "clusterrolebinding", "stolen"),
    refusal: "forbidden",
    ..HARMLESS
};

const ATTEMPTS: [Attempt; 16] = [
    RIGHTS,
    Attempt {
        branch: "production",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: app}\n",
        shows: ("app", "configmap", "planted"),
        refusal: "outside of its own namespace, and app is not that of ephemeral-production",
        ..HARMLESS
    },
    Attempt {
        branch: "neighbour",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: victim}\n---\n\
                   apiVersion: v1\nkind: ConfigMap\nmetadata: {name: only-here, namespace: victim}\ndata: {text: taken over}\n",
        shows: ("victim", "configmap", "planted"),
        refusal: "victim is not that of ephemeral-neighbour",
        ..HARMLESS
    },
    Attempt {
        branch: "monitoring",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: monitoring}\n",
        shows: ("monitoring", "configmap", "planted"),
        refusal: "the namespace monitoring was there before ephemeral-monitoring",
        ..HARMLESS
    },
    Attempt {
        branch: "nested",
        manifest: NESTED,
        shows: ("nested", "kustomization", "nested"),
        refusal: "forbidden",
        ..HARMLESS
    },
    Attempt {
        branch: "remote",
        remote: Some("k8s/app/base"),
        shows: ("remote", "deployment", "app"),
        refusal: "URL is a git repository': fs-security-constraint",
        ..HARMLESS
    },
    Attempt {
        branch: "privileged",
        namespace: "labels: {pod-security.kubernetes.io/enforce: privileged}",
        manifest: "apiVersion: v1\nkind: Pod\nmetadata: {name: root, namespace: privileged}\n\
                   spec: {hostPID: true, containers: [{name: root, image: busybox, securityContext: {privileged: true}}]}\n",
        shows: ("privileged", "pod", "root"),
        refusal: "pod-security.kubernetes.io/enforce: restricted",
        ..HARMLESS
    },
    Attempt {
        branch: "stays",
        namespace: "labels: {pod-security.kubernetes.io/enforce: restricted}, \
                    annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: stays}\n",
        shows: ("", "namespace", "stays"),
        refusal: "an environment may hold nothing that stays behind",
        stays: true,
        ..HARMLESS
    },
    Attempt {
        branch: "other-case",
        namespace: "labels: {pod-security.kubernetes.io/enforce: restricted}, \
                    annotations: {kustomize.toolkit.fluxcd.io/prune: Disabled}",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: other-case}\n",
        shows: ("", "namespace", "other-case"),
        refusal: "an environment may hold nothing that stays behind",
        stays: true,
        ..HARMLESS
    },
    Attempt {
        branch: "finalizer",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: finalizer, \
                   finalizers: [kubernetes.io/stay]}\n",
        shows: ("finalizer", "configmap", "planted"),
        refusal: "an environment may hold nothing that stays behind",
        stays: true,
        ..HARMLESS
    },
    Attempt {
        branch: "older-standard",
        namespace: "labels: {pod-security.kubernetes.io/enforce: restricted, \
                    pod-security.kubernetes.io/enforce-version: v1.0}",
        manifest: "apiVersion: v1\nkind: Pod\nmetadata: {name: root, namespace: older-standard}\n\
                   spec: {securityContext: {runAsNonRoot: true}, containers: [{name: root, image: busybox, \
                   securityContext: {allowPrivilegeEscalation: true}}]}\n",
        shows: ("older-standard", "pod", "root"),
        refusal: "pod-security.kubernetes.io/enforce: restricted",
        ..HARMLESS
    },
    Attempt {
        branch: "namespace-finalizer",
        namespace: "labels: {pod-security.kubernetes.io/enforce: restricted}}\nspec: {finalizers: [example.com/stay]",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: namespace-finalizer}\n",
        shows: ("", "namespace", "namespace-finalizer"),
        refusal: "an environment may hold nothing that stays behind",
        stays: true,
        ..HARMLESS
    },
    Attempt {
        branch: "www",
        manifest: "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: stolen, namespace: www}\n\
                   spec: {rules: [{host: www.example.com, http: {paths: [{path: /, pathType: Prefix, \
                   backend: {service: {name: app, port: {number: 80}}}}]}}]}\n",
        shows: ("www", "ingress", "stolen"),
        refusal: "the one host of an environment is www.localhost",
        ..HARMLESS
    },
    Attempt {
        branch: "certificate",
        manifest: "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: stolen, namespace: certificate}\n\
                   spec: {tls: [{hosts: [app.localhost], secretName: stolen}], \
                   rules: [{host: certificate.localhost, http: {paths: [{path: /, pathType: Prefix, \
                   backend: {service: {name: app, port: {number: 80}}}}]}}]}\n",
        shows: ("certificate", "ingress", "stolen"),
        refusal: "the one host of an environment is certificate.localhost",
        ..HARMLESS
    },
    Attempt {
        branch: "annotation",
        manifest: "apiVersion: v1\nkind: Service\nmetadata: {name: stolen, namespace: annotation, \
                   annotations: {external-dns.alpha.kubernetes.io/hostname: app.localhost}}\nspec: {ports: [{port: 80}]}\n",
        shows: ("annotation", "service", "stolen"),
        refusal: "a Service of an environment may carry no annotations",
        ..HARMLESS
    },
    Attempt {
        branch: "port",
        manifest: "apiVersion: v1\nkind: Service\nmetadata: {name: open, namespace: port}\n\
                   spec: {type: NodePort, ports: [{port: 80}]}\n",
        shows: ("port", "service", "open"),
        refusal: "has to be of the type ClusterIP",
        ..HARMLESS
    },
];

/// Flux's own kind inside of an environment: applied with Flux's rights, from a repository that it names.
const NESTED: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
                      metadata: {name: nested, namespace: nested}\n\
                      spec: {interval: 10m0s, prune: true, path: ./k8s/app/base, targetNamespace: default, \
                      sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}\n";

/// What an overlay takes from a base that production has as well, and what has no namespace.
const SHARED: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.example.com
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things, singular: thing}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: app-reader
rules: []
";

/// A pull request whose overlay takes it, with more in its `kustomization.yaml`.
fn shared<'a>(cluster: &'a Cluster, branch: &str, more: &str) -> PullRequest<'a> {
    // Production's. Two that apply at the same time would both create it.
    static APPLYING: Mutex<()> = Mutex::new(());
    {
        let _one = APPLYING.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.plane.kube.apply(SHARED);
    }
    let overlay = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [ns.yaml, shared.yaml]\n";
    let files = [
        ("kustomization.yaml", format!("{overlay}{more}")),
        ("shared.yaml", SHARED.to_owned()),
    ];
    cluster.pull_request_with(cluster.repository.clone(), branch, &files)
}

/// The id of each, where it is there.
fn shared_uids(cluster: &Cluster) -> [Option<Value>; 2] {
    [
        ("customresourcedefinition", "things.example.com"),
        ("clusterrole", "app-reader"),
    ]
    .map(|(kind, name)| {
        let object = cluster.plane.kube.get("", kind, name)?;
        Some(object["metadata"]["uid"].clone())
    })
}

pub(crate) fn what_production_has_in_the_whole_cluster_is_refused_and_stays(cluster: &Cluster) {
    let pull_request = shared(cluster, "shares", "");
    let before = shared_uids(cluster);
    assert!(before.iter().all(Option::is_some));
    let environment = pull_request.deploy();
    cluster
        .watch
        .until_failing(&environment.object, "is forbidden");
    pull_request.close();
    environment.until_let_go();
    assert_eq!(shared_uids(cluster), before);
}

pub(crate) fn an_overlay_that_leaves_it_out_as_the_docs_say_gets_ready(cluster: &Cluster) {
    let blocks = blocks("how-it-works", "## The overlay");
    let leave_out = blocks.last().unwrap();
    let pull_request = shared(cluster, "leaves-out", leave_out);
    let before = shared_uids(cluster);
    let environment = pull_request.deploy();
    environment.until_ready();
    pull_request.close();
    environment.until_gone();
    assert_eq!(shared_uids(cluster), before);
}

/// Flux takes over what is called the same, and the end of the environment removes it.
fn shares_by_default(cluster: &Cluster) {
    let pull_request = shared(cluster, "shares", "");
    let environment = pull_request.deploy();
    environment.until_ready();
    pull_request.close();
    environment.until_gone();
    assert_eq!(shared_uids(cluster), [None, None]);
}

impl Attempt {
    fn pull_request<'a>(&self, cluster: &'a Cluster, public: &Repository) -> PullRequest<'a> {
        let overlay = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
        let overlay = match self.remote {
            None => format!("{overlay}resources: [ns.yaml, hostile.yaml]\n"),
            Some(directory) => format!(
                "{overlay}namespace: {}\nresources: [ns.yaml, '{}//{directory}?ref=main']\n",
                self.branch,
                public.clone_url()
            ),
        };
        let namespace = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: '${{BRANCH_NAME}}', {}}}\n",
            self.namespace
        );
        let files = [
            ("kustomization.yaml", overlay),
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
    let mut cluster = Cluster::without_lockdown();
    let public = cluster.github.fork("public");
    public.make_public();
    by_default(&cluster, &public);
    shares_by_default(&cluster);
    let flags = lock(&cluster, &public);
    // In a cluster of containers the changed Deployment does this.
    cluster.plane.restart("kustomize-controller", &flags);
    under_lockdown(&cluster, &public);
}

/// Takes a finalizer off a namespace that is being deleted, as only its own subresource can.
fn free(cluster: &Cluster, namespace: &str) {
    let without = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {{\"name\": \"{namespace}\"}}, \
         \"spec\": {{\"finalizers\": []}}}}"
    );
    let path = format!("/api/v1/namespaces/{namespace}/finalize");
    let freed = cluster
        .plane
        .kube
        .try_kubectl(&["replace", "--raw", &path, "--filename=-"], &without);
    freed.unwrap();
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

/// Everything succeeds.
fn by_default(cluster: &Cluster, public: &Repository) {
    create_monitoring(cluster);
    let victim = cluster.pull_request("victim", "mine").deploy();
    victim.until_ready();
    let hostile: Vec<_> = ATTEMPTS
        .iter()
        .map(|attempt| attempt.pull_request(cluster, public))
        .collect();
    let environments: Vec<Environment<'_>> = hostile.iter().map(PullRequest::deploy).collect();
    for (attempt, environment) in ATTEMPTS.iter().zip(&environments) {
        environment.until_ready();
        assert!(attempt.is_there(cluster), "{}", attempt.branch);
    }
    cluster.watch.until(
        "the nested Kustomization is applied with Flux's rights",
        |world| world.kustomization("nested/nested").is_some_and(is_ready),
    );
    let applied_in_default = cluster.plane.kube.get("default", "deployment", "app");
    assert!(applied_in_default.is_some());
    assert_eq!(victim.only_here().as_deref(), Some("taken over"));

    for pull_request in &hostile {
        pull_request.close();
    }
    for (attempt, environment) in ATTEMPTS.iter().zip(&environments) {
        if attempt.stays {
            environment.until_let_go();
        } else {
            environment.until_gone();
        }
        assert_eq!(
            attempt.is_there(cluster),
            attempt.stays,
            "{}",
            attempt.branch
        );
    }
    let kube = &cluster.plane.kube;
    kube.kubectl(&["delete", "namespace", "stays", "other-case"]);
    let none = "--patch={\"metadata\": {\"finalizers\": null}}";
    kube.kubectl(&[
        "patch",
        "configmap",
        "planted",
        "--namespace=finalizer",
        "--type=merge",
        none,
    ]);
    free(cluster, "namespace-finalizer");
    cluster.watch.until("what stayed is gone", |world| {
        let mut stayed = ATTEMPTS.iter().filter(|attempt| attempt.stays);
        stayed.all(|attempt| world.namespace(attempt.branch).is_none())
    });
    // What they had taken over goes with them.
    assert!(!has_precious(cluster));
    assert_eq!(victim.only_here(), None);
}

/// Turns the lockdown on, and gives back the flags that it puts into a Deployment. An environment that holds what is no
/// longer allowed waits for somebody to remove that.
fn lock(cluster: &Cluster, public: &Repository) -> Vec<String> {
    let rights = RIGHTS.pull_request(cluster, public);
    let environment = rights.deploy();
    environment.until_ready();
    cluster.list("components", "lockdown");
    cluster.watch.until("the lockdown is on", |world| {
        let account = |name: &str| {
            let object = world.kustomization(name);
            object.map(|object| object["spec"]["serviceAccountName"].clone())
        };
        account(&environment.object) == Some("ephemeral".into())
            && account("ephemeral-victim") == Some("ephemeral".into())
            && account("flux-system") == Some("kustomize-controller".into())
    });

    rights.close();
    // The namespace goes, for Flux goes on with what it may.
    cluster
        .watch
        .until("Flux has tried to remove everything", |world| {
            world.namespace(&environment.namespace).is_none()
        });
    assert!(
        cluster
            .watch
            .now()
            .kustomization(&environment.object)
            .is_some()
    );
    assert!(RIGHTS.is_there(cluster));
    cluster
        .plane
        .kube
        .kubectl(&["delete", "clusterrolebinding", "stolen"]);
    // Flux may not even look whether it is gone, so it has to be told not to.
    let suspend = ["suspend", "kustomization", &environment.object];
    cluster.plane.kube.run("flux", &suspend, "").unwrap();
    environment.until_gone();

    cluster
        .watch
        .until("the victim has what is its own", |world| {
            world
                .kustomization("ephemeral-victim")
                .is_some_and(is_ready)
        });
    let controller = cluster
        .plane
        .kube
        .get("flux-system", "deployment", "kustomize-controller");
    flags(&controller.unwrap())
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

fn under_lockdown(cluster: &Cluster, public: &Repository) {
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
        .map(|attempt| attempt.pull_request(cluster, public))
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

    // What Flux's flag does not stop: a file that the build loads from wherever kustomize-controller reaches.
    let words = Fault::on("GET", "/words").always();
    cluster.github.fault(words.answer_text(200, "loaded"));
    let loads = cluster.pull_request_with(
        cluster.repository.clone(),
        "loads",
        &[(
            "kustomization.yaml",
            format!(
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: loads\n\
                 resources: [ns.yaml]\nconfigMapGenerator: [{{name: loaded, files: ['words={}/words'], \
                 options: {{disableNameSuffixHash: true}}}}]\n",
                cluster.github.server_url()
            ),
        )],
    );
    let loaded = loads.deploy();
    loaded.until_ready();
    let found = cluster
        .plane
        .kube
        .get("loads", "configmap", "loaded")
        .unwrap();
    assert_eq!(found["data"]["words"], "loaded");
    loads.close();
    loaded.until_gone();

    // Were the rights wider, so that an environment could hold Flux's own kinds, Flux's flags would still stop those: it
    // neither reaches another namespace's repository nor, with a repository of its own, has Flux's rights.
    let across = NESTED.replace("namespace: nested}", "namespace: honest}");
    let within = across
        .replace("{name: nested,", "{name: nested-within,")
        .replace(", namespace: flux-system}", "}");
    cluster.plane.kube.apply(&format!(
        "{across}---\n{within}---\n\
         {{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {{name: flux-system, namespace: honest}}, \
         spec: {{interval: 1m0s, url: '{}', ref: {{branch: main}}}}}}\n",
        public.clone_url()
    ));
    for (name, refusal) in [
        ("honest/nested", "cross-namespace"),
        (
            "honest/nested-within",
            "system:serviceaccount:honest:default",
        ),
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
    // With a prefix, where the policy is told of it.
    let path = "k8s/lockdown/policy.yaml";
    let policy = cluster.repository.read("main", path).unwrap();
    let prefixed = policy.replacen("\"''\"", "\"'preview-'\"", 1);
    assert_ne!(policy, prefixed);
    let told = cluster
        .repository
        .commit("main", &[(path, Some(&prefixed))], "Tell the policy");
    cluster.watch.until("the policy is told", |world| {
        let revision =
            &world.kustomization("flux-system").unwrap()["status"]["lastAppliedRevision"];
        is_at(revision, &told)
    });
    let pull_request = cluster
        .pull_request("dev", "here")
        .input("namespace-prefix", "preview-");
    let environment = pull_request.deploy();
    assert_eq!(environment.namespace, "preview-dev");
    environment.until_ready();
    pull_request.close();
    environment.until_gone();
}
