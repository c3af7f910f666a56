//! Certificate revocation lists, read: a signed list becomes a compact sorted index of serials.
//!
//! Only complete lists of one issuer are taken. Delta, indirect and partial lists (RFC 5280 §5.2.4,
//! §5.2.5) are refused, because a serial that is absent from one of them may be revoked all the same.

mod cursor;
mod file;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use der::Decode;
use jiff::Timestamp;
use spki::AlgorithmIdentifierOwned;

use crate::certificate::Certificate;
use crate::key::{KeyId, verify};
use crate::name::DistinguishedName;
use crate::serial::SerialNumber;
pub use file::{ListFileError, Lists};

use cursor::{
    BIT_STRING, BOOLEAN, Cursor, EXTENSIONS, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE,
};

/// Why bytes are no list that can be relied on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CrlError {
    /// The signature does not belong to the authority's key.
    #[error("the signature does not verify")]
    BadSignature,
    /// A delta list (RFC 5280 §5.2.4).
    #[error("a delta list, not a complete one")]
    Delta,
    /// No DER CertificateList (RFC 5280 §5.1), or a damaged one.
    #[error("no certificate revocation list")]
    Malformed,
    /// Without nextUpdate nobody knows how long it counts (RFC 5280 §5.1.2.5).
    #[error("no nextUpdate")]
    NoNextUpdate,
    /// The authority's keyUsage lacks cRLSign (RFC 5280 §4.2.1.3).
    #[error("the issuer may not sign revocation lists")]
    NotAnIssuer,
    /// An issuingDistributionPoint or certificateIssuer restricts it (RFC 5280 §5.2.5, §5.3.3).
    #[error("a partial or indirect list, not a complete one")]
    Partial,
    /// A critical extension we do not know (RFC 5280 §5.2).
    #[error("an unknown critical extension")]
    UnknownExtension,
    /// Signed by nobody we trust.
    #[error("the issuer is not known")]
    UnknownIssuer,
    /// Version 1 has no number (RFC 5280 §5.1.2.1).
    #[error("not version 2")]
    Version,
}

/// cRLNumber (RFC 5280 §5.2.3), at most 20 octets. A list without one counts as number 0.
#[derive(Clone, Copy, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct ListNumber([u8; 20]);

impl ListNumber {
    fn from_integer(content: &[u8]) -> Option<Self> {
        Self::from_magnitude(magnitude(content)?)
    }

    fn from_magnitude(magnitude: &[u8]) -> Option<Self> {
        let mut octets = [0; 20];
        let start = octets.len().checked_sub(magnitude.len())?;
        octets[start..].copy_from_slice(magnitude);
        Some(Self(octets))
    }
}

impl fmt::Display for ListNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut octets = vec![0];
        octets.extend_from_slice(&self.0);
        match SerialNumber::from_der_content(&octets) {
            Ok(number) => f.write_str(&number.decimal()),
            Err(_) => f.write_str("0"),
        }
    }
}

impl FromStr for ListNumber {
    type Err = CrlError;

    /// Decimal, as it is displayed.
    fn from_str(text: &str) -> Result<Self, CrlError> {
        if text == "0" {
            return Ok(Self::default());
        }
        let number: SerialNumber = text.parse().map_err(|_| CrlError::Malformed)?;
        Self::from_magnitude(number.magnitude()).ok_or(CrlError::Malformed)
    }
}

impl fmt::Debug for ListNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListNumber({self})")
    }
}

/// All lists in a file that is in memory; see [`Lists`].
///
/// # Errors
/// Anything in it is broken.
pub fn split(file: &[u8]) -> Result<Vec<Vec<u8>>, CrlError> {
    Lists::new(file)
        .map(|list| {
            list.map_err(|error| match error {
                ListFileError::Crl(error) => error,
                ListFileError::Io(_) => CrlError::Malformed,
            })
        })
        .collect()
}

/// A list as read, its signature not yet looked at; serials are not visible.
#[derive(Debug)]
pub struct UnverifiedCrl<'a> {
    signed: &'a [u8],
    algorithm: AlgorithmIdentifierOwned,
    signature: &'a [u8],
    issuer: DistinguishedName,
    number: ListNumber,
    this_update: Timestamp,
    next_update: Timestamp,
    entries: &'a [u8],
}

