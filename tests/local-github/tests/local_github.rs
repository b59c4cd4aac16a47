//! The local GitHub, asked over HTTP and by the real `git` as its clients ask it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test, a panic is the answer"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use local_github::{
    Delivery, Fault, Job, Kind, LocalGitHub, Repository, Sent, git, take_permit,
    temporary_directory, try_git,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use ureq::http::Request;

const COMMENTS: &str = "/repos/octo-org/demo/issues/1/comments";

/// A client of the API with one token.
struct Client {
    api: String,
    token: String,
    agent: ureq::Agent,
}

struct Response {
    status: u16,
    headers: BTreeMap<String, String>,
    json: Value,
}

impl Client {
    fn new(github: &LocalGitHub, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(5)));
        Self {
            api: github.api_url(),
            token: token.to_owned(),
            agent: config.user_agent("test").build().into(),
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, ureq::Error> {
        self.send_with(method, path, &[], body)
    }

    fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response, ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.api))
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let mut response = self.agent.run(request.body(body).unwrap())?;
        let text = response.body_mut().read_to_string()?;
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        Ok(Response {
            status: response.status().as_u16(),
            headers: response.headers().iter().map(header).collect(),
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
        })
    }

    fn get(&self, path: &str) -> Response {
        self.send("GET", path, None).unwrap()
    }

    fn post(&self, path: &str, body: Value) -> Response {
        self.send("POST", path, Some(&body)).unwrap()
    }
}

fn start() -> LocalGitHub {
    take_permit();
    LocalGitHub::start()
}

/// A local GitHub with pull request 1 from the branch `feature` of its repository.
fn with_pull_request() -> (LocalGitHub, Repository, Client) {
    let github = start();
    let repository = github.repository();
    repository.commit("feature", &[("new.txt", Some("new\n"))], "add a file");
    assert_eq!(github.open_pull_request(&repository, "feature", "alice"), 1);
    let client = Client::new(&github, &github.token());
    (github, repository, client)
}

fn url_with(repository: &Repository, token: &str) -> String {
    repository
        .clone_url()
        .replace("http://", &format!("http://x-access-token:{token}@"))
}

/// A clone with credentials in its URL, for a test that pushes.
fn clone(github: &LocalGitHub, repository: &Repository) -> (TempDir, PathBuf) {
    let directory = temporary_directory();
    let path = directory.path().join("clone");
    repository.checkout(&path, &[]);
    git(
        &path,
        &[
            "remote",
            "set-url",
            "--push",
            "origin",
            &url_with(repository, &github.token()),
        ],
    );
    (directory, path)
}

fn commit_in(clone: &Path, path: &str, content: &[u8]) {
    fs::write(clone.join(path), content).unwrap();
    git(clone, &["add", "--all"]);
    git(clone, &["commit", "--quiet", "--message", "change"]);
}

/// Waits until that is so.
fn eventually(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "not so");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn script(text: &str) -> (TempDir, PathBuf) {
    let directory = temporary_directory();
    let path = directory.path().join("program");
    local_github::script(&path, text);
    (directory, path)
}

#[test]
fn lists_are_paged_with_links() {
    let (github, _, client) = with_pull_request();
    for number in 0..65 {
        github.comment(1, "alice", &format!("comment {number}"));
    }
    let first = client.get(COMMENTS);
    assert_eq!(first.json.as_array().unwrap().len(), 30);
    assert_eq!(first.json[0]["body"], "comment 0");
    let page = |page| format!("<{}{COMMENTS}?page={page}>", github.api_url());
    assert_eq!(
        first.headers["link"],
        format!("{}; rel=\"next\", {}; rel=\"last\"", page(2), page(3))
    );

    let last = client.get(&format!("{COMMENTS}?page=3"));
    assert_eq!(last.json.as_array().unwrap().len(), 5);
    assert_eq!(
        last.headers["link"],
        format!("{}; rel=\"prev\", {}; rel=\"first\"", page(2), page(1))
    );

    let all = client.get(&format!("{COMMENTS}?per_page=1000"));
    assert_eq!(all.json.as_array().unwrap().len(), 65);
    assert!(!all.headers.contains_key("link"));
}

