//! The harness: a pull request on a local GitHub, and the action started on its events.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use flux_ephemeral_env::INPUTS;
use local_github::{Fault, Job, Kind, LocalGitHub, Outcome, Repository, RunningJob, take_permit};

/// The executable under test, for [`start`] and for stories that cannot be told with an image.
pub(crate) const EXECUTABLE: &str = env!("CARGO_BIN_EXE_flux-ephemeral-env");
/// The one certificate authority of a run, of which nobody has the key.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/action/authority.pem");
/// Where instances are by default.
pub(crate) const INSTANCES: &str = "k8s/app/overlays/ephemeral-instances";
/// Who may command in most stories.
pub(crate) const REVIEWER: &str = "rita";
/// Who opened the pull request.
pub(crate) const AUTHOR: &str = "paul";

/// The file of an instance as the first version of the action wrote it, which knew of no lifetime.
const EARLIER: &str = include_str!("earlier.yaml");
/// The same as this version writes it.
const CURRENT: &str = include_str!("current.yaml");

/// A local GitHub with one pull request, `dev` onto `main`.
pub(crate) struct Story {
    pub(crate) github: LocalGitHub,
    pub(crate) repository: Repository,
    pub(crate) number: u64,
    /// The target branch's tip when the story began.
    base: String,
}

impl Story {
    /// A pull request from the branch `dev`, and a reviewer with write permission.
    pub(crate) fn new() -> Story {
        Story::of_branch("dev")
    }

    /// The same where time passes mostly with waiting, for a server that hangs or for a limit that is over some time, so that
    /// it may run whatever else does.
    pub(crate) fn waiting() -> Story {
        Story::from("dev")
    }

    /// The same from another branch.
    pub(crate) fn of_branch(branch: &str) -> Story {
        take_permit();
        Story::from(branch)
    }

    fn from(branch: &str) -> Story {
        let github = LocalGitHub::start();
        let repository = github.repository();
        repository.commit(branch, &[("app.txt", Some("new\n"))], "Change the app");
        let number = github.open_pull_request(&repository, branch, AUTHOR);
        Story::on(github, number)
    }

    /// The same from a fork of `octo-fork`.
    pub(crate) fn of_fork(branch: &str) -> Story {
        Story::with_fork(branch).0
    }

    /// The same, and the fork.
    pub(crate) fn with_fork(branch: &str) -> (Story, Repository) {
        take_permit();
        let github = LocalGitHub::start();
        let fork = github.fork("octo-fork");
        fork.commit(branch, &[("app.txt", Some("theirs\n"))], "Change the app");
        let number = github.open_pull_request(&fork, branch, "octo-fork");
        (Story::on(github, number), fork)
    }

    fn on(github: LocalGitHub, number: u64) -> Story {
        github.set_permission(REVIEWER, "write");
        let repository = github.repository();
        let base = repository.tip("main").expect("a target branch");
        Story {
            github,
            repository,
            number,
            base,
        }
    }

    /// What was done to the target branch until now is no part of what [`Story::landed`] tells.
    pub(crate) fn begin(&mut self) {
        self.base = self.repository.tip("main").expect("a target branch");
    }

    /// A second pull request, from another branch.
    pub(crate) fn another(&self, branch: &str) -> u64 {
        self.repository
            .commit(branch, &[("app.txt", Some("other\n"))], "Another change");
        self.github
            .open_pull_request(&self.repository, branch, AUTHOR)
    }

    /// Pushes to the branch `dev`, and gives its new head.
    pub(crate) fn push_more(&self) -> String {
        let change = [("more.txt", Some("more\n"))];
        self.repository.commit("dev", &change, "More")
    }

    /// The step of the workflow that a new comment starts, and the comment's id.
    pub(crate) fn commented(&self, login: &str, body: &str) -> (Job, u64) {
        self.commented_on(self.number, login, body)
    }

    /// The same on another pull request.
    pub(crate) fn commented_on(&self, number: u64, login: &str, body: &str) -> (Job, u64) {
        let comment = self.github.comment(number, login, body);
        let event = self.github.issue_comment_event(comment, "created");
        (self.job().event("issue_comment", &event), comment)
    }

    /// The step of the workflow that a reviewer's deploy command starts.
    pub(crate) fn deploy(&self) -> Job {
        self.commented(REVIEWER, "/deploy-ephemeral").0
    }

    /// The step of the workflow that a reviewer's destroy command starts.
    pub(crate) fn destroy(&self) -> Job {
        self.commented(REVIEWER, "/destroy-ephemeral").0
    }

