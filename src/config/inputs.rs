//! The action's inputs.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use url::Url;
use wildmatch::WildMatch;

use crate::config::env::Variables;
use crate::model::command_words::{CommandWords, without_zero_width};
use crate::model::instance::RESERVED_VARIABLES;
use crate::model::names::PREFIX_LENGTH;
use crate::model::repository::{Permission, RepositoryName};
use crate::model::token::Token;
use crate::model::ttl::{TTL_FORMAT, Ttl, parse_duration};

/// Longest name of a label, in characters ([GitHub's own bound](https://docs.github.com/rest/issues/labels#create-a-label)).
const LABEL_LENGTH: usize = 50;

/// Longest name of a GitHub environment, in characters
/// ([docs](https://docs.github.com/actions/how-tos/deploy/configure-and-manage-deployments/manage-environments)).
const ENVIRONMENT_LENGTH: usize = 255;

/// The longest wait: GitHub ends a job after six hours, unless its workflow says otherwise
/// ([docs](https://docs.github.com/actions/reference/limits)).
const WAIT_LIMIT: Duration = Duration::from_secs(6 * 60 * 60);

/// Every input and its default, as `action.yml` declares them.
pub const INPUTS: [(&str, &str); 26] = [
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
    ("github-environment", ""),
    ("readiness", "off"),
    ("wait", "0s"),
    ("push-timeout", "60s"),
    ("ttl", ""),
    ("max-environments", "0"),
    ("label", ""),
    ("dry-run", "false"),
];

/// The action's inputs, in the order of `action.yml`.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// Pushes and comments.
    pub(crate) token: Token,
    /// `deploy-command` and `destroy-command`
    pub(crate) commands: CommandWords,
    /// The branch Flux watches; `None` for the default branch.
    pub(crate) branch: Option<String>,
    /// Directory of the instances, without `/` at its end.
    pub(crate) instances_path: String,
    /// Directory of the overlay, without `/` at its end.
    pub(crate) overlay_path: String,
    /// Namespace of Flux's objects.
    pub(crate) flux_namespace: String,
    /// What Flux clones.
    pub(crate) repository_url: String,
    /// Name of the Secret with Flux's Git credentials.
    pub(crate) secret_ref: Option<String>,
    /// How often Flux looks at the branch, in Flux's own notation.
    pub(crate) interval: String,
    /// How long Flux waits for readiness, in Flux's own notation.
    pub(crate) timeout: String,
    /// In front of every namespace.
    pub(crate) namespace_prefix: String,
    /// Namespaces that no environment may have.
    pub(crate) protected_namespaces: Vec<Glob>,
    /// Minimum permission of the requester.
    pub(crate) allowed_permission: Permission,
    /// Whether a fork's pull request may be deployed.
    pub(crate) allow_forks: bool,
    /// Whether an environment follows its branch or stays on a commit.
    pub(crate) track: Track,
    /// More variables for the overlay.
    pub(crate) substitute: BTreeMap<String, String>,
    /// Where the environment will be, with placeholders.
    pub(crate) environment_url: Option<UrlTemplate>,
    /// Name of the GitHub environment for Deployments.
    pub(crate) github_environment: Option<String>,
    /// Whether Flux reports to GitHub.
    pub(crate) does_flux_report: bool,
    /// How long a run waits for Flux's report; zero where it does not wait.
    pub(crate) wait: Duration,
    /// How long a push is tried again.
    pub(crate) push_timeout: Duration,
    /// How long an environment may live, unless the command says otherwise.
    pub(crate) ttl: Ttl,
    /// `max-environments`: how many environments there may be, `None` for any number.
    pub(crate) max_environments: Option<NonZeroUsize>,
    /// The label that deploys while it is there.
    pub(crate) label: Option<String>,
    /// Decide, render and log, and change nothing.
    pub(crate) dry_run: bool,
}

/// What an environment shows after a push to its branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Track {
    /// The branch's newest commit.
    Branch,
    /// The commit that was the head when the command was given.
    Commit,
}

/// A pattern for namespaces: `*` stands for any characters, `?` for one.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    pattern: String,
    matcher: WildMatch,
}