#[test]
fn pull_requests_are_listed_by_state_newest_first() {
    let (github, repository, client) = with_pull_request();
    for branch in ["b", "c"] {
        repository.create_branch(branch, "feature");
        github.open_pull_request(&repository, branch, "alice");
    }
    github.close_pull_request(2);
    let numbers = |query: &str| {
        let list = client
            .get(&format!("/repos/octo-org/demo/pulls?{query}"))
            .json;
        list.as_array()
            .unwrap()
            .iter()
            .map(|pull| pull["number"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(""), [3, 1]);
    assert_eq!(numbers("state=closed"), [2]);
    assert_eq!(numbers("state=all&sort=created&direction=asc"), [1, 2, 3]);
    assert_eq!(numbers("state=all&head=octo-org:c"), [3]);
}

#[test]
fn a_stranger_learns_nothing() {
    let (github, _, client) = with_pull_request();
    let stranger = Client::new(&github, "wrong");
    let refused = stranger.get(COMMENTS);
    assert_eq!(
        (refused.status, &refused.json["message"]),
        (401, &json!("Bad credentials"))
    );

    assert_eq!(client.get("/user").status, 403);
    github.add_personal_token("personal", "alice");
    assert_eq!(
        Client::new(&github, "personal").get("/user").json["login"],
        "alice"
    );
    github.add_personal_token("app", "some-app[bot]");
    assert_eq!(Client::new(&github, "app").get("/user").status, 403);

    let nameless = client
        .agent
        .get(github.api_url() + COMMENTS)
        .header("user-agent", "")
        .call()
        .unwrap();
    assert_eq!(nameless.status(), 403);
    assert_eq!(
        client.get("/repos/octo-org/other").json["message"],
        "Not Found"
    );

    let logins: Vec<_> = github
        .requests()
        .into_iter()
        .map(|request| request.login)
        .collect();
    assert_eq!(
        logins[..3],
        [
            None,
            Some("github-actions[bot]".to_owned()),
            Some("alice".to_owned())
        ]
    );
    assert!(!format!("{:?}", github.requests()).contains(&github.token()));
}

impl Client {
    fn graphql(&self, query: &str, variables: Value) -> Value {
        let url = self.api.replace("/api/v3", "/api/graphql");
        let request = self
            .agent
            .post(url)
            .header("authorization", format!("bearer {}", self.token));
        let body = json!({"query": query, "variables": variables});
        let mut response = request.send(body.to_string()).unwrap();
        serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap()
    }
}

#[test]
fn graphql_says_who_the_token_is() {
    let (github, _, client) = with_pull_request();
    let viewer = client.graphql("query {\n  viewer { login }\n}", Value::Null);
    assert_eq!(
        viewer,
        json!({"data": {"viewer": {"login": "github-actions[bot]"}}})
    );
    assert_eq!(github.requests()[0].kind, Kind::GraphQl);
}

#[test]
fn graphql_says_how_many_pull_requests_are() {
    let (github, repository, client) = with_pull_request();
    let fork = github.fork("bob");
    let theirs = fork.commit("theirs", &[("b", Some("b"))], "theirs");
    github.open_pull_request(&fork, "theirs", "bob");
    for branch in ["closed", "merged"] {
        repository.commit(branch, &[(branch, Some(""))], branch);
        github.open_pull_request(&repository, branch, "alice");
    }
    github.close_pull_request(3);
    github.merge_pull_request(4);
    github.open_issue("alice", "no pull request");

    let fields = "{ number state headRefName headRefOid headRepository { id } }";
    let aliased: Vec<_> = (1..=5)
        .map(|number| format!("p{number}: pullRequest(number: {number}) {fields}"))
        .collect();
    let query = format!(
        "query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{ {} }} }}",
        aliased.join(" ")
    );
    let demo = json!({"owner": "octo-org", "name": "demo"});
    let pull = |number: u64, state: &str, branch: &str, sha: &str, head: Value| json!({"number": number, "state": state, "headRefName": branch, "headRefOid": sha, "headRepository": head});
    let of = |repository: &Repository| json!({"id": format!("R_{}", repository.id())});
    let tip = |branch: &str| repository.tip(branch).unwrap();
    let expected = |theirs_head: Value| {
        let message = "Could not resolve to a PullRequest with the number of 5.";
        json!({
            "data": {"repository": {
                "p1": pull(1, "OPEN", "feature", &tip("feature"), of(&repository)),
                "p2": pull(2, "OPEN", "theirs", &theirs, theirs_head),
                "p3": pull(3, "CLOSED", "closed", &tip("closed"), of(&repository)),
                "p4": pull(4, "MERGED", "merged", &tip("merged"), of(&repository)),
                "p5": null,
            }},
            "errors": [{"type": "NOT_FOUND", "path": ["repository", "p5"], "message": message}],
        })
    };
    let ask = || client.graphql(&query, demo.clone());
    // A private fork is none of the workflow's, so that it looks as if it were deleted.
    assert_eq!(ask(), expected(Value::Null));
    fork.make_public();
    assert_eq!(ask(), expected(of(&fork)));
    fork.delete();
    assert_eq!(ask(), expected(Value::Null));

    let other = client.graphql(&query, json!({"owner": "octo-org", "name": "other"}));
    let message = "Could not resolve to a Repository with the name 'octo-org/other'.";
    assert_eq!(
        other,
        json!({
            "data": {"repository": null},
            "errors": [{"type": "NOT_FOUND", "path": ["repository"], "message": message}],
        })
    );
    github.set_permission("mallory", "none");
    github.add_personal_token("mallorys", "mallory");
    let unseen = Client::new(&github, "mallorys").graphql(&query, demo.clone());
    assert_eq!(unseen["data"], json!({"repository": null}));
    assert_eq!(unseen["errors"][0]["type"], "NOT_FOUND");

    github.restrict_token(&["contents:write"]);
    let refused = ask();
    assert_eq!(refused["data"]["repository"]["p1"], Value::Null);
    assert_eq!(
        refused["errors"][0],
        json!({
            "type": "FORBIDDEN",
            "path": ["repository", "p1"],
            "message": "Resource not accessible by integration",
        })
    );
}

#[test]
fn a_query_that_graphql_does_not_know_is_an_error_and_no_answer() {
    let (_github, _, client) = with_pull_request();
    let of_pull = |selection: &str| {
        format!(
            "{{ repository(owner: \"octo-org\", name: \"demo\") {{ pullRequest(number: 1) {selection} }} }}"
        )
    };
    let cases = [
        (
            "{ repository { id } }",
            "Field 'repository' is missing required arguments: owner, name",
        ),
        (
            "{ viewer { name } }",
            "Field 'name' doesn't exist on type 'User'",
        ),
        (
            "{ viewer(id: 1) { login } }",
            "Field 'viewer' doesn't accept argument 'id'",
        ),
        (
            &of_pull("{ state title }"),
            "Field 'title' doesn't exist on type 'PullRequest'",
        ),
        (
            &of_pull("{ headRepository { state } }"),
            "Field 'state' doesn't exist on type 'Repository'",
        ),
        (
            &of_pull("{ headRepository }"),
            "Field must have selections (field 'headRepository' returns Repository but has no selections. Did you mean \
             'headRepository { ... }'?)",
        ),
        (
            &of_pull("{ state { name } }"),
            "Selections can't be made on scalars (field 'state' returns PullRequestState but has selections)",
        ),
        (
            &of_pull("{ state }").replace('1', "\"1\""),
            "Argument 'number' on Field 'pullRequest' has an invalid value (\"1\"). Expected type 'Int!'.",
        ),
        (
            &of_pull("{ state }").replace('1', "2147483648"),
            "Argument 'number' on Field 'pullRequest' has an invalid value (2147483648). Expected type 'Int!'.",
        ),
        (
            &of_pull("{ state } pullRequest(number: 2) { state }"),
            "Field 'pullRequest' has a field conflict",
        ),
        (&of_pull("{ }"), "Parse error on \"}\""),
        (&of_pull("{ state"), "Unexpected end of document"),
        (&of_pull("{ ...fields }"), "Parse error on \".\""),
        (
            "{ repository(owner: $owner, name: \"demo\") { id } }",
            "Variable $owner is used by anonymous query but not declared",
        ),
        (
            "query($owner: String!) { viewer { login } }",
            "Variable $owner is declared by anonymous query but not used",
        ),
        (
            "query($owner: String!) { repository(owner: $owner, name: \"demo\") { id } }",
            "Argument 'owner' on Field 'repository' has an invalid value (null). Expected type 'String!'.",
        ),
    ];
    for (query, message) in cases {
        assert_eq!(
            client.graphql(query, json!({})),
            json!({"errors": [{"message": message}]}),
            "{query}"
        );
    }
}

#[test]
fn comments_are_created_edited_and_deleted_by_those_who_may() {
    let (github, _, client) = with_pull_request();
    let created = client.post(COMMENTS, json!({"body": "deployed"}));
    assert_eq!(
        (created.status, &created.json["user"]["type"]),
        (201, &json!("Bot"))
    );
    let path = format!(
        "/repos/octo-org/demo/issues/comments/{}",
        created.json["id"]
    );
    assert_eq!(
        client
            .send("PATCH", &path, Some(&json!({"body": "gone"})))
            .unwrap()
            .status,
        200
    );
    assert_eq!(github.comments(1)[0].body, "gone");

    github.add_personal_token("personal", "mallory");
    let mallory = Client::new(&github, "personal");
    assert_eq!(
        mallory
            .send("PATCH", &path, Some(&json!({"body": "mine"})))
            .unwrap()
            .status,
        403
    );
    assert_eq!(mallory.send("DELETE", &path, None).unwrap().status, 403);
    assert_eq!(client.send("DELETE", &path, None).unwrap().status, 204);
    assert!(github.comments(1).is_empty());
}

#[test]
fn what_github_refuses_is_refused_in_its_words() {
    let (github, repository, client) = with_pull_request();
    assert_eq!(client.post(COMMENTS, json!({})).status, 422);
    assert_eq!(
        client.post(COMMENTS, json!({"body": " "})).json["errors"][0]["code"],
        "missing_field"
    );
    assert_eq!(
        client
            .post(COMMENTS, json!({"body": "é".repeat(65_536)}))
            .status,
        201
    );
    let long = client.post(COMMENTS, json!({"body": "é".repeat(65_537)}));
    assert_eq!(
        long.json["errors"][0]["message"],
        "body is too long (maximum is 65536 characters)"
    );
    assert_eq!(github.comments(1).len(), 1);

    let sha = repository.tip("feature").unwrap();
    let status =
        |sha: &str, body: Value| client.post(&format!("/repos/octo-org/demo/statuses/{sha}"), body);
    assert_eq!(status(&sha, json!({"state": "great"})).status, 422);
    assert_eq!(
        status(
            &sha,
            json!({"state": "success", "description": "x".repeat(141)})
        )
        .status,
        422
    );
    let missing = "0123456789".repeat(4);
    let unknown = status(&missing, json!({"state": "success"}));
    assert_eq!(
        unknown.json["message"],
        format!("No commit found for SHA: {missing}")
    );
    for state in ["pending", "success"] {
        assert_eq!(
            status(&sha, json!({"state": state, "context": "c"})).status,
            201
        );
    }
    assert_eq!(
        github
            .statuses(&sha)
            .iter()
            .map(|status| status.state.as_str())
            .collect::<Vec<_>>(),
        ["pending", "success"]
    );
    assert_eq!(
        client
            .get(&format!("/repos/octo-org/demo/commits/{sha}/statuses"))
            .json[0]["state"],
        "success"
    );
}

#[test]
fn the_combined_status_is_of_the_newest_of_each_context() {
    let (github, repository, client) = with_pull_request();
    let sha = repository.tip("feature").unwrap();
    let combined = |reference: &str, query: &str| {
        client.get(&format!(
            "/repos/octo-org/demo/commits/{reference}/status{query}"
        ))
    };
    let set = |context: &str, state: &str| {
        github.set_status(&sha, context, state, "what it says", "flux-report[bot]");
    };
    let state = || combined(&sha, "").json["state"].clone();
    assert_eq!(state(), "pending");
    set("flux/ephemeral-dev", "failure");
    set("tests", "success");
    assert_eq!(state(), "failure");
    set("flux/ephemeral-dev", "pending");
    assert_eq!(state(), "pending");
    set("flux/ephemeral-dev", "success");
    assert_eq!(state(), "success");
    set("lint", "error");
    assert_eq!(state(), "failure");

    let answer = combined("feature", "");
    let newest: Vec<_> = answer.json["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|status| (status["context"].as_str().unwrap(), &status["state"]))
        .collect();
    assert_eq!(
        newest,
        [
            ("lint", &json!("error")),
            ("flux/ephemeral-dev", &json!("success")),
            ("tests", &json!("success")),
        ]
    );
    assert_eq!(answer.json["total_count"], 3);
    assert_eq!(answer.json["sha"], json!(sha));

    let second = combined("heads/feature", "?per_page=2&page=2");
    assert_eq!(second.json["statuses"][0]["context"], "tests");
    assert_eq!(second.json["state"], "failure");
    assert_eq!(second.json["total_count"], 3);
    assert!(second.headers["link"].contains("rel=\"prev\""));
    assert_eq!(combined("no-such-branch", "").status, 404);

    let all = client.get(&format!("/repos/octo-org/demo/commits/{sha}/statuses"));
    assert_eq!(all.json[0]["creator"]["login"], "flux-report[bot]");
    github.restrict_token(&["contents:read"]);
    assert_eq!(combined(&sha, "").status, 403);
}

#[test]
fn an_answer_that_the_client_has_is_not_sent_again() {
    let (github, repository, client) = with_pull_request();
    let sha = repository.tip("feature").unwrap();
    let path = format!("/repos/octo-org/demo/commits/{sha}/status");
    let first = client.get(&path);
    let tag = first.headers["etag"].as_str();
    assert!(tag.starts_with("W/\""), "{tag}");

    github.clear_requests();
    let again = |known: &str| {
        let headers = [("if-none-match", known)];
        client.send_with("GET", &path, &headers, None).unwrap()
    };
    for known in [tag, &tag[2..], "*", &format!("\"other\", {tag}")] {
        let unchanged = again(known);
        assert_eq!((unchanged.status, &unchanged.json), (304, &Value::Null));
        assert_eq!(unchanged.headers["etag"], tag);
    }
    github.set_status(&sha, "flux/ephemeral-dev", "success", "ready", "flux");
    let changed = again(tag);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.headers["etag"], tag);
    let answered: Vec<_> = github.requests().iter().map(|sent| sent.status).collect();
    assert_eq!(
        answered,
        [Some(304), Some(304), Some(304), Some(304), Some(200)]
    );

    assert!(
        !client
            .get("/repos/octo-org/other")
            .headers
            .contains_key("etag")
    );
    let posted = client.post(COMMENTS, json!({"body": "hello"}));
    assert!(!posted.headers.contains_key("etag"));
}

const DEPLOYMENTS: &str = "/repos/octo-org/demo/deployments";

#[test]
fn a_deployment_is_created_listed_and_found() {
    let (github, repository, client) = with_pull_request();
    let sha = repository.tip("feature").unwrap();
    let created = client.post(
        DEPLOYMENTS,
        json!({
            "ref": sha, "task": "deploy:dev", "auto_merge": false, "required_contexts": [],
            "environment": "preview", "description": "dev", "transient_environment": true,
            "production_environment": false,
        }),
    );
    assert_eq!(created.status, 201, "{}", created.json);
    let id = created.json["id"].as_u64().unwrap();
    for (field, value) in [
        ("sha", json!(sha)),
        ("ref", json!(sha)),
        ("task", json!("deploy:dev")),
        ("environment", json!("preview")),
        ("description", json!("dev")),
        ("payload", json!({})),
        ("transient_environment", json!(true)),
        ("production_environment", json!(false)),
    ] {
        assert_eq!(created.json[field], value, "{field}");
    }
    assert_eq!(created.json["creator"]["login"], "github-actions[bot]");
    assert_eq!(
        client.get(&format!("{DEPLOYMENTS}/{id}")).json,
        created.json
    );
    assert_eq!(client.get(&format!("{DEPLOYMENTS}/1")).status, 404);

    let by_default = client.post(DEPLOYMENTS, json!({"ref": "feature"}));
    assert_eq!(by_default.json["sha"], json!(sha));
    assert_eq!(by_default.json["task"], "deploy");
    assert_eq!(by_default.json["environment"], "production");
    assert_eq!(by_default.json["production_environment"], true);
    assert_eq!(by_default.json["transient_environment"], false);

    let other = by_default.json["id"].as_u64().unwrap();
    let listed = |query: &str| {
        let answer = client.get(&format!("{DEPLOYMENTS}?{query}"));
        let ids = answer.json.as_array().unwrap().iter();
        ids.map(|deployment| deployment["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(""), [other, id]);
    assert_eq!(listed("per_page=1"), [other]);
    assert_eq!(listed("task=deploy%3Adev"), [id]);
    assert_eq!(listed("environment=preview&task=deploy"), Vec::<u64>::new());
    assert_eq!(listed("ref=feature"), [other]);
    assert_eq!(
        listed(&format!("sha={sha}&environment=production")),
        [other]
    );

    let read = github.deployments();
    assert_eq!(read.len(), 2);
    assert_eq!(
        (read[0].id, read[0].sha.as_str(), read[0].task.as_str()),
        (id, sha.as_str(), "deploy:dev")
    );
    assert!(read[0].transient && read[0].statuses.is_empty());
}

#[test]
fn a_deployment_that_github_refuses_is_none() {
    let (github, repository, client) = with_pull_request();
    let refused = |body: Value| {
        let answer = client.post(DEPLOYMENTS, body);
        let message = answer.json["message"].as_str().unwrap().to_owned();
        (answer.status, message)
    };
    assert_eq!(refused(json!({})).0, 422);
    assert_eq!(
        refused(json!({"ref": "no-such-branch"})),
        (422, "No ref found for: no-such-branch".to_owned())
    );
    assert_eq!(refused(json!({"ref": "feature~1"})).0, 422);

    let sha = repository.tip("feature").unwrap();
    github.set_status(&sha, "tests", "pending", "running", "ci[bot]");
    github.set_status(&sha, "lint", "success", "clean", "ci[bot]");
    let checks_failed = "Conflict: Commit status checks failed for feature.".to_owned();
    assert_eq!(
        refused(json!({"ref": "feature"})),
        (409, checks_failed.clone())
    );
    for missing in ["tests", "flux"] {
        let required = json!({"ref": "feature", "required_contexts": ["lint", missing]});
        assert_eq!(refused(required), (409, checks_failed.clone()));
    }
    assert!(github.deployments().is_empty());
    let deploy = |body: Value| client.post(DEPLOYMENTS, body).status;
    assert_eq!(
        deploy(json!({"ref": "feature", "required_contexts": ["lint"]})),
        201
    );
    assert_eq!(
        deploy(json!({"ref": "feature", "required_contexts": []})),
        201
    );

    repository.commit("main", &[("later.txt", Some("later"))], "go on");
    assert_eq!(
        refused(json!({"ref": "feature", "required_contexts": []})),
        (409, "Conflict merging main into feature.".to_owned())
    );
    let as_it_is = json!({"ref": "feature", "required_contexts": [], "auto_merge": false});
    assert_eq!(deploy(as_it_is.clone()), 201);

    github.restrict_token(&["deployments:read", "contents:write"]);
    let answer = client.post(DEPLOYMENTS, as_it_is);
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.headers["x-accepted-github-permissions"],
        "deployments=write"
    );
    assert_eq!(client.get(DEPLOYMENTS).status, 200);
    github.restrict_token(&["contents:write"]);
    assert_eq!(client.get(DEPLOYMENTS).status, 403);
}

#[test]
fn a_deployments_statuses_tell_how_it_went() {
    let (github, _, client) = with_pull_request();
    let deploy = |transient: bool| {
        let body =
            json!({"ref": "feature", "environment": "preview", "transient_environment": transient});
        client.post(DEPLOYMENTS, body).json["id"].as_u64().unwrap()
    };
    let statuses = |id: u64| format!("{DEPLOYMENTS}/{id}/statuses");
    let set = |id: u64, body: Value| client.post(&statuses(id), body);
    let id = deploy(true);
    assert_eq!(set(1, json!({"state": "success"})).status, 404);
    let refused = |body: Value| {
        let answer = set(id, body);
        assert_eq!(answer.status, 422, "{}", answer.json);
        answer.json["errors"][0]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        refused(json!({"state": "ready"})),
        "state is not included in the list"
    );
    assert_eq!(
        refused(json!({"state": "success", "description": "é".repeat(141)})),
        "description is too long (maximum is 140 characters)"
    );
    for field in ["environment_url", "log_url", "target_url"] {
        assert_eq!(
            refused(json!({"state": "success", field: "javascript:alert(1)"})),
            format!("{field} must use http(s) scheme")
        );
    }

    set(
        id,
        json!({"state": "in_progress", "log_url": "https://ci.example/1"}),
    );
    let ready = json!({
        "state": "success", "environment_url": "https://dev.example", "description": "é".repeat(140),
        "auto_inactive": false,
    });
    let ready = set(id, ready);
    assert_eq!(ready.status, 201);
    assert_eq!(ready.json["environment"], "preview");
    assert_eq!(ready.json["environment_url"], "https://dev.example");
    let newest = client.get(&format!("{}?per_page=1", statuses(id)));
    assert_eq!(newest.json, json!([ready.json]));
    let newest_first = client.get(&statuses(id));
    assert_eq!(newest_first.json[1]["target_url"], "https://ci.example/1");

    let states = |id: u64| {
        let read = github.deployments();
        let deployment = read.iter().find(|deployment| deployment.id == id).unwrap();
        let states = deployment.statuses.iter();
        states
            .map(|status| (status.state.clone(), status.auto_inactive))
            .collect::<Vec<_>>()
    };
    let is = |state: &str, auto_inactive| (state.to_owned(), auto_inactive);
    assert_eq!(states(id), [is("in_progress", true), is("success", false)]);

    // One that stays, then another: the older one is inactive, the transient one is not.
    let [older, newer] = [deploy(false), deploy(false)];
    set(older, json!({"state": "success", "auto_inactive": false}));
    set(newer, json!({"state": "success", "auto_inactive": false}));
    assert_eq!(states(older).len(), 1);
    set(newer, json!({"state": "success"}));
    assert_eq!(states(older)[1].0, "inactive");
    assert_eq!(states(newer).len(), 2);
    assert_eq!(states(id).len(), 2);
}

#[test]
fn a_status_that_somebody_sets_is_an_event() {
    let (github, repository, client) = with_pull_request();
    let sha = repository.tip("feature").unwrap();
    let context = "flux/ephemeral-dev";
    github.set_status(&sha, context, "pending", "coming", "flux-report[bot]");
    github.set_status(&sha, "tests", "failure", "no", "ci[bot]");
    github.set_status(&sha, context, "failure", "build failed", "flux-report[bot]");
    let event = github.status_event(&sha, context);
    for (pointer, value) in [
        ("/sha", json!(sha)),
        ("/name", json!("octo-org/demo")),
        ("/state", json!("failure")),
        ("/context", json!(context)),
        ("/description", json!("build failed")),
        ("/target_url", Value::Null),
        ("/commit/sha", json!(sha)),
        ("/commit/commit/message", json!("add a file")),
        ("/commit/parents/0/sha", json!(repository.tip("main"))),
        ("/branches/0/name", json!("feature")),
        ("/branches/0/commit/sha", json!(sha)),
        ("/repository/full_name", json!("octo-org/demo")),
        ("/sender/login", json!("flux-report[bot]")),
    ] {
        assert_eq!(event.pointer(pointer), Some(&value), "{pointer}");
    }
    assert_eq!(event["branches"].as_array().unwrap().len(), 1);
    assert!(event["id"].is_u64());
    assert!(event["created_at"].as_str().unwrap().ends_with("+00:00"));

    // As Flux's notification-controller sets it, and as the API tells it.
    github.add_personal_token("flux", "flux-report[bot]");
    github.set_permission("flux-report[bot]", "write");
    let flux = Client::new(&github, "flux");
    let body =
        json!({"state": "success", "context": context, "description": "reconciliation succeeded"});
    let path = format!("/repos/octo-org/demo/statuses/{sha}");
    assert_eq!(flux.post(&path, body).status, 201);
    assert_eq!(github.status_event(&sha, context)["state"], "success");
    let told = client.get(&format!("/repos/octo-org/demo/commits/{sha}/statuses"));
    assert_eq!(told.json[0]["description"], "reconciliation succeeded");
}

impl Client {
    /// A page, as a browser without a login gets it.
    fn page(&self, url: &str) -> (u16, String) {
        let mut response = self.agent.get(url).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), text)
    }

    /// Sends a page's form, and gives the status and the place that it leads to.
    fn send_form(&self, url: &str, fields: &str) -> (u16, Option<String>) {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let request = self.agent.post(url).header(kind.0, kind.1);
        let response = request.config().max_redirects(0).build();
        let response = response.send(fields).unwrap();
        let place = response.headers().get("location");
        let place = place.map(|place| place.to_str().unwrap().to_owned());
        (response.status().as_u16(), place)
    }
}

#[test]
fn the_urls_of_the_api_lead_to_pages() {
    let (github, repository, client) = with_pull_request();
    let sha = repository.tip("feature").unwrap();
    let command = github.comment(1, "alice", "/deploy-ephemeral");
    let marked = "<!-- marker -->\n### `dev` is ready\n\n| a | b |\n| --- | --- |\n| c | d |";
    let answer = client.post(COMMENTS, json!({"body": marked}));
    let eyes = format!("/repos/octo-org/demo/issues/comments/{command}/reactions");
    client.post(&eyes, json!({"content": "eyes"}));
    github.set_status(&sha, "flux/ephemeral-dev", "success", "reconciled", "flux");
    let deployment = json!({"ref": sha, "environment": "preview", "required_contexts": []});
    let id = client.post(DEPLOYMENTS, deployment).json["id"].clone();
    let path = format!("{DEPLOYMENTS}/{id}/statuses");
    client.post(
        &path,
        json!({"state": "success", "environment_url": "https://dev.example"}),
    );

    let url = answer.json["html_url"].as_str().unwrap();
    let (url, anchor) = url.split_once('#').unwrap();
    let (status, page) = client.page(url);
    assert_eq!(status, 200);
    for shown in [
        &format!("id=\"{anchor}\""),
        "Changes from feature",
        "/deploy-ephemeral",
        "👀 1",
        "<h3><code>dev</code> is ready</h3>",
        "<td>c</td>",
        "<strong>flux/ephemeral-dev</strong> <span class=\"faint\">reconciled</span>",
        "All checks have passed",
        "href=\"https://dev.example\"",
        "View deployment",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    for hidden in ["marker", "<script", "<form", "http-equiv"] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }

    let home = format!("{}/octo-org/demo", github.server_url());
    repository.commit("with/slash", &[("a/b.txt", Some("one & two\n"))], "A file");
    for (path, shown) in [
        ("", "k8s/app/overlays/main/kustomization.yaml"),
        ("/pulls", "Changes from feature"),
        ("/commits/main", "LocalGitHub"),
        ("/commits/with/slash", "A file"),
        (&format!("/commit/{sha}"), "+new"),
        ("/blob/with/slash/a/b.txt", "one &amp; two"),
        (&format!("/blob/{sha}/new.txt"), "new"),
        ("/tree/with/slash", "a/b.txt"),
        ("/actions/runs/42", "Nobody kept the log of this run"),
    ] {
        let (status, page) = client.page(&format!("{home}{path}"));
        assert_eq!(status, 200, "{path}");
        assert!(page.contains(shown), "{path}: {page}");
    }
    github.keep_run(42, "a <log>", "### A summary");
    let (_, page) = client.page(&format!("{home}/actions/runs/42"));
    assert!(page.contains("a &lt;log&gt;") && page.contains("<h3>A summary</h3>"));
    for missing in [
        "/pull/2",
        "/commit/0",
        "/blob/main/none",
        "/pull/1/form",
        "/commits/none",
    ] {
        assert_eq!(client.page(&format!("{home}{missing}")).0, 404, "{missing}");
    }
    let kinds: Vec<_> = github.requests().iter().map(|sent| sent.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Git).count(), 1);
}

#[test]
fn a_page_shows_a_strangers_text_as_it_is() {
    let github = start();
    let repository = github.repository();
    let (branch, text) = ("x<img/src=x/onerror=alert(1)>", "<script>alert(1)</script>");
    repository.commit(branch, &[("a", Some(text))], text);
    let number = github.open_pull_request_titled(&repository, branch, "mallory", text);
    github.comment(number, "mallory", text);
    github.comment(
        number,
        "mallory",
        "<img src=x onerror=alert(1)> [x](javascript:alert(1))",
    );
    let sha = repository.tip(branch).unwrap();
    github.set_status(&sha, text, "failure", text, "mallory");
    let home = "/octo-org/demo";
    for path in [
        format!("{home}/pull/{number}"),
        format!("{home}/pulls"),
        format!("{home}/commit/{sha}"),
        format!("{home}/blob/{sha}/a"),
        format!("{home}/commits/{sha}"),
    ] {
        let page = github.page(&path);
        for live in ["<script", "<img", "javascript:"] {
            assert!(!page.contains(live), "{path}, {live}: {page}");
        }
        assert!(page.contains("&lt;"), "{path}: {page}");
    }
}

#[test]
fn a_form_is_taken_from_its_own_page_alone() {
    let (github, _, client) = with_pull_request();
    let url = format!("{}/octo-org/demo/pull/1", github.server_url());
    let form = format!("{url}/form");
    assert_eq!(client.send_form(&form, "token=&body=hello").0, 404);
    let submissions = github.offer_form("rita", &["/deploy-ephemeral"], &["It fails"], "A note.");
    let (_, page) = client.page(&url);
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    assert!(
        page.contains("A note.") && page.contains("<textarea"),
        "{page}"
    );

    for other in ["", "token=&", "token=0123&"] {
        assert_eq!(
            client.send_form(&form, &format!("{other}body=hello")).0,
            403
        );
    }
    assert!(github.comments(1).is_empty());
    let send = |fields: &str| client.send_form(&form, &format!("token={token}&{fields}"));
    let back = (303, Some("/octo-org/demo/pull/1#end".to_owned()));
    assert_eq!(send("body=it+works%21&do=comment"), back);
    let comments = github.comments(1);
    assert_eq!(
        (comments[0].login.as_str(), comments[0].body.as_str()),
        ("rita", "it works!")
    );
    let told = submissions.try_recv().unwrap();
    assert_eq!(
        (told.number, &told.sent),
        (1, &Sent::Comment(comments[0].id))
    );
    let (_, page) = client.page(&url);
    assert!(page.contains("http-equiv=\"refresh\"") && !page.contains("<textarea"));
    drop(told);
    assert!(!client.page(&url).1.contains("http-equiv"));

    send("body=&command=%2Fdeploy-ephemeral");
    assert_eq!(github.comments(1)[1].body, "/deploy-ephemeral");
    send("button=It+fails");
    send("button=Not+there");
    send("body=+&do=comment");
    let told: Vec<_> = submissions
        .try_iter()
        .map(|told| told.sent.clone())
        .collect();
    let deploy = Sent::Comment(github.comments(1)[1].id);
    assert_eq!(told, [deploy, Sent::Button("It fails".to_owned())]);
    assert_eq!(github.comments(1).len(), 2);
}

#[test]
fn a_reaction_counts_once_for_each_user() {
    let (github, _, client) = with_pull_request();
    let comment = github.comment(1, "alice", "/deploy-ephemeral");
    let path = format!("/repos/octo-org/demo/issues/comments/{comment}/reactions");
    let react = |content: &str| client.post(&path, json!({"content": content})).status;
    assert_eq!(
        [
            react("eyes"),
            react("eyes"),
            react("rocket"),
            react("shrug")
        ],
        [201, 200, 201, 422]
    );
    let bot = "github-actions[bot]".to_owned();
    assert_eq!(
        github.reactions(comment),
        [(bot.clone(), "eyes".to_owned()), (bot, "rocket".to_owned())]
    );
    assert_eq!(client.get(&path).json.as_array().unwrap().len(), 2);
}

#[test]
fn a_permission_is_what_was_said_and_read_for_others() {
    let (github, _, client) = with_pull_request();
    github.set_permission("maya", "maintain");
    github.set_permission("renovate[bot]", "none");
    github.remove_user("ghost");
    let ask = |login: &str| {
        let answer = client.get(&format!(
            "/repos/octo-org/demo/collaborators/{login}/permission"
        ));
        let field = |name: &str| answer.json[name].as_str().unwrap_or_default().to_owned();
        (answer.status, field("permission"), field("role_name"))
    };
    let expect =
        |status, permission: &str, role: &str| (status, permission.to_owned(), role.to_owned());
    assert_eq!(ask("maya"), expect(200, "write", "maintain"));
    assert_eq!(ask("stranger"), expect(200, "read", "read"));
    assert_eq!(ask("renovate%5Bbot%5D"), expect(200, "none", "none"));
    assert_eq!(ask("ghost"), expect(404, "", ""));
}

#[test]
fn a_restricted_token_may_what_it_was_given() {
    let (github, repository, client) = with_pull_request();
    github.restrict_token(&["metadata:read", "contents:read", "pull-requests:write"]);
    assert_eq!(
        client
            .post(COMMENTS, json!({"body": "by way of pull-requests"}))
            .status,
        201
    );
    let path = format!(
        "/repos/octo-org/demo/statuses/{}",
        repository.tip("feature").unwrap()
    );
    let refused = client.post(&path, json!({"state": "success"}));
    assert_eq!(
        (refused.status, &refused.json["message"]),
        (403, &json!("Resource not accessible by integration"))
    );
    assert_eq!(
        refused.headers["x-accepted-github-permissions"],
        "statuses=write"
    );

    let (_directory, clone) = clone(&github, &repository);
    commit_in(&clone, "a", b"a");
    let said = try_git(&clone, &["push", "origin", "main"]).unwrap_err();
    assert!(
        said.contains("Permission to octo-org/demo.git denied to github-actions[bot]."),
        "{said}"
    );
    assert!(said.contains("error: 403"), "{said}");
}

#[test]
fn a_clone_holds_no_credentials_and_a_stranger_gets_none() {
    let (github, repository, _) = with_pull_request();
    let directory = temporary_directory();
    let path = directory.path().join("shallow");
    repository.checkout(&path, &["--depth", "1", "--branch", "feature"]);
    assert_eq!(git(&path, &["rev-list", "--count", "HEAD"]), "1");
    let config = fs::read_to_string(path.join(".git/config")).unwrap();
    assert!(
        config.contains(&repository.clone_url())
            && !config.to_lowercase().contains("authorization"),
        "{config}"
    );

    let anonymous = || try_git(directory.path(), &["ls-remote", &repository.clone_url()]);
    assert!(anonymous().is_err());
    let wrong = url_with(&repository, "wrong");
    let said = try_git(directory.path(), &["ls-remote", &wrong]).unwrap_err();
    assert!(said.contains("Authentication failed"), "{said}");
    repository.make_public();
    assert!(anonymous().unwrap().contains("refs/pull/1/head"));
    assert!(
        github
            .requests()
            .iter()
            .all(|request| request.kind == Kind::Git)
    );
}

#[test]
fn a_push_that_is_late_is_rejected_and_one_that_is_large_arrives() {
    let (github, repository, _) = with_pull_request();
    let (_directory, clone) = clone(&github, &repository);
    repository.commit("main", &[("theirs", Some("first"))], "be faster");
    // Past the post buffer, git sends a push in chunks.
    let mut seed = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    })
    .take(200_000)
    .collect();
    commit_in(&clone, "ours", &noise);
    let push = ["-c", "http.postBuffer=65536", "push", "origin", "main"];
    assert!(try_git(&clone, &push).unwrap_err().contains("rejected"));
    git(
        &clone,
        &[
            "-c",
            &extraheader(&github),
            "pull",
            "--quiet",
            "--rebase",
            "origin",
            "main",
        ],
    );
    git(&clone, &push);

    let log = repository.log("main");
    assert_eq!(log.len(), 3);
    assert_eq!(log[0].changes, [('A', "ours".to_owned())]);
    assert_eq!(log[0].parents, [log[1].sha.clone()]);
    assert_eq!(
        (log[1].message.as_str(), log[1].author.as_str()),
        ("be faster", "LocalGitHub <github@example.com>")
    );

    let hidden = try_git(&clone, &["push", "origin", "HEAD:refs/pull/9/head"]).unwrap_err();
    assert!(hidden.contains("deny updating a hidden ref"), "{hidden}");
    repository.install_hook(
        "pre-receive",
        "#!/bin/sh\necho 'GH006: no such luck' >&2\nexit 1\n",
    );
    commit_in(&clone, "more", b"more");
    let declined = try_git(&clone, &["push", "origin", "main"]).unwrap_err();
    assert!(
        declined.contains("GH006") && declined.contains("pre-receive hook declined"),
        "{declined}"
    );
}

