//! The environment and the action's inputs, validated once: past this file every value is known to be good.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use url::Url;
use wildmatch::WildMatch;

use crate::command::Words;
use crate::environment::LONGEST_PREFIX;
use crate::lifetime::{LIFETIMES, Lifetime};
use crate::manifest::RESERVED_VARIABLES;

/// What a path of a URL keeps as it is, `/` included ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-3.3)).
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b'_')
    .remove(b'~');

/// Longest name of a label, in characters ([GitHub's own bound](https://docs.github.com/rest/issues/labels#create-a-label)).
const LONGEST_LABEL: usize = 50;

/// Every input and its default, as `action.yml` declares them.
pub const INPUTS: [(&str, &str); 23] = [
    ("token", "${{ github.token }}"),
    ("deploy-command", "/deploy-ephemeral"),
    ("destroy-command", "/destroy-ephemeral"),
    ("branch", ""),
    ("instances-path", "k8s/app/overlays/ephemeral-instances"),
    ("overlay-path", "k8s/app/overlays/ephemeral"),
    ("flux-namespace", "flux-system"),
    ("repository-url", ""),
    ("secret-ref", "flux-system"),
    ("interval", "1m0s"),
    ("timeout", "5m0s"),
    ("namespace-prefix", ""),
    ("protected-namespaces", "default,kube-*,flux-*"),
    ("allowed-permission", "write"),
    ("allow-forks", "false"),
    ("track", "branch"),
    ("substitute", ""),
    ("environment-url", ""),
    ("push-timeout", "60s"),
    ("ttl", ""),
    ("max-environments", "0"),
    ("label", ""),
    ("dry-run", "false"),
];