impl<'a> UnverifiedCrl<'a> {
    /// Reads all but the entries.
    ///
    /// # Errors
    /// Not a complete version 2 list with nextUpdate, or with what we do not know.
    pub fn from_der(der: &'a [u8]) -> Result<Self, CrlError> {
        let mut outer = Cursor(der);
        let mut list = Cursor(outer.content(SEQUENCE)?);
        outer.end()?;
        let signed = list.whole(SEQUENCE)?;
        let algorithm_der = list.whole(SEQUENCE)?;
        let signature = bit_string(list.content(BIT_STRING)?)?;
        list.end()?;

        let mut fields = Cursor(Cursor(signed).content(SEQUENCE)?);
        match fields.optional(INTEGER) {
            Some([1]) => {}
            Some(_) => return Err(CrlError::Malformed),
            None => return Err(CrlError::Version),
        }
        if fields.whole(SEQUENCE)? != algorithm_der {
            return Err(CrlError::Malformed);
        }
        let issuer = fields.whole(SEQUENCE)?;
        let this_update = fields.time()?.ok_or(CrlError::Malformed)?;
        let next_update = fields.time()?.ok_or(CrlError::NoNextUpdate)?;
        let entries = fields.optional(SEQUENCE).unwrap_or_default();
        let number = match fields.optional(EXTENSIONS) {
            Some(extensions) => list_extensions(extensions)?,
            None => ListNumber::default(),
        };
        fields.end()?;
        Ok(Self {
            signed,
            algorithm: AlgorithmIdentifierOwned::from_der(algorithm_der)
                .map_err(|_| CrlError::Malformed)?,
            signature,
            issuer: DistinguishedName::from_der(issuer).map_err(|_| CrlError::Malformed)?,
            number,
            this_update: timestamp(this_update),
            next_update: timestamp(next_update),
            entries,
        })
    }

    /// Who claims to have signed it.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// cRLNumber it claims to have.
    pub fn number(&self) -> ListNumber {
        self.number
    }

    /// The index, once the signature is known to be one of `authorities`.
    ///
    /// # Errors
    /// See [`Self::signer`], or damaged entries.
    pub fn verify<'c>(
        &self,
        authorities: impl IntoIterator<Item = &'c Certificate>,
    ) -> Result<Crl, CrlError> {
        self.index(self.signer(authorities)?.key_id())
    }

    /// Which of `authorities` signed it; the entries are not looked at. The name counts too, so that
    /// a key with two names does not revoke under the wrong one.
    ///
    /// # Errors
    /// [`CrlError::UnknownIssuer`] where no authority has that name, [`CrlError::BadSignature`]
    /// where none of that name signed it, [`CrlError::NotAnIssuer`].
    pub fn signer<'c>(
        &self,
        authorities: impl IntoIterator<Item = &'c Certificate>,
    ) -> Result<&'c Certificate, CrlError> {
        let mut failure = CrlError::UnknownIssuer;
        for authority in authorities {
            if authority.subject() != self.issuer {
                continue;
            }
            let signature = verify(
                authority.public_key_info(),
                &self.algorithm,
                self.signed,
                self.signature,
            );
            if signature.is_err() {
                failure = CrlError::BadSignature;
            } else if authority.key_usage().is_some_and(|usage| !usage.crl_sign()) {
                failure = CrlError::NotAnIssuer;
            } else {
                return Ok(authority);
            }
        }
        Err(failure)
    }

    fn index(&self, issuer_key: KeyId) -> Result<Crl, CrlError> {
        Ok(Crl {
            issuer_key,
            issuer: self.issuer.clone(),
            number: self.number,
            this_update: self.this_update,
            next_update: self.next_update,
            revoked: RevokedSerials::from_entries(self.entries)?,
        })
    }
}

/// A complete list whose signature was verified.
#[derive(Clone, Debug)]
pub struct Crl {
    issuer_key: KeyId,
    issuer: DistinguishedName,
    number: ListNumber,
    this_update: Timestamp,
    next_update: Timestamp,
    revoked: RevokedSerials,
}

impl Crl {
    /// Key of the authority that signed it.
    pub fn issuer_key(&self) -> KeyId {
        self.issuer_key
    }

    /// Name of the authority.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// cRLNumber.
    pub fn number(&self) -> ListNumber {
        self.number
    }

