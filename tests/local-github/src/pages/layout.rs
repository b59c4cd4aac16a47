//! What all pages share.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::state::{RepositoryRecord, State};

/// Nothing is loaded, and no script runs.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'";

const STYLE: &str = include_str!("style.css");

/// A whole page. Where something is under way, it loads itself again.
pub(super) fn document(title: &str, is_under_way: bool, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                @if is_under_way { meta http-equiv="refresh" content="2"; }
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// A page of a repository.
pub(super) fn page(
    repository: &RepositoryRecord,
    title: &str,
    is_under_way: bool,
    main: Markup,
) -> Markup {
    let name = repository.full_name();
    let body = html! {
        header.top {
            a.name href={ "/" (name) } { (repository.owner) " / " strong { (repository.name) } }
            nav {
                a href={ "/" (name) "/pulls" } { "Pull requests" }
                a href={ "/" (name) "/commits/" (repository.default_branch) } { "Commits" }
            }
            span.local { "local GitHub" }
        }
        main { (main) }
    };
    document(&format!("{title} · {name}"), is_under_way, body)
}

pub(super) fn not_found() -> Markup {
    let body = html! {
        main { h1 { "404" } p { "The local GitHub has no such page. " a href="/" { "To the repository" } "." } }
    };
    document("Not found", false, body)
}

/// A time that the API gives, in words.
pub(super) fn time(rfc3339: &str) -> Markup {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let number = |from: usize, to: usize| {
        let digits = rfc3339.get(from..to);
        digits.and_then(|digits| digits.parse::<usize>().ok())
    };
    let month = number(5, 7).and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    let words = match (number(8, 10), month, rfc3339.get(..4), rfc3339.get(11..16)) {
        (Some(day), Some(month), Some(year), Some(clock)) => {
            format!("{day} {month} {year}, {clock} UTC")
        }
        _ => rfc3339.to_owned(),
    };
    html! { time datetime=(rfc3339) { (words) } }
}

/// A circle with somebody's initial, in a colour of their own.
pub(super) fn avatar(state: &State, login: &str) -> Markup {
    let initial: String = login.chars().take(1).flat_map(char::to_uppercase).collect();
    let hue = state.user(login)["id"].as_u64().unwrap_or_default() % 360;
    html! {
        span.avatar aria-hidden="true" style={ "background: hsl(" (hue) " 45% 45%)" } { (initial) }
    }
}

/// A login; a bot's is marked as one.
pub(super) fn who(login: &str) -> Markup {
    match login.strip_suffix("[bot]") {
        Some(name) => html! { strong { (name) } " " span.bot { "bot" } },
        None => html! { strong { (login) } },
    }
}

/// The first digits of a commit's name, which lead to its page.
pub(super) fn sha(repository: &RepositoryRecord, sha: &str) -> Markup {
    let short: String = sha.chars().take(7).collect();
    html! { a href={ "/" (repository.full_name()) "/commit/" (sha) } { code { (short) } } }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn a_time_is_told_in_words() {
        let told = |time: super::Markup| time.into_string();
        assert!(told(time("2026-11-28T04:42:07Z")).contains(">28 Nov 2026, 04:42 UTC<"));
        assert!(told(time("2025-01-01T00:00:00+00:00")).contains(">1 Jan 2025, 00:00 UTC<"));
        assert!(told(time("<soon>")).contains(">&lt;soon&gt;<"));
    }
}
