//! Webhooks: what moved in the base repository, sent to those who asked.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::Uri;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use crate::git;
use crate::repository::{self, Commit};
use crate::state::{Shared, State};

/// How long a receiver has to answer:
/// <https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries>.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a webhook sent or is about to send, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// `ping` or `push`.
    pub event: String,
    /// The receiver's.
    pub url: String,
    /// The branch that moved, as `refs/heads/main`; none for a `ping`.
    pub reference: Option<String>,
    /// The status answered; none while it is under way and where there was no answer.
    pub status: Option<u16>,
    /// Why there was no answer; none while it is under way and where there was one.
    pub error: Option<String>,
}

/// A webhook for pushes to the base repository.
pub(crate) struct Webhook {
    url: String,
    queue: UnboundedSender<Queued>,
}

/// An event with its place among the deliveries.
type Queued = (usize, Event);

/// An event, the same for each webhook.
#[derive(Clone)]
struct Event {
    /// As on GitHub not the delivery's but the event's: <https://github.com/github/docs/issues/32822>.
    guid: String,
    name: &'static str,
    reference: Option<String>,
    body: Bytes,
}

/// A branch that moved.
pub(crate) struct Push {
    pub(crate) reference: String,
    /// Where it was; none where it is new.
    pub(crate) before: Option<String>,
    /// Where it is; none where it is gone.
    pub(crate) after: Option<String>,
    /// Whether commits were taken off it.
    pub(crate) forced: bool,
    /// Those put on it, oldest first.
    pub(crate) commits: Vec<Commit>,
    /// The one it points at.
    pub(crate) head: Option<Commit>,
}

impl State {
    /// Adds a webhook and sends its `ping`, on someone's account. Nothing leaves before the courier runs.
    ///
    /// # Panics
    /// Where the URL is not `http://…`: a mistake in a test.
    pub(crate) fn add_webhook(
        &mut self,
        shared: &Arc<Shared>,
        url: &str,
        secret: &str,
        login: &str,
    ) -> Courier {
        let target = url.parse::<Uri>().ok();
        let target = target
            .filter(|target| target.scheme_str() == Some("http"))
            .unwrap_or_else(|| panic!("`{url}` is no URL such as http://127.0.0.1:8080/hook"));
        if self.webhooks.is_empty() {
            self.announced = branches(&self.base().git_dir);
        }
        let id = self.new_id();
        let (queue, queued) = mpsc::unbounded_channel();
        let webhook = Webhook {
            url: url.to_owned(),
            queue,
        };
        let payload = self.ping_event(id, url, login);
        let ping = self.new_event("ping", None, &payload);
        webhook.send(shared, &ping);
        self.webhooks.push(webhook);
        Courier {
            shared: Arc::clone(shared),
            hook: id,
            target,
            secret: secret.to_owned(),
            queued,
        }
    }

    /// Sends a `push` for each branch of the base repository that is not where it was the last time, on someone's account.
    ///
    /// To be called after anything that may have moved one. The lock on the state is what makes it one event for each
    /// change: whoever comes second sees no change.
    pub(crate) fn announce(&mut self, shared: &Shared, login: &str) {
        if self.webhooks.is_empty() {
            return;
        }
        let git_dir = self.base().git_dir.clone();
        let now = branches(&git_dir);
        let before = std::mem::replace(&mut self.announced, now.clone());
        let gone = before
            .iter()
            .filter(|(reference, _)| !now.contains_key(*reference))
            .map(|(reference, sha)| (reference, Some(sha), None));
        let moved = now
            .iter()
            .map(|(reference, sha)| (reference, before.get(reference), Some(sha)))
            .filter(|(_, before, after)| before != after);
        let default = format!("refs/heads/{}", self.base().default_branch);
        // What is gone comes first, for a rename is told in the order of its steps.
        for (reference, before, after) in gone.chain(moved) {
            let known = before.or_else(|| now.get(&default).filter(|_| *reference != default));
            let push = Push::new(&git_dir, reference, before, after, known);
            let payload = self.push_event(&push, login);
            let event = self.new_event("push", Some(reference), &payload);
            for webhook in &self.webhooks {
                webhook.send(shared, &event);
            }
        }
    }

