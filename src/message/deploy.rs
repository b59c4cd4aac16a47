//! An environment that Flux brings up or removes.

use chrono::{DateTime, Utc};

use crate::message::context::Context;
use crate::message::markdown::{address, code, codes, folded, link, table};
use crate::message::readiness::{self, Place};
use crate::message::sections::Message;
use crate::model::readiness::Readiness;
use crate::model::ttl::{date, distance};

/// The description of the commit status while the action works.
pub(crate) const PENDING: &str = "The action is working on it";
/// The description of the commit status once the environment is destroyed.
pub(crate) const DESTROYED_IN_SHORT: &str = "Destroyed";
/// The description of Flux's commit status where nothing was deployed.
pub(crate) const NOT_DEPLOYED_IN_SHORT: &str = "Not deployed";
/// The description of a GitHub Deployment where Flux reports nothing.
pub(crate) const HANDED_OVER_IN_SHORT: &str = "Handed to Flux";
/// The title of what is folded.
const NEXT: &str = "What happens next, and where to look";

/// An environment that Flux brings up.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    pub(crate) place: Place,
    /// More than one only where somebody edited files by hand.
    pub(crate) namespaces: Vec<String>,
    pub(crate) branch: String,
    /// The commit that the environment is meant to run.
    pub(crate) commit: String,
    pub(crate) requested_by: String,
    pub(crate) file_url: String,
    /// Who brought it to this.
    pub(crate) cause: Cause,
    /// Namespaces of the same pull request that it replaces: its branch was renamed.
    pub(crate) replaced: Vec<String>,
    pub(crate) environment_url: Option<String>,
    /// Whether Flux can follow a branch of this name.
    pub(crate) is_followable: bool,
    /// How often Flux looks at the branch.
    pub(crate) interval: String,
    /// How long Flux waits for readiness.
    pub(crate) timeout: String,
    pub(crate) expires: Option<DateTime<Utc>>,
    pub(crate) readiness: Readiness,
    /// Of the instances.
    pub(crate) fingerprint: String,
}

/// Why the pull request is told of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// This run changed its file: the page of the commit.
    Changed { commit_url: String },
    /// Its file was there already.
    Unchanged,
    /// Another run changed it while this one worked.
    AnotherRun,
    /// Flux has said something about it.
    Reported,
}

/// An environment that Flux removes.
#[derive(Debug, Clone)]
pub(crate) struct Destroyed {
    pub(crate) namespaces: Vec<String>,
    pub(crate) commit_url: String,
}

/// There is an environment.
pub(crate) fn deployed(context: &Context, deployed: &Deployed) -> Message {
    let namespaces = codes(&deployed.namespaces);
    let mut parts = vec![title(deployed, &namespaces)];
    parts.extend(readiness::what_it_means(
        context,
        &deployed.readiness,
        &deployed.place,
    ));
    parts.extend(
        deployed
            .environment_url
            .as_deref()
            .map(|url| door(&deployed.readiness, url)),
    );
    let mut rows = vec![
        ("Namespace", namespaces),
        context.branch_row(&deployed.branch, &deployed.commit),
        ("Requested by", code(&deployed.requested_by)),
    ];
    if let Some(end) = deployed.expires {
        rows.push(("Expires", expiry(context, end)));
    }
    if !deployed.replaced.is_empty() {
        rows.push(("Replaces", codes(&deployed.replaced)));
    }
    rows.push(match &deployed.cause {
        Cause::Changed { commit_url } => context.change_row("commit", commit_url),
        _ => context.change_row("file", &deployed.file_url),
    });
    parts.push(table(&rows));
    parts.push(folded(NEXT, &what_is_next(context, deployed)));
    Message::of_state(&parts, &deployed.fingerprint)
}

fn title(deployed: &Deployed, namespaces: &str) -> String {
    let is_unchanged = deployed.cause == Cause::Unchanged;
    match &deployed.readiness {
        Readiness::Unreported if is_unchanged => {
            format!("### 🟡 {namespaces} is deployed already: nothing changed")
        }
        readiness => readiness::title(readiness, namespaces),
    }
}

/// The one thing to open.
fn door(readiness: &Readiness, url: &str) -> String {
    match readiness {
        Readiness::Ready => format!("**{}**", link(&format!("Open {}", address(url)), url)),
        _ => format!(
            "Once it is ready, it is at **{}**.",
            link(&address(url), url)
        ),
    }
}