impl Glob {
    /// Whether `namespace` is one of those meant.
    pub(crate) fn matches(&self, namespace: &str) -> bool {
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
pub(crate) struct UrlTemplate(String);

impl UrlTemplate {
    /// The URL of one environment.
    pub(crate) fn fill(&self, name: &str, namespace: &str, pull_request: u64) -> String {
        self.0
            .replace("{name}", name)
            .replace("{namespace}", namespace)
            .replace("{number}", &pull_request.to_string())
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
    github_environment: String,
    readiness: String,
    wait: String,
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
    pub(crate) fn new(
        variables: &Variables,
        server_url: &Url,
        repository: &RepositoryName,
    ) -> Result<Inputs> {
        let raw = RawInputs::new(variables)?;
        let commands = CommandWords {
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
        let dry_run = boolean("dry-run", &raw.dry_run)?;
        let wait = wait("wait", &raw.wait, dry_run)?;
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
                None => default_repository_url(server_url, repository),
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
            github_environment: optional(&raw.github_environment)
                .map(|value| github_environment("github-environment", value))
                .transpose()?,
            // Waiting is waiting for a report.
            does_flux_report: does_flux_report("readiness", &raw.readiness)? || !wait.is_zero(),
            wait,
            push_timeout: flux_duration("push-timeout", &raw.push_timeout)?.1,
            ttl: optional(&raw.ttl).map_or(Ok(Ttl::Unlimited), |value| ttl("ttl", value))?,
            max_environments: count("max-environments", &raw.max_environments)?,
            label: optional(&raw.label)
                .map(|value| label("label", value))
                .transpose()?,
            dry_run,
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
    Ok(Token::new(&value))
}

/// The word of a command, as a comment's is read.
fn command(input: &str, value: &str) -> Result<String> {
    let word = without_zero_width(value);
    let good = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control());
    ensure!(
        good,
        invalid(input, value, "one word, like `/deploy-ephemeral`")
    );
    Ok(word)
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

pub(crate) fn is_dns_label(value: &str, longest: usize) -> bool {
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

/// Returns the repository's URL over SSH
/// ([as GitHub's own client makes it](https://github.com/cli/cli/blob/trunk/internal/ghrepo/repo.go)).
fn default_repository_url(server_url: &Url, repository: &RepositoryName) -> String {
    let host = server_url.host_str().unwrap_or_default();
    // On GitHub Enterprise Cloud with data residency, SSH knows no user `git`, but one of the tenant's name.
    let user = match host.split_once('.') {
        Some((tenant, "ghe.com")) => tenant,
        _ => "git",
    };
    format!("ssh://{user}@{host}/{repository}")
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
    let allowed = "a positive duration, like `1m30s` or `60s` (units ms, s, m, h)";
    match parse_duration(value) {
        Some(duration) if !duration.is_zero() => Ok((value.to_owned(), duration)),
        _ => Err(invalid(input, value, allowed)),
    }
}

/// How long a run waits for Flux, which it cannot where it deploys nothing.
fn wait(input: &str, value: &str, dry_run: bool) -> Result<Duration> {
    let wait = parse_duration(value)
        .filter(|wait| !value.is_empty() && *wait <= WAIT_LIMIT)
        .ok_or_else(|| {
            let allowed = "a duration from `0s` to `6h`, like `10m` (units ms, s, m, h)";
            invalid(input, value, allowed)
        })?;
    ensure!(
        wait.is_zero() || !dry_run,
        "the input `{input}` is {value:?}, and `dry-run` is `true`: a dry run deploys nothing to wait for, so leave out one of the two"
    );
    Ok(wait)
}

fn does_flux_report(input: &str, value: &str) -> Result<bool> {
    match value {
        "off" => Ok(false),
        "flux" => Ok(true),
        _ => Err(invalid(input, value, "`off` or `flux`")),
    }
}

/// What GitHub takes for an environment's name.
fn github_environment(input: &str, value: &str) -> Result<String> {
    let good = value.trim() == value
        && value.chars().count() <= ENVIRONMENT_LENGTH
        && !value.contains(|c: char| c.is_control() || "'\"`,;\\".contains(c));
    let allowed = format!(
        "the name of a GitHub environment, like `preview`: at most {ENVIRONMENT_LENGTH} characters in one line, none of them \
         a quote, a backtick, a comma, a semicolon or a backslash"
    );
    checked(input, value, good, &allowed)
}

fn ttl(input: &str, value: &str) -> Result<Ttl> {
    Ttl::parse(value).ok_or_else(|| invalid(input, value, TTL_FORMAT))
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
        && value.chars().count() <= LABEL_LENGTH
        && !value.chars().any(char::is_control);
    let allowed = format!("a label's name, at most {LABEL_LENGTH} characters in one line");
    checked(input, value, good, &allowed)
}

fn prefix(input: &str, value: &str) -> Result<String> {
    let good = value.is_empty()
        || (value.len() <= PREFIX_LENGTH
            && is_dns_label(value.trim_end_matches('-'), PREFIX_LENGTH));
    let allowed = format!(
        "at most {PREFIX_LENGTH} lower-case letters, digits and `-`, a letter or digit first, like `preview-`"
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
