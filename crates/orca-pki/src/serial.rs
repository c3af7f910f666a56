//! Certificate serial numbers.

use std::fmt;
use std::str::FromStr;

/// A certificate's serial number (RFC 5280 §4.1.2.2): positive, at most 20 octets.
///
/// Kept in one canonical form, big endian without leading zeros, whatever it came from: DER content
/// has a leading zero octet where the high bit is set, text and counters have none. `Display` gives
/// the six digits of file names (`000003`).
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SerialNumber(Box<[u8]>);

/// The value is no serial number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SerialNumberError {
    /// RFC 5280 asks for a positive integer.
    #[error("a serial number is a positive integer")]
    NotPositive,
    /// RFC 5280 allows 20 octets.
    #[error("a serial number has at most 20 octets")]
    TooLong,
    /// Neither decimal nor `0x` hexadecimal.
    #[error("expected a number such as 3, 000003 or 0x3")]
    NotANumber,
}

impl SerialNumber {
    /// 1, which a CA of ours has itself.
    pub fn one() -> Self {
        Self([1].into())
    }

    /// From the content octets of a DER INTEGER.
    ///
    /// # Errors
    /// Negative, zero or over 20 octets.
    pub fn from_der_content(content: &[u8]) -> Result<Self, SerialNumberError> {
        match content.first() {
            Some(first) if *first < 0x80 => Self::from_magnitude(content),
            _ => Err(SerialNumberError::NotPositive),
        }
    }

    fn from_magnitude(octets: &[u8]) -> Result<Self, SerialNumberError> {
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        match octets[zeros..].len() {
            0 => Err(SerialNumberError::NotPositive),
            1..=20 => Ok(Self(octets[zeros..].into())),
            _ => Err(SerialNumberError::TooLong),
        }
    }

    /// The value as a counter, where it fits.
    pub fn to_u64(&self) -> Option<u64> {
        (self.0.len() <= 8).then(|| {
            self.0
                .iter()
                .fold(0, |value, octet| (value << 8) | u64::from(*octet))
        })
    }

    /// Big endian octets without leading zeros, at most 20.
    pub fn magnitude(&self) -> &[u8] {
        &self.0
    }

    /// Decimal digits without leading zeros.
    pub fn decimal(&self) -> String {
        let mut digits = Vec::new();
        let mut rest = self.0.to_vec();
        while rest.iter().any(|octet| *octet != 0) {
            let mut remainder = 0u32;
            for octet in &mut rest {
                let value = (remainder << 8) | u32::from(*octet);
                *octet = (value / 10) as u8;
                remainder = value % 10;
            }
            digits.push(char::from(b'0' + remainder as u8));
        }
        digits.into_iter().rev().collect()
    }

    /// Hexadecimal as openssl prints it: capitals, an even number of digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|octet| format!("{octet:02X}")).collect()
    }
}

impl TryFrom<u64> for SerialNumber {
    type Error = SerialNumberError;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        Self::from_magnitude(&value.to_be_bytes())
    }
}

impl FromStr for SerialNumber {
    type Err = SerialNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => (hex, 16),
            None => (text, 10),
        };
        if digits.is_empty() {
            return Err(SerialNumberError::NotANumber);
        }
        let mut octets = [0u8; 21];
        for digit in digits.chars() {
            let mut carry = digit.to_digit(radix).ok_or(SerialNumberError::NotANumber)?;
            for octet in octets.iter_mut().rev() {
                let value = u32::from(*octet) * radix + carry;
                *octet = value as u8;
                carry = value >> 8;
            }
            if carry != 0 {
                return Err(SerialNumberError::TooLong);
            }
        }
        Self::from_magnitude(&octets)
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0>6}", self.decimal())
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_to_write_a_serial_are_one() {
        for text in ["3", "000003", "0x3", "0X03"] {
            assert_eq!(text.parse(), SerialNumber::try_from(3), "{text}");
        }
        assert_eq!(SerialNumber::try_from(3).unwrap().to_string(), "000003");
        assert_eq!(
            SerialNumber::try_from(1_000_000).unwrap().to_string(),
            "1000000"
        );
    }

    #[test]
    fn a_der_integer_with_the_high_bit_has_a_leading_zero_and_the_same_value() {
        let der = SerialNumber::from_der_content(&[0x00, 0x80, 0x01]).unwrap();
        assert_eq!(der, "0x8001".parse().unwrap());
        assert_eq!(der.decimal(), "32769");
        assert_eq!(der.hex(), "8001");
    }

    #[test]
    fn twenty_octets_and_no_more() {
        let most = "0x".to_owned() + &"ff".repeat(20);
        assert_eq!(
            most.parse::<SerialNumber>().unwrap().decimal(),
            "1461501637330902918203684832716283019655932542975"
        );
        let over = "0x01".to_owned() + &"00".repeat(20);
        assert_eq!(
            over.parse::<SerialNumber>(),
            Err(SerialNumberError::TooLong)
        );
        let huge = "9".repeat(80);
        assert_eq!(
            huge.parse::<SerialNumber>(),
            Err(SerialNumberError::TooLong)
        );
    }

    #[test]
    fn zero_negative_and_words_are_refused() {
        assert_eq!(
            "0".parse::<SerialNumber>(),
            Err(SerialNumberError::NotPositive)
        );
        assert_eq!(
            "".parse::<SerialNumber>(),
            Err(SerialNumberError::NotANumber)
        );
        assert_eq!(
            "-3".parse::<SerialNumber>(),
            Err(SerialNumberError::NotANumber)
        );
        assert_eq!(
            "user1".parse::<SerialNumber>(),
            Err(SerialNumberError::NotANumber)
        );
        assert_eq!(
            SerialNumber::from_der_content(&[0xff]),
            Err(SerialNumberError::NotPositive)
        );
    }
}
