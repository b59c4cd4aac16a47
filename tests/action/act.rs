//! `act`, which runs a workflow as GitHub's runner does, on a container engine with the local GitHub behind it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use local_github::{LocalGitHub, temporary_directory};
use serde_json::Value;
use tempfile::TempDir;

/// The longest that one workflow may run here, in seconds; a job takes a few.
const PATIENCE: &str = "120";

/// What the docs call this repository, and what it is called where a workflow runs here.
pub(crate) const PUBLISHED: [&str; 2] = [
    "<owner>/flux-ephemeral-env@v1",
    "octo-org/flux-ephemeral-env@v1",
];

/// `action.yml` as a release has it, with this image in place of the Dockerfile or of the last release's image.
pub(crate) fn released(image: &str) -> String {
    let action = read("action.yml");
    let (before, named) = action.split_once("\n  image: ").expect("an image");
    let (_, after) = named.split_once('\n').expect("a whole line");
    format!("{before}\n  image: docker://{image}\n{after}")
}

/// The image that the Dockerfile starts from: it is there where the action's image was built.
pub(crate) fn base_image() -> String {
    let dockerfile = read("Dockerfile");
    let mut lines = dockerfile.lines();
    let from = lines.find_map(|line| line.strip_prefix("FROM "));
    let from = from.expect("FROM").split(' ').next();
    from.expect("an image").to_owned()
}

/// A file of this repository.
pub(crate) fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A workflow that is about to run.
pub(crate) struct Act {
    command: Command,
    files: TempDir,
    /// What becomes the job's workspace.
    pub(crate) workspace: TempDir,
    server: String,
    stand_ins: usize,
}

/// How a workflow ended.
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) log: String,
    pub(crate) workspace: TempDir,
}

impl Act {
    /// A workflow, the text of which begins with its name, and the event that it runs on.
    pub(crate) fn new(github: &LocalGitHub, workflow: &str, event: &str, payload: &Value) -> Act {
        let (files, workspace) = (temporary_directory(), temporary_directory());
        let server = github.server_url();
        // Containers are named after the workflow, and one of the same name is removed, whosever it is.
        let (name, rest) = workflow.split_once('\n').expect("lines");
        assert!(name.starts_with("name: "), "{name}");
        let workflow = format!("{name} {}\n{rest}", port(&server));
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            fs::write(&path, text).expect("a file of a run");
            path
        };

        let mut command = Command::new("timeout");
        command
            .args([
                PATIENCE,
                "act",
                event,
                "--json",
                "--rm",
                "--bind",
                "--pull=false",
            ])
            .args(["--network", "host", "--no-cache-server"])
            // A schedule does not name it.
            .args(["--defaultbranch", "main"])
            .args(["--secret", "GITHUB_TOKEN"])
            .arg("--workflows")
            .arg(write("workflow.yml", &workflow))
            .arg("--eventpath")
            .arg(write("event.json", &payload.to_string()))
            .arg("--action-cache-path")
            .arg(files.path().join("cache"));
        for (name, value) in [
            ("GITHUB_SERVER_URL", server.clone()),
            ("GITHUB_API_URL", github.api_url()),
            ("GITHUB_GRAPHQL_URL", github.graphql_url()),
            ("GITHUB_REPOSITORY", github.repository().full_name()),
            ("GITHUB_REPOSITORY_ID", github.repository_id().to_string()),
        ] {
            command.args(["--env", &format!("{name}={value}")]);
        }
        // Nobody's own settings have a say.
        let inherited = ["PATH", "DOCKER_HOST"];
        let inherited = inherited.map(|name| (name, std::env::var_os(name)));
        command
            .env_clear()
            .envs(
                inherited
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("HOME", files.path())
            .env("GITHUB_TOKEN", github.token())
            .current_dir(workspace.path());
        Act {
            command,
            files,
            workspace,
            server,
            stand_ins: 0,
        }
    }

    /// Has a folder stand in for an action, which is named as in `uses`.
    pub(crate) fn replace(&mut self, uses: &str, folder: &Path) {
        let replaced = format!("{}/{uses}={}", self.server, folder.display());
        self.command.args(["--local-repository", &replaced]);
    }

    /// The same with an action that is no more than its `action.yml`.
    pub(crate) fn stand_in(&mut self, uses: &str, action: &str) {
        self.stand_ins += 1;
        let folder = self.files.path().join(format!("action-{}", self.stand_ins));
        fs::create_dir(&folder).expect("a directory of a run");
        fs::write(folder.join("action.yml"), action).expect("a file of a run");
        self.replace(uses, &folder);
    }

    /// Runs it to its end, in containers of this image, and hands on each line of its log when it comes.
    ///
    /// # Panics
    /// Where `timeout` is not on `PATH`. Where `act` is not, that is how it ends.
    pub(crate) fn run(mut self, image: &str, mut on_line: impl FnMut(&Value)) -> Ended {
        let _left = Left(format!("-{}-", port(&self.server)));
        let platform = format!("ubuntu-24.04={image}");
        self.command.args(["--platform", &platform]);
        let errors = self.files.path().join("stderr");
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).expect("a file of a run"))
            .spawn()
            .expect("timeout, of coreutils");
        let mut log = String::new();
        for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
            let line = line.expect("a line of text");
            let parsed: Value = serde_json::from_str(&line).unwrap_or_default();
            on_line(&parsed);
            log += parsed["msg"].as_str().unwrap_or(&line).trim_end();
            log.push('\n');
        }
        let status = child.wait().expect("its end");
        let said = fs::read_to_string(errors).expect("a file of a run");
        Ended {
            success: status.success(),
            log: format!("{log}{said}act: {status}"),
            workspace: self.workspace,
        }
    }
}

fn port(server: &str) -> &str {
    server.rsplit(':').next().expect("a port")
}

/// What is left of a run that was cut off, by a part of its name.
struct Left(String);

impl Drop for Left {
    fn drop(&mut self) {
        let filter = format!("name={}", self.0);
        for (kind, all) in [("container", &["--all"][..]), ("volume", &[])] {
            let list = [&[kind, "ls", "--quiet", "--filter", &filter], all].concat();
            for left in docker(&list).lines() {
                docker(&[kind, "rm", "--force", left]);
            }
        }
    }
}

/// What a command of Docker's prints; nothing where it fails.
fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
