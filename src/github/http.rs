//! Requests to GitHub: sent with a limit on their time, tried again where that is safe, and their errors.
//!
//! octocrab's own retry is not used, because it repeats POSTs.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use octocrab::Octocrab;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use url::Url;

use crate::github::outage::{self, Outage};
use crate::github::words;
use crate::http::{HttpClient, chain};
use crate::model::failure::{Barrier, Failure};
use crate::model::token::Token;

/// The longest wait for a connection, and for each part of an answer.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit on one attempt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest wait that a server may ask for.
const WAIT_LIMIT: Duration = Duration::from_secs(65);
/// Attempts of one request.
const ATTEMPTS: u32 = 4;
/// The wait before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A request that did not succeed: what was attempted and what was answered.
#[derive(Debug)]
pub(crate) struct ApiError {
    attempted: String,
    status: Option<u16>,
    words: String,
    /// How long the server asked to be left alone.
    retry_after: Option<Duration>,
    is_rate_limit: bool,
    /// Where a redirect leads.
    location: Option<String>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{}: {status}: {}", self.attempted, self.words)?,
            None => write!(f, "{}: {}", self.attempted, self.words)?,
        }
        match self.retry_after {
            Some(pause) => write!(f, " (try again in {} s)", pause.as_secs()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    #[cfg(test)]
    pub(crate) fn answered(status: u16, words: &str, retry_after: Option<u64>) -> ApiError {
        ApiError {
            attempted: "POST x".to_owned(),
            status: Some(status),
            words: words.to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
            is_rate_limit: retry_after.is_some(),
            location: None,
        }
    }

    /// Whether the same request may succeed later.
    fn is_transient(&self) -> bool {
        match self.status {
            None => true,
            Some(status) => status >= 500 || status == 429 || self.is_rate_limit,
        }
    }

    /// The same without the status: a 200 that says that something is wrong.
    pub(crate) fn despite_success(self) -> ApiError {
        ApiError {
            status: self.status.filter(|status| *status != 200),
            ..self
        }
    }

    /// The same as a rate limit, of which the headers of the answer say when it is over.
    pub(crate) fn rate_limited(self, headers: &Headers) -> ApiError {
        ApiError {
            is_rate_limit: true,
            retry_after: headers.retry_after(),
            ..self
        }
    }

    /// The id of the repository that a redirect leads to: GitHub answers so where a repository was renamed or transferred
    /// ([docs](https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects)).
    pub(crate) fn redirected_repository(&self) -> Option<u64> {
        let (_, id) = self.location.as_ref()?.rsplit_once("/repositories/")?;
        id.parse().ok()
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether the token lacks a permission.
    pub(crate) fn is_forbidden(&self) -> bool {
        // A locked conversation is closed to some tokens that may write comments otherwise.
        self.status == Some(403) && !self.is_rate_limit && !self.words.contains("is locked")
    }

    /// How long GitHub asked to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether GitHub asked to be left alone for a while.
    pub(crate) fn is_rate_limit(&self) -> bool {
        self.is_rate_limit
    }

    /// Whether GitHub refused the token: it answers 404 for what a token may not see.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.status, Some(401 | 404)) || self.is_forbidden()
    }
}

pub(crate) enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    fn as_str(&self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// What an answer says about trying again
/// ([docs](https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately)).
pub(crate) struct Headers {
    retry_after: Option<u64>,
    remaining: Option<u64>,
    reset: Option<u64>,
    /// Where a redirect leads.
    location: Option<String>,
    /// The version of what was answered.
    etag: Option<String>,
}

/// What is asked for again and again, and its last answer. GitHub does not count a request whose answer is still the same
/// ([docs](https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate)).
#[derive(Debug)]
pub(crate) struct Watched<T> {
    url: String,
    etag: Option<String>,
    answer: Option<T>,
}

impl<T> Watched<T> {
    /// Nothing is sent yet.
    pub(crate) fn new(url: String) -> Watched<T> {
        Watched {
            url,
            etag: None,
            answer: None,
        }
    }
}

impl Headers {
    fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Headers {
        let number = |name: &str| header(name)?.trim().parse().ok();
        Headers {
            retry_after: number("retry-after"),
            remaining: number("x-ratelimit-remaining"),
            reset: number("x-ratelimit-reset"),
            location: header("location").map(str::to_owned),
            etag: header("etag").map(str::to_owned),
        }
    }

    fn is_rate_limit(&self) -> bool {
        self.retry_after.is_some() || self.remaining == Some(0)
    }

    fn retry_after(&self) -> Option<Duration> {
        if let Some(seconds) = self.retry_after {
            return Some(Duration::from_secs(seconds));
        }
        // Nothing is left where the answer does not say how much.
        let reset = self.reset.filter(|_| self.remaining.unwrap_or(0) == 0)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(Duration::from_secs(reset).saturating_sub(now))
    }
}

/// Returns the failure of a run that lacks the answer to this request.
pub(crate) fn unanswered(error: anyhow::Error) -> Failure {
    match error.downcast_ref::<ApiError>() {
        Some(refused) if refused.is_refused() => {
            let status = refused.status.unwrap_or_default();
            let barrier = Barrier::new(status, &refused.words);
            Failure::GitHubRefused(barrier, refused.to_string())
        }
        _ => Failure::GitHub(error),
    }
}

/// Sends requests with the token.
#[derive(Debug)]
pub(crate) struct Http {
    octocrab: Octocrab,
    client: HttpClient,
    token: Token,
    outage: Cell<Outage>,
}

impl Http {
    /// Sends nothing yet.
    pub(crate) fn new(api: &Url, token: &Token, client: HttpClient) -> Result<Http> {
        // octocrab gives its credentials to the origin of the base URL alone. Every URL here is a whole one.
        let origin = api.origin().ascii_serialization();
        let octocrab = Octocrab::builder()
            .base_uri(origin)
            .context("reading GITHUB_API_URL")?
            .personal_token(token.expose())
            .build_with_reqwest(client.client.clone())
            .context("setting up the client for GitHub's API")?;
        Ok(Http {
            octocrab,
            client,
            token: token.clone(),
            outage: Cell::default(),
        })
    }

    /// Whether GitHub has answered nothing for a while, so that another request has little hope.
    pub(crate) fn has_outage(&self) -> bool {
        self.outage.get().is_long()
    }

    /// Returns the server's words without the token, which they may quote.
    pub(crate) fn redact(&self, words: &str) -> String {
        self.token.redact(words)
    }

    /// Returns an error without a status. The words are the server's, which may quote the token.
    pub(crate) fn error(&self, attempted: &str, words: &str) -> ApiError {
        ApiError {
            attempted: attempted.to_owned(),
            status: None,
            words: self.token.redact(words),
            retry_after: None,
            is_rate_limit: false,
            location: None,
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ApiError> {
        self.retried(|| self.send(Method::Get, route, None::<&Value>))
            .await
    }

    /// Repeats a request that is safe to repeat, until it succeeds, fails for good, or has been tried often enough.
    pub(crate) async fn retried<T, F, A>(&self, attempt: F) -> Result<T, ApiError>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, ApiError>>,
    {
        match attempt().await {
            Err(error) if error.is_transient() => self.retried_after(error, attempt).await,
            outcome => outcome,
        }
    }

    /// Sends what must not be there twice. Where an answer was lost, `find` looks for it before it is sent again.
    pub(crate) async fn sent_once<T, F, A, G, B>(&self, send: F, find: G) -> Result<T, ApiError>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, ApiError>>,
        G: Fn() -> B,
        B: Future<Output = Result<Option<T>, ApiError>>,
    {
        match send().await {
            Err(error) if error.is_transient() => {
                let attempt = || async {
                    match find().await? {
                        Some(found) => Ok(found),
                        None => send().await,
                    }
                };
                self.retried_after(error, attempt).await
            }
            outcome => outcome,
        }
    }

    async fn retried_after<T, F, A>(&self, first: ApiError, attempt: F) -> Result<T, ApiError>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, ApiError>>,
    {
        let started = Instant::now();
        let mut last = first;
        for tried in 1..ATTEMPTS {
            match last.retry_after {
                _ if self.has_outage() => break,
                Some(pause) if pause > WAIT_LIMIT.saturating_sub(started.elapsed()) => break,
                Some(pause) => sleep(pause).await,
                // A server that answers each time, but late, keeps us waiting as well.
                None if started.elapsed() > outage::LIMIT => break,
                None => {
                    let ceiling = FIRST_PAUSE.saturating_mul(1 << tried);
                    sleep(ceiling.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                }
            }
            match attempt().await {
                Err(error) if error.is_transient() => last = error,
                outcome => return outcome,
            }
        }
        Err(last)
    }

    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ApiError> {
        let (answer, _) = self.send_for_headers(method, url, body).await?;
        Ok(answer)
    }

    /// Asks again, once and no more, and returns the answer of now.
    pub(crate) async fn look<'w, T: DeserializeOwned>(
        &self,
        watched: &'w mut Watched<T>,
    ) -> Result<&'w T, ApiError> {
        let url = &watched.url;
        let known = watched.etag.as_deref().filter(|_| watched.answer.is_some());
        let answer = self.exchange(&Method::Get, url, None::<&Value>, known);
        let (status, headers, text) = answer.await?;
        if status != StatusCode::NOT_MODIFIED || watched.answer.is_none() {
            // An answer that is no use leaves what is known.
            let (answer, headers) = self.read(&Method::Get, url, status, headers, &text)?;
            (watched.etag, watched.answer) = (headers.etag, Some(answer));
        }
        watched
            .answer
            .as_ref()
            .ok_or_else(|| self.error(&format!("GET {}", watched.url), "there is no answer"))
    }

    /// The same, with what the answer's headers say about trying again.
    pub(crate) async fn send_for_headers<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(T, Headers), ApiError> {
        let answer = self.exchange(&method, url, body, None);
        let (status, headers, text) = answer.await?;
        self.read(&method, url, status, headers, &text)
    }

    /// Sends a request and waits for all of the answer, whatever that says. `known` is the version of a GET's answer that need
    /// not be sent again.
    async fn exchange(
        &self,
        method: &Method,
        url: &str,
        body: Option<&impl Serialize>,
        known: Option<&str>,
    ) -> Result<(StatusCode, Headers, String), ApiError> {
        let sent = Instant::now();
        let condition = known.and_then(|known| HeaderValue::from_str(known).ok());
        let condition = condition.map(|known| HeaderMap::from_iter([(IF_NONE_MATCH, known)]));
        let answer = async {
            let response = match method {
                Method::Get => self.octocrab._get_with_headers(url, condition).await,
                Method::Post => self.octocrab._post(url, body).await,
                Method::Patch => self.octocrab._patch(url, body).await,
                Method::Delete => self.octocrab._delete(url, body).await,
            }?;
            let status = response.status();
            let headers = Headers::read(|name| response.headers().get(name)?.to_str().ok());
            let text = self.octocrab.body_to_string(response).await?;
            Ok::<_, octocrab::Error>((status, headers, text))
        };
        let answer = match timeout(REQUEST_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| chain(&error)),
            Err(_) => Err(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())),
        };
        let answer = answer.map_err(|words| {
            let outage = self.outage.get();
            self.outage.set(outage.extended(sent, Instant::now()));
            let attempted = format!("{} {url}", method.as_str());
            self.error(&attempted, &self.client.explained(url, &words))
        })?;
        self.outage.set(Outage::None);
        Ok(answer)
    }

    fn read<T: DeserializeOwned>(
        &self,
        method: &Method,
        url: &str,
        status: StatusCode,
        headers: Headers,
        text: &str,
    ) -> Result<(T, Headers), ApiError> {
        let attempted = format!("{} {url}", method.as_str());
        let failed = |words: String| self.error(&attempted, &words);
        if status.is_success() {
            // The answer to a DELETE has no content.
            let text = if text.is_empty() { "null" } else { text };
            let mut json = serde_json::Deserializer::from_str(text);
            return match serde_path_to_error::deserialize(&mut json) {
                Ok(answer) => Ok((answer, headers)),
                Err(error) => Err(ApiError {
                    status: Some(status.as_u16()),
                    ..failed(format!("the answer is not as GitHub documents it: {error}"))
                }),
            };
        }
        let mut words = words::of_rest(text, |words| self.redact(words));
        // Secondary rate limits may come without a header.
        let is_rate_limit = headers.is_rate_limit() || words.contains("rate limit");
        if let Some(location) = &headers.location {
            words = format!(
                "{words} (to {location}, which is not followed: check whether the repository has moved)"
            );
        }
        Err(ApiError {
            status: Some(status.as_u16()),
            is_rate_limit,
            retry_after: headers.retry_after(),
            location: headers.location,
            // Where it is not encrypted, a proxy may have answered.
            ..failed(self.client.explained(url, &words))
        })
    }
}
