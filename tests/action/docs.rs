//! README, `action.yml` and the code list the same inputs and outputs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flux_ephemeral_env::config::INPUTS;
use flux_ephemeral_env::report::OUTPUTS;
use serde::Deserialize;

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
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn action() -> Action {
    serde_yaml::from_str(&read("action.yml")).unwrap()
}

/// The rows of the README's table below a heading: the first cell's code, and the cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let readme = read("README.md");
    let section = readme
        .split(&format!("\n## {heading}\n"))
        .nth(1)
        .unwrap_or_else(|| panic!("no section {heading}"));
    section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| {
            row.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
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
    let listed: Vec<(String, String)> = table("Inputs")
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
    let listed: Vec<String> = table("What is refused")
        .into_iter()
        .map(|cells| cells[0].trim_matches('`').to_owned())
        .collect();
    let code = read("src/decide.rs");
    let codes = code
        .split("impl Refusal {")
        .nth(1)
        .unwrap()
        .split("\n}\n")
        .next()
        .unwrap();
    let mut codes: Vec<&str> = codes.split('"').skip(1).step_by(2).collect();
    codes.sort_unstable();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, codes);
}

#[test]
fn the_readme_lists_every_reason() {
    let readme = read("README.md");
    for (file, kind) in [
        ("decide", "NoOp"),
        ("decide", "Request"),
        ("failure", "Failure"),
    ] {
        let code = read(&format!("src/{file}.rs"));
        let codes = code.split(&format!("impl {kind} {{")).nth(1).unwrap();
        let codes = codes.split("fn code(").nth(1).unwrap();
        let codes = codes.split("\n    }\n").next().unwrap();
        for reason in codes.split('"').skip(1).step_by(2) {
            assert!(readme.contains(&format!("`{reason}`")), "{reason}");
        }
    }
}

#[test]
fn the_readme_lists_the_codes_outputs() {
    let listed: Vec<String> = table("Outputs")
        .into_iter()
        .map(|cells| cells[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(listed, OUTPUTS);
}

#[test]
fn the_webhook_page_shows_the_receiver_that_is_shipped() {
    let page = read("docs/webhook.md");
    let shown = page.split("```yaml\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    let shipped = read("k8s/webhook/receiver.yaml");
    assert!(shipped.ends_with(shown), "{shown}");
}

#[test]
fn every_page_leads_to_files_that_exist() {
    for page in ["README.md", "docs/security.md", "docs/webhook.md"] {
        let text = read(page);
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let directory = directory.parent().unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if !target.is_empty() && !target.starts_with("https://") {
                assert!(directory.join(target).exists(), "{page}: {target}");
            }
        }
    }
}

#[test]
fn the_readme_and_the_stories_bootstrap_the_components_that_the_task_does() {
    let taskfile = read("Taskfile.yml");
    let components = taskfile
        .lines()
        .find_map(|line| line.strip_prefix("  COMPONENTS: "));
    let flag = format!("--components={}", components.unwrap());
    for file in ["README.md", "tests/cluster/cluster.rs"] {
        assert!(read(file).contains(&flag), "{file}: {flag}");
    }
}