    /// When it was issued.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When the next one is due at the latest.
    pub fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// Whether nextUpdate has passed.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now.as_second() > self.next_update.as_second()
    }

    /// Since when a serial is revoked, where it is.
    pub fn revoked_at(&self, serial: &SerialNumber) -> Option<Timestamp> {
        self.revoked.find(serial)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Serials with the second of their revocation, sorted, in three widths: a million random 16-octet
/// serials take 20 MB, a million counters 12 MB.
#[derive(Clone, Debug, Default)]
struct RevokedSerials {
    short: Vec<Record<8>>,
    medium: Vec<Record<16>>,
    long: Vec<Record<20>>,
}

/// Octets only, so that the compiler adds no padding.
#[derive(Clone, Copy, Debug)]
struct Record<const N: usize> {
    serial: [u8; N],
    at: [u8; 4],
}

impl RevokedSerials {
    fn from_entries(entries: &[u8]) -> Result<Self, CrlError> {
        let mut index = Self::default();
        each_entry(entries, |serial, at| match width(serial) {
            0 => add(&mut index.short, entries, serial, at),
            1 => add(&mut index.medium, entries, serial, at),
            _ => add(&mut index.long, entries, serial, at),
        })?;
        finish(&mut index.short);
        finish(&mut index.medium);
        finish(&mut index.long);
        Ok(index)
    }

    fn find(&self, serial: &SerialNumber) -> Option<Timestamp> {
        let magnitude = serial.magnitude();
        match magnitude.len() {
            0..=8 => find(&self.short, magnitude),
            9..=16 => find(&self.medium, magnitude),
            _ => find(&self.long, magnitude),
        }
    }

    fn len(&self) -> usize {
        self.short.len() + self.medium.len() + self.long.len()
    }
}

/// Which of the three widths a serial has.
fn width(magnitude: &[u8]) -> usize {
    match magnitude.len() {
        0..=8 => 0,
        9..=16 => 1,
        _ => 2,
    }
}

/// How many elements to ask memory for. What has more than a mebibyte gets a mapping of its own,
/// which goes back to the system when it is freed: glibc does so for certain above 32 MiB only, and
/// keeps the rest. Pages that are not written to cost nothing.
fn roomy<T>(count: usize) -> usize {
    const MAPPED: usize = 33 * MUCH;
    match is_much::<T>(count) {
        true => count.max(MAPPED / size_of::<T>()),
        false => count,
    }
}

const MUCH: usize = 1024 * 1024;

fn is_much<T>(count: usize) -> bool {
    count.saturating_mul(size_of::<T>()) > MUCH
}

impl<const N: usize> Record<N> {
    fn new(magnitude: &[u8], at: u32) -> Self {
        Self {
            serial: padded(magnitude),
            at: at.to_be_bytes(),
        }
    }
}

fn padded<const N: usize>(magnitude: &[u8]) -> [u8; N] {
    let mut octets = [0; N];
    octets[N - magnitude.len()..].copy_from_slice(magnitude);
    octets
}

/// Counting the entries first would cost as much as reading them: room is made for as many as there
/// can be at most.
fn add<const N: usize>(records: &mut Vec<Record<N>>, entries: &[u8], magnitude: &[u8], at: u32) {
    /// Headers of entry and serial, and a UTCTime.
    const FRAME: usize = 2 + 2 + 15;
    let shortest = FRAME + shortest_serial::<N>();
    if records.is_empty() {
        records.reserve_exact(roomy::<Record<N>>(entries.len() / shortest + 1));
    }
    records.push(Record::new(magnitude, at));
}

/// Octets of the shortest serial that needs this width.
const fn shortest_serial<const N: usize>() -> usize {
    match N {
        8 => 1,
        16 => 9,
        _ => 17,
    }
}

/// Sorts, and gives back what has no mapping of its own.
fn finish<const N: usize>(records: &mut Vec<Record<N>>) {
    sort(records);
    if !is_much::<Record<N>>(records.capacity()) {
        records.shrink_to_fit();
    }
}

fn sort<const N: usize>(records: &mut [Record<N>]) {
    let sorted = records.is_sorted_by(|one, next| one.serial <= next.serial);
    if !sorted {
        records.sort_unstable_by_key(|record| record.serial);
    }
}

/// As octets, but the first eight of them as one number: random serials differ there.
fn compare<const N: usize>(one: &[u8; N], other: &[u8; N]) -> Ordering {
    let head = |serial: &[u8; N]| serial.first_chunk().map(|head| u64::from_be_bytes(*head));
    head(one)
        .cmp(&head(other))
        .then_with(|| one[8..].cmp(&other[8..]))
}

fn find<const N: usize>(records: &[Record<N>], magnitude: &[u8]) -> Option<Timestamp> {
    let wanted = padded(magnitude);
    let place = records
        .binary_search_by(|record| compare(&record.serial, &wanted))
        .ok()?;
    Some(timestamp(i64::from(u32::from_be_bytes(records[place].at))))
}

/// Walks revokedCertificates (RFC 5280 §5.1.2.6). Serials that no certificate can have (not
/// positive, over 20 octets) are passed over.
fn each_entry(entries: &[u8], mut visit: impl FnMut(&[u8], u32)) -> Result<(), CrlError> {
    let mut entries = Cursor(entries);
    while !entries.is_empty() {
        let mut entry = Cursor(entries.content(SEQUENCE)?);
        let serial = entry.content(INTEGER)?;
        let at = entry.time()?.ok_or(CrlError::Malformed)?;
        if let Some(extensions) = entry.optional(SEQUENCE) {
            entry_extensions(extensions)?;
        }
        entry.end()?;
        if let Some(serial @ [_, ..]) = magnitude(serial)
            && serial.len() <= 20
        {
            visit(serial, u32::try_from(at.max(0)).unwrap_or(u32::MAX));
        }
    }
    Ok(())
}

/// Without leading zeros; `None` for a negative value.
fn magnitude(content: &[u8]) -> Option<&[u8]> {
    if content.first().is_none_or(|first| *first >= 0x80) {
        return None;
    }
    let zeros = content.iter().take_while(|octet| **octet == 0).count();
    Some(&content[zeros..])
}

fn list_extensions(explicit: &[u8]) -> Result<ListNumber, CrlError> {
    let mut number = ListNumber::default();
    let mut explicit = Cursor(explicit);
    let mut extensions = Cursor(explicit.content(SEQUENCE)?);
    explicit.end()?;
    while !extensions.is_empty() {
        let extension = Extension::read(&mut extensions)?;
        match extension.oid {
            CRL_NUMBER => {
                let mut value = Cursor(extension.value);
                number =
                    ListNumber::from_integer(value.content(INTEGER)?).ok_or(CrlError::Malformed)?;
            }
            DELTA_CRL_INDICATOR => return Err(CrlError::Delta),
            ISSUING_DISTRIBUTION_POINT => return Err(CrlError::Partial),
            AUTHORITY_KEY_IDENTIFIER => {}
            _ if extension.critical => return Err(CrlError::UnknownExtension),
            _ => {}
        }
    }
    Ok(number)
}

fn entry_extensions(extensions: &[u8]) -> Result<(), CrlError> {
    let mut extensions = Cursor(extensions);
    while !extensions.is_empty() {
        let extension = Extension::read(&mut extensions)?;
        match extension.oid {
            CERTIFICATE_ISSUER => return Err(CrlError::Partial),
            // removeFromCRL (8) belongs into delta lists only (RFC 5280 §5.3.1).
            REASON_CODE if extension.value == [0x0a, 1, 8] => return Err(CrlError::Delta),
            REASON_CODE | INVALIDITY_DATE => {}
            _ if extension.critical => return Err(CrlError::UnknownExtension),
            _ => {}
        }
    }
    Ok(())
}

struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn read(extensions: &mut Cursor<'a>) -> Result<Self, CrlError> {
        let mut fields = Cursor(extensions.content(SEQUENCE)?);
        let oid = fields.content(OBJECT_IDENTIFIER)?;
        let critical = match fields.optional(BOOLEAN) {
            Some([0xff]) => true,
            None | Some([0]) => false,
            Some(_) => return Err(CrlError::Malformed),
        };
        let value = fields.content(OCTET_STRING)?;
        fields.end()?;
        Ok(Self {
            oid,
            critical,
            value,
        })
    }
}

fn bit_string(content: &[u8]) -> Result<&[u8], CrlError> {
    match content {
        [0, octets @ ..] => Ok(octets),
        _ => Err(CrlError::Malformed),
    }
}

fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

// Content octets of the object identifiers 2.5.29.n.
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];

#[cfg(test)]
mod tests;