fn what_is_next(context: &Context, deployed: &Deployed) -> Vec<String> {
    let mut lines = Vec::new();
    if deployed.cause == Cause::AnotherRun {
        lines.push(format!(
            "Another run for this pull request deployed it at the same time, as {} requested.",
            code(&deployed.requested_by)
        ));
    }
    let is_coming = matches!(
        deployed.readiness,
        Readiness::Unreported | Readiness::ComingUp | Readiness::Unwatched
    );
    if is_coming && deployed.cause != Cause::Unchanged {
        lines.push(format!(
            "{} Then it fetches the pull request's branch, applies the overlay and waits up to {} until everything is ready.",
            context.next_poll(),
            deployed.timeout
        ));
    }
    lines.push(readiness::where_to_look(
        &deployed.readiness,
        &deployed.place,
    ));
    let pinned = match deployed.is_followable {
        true => "The environment stays on this commit.",
        false => {
            "Flux cannot follow a branch of this name, so the environment stays on this commit."
        }
    };
    lines.push(match deployed.place.is_pinned {
        true => format!(
            "{pinned} To move it to the newest one, comment {}.",
            code(&context.deploy_command)
        ),
        false => format!(
            "Flux picks up a push to the branch within {}.",
            deployed.interval
        ),
    });
    if deployed.expires.is_some() {
        lines.push(format!(
            "The next sweep after its expiry destroys it. To keep it, comment {} (72 hours from that comment) or {} (until the \
             pull request closes).",
            context.deploy_with("ttl=72h"),
            context.deploy_with("ttl=never")
        ));
    }
    lines.push(how_to_destroy(context));
    lines
}

fn expiry(context: &Context, end: DateTime<Utc>) -> String {
    let date = date(end);
    match end <= context.now {
        true => format!("{date}: the next sweep destroys it"),
        false => format!("{date}, in {}", distance(end, context.now)),
    }
}

fn how_to_destroy(context: &Context) -> String {
    let label = context.label.as_ref().map_or_else(String::new, |label| {
        format!(", remove the label {}", code(label))
    });
    format!(
        "To destroy it, comment {}{label} or close the pull request.",
        code(&context.destroy_command)
    )
}

/// The environment was destroyed.
pub(crate) fn destroyed(context: &Context, destroyed: &Destroyed) -> Message {
    Message::of_no_environment(&[
        removing(&destroyed.namespaces),
        context.how_to_deploy_again(),
        removal(context, destroyed),
        what_goes(context),
    ])
}

/// Names the namespaces, where the files name any.
fn removing(namespaces: &[String]) -> String {
    match codes(namespaces) {
        named if named.is_empty() => "### ⚪ Flux is removing the environment".to_owned(),
        named => format!("### ⚪ Flux is removing {named}"),
    }
}

/// What is removed, in a table.
pub(crate) fn removal(context: &Context, destroyed: &Destroyed) -> String {
    table(&[
        ("Namespace", codes(&destroyed.namespaces)),
        context.head_row(),
        context.change_row("commit", &destroyed.commit_url),
    ])
}

/// What Flux removes, and when.
pub(crate) fn what_goes(context: &Context) -> String {
    let next = format!(
        "{} It then removes everything that it had applied.",
        context.next_poll()
    );
    folded(NEXT, &[next])
}

/// There was nothing to destroy.
pub(crate) fn nothing_to_destroy(context: &Context) -> Message {
    Message::of_no_environment(&[
        "### ⚪ Nothing to destroy: this pull request has no environment".to_owned(),
        context.how_to_deploy_again(),
        format!(
            "There is no file for it on {} · {}",
            code(&context.target_branch),
            context.run()
        ),
    ])
}

/// Another run destroyed the environment while this one worked.
pub(crate) fn destroyed_by_another(context: &Context) -> Message {
    Message::of_no_environment(&[
        removing(&[]),
        context.how_to_deploy_again(),
        table(&[context.head_row(), ("Seen by", context.run())]),
        folded(
            NEXT,
            &[
                "Another run for this pull request destroyed it at the same time.".to_owned(),
                context.next_poll(),
            ],
        ),
    ])
}
