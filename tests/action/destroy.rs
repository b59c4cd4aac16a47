//! A destroy command, or the end of the pull request, removes the file.

use local_github::Fault;
use serde_json::{Value, json};

use crate::story::{AUTHOR, REVIEWER, Story, ending, finish, start, succeed};

#[test]
fn the_command_removes_the_file() {
    let story = Story::new();
    succeed(&story.deploy());
    let (job, comment) = story.commented(REVIEWER, "/destroy-ephemeral");

    let outcome = succeed(&job);

    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "true"));
    assert_eq!(outcome.outputs["name"], "dev");
    assert_eq!(outcome.outputs["namespace"], "dev");
    assert_eq!(outcome.outputs["manifest"], Story::path("dev"));
    assert_eq!(
        outcome.outputs["commit"],
        story.repository.tip("main").unwrap()
    );
    assert_eq!(story.instances(), [] as [String; 0]);
    assert_eq!(
        story.landed()[0],
        (
            "[ci skip] destroy ephemeral env from dev".to_owned(),
            vec![('D', Story::path("dev"))]
        )
    );
    let comment_text = story.status_comment();
    assert!(
        comment_text.contains("### ⚪ Flux is removing "),
        "{comment_text}"
    );
    assert!(
        comment_text.contains("To deploy again, comment `/deploy-ephemeral`."),
        "{comment_text}"
    );
    assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
    assert_eq!(
        story.statuses(),
        ["pending", "success", "pending", "success"]
    );
}

#[test]
fn a_repeated_destroy_changes_nothing_and_says_so() {
    let story = Story::new();
    succeed(&story.deploy());
    succeed(&story.destroy());
    let before = story.repository.tip("main");

    let outcome = succeed(&story.destroy());

    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "false"));
    assert_eq!(story.repository.tip("main"), before);
    assert!(
        story
            .status_comment()
            .contains("Nothing to destroy: this pull request has no environment")
    );
}

#[test]
fn a_close_removes_the_file_merged_or_not() {
    for merged in [false, true] {
        let story = Story::new();
        succeed(&story.deploy());
        let job = if merged {
            story.github.merge_pull_request(story.number);
            let event = story
                .github
                .pull_request_event(story.number, "closed", AUTHOR);
            story.job().event("pull_request", &event)
        } else {
            story.close()
        };

        let outcome = succeed(&job);

        assert_eq!(
            ending(&outcome),
            ("destroy", "pull-request-closed", "true"),
            "merged: {merged}"
        );
        assert_eq!(story.instances(), [] as [String; 0]);
        let message = &story.repository.log("main")[0].message;
        assert_eq!(
            message,
            "[ci skip] destroy ephemeral env from dev\n\nPull-request: #1\nRequested-by: @paul"
        );
        assert!(story.status_comment().contains("Flux is removing"));
        assert_eq!(story.statuses(), ["pending", "success", "success"]);
    }
}