    /// The step of the workflow that closing the pull request starts.
    pub(crate) fn close(&self) -> Job {
        self.github.close_pull_request(self.number);
        let event = self
            .github
            .pull_request_event(self.number, "closed", AUTHOR);
        self.job().event("pull_request_target", &event)
    }

    /// The step of the workflow that a label starts which was put on the pull request (`labeled`) or taken off it
    /// (`unlabeled`), where the label `preview` deploys.
    pub(crate) fn label(&self, action: &str, label: &str, sender: &str) -> Job {
        let event = self.github.label_event(self.number, action, label, sender);
        let job = self.job().input("label", "preview");
        job.event("pull_request_target", &event)
    }

    /// The step of the workflow that a schedule starts.
    pub(crate) fn sweep(&self) -> Job {
        self.job().event("schedule", &self.github.schedule_event())
    }

    /// The file of an instance as an earlier version of the action wrote it.
    pub(crate) fn earlier(&self, name: &str, number: u64) -> String {
        earlier(name, number, &self.head_of(number))
    }

    /// The file of an instance as a deploy writes it today.
    pub(crate) fn current(&self, name: &str, number: u64) -> String {
        filled(CURRENT, name, number, &self.head_of(number))
    }

    /// Puts a file in the place of an instance on the target branch.
    pub(crate) fn put(&self, name: &str, file: &str) {
        let path = Story::path(name);
        self.repository
            .commit("main", &[(&path, Some(file))], "Put an instance");
    }

    /// A second pull request that has an instance, of which nobody was told.
    pub(crate) fn another_deployed(&self, branch: &str) -> u64 {
        let number = self.another(branch);
        self.put(branch, &self.earlier(branch, number));
        number
    }

    /// The same of one that was closed, and no run saw it.
    pub(crate) fn another_closed(&self, branch: &str) -> u64 {
        let number = self.another_deployed(branch);
        self.github.close_pull_request(number);
        number
    }

    /// Many that have an instance, all at the commit of one branch.
    pub(crate) fn many_deployed(&self, names: &[String], from: &str) -> Vec<u64> {
        self.repository.create_branches(names, from);
        let numbers = self
            .github
            .open_pull_requests(&self.repository, names, AUTHOR);
        let commit = self.head_of(numbers[0]);
        let files: Vec<(String, String)> = names
            .iter()
            .zip(&numbers)
            .map(|(name, number)| (Story::path(name), earlier(name, *number, &commit)))
            .collect();
        let changes: Vec<(&str, Option<&str>)> = files
            .iter()
            .map(|(path, file)| (path.as_str(), Some(file.as_str())))
            .collect();
        self.repository.commit("main", &changes, "Put instances");
        numbers
    }

    /// A step with every input at its default, as the runner sets them.
    pub(crate) fn job(&self) -> Job {
        let job = Job::new(&self.github).declared_inputs(&INPUTS);
        match image() {
            Some(_) => job,
            // A run reads every authority of the machine, and few stories have a server with a certificate.
            None => job.env("SSL_CERT_FILE", AUTHORITY),
        }
    }

    /// Where the instance of the branch `name` is.
    pub(crate) fn path(name: &str) -> String {
        format!("{INSTANCES}/sync-{name}.yaml")
    }

    /// The instance of the branch `name` on the target branch.
    pub(crate) fn instance(&self, name: &str) -> Option<String> {
        self.repository.read("main", &Story::path(name))
    }

    /// Every instance on the target branch.
    pub(crate) fn instances(&self) -> Vec<String> {
        let mut files = self.repository.files("main", INSTANCES);
        files.retain(|file| file.contains("/sync-"));
        files
    }

    /// Head commit of the pull request.
    pub(crate) fn head(&self) -> String {
        self.head_of(self.number)
    }

    /// The same of another pull request.
    pub(crate) fn head_of(&self, number: u64) -> String {
        let head = format!("refs/pull/{number}/head");
        self.repository.reference(&head).expect("a pull request")
    }

    /// The commits on the target branch since the story began, newest first: the first line of the message and the changes.
    pub(crate) fn landed(&self) -> Vec<(String, Vec<(char, String)>)> {
        let log = self.repository.log("main");
        log.into_iter()
            .take_while(|commit| commit.sha != self.base)
            .map(|commit| {
                (
                    commit.message.lines().next().unwrap_or_default().to_owned(),
                    commit.changes,
                )
            })
            .collect()
    }

    /// The one comment of ours on the pull request.
    pub(crate) fn status_comment(&self) -> String {
        self.status_comment_on(self.number)
    }

