//! Single requests that go wrong the way networks and servers do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::http::Answer;
use crate::record::Recorded;

type Hook = Arc<Mutex<dyn FnMut(&Recorded) + Send>>;

/// A request to meddle with, and how. Give it to [`LocalGitHub::fault`](crate::LocalGitHub::fault).
///
/// ```
/// use local_github::Fault;
/// use std::time::Duration;
///
/// let flaky = Fault::on("POST", "/repos/*/issues/*/comments").times(2).answer_text(502, "Bad Gateway");
/// let slow = Fault::on("GET", "/repos/*/pulls/*").delay(Duration::from_millis(200));
/// let lost = Fault::on("POST", "/octo-org/demo.git/git-receive-pack").lose_answer();
/// ```
///
/// Faults are looked at in the order given; the first that matches and is not used up takes the request, and the others
/// do not see it.
#[derive(Clone)]
pub struct Fault {
    method: String,
    path: String,
    skip: usize,
    times: usize,
    effect: Effect,
}

/// What happens to a request that a fault has taken, in this order.
#[derive(Clone, Default)]
pub(crate) struct Effect {
    pub(crate) delay: Duration,
    pub(crate) run: Option<Hook>,
    pub(crate) end: End,
    pub(crate) headers: Vec<(String, String)>,
}

#[derive(Clone, Default)]
pub(crate) enum End {
    /// As if there were no fault.
    #[default]
    Work,
    /// This, and nothing is done.
    Answer(Answer),
    /// The connection is closed, and nothing is done.
    Drop,
    /// Nothing is done nor answered.
    Hang,
    /// It is done, and the connection closed.
    LoseAnswer,
    /// It is done, and not answered.
    Withhold,
    /// It is done, and the connection closed after so many bytes of the answer's body.
    Cut(usize),
    /// It is done, and a byte of the answer's body sent each time.
    Drip(Duration),
}

impl Fault {
    /// On requests with this method (`*` for any) and this path, where `*` stands for anything, slashes too. The path is
    /// written without the prefix of the API (`/repos/…`, `/graphql`, `/octo-org/demo.git/git-receive-pack`), undecoded,
    /// and with the query only where the pattern has a `?`.
    ///
    /// By itself it lets the request pass; say what goes wrong with one of the methods below.
    pub fn on(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            skip: 0,
            times: 1,
            effect: Effect::default(),
        }
    }

    /// For the next so many matching requests; 1 where it is not said.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// For every matching request.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Lets so many matching requests pass first.
    pub fn skip(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// Answers this; the work is not done.
    pub fn answer(self, status: u16, body: Value) -> Self {
        self.end(End::Answer(Answer::json(status, &body)))
    }

    /// Answers this plain text; the work is not done.
    pub fn answer_text(self, status: u16, body: &str) -> Self {
        self.end(End::Answer(Answer::text(status, body)))
    }

    /// Adds a header to whatever is answered, in place of one of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.effect
            .headers
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// Closes the TCP connection without an answer; the work is not done.
    pub fn drop_connection(self) -> Self {
        self.end(End::Drop)
    }

    /// Waits before whatever else happens.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.effect.delay = delay;
        self
    }

    /// Never answers; the work is not done.
    pub fn hang(self) -> Self {
        self.end(End::Hang)
    }

    /// Does the work, then closes the connection instead of answering.
    pub fn lose_answer(self) -> Self {
        self.end(End::LoseAnswer)
    }

    /// Does the work, then never answers. Its [`Recorded::status`] is there once the work is done.
    pub fn withhold_answer(self) -> Self {
        self.end(End::Withhold)
    }

    /// Does the work, then closes the connection after so many bytes of the answer's body.
    pub fn cut_body_after(self, bytes: usize) -> Self {
        self.end(End::Cut(bytes))
    }

    /// Does the work, then sends the answer's body byte by byte with so much time between two.
    pub fn drip(self, pause: Duration) -> Self {
        self.end(End::Drip(pause))
    }

    /// Runs this before the work, for instance to land someone else's commit between a fetch and a push. No lock of the
    /// server is held meanwhile, so it may use any [`Repository`](crate::Repository) of the same local GitHub.
    pub fn run(mut self, hook: impl FnMut(&Recorded) + Send + 'static) -> Self {
        self.effect.run = Some(Arc::new(Mutex::new(hook)));
        self
    }

    fn end(mut self, end: End) -> Self {
        self.effect.end = end;
        self
    }

    /// The effect on this request, one use of it taken.
    pub(crate) fn take(&mut self, request: &Recorded) -> Option<Effect> {
        let path = request.path.as_str();
        let path = if self.path.contains('?') {
            path
        } else {
            path.split('?').next().unwrap_or(path)
        };
        let matches = glob(self.method.as_bytes(), request.method.as_bytes())
            && glob(self.path.as_bytes(), path.as_bytes());
        if !matches || self.times == 0 {
            None
        } else if self.skip > 0 {
            self.skip -= 1;
            None
        } else {
            self.times -= 1;
            Some(self.effect.clone())
        }
    }
}

/// Whether `pattern`, in which `*` stands for anything, matches the whole of `text`.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|start| glob(rest, &text[start..])),
        Some((byte, rest)) => text
            .split_first()
            .is_some_and(|(first, text)| first == byte && glob(rest, text)),
    }
}
