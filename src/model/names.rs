//! What an environment is called: a branch in, the names of everything that belongs to it out.

use sha2::{Digest, Sha256};

/// Longest branch name that is its own environment name, in characters.
const PLAIN_NAME_LENGTH: usize = 40;

/// Characters of the slug that stay readable in front of the digest.
const READABLE_PREFIX: usize = 31;

/// What makes a name readable, or a word, where the branch does not.
const WORD: &str = "pr";

/// Hexadecimal digits of the label's SHA-256 that make a name distinct.
const DIGEST_DIGITS: usize = 8;

/// Longest name of a Kubernetes namespace
/// ([RFC 1123 label](https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names)).
const NAMESPACE_LENGTH: usize = 63;

/// Longest `namespace-prefix` that leaves room for every name.
pub(crate) const PREFIX_LENGTH: usize = NAMESPACE_LENGTH - PLAIN_NAME_LENGTH;

/// The names of one ephemeral environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The environment's own name: a DNS label of at most 40 characters that every YAML reader takes for a string.
    pub(crate) name: String,
    /// The namespace of the application, given to the overlay as `${BRANCH_NAME}`.
    pub(crate) namespace: String,
    /// The manifest's path in the repository.
    pub(crate) path: String,
}

impl Environment {
    /// Names the environment of `branch`, of a fork where `fork_owner` is given.
    ///
    /// `prefix` is the input `namespace-prefix`, at most [`PREFIX_LENGTH`] characters; `instances_path` has no `/` at its end.
    pub(crate) fn new(
        branch: &str,
        fork_owner: Option<&str>,
        prefix: &str,
        instances_path: &str,
    ) -> Environment {
        let name = name(&label(branch, fork_owner), prefix);
        Environment {
            namespace: format!("{prefix}{name}"),
            path: format!("{instances_path}/{FILE_PREFIX}{name}{FILE_SUFFIX}"),
            name,
        }
    }

    /// The name of the environment's `GitRepository` and `Kustomization`.
    pub(crate) fn object_name(&self) -> String {
        object_name(&self.name)
    }
}

/// What stands in front of an environment's name in the name of its `GitRepository` and `Kustomization`.
pub(crate) const OBJECT_PREFIX: &str = "ephemeral-";

/// The name of the `GitRepository` and `Kustomization` of the environment `name`.
pub(crate) fn object_name(name: &str) -> String {
    format!("{OBJECT_PREFIX}{name}")
}

/// What the file name of every instance starts with.
const FILE_PREFIX: &str = "sync-";

/// What the file name of every instance ends with.
const FILE_SUFFIX: &str = ".yaml";

/// Whether a file of this name in the instances directory may be an instance.
pub(crate) fn is_instance_file(file_name: &str) -> bool {
    instance_name(file_name).is_some()
}

/// The environment's name in an instance's file name, or in a path that ends in one.
pub(crate) fn instance_name(path: &str) -> Option<&str> {
    let file_name = path.rsplit('/').next()?;
    file_name
        .strip_prefix(FILE_PREFIX)?
        .strip_suffix(FILE_SUFFIX)
}

/// Whether Flux can clone a branch by its name, and so follow it.
///
/// It cannot where go-git refuses a name that Git takes: one that starts with `-`, one with a part `@`, and one that holds
/// `refs/heads/` itself, of which go-git takes what stands before it for the branch
/// ([clone](https://github.com/go-git/go-git/blob/v5.19.1/repository.go#L989),
/// [names](https://github.com/go-git/go-git/blob/v5.19.1/plumbing/reference.go#L167)). A commit of such a branch can be
/// cloned.
pub(crate) fn can_be_followed(branch: &str) -> bool {
    !branch.starts_with('-')
        && !branch.contains("refs/heads/")
        && !branch.split('/').any(|part| part == "@")
}

/// The branch as it is known in this repository: a fork's carries the fork's owner.
fn label(branch: &str, fork_owner: Option<&str>) -> String {
    match fork_owner {
        Some(owner) => format!("{owner}-{branch}"),
        None => branch.to_owned(),
    }
}

