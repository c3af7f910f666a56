//! Files as people put them, right and wrong.

use std::io::Write;

use orca_pki::certificate::pem;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use spki::der::asn1::{AnyRef, OctetStringRef};
use spki::der::{Decode, Reader};

use super::*;
use crate::config::CrlSource;
use crate::in_process::forge::Ca;

struct Kit {
    folder: tempfile::TempDir,
    files: HttpsFiles,
}

impl Kit {
    fn new(ca: &Ca) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = HttpsFiles {
            server_crt: path("server.crt"),
            server_pem: path("server.pem"),
            ca_crt: path("ca.crt"),
            ca_crl: CrlSource::File(path("ca.crl")),
        };
        let kit = Self { folder, files };
        let (crt, key) = ca.server(&["localhost"]);
        kit.put("server.crt", &crt);
        kit.put("server.pem", &key);
        kit.put("ca.crt", &ca.pem());
        kit
    }

    fn put(&self, name: &str, text: &str) {
        let mut file = std::fs::File::create(self.folder.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn troubles(&self) -> Vec<&'static str> {
        match Credentials::load(&self.files) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(Localize::id).collect(),
        }
    }

    fn warnings(&self, now: Timestamp) -> Vec<&'static str> {
        let credentials = Credentials::load(&self.files).unwrap();
        let warnings = credentials.warnings(now);
        warnings.iter().map(|warning| warning.id).collect()
    }
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What stands inside PKCS#8: SEC1 or PKCS#1 (RFC 5958 §2).
fn inner(pkcs8: &[u8]) -> Vec<u8> {
    let key = AnyRef::from_der(pkcs8).unwrap().sequence(|fields| {
        let _version: AnyRef<'_> = fields.decode()?;
        let _algorithm: AnyRef<'_> = fields.decode()?;
        let key: &OctetStringRef = fields.decode()?;
        let octets = key.as_bytes().to_vec();
        fields.drain(fields.remaining_len())?;
        Ok::<_, spki::der::Error>(octets)
    });
    key.unwrap()
}

fn self_signed(key: &KeyPair) -> String {
    let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.self_signed(key).unwrap().pem()
}

#[test]
fn keys_are_read_in_every_form() {
    let kit = Kit::new(&Ca::new("orca CA"));
    let ec = KeyPair::generate().unwrap();
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    for (key, label) in [(&ec, "EC PRIVATE KEY"), (&rsa, "RSA PRIVATE KEY")] {
        kit.put("server.crt", &self_signed(key));
        kit.put("server.pem", &key.serialize_pem());
        assert_eq!(kit.troubles(), [""; 0], "{label} as PKCS#8");
        kit.put("server.pem", &pem(label, &inner(&key.serialize_der())));
        assert_eq!(kit.troubles(), [""; 0], "{label}");
    }
}

#[test]
fn every_fault_of_a_file_has_its_name() {
    let ca = Ca::new("orca CA");
    let other = ca.server(&["localhost"]);
    let body = "AAAA\n-----END";
    let encrypted =
        format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body} ENCRYPTED PRIVATE KEY-----\n");
    let old = format!(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
         DEK-Info: AES-256-CBC,00\n\n{body} RSA PRIVATE KEY-----\n"
    );
    let junk_key = format!("-----BEGIN PRIVATE KEY-----\n{body} PRIVATE KEY-----\n");
    let junk = format!("-----BEGIN CERTIFICATE-----\n{body} CERTIFICATE-----\n");
    for (file, content, trouble) in [
        ("server.pem", encrypted.as_str(), "key-encrypted"),
        ("server.pem", &old, "key-encrypted"),
        ("server.pem", &junk_key, "key-unusable"),
        ("server.pem", &other.0, "no-key-in-file"),
        ("server.pem", &other.1, "key-mismatch"),
        ("server.crt", &other.0, "key-mismatch"),
        ("server.crt", &other.1, "no-certificate-in-file"),
        ("server.crt", &junk, "damaged-certificate"),
        ("ca.crt", "", "no-certificate-in-file"),
        ("ca.crt", &other.0, "no-ca-certificate"),
    ] {
        let kit = Kit::new(&ca);
        kit.put(file, content);
        assert_eq!(kit.troubles(), [trouble], "{file}");
    }
    let kit = Kit::new(&ca);
    std::fs::remove_file(&kit.files.server_pem).unwrap();
    std::fs::create_dir(&kit.files.server_pem).unwrap();
    std::fs::remove_file(&kit.files.ca_crt).unwrap();
    assert_eq!(kit.troubles(), ["file-missing", "file-unreadable"]);
}

#[test]
fn what_works_with_a_reservation_is_a_warning() {
    let ca = Ca::new("orca CA");
    let kit = Kit::new(&ca);
    assert_eq!(kit.warnings(moment("2026-11-24T00:00:00Z")), [""; 0]);
    kit.put("ca.crt", &Ca::new("another CA").pem());
    assert_eq!(
        kit.warnings(moment("2026-11-24T00:00:00Z")),
        ["server-certificate-of-another-ca"]
    );
    assert_eq!(
        kit.warnings(moment("2100-01-01T00:00:01Z")),
        ["server-certificate-of-another-ca", "ca-certificate-expired"]
    );
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    kit.put("server.crt", &params.self_signed(&key).unwrap().pem());
    kit.put("server.pem", &key.serialize_pem());
    for (now, expected) in [
        ("2026-11-30T23:59:59Z", None),
        ("2026-12-01T00:00:01Z", Some("server-certificate-expiring")),
        ("2027-01-01T00:00:00Z", Some("server-certificate-expiring")),
        ("2027-01-01T00:00:01Z", Some("server-certificate-expired")),
    ] {
        let warnings = kit.warnings(moment(now));
        let others = [
            "server-certificate-of-another-ca",
            "server-certificate-without-names",
        ];
        let expected: Vec<_> = expected.into_iter().chain(others).collect();
        assert_eq!(warnings, expected, "{now}");
    }
}

#[test]
fn a_folder_in_place_of_a_file_is_told_as_one() {
    let mut kit = Kit::new(&Ca::new("orca CA"));
    kit.files.server_pem = kit.folder.path().to_owned();
    let errors = Credentials::load(&kit.files).unwrap_err();
    let remedy = errors[0].remedy();
    assert!(remedy.en.contains("not the folder"), "{remedy:?}");
    assert!(remedy.en.contains("SERVER_PEM"), "{remedy:?}");
}
