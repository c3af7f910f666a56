//! Lists made by rcgen and by our own authority, read back; damaged and odd ones refused.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, date_time_ymd,
};

use super::cursor::UTC_TIME;
use super::*;
use crate::certificate::pem;

struct Ca {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl Ca {
    fn new(usages: &[KeyUsagePurpose]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "orca CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = usages.to_vec();
        let certificate = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
        Self {
            params,
            key,
            certificate,
        }
    }

    fn usual() -> Self {
        Self::new(&[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign])
    }

    fn list(&self, serials: &[&[u8]]) -> Vec<u8> {
        self.list_with(serials, |_| {})
    }

    fn list_with(
        &self,
        serials: &[&[u8]],
        change: impl Fn(&mut CertificateRevocationListParams),
    ) -> Vec<u8> {
        let mut params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 11, 24),
            next_update: date_time_ymd(2055, 1, 1),
            crl_number: 7u64.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(|serial| entry(serial)).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        // rcgen itself insists on cRLSign.
        let mut usual = self.params.clone();
        usual.key_usages = vec![KeyUsagePurpose::CrlSign];
        let issuer = Issuer::from_params(&usual, &self.key);
        params.signed_by(&issuer).unwrap().der().to_vec()
    }
}

fn entry(serial: &[u8]) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: serial.to_vec().into(),
        revocation_time: date_time_ymd(2026, 11, 20),
        reason_code: Some(rcgen::RevocationReason::KeyCompromise),
        invalidity_date: Some(date_time_ymd(2026, 11, 19)),
    }
}

fn read(der: &[u8], authority: &Certificate) -> Result<Crl, CrlError> {
    UnverifiedCrl::from_der(der)?.verify([authority])
}

fn serial(text: &str) -> SerialNumber {
    text.parse().unwrap()
}

#[test]
fn every_serial_of_a_list_is_found_and_no_other() {
    let ca = Ca::usual();
    let long = [0xff; 20];
    let middle = [0x80; 12];
    let crl = read(
        &ca.list(&[&[3], &[0x80, 1], &middle, &long, &[2]]),
        &ca.certificate,
    )
    .unwrap();
    assert_eq!(crl.len(), 5);
    assert_eq!(crl.number().to_string(), "7");
    assert_eq!(crl.issuer_key(), ca.certificate.key_id());
    assert_eq!(
        crl.next_update(),
        "2055-01-01T00:00:00Z".parse().unwrap(),
        "GeneralizedTime"
    );
    let hex = |octets: &[u8]| {
        let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        serial(&format!("0x{digits}"))
    };
    for revoked in [
        serial("3"),
        serial("2"),
        serial("0x8001"),
        hex(&middle),
        hex(&long),
    ] {
        let at = "2026-11-20T00:00:00Z".parse().unwrap();
        assert_eq!(crl.revoked_at(&revoked), Some(at), "{revoked:?}");
    }
    for good in ["1", "4", "0x80", "0x800100", "0x0180010000000000000000"] {
        assert_eq!(crl.revoked_at(&serial(good)), None, "{good}");
    }
}

#[test]
fn an_empty_list_revokes_nothing() {
    let ca = Ca::usual();
    let crl = read(&ca.list(&[]), &ca.certificate).unwrap();
    assert!(crl.is_empty());
    assert!(!crl.is_overdue("2055-01-01T00:00:00Z".parse().unwrap()));
    assert!(crl.is_overdue("2055-01-01T00:00:01Z".parse().unwrap()));
}

#[test]
fn only_the_authority_itself_can_have_signed_it() {
    let ca = Ca::usual();
    let look_alike = Ca::usual();
    let list = ca.list(&[&[3]]);
    let unverified = UnverifiedCrl::from_der(&list).unwrap();
    assert_eq!(
        unverified.verify([&look_alike.certificate]).unwrap_err(),
        CrlError::BadSignature
    );
    assert_eq!(unverified.verify([]).unwrap_err(), CrlError::UnknownIssuer);
    let both = [&look_alike.certificate, &ca.certificate];
    assert_eq!(
        unverified.verify(both).unwrap().issuer_key(),
        ca.certificate.key_id()
    );
    let no_signer = Ca::new(&[KeyUsagePurpose::KeyCertSign]);
    assert_eq!(
        read(&no_signer.list(&[]), &no_signer.certificate).unwrap_err(),
        CrlError::NotAnIssuer
    );
}

#[test]
fn partial_lists_are_refused() {
    let ca = Ca::usual();
    for scope in [None, Some(CrlScope::UserCertsOnly)] {
        let list = ca.list_with(&[], |params| {
            params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint {
                    uris: vec!["http://ca.local/1.crl".into()],
                },
                scope,
            });
        });
        assert_eq!(
            UnverifiedCrl::from_der(&list).unwrap_err(),
            CrlError::Partial
        );
    }
}