#[test]
fn a_close_needs_no_permission() {
    let story = Story::new();
    succeed(&story.deploy());
    story.github.set_permission(AUTHOR, "none");

    succeed(&story.close());

    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn a_close_by_an_account_that_is_gone_removes_the_file() {
    let story = Story::new();
    succeed(&story.deploy());
    story.github.close_pull_request(story.number);
    let mut event = story
        .github
        .pull_request_event(story.number, "closed", AUTHOR);
    event["sender"] = Value::Null;

    succeed(&story.job().event("pull_request_target", &event));

    assert_eq!(story.instances(), [] as [String; 0]);
    let message = &story.repository.log("main")[0].message;
    assert!(message.ends_with("\nRequested-by: @ghost"), "{message}");
}

#[test]
fn a_close_tells_what_a_cancelled_one_could_not() {
    let story = Story::new();
    succeed(&story.deploy());
    let close = story.close();
    story.github.fault(
        Fault::on("PATCH", "/repos/*/issues/comments/*")
            .always()
            .answer_text(404, "no"),
    );
    story.github.fault(
        Fault::on("POST", "/repos/*/issues/*/comments")
            .always()
            .answer_text(410, "no"),
    );
    succeed(&close);
    story.github.clear_faults();
    assert!(story.status_comment().contains("### 🟡 Flux is bringing "));

    let outcome = succeed(&close);

    assert_eq!(
        ending(&outcome),
        ("destroy", "pull-request-closed", "false")
    );
    let told = story.status_comment();
    assert!(told.contains("### ⚪ Nothing to destroy"), "{told}");
    assert!(!told.contains("Flux is bringing"), "{told}");
    assert_eq!(story.landed().len(), 2);
    // And then there is no more to say.
    story.github.clear_requests();
    succeed(&close);
    assert!(
        !story
            .requests()
            .keys()
            .any(|request| request.starts_with("PATCH"))
    );
}

#[test]
fn a_close_without_an_instance_says_nothing_anywhere() {
    let story = Story::new();

    let outcome = succeed(&story.close());

    assert_eq!(
        ending(&outcome),
        ("destroy", "pull-request-closed", "false")
    );
    story.assert_unsaid();
    let requests = [
        ("GET /info/refs", 1),
        ("POST /git-upload-pack", 2),
        // Whether a run before this one left a comment that is out of date.
        ("GET /issues/*/comments", 1),
        // Is it still closed?
        ("GET /pulls/*", 1),
        ("POST /graphql", 1),
    ];
    assert_eq!(
        story.requests(),
        requests
            .map(|(name, times)| (name.to_owned(), times))
            .into()
    );
}

#[test]
fn a_deleted_forks_instance_is_cleaned_up() {
    let story = Story::of_fork("dev");
    succeed(&story.deploy().input("allow-forks", "true"));
    story.github.delete_head_repository(story.number);

    let outcome = succeed(&story.close());

    assert_eq!(ending(&outcome), ("destroy", "pull-request-closed", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn a_closed_pull_requests_instance_is_destroyed_by_command() {
    let story = Story::new();
    succeed(&story.deploy());
    story.github.close_pull_request(story.number);

    let outcome = succeed(&story.destroy());

    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn a_renamed_branchs_instance_is_found_by_its_owner() {
    let story = Story::new();
    succeed(&story.deploy().input("namespace-prefix", "old-"));
    story.github.rename_head(story.number, "develop");

    let outcome = succeed(&story.destroy().input("namespace-prefix", "new-"));

    assert_eq!(outcome.outputs["name"], "dev");
    assert_eq!(outcome.outputs["namespace"], "old-dev");
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn another_pull_requests_file_and_a_hand_written_one_stay() {
    let mut story = Story::new();
    succeed(&story.deploy());
    let by_hand = Story::path("by-hand");
    story
        .repository
        .commit("main", &[(&by_hand, Some("kind: ConfigMap\n"))], "By hand");
    let before = story.repository.tip("main");
    story.number = story.another("by-hand");

    let outcome = succeed(&story.destroy());

    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "false"));
    assert_eq!(story.repository.tip("main"), before);
    assert_eq!(story.instances(), [by_hand, Story::path("dev")]);
}

#[test]
fn the_directory_outlives_its_last_instance() {
    let story = Story::new();
    let directory = "clusters/previews";
    let deploy = || story.deploy().input("instances-path", directory);
    succeed(&deploy());

    succeed(&story.destroy().input("instances-path", directory));

    // Without the directory, Flux's Kustomization fails and prunes nothing.
    let files = story.repository.files("main", directory);
    assert_eq!(files, [format!("{directory}/.gitkeep")]);
    assert_eq!(story.landed().len(), 2);
    let outcome = succeed(&deploy());
    assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
}

#[test]
fn a_closed_pull_request_is_told_to_reopen_first() {
    let story = Story::new();
    succeed(&story.deploy());

    succeed(&story.close());

    let told = story.status_comment();
    assert!(
        told.contains("To deploy again, reopen the pull request and comment"),
        "{told}"
    );
}

#[test]
fn a_close_that_is_run_again_after_the_pull_request_was_reopened_leaves_its_environment() {
    let story = Story::new();
    succeed(&story.deploy());
    let close = story.close();
    succeed(&close);
    story.github.reopen_pull_request(story.number);
    succeed(&story.deploy());
    let landed = story.landed().len();
    let told = story.status_comment();

    let outcome = succeed(&close.run_id(2));

    assert_eq!(
        ending(&outcome),
        ("none", "pull-request-is-open", "false"),
        "{}",
        outcome.stdout
    );
    assert_eq!(story.instances(), [Story::path("dev")]);
    assert_eq!(story.landed().len(), landed);
    assert_eq!(story.status_comment(), told);
}

#[test]
fn an_answer_that_is_older_than_the_close_is_asked_for_again() {
    let story = Story::new();
    succeed(&story.deploy());
    let close = story.close();
    // A replica that has not heard of it yet.
    story.github.reopen_pull_request(story.number);
    story.github.clear_requests();
    let running = start(&close);
    story.await_request("GET /pulls/*", &running);
    story.github.close_pull_request(story.number);

    let outcome = finish(running);

    assert_eq!(ending(&outcome), ("destroy", "pull-request-closed", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn a_close_removes_where_github_does_not_say_that_the_pull_request_is_open() {
    for status in [404, 500] {
        let story = Story::new();
        succeed(&story.deploy());
        let close = story.close();
        let lookup = Fault::on("GET", "/repos/*/pulls/*").always();
        story
            .github
            .fault(lookup.answer(status, json!({ "message": "No" })));

        let outcome = succeed(&close);

        assert_eq!(ending(&outcome).2, "true", "{status}");
        assert_eq!(story.instances(), [] as [String; 0], "{status}");
    }
}

#[test]
fn a_close_whose_payload_names_no_owner_of_the_fork_is_cleaned_up() {
    let (story, _) = Story::with_fork("dev");
    succeed(&story.deploy().input("allow-forks", "true"));
    assert_eq!(story.instances().len(), 1);
    story.github.close_pull_request(story.number);
    let mut event = story
        .github
        .pull_request_event(story.number, "closed", AUTHOR);
    event["pull_request"]["head"]["repo"]["owner"] = serde_json::Value::Null;

    let outcome = succeed(&story.job().event("pull_request_target", &event));

    assert_eq!(ending(&outcome), ("destroy", "pull-request-closed", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
}
