//! Control planes: the one that `KUBECONFIG` points to, and more of one's own beside it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::kube::Kube;

/// A cluster with Flux, in which nothing is bootstrapped.
pub(crate) struct Plane {
    pub(crate) kube: Kube,
    /// Where Flux's webhook receiver listens.
    pub(crate) receiver: String,
    /// What ends with it.
    owned: Owned,
}

enum Owned {
    /// A control plane that was started for this.
    Directory {
        directory: TempDir,
        /// Those of its processes that were started again from here.
        restarted: Vec<Child>,
    },
    /// The way to the receiver of a cluster of containers.
    Forward(Child),
    Nothing,
}

impl Plane {
    /// The cluster that `KUBECONFIG` points to.
    ///
    /// # Errors
    /// What is missing, in one line: the variable, the cluster's answer, Flux in it, or a cluster that serves no other
    /// repository.
    pub(crate) fn from_env() -> Result<Plane, String> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let help = "start a control plane with `eval \"$(tests/cluster/up)\"`";
        let kubeconfig = variable("KUBECONFIG")
            .ok_or_else(|| format!("KUBECONFIG is not set: {help}, or point it to a cluster that has Flux and nothing to lose"))?;
        let kube = Kube {
            kubeconfig: PathBuf::from(&kubeconfig),
            path: variable("PATH").unwrap_or_default(),
        };
        let asked = |args: &[&str]| {
            let args = [args, &["--request-timeout=10s"]].concat();
            kube.try_kubectl(&args, "").map_err(|said| {
                let said = said.lines().last().unwrap_or_default();
                format!(
                    "the cluster of KUBECONFIG={} does not answer: {said}; {help}",
                    kubeconfig.display()
                )
            })
        };
        let kinds = asked(&["get", "customresourcedefinitions", "--output=name"])?;
        for kind in [
            "gitrepositories.source",
            "kustomizations.kustomize",
            "receivers.notification",
        ] {
            if !kinds.contains(&format!("/{kind}.toolkit.fluxcd.io")) {
                return Err(format!(
                    "there is no Flux in the cluster of KUBECONFIG={}: it does not know {kind}.toolkit.fluxcd.io; \
                     run `flux install` in it, or {help}",
                    kubeconfig.display()
                ));
            }
        }
        let url = asked(&[
            "get",
            "gitrepository",
            "flux-system",
            "--namespace=flux-system",
            "--ignore-not-found",
            "--output=jsonpath={.spec.url}",
        ])?;
        // Of an earlier run of these stories.
        let is_ours = url.starts_with("http://") && url.ends_with("/octo-org/demo.git");
        if !url.is_empty() && !is_ours {
            return Err(format!(
                "the cluster of KUBECONFIG={} serves {url}, and these stories would take it over; {help}",
                kubeconfig.display()
            ));
        }
        let (receiver, owned) = match variable("FLUX_RECEIVER") {
            Some(url) => (url.to_string_lossy().into_owned(), Owned::Nothing),
            None => {
                let (url, child) = forward(&kube)?;
                (url, Owned::Forward(child))
            }
        };
        Ok(Plane {
            kube,
            receiver,
            owned,
        })
    }

    /// A control plane of one's own.
    pub(crate) fn start() -> Plane {
        Plane::start_with(None)
    }

    /// The same, with what Flux's controllers have where this is `k8s/kustomization.yaml`.
    pub(crate) fn start_with(kustomization: Option<&str>) -> Plane {
        let directory = tempfile::Builder::new().prefix("plane-").tempdir().unwrap();
        let mut up = script("up", &directory.path().join("run"));
        if let Some(kustomization) = kustomization {
            let file = directory.path().join("kustomization.yaml");
            fs::write(&file, kustomization).unwrap();
            up.env("KUSTOMIZATION", file);
        }
        let printed = printed(&mut up).unwrap();
        let exported = |name: &str| {
            let mut lines = printed.lines();
            let value = lines.find_map(|line| line.strip_prefix(&format!("export {name}=")));
            value
                .unwrap_or_else(|| panic!("no {name} in {printed}"))
                .to_owned()
        };
        let path = std::env::var("PATH").unwrap();
        Plane {
            kube: Kube {
                kubeconfig: exported("KUBECONFIG").into(),
                path: exported("PATH").replace("$PATH", &path).into(),
            },
            receiver: exported("FLUX_RECEIVER"),
            owned: Owned::Directory {
                directory,
                restarted: Vec::new(),
            },
        }
    }

    /// Ends one of Flux's controllers and starts it again with more flags, as a changed Deployment would.
    ///
    /// # Panics
    /// For a control plane that was not started by [`Plane::start`].
    pub(crate) fn restart(&mut self, controller: &str, flags: &[String]) {
        let Owned::Directory {
            directory,
            restarted,
        } = &mut self.owned
        else {
            panic!("{controller} is a pod")
        };
        let list = directory.path().join("run/pids");
        let pids = fs::read_to_string(&list).unwrap();
        let line = pids
            .lines()
            .find(|line| line.ends_with(&format!(" {controller}")))
            .unwrap();
        let pid = line.split(' ').next().unwrap();
        let strings = |file: &str| -> Vec<String> {
            let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
            text.split_terminator('\0').map(str::to_owned).collect()
        };
        let (arguments, variables) = (strings("cmdline"), strings("environ"));
        let killed = Command::new("kill").args(["-KILL", pid]).status().unwrap();
        assert!(killed.success());
        let log = File::create(directory.path().join("run/log").join(controller)).unwrap();
        let mut command = Command::new(&arguments[0]);
        command
            .args(&arguments[1..])
            .args(flags)
            .env_clear()
            .envs(
                variables
                    .iter()
                    .filter_map(|variable| variable.split_once('=')),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        // The old one holds its ports until it is gone.
        while Path::new(&format!("/proc/{pid}/exe")).exists() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let child = command.spawn().unwrap();
        // Where `down` finds it, should this process not get to it.
        fs::write(&list, format!("{pids}{} {controller}\n", child.id())).unwrap();
        restarted.push(child);
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        match &mut self.owned {
            Owned::Directory {
                directory,
                restarted,
            } => {
                restarted.iter_mut().for_each(end);
                if let Err(error) = printed(&mut script("down", &directory.path().join("run"))) {
                    eprintln!("{error}");
                }
            }
            Owned::Forward(child) => end(child),
            Owned::Nothing => {}
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// A way to the webhook receiver from here: its URL, and the process that keeps it open.
fn forward(kube: &Kube) -> Result<(String, Child), String> {
    let mut child = kube
        .command("kubectl")
        .args([
            "port-forward",
            "--namespace=flux-system",
            "service/webhook-receiver",
            ":80",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`kubectl` cannot be started: {error}"))?;
    let mut lines = child
        .stdout
        .take()
        .into_iter()
        .flat_map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok));
    // `Forwarding from 127.0.0.1:40001 -> 9292`
    let first = lines.next().unwrap_or_default();
    let mut words = first.split_whitespace();
    if let Some(address) = words.find(|word| word.starts_with("127.0.0.1:")) {
        let url = format!("http://{address}");
        // It writes a line for each connection, and would end where nobody read them.
        std::thread::spawn(move || lines.for_each(drop));
        return Ok((url, child));
    }
    // Without a first line it has ended, or closed what it writes to.
    let _ = child.kill();
    let said = child.wait_with_output().map(|output| output.stderr);
    Err(format!(
        "Flux's webhook receiver cannot be reached by port-forward: {}; set FLUX_RECEIVER to its URL",
        String::from_utf8_lossy(&said.unwrap_or_default()).trim()
    ))
}

fn script(name: &str, run: &Path) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cluster")
        .join(name);
    let mut command = Command::new(script);
    command
        .arg(run)
        // However this ends, by Ctrl-C too.
        .env("UNTIL_PID", std::process::id().to_string());
    command
}

fn printed(command: &mut Command) -> Result<String, String> {
    let script = Path::new(command.get_program()).display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("{script}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{script}: {said}"))
}
