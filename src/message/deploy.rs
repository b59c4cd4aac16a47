//! An environment that Flux brings up or removes.

use chrono::{DateTime, Utc};

use crate::message::context::{Context, DESCRIPTION_LENGTH, branch_line};
use crate::message::markdown::{code, codes, shortened};
use crate::message::sections::Message;
use crate::model::ttl::{date, distance};

/// The description of the commit status while the action works.
pub(crate) const PENDING: &str = "The action is working on it";
/// The description of the commit status once the environment is destroyed.
pub(crate) const DESTROYED_IN_SHORT: &str = "Destroyed";

/// An environment that Flux brings up.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    /// The name of the `Kustomization`.
    pub(crate) object_name: String,
    pub(crate) namespace: String,
    pub(crate) file_url: String,
    /// The page of the commit; `None` where the file was there already.
    pub(crate) commit_url: Option<String>,
    /// Namespaces of the same pull request that it replaces: its branch was renamed.
    pub(crate) replaced: Vec<String>,
    pub(crate) environment_url: Option<String>,
    pub(crate) pinned: bool,
    /// Whether Flux can follow a branch of this name.
    pub(crate) is_followable: bool,
    /// How often Flux looks at the branch.
    pub(crate) interval: String,
    /// How long Flux waits for readiness.
    pub(crate) timeout: String,
    pub(crate) expires: Option<DateTime<Utc>>,
    /// Of the instance.
    pub(crate) fingerprint: String,
}

/// An environment that Flux removes.
#[derive(Debug, Clone)]
pub(crate) struct Destroyed {
    pub(crate) namespaces: Vec<String>,
    pub(crate) commit_url: String,
}

/// An environment as another run left it.
#[derive(Debug, Clone)]
pub(crate) struct InstanceSummary {
    /// More than one only where somebody edited files by hand.
    pub(crate) namespaces: Vec<String>,
    pub(crate) branch: String,
    pub(crate) commit: String,
    pub(crate) file_url: String,
    pub(crate) environment_url: Option<String>,
    pub(crate) requested_by: String,
    pub(crate) expires: Option<DateTime<Utc>>,
    /// Of the instances.
    pub(crate) fingerprint: String,
}

/// The environment was deployed, or was deployed already.
pub(crate) fn deployed(context: &Context, deployed: &Deployed) -> Message {
    let namespace = code(&deployed.namespace);
    let mut lines = vec![
        match deployed.commit_url {
            Some(_) => coming_up(&namespace),
            None => format!("### 🚀 {namespace} is deployed already: nothing changed"),
        },
        String::new(),
        format!("- Namespace: {namespace}"),
        context.head_line(),
        match &deployed.commit_url {
            Some(url) => context.commit_line(url),
            None => format!("- File: {}", deployed.file_url),
        },
        context.run_line(),
    ];
    if !deployed.replaced.is_empty() {
        lines.push(format!("- Replaces: {}", codes(&deployed.replaced)));
    }
    lines.extend(deployed.environment_url.as_deref().map(address_line));
    lines.push(String::new());
    if deployed.commit_url.is_some() {
        lines.push(format!(
            "{} Then it fetches the pull request's branch, applies the overlay and waits up to {} until everything is \
             ready. This comment does not change then: {} shows it.",
            context.next_poll(),
            deployed.timeout,
            code(&format!("flux get kustomizations {}", deployed.object_name))
        ));
    }
    let pinned = match deployed.is_followable {
        true => "The environment stays on this commit.",
        false => {
            "Flux cannot follow a branch of this name, so the environment stays on this commit."
        }
    };
    lines.push(match deployed.pinned {
        true => format!(
            "{pinned} To move it to the newest one, comment {}.",
            code(&context.deploy_command)
        ),
        false => format!(
            "Flux picks up a push to the branch within {}.",
            deployed.interval
        ),
    });
    lines.extend(deployed.expires.map(|end| expiry(context, end)));
    lines.push(String::new());
    lines.push(how_to_destroy(context));
    Message::of_state(&lines, &deployed.fingerprint)
}

