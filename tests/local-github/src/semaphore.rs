//! So many at a time and no more.

use std::num::NonZero;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

pub(crate) struct Semaphore {
    free: Mutex<usize>,
    given_back: Condvar,
}

/// Gives itself back when it is dropped.
pub(crate) struct Place<'a>(&'a Semaphore);

impl Semaphore {
    /// So many for each processor of this machine.
    pub(crate) fn per_processor(places: usize) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            free: Mutex::new(places * processors),
            given_back: Condvar::new(),
        }
    }

    /// Waits for a place.
    pub(crate) fn take(&self) -> Place<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.given_back.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Place(self)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}
