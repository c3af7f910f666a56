//! Walking DER without allocating.

use super::CrlError;

/// The rest of a DER value: just enough of X.690 to walk a million entries without allocating.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), CrlError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(CrlError::Malformed)
        }
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn content(&mut self, tag: u8) -> Result<&'a [u8], CrlError> {
        self.element(tag).map(|(_, content)| content)
    }

    /// The next element with tag and length.
    pub(super) fn whole(&mut self, tag: u8) -> Result<&'a [u8], CrlError> {
        self.element(tag).map(|(whole, _)| whole)
    }

    pub(super) fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) {
            self.content(tag).ok()
        } else {
            None
        }
    }

    fn element(&mut self, tag: u8) -> Result<(&'a [u8], &'a [u8]), CrlError> {
        let bytes = self.0;
        if bytes.first() != Some(&tag) {
            return Err(CrlError::Malformed);
        }
        let (header, length) = match *bytes.get(1).ok_or(CrlError::Malformed)? {
            short @ 0..0x80 => (2, usize::from(short)),
            long => {
                let count = usize::from(long & 0x7f);
                let octets = bytes.get(2..2 + count).ok_or(CrlError::Malformed)?;
                if !(1..=4).contains(&count) || octets[0] == 0 {
                    return Err(CrlError::Malformed);
                }
                let length = octets
                    .iter()
                    .fold(0, |length, octet| (length << 8) | usize::from(*octet));
                if length < 0x80 {
                    return Err(CrlError::Malformed);
                }
                (2 + count, length)
            }
        };
        let end = header.checked_add(length).ok_or(CrlError::Malformed)?;
        let whole = bytes.get(..end).ok_or(CrlError::Malformed)?;
        self.0 = &bytes[end..];
        Ok((whole, &whole[header..]))
    }

    /// A Time in whole seconds of UTC, where the next element is one (RFC 5280 §5.1.2.4).
    pub(super) fn time(&mut self) -> Result<Option<i64>, CrlError> {
        let (year, rest) = match self.0.first() {
            Some(&UTC_TIME) => {
                let digits = self.content(UTC_TIME)?;
                let (year, rest) = digits.split_at_checked(2).ok_or(CrlError::Malformed)?;
                let year = decimal(year)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            Some(&GENERALIZED_TIME) => {
                let digits = self.content(GENERALIZED_TIME)?;
                let (year, rest) = digits.split_at_checked(4).ok_or(CrlError::Malformed)?;
                (decimal(year)?, rest)
            }
            _ => return Ok(None),
        };
        seconds(year, rest).map(Some)
    }
}

/// Seconds since 1970 of `year` and `MMDDHHMMSSZ`.
fn seconds(year: i64, rest: &[u8]) -> Result<i64, CrlError> {
    if rest.len() != 11 || rest[10] != b'Z' {
        return Err(CrlError::Malformed);
    }
    let field = |at: usize| decimal(&rest[at..at + 2]);
    let (month, day) = (field(0)?, field(2)?);
    let (hour, minute, second) = (field(4)?, field(6)?, field(8)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return Err(CrlError::Malformed),
    };
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(CrlError::Malformed);
    }
    // Days of the proleptic Gregorian calendar, years beginning in March.
    let shifted = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719_468;
    Ok(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn decimal(digits: &[u8]) -> Result<i64, CrlError> {
    digits.iter().try_fold(0, |value, digit| {
        if digit.is_ascii_digit() {
            Ok(value * 10 + i64::from(digit - b'0'))
        } else {
            Err(CrlError::Malformed)
        }
    })
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT` of crlExtensions.
pub(super) const EXTENSIONS: u8 = 0xa0;