#[test]
fn every_octet_counts() {
    let ca = Ca::usual();
    let list = ca.list(&[&[3], &[4]]);
    for place in 0..list.len() {
        for bit in [0x01, 0x80] {
            let mut damaged = list.clone();
            damaged[place] ^= bit;
            assert!(read(&damaged, &ca.certificate).is_err(), "octet {place}");
        }
        assert!(
            read(&list[..place], &ca.certificate).is_err(),
            "cut {place}"
        );
    }
    let mut more = list;
    more.push(0);
    assert!(UnverifiedCrl::from_der(&more).is_err());
}

#[test]
fn files_hold_one_list_or_several_as_pem_or_der() {
    let (one, other) = (Ca::usual().list(&[]), Ca::usual().list(&[&[3]]));
    let text = format!(
        "issued by hand\n{}\n{}",
        pem("X509 CRL", &one),
        pem("X509 CRL", &other)
    );
    let both = [one.clone(), other];
    let read = |file: &[u8]| -> Vec<Option<Vec<u8>>> {
        // Small reads, so that no border of a buffer is a border of anything else.
        let reader = std::io::BufReader::with_capacity(7, file);
        Lists::new(reader).map(Result::ok).collect()
    };
    let good = both.clone().map(Some).to_vec();
    assert_eq!(read(text.as_bytes()), good);
    assert_eq!(read(text.replace('\n', "\r\n").as_bytes()), good);
    assert_eq!(read(text.trim_end().as_bytes()), good);
    assert_eq!(read(&both.concat()), good);
    for file in [
        &b""[..],
        b"nothing",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        &one[..20],
    ] {
        assert_eq!(read(file), [None]);
    }
    let first_only = [Some(one.clone()), None];
    assert_eq!(read(&text.as_bytes()[..text.len() - 60]), first_only);
    assert_eq!(read(&both.concat()[..one.len() + 9]), first_only);
}

#[test]
fn long_sections_are_decoded_piece_by_piece() {
    let octets: Vec<u8> = (0..100_003u32).map(|at| (at % 251) as u8).collect();
    for length in [0, 1, 2, 3, 12_287, 12_288, 12_289, 100_001, 100_003] {
        let text = pem("X509 CRL", &octets[..length]);
        let read: Vec<_> = Lists::new(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(read, [&octets[..length]], "{length}");
    }
    let text = pem("X509 CRL", &octets);
    for (what, damaged) in [
        ("a strange character", text.replacen('A', "*", 1)),
        ("padding inside", text.replacen('A', "=", 1)),
        ("a character too few", text.replacen('A', "", 1)),
        ("no end", text.replace("END", "DNE")),
    ] {
        let read: Vec<_> = Lists::new(damaged.as_bytes()).collect();
        assert!(
            matches!(
                read.last(),
                Some(Err(ListFileError::Crl(CrlError::Malformed)))
            ),
            "{what}"
        );
        assert_eq!(read.len(), 1, "{what}");
    }
}

#[test]
fn numbers_are_read_as_they_are_written() {
    for text in [
        "0",
        "1",
        "255",
        "256",
        "1461501637330902918203684832716283019655932542975",
    ] {
        assert_eq!(text.parse::<ListNumber>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "-1",
        "x",
        "1461501637330902918203684832716283019655932542976",
    ] {
        assert!(text.parse::<ListNumber>().is_err(), "{text}");
    }
}

#[test]
fn times_are_strict() {
    let utc = |text: &str| {
        let mut der = vec![UTC_TIME, text.len() as u8];
        der.extend_from_slice(text.as_bytes());
        Cursor(&der).time()
    };
    for (text, second) in [
        ("700101000000Z", 0),
        ("000229000000Z", 951_782_400),
        ("491231235959Z", 2_524_607_999),
        ("261124010203Z", 1_795_482_123),
    ] {
        assert_eq!(utc(text), Ok(Some(second)), "{text}");
    }
    for text in [
        "261324000000Z",
        "260229000000Z",
        "261100000000Z",
        "261124240000Z",
        "2611240102Z",
        "261124010203+0900",
        "26112401020aZ",
    ] {
        assert_eq!(utc(text), Err(CrlError::Malformed), "{text}");
    }
}

#[test]
fn a_million_entries_are_read_in_time() {
    // Only in release: `cargo test --release -p orca-pki -- million --nocapture` tells the figures.
    let count = if cfg!(debug_assertions) {
        2_000
    } else {
        1_000_000
    };
    let ca = Ca::usual();
    let serials: Vec<[u8; 16]> = (0..count)
        .map(|number: u32| {
            let mut serial = [0x11; 16];
            serial[1..5].copy_from_slice(&number.wrapping_mul(0x9E37_79B9).to_be_bytes());
            serial
        })
        .collect();
    let references: Vec<&[u8]> = serials.iter().map(|serial| &serial[..]).collect();
    let list = ca.list(&references);
    let start = std::time::Instant::now();
    let crl = read(&list, &ca.certificate).unwrap();
    let elapsed = start.elapsed();
    println!("{count} entries, {} octets: {elapsed:?}", list.len());
    assert_eq!(crl.len(), serials.len());
    assert!(elapsed < std::time::Duration::from_millis(1000));
}
