//! Who may, and what is refused: an answer with a remedy, exit 0, and nothing changed.

use local_github::{Fault, Job};
use serde_json::json;

use crate::story::{AUTHOR, INSTANCES, REVIEWER, Story, ending, succeed};

/// Runs a step that must be refused for `reason`, and gives back what the pull request was told.
pub(crate) fn refused(story: &Story, job: &Job, reason: &str) -> String {
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
    assert!(
        comment.contains(&format!("### 🚫 Refused: {}\n", reason.replace('-', " "))),
        "{comment}"
    );
    assert!(comment.contains("**What to do:** "), "{comment}");
    let help = format!("/octo-org/demo/blob/HEAD/docs/troubleshooting.md#{reason}>)");
    assert!(comment.contains(&help), "{comment}");
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
        story.github.set_permission("somebody", permission);
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
            story.github.set_permission("somebody", levels[has]);
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
    let story = Story::waiting();
    succeed(&story.deploy());
    let statuses = story.statuses();
    for fault in [
        permission().answer(
            403,
            json!({ "message": "Resource not accessible by integration" }),
        ),
        permission().answer(404, json!({ "message": "Not Found" })),
        permission().answer(301, json!({ "message": "Moved Permanently" })),
        permission().answer(500, json!({ "permission": "admin" })),
        permission().answer(200, json!({ "permission": "owner" })),
        permission().answer(200, json!({ "permission": "Admin" })),
        permission().answer(200, json!({ "permission": "" })),
        permission().answer(200, json!({ "permission": null })),
        permission().answer(200, json!({ "permission": ["admin"] })),
        permission().answer(200, json!({ "permission": true })),
        permission().answer(200, json!({ "role_name": "admin" })),
        permission().answer(200, json!([{ "permission": "admin" }])),
        permission().answer(200, json!("admin")),
        permission().answer_text(200, "<html>"),
        permission().answer_text(200, "{\"permission\": \"admin\""),
        permission().answer_text(200, ""),
    ] {
        story.github.clear_faults();
        story.github.fault(fault);
        for command in ["/deploy-ephemeral", "/destroy-ephemeral"] {
            let (job, comment) = story.commented(REVIEWER, command);
            let told = refused(&story, &job, "permission-unknown");
            assert!(told.contains("counts as no"), "{told}");
            assert!(told.contains("set the input `token`"), "{told}");
            assert_eq!(story.reactions(comment), ["eyes", "confused"]);
        }
    }
    assert_eq!(story.statuses(), statuses);
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_server_that_never_says_who_may_is_asked_a_few_times() {
    let story = Story::waiting();
    let path = "/repos/*/permission";
    let hung_up = Fault::on("GET", path).always().drop_connection();
    story.github.fault(hung_up);

    refused(&story, &story.deploy(), "permission-unknown");

    let asked = story.requests()["GET /collaborators/rita/permission"];
    assert!((2..=5).contains(&asked), "asked {asked} times");
    assert_eq!(story.statuses(), [] as [String; 0]);
}

#[test]
fn what_a_role_is_called_gives_no_more_than_the_permission() {
    for (permission, role, may) in [
        ("read", "admin", false),
        ("read", "triage", false),
        ("read", "security-reviewer", false),
        ("none", "maintain", false),
        ("write", "security-reviewer", true),
        ("admin", "read", true),
    ] {
        let story = Story::new();
        let answer = json!({ "permission": permission, "role_name": role });
        story
            .github
            .fault(Fault::on("GET", "/repos/*/permission").answer(200, answer));
        if may {
            assert_eq!(ending(&succeed(&story.deploy())).0, "create", "{role}");
        } else {
            refused(&story, &story.deploy(), "not-permitted");
        }
    }
}

#[test]
fn a_bot_is_known_by_its_kind_and_not_by_its_login() {
    let story = Story::new();
    story.github.set_permission("deployer", "admin");
    let comment = story
        .github
        .comment(story.number, "deployer", "/deploy-ephemeral");
    let mut event = story.github.issue_comment_event(comment, "created");
    event["comment"]["user"]["type"] = "Bot".into();

    let outcome = succeed(&story.job().event("issue_comment", &event));

    assert_eq!(ending(&outcome), ("none", "bot-comment", "false"));
    story.assert_untouched();
}

#[test]
fn who_comments_through_an_app_counts_as_the_person_they_are() {
    let story = Story::new();
    story.github.set_permission("owner", "admin");
    for (login, decision) in [("somebody", "refuse"), (REVIEWER, "create")] {
        let comment = story
            .github
            .comment(story.number, login, "/deploy-ephemeral");
        let mut event = story.github.issue_comment_event(comment, "created");
        // What an app, or the payload, says besides gives nobody anything.
        event["comment"]["performed_via_github_app"] = json!({
            "slug": "app",
            "owner": { "login": "owner" },
            "permissions": { "contents": "write" },
        });
        event["comment"]["author_association"] = "OWNER".into();
        event["sender"]["login"] = "owner".into();
        event["sender"]["site_admin"] = true.into();

        let outcome = succeed(&story.job().event("issue_comment", &event));

        assert_eq!(ending(&outcome).0, decision, "{login}");
    }
    assert!(
        !story
            .requests()
            .contains_key("GET /collaborators/owner/permission")
    );
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_deleted_account_may_nothing() {
    let story = Story::new();
    let (_, comment) = story.commented(REVIEWER, "/deploy-ephemeral");
    story.github.remove_user(REVIEWER);
    let event = story.github.issue_comment_event(comment, "created");
    assert!(event["comment"]["user"].is_null());
    let command = story.job().event("issue_comment", &event);
    let mut event = story
        .github
        .label_event(story.number, "labeled", "preview", REVIEWER);
    event["sender"] = serde_json::Value::Null;
    let label = story.job().input("label", "preview");
    let label = label.event("pull_request_target", &event);

    for job in [command, label] {
        let told = refused(&story, &job, "not-permitted");

        assert!(told.contains("`ghost` has the permission `read`"), "{told}");
    }
}

#[test]
fn a_stranger_cannot_destroy() {
    let story = Story::new();
    succeed(&story.deploy());
    let (job, _) = story.commented("somebody", "/destroy-ephemeral");

    let told = refused(&story, &job, "not-permitted");

    let (known, refusal) = told.split_once("\n---\n").unwrap();
    assert!(known.contains("### 🟡 Flux is bringing "), "{told}");
    assert!(refusal.starts_with("\n### 🚫 Refused: "), "{told}");
    assert_eq!(story.statuses(), ["pending", "success"]);
}

#[test]
fn an_unknown_argument_is_told_the_usage() {
    let story = Story::new();
    for (body, usage) in [
        (
            "/deploy-ephemeral now",
            "use this form, in which the parts in brackets are optional: `/deploy-ephemeral [40-digit commit SHA] [ttl=72h or ttl=never]`.",
        ),
        (
            "/deploy-ephemeral 0123456",
            "use this form, in which the parts in brackets are optional: `/deploy-ephemeral [40-digit commit SHA] [ttl=72h or ttl=never]`.",
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
    story.github.close_pull_request(story.number);
    refused(&story, &story.deploy(), "pull-request-is-closed");
}

#[test]
fn a_fork_is_not_deployed_unless_that_is_allowed() {
    let story = Story::of_fork("dev");
    let told = refused(&story, &story.deploy(), "fork-not-allowed");
    assert!(
        told.contains("set the input `allow-forks` to `true`"),
        "{told}"
    );
}

#[test]
fn a_fork_that_was_pushed_to_after_the_comment_is_not_deployed() {
    let (story, fork) = Story::with_fork("dev");
    let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral");
    let job = job.input("allow-forks", "true");
    fork.commit("dev", &[("app.txt", Some("swapped\n"))], "Swap");

    let told = refused(&story, &job, "fork-pushed-since");

    let head = story.head();
    assert!(
        told.contains(&format!("comment `/deploy-ephemeral {head}`")),
        "{told}"
    );
    // Whoever names the commit has seen it, and so has whoever comments now.
    for command in [
        format!("/deploy-ephemeral {head}"),
        "/deploy-ephemeral".to_owned(),
    ] {
        let (job, _) = story.commented(REVIEWER, &command);
        let outcome = succeed(&job.input("allow-forks", "true"));
        assert_eq!(ending(&outcome).0, "create", "{command}");
    }
    let instance = story
        .repository
        .read("main", &story.instances()[0])
        .unwrap();
    assert!(instance.contains(&format!("commit: {head}")), "{instance}");
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_fork_that_looks_like_ours_is_still_a_fork() {
    let story = Story::of_fork("dev");
    let event = story
        .github
        .pull_request_event(story.number, "opened", AUTHOR);
    let mut pull_request = event["pull_request"].clone();
    let theirs = pull_request["head"]["repo"]["id"].clone();
    pull_request["head"]["repo"] = pull_request["base"]["repo"].clone();
    pull_request["head"]["repo"]["id"] = theirs;
    pull_request["head"]["label"] = "octo-org:dev".into();
    pull_request["head"]["user"] = pull_request["base"]["user"].clone();
    story.github.fault(
        Fault::on("GET", "/repos/*/pulls/*")
            .always()
            .answer(200, pull_request),
    );

    refused(&story, &story.deploy(), "fork-not-allowed");

    assert_eq!(story.landed(), []);
}

#[test]
fn a_deleted_head_repository_is_not_deployed() {
    let story = Story::of_fork("dev");
    story.github.delete_head_repository(story.number);
    for allowed in ["false", "true"] {
        let job = story.deploy().input("allow-forks", allowed);
        let told = refused(&story, &job, "head-repository-deleted");
        assert!(
            told.contains("push the branch to this repository"),
            "{told}"
        );
    }
    // There is nothing to clean up, and nobody is told so.
    let outcome = succeed(&story.close());
    assert_eq!(
        ending(&outcome),
        ("destroy", "pull-request-closed", "false")
    );
    assert_eq!(story.landed(), []);
}

#[test]
fn a_protected_namespace_is_refused() {
    for (branch, prefix, patterns) in [
        ("default", "", None),
        ("kube-system", "", None),
        ("flux-system", "", None),
        ("dev", "kube-", None),
        ("dev", "flux-", None),
        ("dev", "", Some("d?v")),
        ("dev", "team-", Some("prod, team-*")),
    ] {
        let story = Story::of_branch(branch);
        let mut job = story.deploy().input("namespace-prefix", prefix);
        if let Some(patterns) = patterns {
            job = job.input("protected-namespaces", patterns);
        }
        let told = refused(&story, &job, "namespace-protected");
        assert!(
            told.contains(&format!("`{prefix}{branch}` is protected")),
            "{told}"
        );
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
fn an_overlay_that_kustomize_reads_claims_its_namespace_however_it_is_written() {
    let story = Story::of_branch("app");
    let overlay = "k8s/app/overlays/main/kustomization.yaml";
    for text in [
        "namespace: app\nresources: [../../base]\n---\n",
        "namespace: app\n---\nkind: Component\n",
        "namespace: app\nresources: [a]\nresources: [b]\n",
        "Namespace: app\n",
        "namespace: |\n  app\n",
    ] {
        story
            .repository
            .commit("main", &[(overlay, Some(text))], "Write it otherwise");
        let told = refused(&story, &story.deploy(), "namespace-claimed");
        assert!(told.contains(overlay), "{text}: {told}");
    }
    assert!(story.instances().is_empty());
}

#[test]
fn the_namespace_of_flux_is_never_an_environments() {
    let story = Story::of_branch("gitops");
    let job = story
        .deploy()
        .input("flux-namespace", "gitops")
        .input("protected-namespaces", "kube-*");

    let told = refused(&story, &job, "namespace-protected");

    assert!(told.contains("`gitops`"), "{told}");
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
    story.github.close_pull_request(first);
    story.number = story
        .github
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
        .replace("octo-org/demo", "octo-org/other")
        .replace("repository-id: \"1", "repository-id: \"2");
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

#[test]
fn a_link_or_submodule_on_the_way_to_the_instance_is_left_alone() {
    let story = Story::new();
    let clean = story.repository.tip("main").unwrap();
    let instance = Story::path("dev");
    for path in ["k8s", "k8s/app/overlays", INSTANCES, &instance] {
        for (mode, object) in [("120000", "main:README.md"), ("160000", "dev")] {
            story.plant(mode, object, path);

            let told = refused(&story, &story.deploy(), "file-not-ours");
            assert!(
                told.contains(&format!("There is already something at `{path}` on `main`")),
                "{told}"
            );
            let planted = story.repository.tip("main");
            let outcome = succeed(&story.destroy());
            assert_eq!(ending(&outcome), ("destroy", "destroy-command", "false"));
            assert_eq!(story.repository.tip("main"), planted);

            story.repository.force_branch("main", &clean);
        }
    }
}

#[test]
fn a_head_that_the_action_itself_would_move_is_refused() {
    let story = Story::new();
    let job = story.deploy().input("branch", "dev");

    let told = refused(&story, &job, "branch-is-watched");

    for words in [
        "`dev`, the branch that the action commits to",
        "set the input `branch`",
    ] {
        assert!(told.contains(words), "no {words} in {told}");
    }
    assert_eq!(
        story.repository.log("dev").len(),
        story.repository.log("main").len() + 1
    );
    // A branch of a fork that is called the same is another one.
    let (story, _) = Story::with_fork("main");
    let job = story.deploy().input("allow-forks", "true");
    assert_eq!(ending(&succeed(&job)).0, "create");
}
