use std::collections::HashMap;
use std::time::Duration;

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use regex::Regex;

use super::*;
use crate::config::inputs::{Glob, INPUTS, Track, is_dns_label};
use crate::model::repository::Permission;
use crate::model::token::Token;
use crate::model::ttl::Ttl;

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
    assert_eq!(inputs.ttl, Ttl::Unlimited);
    assert_eq!((inputs.max_environments, inputs.label), (None, None));
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
    let others = "https://github.com/o/flux-ephemeral-env/blob/v1%20%23/docs/troubleshooting.md";
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
    // With data residency, the SSH user is the tenant.
    for (server, default) in [
        (
            "https://octocorp.ghe.com",
            "ssh://octocorp@octocorp.ghe.com",
        ),
        (
            "https://OctoCorp.GHE.com/",
            "ssh://octocorp@octocorp.ghe.com",
        ),
        (
            "https://octo-corp.ghe.com:443",
            "ssh://octo-corp@octo-corp.ghe.com",
        ),
        ("https://ghe.com", "ssh://git@ghe.com"),
        (
            "https://octocorp.ghe.com.example.com",
            "ssh://git@octocorp.ghe.com.example.com",
        ),
        (
            "https://octocorp.notghe.com",
            "ssh://git@octocorp.notghe.com",
        ),
    ] {
        assert_eq!(url(server, ""), format!("{default}/octo/app"), "{server}");
    }
}

#[test]
fn a_command_word_is_what_is_seen_of_it() {
    for value in [
        "/up",
        "\u{feff}/up",
        "/u\u{200b}p",
        "/up\u{200c}\u{200d}\u{2060}",
    ] {
        let config = with_input("deploy-command", value).unwrap();
        assert_eq!(config.commands.deploy, "/up", "{value:?}");
    }
    let error = |input, value| format!("{:#}", with_input(input, value).unwrap_err());
    for value in ["\u{200b}", "/up\u{a0}", "/up\u{202f}now", "\u{3000}"] {
        assert!(
            error("deploy-command", value).contains("one word"),
            "{value:?}"
        );
    }
    let same = error("destroy-command", "/deploy-ephemeral\u{200b}");
    assert!(same.contains("other than `deploy-command`"), "{same}");
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
        ("substitute", "quote='"),
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
fn proxies_are_named_in_either_case() {
    let url = Url::parse("https://github.com").unwrap();
    let named = |changes: &[(&str, &str)]| {
        let proxies = configured(changes).unwrap().proxies;
        proxies.of(&url).map(ToString::to_string)
    };
    let (one, two) = ("http://one:1", "http://two:2");
    for (changes, expected) in [
        (&[][..], None),
        (&[("HTTPS_PROXY", "")], None),
        (&[("HTTP_PROXY", one)], None),
        (
            &[("HTTPS_PROXY", one)],
            Some("http://one:1 of `HTTPS_PROXY`"),
        ),
        (
            &[("https_proxy", one)],
            Some("http://one:1 of `https_proxy`"),
        ),
        (
            &[("HTTPS_PROXY", one), ("https_proxy", two)],
            Some("http://two:2 of `https_proxy`"),
        ),
        (
            &[("HTTPS_PROXY", one), ("https_proxy", "")],
            Some("http://one:1 of `HTTPS_PROXY`"),
        ),
        (&[("https_proxy", one), ("NO_PROXY", "github.com")], None),
        (&[("https_proxy", one), ("no_proxy", "*")], None),
    ] {
        let expected = expected.map(|proxy| format!("the proxy {proxy}"));
        assert_eq!(named(changes), expected, "{changes:?}");
    }
    let config = configured(&[("https_proxy", "http://user:s3cr3t@one")]).unwrap();
    assert!(!format!("{config:?}").contains("s3cr3t"));
    let error = configured(&[("HTTP_PROXY", "socks5://user:s3cr3t@one")]).unwrap_err();
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
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
    let permissions: Vec<Permission> = words.into_iter().filter_map(Permission::parse).collect();
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

#[test]
fn the_troubleshooting_page_quotes_the_error_for_a_bad_input() {
    let variables = [
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "octo-org/demo"),
        ("INPUT_TOKEN", "ghs_token"),
        ("INPUT_INTERVAL", "5"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let error = Config::from_env(variables.into_iter()).unwrap_err();
    let page = include_str!("../../docs/troubleshooting.md");
    let line = format!("\n::error title=flux-ephemeral-env::{error}\n");
    assert!(page.contains(&line), "{line}");
}
