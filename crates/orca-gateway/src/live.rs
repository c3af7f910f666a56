//! What is in force now: trust and credentials as one immutable value that is replaced whole.

use std::sync::Arc;

use jiff::Timestamp;
use orca_pki::certificate::CertificateError;
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use crate::credentials::Credentials;
use crate::identity::{ClientIdentity, Refusal};
use crate::rules::Rules;
use crate::tls::TlsServer;
use crate::trust::{Presented, TrustSnapshot};

/// The TLS side and the trust it was built with; nobody ever sees a mixture of old and new.
#[derive(Debug)]
pub(crate) struct Snapshot {
    trust: TrustSnapshot,
    tls: Arc<TlsServer>,
    credentials: Arc<Credentials>,
    rules: Arc<Rules>,
}

impl Snapshot {
    /// Of credentials and the trust that belongs to them.
    pub(crate) fn new(
        credentials: Arc<Credentials>,
        tls: Arc<TlsServer>,
        trust: TrustSnapshot,
        rules: Arc<Rules>,
    ) -> Self {
        Self {
            trust,
            tls,
            credentials,
            rules,
        }
    }

    /// Reads a chain that a client showed: [`TrustSnapshot::read`].
    ///
    /// # Errors
    /// The client's own certificate cannot be read.
    pub(crate) fn read(
        &self,
        end_entity: &[u8],
        intermediates: Vec<CertificateDer<'static>>,
    ) -> Result<Presented, CertificateError> {
        self.trust.read(end_entity, intermediates)
    }

    /// Who the client is and may be now, or why it is nobody.
    ///
    /// # Errors
    /// The first cause that holds.
    pub(crate) fn judge(
        &self,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<Arc<ClientIdentity>, Refusal> {
        let identity = self.trust.judge(presented, now)?;
        self.rules.admit(&identity, now)?;
        Ok(identity)
    }

    /// Whether a verdict of this very snapshot holds at a later moment.
    pub(crate) fn still_holds(&self, identity: &ClientIdentity, now: Timestamp) -> bool {
        self.trust.still_holds(identity, now) && self.rules.admit(identity, now).is_ok()
    }

    /// What is asked beyond a valid certificate.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Authorities and revocation lists.
    pub(crate) fn trust(&self) -> &TrustSnapshot {
        &self.trust
    }

    /// Our side of the handshake.
    pub(crate) fn tls(&self) -> &TlsServer {
        &self.tls
    }

    /// The files it was made from.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

/// The reading half: every connection has one. `has_changed` is one atomic load.
pub(crate) type Live = watch::Receiver<Arc<Snapshot>>;
