//! What became of the certificate of one connection: the verdict of the present snapshot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use tokio_util::sync::CancellationToken;

use crate::access_log::Peer;
use crate::examination::Examination;
use crate::forward::Client;
use crate::headers::Scheme;
use crate::identity::{Cause, ClientIdentity, Refusal};
use crate::live::{Live, Snapshot};

/// The verdict, given again whenever trust changed or time passed.
pub(crate) struct Standing {
    examination: Arc<Examination>,
    present: Mutex<Present>,
}

struct Present {
    live: Live,
    snapshot: Arc<Snapshot>,
    verdict: Verdict,
    fallen: Option<Fall>,
    /// Of this very verdict.
    client: Option<Arc<Client>>,
}

/// That a certificate counted on this connection and does so no longer.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Fall {
    Untold(Cause),
    Told,
}

/// Who the client is, or why it is nobody.
pub(crate) type Verdict = Result<Arc<ClientIdentity>, Refusal>;

/// What is known of whoever asks, at the moment of the request.
pub(crate) struct Judged {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) verdict: Verdict,
    /// With an identity only where the verdict gives one.
    pub(crate) client: Arc<Client>,
}

impl Standing {
    /// After a completed handshake; see [`crate::session::Session::shown`].
    pub(crate) fn new(examination: Arc<Examination>, live: Live) -> Self {
        let present = Present {
            live,
            snapshot: Arc::clone(examination.snapshot()),
            verdict: examination.verdict(),
            fallen: None,
            client: None,
        };
        Self {
            examination,
            present: Mutex::new(present),
        }
    }

    /// Judges a request of `peer`, whose tunnels end with `closing`.
    pub(crate) fn judged(
        &self,
        now: Timestamp,
        peer: &Arc<Peer>,
        closing: &CancellationToken,
    ) -> Judged {
        let mut present = self.lock();
        self.judge(&mut present, now);
        let client = match (&present.client, &present.verdict) {
            (Some(client), _) => Arc::clone(client),
            (None, Ok(identity)) => Arc::new(Client::verified(
                Arc::clone(peer),
                identity,
                closing.clone(),
            )),
            (None, Err(_)) => Arc::new(Client::unverified(
                Arc::clone(peer),
                Scheme::Https,
                closing.clone(),
            )),
        };
        present.client = Some(Arc::clone(&client));
        Judged {
            snapshot: Arc::clone(&present.snapshot),
            verdict: present.verdict.clone(),
            client,
        }
    }

    /// Whether a verdict that was good is good no longer, so that the connection must end. An unusable
    /// CRL alone lets requests be refused one by one.
    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        let mut present = self.lock();
        if present.verdict.is_err() {
            return false;
        }
        self.judge(&mut present, now);
        matches!(&present.verdict, Err(refusal) if refusal.cause != Cause::CrlUnusable)
    }

    /// Whether the certificate counted on this connection and does so no longer.
    pub(crate) fn has_fallen(&self) -> bool {
        self.lock().fallen.is_some()
    }

    /// The same, with its cause, once.
    pub(crate) fn take_fall(&self) -> Option<(&Arc<Certificate>, Cause)> {
        let mut present = self.lock();
        let Some(Fall::Untold(cause)) = present.fallen else {
            return None;
        };
        present.fallen = Some(Fall::Told);
        Some((self.examination.presented()?.certificate(), cause))
    }

    /// Whether the last verdict was good.
    pub(crate) fn is_good(&self) -> bool {
        self.lock().verdict.is_ok()
    }

    /// The moment after which the present verdict says nothing.
    pub(crate) fn valid_until(&self, now: Timestamp) -> Option<Timestamp> {
        let present = self.lock();
        let identity = present.verdict.as_ref().ok()?;
        Some(present.snapshot.rules().valid_until(identity, now))
    }

    /// What is in force, as far as this connection has seen it.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lock().snapshot)
    }

    /// One atomic load and two comparisons where nothing has changed.
    fn judge(&self, present: &mut Present, now: Timestamp) {
        // Without its writer nothing changes any more.
        if present.live.has_changed().unwrap_or(false) {
            present.snapshot = Arc::clone(&present.live.borrow_and_update());
        } else if let Ok(identity) = &present.verdict
            && present.snapshot.still_holds(identity, now)
        {
            return;
        }
        if let Some(presented) = self.examination.presented() {
            let verdict = present.snapshot.judge(presented, now);
            present.fallen = match (&present.verdict, &verdict) {
                (_, Ok(_)) => None,
                (Ok(_), Err(refusal)) if refusal.cause != Cause::CrlUnusable => {
                    Some(Fall::Untold(refusal.cause))
                }
                (_, Err(_)) => present.fallen,
            };
            present.verdict = verdict;
            present.client = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
