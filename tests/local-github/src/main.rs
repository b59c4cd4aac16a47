//! `cargo run -p local-github`: a local GitHub to try things on by hand, until Ctrl-C.
#![allow(clippy::print_stdout, reason = "a command that talks to a person")]

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use local_github::{LocalGitHub, interrupted};

fn main() {
    let interrupted = interrupted();
    let github = LocalGitHub::start();
    let repository = github.repository();
    repository.commit(
        "feature/login",
        &[("src/login.txt", Some("hello\n"))],
        "add a login page",
    );
    github.set_permission("alice", "write");
    let number =
        github.open_pull_request_titled(&repository, "feature/login", "alice", "Add a login page");
    github.comment(number, "alice", "/deploy-ephemeral");

    let (server, api, token) = (github.server_url(), github.api_url(), github.token());
    let (host, name) = (server.trim_start_matches("http://"), repository.full_name());
    println!(
        "\
Server        {server}
API           {api}
Token         {token}
Pull request  #{number}, `feature/login` to `main`, by alice
Its page      {server}/{name}/pull/{number}

List its comments:
  curl -sS -H 'Authorization: Bearer {token}' {api}/repos/{name}/issues/{number}/comments
Comment on it:
  curl -sS -H 'Authorization: Bearer {token}' -d '{{\"body\": \"hello\"}}' {api}/repos/{name}/issues/{number}/comments
Clone the repository:
  git clone http://x-access-token:{token}@{host}/{name}.git

Ctrl-C ends it; nothing stays behind."
    );

    while !interrupted.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(100));
    }
}
