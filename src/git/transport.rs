//! HTTP for libgit2, which brings none: each request of Git's smart protocol goes through the client that the API uses, too
//! ([protocol](https://git-scm.com/docs/http-protocol)).
//!
//! libgit2 knows transports of the whole process, by the scheme of a URL. Which connection a transfer uses is therefore a
//! variable of its thread, and what went wrong with it, too: through libgit2 comes no more of an error than a text.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ErrorClass, ErrorCode, Remote};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::git::error::{HttpFailure, TransferError, answered};
use crate::http::{HttpClient, chain, is_about_certificate};
use crate::model::token::Token;

/// Servers tell Git from a browser by its beginning.
const AGENT: &str = concat!(
    "git/2.0 (flux-ephemeral-env ",
    env!("CARGO_PKG_VERSION"),
    ")"
);
/// The longest body of a request, in bytes: a commit with its trees and the files of one change is a small part of it.
const REQUEST_LIMIT: usize = 64 << 20;
/// How much is read of an answer that says no, in bytes.
const REFUSAL_LIMIT: usize = 64 << 10;
/// Redirects that are followed, all of them on one server.
const REDIRECTS: usize = 5;
/// What may be left of an answer that libgit2 has read: its end, so that the next request can use the connection. In bytes.
const REST_LIMIT: usize = 1 << 10;
/// How long that rest is waited for.
const REST_TIMEOUT: Duration = Duration::from_millis(500);

thread_local! {
    static CONNECTION: RefCell<Option<Arc<Connection>>> = const { RefCell::new(None) };
}

/// What the requests of one fetch or push are sent with.
pub(crate) struct Connection {
    client: HttpClient,
    token: Token,
    /// Ends a request that is under way. There is none for a push: once it is sent, only its answer says whether it landed.
    cancellation: Option<CancellationToken>,
    runtime: Handle,
    failure: Mutex<Option<HttpFailure>>,
}

impl Connection {
    /// Works on a thread of the runtime for what blocks, and nowhere else.
    pub(crate) fn new(
        client: &HttpClient,
        token: &Token,
        cancellation: Option<&CancellationToken>,
    ) -> Connection {
        Connection {
            client: client.clone(),
            token: token.clone(),
            cancellation: cancellation.cloned(),
            runtime: Handle::current(),
            failure: Mutex::default(),
        }
    }

    /// Lends the connection to a transfer of libgit2 on this thread.
    pub(crate) fn lend<T>(
        self,
        transfer: impl FnOnce() -> Result<T, git2::Error>,
    ) -> Result<T, TransferError> {
        let connection = Arc::new(self);
        CONNECTION.set(Some(connection.clone()));
        let outcome = transfer();
        CONNECTION.set(None);
        outcome.map_err(|error| TransferError {
            error,
            http: connection.failure().take(),
        })
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<HttpFailure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps why a request failed, and returns what libgit2 is told.
    fn fail(&self, failure: HttpFailure) -> io::Error {
        let words = failure.words().to_owned();
        *self.failure() = Some(failure);
        io::Error::other(words)
    }

    /// Waits for the client, unless the run is cancelled meanwhile.
    fn wait<T>(&self, url: &str, work: impl Future<Output = reqwest::Result<T>>) -> io::Result<T> {
        let outcome = self.runtime.block_on(async {
            match &self.cancellation {
                Some(cancellation) => cancellation.run_until_cancelled(work).await,
                None => Some(work.await),
            }
        });
        match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => {
                let words = self.client.explained(url, &chain(&error));
                Err(self.fail(match is_about_certificate(&error) {
                    true => HttpFailure::Final(words),
                    false => HttpFailure::Temporary(words),
                }))
            }
            None => Err(self.fail(HttpFailure::Temporary("cancelled".to_owned()))),
        }
    }

