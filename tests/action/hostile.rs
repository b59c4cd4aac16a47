//! What strangers choose (branches, logins, arguments, comments, a server's own words) is text and nothing else, and
//! the token is nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use flux_ephemeral_env::OUTPUTS;
use local_github::{Fault, Job, Outcome, temporary_directory};
use serde_json::json;

use crate::story::{
    AUTHOR, REVIEWER, Story, ending, fail, needs_the_executable, run, start, succeed,
};

/// Lines that try everything at once: workflow commands, Markdown, HTML, mentions, control characters.
const HOSTILE: &str = "::error::x\n##[error]x\n::set-output name=decision::x\n%0A::error::x\n@octo-org/team #1 \
    [a](https://evil.example) ![b](https://evil.example) <img src=x>\n</details>\n<!-- /state -->\n```\n````\n\
    ``@octocat``\n\
    \u{1b}[31mred\u{1b}[0m\u{202e}\r::error::x";

/// What the runner would take for a command is ours, and no terminal or log viewer is steered.
///
/// The runner's own rules: `::` at the start of a line behind blanks, `##[` anywhere
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs)).
fn assert_log_is_ours(outcome: &Outcome) {
    for line in outcome.stdout.split('\n') {
        assert!(!line.contains("##["), "{line}");
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        if line.trim_start().starts_with("::") {
            let is_ours = [
                "debug",
                "warning title=flux-ephemeral-env",
                "error title=flux-ephemeral-env",
            ]
            .iter()
            .any(|command| line.starts_with(&format!("::{command}::")));
            assert!(is_ours, "{line}");
        }
    }
}

/// Runs a step that must succeed, whatever it prints.
fn done(job: &Job) -> Outcome {
    let outcome = run(job);
    assert_eq!(outcome.status, 0, "{}", outcome.stdout);
    outcome
}

/// Exactly the outputs that are declared, each on one line.
fn assert_outputs_are_ours(outcome: &Outcome) {
    let names: BTreeSet<&str> = outcome.outputs.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(OUTPUTS));
    for value in outcome.outputs.values() {
        assert!(!value.contains(|c: char| c.is_control()), "{value:?}");
    }
}

/// Markdown without its code spans and fenced blocks: the text that can take effect.
///
/// Reads as <https://spec.commonmark.org/0.31.2/#code-spans> says, not as the code under test writes.
fn outside_code(markdown: &str) -> String {
    let run = |text: &str| text.len() - text.trim_start_matches('`').len();
    let mut outside = String::new();
    let mut lines = markdown.split('\n');
    while let Some(line) = lines.next() {
        let fence = run(line);
        if fence >= 3 && !line[fence..].contains('`') {
            let closes = |line: &&str| run(line) >= fence && line.trim_end().len() == run(line);
            assert!(
                lines.any(|line| closes(&line)),
                "a fence without an end: {markdown}"
            );
            continue;
        }
        let mut rest = line;
        while let Some(start) = rest.find('`') {
            outside.push_str(&rest[..start]);
            let opening = run(&rest[start..]);
            let mut at = start + opening;
            loop {
                let next = rest[at..]
                    .find('`')
                    .unwrap_or_else(|| panic!("a code span without an end: {line}"));
                let closing = run(&rest[at + next..]);
                at += next + closing;
                if closing == opening {
                    break;
                }
            }
            rest = &rest[at..];
        }
        outside.push_str(rest);
        outside.push('\n');
    }
    outside
}

