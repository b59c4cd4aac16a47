//! Questions to GraphQL.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use crate::github::http::{ApiError, Method};
use crate::github::{GitHub, PAGE, words};
use crate::model::pull_request::{
    Head, Liveness, PullRequest, PullRequestSummary, State, unknown_state,
};
use crate::model::sha::Sha;

/// Why a question of many was left out.
const NOT_ASKED: &str = "not asked: GitHub has not answered for a while";

/// What lets a token see pull requests.
const PULL_REQUESTS_REMEDY: &str = "add `pull-requests: write` to the job's `permissions`";

impl PullRequestSummary {
    /// Whether it says anything.
    pub(crate) fn is_clear(&self) -> bool {
        !matches!(self.answer, Liveness::Unclear(_))
    }

    fn unclear(words: String) -> PullRequestSummary {
        PullRequestSummary {
            answer: Liveness::Unclear(words),
            head: None,
        }
    }

    fn read(node: &Value) -> PullRequestSummary {
        let node = match PullRequestNode::deserialize(node) {
            Ok(node) => node,
            Err(error) => {
                let words = format!("the answer is not as GitHub documents it: {error}");
                return PullRequestSummary::unclear(words);
            }
        };
        PullRequestSummary {
            answer: match (node.state.as_str(), node.head_repository) {
                ("OPEN", Some(_)) => Liveness::Open,
                ("OPEN", None) => Liveness::HeadDeleted,
                ("CLOSED" | "MERGED", _) => Liveness::Closed,
                (word, _) => Liveness::Unclear(unknown_state(word)),
            },
            head: Sha::parse(&node.head_ref_oid).map(|commit| (node.head_ref_name, commit)),
        }
    }
}

/// GraphQL's answer, which is a 200 where it is an error, too.
#[derive(Deserialize)]
struct GraphQl {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<GraphQlError>,
}

#[derive(Deserialize)]
pub(crate) struct GraphQlError {
    #[serde(default)]
    message: String,
    #[serde(default)]
    r#type: String,
    /// Which part of the answer it is about.
    #[serde(default)]
    path: Vec<Value>,
}

impl GraphQlError {
    /// Whether it is about how much is asked and not about what
    /// ([docs](https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api)).
    fn is_rate_limit(&self) -> bool {
        matches!(self.r#type.as_str(), "RATE_LIMITED" | "RATE_LIMIT")
            || (self.r#type.is_empty() && self.message.contains("rate limit"))
    }

    fn words(&self) -> String {
        match self.r#type.as_str() {
            "FORBIDDEN" => format!("{} ({PULL_REQUESTS_REMEDY})", self.message),
            _ => self.message.clone(),
        }
    }
}

#[derive(Deserialize)]
struct RepositoryData {
    /// Pull requests by the names that the query gives them.
    repository: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequestNode {
    state: String,
    head_ref_name: String,
    head_ref_oid: String,
    head_repository: Option<IgnoredAny>,
}

impl GitHub {
    /// What became of these pull requests, a hundred of them with one request. No answer is an unclear one.
    ///
    /// They are named one by one instead of listing the open ones: a page of a list shifts where a pull request is closed
    /// meanwhile, and one that is open could be missed.
    pub(crate) async fn summaries(
        &self,
        numbers: &BTreeSet<u64>,
    ) -> BTreeMap<u64, PullRequestSummary> {
        // GraphQL's whole numbers have 32 bits, and one that is larger would be an error about the whole question.
        let (numbers, too_large): (Vec<u64>, Vec<u64>) = numbers
            .iter()
            .partition(|number| i32::try_from(**number).is_ok());
        let no_number = |number| {
            let words = "no pull request has such a number".to_owned();
            (number, PullRequestSummary::unclear(words))
        };
        let mut summaries: BTreeMap<_, _> = too_large.into_iter().map(no_number).collect();
        for numbers in numbers.chunks(PAGE) {
            let asked = match self.has_outage() {
                true => Err(NOT_ASKED.to_owned()),
                false => self.ask_for_summaries(numbers).await.map_err(|error| {
                    match error.is_refused() {
                        true => format!("{error} ({PULL_REQUESTS_REMEDY})"),
                        false => error.to_string(),
                    }
                }),
            };
            summaries.extend(asked.unwrap_or_else(|words| {
                let unclear = |number: &u64| (*number, PullRequestSummary::unclear(words.clone()));
                numbers.iter().map(unclear).collect()
            }));
        }
        // Rare, and GraphQL may also say nothing of a repository that the token cannot see.
        for (number, summary) in &mut summaries {
            if summary.answer == Liveness::HeadDeleted {
                summary.answer = self.confirmed_liveness(*number).await;
            }
        }
        summaries
    }