/// Everything that is given from outside, validated.
#[derive(Debug)]
pub struct Config {
    /// `GITHUB_EVENT_NAME`
    pub event_name: String,
    /// `GITHUB_EVENT_PATH`
    pub event_path: PathBuf,
    /// `GITHUB_REPOSITORY`
    pub repository: RepositoryName,
    /// `GITHUB_WORKSPACE`, where there is one.
    pub workspace: Option<PathBuf>,
    /// `GITHUB_API_URL`
    pub api_url: Url,
    /// `GITHUB_SERVER_URL`
    pub server_url: Url,
    /// `GITHUB_GRAPHQL_URL`
    pub graphql_url: Url,
    /// `GITHUB_RUN_ID`
    pub run_id: u64,
    /// `GITHUB_OUTPUT`, where there is one.
    pub output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`, where there is one.
    pub summary: Option<PathBuf>,
    /// `GITHUB_ACTION_REPOSITORY` and `GITHUB_ACTION_REF`: where the action itself comes from, unless it is this repository.
    pub action: Option<(RepositoryName, String)>,
    /// The action's inputs.
    pub inputs: Inputs,
}

/// The action's inputs, in the order of `action.yml`.
#[derive(Debug)]
pub struct Inputs {
    /// Pushes and comments.
    pub token: Token,
    /// `deploy-command` and `destroy-command`
    pub commands: Words,
    /// The branch Flux watches; `None` for the default branch.
    pub branch: Option<String>,
    /// Directory of the instances, without `/` at its end.
    pub instances_path: String,
    /// Directory of the overlay, without `/` at its end.
    pub overlay_path: String,
    /// Namespace of Flux's objects.
    pub flux_namespace: String,
    /// What Flux clones.
    pub repository_url: String,
    /// Name of the Secret with Flux's Git credentials.
    pub secret_ref: Option<String>,
    /// How often Flux looks at the branch, in Flux's own notation.
    pub interval: String,
    /// How long Flux waits for readiness, in Flux's own notation.
    pub timeout: String,
    /// In front of every namespace.
    pub namespace_prefix: String,
    /// Namespaces that no environment may have.
    pub protected_namespaces: Vec<Glob>,
    /// Least permission of who commands.
    pub allowed_permission: Permission,
    /// Whether a fork's pull request may be deployed.
    pub allow_forks: bool,
    /// Whether an environment follows its branch or stays on a commit.
    pub track: Track,
    /// More variables for the overlay.
    pub substitute: BTreeMap<String, String>,
    /// Where the environment will be, with placeholders.
    pub environment_url: Option<UrlTemplate>,
    /// How long a push is tried again.
    pub push_timeout: Duration,
    /// How long an environment may live, unless the command says otherwise.
    pub ttl: Lifetime,
    /// `max-environments`: how many environments there may be, `None` for any number.
    pub most_environments: Option<NonZeroUsize>,
    /// The label that deploys while it is there.
    pub label: Option<String>,
    /// Decide, render and log, and change nothing.
    pub dry_run: bool,
}

/// A secret: its `Debug` is redacted and it has no `Display`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A secret of this text.
    pub fn new(text: &str) -> Token {
        Token(text.to_owned())
    }

    /// The secret itself, for the header of a request and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The credentials of Git's basic authentication, as secret as the token
    /// ([docs](https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation#about-authentication-as-a-github-app-installation)).
    pub fn basic(&self) -> String {
        STANDARD.encode(format!("x-access-token:{}", self.0))
    }

    /// Text without the secret in any form that is sent, or that a `Debug` of such text has.
    pub fn redact(&self, text: &str) -> String {
        let quoted = format!("{:?}", self.0);
        let escaped = quoted.get(1..quoted.len() - 1).unwrap_or(&self.0);
        let basic = self.basic();
        [&self.0, escaped, &basic, basic.trim_end_matches('=')]
            .into_iter()
            .fold(text.to_owned(), |text, form| text.replace(form, "***"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// A repository's `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryName {
    /// The user or organisation.
    pub owner: String,
    /// The name below it.
    pub name: String,
}

impl RepositoryName {
    fn parse(text: &str) -> Option<RepositoryName> {
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let (owner, name) = text.split_once('/')?;
        (is_part(owner) && is_part(name)).then(|| RepositoryName {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// What somebody may do in a repository, the least first
/// ([roles](https://docs.github.com/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing.
    None,
    /// See.
    Read,
    /// Manage issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Manage the repository.
    Maintain,
    /// Everything.
    Admin,
}

impl Permission {
    /// The permission of this name, `None` for a word that is none of GitHub's.
    pub fn parse(word: &str) -> Option<Permission> {
        Some(match word {
            "none" => Permission::None,
            "read" => Permission::Read,
            "triage" => Permission::Triage,
            "write" => Permission::Write,
            "maintain" => Permission::Maintain,
            "admin" => Permission::Admin,
            _ => return None,
        })
    }

    /// GitHub's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::None => "none",
            Permission::Read => "read",
            Permission::Triage => "triage",
            Permission::Write => "write",
            Permission::Maintain => "maintain",
            Permission::Admin => "admin",
        }
    }
}

/// What an environment shows after a push to its branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// The branch's newest commit.
    Branch,
    /// The commit that was the head when the command was given.
    Commit,
}

/// A pattern for namespaces: `*` stands for any characters, `?` for one.
#[derive(Debug, Clone)]
pub struct Glob {
    pattern: String,
    matcher: WildMatch,
}

impl Glob {
    /// Whether `namespace` is one of those meant.
    pub fn matches(&self, namespace: &str) -> bool {
        self.matcher.matches(namespace)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

/// A URL with the placeholders `{name}`, `{namespace}` and `{number}`.
#[derive(Debug, Clone)]
pub struct UrlTemplate(String);

impl UrlTemplate {
    /// The URL of one environment.
    pub fn fill(&self, name: &str, namespace: &str, pull_request: u64) -> String {
        self.0
            .replace("{name}", name)
            .replace("{namespace}", namespace)
            .replace("{number}", &pull_request.to_string())
    }
}

impl Config {
    /// Reads and validates the environment that the runner gives to an action.
    ///
    /// # Errors
    /// The first variable or input that is missing or has a bad value: its name, the value and what is allowed.
    pub fn from_env(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Config> {
        let variables = Variables::new(variables)?;
        let server_url = variables.url("GITHUB_SERVER_URL")?;
        let repository = variables.repository()?;
        let inputs = Inputs::new(&variables, &server_url, &repository)?;
        Ok(Config {
            event_name: variables.required("GITHUB_EVENT_NAME")?.to_owned(),
            event_path: PathBuf::from(variables.required("GITHUB_EVENT_PATH")?),
            workspace: variables.optional("GITHUB_WORKSPACE").map(PathBuf::from),
            api_url: variables.url("GITHUB_API_URL")?,
            graphql_url: variables.url("GITHUB_GRAPHQL_URL")?,
            run_id: variables.run_id()?,
            output: variables.optional("GITHUB_OUTPUT").map(PathBuf::from),
            summary: variables.optional("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            action: variables.action(),
            repository,
            server_url,
            inputs,
        })
    }

    /// The page of this run.
    pub fn run_url(&self) -> String {
        self.page(&format!("actions/runs/{}", self.run_id))
    }

    /// The page that says of each refusal and failure what to do, in the action's own repository.
    pub fn help_url(&self) -> String {
        let own = (self.repository.clone(), "HEAD".to_owned());
        let (repository, revision) = self.action.as_ref().unwrap_or(&own);
        let revision = utf8_percent_encode(revision, PATH);
        let server = base(&self.server_url);
        format!("{server}/{repository}/blob/{revision}/docs/troubleshooting.md")
    }

    /// The page of a file on a branch.
    pub fn file_url(&self, branch: &str, path: &str) -> String {
        let segments = |path: &str| utf8_percent_encode(path, PATH).to_string();
        self.page(&format!("blob/{}/{}", segments(branch), segments(path)))
    }

    /// The page of a commit.
    pub fn commit_url(&self, sha: &str) -> String {
        self.page(&format!("commit/{sha}"))
    }

    /// What is fetched from and pushed to.
    pub fn remote_url(&self) -> String {
        format!("{}/{}", base(&self.server_url), self.repository)
    }

    fn page(&self, path: &str) -> String {
        format!("{}/{path}", self.remote_url())
    }
}

/// A URL as text that a path can be put behind.
pub fn base(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// The variables that matter here, all of them text.
struct Variables(HashMap<String, String>);

impl Variables {
    fn new(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Variables> {
        let mut ours = HashMap::new();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            if !(name.starts_with("GITHUB_") || name.starts_with("INPUT_")) {
                continue;
            }
            match value.into_string() {
                Ok(value) => ours.insert(name.to_owned(), value),
                // Not shown: it may be the token.
                Err(_) => bail!("{} is not UTF-8: give text", described(name)),
            };
        }
        Ok(Variables(ours))
    }

    fn optional(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str) -> Result<&str> {
        self.optional(name).with_context(|| {
            format!("the variable `{name}` is missing or empty: GitHub's runner sets it, so run this as an action")
        })
    }

    fn url(&self, name: &str) -> Result<Url> {
        let text = self.required(name)?;
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .with_context(|| format!("the variable `{name}` is no URL that starts with http:// or https:// and holds no credentials"))
    }

    fn repository(&self) -> Result<RepositoryName> {
        let text = self.required("GITHUB_REPOSITORY")?;
        RepositoryName::parse(text).with_context(|| {
            format!("the variable `GITHUB_REPOSITORY` is {text:?}: it must be `owner/name`")
        })
    }

    /// Only a link depends on it, so what cannot be read is as good as missing.
    fn action(&self) -> Option<(RepositoryName, String)> {
        let repository = self.optional("GITHUB_ACTION_REPOSITORY")?;
        let revision = self.optional("GITHUB_ACTION_REF")?;
        Some((RepositoryName::parse(repository)?, revision.to_owned()))
    }

    fn run_id(&self) -> Result<u64> {
        let text = self.required("GITHUB_RUN_ID")?;
        text.parse().with_context(|| {
            format!("the variable `GITHUB_RUN_ID` is {text:?}: it must be a number")
        })
    }
}

/// A variable as its user knows it.
fn described(variable: &str) -> String {
    match variable.strip_prefix("INPUT_") {
        Some(input) => format!("the input `{}`", input.to_ascii_lowercase()),
        None => format!("the variable `{variable}`"),
    }
}

/// The inputs as they come: text each, defaults filled in.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawInputs {
    token: String,
    deploy_command: String,
    destroy_command: String,
    branch: String,
    instances_path: String,
    overlay_path: String,
    flux_namespace: String,
    repository_url: String,
    secret_ref: String,
    interval: String,
    timeout: String,
    namespace_prefix: String,
    protected_namespaces: String,
    allowed_permission: String,
    allow_forks: String,
    track: String,
    substitute: String,
    environment_url: String,
    push_timeout: String,
    ttl: String,
    max_environments: String,
    label: String,
    dry_run: String,
}

impl RawInputs {
    fn new(variables: &Variables) -> Result<RawInputs> {
        // The runner sets every declared input; outside of it an input that is not there has its default.
        let mut values: HashMap<String, String> = INPUTS
            .iter()
            .filter(|(name, _)| *name != "token")
            .map(|(name, default)| {
                (
                    format!("INPUT_{}", name.to_uppercase()),
                    (*default).to_owned(),
                )
            })
            .collect();
        values.extend(variables.0.clone());
        match envy::prefixed("INPUT_").from_iter(values) {
            Ok(inputs) => Ok(inputs),
            Err(envy::Error::MissingValue(name)) => {
                bail!("the input `{name}` is missing: give a value")
            }
            Err(envy::Error::Custom(reason)) => bail!("the inputs cannot be read: {reason}"),
        }
    }
}

impl Inputs {
    fn new(variables: &Variables, server_url: &Url, repository: &RepositoryName) -> Result<Inputs> {
        let raw = RawInputs::new(variables)?;
        let commands = Words {
            deploy: command("deploy-command", &raw.deploy_command)?,
            destroy: command("destroy-command", &raw.destroy_command)?,
        };
        ensure!(
            commands.deploy != commands.destroy,
            invalid(
                "destroy-command",
                &raw.destroy_command,
                "a word other than `deploy-command`"
            )
        );
        Ok(Inputs {
            token: token(raw.token)?,
            commands,
            branch: optional(&raw.branch)
                .map(|value| branch("branch", value))
                .transpose()?,
            instances_path: path("instances-path", &raw.instances_path)?,
            overlay_path: path("overlay-path", &raw.overlay_path)?,
            flux_namespace: dns_label("flux-namespace", &raw.flux_namespace)?,
            repository_url: match optional(&raw.repository_url) {
                Some(value) => repository_url("repository-url", value)?,
                None => format!(
                    "ssh://git@{}/{repository}",
                    server_url.host_str().unwrap_or_default()
                ),
            },
            secret_ref: optional(&raw.secret_ref)
                .map(|value| dns_subdomain("secret-ref", value))
                .transpose()?,
            interval: flux_duration("interval", &raw.interval)?.0,
            timeout: flux_duration("timeout", &raw.timeout)?.0,
            namespace_prefix: prefix("namespace-prefix", &raw.namespace_prefix)?,
            protected_namespaces: globs("protected-namespaces", &raw.protected_namespaces)?,
            allowed_permission: permission("allowed-permission", &raw.allowed_permission)?,
            allow_forks: boolean("allow-forks", &raw.allow_forks)?,
            track: track("track", &raw.track)?,
            substitute: substitute("substitute", &raw.substitute)?,
            environment_url: optional(&raw.environment_url)
                .map(|value| url_template("environment-url", value))
                .transpose()?,
            push_timeout: flux_duration("push-timeout", &raw.push_timeout)?.1,
            ttl: optional(&raw.ttl)
                .map_or(Ok(Lifetime::Unlimited), |value| lifetime("ttl", value))?,
            most_environments: count("max-environments", &raw.max_environments)?,
            label: optional(&raw.label)
                .map(|value| label("label", value))
                .transpose()?,
            dry_run: boolean("dry-run", &raw.dry_run)?,
        })
    }
}

fn invalid(input: &str, value: &str, allowed: &str) -> anyhow::Error {
    anyhow::anyhow!("the input `{input}` is {value:?}: give {allowed}")
}

fn optional(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty())
}

/// The value where `good`, else an error that says what is allowed.
fn checked(input: &str, value: &str, good: bool, allowed: &str) -> Result<String> {
    if good {
        Ok(value.to_owned())
    } else {
        Err(invalid(input, value, allowed))
    }
}

fn token(value: String) -> Result<Token> {
    let good = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic());
    ensure!(
        good,
        "the input `token` is empty or holds a blank, a line break or another character that no token has: \
         leave it out for the workflow's own, or give a token in one line"
    );
    Ok(Token(value))
}

fn command(input: &str, value: &str) -> Result<String> {
    let good = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c.is_control());
    checked(input, value, good, "one word, like `/deploy-ephemeral`")
}

/// [Git's rules](https://git-scm.com/docs/git-check-ref-format) for a branch.
fn branch(input: &str, value: &str) -> Result<String> {
    let good = !value.starts_with("refs/")
        && !value.starts_with(['-', '/'])
        && !value.ends_with(['/', '.'])
        && !["..", "//", "@{", "/."]
            .iter()
            .any(|part| value.contains(part))
        && !value
            .split('/')
            .any(|part| part.ends_with(".lock") || part.starts_with('.'))
        && !value.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c));
    checked(
        input,
        value,
        good,
        "a branch's name without `refs/heads/`, like `main`",
    )
}

