//! The workflow files and those of the docs, run by `act` as GitHub would run them: their `if:` on a real payload, their
//! expressions, their permissions, and the image in a job of its own. `.ci/run workflows-run` runs them.
//!
//! What is run is a copy, which differs in nothing but what [`Workflow`] replaces.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::act::{Act, PUBLISHED, base_image, read, released};
use crate::docs::yaml_blocks;
use crate::story::{AUTHOR, REVIEWER, Story, image, says_down, says_up};

/// A workflow as it is run here.
struct Workflow {
    text: String,
}

impl Workflow {
    /// One of this repository's own.
    fn own(name: &str) -> Workflow {
        Workflow {
            text: read(&format!(".github/workflows/{name}-ephemeral.yml")),
        }
    }

    /// The first on a page.
    fn on_page(page: &str) -> Workflow {
        let text = yaml_blocks(page).remove(0);
        Workflow { text }.with(PUBLISHED[0], PUBLISHED[1])
    }

    /// The one on a page that holds these words.
    fn on_page_with(page: &str, words: &str) -> Workflow {
        let mut found = yaml_blocks(page).into_iter();
        let found = found.find(|block| block.starts_with("name: ") && block.contains(words));
        let text = found.unwrap_or_else(|| panic!("no workflow with {words:?} in {page}"));
        Workflow { text }.with(PUBLISHED[0], PUBLISHED[1])
    }

    /// All that Flux's commit status starts: this repository's own and the one of the docs.
    fn on_statuses() -> [Workflow; 2] {
        let all = [
            Workflow::own("report"),
            Workflow::on_page_with("docs/readiness.md", "on:\n  status:"),
        ];
        all.map(|workflow| workflow.with("      queue: max\n", ""))
    }

    /// All that a comment starts: this repository's own and the README's.
    fn on_comments() -> [Workflow; 3] {
        let all = [
            Workflow::own("create"),
            Workflow::own("destroy"),
            Workflow::on_page("README.md"),
        ];
        // GitHub knows it, and `act` does not.
        all.map(|workflow| workflow.with("      queue: max\n", ""))
    }

    /// With something in the place of what has to be there.
    fn with(self, written: &str, instead: &str) -> Workflow {
        let found = self.text.matches(written).count();
        assert_eq!(found, 1, "{written:?} in a workflow:\n{}", self.text);
        Workflow {
            text: self.text.replace(written, instead),
        }
    }

    fn parsed(&self) -> Value {
        serde_yaml::from_str(&self.text).unwrap()
    }

    /// Its only job.
    fn job(&self) -> Value {
        let jobs = self.parsed()["jobs"].clone();
        let mut jobs: Vec<Value> = jobs.as_object().unwrap().values().cloned().collect();
        assert_eq!(jobs.len(), 1);
        jobs.remove(0)
    }

    /// The permissions of its token, as `contents:write`.
    fn permissions(&self) -> Vec<String> {
        assert_eq!(self.parsed()["permissions"], json!({}));
        let job = self.job();
        let permissions = job["permissions"].as_object().unwrap().iter();
        permissions
            .map(|(name, level)| format!("{name}:{}", level.as_str().unwrap()))
            .collect()
    }

    /// The action that it uses at this place, with what is behind the `@`.
    fn used(&self, action: &str) -> Option<String> {
        let job = self.job();
        let mut uses = job["steps"].as_array().unwrap().iter();
        uses.find_map(|step| {
            let uses = step["uses"].as_str()?;
            uses.starts_with(action).then(|| uses.to_owned())
        })
    }
}

/// How a workflow ended.
#[derive(Debug)]
struct Ran {
    /// The result of each job that was not skipped.
    jobs: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    log: String,
    workspace: TempDir,
}

impl Ran {
    /// The outputs `decision`, `reason` and `changed` of a job that has succeeded.
    fn ending(&self, job: &str) -> [&str; 3] {
        let jobs = BTreeMap::from([(job.to_owned(), "success".to_owned())]);
        assert_eq!(self.jobs, jobs, "{}", self.log);
        ["decision", "reason", "changed"].map(|name| self.outputs[name].as_str())
    }
}