/// What `git http-backend` answers to the same request: its headers, in lower case, and the body.
fn http_backend(
    repository: &Repository,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (BTreeMap<String, String>, String) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROJECT_ROOT", repository.git_dir())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method)
        .env("REMOTE_USER", "alice")
        .env("CONTENT_LENGTH", body.len().to_string());
    for (name, value) in headers {
        command.env(name.replace('-', "_").to_uppercase(), value);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(body.as_bytes()).unwrap();
    drop(stdin);
    let answered = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let (headers, body) = answered.split_once("\r\n\r\n").unwrap();
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    (
        headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body.to_owned(),
    )
}

#[test]
fn the_git_server_answers_as_git_http_backend_does() {
    let (github, repository, client) = with_pull_request();
    let (upload, receive) = (
        "/info/refs?service=git-upload-pack",
        "/info/refs?service=git-receive-pack",
    );
    let kind = ("content-type", "application/x-git-upload-pack-request");
    let second = ("git-protocol", "version=2");
    let list = "0014command=ls-refs\n0000";
    type Asked<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);
    let asked: [Asked<'_>; 8] = [
        ("GET", upload, &[], ""),
        ("GET", upload, &[("git-protocol", "version=1")], ""),
        ("GET", upload, &[second], ""),
        ("GET", upload, &[("git-protocol", "x:version=2:y")], ""),
        ("GET", receive, &[], ""),
        ("GET", receive, &[second], ""),
        ("POST", "/git-upload-pack", &[kind, second], list),
        ("POST", "/git-upload-pack", &[second], list),
    ];
    for (method, path, headers, body) in asked {
        let what = format!("{method} {path} {headers:?}");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", repository.clone_url()))
            .header("authorization", format!("Bearer {}", github.token()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).unwrap();
        let mut ours = client.agent.run(request).unwrap();

        let (theirs, their_body) = http_backend(&repository, method, path, headers, body);

        let status = theirs.get("status").map_or("200", |status| &status[..3]);
        assert_eq!(ours.status().as_str(), status, "{what}");
        if status != "200" {
            continue;
        }
        for (name, value) in theirs {
            assert_eq!(ours.headers()[&name], *value, "{what}");
        }
        assert_eq!(ours.body_mut().read_to_string().unwrap(), their_body);
        assert!(
            their_body.contains("agent=git/") || !body.is_empty(),
            "{what}"
        );
    }
}

fn extraheader(github: &LocalGitHub) -> String {
    // actions/checkout sends `basic`; any scheme that the API knows is as good here.
    format!("http.extraheader=AUTHORIZATION: bearer {}", github.token())
}

#[test]
fn a_long_negotiation_arrives_compressed() {
    let (github, repository, _) = with_pull_request();
    let (_directory, clone) = clone(&github, &repository);
    for number in 0..40 {
        git(
            &clone,
            &[
                "commit",
                "--quiet",
                "--allow-empty",
                "--message",
                &number.to_string(),
            ],
        );
    }
    let theirs = repository.commit("main", &[("theirs", Some(""))], "more to fetch");
    git(
        &clone,
        &[
            "-c",
            &extraheader(&github),
            "fetch",
            "--quiet",
            "origin",
            "main",
        ],
    );
    assert_eq!(git(&clone, &["rev-parse", "FETCH_HEAD"]), theirs);
}

#[test]
fn a_pull_request_follows_its_branch_until_it_closes() {
    let (github, repository, client) = with_pull_request();
    let head = || {
        client.get("/repos/octo-org/demo/pulls/1").json["head"]["sha"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (_directory, clone) = clone(&github, &repository);
    git(&clone, &["checkout", "--quiet", "feature"]);
    commit_in(&clone, "more.txt", b"more");
    git(&clone, &["push", "--quiet", "origin", "feature"]);
    let pushed = git(&clone, &["rev-parse", "HEAD"]);
    assert_eq!(head(), pushed);
    assert_eq!(repository.git(&["rev-parse", "refs/pull/1/head"]), pushed);

    let merge = clone.with_file_name("merge");
    repository.checkout_reference(&merge, "refs/pull/1/merge");
    assert!(merge.join("more.txt").exists() && merge.join("README.md").exists());
    assert_eq!(
        git(&merge, &["log", "-1", "--format=%s"]),
        format!("Merge {pushed} into {}", repository.tip("main").unwrap())
    );

    github.close_pull_request(1);
    repository.commit("feature", &[("late.txt", Some("late"))], "too late");
    assert_eq!(head(), pushed);
    assert_eq!(
        github.pull_request_event(1, "closed", "alice")["pull_request"]["merged"],
        false
    );
}

#[test]
fn a_pull_request_outlives_its_fork() {
    let github = start();
    let client = Client::new(&github, &github.token());
    let fork = github.fork("bob");
    let sha = fork.commit("feature/ä&b", &[("new.txt", Some("new"))], "new");
    let number = github.open_pull_request_titled(&fork, "feature/ä&b", "bob", "From afar");
    let event = github.pull_request_event(number, "opened", "bob");
    assert_eq!(event["pull_request"]["head"]["repo"]["id"], fork.id());
    assert_eq!(event["pull_request"]["head"]["label"], "bob:feature/ä&b");
    assert_ne!(fork.id(), github.repository().id());
    assert_eq!(
        github.repository().git(&["rev-parse", "refs/pull/1/head"]),
        sha
    );

    github.rename_head(number, "feature/ä&b/c");
    github.delete_head_repository(number);
    let pull = client.get("/repos/octo-org/demo/pulls/1").json;
    assert_eq!(
        (&pull["state"], &pull["head"]["repo"]),
        (&json!("open"), &Value::Null)
    );
    assert_eq!(
        (&pull["head"]["ref"], &pull["head"]["sha"]),
        (&json!("feature/ä&b/c"), &json!(sha))
    );
    assert_eq!(client.get("/repos/bob/demo").status, 404);
}

#[test]
fn a_merge_lands_and_a_deleted_branch_closes() {
    let (github, repository, client) = with_pull_request();
    repository.commit("main", &[("meanwhile", Some(""))], "meanwhile");
    let merge = github.merge_pull_request(1);
    assert_eq!(repository.tip("main").unwrap(), merge);
    assert_eq!(repository.files("main", "new.txt"), ["new.txt"]);
    assert_eq!(repository.read("main", "new.txt").as_deref(), Some("new\n"));
    assert_eq!(
        client.get("/repos/octo-org/demo/pulls/1").json["merged"],
        true
    );

    repository.commit("other", &[("new.txt", None)], "remove");
    let number = github.open_pull_request(&repository, "other", "alice");
    repository.delete_branch("other");
    assert_eq!(
        github.pull_request_event(number, "closed", "alice")["pull_request"]["state"],
        "closed"
    );
}

#[test]
fn events_have_what_the_webhooks_have() {
    let (github, repository, _) = with_pull_request();
    let comment = github.comment(1, "alice", "/deploy-ephemeral");
    let event = github.issue_comment_event(comment, "created");
    assert_eq!(event["comment"]["id"], comment);
    assert_eq!(event["comment"]["user"]["type"], "User");
    assert_eq!(event["sender"]["login"], "alice");
    assert!(
        event["issue"]["pull_request"]["url"]
            .as_str()
            .unwrap()
            .ends_with("/pulls/1")
    );
    assert_eq!(event["repository"]["id"], repository.id());
    assert_eq!(event["repository"]["default_branch"], "main");

    let plain = github.open_issue("alice", "A question");
    let question = github.comment(plain, "alice", "why?");
    assert!(
        github.issue_comment_event(question, "created")["issue"]
            .get("pull_request")
            .is_none()
    );

    let labeled = github.label_event(1, "labeled", "preview", "dependabot[bot]");
    assert_eq!(
        (&labeled["label"]["name"], &labeled["number"]),
        (&json!("preview"), &json!(1))
    );
    assert_eq!(labeled["pull_request"]["labels"][0]["name"], "preview");
    assert_eq!(labeled["sender"]["type"], "Bot");
    let unlabeled = github.label_event(1, "unlabeled", "preview", "alice");
    assert_eq!(unlabeled["pull_request"]["labels"], json!([]));

    assert_eq!(github.schedule_event(), json!({"schedule": "17 * * * *"}));
    let dispatched = github.dispatch_event("alice");
    let fields: Vec<_> = dispatched.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "inputs",
            "organization",
            "ref",
            "repository",
            "sender",
            "workflow"
        ]
    );
    assert_eq!(dispatched["ref"], "refs/heads/main");
    assert_eq!(dispatched["sender"]["login"], "alice");
}

#[test]
fn a_pull_request_is_a_draft_and_is_opened_again() {
    let (github, repository, client) = with_pull_request();
    let get = || client.get("/repos/octo-org/demo/pulls/1").json;
    github.set_draft(1, true);
    github.close_pull_request(1);
    let sha = repository.commit("feature", &[("more", Some(""))], "more");
    let closed = get();
    assert_eq!(
        (&closed["state"], &closed["draft"]),
        (&json!("closed"), &json!(true))
    );
    assert_ne!(closed["head"]["sha"], sha);

    github.set_draft(1, false);
    github.reopen_pull_request(1);
    let open = get();
    assert_eq!(
        (&open["state"], &open["draft"], &open["closed_at"]),
        (&json!("open"), &json!(false), &Value::Null)
    );
    assert_eq!(open["head"]["sha"], sha);
}

#[test]
fn many_pull_requests_are_as_one_and_another() {
    let (github, repository, client) = with_pull_request();
    let branches: Vec<_> = (0..300).map(|number| format!("many-{number}")).collect();
    repository.create_branches(&branches, "feature");
    let numbers = github.open_pull_requests(&repository, &branches, "alice");
    assert_eq!(numbers, (2..302).collect::<Vec<_>>());
    let fork = github.fork("bob");
    fork.create_branches(&["same"], "feature");
    let theirs = fork.commit("theirs", &[("b", Some("b"))], "theirs");
    // Not mergeable: both sides add this file.
    fork.commit("conflict", &[("both", Some("theirs"))], "theirs");
    repository.commit("main", &[("both", Some("ours"))], "ours");
    github.open_pull_requests(&fork, &["same", "theirs", "conflict"], "bob");

    let pull = |number: u64| {
        client
            .get(&format!("/repos/octo-org/demo/pulls/{number}"))
            .json
    };
    let feature = repository.tip("feature").unwrap();
    for (number, branch, sha) in [
        (2, "many-0", &feature),
        (301, "many-299", &feature),
        (302, "same", &feature),
        (303, "theirs", &theirs),
    ] {
        let pull = pull(number);
        assert_eq!(pull["head"]["ref"], branch);
        assert_eq!(pull["head"]["sha"], *sha);
        assert_eq!(pull["mergeable"], true);
        let parsed =
            |name: &str| repository.git(&["rev-parse", &format!("refs/pull/{number}/{name}")]);
        assert_eq!(parsed("head"), *sha);
        assert_eq!(parsed("merge^2"), *sha);
        assert_eq!(pull["merge_commit_sha"], parsed("merge"));
    }
    assert_eq!(pull(304)["mergeable"], false);

    // They follow their branches all at once, too.
    repository.delete_branch("many-7");
    let sha = repository.commit("many-8", &[("eight", Some(""))], "eight");
    assert_eq!(pull(9)["state"], "closed");
    assert_eq!(pull(10)["head"]["sha"], sha);
}

#[test]
fn a_branch_takes_thousands_of_files_in_one_commit() {
    let github = start();
    let repository = github.repository();
    let files: Vec<_> = (0..2_000)
        .map(|number| (format!("many/{number}.yaml"), format!("number: {number}\n")))
        .collect();
    let changes: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), Some(text.as_str())))
        .collect();
    let commit = repository.commit("main", &changes, "many");
    assert_eq!(repository.tip("main"), Some(commit));
    assert_eq!(repository.files("main", "many").len(), 2_000);
    assert_eq!(
        repository.read("main", "many/1999.yaml").as_deref(),
        Some("number: 1999\n")
    );
}

