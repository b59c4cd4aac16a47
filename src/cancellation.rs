//! The end that somebody else decides on.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the run was cancelled: the runner sends SIGINT, and SIGTERM some seconds later.
///
/// Process 1 of a container gets neither unless it asks for them.
pub(crate) struct Cancellation(watch::Receiver<bool>);

impl Cancellation {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system does not let us listen.
    pub(crate) fn new() -> Result<Cancellation> {
        let listen = |kind| signal(kind).context("listening for signals");
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            sender.send_replace(true);
        });
        Ok(Cancellation(receiver))
    }

    /// Waits for the first signal; comes back at once after it.
    pub(crate) async fn requested(&self) {
        // The sender goes away once it has sent, and what it sent stays.
        let _ = self.0.clone().wait_for(|is_requested| *is_requested).await;
    }
}
