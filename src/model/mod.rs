//! The values that everything speaks of. Nothing here reads, asks or writes.

pub(crate) mod command_words;
pub(crate) mod failure;
pub(crate) mod instance;
pub(crate) mod names;
pub(crate) mod notification;
pub(crate) mod proxy;
pub(crate) mod pull_request;
pub(crate) mod readiness;
pub(crate) mod repository;
pub(crate) mod sha;
pub(crate) mod token;
pub(crate) mod ttl;
pub(crate) mod url;
