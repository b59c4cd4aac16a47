//! How long GitHub has not answered: only the first requests wait patiently for a server that hangs.

use std::time::{Duration, Instant};

/// How long requests are repeated while nothing is answered.
pub(crate) const LIMIT: Duration = Duration::from_secs(25);

/// The requests without an answer since the last one that had one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Outage {
    /// There is none: the last request was answered.
    #[default]
    None,
    /// How long they were waited for, and until when.
    Lasting(Duration, Instant),
}

impl Outage {
    /// After a request that was sent then and given up now.
    #[must_use]
    pub(crate) fn extended(self, sent: Instant, now: Instant) -> Outage {
        let (before, since) = match self {
            Outage::None => (Duration::ZERO, sent),
            // Side by side with others it adds what it took longer. Where nothing was asked, nothing was silent.
            Outage::Lasting(before, until) => (before, until.max(sent)),
        };
        Outage::Lasting(before + now.saturating_duration_since(since), now)
    }

    /// Whether there is little hope left: a request is tried once and no more.
    pub(crate) fn is_long(self) -> bool {
        match self {
            Outage::None => false,
            Outage::Lasting(waited, _) => waited >= LIMIT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_what_was_waited_for() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (requests, is_long) in [
            (&[][..], false),
            (&[(0, 10), (10, 20)], false),
            (&[(0, 10), (10, 24)], false),
            (&[(0, 10), (10, 25)], true),
            // Side by side they are no longer than the longest.
            (&[(0, 15), (1, 15), (2, 16)], false),
            (&[(0, 15), (10, 20), (19, 26)], true),
            // One that is refused at once takes no time.
            (&[(100, 100), (102, 102), (130, 130)], false),
            (&[(0, 20), (60, 64)], false),
            (&[(0, 20), (60, 65)], true),
        ] {
            let outage = requests.iter().fold(Outage::None, |outage, (sent, now)| {
                outage.extended(at(*sent), at(*now))
            });
            assert_eq!(outage.is_long(), is_long, "{requests:?}");
        }
    }
}
