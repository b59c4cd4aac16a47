//! The environment and the action's inputs, validated once: past this file every value is known to be good.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use url::Url;
use wildmatch::WildMatch;

use crate::command::Words;
use crate::environment::LONGEST_PREFIX;
use crate::manifest::RESERVED_VARIABLES;

/// Every input and its default, as `action.yml` declares them.
pub const INPUTS: [(&str, &str); 20] = [
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
    /// Decide, render and log, and change nothing.
    pub dry_run: bool,
}

/// A secret: its `Debug` is redacted and it has no `Display`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The secret itself, for the header of a request and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
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
            repository,
            server_url,
            inputs,
        })
    }

    /// The page of this run.
    pub fn run_url(&self) -> String {
        self.page(&format!("actions/runs/{}", self.run_id))
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
                Err(value) => bail!(
                    "{} is {value:?}, which is not UTF-8: give text",
                    described(name)
                ),
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
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        match text.split_once('/') {
            Some((owner, name)) if is_part(owner) && is_part(name) => Ok(RepositoryName {
                owner: owner.to_owned(),
                name: name.to_owned(),
            }),
            _ => bail!("the variable `GITHUB_REPOSITORY` is {text:?}: it must be `owner/name`"),
        }
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
        match envy::prefixed("INPUT_").from_iter(values.into_iter()) {
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
    let good = (over_ssh || matches!(parsed.scheme(), "http" | "https"))
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

/// Reads `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`.
fn parse_duration(text: &str) -> Option<Duration> {
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
