//! The door: reads a request, records it, lets a fault meddle with it, and has it answered.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::{Interval, interval};
use tokio_rustls::TlsAcceptor;

use crate::access::Caller;
use crate::fault::{Effect, End};
use crate::http::{Answer, Request};
use crate::record::{Kind, Recorded};
use crate::state::Shared;
use crate::{api, backend, graphql, pages};

/// What a port answers to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Git, pages for a person, and the API under the paths of GitHub Enterprise Server.
    Everything,
    /// The API alone and without a prefix, as on `api.github.com`.
    Api,
}

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, door: Door) {
    loop {
        // What cannot be accepted is a client that went away.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(converse(stream, Arc::clone(&shared), door));
    }
}

/// The same to clients that speak HTTPS.
pub(crate) async fn serve_tls(listener: TcpListener, shared: Arc<Shared>, acceptor: TlsAcceptor) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            // A client that does not trust the certificate leaves.
            if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, shared, Door::Everything).await;
            }
        });
    }
}

/// Answers the requests of one connection.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>, door: Door) {
    let connection = shared.new_number();
    let service = service_fn(|request| respond(Arc::clone(&shared), door, connection, request));
    // It fails where a fault broke the connection and where the client did.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An error closes the connection without an answer.
async fn respond(
    shared: Arc<Shared>,
    door: Door,
    connection: u64,
    request: hyper::Request<Incoming>,
) -> io::Result<hyper::Response<Output>> {
    let (kind, request) = read(door, request).await?;
    let caller = shared.caller(&request);
    let recorded = record(&shared, kind, connection, &request, caller.as_ref());
    let id = recorded.id;
    let effect = shared
        .faults()
        .iter_mut()
        .find_map(|fault| fault.take(&recorded))
        .unwrap_or_default();
    let work = {
        let shared = Arc::clone(&shared);
        move || work(&shared, kind, &request, caller.as_ref())
    };
    // A task of its own: a server does what it was asked although whoever asked has left.
    let meddled = tokio::spawn(async move {
        let answer = meddle(effect, recorded, work).await;
        if let Some(recorded) = shared
            .requests()
            .iter_mut()
            .find(|recorded| recorded.id == id)
        {
            recorded.status = answer.as_ref().ok().map(|(answer, _)| answer.status);
            recorded.duration = Some(recorded.arrived.elapsed());
        }
        answer
    });
    let (answer, sending) = meddled.await.map_err(io::Error::other)??;
    if matches!(sending, Sending::Nothing) {
        pending::<()>().await;
    }
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Output::new(answer.body, sending))
        .map_err(io::Error::other)
}

async fn read(door: Door, request: hyper::Request<Incoming>) -> io::Result<(Kind, Request)> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path();
    let (kind, path) = match path.strip_prefix("/api/v3/") {
        _ if door == Door::Api && path == "/graphql" => (Kind::GraphQl, path.to_owned()),
        _ if door == Door::Api => (Kind::Api, path.to_owned()),
        Some(rest) => (Kind::Api, format!("/{rest}")),
        None if path == "/api/graphql" => (Kind::GraphQl, "/graphql".to_owned()),
        None if pages::is_page(&head.method, path) => (Kind::Page, path.to_owned()),
        None => (Kind::Git, path.to_owned()),
    };
    let query = head.uri.query().unwrap_or_default().to_owned();
    Ok((
        kind,
        Request {
            method: head.method,
            path,
            query,
            headers: head.headers,
            body,
        },
    ))
}

fn record(
    shared: &Shared,
    kind: Kind,
    connection: u64,
    request: &Request,
    caller: Option<&Caller>,
) -> Recorded {
    let query = if request.query.is_empty() {
        String::new()
    } else {
        format!("?{}", request.query)
    };
    let recorded = Recorded {
        id: shared.new_number(),
        connection,
        method: request.method.to_string(),
        path: request.path.clone() + &query,
        kind,
        body: request.json(),
        user_agent: request.header("user-agent").map(str::to_owned),
        login: caller.map(|caller| caller.login.clone()),
        arrived: Instant::now(),
        status: None,
        duration: None,
    };
    shared.requests().push(recorded.clone());
    recorded
}

