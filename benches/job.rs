//! What a whole job takes: `cargo bench --bench job`. The README's workflow on `act`, with the image pulled from a registry of
//! its own, and beside it the same by a chain of published JavaScript actions (`job/chain.yml`).
//!
//! Needs Docker, Debian's `docker-registry`, `act` and `node` on `PATH`, and an image that `FLUX_EPHEMERAL_ENV_IMAGE` names.
//! `FLUX_EPHEMERAL_ENV_CHAIN` is a directory that holds the actions of the chain, each at the commit that the workflow names:
//! `<owner>/<name>/action.yml`. Nobody else may use the machine meanwhile.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark talks to a person, and ends where it cannot go on"
)]

#[path = "../tests/action/act.rs"]
#[allow(dead_code, reason = "the stories use the rest")]
mod act;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use local_github::{LocalGitHub, temporary_directory};
use serde_json::Value;
use tempfile::TempDir;

use crate::act::{Act, PUBLISHED, base_image, read, released};

const RUNS: usize = 7;
const CHAIN: &str = include_str!("job/chain.yml");
fn main() {
    let image = std::env::var("FLUX_EPHEMERAL_ENV_IMAGE")
        .expect("FLUX_EPHEMERAL_ENV_IMAGE names the image to measure");
    let chain = std::env::var_os("FLUX_EPHEMERAL_ENV_CHAIN").map(PathBuf::from);
    let machine = Machine::new();
    let registry = Registry::start();
    let published = Published::push(&registry, &image);

    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "whole", "most", "pull", "start", "run", "rest", "CPU"
    );
    let action = released(&published.reference);
    let ours = |act: &mut Act| act.stand_in(PUBLISHED[1], &action);
    let workflow = readme();
    let (mut first, mut next, mut others) = (Vec::new(), Vec::new(), Vec::new());
    // In turn, so that whatever else the machine does is in all of them.
    for _ in 0..RUNS {
        published.remove();
        first.push(run(&machine, &workflow, ours));
        next.push(run(&machine, &workflow, ours));
        if let Some(directory) = &chain {
            others.push(run(&machine, CHAIN, |act| replace_all(act, directory)));
        }
    }
    print("this action, first use", &first);
    print("this action, next use", &next);
    if chain.is_some() {
        print("the chain of actions", &others);
    } else {
        println!(
            "the chain of actions: not measured, for FLUX_EPHEMERAL_ENV_CHAIN names no directory with them"
        );
    }
    println!(
        "\nThe registry holds {:.1} MB for the image.",
        registry.megabytes()
    );
}

/// The README's workflow, without what `act` does not know.
fn readme() -> String {
    let page = read("README.md");
    let (_, block) = page.split_once("```yaml\n").expect("a workflow");
    let (block, _) = block.split_once("```").expect("its end");
    let queue = "      queue: max\n";
    assert!(block.contains(PUBLISHED[0]) && block.contains(queue));
    block.replace(PUBLISHED[0], PUBLISHED[1]).replace(queue, "")
}

/// Has the chain's actions come from a directory.
fn replace_all(act: &mut Act, directory: &Path) {
    for line in CHAIN.lines() {
        let Some((_, uses)) = line.split_once("uses: ") else {
            continue;
        };
        let uses = uses.split(' ').next().unwrap_or(uses);
        let (name, commit) = uses.split_once('@').expect("a commit");
        let folder = directory.join(name);
        let is_there = folder.join("action.yml").exists();
        assert!(
            is_there,
            "{} is no checkout of https://github.com/{name} at {commit}",
            folder.display()
        );
        act.replace(uses, &folder);
    }
}

/// How long the parts of a job took.
#[derive(Default)]
struct Taken {
    whole: Duration,
    pull: Duration,
    start: Duration,
    run: Duration,
    cpu: Duration,
}

