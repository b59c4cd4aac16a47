//! Settings of libgit2 that hold for the whole process.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use git2::ConfigLevel;

use crate::git::transport;

/// Settings of libgit2 that hold for the whole process.
pub(crate) fn set_up_libgit2() -> Result<()> {
    static OUTCOME: OnceLock<Result<(), git2::Error>> = OnceLock::new();
    match OUTCOME.get_or_init(set_options) {
        Ok(()) => Ok(()),
        Err(error) => Err(anyhow!("setting up libgit2: {error}")),
    }
}

/// libgit2 keeps these in plain globals.
#[allow(
    unsafe_code,
    reason = "libgit2's global options have no safe counterpart"
)]
fn set_options() -> Result<(), git2::Error> {
    // SAFETY: called once, before anything else of libgit2 and from one thread, so nobody reads the globals meanwhile.
    unsafe {
        // The container runs as root in a workspace of somebody else's.
        git2::opts::set_verify_owner_validation(false)?;
        // No `insteadOf` of a user's or system's configuration says where the token goes.
        for level in [
            ConfigLevel::System,
            ConfigLevel::Global,
            ConfigLevel::XDG,
            ConfigLevel::ProgramData,
        ] {
            git2::opts::set_search_path(level, "/nonexistent")?;
        }
    }
    transport::register()
}
