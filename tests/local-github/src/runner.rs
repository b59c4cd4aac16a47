//! How the GitHub runner starts an action.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;
use tempfile::TempDir;
use wait4::Wait4 as _;

use crate::LocalGitHub;
use crate::interrupt;
use crate::temporary;

/// Where the runner mounts things in a container of an action.
const MOUNT: &str = "/github";

/// A job's step that is about to run: an event, inputs, a workspace.
///
/// The program gets the variables that an action gets and no others of this process but `PATH`; and a `TMPDIR`, for what is
/// temporary in a container goes with it.
#[derive(Clone)]
pub struct Job {
    event: (String, Vec<u8>),
    declared: Vec<(String, String)>,
    inputs: Vec<(String, String)>,
    variables: BTreeMap<String, String>,
    raw: Vec<(String, Vec<u8>)>,
    removed: Vec<String>,
    workspace: Option<PathBuf>,
    temporary: Option<PathBuf>,
    docker: Vec<String>,
    read_only: bool,
}

/// How a job ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The exit status; 128 and the signal's number where a signal ended it.
    pub status: i32,
    /// What it printed.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
    /// What it wrote to `GITHUB_OUTPUT`.
    pub outputs: BTreeMap<String, String>,
    /// What it wrote to `GITHUB_STEP_SUMMARY`.
    pub summary: String,
    /// From the start to the end.
    pub duration: Duration,
    /// The processor time it used, its own and the kernel's for it.
    pub cpu_time: Duration,
    /// The most memory it held, in bytes.
    pub peak_memory: u64,
}

/// A job that runs. Dropping it kills it.
pub struct RunningJob {
    child: Child,
    files: Files,
    started: Instant,
    /// The container's name, where it runs in one.
    container: Option<String>,
}

impl Job {
    /// A job of the local GitHub's base repository, with its token, without an event.
    pub fn new(github: &LocalGitHub) -> Self {
        let variables = [
            ("GITHUB_REPOSITORY", github.repository().full_name()),
            ("GITHUB_API_URL", github.api_url()),
            ("GITHUB_SERVER_URL", github.server_url()),
            ("GITHUB_GRAPHQL_URL", github.graphql_url()),
            ("GITHUB_REPOSITORY_ID", github.repository_id().to_string()),
            ("GITHUB_RUN_ID", "1".to_owned()),
            ("INPUT_TOKEN", github.token()),
        ];
        Self {
            event: ("workflow_dispatch".to_owned(), b"{}".to_vec()),
            declared: Vec::new(),
            inputs: Vec::new(),
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            raw: Vec::new(),
            removed: Vec::new(),
            workspace: None,
            temporary: None,
            docker: Vec::new(),
            read_only: false,
        }
    }

    /// The event and its payload.
    pub fn event(self, name: &str, payload: &Value) -> Self {
        self.event_raw(name, payload.to_string())
    }

    /// The event and the bytes of its file, JSON or not.
    pub fn event_raw(mut self, name: &str, payload: impl Into<Vec<u8>>) -> Self {
        self.event = (name.to_owned(), payload.into());
        self
    }

    /// The inputs that `action.yml` declares with their defaults (`""` for none), which the runner sets where the workflow
    /// does not. The token's default is the local GitHub's token.
    pub fn declared_inputs(mut self, inputs: &[(&str, &str)]) -> Self {
        self.declared = inputs
            .iter()
            .map(|(name, default)| ((*name).to_owned(), (*default).to_owned()))
            .collect();
        self
    }

