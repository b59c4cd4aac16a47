//! Every state that the comment on a pull request can have, on one page.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use flux_ephemeral_env::INPUTS;
use local_github::{Job, LocalGitHub, gallery};
use serde_json::Value;

use Step::{Closes, Declines, Says, Sweeps, Waits};

/// What somebody does, in the order of a state's list. All but the first two of them start the action.
enum Step {
    /// Time passes.
    Waits(Duration),
    /// The server refuses every push to the target branch from then on.
    Declines,
    /// Somebody comments.
    Says(&'static str, &'static str),
    /// The author closes the pull request, and the action runs where `true`.
    Closes(bool),
    /// The schedule starts a sweep.
    Sweeps,
}

/// A state of the comment, and how it comes to be.
struct State {
    title: &'static str,
    /// What the comment's first line has to hold: another state is none of the gallery.
    shows: &'static str,
    inputs: &'static [(&'static str, &'static str)],
    steps: &'static [Step],
}

const DEPLOY: Step = Says("rita", "/deploy-ephemeral");
const DESTROY: Step = Says("rita", "/destroy-ephemeral");

/// In the order of a pull request's life.
const STATES: &[State] = &[
    State {
        title: "Coming up, and nobody reports",
        shows: "Flux is bringing `dev` up",
        inputs: &[],
        steps: &[DEPLOY],
    },
    State {
        title: "Pinned to a commit",
        shows: "Flux is bringing `dev` up",
        inputs: &[("track", "commit")],
        steps: &[DEPLOY],
    },
    State {
        title: "With an expiry",
        shows: "Flux is bringing `dev` up",
        inputs: &[],
        steps: &[Says("rita", "/deploy-ephemeral ttl=48h")],
    },
    State {
        title: "Deployed again: nothing changed",
        shows: "nothing changed",
        inputs: &[],
        steps: &[DEPLOY, DEPLOY],
    },
    State {
        title: "Destroyed by a command",
        shows: "Flux is removing `dev`",
        inputs: &[],
        steps: &[DEPLOY, DESTROY],
    },
    State {
        title: "Destroyed because the pull request was closed",
        shows: "Flux is removing `dev`",
        inputs: &[],
        steps: &[DEPLOY, Closes(true)],
    },
    State {
        title: "Swept: the pull request was closed, and no run saw it",
        shows: "A sweep destroyed",
        inputs: &[],
        steps: &[DEPLOY, Closes(false), Sweeps],
    },
    State {
        title: "Swept: expired",
        shows: "A sweep destroyed",
        inputs: &[],
        steps: &[
            Says("rita", "/deploy-ephemeral ttl=1s"),
            Waits(Duration::from_secs(2)),
            Sweeps,
        ],
    },
    State {
        title: "Nothing to destroy",
        shows: "Nothing to destroy",
        inputs: &[],
        steps: &[DESTROY],
    },
    State {
        title: "Refused, with no environment",
        shows: "Refused",
        inputs: &[],
        steps: &[Says("mallory", "/deploy-ephemeral")],
    },
    State {
        title: "Refused, below an environment",
        shows: "Refused",
        inputs: &[],
        steps: &[DEPLOY, Says("mallory", "/destroy-ephemeral")],
    },
    State {
        title: "The push was declined",
        shows: "Failed",
        inputs: &[],
        steps: &[Declines, DEPLOY],
    },
];

/// The state whose whole page is written.
const WHOLE: &str = "Coming up, and nobody reports";

/// Writes `gallery.html` and `pull-request.html` into a directory.
pub(crate) fn write(executable: &Path, directory: &Path) {
    fs::create_dir_all(directory)
        .unwrap_or_else(|error| panic!("{} cannot be created: {error}", directory.display()));
    let mut comments = Vec::new();
    for state in STATES {
        let scene = Scene::play(executable, state);
        comments.push((state.title.to_owned(), scene.comment(state)));
        if state.title == WHOLE {
            let page = format!("/{}/pull/{}", scene.name(), scene.number);
            put(directory, "pull-request.html", &scene.github.page(&page));
        }
    }
    put(
        directory,
        "gallery.html",
        &gallery("The comment in each of its states", &comments),
    );
}

fn put(directory: &Path, name: &str, page: &str) {
    let path = directory.join(name);
    fs::write(&path, page)
        .unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
    println!("{}", path.display());
}

/// A local GitHub with a pull request of its own for one state.
struct Scene<'a> {
    github: LocalGitHub,
    executable: &'a Path,
    inputs: &'static [(&'static str, &'static str)],
    number: u64,
}

impl<'a> Scene<'a> {
    /// Plays a state's steps.
    fn play(executable: &'a Path, state: &State) -> Self {
        let github = LocalGitHub::start();
        let repository = github.repository();
        github.set_permission("rita", "write");
        repository.commit(
            "dev",
            &[("app.txt", Some("a new feature\n"))],
            "Add a feature",
        );
        let number = github.open_pull_request_titled(&repository, "dev", "paul", "Add a feature");
        let scene = Scene {
            github,
            executable,
            inputs: state.inputs,
            number,
        };
        for step in state.steps {
            scene.take(step);
        }
        scene
    }

    fn name(&self) -> String {
        self.github.repository().full_name()
    }

    fn take(&self, step: &Step) {
        let (github, repository) = (&self.github, self.github.repository());
        match step {
            Waits(time) => sleep(*time),
            Declines => repository.install_hook("pre-receive", DECLINING),
            Says(login, text) => {
                let comment = github.comment(self.number, login, text);
                self.run(
                    "issue_comment",
                    &github.issue_comment_event(comment, "created"),
                );
            }
            Closes(is_seen) => {
                github.close_pull_request(self.number);
                let event = github.pull_request_event(self.number, "closed", "paul");
                if *is_seen {
                    self.run("pull_request_target", &event);
                }
            }
            Sweeps => self.run("schedule", &github.schedule_event()),
        }
    }

    /// A run that fails is a state as well.
    fn run(&self, event: &str, payload: &Value) {
        let mut job = Job::new(&self.github)
            .declared_inputs(&INPUTS)
            .input("environment-url", "https://{name}.preview.example.com");
        for (name, value) in self.inputs {
            job = job.input(name, value);
        }
        job.event(event, payload).run(self.executable);
    }

    /// The HTML of the action's comment.
    fn comment(&self, state: &State) -> String {
        let comments = self.github.comments(self.number);
        let ours = comments
            .iter()
            .find(|comment| comment.login == "github-actions[bot]");
        let ours = ours.unwrap_or_else(|| panic!("{}: there is no comment", state.title));
        let mut lines = ours.body.lines();
        let first = lines
            .find(|line| line.starts_with("### "))
            .unwrap_or_default();
        assert!(
            first.contains(state.shows),
            "{}: the comment says {first}",
            state.title
        );
        self.github.comment_html(ours.id)
    }
}

const DECLINING: &str =
    "#!/bin/sh\necho 'Changes must be made through a pull request.' >&2\nexit 1\n";
