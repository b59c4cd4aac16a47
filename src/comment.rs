//! Every sentence that a person reads on the pull request. Text that came from outside goes through [`code`] or [`block`].

use chrono::{DateTime, Utc};

use crate::command::{Problem, Sha, UsageError, short};
use crate::config::Permission;
use crate::decide::Refusal;
use crate::failure::Failure;
use crate::lifetime::{LIFETIMES, date, distance};
use crate::plan::fingerprint;
use crate::sweep::{Doubt, Reason, Removal};

/// Finds our comment again; invisible to a reader.
pub const MARKER: &str = "<!-- flux-ephemeral-env -->";
/// Around what is known of the environment, so that a later refusal or failure need not forget it. The first line goes on
/// with the fingerprint of the instances that are spoken of.
const STATE: (&str, &str) = ("<!-- state ", "<!-- /state -->");
/// The end of the first line.
const STATE_CLOSED: &str = " -->";
/// The title of a failure.
const FAILED: &str = "### 👎 Failed";
/// Longest comment that GitHub takes, in characters.
const LONGEST_COMMENT: usize = 65_536;
/// Most names in one list.
const MOST_NAMES: usize = 10;
/// Most lines of a sweep's summary.
const MOST_LISTED: usize = 200;
/// Longest name, path or argument in a comment, in characters; real ones are shorter.
const LONGEST_NAME: usize = 1_000;
/// Longest piece of a server's answer in a comment, in characters.
const LONGEST_ANSWER: usize = 4_000;
/// Longest description of a commit status, in characters
/// ([API](https://docs.github.com/rest/commits/statuses#create-a-commit-status)).
const LONGEST_DESCRIPTION: usize = 140;

/// What every message may speak of.
#[derive(Debug, Clone)]
pub struct Context {
    /// The pull request.
    pub pull_request: u64,
    /// The head branch and its commit, where GitHub told.
    pub head: Option<(String, Sha)>,
    /// Whether the pull request is neither closed nor merged, as far as is known.
    pub is_open: bool,
    /// The branch Flux watches.
    pub target_branch: String,
    /// The page of this run.
    pub run_url: String,
    /// The page about refusals and failures, with a heading for each reason.
    pub help_url: String,
    /// How to deploy.
    pub deploy_command: String,
    /// How to destroy.
    pub destroy_command: String,
    /// The label that this was asked for by.
    pub label: Option<String>,
    /// What time it is.
    pub now: DateTime<Utc>,
}

/// An environment that Flux will bring up.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Its namespace.
    pub namespace: String,
    /// The page of its file.
    pub file_url: String,
    /// The page of the commit that holds the file, `None` where it was there already.
    pub commit_url: Option<String>,
    /// Namespaces of the same pull request that make way for it: its branch was renamed.
    pub replaced: Vec<String>,
    /// Where the environment will be.
    pub environment_url: Option<String>,
    /// Whether it stays on the commit.
    pub pinned: bool,
    /// How often Flux looks at the branch.
    pub interval: String,
    /// How long Flux waits for readiness.
    pub timeout: String,
    /// When its time is over.
    pub expires: Option<DateTime<Utc>>,
    /// [Fingerprint](fingerprint) of the instance.
    pub fingerprint: String,
}

/// An environment that Flux will take down.
#[derive(Debug, Clone)]
pub struct Destroyed {
    /// Namespaces that go away.
    pub namespaces: Vec<String>,
    /// The page of the commit.
    pub commit_url: String,
}

/// An environment as another run left it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its namespaces, more than one only where somebody edited files by hand.
    pub namespaces: Vec<String>,
    /// Its branch.
    pub branch: String,
    /// Its commit.
    pub commit: String,
    /// The page of its file.
    pub file_url: String,
    /// Where the environment will be.
    pub environment_url: Option<String>,
    /// Who asked for it.
    pub requested_by: String,
    /// When its time is over.
    pub expires: Option<DateTime<Utc>>,
    /// [Fingerprint](fingerprint) of the instances.
    pub fingerprint: String,
}

/// A message, and whether it replaces what the comment said of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    text: String,
    /// The fingerprint of the instances that it speaks of, where it does.
    state: Option<String>,
}

impl Message {
    /// The whole comment, given what it said before.
    pub fn body(&self, before: Option<&str>) -> String {
        if let Some(fingerprint) = &self.state {
            return format!("{MARKER}\n{}", section(fingerprint, &self.text));
        }
        let alone = format!("{MARKER}\n{}\n", self.text);
        let Some((fingerprint, state)) = before.and_then(state) else {
            return alone;
        };
        let both = format!(
            "{alone}\n---\n\nWhat is known of the environment:\n\n{}",
            section(fingerprint, &state)
        );
        // Somebody may have edited the comment; what is new goes first where there is no room for both.
        if both.chars().count() > LONGEST_COMMENT {
            alone
        } else {
            both
        }
    }

    /// Whether it says what became of the environment.
    pub fn is_state(&self) -> bool {
        self.state.is_some()
    }

    /// The message alone, for the job summary.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn section(fingerprint: &str, text: &str) -> String {
    let (start, end) = STATE;
    format!("{start}{fingerprint}{STATE_CLOSED}\n{text}\n{end}\n")
}

/// Fingerprint and text of the section that [`Message::body`] puts last. Markers that stand elsewhere are somebody's text.
fn state(body: &str) -> Option<(&str, String)> {
    let lines: Vec<&str> = body.trim_end().lines().collect();
    let (_, lines) = lines.split_last().filter(|(last, _)| **last == STATE.1)?;
    let mut backwards = lines.iter().enumerate().rev();
    let (start, fingerprint) = backwards.find_map(|(index, line)| {
        let fingerprint = line.strip_prefix(STATE.0)?.strip_suffix(STATE_CLOSED)?;
        Some((index, fingerprint))
    })?;
    Some((fingerprint, lines.get(start + 1..)?.join("\n")))
}

/// The fingerprint of the instances that a comment of ours speaks of, `None` where it speaks of none that was.
pub fn spoken_of(body: &str) -> Option<&str> {
    state(body).map(|(fingerprint, _)| fingerprint)
}

/// Whether a comment of ours has to be written anew where a pull request has no environment: it speaks of one, or of a
/// failure to take it down.
pub fn is_outdated_without_environment(body: &str) -> bool {
    let is_failure = || body.lines().nth(1) == Some(FAILED);
    spoken_of(body).is_some_and(|spoken_of| spoken_of != fingerprint(&[]) || is_failure())
}

