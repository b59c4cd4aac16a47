//! Who may, and what is refused: an answer with a remedy, exit 0, and nothing changed.

use forge::{Fault, Job};
use serde_json::json;

use crate::story::{AUTHOR, INSTANCES, REVIEWER, Story, ending, succeed};

/// Runs a step that must be refused for `reason`, and gives back what the pull request was told.
fn refused(story: &Story, job: &Job, reason: &str) -> String {
    let (tip, instances) = (story.repository.tip("main"), story.instances());
    let outcome = succeed(job);
    assert_eq!(
        ending(&outcome),
        ("refuse", reason, "false"),
        "{}",
        outcome.stdout
    );
    assert_eq!(story.repository.tip("main"), tip);
    assert_eq!(story.instances(), instances);
    assert_eq!(outcome.outputs["commit"], "");
    let comment = story.status_comment();
    assert!(comment.contains("### 😕 Refused\n"), "{comment}");
    assert!(comment.contains("**What to do:** "), "{comment}");
    comment
}

#[test]
fn write_maintain_and_admin_may_and_nobody_else() {
    for (permission, may) in [
        ("admin", true),
        ("maintain", true),
        ("write", true),
        ("triage", false),
        ("read", false),
        ("none", false),
    ] {
        let story = Story::new();
        story.forge.set_permission("somebody", permission);
        let (job, comment) = story.commented("somebody", "/deploy-ephemeral");
        if may {
            assert_eq!(
                ending(&succeed(&job)),
                ("create", "deploy-command", "true"),
                "{permission}"
            );
        } else {
            let told = refused(&story, &job, "not-permitted");
            assert!(
                told.contains(&format!("`somebody` has the permission `{permission}`")),
                "{told}"
            );
            assert_eq!(story.reactions(comment), ["eyes", "confused"]);
            assert_eq!(
                story.statuses(),
                [] as [String; 0],
                "a stranger marks nobody's commit"
            );
        }
    }
}

#[test]
fn the_allowed_permission_is_the_least() {
    let levels = ["read", "triage", "write", "maintain", "admin"];
    for (needs, allowed) in levels.iter().enumerate() {
        for has in [needs.checked_sub(1), Some(needs)].into_iter().flatten() {
            let story = Story::new();
            story.forge.set_permission("somebody", levels[has]);
            let (job, _) = story.commented("somebody", "/deploy-ephemeral");
            let job = job.input("allowed-permission", allowed);
            if has >= needs {
                assert_eq!(
                    ending(&succeed(&job)).0,
                    "create",
                    "{} for {allowed}",
                    levels[has]
                );
            } else {
                refused(&story, &job, "not-permitted");
            }
        }
    }
}

#[test]
fn anything_but_a_clear_yes_is_a_no() {
    let permission = || Fault::on("GET", "/repos/*/permission").always();
    for fault in [
        permission().answer(
            403,
            json!({ "message": "Resource not accessible by integration" }),
        ),
        permission().answer(404, json!({ "message": "Not Found" })),
        permission().answer_text(503, "busy"),
        permission().answer(200, json!({ "permission": "owner" })),
        permission().answer(200, json!({ "role_name": "admin" })),
        permission().answer_text(200, "<html>"),
    ] {
        let story = Story::new();
        story.forge.fault(fault);
        refused(&story, &story.deploy(), "permission-unknown");
        assert_eq!(story.statuses(), [] as [String; 0]);
    }
}

#[test]
fn a_stranger_cannot_destroy() {
    let story = Story::new();
    succeed(&story.deploy());
    let (job, _) = story.commented("somebody", "/destroy-ephemeral");

    let told = refused(&story, &job, "not-permitted");

    assert!(told.contains("What is known of the environment:"), "{told}");
    assert!(told.contains("### 🚀 Deployed\n"), "{told}");
    assert_eq!(story.statuses(), ["pending", "success"]);
}

#[test]
fn an_unknown_argument_is_told_the_usage() {
    let story = Story::new();
    for (body, usage) in [
        (
            "/deploy-ephemeral now",
            "write `/deploy-ephemeral [40-digit commit SHA]`.",
        ),
        (
            "/deploy-ephemeral 0123456",
            "write `/deploy-ephemeral [40-digit commit SHA]`.",
        ),
        ("/destroy-ephemeral all", "write `/destroy-ephemeral`."),
    ] {
        let (job, comment) = story.commented(REVIEWER, body);
        let told = refused(&story, &job, "unknown-argument");
        assert!(told.contains(usage), "{told}");
        assert_eq!(story.reactions(comment), ["eyes", "confused"]);
    }
    assert_eq!(story.statuses(), ["failure"; 3]);
}