/// How the body of an answer is sent.
enum Sending {
    Whole,
    /// So many bytes of it.
    Cut(usize),
    /// A byte each time.
    Drip(Duration),
    /// Neither it nor the rest of the answer.
    Nothing,
}

/// Does what the fault says in place of, before and after the work. Besides the answer, how its body is sent.
async fn meddle(
    effect: Effect,
    recorded: Recorded,
    work: impl FnOnce() -> Answer + Send + 'static,
) -> io::Result<(Answer, Sending)> {
    tokio::time::sleep(effect.delay).await;
    if let Some(hook) = effect.run {
        spawn_blocking(move || hook.lock().expect("a hook that has not panicked")(&recorded))
            .await?;
    }
    let (mut answer, sending) = match effect.end {
        End::Work => (spawn_blocking(work).await?, Sending::Whole),
        End::Answer(answer) => (answer, Sending::Whole),
        End::Drop => return Err(io::ErrorKind::ConnectionAborted.into()),
        End::Hang => pending().await,
        End::LoseAnswer => {
            spawn_blocking(work).await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        End::Withhold => (spawn_blocking(work).await?, Sending::Nothing),
        End::Cut(bytes) => (spawn_blocking(work).await?, Sending::Cut(bytes)),
        End::Drip(pause) => (spawn_blocking(work).await?, Sending::Drip(pause)),
    };
    let is_replaced = |name: &str| {
        effect
            .headers
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
    };
    answer.headers.retain(|(name, _)| !is_replaced(name));
    answer.headers.extend(effect.headers);
    Ok((answer, sending))
}

fn work(shared: &Shared, kind: Kind, request: &Request, caller: Option<&Caller>) -> Answer {
    match kind {
        Kind::Git => return backend::answer(shared, request, caller),
        Kind::Page => return pages::answer(shared, request),
        Kind::Api | Kind::GraphQl => {}
    }
    if request.header("user-agent").is_none_or(str::is_empty) {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header \
                    (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required).";
        return Answer::text(403, text);
    }
    match caller {
        None => Answer::error(401, "Bad credentials"),
        Some(caller) if kind == Kind::GraphQl => graphql::answer(shared, request, caller),
        Some(caller) => {
            let admitted = shared
                .content_limit()
                .as_mut()
                .map_or(Ok(()), |limit| limit.admit(request, caller));
            match admitted {
                Ok(()) => api::answer(shared, request, caller).conditional(request),
                Err(refusal) => refusal,
            }
        }
    }
}

/// The body of an answer, which may break off or take its time.
struct Output {
    length: u64,
    rest: Option<Bytes>,
    cut: bool,
    flushed: bool,
    drip: Option<Interval>,
}

impl Output {
    fn new(body: Vec<u8>, sending: Sending) -> Self {
        let length = body.len();
        let (end, drip) = match sending {
            Sending::Whole | Sending::Nothing => (length, None),
            Sending::Cut(bytes) => (bytes.min(length), None),
            Sending::Drip(pause) => (length, Some(interval(pause))),
        };
        Self {
            length: length as u64,
            cut: end < length,
            rest: Some(Bytes::from(body).slice(..end)),
            flushed: false,
            drip,
        }
    }
}

impl Body for Output {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(drip) = &mut self.drip {
            ready!(drip.poll_tick(context));
            let rest = self.rest.as_mut().filter(|rest| !rest.is_empty());
            return Poll::Ready(rest.map(|rest| Ok(Frame::data(rest.split_to(1)))));
        }
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        if !self.cut {
            return Poll::Ready(None);
        }
        if !self.flushed {
            // hyper sends what it has when the body has no more for now; an error at once would discard it.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }

    fn is_end_stream(&self) -> bool {
        self.length == 0
    }
}
