//! Comments side by side, to look at all of them.

use maud::{Markup, PreEscaped, html};

use super::layout::document;

/// A page of its own with rendered comments, each below its heading. A comment is the HTML that
/// [`LocalGitHub::comment_html`](crate::LocalGitHub::comment_html) gives.
pub fn gallery(title: &str, comments: &[(String, String)]) -> String {
    let anchor = |at: usize| format!("state-{}", at + 1);
    let body: Markup = html! {
        main.gallery {
            h1 { (title) }
            ol.contents {
                @for (at, (heading, _)) in comments.iter().enumerate() {
                    li { a href={ "#" (anchor(at)) } { (heading) } }
                }
            }
            @for (at, (heading, comment)) in comments.iter().enumerate() {
                section id=(anchor(at)) {
                    h2 { (heading) }
                    (PreEscaped(comment))
                }
            }
        }
    };
    document(title, false, body).into_string()
}
