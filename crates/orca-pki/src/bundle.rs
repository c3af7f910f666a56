//! The delivery set of a certificate: six files in a folder, as the original tool made them.

use std::fmt;

use zeroize::Zeroizing;

use crate::certificate::{Certificate, pem};
use crate::encryption::{EncryptionError, Scheme, encrypted_private_key_info};
use crate::key::KeyPair;
use crate::name::DistinguishedName;
use crate::passphrase::{Passphrase, RandomSource};
use crate::pkcs12::{self, Contents, Pkcs12Profile};
use crate::serial::SerialNumber;

/// File systems take names of 255 octets; the longest ending is `.enc.pem`.
const LONGEST: usize = 255 - ".enc.pem".len();

/// The name all files of a delivery share: `000002__JP_orca_192.168.1.100`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BaseName(String);

impl BaseName {
    /// Six digits of the serial, `_`, then the one-line subject with each `/X=` made `_`. What
    /// Windows forbids in file names becomes `-`; what is too long for a file name is cut off.
    pub fn new(serial: &SerialNumber, subject: &DistinguishedName) -> Self {
        let mut name = format!("{serial}_");
        for (_, value) in subject.attributes() {
            name.push('_');
            name.extend(value.chars().map(|c| match c {
                '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' => '-',
                c if c.is_control() => '-',
                c => c,
            }));
        }
        name.truncate(name.floor_char_boundary(LONGEST));
        // Windows drops dots and blanks at the end of a folder's name.
        let kept = name.trim_end_matches(['.', ' ']).len();
        let dropped = name.len() - kept;
        name.truncate(kept);
        name.extend(std::iter::repeat_n('-', dropped));
        Self(name)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One file of a delivery.
#[derive(Debug)]
pub struct BundleFile {
    /// Name inside the folder.
    pub name: String,
    /// Content, wiped when dropped: most of these hold secrets.
    pub content: Zeroizing<Vec<u8>>,
}

/// A certificate, its private key in four forms, the passphrase and the CA certificate.
#[derive(Debug)]
pub struct Bundle {
    /// Name of the folder and of the zip.
    pub base_name: BaseName,
    /// The six files, in the order of the guide.
    pub files: Vec<BundleFile>,
}

impl Bundle {
    /// Makes all six files with a fresh passphrase.
    ///
    /// # Errors
    /// The key, the random source or the encoding failed.
    pub fn new(
        certificate: &Certificate,
        key: &KeyPair,
        ca: &Certificate,
        profile: Pkcs12Profile,
        random: RandomSource<'_>,
    ) -> Result<Self, EncryptionError> {
        let base_name = BaseName::new(certificate.serial(), &certificate.subject());
        let passphrase = Passphrase::generate(random)?;
        let friendly_name = certificate.subject().common_name().unwrap_or_default();
        let contents = Contents {
            certificate,
            ca,
            friendly_name: &friendly_name,
        };
        let p12 = pkcs12::encode(contents, key, profile, &passphrase, random)?;
        let encrypted = encrypted_private_key_info(key, Scheme::Aes256, &passphrase, random)?;

        let plain_key = Zeroizing::new(pem("PRIVATE KEY", &key.to_pkcs8()?));
        let file = |suffix: &str, content: &[u8]| BundleFile {
            name: format!("{base_name}{suffix}"),
            content: Zeroizing::new(content.to_vec()),
        };
        let line = Zeroizing::new(format!("{}\n", passphrase.expose()));
        let files = vec![
            file(".crt", certificate.to_pem().as_bytes()),
            file(
                ".enc.pem",
                pem("ENCRYPTED PRIVATE KEY", &encrypted).as_bytes(),
            ),
            file(".p12", &p12),
            file(".pass", line.as_bytes()),
            file(".pem", plain_key.as_bytes()),
            BundleFile {
                name: "ca.crt".to_owned(),
                content: Zeroizing::new(ca.to_pem().into_bytes()),
            },
        ];
        Ok(Self { base_name, files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(serial: u64, common_name: &str) -> String {
        let subject = DistinguishedName::new(
            &"JP".parse().unwrap(),
            &"orca".parse().unwrap(),
            &common_name.parse().unwrap(),
        )
        .unwrap();
        BaseName::new(&SerialNumber::try_from(serial).unwrap(), &subject).to_string()
    }

    #[test]
    fn names_are_those_of_the_guide() {
        assert_eq!(base(2, "192.168.1.100"), "000002__JP_orca_192.168.1.100");
        assert_eq!(base(3, "user1"), "000003__JP_orca_user1");
        assert_eq!(base(4, "山田太郎"), "000004__JP_orca_山田太郎");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let subject = DistinguishedName::new(
            &"JP".parse().unwrap(),
            &"医".repeat(64).parse().unwrap(),
            &"郎".repeat(64).parse().unwrap(),
        )
        .unwrap();
        let name = BaseName::new(&SerialNumber::try_from(2).unwrap(), &subject);
        assert_eq!(
            name.as_str(),
            format!("000002__JP_{}_{}", "医".repeat(64), "郎".repeat(14))
        );
        assert_eq!(name.as_str().len(), 246);
    }

    #[test]
    fn what_windows_forbids_becomes_a_hyphen() {
        assert_eq!(base(5, "2001:db8::1"), "000005__JP_orca_2001-db8--1");
        assert_eq!(base(6, "a<b>?*|\"\\c"), "000006__JP_orca_a-b------c");
        assert_eq!(base(7, "Dr."), "000007__JP_orca_Dr-");
    }
}
