//! Authorities and certificates of the tests, good ones and bad ones.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, date_time_ymd,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use crate::config::CrlUnusable;
use crate::identity::ClientIdentity;
use crate::trust::TrustSnapshot;
use orca_pki::certificate::Certificate;
use orca_pki::verification::Authorities;

/// An authority with its key.
pub(crate) struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) der: CertificateDer<'static>,
}

/// A certificate with its key, or with somebody else's.
#[derive(Clone, Debug)]
pub(crate) struct Identity(Arc<CertifiedKey>);

impl Ca {
    pub(crate) fn new(common_name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    pub(super) fn key(&self) -> &KeyPair {
        &self.key
    }

    /// The subject as DER.
    pub(super) fn name(&self) -> Vec<u8> {
        let certificate = Certificate::from_der(&self.der).unwrap();
        certificate.subject().to_der().unwrap()
    }

    /// Certificate and key as PEM.
    pub(crate) fn server(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut server = CertificateParams::new(names).unwrap();
        server
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&key, &self.issuer()).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn client(&self, serial: u64) -> Identity {
        self.client_with(serial, |_| {})
    }

    pub(crate) fn client_with(
        &self,
        serial: u64,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut client = params("user1");
        client.serial_number = Some(serial.into());
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut client);
        let der = client
            .signed_by(&key, &self.issuer())
            .unwrap()
            .der()
            .clone();
        Identity::new(der, &key)
    }

    pub(crate) fn expired_client(&self, serial: u64) -> Identity {
        self.client_with(serial, |client| {
            client.not_after = date_time_ymd(2021, 1, 1)
        })
    }

    /// A client of that name as it is known after the verdict, at some moment of its validity.
    pub(crate) fn verified(&self, common_name: &str) -> Arc<ClientIdentity> {
        let client = self.client_with(7, |client| {
            client.distinguished_name = Default::default();
            client
                .distinguished_name
                .push(DnType::CommonName, common_name);
        });
        let authority = Certificate::from_der(&self.der).unwrap();
        let authorities = Authorities::new([authority]);
        let trust = TrustSnapshot::new(authorities, Default::default(), CrlUnusable::Warn);
        let presented = trust.read(&client.0.cert[0], Vec::new()).unwrap();
        let now = "2026-11-24T03:00:00Z".parse().unwrap();
        trust.judge(&presented, now).unwrap()
    }

    /// The authority's own certificate as if it were a client's.
    pub(crate) fn itself(&self) -> Identity {
        Identity::new(self.der.clone(), &self.key)
    }

    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// A list as PEM.
    pub(crate) fn crl(&self, number: u64, serials: &[u64]) -> String {
        self.crl_until(number, serials, 2100)
    }

    /// A list whose next one is due at the beginning of a year.
    pub(crate) fn crl_until(&self, number: u64, serials: &[u64], year: i32) -> String {
        let dates = (date_time_ymd(2024, 1, 1), date_time_ymd(year, 1, 1));
        self.crl_dated(number, serials, dates)
    }

    /// A list of these thisUpdate and nextUpdate.
    pub(crate) fn crl_dated(
        &self,
        number: u64,
        serials: &[u64],
        (this_update, next_update): (OffsetDateTime, OffsetDateTime),
    ) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: date_time_ymd(2024, 5, 6),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer()).unwrap().pem().unwrap()
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        roots
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

impl Identity {
    fn new(der: CertificateDer<'static>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = any_supported_type(&key).unwrap();
        Self(Arc::new(CertifiedKey::new(vec![der], key)))
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.0.cert[0]
    }

    /// The same certificate in the hands of somebody without its key.
    pub(crate) fn stolen(&self) -> Self {
        Self::new(self.0.cert[0].clone(), &KeyPair::generate().unwrap())
    }

    /// What is no certificate at all.
    pub(crate) fn junk() -> Self {
        let der = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
        Self::new(der, &KeyPair::generate().unwrap())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params
}

fn pem(label: &'static str, der: &[u8]) -> String {
    assert_eq!(label, "CERTIFICATE");
    orca_pki::certificate::pem(label, der)
}
