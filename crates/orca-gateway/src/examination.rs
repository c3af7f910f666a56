//! The client certificate of one handshake: is it readable, does its owner speak, what is the verdict.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use spki::SubjectPublicKeyInfoRef;
use spki::der::asn1::AnyRef;
use spki::der::{Decode, Encode};

use crate::clock::Clock;
use crate::config::ClientAuth;
use crate::identity::{Cause, ClientIdentity, Refusal};
use crate::live::Snapshot;
use crate::trust::Presented;

/// One handshake's verifier. The certificate is judged only after CertificateVerify succeeded, in
/// both modes: whoever does not hold the key learns nothing, and the causes keep their order.
pub(crate) struct Examination {
    snapshot: Arc<Snapshot>,
    client_auth: ClientAuth,
    clock: Clock,
    asked: OnceLock<Option<String>>,
    presented: OnceLock<Presented>,
    verdict: OnceLock<Result<Arc<ClientIdentity>, Refusal>>,
}

impl Examination {
    /// Of a handshake under `snapshot`.
    pub(crate) fn new(snapshot: Arc<Snapshot>, client_auth: ClientAuth, clock: Clock) -> Self {
        Self {
            snapshot,
            client_auth,
            clock,
            asked: OnceLock::new(),
            presented: OnceLock::new(),
            verdict: OnceLock::new(),
        }
    }

    /// The snapshot under which it was judged.
    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What becomes of a client without a valid certificate.
    pub(crate) fn client_auth(&self) -> ClientAuth {
        self.client_auth
    }

    /// The name the client asked for, if any; `None` before its first message. A browser that does
    /// not accept our certificate leaves the handshake unfinished.
    pub(crate) fn asked(&self) -> Option<Option<&str>> {
        self.asked.get().map(Option::as_deref)
    }

    /// What the client showed, as far as it could be read.
    pub(crate) fn presented(&self) -> Option<&Presented> {
        self.presented.get()
    }

    /// The verdict after a completed handshake.
    pub(crate) fn verdict(&self) -> Result<Arc<ClientIdentity>, Refusal> {
        self.verdict
            .get()
            .cloned()
            .unwrap_or_else(|| Err(Refusal::without_certificate(Cause::NoCertificate)))
    }

    /// Why a handshake failed, where it was for the client's certificate.
    pub(crate) fn refusal(&self, error: &Error) -> Option<Refusal> {
        match error {
            Error::NoCertificatesPresented => {
                Some(Refusal::without_certificate(Cause::NoCertificate))
            }
            Error::InvalidCertificate(_) => self.verdict.get()?.as_ref().err().cloned(),
            _ => None,
        }
    }

    fn refuse(&self, refusal: Refusal) -> Error {
        let error = Error::InvalidCertificate(certificate_error(refusal.cause));
        // The first verdict stays; rustls calls once per handshake.
        let _ = self.verdict.set(Err(refusal));
        error
    }

    fn conclude(&self, proof: Result<(), BadProof>) -> Result<HandshakeSignatureValid, Error> {
        let Some(presented) = self.presented.get() else {
            return Err(self.refuse(Refusal::without_certificate(Cause::Malformed)));
        };
        if proof.is_err() {
            return Err(self.refuse(Refusal {
                certificate: Some(Arc::clone(presented.certificate())),
                ..Refusal::without_certificate(Cause::BadSignature)
            }));
        }
        match (
            self.snapshot.judge(presented, self.clock.now()),
            self.client_auth,
        ) {
            (Err(refusal), ClientAuth::Strict) => Err(self.refuse(refusal)),
            (verdict, _) => {
                let _ = self.verdict.set(verdict);
                Ok(HandshakeSignatureValid::assertion())
            }
        }
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self
            .snapshot
            .tls()
            .provider()
            .signature_verification_algorithms
    }

