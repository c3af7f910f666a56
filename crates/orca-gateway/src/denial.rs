//! The handshake that fails with access_denied, so that a browser forgets the certificate it chose.
//!
//! It asks for a certificate first: before that Chromium takes any alert for a fault of the
//! protocol, tries again by itself, and keeps its choice. And it speaks TLS 1.2 without ALPN, where
//! the alert comes while the client still waits for the end of the handshake. With TLS 1.3, or with
//! ALPN and so False Start (RFC 7918), an HTTP/2 request is under way by then, and Chromium often
//! sees a mere closed connection, which leaves its choice alone.

use std::io;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConnection, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tls::TlsServer;

/// A fatal access_denied in the clear (RFC 5246 §7.2): our side never comes to encrypting. rustls
/// would say certificate_required or protocol_version to clients without certificate or TLS 1.2.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// Leads the handshake to its refusal.
///
/// # Errors
/// The client left before, or the provider does not fit.
pub(crate) async fn deny(tcp: &mut TcpStream, tls: &TlsServer) -> io::Result<()> {
    let nobody = Nobody {
        hints: Arc::clone(tls.hints()),
        algorithms: tls.provider().signature_verification_algorithms,
    };
    let config = tls.denying_config(Arc::new(nobody));
    let config = config.map_err(io::Error::other)?;
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut octets = vec![0; 8192];
    loop {
        let length = tcp.read(&mut octets).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut unread = &octets[..length];
        while !unread.is_empty() {
            connection.read_tls(&mut unread)?;
            if connection.process_new_packets().is_err() {
                return tcp.write_all(&ACCESS_DENIED).await;
            }
        }
        let mut answer = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut answer)?;
        }
        tcp.write_all(&answer).await?;
    }
}

/// Accepts no certificate at all, and no client without one.
#[derive(Debug)]
struct Nobody {
    hints: Arc<[DistinguishedName]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Nobody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // The one error that rustls answers with access_denied.
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