    /// An input that the workflow sets, by its name in `action.yml`.
    pub fn input(mut self, name: &str, value: &str) -> Self {
        self.inputs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A variable more, or another value for one.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.removed.retain(|removed| removed != name);
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A variable whose value is no text. Only [`Job::spawn`] and [`Job::run`] hand it on.
    pub fn env_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.raw.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a variable out.
    pub fn without_env(mut self, name: &str) -> Self {
        self.removed.push(name.to_owned());
        self
    }

    /// The workspace; an empty directory where it is not said.
    pub fn workspace(mut self, workspace: &Path) -> Self {
        self.workspace = Some(workspace.to_owned());
        self
    }

    /// Where it puts what is temporary, to look at that from here: the program's `TMPDIR`, an image's `/tmp`.
    pub fn temporary(mut self, directory: &Path) -> Self {
        self.temporary = Some(directory.to_owned());
        self
    }

    /// Mounts the workspace of an image's container read-only.
    pub fn read_only_workspace(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Further options of `docker run` for an image.
    pub fn docker_options(mut self, options: &[&str]) -> Self {
        self.docker
            .extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// `GITHUB_RUN_ID`.
    pub fn run_id(self, id: u64) -> Self {
        self.env("GITHUB_RUN_ID", &id.to_string())
    }

    /// Runs a program to its end.
    ///
    /// # Panics
    /// Where the program cannot be started.
    pub fn run(&self, executable: &Path) -> Outcome {
        self.spawn(executable).wait()
    }

    /// Starts a program.
    ///
    /// # Panics
    /// Where the program cannot be started.
    pub fn spawn(&self, executable: &Path) -> RunningJob {
        let files = Files::new(self);
        let temporary = self.temporary.clone();
        let temporary = temporary.unwrap_or_else(|| files.directory.path().join("tmp"));
        let mut command = Command::new(executable);
        command
            .current_dir(&files.workspace)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", temporary)
            .envs(self.environment(&files.places()))
            .envs(
                self.raw
                    .iter()
                    .map(|(name, value)| (name, OsStr::from_bytes(value))),
            );
        RunningJob::start(command, files)
    }

    /// Starts an image, by `docker run` as the runner does it, on the host's network.
    ///
    /// # Panics
    /// Where there is no `docker` on `PATH`.
    pub fn spawn_image(&self, image: &str) -> RunningJob {
        let files = Files::new(self);
        // Unique, as the directory's is.
        let directory = files.directory.path().file_name();
        let name = format!("github-{}", directory.expect("a name").display());
        let mut command = Command::new("docker");
        command.args([
            "run",
            "--rm",
            "--name",
            &name,
            "--network=host",
            "--workdir",
            &format!("{MOUNT}/workspace"),
        ]);
        command.args(&self.docker);
        for (name, value) in self.environment(&Places::mounted()) {
            command.args(["-e", &format!("{name}={value}")]);
        }
        let workspace = if self.read_only {
            "workspace:ro"
        } else {
            "workspace"
        };
        let mounts = [
            (files.workspace.clone(), workspace),
            (files.directory.path().join("home"), "home"),
            (files.directory.path().join("workflow"), "workflow"),
            (
                files.directory.path().join("file_commands"),
                "file_commands",
            ),
            (files.directory.path().join("runner_temp"), "runner_temp"),
        ];
        for (from, to) in mounts {
            command.args(["-v", &format!("{}:{MOUNT}/{to}", from.display())]);
        }
        if let Some(temporary) = &self.temporary {
            command.args(["-v", &format!("{}:/tmp", temporary.display())]);
        }
        command.arg(image);
        let mut running = RunningJob::start(command, files);
        running.container = Some(name);
        running
    }

    fn environment(&self, places: &Places) -> BTreeMap<String, String> {
        let input = |name: &str| format!("INPUT_{}", name.to_uppercase().replace(' ', "_"));
        let mut environment: BTreeMap<_, _> = self
            .declared
            .iter()
            .map(|(name, value)| (input(name), value.clone()))
            .collect();
        environment.extend([
            ("GITHUB_EVENT_NAME".to_owned(), self.event.0.clone()),
            ("GITHUB_EVENT_PATH".to_owned(), places.event.clone()),
            ("GITHUB_WORKSPACE".to_owned(), places.workspace.clone()),
            ("GITHUB_OUTPUT".to_owned(), places.output.clone()),
            ("GITHUB_STEP_SUMMARY".to_owned(), places.summary.clone()),
            ("HOME".to_owned(), places.home.clone()),
            ("RUNNER_TEMP".to_owned(), places.temp.clone()),
        ]);
        environment.extend(self.variables.clone());
        environment.extend(
            self.inputs
                .iter()
                .map(|(name, value)| (input(name), value.clone())),
        );
        environment.retain(|name, _| !self.removed.contains(name));
        environment
    }
}

impl RunningJob {
    fn start(mut command: Command, files: Files) -> Self {
        let log = |name: &str| {
            File::create(files.directory.path().join(name)).expect("a file for output")
        };
        command
            .stdin(Stdio::null())
            .stdout(log("stdout"))
            .stderr(log("stderr"));
        interrupt::let_steps_hear();
        let started = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{} cannot be started: {error}; is it built, or on PATH?",
                command.get_program().display()
            )
        });
        Self {
            child,
            files,
            started,
            container: None,
        }
    }