#[test]
fn whoever_writes_too_much_is_limited() {
    let (github, _, client) = with_pull_request();
    github.limit_content(2, Duration::from_secs(3));
    let post = |client: &Client| client.post(COMMENTS, json!({"body": "hello"}));
    let begun = Instant::now();
    assert_eq!([post(&client).status, post(&client).status], [201, 201]);
    let refused = post(&client);
    if begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(refused.status, 403);
        let message = refused.json["message"].as_str().unwrap();
        assert!(
            message.starts_with("You have exceeded a secondary rate limit."),
            "{message}"
        );
        let wait: u64 = refused.headers["retry-after"].parse().unwrap();
        assert!((1..=3).contains(&wait), "{wait}");
        // Reads and others' writes are free.
        assert_eq!(client.get(COMMENTS).json.as_array().unwrap().len(), 2);
        github.add_personal_token("alices", "alice");
        assert_eq!(post(&Client::new(&github, "alices")).status, 201);
        std::thread::sleep(Duration::from_secs(wait));
        assert_eq!(post(&client).status, 201);
    }
}

#[test]
fn a_fault_takes_the_requests_it_is_for() {
    let (github, _, client) = with_pull_request();
    let busy = Fault::on("POST", "/repos/octo-org/demo/issues/*/comments")
        .skip(1)
        .times(2);
    github.fault(
        busy.answer(503, json!({"message": "busy"}))
            .header("retry-after", "1"),
    );
    let post = || client.post(COMMENTS, json!({"body": "hello"}));
    assert_eq!([post().status, client.get(COMMENTS).status], [201, 200]);
    let refused = post();
    assert_eq!(
        (refused.status, refused.headers["retry-after"].as_str()),
        (503, "1")
    );
    assert_eq!([post().status, post().status], [503, 201]);
    assert_eq!(github.comments(1).len(), 2);
    let statuses: Vec<_> = github
        .requests()
        .iter()
        .filter_map(|request| request.status)
        .collect();
    assert_eq!(statuses, [201, 200, 503, 503, 201]);
    assert_eq!(github.requests()[0].body, Some(json!({"body": "hello"})));
}

