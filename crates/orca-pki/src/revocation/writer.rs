//! A list written entry by entry, straight into the buffer that is signed: there may be a million.

use der::asn1::{BitString, OctetString, Uint};
use der::{Encode, Header, Length, Tag, TagNumber};
use jiff::Timestamp;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

use super::{CertificateRevocationList, CrlNumber, RevocationReason};
use crate::certificate::Certificate;
use crate::issuance::{IssuanceError, key_identifier};
use crate::key::KeyPair;
use crate::profile::plain;
use crate::validity::to_asn1;

/// Octets kept free before the entries for all that stands before them; names that need more cost
/// one move of the entries.
const ROOM: usize = 1024;

/// The entries of a list (RFC 5280 §5.1.2.6) as DER, and room for what precedes them.
#[derive(Debug)]
pub struct CrlWriter {
    /// [`ROOM`] octets, then the entries.
    buffer: Vec<u8>,
    /// The last date as DER: entries of one day often share it.
    date: Option<(i64, Vec<u8>)>,
}

impl Default for CrlWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl CrlWriter {
    /// A list without entries.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; ROOM],
            date: None,
        }
    }

    /// Adds an entry; the serial is big endian, without leading zeros, at most 20 octets.
    ///
    /// # Errors
    /// The date or the serial cannot be encoded.
    pub fn push(
        &mut self,
        serial: &[u8],
        revoked_at: Timestamp,
        reason: Option<RevocationReason>,
    ) -> Result<(), IssuanceError> {
        let second = revoked_at.as_second();
        let date = match self.date.take() {
            Some((known, date)) if known == second => date,
            _ => to_asn1(revoked_at)?.to_der()?,
        };
        let sign_octet = usize::from(serial.first().is_none_or(|first| *first >= 0x80));
        let integer = sign_octet + serial.len();
        let extensions = reason.map(reason_extensions);
        let length = 2 + integer + date.len() + extensions.map_or(0, |octets| octets.len());
        // At most 2 + 21 + 17 + 14: lengths of one octet.
        let Ok(length @ 0..=127) = u8::try_from(length) else {
            return Err(der::Error::from(der::ErrorKind::Overflow).into());
        };
        self.buffer
            .extend_from_slice(&[0x30, length, 0x02, integer as u8]);
        self.buffer.extend_from_slice(&[0][..sign_octet]);
        self.buffer.extend_from_slice(serial);
        self.buffer.extend_from_slice(&date);
        self.buffer
            .extend_from_slice(extensions.as_ref().map_or(&[], |octets| octets.as_slice()));
        self.date = Some((second, date));
        Ok(())
    }

    /// Completes and signs a v2 list. The revokedCertificates element is absent where there are no
    /// entries (RFC 5280 §5.1.2.6).
    ///
    /// # Errors
    /// A value cannot be encoded, or the key failed.
    pub fn sign(
        self,
        issuer: &Certificate,
        issuer_key: &KeyPair,
        number: CrlNumber,
        (this_update, next_update): (Timestamp, Timestamp),
    ) -> Result<CertificateRevocationList, IssuanceError> {
        let mut der = self.buffer;
        let algorithm = issuer_key.signature_algorithm().to_der()?;
        let mut front = 1u8.to_der()?;
        front.extend(&algorithm);
        front.extend(issuer.subject().as_name().to_der()?);
        front.extend(to_asn1(this_update)?.to_der()?);
        front.extend(to_asn1(next_update)?.to_der()?);
        if der.len() > ROOM {
            front.extend(header(Tag::Sequence, der.len() - ROOM)?);
        }
        let back = extensions(issuer, number)?;
        let to_be_signed = front.len() + der.len() - ROOM + back.len();
        front.splice(0..0, header(Tag::Sequence, to_be_signed)?);
        der.extend(back);
        let start = put_before(&mut der, ROOM, &front);

        let signature = issuer_key.sign(&der[start..])?;
        der.extend(&algorithm);
        der.extend(BitString::from_bytes(&signature)?.to_der()?);
        let outer = header(Tag::Sequence, der.len() - start)?;
        let start = put_before(&mut der, start, &outer);
        der.drain(..start);
        Ok(CertificateRevocationList {
            number,
            this_update,
            next_update,
            der,
        })
    }
}

/// Writes octets right before a position; where they begin afterwards.
fn put_before(buffer: &mut Vec<u8>, position: usize, octets: &[u8]) -> usize {
    let room = position.min(octets.len());
    let start = position - room;
    buffer.splice(start..position, octets.iter().copied());
    start
}

fn header(tag: Tag, length: usize) -> der::Result<Vec<u8>> {
    Header::new(tag, Length::try_from(length)?).to_der()
}

/// crlEntryExtensions with the reasonCode alone (RFC 5280 §5.3.1).
fn reason_extensions(reason: RevocationReason) -> [u8; 14] {
    let code = reason.to_crl() as u8;
    [
        0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, code,
    ]
}

