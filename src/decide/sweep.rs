//! Decides what a sweep removes. It is given this repository's instances only (`plan::instances_in`, which skips files
//! without the marker). An instance goes if GitHub clearly says that its pull request is closed or its head repository
//! deleted, or if the pull request is open and the expiry has passed. `plan::sweep` then skips every file that has changed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::model::instance::DeployedInstance;
use crate::model::pull_request::Liveness;
use crate::model::ttl::Expiry;

/// Why an instance goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its pull request is closed.
    Closed,
    /// The repository of the head branch was deleted.
    HeadDeleted,
    /// Its expiry has passed.
    Expired(DateTime<Utc>),
}

impl Reason {
    /// The reason in the output `swept` and in the commit.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Reason::Closed => "closed",
            Reason::HeadDeleted => "head-deleted",
            Reason::Expired(_) => "expired",
        }
    }
}

/// An instance that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    /// The instance.
    pub(crate) deployed: DeployedInstance,
    /// Why.
    pub(crate) reason: Reason,
}

/// Why an instance stays that may have to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// GitHub did not say what became of its pull request.
    Unclear {
        /// The server's words.
        words: String,
        /// The pull requests that this was the answer for.
        pull_requests: Vec<u64>,
    },
    /// Its expiry is not a valid timestamp.
    Unreadable {
        /// The file.
        path: String,
        /// What stands there.
        text: String,
    },
}

/// What is to be done about the instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    /// What goes.
    pub(crate) removals: Vec<Removal>,
    /// What stays although it may have to go.
    pub(crate) unresolved: Vec<Unresolved>,
}