#[test]
fn connections_break_before_during_and_after_the_work() {
    let (github, _, client) = with_pull_request();
    let try_post = || client.send("POST", COMMENTS, Some(&json!({"body": "hello"})));
    github.fault(Fault::on("POST", "*/comments").drop_connection());
    assert!(try_post().is_err());
    assert!(github.comments(1).is_empty());

    github.fault(Fault::on("POST", "*/comments").lose_answer());
    assert!(try_post().is_err());
    assert_eq!(github.comments(1).len(), 1);
    assert_eq!(github.requests()[1].status, None);

    github.fault(Fault::on("GET", "*/comments").cut_body_after(10));
    let mut cut = client
        .agent
        .get(github.api_url() + COMMENTS)
        .header("authorization", format!("token {}", github.token()));
    cut = cut.header("accept", "*/*");
    let mut response = cut.call().unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.body_mut().read_to_string().is_err());
    assert_eq!(client.get(COMMENTS).json[0]["body"], "hello");
}

#[test]
fn answers_are_late_or_never_come() {
    let (github, _, client) = with_pull_request();
    github.fault(Fault::on("GET", "/repos/octo-org/demo").delay(Duration::from_millis(50)));
    assert_eq!(client.get("/repos/octo-org/demo").status, 200);
    assert!(github.requests()[0].duration.unwrap() >= Duration::from_millis(50));

    github.fault(Fault::on("GET", "/repos/octo-org/demo").hang());
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(3)));
    let impatient: ureq::Agent = config.build().into();
    let request = impatient.get(github.api_url() + "/repos/octo-org/demo");
    assert!(matches!(request.call(), Err(ureq::Error::Timeout(_))));
    assert_eq!(client.get("/repos/octo-org/demo").status, 200);

    github.fault(Fault::on("GET", "/repos/octo-org/demo").drip(Duration::from_micros(1)));
    assert_eq!(client.get("/repos/octo-org/demo").json["name"], "demo");
    github.fault(Fault::on("GET", "/repos/octo-org/demo").drip(Duration::from_secs(1)));
    let request = impatient
        .get(github.api_url() + "/repos/octo-org/demo")
        .header("authorization", format!("token {}", github.token()));
    let mut begun = request.call().unwrap();
    assert!(begun.body_mut().read_to_string().is_err());
}

