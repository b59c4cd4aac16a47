//! The Git server: the real `git http-backend`, behind the same credentials as the API.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use crate::access::{Caller, Need};
use crate::git;
use crate::http::{Answer, Request};
use crate::state::Shared;

/// What a client may ask for after `/<owner>/<repository>`.
const SERVICES: [&str; 3] = ["info/refs", "git-upload-pack", "git-receive-pack"];

/// Answers a request to the Git server.
pub(crate) fn answer(shared: &Shared, request: &Request, caller: Option<&Caller>) -> Answer {
    match prepare(shared, request, caller) {
        Ok(command) => {
            let answer = parse(&run(shared, command, &request.body));
            if let Some(caller) = caller.filter(|_| request.path.ends_with("/git-receive-pack")) {
                shared.announce(&caller.login);
            }
            answer
        }
        Err(refusal) => refusal,
    }
}

/// The server's command for the request, if the caller may have it answered.
fn prepare(shared: &Shared, request: &Request, caller: Option<&Caller>) -> Result<Command, Answer> {
    let segments = request.segments();
    let [owner, name, service @ ..] = segments.as_slice() else {
        return Err(Answer::not_found());
    };
    let service = service.join("/");
    if !SERVICES.contains(&service.as_str()) {
        return Err(Answer::not_found());
    }
    let push = service == "git-receive-pack"
        || request.parameter("service").as_deref() == Some("git-receive-pack");

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

    let mut command = git::http_backend(&shared.git_root, shared.tick());
    command
        .env("GIT_PROJECT_ROOT", &shared.git_root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", request.method.as_str())
        .env(
            "PATH_INFO",
            format!("/{}.git/{service}", repository.full_name()),
        )
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env(
            "REMOTE_USER",
            caller.map_or("anonymous", |caller| &caller.login),
        );
    for (variable, header) in [
        ("CONTENT_TYPE", "content-type"),
        ("HTTP_CONTENT_ENCODING", "content-encoding"),
        ("GIT_PROTOCOL", "git-protocol"),
    ] {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    Ok(command)
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

/// Reads the answer of a CGI program: header lines with `Status` among them, an empty line, the body.
fn parse(output: &[u8]) -> Answer {
    let Some(end) = output.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Answer::text(500, "git http-backend gave no answer");
    };
    let mut answer = Answer {
        status: 200,
        headers: Vec::new(),
        body: output[end + 4..].to_vec(),
    };
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => {
                answer.status = status
                    .split(' ')
                    .next()
                    .and_then(|code| code.parse().ok())
                    .expect("a status");
            }
            Some((name, value)) => answer = answer.header(name, value),
            None => {}
        }
    }
    answer
}
