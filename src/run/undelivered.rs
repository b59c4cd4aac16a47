//! What could not be delivered to a pull request, and the permission that is missing for it.

use std::time::Duration;

use crate::github::http::ApiError;
use crate::github::outage;
use crate::message::warning;
use crate::model::notification::Channel;

/// What could not be delivered. The commit is the point, so this is worth a warning and no more.
#[derive(Debug, Default)]
pub(crate) struct Undelivered {
    /// The channels that the token may not use, and GitHub's first answer to one of their permission.
    forbidden: Vec<(Channel, String)>,
    /// Everything else that went wrong.
    failed: Vec<(Channel, String)>,
    is_limited: bool,
    does_status_hang: bool,
    do_deployments_hang: bool,
}

impl Undelivered {
    /// Keeps what went wrong, if anything did.
    pub(crate) fn note(&mut self, channel: Channel, outcome: Result<(), ApiError>) {
        if channel == Channel::Comment {
            self.is_limited = outcome.as_ref().is_err_and(ApiError::is_rate_limit);
        }
        match outcome {
            Err(error) if error.is_forbidden() => {
                if !self.is_forbidden(channel) {
                    self.forbidden.push((channel, error.to_string()));
                }
            }
            Err(error) => self.failed.push((channel, error.to_string())),
            Ok(()) => {}
        }
    }

    /// The same for the commit status, after the time that it took.
    pub(crate) fn note_status(&mut self, outcome: Result<(), ApiError>, taken: Duration) {
        self.does_status_hang = outcome.is_err() && taken >= outage::LIMIT;
        self.note(Channel::CommitStatus, outcome);
    }

    /// The same for the GitHub Deployments.
    pub(crate) fn note_deployment(&mut self, outcome: Result<(), ApiError>, taken: Duration) {
        self.do_deployments_hang = outcome.is_err() && taken >= outage::LIMIT;
        self.note(Channel::Deployment, outcome);
    }

    /// Whether the token is known to lack the permission.
    pub(crate) fn is_forbidden(&self, channel: Channel) -> bool {
        self.forbidden.iter().any(|(known, _)| *known == channel)
    }

    /// Whether the last commit status took long and failed: the next one may take as long.
    pub(crate) fn does_status_hang(&self) -> bool {
        self.does_status_hang
    }

    /// Whether the last change of the deployments took long and failed.
    pub(crate) fn do_deployments_hang(&self) -> bool {
        self.do_deployments_hang
    }

    /// Whether GitHub takes no more comments for now.
    pub(crate) fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Returns a warning for each permission that is missing, and for everything else that went wrong.
    pub(crate) fn warnings(self) -> Vec<String> {
        let mut permissions: Vec<&str> = self
            .forbidden
            .iter()
            .map(|(channel, _)| channel.permission())
            .collect();
        permissions.sort_unstable();
        permissions.dedup();
        let forbidden = permissions.into_iter().filter_map(|permission| {
            let mut lacking = self
                .forbidden
                .iter()
                .filter(|(channel, _)| channel.permission() == permission);
            let (first, answer) = lacking.next()?;
            let channels: Vec<Channel> = std::iter::once(*first)
                .chain(lacking.map(|(channel, _)| *channel))
                .collect();
            Some(warning::forbidden(&channels, permission, answer))
        });
        let failed = self
            .failed
            .iter()
            .map(|(channel, words)| warning::not_written(*channel, words));
        forbidden.chain(failed).collect()
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
        undelivered.note(Channel::Reaction, forbidden());
        assert!(undelivered.is_forbidden(Channel::Reaction));
        assert!(!undelivered.is_forbidden(Channel::Comment));
        for channel in [Channel::Comment, Channel::Reaction, Channel::CommitStatus] {
            undelivered.note(channel, forbidden());
            assert!(undelivered.is_forbidden(channel));
        }
        undelivered.note(Channel::Comment, Ok(()));
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
    fn anything_else_is_a_warning_each_time_and_a_rate_limit_lasts_until_a_comment_is_taken() {
        let mut undelivered = Undelivered::default();
        let errors = [
            (502, "Bad Gateway"),
            (403, "Unable to create comment because issue is locked."),
        ];
        for (status, words) in errors {
            undelivered.note(
                Channel::Comment,
                Err(ApiError::answered(status, words, None)),
            );
        }
        assert!(!undelivered.is_limited() && !undelivered.is_forbidden(Channel::Comment));
        let limited = || Err(ApiError::answered(429, "Slow down", Some(66)));
        undelivered.note(Channel::CommitStatus, limited());
        assert!(!undelivered.is_limited());
        undelivered.note(Channel::Comment, limited());
        undelivered.note(Channel::CommitStatus, Ok(()));
        assert!(undelivered.is_limited());
        undelivered.note(Channel::Comment, Ok(()));
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
