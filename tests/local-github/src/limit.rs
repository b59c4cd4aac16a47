//! GitHub's secondary rate limit on requests that create content:
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::access::Caller;
use crate::http::{Answer, Request};

/// At most so many requests that are not just reads within any time as long as the window, for each caller.
pub(crate) struct ContentLimit {
    most: usize,
    window: Duration,
    let_in: Vec<(String, Instant)>,
}

impl ContentLimit {
    pub(crate) fn new(most: usize, window: Duration) -> Self {
        Self {
            most,
            window,
            let_in: Vec::new(),
        }
    }

    /// A refusal in GitHub's words where it is one too many.
    pub(crate) fn admit(&mut self, request: &Request, caller: &Caller) -> Result<(), Answer> {
        if matches!(request.method.as_str(), "GET" | "HEAD") {
            return Ok(());
        }
        let window = self.window;
        self.let_in.retain(|(_, at)| at.elapsed() < window);
        let own = self
            .let_in
            .iter()
            .filter(|(login, _)| *login == caller.login);
        let own: Vec<Duration> = own.map(|(_, at)| at.elapsed()).collect();
        if own.len() < self.most {
            self.let_in.push((caller.login.clone(), Instant::now()));
            return Ok(());
        }
        let oldest = own.first().copied().unwrap_or_default();
        let wait = window
            .saturating_sub(oldest)
            .as_millis()
            .div_ceil(1000)
            .max(1);
        let body = json!({
            "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            "documentation_url": "https://docs.github.com/free-pro-team@latest/rest/overview/\
                                  rate-limits-for-the-rest-api#about-secondary-rate-limits",
        });
        Err(Answer::json(403, &body).header("retry-after", &wait.to_string()))
    }
}
