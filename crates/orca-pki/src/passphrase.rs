//! The passphrase of a delivery, and where its randomness comes from.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::key::KeyError;

/// A source of random octets, given as an argument so that this crate stays pure.
pub type RandomSource<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), KeyError>;

/// Letters and digits that nobody confuses when reading from paper: no 0/O/o, 1/I/l/i, 5/S, B/8, and
/// of the letters whose capital looks like the small one only the small one.
const ALPHABET: &[u8; 41] = b"23456789abcdefghjkmnpqrstuvwxyzAEFHLMNRTY";

/// Characters of a passphrase; 16 × log2(41) is 85 bits.
const LENGTH: usize = 16;

/// A passphrase, wiped when dropped and never shown by `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(String);

impl Passphrase {
    /// 16 characters from an alphabet of 41 without look-alikes, each equally likely.
    ///
    /// # Errors
    /// The random source failed.
    pub fn generate(random: RandomSource<'_>) -> Result<Self, KeyError> {
        // The largest multiple of the alphabet's size: octets from there on are drawn again.
        const BOUND: u8 = (256 / ALPHABET.len() * ALPHABET.len()) as u8;
        let mut text = String::with_capacity(LENGTH);
        let mut octets = zeroize::Zeroizing::new([0u8; 32]);
        while text.len() < LENGTH {
            random(octets.as_mut_slice())?;
            let fair = octets.iter().filter(|octet| **octet < BOUND);
            for octet in fair.take(LENGTH - text.len()) {
                text.push(char::from(ALPHABET[usize::from(*octet) % ALPHABET.len()]));
            }
        }
        Ok(Self(text))
    }

    /// The characters; they are secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_characters_without_look_alikes() {
        let mut counter = 0u8;
        let mut all_octets = |buffer: &mut [u8]| {
            for octet in buffer {
                *octet = counter;
                counter = counter.wrapping_add(7);
            }
            Ok(())
        };
        let passphrase = Passphrase::generate(&mut all_octets).unwrap();
        assert_eq!(passphrase.expose().len(), 16);
        assert!(passphrase.expose().bytes().all(|b| ALPHABET.contains(&b)));
        assert!(
            !passphrase
                .expose()
                .contains(['0', 'O', 'o', '1', 'l', 'I', 'i'])
        );
        assert_eq!(format!("{passphrase:?}"), "Passphrase(..)");
    }

    #[test]
    fn an_alphabet_has_no_character_twice() {
        let distinct: std::collections::BTreeSet<_> = ALPHABET.iter().collect();
        assert_eq!(distinct.len(), ALPHABET.len());
    }
}
