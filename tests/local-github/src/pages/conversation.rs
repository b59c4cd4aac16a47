//! The page of a pull request, as GitHub lays it out.

use maud::{Markup, html};

use super::code::subject;
use super::layout::{avatar, page, sha, time, who};
use super::markdown;
use crate::repository::Commit;
use crate::state::{CommentRecord, DeploymentRecord, Issue, Pull, State, StatusRecord};

/// All pull requests, the newest first.
pub(super) fn list(state: &State) -> Markup {
    let pulls = state.issues.values().rev();
    let pulls: Vec<_> = pulls
        .filter_map(|issue| Some((issue, issue.pull.as_ref()?)))
        .collect();
    let main = html! {
        h1 { "Pull requests" }
        ul.box.rows {
            @for (issue, pull) in pulls {
                li {
                    (pill(issue, Some(pull)))
                    div.grow {
                        a href={ "/" (state.base().full_name()) "/pull/" (issue.number) } { strong { (issue.title) } }
                        div.faint { "#" (issue.number) " by " (issue.author) " · " span.branch { (pull.head_branch) } }
                    }
                }
            }
        }
    };
    page(state.base(), "Pull requests", false, main)
}

/// A pull request with its commits, oldest first; or an issue.
pub(super) fn page_of(state: &State, issue: &Issue, commits: &[Commit]) -> Markup {
    let pull = issue.pull.as_ref();
    let checks = pull.map_or_else(Vec::new, |pull| state.newest_statuses(&pull.head_sha));
    let form = state.form.as_ref().filter(|_| pull.is_some());
    let is_under_way = form.is_some_and(|form| {
        form.is_under_way() || checks.iter().any(|check| check.state == "pending")
    });
    let comments = state.comments.values();
    let comments = comments.filter(|comment| comment.number == issue.number);
    let main = html! {
        h1 { (issue.title) " " span.faint { "#" (issue.number) } }
        p.under {
            (pill(issue, pull)) " "
            @if let Some(pull) = pull {
                (who(&issue.author)) " wants to merge " span.branch { (head(state, pull)) }
                " into " span.branch { (pull.base_branch) }
            } @else {
                (who(&issue.author)) " opened this issue"
            }
        }
        @for label in &issue.labels { span.label { (label) } " " }
        div.timeline {
            p.event { (who(&issue.author)) " opened this · " (time(&issue.created)) }
            @for commit in commits {
                p.event { (subject(commit)) " " (sha(state.base(), &commit.sha)) }
            }
            @for record in comments { (comment(state, record)) }
            @if let Some(closed) = &issue.closed { (ending(pull, closed)) }
        }
        @if pull.is_some() {
            @for deployment in deployments(state, pull, commits) { (deployment_box(deployment)) }
            (checks_box(&checks))
        }
        @if let Some(form) = form {
            (form.html(&format!("/{}/pull/{}/form", state.base().full_name(), issue.number), is_under_way))
        }
        div id="end" {}
    };
    let title = format!("{} · Pull Request #{}", issue.title, issue.number);
    page(state.base(), &title, is_under_way, main)
}

/// A branch, and whose it is where it is a fork's.
fn head(state: &State, pull: &Pull) -> String {
    let owner = &state.repositories[&pull.head].owner;
    match pull.head == state.base {
        true => pull.head_branch.clone(),
        false => format!("{owner}:{}", pull.head_branch),
    }
}

fn pill(issue: &Issue, pull: Option<&Pull>) -> Markup {
    let (class, text) = match (pull, &issue.closed) {
        (Some(pull), _) if pull.merged_by.is_some() => ("merged", "Merged"),
        (_, Some(_)) => ("closed", "Closed"),
        (Some(pull), None) if pull.draft => ("draft", "Draft"),
        _ => ("open", "Open"),
    };
    html! { span.pill.(class) { (text) } }
}

fn ending(pull: Option<&Pull>, closed: &str) -> Markup {
    let merged = pull.and_then(|pull| pull.merged_by.as_ref());
    html! {
        p.event {
            @match merged {
                Some(login) => { (who(login)) " merged this pull request · " (time(closed)) },
                None => { "This was closed · " (time(closed)) },
            }
        }
    }
}