fn path(input: &str, value: &str) -> Result<String> {
    let trimmed = value
        .strip_prefix("./")
        .unwrap_or(value)
        .trim_end_matches('/');
    let good = trimmed.split('/').all(|part| {
        !matches!(part, "" | "." | "..")
            && !part.eq_ignore_ascii_case(".git")
            && !part.contains(|c: char| c.is_control() || c == '\\')
    });
    ensure!(
        good,
        invalid(
            input,
            value,
            "a directory of the repository, like `k8s/app/overlays/ephemeral`"
        )
    );
    Ok(trimmed.to_owned())
}

fn is_dns_label(value: &str, longest: usize) -> bool {
    (1..=longest).contains(&value.len())
        && value
            .chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
        && !value.starts_with('-')
        && !value.ends_with('-')
}

fn dns_label(input: &str, value: &str) -> Result<String> {
    let allowed = "a namespace: lower-case letters, digits and `-`, at most 63";
    checked(input, value, is_dns_label(value, 63), allowed)
}

fn dns_subdomain(input: &str, value: &str) -> Result<String> {
    let good = value.len() <= 253 && value.split('.').all(|label| is_dns_label(label, 63));
    checked(
        input,
        value,
        good,
        "a Secret's name: lower-case letters, digits, `-` and `.`",
    )
}

