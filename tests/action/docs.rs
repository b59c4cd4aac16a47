//! README, `action.yml`, the pages in `docs` and the code say the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use chrono::DateTime;
use flux_ephemeral_env::command::{Problem, Sha, UsageError};
use flux_ephemeral_env::comment::{self, Context, Message};
use flux_ephemeral_env::config::{Config, INPUTS, Permission};
use flux_ephemeral_env::decide::Refusal;
use flux_ephemeral_env::failure::Failure;
use flux_ephemeral_env::manifest::Owner;
use flux_ephemeral_env::report::OUTPUTS;
use flux_ephemeral_env::untold;
use serde::Deserialize;

const README: &str = "README.md";
const SECURITY: &str = "docs/security.md";
const TROUBLESHOOTING: &str = "docs/troubleshooting.md";
const WEBHOOK: &str = "docs/webhook.md";

#[derive(Deserialize)]
struct Action {
    inputs: BTreeMap<String, Input>,
    outputs: BTreeMap<String, Output>,
}

#[derive(Deserialize)]
struct Input {
    description: String,
    default: String,
}

#[derive(Deserialize)]
struct Output {
    description: String,
}

fn read(path: &str) -> String {
    // An absolute path stays one.
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn action() -> Action {
    serde_yaml::from_str(&read("action.yml")).unwrap()
}

/// What a page says below a heading of the second level.
fn section(page: &str, heading: &str) -> String {
    let text = read(page);
    let (_, section) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("{page} has no section {heading}"));
    section.split("\n## ").next().unwrap().to_owned()
}

fn cells(row: &str) -> Vec<String> {
    let cells = row.trim_matches('|').split('|');
    cells.map(|cell| cell.trim().to_owned()).collect()
}

/// The rows of a page's first table below a heading.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    section(page, heading)
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

/// The codes in the first column of such a table.
fn first_column(page: &str, heading: &str) -> Vec<String> {
    let rows = table(page, heading).into_iter();
    rows.map(|cells| cells[0].trim_matches('`').to_owned())
        .collect()
}

/// What the `code()` of a type in `src` may say.
fn codes(file: &str, kind: &str) -> Vec<String> {
    let code = read(&format!("src/{file}.rs"));
    let (_, code) = code.split_once(&format!("impl {kind} {{")).unwrap();
    let (_, code) = code.split_once("fn code(").unwrap();
    let code = code.split("\n    }\n").next().unwrap();
    let codes = code.split('"').skip(1).step_by(2);
    codes.map(str::to_owned).collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

/// The headings of a page, whatever their level.
fn headings(page: &str) -> Vec<String> {
    let mut is_code = false;
    read(page)
        .lines()
        .filter(|line| {
            is_code ^= line.trim_start_matches([' ', '>']).starts_with("```");
            !is_code && line.starts_with('#')
        })
        .map(|line| line.trim_start_matches('#').trim().to_owned())
        .collect()
}

/// Text without its line breaks.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every page that is written for people.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(format!("{}/docs", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    std::iter::once(README.to_owned()).chain(docs).collect()
}

#[test]
fn action_yml_declares_the_codes_inputs_with_their_defaults() {
    let declared: BTreeMap<String, String> = action()
        .inputs
        .into_iter()
        .map(|(name, input)| (name, input.default))
        .collect();
    let code: BTreeMap<String, String> = INPUTS
        .iter()
        .map(|(name, default)| ((*name).to_owned(), (*default).to_owned()))
        .collect();
    assert_eq!(declared, code);
}

#[test]
fn action_yml_declares_the_codes_outputs() {
    let action = action();
    let declared: Vec<&str> = action.outputs.keys().map(String::as_str).collect();
    let mut code = OUTPUTS;
    code.sort_unstable();
    assert_eq!(declared, code);
}

#[test]
fn every_input_and_output_is_described() {
    let action = action();
    let inputs = action.inputs.values().map(|input| &input.description);
    for description in inputs.chain(action.outputs.values().map(|output| &output.description)) {
        assert!(description.ends_with('.'), "{description}");
    }
}