#[test]
fn the_api_is_on_a_port_of_its_own_as_on_github_com() {
    let (github, _, mut client) = with_pull_request();
    client.api = github.open_api();
    assert_eq!(client.get("/repos/octo-org/demo").json["name"], "demo");
    let query = json!({"query": "{ viewer { login } }"});
    let viewer = client.post("/graphql", query).json["data"]["viewer"].clone();
    assert_eq!(viewer["login"], "github-actions[bot]");
    assert_eq!(client.get("/api/v3/repos/octo-org/demo").status, 404);
    assert_eq!(client.get("/octo-org/demo/info/refs").status, 404);
}

#[test]
fn someone_lands_a_commit_between_a_fetch_and_a_push() {
    let (github, repository, _) = with_pull_request();
    let (_directory, clone) = clone(&github, &repository);
    commit_in(&clone, "ours", b"ours");
    let theirs = repository.clone();
    github.fault(
        Fault::on("POST", "/octo-org/demo.git/git-receive-pack").run(move |request| {
            assert_eq!(request.method, "POST");
            theirs.commit("main", &[("theirs", Some("theirs"))], "be faster");
        }),
    );
    let said = try_git(&clone, &["push", "origin", "main"]).unwrap_err();
    assert!(
        said.contains("rejected") || said.contains("cannot lock ref"),
        "{said}"
    );
    assert_eq!(repository.log("main")[0].message, "be faster");
}