/// The label itself where it is a legal and unmistakable name, by itself and behind the prefix, else a readable part and a
/// digest of it.
fn name(label: &str, prefix: &str) -> String {
    let is_string =
        |name: &str| is_plain_string(name) && is_plain_string(&format!("{prefix}{name}"));
    let slug = slug(label);
    if label == slug && label.len() <= PLAIN_NAME_LENGTH && is_string(label) {
        return slug;
    }
    let readable: String = slug.chars().take(READABLE_PREFIX).collect();
    let readable = match readable.trim_end_matches('-') {
        "" => WORD,
        readable => readable,
    };
    let digest: String = Sha256::digest(label.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let digest: String = digest.chars().take(DIGEST_DIGITS).collect();
    let name = format!("{readable}-{digest}");
    if is_string(&name) {
        return name;
    }
    // Digits and an `e` before a digest of digits alone are a number, `34e-52191657`, and to Go's reader so is `0x-` before
    // any: the name would start like one, so it gets another start.
    let room = READABLE_PREFIX - WORD.len() - 1;
    let readable: String = readable.chars().take(room).collect();
    format!("{WORD}-{readable}-{digest}")
}

/// Lower case, each run of characters outside `[a-z0-9]` replaced by one `-`, none at either end.
fn slug(label: &str) -> String {
    label
        .to_lowercase()
        .split(|c: char| !matches!(c, 'a'..='z' | '0'..='9'))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// Whether a YAML 1.1 or 1.2 reader takes this slug, unquoted, for a string.
///
/// The name goes into overlays through `${BRANCH_NAME}`, where nobody quotes it. Among `[a-z0-9-]` the candidates for
/// something else are the words and numbers of the [YAML 1.1 types](https://yaml.org/type/) and the core schema of 1.2.
fn is_plain_string(slug: &str) -> bool {
    let is_word = matches!(
        slug,
        "" | "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    !(is_word || is_number(slug) || is_date(slug))
}

fn is_number(slug: &str) -> bool {
    let all =
        |digits: &str, radix: u32| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let radix = [("0b", 2), ("0o", 8), ("0x", 16)];
    let has_radix = radix.iter().any(|(prefix, radix)| {
        slug.strip_prefix(prefix)
            // Go's reader takes a sign behind the prefix.
            .is_some_and(|digits| all(digits.strip_prefix('-').unwrap_or(digits), *radix))
    });
    let is_decimal = match slug.split_once('e') {
        Some((mantissa, exponent)) => {
            all(mantissa, 10) && all(exponent.strip_prefix('-').unwrap_or(exponent), 10)
        }
        None => all(slug, 10),
    };
    has_radix || is_decimal
}

fn is_date(slug: &str) -> bool {
    let parts: Vec<&str> = slug.split('-').collect();
    let digits = |part: &&str, least: usize, most: usize| {
        (least..=most).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit())
    };
    matches!(parts.as_slice(), [year, month, day]
        if digits(year, 4, 4) && digits(month, 1, 2) && digits(day, 1, 2))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn named(branch: &str) -> String {
        Environment::new(branch, None, "", "instances").name
    }

    #[test]
    fn what_only_looks_like_a_date_is_a_name() {
        for branch in [
            "abcd-ef-gh",
            "12345-1-1",
            "2026-001-1",
            "2026-1",
            "2026-1-1-1",
        ] {
            assert_eq!(named(branch), branch);
        }
        assert_ne!(named("2026-1-01"), "2026-1-01");
    }

    #[test]
    fn an_instances_file_is_known_by_its_name() {
        for (path, name) in [
            ("sync-dev.yaml", Some("dev")),
            ("k8s/instances/sync-dev.yaml", Some("dev")),
            ("sync-.yaml", Some("")),
            ("sync-dev.yml", None),
            ("Sync-dev.yaml", None),
            ("resync-dev.yaml", None),
            ("sync-dev.yaml/x", None),
            ("", None),
        ] {
            assert_eq!(instance_name(path), name, "{path}");
            assert_eq!(is_instance_file(path), name.is_some(), "{path}");
        }
    }

    #[test]
    fn a_branch_that_is_a_legal_name_is_its_own_name() {
        for branch in [
            "dev",
            "a",
            "v1",
            "123-fix",
            "release-2026",
            "0xyz",
            "1e",
            "e1",
            "2026-01",
            "2026-01-01-notes",
            "nullable",
            "a234567890123456789012345678901234567890",
        ] {
            assert_eq!(named(branch), branch);
        }
    }

    #[test]
    fn any_other_branch_gets_a_readable_prefix_and_a_digest() {
        for (branch, name) in [
            ("feature/login", "feature-login-df7c7aeb"),
            ("Feature/Login", "feature-login-1ce27709"),
        ] {
            assert_eq!(named(branch), name, "{branch}");
        }
    }

    #[test]
    fn a_digest_makes_no_number() {
        let (long, short) = ("1".repeat(30), "1".repeat(28));
        let (long, cut) = (format!("{long}e/1"), format!("pr-{short}-86228954"));
        for (branch, name) in [
            ("34E", "pr-34e-52191657"),
            ("14e-", "pr-14e-59635019"),
            ("33E", "33e-5cb38365"),
            ("0X", "pr-0x-1d390f0b"),
            (&long, &cut),
        ] {
            assert_eq!(named(branch), name, "{branch}");
        }
    }

    #[test]
    fn a_prefix_makes_no_number_and_no_word() {
        for (prefix, branch) in [
            ("1", "e5"),
            ("0x", "1f"),
            ("nul", "l"),
            ("2026-", "1-1"),
            ("1", "E"),
        ] {
            let environment = Environment::new(branch, None, prefix, "i");
            assert_ne!(environment.name, branch, "{prefix}");
            assert!(
                !not_a_string().is_match(&environment.namespace),
                "{}",
                environment.namespace
            );
        }
        assert_eq!(Environment::new("e5", None, "pr-", "i").namespace, "pr-e5");
    }

    #[test]
    fn what_yaml_reads_as_something_else_than_a_string_gets_a_digest() {
        for branch in [
            "on",
            "off",
            "yes",
            "no",
            "y",
            "n",
            "true",
            "false",
            "null",
            "123",
            "007",
            "1e3",
            "1e-3",
            "0x1f",
            "0b101",
            "0o17",
            "0b-1",
            "2026-01-01",
            "2026-1-1",
        ] {
            let name = named(branch);
            assert_eq!(name.len(), branch.len() + 9, "{branch} became {name}");
            assert!(
                name.starts_with(&format!("{branch}-")),
                "{branch} became {name}"
            );
        }
    }

    #[test]
    fn a_forks_branch_carries_its_owner() {
        let ours = Environment::new("dev", None, "pr-", "k8s/instances");
        let theirs = Environment::new("dev", Some("octo-fork"), "pr-", "k8s/instances");
        assert_eq!(ours.namespace, "pr-dev");
        assert_eq!(ours.path, "k8s/instances/sync-dev.yaml");
        assert_eq!(theirs.namespace, "pr-octo-fork-dev");
        assert_eq!(theirs.object_name(), "ephemeral-octo-fork-dev");
    }

    #[test]
    fn an_instances_name_is_read_back_from_its_path() {
        assert_eq!(instance_name("k8s/instances/sync-dev.yaml"), Some("dev"));
        assert_eq!(instance_name("sync.yaml"), None);
        assert_eq!(instance_name("k8s/sync-dev/kustomization.yaml"), None);
    }

    /// YAML 1.1's implicit types (<https://yaml.org/type/>) and 1.2's core schema, as their pages write them.
    pub(crate) fn not_a_string() -> Regex {
        Regex::new(
            r"(?x)^(?:
              y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF
            | ~|null|Null|NULL|
            | [-+]?0b[0-1_]+ | [-+]?0[0-7_]+ | [-+]?(?:0|[1-9][0-9_]*) | [-+]?0x[0-9a-fA-F_]+
            | [-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+ | 0o[0-7]+ | [-+]?[0-9]+
            | [-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?
            | [-+]?(?:[0-9][0-9_]*)?\.[0-9.]*(?:[eE][-+][0-9]+)? | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
            | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)
            | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}
            | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[\ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?
              (?:[\ \t]*Z|[-+][0-9]{1,2}(?::[0-9]{2})?)?
            | = | <<
            )$",
        )
        .unwrap()
    }

    fn branches() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z0-9/._-]{1,60}",
            "[0-9a-fxobe-]{1,12}",
            "[0-9]{1,5}(-[0-9]{1,3}){0,3}",
            "\\PC{1,80}",
        ]
    }

    proptest! {
        #[test]
        fn every_name_is_legal_and_a_string_to_every_reader(
            branch in branches(), owner in proptest::option::of("[A-Za-z0-9-]{1,39}"), prefix in "|[0-9ex]{1,2}|a23456789-123456789-123",
        ) {
            let environment = Environment::new(&branch, owner.as_deref(), &prefix, "i");
            let legal = Regex::new("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$").unwrap();
            prop_assert!(legal.is_match(&environment.name), "{}", environment.name);
            for name in [&environment.name, &environment.namespace] {
                prop_assert!(!not_a_string().is_match(name), "{name}");
            }
            prop_assert!(environment.namespace.len() <= NAMESPACE_LENGTH);
            prop_assert!(environment.object_name().len() <= NAMESPACE_LENGTH);
        }

        #[test]
        fn a_name_is_stable(branch in branches()) {
            prop_assert_eq!(named(&branch), named(&branch));
        }

        #[test]
        fn distinct_branches_have_distinct_names(one in branches(), other in branches()) {
            prop_assume!(one != other);
            prop_assert_ne!(named(&one), named(&other));
        }

        #[test]
        fn a_plain_name_is_the_branch_and_nothing_else_is(branch in "[a-z0-9-]{1,45}") {
            let plain = branch.len() <= 40
                && !branch.starts_with('-') && !branch.ends_with('-') && !branch.contains("--")
                && !not_a_string().is_match(&branch) && is_plain_string(&branch);
            prop_assert_eq!(named(&branch) == branch, plain);
        }
    }
}
