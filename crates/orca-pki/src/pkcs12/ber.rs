//! BER (X.690 §8) into DER, as far as PKCS#12 files need it: programs that write while they go (NSS)
//! leave lengths open and strings in pieces.

use zeroize::Zeroizing;

use crate::decryption::DecryptionError;

/// Deeper than any PKCS#12 file.
const MOST_LEVELS: usize = 24;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, around other values.
const CONSTRUCTED_0: u8 = 0xa0;
/// `[0]` in the place of a string's own tag.
const PRIMITIVE_0: u8 = 0x80;
/// What makes a tag a constructed one.
const CONSTRUCTED: u8 = 0x20;

/// The same value in DER; DER stays as it is.
///
/// # Errors
/// Not one whole value, or one that no PKCS#12 file has.
pub(super) fn to_der(ber: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptionError> {
    let mut input = Input(ber);
    let value = input.value(MOST_LEVELS)?.ok_or(MALFORMED)?;
    match input.0 {
        [] => Ok(Zeroizing::new(value.der())),
        _ => Err(MALFORMED),
    }
}

const MALFORMED: DecryptionError = DecryptionError::Malformed;

/// A tag of one octet with what it holds.
enum Value<'a> {
    Whole(u8, &'a [u8]),
    Parts(u8, Vec<Self>),
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// None at the end of a value of open length.
    fn value(&mut self, levels: usize) -> Result<Option<Value<'a>>, DecryptionError> {
        let levels = levels.checked_sub(1).ok_or(MALFORMED)?;
        let tag = self.octet()?;
        if tag & 0x1f == 0x1f {
            return Err(MALFORMED);
        }
        let length = self.length()?;
        if tag == 0 {
            return match length {
                Some(0) => Ok(None),
                _ => Err(MALFORMED),
            };
        }
        let is_constructed = tag & CONSTRUCTED != 0;
        Ok(Some(match (is_constructed, length) {
            (false, Some(length)) => Value::Whole(tag, self.take(length)?),
            (false, None) => return Err(MALFORMED),
            (true, Some(length)) => {
                let mut inner = Self(self.take(length)?);
                let mut parts = Vec::new();
                while !inner.0.is_empty() {
                    parts.push(inner.value(levels)?.ok_or(MALFORMED)?);
                }
                Value::Parts(tag, parts)
            }
            (true, None) => {
                let mut parts = Vec::new();
                while let Some(part) = self.value(levels)? {
                    parts.push(part);
                }
                Value::Parts(tag, parts)
            }
        }))
    }

    fn octet(&mut self) -> Result<u8, DecryptionError> {
        let (first, rest) = self.0.split_first().ok_or(MALFORMED)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecryptionError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(MALFORMED)?;
        self.0 = rest;
        Ok(taken)
    }

    /// X.690 §8.1.3; none where it is open.
    fn length(&mut self) -> Result<Option<usize>, DecryptionError> {
        match self.octet()? {
            0x80 => Ok(None),
            short @ ..0x80 => Ok(Some(usize::from(short))),
            long @ 0x81..=0x84 => {
                let octets = self.take(usize::from(long & 0x7f))?;
                let fold = |sum: usize, octet: &u8| sum << 8 | usize::from(*octet);
                Ok(Some(octets.iter().fold(0, fold)))
            }
            _ => Err(MALFORMED),
        }
    }
}

impl Value<'_> {
    fn tag(&self) -> u8 {
        match self {
            Self::Whole(tag, _) | Self::Parts(tag, _) => *tag,
        }
    }

    fn der(&self) -> Vec<u8> {
        match self {
            Self::Whole(tag, octets) => framed(*tag, octets),
            Self::Parts(tag, parts) if *tag == OCTET_STRING | CONSTRUCTED => {
                framed(OCTET_STRING, &joined(parts))
            }
            Self::Parts(SEQUENCE, parts) => framed(SEQUENCE, &sequence(parts)),
            Self::Parts(SET, parts) => {
                let mut parts: Vec<Vec<u8>> = parts.iter().map(Self::der).collect();
                parts.sort();
                framed(SET, &parts.concat())
            }
            Self::Parts(tag, parts) => framed(*tag, &each(parts)),
        }
    }
}

