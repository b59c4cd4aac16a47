//! Markdown as GitHub shows it in a comment.

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, format_html, parse_document};
use maud::{Markup, PreEscaped};

/// What may be said in HTML, to the letter and so without attributes; GitHub lets some more through.
const TAGS: [&str; 20] = [
    "<b>",
    "</b>",
    "<br>",
    "<br/>",
    "<br />",
    "<code>",
    "</code>",
    "<details>",
    "<details open>",
    "</details>",
    "<em>",
    "</em>",
    "<kbd>",
    "</kbd>",
    "<strong>",
    "</strong>",
    "<sub>",
    "</sub>",
    "<summary>",
    "</summary>",
];

/// The HTML of a comment's text. It holds no script and no address other than of the web and of mail. The URL of a commit
/// of this repository, whose page is at `home`, is shown as the first digits of its name.
pub(super) fn html(text: &str, home: &str) -> Markup {
    let mut options = Options::default();
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.tasklist = true;
    // In comments, unlike in files, a line ends where it ends.
    options.render.hardbreaks = true;
    let arena = Arena::new();
    let root = parse_document(&arena, text, &options);
    let commits = format!("{home}/commit/");
    for node in root.descendants() {
        shorten(node, &commits);
        let mut node = node.data.borrow_mut();
        let allowed = match &node.value {
            NodeValue::HtmlBlock(block) => allowed(&block.literal),
            NodeValue::HtmlInline(html) => allowed(html),
            // It would tell another server who looks at the page.
            NodeValue::Image(image) => {
                node.value = NodeValue::Link(image.clone());
                continue;
            }
            _ => continue,
        };
        node.value = NodeValue::Raw(allowed);
    }
    let mut html = String::new();
    format_html(root, &options, &mut html).expect("a String takes everything");
    PreEscaped(html)
}

/// Where a link shows its own URL, and that is a commit's.
fn shorten<'a>(node: &'a AstNode<'a>, commits: &str) {
    let NodeValue::Link(link) = &node.data.borrow().value else {
        return;
    };
    let Some(sha) = link.url.strip_prefix(commits) else {
        return;
    };
    if let Some(shown) = node.first_child() {
        let shown = &mut shown.data.borrow_mut().value;
        if matches!(shown, NodeValue::Text(text) if **text == *link.url) {
            *shown = NodeValue::Text(sha.chars().take(7).collect::<String>().into());
        }
    }
}

/// The allowed tags as they are, without comments; everything else is text.
fn allowed(html: &str) -> String {
    let mut safe = String::new();
    let mut rest = html;
    while let Some(next) = rest.chars().next() {
        let tag = TAGS.iter().find(|tag| {
            rest.get(..tag.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(tag))
        });
        let length = if let Some(tag) = tag {
            safe += tag;
            tag.len()
        } else if rest.starts_with("<!--") {
            rest.find("-->").map_or(rest.len(), |end| end + "-->".len())
        } else {
            match next {
                '<' => safe += "&lt;",
                '>' => safe += "&gt;",
                '"' => safe += "&quot;",
                other => safe.push(other),
            }
            next.len_utf8()
        };
        rest = &rest[length..];
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::html;

    fn rendered(text: &str) -> String {
        html(text, "https://github.com/octo/app").into_string()
    }

    #[test]
    fn githubs_markdown_is_understood() {
        let table = rendered("| a | b |\n| --- | --- |\n| `x` | https://example.com |\n");
        assert!(table.contains("<td><code>x</code></td>"), "{table}");
        let link = "<a href=\"https://example.com\">https://example.com</a>";
        assert!(table.contains(link), "{table}");
        assert_eq!(rendered("a\nb"), "<p>a<br />\nb</p>\n");
        let commit = "https://github.com/octo/app/commit/0123456789";
        let link = |shown: &str| format!("<p><a href=\"{commit}\">{shown}</a></p>\n");
        assert_eq!(rendered(commit), link("0123456"));
        assert_eq!(rendered(&format!("[it]({commit})")), link("it"));
    }

    #[test]
    fn what_is_folded_stays_folded_and_a_marker_is_not_shown() {
        let text = "<!-- marker -->\n### Ready\n\n<details>\n<summary>More</summary>\n\n- `x`\n\n</details>\n<!-- end -->";
        let shown = rendered(text);
        assert!(
            !shown.contains("marker") && !shown.contains("end --"),
            "{shown}"
        );
        assert!(
            shown.contains("<details>\n<summary>More</summary>"),
            "{shown}"
        );
        assert!(shown.contains("<li><code>x</code></li>"), "{shown}");
    }

    #[test]
    fn nothing_of_a_stranger_takes_effect() {
        for hostile in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<details ontoggle=alert(1) open>",
            "<svg/onload=alert(1)>",
            "<!-- --><script>alert(1)</script>",
            "<br><iframe srcdoc=\"<script>alert(1)</script>\">",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<style>body{display:none}</style>",
        ] {
            let shown = rendered(hostile);
            let tags: Vec<_> = shown
                .split('<')
                .skip(1)
                .map(|rest| rest.split(['>', ' ', '/']).find(|name| !name.is_empty()))
                .collect();
            let is_plain = |tag: &Option<&str>| matches!(tag, Some("p" | "br"));
            assert!(tags.iter().all(is_plain), "{hostile}: {shown}");
        }
        for hostile in [
            "[x](javascript:alert(1))",
            "![x](data:text/html,<script>alert(1)</script>)",
            "<javascript:alert(1)>",
            "[x](vbscript:a)",
        ] {
            let shown = rendered(hostile);
            assert!(!shown.contains("<img"), "{shown}");
            for address in shown.split("href=\"").skip(1) {
                assert!(address.starts_with('"'), "{shown}");
            }
        }
    }
}
