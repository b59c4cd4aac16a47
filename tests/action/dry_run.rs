//! A dry run decides, renders and logs, and changes nothing anywhere.

use crate::story::{REVIEWER, Story, ending, fail, succeed};

#[test]
fn a_deploy_is_shown_and_not_done() {
    let story = Story::new();
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");

    let job = job.input("environment-url", "https://{name}.example.com");
    let outcome = succeed(&job.input("dry-run", "true"));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "false"));
    assert_eq!(outcome.outputs["manifest"], Story::path("dev"));
    assert_eq!(
        outcome.outputs["environment-url"],
        "https://dev.example.com"
    );
    assert!(
        outcome
            .stdout
            .contains("| [ci skip] create ephemeral env from dev\n"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome
            .stdout
            .contains(&format!("| write {}\n| ---\n", Story::path("dev"))),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stdout.contains("|     name: ephemeral-dev\n"),
        "{}",
        outcome.stdout
    );
    story.assert_unsaid();
    assert_eq!(story.reactions(comment), [] as [String; 0]);
    let requests = [
        ("GET /collaborators/rita/permission", 1),
        ("GET /info/refs", 1),
        ("GET /pulls/*", 1),
        ("POST /git-upload-pack", 2),
    ];
    assert_eq!(
        story.requests(),
        requests
            .map(|(name, times)| (name.to_owned(), times))
            .into()
    );
}

#[test]
fn a_destroy_is_shown_and_not_done() {
    let story = Story::new();
    succeed(&story.deploy());
    let (tip, told) = (story.repository.tip("main"), story.status_comment());

    let outcome = succeed(&story.close().input("dry-run", "true"));

    assert_eq!(
        ending(&outcome),
        ("destroy", "pull-request-closed", "false")
    );
    assert_eq!(outcome.outputs["namespace"], "dev");
    assert!(
        outcome
            .stdout
            .contains(&format!("| remove {}\n", Story::path("dev"))),
        "{}",
        outcome.stdout
    );
    assert_eq!(story.repository.tip("main"), tip);
    assert_eq!(story.status_comment(), told);
}

#[test]
fn a_refusal_is_shown_and_not_told() {
    let story = Story::new();
    let (job, _) = story.commented("somebody", "/deploy-ephemeral");

    let outcome = succeed(&job.input("dry-run", "true"));

    assert_eq!(ending(&outcome), ("refuse", "not-permitted", "false"));
    assert!(
        outcome
            .summary
            .contains("`somebody` has the permission `read`"),
        "{}",
        outcome.summary
    );
    story.assert_unsaid();
}

#[test]
fn a_failure_is_a_failure() {
    let story = Story::new();
    let (outcome, error) = fail(
        &story
            .deploy()
            .input("dry-run", "true")
            .input("branch", "nowhere"),
    );

    assert_eq!(ending(&outcome), ("create", "branch-missing", "false"));
    assert!(error.contains("has no branch `nowhere`"), "{error}");
    story.assert_unsaid();
}
