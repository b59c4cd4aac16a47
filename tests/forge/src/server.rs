//! The door: reads a request, records it, lets a fault meddle with it, and has it answered.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::access::Caller;
use crate::fault::{Effect, End};
use crate::http::{Answer, Request};
use crate::record::{Kind, Recorded};
use crate::state::Shared;
use crate::{api, backend, graphql};

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // What cannot be accepted is a client that went away.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| respond(Arc::clone(&shared), request));
            // It fails where a fault broke the connection and where the client did.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// An error closes the connection without an answer.
async fn respond(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> io::Result<hyper::Response<Output>> {
    let (kind, request) = read(request).await?;
    let caller = shared.caller(&request);
    let recorded = record(&shared, kind, &request, caller.as_ref());
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
    let (answer, sent) = meddled.await.map_err(io::Error::other)??;
    let cut = match sent {
        Sent::Whole => None,
        Sent::Part(bytes) => Some(bytes),
        Sent::Nothing => pending().await,
    };
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Output::new(answer.body, cut))
        .map_err(io::Error::other)
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<(Kind, Request)> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path();
    let (kind, path) = match path.strip_prefix("/api/v3/") {
        Some(rest) => (Kind::Api, format!("/{rest}")),
        None if path == "/api/graphql" => (Kind::GraphQl, "/graphql".to_owned()),
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

fn record(shared: &Shared, kind: Kind, request: &Request, caller: Option<&Caller>) -> Recorded {
    let query = if request.query.is_empty() {
        String::new()
    } else {
        format!("?{}", request.query)
    };
    let recorded = Recorded {
        id: shared.new_request(),
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

/// How much of an answer goes out.
enum Sent {
    Whole,
    /// So many bytes of its body.
    Part(usize),
    Nothing,
}

/// Does what the fault says in place of, before and after the work.
async fn meddle(
    effect: Effect,
    recorded: Recorded,
    work: impl FnOnce() -> Answer + Send + 'static,
) -> io::Result<(Answer, Sent)> {
    tokio::time::sleep(effect.delay).await;
    if let Some(hook) = effect.run {
        spawn_blocking(move || hook.lock().expect("a hook that has not panicked")(&recorded))
            .await?;
    }
    let (mut answer, sent) = match effect.end {
        End::Work => (spawn_blocking(work).await?, Sent::Whole),
        End::Answer(answer) => (answer, Sent::Whole),
        End::Drop => return Err(io::ErrorKind::ConnectionAborted.into()),
        End::Hang => pending().await,
        End::LoseAnswer => {
            spawn_blocking(work).await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        End::Withhold => (spawn_blocking(work).await?, Sent::Nothing),
        End::Cut(bytes) => (spawn_blocking(work).await?, Sent::Part(bytes)),
    };
    answer.headers.extend(effect.headers);
    Ok((answer, sent))
}

fn work(shared: &Shared, kind: Kind, request: &Request, caller: Option<&Caller>) -> Answer {
    if kind == Kind::Git {
        return backend::answer(shared, request, caller);
    }
    if request.header("user-agent").is_none_or(str::is_empty) {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header \
                    (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required).";
        return Answer::text(403, text);
    }
    match caller {
        None => Answer::error(401, "Bad credentials"),
        Some(caller) if kind == Kind::GraphQl => graphql::answer(request, caller),
        Some(caller) => api::answer(shared, request, caller),
    }
}

/// The body of an answer, which may break off.
struct Output {
    length: u64,
    rest: Option<Bytes>,
    cut: bool,
    flushed: bool,
}

impl Output {
    fn new(body: Vec<u8>, cut: Option<usize>) -> Self {
        let length = body.len();
        let sent = Bytes::from(body).slice(..cut.unwrap_or(length).min(length));
        Self {
            length: length as u64,
            cut: sent.len() < length,
            rest: Some(sent),
            flushed: false,
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