    /// The same on another pull request.
    pub(crate) fn status_comment_on(&self, number: u64) -> String {
        let mut comments = self.our_comments_on(number);
        assert_eq!(comments.len(), 1, "comments on #{number}: {comments:#?}");
        comments.remove(0)
    }

    /// Every comment of ours.
    pub(crate) fn our_comments(&self) -> Vec<String> {
        self.our_comments_on(self.number)
    }

    /// The same on another pull request.
    pub(crate) fn our_comments_on(&self, number: u64) -> Vec<String> {
        self.github
            .comments(number)
            .into_iter()
            .filter(|comment| comment.login == "github-actions[bot]")
            .map(|comment| comment.body)
            .collect()
    }

    /// The states of our commit status on the head, oldest first.
    pub(crate) fn statuses(&self) -> Vec<String> {
        self.github
            .statuses(&self.head())
            .into_iter()
            .inspect(|status| assert_eq!(status.context, "flux-ephemeral-env"))
            .map(|status| status.state)
            .collect()
    }

    /// Our reactions to a comment.
    pub(crate) fn reactions(&self, comment: u64) -> Vec<String> {
        self.github
            .reactions(comment)
            .into_iter()
            .map(|(_, content)| content)
            .collect()
    }

    /// How often each endpoint was asked, numbers and names of commits left out.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for request in self.github.requests() {
            let path = match request.kind {
                Kind::Git => request.path.trim_start_matches("/octo-org/demo"),
                _ => request.path.trim_start_matches("/repos/octo-org/demo"),
            };
            let path: Vec<String> = path
                .split('?')
                .next()
                .unwrap_or_default()
                .split('/')
                .map(|part| {
                    let is_name = part.len() == 40 || part.parse::<u64>().is_ok();
                    if is_name {
                        "*".to_owned()
                    } else {
                        part.to_owned()
                    }
                })
                .collect();
            *counted
                .entry(format!("{} {}", request.method, path.join("/")))
                .or_insert(0) += 1;
        }
        counted
    }

    /// Holds up the next request that this takes, until the gate is opened.
    pub(crate) fn gate(&self, fault: Fault) -> Gate {
        let (arrive, arrived) = channel();
        let (open, opened) = channel();
        let hold = move |_: &_| {
            // Nobody waits for it where the story has failed.
            let _ = arrive.send(());
            let _ = opened.recv();
        };
        self.github.fault(fault.run(hold));
        Gate { arrived, open }
    }

    /// Waits until a step that runs has sent this request.
    pub(crate) fn await_request(&self, request: &str, running: &RunningJob) {
        await_that(|| self.requests().contains_key(request), request, running);
    }

    /// Deploys a new commit, up to where the change has landed and the comment is about to say so.
    pub(crate) fn about_to_tell(&self) -> (Gate, RunningJob) {
        self.push_more();
        let gate = self.gate(Fault::on("PATCH", "/repos/*/issues/comments/*"));
        let running = start(&self.deploy().run_id(2));
        gate.wait();
        (gate, running)
    }

    /// Takes the environment away without a run.
    pub(crate) fn remove_by_hand(&self) {
        let path = Story::path("dev");
        let gone = [(path.as_str(), None)];
        self.repository.commit("main", &gone, "Somebody's");
    }

    /// Puts a link (`120000`) or a submodule (`160000`) on the target branch, in place of what is there.
    pub(crate) fn plant(&self, mode: &str, object: &str, path: &str) {
        let repository = &self.repository;
        let object = repository.git(&["rev-parse", object]);
        repository.git(&["read-tree", "refs/heads/main"]);
        let entry = format!("{mode},{object},{path}");
        repository.git(&["update-index", "--add", "--replace", "--cacheinfo", &entry]);
        let tree = repository.git(&["write-tree"]);
        let parent = ["-p", "refs/heads/main", "-m", "Plant it", &tree];
        let commit = repository.git(&[&["commit-tree"], &parent[..]].concat());
        repository.force_branch("main", &commit);
    }

    /// Nothing was asked, written, pushed or said.
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(self.requests(), BTreeMap::new());
        self.assert_unsaid();
    }

    /// Nothing was pushed or said, whatever was asked.
    pub(crate) fn assert_unsaid(&self) {
        assert_eq!(self.landed(), []);
        assert_eq!(self.our_comments(), [] as [String; 0]);
        assert_eq!(self.statuses(), [] as [String; 0]);
    }
}

fn earlier(name: &str, number: u64, commit: &str) -> String {
    filled(EARLIER, name, number, commit)
}

fn filled(file: &str, name: &str, number: u64, commit: &str) -> String {
    file.replace("<name>", name)
        .replace("<number>", &number.to_string())
        .replace("<commit>", commit)
}

