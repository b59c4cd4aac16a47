//! The Git server: the real `git upload-pack` and `git receive-pack`, behind the same credentials as the API. Started as
//! `git http-backend` does, which would be another process for each request.

use std::borrow::Cow;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hyper::Method;

use crate::access::{Caller, Need};
use crate::git;
use crate::http::{Answer, Request};
use crate::state::Shared;

/// What a client asks for after `/<owner>/<repository>`, see
/// <https://git-scm.com/docs/gitprotocol-http#_smart_clients>.
struct Call {
    /// `upload-pack` or `receive-pack`.
    service: &'static str,
    /// Which references there are, before anything is sent.
    is_advertisement: bool,
}

impl Call {
    fn parse(request: &Request, path: &str) -> Result<Self, Answer> {
        let is_advertisement = path == "info/refs" && request.method == Method::GET;
        let name = match path {
            _ if is_advertisement => request.parameter("service").unwrap_or_default(),
            path if request.method == Method::POST => path.to_owned(),
            _ => return Err(Answer::not_found()),
        };
        let service = match name.as_str() {
            "git-upload-pack" => "upload-pack",
            "git-receive-pack" => "receive-pack",
            _ => return Err(Answer::not_found()),
        };
        let kind = format!("application/x-git-{service}-request");
        if !is_advertisement && request.header("content-type") != Some(&kind) {
            return Err(Answer::text(415, "Unsupported Media Type"));
        }
        Ok(Self {
            service,
            is_advertisement,
        })
    }

    fn is_push(&self) -> bool {
        self.service == "receive-pack"
    }

    fn command(&self, shared: &Shared, request: &Request, git_dir: &Path) -> Command {
        let mut command = git::command(&shared.git_root, shared.tick());
        command.arg(self.service).arg(if self.is_advertisement {
            "--http-backend-info-refs"
        } else {
            "--stateless-rpc"
        });
        command.arg(git_dir);
        if let Some(protocol) = request.header("git-protocol") {
            command.env("GIT_PROTOCOL", protocol);
        }
        command
    }

    /// The headers and what comes before the service's own output.
    fn answer(&self, request: &Request) -> Answer {
        let service = self.service;
        let protocol = request.header("git-protocol").unwrap_or_default();
        let is_second = protocol.split(':').any(|word| word == "version=2");
        let (kind, body) = match self.is_advertisement {
            true if is_second => ("advertisement", String::new()),
            true => {
                let line = format!("# service=git-{service}\n");
                ("advertisement", format!("{:04x}{line}0000", line.len() + 4))
            }
            false => ("result", String::new()),
        };
        let answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: body.into_bytes(),
        };
        answer
            .header(
                "content-type",
                &format!("application/x-git-{service}-{kind}"),
            )
            .header("expires", "Fri, 01 Jan 1980 00:00:00 GMT")
            .header("pragma", "no-cache")
            .header("cache-control", "no-cache, max-age=0, must-revalidate")
    }
}

/// Answers a request to the Git server.
pub(crate) fn answer(shared: &Shared, request: &Request, caller: Option<&Caller>) -> Answer {
    match prepare(shared, request, caller) {
        Ok((call, command)) => {
            let mut answer = call.answer(request);
            let is_push = call.is_push() && !call.is_advertisement;
            // Who reads takes turns, and a push waits for nobody. A real server has processors of its own; here those who push use
            // the same ones, and many would be told the same tip before the first push is through.
            let place = (!is_push).then(|| shared.server_places.take());
            answer.body.extend(run(shared, command, &body(request)));
            drop(place);
            if let Some(caller) = caller.filter(|_| is_push) {
                shared.announce(&caller.login);
            }
            answer
        }
        Err(refusal) => refusal,
    }
}

/// A large one comes compressed.
fn body(request: &Request) -> Cow<'_, [u8]> {
    if request.header("content-encoding").is_none() {
        return Cow::Borrowed(&request.body);
    }
    let mut command = Command::new("gzip");
    command.args(["--decompress", "--stdout"]);
    Cow::Owned(git::feed(command, &request.body).expect("a body in gzip's format"))
}

/// The server's command for the request, if the caller may have it answered.
fn prepare(
    shared: &Shared,
    request: &Request,
    caller: Option<&Caller>,
) -> Result<(Call, Command), Answer> {
    let segments = request.segments();
    let [owner, name, path @ ..] = segments.as_slice() else {
        return Err(Answer::not_found());
    };
    let call = Call::parse(request, &path.join("/"))?;
    let push = call.is_push();

    // Taken before the server runs, so that refs/pull is up to date in what it tells.
    let state = shared.state();
    let repository = state.repository(owner, name.strip_suffix(".git").unwrap_or(name));
    let need = if push {
        Need::WRITE_CONTENTS
    } else {
        Need::READ_CONTENTS
    };
    let public = !push && repository.is_some_and(|repository| repository.public);
    if caller.is_none() && (!public || request.header("authorization").is_some()) {
        let text = "Invalid username or token. Password authentication is not supported for Git operations.";
        return Err(Answer::text(401, text).header("www-authenticate", "Basic realm=\"GitHub\""));
    }
    let repository = repository.ok_or_else(|| Answer::text(404, "Repository not found."))?;
    if let Some(caller) = caller.filter(|caller| !state.may(caller, need, repository)) {
        let text = if push {
            format!(
                "Permission to {}.git denied to {}.",
                repository.full_name(),
                caller.login
            )
        } else {
            // These are GitHub's words for a fetch, too.
            "Write access to repository not granted.".to_owned()
        };
        return Err(Answer::text(403, &text));
    }

    let command = call.command(shared, request, &repository.git_dir);
    Ok((call, command))
}

/// Runs to the end, in a process group that a local GitHub can end with its hooks when it is dropped itself.
fn run(shared: &Shared, mut command: Command, input: &[u8]) -> Vec<u8> {
    command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("git is on PATH");
    let id = process_id(&child);
    shared.servers().insert(id);
    let (mut stdin, mut stdout) = (
        child.stdin.take().expect("a pipe"),
        child.stdout.take().expect("a pipe"),
    );
    let mut output = Vec::new();
    std::thread::scope(|scope| {
        // The server stops reading where it refuses.
        scope.spawn(move || stdin.write_all(input));
        stdout
            .read_to_end(&mut output)
            .expect("the Git server's output");
    });
    // Before the wait, after which the id may be another process's.
    shared.servers().remove(&id);
    child.wait().expect("the Git server's end");
    output
}

pub(crate) fn process_id(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("a process id")
}
