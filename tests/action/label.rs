//! A label deploys while it is there: adding it is the deploy command, removing it the destroy command.

use local_github::{Fault, Job};
use serde_json::{Value, json};

use crate::person::refused;
use crate::story::{AUTHOR, REVIEWER, Story, ending, fail, says_down, says_up, succeed};

/// Runs a step that must be nothing to do, without any request.
fn nothing_to_do(story: &Story, job: &Job, reason: &str) {
    story.github.clear_requests();
    let outcome = succeed(job);
    assert_eq!(ending(&outcome), ("none", reason, "false"));
    story.assert_untouched();
}

#[test]
fn a_label_brings_an_environment_up_and_down_without_a_reaction() {
    for event in ["pull_request", "pull_request_target"] {
        let story = Story::new();
        let step = |action: &str| {
            let payload = story
                .github
                .label_event(story.number, action, "preview", REVIEWER);
            story.job().input("label", "preview").event(event, &payload)
        };

        let outcome = succeed(&step("labeled"));

        assert_eq!(
            ending(&outcome),
            ("create", "label-added", "true"),
            "{event}"
        );
        let file = story.instance("dev").unwrap();
        assert_eq!(file, story.current("dev", story.number));
        let told = story.status_comment();
        let way_down = "To destroy it, comment `/destroy-ephemeral`, remove the label `preview` or close the pull request.";
        for words in ["### 🟡 Flux is bringing ", way_down] {
            assert!(told.contains(words), "no {words} in {told}");
        }
        assert_eq!(story.statuses(), ["pending", "success"]);

        let outcome = succeed(&step("unlabeled"));

        assert_eq!(
            ending(&outcome),
            ("destroy", "label-removed", "true"),
            "{event}"
        );
        assert_eq!(story.instances(), [] as [String; 0]);
        assert!(story.status_comment().contains("### ⚪ Flux is removing "));
        let messages = story.repository.log("main").into_iter().take(2);
        let messages: Vec<String> = messages.map(|commit| commit.message).collect();
        let trailers = "\n\nPull-request: #1\nRequested-by: @rita";
        assert_eq!(
            messages,
            ["destroy", "create"]
                .map(|verb| format!("[ci skip] {verb} ephemeral env from dev{trailers}"))
        );
        let requests = story.requests();
        assert!(
            !requests
                .keys()
                .any(|request| request.contains("/reactions"))
        );
        assert_eq!(requests["GET /collaborators/rita/permission"], 2);
    }
}

#[test]
fn the_senders_permission_counts() {
    for (permission, may) in [
        ("admin", true),
        ("maintain", true),
        ("triage", false),
        ("read", false),
        ("none", false),
    ] {
        let story = Story::new();
        // Whose pull request it is does not matter.
        story.github.set_permission(AUTHOR, "admin");
        story.github.set_permission("somebody", permission);
        let job = story.label("labeled", "preview", "somebody");
        if may {
            assert_eq!(ending(&succeed(&job)).2, "true", "{permission}");
            continue;
        }
        let told = refused(&story, &job, "not-permitted");
        let words = format!("`somebody` has the permission `{permission}`");
        assert!(told.contains(&words), "{told}");
        assert_eq!(
            story.statuses(),
            [] as [String; 0],
            "a stranger marks nobody's commit"
        );

        // Nor may they take one down.
        succeed(&story.deploy());
        let job = story.label("unlabeled", "preview", "somebody");
        refused(&story, &job, "not-permitted");
        assert_eq!(story.instances(), [Story::path("dev")]);
        assert_eq!(story.statuses(), ["pending", "success"]);
    }
    let story = Story::new();
    let job = story.label("labeled", "preview", "somebody");
    story.github.remove_user("somebody");
    refused(&story, &job, "permission-unknown");
    assert_eq!(story.landed(), []);
}

