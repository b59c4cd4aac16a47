//! An environment on its way up or down.

use chrono::{DateTime, Utc};

use crate::message::markdown::{code, codes, shortened};
use crate::message::sections::{
    Context, DESCRIPTION_LENGTH, Message, branch_at, deploy_with, gone, head, next_look, way_back,
};
use crate::model::ttl::{date, distance};

/// An environment that Flux will bring up.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    /// Its namespace.
    pub(crate) namespace: String,
    /// The page of its file.
    pub(crate) file_url: String,
    /// The page of the commit that holds the file, `None` where it was there already.
    pub(crate) commit_url: Option<String>,
    /// Namespaces of the same pull request that make way for it: its branch was renamed.
    pub(crate) replaced: Vec<String>,
    /// Where the environment will be.
    pub(crate) environment_url: Option<String>,
    /// Whether it stays on the commit.
    pub(crate) pinned: bool,
    /// How often Flux looks at the branch.
    pub(crate) interval: String,
    /// How long Flux waits for readiness.
    pub(crate) timeout: String,
    /// When its time is over.
    pub(crate) expires: Option<DateTime<Utc>>,
    /// [Fingerprint](fingerprint) of the instance.
    pub(crate) fingerprint: String,
}

/// An environment that Flux will take down.
#[derive(Debug, Clone)]
pub(crate) struct Destroyed {
    /// Namespaces that go away.
    pub(crate) namespaces: Vec<String>,
    /// The page of the commit.
    pub(crate) commit_url: String,
}

/// An environment as another run left it.
#[derive(Debug, Clone)]
pub(crate) struct InstanceSummary {
    /// Its namespaces, more than one only where somebody edited files by hand.
    pub(crate) namespaces: Vec<String>,
    /// Its branch.
    pub(crate) branch: String,
    /// Its commit.
    pub(crate) commit: String,
    /// The page of its file.
    pub(crate) file_url: String,
    /// Where the environment will be.
    pub(crate) environment_url: Option<String>,
    /// Who asked for it.
    pub(crate) requested_by: String,
    /// When its time is over.
    pub(crate) expires: Option<DateTime<Utc>>,
    /// [Fingerprint](fingerprint) of the instances.
    pub(crate) fingerprint: String,
}

/// The environment is on its way up, or was there already.
pub(crate) fn deployed(context: &Context, deployed: &Deployed) -> Message {
    let mut lines = vec![
        match deployed.commit_url {
            Some(_) => "### 🚀 Deployed".to_owned(),
            None => "### 🚀 Deployed already: nothing changed".to_owned(),
        },
        String::new(),
        format!("- Namespace: {}", code(&deployed.namespace)),
        head(context),
        match &deployed.commit_url {
            Some(url) => format!("- Commit: {url}"),
            None => format!("- File: {}", deployed.file_url),
        },
        format!("- Run: {}", context.run_url),
    ];
    if !deployed.replaced.is_empty() {
        lines.push(format!("- Replaces: {}", codes(&deployed.replaced)));
    }
    lines.extend(deployed.environment_url.as_deref().map(address));
    lines.push(String::new());
    if deployed.commit_url.is_some() {
        lines.push(format!(
            "{} Then it fetches the branch, applies the overlay and waits up to {} until everything is ready.",
            next_look(context),
            deployed.timeout
        ));
    }
    lines.push(if deployed.pinned {
        format!(
            "It stays on this commit; comment {} to move it to the newest one.",
            code(&context.deploy_command)
        )
    } else {
        format!(
            "A push to the branch is applied within {}.",
            deployed.interval
        )
    });
    lines.extend(deployed.expires.map(|end| lifetime(context, end)));
    lines.push(String::new());
    lines.push(way_down(context));
    Message {
        text: lines.join("\n"),
        state: Some(deployed.fingerprint.clone()),
    }
}

/// Where an environment can be opened.
fn address(url: &str) -> String {
    format!("- Open: <{url}>")
}

/// How long an environment may live.
fn lifetime(context: &Context, end: DateTime<Utc>) -> String {
    let date = date(end);
    let until = if end <= context.now {
        format!("Its time was over at {date}: the next sweep takes it down.")
    } else {
        let distance = distance(end, context.now);
        format!("It may live until {date}, in {distance}, and then the next sweep takes it down.")
    };
    format!(
        "{until} Comment {} to give it 72 hours from then, or {} for no end.",
        deploy_with(context, "ttl=72h"),
        deploy_with(context, "ttl=never")
    )
}

/// The environment is on its way down.
pub(crate) fn destroyed(context: &Context, destroyed: &Destroyed) -> Message {
    gone([
        "### 🚀 Destroyed".to_owned(),
        String::new(),
        on_its_way_down(context, destroyed),
        String::new(),
        way_back(context),
    ])
}

pub(crate) fn on_its_way_down(context: &Context, destroyed: &Destroyed) -> String {
    [
        format!("- Namespace: {}", codes(&destroyed.namespaces)),
        head(context),
        format!("- Commit: {}", destroyed.commit_url),
        format!("- Run: {}", context.run_url),
        String::new(),
        format!(
            "{} Then it removes everything it had applied.",
            next_look(context)
        ),
    ]
    .join("\n")
}

/// A destroy command where there is nothing to destroy.
pub(crate) fn nothing_to_destroy(context: &Context) -> Message {
    gone([
        "### 🚀 Destroyed already: nothing changed".to_owned(),
        String::new(),
        head(context),
        format!("- Run: {}", context.run_url),
        String::new(),
        format!(
            "This pull request has no environment on {}.",
            code(&context.target_branch)
        ),
        String::new(),
        way_back(context),
    ])
}

/// What another run made of the environment while this one worked; `None` where it took it down.
pub(crate) fn overtaken(context: &Context, summary: Option<&InstanceSummary>) -> Message {
    let run = format!("- Run: {}", context.run_url);
    let Some(summary) = summary else {
        return gone([
            "### 🚀 Destroyed".to_owned(),
            String::new(),
            head(context),
            run,
            String::new(),
            "Another run for this pull request did this at the same time.".to_owned(),
            next_look(context),
            String::new(),
            way_back(context),
        ]);
    };
    let mut lines = vec![
        "### 🚀 Deployed".to_owned(),
        String::new(),
        format!("- Namespace: {}", codes(&summary.namespaces)),
        branch_at(&summary.branch, &summary.commit),
        format!("- File: {}", summary.file_url),
        run,
    ];
    lines.extend(summary.environment_url.as_deref().map(address));
    lines.extend([
        String::new(),
        format!(
            "Another run for this pull request did this at the same time; {} had asked for it.",
            code(&summary.requested_by)
        ),
        next_look(context),
    ]);
    lines.extend(summary.expires.map(|end| lifetime(context, end)));
    lines.extend([String::new(), way_down(context)]);
    Message {
        text: lines.join("\n"),
        state: Some(summary.fingerprint.clone()),
    }
}

fn way_down(context: &Context) -> String {
    let label = context.label.as_ref().map_or_else(String::new, |label| {
        format!(" or remove the label {}", code(label))
    });
    format!(
        "Comment {}{label} to take it down; closing the pull request does the same.",
        code(&context.destroy_command)
    )
}

/// The one line of a commit status for an environment on its way up.
pub(crate) fn deployed_in_short(namespace: &str) -> String {
    shortened(
        &format!("Deployed to namespace {namespace}"),
        DESCRIPTION_LENGTH,
    )
}

/// The one line of a commit status once there is no environment.
pub(crate) const DESTROYED_IN_SHORT: &str = "Destroyed";