/// Runs a workflow on an event, with a token that may what the workflow says.
fn run(story: &Story, workflow: &Workflow, event: &str, payload: &Value) -> Ran {
    let permissions = workflow.permissions();
    let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
    story.github.restrict_token(&permissions);
    let mut act = Act::new(&story.github, &workflow.text, event, payload);
    if let Some(published) = workflow.used("octo-org/flux-ephemeral-env@") {
        act.stand_in(&published, &action());
    }
    if let Some(checkout) = workflow.used("actions/checkout@") {
        act.stand_in(&checkout, CHECKOUT);
        let workspace = act.workspace.path();
        story.repository.checkout(workspace, &["--depth", "1"]);
        story.github.clear_requests();
    }
    let (mut jobs, mut outputs) = (BTreeMap::new(), BTreeMap::new());
    // Any image with a shell would do.
    let ended = act.run(&base_image(), |line| {
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        // Whether it has ended or not, it was not skipped.
        if line["jobID"].is_string() {
            let result = jobs.entry(text("jobID")).or_insert_with(String::new);
            if line["jobResult"].is_string() {
                *result = text("jobResult");
            }
        }
        if line["command"] == "set-output" {
            outputs.insert(text("name"), text("arg"));
        }
    });
    assert!(ended.success, "{}", ended.log);
    Ran {
        jobs,
        outputs,
        log: ended.log,
        workspace: ended.workspace,
    }
}

/// `action.yml` with the image to test.
fn action() -> String {
    released(&image().expect("FLUX_EPHEMERAL_ENV_IMAGE names the image to test"))
}

/// In the place of actions/checkout: the workspace is checked out already, at the tip of the default branch, and this sees to
/// it that nothing else was asked for.
const CHECKOUT: &str = "
name: Checkout
inputs:
  ref: {}
  persist-credentials: {}
runs:
  using: composite
  steps:
    - run: test \"$REF\" = main && test \"$PERSIST\" = false
      shell: bash
      env:
        REF: ${{ inputs.ref }}
        PERSIST: ${{ inputs.persist-credentials }}
";

/// A pull request in a repository that has this action in its default branch, as this one has.
fn story() -> Story {
    let mut story = Story::new();
    let action = [("action.yml", Some(action()))];
    let action = action
        .each_ref()
        .map(|(path, text)| (*path, text.as_deref()));
    story.repository.commit("main", &action, "The action");
    story.begin();
    story
}

/// Runs a workflow on a new comment, and gives back the comment, too.
fn comment(story: &Story, workflow: &Workflow, login: &str, body: &str) -> (Ran, u64) {
    let comment = story.github.comment(story.number, login, body);
    let payload = story.github.issue_comment_event(comment, "created");
    (run(story, workflow, "issue_comment", &payload), comment)
}

/// Runs a workflow on the close of the pull request.
fn close(story: &Story, workflow: &Workflow) -> Ran {
    story.github.close_pull_request(story.number);
    let payload = story
        .github
        .pull_request_event(story.number, "closed", AUTHOR);
    run(story, workflow, "pull_request_target", &payload)
}

/// An event for which GitHub would take no runner, and of which nobody hears.
fn assert_no_job(story: &Story, workflow: &Workflow, event: &str, payload: &Value) {
    story.github.clear_requests();
    let ran = run(story, workflow, event, payload);
    assert_eq!(ran.jobs, BTreeMap::new(), "{}", ran.log);
    assert_eq!(story.requests(), BTreeMap::new(), "{}", ran.log);
}

fn assert_is_up(story: &Story, ran: &Ran, comment: u64) {
    assert_eq!(ran.outputs["commit"], story.repository.tip("main").unwrap());
    let created = "[ci skip] create ephemeral env from dev".to_owned();
    assert_eq!(
        story.landed()[0],
        (created, vec![('A', Story::path("dev"))])
    );
    let told = story.status_comment();
    assert!(says_up(&told), "{told}");
    assert_eq!(story.statuses(), ["pending", "success"]);
    assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
    assert!(!ran.log.contains("::warning"), "{}", ran.log);
}

