//! How long an environment may live, and when that is over. What time it is comes in as a value.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};

/// What [`Ttl::parse`] takes, in words.
pub(crate) const TTL_FORMAT: &str =
    "a duration from `1s` to ten years, like `72h` or `1h30m` (units s, m, h), or `never`";

/// What lifts every bound.
const NEVER: &str = "never";

const SHORTEST: Duration = Duration::from_secs(1);

const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How long an environment may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ttl {
    /// Until somebody takes it down or the pull request closes.
    Unlimited,
    /// This long, from when it was deployed.
    For(Duration),
}

impl Ttl {
    /// A duration as Flux writes it, or `never`; `None` for anything else, and for what is too short or too long.
    pub(crate) fn parse(text: &str) -> Option<Ttl> {
        if text == NEVER {
            return Some(Ttl::Unlimited);
        }
        let length = parse_duration(text)?;
        (SHORTEST..=LONGEST)
            .contains(&length)
            .then_some(Ttl::For(length))
    }

    /// When it is over, to the second, for what is deployed `now`.
    pub(crate) fn end(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let Ttl::For(length) = self else {
            return None;
        };
        let end = now.checked_add_signed(TimeDelta::from_std(length).ok()?)?;
        Some(end.trunc_subsecs(0))
    }
}

/// What a file says of the end of its environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Expiry {
    /// There is none.
    #[default]
    Never,
    /// From then on it may go.
    At(DateTime<Utc>),
    /// The text is not a valid timestamp.
    Unreadable(String),
}

impl Expiry {
    /// Reads a time as RFC 3339 writes it.
    pub(crate) fn read(text: &str) -> Expiry {
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Expiry::At(time.to_utc()),
            Err(_) => Expiry::Unreadable(text.to_owned()),
        }
    }
}

/// A time as RFC 3339 writes it, in UTC and to the second.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time for a person, to the minute.
pub(crate) fn date(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// How far away `time` is, in the unit that says it best: `3 days`.
pub(crate) fn distance(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (time - now).num_seconds().unsigned_abs();
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    units
        .into_iter()
        // From one and a half on, so that it is never one.
        .find(|(length, _)| seconds * 2 >= length * 3)
        .map_or_else(
            || match seconds {
                1 => "1 second".to_owned(),
                _ => format!("{seconds} seconds"),
            },
            |(length, unit)| format!("{} {unit}", (seconds + length / 2) / length),
        )
}

/// Reads `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !matches!(c, '0'..='9' | '.'))?);
        let (unit, behind) = behind.split_at(
            behind
                .find(|c: char| !c.is_ascii_lowercase())
                .unwrap_or(behind.len()),
        );
        if number.starts_with('.') || number.ends_with('.') {
            return None;
        }
        let scale = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = behind;
    }
    // Flux counts nanoseconds in 64 bits: 292 years.
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|length| length.as_nanos() <= i64::MAX as u128)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The time of this text.
    pub(crate) fn at(text: &str) -> DateTime<Utc> {
        match Expiry::read(text) {
            Expiry::At(time) => time,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_lifetime_is_a_duration_or_never() {
        let hours = |hours: u64| Some(Ttl::For(Duration::from_secs(hours * 3_600)));
        for (text, lifetime) in [
            ("never", Some(Ttl::Unlimited)),
            ("72h", hours(72)),
            ("1h60m", hours(2)),
            ("1s", Some(Ttl::For(Duration::from_secs(1)))),
            ("87600h", hours(87_600)),
            ("87600h1s", None),
            ("999ms", None),
            ("0s", None),
            ("-1h", None),
            ("3d", None),
            ("soon", None),
            ("Never", None),
            ("72", None),
            ("", None),
            ("99999999999999999999999h", None),
        ] {
            assert_eq!(Ttl::parse(text), lifetime, "{text:?}");
        }
    }

    #[test]
    fn it_ends_that_long_after_now() {
        let now = at("2026-02-27T12:00:00.9Z");
        let end = |text: &str| Ttl::parse(text).and_then(|lifetime| lifetime.end(now));
        assert_eq!(end("never"), None);
        assert_eq!(end("72h"), Some(at("2026-03-02T12:00:00Z")));
        assert_eq!(rfc3339(end("1s").unwrap()), "2026-02-27T12:00:01Z");
        let longest = Ttl::For(LONGEST);
        assert_eq!(longest.end(DateTime::<Utc>::MAX_UTC), None);
    }

    #[test]
    fn an_expiry_is_a_time_or_unreadable() {
        assert_eq!(
            Expiry::read("2026-02-27T14:00:00+02:00"),
            Expiry::At(at("2026-02-27T12:00:00Z"))
        );
        for text in [
            "",
            "never",
            "2026-02-27",
            "2026-02-30T00:00:00Z",
            "tomorrow",
        ] {
            assert_eq!(Expiry::read(text), Expiry::Unreadable(text.to_owned()));
        }
    }

    #[test]
    fn a_person_reads_a_date_and_how_far_away_it_is() {
        let now = at("2026-02-27T12:00:00Z");
        assert_eq!(date(now), "2026-02-27 12:00 UTC");
        for (time, words) in [
            ("2026-02-27T12:00:00Z", "0 seconds"),
            ("2026-02-27T12:00:01Z", "1 second"),
            ("2026-02-27T12:01:29Z", "89 seconds"),
            ("2026-02-27T12:01:30Z", "2 minutes"),
            ("2026-02-27T13:29:59Z", "90 minutes"),
            ("2026-02-27T13:30:00Z", "2 hours"),
            ("2026-02-28T12:00:00Z", "24 hours"),
            ("2026-02-28T23:59:59Z", "36 hours"),
            ("2026-03-01T00:00:00Z", "2 days"),
            ("2026-03-02T12:00:00Z", "3 days"),
            ("2026-02-24T12:00:00Z", "3 days"),
        ] {
            assert_eq!(distance(at(time), now), words, "{time}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0_i64..4_102_444_800, length in 1_u64..315_360_000) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            let end = Ttl::For(Duration::from_secs(length)).end(now).unwrap();
            prop_assert_eq!(Expiry::read(&rfc3339(end)), Expiry::At(end));
            prop_assert_eq!((end - now).num_seconds().unsigned_abs(), length);
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,30}|[0-9TZ:+. -]{0,30}") {
            let _ = (Ttl::parse(&text), Expiry::read(&text));
        }
    }
}