/// Deploys a new pull request on a new local GitHub.
fn run(machine: &Machine, workflow: &str, prepare: impl FnOnce(&mut Act)) -> Taken {
    let github = LocalGitHub::start();
    github.set_permission("rita", "write");
    let repository = github.repository();
    repository.commit("dev", &[("app.txt", Some("new\n"))], "Change the app");
    let number = github.open_pull_request(&repository, "dev", "paul");
    let comment = github.comment(number, "rita", "/deploy-ephemeral");
    let payload = github.issue_comment_event(comment, "created");
    let before = repository.tip("main");
    let mut act = Act::new(&github, workflow, "issue_comment", &payload);
    prepare(&mut act);

    let mut steps = Steps::default();
    let (busy, started) = (busy(), Instant::now());
    let ended = act.run(&machine.image, |line| steps.see(line));
    let whole = started.elapsed();

    assert!(ended.success, "{}", ended.log);
    assert_ne!(repository.tip("main"), before, "{}", ended.log);
    let file = "k8s/app/overlays/ephemeral-instances/sync-dev.yaml";
    assert!(repository.read("main", file).is_some(), "{}", ended.log);
    assert_eq!(github.comments(number).len(), 2, "{}", ended.log);
    Taken {
        whole,
        cpu: self::busy().saturating_sub(busy),
        ..steps.taken
    }
}

/// Tells the parts of a job by the lines of its log.
#[derive(Default)]
struct Steps {
    taken: Taken,
    part: Option<(Part, Instant)>,
}

#[derive(Clone, Copy)]
enum Part {
    Pull,
    Start,
    Run,
}

impl Steps {
    fn see(&mut self, line: &Value) {
        let message = line["msg"].as_str().unwrap_or_default().trim_start();
        let in_step = line["stage"].is_string();
        let begins = |words: &str| in_step && message.starts_with(words);
        let next = if begins("🐳  docker pull") {
            Some(Part::Pull)
        } else if begins("⭐ Run ") || begins("🐳  docker create") {
            Some(Part::Start)
        } else if begins("🐳  docker exec") || (in_step && line["raw_output"] == true) {
            Some(Part::Run)
        } else if begins("✅  Success") {
            None
        } else {
            return;
        };
        let now = Instant::now();
        match (self.part, next) {
            // Further output of the same program.
            (Some((Part::Run, _)), Some(Part::Run)) => return,
            (Some((part, since)), _) => {
                let sum = match part {
                    Part::Pull => &mut self.taken.pull,
                    Part::Start => &mut self.taken.start,
                    Part::Run => &mut self.taken.run,
                };
                *sum += now - since;
            }
            (None, _) => {}
        }
        self.part = next.map(|part| (part, now));
    }
}

/// Prints the medians, and the longest job.
fn print(what: &str, taken: &[Taken]) {
    let median = |of: &dyn Fn(&Taken) -> Duration| {
        let mut values: Vec<Duration> = taken.iter().map(of).collect();
        values.sort_unstable();
        values[values.len() / 2].as_secs_f64()
    };
    let most = taken
        .iter()
        .map(|taken| taken.whole)
        .max()
        .unwrap_or_default();
    let rest = |taken: &Taken| {
        taken
            .whole
            .saturating_sub(taken.pull + taken.start + taken.run)
    };
    println!(
        "{what:<28} {:>6.2} s {:>6.2} s {:>6.2} s {:>6.2} s {:>6.2} s {:>6.2} s {:>6.2} s",
        median(&|taken| taken.whole),
        most.as_secs_f64(),
        median(&|taken| taken.pull),
        median(&|taken| taken.start),
        median(&|taken| taken.run),
        median(&rest),
        median(&|taken| taken.cpu),
    );
}

/// How long this machine's processors have been busy, with whatever.
fn busy() -> Duration {
    let all = fs::read_to_string("/proc/stat").expect("/proc");
    let line = all.lines().next().expect("a line of all processors");
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|ticks| ticks.parse().expect("a number"))
        .collect();
    // user, nice, system, idle, iowait, irq, softirq; all Linux machines tell hundredths of a second.
    let ticks: u64 = [0, 1, 2, 5, 6].iter().map(|index| ticks[*index]).sum();
    Duration::from_millis(ticks * 10)
}