#[test]
fn a_fork_is_deployed_by_a_label_only_where_that_is_allowed_and_nothing_was_pushed_since() {
    let (story, fork) = Story::with_fork("dev");
    let labeled = || story.label("labeled", "preview", REVIEWER);
    let told = refused(&story, &labeled(), "fork-not-allowed");
    assert!(
        told.contains("set the input `allow-forks` to `true`"),
        "{told}"
    );

    let late = labeled().input("allow-forks", "true");
    fork.commit("dev", &[("app.txt", Some("swapped\n"))], "Swap");
    let told = refused(&story, &late, "fork-pushed-since");
    let head = story.head();
    let remedy = format!("comment `/deploy-ephemeral {head}`");
    assert!(told.contains(&remedy), "{told}");

    // Whoever puts it on now sees what is there now.
    let outcome = succeed(&labeled().input("allow-forks", "true"));
    assert_eq!(ending(&outcome), ("create", "label-added", "true"));
    let manifest = story.instance("octo-fork-dev").unwrap();
    assert!(
        manifest.contains(&format!("    commit: {head}\n")),
        "{manifest}"
    );
    assert!(!manifest.contains("secretRef"), "{manifest}");

    // Down it goes whatever is allowed and whatever was pushed.
    let off = story.label("unlabeled", "preview", REVIEWER);
    fork.commit("dev", &[("app.txt", Some("again\n"))], "Again");
    assert_eq!(ending(&succeed(&off)), ("destroy", "label-removed", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn a_branch_of_ours_that_was_pushed_to_since_is_deployed_at_its_head() {
    let story = Story::new();
    let late = story.label("labeled", "preview", REVIEWER);
    let head = story.push_more();
    assert_eq!(ending(&succeed(&late)).2, "true");
    let commit = format!("      COMMIT: {head}\n");
    assert!(story.instance("dev").unwrap().contains(&commit));
}

#[test]
fn a_draft_is_deployed() {
    let story = Story::new();
    story.github.set_draft(story.number, true);
    let job = story.label("labeled", "preview", REVIEWER);
    assert_eq!(ending(&succeed(&job)), ("create", "label-added", "true"));
    assert_eq!(story.instances(), [Story::path("dev")]);
}

#[test]
fn another_label_or_none_to_look_for_is_nothing_to_do() {
    let story = Story::new();
    for action in ["labeled", "unlabeled"] {
        for label in ["bug", "preview2", "previe", "pre view", " preview", "@all"] {
            let job = story.label(action, label, REVIEWER);
            nothing_to_do(&story, &job, "another-label");
        }
        let payload = story
            .github
            .label_event(story.number, action, "preview", REVIEWER);
        let job = story.job().event("pull_request", &payload);
        nothing_to_do(&story, &job, "action-not-handled");
        nothing_to_do(&story, &job.input("label", ""), "action-not-handled");
    }
}

#[test]
fn the_label_is_the_same_in_any_case() {
    let story = Story::new();
    for (input, label) in [
        ("preview", "Preview"),
        ("PREVIEW", "pReview"),
        ("Größe: ÄÖ", "größe: äö"),
    ] {
        for (action, decision) in [("labeled", "create"), ("unlabeled", "destroy")] {
            let job = story.label(action, label, REVIEWER).input("label", input);
            let outcome = succeed(&job);
            assert_eq!(
                (ending(&outcome).0, ending(&outcome).2),
                (decision, "true"),
                "{label}"
            );
        }
    }
    assert_eq!(story.landed().len(), 6);
}

#[test]
fn the_labels_name_is_text_and_no_markdown() {
    let story = Story::new();
    let label = "@octo-org/all `x` <!-- /state -->";
    let job = story
        .label("labeled", label, REVIEWER)
        .input("label", label);
    assert_eq!(ending(&succeed(&job)).2, "true");
    let told = story.status_comment();
    let shown = told.split_once(", remove the label ").unwrap().1;
    let span = shown.split_once(" or close the pull request.").unwrap().0;
    assert!(span.starts_with("``@") && span.ends_with(">``"), "{span}");
    // And the comment is still understood.
    let outcome = succeed(
        &story
            .label("unlabeled", label, REVIEWER)
            .input("label", label),
    );
    assert_eq!(ending(&outcome).2, "true");
    assert!(story.status_comment().contains("### ⚪ Flux is removing "));
}

#[test]
fn a_closed_pull_request_is_not_deployed_by_a_label_and_cleaned_up_by_its_removal() {
    let story = Story::new();
    succeed(&story.deploy());
    story.github.close_pull_request(story.number);
    let told = refused(
        &story,
        &story.label("labeled", "preview", REVIEWER),
        "pull-request-is-closed",
    );
    assert!(told.contains("reopen it"), "{told}");

    let outcome = succeed(&story.label("unlabeled", "preview", REVIEWER));

    assert_eq!(ending(&outcome), ("destroy", "label-removed", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
    let told = story.status_comment();
    assert!(
        told.contains("reopen the pull request and comment `/deploy-ephemeral`"),
        "{told}"
    );
}

#[test]
fn comment_and_label_drive_one_pull_request_to_one_state() {
    let story = Story::new();
    let on = || story.label("labeled", "preview", REVIEWER);
    let off = || story.label("unlabeled", "preview", REVIEWER);
    let (deploy, deployed) = story.commented(REVIEWER, "/deploy-ephemeral");
    let (destroy, destroyed) = story.commented(REVIEWER, "/destroy-ephemeral");
    // What is there when a job runs counts, so each label is put on or taken off just before that.
    let on: &dyn Fn() -> Job = &on;
    let off: &dyn Fn() -> Job = &off;
    let (deploy, destroy): (&dyn Fn() -> Job, &dyn Fn() -> Job) =
        (&|| deploy.clone(), &|| destroy.clone());
    let is_up = ("create", says_up as fn(&str) -> bool);
    let is_down = ("destroy", says_down as fn(&str) -> bool);
    for (job, (decision, is_said), changed) in [
        (on, is_up, "true"),
        (deploy, is_up, "false"),
        (off, is_down, "true"),
        (destroy, is_down, "false"),
        (deploy, is_up, "true"),
        (on, is_up, "false"),
        (destroy, is_down, "true"),
        (off, is_down, "false"),
        (on, is_up, "true"),
    ] {
        let outcome = succeed(&job());
        assert_eq!(
            (ending(&outcome).0, ending(&outcome).2),
            (decision, changed)
        );
        let told = story.status_comment();
        assert!(is_said(&told), "{told}");
        let there = usize::from(decision == "create");
        assert_eq!(story.instances().len(), there);
    }
    assert_eq!(ending(&succeed(&story.close())).2, "true");
    assert!(says_down(&story.status_comment()));
    assert_eq!(story.landed().len(), 6);
    for comment in [deployed, destroyed] {
        assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
    }
}

#[test]
fn a_dry_run_of_a_label_changes_nothing() {
    let story = Story::new();
    let job = story.label("labeled", "preview", REVIEWER);
    let outcome = succeed(&job.input("dry-run", "true"));
    assert_eq!(ending(&outcome), ("create", "label-added", "false"));
    assert!(
        outcome
            .stdout
            .contains(&format!("| write {}\n", Story::path("dev")))
    );
    story.assert_unsaid();
}

#[test]
fn a_label_takes_the_lifetime_of_the_input() {
    let story = Story::new();
    let job = story.label("labeled", "preview", REVIEWER);
    succeed(&job.input("ttl", "72h"));
    let told = story.status_comment();
    assert!(told.contains(", in 3 days |"), "{told}");
    assert!(
        story
            .instance("dev")
            .unwrap()
            .contains("flux-ephemeral-env/expires")
    );
}

#[test]
fn what_a_label_asks_for_is_up_to_the_labels_that_are_there_now() {
    let story = Story::new();
    let late = story.label("labeled", "preview", REVIEWER);
    let off = story.label("unlabeled", "preview", REVIEWER);
    // Put on and taken off, and the runs in either order; or run again days later.
    for (job, changed) in [(&late, "false"), (&off, "false"), (&late, "false")] {
        assert_eq!(ending(&succeed(job)), ("destroy", "label-removed", changed));
        assert!(says_down(&story.status_comment()));
        assert_eq!(story.landed(), []);
    }
    let on = story.label("labeled", "PREVIEW", REVIEWER);
    for (job, changed) in [(&off, "true"), (&on, "false"), (&late, "false")] {
        assert_eq!(ending(&succeed(job)), ("create", "label-added", changed));
        assert!(says_up(&story.status_comment()));
    }
    assert_eq!(story.instances(), [Story::path("dev")]);
    assert_eq!(story.landed().len(), 1);
}

/// The step that a label starts which is deleted from the repository by now.
fn deleted_label(story: &Story, action: &str, label: &str, sender: &str, null: bool) -> Job {
    let mut event = story
        .github
        .label_event(story.number, action, label, sender);
    match null {
        true => event["label"] = Value::Null,
        false => drop(event.as_object_mut().unwrap().remove("label").unwrap()),
    }
    let job = story.job().input("label", "preview");
    job.event("pull_request_target", &event)
}

#[test]
fn a_label_that_is_deleted_by_now_changes_what_is_wrong_and_says_nothing_else() {
    for null in [false, true] {
        let story = Story::new();
        story.github.set_permission("thea", "triage");
        let unlabeled = |label, sender| deleted_label(&story, "unlabeled", label, sender, null);
        let labeled = |label, sender| deleted_label(&story, "labeled", label, sender, null);

        // Another label, and nothing is there.
        for job in [unlabeled("bug", REVIEWER), labeled("bug", REVIEWER)] {
            assert_eq!(
                ending(&succeed(&job)),
                ("destroy", "label-removed", "false")
            );
            story.assert_unsaid();
        }
        assert_eq!(
            ending(&succeed(&unlabeled("bug", "thea"))),
            ("refuse", "not-permitted", "false")
        );
        story.assert_unsaid();

        // It is on.
        let job = labeled("preview", REVIEWER);
        assert_eq!(ending(&succeed(&job)), ("create", "label-added", "true"));
        let told = story.status_comment();
        assert!(says_up(&told), "{told}");
        assert_eq!(story.statuses(), ["success"]);

        // Another label again, and it stays up.
        for job in [unlabeled("bug", REVIEWER), labeled("bug", "thea")] {
            assert_eq!(ending(&succeed(&job)).2, "false");
            assert_eq!(story.status_comment(), told);
            assert_eq!(story.statuses(), ["success"]);
        }
        assert_eq!(story.instances(), [Story::path("dev")]);

        // It was the one, and is off by that.
        let job = unlabeled("preview", REVIEWER);
        assert_eq!(ending(&succeed(&job)), ("destroy", "label-removed", "true"));
        assert!(says_down(&story.status_comment()));
        assert_eq!(story.statuses(), ["success", "success"]);
        assert_eq!(story.landed().len(), 2);
        story.github.clear_requests();
        let job = job.input("label", "");
        assert_eq!(
            ending(&succeed(&job)),
            ("none", "action-not-handled", "false")
        );
        assert_eq!(story.requests().len(), 0);
    }
}

#[test]
fn labels_that_cannot_be_read_deploy_and_destroy_nothing() {
    for action in ["labeled", "unlabeled"] {
        let story = Story::new();
        succeed(&story.deploy());
        let job = story.label(action, "preview", REVIEWER);
        let event = story
            .github
            .pull_request_event(story.number, "edited", REVIEWER);
        for labels in [json!(null), json!([{ "id": 1 }]), json!({})] {
            let mut answer = event["pull_request"].clone();
            answer["labels"] = labels;
            story
                .github
                .fault(Fault::on("GET", "/repos/*/pulls/*").answer(200, answer));
            let (outcome, error) = fail(&job);
            assert_eq!(ending(&outcome), ("none", "github-failed", "false"));
            assert!(error.contains("`labels`"), "{error}");
        }
        assert_eq!(story.landed().len(), 1);
    }
}

#[test]
fn a_pull_request_that_is_reopened_with_the_label_is_deployed_again() {
    let story = Story::new();
    succeed(&story.label("labeled", "preview", REVIEWER));
    assert_eq!(ending(&succeed(&story.close())).2, "true");
    story.github.reopen_pull_request(story.number);
    let reopened = |login: &str| {
        let event = story
            .github
            .pull_request_event(story.number, "reopened", login);
        let job = story.job().input("label", "preview");
        job.event("pull_request_target", &event)
    };

    // Who may not deploy did not ask for it, so nothing is said, either.
    let told = story.status_comment();
    let outcome = succeed(&reopened("stranger"));
    assert_eq!(ending(&outcome).2, "false", "{}", outcome.stdout);
    assert_eq!(story.status_comment(), told);

    let outcome = succeed(&reopened(REVIEWER));
    assert_eq!(ending(&outcome), ("create", "label-added", "true"));
    assert!(says_up(&story.status_comment()));
}

#[test]
fn a_pull_request_that_is_reopened_without_the_label_is_left_alone() {
    let story = Story::new();
    let event = story
        .github
        .pull_request_event(story.number, "reopened", REVIEWER);
    for (label, reason) in [("preview", "another-label"), ("", "action-not-handled")] {
        let job = story.job().input("label", label);
        let outcome = succeed(&job.event("pull_request_target", &event));
        assert_eq!(ending(&outcome), ("none", reason, "false"));
    }
    story.assert_untouched();
}
