//! TLS 1.3 and 1.2 towards clients (RFC 8446, RFC 5246): the certificate we show and the rules of
//! the handshake.

use std::sync::Arc;

use orca_pki::name::HostName;
use orca_pki::verification::Authorities;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DistinguishedName, ServerConfig};

use crate::config::ClientAuth;
use crate::credentials::Credentials;
use crate::examination::Examination;

/// HTTP/2 over TLS (RFC 9113 §3.2).
pub(crate) const H2: &[u8] = b"h2";
/// Asks for a connection on which revocation lists are delivered, and nothing else, without a
/// client certificate.
pub(crate) const CRL_DELIVERY: &[u8] = b"orca-mtls-crl";
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

/// Our side of the handshake, of one set of credentials.
#[derive(Debug)]
pub(crate) struct TlsServer {
    provider: Arc<CryptoProvider>,
    certified_key: Arc<CertifiedKey>,
    hints: Arc<[DistinguishedName]>,
    host_names: Vec<HostName>,
}

impl TlsServer {
    /// Shows the server certificate to everybody and names the authorities in the request for the
    /// client's, so that browsers offer only fitting ones.
    pub(crate) fn new(credentials: &Credentials) -> Self {
        Self {
            // ECDHE with AEAD throughout, X25519MLKEM768 first, by the choice of features.
            provider: Arc::new(aws_lc_rs::default_provider()),
            certified_key: Arc::clone(credentials.certified_key()),
            hints: hints(credentials.authorities()),
            host_names: credentials.host_names(),
        }
    }

    /// The configuration of one handshake, whose client certificate `examination` looks at.
    ///
    /// # Errors
    /// The provider does not fit, which a test excludes.
    pub(crate) fn config(
        &self,
        examination: &Arc<Examination>,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let verifier = Arc::clone(examination);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(examination) as Arc<dyn ResolvesServerCert>);
        without_resumption(&mut config);
        with_our_order(&mut config);
        config.alpn_protocols = protocols(examination.client_auth());
        Ok(Arc::new(config))
    }

    /// The configuration of a connection for [`CRL_DELIVERY`]: nobody is asked for a certificate, and
    /// nobody who shows one is believed.
    ///
    /// # Errors
    /// See [`Self::config`].
    pub(crate) fn delivery_config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let certificate = SingleCertAndKey::from(Arc::clone(&self.certified_key));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificate));
        without_resumption(&mut config);
        with_our_order(&mut config);
        config.alpn_protocols = vec![CRL_DELIVERY.to_vec()];
        Ok(Arc::new(config))
    }

    /// The configuration of a handshake that is to fail. It speaks TLS 1.2 without ALPN, for the
    /// reasons that [`crate::denial`] tells.
    ///
    /// # Errors
    /// See [`Self::config`].
    pub(crate) fn denying_config(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let certificate = SingleCertAndKey::from(Arc::clone(&self.certified_key));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS12])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certificate));
        without_resumption(&mut config);
        with_our_order(&mut config);
        Ok(Arc::new(config))
    }

    /// Subjects of the authorities, for the CertificateRequest (RFC 8446 §4.2.4).
    pub(crate) fn hints(&self) -> &Arc<[DistinguishedName]> {
        &self.hints
    }

    /// Names and addresses of the server certificate.
    pub(crate) fn host_names(&self) -> &[HostName] {
        &self.host_names
    }

    /// The signature algorithms of the provider.
    pub(crate) fn provider(&self) -> &CryptoProvider {
        &self.provider
    }
}

/// Where a handshake may end with an alert, HTTP/1.1 only: with TLS 1.3 the alert reaches a client
/// that has begun to set HTTP/2 up, and then Firefox shows nothing at all, not even an error, and
/// Java's HttpClient now and then waits for its timeout.
fn protocols(client_auth: ClientAuth) -> Vec<Vec<u8>> {
    match client_auth {
        ClientAuth::Explain | ClientAuth::Observe => vec![H2.to_vec(), HTTP_1_1.to_vec()],
        ClientAuth::Strict => vec![HTTP_1_1.to_vec()],
    }
}

/// Our order of cipher suites counts, AES-256 first, as the high-security type of IPA's guideline lists them.
fn with_our_order(config: &mut ServerConfig) {
    config.ignore_client_order = true;
}

/// A resumed session would restore the old client certificate and skip its examination.
fn without_resumption(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
}

fn hints(authorities: &Authorities) -> Arc<[DistinguishedName]> {
    let mut subjects: Vec<Vec<u8>> = authorities
        .iter()
        .filter_map(|authority| authority.subject().to_der().ok())
        .collect();
    subjects.sort();
    subjects.dedup();
    subjects.into_iter().map(DistinguishedName::from).collect()
}
