//! Stories: the real executable, started as the runner starts it, against a local GitHub and a real Git server.
//!
//! Every story ends by saying what happened in full: nothing else may have.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story that cannot go on has failed"
)]

mod act;
mod at_once;
mod bad_input;
mod comment;
mod decision;
mod deploy;
mod deployments;
mod destroy;
mod docs;
mod dry_run;
mod ends;
mod git;
mod hostile;
mod https;
mod identity;
mod image;
mod inputs;
mod label;
mod layout;
mod lifetime;
mod limit;
mod listed;
mod pages;
mod person;
mod proxy;
mod readiness;
mod rename;
mod story;
mod sweep;
mod sweep_trouble;
mod trouble;
mod workflows;
mod workspace;