#[test]
fn a_commit_that_is_not_the_head_is_refused() {
    let story = Story::new();
    let old = story.head();
    let new = story
        .repository
        .commit("dev", &[("app.txt", Some("newer\n"))], "More");
    let (job, _) = story.commented(REVIEWER, &format!("/deploy-ephemeral {old}"));

    let told = refused(&story, &job, "branch-has-moved");

    assert!(told.contains("The branch has moved"), "{told}");
    assert!(
        told.contains(&format!("`/deploy-ephemeral {new}`")),
        "{told}"
    );
}

#[test]
fn a_closed_pull_request_is_not_deployed() {
    let story = Story::new();
    story.forge.close_pull_request(story.number);
    refused(&story, &story.deploy(), "pull-request-is-closed");
}

#[test]
fn a_fork_is_not_deployed_unless_that_is_allowed() {
    let story = Story::of_fork("dev");
    let told = refused(&story, &story.deploy(), "fork-not-allowed");
    assert!(told.contains("`allow-forks: true`"), "{told}");
}

#[test]
fn a_deleted_head_repository_is_not_deployed() {
    let story = Story::of_fork("dev");
    story.forge.delete_head_repository(story.number);
    refused(
        &story,
        &story.deploy().input("allow-forks", "true"),
        "head-repository-deleted",
    );
}

#[test]
fn a_protected_namespace_is_refused() {
    for branch in ["default", "kube-system", "flux-system"] {
        let story = Story::of_branch(branch);
        let told = refused(&story, &story.deploy(), "namespace-protected");
        assert!(told.contains("`namespace-prefix`"), "{told}");
    }
}

#[test]
fn the_namespace_of_an_overlay_beside_ours_is_refused() {
    let story = Story::of_branch("app");
    let told = refused(&story, &story.deploy(), "namespace-claimed");
    assert!(
        told.contains("`k8s/app/overlays/main/kustomization.yaml`"),
        "{told}"
    );
}

#[test]
fn an_overlay_that_is_no_yaml_claims_nothing() {
    let story = Story::of_branch("app");
    let overlay = "k8s/app/overlays/main/kustomization.yaml";
    story.repository.commit(
        "main",
        &[(overlay, Some("namespace: [app\n\tnamespace: app"))],
        "Break it",
    );

    assert_eq!(ending(&succeed(&story.deploy())).0, "create");
}

#[test]
fn another_pull_requests_instance_is_not_overwritten() {
    let mut story = Story::new();
    succeed(&story.deploy());
    let first = story.number;
    // Nobody told the action that the first one was closed.
    story.forge.close_pull_request(first);
    story.number = story
        .forge
        .open_pull_request(&story.repository, "dev", AUTHOR);
    assert_ne!(story.number, first);

    let told = refused(&story, &story.deploy(), "owned-by-another-pull-request");

    assert!(
        told.contains(&format!(
            "belongs to pull request {first} of `octo-org/demo`"
        )),
        "{told}"
    );
}

#[test]
fn a_file_that_is_none_of_ours_is_not_overwritten() {
    for content in ["kind: ConfigMap\n", "", "\t", "---\n- 1\n"] {
        let story = Story::new();
        story
            .repository
            .commit("main", &[(&Story::path("dev"), Some(content))], "By hand");
        let told = refused(&story, &story.deploy(), "file-not-ours");
        assert!(told.contains(&Story::path("dev")), "{told}");
    }
}

#[test]
fn another_repositorys_instance_is_not_overwritten() {
    let story = Story::new();
    succeed(&story.deploy());
    let theirs = story
        .instance("dev")
        .unwrap()
        .replace("octo-org/demo", "octo-org/other");
    story.repository.commit(
        "main",
        &[(&Story::path("dev"), Some(&theirs))],
        "Another repository's",
    );

    refused(&story, &story.deploy(), "owned-by-another-pull-request");
}

#[test]
fn a_namespace_that_another_instance_has_is_refused() {
    let mut story = Story::of_branch("b");
    succeed(&story.deploy().input("namespace-prefix", "a-"));
    story.number = story.another("a-b");

    refused(&story, &story.deploy(), "namespace-taken");
}

#[test]
fn a_file_where_the_instances_directory_should_be_is_left_alone() {
    let story = Story::new();
    let keep = format!("{INSTANCES}/.gitkeep");
    story.repository.commit(
        "main",
        &[(&keep, None), (INSTANCES, Some("a file\n"))],
        "A file instead",
    );

    refused(&story, &story.deploy(), "file-not-ours");
}
