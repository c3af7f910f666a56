//! Validity periods and their encoding.

use der::asn1::{GeneralizedTime, UtcTime};
use jiff::Timestamp;
use x509_cert::time::Time;

/// Seconds of one day, as RFC 5280 validity counts it (no leap seconds).
pub const DAY: i64 = 86_400;

/// The time span in which a certificate is valid, both ends included (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
}

/// Where a moment lies with respect to a [`Validity`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValidityState {
    /// After notAfter.
    Expired,
    /// Before notBefore.
    NotYetValid,
    /// Inside.
    Valid,
}

impl Validity {
    /// Whether `now` lies inside.
    pub fn state(&self, now: Timestamp) -> ValidityState {
        let second = now.as_second();
        if second > self.not_after.as_second() {
            ValidityState::Expired
        } else if second < self.not_before.as_second() {
            ValidityState::NotYetValid
        } else {
            ValidityState::Valid
        }
    }

    /// Whole days until notAfter, rounded down; negative once expired.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.not_after.as_second() - now.as_second()).div_euclid(DAY)
    }

    /// Length in days, rounded up.
    pub fn days(&self) -> i64 {
        let seconds = self.not_after.as_second() - self.not_before.as_second();
        seconds.div_euclid(DAY) + i64::from(seconds.rem_euclid(DAY) > 0)
    }
}

/// A moment so many seconds later, or earlier where negative; stops at the ends of the calendar.
pub fn shift(at: Timestamp, seconds: i64) -> Timestamp {
    let end = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(at.as_second().saturating_add(seconds)).unwrap_or(end)
}

/// UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5).
///
/// # Errors
/// The moment lies outside the years 1970 to 9999.
pub fn to_asn1(at: Timestamp) -> der::Result<Time> {
    let seconds = u64::try_from(at.as_second()).map_err(|_| der::ErrorKind::DateTime)?;
    let moment = core::time::Duration::from_secs(seconds);
    match UtcTime::from_unix_duration(moment) {
        Ok(time) => Ok(Time::UtcTime(time)),
        Err(_) => Ok(Time::GeneralTime(GeneralizedTime::from_unix_duration(
            moment,
        )?)),
    }
}

/// The moment an ASN.1 time names.
pub fn from_asn1(time: &Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_left_are_rounded_down() {
        let validity = Validity {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-11-23T00:00:00Z"),
        };
        assert_eq!(validity.days_left(at("2026-11-22T00:00:00Z")), 1);
        assert_eq!(validity.days_left(at("2026-11-22T00:00:01Z")), 0);
        assert_eq!(validity.days_left(at("2026-11-23T00:00:01Z")), -1);
    }

    #[test]
    fn both_ends_are_valid() {
        let validity = Validity {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-11-23T00:00:00Z"),
        };
        assert_eq!(validity.state(validity.not_before), ValidityState::Valid);
        assert_eq!(validity.state(validity.not_after), ValidityState::Valid);
        assert_eq!(
            validity.state(at("2026-11-23T00:00:01Z")),
            ValidityState::Expired
        );
        assert_eq!(
            validity.state(at("2025-12-31T23:59:59Z")),
            ValidityState::NotYetValid
        );
    }

    #[test]
    fn utc_time_ends_with_2049() {
        assert!(matches!(
            to_asn1(at("2049-12-31T23:59:59Z")),
            Ok(Time::UtcTime(_))
        ));
        assert!(matches!(
            to_asn1(at("2050-01-01T00:00:00Z")),
            Ok(Time::GeneralTime(_))
        ));
        assert_eq!(
            from_asn1(&to_asn1(at("2055-05-05T05:05:05Z")).unwrap()),
            at("2055-05-05T05:05:05Z")
        );
    }
}
