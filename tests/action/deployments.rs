//! GitHub Deployments: the box on the pull request follows the environment, and nobody else's.

use local_github::{Deployment, Fault, Job};
use serde_json::json;

use crate::story::{AUTHOR, REVIEWER, Story, annotation, annotations, ending, succeed};

/// An input of every step here.
fn with(job: Job) -> Job {
    job.input("github-environment", "preview")
        .input("environment-url", "https://{namespace}.example.com")
}

/// The deployments of a task, oldest first.
fn of(story: &Story, task: &str) -> Vec<Deployment> {
    let mut deployments = story.github.deployments();
    deployments.retain(|deployment| deployment.task == task);
    deployments
}

/// The states that a deployment has gone through.
fn states(deployment: &Deployment) -> Vec<&str> {
    let states = deployment.statuses.iter();
    states.map(|status| status.state.as_str()).collect()
}

/// The states that the deployments of `dev` are in, oldest first.
fn last_states(story: &Story) -> Vec<String> {
    let deployments = of(story, "deploy:dev");
    let last = deployments.iter().map(|deployment| {
        states(deployment)
            .last()
            .map_or("", |state| *state)
            .to_owned()
    });
    last.collect()
}

#[test]
fn a_deploy_is_handed_to_flux_and_a_destroy_ends_it() {
    let story = Story::new();
    let head = story.head();

    succeed(&with(story.deploy()));

    let deployments = story.github.deployments();
    assert_eq!(deployments.len(), 1, "{deployments:#?}");
    let deployment = &deployments[0];
    assert_eq!(deployment.task, "deploy:dev");
    assert_eq!(
        (deployment.sha.as_str(), deployment.environment.as_str()),
        (head.as_str(), "preview")
    );
    assert!(deployment.transient);
    assert_eq!(states(deployment), ["in_progress", "success"]);
    let status = &deployment.statuses[1];
    assert_eq!(status.description, "Handed to Flux");
    assert_eq!(status.environment_url, "https://dev.example.com");
    assert!(
        status.log_url.ends_with("/octo-org/demo/actions/runs/1"),
        "{}",
        status.log_url
    );
    assert!(!status.auto_inactive);
    let created = story.github.requests().into_iter().find(|request| {
        request.method == "POST" && request.path == "/repos/octo-org/demo/deployments"
    });
    let body = created.and_then(|request| request.body).unwrap();
    assert_eq!(
        body,
        json!({
            "ref": head, "task": "deploy:dev", "environment": "preview", "description": "Handed to Flux",
            "auto_merge": false, "required_contexts": [], "transient_environment": true, "production_environment": false,
        })
    );

    succeed(&with(story.destroy()));
    assert_eq!(
        states(&story.github.deployments()[0]),
        ["in_progress", "success", "inactive"]
    );
    // Nothing more is there to end.
    succeed(&with(story.destroy()));
    assert_eq!(
        states(&story.github.deployments()[0]),
        ["in_progress", "success", "inactive"]
    );
}

#[test]
fn it_follows_what_flux_says() {
    let story = Story::new();
    let head = story.head();
    let context = "flux/ephemeral-dev";
    let report = |says: &str| {
        story
            .github
            .set_status(&head, context, says, "words", "flux-reports");
        let event = story.github.status_event(&head, context);
        succeed(&with(story.job()).event("status", &event));
    };
    succeed(&with(story.deploy()).input("readiness", "flux"));
    assert_eq!(last_states(&story), ["in_progress"]);
    report("failure");
    assert_eq!(last_states(&story), ["failure"]);
    report("success");
    let deployments = story.github.deployments();
    assert_eq!(
        states(&deployments[0]),
        ["in_progress", "failure", "success"]
    );
    let newest = &deployments[0].statuses[2];
    assert_eq!(newest.description, "dev is ready");
    assert_eq!(newest.environment_url, "https://dev.example.com");
}

#[test]
fn a_run_that_waits_makes_one_and_says_how_it_ended() {
    let story = Story::waiting();
    let outcome = crate::story::run(&with(story.deploy()).input("wait", "1s"));
    assert_eq!(ending(&outcome).1, "not-ready-in-time");
    let deployments = story.github.deployments();
    assert_eq!(deployments.len(), 1);
    assert_eq!(states(&deployments[0]), ["in_progress", "failure"]);
}

#[test]
fn a_newer_one_ends_the_older_ones_and_no_other_pull_requests() {
    let story = Story::new();
    let other = story.another("other");
    succeed(&with(
        story.commented_on(other, REVIEWER, "/deploy-ephemeral").0,
    ));
    succeed(&with(story.deploy()));
    story.push_more();
    succeed(&with(story.deploy()));
    story.push_more();
    // One that lost track: nobody could end it.
    let statuses = "/repos/*/deployments/*/statuses";
    story.github.fault(
        Fault::on("POST", statuses)
            .skip(2)
            .answer(422, json!({ "message": "no" })),
    );
    let outcome = succeed(&with(story.deploy()));
    let warning = annotation(&outcome, "warning");
    assert!(
        warning.starts_with("the deployment could not be written: POST "),
        "{warning}"
    );
    assert_eq!(last_states(&story), ["inactive", "success", "success"]);
    story.push_more();
    succeed(&with(story.deploy()));
    assert_eq!(
        last_states(&story),
        ["inactive", "inactive", "inactive", "success"]
    );
    // Deploying again what is there is no new one.
    succeed(&with(story.deploy()));
    assert_eq!(of(&story, "deploy:dev").len(), 4);
    assert_eq!(
        states(&of(&story, "deploy:other")[0]),
        ["in_progress", "success"]
    );
}

