//! Every state that the comment on a pull request can have, on one page.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flux_ephemeral_env::INPUTS;
use local_github::{Comment, Job, LocalGitHub, gallery};
use serde_json::Value;

use Step::{Closes, Declines, Flux, IsCancelled, Says, Sweeps, Waits};

/// What somebody does, in the order of a state's list. All but the first two of them start the action.
enum Step {
    /// Time passes.
    Waits(Duration),
    /// The server refuses every push to the target branch from then on.
    Declines,
    /// Somebody comments.
    Says(&'static str, &'static str),
    /// The same, and the run is cancelled once it waits.
    IsCancelled(&'static str, &'static str),
    /// Flux sets its status on the head: the state and the description.
    Flux(&'static str, &'static str),
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
const READY: Step = Flux("success", "reconciliation succeeded");

/// Flux does not report.
const OFF: &[(&str, &str)] = &[];
const FLUX: &[(&str, &str)] = &[("readiness", "flux"), ("github-environment", "preview")];

/// In the order of a pull request's life.
const STATES: &[State] = &[
    State {
        title: "Coming up, and Flux does not report",
        shows: "🟡 Flux is bringing `dev` up",
        inputs: OFF,
        steps: &[DEPLOY],
    },
    State {
        title: "Coming up, and Flux reports",
        shows: "🟡 Flux is bringing `dev` up",
        inputs: FLUX,
        steps: &[DEPLOY],
    },
    State {
        title: "Ready",
        shows: "🟢 `dev` is ready",
        inputs: FLUX,
        steps: &[DEPLOY, READY],
    },
    State {
        title: "Build failed",
        shows: "🔴 `dev` is not ready: build failed",
        inputs: FLUX,
        steps: &[DEPLOY, Flux("failure", "build failed")],
    },
    State {
        title: "Health check failed",
        shows: "🔴 `dev` is not ready: health check failed",
        inputs: FLUX,
        steps: &[DEPLOY, Flux("failure", "health check failed")],
    },
    State {
        title: "Artifact failed",
        shows: "🔴 `dev` is not ready: artifact failed",
        inputs: FLUX,
        steps: &[DEPLOY, Flux("failure", "artifact failed")],
    },
    State {
        title: "Reconciliation failed",
        shows: "🔴 `dev` is not ready: reconciliation failed",
        inputs: FLUX,
        steps: &[DEPLOY, Flux("failure", "reconciliation failed")],
    },
    State {
        title: "Prune failed",
        shows: "🔴 `dev` is not ready: prune failed",
        inputs: FLUX,
        steps: &[DEPLOY, Flux("failure", "prune failed")],
    },
    State {
        title: "Dependency not ready",
        shows: "🔴 `dev` is not ready: dependency not ready",
        inputs: FLUX,
        steps: &[DEPLOY, Flux("failure", "dependency not ready")],
    },
    State {
        title: "Failed for a reason that the action does not know",
        shows: "🔴 `dev` is not ready: `something new`",
        inputs: FLUX,
        steps: &[DEPLOY, Flux("failure", "something new")],
    },
    State {
        title: "Not ready in time",
        shows: "🔴 `dev` is not ready yet",
        inputs: &[("wait", "1s")],
        steps: &[DEPLOY],
    },
    State {
        title: "Cancelled while it waited",
        shows: "🟡 Flux is bringing `dev` up",
        inputs: &[("wait", "10m")],
        steps: &[IsCancelled("rita", "/deploy-ephemeral")],
    },
    State {
        title: "Pinned to a commit",
        shows: "🟢 `dev` is ready",
        inputs: &[("readiness", "flux"), ("track", "commit")],
        steps: &[DEPLOY, READY],
    },
    State {
        title: "With an expiry",
        shows: "🟢 `dev` is ready",
        inputs: FLUX,
        steps: &[Says("rita", "/deploy-ephemeral ttl=48h"), READY],
    },
    State {
        title: "Deployed again: nothing changed",
        shows: "🟡 `dev` is deployed already: nothing changed",
        inputs: OFF,
        steps: &[DEPLOY, DEPLOY],
    },
    State {
        title: "Destroyed by a command",
        shows: "⚪ Flux is removing `dev`",
        inputs: FLUX,
        steps: &[DEPLOY, READY, DESTROY],
    },
    State {
        title: "Destroyed because the pull request was closed",
        shows: "⚪ Flux is removing `dev`",
        inputs: FLUX,
        steps: &[DEPLOY, READY, Closes(true)],
    },
    State {
        title: "Swept: the pull request was closed, and no run saw it",
        shows: "A sweep destroyed the environment",
        inputs: OFF,
        steps: &[DEPLOY, Closes(false), Sweeps],
    },
    State {
        title: "Swept: expired",
        shows: "A sweep destroyed the environment",
        inputs: OFF,
        steps: &[
            Says("rita", "/deploy-ephemeral ttl=1s"),
            Waits(Duration::from_secs(2)),
            Sweeps,
        ],
    },
    State {
        title: "Nothing to destroy",
        shows: "⚪ Nothing to destroy",
        inputs: OFF,
        steps: &[DESTROY],
    },
    State {
        title: "Refused, with no environment",
        shows: "🚫",
        inputs: OFF,
        steps: &[Says("mallory", "/deploy-ephemeral")],
    },
    State {
        title: "Refused, with an environment that is ready",
        shows: "🟢 `dev` is ready",
        inputs: FLUX,
        steps: &[DEPLOY, READY, Says("mallory", "/destroy-ephemeral")],
    },
    State {
        title: "The push was declined",
        shows: "🔴",
        inputs: OFF,
        steps: &[Declines, DEPLOY],
    },
];

/// The state whose whole page is written.
const WHOLE: &str = "Ready";

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
            IsCancelled(login, text) => {
                let comment = github.comment(self.number, login, text);
                let event = github.issue_comment_event(comment, "created");
                let running = self.job("issue_comment", &event).spawn(self.executable);
                let patience = Instant::now() + Duration::from_secs(60);
                while self.ours().is_none() {
                    assert!(Instant::now() < patience, "{}", running.stdout());
                    sleep(Duration::from_millis(50));
                }
                running.signal("INT");
                running.wait();
            }
            Flux(state, description) => {
                let sha = repository.tip("dev").expect("the head");
                let context = "flux/ephemeral-dev";
                github.set_status(&sha, context, state, description, "flux[bot]");
                self.run("status", &github.status_event(&sha, context));
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

    fn job(&self, event: &str, payload: &Value) -> Job {
        let mut job = Job::new(&self.github)
            .declared_inputs(&INPUTS)
            .input("environment-url", "https://{name}.preview.example.com");
        for (name, value) in self.inputs {
            job = job.input(name, value);
        }
        job.event(event, payload)
    }

    /// A run that fails is a state as well.
    fn run(&self, event: &str, payload: &Value) {
        self.job(event, payload).run(self.executable);
    }

    /// The action's comment.
    fn ours(&self) -> Option<Comment> {
        let mut comments = self.github.comments(self.number).into_iter();
        comments.find(|comment| comment.login == "github-actions[bot]")
    }

    /// Its HTML.
    fn comment(&self, state: &State) -> String {
        let ours = self.ours();
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
