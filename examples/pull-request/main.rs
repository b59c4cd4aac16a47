//! Pull requests to look at, with the real executable started on each event as the runner would:
//!
//! ```console
//! $ cargo run --example pull-request                    # one pull request's life, told in the terminal
//! $ cargo run --example pull-request -- --serve         # a pull request to open in the browser and to comment on
//! $ cargo run --example pull-request -- --gallery DIR   # every state of the comment, as a page
//! ```
//!
//! A local GitHub with a real Git server stands in for github.com. Nothing outside of temporary directories and `DIR` is
//! touched.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::panic,
    reason = "an example talks to a person, and ends where it cannot go on"
)]

mod action;
mod gallery;
mod serve;
mod terminal;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo run --example pull-request [-- --serve | -- --gallery DIR]

                 without arguments, tells one pull request's life in the terminal
  --serve        starts a local GitHub with a pull request to open in a browser, until Ctrl-C
  --gallery DIR  writes every state of the comment to DIR/gallery.html, and one pull request to DIR/pull-request.html";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => terminal::tell(&action::build_action()),
        ["--help" | "-h"] => println!("{USAGE}"),
        ["--serve"] => serve::serve(&action::build_action()),
        ["--gallery", directory] if !directory.starts_with('-') => {
            gallery::write(&action::build_action(), Path::new(directory));
        }
        ["--gallery"] => return misused("`--gallery` needs a directory"),
        _ => return misused(&format!("`{}` is not understood", arguments.join(" "))),
    }
    ExitCode::SUCCESS
}

fn misused(why: &str) -> ExitCode {
    eprintln!("error: {why}\n\n{USAGE}");
    ExitCode::from(2)
}
