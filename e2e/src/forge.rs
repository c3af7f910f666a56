//! Certificates our authority never issued: foreign ones, look-alikes, odd ones.

use std::path::Path;

use anyhow::Context;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CustomExtension;
use rcgen::DnType;
use rcgen::DnValue;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SerialNumber;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;

use crate::tls::Identity;

/// An authority made here, with a key of its own.
#[derive(Debug)]
pub struct Forge {
    issuer: Issuer<'static, KeyPair>,
    pem: Option<String>,
}

impl Forge {
    /// Another clinic's authority.
    ///
    /// # Errors
    ///
    /// When no certificate comes of it.
    pub fn foreign() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = named("foreign CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem: Some(pem),
        })
    }

    /// An authority that claims to be the one whose certificate this is (PEM), with another key.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read.
    pub fn look_alike(ca: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(ca)?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(&pem, KeyPair::generate()?)?,
            pem: None,
        })
    }

    /// Its own certificate, PEM; a look-alike has none.
    ///
    /// # Errors
    ///
    /// When it is a look-alike.
    pub fn pem(&self) -> anyhow::Result<&str> {
        self.pem
            .as_deref()
            .context("a look-alike has no certificate")
    }

    /// A client certificate with this serial number, good for years.
    ///
    /// # Errors
    ///
    /// When no certificate comes of it.
    pub fn client(&self, name: &str, serial: u64) -> anyhow::Result<Identity> {
        self.sign(client_params(name, serial))
    }

    /// A server certificate for 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no certificate comes of it.
    pub fn server(&self) -> anyhow::Result<Identity> {
        let mut params = named("127.0.0.1");
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        params.subject_alt_names = vec![rcgen::SanType::IpAddress(address)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        self.sign(params)
    }

    /// A client certificate that was good in 2001.
    ///
    /// # Errors
    ///
    /// When no certificate comes of it.
    pub fn expired_client(&self, name: &str, serial: u64) -> anyhow::Result<Identity> {
        let mut params = client_params(name, serial);
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 12, 31);
        self.sign(params)
    }

    /// A client certificate with a critical extension nobody knows.
    ///
    /// # Errors
    ///
    /// When no certificate comes of it.
    pub fn odd_client(&self, name: &str, serial: u64) -> anyhow::Result<Identity> {
        let mut params = client_params(name, serial);
        // DER NULL under an enterprise number that nobody has.
        let mut unknown =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 4_294_967_294, 7], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
        self.sign(params)
    }

    /// Its own certificate and key, shown as if it were a client.
    ///
    /// # Errors
    ///
    /// When it is a look-alike.
    pub fn itself(&self) -> anyhow::Result<Identity> {
        use rustls_pki_types::pem::PemObject;
        let certificate = CertificateDer::from_pem_slice(self.pem()?.as_bytes())?;
        Identity::new(vec![certificate], private_key(self.issuer.key())?)
    }

    fn sign(&self, params: CertificateParams) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Identity::new(vec![certificate.der().clone()], private_key(&key)?)
    }
}

/// No certificate at all, with a proper key.
///
/// # Errors
///
/// When no key can be made.
pub fn malformed() -> anyhow::Result<Identity> {
    let junk = CertificateDer::from(vec![0x30, 0x03, 0x02, 0x01, 0x07]);
    Identity::new(vec![junk], private_key(&KeyPair::generate()?)?)
}

/// A certificate whose serial number has more octets than RFC 5280 §4.1.2.2 allows.
///
/// # Errors
///
/// When no certificate comes of it.
pub fn long_serial() -> anyhow::Result<Identity> {
    let key = KeyPair::generate()?;
    let mut params = named("127.0.0.1");
    params.serial_number = Some(SerialNumber::from_slice(&[0x7a; 32]));
    let certificate = params.self_signed(&key)?;
    Identity::new(vec![certificate.der().clone()], private_key(&key)?)
}

/// A certificate (PEM) shown by somebody who does not have its key.
///
/// # Errors
///
/// When the certificate cannot be read.
pub fn stolen(certificate: &Path) -> anyhow::Result<Identity> {
    use rustls_pki_types::pem::PemObject;
    let certificate = CertificateDer::from_pem_file(certificate)?;
    Identity::new(vec![certificate], private_key(&KeyPair::generate()?)?)
}

fn private_key(key: &KeyPair) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::try_from(key.serialize_der()).map_err(|reason| anyhow::anyhow!(reason))
}

fn client_params(name: &str, serial: u64) -> CertificateParams {
    let mut params = named(name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

/// `/C=JP/O=orca/CN=NAME`, valid from 2020 to 2040.
fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let subject = &mut params.distinguished_name;
    subject.remove(DnType::CommonName);
    if let Ok(country) = "JP".try_into() {
        subject.push(DnType::CountryName, DnValue::PrintableString(country));
    }
    subject.push(DnType::OrganizationName, "orca");
    subject.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params
}