#[test]
fn the_readme_lists_the_codes_inputs_with_their_defaults() {
    let listed: Vec<(String, String)> = table(README, "Inputs")
        .into_iter()
        .map(|cells| {
            (
                cells[0].trim_matches('`').to_owned(),
                cells[1].trim_matches('`').to_owned(),
            )
        })
        .collect();
    let code: Vec<(String, String)> = INPUTS
        .iter()
        .map(|(name, default)| ((*name).to_owned(), (*default).to_owned()))
        .collect();
    assert_eq!(listed, code);
}

#[test]
fn the_readme_lists_every_refusal() {
    assert_eq!(
        sorted(first_column(README, "What is refused")),
        sorted(codes("decide", "Refusal"))
    );
}

#[test]
fn the_readme_lists_every_reason() {
    let readme = read(README);
    for (file, kind) in [
        ("decide", "NoOp"),
        ("decide", "Request"),
        ("failure", "Failure"),
    ] {
        for reason in codes(file, kind) {
            assert!(readme.contains(&format!("`{reason}`")), "{reason}");
        }
    }
}

#[test]
fn the_readme_lists_the_codes_outputs() {
    assert_eq!(first_column(README, "Outputs"), OUTPUTS);
}

#[test]
fn the_webhook_page_shows_the_receiver_that_is_shipped() {
    let page = read(WEBHOOK);
    let shown = page.split("```yaml\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    let shipped = read("k8s/webhook/receiver.yaml");
    assert!(shipped.ends_with(shown), "{shown}");
}

/// The end of a link to a heading
/// ([docs](https://docs.github.com/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax#section-links)).
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let kept = heading.chars().filter(kept).collect::<String>();
    kept.to_lowercase().replace(' ', "-")
}

#[test]
fn every_page_leads_to_files_and_headings_that_exist() {
    for page in pages() {
        let text = read(&page);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join(&page);
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{page}: {link}");
            if !heading.is_empty() {
                let headings = headings(target.to_str().unwrap());
                let is_there = headings.iter().any(|there| anchor(there) == heading);
                assert!(is_there, "{page}: {link}");
            }
        }
    }
}

#[test]
fn the_readme_leads_to_every_page() {
    let readme = read(README);
    for page in pages().iter().filter(|page| *page != README) {
        assert!(readme.contains(&format!("({page}")), "{page}");
    }
}

#[test]
fn the_readme_and_the_stories_bootstrap_the_components_that_the_task_does() {
    let taskfile = read("Taskfile.yml");
    let components = taskfile
        .lines()
        .find_map(|line| line.strip_prefix("  COMPONENTS: "));
    let flag = format!("--components={}", components.unwrap());
    for file in [README, "tests/cluster/cluster.rs"] {
        assert!(read(file).contains(&flag), "{file}: {flag}");
    }
}

fn sha(text: &str) -> Sha {
    Sha::parse(text).unwrap()
}

/// The run of which the page quotes every end.
fn context() -> Context {
    Context {
        pull_request: 7,
        head: None,
        is_open: true,
        target_branch: "main".to_owned(),
        run_url: "https://github.com/octo-org/demo/actions/runs/42".to_owned(),
        help_url: "https://github.com/octo-org/flux-ephemeral-env/blob/v1/docs/troubleshooting.md"
            .to_owned(),
        deploy_command: "/deploy-ephemeral".to_owned(),
        destroy_command: "/destroy-ephemeral".to_owned(),
        label: None,
        now: DateTime::UNIX_EPOCH,
    }
}

const INSTANCE: &str = "k8s/app/overlays/ephemeral-instances/sync-dev.yaml";

