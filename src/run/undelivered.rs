//! What could not be told to the pull request, and the permission that is missing for it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::github::http::ApiError;
use crate::github::outage;

/// A kind of message to the pull request, and the permission it takes.
pub(crate) type Kind = (&'static str, &'static str);

/// The reaction to the command.
pub(crate) const REACTION: Kind = ("the reaction", "pull-requests: write");

/// The comment on the pull request.
pub(crate) const COMMENT: Kind = ("the comment", "pull-requests: write");

/// The commit status.
pub(crate) const STATUS: Kind = ("the commit status", "statuses: write");

/// What could not be told: the commit is the point, so this is worth a warning and no more.
#[derive(Debug, Default)]
pub(crate) struct Undelivered {
    /// By permission: what needs it, and the first answer.
    forbidden: BTreeMap<&'static str, (Vec<&'static str>, String)>,
    other: Vec<String>,
    is_limited: bool,
    does_status_hang: bool,
}

impl Undelivered {
    /// Keeps what went wrong, if anything did.
    pub(crate) fn note(&mut self, kind: Kind, outcome: Result<(), ApiError>) {
        let (what, permission) = kind;
        if kind == COMMENT {
            self.is_limited = outcome.as_ref().is_err_and(ApiError::is_rate_limit);
        }
        match outcome {
            Err(error) if error.is_forbidden() => {
                let (whats, _) = self
                    .forbidden
                    .entry(permission)
                    .or_insert_with(|| (Vec::new(), error.to_string()));
                if !whats.contains(&what) {
                    whats.push(what);
                }
            }
            Err(error) => self
                .other
                .push(format!("{what} could not be written: {error}")),
            Ok(()) => {}
        }
    }

    /// The same for the commit status, which took that long.
    pub(crate) fn note_status(&mut self, outcome: Result<(), ApiError>, taken: Duration) {
        self.does_status_hang = outcome.is_err() && taken >= outage::LONGEST;
        self.note(STATUS, outcome);
    }

    /// Whether this is known to be in vain.
    pub(crate) fn is_forbidden(&self, (what, permission): Kind) -> bool {
        self.forbidden
            .get(permission)
            .is_some_and(|(whats, _)| whats.contains(&what))
    }

    /// Whether the commit status was waited for in vain, and the next one may take as long.
    pub(crate) fn does_status_hang(&self) -> bool {
        self.does_status_hang
    }

    /// Whether GitHub takes no more comments for now.
    pub(crate) fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// A warning for each permission that is missing, and for everything else that went wrong.
    pub(crate) fn warnings(self) -> Vec<String> {
        let forbidden = self.forbidden.into_iter().map(|(permission, (whats, answer))| {
            format!(
                "{} could not be written; add `{permission}` to the job's `permissions`: {answer}",
                whats.join(" and ")
            )
        });
        forbidden.chain(self.other).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORBIDDEN: &str = "Resource not accessible by integration";

    #[test]
    fn a_missing_permission_is_named_once_with_all_that_needs_it() {
        let mut undelivered = Undelivered::default();
        let forbidden = || Err(ApiError::answered(403, FORBIDDEN, None));
        undelivered.note(REACTION, forbidden());
        assert!(undelivered.is_forbidden(REACTION) && !undelivered.is_forbidden(COMMENT));
        for kind in [COMMENT, REACTION, STATUS] {
            undelivered.note(kind, forbidden());
            assert!(undelivered.is_forbidden(kind));
        }
        undelivered.note(COMMENT, Ok(()));
        assert_eq!(
            undelivered.warnings(),
            [
                "the reaction and the comment could not be written; add `pull-requests: write` to the job's \
                 `permissions`: POST x: 403: Resource not accessible by integration",
                "the commit status could not be written; add `statuses: write` to the job's `permissions`: POST x: 403: \
                 Resource not accessible by integration",
            ]
        );
    }

    #[test]
    fn anything_else_is_told_each_time_and_a_rate_limit_lasts_until_a_comment_is_taken() {
        let mut undelivered = Undelivered::default();
        let errors = [
            (502, "Bad Gateway"),
            (403, "Unable to create comment because issue is locked."),
        ];
        for (status, words) in errors {
            undelivered.note(COMMENT, Err(ApiError::answered(status, words, None)));
        }
        assert!(!undelivered.is_limited() && !undelivered.is_forbidden(COMMENT));
        let limited = || Err(ApiError::answered(429, "Slow down", Some(66)));
        undelivered.note(STATUS, limited());
        assert!(!undelivered.is_limited());
        undelivered.note(COMMENT, limited());
        undelivered.note(STATUS, Ok(()));
        assert!(undelivered.is_limited());
        undelivered.note(COMMENT, Ok(()));
        assert!(!undelivered.is_limited());
        assert_eq!(
            undelivered.warnings(),
            [
                "the comment could not be written: POST x: 502: Bad Gateway",
                "the comment could not be written: POST x: 403: Unable to create comment because issue is locked.",
                "the commit status could not be written: POST x: 429: Slow down (try again in 66 s)",
                "the comment could not be written: POST x: 429: Slow down (try again in 66 s)",
            ]
        );
    }

    #[test]
    fn a_commit_status_hangs_where_it_takes_long_and_fails() {
        let mut undelivered = Undelivered::default();
        let failed = || Err(ApiError::answered(502, "Bad Gateway", None));
        for (outcome, seconds, hangs) in [
            (failed(), 24, false),
            (failed(), 25, true),
            (Ok(()), 60, false),
        ] {
            undelivered.note_status(outcome, Duration::from_secs(seconds));
            assert_eq!(undelivered.does_status_hang(), hangs, "{seconds}");
        }
        let words = "the commit status could not be written: POST x: 502: Bad Gateway";
        assert_eq!(undelivered.warnings(), [words; 2]);
    }
}
