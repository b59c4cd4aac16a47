//! README, `action.yml`, the pages in `docs` and the code say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use flux_ephemeral_env::{INPUTS, OUTPUTS};
use serde::Deserialize;
use serde_json::Value;

use crate::act::read;

const README: &str = "README.md";
const INPUTS_PAGE: &str = "docs/inputs.md";
const SET_UP: &str = "docs/set-up.md";
const SECURITY: &str = "docs/security.md";
const TROUBLESHOOTING: &str = "docs/troubleshooting.md";
const WEBHOOK: &str = "docs/webhook.md";
const READINESS: &str = "docs/readiness.md";

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

/// Every page that is written for people.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(format!("{}/docs", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let docs = docs
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"));
    let others = [
        README,
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        ".github/PULL_REQUEST_TEMPLATE.md",
    ];
    others.map(str::to_owned).into_iter().chain(docs).collect()
}

/// The blocks of YAML on a page, without the indentation of the list that they stand in.
pub(crate) fn yaml_blocks(page: &str) -> Vec<String> {
    let text = read(page);
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let fence = line.trim_start_matches([' ', '>']);
        if fence != "```yaml" {
            continue;
        }
        let indent = line.len() - fence.len();
        let block = lines.by_ref().take_while(|line| !line.ends_with("```"));
        let block: Vec<&str> = block.map(|line| line.get(indent..).unwrap_or("")).collect();
        blocks.push(block.join("\n") + "\n");
    }
    blocks
}

/// The inputs that a workflow on a page gives to this action.
fn given_inputs(yaml: &Value, into: &mut Vec<String>) {
    match yaml {
        Value::Object(map) => {
            let is_ours = match map.get("uses") {
                Some(uses) => uses
                    .as_str()
                    .is_some_and(|uses| uses.contains("flux-ephemeral-env") || uses == "./"),
                None => map.len() == 1,
            };
            if let Some(Value::Object(with)) = map.get("with").filter(|_| is_ours) {
                into.extend(with.keys().cloned());
            }
            map.values().for_each(|value| given_inputs(value, into));
        }
        Value::Array(list) => list.iter().for_each(|value| given_inputs(value, into)),
        _ => {}
    }
}

/// Every reason that the code may give.
fn reasons() -> Vec<String> {
    let places = [
        ("decide/triage", "NoOp"),
        ("decide/triage", "Request"),
        ("decide/refusal", "Refusal"),
        ("model/failure", "Failure"),
        ("model/readiness", "Readiness"),
    ];
    let coded = places
        .into_iter()
        .flat_map(|(file, kind)| codes(file, kind));
    // What a label asks for is known later than the event.
    let others = [
        "label-added",
        "label-removed",
        "schedule",
        "workflow-dispatch",
    ];
    let others = others.map(str::to_owned);
    coded
        .filter(|code| code != "label-changed")
        .chain(others)
        .collect()
}

#[test]
fn every_yaml_on_a_page_can_be_read_and_gives_inputs_that_exist() {
    let mut count = 0;
    let mut given = Vec::new();
    for page in pages() {
        for block in yaml_blocks(&page) {
            let documents = serde_yaml::from_multiple::<Value>(&block);
            let documents = documents.unwrap_or_else(|error| panic!("{page}: {error}\n{block}"));
            count += 1;
            for document in &documents {
                given_inputs(document, &mut given);
            }
        }
    }
    assert!(count > 10, "{count}");
    assert!(given.contains(&"label".to_owned()), "{given:?}");
    for input in given {
        assert!(INPUTS.iter().any(|(name, _)| *name == input), "{input}");
    }
}

/// What stands in backticks behind a word, on any page: "the input `ttl`".
fn named(word: &str) -> Vec<(String, String)> {
    let start = format!(" {word} `");
    let mut named = Vec::new();
    for page in pages() {
        let text = unwrapped(&read(&page));
        let starts = text.split(&start).skip(1);
        let names = starts.map(|rest| rest.split('`').next().unwrap().to_owned());
        named.extend(names.map(|name| (page.clone(), name)));
    }
    named
}

#[test]
fn no_page_names_an_input_an_output_or_a_reason_that_does_not_exist() {
    let inputs = INPUTS.map(|(name, _)| name.to_owned()).to_vec();
    let outputs = OUTPUTS.map(str::to_owned).to_vec();
    for (word, known) in [("input", inputs), ("output", outputs)] {
        let named = named(word);
        assert!(!named.is_empty(), "{word}");
        for (page, name) in named {
            // An input may be named with its value.
            let name = name.split(':').next().unwrap();
            assert!(
                known.iter().any(|known| known == name),
                "{page}: {word} {name}"
            );
        }
    }
    let listed = table(INPUTS_PAGE, "Reasons");
    let listed = listed
        .iter()
        .flat_map(|cells| cells[1].split('`').skip(1).step_by(2));
    for reason in listed {
        assert!(reasons().iter().any(|known| known == reason), "{reason}");
    }
}

#[test]
fn the_readme_is_read_in_a_few_minutes() {
    let words = read(README).split_whitespace().count();
    assert!(words <= 900, "{words} words");
}

