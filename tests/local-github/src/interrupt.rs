//! Ctrl-C, of this process and of the steps that it starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Once};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether an interrupt ends this process.
static ENDS: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));

/// A shell has its background jobs ignore SIGINT, and everything they start, which would lose one that comes before a step
/// listens. What is caught here is the default in a step; here it ends the process as ever.
pub(crate) fn let_steps_hear() {
    static CAUGHT: Once = Once::new();
    CAUGHT.call_once(|| {
        flag::register_conditional_default(SIGINT, Arc::clone(&ENDS))
            .expect("a signal that may be caught");
    });
}

/// From now on, neither Ctrl-C nor SIGTERM ends this process: they set the flag. So it has the time to put everything away.
///
/// # Panics
/// Where the system does not let a signal be caught.
pub fn interrupted() -> Arc<AtomicBool> {
    ENDS.store(false, Ordering::Relaxed);
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&interrupted)).expect("a signal that may be caught");
    }
    interrupted
}
