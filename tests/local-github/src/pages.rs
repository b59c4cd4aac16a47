//! Pages for a person: where the URLs that GitHub's API gives lead to.
//!
//! This file finds what a page is about; the files below it write the HTML, from what they are given alone. All text is
//! escaped, no page holds a script, and none may load anything.

mod code;
mod conversation;
mod form;
mod gallery;
mod layout;
mod markdown;

use hyper::Method;
use maud::Markup;

use crate::git;
use crate::http::{Answer, Request};
use crate::repository;
use crate::state::{RepositoryRecord, Shared, State};

pub(crate) use form::FormRecord;
pub use form::{Sent, Submission};
pub use gallery::gallery;

/// How many commits a page lists.
const COMMITS: &str = "--max-count=100";

/// Whether a request is for a page. Git's clients ask for other paths.
pub(crate) fn is_page(method: &Method, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [_, _, "pull", _, "form"] => method == Method::POST,
        [] | [_, _] => method == Method::GET,
        [_, _, kind, ..] => {
            let kinds = [
                "actions", "blob", "commit", "commits", "issues", "pull", "pulls", "tree",
            ];
            method == Method::GET && kinds.contains(kind)
        }
        [_] => false,
    }
}

/// Answers a request for a page.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Answer {
    if request.method == Method::POST {
        return form::answer(shared, request);
    }
    match page(shared, &request.path) {
        Some(page) => html(200, page),
        None => html(404, layout::not_found()),
    }
}

/// What the page at a path shows, where there is one.
pub(crate) fn page(shared: &Shared, path: &str) -> Option<Markup> {
    let segments = Request::segments_of(path);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let state = shared.state();
    let (repository, rest) = match parts.as_slice() {
        [] => (state.base(), &[][..]),
        [owner, name, rest @ ..] => (state.repository(owner, name)?, rest),
        [_] => return None,
    };
    match rest {
        [] => tree(repository, &repository.default_branch),
        ["tree", reference @ ..] => tree(repository, &reference.join("/")),
        ["blob", path @ ..] => blob(repository, path),
        ["commits"] => commits(repository, &repository.default_branch),
        ["commits", reference @ ..] => commits(repository, &reference.join("/")),
        ["commit", sha] => commit(repository, sha),
        _ if repository.id != state.base => None,
        ["pulls"] => Some(conversation::list(&state)),
        ["pull" | "issues", number] => conversation(&state, number.parse().ok()?),
        ["actions", "runs", id] => {
            let id = id.parse().ok()?;
            let home = state.base_html("");
            Some(code::run(repository, &home, id, state.runs.get(&id)))
        }
        _ => None,
    }
}

fn conversation(state: &State, number: u64) -> Option<Markup> {
    let issue = state.issues.get(&number)?;
    let commits = issue.pull.as_ref().map_or_else(Vec::new, |pull| {
        let range = format!("{}..{}", pull.base_sha, pull.head_sha);
        repository::log(&state.base().git_dir, &[COMMITS, "--reverse", &range])
    });
    Some(conversation::page_of(state, issue, &commits))
}

/// One comment as its page shows it.
pub(crate) fn comment(state: &State, id: u64) -> Option<Markup> {
    let comment = state.comments.get(&id)?;
    Some(conversation::comment(state, comment))
}

fn commits(repository: &RepositoryRecord, reference: &str) -> Option<Markup> {
    let tip = git::resolve(&repository.git_dir, reference)?;
    let commits = repository::log(&repository.git_dir, &[COMMITS, &tip]);
    Some(code::commits(repository, reference, &commits))
}

fn commit(repository: &RepositoryRecord, name: &str) -> Option<Markup> {
    let sha = git::resolve(&repository.git_dir, name)?;
    let commits = repository::log(&repository.git_dir, &["--max-count=1", &sha]);
    let shape = ["show", "--format=", "--patch", "--diff-merges=first-parent"];
    let patch = git::try_git(&repository.git_dir, &[&shape[..], &[&sha]].concat()).ok()?;
    Some(code::commit(repository, commits.first()?, &patch))
}

fn tree(repository: &RepositoryRecord, reference: &str) -> Option<Markup> {
    let tip = git::resolve(&repository.git_dir, reference)?;
    let list = ["ls-tree", "-r", "-z", "--name-only", &tip];
    let files = git::try_git(&repository.git_dir, &list).ok()?;
    Some(code::tree(
        repository,
        reference,
        files.split_terminator('\0'),
    ))
}

/// The name of a branch may have slashes, too.
fn blob(repository: &RepositoryRecord, parts: &[&str]) -> Option<Markup> {
    let git_dir = &repository.git_dir;
    let splits = (1..parts.len()).map(|at| (parts[..at].join("/"), parts[at..].join("/")));
    let (reference, tip, path) = splits
        .filter_map(|(reference, path)| Some((git::resolve(git_dir, &reference)?, reference, path)))
        .map(|(tip, reference, path)| (reference, tip, path))
        .next()?;
    let text = git::try_git(git_dir, &["cat-file", "blob", &format!("{tip}:{path}")]).ok()?;
    Some(code::blob(repository, &reference, &path, &text))
}

fn html(status: u16, page: Markup) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: page.into_string().into_bytes(),
    }
    .header("content-type", "text/html; charset=utf-8")
    .header("cache-control", "no-store")
    .header("content-security-policy", layout::POLICY)
}