    fn new_event(
        &mut self,
        name: &'static str,
        reference: Option<&String>,
        payload: &Value,
    ) -> Event {
        Event {
            guid: format!("00000000-0000-4000-8000-{:012x}", self.new_id()),
            name,
            reference: reference.cloned(),
            body: payload.to_string().into(),
        }
    }
}

/// The branches by reference, and the commits they point at.
fn branches(git_dir: &Path) -> BTreeMap<String, String> {
    let format = "--format=%(refname) %(objectname)";
    let listed = git::git(git_dir, &["for-each-ref", format, "refs/heads"]);
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(reference, sha)| (reference.to_owned(), sha.to_owned()))
        .collect()
}

impl Push {
    /// Its commits are those that are not in `known`: what the branch held before, or the default branch where it is new.
    fn new(
        git_dir: &Path,
        reference: &str,
        before: Option<&String>,
        after: Option<&String>,
        known: Option<&String>,
    ) -> Self {
        let log = |revisions: &[&str]| repository::log(git_dir, revisions);
        let commits = match (after, known) {
            (None, _) => Vec::new(),
            (Some(after), None) => log(&[after]),
            (Some(after), Some(known)) => log(&[after, "--not", known]),
        };
        let head = after.and_then(|after| log(&[after, "--max-count=1"]).pop());
        let taken_off = |before: &str, after: &str| {
            let ancestor = ["merge-base", "--is-ancestor", before, after];
            git::try_git(git_dir, &ancestor).is_err()
        };
        Self {
            reference: reference.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
            forced: before
                .zip(after)
                .is_some_and(|(before, after)| taken_off(before, after)),
            commits: commits.into_iter().rev().collect(),
            head,
        }
    }
}

impl Webhook {
    fn send(&self, shared: &Shared, event: &Event) {
        let mut deliveries = shared.deliveries();
        let place = deliveries.len();
        deliveries.push(Delivery {
            event: event.name.to_owned(),
            url: self.url.clone(),
            reference: event.reference.clone(),
            status: None,
            error: None,
        });
        // The courier is gone where the local GitHub is.
        let _ = self.queue.send((place, event.clone()));
    }
}

/// Who brings a webhook's events to its receiver.
pub(crate) struct Courier {
    shared: Arc<Shared>,
    hook: u64,
    target: Uri,
    secret: String,
    queued: UnboundedReceiver<Queued>,
}

impl Courier {
    /// Brings one event after the other, each once, until the runtime ends.
    pub(crate) async fn run(mut self) {
        while let Some((place, event)) = self.queued.recv().await {
            let answered = timeout(PATIENCE, self.post(&event)).await;
            let answered = answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let delivery = &mut self.shared.deliveries()[place];
            match answered {
                Ok(status) => delivery.status = Some(status),
                Err(error) => delivery.error = Some(error.to_string()),
            }
        }
    }

    /// The status of the answer, once all of it is there.
    async fn post(&self, event: &Event) -> io::Result<u16> {
        let host = self.target.host().unwrap_or_default();
        let port = self.target.port_u16().unwrap_or(80);
        let stream = TcpStream::connect(format!("{host}:{port}")).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // It ends with the sender.
        tokio::spawn(connection);

        let path = self
            .target
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let request = hyper::Request::post(path)
            .header("host", format!("{host}:{port}"))
            .header("accept", "*/*")
            .header("content-type", "application/json")
            .header("user-agent", "GitHub-Hookshot/github")
            .header("x-github-delivery", &event.guid)
            .header("x-github-event", event.name)
            .header("x-github-hook-id", self.hook)
            .header("x-hub-signature-256", signature(&self.secret, &event.body))
            .body(Full::new(event.body.clone()))
            .map_err(io::Error::other)?;
        let response = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let status = response.status().as_u16();
        response
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?;
        Ok(status)
    }
}

/// As in <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hexadecimal}")
}

#[cfg(test)]
mod tests {
    use super::signature;

    /// With the values that GitHub gives to test an implementation with.
    #[test]
    fn a_signature_is_githubs() {
        assert_eq!(
            signature("It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
