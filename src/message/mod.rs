//! Every sentence that a person reads on the pull request. Text that came from outside goes through [`code`] or [`block`].

pub(crate) mod deploy;
pub(crate) mod failure;
pub(crate) mod markdown;
pub(crate) mod refusal;
pub(crate) mod sections;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod troubleshooting;