/// The same without what differs from run to run: names of commits, and the fingerprint of a file that names one.
fn outside_code_and_commits(markdown: &str) -> String {
    let is_hexadecimal =
        |word: &str| word.len() == 40 && word.chars().all(|c| c.is_ascii_hexdigit());
    let outside = outside_code(markdown);
    let words: Vec<&str> = outside
        .split('/')
        .map(|word| word.split(['\n', '>']).next().unwrap_or(word))
        .collect();
    let mut text = outside.clone();
    for commit in words.into_iter().filter(|word| is_hexadecimal(word)) {
        text = text.replace(commit, "*");
    }
    let (before, after) = text.split_once("<!-- state ").unwrap_or((&text, ""));
    let after = after.split_once(" -->").map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// No text of a stranger's got into the address of a request.
fn assert_requests_are_plain(story: &Story) {
    for request in story.github.requests() {
        let is_plain = request
            .path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._?&=%~-".contains(c));
        assert!(is_plain, "{}", request.path);
        assert!(!request.path.contains("/../"), "{}", request.path);
    }
}

/// Both documents of an instance.
fn documents(manifest: &str) -> Vec<serde_json::Value> {
    serde_yaml::from_multiple(manifest).unwrap()
}

/// What a deployed branch is called everywhere is that exact text, and it takes effect nowhere.
///
/// Gives back the environment's name, and what the comment says outside of code.
fn assert_is_only_a_name(
    story: &Story,
    outcome: &Outcome,
    branch: &str,
    login: &str,
) -> (String, String) {
    assert_eq!(
        ending(outcome),
        ("create", "deploy-command", "true"),
        "{branch:?}"
    );
    assert_log_is_ours(outcome);
    assert_outputs_are_ours(outcome);
    let output = |name: &str| outcome.outputs[name].as_str();
    let name = output("name").to_owned();
    let is_legal = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    assert!(name.len() <= 40 && name.chars().all(is_legal), "{name}");
    assert_eq!(output("namespace"), name);
    assert_eq!(output("manifest"), Story::path(&name));
    let log = story.repository.log("main");
    assert_eq!(output("commit"), log[0].sha);
    let one_line = |text: &str| text.replace(char::is_control, " ");
    let message = format!(
        "[ci skip] create ephemeral env from {}\n\nPull-request: #{}\nRequested-by: @{}",
        one_line(branch),
        story.number,
        one_line(login)
    );
    assert_eq!(log[0].message, message);

    let documents = documents(&story.instance(&name).unwrap());
    assert_eq!(documents.len(), 2);
    for document in &documents {
        let annotations = &document["metadata"]["annotations"];
        assert_eq!(annotations["flux-ephemeral-env/branch"], *branch);
        assert_eq!(annotations["flux-ephemeral-env/requested-by"], *login);
    }
    let reference = &documents[0]["spec"]["ref"];
    if reference["commit"].is_null() {
        assert_eq!(reference["branch"], *branch);
    }
    assert_eq!(
        documents[1]["spec"]["postBuild"]["substitute"]["BRANCH_NAME"],
        *name
    );

    let comment = story.status_comment();
    assert!(comment.chars().count() <= 65_536);
    let summary = outside_code_and_commits(&outcome.summary);
    let outside = outside_code_and_commits(&comment);
    let told = outside.lines().filter(|line| !line.starts_with("<!-- "));
    for line in told {
        assert!(summary.contains(line), "{line} is not in {summary}");
    }
    (name, outside)
}

#[test]
fn odd_branch_names_are_deployed_each_under_its_own_name_and_take_effect_nowhere() {
    let long = "a/".repeat(90) + "b";
    let (forty, two_hundred) = ("x".repeat(40), "y".repeat(200));
    let branches = [
        // What YAML reads as something else.
        "on",
        "Yes",
        "n",
        "null",
        "true",
        "1e3",
        "34E",
        "14e-",
        "0x1F",
        "0b1",
        "017",
        "1_000",
        "2026-01-01",
        "12-30-45",
        "<<",
        "|-",
        "-->",
        "&anchor",
        "!tag",
        "#1",
        "'",
        "\"",
        "'q'\"d\"",
        // What a shell, a template or a substitution takes for more.
        "$(id)",
        "${IFS}",
        "${BRANCH_NAME}",
        "${{github.token}}",
        "`id`",
        "``",
        "a;id",
        "a&&id",
        "<<EOF",
        // What a log, Markdown or a URL takes for more.
        "a%0Ab",
        "%0A%3A%3Aerror%3A%3Ax",
        "##{error}x",
        "@team",
        "octo-org/@/team",
        "<img>",
        "<img/src=x/onerror=alert(1)>",
        "</details>",
        "<!--",
        "```",
        "https/evil.example",
        // What Git or Flux takes for more.
        "refs/heads/dev",
        "refs/heads/main",
        "-f",
        "--delete",
        // What looks alike.
        "feature/login",
        "feature-login",
        "Feature/Login",
        "FEATURE/login",
        "é",
        "e\u{301}",
        "İ",
        "日本語",
        "😀",
        "a\u{a0}b",
        "a\u{200b}b",
        "a\u{202e}b",
        "a\u{2028}b",
        "\u{feff}a",
        &long,
        &forty,
        &two_hundred,
    ];
    let mut story = Story::new();
    let mut names = BTreeMap::from([("dev".to_owned(), "dev")]);
    let mut told = BTreeSet::new();
    for branch in branches {
        story
            .repository
            .commit(branch, &[("app.txt", Some("other\n"))], "Another change");
        let title = format!("{HOSTILE} {branch}");
        story.number =
            story
                .github
                .open_pull_request_titled(&story.repository, branch, AUTHOR, &title);

        let outcome = done(&story.deploy().env("RUNNER_DEBUG", "1"));

        let (name, outside) = assert_is_only_a_name(&story, &outcome, branch, REVIEWER);
        told.insert(outside);
        let other = names.insert(name, branch);
        assert_eq!(other, None, "{branch} and another one have the same name");
        // The local GitHub has less to follow.
        story.github.close_pull_request(story.number);
    }
    // One text for those that Flux follows, and one for those it cannot.
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(story.instances().len(), branches.len());
    assert_eq!(story.landed().len(), branches.len());
    assert_requests_are_plain(&story);
}

#[test]
fn a_branch_that_git_would_not_take_takes_effect_nowhere_either() {
    let story = Story::new();
    let event = story
        .github
        .pull_request_event(story.number, "opened", AUTHOR);
    for branch in [
        "::error::x",
        "##[error]x",
        "12:30:45",
        "a: b",
        "~",
        "*alias",
        "[a]",
        "?",
        "a b",
        " ",
        "",
        "..",
        "../../x",
        "a\\b",
        "x\r\n::set-output name=decision::y",
        "x\n\nRequested-by: @somebody",
        "\u{1b}[31m",
        "'\n---\nkind: Secret\n",
        "\0",
        HOSTILE,
    ] {
        let mut pull_request = event["pull_request"].clone();
        pull_request["head"]["ref"] = branch.into();
        pull_request["head"]["label"] = format!("octo-org:{branch}").into();
        story.github.clear_faults();
        let told = Fault::on("GET", "/repos/*/pulls/*").always();
        story.github.fault(told.answer(200, pull_request));

        let outcome = done(&story.deploy().env("RUNNER_DEBUG", "1"));

        let (name, outside) = assert_is_only_a_name(&story, &outcome, branch, REVIEWER);
        assert!(
            !outside.contains("error") && !outside.contains('@'),
            "{outside}"
        );
        // It is one and the same pull request, whose branch is called something else each time.
        assert_eq!(story.instances(), [Story::path(&name)]);
        assert_eq!(story.repository.log("main")[0].message.lines().count(), 4);
    }
    assert_requests_are_plain(&story);
}

#[test]
fn an_odd_login_takes_effect_nowhere() {
    let story = Story::new();
    for login in [
        "mallory\n::error::x",
        "`@team`",
        "../../../users/rita",
        "rita/permission?x=",
        "rita%2Fpermission",
        "x%0Ay",
        "<img>",
        "mallory\n\nRequested-by: @rita",
        "on",
        "${IFS}",
        HOSTILE,
    ] {
        let (job, _) = story.commented(login, "/deploy-ephemeral");
        let before = story.repository.tip("main");

        let outcome = done(&job.env("RUNNER_DEBUG", "1"));

        assert_eq!(
            ending(&outcome),
            ("refuse", "not-permitted", "false"),
            "{login}"
        );
        assert_eq!(story.repository.tip("main"), before);
        assert_log_is_ours(&outcome);
        assert_outputs_are_ours(&outcome);
        for text in [story.status_comment(), outcome.summary] {
            let outside = outside_code(&text);
            assert!(
                !outside.contains("error") && !outside.contains('@'),
                "{outside}"
            );
        }

        story.github.set_permission(login, "write");
        done(&story.destroy());
        let (job, _) = story.commented(login, "/deploy-ephemeral");
        let outcome = done(&job.env("RUNNER_DEBUG", "1"));
        assert_is_only_a_name(&story, &outcome, "dev", login);
    }
    assert_requests_are_plain(&story);
}

#[test]
fn an_odd_argument_takes_effect_nowhere() {
    let story = Story::new();
    let long = "`@octocat".repeat(7_000);
    for argument in [
        "::error::x",
        "##[error]x",
        "`@team`",
        "</details>",
        "<!--",
        "a%0A::error::x",
        "\u{1b}[31mred",
        "$(id)",
        "[a](//evil.example)",
        "```",
        "@octo-org/team",
        "\u{202e}x",
        &"0".repeat(39),
        &"g".repeat(40),
        &long,
    ] {
        let (job, _) = story.commented(
            REVIEWER,
            &format!("/deploy-ephemeral {argument}\n{HOSTILE}"),
        );

        let outcome = done(&job.env("RUNNER_DEBUG", "1"));

        assert_eq!(
            ending(&outcome),
            ("refuse", "unknown-argument", "false"),
            "{argument}"
        );
        assert_log_is_ours(&outcome);
        assert_outputs_are_ours(&outcome);
        for text in [story.status_comment(), outcome.summary] {
            let outside = outside_code(&text);
            let our_links = format!("](<{}/", story.github.server_url());
            let outside = outside.replace(&our_links, " ");
            let is_ours =
                !outside.contains("error") && !outside.contains('@') && !outside.contains("](");
            assert!(is_ours, "{outside}");
            assert!(text.chars().count() <= 65_536);
        }
    }
    assert_eq!(story.landed(), []);
    assert_requests_are_plain(&story);
}

/// Nothing of [`HOSTILE`] takes effect in what was told, wherever it was.
fn assert_words_are_only_words(story: &Story, outcome: &Outcome) {
    assert_log_is_ours(outcome);
    assert_outputs_are_ours(outcome);
    for text in story.our_comments().iter().chain([&outcome.summary]) {
        let outside = outside_code(text);
        let is_ours =
            !outside.contains("error::") && !outside.contains('@') && !outside.contains("evil");
        assert!(is_ours, "{outside}");
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
        assert!(text.chars().count() <= 65_536);
    }
}

#[test]
fn what_githubs_api_says_takes_effect_nowhere() {
    let words = json!({ "message": format!("{HOSTILE}{}", "`@octocat`\n".repeat(9_000)) });
    for (method, path, status, reason) in [
        ("GET", "/repos/*/permission", 422, "permission-unknown"),
        ("GET", "/repos/*/pulls/*", 422, "github-failed"),
        ("GET", "/repos/*/pulls/*", 403, "github-refused"),
        ("POST", "/repos/*/issues/*/comments", 403, "deploy-command"),
        ("POST", "/repos/*/issues/*/comments", 422, "deploy-command"),
        ("GET", "/repos/*/issues/*/comments?*", 422, "deploy-command"),
        ("POST", "/repos/*/statuses/*", 422, "deploy-command"),
        ("POST", "/repos/*/reactions", 403, "deploy-command"),
    ] {
        let story = Story::new();
        story.github.fault(
            Fault::on(method, path)
                .always()
                .answer(status, words.clone()),
        );

        let outcome = run(&story.deploy().env("RUNNER_DEBUG", "1"));

        assert_eq!(
            ending(&outcome).1,
            reason,
            "{method} {path} {}",
            outcome.stdout
        );
        assert_words_are_only_words(&story, &outcome);
        assert_eq!(
            story.landed().len(),
            usize::from(reason == "deploy-command")
        );
    }
}

#[test]
fn an_answer_that_is_as_documented_but_for_its_words_takes_effect_nowhere() {
    for (path, answer, reason) in [
        (
            "/repos/*/permission",
            json!({ "permission": HOSTILE }),
            "permission-unknown",
        ),
        (
            "/repos/*/permission",
            json!({ "permission": "write", "role_name": HOSTILE }),
            "deploy-command",
        ),
        (
            "/repos/*/pulls/*",
            json!({ "number": HOSTILE }),
            "github-failed",
        ),
    ] {
        let story = Story::new();
        story
            .github
            .fault(Fault::on("GET", path).always().answer(200, answer));

        let outcome = run(&story.deploy().env("RUNNER_DEBUG", "1"));

        assert_eq!(ending(&outcome).1, reason, "{}", outcome.stdout);
        assert_words_are_only_words(&story, &outcome);
    }
}

/// A server that ends every fetch at once, with its own words
/// ([format](https://git-scm.com/docs/gitprotocol-pack#_pkt_line_format)).
fn instead_of_references(words: &str) -> Fault {
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let service = line("# service=git-upload-pack\n");
    let answer = format!("{service}0000{}", line(&format!("ERR {words}")));
    Fault::on("GET", "/octo-org/demo/info/refs?service=git-upload-pack")
        .always()
        .answer_text(200, &answer)
        .header(
            "content-type",
            "application/x-git-upload-pack-advertisement",
        )
}

#[test]
fn what_a_git_server_says_takes_effect_nowhere() {
    let story = Story::new();
    let words = temporary_directory();
    let file = words.path().join("words");
    fs::write(
        &file,
        format!("{HOSTILE}\n{}", "``` @octocat\n".repeat(3_000)),
    )
    .unwrap();
    let script = format!("#!/bin/sh\ncat {}\nexit 1\n", file.display());
    story.repository.install_hook("pre-receive", &script);

    let (outcome, error) = fail(&story.deploy().env("RUNNER_DEBUG", "1"));

    assert_eq!(ending(&outcome), ("create", "push-rejected", "false"));
    assert!(
        error.contains("%0A::set-output name=decision::x"),
        "{error}"
    );
    assert_words_are_only_words(&story, &outcome);
    assert!(
        story
            .status_comment()
            .contains("::set-output name=decision::x\n")
    );
    assert_eq!(story.landed(), []);

    story.github.fault(instead_of_references(HOSTILE));
    let outcome = run(&story
        .deploy()
        .env("RUNNER_DEBUG", "1")
        .input("push-timeout", "500ms"));
    assert_eq!(outcome.status, 1);
    assert_words_are_only_words(&story, &outcome);
    assert!(
        outcome.stdout.contains("octo-org/team"),
        "{}",
        outcome.stdout
    );
    assert_eq!(story.landed(), []);
}

#[test]
fn strangers_copies_of_our_comment_are_left_alone_and_ours_is_found_among_them() {
    let forged = "<!-- flux-ephemeral-env -->\n<!-- state -->\n### 🚀 Deployed to @mallory\n<!-- /state -->\n";
    let story = Story::new();
    let longest = format!("{forged}{}", "x".repeat(65_536 - forged.chars().count()));
    for body in [forged, &longest] {
        story.github.comment(story.number, "mallory", body);
        // Somebody's login may be what ours is without its suffix.
        story.github.comment(story.number, "github-actions", body);
    }
    for _ in 0..125 {
        story.github.comment(story.number, "mallory", forged);
    }
    succeed(&story.deploy());
    let ours = story.status_comment();
    for _ in 0..125 {
        story.github.comment(story.number, "mallory", &ours);
    }
    let theirs = || {
        let mut comments = story.github.comments(story.number);
        comments.retain(|comment| ["mallory", "github-actions"].contains(&comment.login.as_str()));
        comments
    };
    let before = theirs();

    let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral now");
    succeed(&job);

    let told = story.status_comment();
    assert!(
        told.contains("### 🚫 Refused: ") && told.contains("### 🟡 Flux is bringing "),
        "{told}"
    );
    assert!(!told.contains("mallory"), "{told}");
    assert_eq!(theirs(), before);
    assert_eq!(before.len(), 254);
}

#[test]
fn a_comment_that_leaves_no_room_is_written_all_the_same() {
    let story = Story::new();
    succeed(&story.deploy());
    let ours = || {
        let mut comments = story.github.comments(story.number);
        comments.retain(|comment| comment.login == "github-actions[bot]");
        assert_eq!(comments.len(), 1);
        comments.remove(0)
    };
    // Whoever may write to the repository may edit it.
    let filled = ours()
        .body
        .replace("### 🟡 Flux is bringing ", &"😀".repeat(100_000));
    let end = "\n<!-- /state -->\n";
    let kept: String = filled.chars().take(65_536 - end.len()).collect();
    story
        .github
        .edit_comment(ours().id, &format!("{kept}{end}"));

    let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral now");
    let outcome = succeed(&job);

    assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
    assert!(ours().body.contains("### 🚫 Refused: "));
    assert_eq!(outcome.outputs["comment-url"], ours().url);
}

/// Every form in which somebody could read a token.
fn forms(token: &str) -> Vec<String> {
    let basic = local_github::basic(token);
    let escaped = format!("{token:?}");
    vec![
        token.to_owned(),
        escaped.trim_matches('"').to_owned(),
        basic.trim_end_matches('=').to_owned(),
    ]
}

fn assert_holds_no_secret(text: &str, secrets: &[String], place: &str) {
    for secret in secrets {
        assert!(!text.contains(secret), "{place} holds the token: {text}");
    }
}

/// Everything that a run leaves behind for somebody to read.
fn assert_told_no_secret(story: &Story, outcome: &Outcome, secrets: &[String]) {
    let told = [
        outcome.stdout.clone(),
        outcome.stderr.clone(),
        outcome.summary.clone(),
        format!("{:?}", outcome.outputs),
    ];
    let said = story
        .github
        .comments(story.number)
        .into_iter()
        .map(|comment| comment.body);
    let statuses = format!("{:?}", story.github.statuses(&story.head()));
    let asked = story
        .github
        .requests()
        .into_iter()
        .map(|request| format!("{} {:?}", request.path, request.body));
    let files = story.repository.files("main", "");
    let held = files
        .iter()
        .filter_map(|file| story.repository.read("main", file));
    let log = story
        .repository
        .log("main")
        .into_iter()
        .map(|commit| format!("{commit:?}"));
    for text in told
        .into_iter()
        .chain(said)
        .chain([statuses])
        .chain(asked)
        .chain(held)
        .chain(log)
    {
        assert_holds_no_secret(&text, secrets, "what was told");
    }
}

/// The text of every file below a directory, as far as it is text.
fn texts_below(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        // Files come and go while the run goes on.
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                texts.push((path, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    texts
}

/// The command lines of a process and of all its children.
fn command_lines(pid: u32) -> Vec<String> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let mut lines = vec![fs::read_to_string(process.join("cmdline")).unwrap_or_default()];
    for task in fs::read_dir(process.join("task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|child| child.parse().ok());
        lines.extend(children.flat_map(command_lines));
    }
    lines
}

#[test]
fn the_token_is_in_no_file_and_no_command_line_while_the_action_pushes() {
    if needs_the_executable(
        "it looks at the process, and `docker run` has the token on its command line",
    ) {
        return;
    }
    let story = Story::waiting();
    let secrets = forms(&story.github.token());
    let push = "/octo-org/demo/git-receive-pack";
    story.github.fault(Fault::on("POST", push).hang());
    let places = temporary_directory();
    let place = |name: &str| {
        let path = places.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let (workspace, temporary) = (place("workspace"), place("tmp"));
    story.repository.checkout(&workspace, &[]);
    let mut job = story
        .deploy()
        .workspace(&workspace)
        .temporary(&temporary)
        .env("RUNNER_DEBUG", "1")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1");
    for (variable, name) in [("HOME", "home"), ("RUNNER_TEMP", "runner_temp")] {
        job = job.env(variable, place(name).to_str().unwrap());
    }
    let running = start(&job);
    story.await_request("POST /git-receive-pack", &running);

    let lines = command_lines(running.pid());
    let texts = texts_below(places.path());
    running.signal("TERM");
    let outcome = running.wait();

    assert!(lines[0].contains("flux-ephemeral-env"), "{lines:?}");
    for line in lines {
        assert_holds_no_secret(&line, &secrets, "a command line");
    }
    // The commit is being pushed from there.
    assert!(texts.iter().any(|(path, _)| path.starts_with(&temporary)));
    for (path, text) in texts.into_iter().chain(texts_below(places.path())) {
        assert_holds_no_secret(&text, &secrets, &path.display().to_string());
    }
    assert_eq!(ending(&outcome), ("create", "interrupted", "false"));
    assert_told_no_secret(&story, &outcome, &secrets);
    assert_eq!(story.landed(), []);
}

#[test]
fn a_token_of_odd_characters_that_servers_echo_is_told_to_nobody() {
    let token = "gh.*+?(x)|[a]`\"\\q$1'<b>%0A::error::_-~^";
    let secrets = forms(token);
    let story = Story::new();
    story.github.add_personal_token(token, "deployer");
    story.github.set_permission("deployer", "write");
    // Right where words are cut off, too.
    let echo = |room: usize| {
        format!(
            "{} {} {}",
            "x".repeat(room),
            secrets.join(" "),
            local_github::basic(token)
        )
    };
    let words = temporary_directory();
    let file = words.path().join("words");
    story.repository.install_hook(
        "pre-receive",
        &format!("#!/bin/sh\ncat {}\nexit 1\n", file.display()),
    );
    let deploy = || {
        story
            .deploy()
            .input("token", token)
            .env("RUNNER_DEBUG", "1")
            .env("RUST_LOG", "trace")
    };
    for room in [0, 3_960, 3_985] {
        fs::write(&file, format!("{}\n", echo(room))).unwrap();
        let (outcome, error) = fail(&deploy());
        assert_eq!(ending(&outcome).1, "push-rejected");
        assert!(error.contains("***"), "{error}");
        assert_told_no_secret(&story, &outcome, &secrets);
        assert_no_piece(&story, token);
    }
    for room in [3_875, 3_883, 3_890] {
        let words = json!({ "message": echo(room) });
        let permission = Fault::on("GET", "/repos/*/permission");
        story.github.fault(permission.answer(422, words));
        let outcome = run(&deploy());
        assert_eq!(ending(&outcome).1, "permission-unknown");
        assert_told_no_secret(&story, &outcome, &secrets);
        assert_no_piece(&story, token);
    }
    for (path, answer) in [
        ("/repos/*/permission", json!({ "permission": echo(0) })),
        (
            "/repos/*/permission",
            json!({ "permission": 1, "role_name": echo(0) }),
        ),
        ("/repos/*/pulls/*", json!({ "number": echo(0) })),
    ] {
        story.github.clear_faults();
        story
            .github
            .fault(Fault::on("GET", path).always().answer(200, answer));
        let outcome = run(&deploy());
        assert_told_no_secret(&story, &outcome, &secrets);
    }
    story.github.clear_faults();
    for room in [0, 3_900, 3_925] {
        story.github.fault(instead_of_references(&echo(room)));
        let outcome = run(&deploy().input("push-timeout", "250ms"));
        assert_told_no_secret(&story, &outcome, &secrets);
        assert_no_piece(&story, token);
        story.github.clear_faults();
    }
    assert_eq!(story.landed(), []);
}

/// Not even the beginning of the token was told.
fn assert_no_piece(story: &Story, token: &str) {
    let piece = &token[..10];
    for comment in story.github.comments(story.number) {
        assert!(!comment.body.contains(piece), "{}", comment.body);
    }
}
