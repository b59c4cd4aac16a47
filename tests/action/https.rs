//! HTTPS, and what a Git server says over HTTP when it refuses.

use std::collections::BTreeSet;

use local_github::{Fault, Job, Kind, TlsPort};

use crate::story::{Story, ending, fail, says_up, succeed};

const REFS: &str = "/octo-org/demo/info/refs?*";
const PUSH: &str = "/octo-org/demo/git-receive-pack";

/// A job that reaches Git and the API by the port that speaks HTTPS.
pub(crate) fn over_tls(job: &Job, port: &TlsPort) -> Job {
    let authority = port.authority.to_str().unwrap();
    let mounted = format!("{authority}:{authority}:ro");
    job.clone()
        .docker_options(&["--volume", &mounted])
        .env("GITHUB_SERVER_URL", &port.url)
        .env("GITHUB_API_URL", &format!("{}/api/v3", port.url))
        .env("GITHUB_GRAPHQL_URL", &format!("{}/api/graphql", port.url))
        .env("SSL_CERT_FILE", authority)
}

#[test]
fn git_and_the_api_trust_the_authorities_of_ssl_cert_file() {
    let story = Story::new();
    let port = story.github.open_tls();

    let outcome = succeed(&over_tls(&story.deploy(), &port));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(says_up(&story.status_comment()));
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_server_that_is_not_trusted_gets_no_token_and_is_asked_once() {
    let story = Story::new();
    let port = story.github.open_tls();
    let job = story.deploy().env("GITHUB_SERVER_URL", &port.url);

    let (outcome, error) = fail(&job);

    assert_eq!(ending(&outcome), ("create", "git-failed", "false"));
    assert!(error.contains("invalid peer certificate"), "{error}");
    let url = format!("{}/octo-org/demo", port.url);
    assert!(error.contains(&url), "{error}");
    let requests = story.github.requests();
    assert!(requests.iter().all(|request| request.kind != Kind::Git));
    assert_eq!(story.statuses(), ["pending", "error"]);
}

#[test]
fn the_connection_that_fetched_also_pushes() {
    let story = Story::new();

    succeed(&story.deploy());
    let requests = story.github.requests();
    let git = requests
        .iter()
        .filter(|request| request.kind == Kind::Git)
        .map(|request| request.connection);

    assert_eq!(git.clone().count(), 6, "two fetches and a push");
    assert_eq!(git.collect::<BTreeSet<_>>().len(), 1);
}

/// What GitHub answers, and what gets the token past it.
#[test]
fn a_refusal_over_http_is_told_in_the_servers_words_with_the_remedy_that_works() {
    let permission = "permissions:\n  contents: write";
    let refusals = [
        (
            403,
            "Permission to octo-org/demo.git denied to github-actions[bot].",
            permission,
        ),
        (403, "Write access to repository not granted.", permission),
        (404, "Repository not found.", permission),
        (
            401,
            "Invalid username or token. Password authentication is not supported for Git operations.",
            "set the input `token` to a token that is valid",
        ),
        (
            403,
            "The repository owner has an IP allow list enabled, and 192.0.2.1 is not permitted to access this repository.",
            "run the job on a runner whose IP address is on the organization's IP allow list",
        ),
        (
            403,
            "The `octo-org' organization has enabled or enforced SAML SSO.\nTo access this repository, you must re-authorize the OAuth Application.",
            "authorize the token of the input `token` for the organization's single sign-on",
        ),
        (
            403,
            "This repository was archived so it is read-only.",
            "unarchive the repository",
        ),
    ];
    for (method, path) in [("GET", REFS), ("POST", PUSH)] {
        for (status, words, remedy) in refusals {
            let story = Story::new();
            let fault = Fault::on(method, path).always();
            let body = format!("{words}\n");
            story.github.fault(fault.answer_text(status, &body));

            let (outcome, error) = fail(&story.deploy());

            assert_eq!(ending(&outcome), ("create", "push-forbidden", "false"));
            let comment = story.status_comment();
            for line in words.lines() {
                assert!(error.contains(line), "{error}");
                assert!(comment.contains(line), "{comment}");
            }
            assert!(comment.contains(remedy), "{comment}");
            let advises_permission = comment.contains("contents: write");
            assert_eq!(advises_permission, remedy == permission, "{comment}");
            assert_eq!(story.statuses(), ["pending", "failure"]);
            assert_eq!(story.landed(), []);
        }
    }
}

#[test]
fn a_page_instead_of_gits_answer_is_told_by_its_title() {
    let story = Story::new();
    let page = "<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>…</body></html>";
    let fault = Fault::on("GET", REFS).always();
    story.github.fault(
        fault
            .answer_text(200, page)
            .header("content-type", "text/html"),
    );

    let (outcome, error) = fail(&story.deploy().input("push-timeout", "300ms"));

    assert_eq!(ending(&outcome), ("create", "push-timeout", "false"));
    let told = "the answer is not Git's, but \"text/html\": Sign in to the network";
    assert!(error.contains(told), "{error}");
}

#[test]
fn words_that_quote_the_token_are_told_without_it() {
    let story = Story::new();
    let token = story.github.token();
    let basic = local_github::basic(&token);
    let words = format!("{token} and {basic} may not");
    let fault = Fault::on("GET", REFS).always();
    story.github.fault(fault.answer_text(403, &words));

    let (_, error) = fail(&story.deploy());

    assert!(error.contains("*** and *** may not"), "{error}");
    assert!(story.status_comment().contains("*** and *** may not"));
}