/// What Flux's `GitRepository` takes for a URL, and no password in it.
fn repository_url(input: &str, value: &str) -> Result<String> {
    let allowed = "a URL that starts with ssh://, https:// or http:// and holds no password, \
                   like `ssh://git@github.com/owner/name`";
    let parsed = Url::parse(value).map_err(|_| hidden(input, allowed))?;
    let over_ssh = parsed.scheme() == "ssh";
    // Flux looks at the text, and is stricter than the parser.
    let good = ["ssh://", "https://", "http://"]
        .iter()
        .any(|start| value.starts_with(start))
        && !value.contains(|c: char| c.is_whitespace() || c.is_control())
        && parsed.has_host()
        && parsed.password().is_none()
        && (over_ssh || parsed.username().is_empty());
    ensure!(good, hidden(input, allowed));
    Ok(value.to_owned())
}

/// Like [`invalid`], for a value that may hold a password.
fn hidden(input: &str, allowed: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "the input `{input}` has a value that cannot be used (not shown, it may hold a password): give {allowed}"
    )
}

/// Flux's own notation and its length ([API](https://fluxcd.io/flux/components/source/gitrepositories/#interval)).
fn flux_duration(input: &str, value: &str) -> Result<(String, Duration)> {
    let allowed = "a duration of more than nothing, like `1m30s` or `60s` (units ms, s, m, h)";
    match parse_duration(value) {
        Some(duration) if !duration.is_zero() => Ok((value.to_owned(), duration)),
        _ => Err(invalid(input, value, allowed)),
    }
}

fn lifetime(input: &str, value: &str) -> Result<Lifetime> {
    Lifetime::parse(value).ok_or_else(|| invalid(input, value, LIFETIMES))
}

fn count(input: &str, value: &str) -> Result<Option<NonZeroUsize>> {
    let is_number = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit());
    let number = value.parse().ok().filter(|_| is_number);
    let number: usize =
        number.ok_or_else(|| invalid(input, value, "a whole number, or `0` for no limit"))?;
    Ok(NonZeroUsize::new(number))
}

/// What GitHub takes for a label's name.
fn label(input: &str, value: &str) -> Result<String> {
    let good = value.trim() == value
        && value.chars().count() <= LONGEST_LABEL
        && !value.chars().any(char::is_control);
    let allowed = format!("a label's name, at most {LONGEST_LABEL} characters in one line");
    checked(input, value, good, &allowed)
}

/// Reads `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !matches!(c, '0'..='9' | '.'))?);
        let (unit, behind) = behind.split_at(
            behind
                .find(|c: char| !c.is_ascii_lowercase())
                .unwrap_or(behind.len()),
        );
        if number.starts_with('.') || number.ends_with('.') {
            return None;
        }
        let scale = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = behind;
    }
    // Flux counts nanoseconds in 64 bits: 292 years.
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|length| length.as_nanos() <= i64::MAX as u128)
}

fn prefix(input: &str, value: &str) -> Result<String> {
    let good = value.is_empty()
        || (value.len() <= LONGEST_PREFIX
            && is_dns_label(value.trim_end_matches('-'), LONGEST_PREFIX));
    let allowed = format!(
        "at most {LONGEST_PREFIX} lower-case letters, digits and `-`, a letter or digit first, like `preview-`"
    );
    checked(input, value, good, &allowed)
}

fn globs(input: &str, value: &str) -> Result<Vec<Glob>> {
    let allowed =
        "namespaces separated by commas, with `*` and `?` as wildcards, like `default,kube-*`";
    value
        .split(',')
        .map(|pattern| {
            let pattern = pattern.trim();
            let good = !pattern.is_empty()
                && pattern
                    .chars()
                    .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '*' | '?'));
            ensure!(good, invalid(input, value, allowed));
            Ok(Glob {
                pattern: pattern.to_owned(),
                matcher: WildMatch::new(pattern),
            })
        })
        .collect()
}