fn refusals() -> Vec<Refusal> {
    let owner = Owner {
        repository: "octo-org/demo".to_owned(),
        pull_request: 12,
    };
    let usage = |argument: &str, problem| {
        Refusal::Usage(UsageError {
            usage: "/deploy-ephemeral [40-digit commit SHA] [ttl=72h or ttl=never]".to_owned(),
            argument: argument.to_owned(),
            problem,
        })
    };
    let head = sha("9be05d1a6f3c4b7e8d2a1c0f5e6b7a8d9c0e1f2a");
    let answer = "GET https://api.github.com/repos/octo-org/demo/collaborators/rita/permission: 502: Server Error";
    vec![
        Refusal::NotPermitted {
            login: "sam".to_owned(),
            has: Permission::Read,
            needs: Permission::Write,
        },
        Refusal::PermissionUnknown {
            login: "rita".to_owned(),
            needs: Permission::Write,
            answer: answer.to_owned(),
        },
        usage("now", Problem::Unknown),
        usage("ttl=2h", Problem::Twice),
        usage("ttl=soon", Problem::NoLifetime),
        Refusal::LimitReached {
            most: 2,
            instances: vec![("feature-x".to_owned(), 3), ("dev".to_owned(), 5)],
        },
        Refusal::Closed,
        Refusal::Fork,
        Refusal::HeadDeleted,
        Refusal::ForkUrl {
            url: "ssh://git@git.example.com/mallory/demo.git".to_owned(),
        },
        Refusal::BranchMoved {
            wanted: sha("3f14a9c2b8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3"),
            head: head.clone(),
        },
        Refusal::PushedSince { head },
        Refusal::ProtectedNamespace {
            namespace: "kube-system".to_owned(),
            pattern: "kube-*".to_owned(),
        },
        Refusal::ClaimedNamespace {
            namespace: "app".to_owned(),
            path: "k8s/app/overlays/main/kustomization.yaml".to_owned(),
        },
        Refusal::NamespaceTaken {
            namespace: "pr-dev".to_owned(),
            owner: owner.clone(),
        },
        Refusal::OwnedByAnother {
            path: INSTANCE.to_owned(),
            owner,
        },
        Refusal::NotOurs {
            path: INSTANCE.to_owned(),
        },
    ]
}

fn failures() -> Vec<Failure> {
    let rejected = "protected branch hook declined\n\
                    error: GH006: Protected branch update failed for refs/heads/main.\n\
                    error: Changes must be made through a pull request.";
    let missing = "https://github.com/octo-org/demo has no branch `production`: \
                   set the input `branch` to the one Flux watches";
    let pushing = |status: u16| {
        format!(
            "pushing to https://github.com/octo-org/demo: unexpected http status code: {status}"
        )
    };
    let asking =
        |words: &str| format!("GET https://api.github.com/repos/octo-org/demo/pulls/7: {words}");
    let full = "making a temporary directory: No space left on device (os error 28) \
                at path \"/tmp/flux-ephemeral-env-3xVQ0a\"";
    vec![
        Failure::Rejected(rejected.to_owned()),
        Failure::Forbidden(pushing(403)),
        Failure::BranchMissing(missing.to_owned()),
        Failure::TimedOut(Duration::from_secs(60), pushing(503)),
        Failure::Interrupted,
        Failure::GitHubRefused(asking("403: Resource not accessible by integration")),
        Failure::GitHub(anyhow!(asking("no answer within 15 s"))),
        Failure::Broken(anyhow!(full)),
    ]
}

/// A section has each of these codes for a heading, once, and below it the words of the comment.
fn assert_told(heading: &str, told: Vec<(&str, Message)>, codes: Vec<String>) {
    let section = section(TROUBLESHOOTING, heading);
    let parts = section.split("\n### ").skip(1);
    let quoted: BTreeMap<&str, String> = parts
        .map(|part| {
            let (code, text) = part.split_once("\n\n").unwrap();
            let quote = text.lines().map_while(|line| line.strip_prefix('>'));
            (code, unwrapped(&quote.collect::<Vec<_>>().join("\n")))
        })
        .collect();
    let listed = section.matches("\n### ").count();
    assert_eq!(listed, quoted.len(), "a heading stands twice");
    let codes = sorted(codes);
    let headings: Vec<&str> = quoted.keys().copied().collect();
    assert_eq!(headings, codes);
    let told: BTreeMap<&str, String> = told
        .iter()
        .map(|(code, message)| {
            let words = message.text().split("\n\n**What to do:** ").next().unwrap();
            let (_title, words) = words.split_once("\n\n").unwrap();
            (*code, unwrapped(words))
        })
        .collect();
    assert_eq!(quoted, told);
}