fn coming_up(namespaces: &str) -> String {
    format!("### 🚀 Flux is bringing {namespaces} up")
}

fn address_line(url: &str) -> String {
    format!("- URL: <{url}>")
}

fn expiry(context: &Context, end: DateTime<Utc>) -> String {
    let date = date(end);
    let until = if end <= context.now {
        format!("The environment expired at {date}; the next sweep destroys it.")
    } else {
        let distance = distance(end, context.now);
        format!(
            "The environment expires at {date}, in {distance}; the next sweep after that destroys it."
        )
    };
    format!(
        "{until} To keep it, comment {} (72 hours from that comment) or {} (until the pull request closes).",
        context.deploy_with("ttl=72h"),
        context.deploy_with("ttl=never")
    )
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
    let title = removing(&destroyed.namespaces);
    Message::of_no_environment(&[
        title,
        String::new(),
        removal(context, destroyed),
        String::new(),
        context.how_to_deploy_again(),
    ])
}

/// Names the namespaces, where the files name any.
fn removing(namespaces: &[String]) -> String {
    match codes(namespaces) {
        named if named.is_empty() => "### 🚀 Flux is removing the environment".to_owned(),
        named => format!("### 🚀 Flux is removing {named}"),
    }
}

/// What Flux removes, and when.
pub(crate) fn removal(context: &Context, destroyed: &Destroyed) -> String {
    [
        format!("- Namespace: {}", codes(&destroyed.namespaces)),
        context.head_line(),
        context.commit_line(&destroyed.commit_url),
        context.run_line(),
        String::new(),
        format!(
            "{} It then removes everything that it had applied.",
            context.next_poll()
        ),
    ]
    .join("\n")
}

/// There was nothing to destroy.
pub(crate) fn nothing_to_destroy(context: &Context) -> Message {
    Message::of_no_environment(&[
        "### 🚀 Nothing to destroy: this pull request has no environment".to_owned(),
        String::new(),
        context.head_line(),
        context.run_line(),
        String::new(),
        format!(
            "There is no file for it on {}.",
            code(&context.target_branch)
        ),
        String::new(),
        context.how_to_deploy_again(),
    ])
}

/// Another run changed the environment while this one worked; `None` where it destroyed it.
pub(crate) fn overtaken(context: &Context, instance: Option<&InstanceSummary>) -> Message {
    let Some(instance) = instance else {
        return Message::of_no_environment(&[
            removing(&[]),
            String::new(),
            context.head_line(),
            context.run_line(),
            String::new(),
            "Another run for this pull request destroyed it at the same time.".to_owned(),
            context.next_poll(),
            String::new(),
            context.how_to_deploy_again(),
        ]);
    };
    let namespaces = codes(&instance.namespaces);
    let mut lines = vec![
        coming_up(&namespaces),
        String::new(),
        format!("- Namespace: {namespaces}"),
        branch_line(&instance.branch, &instance.commit),
        format!("- File: {}", instance.file_url),
        context.run_line(),
    ];
    lines.extend(instance.environment_url.as_deref().map(address_line));
    lines.extend([
        String::new(),
        format!(
            "Another run for this pull request deployed it at the same time, as {} requested.",
            code(&instance.requested_by)
        ),
        context.next_poll(),
    ]);
    lines.extend(instance.expires.map(|end| expiry(context, end)));
    lines.extend([String::new(), how_to_destroy(context)]);
    Message::of_state(&lines, &instance.fingerprint)
}

/// The description of the commit status once the environment is deployed.
pub(crate) fn deployed_in_short(namespace: &str) -> String {
    let text = format!("Flux is bringing {namespace} up");
    shortened(&text, DESCRIPTION_LENGTH)
}