/// crlExtensions with their explicit tag: authorityKeyIdentifier and cRLNumber (RFC 5280 §5.2).
fn extensions(issuer: &Certificate, number: CrlNumber) -> Result<Vec<u8>, IssuanceError> {
    let key_identifier = match issuer.subject_key_identifier() {
        Some(identifier) => identifier,
        None => key_identifier(issuer.public_key_info())?,
    };
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(key_identifier)?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    let number = x509_cert::ext::pkix::CrlNumber(Uint::new(&number.0.to_be_bytes())?);
    let list = vec![plain(&authority)?, plain(&number)?].to_der()?;
    let tag = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    let mut element = header(tag, list.len())?;
    element.extend(list);
    Ok(element)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::signed_part;
    use crate::issuance::tests::authority;
    use crate::profile::NameConstraints;
    use crate::revocation::RevokedEntry;
    use crate::serial::SerialNumber;
    use const_oid::AssociatedOid;
    use der::asn1::Any;
    use der::{Decode, Sequence};
    use spki::AlgorithmIdentifierOwned;
    use x509_cert::crl::CertificateList;
    use x509_cert::ext::Extension;
    use x509_cert::ext::pkix::CrlReason;
    use x509_cert::name::Name;
    use x509_cert::time::Time;

    /// TBSCertList (RFC 5280 §5.1.2) as the encoder of a library writes it.
    #[derive(Sequence)]
    struct TbsCertList {
        version: u8,
        signature: AlgorithmIdentifierOwned,
        issuer: Name,
        this_update: Time,
        next_update: Time,
        #[asn1(optional = "true")]
        revoked_certificates: Option<Any>,
        #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
        crl_extensions: Vec<Extension>,
    }

    #[derive(Sequence)]
    struct RevokedCertificate {
        user_certificate: Uint,
        revocation_date: Time,
        #[asn1(optional = "true")]
        crl_entry_extensions: Option<Vec<Extension>>,
    }

    fn encode_entry(entry: &RevokedEntry, output: &mut Vec<u8>) -> der::Result<()> {
        let extensions = match entry.reason {
            Some(reason) => Some(vec![Extension {
                extn_id: CrlReason::OID,
                critical: false,
                extn_value: OctetString::new(reason.to_crl().to_der()?)?,
            }]),
            None => None,
        };
        let revoked = RevokedCertificate {
            user_certificate: Uint::new(entry.serial.magnitude())?,
            revocation_date: to_asn1(entry.revoked_at)?,
            crl_entry_extensions: extensions,
        };
        revoked.encode_to_vec(output)?;
        Ok(())
    }

    /// The part that is signed, by the library.
    fn reference(
        issuer: &Certificate,
        key: &KeyPair,
        number: CrlNumber,
        (this_update, next_update): (Timestamp, Timestamp),
        entries: &[RevokedEntry],
    ) -> Vec<u8> {
        let mut encoded = Vec::new();
        for entry in entries {
            encode_entry(entry, &mut encoded).unwrap();
        }
        let revoked = (!encoded.is_empty()).then(|| Any::new(Tag::Sequence, encoded).unwrap());
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(
                OctetString::new(issuer.subject_key_identifier().unwrap()).unwrap(),
            ),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        let number = x509_cert::ext::pkix::CrlNumber(Uint::new(&number.0.to_be_bytes()).unwrap());
        TbsCertList {
            version: 1,
            signature: key.signature_algorithm(),
            issuer: issuer.subject().as_name().clone(),
            this_update: to_asn1(this_update).unwrap(),
            next_update: to_asn1(next_update).unwrap(),
            revoked_certificates: revoked,
            crl_extensions: vec![plain(&authority).unwrap(), plain(&number).unwrap()],
        }
        .to_der()
        .unwrap()
    }

    /// Serials of all lengths, dates on both sides of 2050, all reasons.
    fn random_entries(count: usize, seed: &mut u64) -> Vec<RevokedEntry> {
        let mut next = || {
            // xorshift64
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
            *seed
        };
        let entries = (0..count).map(|_| {
            let serial: Vec<u8> = (0..=next() % 20).map(|_| next() as u8).collect();
            let positive = [&[0][..], &serial[..serial.len().min(20)]].concat();
            RevokedEntry {
                serial: SerialNumber::from_der_content(&positive)
                    .unwrap_or_else(|_| SerialNumber::one()),
                revoked_at: Timestamp::from_second((next() % 4_000_000_000) as i64).unwrap(),
                reason: RevocationReason::ALL.get(next() as usize % 5).copied(),
            }
        });
        entries.collect()
    }

    #[test]
    fn lists_are_byte_for_byte_those_of_the_library() {
        let now: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let next: Timestamp = "2051-11-24T00:00:00Z".parse().unwrap();
        let (ca, key) = authority(NameConstraints::default(), 7300, now);
        let mut seed = 0x0123_4567_89ab_cdef;
        for count in [0, 1, 2, 3, 4, 5, 6, 7, 8, 20, 150, 1000, 2500] {
            let entries = random_entries(count, &mut seed);
            let number = CrlNumber(seed >> (count % 64));
            let list = CertificateRevocationList::sign(
                &ca,
                &key,
                number,
                (now, next),
                entries.iter().cloned(),
            )
            .unwrap();
            let expected = reference(&ca, &key, number, (now, next), &entries);
            assert_eq!(signed_part(&list.der).unwrap(), expected, "{count} entries");
            let read: CertificateList = CertificateList::from_der(&list.der).unwrap();
            assert_eq!(read.to_der().unwrap(), list.der, "{count} entries");
            crate::key::verify(
                ca.public_key_info(),
                &read.signature_algorithm,
                &expected,
                read.signature.as_bytes().unwrap(),
            )
            .unwrap();
        }
    }

    #[test]
    fn what_stands_before_may_need_more_room() {
        for length in [0, 3, 5, 9] {
            let mut buffer = b"-----tail".to_vec();
            let octets = vec![b'x'; length];
            let start = put_before(&mut buffer, 5, &octets);
            assert_eq!(buffer[start..], [&octets[..], b"tail"].concat());
        }
    }
}