fn assert_is_down(story: &Story, ran: &Ran) {
    assert_eq!(ran.outputs["commit"], story.repository.tip("main").unwrap());
    let destroyed = "[ci skip] destroy ephemeral env from dev".to_owned();
    assert_eq!(
        story.landed()[0],
        (destroyed, vec![('D', Story::path("dev"))])
    );
    assert_eq!(story.instances(), [] as [String; 0]);
    let told = story.status_comment();
    assert!(says_down(&told), "{told}");
    assert_eq!(story.statuses().last().unwrap(), "success");
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn the_workflows_of_this_repository_deploy_and_destroy_on_comments() {
    let story = story();
    let [create, destroy, _] = Workflow::on_comments();

    let (ran, command) = comment(&story, &create, REVIEWER, "/deploy-ephemeral");

    assert_eq!(ran.ending("create"), ["create", "deploy-command", "true"]);
    assert_is_up(&story, &ran, command);
    assert!(story.status_comment().contains("http://dev.localhost:8080"));
    // The checkout has followed, and is whose it was.
    let (file, workspace) = (
        ran.workspace.path().join(Story::path("dev")),
        ran.workspace.path(),
    );
    assert_eq!(fs::read_to_string(&file).ok(), story.instance("dev"));
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    assert_eq!(owner(&file), owner(workspace));
    let payload = story.github.issue_comment_event(command, "created");
    assert_no_job(&story, &destroy, "issue_comment", &payload);

    let (ran, command) = comment(&story, &destroy, REVIEWER, "/destroy-ephemeral");

    assert_eq!(
        ran.ending("destroy"),
        ["destroy", "destroy-command", "true"]
    );
    assert_is_down(&story, &ran);
    assert_eq!(story.reactions(command), ["eyes", "rocket"]);
    assert_eq!(story.landed().len(), 2);
    let payload = story.github.issue_comment_event(command, "created");
    assert_no_job(&story, &create, "issue_comment", &payload);
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn a_close_destroys_whoever_closes() {
    let story = story();
    story.put("dev", &story.current("dev", story.number));
    let [_, destroy, _] = Workflow::on_comments();

    let ran = close(&story, &destroy);

    assert_eq!(
        ran.ending("destroy"),
        ["destroy", "pull-request-closed", "true"]
    );
    assert_is_down(&story, &ran);
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn what_is_no_command_takes_no_runner() {
    let story = story();
    let issue = story.github.open_issue(AUTHOR, "An issue");
    let workflows = Workflow::on_comments();
    for (number, login, body) in [
        (story.number, REVIEWER, "Looks good"),
        (story.number, REVIEWER, "Shall I /deploy-ephemeral it?"),
        (story.number, REVIEWER, "> /destroy-ephemeral"),
        (story.number, "helper[bot]", "/deploy-ephemeral"),
        (story.number, "helper[bot]", "/destroy-ephemeral"),
        (issue, REVIEWER, "/deploy-ephemeral"),
        (issue, REVIEWER, "/destroy-ephemeral"),
    ] {
        let comment = story.github.comment(number, login, body);
        let payload = story.github.issue_comment_event(comment, "created");
        for workflow in &workflows {
            assert_no_job(&story, workflow, "issue_comment", &payload);
        }
    }
    story.assert_unsaid();
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn a_strangers_command_is_refused_and_the_job_stays_green() {
    let story = story();
    let [create, _, _] = Workflow::on_comments();

    let (ran, command) = comment(&story, &create, "somebody", " /deploy-ephemeral");

    assert_eq!(ran.ending("create"), ["refuse", "not-permitted", "false"]);
    assert_eq!(story.landed(), []);
    assert!(story.status_comment().contains("`somebody`"));
    assert_eq!(story.reactions(command), ["eyes", "confused"]);
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn a_sweep_runs_on_a_schedule_and_by_hand() {
    for workflow in [Workflow::own("sweep"), Workflow::on_page("docs/sweep.md")] {
        let story = story();
        let gone = story.another_closed("gone");
        let swept = json!([{"name": "gone", "pull-request": gone, "reason": "closed"}]);
        let outcome = |ran: &Ran| serde_json::from_str::<Value>(&ran.outputs["swept"]).unwrap();
        let mut by_hand = story.github.dispatch_event(REVIEWER);
        by_hand["inputs"] = json!({"dry-run": "true"});

        let ran = run(&story, &workflow, "workflow_dispatch", &by_hand);

        assert_eq!(ran.ending("sweep"), ["sweep", "workflow-dispatch", "false"]);
        assert_eq!(outcome(&ran), swept);
        assert_eq!(story.instances(), [Story::path("gone")]);
        assert_eq!(story.our_comments_on(gone), [] as [String; 0]);

        let ran = run(
            &story,
            &workflow,
            "schedule",
            &story.github.schedule_event(),
        );

        assert_eq!(ran.ending("sweep"), ["sweep", "schedule", "true"]);
        assert_eq!(outcome(&ran), swept);
        assert_eq!(story.instances(), [] as [String; 0]);
        assert_eq!(ran.outputs["commit"], story.repository.tip("main").unwrap());
        assert!(story.status_comment_on(gone).contains("`gone`"));

        by_hand["inputs"] = json!({"dry-run": "false"});
        let ran = run(&story, &workflow, "workflow_dispatch", &by_hand);
        assert_eq!(ran.ending("sweep"), ["sweep", "workflow-dispatch", "false"]);
        assert_eq!(outcome(&ran), json!([]));
    }
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn the_workflow_of_the_readme_deploys_and_destroys_with_the_released_action() {
    let story = Story::new();
    let [_, _, workflow] = Workflow::on_comments();
    assert_eq!(workflow.used("octo-org/").as_deref(), Some(PUBLISHED[1]));

    let (ran, command) = comment(&story, &workflow, REVIEWER, "/deploy-ephemeral");

    assert_eq!(
        ran.ending("ephemeral"),
        ["create", "deploy-command", "true"]
    );
    assert_is_up(&story, &ran, command);
    assert!(story.status_comment().contains("https://dev.example.com"));
    // Nothing was checked out, and nothing is left there.
    assert_eq!(fs::read_dir(ran.workspace.path()).unwrap().count(), 0);

    let (ran, _) = comment(&story, &workflow, REVIEWER, "/destroy-ephemeral");
    assert_eq!(
        ran.ending("ephemeral"),
        ["destroy", "destroy-command", "true"]
    );
    assert_is_down(&story, &ran);

    let ran = close(&story, &workflow);
    assert_eq!(ran.ending("ephemeral")[0], "destroy");
    assert_eq!(ran.outputs["changed"], "false");
    assert_eq!(story.landed().len(), 2);
}

/// The part of a text from one place to before another.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text
        .find(from)
        .unwrap_or_else(|| panic!("no {from:?} in {text}"));
    let length = text[start..].find(to);
    let length = length.unwrap_or_else(|| panic!("no {to:?} behind {from:?} in {text}"));
    &text[start..start + length]
}

/// The README's workflow with the lines that the docs give for a label.
fn with_label() -> Workflow {
    let lines = yaml_blocks("docs/how-it-works.md").into_iter();
    let mut lines = lines.filter(|block| block.contains("types: [labeled"));
    let lines = lines.next().unwrap();
    let [_, _, readme] = Workflow::on_comments();
    let condition = between(&readme.text, "    if: ", "    runs-on:").to_owned();
    let with = "        with:\n          label: preview\n";
    assert!(lines.ends_with(with), "{lines}");
    readme
        .with(
            "    types: [closed]",
            between(&lines, "    types: [labeled", "\njobs:"),
        )
        .with(&condition, between(&lines, "    if: ", "    steps:"))
        .with("        with:\n", with)
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn a_label_deploys_while_it_is_there_with_the_lines_of_the_docs() {
    let story = Story::new();
    let workflow = with_label();
    let label = |action: &str, label: &str| {
        let payload = story
            .github
            .label_event(story.number, action, label, REVIEWER);
        ("pull_request_target", payload)
    };

    let (event, payload) = label("labeled", "another");
    assert_no_job(&story, &workflow, event, &payload);

    let (event, payload) = label("labeled", "preview");
    let ran = run(&story, &workflow, event, &payload);
    assert_eq!(ran.ending("ephemeral"), ["create", "label-added", "true"]);
    assert!(says_up(&story.status_comment()));
    assert_eq!(story.instances(), [Story::path("dev")]);

    let (event, payload) = label("unlabeled", "preview");
    let ran = run(&story, &workflow, event, &payload);
    assert_eq!(
        ran.ending("ephemeral"),
        ["destroy", "label-removed", "true"]
    );
    assert_is_down(&story, &ran);

    let ran = close(&story, &workflow);
    assert_eq!(ran.ending("ephemeral")[0], "destroy");
    assert_eq!(story.landed().len(), 2);
}

/// The groups that jobs wait in, as GitHub would work them out on an event.
fn groups(story: &Story, event: &str, payload: &Value) -> Vec<String> {
    let workflows = Workflow::on_comments();
    let steps = workflows.iter().enumerate().map(|(index, workflow)| {
        let group = &workflow.job()["concurrency"]["group"];
        let said = format!("printf 'group-{index}=%s\\n' \"$GROUP\" >> \"$GITHUB_OUTPUT\"");
        json!({"run": said, "shell": "bash", "env": {"GROUP": group}})
    });
    let text = json!({
        "on": event,
        "permissions": {},
        "jobs": {"group": {
            "runs-on": "ubuntu-24.04",
            "permissions": {},
            "steps": steps.collect::<Vec<_>>(),
        }},
    });
    let workflow = Workflow {
        text: format!("name: Groups\n{}", serde_yaml::to_string(&text).unwrap()),
    };
    let ran = run(story, &workflow, event, payload);
    assert_eq!(ran.jobs["group"], "success", "{}", ran.log);
    ran.outputs.into_values().collect()
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn commands_of_a_pull_request_wait_in_one_group_and_strangers_in_their_own() {
    let story = Story::new();
    let team = format!("ephemeral-env-{}", story.number);
    for (login, group) in [
        (REVIEWER, team.clone()),
        ("somebody", format!("{team}-somebody")),
    ] {
        let comment = story
            .github
            .comment(story.number, login, "/deploy-ephemeral");
        let payload = story.github.issue_comment_event(comment, "created");
        assert_eq!(
            groups(&story, "issue_comment", &payload),
            [group.clone(), group.clone(), group]
        );
    }
    let payload = story
        .github
        .pull_request_event(story.number, "closed", "somebody");
    let of_close = groups(&story, "pull_request_target", &payload);
    assert_eq!(of_close[1..], [team.clone(), team]);
}

const FLUX: &str = "flux/ephemeral-dev";

/// Flux's own notification-controller, or somebody else, sets a status of the head, and a workflow runs on that.
fn status(story: &Story, workflow: &Workflow, state: &str, words: &str) -> Ran {
    let head = story.repository.tip("dev").unwrap();
    story
        .github
        .set_status(&head, FLUX, state, words, "flux-reports");
    let payload = story.github.status_event(&head, FLUX);
    run(story, workflow, "status", &payload)
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn what_flux_reports_is_told_by_the_workflow_for_it_and_git_stays_as_it_is() {
    for workflow in Workflow::on_statuses() {
        let story = story();
        let [create, _, _] = Workflow::on_comments();
        comment(&story, &create, REVIEWER, "/deploy-ephemeral");
        let told = || {
            let comment = story.status_comment();
            let title = comment.lines().find(|line| line.starts_with("### "));
            title.unwrap().to_owned()
        };
        assert_eq!(told(), "### 🟡 Flux is bringing `dev` up");
        let tip = story.repository.tip("main");

        let ran = status(&story, &workflow, "failure", "build failed");
        assert_eq!(ran.ending("report"), ["report", "flux-failed", "false"]);
        assert_eq!(ran.outputs["ready"], "false");
        assert_eq!(told(), "### 🔴 `dev` is not ready: build failed");

        // Whoever set it.
        let ran = status(&story, &workflow, "success", "reconciliation succeeded");
        assert_eq!(ran.ending("report"), ["report", "flux-ready", "false"]);
        assert_eq!(ran.outputs["ready"], "true");
        assert_eq!(told(), "### 🟢 `dev` is ready");
        assert!(!ran.log.contains("::warning"), "{}", ran.log);

        // An event that waited: what is so by now counts.
        let head = story.repository.tip("dev").unwrap();
        let mut old = story.github.status_event(&head, FLUX);
        old["state"] = "failure".into();
        old["description"] = "build failed".into();
        let ran = run(&story, &workflow, "status", &old);
        assert_eq!(ran.ending("report"), ["report", "flux-ready", "false"]);
        assert_eq!(told(), "### 🟢 `dev` is ready");

        assert_eq!(story.repository.tip("main"), tip);
    }
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn what_flux_does_not_say_takes_no_runner() {
    let story = story();
    let head = story.repository.tip("dev").unwrap();
    for (context, state) in [
        (FLUX, "pending"),
        ("flux-ephemeral-env", "success"),
        ("ci/test", "success"),
        ("kustomization/ephemeral-dev/0c9c2e41", "success"),
        ("flux/app", "failure"),
    ] {
        story
            .github
            .set_status(&head, context, state, "", "somebody");
        let payload = story.github.status_event(&head, context);
        for workflow in Workflow::on_statuses() {
            assert_no_job(&story, &workflow, "status", &payload);
        }
    }
}

#[test]
#[ignore = "needs act, a container engine and an image"]
fn the_workflow_of_the_docs_waits_for_flux_and_tests_what_is_ready() {
    const TEST: &str = "curl --fail --silent --show-error --retry 5 --retry-all-errors --output /dev/null \"$URL\"";
    let story = Story::new();
    let workflow = Workflow::on_page_with("docs/readiness.md", "wait: 10m")
        .with("      queue: max\n", "")
        .with(TEST, "echo \"$URL\" > tested");
    let head = story.repository.tip("dev").unwrap();
    let set = |state: &str, words: &str| {
        let is_pending = |github: &local_github::LocalGitHub| {
            let statuses = github.statuses(&head);
            let newest = statuses.iter().rfind(|status| status.context == FLUX);
            newest.is_some_and(|status| status.state == "pending")
        };
        while !is_pending(&story.github) {
            std::thread::sleep(Duration::from_millis(50));
        }
        story
            .github
            .set_status(&head, FLUX, state, words, "flux-reports");
    };

    let (ran, _) = std::thread::scope(|scope| {
        scope.spawn(|| set("success", "reconciliation succeeded"));
        comment(&story, &workflow, REVIEWER, "/deploy-ephemeral")
    });

    assert_eq!(
        ran.ending("ephemeral"),
        ["create", "deploy-command", "true"]
    );
    assert_eq!(ran.outputs["ready"], "true");
    let tested = fs::read_to_string(ran.workspace.path().join("tested")).unwrap();
    assert_eq!(tested, "https://dev.example.com\n");
    let deployments = story.github.deployments();
    assert_eq!(deployments.len(), 1);
    assert_eq!(deployments[0].environment, "preview");
    assert_eq!(deployments[0].statuses.last().unwrap().state, "success");
    assert!(!ran.log.contains("::warning"), "{}", ran.log);

    let (ran, _) = comment(&story, &workflow, REVIEWER, "/destroy-ephemeral");
    assert_eq!(
        ran.ending("ephemeral"),
        ["destroy", "destroy-command", "true"]
    );
    assert_eq!(ran.outputs["ready"], "");
    assert!(!ran.workspace.path().join("tested").exists());
    let deployments = story.github.deployments();
    assert_eq!(deployments[0].statuses.last().unwrap().state, "inactive");
}