#[test]
fn dropping_the_local_github_ends_what_it_started() {
    let (github, repository, _) = with_pull_request();
    let (_directory, clone) = clone(&github, &repository);
    commit_in(&clone, "ours", b"ours");
    let started = clone.with_file_name("started");
    let hook = format!(
        "#!/bin/sh\nmkfifo {0}\necho $$ > {0}\nexec sleep 600\n",
        started.display()
    );
    repository.install_hook("pre-receive", &hook);
    let push = std::thread::spawn(move || try_git(&clone, &["push", "origin", "main"]));
    let hook = loop {
        // Reading the pipe waits for the hook that writes into it.
        match fs::read_to_string(&started) {
            Ok(id) => break id,
            Err(_) => std::thread::yield_now(),
        }
    };
    let git_dir = repository.git_dir();
    drop(github);
    assert!(push.join().unwrap().is_err());
    assert!(!git_dir.exists());
    // The kernel may take a moment, and an init that does not wait for orphans leaves a zombie.
    let stat = format!("/proc/{}/stat", hook.trim());
    let ended = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    let started = Instant::now();
    while !ended() {
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "the hook still runs"
        );
        std::thread::yield_now();
    }
}

/// Takes the deliveries of webhooks, and answers each with the same status.
struct Receiver {
    url: String,
    taken: mpsc::Receiver<Taken>,
}

/// A delivery as it arrived, the names of its headers in lower case.
struct Taken {
    start: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    json: Value,
}

impl Receiver {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
        let (sender, taken) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let delivery = Taken::read(&stream);
                let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\n\r\nok");
                stream.write_all(answer.as_bytes()).unwrap();
                if sender.send(delivery).is_err() {
                    return;
                }
            }
        });
        Self { url, taken }
    }

    fn next(&self) -> Taken {
        let taken = self.taken.recv_timeout(Duration::from_secs(10));
        taken.expect("a delivery")
    }
}

impl Taken {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let start = line();
        let lines = std::iter::repeat_with(&mut line).take_while(|line| !line.is_empty());
        let headers: BTreeMap<_, _> = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.to_lowercase(), value.to_owned())
            })
            .collect();
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        Self {
            start,
            json: serde_json::from_slice(&body).unwrap(),
            headers,
            body,
        }
    }
}

/// HMAC by its definition in RFC 2104, for a key that is no longer than a block.
fn hmac_sha256(key: &[u8], text: &[u8]) -> String {
    let pad = |byte: u8| {
        let key = key.iter().copied().chain(std::iter::repeat(0));
        key.take(64).map(|key| key ^ byte).collect::<Vec<_>>()
    };
    let inner = Sha256::digest([&pad(0x36), text].concat());
    let outer = Sha256::digest([&pad(0x5c), &inner[..]].concat());
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was sent, as events and branches.
fn sent(github: &LocalGitHub) -> Vec<(String, String)> {
    let deliveries = github.deliveries().into_iter();
    deliveries
        .map(|delivery| (delivery.event, delivery.reference.unwrap_or_default()))
        .collect()
}

/// The deliveries, once none of them is under way.
fn settled(github: &LocalGitHub) -> Vec<Delivery> {
    let started = Instant::now();
    loop {
        let deliveries = github.deliveries();
        if deliveries
            .iter()
            .all(|delivery| delivery.status.is_some() || delivery.error.is_some())
        {
            return deliveries;
        }
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{deliveries:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_local_github_listens_where_it_is_told() {
    let github = LocalGitHub::start_on("127.0.0.2".parse().unwrap());
    let repository = github.repository();
    let server = github.server_url();
    assert!(server.starts_with("http://127.0.0.2:"), "{server}");
    assert!(github.api_url().starts_with(&server) && github.graphql_url().starts_with(&server));
    assert!(repository.clone_url().starts_with(&server));
    let client = Client::new(&github, &github.token());
    let found = client.get("/repos/octo-org/demo");
    assert_eq!(found.json["clone_url"], repository.clone_url());
    let (_directory, clone) = clone(&github, &repository);
    assert!(clone.join("README.md").exists());
    assert!(start().server_url().starts_with("http://127.0.0.1:"));
}

#[test]
fn a_webhook_is_pinged_and_told_of_a_push() {
    let (github, repository, _) = with_pull_request();
    let receiver = Receiver::start(202);
    github.add_webhook(&receiver.url, "s3cret");
    let ping = receiver.next();
    assert_eq!(ping.headers["x-github-event"], "ping");
    assert_eq!(ping.json["hook_id"], ping.json["hook"]["id"]);
    assert_eq!(ping.json["hook"]["config"]["url"], receiver.url);
    assert_eq!(ping.json["repository"]["full_name"], "octo-org/demo");
    assert_eq!(ping.json["sender"]["login"], "octo-org");
    assert!(ping.json["zen"].is_string());

    let (_directory, clone) = clone(&github, &repository);
    let before = git(&clone, &["rev-parse", "HEAD"]);
    commit_in(&clone, "new.txt", b"new");
    fs::remove_file(clone.join("README.md")).unwrap();
    commit_in(&clone, "new.txt", b"newer");
    let [first, second] = ["HEAD~1", "HEAD"].map(|name| git(&clone, &["rev-parse", name]));
    git(&clone, &["push", "--quiet", "origin", "main"]);
    // The delivery is known by now, though it need not have arrived.
    let main = ("push".to_owned(), "refs/heads/main".to_owned());
    assert_eq!(sent(&github), [("ping".to_owned(), String::new()), main]);

    let push = receiver.next();
    assert_eq!(push.start, "POST /hook?x=1 HTTP/1.1");
    assert_eq!(push.headers["x-github-event"], "push");
    assert_eq!(push.headers["content-type"], "application/json");
    assert_eq!(
        push.headers["x-github-hook-id"],
        ping.json["hook_id"].to_string()
    );
    assert!(push.headers["user-agent"].starts_with("GitHub-Hookshot/"));
    assert_eq!(
        push.headers["x-hub-signature-256"],
        format!("sha256={}", hmac_sha256(b"s3cret", &push.body))
    );
    let guid = &push.headers["x-github-delivery"];
    let groups: Vec<_> = guid.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert_ne!(*guid, ping.headers["x-github-delivery"]);

    let json = &push.json;
    assert_eq!(json["ref"], "refs/heads/main");
    assert_eq!(json["before"], before);
    assert_eq!(json["after"], second);
    for field in ["created", "deleted", "forced"] {
        assert_eq!(json[field], false, "{field}");
    }
    assert!(json["base_ref"].is_null() && json.get("action").is_none());
    assert_eq!(
        json["compare"],
        format!(
            "{}/octo-org/demo/compare/{}...{}",
            github.server_url(),
            &before[..12],
            &second[..12]
        )
    );
    let commits = json["commits"].as_array().unwrap();
    let ids: Vec<_> = commits.iter().map(|commit| &commit["id"]).collect();
    assert_eq!(ids, [&json!(first), &json!(second)]);
    assert_eq!(commits[0]["added"], json!(["new.txt"]));
    assert_eq!(commits[1]["removed"], json!(["README.md"]));
    assert_eq!(commits[1]["modified"], json!(["new.txt"]));
    assert_eq!(commits[1]["message"], "change");
    assert_eq!(commits[1]["author"]["name"], "LocalGitHub");
    assert_eq!(commits[1]["author"]["email"], "github@example.com");
    let timestamp = commits[1]["timestamp"].as_str().unwrap();
    assert!(timestamp.starts_with("2025-01-01T00:00:00"), "{timestamp}");
    assert_eq!(json["head_commit"], commits[1]);
    assert_eq!(json["repository"]["id"], repository.id());
    assert_eq!(json["pusher"]["name"], "github-actions[bot]");
    assert_eq!(json["sender"]["login"], "github-actions[bot]");

    let statuses: Vec<_> = settled(&github)
        .iter()
        .map(|delivery| delivery.status)
        .collect();
    assert_eq!(statuses, [Some(202), Some(202)]);
    assert_eq!(github.deliveries()[1].url, receiver.url);
}

#[test]
fn a_branch_that_moves_is_one_push() {
    let (github, repository, _) = with_pull_request();
    let receiver = Receiver::start(200);
    github.add_webhook(&receiver.url, "s3cret");
    receiver.next();
    let zeros = "0".repeat(40);
    let base = repository.tip("main").unwrap();
    // The branch; created, deleted, forced; how many commits.
    let next = || {
        let push = receiver.next().json;
        let flags = ["created", "deleted", "forced"].map(|field| push[field].as_bool().unwrap());
        let branch = push["ref"].as_str().unwrap().replace("refs/heads/", "");
        let commits = push["commits"].as_array().unwrap().len();
        ((branch, flags, commits), push)
    };
    let expect = |branch: &str, flags: [bool; 3], commits: usize| {
        let (found, push) = next();
        assert_eq!(found, (branch.to_owned(), flags, commits));
        push
    };
    let (created, deleted, forced) = (
        [true, false, false],
        [false, true, false],
        [false, false, true],
    );

    let first = repository.commit("other", &[("a", Some("a"))], "one");
    let push = expect("other", created, 1);
    assert_eq!(
        (&push["before"], &push["after"]),
        (&json!(zeros), &json!(first))
    );
    assert_eq!(push["head_commit"]["id"], first);
    let second = repository.commit("other", &[("a", Some("b"))], "two");
    let push = expect("other", [false; 3], 1);
    assert_eq!(
        (&push["before"], &push["after"]),
        (&json!(first), &json!(second))
    );

    repository.create_branch("same", "main");
    let push = expect("same", created, 0);
    assert_eq!(push["head_commit"]["id"], base);
    repository.force_branch("same", &base);
    repository.force_branch("other", &first);
    let push = expect("other", forced, 0);
    assert_eq!(
        (&push["before"], &push["after"]),
        (&json!(second), &json!(first))
    );

    repository.rename_branch("same", "same/deeper");
    expect("same", deleted, 0);
    expect("same/deeper", created, 0);
    repository.delete_branch("same/deeper");
    let push = expect("same/deeper", deleted, 0);
    assert_eq!(
        (&push["before"], &push["after"]),
        (&json!(base), &json!(zeros))
    );
    assert!(push["head_commit"].is_null());

    github.rename_head(1, "feature/renamed");
    expect("feature", deleted, 0);
    expect("feature/renamed", created, 1);
    let merge = github.merge_pull_request(1);
    let push = expect("main", [false; 3], 2);
    assert_eq!(push["head_commit"]["id"], merge);
    repository.git(&["update-ref", "refs/heads/by-git", &first]);
    expect("by-git", created, 1);

    // A fork is silent, and so are pull requests, which move references of the base repository only under refs/pull.
    let fork = github.fork("bob");
    fork.commit("theirs", &[("b", Some("b"))], "theirs");
    github.open_pull_request(&fork, "theirs", "bob");
    github.add_personal_token("bobs", "bob");
    let directory = temporary_directory();
    let path = directory.path().join("fork");
    fork.checkout(&path, &["--branch", "theirs"]);
    commit_in(&path, "c", b"c");
    git(
        &path,
        &["push", "--quiet", &url_with(&fork, "bobs"), "HEAD"],
    );
    fork.rename_branch("theirs", "renamed");
    assert!(repository.git(&["show-ref"]).contains("refs/pull/2/head"));
    assert_eq!(settled(&github).len(), 12);
    assert!(receiver.taken.try_recv().is_err());
}

#[test]
fn pushes_at_the_same_time_are_each_sent_once() {
    let github = start();
    let repository = github.repository();
    let receiver = Receiver::start(200);
    github.add_webhook(&receiver.url, "s3cret");
    let (_directory, clone) = clone(&github, &repository);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (clone, repository) = (&clone, &repository);
            scope.spawn(move || {
                let refspec = format!("HEAD:refs/heads/pushed-{number}");
                git(clone, &["push", "--quiet", "origin", &refspec]);
            });
            scope.spawn(move || repository.create_branch(&format!("created-{number}"), "main"));
        }
    });
    let mut branches: Vec<_> = sent(&github).into_iter().skip(1).collect();
    branches.sort();
    let expected = ["created", "pushed"]
        .into_iter()
        .flat_map(|kind| (0..4).map(move |number| format!("refs/heads/{kind}-{number}")));
    let expected: Vec<_> = expected.map(|branch| ("push".to_owned(), branch)).collect();
    assert_eq!(branches, expected);

    // They arrive in the order in which they were sent.
    let arrived = std::iter::repeat_with(|| receiver.next().json)
        .take(9)
        .skip(1);
    let arrived: Vec<_> = arrived
        .map(|push| push["ref"].as_str().unwrap().to_owned())
        .collect();
    let in_order: Vec<_> = sent(&github)
        .into_iter()
        .skip(1)
        .map(|(_, branch)| branch)
        .collect();
    assert_eq!(arrived, in_order);
}

#[test]
fn a_receiver_that_is_gone_harms_nothing() {
    let github = start();
    let repository = github.repository();
    // An address of its own, so that nobody else is given the port.
    let gone = TcpListener::bind("127.0.0.3:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    github.add_webhook(&url, "s3cret");
    let broken = Receiver::start(500);
    github.add_webhook(&broken.url, "other");
    let (_directory, clone) = clone(&github, &repository);
    commit_in(&clone, "new.txt", b"new");
    git(&clone, &["push", "--quiet", "origin", "main"]);

    let events: Vec<_> = [broken.next(), broken.next()]
        .map(|taken| taken.headers["x-github-event"].clone())
        .into();
    assert_eq!(events, ["ping", "push"]);
    let deliveries = settled(&github);
    assert_eq!(deliveries.len(), 4);
    for delivery in deliveries {
        let is_gone = delivery.url == url;
        assert_eq!(delivery.status, (!is_gone).then_some(500), "{delivery:?}");
        assert_eq!(delivery.error.is_some(), is_gone, "{delivery:?}");
    }
}

#[test]
fn a_receiver_that_never_answers_keeps_nobody() {
    let github = start();
    let repository = github.repository();
    // The kernel takes the connection; nobody reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    github.add_webhook(
        &format!("http://{}/", silent.local_addr().unwrap()),
        "s3cret",
    );
    let (_directory, clone) = clone(&github, &repository);
    commit_in(&clone, "new.txt", b"new");
    git(&clone, &["push", "--quiet", "origin", "main"]);
    let (mut stream, _) = silent.accept().unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    for delivery in github.deliveries() {
        assert_eq!((delivery.status, delivery.error), (None, None));
    }

    let started = Instant::now();
    drop(github);
    assert!(started.elapsed() < Duration::from_secs(2));
    // The local GitHub's end of it is closed; the push was still in the queue.
    stream.read_to_end(&mut Vec::new()).unwrap();
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_err());
}

