//! Revocation lists of any size, signed with the key of an authority.

use std::path::Path;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
use aws_lc_rs::digest::digest;
use rcgen::CertificateRevocationListParams;
use rcgen::Issuer;
use rcgen::KeyIdMethod;
use rcgen::KeyPair;
use rcgen::RevokedCertParams;
use rcgen::SerialNumber;

/// Whoever holds the key of an authority.
#[derive(Debug)]
pub struct ListForge {
    issuer: Issuer<'static, KeyPair>,
    /// That of the authority's certificate, SHA-1 of its key (RFC 5280 §4.2.1.2): OpenSSL takes no
    /// list that names another.
    key_identifier: KeyIdMethod,
}

impl ListForge {
    /// With the certificate and the private key of an authority, both PEM; those of `orca-catool`
    /// are `ca.crt` of any delivery and `ca.key` beside its configuration.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn new(crt: &Path, key: &Path) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let key = KeyPair::from_pem(&read(key)?)?;
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, key.public_key_raw());
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(&read(crt)?, key)?,
            key_identifier: KeyIdMethod::PreSpecified(sha1.as_ref().to_vec()),
        })
    }

    /// A list (PEM) that is a day old at `now` (since 1970) and good for a year.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn list(
        &self,
        number: u64,
        serials: impl IntoIterator<Item = u64>,
        now: Duration,
    ) -> anyhow::Result<String> {
        let day = Duration::from_secs(86_400);
        let yesterday = (UNIX_EPOCH + now.saturating_sub(day)).into();
        let revoked = serials.into_iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: yesterday,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: yesterday,
            next_update: (UNIX_EPOCH + now + 365 * day).into(),
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: self.key_identifier.clone(),
        };
        Ok(params.signed_by(&self.issuer)?.pem()?)
    }
}
