//! The audit trail as values: its rows, the chain over them, and the head that the CA signs.
//!
//! The hash of a row is SHA-256 over the hash of the row before (32 zero octets before the first)
//! and the row's fields in the order of the columns: an octet 0 for what is absent; else an octet 1,
//! the length as eight octets (big-endian), the octets. Numbers are eight octets (big-endian,
//! two's complement). Rows that a version without the chain wrote count with their fields, so that
//! the first row with a hash covers them all.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use orca_pki::certificate::Certificate;

use crate::record::Site;

pub mod anchors;
pub mod verify;

/// Octets of a hash.
const OCTETS: usize = 32;
/// Octets of the certificate's fingerprint that name its trail.
const ID_OCTETS: usize = 8;

/// A row as it stands in the register, whatever that may be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrailRow {
    /// From 1 on, without gaps.
    pub sequence: i64,
    /// Seconds since 1970.
    pub at: i64,
    /// The word of an event.
    pub event: String,
    /// Which certificate.
    pub serial: Option<i64>,
    /// Who; none in rows without a chain.
    pub actor: Option<String>,
    /// On which machine; none in rows without a chain.
    pub host: Option<String>,
    /// What exactly.
    pub detail: Option<String>,
    /// The link of the chain; none in rows without a chain.
    pub hash: Option<Vec<u8>>,
}

impl TrailRow {
    /// The hash that this row has to carry after `before`, as the row of this number.
    pub fn link(&self, site: &Site, before: &ChainHash, sequence: i64) -> ChainHash {
        let mut context = Context::new(&SHA256);
        context.update(&before.0);
        let mut field = |octets: Option<&[u8]>| match octets {
            None => context.update(&[0]),
            Some(octets) => {
                context.update(&[1]);
                context.update(&(octets.len() as u64).to_be_bytes());
                context.update(octets);
            }
        };
        field(Some(site.name().as_bytes()));
        field(Some(&sequence.to_be_bytes()));
        field(Some(&self.at.to_be_bytes()));
        field(Some(self.event.as_bytes()));
        field(self.serial.map(i64::to_be_bytes).as_ref().map(|o| &o[..]));
        field(self.actor.as_deref().map(str::as_bytes));
        field(self.host.as_deref().map(str::as_bytes));
        field(self.detail.as_deref().map(str::as_bytes));
        let mut octets = [0; OCTETS];
        octets.copy_from_slice(context.finish().as_ref());
        ChainHash(octets)
    }

    /// The hash it carries, where it can be one.
    pub fn carried(&self) -> Option<ChainHash> {
        ChainHash::from_octets(self.hash.as_deref()?)
    }

    /// Whether a version without the chain wrote it.
    pub fn is_older(&self) -> bool {
        self.hash.is_none() && self.actor.is_none() && self.host.is_none() && self.detail.is_none()
    }
}

/// A link of the chain.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct ChainHash([u8; OCTETS]);

impl ChainHash {
    /// What stands before the first row.
    pub const NONE: Self = Self([0; OCTETS]);

    /// Of octets that are as many as they have to be.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// As the register has it.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names the trail of one CA: the first eight octets of its certificate's SHA-256.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrailId([u8; ID_OCTETS]);

impl TrailId {
    /// Of a CA.
    pub fn of(ca: &Certificate) -> Self {
        let mut octets = [0; ID_OCTETS];
        octets.copy_from_slice(&ca.fingerprint().0[..ID_OCTETS]);
        Self(octets)
    }
}

impl fmt::Display for TrailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// How far a trail has come. Told outside of the register it is an anchor, which the register must
/// agree with for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Of which CA.
    pub id: TrailId,
    /// Number of the last row.
    pub sequence: i64,
    /// Its hash.
    pub hash: ChainHash,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, sequence, hash } = self;
        write!(f, "id={id} n={sequence} hash={hash}")
    }
}

/// No head stands there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no head of an audit trail")]
pub struct NoHead;

impl FromStr for Head {
    type Err = NoHead;

    /// Finds the first head in a text, whatever stands around it.
    fn from_str(text: &str) -> Result<Self, NoHead> {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("id=") {
            if let Some(head) = after_id(after) {
                return Ok(head);
            }
            rest = after;
        }
        Err(NoHead)
    }
}

