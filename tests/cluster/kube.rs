//! A cluster, reached by `kubectl` and `flux`, and what happens in it as it happens.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The two kinds that an instance consists of, and the namespace that it makes.
const WATCHED: [&str; 3] = [
    "gitrepositories.source.toolkit.fluxcd.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "namespaces",
];

/// How long anything may take that ought to happen. On a busy machine twenty environments take a minute.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// A cluster, and the programs for it.
#[derive(Clone)]
pub(crate) struct Kube {
    /// `KUBECONFIG`.
    pub(crate) kubeconfig: PathBuf,
    /// `PATH`.
    pub(crate) path: OsString,
}

impl Kube {
    /// A program with this cluster's configuration.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("PATH", &self.path);
        command
    }

    /// Runs `kubectl` or `flux`: what it printed, or what it complained of.
    pub(crate) fn run(&self, program: &str, args: &[&str], input: &str) -> Result<String, String> {
        self.feed(self.command(program).args(args), input)
    }

    /// The same for a command of [`Kube::command`].
    pub(crate) fn feed(&self, command: &mut Command, input: &str) -> Result<String, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!(
                    "`{program}` cannot be started: {error}; tests/cluster/up prints where it is"
                )
            })?;
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // It may end without reading.
        let fed = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        fed.join().unwrap();
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.trim_end().to_owned())
    }

    /// `kubectl`, which may fail.
    pub(crate) fn try_kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        self.run("kubectl", args, input)
    }

    /// `kubectl`, which must not fail.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args, "")
            .unwrap_or_else(|said| panic!("kubectl {args:?}: {said}"))
    }

    /// Applies manifests by hand.
    pub(crate) fn apply(&self, manifests: &str) {
        self.try_kubectl(&["apply", "--filename=-"], manifests)
            .unwrap_or_else(|said| panic!("{said}\n{manifests}"));
    }

    /// One object; none where it is not there.
    pub(crate) fn get(&self, namespace: &str, kind: &str, name: &str) -> Option<Value> {
        let args = [
            "get",
            kind,
            name,
            "--namespace",
            namespace,
            "--ignore-not-found",
            "--output=json",
        ];
        let printed = self.kubectl(&args);
        (!printed.is_empty()).then(|| serde_json::from_str(&printed).unwrap())
    }
}

/// Every object of the kinds that matter, as of now, by kind and `namespace/name`.
#[derive(Default)]
pub(crate) struct World {
    objects: BTreeMap<(String, String), Value>,
}

impl World {
    /// A Flux `Kustomization`, by its name in `flux-system` or by `namespace/name`.
    pub(crate) fn kustomization(&self, name: &str) -> Option<&Value> {
        self.object("Kustomization", name)
    }

    /// A Flux `GitRepository`, likewise.
    pub(crate) fn git_repository(&self, name: &str) -> Option<&Value> {
        self.object("GitRepository", name)
    }

    /// A namespace.
    pub(crate) fn namespace(&self, name: &str) -> Option<&Value> {
        self.object("Namespace", &format!("/{name}"))
    }

    /// An object by its kind, and its name in `flux-system` or `namespace/name`.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Option<&Value> {
        let path = if name.contains('/') {
            name.to_owned()
        } else {
            format!("flux-system/{name}")
        };
        self.objects.get(&(kind.to_owned(), path))
    }

    /// Every `Kustomization`, with its `namespace/name`.
    pub(crate) fn kustomizations(&self) -> impl Iterator<Item = (&str, &Value)> {
        let of_kind = self
            .objects
            .iter()
            .filter(|((kind, _), _)| kind == "Kustomization");
        of_kind.map(|((_, path), object)| (path.as_str(), object))
    }

    /// What each of Flux's objects says of itself.
    pub(crate) fn describe(&self) -> String {
        let flux = self
            .objects
            .iter()
            .filter(|((kind, _), _)| kind != "Namespace");
        let lines =
            flux.map(|((kind, path), object)| format!("{kind} {path}: {}\n", message(object)));
        lines.collect()
    }
}

/// Whether Flux is done with the object as it is, and content.
pub(crate) fn is_ready(object: &Value) -> bool {
    let is_current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    is_current && condition(object, "Ready")["status"] == "True"
}

/// Whether one of Flux's revisions, such as `main@sha1:…`, is this commit.
pub(crate) fn is_at(revision: &Value, commit: &str) -> bool {
    revision
        .as_str()
        .is_some_and(|revision| revision.ends_with(commit))
}

/// What the object says of its being ready, in Flux's words.
fn message(object: &Value) -> &str {
    condition(object, "Ready")["message"]
        .as_str()
        .unwrap_or("nothing yet")
}

/// The condition of this type; null where there is none.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == kind));
    found.unwrap_or(&Value::Null)
}

/// Looks on, by one `kubectl get --watch` for each kind, which end with it.
pub(crate) struct Watch {
    shared: Arc<(Mutex<World>, Condvar)>,
    children: Vec<Child>,
}

impl Watch {
    /// Looks at everything that is there, and at everything that changes.
    pub(crate) fn new(kube: &Kube) -> Watch {
        let shared: Arc<(Mutex<World>, Condvar)> = Arc::default();
        let children = WATCHED
            .map(|kind| {
                let mut child = kube
                    .command("kubectl")
                    .args([
                        "get",
                        kind,
                        "--all-namespaces",
                        "--watch",
                        "--output-watch-events",
                        "--output=json",
                    ])
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("kubectl");
                let events = BufReader::new(child.stdout.take().unwrap());
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let events = serde_json::Deserializer::from_reader(events).into_iter();
                    // The last one is cut off where kubectl is killed.
                    for event in events.map_while(Result::ok) {
                        note(&shared, event);
                    }
                });
                child
            })
            .into();
        Watch { shared, children }
    }

    /// What there is now.
    pub(crate) fn now(&self) -> MutexGuard<'_, World> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something is so, and says when that was.
    ///
    /// # Panics
    /// Where that takes too long, with everything that Flux says.
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&World) -> bool) -> Instant {
        let began = Instant::now();
        let mut world = self.now();
        while !condition(&world) {
            let Some(left) = PATIENCE.checked_sub(began.elapsed()) else {
                panic!("not in {PATIENCE:?}: {what}\n{}", world.describe())
            };
            let woken = self.shared.1.wait_timeout(world, left);
            world = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Instant::now()
    }

    /// Waits until Flux fails at a `Kustomization` and says these words about it.
    ///
    /// # Panics
    /// As [`Watch::until`].
    pub(crate) fn until_failing(&self, kustomization: &str, words: &str) -> Instant {
        self.until(&format!("{kustomization} fails: {words}"), |world| {
            world.kustomization(kustomization).is_some_and(|object| {
                condition(object, "Ready")["status"] == "False" && message(object).contains(words)
            })
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It has ended where the cluster has.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn note(shared: &(Mutex<World>, Condvar), mut event: Value) {
    let object = event["object"].take();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    let path = format!(
        "{}/{}",
        text(&metadata["namespace"]),
        text(&metadata["name"])
    );
    let key = (text(&object["kind"]), path);
    let mut world = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    if event["type"] == "DELETED" {
        world.objects.remove(&key);
    } else {
        world.objects.insert(key, object);
    }
    shared.1.notify_all();
}