/// What jobs run on: the image that the Dockerfile starts from, with git and this machine's node.
struct Machine {
    image: String,
}

impl Machine {
    fn new() -> Machine {
        let image = format!("flux-ephemeral-env-job:{}", std::process::id());
        let directory = temporary_directory();
        let node = Command::new("node")
            .args(["--print", "process.execPath"])
            .output();
        let node = String::from_utf8(node.expect("node").stdout).expect("a path");
        fs::copy(node.trim(), directory.path().join("node")).expect("node, copied");
        let install = "apt-get update -qq && apt-get install -qq --yes --no-install-recommends git";
        let text = format!(
            "FROM {}\nRUN {install}\nCOPY node /usr/local/bin/node\n",
            base_image()
        );
        fs::write(directory.path().join("Dockerfile"), text).expect("a Dockerfile");
        let place = directory.path().to_str().expect("a path in UTF-8");
        docker(&["build", "--quiet", "--network=host", "--tag", &image, place]);
        Machine { image }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        docker(&["image", "rm", &self.image]);
    }
}

/// A registry on a free port of this machine.
struct Registry {
    process: Child,
    address: String,
    directory: TempDir,
}

impl Registry {
    fn start() -> Registry {
        let directory = temporary_directory();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its number").to_string();
        drop(listener);
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            directory.path().join("registry").display()
        );
        let file = directory.path().join("config.yml");
        fs::write(&file, config).expect("a configuration");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry, which apt installs");
        let patience = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&address).is_err() {
            assert!(
                Instant::now() < patience,
                "docker-registry does not listen on {address}"
            );
            thread::sleep(Duration::from_millis(50));
        }
        Registry {
            process,
            address,
            directory,
        }
    }

    /// The size of all that it holds.
    fn megabytes(&self) -> f64 {
        let mut left = vec![self.directory.path().join("registry")];
        let mut bytes = 0;
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let entry = entry.expect("an entry");
                let metadata = entry.metadata().expect("its size");
                if metadata.is_dir() {
                    left.push(entry.path());
                } else {
                    bytes += metadata.len();
                }
            }
        }
        bytes as f64 / 1e6
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The image in the registry. It is a copy with a layer of its own: of what another image holds, nothing would be pulled.
struct Published {
    reference: String,
}

impl Published {
    fn push(registry: &Registry, image: &str) -> Published {
        let entrypoint = docker(&[
            "image",
            "inspect",
            "--format",
            "{{json .Config.Entrypoint}}",
            image,
        ]);
        let container = docker(&["container", "create", image]);
        let directory = temporary_directory();
        let file = directory.path().join("image.tar");
        let file = file.to_str().expect("a path in UTF-8");
        docker(&["container", "export", "--output", file, &container]);
        docker(&["container", "rm", &container]);
        let tag = format!("{}/octo-org/flux-ephemeral-env:v1", registry.address);
        docker(&[
            "image",
            "import",
            "--change",
            &format!("ENTRYPOINT {entrypoint}"),
            file,
            &tag,
        ]);
        docker(&["image", "push", "--quiet", &tag]);
        let reference = docker(&[
            "image",
            "inspect",
            "--format",
            "{{index .RepoDigests 0}}",
            &tag,
        ]);
        docker(&["image", "rm", &tag]);
        Published { reference }
    }

    /// Removes it from this machine, where it is there.
    fn remove(&self) {
        let _ = Command::new("docker")
            .args(["image", "rm", &self.reference])
            .output();
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.remove();
    }
}

/// What a command of Docker's prints.
fn docker(args: &[&str]) -> String {
    let mut command = Command::new("docker");
    // Without its plug-in, a newer client builds only in the way from before BuildKit.
    let output = command
        .args(args)
        .env("DOCKER_BUILDKIT", "0")
        .output()
        .expect("docker");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {said}", args.join(" "));
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}