    fn send(&self, url: &str, request: RequestBuilder) -> io::Result<Response> {
        let basic = format!("Basic {}", self.token.basic());
        let mut authorization = HeaderValue::try_from(basic).map_err(io::Error::other)?;
        authorization.set_sensitive(true);
        // The credentials go with the first request: a 401 before them would cost a round trip.
        let request = request
            .header(AUTHORIZATION, authorization)
            .header(USER_AGENT, AGENT);
        self.wait(url, request.send())
    }

    /// Fetches what the server has. Returns the answer and the URL of the repository, which may have another name by now.
    fn advertisement(&self, base: &str, service: &str) -> io::Result<(Response, String)> {
        let mut url = format!("{base}/info/refs?service={service}");
        for _ in 0..REDIRECTS {
            let response = self.send(&url, self.client.client.get(&url))?;
            let Some(location) = location(&response) else {
                let response = self.expect(&url, response, &format!("{service}-advertisement"))?;
                let base = url.split("/info/refs").next().unwrap_or(base).to_owned();
                return Ok((response, base));
            };
            match same_server(&url, &location) {
                Some(next) => url = next,
                None => return Err(self.fail(HttpFailure::redirected(&location))),
            }
        }
        Err(self.fail(HttpFailure::redirected(&url)))
    }

    /// Sends a request of a service, and returns the answer once it begins.
    fn call(&self, base: &str, service: &str, body: Vec<u8>) -> io::Result<Response> {
        let url = format!("{base}/{service}");
        let request = self
            .client
            .client
            .post(&url)
            .header(CONTENT_TYPE, format!("application/x-{service}-request"))
            .header(ACCEPT, format!("application/x-{service}-result"))
            .body(body);
        let response = self.send(&url, request)?;
        if let Some(location) = location(&response) {
            return Err(self.fail(HttpFailure::redirected(&location)));
        }
        self.expect(&url, response, &format!("{service}-result"))
    }