    async fn confirmed_liveness(&self, number: u64) -> Liveness {
        if self.has_outage() {
            return Liveness::Unclear(NOT_ASKED.to_owned());
        }
        match self.pull_request(number).await {
            Ok(PullRequest { state, head, .. }) => match state {
                State::Open if head == Head::Deleted => Liveness::HeadDeleted,
                State::Open => Liveness::Open,
                State::Closed => Liveness::Closed,
                State::Unknown(word) => Liveness::Unclear(unknown_state(&word)),
            },
            Err(error) => Liveness::Unclear(format!("{error:#}")),
        }
    }

    async fn ask_for_summaries(
        &self,
        numbers: &[u64],
    ) -> Result<BTreeMap<u64, PullRequestSummary>, ApiError> {
        let fields = "{ state headRefName headRefOid headRepository { id } }";
        let asked = numbers
            .iter()
            .map(|number| format!("p{number}: pullRequest(number: {number}) {fields}"))
            .collect::<Vec<_>>()
            .join(" ");
        let query = json!({
            "query": format!(
                "query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{ {asked} }} }}"
            ),
            "variables": { "owner": self.name.owner, "name": self.name.name },
        });
        let (data, errors): (RepositoryData, _) = self.graphql(&query).await?;
        let nodes = data.repository.unwrap_or_default();
        let summary = |number: &u64| {
            let name = format!("p{number}");
            let about = |error: &&GraphQlError| {
                error
                    .path
                    .get(1)
                    .is_none_or(|part| part.as_str() == Some(&name))
            };
            let words = errors.iter().filter(about).map(GraphQlError::words);
            let words = words::joined(words.map(|words| self.http.redact(&words)));
            let summary = match nodes.get(&name) {
                _ if !words.is_empty() => PullRequestSummary::unclear(words),
                Some(node) => PullRequestSummary::read(node),
                None => PullRequestSummary::unclear("the response does not mention it".to_owned()),
            };
            (*number, summary)
        };
        Ok(numbers.iter().map(summary).collect())
    }

    /// Asks GraphQL; the errors are about parts of the answer.
    pub(crate) async fn graphql<T: DeserializeOwned>(
        &self,
        query: &Value,
    ) -> Result<(T, Vec<GraphQlError>), ApiError> {
        // A query changes nothing, so this POST is safe to repeat.
        let ask = || async {
            let sent = self
                .http
                .send_for_headers(Method::Post, &self.graphql, Some(query))
                .await;
            // Whatever else it answers with a 200 is trouble of its own, which may pass.
            let (answer, headers): (GraphQl, _) = sent.map_err(ApiError::despite_success)?;
            let failed = |words: &str| {
                let attempted = format!("POST {}", self.graphql);
                self.http.error(&attempted, words)
            };
            let messages = || {
                let messages = answer.errors.iter();
                words::joined(messages.map(|error| self.http.redact(&error.message)))
            };
            // Whatever came with it is not all of the answer.
            if answer.errors.iter().any(GraphQlError::is_rate_limit) {
                return Err(failed(&messages()).rate_limited(&headers));
            }
            if answer.data.is_null() {
                return Err(failed(&messages()));
            }
            match serde_path_to_error::deserialize(answer.data) {
                Ok(data) => Ok((data, answer.errors)),
                Err(error) => {
                    let words = format!("the answer is not as GitHub documents it: {error}");
                    let reasons = messages();
                    Err(failed(&words::joined([words, reasons])))
                }
            }
        };
        self.http.retried(ask).await
    }
}
