//! Which stories run at a time. All of them are started at once, for many do nothing but wait, and side by side those
//! take as long as the longest. The others would only keep one another from the processors, so that each waits for one of
//! a few permits.

use std::cell::OnceCell;
use std::num::NonZero;
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::thread;

/// A story waits for its processes and these for their files, so there is work for more than one.
const PERMITS_PER_PROCESSOR: usize = 3;

static FREE: LazyLock<Mutex<usize>> = LazyLock::new(|| {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    Mutex::new(PERMITS_PER_PROCESSOR * processors)
});
static GIVEN_BACK: Condvar = Condvar::new();

thread_local! {
    /// Every test has a thread of its own, and with it this ends.
    static HELD: OnceCell<Permit> = const { OnceCell::new() };
}

struct Permit;

/// Waits for a permit until the end of the test, once: nobody who holds one waits for another. The threads that a test
/// starts itself, which have no name, do without.
pub(crate) fn take() {
    if thread::current().name().is_some() {
        HELD.with(|held| {
            held.get_or_init(Permit::wait);
        });
    }
}

impl Permit {
    fn wait() -> Permit {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let free = GIVEN_BACK.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Permit
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        GIVEN_BACK.notify_one();
    }
}
