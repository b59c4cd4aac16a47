//! Why a run failed. Typed, since each kind has its own remedy.

use std::fmt;
use std::time::Duration;

/// Why a change did not land.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no and will say it again.
    Rejected(String),
    /// The token may not read or push.
    Forbidden(String),
    /// The target branch does not exist.
    BranchMissing(String),
    /// Git did not finish within this time; the last response.
    TimedOut(Duration, String),
    /// The run was cancelled.
    Interrupted,
    /// GitHub's API does not let the token read something that the decision needs.
    GitHubRefused(String),
    /// GitHub's API gave no usable answer to something that the decision needs.
    GitHub(anyhow::Error),
    /// Anything else.
    Broken(anyhow::Error),
}

impl Failure {
    /// The output `reason`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Failure::Rejected(_) => "push-rejected",
            Failure::Forbidden(_) => "push-forbidden",
            Failure::BranchMissing(_) => "branch-missing",
            Failure::TimedOut(..) => "push-timeout",
            Failure::Interrupted => "interrupted",
            Failure::GitHubRefused(_) => "github-refused",
            Failure::GitHub(_) => "github-failed",
            Failure::Broken(_) => "git-failed",
        }
    }

    /// Whether somebody said no, rather than something broke.
    pub(crate) fn is_rejection(&self) -> bool {
        matches!(
            self,
            Failure::Rejected(_)
                | Failure::Forbidden(_)
                | Failure::BranchMissing(_)
                | Failure::GitHubRefused(_)
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Rejected(words) => write!(f, "the server rejected the push: {words}"),
            Failure::Forbidden(words) => write!(f, "the server refused the token: {words}"),
            Failure::BranchMissing(words) => f.write_str(words),
            Failure::GitHubRefused(words) => write!(f, "GitHub refused the token: {words}"),
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
                Failure::Forbidden(words()),
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
                Failure::GitHubRefused(words()),
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