    /// The process's id; for an image `docker run`'s.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, `INT` or `TERM` as the runner does on cancelling, or `KILL`; to process 1 of an image's
    /// container. One that has ended takes it without a word.
    ///
    /// # Panics
    /// For another signal, and where the container has not started yet.
    pub fn signal(&self, name: &str) {
        let signal = match name {
            "INT" => Signal::INT,
            "TERM" => Signal::TERM,
            "KILL" => Signal::KILL,
            other => panic!("`{other}` is none of INT, TERM and KILL"),
        };
        if let Some(container) = &self.container {
            let killed = docker(&["kill", &format!("--signal={name}"), container]);
            assert!(killed || self.ends(), "{container} runs");
            return;
        }
        kill_process(self.id(), signal).expect("a process that runs");
    }

    fn id(&self) -> Pid {
        let id = i32::try_from(self.child.id()).ok();
        id.and_then(Pid::from_raw).expect("a process id")
    }

    /// Whether the process ends within seconds, as `docker run` does after its container. It is left to be waited for.
    fn ends(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            if waitid(WaitId::Pid(self.id()), options).is_ok_and(|ended| ended.is_some()) {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        self.files.read("stdout")
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Outcome {
        use std::os::unix::process::ExitStatusExt as _;
        let ended = self.child.wait4().expect("the program's end");
        let status = ended.status;
        let duration = self.started.elapsed();
        Outcome {
            status: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().expect("a code or a signal")),
            stdout: self.files.read("stdout"),
            stderr: self.files.read("stderr"),
            outputs: parse_outputs(&self.files.read("file_commands/output")),
            summary: self.files.read("file_commands/summary"),
            duration,
            cpu_time: ended.rusage.utime + ended.rusage.stime,
            peak_memory: ended.rusage.maxrss,
        }
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        // It has ended where it was waited for.
        let ended = matches!(self.child.try_wait(), Err(_) | Ok(Some(_)));
        if let Some(container) = self.container.as_ref().filter(|_| !ended) {
            docker(&["kill", container]);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a command of Docker's succeeded.
fn docker(args: &[&str]) -> bool {
    let output = Command::new("docker").args(args).output();
    output.is_ok_and(|output| output.status.success())
}

/// What the runner lays out for one run, removed with it.
struct Files {
    directory: TempDir,
    workspace: PathBuf,
}

impl Files {
    fn new(job: &Job) -> Self {
        let directory = temporary::directory("job-");
        let path = directory.path();
        for name in [
            "workspace",
            "home",
            "workflow",
            "file_commands",
            "runner_temp",
            "tmp",
        ] {
            fs::create_dir(path.join(name)).expect("a directory of the job");
        }
        fs::write(path.join("workflow/event.json"), &job.event.1).expect("the event's file");
        for name in ["output", "summary"] {
            File::create(path.join("file_commands").join(name)).expect("a command file");
        }
        let workspace = job
            .workspace
            .clone()
            .unwrap_or_else(|| path.join("workspace"));
        Self {
            directory,
            workspace,
        }
    }

    fn places(&self) -> Places {
        let mut places = Places::under(&self.directory.path().display().to_string());
        places.workspace = self.workspace.display().to_string();
        places
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.directory.path().join(name)).expect("a file of the job");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The same things' paths, as the program sees them.
struct Places {
    workspace: String,
    home: String,
    event: String,
    output: String,
    summary: String,
    temp: String,
}

impl Places {
    fn mounted() -> Self {
        Self::under(MOUNT)
    }

    fn under(root: &str) -> Self {
        Self {
            workspace: format!("{root}/workspace"),
            home: format!("{root}/home"),
            event: format!("{root}/workflow/event.json"),
            output: format!("{root}/file_commands/output"),
            summary: format!("{root}/file_commands/summary"),
            temp: format!("{root}/runner_temp"),
        }
    }
}

/// Reads `name=value` and `name<<DELIMITER` as the runner does.
fn parse_outputs(text: &str) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        let (name, value) = match (equals, heredoc) {
            _ if line.is_empty() => continue,
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                (&line[..equals], line[equals + 1..].to_owned())
            }
            (_, Some(heredoc)) => {
                let delimiter = &line[heredoc + 2..];
                let mut value = Vec::new();
                loop {
                    match lines.next() {
                        Some(line) if line == delimiter => break,
                        Some(line) => value.push(line),
                        None => panic!("GITHUB_OUTPUT ends before `{delimiter}`:\n{text}"),
                    }
                }
                (&line[..heredoc], value.join("\n"))
            }
            _ => panic!("the runner would refuse this line of GITHUB_OUTPUT: {line}"),
        };
        outputs.insert(name.to_owned(), value);
    }
    outputs
}
