//! Names of algorithms, as people know them.

use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use spki::AlgorithmIdentifierOwned;

/// RFC 7292 appendix C, RFC 8018 appendices A and B, RFC 9879, NIST.
const NAMES: [(&str, &str); 24] = [
    ("1.2.840.113549.1.12.1.1", "RC4-128"),
    ("1.2.840.113549.1.12.1.2", "RC4-40"),
    ("1.2.840.113549.1.12.1.3", "3DES"),
    ("1.2.840.113549.1.12.1.4", "2-key 3DES"),
    ("1.2.840.113549.1.12.1.5", "RC2-128"),
    ("1.2.840.113549.1.12.1.6", "RC2-40"),
    ("1.2.840.113549.1.5.3", "DES (MD5)"),
    ("1.2.840.113549.1.5.10", "DES (SHA-1)"),
    ("1.2.840.113549.1.5.13", "PBES2"),
    ("1.2.840.113549.1.5.14", "PBMAC1"),
    ("1.2.840.113549.2.5", "MD5"),
    ("1.2.840.113549.3.2", "RC2"),
    ("1.2.840.113549.3.7", "3DES (PBES2)"),
    ("1.3.14.3.2.7", "DES (PBES2)"),
    ("1.3.14.3.2.26", "SHA-1"),
    ("2.16.840.1.101.3.4.1.2", "AES-128-CBC"),
    ("2.16.840.1.101.3.4.1.22", "AES-192-CBC"),
    ("2.16.840.1.101.3.4.1.42", "AES-256-CBC"),
    ("2.16.840.1.101.3.4.1.6", "AES-128-GCM"),
    ("2.16.840.1.101.3.4.1.46", "AES-256-GCM"),
    ("2.16.840.1.101.3.4.2.1", "SHA-256"),
    ("2.16.840.1.101.3.4.2.2", "SHA-384"),
    ("2.16.840.1.101.3.4.2.3", "SHA-512"),
    ("2.16.840.1.101.3.4.2.4", "SHA-224"),
];

/// The number where nobody knows a name.
pub(super) fn digest(oid: ObjectIdentifier) -> String {
    let number = oid.to_string();
    let name = NAMES.iter().find(|(known, _)| *known == number);
    name.map_or(number, |(_, name)| (*name).to_owned())
}

/// Of PBES2 the cipher in it (RFC 8018 appendix A.4).
pub(super) fn cipher(algorithm: &AlgorithmIdentifierOwned) -> String {
    let inner = || {
        let parameters = algorithm.parameters.as_ref()?.to_der().ok()?;
        let parts = Vec::<AlgorithmIdentifierOwned>::from_der(&parameters).ok()?;
        parts.get(1).map(|cipher| cipher.oid)
    };
    match algorithm.oid == pkcs5::pbes2::PBES2_OID {
        true => digest(inner().unwrap_or(algorithm.oid)),
        false => digest(algorithm.oid),
    }
}