fn after_id(text: &str) -> Option<Head> {
    let (id, rest) = text.split_once(" n=")?;
    let (sequence, rest) = rest.split_once(" hash=")?;
    Some(Head {
        id: TrailId(octets(id)?),
        sequence: sequence.parse().ok().filter(|number| *number > 0)?,
        hash: ChainHash(octets(rest.get(..OCTETS * 2)?)?),
    })
}

/// Lower-case hexadecimal digits.
fn octets<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != N * 2 || !digits.bytes().all(is_digit) {
        return None;
    }
    let mut octets = [0; N];
    for (index, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(octets)
}

/// The head as the register has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedHead {
    /// Number of the last row.
    pub sequence: i64,
    /// When it was signed, in seconds since 1970.
    pub at: i64,
    /// Hash of the last row.
    pub hash: Vec<u8>,
    /// By the CA's key, over [`Self::message`].
    pub signature: Vec<u8>,
}

impl SignedHead {
    /// What is signed: text that no certificate and no CRL begins with.
    pub fn message(site: &Site, sequence: i64, at: i64, hash: &[u8]) -> Vec<u8> {
        let mut message = format!(
            "orca-mtls audit head 1\n{}\n{sequence}\n{at}\n",
            site.name()
        )
        .into_bytes();
        message.extend_from_slice(hash);
        message
    }

    /// Whether the CA signed it.
    pub fn is_signed_by(&self, ca: &Certificate, site: &Site) -> bool {
        let message = Self::message(site, self.sequence, self.at, &self.hash);
        ca.verify_message(&message, &self.signature).is_ok()
    }

    /// Whether it stands for this row.
    pub fn stands_for(&self, sequence: i64, hash: &[u8]) -> bool {
        self.sequence == sequence && self.hash == hash
    }
}

/// The whole trail of a register, read at one moment.
#[derive(Clone, Debug)]
pub struct Trail {
    /// All rows by their numbers.
    pub rows: Vec<TrailRow>,
    /// How far the CA has signed.
    pub head: Option<SignedHead>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_found_in_any_text() {
        let head = Head {
            id: TrailId([0x2a; 8]),
            sequence: 7,
            hash: ChainHash([0xf0; 32]),
        };
        let line =
            format!("Nov 24 09:00:00 ca orca-catool[1]: id=x: head of the trail: {head} [x]");
        assert_eq!(line.parse(), Ok(head));
        for wrong in [
            "",
            "id=1 n=2 hash=3",
            &line.replace(" n=7", " n=0"),
            &line.replace("2a2a", "2A2A"),
            &line.replace("f0f0", "f0 f0"),
            &line.replace("hash=f0", "hash=ff€"),
        ] {
            assert_eq!(wrong.parse::<Head>(), Err(NoHead), "{wrong}");
        }
    }

    #[test]
    fn no_two_rows_have_the_same_link() {
        let site = Site::local();
        let row = TrailRow {
            sequence: 1,
            at: 0,
            event: "issue".into(),
            serial: Some(2),
            actor: Some("hana".into()),
            host: Some("ca".into()),
            detail: None,
            hash: None,
        };
        let others = [
            TrailRow {
                at: 1,
                ..row.clone()
            },
            TrailRow {
                event: "export".into(),
                ..row.clone()
            },
            TrailRow {
                serial: None,
                ..row.clone()
            },
            TrailRow {
                actor: Some("hanac".into()),
                host: Some("a".into()),
                ..row.clone()
            },
            TrailRow {
                actor: None,
                ..row.clone()
            },
            TrailRow {
                detail: Some(String::new()),
                ..row.clone()
            },
        ];
        let mut links: Vec<_> = others
            .iter()
            .map(|other| other.link(&site, &ChainHash::NONE, 1).to_string())
            .collect();
        links.push(row.link(&site, &ChainHash::NONE, 1).to_string());
        links.push(row.link(&site, &ChainHash::NONE, 2).to_string());
        links.push(row.link(&site, &ChainHash([1; 32]), 1).to_string());
        links.sort();
        links.dedup();
        assert_eq!(links.len(), others.len() + 3);
    }
}
