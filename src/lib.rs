//! Ephemeral environments with Flux, as a GitHub Action.
//!
//! Data goes one way:
//!
//! ```text
//! runner's environment ─ config ─┐
//! event file ─ event ─ decide::triage ─▶ github (facts) ─▶ decide ─▶ plan ─▶ git ─▶ report ─▶ message ─▶ github, runner
//!                        pure            I/O               pure      pure    I/O    pure      pure       I/O
//! ```
//!
//! [`run()`] reads the event and hands it to one file of `run/`: `request` for what somebody asked for, `sweep` for
//! everything that is there, `readiness` for what Flux says of an environment. `publish` is the loop that lands a change.
//! Each outside system has a folder or file of its own: `git/`, `github/` and `runner`; the first two share `http`. The
//! values that everything speaks of are in `model/`, and every sentence that a person reads is in `message/`. No import
//! points up; a test holds that.

mod command;
mod config;
mod decide;
mod event;
mod git;
mod github;
mod http;
mod manifest;
mod message;
mod model;
mod plan;
mod publish;
mod report;
mod run;
mod runner;

use std::ffi::OsString;
use std::fs;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
pub use crate::config::inputs::INPUTS;
use crate::decide::triage::{Triage, triage};
use crate::github::{Endpoints, GitHub};
use crate::http::Connector;
use crate::message::summary::summary;
use crate::model::token::Token;
pub use crate::report::OUTPUTS;
use crate::report::Report;
use crate::run::notify::Notifier;
use crate::run::readiness::ReportRun;
use crate::run::request::RequestRun;
use crate::run::sweep::SweepRun;
pub use crate::runner::Log;
use crate::runner::{cancelled_by_signals, write_outputs, write_summary};

/// Runs the action for one event, with the variables that the runner sets. The pull request and the job know the
/// outcome when this returns.
///
/// # Errors
/// Why the job fails, in one line for the annotation.
pub async fn run(
    variables: impl Iterator<Item = (OsString, OsString)>,
    log: &mut Log,
) -> Result<()> {
    let variables: Vec<_> = variables.collect();
    set_up_log(log, &variables);
    let mut config = Config::from_env(variables.into_iter())?;
    for password in config.proxies.passwords() {
        log.hide(&password);
    }
    let label = config.inputs.label.as_deref();
    let event = event::parse(&config.event_name, &payload(&config)?, label)?;
    let triage = triage(event, &config.inputs);
    // Whatever this step's inputs say: Flux has just reported.
    config.inputs.does_flux_report |= matches!(triage, Triage::Report(_));
    let report = match triage {
        Triage::None(no_op) => {
            log.line(&report::no_op_line(no_op));
            report::none(no_op)
        }
        Triage::Sweep(event) => {
            let (notifier, now, cancellation) = set_up(&config, log)?;
            let run = SweepRun {
                notifier,
                event: &event,
                now,
            };
            run.sweep(&cancellation).await
        }
        Triage::Report(request) => {
            log.line(&format!(
                "report of `{}` on {}",
                request.object_name,
                request.commit.short()
            ));
            let (notifier, now, cancellation) = set_up(&config, log)?;
            let run = ReportRun {
                notifier,
                request: &request,
                now,
            };
            run.report(&cancellation).await
        }
        Triage::Request(request) => {
            log.line(&format!(
                "pull request #{}: {} by {}",
                request.pull_request,
                request.code(),
                request.login
            ));
            let (notifier, now, cancellation) = set_up(&config, log)?;
            let run = RequestRun {
                notifier,
                request: &request,
                now,
            };
            match config.inputs.dry_run {
                true => run.preview(&cancellation).await,
                false => run.apply(&cancellation).await,
            }
        }
    };
    finish_job(&config, log, &report)
}

/// Comes before anything else is read: no error may show the token.
fn set_up_log(log: &mut Log, variables: &[(OsString, OsString)]) {
    for (name, value) in variables {
        match (name.to_str(), value.to_str()) {
            (Some("INPUT_TOKEN"), Some(token)) if !token.is_empty() => log.hide(&Token::new(token)),
            (Some("RUNNER_DEBUG"), Some("1")) => log.is_verbose = true,
            _ => {}
        }
    }
}

/// Sets up what every run needs that may send something. Sends nothing yet.
fn set_up<'a>(
    config: &'a Config,
    log: &'a Log,
) -> Result<(Notifier<'a>, DateTime<Utc>, CancellationToken)> {
    let cancellation = cancelled_by_signals()?;
    log.debug(&format!("{config:?}"));
    let endpoints = Endpoints {
        api: &config.api_url,
        graphql: &config.graphql_url,
    };
    let connector = Connector::new(&config.proxies)?;
    let token = &config.inputs.token;
    let client = connector.client(github::http::READ_TIMEOUT)?;
    let github = GitHub::new(endpoints, &config.repository, token, client)?;
    let notifier = Notifier {
        config,
        log,
        github,
        git: connector.client(git::READ_TIMEOUT)?,
    };
    Ok((notifier, DateTime::from(SystemTime::now()), cancellation))
}

/// Reads the event's payload, unless its name alone says that there is nothing to do.
fn payload(config: &Config) -> Result<Vec<u8>> {
    if !event::has_payload(&config.event_name) {
        return Ok(Vec::new());
    }
    let path = &config.event_path;
    fs::read(path).with_context(|| {
        format!(
            "reading the event from GITHUB_EVENT_PATH, {}",
            path.display()
        )
    })
}

/// Writes warnings, outputs and summary, and ends the job.
fn finish_job(config: &Config, log: &Log, report: &Report) -> Result<()> {
    for warning in &report.warnings {
        log.warning(warning);
    }
    let outputs = report.outputs.pairs();
    for (name, value) in outputs.iter().filter(|(_, value)| !value.is_empty()) {
        log.line(&format!("{name}: {value}"));
    }
    let written = match &config.output {
        Some(path) => write_outputs(path, &outputs),
        None => Ok(()),
    };
    let summary = log.redact(&summary(&outputs, report.message.as_ref()));
    if let Some(path) = &config.summary
        && let Err(error) = write_summary(path, &summary)
    {
        log.warning(&format!("{error:#}"));
    }
    let Some(error) = &report.error else {
        return written;
    };
    if let Err(unwritten) = written {
        log.warning(&format!("{unwritten:#}"));
    }
    Err(anyhow::anyhow!("{error}"))
}
