//! Every sentence that a person reads on the pull request. Text that came from outside goes through [`code`] or [`block`].

use crate::command::Sha;
use crate::config::Permission;
use crate::decide::Refusal;
use crate::failure::Failure;

/// Finds our comment again; invisible to a reader.
pub const MARKER: &str = "<!-- flux-ephemeral-env -->";
/// Around what is known of the environment, so that a later refusal or failure need not forget it.
const STATE: (&str, &str) = ("<!-- state -->", "<!-- /state -->");
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
    /// The branch Flux watches.
    pub target_branch: String,
    /// The page of this run.
    pub run_url: String,
    /// How to deploy.
    pub deploy_command: String,
    /// How to destroy.
    pub destroy_command: String,
}

/// An environment that Flux will bring up.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Its namespace.
    pub namespace: String,
    /// Its file.
    pub path: String,
    /// The page of the commit that holds the file, `None` where it was there already.
    pub commit_url: Option<String>,
    /// Where the environment will be.
    pub environment_url: Option<String>,
    /// Whether it stays on the commit.
    pub pinned: bool,
    /// How often Flux looks at the branch.
    pub interval: String,
    /// How long Flux waits for readiness.
    pub timeout: String,
}

/// An environment that Flux will take down.
#[derive(Debug, Clone)]
pub struct Destroyed {
    /// Namespaces that go away.
    pub namespaces: Vec<String>,
    /// The page of the commit.
    pub commit_url: String,
}

/// A message, and whether it replaces what the comment said of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    text: String,
    is_state: bool,
}

impl Message {
    /// The whole comment, given what it said before.
    pub fn body(&self, before: Option<&str>) -> String {
        if self.is_state {
            return format!("{MARKER}\n{}\n{}\n{}\n", STATE.0, self.text, STATE.1);
        }
        match before.and_then(state) {
            Some(state) => format!(
                "{MARKER}\n{}\n\n---\n\nNothing changed for the environment:\n\n{}\n{state}\n{}\n",
                self.text, STATE.0, STATE.1
            ),
            None => format!("{MARKER}\n{}\n", self.text),
        }
    }

    /// The message alone, for the job summary.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn state(body: &str) -> Option<&str> {
    let (_, behind) = body.split_once(STATE.0)?;
    let (state, _) = behind.rsplit_once(STATE.1)?;
    Some(state.trim())
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
            None => format!(
                "- File: {} is there and says the same",
                code(&deployed.path)
            ),
        },
        format!("- Run: {}", context.run_url),
    ];
    if let Some(url) = &deployed.environment_url {
        lines.push(format!("- Open: <{url}>"));
    }
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
    lines.push(String::new());
    lines.push(format!(
        "Comment {} to take it down; closing the pull request does the same.",
        code(&context.destroy_command)
    ));
    Message {
        text: lines.join("\n"),
        is_state: true,
    }
}

/// The environment is on its way down.
pub fn destroyed(context: &Context, destroyed: &Destroyed) -> Message {
    let namespaces: Vec<String> = destroyed
        .namespaces
        .iter()
        .filter(|namespace| !namespace.is_empty())
        .map(|namespace| code(namespace))
        .collect();
    let text = [
        "### 🚀 Destroyed".to_owned(),
        String::new(),
        format!("- Namespace: {}", namespaces.join(", ")),
        head(context),
        format!("- Commit: {}", destroyed.commit_url),
        format!("- Run: {}", context.run_url),
        String::new(),
        format!(
            "{} Then it removes everything it had applied.",
            next_look(context)
        ),
        String::new(),
        format!(
            "Comment {} to bring it back.",
            code(&context.deploy_command)
        ),
    ]
    .join("\n");
    Message {
        text,
        is_state: true,
    }
}

/// A destroy command where there is nothing to destroy.
pub fn nothing_to_destroy(context: &Context) -> Message {
    let text = [
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
        format!("Comment {} to bring one up.", code(&context.deploy_command)),
    ]
    .join("\n");
    Message {
        text,
        is_state: true,
    }
}

/// A request that is not granted.
pub fn refused(context: &Context, refusal: &Refusal) -> Message {
    let (why, remedy) = refusal_words(context, refusal);
    notice("### 😕 Refused", context, &why, &remedy)
}

/// Something broke.
pub fn failed(context: &Context, failure: &Failure) -> Message {
    let (why, remedy) = failure_words(context, failure);
    notice("### 👎 Failed", context, &why, &remedy)
}

fn notice(title: &str, context: &Context, why: &str, remedy: &str) -> Message {
    let text = [
        title.to_owned(),
        String::new(),
        why.to_owned(),
        String::new(),
        format!("**What to do:** {remedy}"),
        String::new(),
        head(context),
        format!("- Run: {}", context.run_url),
    ]
    .join("\n");
    Message {
        text,
        is_state: false,
    }
}

fn head(context: &Context) -> String {
    match &context.head {
        Some((branch, commit)) => format!("- Branch: {} at {}", code(branch), code(commit.short())),
        None => format!("- Pull request: {}", context.pull_request),
    }
}

fn next_look(context: &Context) -> String {
    format!(
        "Flux sees the commit at its next look at {} (every minute by default, at once where a webhook tells it).",
        code(&context.target_branch)
    )
}

/// Why a request is refused, and the remedy.
fn refusal_words(context: &Context, refusal: &Refusal) -> (String, String) {
    let deploy = code(&context.deploy_command);
    match refusal {
        Refusal::Usage(error) => (
            format!("{} is no argument of the command.", code(&error.argument)),
            format!("write {}.", code(&error.usage)),
        ),
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
            format!("comment again in a minute, or {}", ask_somebody(*needs)),
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
            format!(
                "look at what was pushed, then comment {}.",
                code(&format!("{} {head}", context.deploy_command))
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

fn ask_somebody(needs: Permission) -> String {
    format!(
        "ask somebody with {} to comment, or lower the action's input `allowed-permission`.",
        code(needs.as_str())
    )
}

/// Why something failed, and the remedy.
fn failure_words(context: &Context, failure: &Failure) -> (String, String) {
    let branch = code(&context.target_branch);
    let again = format!(
        "give the command again; the run's log is at {}.",
        context.run_url
    );
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
                "The change did not land within {} s. The last answer was:\n\n{}",
                after.as_secs(),
                block(words)
            ),
            format!("raise the input `push-timeout` if this repeats, and {again}"),
        ),
        Failure::Interrupted => ("The run was cancelled before the change landed.".to_owned(), again),
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
pub fn deployed_in_short(deployed: &Deployed) -> String {
    shortened(
        &format!("Deployed to namespace {}", deployed.namespace),
        LONGEST_DESCRIPTION,
    )
}

/// The one line of a commit status once there is no environment.
pub const DESTROYED_IN_SHORT: &str = "Destroyed";

/// The one line of a commit status for a refusal or failure.
pub fn ended_in_short(word: &str, code: &str) -> String {
    shortened(
        &format!("{word}: {}", code.replace('-', " ")),
        LONGEST_DESCRIPTION,
    )
}

/// Untrusted text as a code span, in which no mention, link or Markdown takes effect
/// ([spec](https://spec.commonmark.org/0.31.2/#code-spans)).
pub fn code(text: &str) -> String {
    let text = visible(text).replace('\n', " ");
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
            let is_direction = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
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