fn permission(input: &str, value: &str) -> Result<Permission> {
    Permission::parse(value)
        .filter(|permission| *permission != Permission::None)
        .ok_or_else(|| {
            invalid(
                input,
                value,
                "`read`, `triage`, `write`, `maintain` or `admin`",
            )
        })
}

/// The booleans of [YAML 1.2's core schema](https://yaml.org/spec/1.2.2/#1032-tag-resolution), as GitHub's own actions take them.
fn boolean(input: &str, value: &str) -> Result<bool> {
    match value {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" => Ok(false),
        _ => Err(invalid(input, value, "`true` or `false`")),
    }
}

fn track(input: &str, value: &str) -> Result<Track> {
    match value {
        "branch" => Ok(Track::Branch),
        "commit" => Ok(Track::Commit),
        _ => Err(invalid(input, value, "`branch` or `commit`")),
    }
}

/// Lines of `KEY=value`; a key is what Flux takes for a variable
/// ([docs](https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution)).
fn substitute(input: &str, value: &str) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for line in value.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let bad = |allowed: &str| Err(invalid(input, line, allowed));
        let Some((key, value)) = line.split_once('=') else {
            return bad("one `KEY=value` a line");
        };
        let is_variable = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_variable {
            return bad("a KEY of letters, digits and `_`, no digit first");
        }
        if RESERVED_VARIABLES.contains(&key) {
            return bad(&format!(
                "another KEY, {} are set for every environment",
                RESERVED_VARIABLES.join(", ")
            ));
        }
        if value.chars().any(char::is_control) {
            return bad("a value without control characters");
        }
        if variables.insert(key.to_owned(), value.to_owned()).is_some() {
            return bad("each KEY once");
        }
    }
    Ok(variables)
}

