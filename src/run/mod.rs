//! One file for each kind of run, top to bottom.

pub(crate) mod notify;
pub(crate) mod readiness;
pub(crate) mod request;
pub(crate) mod sweep;
pub(crate) mod undelivered;