    /// Takes an answer of Git's, and has everything else fail with what it says.
    fn expect(&self, url: &str, mut response: Response, kind: &str) -> io::Result<Response> {
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let status = response.status();
        if status.is_success() && content_type == format!("application/x-{kind}") {
            return Ok(response);
        }
        let mut body = Vec::new();
        while body.len() < REFUSAL_LIMIT {
            // Its first half is better than nothing.
            match self.wait(url, response.chunk()) {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        let body = self.token.redact(&String::from_utf8_lossy(&body));
        let failure = answered(status, &content_type, &body);
        let explain = |words: &str| self.client.explained(url, words);
        Err(self.fail(failure.map(explain)))
    }
}

/// Where a redirect leads.
fn location(response: &Response) -> Option<String> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// The whole URL of a redirect that stays on the server and leads to what a repository has; the token goes nowhere else.
fn same_server(from: &str, location: &str) -> Option<String> {
    let from = Url::parse(from).ok()?;
    let to = from.join(location).ok()?;
    let is_same = from.origin() == to.origin()
        && to.username().is_empty()
        && to.path().ends_with("/info/refs")
        && to.query() == from.query();
    is_same.then(|| to.into())
}

/// Has libgit2 use the connections of this file.
#[allow(unsafe_code, reason = "libgit2's transports have no safe counterpart")]
pub(crate) fn register() -> Result<(), git2::Error> {
    for scheme in ["http", "https"] {
        // SAFETY: called once, before anything else of libgit2 and from one thread, so nobody looks for a transport meanwhile.
        unsafe { git2::transport::register(scheme, new_transport)? };
    }
    Ok(())
}

fn new_transport(remote: &Remote<'_>) -> Result<Transport, git2::Error> {
    let connection = CONNECTION.with_borrow(Clone::clone);
    let connection = connection
        .ok_or_else(|| git2::Error::from_str("no connection was lent to this transfer"))?;
    let base = remote.url().unwrap_or_default().to_owned();
    let transfer = Transfer {
        connection,
        base: Mutex::new(base),
    };
    Transport::smart(remote, true, transfer)
}

/// The requests of one fetch or push.
struct Transfer {
    connection: Arc<Connection>,
    /// The URL of the repository, as the server's last redirect has it.
    base: Mutex<String>,
}

impl SmartSubtransport for Transfer {
    fn action(
        &self,
        _: &str,
        action: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let service = match action {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        };
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = match action {
            Service::UploadPackLs | Service::ReceivePackLs => {
                let (response, moved) =
                    self.connection
                        .advertisement(&base, service)
                        .map_err(|error| {
                            git2::Error::new(
                                ErrorCode::GenericError,
                                ErrorClass::Http,
                                error.to_string(),
                            )
                        })?;
                *base = moved;
                Stage::Answer(response)
            }
            Service::UploadPack | Service::ReceivePack => Stage::Request(Vec::new()),
        };
        Ok(Box::new(Exchange {
            connection: self.connection.clone(),
            base: base.clone(),
            service,
            stage,
            unread: Vec::new(),
            taken: 0,
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and its answer.
struct Exchange {
    connection: Arc<Connection>,
    base: String,
    service: &'static str,
    stage: Stage,
    /// A part of the answer, and how much of it libgit2 has taken.
    unread: Vec<u8>,
    taken: usize,
}

enum Stage {
    /// Written so far. It is sent when libgit2 first reads.
    Request(Vec<u8>),
    Answer(Response),
    /// Read to its end, or failed.
    Over,
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Stage::Request(body) = &mut self.stage else {
            return Err(io::Error::other("the request is sent already"));
        };
        if body.len() + bytes.len() > REQUEST_LIMIT {
            let words = format!("the request is larger than {} MiB", REQUEST_LIMIT >> 20);
            return Err(self.connection.fail(HttpFailure::Final(words)));
        }
        body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.unread.len() {
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Request(body) => {
                    let answer = self.connection.call(&self.base, self.service, body)?;
                    self.stage = Stage::Answer(answer);
                }
                Stage::Answer(mut answer) => {
                    let url = answer.url().to_string();
                    let Some(chunk) = self.connection.wait(&url, answer.chunk())? else {
                        return Ok(0);
                    };
                    self.unread = chunk.into();
                    self.taken = 0;
                    self.stage = Stage::Answer(answer);
                }
                Stage::Over => return Ok(0),
            }
        }
        let mut unread = self.unread.get(self.taken..).unwrap_or_default();
        let read = unread.read(buffer)?;
        self.taken += read;
        Ok(read)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Stage::Answer(answer) = &mut self.stage else {
            return;
        };
        let cancellation = self.connection.cancellation.as_ref();
        if cancellation.is_some_and(CancellationToken::is_cancelled) {
            return;
        }
        let read_rest = async {
            let mut rest = 0;
            while let Ok(Some(chunk)) = answer.chunk().await {
                rest += chunk.len();
                if rest > REST_LIMIT {
                    break;
                }
            }
        };
        // A rest that is longer, or does not come, costs a connection and nothing else.
        let _ = self
            .connection
            .runtime
            .block_on(async { timeout(REST_TIMEOUT, read_rest).await });
    }
}

#[cfg(test)]
mod tests {
    use super::same_server;

    #[test]
    fn a_redirect_is_followed_to_another_name_on_the_same_server() {
        let from = "https://github.com/a/b/info/refs?service=git-upload-pack";
        let service = "info/refs?service=git-upload-pack";
        for (location, is_followed) in [
            (format!("https://github.com/c/d/{service}"), true),
            (format!("https://github.com:443/c/d.git/{service}"), true),
            (format!("/c/d/{service}"), true),
            (format!("http://github.com/c/d/{service}"), false),
            (format!("https://github.com:8443/c/d/{service}"), false),
            (format!("https://github.com.example/c/d/{service}"), false),
            (format!("https://user@github.com/c/d/{service}"), false),
            (format!("//elsewhere.example/c/d/{service}"), false),
            ("https://github.com/login".to_owned(), false),
            ("https://github.com/c/d/info/refs".to_owned(), false),
            ("https://".to_owned(), false),
            (String::new(), true),
        ] {
            let followed = same_server(from, &location);
            assert_eq!(followed.is_some(), is_followed, "{location}: {followed:?}");
        }
    }
}
