//! TLS that trusts nobody and refuses nobody: it writes down what a server shows. Nothing secret may
//! ever pass through it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use orca_pki::certificate::Certificate;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::Asked;

/// A client that shows `shows` and takes whatever comes.
pub(super) fn config(
    witness: &Arc<Witness>,
    shows: &Arc<Shows>,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = Arc::<Witness>::clone(witness);
    let resolver: Arc<dyn ResolvesClientCert> = Arc::<Shows>::clone(shows);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// What the server showed.
#[derive(Debug, Default)]
pub(super) struct Witness {
    chain: Mutex<Vec<Certificate>>,
}

impl Witness {
    pub(super) fn chain(&self) -> Vec<Certificate> {
        let chain = self.chain.lock();
        chain.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    aws_lc_rs::default_provider().signature_verification_algorithms
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Without the first, the next would pass for the server's.
        let chain = std::iter::once(end_entity)
            .chain(intermediates.iter().take(8))
            .map_while(|der| Certificate::from_der(der).ok());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

/// What we show, whichever authorities the server names, unlike a browser; and whether it asked.
#[derive(Debug)]
pub(super) struct Shows {
    identity: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Shows {
    pub(super) fn new(identity: Option<&Arc<CertifiedKey>>) -> Self {
        Self {
            identity: identity.map(Arc::clone),
            asked: AtomicBool::new(false),
        }
    }

    pub(super) fn asked(&self) -> Asked {
        match self.asked.load(Ordering::Relaxed) {
            true => Asked::Yes,
            false => Asked::No,
        }
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
