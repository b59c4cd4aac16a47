//! Every sentence that a person reads, wherever it ends up: comment, commit status, job summary, warning.
//!
//! Text that came from outside goes through [`markdown::code`] or [`markdown::block`].

pub(crate) mod context;
pub(crate) mod deploy;
pub(crate) mod failure;
pub(crate) mod markdown;
pub(crate) mod readiness;
pub(crate) mod refusal;
pub(crate) mod sections;
#[cfg(test)]
mod snapshots;
pub(crate) mod summary;
pub(crate) mod sweep;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod troubleshooting;
pub(crate) mod warning;
