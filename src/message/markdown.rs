//! Text that came from outside, shown as it is and without effect.

/// Most names in one list.
const NAME_LIMIT: usize = 10;

/// Longest name, path or argument in a comment, in characters; real ones are shorter.
pub(crate) const NAME_LENGTH: usize = 500;

/// Longest piece of a server's answer in a comment, in characters.
const ANSWER_LENGTH: usize = 4_000;

/// The first of them, and how many more there are.
pub(crate) fn listed<T>(all: &[T], word: impl Fn(&T) -> String) -> String {
    let words = all.iter().take(NAME_LIMIT).map(word);
    let words = words.collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAME_LIMIT) {
        0 => words,
        more => format!("{words} and {more} more"),
    }
}

pub(crate) fn codes(names: &[String]) -> String {
    let names: Vec<&String> = names.iter().filter(|name| !name.is_empty()).collect();
    listed(&names, |name| code(name))
}

/// Untrusted text as a code span of bounded length, in which no mention, link or Markdown takes effect
/// ([spec](https://spec.commonmark.org/0.31.2/#code-spans)).
pub(crate) fn code(text: &str) -> String {
    let text = shortened(&visible(text).replace('\n', " "), NAME_LENGTH);
    let fence = "`".repeat(longest_run_of_backticks(&text) + 1);
    // Blanks at both ends keep backticks off the fence, and are taken away again by the reader.
    let pad = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Rows of a table, each a word and what it stands for ([spec](https://github.github.com/gfm/#tables-extension-)).
pub(crate) fn table(rows: &[(&str, String)]) -> String {
    let rows = rows.iter().map(|(word, value)| {
        // A bar would end the cell, in code as well. A backslash before it would escape the one that escapes it.
        let value = value.replace("\\|", "\\\u{2060}|").replace('|', "\\|");
        format!("| **{word}** | {value} |")
    });
    let mut lines: Vec<String> = rows.collect();
    // GitHub shows no table without a head.
    lines.insert(1.min(lines.len()), "| :-- | :-- |".to_owned());
    lines.join("\n")
}

/// Text that unfolds where somebody clicks on its title.
pub(crate) fn folded(title: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("- {line}")).collect();
    format!(
        "<details><summary>{title}</summary>\n\n{}\n\n</details>",
        lines.join("\n")
    )
}

/// A link. The URL is ours or the configuration's.
pub(crate) fn link(words: &str, url: &str) -> String {
    format!("[{words}](<{url}>)")
}

/// A URL as the words of a link: without its scheme, and without effect.
pub(crate) fn address(url: &str) -> String {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let mut words = String::new();
    for c in address.trim_end_matches('/').chars() {
        if c.is_ascii_punctuation() && !"-./:".contains(c) {
            words.push('\\');
        }
        words.push(c);
    }
    words
}

/// Untrusted text of several lines as a code block, cut to a length that leaves room for the rest.
pub(crate) fn block(text: &str) -> String {
    let text = shortened(&visible(text), ANSWER_LENGTH);
    let fence = "`".repeat(longest_run_of_backticks(&text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}", text.trim_end())
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Characters that steer instead of showing become visible.
pub(crate) fn visible(text: &str) -> String {
    text.replace("\r\n", "\n").replace(
        |c: char| {
            // Unicode's Bidi_Control, and the separators of lines and paragraphs.
            let is_direction = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            (c.is_control() && c != '\n') || is_direction
        },
        "\u{fffd}",
    )
}

pub(crate) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{kept}…")
}
