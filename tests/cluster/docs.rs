//! What the docs show, so that a story tries it to the letter.

use std::fs;

/// The YAML blocks of a page below a heading, up to the next heading of the same kind or a larger one.
pub(crate) fn blocks(page: &str, heading: &str) -> Vec<String> {
    let page = format!("{}/docs/{page}.md", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap();
    let level = heading.split(' ').next().unwrap().len();
    let ends = |line: &str| {
        let hashes = line.len() - line.trim_start_matches('#').len();
        hashes > 0 && hashes <= level && line[hashes..].starts_with(' ')
    };
    let mut blocks: Vec<String> = Vec::new();
    let mut indent = None;
    for line in section.lines().take_while(|line| !ends(line)) {
        let text = line.trim_start();
        match indent {
            None if text == "```yaml" => {
                indent = Some(line.len() - text.len());
                blocks.push(String::new());
            }
            None => {}
            Some(_) if text == "```" => indent = None,
            Some(indent) => {
                let block = blocks.last_mut().unwrap();
                *block += line.get(indent..).unwrap_or_default();
                block.push('\n');
            }
        }
    }
    blocks
}