#[test]
fn the_troubleshooting_page_has_a_heading_for_every_refusal_and_the_comments_words() {
    let refusals = refusals();
    let told = refusals.iter();
    let told = told.map(|refusal| (refusal.code(), comment::refused(&context(), refusal)));
    assert_told(
        "What is refused",
        told.collect(),
        codes("decide", "Refusal"),
    );
}

#[test]
fn the_troubleshooting_page_has_a_heading_for_every_failure_and_the_comments_words() {
    let failures = failures();
    let told = failures.iter();
    let told = told.map(|failure| (failure.code(), comment::failed(&context(), failure)));
    assert_told("What fails", told.collect(), codes("failure", "Failure"));
}

#[test]
fn the_troubleshooting_page_lists_why_nothing_happened() {
    assert_eq!(
        sorted(first_column(TROUBLESHOOTING, "When nothing happens")),
        sorted(codes("decide", "NoOp"))
    );
}

#[test]
fn the_troubleshooting_page_quotes_the_warnings() {
    let warnings = section(TROUBLESHOOTING, "Warnings");
    for (file, words) in [
        (
            "publish",
            "the change is pushed, but the checkout could not follow it: ",
        ),
        (
            "comment",
            "the environments of these pull requests stay, for GitHub did not say what became of them: ",
        ),
        ("comment", "which is no time as RFC 3339 writes it"),
        ("comment", " before these pull requests were told: "),
        ("comment", "the run was cancelled"),
        ("comment", "the push was given up"),
        ("comment", "GitHub was given up"),
        (
            "comment",
            "the commit status was not set any more for these pull requests: ",
        ),
        (
            "lib",
            "the run was cancelled before the pull request was told",
        ),
        (
            "lib",
            "whether the pull request is still open could not be seen",
        ),
        ("report", "make sure that a Flux Kustomization applies it"),
        (
            "tell",
            "the commit status could not be corrected: no answer",
        ),
        ("untold", "could not be written; add `"),
        ("untold", "could not be written: "),
        ("workflow", "writing the job summary to GITHUB_STEP_SUMMARY"),
    ] {
        assert!(warnings.contains(words), "{words}");
        assert!(read(&format!("src/{file}.rs")).contains(words), "{words}");
    }
    for (what, permission) in [untold::COMMENT, untold::REACTION, untold::STATUS] {
        for words in [what, permission] {
            assert!(warnings.contains(words), "{words}");
        }
    }
}

#[test]
fn the_troubleshooting_page_quotes_the_error_for_a_bad_input() {
    let variables = [
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "octo-org/demo"),
        ("INPUT_TOKEN", "ghs_token"),
        ("INPUT_INTERVAL", "5"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let error = Config::from_env(variables.into_iter()).unwrap_err();
    let section = section(TROUBLESHOOTING, "Before anything is asked");
    let line = format!("\n::error title=flux-ephemeral-env::{error}\n");
    assert!(section.contains(&line), "{line}");
}

/// Every Rust file below a directory, as one text.
fn sources(directory: PathBuf) -> String {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "rs"))
        .map(|entry| fs::read_to_string(entry.path()).unwrap())
        .collect()
}

#[test]
fn every_threat_on_the_security_page_has_stories_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code: String = ["tests/action", "tests/cluster", "tests/load", "src"]
        .into_iter()
        .map(|directory| sources(root.join(directory)))
        .collect();
    let is_story = |name: &str| {
        name.matches('_').count() > 2
            && name
                .chars()
                .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
    };
    let page = read(SECURITY);
    let names = page.split('`').filter(|name| is_story(name));
    let missing: Vec<&str> = names
        .filter(|name| !code.contains(&format!("fn {name}(")))
        .collect();
    assert_eq!(missing, [] as [&str; 0]);

    let strangers = section(SECURITY, "What strangers may do to the action");
    let rows: Vec<Vec<String>> = strangers
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
        .map(cells)
        .filter(|cells| cells[0] != "threat")
        .collect();
    assert!(rows.len() > 50, "{} threats", rows.len());
    for cells in rows {
        assert_eq!(cells.len(), 3, "{cells:?}");
        assert!(cells[2].split('`').any(is_story), "{cells:?}");
    }
}