/// A comment with the reactions to it.
pub(super) fn comment(state: &State, comment: &CommentRecord) -> Markup {
    html! {
        article.comment id={ "issuecomment-" (comment.id) } {
            (avatar(state, &comment.login))
            div.box {
                header { (who(&comment.login)) " commented " (time(&comment.created)) }
                div.markdown {
                    (markdown::html(&comment.body, &state.base_html("")))
                    (reactions(state, comment.id))
                }
            }
        }
    }
}

/// How often a comment has each.
fn reactions(state: &State, comment: u64) -> Markup {
    const SHOWN: [(&str, &str); 8] = [
        ("+1", "👍"),
        ("-1", "👎"),
        ("laugh", "😄"),
        ("hooray", "🎉"),
        ("confused", "😕"),
        ("heart", "❤️"),
        ("rocket", "🚀"),
        ("eyes", "👀"),
    ];
    let count = |content: &str| {
        let same = state.reactions.iter();
        same.filter(|reaction| reaction.comment == comment && reaction.content == content)
            .count()
    };
    let given = SHOWN.map(|(content, emoji)| (content, emoji, count(content)));
    let given: Vec<_> = given.iter().filter(|(_, _, count)| *count > 0).collect();
    html! {
        @if !given.is_empty() {
            p.reactions {
                @for (content, emoji, count) in given {
                    span.reaction title=(content) { (emoji) " " (count) } " "
                }
            }
        }
    }
}

/// Those of the pull request's commits, the newest of each environment.
fn deployments<'a>(
    state: &'a State,
    pull: Option<&Pull>,
    commits: &[Commit],
) -> Vec<&'a DeploymentRecord> {
    let is_ours = |sha: &String| {
        pull.is_some_and(|pull| pull.head_sha == *sha)
            || commits.iter().any(|commit| commit.sha == *sha)
    };
    let mut environments = Vec::new();
    let newest_first = state.deployments.values().rev();
    newest_first
        .filter(|deployment| is_ours(&deployment.sha))
        .filter(|deployment| {
            let is_new = !environments.contains(&&deployment.environment);
            environments.push(&deployment.environment);
            is_new
        })
        .collect()
}

fn deployment_box(deployment: &DeploymentRecord) -> Markup {
    let (class, word) = match deployment.state() {
        Some("success") => ("success", "Active"),
        Some("inactive") if deployment.transient => ("inactive", "Destroyed"),
        Some("inactive") => ("inactive", "Inactive"),
        Some("failure" | "error") => ("failure", "Failed"),
        Some(_) => ("pending", "In progress"),
        None => ("pending", "Queued"),
    };
    let newest = deployment.statuses.last();
    let description = newest.map(|status| status.description.as_str());
    let description = description.filter(|text| !text.is_empty());
    let url = newest.map(|status| status.environment_url.as_str());
    let url = url.filter(|url| !url.is_empty() && class == "success");
    html! {
        section.box.deployment {
            (icon(class))
            div.grow {
                strong { (deployment.environment) } " " span.state.(class) { (word) }
                div.faint { (description.or(deployment.description.as_deref()).unwrap_or_default()) }
            }
            @if let Some(url) = url {
                a.button href=(url) rel="noreferrer nofollow" { "View deployment" }
            }
        }
    }
}

fn checks_box(checks: &[&StatusRecord]) -> Markup {
    let any = |states: &[&str]| {
        checks
            .iter()
            .any(|check| states.contains(&check.state.as_str()))
    };
    let (class, said) = if checks.is_empty() {
        return html! {};
    } else if any(&["failure", "error"]) {
        ("failure", "Some checks were not successful")
    } else if any(&["pending"]) {
        ("pending", "Some checks haven’t completed yet")
    } else {
        ("success", "All checks have passed")
    };
    html! {
        section.box.checks {
            header { (icon(class)) strong { (said) } }
            ul.rows {
                @for check in checks {
                    li {
                        (icon(&check.state))
                        div.grow {
                            strong { (check.context) } " "
                            span.faint { (check.description.as_deref().unwrap_or_default()) }
                        }
                        @if let Some(url) = &check.target_url {
                            a href=(url) rel="noreferrer nofollow" { "Details" }
                        }
                    }
                }
            }
        }
    }
}

/// The sign of a state.
fn icon(state: &str) -> Markup {
    let (class, sign) = match state {
        "success" => ("success", "✓"),
        "failure" | "error" => ("failure", "✗"),
        "inactive" => ("inactive", "–"),
        _ => ("pending", "●"),
    };
    html! { span.icon.(class) aria-label=(state) { (sign) } }
}