/// Judges each instance by the answer about its pull request and by its own time.
///
/// Only a clear answer removes anything. An instance whose pull request was not asked about came up since, and stays.
pub(crate) fn judge(
    instances: &[DeployedInstance],
    answers: &BTreeMap<u64, Liveness>,
    now: DateTime<Utc>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut unclear: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for deployed in instances {
        let pull_request = deployed.instance.owner.pull_request;
        let reason = match answers.get(&pull_request) {
            None => None,
            Some(Liveness::Unclear(words)) => {
                let pull_requests = unclear.entry(words).or_default();
                if !pull_requests.contains(&pull_request) {
                    pull_requests.push(pull_request);
                }
                None
            }
            Some(Liveness::Closed) => Some(Reason::Closed),
            Some(Liveness::HeadDeleted) => Some(Reason::HeadDeleted),
            Some(Liveness::Open) => match &deployed.instance.expires {
                Expiry::At(end) if *end <= now => Some(Reason::Expired(*end)),
                Expiry::At(_) | Expiry::Never => None,
                Expiry::Unreadable(text) => {
                    verdict.unresolved.push(Unresolved::Unreadable {
                        path: deployed.path.clone(),
                        text: text.clone(),
                    });
                    None
                }
            },
        };
        if let Some(reason) = reason {
            let deployed = deployed.clone();
            verdict.removals.push(Removal { deployed, reason });
        }
    }
    let unclear = unclear
        .into_iter()
        .map(|(words, pull_requests)| Unresolved::Unclear {
            words: words.to_owned(),
            pull_requests,
        });
    verdict.unresolved.extend(unclear);
    verdict
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::read::deployed_at;
    use crate::manifest::render::Manifest;
    use crate::manifest::tests::manifest;
    use crate::model::ttl::tests::at;

    const NOW: &str = "2026-02-27T12:00:00Z";

    fn deployed(name: &str, pull_request: u64, expires: &str) -> DeployedInstance {
        let mut manifest = Manifest {
            expires: Some(at(NOW)),
            ..manifest()
        };
        manifest.owner.pull_request = pull_request;
        let file = manifest.render().unwrap().replace(NOW, expires);
        deployed_at(&format!("i/sync-{name}.yaml"), file.as_bytes()).unwrap()
    }

    /// The removal of an instance.
    pub(crate) fn removal(name: &str, pull_request: u64, reason: Reason) -> Removal {
        Removal {
            deployed: deployed(name, pull_request, ""),
            reason,
        }
    }

    fn unclear(words: &str) -> Liveness {
        Liveness::Unclear(words.to_owned())
    }

    #[test]
    fn a_clear_answer_or_the_end_of_its_time_removes_an_instance() {
        let (past, future) = ("2026-02-27T11:59:59Z", "2026-02-27T12:00:01Z");
        let expired = |end: &str| Some(Reason::Expired(at(end)));
        for (answer, expires, reason) in [
            (Some(Liveness::Open), future, None),
            (Some(Liveness::Open), past, expired(past)),
            (Some(Liveness::Open), NOW, expired(NOW)),
            (Some(Liveness::Open), "soon", None),
            (Some(Liveness::Closed), future, Some(Reason::Closed)),
            (Some(Liveness::Closed), past, Some(Reason::Closed)),
            (Some(Liveness::Closed), "soon", Some(Reason::Closed)),
            (
                Some(Liveness::HeadDeleted),
                future,
                Some(Reason::HeadDeleted),
            ),
            (Some(unclear("404")), future, None),
            (Some(unclear("404")), past, None),
            (None, future, None),
            (None, past, None),
        ] {
            let deployed = deployed("dev", 7, expires);
            let answers = answer
                .clone()
                .map(|answer| (7, answer))
                .into_iter()
                .collect();
            let verdict = judge(std::slice::from_ref(&deployed), &answers, at(NOW));
            let removals: Vec<Removal> = reason
                .map(|reason| Removal { deployed, reason })
                .into_iter()
                .collect();
            assert_eq!(verdict.removals, removals, "{answer:?} {expires}");
        }
    }

    #[test]
    fn what_is_not_clear_is_told_once_for_all_it_is_about() {
        let instances = [
            deployed("a", 1, NOW),
            deployed("b", 2, NOW),
            deployed("b-again", 2, NOW),
            deployed("c", 3, NOW),
            deployed("d", 4, "soon"),
        ];
        let answers = [
            (1, unclear("403")),
            (2, unclear("403")),
            (3, unclear("404")),
            (4, Liveness::Open),
        ];
        let verdict = judge(&instances, &answers.into(), at(NOW));
        assert_eq!(verdict.removals, []);
        assert_eq!(
            verdict.unresolved,
            [
                Unresolved::Unreadable {
                    path: "i/sync-d.yaml".to_owned(),
                    text: "soon".to_owned(),
                },
                Unresolved::Unclear {
                    words: "403".to_owned(),
                    pull_requests: vec![1, 2],
                },
                Unresolved::Unclear {
                    words: "404".to_owned(),
                    pull_requests: vec![3],
                },
            ]
        );
    }

    #[test]
    fn reasons_have_the_words_of_the_output() {
        let words = [
            Reason::Closed,
            Reason::HeadDeleted,
            Reason::Expired(at(NOW)),
        ];
        assert_eq!(
            words.map(Reason::code),
            ["closed", "head-deleted", "expired"]
        );
    }

    fn answers() -> impl Strategy<Value = Liveness> {
        prop_oneof![
            Just(Liveness::Open),
            Just(Liveness::Closed),
            Just(Liveness::HeadDeleted),
            "[a-z]{0,3}".prop_map(Liveness::Unclear),
        ]
    }

    proptest! {
        #[test]
        fn nothing_goes_without_a_clear_answer(
            numbers in vec((0_u64..6, -3_i64..3), 0..8),
            answers in btree_map(0_u64..6, answers(), 0..6),
        ) {
            let now = at(NOW);
            let instances: Vec<DeployedInstance> = numbers
                .iter()
                .enumerate()
                .map(|(index, (number, seconds))| {
                    let end = now + chrono::TimeDelta::seconds(*seconds);
                    deployed(&format!("n{index}"), *number, &crate::model::ttl::rfc3339(end))
                })
                .collect();
            let verdict = judge(&instances, &answers, now);
            let gone: Vec<&DeployedInstance> = verdict.removals.iter().map(|removal| &removal.deployed).collect();
            for deployed in &instances {
                let is_over = matches!(deployed.instance.expires, Expiry::At(end) if end <= now);
                let goes = match answers.get(&deployed.instance.owner.pull_request) {
                    Some(Liveness::Closed | Liveness::HeadDeleted) => true,
                    Some(Liveness::Open) => is_over,
                    Some(Liveness::Unclear(_)) | None => false,
                };
                prop_assert_eq!(gone.contains(&deployed), goes);
            }
            // What is left is left the next time, too.
            let kept: Vec<DeployedInstance> = instances.iter().filter(|deployed| !gone.contains(deployed)).cloned().collect();
            prop_assert!(judge(&kept, &answers, now).removals.is_empty());
        }
    }
}