/// The environment is on its way up, or was there already.
pub fn deployed(context: &Context, deployed: &Deployed) -> Message {
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
pub fn destroyed(context: &Context, destroyed: &Destroyed) -> Message {
    gone([
        "### 🚀 Destroyed".to_owned(),
        String::new(),
        on_its_way_down(context, destroyed),
        String::new(),
        way_back(context),
    ])
}

/// A message of these lines, after which there is no environment.
fn gone<const N: usize>(lines: [String; N]) -> Message {
    Message {
        text: lines.join("\n"),
        state: Some(fingerprint(&[])),
    }
}

fn on_its_way_down(context: &Context, destroyed: &Destroyed) -> String {
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
pub fn nothing_to_destroy(context: &Context) -> Message {
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
pub fn overtaken(context: &Context, standing: Option<&Standing>) -> Message {
    let run = format!("- Run: {}", context.run_url);
    let Some(standing) = standing else {
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
        format!("- Namespace: {}", codes(&standing.namespaces)),
        branch_at(&standing.branch, &standing.commit),
        format!("- File: {}", standing.file_url),
        run,
    ];
    lines.extend(standing.environment_url.as_deref().map(address));
    lines.extend([
        String::new(),
        format!(
            "Another run for this pull request did this at the same time; {} had asked for it.",
            code(&standing.requested_by)
        ),
        next_look(context),
    ]);
    lines.extend(standing.expires.map(|end| lifetime(context, end)));
    lines.extend([String::new(), way_down(context)]);
    Message {
        text: lines.join("\n"),
        state: Some(standing.fingerprint.clone()),
    }
}

/// A sweep has taken the environment down.
pub fn swept(context: &Context, reason: Reason, destroyed: &Destroyed) -> Message {
    let deploy = code(&context.deploy_command);
    let why = match reason {
        Reason::Closed => {
            "The pull request was closed, and its environment was still there: what should have removed it then did not."
                .to_owned()
        }
        Reason::HeadDeleted => "The repository of the head branch has been deleted.".to_owned(),
        Reason::Expired(end) => format!("Its time was over at {}.", date(end)),
    };
    let way_back = match reason {
        Reason::Closed => way_back(context),
        Reason::HeadDeleted => format!(
            "To bring one up again, push the branch to this repository, open a pull request from there and comment {deploy}."
        ),
        Reason::Expired(_) => format!(
            "Comment {deploy} to bring it up again, or {} to give it 72 hours from then.",
            deploy_with(context, "ttl=72h")
        ),
    };
    gone([
        "### 🧹 Destroyed by a sweep".to_owned(),
        String::new(),
        why,
        String::new(),
        on_its_way_down(context, destroyed),
        String::new(),
        way_back,
    ])
}

/// What a sweep removed, or would remove, for its job's summary.
///
/// `in_doubt` says how many warnings there are about what stays.
pub fn sweep_summary(
    target_branch: &str,
    removals: &[Removal],
    is_done: bool,
    in_doubt: usize,
) -> Message {
    let branch = code(target_branch);
    let lines = removals
        .iter()
        .take(MOST_LISTED)
        .map(|Removal { held, reason }| {
            format!(
                "- {}, pull request {}: {}",
                code(&held.name),
                held.instance.owner.pull_request,
                reason.code()
            )
        });
    let more = removals.len().saturating_sub(MOST_LISTED);
    let title = match (removals.len(), is_done) {
        (0, _) if in_doubt > 0 => format!("### 🧹 Nothing was swept from {branch}"),
        (0, _) => format!("### 🧹 Nothing to sweep on {branch}"),
        (count, true) => format!("### 🧹 Swept from {branch}: {count}"),
        (count, false) => format!("### 🧹 Would be swept from {branch}: {count}"),
    };
    let lines = [title, String::new()]
        .into_iter()
        .chain(lines)
        .chain((more > 0).then(|| format!("- and {more} more")))
        .chain((in_doubt > 0).then(|| {
            format!("\nWhat became of some could not be told, so they stay; warnings: {in_doubt}.")
        }));
    Message {
        text: lines.collect::<Vec<_>>().join("\n").trim_end().to_owned(),
        state: None,
    }
}

/// Why an instance stays that may have to go, and the remedy, as a warning of the job.
pub fn doubted(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Unclear {
            words,
            pull_requests,
        } => {
            format!(
                "the environments of these pull requests stay, for GitHub did not say what became of them: {}: {words}",
                listed(pull_requests, u64::to_string)
            )
        }
        Doubt::Unreadable { path, text } => format!(
            "{path} stays: its annotation `flux-ephemeral-env/expires` is {:?}, which is no time as RFC 3339 writes it; \
             deploy it again or destroy it",
            shortened(&visible(text), LONGEST_NAME)
        ),
    }
}

/// What kept a sweep from telling everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// Somebody cancelled the run.
    Cancelled,
    /// Whether the change landed could not be seen in time.
    PushTimedOut,
    /// GitHub does not answer any more, or takes no more.
    GitHubGone,
}

/// Which pull requests a sweep did not get to, as a warning of the job.
pub fn untold(hindrance: Hindrance, pull_requests: &[u64]) -> String {
    let what = match hindrance {
        Hindrance::Cancelled => "the run was cancelled",
        Hindrance::PushTimedOut => "the push was given up",
        Hindrance::GitHubGone => "GitHub was given up",
    };
    format!(
        "{what} before these pull requests were told: {}",
        listed(pull_requests, u64::to_string)
    )
}

/// Whose commit status a sweep left as it was, as a warning of the job.
pub fn without_status(pull_requests: &[u64]) -> String {
    format!(
        "the commit status was not set any more for these pull requests: {}",
        listed(pull_requests, u64::to_string)
    )
}

/// The first of them, and how many more there are.
fn listed<T>(all: &[T], word: impl Fn(&T) -> String) -> String {
    let words = all.iter().take(MOST_NAMES).map(word);
    let words = words.collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_NAMES) {
        0 => words,
        more => format!("{words} and {more} more"),
    }
}

/// A request that is not granted.
pub fn refused(context: &Context, refusal: &Refusal) -> Message {
    let (why, remedy) = refusal_words(context, refusal);
    let title = "### 😕 Refused";
    notice_on(context, title, &why, &remedy, refusal.code())
}

/// Something broke.
pub fn failed(context: &Context, failure: &Failure) -> Message {
    let again = match context.is_open {
        true => "give the command again".to_owned(),
        // Whatever was wanted of it, it comes down.
        false => format!("comment {}", code(&context.destroy_command)),
    };
    let again = format!("{again}; the run's log is at {}.", context.run_url);
    let (why, remedy) = failure_words(&context.target_branch, again, failure);
    notice_on(context, FAILED, &why, &remedy, failure.code())
}