/// Text without its line breaks.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
fn the_inputs_page_lists_the_codes_inputs_with_their_defaults() {
    let listed: Vec<(String, String)> = table(INPUTS_PAGE, "Inputs")
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
fn the_troubleshooting_page_lists_every_refusal() {
    assert_eq!(
        sorted(first_column(TROUBLESHOOTING, "What is refused")),
        sorted(codes("decide/refusal", "Refusal"))
    );
}

#[test]
fn the_inputs_page_lists_every_reason() {
    let page = read(INPUTS_PAGE);
    for reason in reasons() {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn the_inputs_page_lists_the_codes_outputs() {
    assert_eq!(first_column(INPUTS_PAGE, "Outputs"), OUTPUTS);
}

#[test]
fn the_webhook_page_shows_the_receiver_that_is_shipped() {
    let page = read(WEBHOOK);
    let shown = page.split("```yaml\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    let shipped = read("k8s/webhook/receiver.yaml");
    assert!(shipped.ends_with(shown), "{shown}");
}

#[test]
fn the_readiness_page_shows_the_provider_that_is_shipped() {
    let shown = yaml_blocks(READINESS).remove(0);
    let shipped = read("k8s/report/provider.yaml");
    assert!(shipped.ends_with(&shown), "{shown}");
}

#[test]
fn the_set_up_page_shows_the_flags_that_are_shipped() {
    let section = section(SET_UP, "Flags of Flux");
    let shown = section.split("```yaml\n").nth(1).unwrap();
    let (_, shown) = shown.split("```").next().unwrap().split_once('\n').unwrap();
    let shipped = read("k8s/kustomization.yaml");
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
    let is_led_to = |page: &&String| *page != README && !page.starts_with('.');
    for page in pages().iter().filter(is_led_to) {
        assert!(readme.contains(&format!("({page}")), "{page}");
    }
}

#[test]
fn the_set_up_and_the_stories_bootstrap_the_components_that_the_task_does() {
    let taskfile = read("Taskfile.yml");
    let components = taskfile
        .lines()
        .find_map(|line| line.strip_prefix("  COMPONENTS: "));
    let flag = format!("--components={}", components.unwrap());
    for file in [SET_UP, "tests/cluster/cluster.rs"] {
        assert!(read(file).contains(&flag), "{file}: {flag}");
    }
}

/// The reasons that a section of the page explains, each below a heading of its own.
fn explained(heading: &str) -> Vec<String> {
    let section = section(TROUBLESHOOTING, heading);
    let headings = section.lines().filter_map(|line| line.strip_prefix("### "));
    headings.map(str::to_owned).collect()
}

#[test]
fn the_troubleshooting_page_explains_every_refusal_and_failure() {
    assert_eq!(
        sorted(explained("What is refused")),
        sorted(codes("decide/refusal", "Refusal"))
    );
    assert_eq!(
        sorted(explained("What fails")),
        sorted(codes("model/failure", "Failure"))
    );
    assert_eq!(
        explained("What Flux says"),
        ["flux-failed", "not-ready-in-time"]
    );
}

#[test]
fn the_troubleshooting_page_lists_why_nothing_happened() {
    assert_eq!(
        sorted(first_column(TROUBLESHOOTING, "When nothing happens")),
        sorted(codes("decide/triage", "NoOp"))
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
        ("message/warning", "only Git itself can write "),
        (
            "message/warning",
            "all of it stays at its old commit until a later ",
        ),
        (
            "message/warning",
            "kept the environments of these pull requests, because GitHub did not say whether they are closed: ",
        ),
        ("message/warning", "which is not a valid RFC 3339 timestamp"),
        (
            "message/warning",
            " before these pull requests were notified: ",
        ),
        ("message/warning", "the run was cancelled"),
        ("message/warning", "the push timed out"),
        ("message/warning", "GitHub stopped answering"),
        (
            "message/warning",
            "the commit status was not updated for these pull requests: ",
        ),
        (
            "run/request",
            "the run was cancelled before the pull request was notified",
        ),
        (
            "run/request",
            "could not check whether the pull request is still open",
        ),
        ("report", "make sure that a Flux Kustomization applies it"),
        (
            "run/notify",
            "the commit status could not be corrected: no answer",
        ),
        ("message/warning", "could not be written; add `"),
        ("message/warning", "could not be written: "),
        ("runner", "writing the job summary to GITHUB_STEP_SUMMARY"),
    ] {
        assert!(warnings.contains(words), "{words}");
        assert!(read(&format!("src/{file}.rs")).contains(words), "{words}");
    }
}

/// Every Rust file below a directory.
fn sources(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(end) if end == "rs" => vec![fs::read_to_string(path).unwrap()],
            _ => Vec::new(),
        })
        .collect()
}

/// The functions that `cargo test` runs by their names.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    let directories = ["tests/action", "tests/load", "src"];
    for source in directories.map(|path| sources(&root.join(path))).concat() {
        let mut is_test = false;
        for line in source.lines().map(str::trim) {
            is_test |= line == "#[test]";
            if let Some(function) = line.strip_prefix("fn ").filter(|_| is_test) {
                tests.insert(function.split('(').next().unwrap().to_owned());
            }
            is_test &= line.starts_with("#[") || line.starts_with("//");
        }
    }
    // The stories on a cluster are in lists in place of having an attribute.
    let cluster = read("tests/cluster/main.rs");
    for list in cluster.split("stories![").skip(1) {
        let stories = list.split(']').next().unwrap().split(',');
        let names = stories.filter_map(|story| story.split_once("::"));
        tests.extend(names.map(|(_, name)| name.trim().to_owned()));
    }
    tests
}

fn is_story(name: &str) -> bool {
    let is_word = |c| matches!(c, 'a'..='z' | '0'..='9' | '_');
    name.matches('_').count() > 2 && name.chars().all(is_word)
}

#[test]
fn every_test_that_a_page_names_can_be_run_by_its_name() {
    let tests = tests();
    for page in pages() {
        let text = read(&page);
        let names = text.split('`').filter(|name| is_story(name));
        let missing: Vec<&str> = names.filter(|name| !tests.contains(*name)).collect();
        assert_eq!(missing, [] as [&str; 0], "{page}");
    }
}

#[test]
fn every_threat_on_the_security_page_has_stories() {
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
