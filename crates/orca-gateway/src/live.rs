//! What is in force now: trust and credentials as one immutable value that is replaced whole.

use std::sync::Arc;

use tokio::sync::watch;

use crate::credentials::Credentials;
use crate::tls::TlsServer;
use crate::trust::TrustSnapshot;

/// The TLS side and the trust it was built with; nobody ever sees a mixture of old and new.
#[derive(Debug)]
pub(crate) struct Snapshot {
    trust: TrustSnapshot,
    tls: Arc<TlsServer>,
    credentials: Arc<Credentials>,
}

impl Snapshot {
    /// Of credentials and the trust that belongs to them.
    pub(crate) fn new(
        credentials: Arc<Credentials>,
        tls: Arc<TlsServer>,
        trust: TrustSnapshot,
    ) -> Self {
        Self {
            trust,
            tls,
            credentials,
        }
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