#[test]
fn odd_names_are_names() {
    let github = start();
    let repository = github.repository();
    for branch in [
        "-rf",
        "$(touch${IFS}x)",
        "a\"b'c;d",
        "日本語",
        "@",
        "x%20y",
        "a/b&c=d#e",
    ] {
        let sha = repository.commit(
            branch,
            &[("a \"b\"\\ä", Some("text"))],
            "message \"$x\"\n\nbody",
        );
        assert_eq!(repository.tip(branch), Some(sha.clone()), "{branch}");
        assert_eq!(repository.files(branch, "a \"b\"\\ä"), ["a \"b\"\\ä"]);
        assert_eq!(repository.log(branch)[0].message, "message \"$x\"\n\nbody");
        let number = github.open_pull_request(&repository, branch, "alice");
        assert_eq!(
            github.pull_request_event(number, "opened", "alice")["pull_request"]["head"]["sha"],
            sha
        );
    }
}

#[test]
fn a_job_gets_what_the_runner_gives_and_no_more() {
    let github = start();
    let (_directory, program) = script(
        "#!/bin/sh\n\
         cat \"$GITHUB_EVENT_PATH\" >&2\n\
         echo 'a=b=c' >> \"$GITHUB_OUTPUT\"\n\
         printf 'many<<END\\none\\ntwo=2\\nEND\\n' >> \"$GITHUB_OUTPUT\"\n\
         echo '# Done' > \"$GITHUB_STEP_SUMMARY\"\n\
         exit 3\n",
    );
    let job = Job::new(&github)
        .event("issue_comment", &json!({"action": "created"}))
        .declared_inputs(&[("dry-run", "false"), ("secret-ref", "")])
        .input("two words", "x")
        .without_env("GITHUB_GRAPHQL_URL");
    let outcome = job.run(&program);
    assert_eq!((outcome.status, outcome.summary.as_str()), (3, "# Done\n"));
    assert_eq!(outcome.stderr, r#"{"action":"created"}"#);
    assert_eq!(
        outcome.outputs,
        BTreeMap::from([("a", "b=c"), ("many", "one\ntwo=2")].map(|(k, v)| (k.into(), v.into())))
    );

    let environment = job.run("/usr/bin/env".as_ref()).stdout;
    let mut names: Vec<_> = environment
        .lines()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "GITHUB_API_URL",
            "GITHUB_EVENT_NAME",
            "GITHUB_EVENT_PATH",
            "GITHUB_OUTPUT",
            "GITHUB_REPOSITORY",
            "GITHUB_REPOSITORY_ID",
            "GITHUB_RUN_ID",
            "GITHUB_SERVER_URL",
            "GITHUB_STEP_SUMMARY",
            "GITHUB_WORKSPACE",
            "HOME",
            "INPUT_DRY-RUN",
            "INPUT_SECRET-REF",
            "INPUT_TOKEN",
            "INPUT_TWO_WORDS",
            "PATH",
            "RUNNER_TEMP",
            "TMPDIR",
        ]
    );
}

#[test]
fn a_script_can_be_run_while_others_start_programs() {
    let directory = temporary_directory();
    let path = directory.path().join("program");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    Command::new("true").status().unwrap();
                }
            });
        }
        for _ in 0..100 {
            local_github::script(&path, "#!/bin/sh\n");
            assert!(Command::new(&path).status().unwrap().success());
        }
    });
}

#[test]
fn a_job_can_be_cancelled() {
    let github = start();
    let (_directory, program) =
        script("#!/bin/sh\ntrap 'kill $!; exit 7' TERM\nsleep 600 &\necho ready\nwait\n");
    let job = Job::new(&github).spawn(&program);
    eventually(|| job.stdout() == "ready\n");
    job.signal("TERM");
    assert_eq!(job.wait().status, 7);
}

#[test]
fn a_request_is_worked_on_although_whoever_asked_has_left() {
    for fault in [
        Fault::on("POST", "/repos/*/statuses/*").delay(Duration::from_millis(1_500)),
        Fault::on("POST", "/repos/*/statuses/*").withhold_answer(),
    ] {
        let github = start();
        let head = github.repository().tip("main").unwrap();
        github.fault(fault);
        let url = format!("{}/repos/octo-org/demo/statuses/{head}", github.api_url());
        let impatient = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(1)))
            .build();
        let answer = ureq::Agent::from(impatient)
            .post(&url)
            .header("authorization", &format!("Bearer {}", github.token()))
            .send(r#"{"state":"pending","context":"x"}"#);
        assert!(answer.is_err(), "{answer:?}");
        eventually(|| {
            let request = github.requests().into_iter().next();
            request.is_some_and(|request| request.status == Some(201))
        });
        assert_eq!(github.statuses(&head).len(), 1);
    }
}