/// Whether a comment says that there is an environment, brought up by this run or by one before.
pub(crate) fn says_up(comment: &str) -> bool {
    let is_there = " is deployed already: nothing changed\n";
    comment.contains("### 🟡 Flux is bringing ") || comment.contains(is_there)
}

/// Whether a comment says that there is no environment, removed by this run or by one before.
pub(crate) fn says_down(comment: &str) -> bool {
    let is_gone = "### ⚪ Nothing to destroy: this pull request has no environment\n";
    comment.contains("### ⚪ Flux is removing ") || comment.contains(is_gone)
}

/// A request that is held up; it goes on where this is dropped.
pub(crate) struct Gate {
    arrived: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    /// Waits until the request is there.
    pub(crate) fn wait(&self) {
        let patience = Duration::from_secs(60);
        self.arrived
            .recv_timeout(patience)
            .expect("the request that is waited for");
    }

    /// Lets the request go on.
    pub(crate) fn open(self) {
        self.open.send(()).expect("a request that waits");
    }
}

/// Waits until something has come of a step that runs.
pub(crate) fn await_that(is_so: impl Fn() -> bool, what: &str, running: &RunningJob) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < patience, "{what}: {}", running.stdout());
        thread::sleep(Duration::from_millis(5));
    }
}

/// The image that the stories are told with in place of the executable, where one is named.
pub(crate) fn image() -> Option<String> {
    let image = env::var("FLUX_EPHEMERAL_ENV_IMAGE").ok();
    image.filter(|image| !image.is_empty())
}

/// Starts a step: the executable or, by `docker run` as the runner does it, the image.
pub(crate) fn start(job: &Job) -> RunningJob {
    match image() {
        Some(image) => job.spawn_image(&image),
        None => job.spawn(Path::new(EXECUTABLE)),
    }
}

/// What a step calls the workspace that it was given.
pub(crate) fn seen(workspace: &Path) -> &Path {
    match image() {
        Some(_) => Path::new("/github/workspace"),
        None => workspace,
    }
}

/// Whether a story that only the executable can tell is left out, since an image is named. It says so, and why.
pub(crate) fn needs_the_executable(why: &str) -> bool {
    image().is_some() && leave_out(why)
}

/// Whether a story that only an image can tell is left out, since none is named.
pub(crate) fn needs_an_image() -> bool {
    image().is_none() && leave_out("FLUX_EPHEMERAL_ENV_IMAGE names no image")
}

fn leave_out(why: &str) -> bool {
    let thread = thread::current();
    let test = thread.name().unwrap_or_default();
    // Unlike what `eprintln!` says, this is seen of a test that passes, too.
    let _ = writeln!(io::stderr(), "left out: {test}: {why}");
    true
}

/// Waits for the end of a step that must succeed.
pub(crate) fn finish(running: RunningJob) -> Outcome {
    succeeded(running.wait())
}

/// Runs a step to its end.
pub(crate) fn run(job: &Job) -> Outcome {
    let outcome = start(job).wait();
    assert_eq!(outcome.stderr, "", "nothing but the log is written to");
    outcome
}

/// Runs a step that must succeed.
pub(crate) fn succeed(job: &Job) -> Outcome {
    succeeded(run(job))
}

fn succeeded(outcome: Outcome) -> Outcome {
    assert_eq!(outcome.status, 0, "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("::error"), "{}", outcome.stdout);
    outcome
}

/// Runs a step that must fail, with one error, which is given back.
pub(crate) fn fail(job: &Job) -> (Outcome, String) {
    let outcome = run(job);
    assert_eq!(outcome.status, 1, "{}", outcome.stdout);
    let error = annotation(&outcome, "error");
    (outcome, error)
}

/// The errors or warnings that the log shows, as its reader sees them.
pub(crate) fn annotations<'a>(outcome: &'a Outcome, kind: &str) -> Vec<&'a str> {
    let start = format!("::{kind} title=flux-ephemeral-env::");
    let lines = outcome.stdout.lines();
    lines.filter_map(|line| line.strip_prefix(&start)).collect()
}

/// The one of them that there is.
pub(crate) fn annotation(outcome: &Outcome, kind: &str) -> String {
    let shown = annotations(outcome, kind);
    assert_eq!(shown.len(), 1, "{}", outcome.stdout);
    shown.concat()
}

/// The outputs `decision`, `reason` and `changed`.
pub(crate) fn ending(outcome: &Outcome) -> (&str, &str, &str) {
    let output = |name: &str| outcome.outputs.get(name).map_or("", String::as_str);
    (output("decision"), output("reason"), output("changed"))
}