fn url_template(input: &str, value: &str) -> Result<UrlTemplate> {
    let template = UrlTemplate(value.to_owned());
    let filled = template.fill("name", "namespace", 1);
    let good = Url::parse(&filled)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        && !filled.contains(|c: char| c.is_whitespace() || c.is_control() || "{}<>\"`".contains(c));
    let allowed =
        "a URL with {name}, {namespace} or {number} in it, like `https://{namespace}.example.com`";
    ensure!(good, invalid(input, value, allowed));
    Ok(template)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::collection::{hash_map, vec};
    use proptest::prelude::*;
    use proptest::sample::select;
    use regex::Regex;

    const TOKEN: &str = "ghs_secret";

    /// The configuration of a runner that sets what it has to, with `changes` on top.
    pub(crate) fn configured(changes: &[(&str, &str)]) -> Result<Config> {
        let variables: HashMap<&str, &str> = [
            ("GITHUB_EVENT_NAME", "issue_comment"),
            ("GITHUB_EVENT_PATH", "/github/workflow/event.json"),
            ("GITHUB_REPOSITORY", "octo/app"),
            ("GITHUB_API_URL", "https://api.github.com"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql"),
            ("GITHUB_RUN_ID", "42"),
            ("INPUT_TOKEN", TOKEN),
        ]
        .into_iter()
        .chain(changes.iter().copied())
        .collect();
        Config::from_env(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    fn with_input(input: &str, value: &str) -> Result<Inputs> {
        let variable = format!("INPUT_{}", input.to_uppercase());
        Ok(configured(&[(&variable, value)])?.inputs)
    }

    #[test]
    fn inputs_that_are_not_given_have_their_defaults() {
        let inputs = configured(&[]).unwrap().inputs;
        assert_eq!(inputs.token.expose(), TOKEN);
        assert_eq!(inputs.commands.deploy, "/deploy-ephemeral");
        assert_eq!(inputs.commands.destroy, "/destroy-ephemeral");
        assert_eq!(inputs.branch, None);
        assert_eq!(
            inputs.instances_path,
            "k8s/app/overlays/ephemeral-instances"
        );
        assert_eq!(inputs.overlay_path, "k8s/app/overlays/ephemeral");
        assert_eq!(inputs.flux_namespace, "flux-system");
        assert_eq!(inputs.repository_url, "ssh://git@github.com/octo/app");
        assert_eq!(inputs.secret_ref.as_deref(), Some("flux-system"));
        assert_eq!(inputs.interval, "1m0s");
        assert_eq!(inputs.timeout, "5m0s");
        assert_eq!(inputs.namespace_prefix, "");
        let globs: Vec<String> = inputs
            .protected_namespaces
            .iter()
            .map(Glob::to_string)
            .collect();
        assert_eq!(globs, ["default", "kube-*", "flux-*"]);
        assert_eq!(inputs.allowed_permission, Permission::Write);
        assert!(!inputs.allow_forks && !inputs.dry_run);
        assert_eq!(inputs.track, Track::Branch);
        assert!(inputs.substitute.is_empty() && inputs.environment_url.is_none());
        assert_eq!(inputs.push_timeout, Duration::from_secs(60));
        assert_eq!(inputs.ttl, Lifetime::Unlimited);
        assert_eq!((inputs.most_environments, inputs.label), (None, None));
    }

    #[test]
    fn the_runners_variables_are_read() {
        let config = configured(&[
            ("GITHUB_WORKSPACE", "/github/workspace"),
            ("GITHUB_OUTPUT", "/github/output"),
            ("GITHUB_STEP_SUMMARY", ""),
        ])
        .unwrap();
        assert_eq!(config.event_name, "issue_comment");
        assert_eq!(
            config.event_path,
            PathBuf::from("/github/workflow/event.json")
        );
        assert_eq!(config.workspace, Some(PathBuf::from("/github/workspace")));
        assert_eq!(config.output, Some(PathBuf::from("/github/output")));
        assert_eq!(config.summary, None);
    }

    #[test]
    fn a_variable_of_the_runner_that_is_missing_or_bad_is_named() {
        for (variable, value) in [
            ("GITHUB_EVENT_NAME", ""),
            ("GITHUB_EVENT_PATH", ""),
            ("GITHUB_REPOSITORY", ""),
            ("GITHUB_REPOSITORY", "app"),
            ("GITHUB_REPOSITORY", "octo/app/more"),
            ("GITHUB_REPOSITORY", "octo/.."),
            ("GITHUB_REPOSITORY", "octo/a b"),
            ("GITHUB_API_URL", ""),
            ("GITHUB_API_URL", "api.github.com"),
            ("GITHUB_SERVER_URL", "ftp://github.com"),
            ("GITHUB_SERVER_URL", "https://user:password@github.com"),
            ("GITHUB_SERVER_URL", "https://user@github.com"),
            ("GITHUB_SERVER_URL", "https://:password@github.com"),
            ("GITHUB_GRAPHQL_URL", "/graphql"),
            ("GITHUB_RUN_ID", ""),
            ("GITHUB_RUN_ID", "-1"),
        ] {
            let error = format!("{:#}", configured(&[(variable, value)]).unwrap_err());
            assert!(
                error.contains(&format!("`{variable}`")),
                "{value:?}: {error}"
            );
            assert!(!error.contains("password"), "{error}");
        }
    }

    #[test]
    fn help_is_in_the_actions_own_repository() {
        let own = "https://github.com/octo/app/blob/HEAD/docs/troubleshooting.md";
        let others =
            "https://github.com/o/flux-ephemeral-env/blob/v1%20%23/docs/troubleshooting.md";
        for (repository, revision, url) in [
            ("o/flux-ephemeral-env", "v1 #", others),
            // As with `uses: ./`.
            ("", "", own),
            ("o/flux-ephemeral-env", "", own),
            ("../x", "v1", own),
            ("nothing", "v1", own),
        ] {
            let variables = [
                ("GITHUB_ACTION_REPOSITORY", repository),
                ("GITHUB_ACTION_REF", revision),
            ];
            assert_eq!(configured(&variables).unwrap().help_url(), url);
        }
    }

    #[test]
    fn pages_and_the_remote_are_below_the_servers_url() {
        for (server, below) in [
            ("https://github.com", "https://github.com/octo/app"),
            (
                "https://ghe.example.com/",
                "https://ghe.example.com/octo/app",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/octo/app"),
            (
                "https://example.com/github/",
                "https://example.com/github/octo/app",
            ),
        ] {
            let config = configured(&[("GITHUB_SERVER_URL", server)]).unwrap();
            assert_eq!(config.remote_url(), below);
            assert_eq!(config.run_url(), format!("{below}/actions/runs/42"));
            assert_eq!(config.commit_url("abc"), format!("{below}/commit/abc"));
            assert_eq!(
                config.file_url("a#b/c", "k8s/sync-dev.yaml"),
                format!("{below}/blob/a%23b/c/k8s/sync-dev.yaml")
            );
        }
    }

    #[test]
    fn flux_clones_from_the_server_over_ssh_unless_told_otherwise() {
        let url = |server: &str, given: &str| {
            configured(&[
                ("GITHUB_SERVER_URL", server),
                ("INPUT_REPOSITORY-URL", given),
            ])
            .unwrap()
            .inputs
            .repository_url
        };
        assert_eq!(
            url("https://ghe.example.com:8443", ""),
            "ssh://git@ghe.example.com/octo/app"
        );
        assert_eq!(url("https://github.com", "https://a.b/c"), "https://a.b/c");
    }

    #[test]
    fn good_values_are_taken() {
        for (input, value) in [
            ("deploy-command", "!up"),
            ("branch", "release/1.0"),
            ("instances-path", "instances"),
            ("overlay-path", "./k8s/über lay/"),
            ("repository-url", "ssh://git@host:22/o/r.git"),
            ("repository-url", "http://127.0.0.1:8080/o/r"),
            ("secret-ref", "git.credentials-1"),
            ("secret-ref", ""),
            ("interval", "1h30m0.5s10ms"),
            ("namespace-prefix", "a2345678901234567890123"),
            ("namespace-prefix", "pr--"),
            ("protected-namespaces", "*"),
            ("protected-namespaces", "default , kube-?*"),
            ("allowed-permission", "read"),
            ("allow-forks", "TRUE"),
            ("track", "commit"),
            (
                "environment-url",
                "https://{namespace}.example.com/{name}?pr={number}",
            ),
            ("environment-url", "http://localhost:8080"),
            ("push-timeout", "500ms"),
            ("ttl", "72h"),
            ("ttl", "never"),
            ("ttl", ""),
            ("max-environments", "0"),
            ("max-environments", "010"),
            ("label", "preview me: now"),
            (
                "label",
                "ä2345678901234567890123456789012345678901234567890",
            ),
        ] {
            if let Err(error) = with_input(input, value) {
                panic!("{error:#}");
            }
        }
    }

    #[test]
    fn a_bad_value_is_refused_with_the_inputs_name_the_value_and_what_is_allowed() {
        let long = "a".repeat(254);
        for (input, value) in [
            ("deploy-command", ""),
            ("deploy-command", "deploy it"),
            ("deploy-command", "/destroy-ephemeral"),
            ("destroy-command", "a\tb"),
            ("branch", "refs/heads/main"),
            ("branch", "-main"),
            ("branch", "a..b"),
            ("branch", "a b"),
            ("branch", "a.lock"),
            ("branch", "a/.b"),
            ("branch", "main/"),
            ("branch", "main\n"),
            ("instances-path", ""),
            ("instances-path", "/k8s"),
            ("instances-path", "k8s/../.."),
            ("instances-path", "."),
            ("instances-path", "a//b"),
            ("overlay-path", ".GIT/hooks"),
            ("overlay-path", "a\\b"),
            ("overlay-path", "a\nb"),
            ("flux-namespace", ""),
            ("flux-namespace", "Flux"),
            ("flux-namespace", "flux-"),
            ("secret-ref", "a..b"),
            ("secret-ref", "a_b"),
            ("secret-ref", &long),
            ("interval", ""),
            ("interval", "60"),
            ("interval", "1d"),
            ("interval", "0s"),
            ("interval", "-1s"),
            ("interval", "1m 30s"),
            ("interval", "1..5s"),
            ("interval", ".5s"),
            ("interval", "1.s"),
            ("timeout", "9999999h"),
            ("push-timeout", "soon"),
            ("namespace-prefix", "-a"),
            ("namespace-prefix", "-"),
            ("namespace-prefix", "PR-"),
            ("namespace-prefix", "a23456789012345678901234"),
            ("protected-namespaces", ""),
            ("protected-namespaces", "a,,b"),
            ("protected-namespaces", "[a-z]"),
            ("allowed-permission", "none"),
            ("allowed-permission", "Write"),
            ("allow-forks", ""),
            ("allow-forks", "yes"),
            ("track", "tag"),
            ("substitute", "KEY"),
            ("substitute", "1KEY=a"),
            ("substitute", "A-B=a"),
            ("substitute", "=a"),
            ("substitute", "BRANCH_NAME=a"),
            ("substitute", "KEY=a\u{1b}b"),
            ("environment-url", "{name}.example.com"),
            ("environment-url", "javascript:{name}"),
            ("environment-url", "ftp://{name}.example.com"),
            ("environment-url", "https://example.com/{branch}"),
            ("environment-url", "https://example.com/a b"),
            ("environment-url", "https://example.com/`"),
            ("ttl", "soon"),
            ("ttl", "0s"),
            ("ttl", "-1h"),
            ("ttl", "87601h"),
            ("max-environments", ""),
            ("max-environments", "many"),
            ("max-environments", "-1"),
            ("max-environments", "+1"),
            ("max-environments", "1.5"),
            ("max-environments", "99999999999999999999"),
            ("label", " preview"),
            ("label", "a\nb"),
            (
                "label",
                "a23456789012345678901234567890123456789012345678901",
            ),
            ("dry-run", "1"),
        ] {
            // Two commands that are the same are the second one's fault.
            let named = match (input, value) {
                ("deploy-command", "/destroy-ephemeral") => "destroy-command",
                _ => input,
            };
            let error = with_input(input, value).unwrap_err().to_string();
            let start = format!("the input `{named}` is {value:?}: give ");
            assert!(error.starts_with(&start), "{input} {value:?}: {error}");
            assert!(error.len() > start.len(), "{error}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_refused_and_not_shown() {
        for value in [
            "https://user:hunter2@host/o/r",
            "https://hunter2@host/o/r",
            "ssh://git:hunter2@host/o/r",
            "git@host:hunter2",
            "file:///hunter2",
            "SSH://git@host/hunter2",
            "https:host/hunter2",
            "https://host/hunter2\n",
            "https://host/ hunter2",
            "ssh:///hunter2",
        ] {
            let error = with_input("repository-url", value).unwrap_err().to_string();
            assert!(error.starts_with("the input `repository-url` "), "{error}");
            assert!(error.contains("give a URL"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_directory_has_no_dot_in_front_and_no_slash_at_its_end() {
        let path = |value: &str| with_input("instances-path", value).unwrap().instances_path;
        for value in ["k8s/app", "./k8s/app", "k8s/app/", "./k8s/app//"] {
            assert_eq!(path(value), "k8s/app");
        }
    }

    #[test]
    fn variables_are_read_line_by_line() {
        let read = with_input(
            "substitute",
            " A=1 \r\n\n_b2=x=y # not a comment\nC=\nD=${x}\n",
        )
        .unwrap()
        .substitute;
        let expected = [
            ("A", "1"),
            ("C", ""),
            ("D", "${x}"),
            ("_b2", "x=y # not a comment"),
        ];
        assert_eq!(
            read,
            expected
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into()
        );

        // The line that is wrong is shown, not the whole value.
        for (value, line) in [("A=1\nA=2", "\"A=2\""), ("A=1\nB\nC=1", "\"B\"")] {
            let error = with_input("substitute", value).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn a_glob_stands_for_the_whole_namespace() {
        let globs = with_input("protected-namespaces", "default,kube-*,a?c")
            .unwrap()
            .protected_namespaces;
        let is_protected = |namespace: &str| globs.iter().any(|glob| glob.matches(namespace));
        for namespace in ["default", "kube-system", "kube-", "abc"] {
            assert!(is_protected(namespace), "{namespace}");
        }
        for namespace in ["default-2", "my-default", "kubernetes", "ac", "abbc"] {
            assert!(!is_protected(namespace), "{namespace}");
        }
    }

    #[test]
    fn permissions_are_ordered_and_read_by_githubs_words() {
        let words = ["none", "read", "triage", "write", "maintain", "admin"];
        let permissions: Vec<Permission> =
            words.into_iter().filter_map(Permission::parse).collect();
        assert_eq!(
            permissions
                .iter()
                .map(|permission| permission.as_str())
                .collect::<Vec<_>>(),
            words
        );
        assert!(permissions.is_sorted_by(|less, more| less < more));
        for word in ["", "Admin", "owner", "push"] {
            assert_eq!(Permission::parse(word), None, "{word}");
        }
    }

    #[test]
    fn an_environments_url_is_filled_in() {
        let template = with_input(
            "environment-url",
            "https://{namespace}.example.com/{name}/{number}/{name}",
        )
        .unwrap()
        .environment_url
        .unwrap();
        assert_eq!(
            template.fill("dev", "pr-dev", 7),
            "https://pr-dev.example.com/dev/7/dev"
        );
    }

    #[test]
    fn a_duration_has_its_length() {
        for (text, milliseconds) in [
            ("60s", 60_000),
            ("1m30s", 90_000),
            ("1h0m0.5s", 3_600_500),
            ("250ms", 250),
        ] {
            let length = with_input("push-timeout", text).unwrap().push_timeout;
            assert_eq!(length, Duration::from_millis(milliseconds), "{text}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        let config = configured(&[]).unwrap();
        assert!(!format!("{config:?} {config:#?}").contains(TOKEN));
        assert_eq!(format!("{:?}", config.inputs.token), "Token(***)");
        for token in ["", "ghs_secret\n", "ghs_secret ", "ghs_secret\u{e9}"] {
            let error = with_input("token", token).unwrap_err();
            let text = format!("{error:#} {error:?}");
            assert!(text.contains("`token`") && !text.contains(TOKEN), "{text}");
        }
    }

    #[test]
    fn the_token_is_blotted_out_in_every_form_that_is_sent() {
        let token = Token::new(TOKEN);
        assert_eq!(token.basic(), "eC1hY2Nlc3MtdG9rZW46Z2hzX3NlY3JldA==");
        let said = format!("{TOKEN}, {} and {TOKEN}.", token.basic());
        assert_eq!(token.redact(&said), "***, *** and ***.");

        let odd = Token::new("a\"b\\c'd");
        let said = format!("{:?} {}", odd.expose(), odd.basic().trim_end_matches('='));
        assert_eq!(odd.redact(&said), "\"***\" ***");
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_refused_and_not_shown() {
        use std::os::unix::ffi::OsStringExt as _;

        let refused = |name: &str| {
            let value = OsString::from_vec(b"ghs_secret\xff".to_vec());
            format!(
                "{:#}",
                Config::from_env([(name.into(), value)].into_iter()).unwrap_err()
            )
        };
        assert_eq!(
            refused("INPUT_TOKEN"),
            "the input `token` is not UTF-8: give text"
        );
        assert_eq!(
            refused("GITHUB_EVENT_PATH"),
            "the variable `GITHUB_EVENT_PATH` is not UTF-8: give text"
        );
        assert!(refused("PATH").contains("missing"));
    }

    fn names() -> impl Strategy<Value = String> {
        let inputs = INPUTS.map(|(name, _)| format!("INPUT_{}", name.to_uppercase()));
        let runners = [
            "GITHUB_EVENT_NAME",
            "GITHUB_REPOSITORY",
            "GITHUB_SERVER_URL",
            "GITHUB_RUN_ID",
            "PATH",
        ];
        select([&inputs[..], &runners.map(str::to_owned)[..]].concat())
    }

    fn durations() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9.smh -]{0,10}",
            "([0-9]{0,2}[.]{0,2}[0-9]{0,2}(ms|s|m|h|d|H)?){1,2}",
            "([0-9]{1,4}(\\.[0-9]{1,3})?(ms|s|m|h)){1,3}",
            "[0-9]{1,30}h",
        ]
    }

    proptest! {
        #[test]
        fn no_environment_is_a_panic_or_shows_the_token(
            values in hash_map(names(), "\\PC{0,12}|[a-z/:.*,=\\n -]{0,20}", 0..6),
            token in "\\PC{0,3}ghs_secret[ \n]{0,2}",
        ) {
            let mut variables: Vec<(&str, &str)> = vec![("INPUT_TOKEN", &token)];
            variables.extend(values.iter().filter(|(name, _)| *name != "INPUT_TOKEN").map(|(name, value)| (name.as_str(), value.as_str())));
            let shown = match configured(&variables) {
                Ok(config) => format!("{config:?}"),
                Err(error) => format!("{error:?} {error:#}"),
            };
            prop_assert!(!shown.contains(TOKEN), "{shown}");
        }

        #[test]
        fn a_bare_environment_is_no_panic(values in vec(("\\PC{0,8}|(GITHUB|INPUT)_[A-Z-]{0,8}", "\\PC{0,8}"), 0..8)) {
            let variables = values.into_iter().map(|(name, value)| (name.into(), value.into()));
            prop_assert!(Config::from_env(variables).is_err());
        }

        #[test]
        fn a_duration_is_taken_where_flux_takes_it_and_it_is_more_than_nothing(text in durations()) {
            let is_taken = with_input("interval", &text).is_ok();
            let is_fluxs = Regex::new(r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$").unwrap().is_match(&text);
            let is_something = text.contains(|c| matches!(c, '1'..='9'));
            // Past 292 years the nanoseconds that Flux counts do not fit.
            let is_short = !Regex::new("[0-9]{7}").unwrap().is_match(&text);
            prop_assert!(!is_taken || (is_fluxs && is_something), "{text:?}");
            prop_assert!(is_taken || !(is_fluxs && is_something && is_short), "{text:?}");
        }

        #[test]
        fn a_namespace_with_a_prefix_is_legal(prefix in "[a-z0-9-]{0,26}") {
            if let Ok(inputs) = with_input("namespace-prefix", &prefix) {
                let namespace = inputs.namespace_prefix + &"a".repeat(40);
                prop_assert!(is_dns_label(&namespace, 63));
            }
        }

        #[test]
        fn a_url_that_is_taken_is_one_that_flux_takes(url in "(ssh|SSH|https?|git|file)?:?/{0,3}[a-z@:. \\n/]{0,12}") {
            if let Ok(inputs) = with_input("repository-url", &url) && !url.is_empty() {
                prop_assert!(Regex::new("^(http|https|ssh)://.*$").unwrap().is_match(&inputs.repository_url));
            }
        }
    }
}
