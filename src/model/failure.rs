//! Why a run failed. Typed, since each kind has its own remedy.

use std::fmt;
use std::time::Duration;

/// Why a change did not land.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no and will say it again.
    Rejected(String),
    /// The Git server does not let the token read or push.
    Forbidden(Barrier, String),
    /// The target branch does not exist.
    BranchMissing(String),
    /// Git did not finish within this time; the last response.
    TimedOut(Duration, String),
    /// The run was cancelled.
    Interrupted,
    /// GitHub's API does not let the token read something that the decision needs.
    GitHubRefused(Barrier, String),
    /// GitHub's API gave no usable answer to something that the decision needs.
    GitHub(anyhow::Error),
    /// Anything else.
    Broken(anyhow::Error),
}

/// What a refused token lacks, as far as the server's words tell. Each has its own remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// The permission, or nothing that the words would tell apart from it.
    Permission,
    /// The token is not valid, or not any more.
    Token,
    /// The organization admits certain addresses only, and the runner's is none of them.
    IpAllowList,
    /// The organization wants the token to be authorized for its single sign-on.
    SingleSignOn,
    /// Nobody may write to an archived repository.
    Archived,
}

impl Barrier {
    /// Reads a refusal: the HTTP status and GitHub's words
    /// ([IP allow list](https://docs.github.com/organizations/keeping-your-organization-secure/managing-security-settings-for-your-organization/managing-allowed-ip-addresses-for-your-organization),
    /// [SAML](https://docs.github.com/authentication/authenticating-with-single-sign-on/about-authentication-with-single-sign-on)).
    pub(crate) fn new(status: u16, words: &str) -> Barrier {
        let words = words.to_ascii_lowercase();
        let says = |text: &str| words.contains(text);
        if says("ip allow list") || says("ip address is not permitted") {
            Barrier::IpAllowList
        } else if says("saml") || says("single sign-on") {
            Barrier::SingleSignOn
        } else if says("archived") {
            Barrier::Archived
        } else if status == 401 {
            Barrier::Token
        } else {
            Barrier::Permission
        }
    }
}

impl Failure {
    /// The output `reason`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Failure::Rejected(_) => "push-rejected",
            Failure::Forbidden(..) => "push-forbidden",
            Failure::BranchMissing(_) => "branch-missing",
            Failure::TimedOut(..) => "push-timeout",
            Failure::Interrupted => "interrupted",
            Failure::GitHubRefused(..) => "github-refused",
            Failure::GitHub(_) => "github-failed",
            Failure::Broken(_) => "git-failed",
        }
    }

    /// Whether somebody said no, rather than something broke.
    pub(crate) fn is_rejection(&self) -> bool {
        matches!(
            self,
            Failure::Rejected(_)
                | Failure::Forbidden(..)
                | Failure::BranchMissing(_)
                | Failure::GitHubRefused(..)
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Rejected(words) => write!(f, "the server rejected the push: {words}"),
            Failure::Forbidden(_, words) => write!(f, "the server refused the token: {words}"),
            Failure::BranchMissing(words) => f.write_str(words),
            Failure::GitHubRefused(_, words) => write!(f, "GitHub refused the token: {words}"),
            Failure::TimedOut(after, words) => {
                write!(
                    f,
                    "gave up on Git after {after:?}; the last response: {words}"
                )
            }
            Failure::Interrupted => {
                f.write_str("the run was cancelled, so the change may not have landed")
            }
            Failure::GitHub(error) | Failure::Broken(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Broken(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn githubs_words_tell_what_the_token_lacks() {
        for (status, words, barrier) in [
            (
                403,
                "Write access to repository not granted.",
                Barrier::Permission,
            ),
            (
                403,
                "Permission to a/b.git denied to github-actions[bot].",
                Barrier::Permission,
            ),
            (
                403,
                "Resource not accessible by integration",
                Barrier::Permission,
            ),
            (404, "Repository not found.", Barrier::Permission),
            (404, "", Barrier::Permission),
            (401, "Bad credentials", Barrier::Token),
            (
                401,
                "Invalid username or token. Password authentication is not supported for Git operations.",
                Barrier::Token,
            ),
            (
                403,
                "The repository owner has an IP allow list enabled, and 192.0.2.1 is not permitted to access this repository.",
                Barrier::IpAllowList,
            ),
            (
                403,
                "Although you appear to have the correct authorization credentials, the `a` organization has an IP allow list enabled, and your IP address is not permitted to access this resource.",
                Barrier::IpAllowList,
            ),
            (
                403,
                "The `a' organization has enabled or enforced SAML SSO.\nTo access this repository, you must use the HTTPS remote with a personal access token",
                Barrier::SingleSignOn,
            ),
            (
                403,
                "Resource protected by organization SAML enforcement.",
                Barrier::SingleSignOn,
            ),
            (
                403,
                "This repository was archived so it is read-only.",
                Barrier::Archived,
            ),
        ] {
            assert_eq!(Barrier::new(status, words), barrier, "{words}");
        }
    }

    #[test]
    fn a_failure_has_a_code_of_its_own_and_the_words_of_whoever_caused_it() {
        let words = || "words".to_owned();
        let broken = || anyhow::anyhow!("cause").context("attempt");
        let seconds = Duration::from_secs(60);
        for (failure, code, is_rejection, said) in [
            (
                Failure::Rejected(words()),
                "push-rejected",
                true,
                "the server rejected the push: words",
            ),
            (
                Failure::Forbidden(Barrier::Permission, words()),
                "push-forbidden",
                true,
                "the server refused the token: words",
            ),
            (
                Failure::BranchMissing(words()),
                "branch-missing",
                true,
                "words",
            ),
            (
                Failure::GitHubRefused(Barrier::Permission, words()),
                "github-refused",
                true,
                "GitHub refused the token: words",
            ),
            (
                Failure::TimedOut(seconds, words()),
                "push-timeout",
                false,
                "gave up on Git after 60s; the last response: words",
            ),
            (
                Failure::Interrupted,
                "interrupted",
                false,
                "the run was cancelled, so the change may not have landed",
            ),
            (
                Failure::GitHub(broken()),
                "github-failed",
                false,
                "attempt: cause",
            ),
            (
                Failure::from(broken()),
                "git-failed",
                false,
                "attempt: cause",
            ),
        ] {
            assert_eq!(
                (failure.code(), failure.is_rejection()),
                (code, is_rejection)
            );
            assert_eq!(failure.to_string(), said);
        }
    }
}
