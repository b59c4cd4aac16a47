//! The action's executable: exit codes and nothing else.

use std::process::ExitCode;

use anyhow::Context;
use flux_ephemeral_env::run;
use flux_ephemeral_env::workflow::Log;

fn main() -> ExitCode {
    let mut log = Log::default();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(std::env::vars_os(), &mut log));
            // A push that nobody waits for any more must not keep the process.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