fn each(parts: &[Value<'_>]) -> Vec<u8> {
    parts.iter().flat_map(Value::der).collect()
}

/// Pieces of a string, which may be in pieces themselves.
fn joined(parts: &[Value<'_>]) -> Vec<u8> {
    let octets = parts.iter().flat_map(|part| match part {
        Value::Whole(_, octets) => octets.to_vec(),
        Value::Parts(_, parts) => joined(parts),
    });
    octets.collect()
}

/// EncryptedContentInfo (RFC 5652 §6.1) alone has a `[0]` for a string's own tag: behind the name of
/// its content and an algorithm.
fn sequence(parts: &[Value<'_>]) -> Vec<u8> {
    match parts {
        [name, algorithm, Value::Parts(CONSTRUCTED_0, pieces)]
            if name.tag() == OBJECT_IDENTIFIER && algorithm.tag() == SEQUENCE =>
        {
            let content = framed(PRIMITIVE_0, &joined(pieces));
            [name.der(), algorithm.der(), content].concat()
        }
        _ => each(parts),
    }
}

fn framed(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    if length < 0x80 {
        der.push(u8::try_from(length).unwrap_or_default());
    } else {
        let octets = length.to_be_bytes();
        let octets: Vec<u8> = octets.into_iter().skip_while(|octet| *octet == 0).collect();
        der.push(0x80 | u8::try_from(octets.len()).unwrap_or_default());
        der.extend(octets);
    }
    der.extend(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_lengths_are_closed_and_pieces_joined() {
        for (ber, der) in [
            // DER stays.
            (&[0x30, 3, 2, 1, 5][..], &[0x30, 3, 2, 1, 5][..]),
            // A length in more octets than needed.
            (&[0x30, 0x81, 3, 2, 1, 5], &[0x30, 3, 2, 1, 5]),
            (&[0x30, 0x80, 2, 1, 5, 0, 0], &[0x30, 3, 2, 1, 5]),
            (
                &[0x24, 0x80, 4, 1, 7, 0x24, 3, 4, 1, 8, 4, 1, 9, 0, 0],
                &[4, 3, 7, 8, 9],
            ),
            // [0] around a string, as in ContentInfo.
            (
                &[
                    0x30, 0x80, 6, 1, 1, 0xa0, 0x80, 0x24, 0x80, 4, 1, 7, 4, 1, 8, 0, 0, 0, 0, 0, 0,
                ],
                &[0x30, 9, 6, 1, 1, 0xa0, 4, 4, 2, 7, 8],
            ),
            // [0] as a string, as in EncryptedContentInfo.
            (
                &[
                    0x30, 0x80, 6, 1, 1, 0x30, 0, 0xa0, 0x80, 4, 1, 7, 4, 1, 8, 0, 0, 0, 0,
                ],
                &[0x30, 9, 6, 1, 1, 0x30, 0, 0x80, 2, 7, 8],
            ),
            (&[0x31, 6, 2, 1, 9, 2, 1, 3], &[0x31, 6, 2, 1, 3, 2, 1, 9]),
        ] {
            assert_eq!(*to_der(ber).unwrap(), der, "{ber:02x?}");
            assert_eq!(*to_der(der).unwrap(), der, "{der:02x?}");
        }
        let long = framed(OCTET_STRING, &[1; 300]);
        assert_eq!(&long[..4], [4, 0x82, 1, 44]);
        assert_eq!(*to_der(&long).unwrap(), long);
    }

    #[test]
    fn nonsense_is_refused_and_nothing_is_too_deep() {
        for ber in [
            &[][..],
            &[0x30],
            &[0x30, 4, 2, 1, 5],
            &[0x30, 3, 2, 1, 5, 0],
            &[0x30, 0x80, 2, 1, 5],
            &[0x30, 0x80, 2, 1, 5, 0, 1],
            &[4, 0x80, 0, 0],
            &[0, 0],
            &[0x1f, 1, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x80].repeat(100_000),
        ] {
            assert_eq!(to_der(ber), Err(MALFORMED), "{:02x?}", ber.get(..8));
        }
    }
}
