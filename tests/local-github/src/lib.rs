//! A local GitHub for tests: a stateful REST and GraphQL API in front of a real Git server.
//!
//! ```text
//!   test ── LocalGitHub, Repository, Job ─┐                       ┌── api, graphql ──▶ state, payload
//!                                         ├──▶ state              │
//!   the program under test ── HTTP ───────┴──▶ server ── fault ───┤
//!                                              (records)          ├── pages ──▶ state, git
//!                                                                 └── backend ──▶ git upload-pack, git receive-pack
//!
//!   LocalGitHub, Repository, backend ── a branch of the base repository moved ──▶ webhook ── HTTP ──▶ the receiver
//! ```
//!
//! [`LocalGitHub`] starts the server and says what people do on GitHub: open a pull request, comment, push, take a
//! permission away. [`Repository`] is a real Git repository on it. [`Fault`] makes single requests fail the way networks and
//! servers do, and [`LocalGitHub::limit_content`] all that write too much. [`Job`] starts a program as the GitHub runner
//! would. A browser shows pull requests, commits and files where the URLs of the API lead to, and
//! [`LocalGitHub::offer_form`] lets its user comment. [`LocalGitHub::add_webhook`] tells a program of each push, and [`Delivery`] how that went. Everything is blocking,
//! so a plain `#[test]` function is enough, and each local GitHub has its own port and directory, so tests run side by side.
//!
//! ```no_run
//! let github = local_github::LocalGitHub::start();
//! let repository = github.repository();
//! repository.commit("feature", &[("README.md", Some("# Hello"))], "say hello");
//! let number = github.open_pull_request(&repository, "feature", "alice");
//! let comment = github.comment(number, "alice", "/deploy-ephemeral");
//! let outcome = local_github::Job::new(&github)
//!     .event("issue_comment", &github.issue_comment_event(comment, "created"))
//!     .run("target/debug/action".as_ref());
//! assert_eq!(outcome.status, 0);
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a panic with its message is how a test learns that its set-up is wrong"
)]

mod access;
mod api;
mod backend;
mod clock;
mod fault;
mod git;
mod graphql;
mod http;
mod interrupt;
mod limit;
mod local_github;
mod pages;
mod payload;
mod permit;
mod pulls;
mod record;
mod repository;
mod runner;
mod script;
mod semaphore;
mod server;
mod state;
mod temporary;
mod tls;
mod webhook;

pub use access::basic;
pub use fault::Fault;
pub use git::{git, try_git};
pub use interrupt::interrupted;
pub use local_github::{Comment, Deployment, DeploymentStatus, LocalGitHub, Status};
pub use pages::{Sent, Submission, gallery};
pub use permit::take_permit;
pub use record::{Kind, Recorded};
pub use repository::{Commit, Repository};
pub use runner::{Job, Outcome, RunningJob};
pub use script::script;
pub use temporary::temporary_directory;
pub use tls::TlsPort;
pub use webhook::Delivery;