#[test]
fn a_close_a_sweep_and_a_new_name_end_it() {
    let story = Story::new();
    succeed(&with(story.deploy()));
    story.github.rename_head(story.number, "develop");
    succeed(&with(story.deploy()));
    assert_eq!(
        states(&of(&story, "deploy:dev")[0]),
        ["in_progress", "success", "inactive"]
    );
    assert_eq!(
        states(&of(&story, "deploy:develop")[0]),
        ["in_progress", "success"]
    );
    story.github.close_pull_request(story.number);
    let event = story
        .github
        .pull_request_event(story.number, "closed", AUTHOR);
    succeed(&with(story.job()).event("pull_request_target", &event));
    assert_eq!(
        states(&of(&story, "deploy:develop")[0]),
        ["in_progress", "success", "inactive"]
    );

    let other = story.another("other");
    succeed(&with(
        story.commented_on(other, REVIEWER, "/deploy-ephemeral").0,
    ));
    story.github.close_pull_request(other);
    succeed(&with(story.sweep()));
    assert_eq!(
        states(&of(&story, "deploy:other")[0]),
        ["in_progress", "success", "inactive"]
    );
}

#[test]
fn a_destroy_ends_one_that_has_lost_its_instance() {
    let story = Story::new();
    succeed(&with(story.deploy()));
    story.remove_by_hand();
    assert_eq!(ending(&succeed(&with(story.destroy()))).2, "false");
    assert_eq!(last_states(&story), ["inactive"]);
}

#[test]
fn a_lost_answer_makes_no_second_one() {
    let story = Story::waiting();
    let create = Fault::on("POST", "/repos/octo-org/demo/deployments");
    story.github.fault(create.clone().lose_answer());
    succeed(&with(story.deploy()));
    assert_eq!(last_states(&story), ["success"]);
    story.push_more();
    story.github.fault(create.answer_text(502, "Bad Gateway"));
    succeed(&with(story.deploy()));
    assert_eq!(last_states(&story), ["inactive", "success"]);
}

#[test]
fn a_missing_permission_is_named_once_and_the_environment_is_there() {
    let story = Story::new();
    let may = ["contents:write", "pull-requests:write", "statuses:write"];
    story.github.restrict_token(&may);
    let outcome = succeed(&with(story.deploy()));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let warning = annotation(&outcome, "warning");
    assert!(
        warning.starts_with(
            "the deployment could not be written; add `deployments: write` to the job's `permissions`: "
        ),
        "{warning}"
    );
    // Nor is it asked for where nobody wants it.
    story.push_more();
    let outcome = succeed(&story.deploy());
    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    assert_eq!(story.github.deployments(), []);
}

#[test]
fn a_deploy_that_another_run_takes_away_meanwhile_ends() {
    let story = Story::new();
    succeed(&with(story.deploy()));
    story.push_more();
    let gate = story.gate(Fault::on("PATCH", "/repos/*/issues/comments/*"));
    let running = crate::story::start(&with(story.deploy()).run_id(2));
    gate.wait();
    story.remove_by_hand();
    gate.open();
    crate::story::finish(running);
    assert_eq!(last_states(&story), ["inactive", "inactive"]);
    assert!(
        story
            .status_comment()
            .contains("### ⚪ Flux is removing the environment\n")
    );
}

#[test]
fn nobody_ends_the_deployment_of_another_pull_request() {
    let story = Story::of_branch("feature-x");
    succeed(&with(story.deploy()));
    let live = || {
        let states = states(&of(&story, "deploy:feature-x")[0]).join(" ");
        assert_eq!(states, "in_progress success");
    };
    // A fork's branch that would have the same name.
    let fork = story.github.fork("feature");
    fork.commit("x", &[("app.txt", Some("theirs\n"))], "Change the app");
    let theirs = story.github.open_pull_request(&fork, "x", "feature");
    let close = |number: u64| {
        story.github.close_pull_request(number);
        let event = story.github.pull_request_event(number, "closed", "feature");
        succeed(&with(story.job()).event("pull_request_target", &event));
    };
    close(theirs);
    live();
    let destroy = story.commented_on(theirs, REVIEWER, "/destroy-ephemeral").0;
    succeed(&with(destroy));
    live();
    // And one of a fork that is gone.
    let fork = story.github.fork("octo-fork");
    fork.commit(
        "feature-x",
        &[("app.txt", Some("more\n"))],
        "Change the app",
    );
    let gone = story
        .github
        .open_pull_request(&fork, "feature-x", "octo-fork");
    story.github.delete_head_repository(gone);
    close(gone);
    live();
}

#[test]
fn a_report_that_comes_first_makes_no_second_one() {
    let story = Story::new();
    let gate = story.gate(Fault::on("POST", "/repos/octo-org/demo/deployments"));
    let running = crate::story::start(&with(story.deploy()).input("readiness", "flux"));
    gate.wait();
    let (head, context) = (story.head(), "flux/ephemeral-dev");
    let github = &story.github;
    github.set_status(&head, context, "success", "words", "flux-reports");
    let event = github.status_event(&head, context);
    succeed(&with(story.job()).event("status", &event));
    gate.open();
    crate::story::finish(running);
    assert_eq!(last_states(&story), ["success"]);
}