    fn verify(
        &self,
        message: &[u8],
        signed: &DigitallySignedStruct,
        version: ProofVersion,
    ) -> Result<(), BadProof> {
        let presented = self.presented.get().ok_or(BadProof)?;
        let info = presented.certificate().public_key_info();
        let key = SubjectPublicKeyInfoRef::from_der(info).map_err(|_| BadProof)?;
        let algorithm = key.algorithm.to_der().map_err(|_| BadProof)?;
        let algorithm = AnyRef::from_der(&algorithm).map_err(|_| BadProof)?;
        let bits = key.subject_public_key.as_bytes().ok_or(BadProof)?;
        if version == ProofVersion::Tls13 && !allowed_in_tls13(signed.scheme) {
            return Err(BadProof);
        }
        let candidates = self
            .algorithms()
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .map_or::<&[_], _>(&[], |(_, candidates)| candidates);
        // TLS 1.3 ties ECDSA to one curve per scheme (RFC 8446 §4.2.3), 1.2 does not.
        let most = match version {
            ProofVersion::Tls12 => candidates.len(),
            ProofVersion::Tls13 => 1,
        };
        candidates
            .iter()
            .take(most)
            .filter(|candidate| algorithm.value() == candidate.public_key_alg_id().as_ref())
            .find_map(|candidate| {
                candidate
                    .verify_signature(bits, message, signed.signature())
                    .ok()
            })
            .ok_or(BadProof)
    }
}

impl fmt::Debug for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Examination")
            .field("client_auth", &self.client_auth)
            .finish_non_exhaustive()
    }
}

/// The same certificate whatever name was asked for; a bare address sends no name at all.
impl ResolvesServerCert for Examination {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let _ = self.asked.set(hello.server_name().map(str::to_owned));
        Some(Arc::clone(self.snapshot.credentials().certified_key()))
    }
}

impl ClientCertVerifier for Examination {
    fn client_auth_mandatory(&self) -> bool {
        self.client_auth == ClientAuth::Strict
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.snapshot.tls().hints()
    }

    /// Reads only; a readable certificate is judged when its owner has proved to hold the key.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let intermediates = intermediates
            .iter()
            .map(|der| der.clone().into_owned())
            .collect();
        let Ok(presented) = self.snapshot.read(end_entity, intermediates) else {
            return Err(self.refuse(Refusal::without_certificate(Cause::Malformed)));
        };
        let _ = self.presented.set(presented);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.conclude(self.verify(message, signed, ProofVersion::Tls12))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.conclude(self.verify(message, signed, ProofVersion::Tls13))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

/// The client does not prove that it holds the key.
struct BadProof;

#[derive(Clone, Copy, Eq, PartialEq)]
enum ProofVersion {
    Tls12,
    Tls13,
}

/// RFC 8446 §4.2.3: no PKCS#1 v1.5 and no SHA-1 in CertificateVerify.
fn allowed_in_tls13(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ECDSA_NISTP521_SHA512
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
            | SignatureScheme::ED25519
    )
}

/// The error whose alert the contract's table asks for.
fn certificate_error(cause: Cause) -> CertificateError {
    match cause {
        Cause::BadSignature => CertificateError::BadSignature,
        Cause::Expired => CertificateError::Expired,
        Cause::Malformed => CertificateError::BadEncoding,
        Cause::NotYetValid => CertificateError::NotValidYet,
        // access_denied: the certificate is good, and another one may be, too.
        Cause::OutsideHours => CertificateError::ApplicationVerificationFailure,
        Cause::Revoked => CertificateError::Revoked,
        Cause::UnknownCa => CertificateError::UnknownIssuer,
        Cause::WrongUsage => CertificateError::InvalidPurpose,
        // certificate_unknown; only the first is ever asked here.
        Cause::CrlUnusable
        | Cause::BrokenRequest
        | Cause::CrossSite
        | Cause::NotForwarded
        | Cause::NoCertificate
        | Cause::PlainHttp
        | Cause::UpstreamBusy
        | Cause::UpstreamDown
        | Cause::WrongOperator => CertificateError::Other(OtherError(Arc::new(Undecided))),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the revocation list cannot tell")]
struct Undecided;
