//! What a repository holds, and what ran: commits, files, a job's log.

use maud::{Markup, html};

use super::layout::{page, sha, time};
use super::markdown;
use crate::repository::Commit;
use crate::state::{RepositoryRecord, RunRecord};

/// The first line of its message.
pub(super) fn subject(commit: &Commit) -> &str {
    commit.message.lines().next().unwrap_or_default()
}

fn author(commit: &Commit) -> &str {
    commit
        .author
        .rsplit_once(" <")
        .map_or(&commit.author, |(name, _)| name)
}

pub(super) fn commits(
    repository: &RepositoryRecord,
    reference: &str,
    commits: &[Commit],
) -> Markup {
    let main = html! {
        h1 { "Commits on " span.branch { (reference) } }
        ul.box.rows {
            @for commit in commits {
                li {
                    div.grow {
                        strong { (subject(commit)) }
                        div.faint { (author(commit)) " · " (time(&commit.committed)) }
                    }
                    (sha(repository, &commit.sha))
                }
            }
        }
    };
    page(repository, &format!("Commits on {reference}"), false, main)
}

/// One commit, with what it changes as `git show` tells it.
pub(super) fn commit(repository: &RepositoryRecord, commit: &Commit, patch: &str) -> Markup {
    let kind = |line: &str| match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") => "file",
        Some(b'+') => "added",
        Some(b'-') => "removed",
        Some(b'@') => "place",
        Some(b' ') => "same",
        _ => "file",
    };
    let rest = commit.message.split_once('\n').map(|(_, rest)| rest.trim());
    let main = html! {
        h1 { (subject(commit)) }
        p.faint { (author(commit)) " · " (time(&commit.committed)) " · " code { (commit.sha) } }
        @if let Some(rest) = rest.filter(|rest| !rest.is_empty()) { pre.box { (rest) } }
        pre.box.diff {
            @for line in patch.lines() { span class=(kind(line)) { (line) "\n" } }
        }
    };
    page(repository, subject(commit), false, main)
}

pub(super) fn tree<'a>(
    repository: &RepositoryRecord,
    reference: &str,
    files: impl Iterator<Item = &'a str>,
) -> Markup {
    let main = html! {
        h1 { "Files on " span.branch { (reference) } }
        ul.box.rows {
            @for file in files {
                li {
                    a href={ "/" (repository.full_name()) "/blob/" (reference) "/" (file) } { (file) }
                }
            }
        }
    };
    page(repository, &format!("Files on {reference}"), false, main)
}

pub(super) fn blob(
    repository: &RepositoryRecord,
    reference: &str,
    path: &str,
    text: &str,
) -> Markup {
    let main = html! {
        h1.path { (path) }
        p.faint { "on " span.branch { (reference) } }
        pre.box { (text) }
    };
    page(repository, path, false, main)
}

/// What a run of a workflow left, where anybody kept it.
pub(super) fn run(
    repository: &RepositoryRecord,
    home: &str,
    id: u64,
    run: Option<&RunRecord>,
) -> Markup {
    let main = html! {
        h1 { "Run " (id) }
        @if let Some(run) = run {
            h2 { "Summary" }
            div.box.markdown { (markdown::html(&run.summary, home)) }
            h2 { "Log" }
            pre.box { (run.log) }
        } @else {
            p { "Nobody kept the log of this run: the local GitHub itself runs no workflows." }
        }
    };
    page(repository, &format!("Run {id}"), false, main)
}