/// A sweep broke, for its job's summary: there is no pull request to tell the remedy.
pub fn sweep_failed(target_branch: &str, help_url: &str, failure: &Failure) -> Message {
    let again = "run this job again, or leave it to the next sweep.".to_owned();
    let (why, remedy) = failure_words(target_branch, again, failure);
    let help = more_about(help_url, failure.code());
    notice("### 👎 The sweep failed", &why, &remedy, &[help])
}

/// What went wrong on a pull request, and where.
fn notice_on(context: &Context, title: &str, why: &str, remedy: &str, reason: &str) -> Message {
    let facts = [
        head(context),
        format!("- Run: {}", context.run_url),
        more_about(&context.help_url, reason),
    ];
    notice(title, why, remedy, &facts)
}

fn more_about(help_url: &str, reason: &str) -> String {
    format!("- More about this: {help_url}#{reason}")
}

fn notice(title: &str, why: &str, remedy: &str, facts: &[String]) -> Message {
    let facts = facts.join("\n");
    Message {
        text: format!("{title}\n\n{why}\n\n**What to do:** {remedy}\n\n{facts}"),
        state: None,
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

fn way_back(context: &Context) -> String {
    let deploy = code(&context.deploy_command);
    if context.is_open {
        format!("Comment {deploy} to bring one up again.")
    } else {
        format!("To bring one up again, reopen the pull request and comment {deploy}.")
    }
}

fn codes(names: &[String]) -> String {
    let names: Vec<&String> = names.iter().filter(|name| !name.is_empty()).collect();
    listed(&names, |name| code(name))
}

fn head(context: &Context) -> String {
    match &context.head {
        Some((branch, commit)) => branch_at(branch, commit.as_str()),
        None => format!("- Pull request: {}", context.pull_request),
    }
}

fn branch_at(branch: &str, commit: &str) -> String {
    format!("- Branch: {} at {}", code(branch), code(short(commit)))
}

fn next_look(context: &Context) -> String {
    format!(
        "Flux sees the change at its next look at {} (every minute by default, at once where a webhook tells it).",
        code(&context.target_branch)
    )
}

/// Why a request is refused, and the remedy.
fn refusal_words(context: &Context, refusal: &Refusal) -> (String, String) {
    let deploy = code(&context.deploy_command);
    match refusal {
        Refusal::Usage(error) => (usage_words(error), format!("write {}.", code(&error.usage))),
        Refusal::LimitReached { most, instances } => limit_words(context, *most, instances),
        Refusal::NotPermitted { login, has, needs } => (
            format!(
                "{} has the permission {} on this repository, and the command takes {}.",
                code(login),
                code(has.as_str()),
                code(needs.as_str())
            ),
            ask_somebody(*needs),
        ),
        Refusal::PermissionUnknown {
            login,
            needs,
            answer,
        } => (
            format!(
                "GitHub gave no clear answer to what {} may do here, which counts as no:\n\n{}",
                code(login),
                block(answer)
            ),
            format!(
                "comment again in a minute. If that does not help, give the action's input `token` a token that may \
                 read who works on this repository, or {}",
                ask_somebody(*needs)
            ),
        ),
        Refusal::Closed => (
            "The pull request is closed.".to_owned(),
            format!("reopen it, then comment {deploy}."),
        ),
        Refusal::Fork => (
            "The pull request comes from a fork, and what a fork deploys runs in the cluster."
                .to_owned(),
            "push the branch to this repository, or set the action's input `allow-forks: true`."
                .to_owned(),
        ),
        Refusal::HeadDeleted => (
            "The repository of the head branch has been deleted.".to_owned(),
            "push the branch to this repository and open a pull request from there.".to_owned(),
        ),
        Refusal::ForkUrl { url } => (
            format!(
                "The fork cannot be cloned over https; its URL is {}.",
                code(url)
            ),
            "push the branch to this repository and open a pull request from there.".to_owned(),
        ),
        Refusal::BranchMoved { wanted, head } => (
            format!(
                "The branch has moved: its head is {}, not {}.",
                code(head.as_str()),
                code(wanted.as_str())
            ),
            format!("look at what was pushed, then comment {}.", deploy_of(context, head)),
        ),
        Refusal::PushedSince { head } => (
            "The fork was pushed to after the command was given, so its head may be something that nobody has looked at."
                .to_owned(),
            format!(
                "look at {}, then comment {}.",
                code(head.short()),
                deploy_of(context, head)
            ),
        ),
        Refusal::ProtectedNamespace { namespace, pattern } => (
            format!(
                "The namespace {} is protected by the pattern {}.",
                code(namespace),
                code(pattern)
            ),
            "rename the branch, or set the action's input `namespace-prefix`.".to_owned(),
        ),
        Refusal::ClaimedNamespace { namespace, path } => (
            format!(
                "The namespace {} belongs to the overlay {}.",
                code(namespace),
                code(path)
            ),
            "rename the branch, or set the action's input `namespace-prefix`.".to_owned(),
        ),
        Refusal::NamespaceTaken { namespace, owner } => (
            format!(
                "The namespace {} belongs to the environment of pull request {} of {}.",
                code(namespace),
                owner.pull_request,
                code(&owner.repository)
            ),
            format!(
                "close that pull request or comment {} on it, or rename this branch.",
                code(&context.destroy_command)
            ),
        ),
        Refusal::OwnedByAnother { path, owner } => (
            format!(
                "The file {} belongs to pull request {} of {}.",
                code(path),
                owner.pull_request,
                code(&owner.repository)
            ),
            format!(
                "close that pull request or comment {} on it, then comment {deploy} here.",
                code(&context.destroy_command)
            ),
        ),
        Refusal::NotOurs { path } => (
            format!(
                "{} on {} was not written by this action.",
                code(path),
                code(&context.target_branch)
            ),
            "move it away, rename the branch, or set the action's input `instances-path`."
                .to_owned(),
        ),
    }
}

fn usage_words(error: &UsageError) -> String {
    let argument = code(&error.argument);
    match error.problem {
        Problem::Unknown => format!("{argument} is no argument of the command."),
        Problem::Twice => format!("{argument} is one argument too many: each kind may come once."),
        Problem::NoLifetime => format!("{argument} gives no time to live: it takes {LIFETIMES}."),
    }
}

fn limit_words(context: &Context, most: usize, instances: &[(String, u64)]) -> (String, String) {
    let named = listed(instances, |(name, pull_request)| {
        format!("{} (pull request {pull_request})", code(name))
    });
    let oldest = instances.first().map_or_else(String::new, |(name, pull_request)| {
        format!(
            "comment {} where nobody needs it any more (the oldest pull request with one is {pull_request}, with {}), or ",
            code(&context.destroy_command),
            code(name)
        )
    });
    (
        format!(
            "There may be {most} environments at a time, and there are {}: {named}.",
            instances.len()
        ),
        format!("{oldest}raise the action's input `max-environments`."),
    )
}

/// The command that deploys this very commit.
fn deploy_of(context: &Context, commit: &Sha) -> String {
    deploy_with(context, commit.as_str())
}

fn deploy_with(context: &Context, argument: &str) -> String {
    code(&format!("{} {argument}", context.deploy_command))
}

fn ask_somebody(needs: Permission) -> String {
    format!(
        "ask somebody with {} to comment, or lower the action's input `allowed-permission`.",
        code(needs.as_str())
    )
}

/// Why something failed, and the remedy.
fn failure_words(target_branch: &str, again: String, failure: &Failure) -> (String, String) {
    let branch = code(target_branch);
    match failure {
        Failure::Rejected(words) => (
            format!("The server rejected the push to {branch}:\n\n{}", block(words)),
            format!(
                "let this workflow push to {branch}: allow it past the branch's rules, \
                 or give the input `token` a token that may push."
            ),
        ),
        Failure::Forbidden(words) => (
            format!("The server refused the workflow's token:\n\n{}", block(words)),
            "add this to the workflow's job, or give the input `token` a token that may push:\n\n```yaml\npermissions:\n  contents: write\n```".to_owned(),
        ),
        Failure::BranchMissing(words) => (
            format!("The branch to commit to is not there:\n\n{}", block(words)),
            "set the action's input `branch` to the branch Flux watches.".to_owned(),
        ),
        Failure::TimedOut(after, words) => (
            format!(
                "The change was not seen to land within {} s. The last answer was:\n\n{}",
                after.as_secs(),
                block(words)
            ),
            format!("raise the input `push-timeout` if this repeats, and {again}"),
        ),
        Failure::Interrupted => ("The run was cancelled before the change was seen to land.".to_owned(), again),
        Failure::GitHubRefused(words) => (
            format!("GitHub refused the workflow's token:\n\n{}", block(words)),
            "add this to the workflow's job, or give the input `token` a token that may read pull requests:\n\n```yaml\npermissions:\n  pull-requests: write\n```".to_owned(),
        ),
        Failure::GitHub(error) => (
            format!("GitHub's API gave no usable answer:\n\n{}", block(&format!("{error:#}"))),
            again,
        ),
        Failure::Broken(error) => (
            format!("Something broke:\n\n{}", block(&format!("{error:#}"))),
            again,
        ),
    }
}

/// The one line of a commit status while the work goes on.
pub const PENDING: &str = "Working on it";

/// The one line of a commit status for an environment on its way up.
pub fn deployed_in_short(namespace: &str) -> String {
    shortened(
        &format!("Deployed to namespace {namespace}"),
        LONGEST_DESCRIPTION,
    )
}

/// The one line of a commit status once there is no environment.
pub const DESTROYED_IN_SHORT: &str = "Destroyed";

/// The one line of a commit status once a sweep has taken the environment down.
pub fn swept_in_short(reason: Reason) -> String {
    ended_in_short("Swept", reason.code())
}

/// The one line of a commit status for a refusal or failure.
pub fn ended_in_short(word: &str, code: &str) -> String {
    shortened(
        &format!("{word}: {}", code.replace('-', " ")),
        LONGEST_DESCRIPTION,
    )
}

/// Untrusted text as a code span of bounded length, in which no mention, link or Markdown takes effect
/// ([spec](https://spec.commonmark.org/0.31.2/#code-spans)).
pub fn code(text: &str) -> String {
    let text = shortened(&visible(text).replace('\n', " "), LONGEST_NAME);
    let fence = "`".repeat(longest_run_of_backticks(&text) + 1);
    // Blanks at both ends keep backticks off the fence, and are taken away again by the reader.
    let pad = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Untrusted text of several lines as a code block, cut to a length that leaves room for the rest.
pub fn block(text: &str) -> String {
    let text = shortened(&visible(text), LONGEST_ANSWER);
    let fence = "`".repeat(longest_run_of_backticks(&text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}", text.trim_end())
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Characters that steer instead of showing become visible.
fn visible(text: &str) -> String {
    text.replace("\r\n", "\n").replace(
        |c: char| {
            // Unicode's Bidi_Control, and the separators of lines and paragraphs.
            let is_direction = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            (c.is_control() && c != '\n') || is_direction
        },
        "\u{fffd}",
    )
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The job summary: what the pull request is told, and the outputs.
pub fn summary(outputs: &[(&str, String)], message: Option<&Message>) -> String {
    let mut lines = vec!["## flux-ephemeral-env".to_owned(), String::new()];
    if let Some(message) = message {
        lines.extend([message.text().to_owned(), String::new()]);
    }
    lines.extend(
        outputs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("- {name}: {}", code(value))),
    );
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tests::{now, refusals};
    use crate::lifetime::tests::at;
    use crate::sweep::tests::removal;
    use proptest::prelude::*;
    use std::time::Duration;

    fn sha(digit: &str) -> Sha {
        Sha::parse(&digit.repeat(40)).unwrap()
    }

    fn context() -> Context {
        Context {
            pull_request: 7,
            head: Some(("dev".to_owned(), sha("a"))),
            is_open: true,
            target_branch: "main".to_owned(),
            run_url: "https://github.com/octo/app/actions/runs/42".to_owned(),
            help_url: "https://github.com/octo/action/blob/v1/help.md".to_owned(),
            deploy_command: "/deploy-ephemeral".to_owned(),
            destroy_command: "/destroy-ephemeral".to_owned(),
            label: None,
            now: now(),
        }
    }

    fn environment() -> Deployed {
        Deployed {
            namespace: "pr-dev".to_owned(),
            file_url: "https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml"
                .to_owned(),
            replaced: Vec::new(),
            commit_url: Some("https://github.com/octo/app/commit/c0ffee".to_owned()),
            environment_url: Some("https://pr-dev.example.com".to_owned()),
            pinned: false,
            interval: "1m0s".to_owned(),
            timeout: "5m0s".to_owned(),
            expires: None,
            fingerprint: "0123456789abcdef".to_owned(),
        }
    }

    fn gone() -> Destroyed {
        Destroyed {
            namespaces: vec!["pr-dev".to_owned(), String::new(), "pr-old".to_owned()],
            commit_url: "https://github.com/octo/app/commit/c0ffee".to_owned(),
        }
    }

    /// Every failure, with `text` wherever something comes from outside.
    fn failures(text: &str) -> Vec<Failure> {
        let text = || text.to_owned();
        vec![
            Failure::Rejected(text()),
            Failure::Forbidden(text()),
            Failure::BranchMissing(text()),
            Failure::TimedOut(Duration::from_secs(60), text()),
            Failure::Interrupted,
            Failure::GitHubRefused(text()),
            Failure::GitHub(anyhow::anyhow!(text())),
            Failure::Broken(anyhow::anyhow!(text())),
        ]
    }

    /// Every message about what did not happen.
    fn notices(context: &Context, text: &str) -> Vec<Message> {
        let refused = refusals(text);
        let refused = refused
            .iter()
            .map(|refusal| super::refused(context, refusal));
        let failed = failures(text);
        let failed = failed.iter().map(|failure| super::failed(context, failure));
        refused.chain(failed).collect()
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        let refusal = Refusal::BranchMoved {
            wanted: sha("b"),
            head: sha("a"),
        };
        let head = "a".repeat(40);
        let wanted = "b".repeat(40);
        assert_eq!(
            refused(&context(), &refusal).body(None),
            format!(
                "<!-- flux-ephemeral-env -->\n\
                 ### 😕 Refused\n\
                 \n\
                 The branch has moved: its head is `{head}`, not `{wanted}`.\n\
                 \n\
                 **What to do:** look at what was pushed, then comment `/deploy-ephemeral {head}`.\n\
                 \n\
                 - Branch: `dev` at `aaaaaaa`\n\
                 - Run: https://github.com/octo/app/actions/runs/42\n\
                 - More about this: https://github.com/octo/action/blob/v1/help.md#branch-has-moved\n"
            )
        );
    }

    #[test]
    fn a_deployment_says_where_and_how_soon_and_what_undoes_it() {
        assert_eq!(
            deployed(&context(), &environment()).body(None),
            "<!-- flux-ephemeral-env -->\n\
             <!-- state 0123456789abcdef -->\n\
             ### 🚀 Deployed\n\
             \n\
             - Namespace: `pr-dev`\n\
             - Branch: `dev` at `aaaaaaa`\n\
             - Commit: https://github.com/octo/app/commit/c0ffee\n\
             - Run: https://github.com/octo/app/actions/runs/42\n\
             - Open: <https://pr-dev.example.com>\n\
             \n\
             Flux sees the change at its next look at `main` (every minute by default, at once where a webhook tells it). \
             Then it fetches the branch, applies the overlay and waits up to 5m0s until everything is ready.\n\
             A push to the branch is applied within 1m0s.\n\
             \n\
             Comment `/destroy-ephemeral` to take it down; closing the pull request does the same.\n\
             <!-- /state -->\n"
        );
    }

    #[test]
    fn a_deployment_that_was_there_or_is_pinned_says_so() {
        let there = Deployed {
            commit_url: None,
            environment_url: None,
            ..environment()
        };
        let text = deployed(&context(), &there).text;
        assert!(text.starts_with("### 🚀 Deployed already: nothing changed\n"));
        assert!(text.contains(
            "\n- File: https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml\n"
        ));
        assert!(!text.contains("next look") && !text.contains("Open:"));

        let pinned = Deployed {
            pinned: true,
            replaced: vec!["pr-old".to_owned(), String::new()],
            ..environment()
        };
        let text = deployed(&context(), &pinned).text;
        assert!(text.contains("stays on this commit; comment `/deploy-ephemeral` to move it"));
        assert!(!text.contains("A push to the branch"));
        assert!(text.contains("\n- Replaces: `pr-old`\n"));
    }

    #[test]
    fn a_removal_names_the_namespaces_and_what_brings_them_back() {
        let text = destroyed(&context(), &gone()).text;
        for part in [
            "- Namespace: `pr-dev`, `pr-old`\n",
            "- Branch: `dev` at `aaaaaaa`\n",
            "- Commit: https://github.com/octo/app/commit/c0ffee\n",
            "next look at `main`",
            "Comment `/deploy-ephemeral` to bring one up again.",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let closed = Context {
            is_open: false,
            ..context()
        };
        for message in [destroyed(&closed, &gone()), nothing_to_destroy(&closed)] {
            assert!(message.text.ends_with(
                "To bring one up again, reopen the pull request and comment `/deploy-ephemeral`."
            ));
        }
        let text = nothing_to_destroy(&context()).text;
        assert!(text.contains("no environment on `main`") && text.contains("`/deploy-ephemeral`"));
    }

    #[test]
    fn an_environment_that_may_not_stay_says_until_when() {
        let told = |expires: Option<&str>| {
            let environment = Deployed {
                expires: expires.map(at),
                ..environment()
            };
            deployed(&context(), &environment).text
        };
        let until = "\nIt may live until 2026-03-02 12:00 UTC, in 3 days, and then the next sweep takes it down. \
                     Comment `/deploy-ephemeral ttl=72h` to give it 72 hours from then, \
                     or `/deploy-ephemeral ttl=never` for no end.\n";
        let over = "\nIts time was over at 2026-02-27 12:00 UTC: the next sweep takes it down. \
                    Comment `/deploy-ephemeral ttl=72h` to give it 72 hours from then, \
                    or `/deploy-ephemeral ttl=never` for no end.\n";
        assert_eq!(
            told(Some("2026-03-02T12:00:00Z")).replace(until, "\n"),
            told(None)
        );
        assert_eq!(
            told(Some("2026-02-27T12:00:00Z")).replace(over, "\n"),
            told(None)
        );
        let standing = Standing {
            namespaces: vec!["pr-dev".to_owned()],
            branch: "dev".to_owned(),
            commit: "a".repeat(40),
            file_url: "https://file".to_owned(),
            environment_url: Some("https://dev.example.com".to_owned()),
            requested_by: "otto".to_owned(),
            expires: Some(at("2026-03-02T12:00:00Z")),
            fingerprint: "0123456789abcdef".to_owned(),
        };
        let text = overtaken(&context(), Some(&standing)).text;
        for words in [
            until,
            "\n- Open: <https://dev.example.com>\n",
            "`otto` had asked for it.\nFlux sees the change at its next look at `main`",
        ] {
            assert!(text.contains(words), "no {words} in {text}");
        }
        let text = overtaken(&context(), None).text;
        assert!(text.contains("at its next look at `main`"), "{text}");
    }

    #[test]
    fn a_label_is_the_way_down_where_it_was_the_way_up() {
        let by_label = Context {
            label: Some("pre`view".to_owned()),
            ..context()
        };
        let text = deployed(&by_label, &environment()).text;
        let way_down = "Comment `/destroy-ephemeral` or remove the label ``pre`view`` to take it down; \
                        closing the pull request does the same.";
        assert!(text.ends_with(way_down), "{text}");
        assert!(!deployed(&context(), &environment()).text.contains("label"));
    }

    #[test]
    fn a_sweep_says_why_and_how_to_come_back() {
        let closed = Context {
            is_open: false,
            ..context()
        };
        for (context, reason, why, way_back) in [
            (
                &closed,
                Reason::Closed,
                "The pull request was closed, and its environment was still there",
                "To bring one up again, reopen the pull request and comment `/deploy-ephemeral`.",
            ),
            (
                &context(),
                Reason::HeadDeleted,
                "The repository of the head branch has been deleted.",
                "push the branch to this repository, open a pull request from there and comment `/deploy-ephemeral`.",
            ),
            (
                &context(),
                Reason::Expired(now()),
                "Its time was over at 2026-02-27 12:00 UTC.",
                "Comment `/deploy-ephemeral` to bring it up again, or `/deploy-ephemeral ttl=72h` to give it 72 hours from then.",
            ),
        ] {
            let message = swept(context, reason, &gone());
            let text = message.text();
            assert!(
                text.starts_with("### 🧹 Destroyed by a sweep\n\n"),
                "{text}"
            );
            assert!(text.contains(why), "{text}");
            assert!(text.ends_with(way_back), "{text}");
            for part in [
                "- Namespace: `pr-dev`, `pr-old`\n",
                "- Branch: `dev` at `aaaaaaa`\n",
                "- Commit: https://github.com/octo/app/commit/c0ffee\n",
                "- Run: https://github.com/octo/app/actions/runs/42\n",
                "next look at `main`",
            ] {
                assert!(text.contains(part), "{part} is not in {text}");
            }
            let body = message.body(None);
            assert_eq!(spoken_of(&body), Some(fingerprint(&[]).as_str()));
            assert!(!is_outdated_without_environment(&body));
        }
    }

    #[test]
    fn a_sweeps_summary_lists_what_went() {
        let removals = [
            removal("dev", 7, Reason::Closed),
            removal("pre`view", 9, Reason::HeadDeleted),
        ];
        assert_eq!(
            sweep_summary("main", &removals, true, 0).text,
            "### 🧹 Swept from `main`: 2\n\n- `dev`, pull request 7: closed\n\
             - ``pre`view``, pull request 9: head-deleted"
        );
        let first = &removals[..1];
        assert_eq!(
            sweep_summary("main", first, false, 0).text,
            "### 🧹 Would be swept from `main`: 1\n\n- `dev`, pull request 7: closed"
        );
        assert_eq!(
            sweep_summary("main", &[], true, 0).text,
            "### 🧹 Nothing to sweep on `main`"
        );
        let doubt = "What became of some could not be told, so they stay; warnings: 2.";
        assert_eq!(
            sweep_summary("main", &[], true, 2).text,
            format!("### 🧹 Nothing was swept from `main`\n\n\n{doubt}")
        );
        let text = sweep_summary("main", first, true, 2).text;
        assert!(text.ends_with(&format!("closed\n\n{doubt}")), "{text}");
        let many: Vec<Removal> = (0..202).map(|_| removals[0].clone()).collect();
        let text = sweep_summary("main", &many, true, 0).text;
        assert!(text.ends_with("closed\n- and 2 more"), "{text}");
        assert_eq!(text.lines().count(), 2 + 200 + 1);
    }

    #[test]
    fn whom_a_sweep_did_not_tell_is_named_with_the_cause() {
        for (hindrance, words) in [
            (Hindrance::Cancelled, "the run was cancelled"),
            (Hindrance::PushTimedOut, "the push was given up"),
            (Hindrance::GitHubGone, "GitHub was given up"),
        ] {
            assert_eq!(
                untold(hindrance, &[7, 9]),
                format!("{words} before these pull requests were told: 7, 9")
            );
        }
    }

    #[test]
    fn whose_commit_status_was_not_set_is_named() {
        assert_eq!(
            without_status(&[7, 9]),
            "the commit status was not set any more for these pull requests: 7, 9"
        );
    }

    #[test]
    fn a_doubt_names_the_pull_requests_or_the_file() {
        let unclear = |pull_requests: Vec<u64>| {
            doubted(&Doubt::Unclear {
                words: "404".to_owned(),
                pull_requests,
            })
        };
        let stay = "the environments of these pull requests stay, for GitHub did not say what became of them:";
        assert_eq!(unclear(vec![7, 9]), format!("{stay} 7, 9: 404"));
        assert_eq!(
            unclear((1..=12).collect()),
            format!("{stay} 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more: 404")
        );
        let unreadable = doubted(&Doubt::Unreadable {
            path: "i/sync-dev.yaml".to_owned(),
            text: "so\non".to_owned(),
        });
        assert!(
            unreadable.starts_with("i/sync-dev.yaml stays: "),
            "{unreadable}"
        );
        assert!(
            unreadable.contains(r#"is "so\non", which is no time"#),
            "{unreadable}"
        );
    }

    #[test]
    fn a_limit_names_what_there_is_and_the_oldest() {
        let limit = |count: u64| Refusal::LimitReached {
            most: 2,
            instances: (1..=count)
                .map(|number| (format!("b{number}"), number))
                .collect(),
        };
        assert_eq!(
            refusal_words(&context(), &limit(2)),
            (
                "There may be 2 environments at a time, and there are 2: `b1` (pull request 1), `b2` (pull request 2)."
                    .to_owned(),
                "comment `/destroy-ephemeral` where nobody needs it any more (the oldest pull request with one is 1, with \
                 `b1`), or raise the action's input `max-environments`."
                    .to_owned()
            )
        );
        let (why, _) = refusal_words(&context(), &limit(12));
        assert!(
            why.ends_with("`b10` (pull request 10) and 2 more."),
            "{why}"
        );
    }

    #[test]
    fn every_refusal_and_failure_has_its_own_reason_and_a_remedy() {
        let refused = refusals("text");
        let refused = refused
            .iter()
            .map(|refusal| refusal_words(&context(), refusal));
        let failed = failures("text");
        let failed = failed
            .iter()
            .map(|failure| failure_words("main", "again.".to_owned(), failure));
        let mut reasons = Vec::new();
        for (why, remedy) in refused.chain(failed) {
            assert!(
                why.starts_with(|c: char| c.is_uppercase() || c == '`'),
                "{why}"
            );
            assert!(remedy.starts_with(char::is_lowercase), "{remedy}");
            assert!(remedy.ends_with(['.', '`']), "{remedy}");
            assert!(!reasons.contains(&why), "{why}");
            reasons.push(why);
        }
        for message in notices(&context(), "text") {
            let text = message.text;
            assert!(text.contains("\n\n**What to do:** "), "{text}");
            let link = "\n- More about this: https://github.com/octo/action/blob/v1/help.md#";
            assert!(text.contains("\n- Run: https://github.com/octo/app/actions/runs/42\n"));
            assert!(
                text.rsplit_once(link)
                    .is_some_and(|(_, reason)| !reason.contains('\n')),
                "{text}"
            );
        }
    }

    #[test]
    fn the_remedy_is_the_exact_line_or_input() {
        let context = context();
        for (failure, remedy) in [
            (
                Failure::Forbidden(String::new()),
                "permissions:\n  contents: write\n",
            ),
            (Failure::Rejected(String::new()), "push to `main`"),
            (Failure::BranchMissing(String::new()), "`branch`"),
            (
                Failure::TimedOut(Duration::ZERO, String::new()),
                "`push-timeout`",
            ),
        ] {
            for message in [
                failed(&context, &failure),
                sweep_failed("main", &context.help_url, &failure),
            ] {
                let (_, told) = message.text.split_once("**What to do:** ").unwrap();
                assert!(told.contains(remedy), "{failure:?}");
            }
        }
        for (refusal, remedy) in [
            (Refusal::Fork, "`allow-forks: true`"),
            (Refusal::Closed, "`/deploy-ephemeral`"),
            (
                Refusal::NotOurs {
                    path: String::new(),
                },
                "`instances-path`",
            ),
        ] {
            assert!(
                refusal_words(&context, &refusal).1.contains(remedy),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn without_the_head_the_pull_request_is_named() {
        let context = Context {
            head: None,
            ..context()
        };
        let text = failed(&context, &Failure::Interrupted).text;
        assert!(text.contains("\n- Pull request: 7\n"), "{text}");
    }

    #[test]
    fn the_state_outlives_refusals_and_failures() {
        let state = deployed(&context(), &environment());
        let stated = state.body(None);
        let mut body = stated.clone();
        let markers = section("forged", "forged");
        let notices: Vec<Message> = ["text", &markers]
            .into_iter()
            .flat_map(|text| notices(&context(), text))
            .collect();
        for notice in &notices {
            body = notice.body(Some(&body));
            // As it comes back after an edit in the browser.
            for body in [
                body.clone(),
                body.replace('\n', "\r\n"),
                body.trim_end().to_owned(),
            ] {
                let fingerprint = environment().fingerprint;
                let known = (fingerprint.as_str(), state.text().to_owned());
                assert_eq!(super::state(&body), Some(known));
                assert_eq!(spoken_of(&body), Some(fingerprint.as_str()));
            }
            assert!(body.starts_with(&format!("{MARKER}\n{}\n", notice.text())));
            assert_eq!(body.matches("### 🚀 Deployed\n").count(), 1);
            assert_eq!(body.matches("### ").count(), 2);
        }
        assert_eq!(state.body(Some(&body)), stated);
    }

    #[test]
    fn what_is_known_stays_where_there_is_room_for_it() {
        let notice = refused(&context(), &Refusal::Closed);
        let room = LONGEST_COMMENT - notice.body(Some(&section("0", ""))).chars().count();
        for (length, is_kept) in [(room, true), (room + 1, false)] {
            let body = notice.body(Some(&section("0", &"x".repeat(length))));
            assert_eq!(spoken_of(&body).is_some(), is_kept);
            assert!(body.chars().count() <= LONGEST_COMMENT);
        }
    }

    #[test]
    fn only_what_became_of_the_environment_is_a_state() {
        for message in notices(&context(), "text") {
            assert!(!message.is_state());
        }
        for message in [
            deployed(&context(), &environment()),
            destroyed(&context(), &gone()),
            nothing_to_destroy(&context()),
            overtaken(&context(), None),
        ] {
            assert!(message.is_state());
        }
    }

    #[test]
    fn a_refusal_is_dropped_where_there_was_no_state_or_a_new_one_comes() {
        let first = refused(&context(), &Refusal::Closed);
        let second = refused(&context(), &Refusal::Fork);
        assert_eq!(second.body(Some(&first.body(None))), second.body(None));
        let state = destroyed(&context(), &gone());
        assert_eq!(state.body(Some(&first.body(None))), state.body(None));
        for before in [
            "",
            MARKER,
            STATE.0,
            STATE.1,
            "<!-- /state -->\n<!-- state 0 -->",
            "<!-- state -->\n<!-- /state -->",
        ] {
            assert_eq!(first.body(Some(before)), first.body(None));
        }
    }

    #[test]
    fn a_comment_is_outdated_where_it_does_not_say_that_the_environment_is_gone() {
        let up = deployed(&context(), &environment()).body(None);
        let down = destroyed(&context(), &gone()).body(None);
        let fails = failed(&context(), &Failure::Interrupted);
        let refuses = refused(&context(), &Refusal::Closed);
        for (body, is_outdated) in [
            (up.clone(), true),
            (down.clone(), false),
            (fails.body(Some(&down)), true),
            (refuses.body(Some(&up)), true),
            (refuses.body(Some(&down)), false),
            (fails.body(None), false),
            (String::new(), false),
        ] {
            assert_eq!(
                is_outdated_without_environment(&body),
                is_outdated,
                "{body}"
            );
        }
    }

    #[test]
    fn a_short_line_fits_a_commit_status() {
        assert_eq!(deployed_in_short("pr-dev"), "Deployed to namespace pr-dev");
        assert_eq!(
            ended_in_short("Refused", "branch-has-moved"),
            "Refused: branch has moved"
        );
        assert_eq!(shortened("äöüß", 4), "äöüß");
        assert_eq!(shortened("äöüß!", 4), "äöü…");
    }

    #[test]
    fn the_summary_lists_the_outputs_that_have_a_value() {
        let outputs = [("decision", "refuse".to_owned()), ("name", String::new())];
        let message = refused(&context(), &Refusal::Closed);
        assert_eq!(
            summary(&outputs, Some(&message)),
            format!(
                "## flux-ephemeral-env\n\n{}\n\n- decision: `refuse`\n",
                message.text()
            )
        );
        assert_eq!(
            summary(&outputs, None),
            "## flux-ephemeral-env\n\n- decision: `refuse`\n"
        );
    }

    #[test]
    fn text_is_shown_as_it_is_wherever_that_is_harmless() {
        for (text, span) in [
            ("dev", "`dev`"),
            ("a`b", "``a`b``"),
            ("`", "`` ` ``"),
            (" a", "`  a `"),
            ("", "`  `"),
            ("a\r\nb", "`a b`"),
            ("@octo #1 <b> **x**", "`@octo #1 <b> **x**`"),
            (
                "a\u{202e}b\u{61c}\u{0}\u{2029}",
                "`a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}`",
            ),
        ] {
            assert_eq!(code(text), span);
        }
        assert_eq!(block("a\r\nb\n"), "```text\na\nb\n```");
        assert_eq!(block("a\n````"), "`````text\na\n````\n`````");
    }

    /// What a code span at the start of `markdown` shows, and what is behind it
    /// ([spec](https://spec.commonmark.org/0.31.2/#code-spans)).
    fn read_span(markdown: &str) -> Option<(String, &str)> {
        let run = |text: &str| text.len() - text.trim_start_matches('`').len();
        let fence = run(markdown);
        let mut at = fence;
        loop {
            let start = at + markdown[at..].find('`')?;
            at = start + run(&markdown[start..]);
            if at - start == fence {
                let content = &markdown[fence..start];
                let inner = content
                    .strip_prefix(' ')
                    .and_then(|content| content.strip_suffix(' '));
                let shown = inner
                    .filter(|_| !content.trim_matches(' ').is_empty())
                    .unwrap_or(content);
                return Some((shown.to_owned(), &markdown[at..]));
            }
        }
    }

    /// The lines of a fenced code block at the start of `lines`, and what is behind it
    /// ([spec](https://spec.commonmark.org/0.31.2/#fenced-code-blocks)).
    fn read_block<'a, 'b>(lines: &'b [&'a str]) -> Option<(&'b [&'a str], &'b [&'a str])> {
        let (opening, lines) = lines.split_first()?;
        let fence = opening.len() - opening.trim_start_matches('`').len();
        let is_closing = |line: &&str| {
            let dedented = line.trim_start_matches(' ');
            let run = dedented.trim_end_matches([' ', '\t']);
            line.len() - dedented.len() < 4 && run.len() >= fence && run.chars().all(|c| c == '`')
        };
        let end = lines.iter().position(is_closing).filter(|_| fence >= 3)?;
        Some((&lines[..end], &lines[end + 1..]))
    }

    /// Markdown without its code: what a reader takes for more than text.
    fn outside_code(markdown: &str) -> String {
        let mut outside = String::new();
        let lines: Vec<&str> = markdown.split('\n').collect();
        let mut lines = lines.as_slice();
        while let Some((line, behind)) = lines.split_first() {
            if line.starts_with("```")
                && let Some((_, behind)) = read_block(lines)
            {
                lines = behind;
                continue;
            }
            let mut line = *line;
            while let Some(start) = line.find('`') {
                outside.push_str(&line[..start]);
                line = read_span(&line[start..])
                    .expect("a code span that ends in its line")
                    .1;
            }
            outside.push_str(line);
            outside.push('\n');
            lines = behind;
        }
        outside
    }

    fn is_harmless(c: char) -> bool {
        let steers = matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        !steers && !c.is_control()
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "[`~ \t\r\na-c]{0,30}",
            "(`{1,5}|~{3}|a| |\n|\n`{3,5}\n){0,8}",
            "[`a @#<>*_\\[\\]()!\n-]{0,30}",
            "\\PC{0,30}",
            proptest::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter),
            "[a\u{61c}\u{200e}\u{2028}\u{202e}\u{2066}\u{85}\u{1b}\n]{0,9}",
        ]
    }

    proptest! {
        #[test]
        fn no_text_ends_its_code_span(text in texts()) {
            let span = code(&text);
            prop_assert!(span.chars().all(is_harmless), "{span:?}");
            let markdown = format!("{span} behind");
            let (shown, behind) = read_span(&markdown).expect("a code span");
            prop_assert_eq!(behind, " behind");
            let expected: String = text
                .replace("\r\n", " ")
                .chars()
                .map(|c| if c == '\n' { ' ' } else if is_harmless(c) { c } else { '\u{fffd}' })
                .collect();
            if expected.trim_matches(' ').is_empty() {
                prop_assert!(shown.trim_matches(' ').is_empty());
            } else {
                prop_assert_eq!(shown, expected);
            }
        }

        #[test]
        fn no_text_ends_its_code_block(text in texts()) {
            let block = block(&text);
            let lines: Vec<&str> = block.split('\n').collect();
            let (shown, behind) = read_block(&lines).expect("a code block");
            prop_assert!(behind.is_empty(), "{block}");
            prop_assert!(shown.iter().all(|line| line.chars().all(is_harmless)), "{block:?}");
            let expected: String = text
                .replace("\r\n", "\n")
                .chars()
                .map(|c| if c == '\n' || is_harmless(c) { c } else { '\u{fffd}' })
                .collect();
            prop_assert_eq!(shown.join("\n"), expected.trim_end());
        }

        #[test]
        fn no_text_takes_effect_in_a_message(text in texts(), other in texts()) {
            let text = format!("{text}octocat{other}");
            let context = Context {
                head: Some((text.clone(), sha("a"))),
                ..context()
            };
            let state = deployed(&context, &environment()).body(None);
            for notice in notices(&context, &text) {
                let body = notice.body(Some(&state));
                prop_assert!(!outside_code(&body).contains("octocat"), "{body}");
            }
        }
    }

    proptest! {
        // Each case takes megabytes of text.
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn no_words_make_a_comment_or_a_status_too_long(piece in "`{1,3}|[a`\n]{1,3}|\\PC{1,2}") {
            let text = piece.repeat(70_000 / piece.chars().count());
            let context = Context {
                head: Some((text.clone(), sha("a"))),
                ..context()
            };
            let environment = Deployed {
                namespace: text.clone(),
                replaced: vec![text.clone(); 100],
                commit_url: None,
                ..environment()
            };
            let state = deployed(&context, &environment).body(None);
            // As long as GitHub lets somebody make it who edits it.
            let kept: String = text.chars().take(65_536 - 100).collect();
            let edited = format!("{MARKER}\n{}", section("0123456789abcdef", &kept));
            prop_assert!(state.chars().count() <= 65_536 && edited.chars().count() <= 65_536);
            for notice in notices(&context, &text) {
                for before in [&state, &edited] {
                    prop_assert!(notice.body(Some(before)).chars().count() <= 65_536);
                }
            }
            for short in [deployed_in_short(&environment.namespace), ended_in_short("Failed", &text)] {
                prop_assert!(short.chars().count() <= 140);
            }
        }
    }
}
