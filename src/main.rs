//! The action's executable: exit codes and nothing else.

use std::process::ExitCode;

use anyhow::Context;
use flux_ephemeral_env::{Log, run};

fn main() -> ExitCode {
    // What a panic says may hold anything, so where it happened has to do.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        Log::default().error(&format!(
            "internal error, please report it as a bug of flux-ephemeral-env: it broke at {place}"
        ));
    }));
    let mut log = Log::default();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(std::env::vars_os(), &mut log));
            // A push that nobody waits for any more must not keep the process, nor find its runtime gone.
            std::mem::forget(runtime);
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
