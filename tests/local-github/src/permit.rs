//! Which tests run at a time. All of them are started at once, for many do nothing but wait, and side by side those take
//! as long as the longest. The others would only keep one another from the processors.

use std::cell::OnceCell;
use std::sync::LazyLock;
use std::thread;

use crate::semaphore::{Place, Semaphore};

/// A test waits for its processes and these for their files, so there is work for more than one.
static PERMITS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::per_processor(3));

thread_local! {
    /// Every test has a thread of its own, and with it this ends.
    static HELD: OnceCell<Place<'static>> = const { OnceCell::new() };
}

/// Waits until a test that uses the processors may run, and holds one of a few permits until the test ends.
///
/// A test takes one once, so that nobody who holds one waits for another. The threads that a test starts itself, which have
/// no name, do without.
pub fn take_permit() {
    if thread::current().name().is_some() {
        HELD.with(|held| {
            held.get_or_init(|| PERMITS.take());
        });
    }
}
