//! One pull request's life, told in a terminal.

use std::io::IsTerminal;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flux_ephemeral_env::INPUTS;
use local_github::{Job, LocalGitHub, Outcome, Repository};

/// Tells it with the real executable.
pub(crate) fn tell(executable: &Path) {
    let paint = Paint::new();
    let github = LocalGitHub::start();
    let repository = github.repository();
    github.set_permission("rita", "write");
    let mut story = Story {
        github: &github,
        repository: &repository,
        executable,
        paint: &paint,
        number: 0,
        told: String::new(),
    };

    story.chapter("paul opens a pull request: dev → main");
    repository.commit(
        "dev",
        &[("app.txt", Some("a new feature\n"))],
        "Add a feature",
    );
    story.number = github.open_pull_request(&repository, "dev", "paul");
    story.show("main", &log(&repository));

    story.chapter("rita, who may write to the repository, comments: /deploy-ephemeral");
    story.comment("rita", "/deploy-ephemeral");
    let file = format!("{INSTANCES}/sync-dev.yaml");
    story.show(
        &file,
        &repository
            .read("main", &file)
            .expect("the instance is on main"),
    );
    story.show("main", &log(&repository));

    story.chapter("paul pushes to dev");
    let pushed = repository.commit(
        "dev",
        &[("app.txt", Some("a better feature\n"))],
        "Improve it",
    );
    story.say(&format!(
        "Flux follows the branch by itself: the GitRepository above says `branch: dev`, which is {} now. No commit, no run.",
        pushed.get(..7).unwrap_or(&pushed)
    ));

    story.chapter("mallory, who may only read, comments: /destroy-ephemeral");
    story.comment("mallory", "/destroy-ephemeral");

    story.chapter("paul merges the pull request");
    github.merge_pull_request(story.number);
    let event = github.pull_request_event(story.number, "closed", "paul");
    story.run("pull_request_target", &event);
    story.show("main", &log(&repository));
    assert_none_left(&repository);
    story.say("The file is gone, and Flux removes what it had applied.");

    story.chapter("paul tries something out, and rita gives it a second: /deploy-ephemeral ttl=1s");
    repository.commit("idea", &[("app.txt", Some("an idea\n"))], "Try an idea");
    story.turn_to(github.open_pull_request(&repository, "idea", "paul"));
    story.comment("rita", "/deploy-ephemeral ttl=1s");

    story.chapter("a second later, a schedule starts a sweep");
    sleep(rest_of_this_second());
    story.run("schedule", &github.schedule_event());
    assert_none_left(&repository);
    story.say("Nobody had to ask: the file is gone, and the pull request is still open.");
}

/// An environment's time ends with a whole second.
fn rest_of_this_second() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let begun = now.map_or(0, |now| now.subsec_nanos());
    Duration::from_secs(1).saturating_sub(Duration::from_nanos(begun.into()))
}

fn assert_none_left(repository: &Repository) {
    let mut left = repository.files("main", INSTANCES);
    left.retain(|file| file.contains("/sync-"));
    assert!(left.is_empty(), "still there: {left:?}");
}

const INSTANCES: &str = "k8s/app/overlays/ephemeral-instances";

/// What is told, and to whom.
struct Story<'a> {
    github: &'a LocalGitHub,
    repository: &'a Repository,
    executable: &'a Path,
    paint: &'a Paint,
    number: u64,
    /// The status comment as it was shown last.
    told: String,
}

impl Story<'_> {
    fn chapter(&self, title: &str) {
        println!("\n{}", self.paint.title(&format!("━━ {title}")));
    }

    fn say(&self, text: &str) {
        println!("\n{text}");
    }

    fn show(&self, title: &str, text: &str) {
        println!("\n{}", self.paint.label(title));
        for line in text.trim_end().lines() {
            println!("  {} {line}", self.paint.faint("│"));
        }
    }

    /// Goes on with another pull request.
    fn turn_to(&mut self, number: u64) {
        self.number = number;
        self.told.clear();
    }

    fn comment(&mut self, login: &str, body: &str) {
        let comment = self.github.comment(self.number, login, body);
        let event = self.github.issue_comment_event(comment, "created");
        self.run("issue_comment", &event);
        let reactions: Vec<String> = self
            .github
            .reactions(comment)
            .into_iter()
            .map(|(_, content)| content)
            .collect();
        self.show("reactions to the command", &reactions.join(" "));
    }

    /// Starts the action on an event, and shows what came of it.
    fn run(&mut self, name: &str, event: &serde_json::Value) {
        let before = self.repository.tip("main");
        let outcome = Job::new(self.github)
            .declared_inputs(&INPUTS)
            .event(name, event)
            .run(self.executable);
        assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
        let action = event.get("action").and_then(|action| action.as_str());
        let action = action.map_or_else(String::new, |action| format!(", {action}"));
        self.show(
            &format!("event {name}{action}: the job's log"),
            &outcome.stdout,
        );
        self.show("outputs", &outputs(&outcome));
        if self.repository.tip("main") != before {
            let commit = self
                .repository
                .git(&["show", "--stat", "--format=%h %an%n%n%B", "main"]);
            self.show("the commit", &commit);
        }
        let comments = self.github.comments(self.number);
        if let Some(ours) = comments
            .into_iter()
            .find(|comment| comment.login == "github-actions[bot]")
            && ours.body != self.told
        {
            self.show("the comment on the pull request", &ours.body);
            self.told = ours.body;
        }
    }
}

fn outputs(outcome: &Outcome) -> String {
    let given = outcome
        .outputs
        .iter()
        .filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn log(repository: &Repository) -> String {
    repository.git(&["log", "--format=%h %s", "main"])
}

/// Colour where there is a terminal that wants it (<https://no-color.org>).
struct Paint {
    in_colour: bool,
}

impl Paint {
    fn new() -> Paint {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint {
            in_colour: std::io::stdout().is_terminal() && !unwanted,
        }
    }

    fn title(&self, text: &str) -> String {
        self.code("1;36", text)
    }

    fn label(&self, text: &str) -> String {
        self.code("1", text)
    }

    fn faint(&self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(&self, code: &str, text: &str) -> String {
        if self.in_colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
