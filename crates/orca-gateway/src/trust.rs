//! What the gateway believes now: authorities and revocation lists, as one immutable value.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use orca_pki::certificate::{Certificate, CertificateError, Fingerprint};
use orca_pki::crl::{Crl, ListNumber};
use orca_pki::key::{KeyId, sha256};
use orca_pki::serial::SerialNumber;
use orca_pki::validity::ValidityState;
use orca_pki::verification::{Authorities, RevocationStatus, judge};
use rustls_pki_types::CertificateDer;

use crate::config::CrlUnusable;
use crate::identity::{ClientIdentity, Refusal};

/// Verdicts kept at most; one clinic has some hundreds of clients.
const MAX_VERDICTS: usize = 4096;

/// What a client showed and holds the key of.
#[derive(Debug)]
pub(crate) struct Presented {
    certificate: Arc<Certificate>,
    intermediates: Vec<CertificateDer<'static>>,
    key: VerdictKey,
}

impl Presented {
    /// The client's own certificate.
    pub(crate) fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }
}

/// Authorities, their newest revocation lists, and what to do without one. Immutable: a change is a
/// new snapshot.
#[derive(Debug)]
pub(crate) struct TrustSnapshot {
    authorities: Authorities,
    crls: HashMap<KeyId, Arc<Crl>>,
    unusable: CrlUnusable,
    verdicts: Mutex<HashMap<VerdictKey, Arc<ClientIdentity>>>,
}

type VerdictKey = (Fingerprint, [u8; 32]);

impl TrustSnapshot {
    /// Of authorities and the newest list of each key.
    pub(crate) fn new(
        authorities: Authorities,
        crls: HashMap<KeyId, Arc<Crl>>,
        unusable: CrlUnusable,
    ) -> Self {
        Self {
            authorities,
            crls,
            unusable,
            verdicts: Mutex::default(),
        }
    }

    /// The same authorities with newer lists. Verdicts that these do not touch stay known, so that a
    /// revocation does not make all others be verified again at once.
    pub(crate) fn with_lists(&self, crls: HashMap<KeyId, Arc<Crl>>, now: Timestamp) -> Self {
        let mut next = Self::new(self.authorities.clone(), crls, self.unusable);
        let known = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut verdicts = known.clone();
        drop(known);
        verdicts.retain(|_, identity| {
            identity.issued().iter().all(|(key, serial)| {
                next.revocation(*key, serial, now) == RevocationStatus::NotRevoked
            })
        });
        next.verdicts = Mutex::new(verdicts);
        next
    }

    /// Whose clients are accepted.
    pub(crate) fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// Reads a chain that a client showed. Whoever makes one sees to it that CertificateVerify succeeds.
    /// What has a verdict was read before: the same octets are the same certificate.
    ///
    /// # Errors
    /// The client's own certificate cannot be read.
    pub(crate) fn read(
        &self,
        end_entity: &[u8],
        intermediates: Vec<CertificateDer<'static>>,
    ) -> Result<Presented, CertificateError> {
        let mut above = Vec::new();
        for der in &intermediates {
            above.extend_from_slice(&sha256(der));
        }
        let key = (Fingerprint(sha256(end_entity)), sha256(&above));
        let certificate = match self.remembered(&key) {
            Some(identity) => Arc::clone(identity.certificate()),
            None => Arc::new(Certificate::from_der(end_entity)?),
        };
        Ok(Presented {
            certificate,
            intermediates,
            key,
        })
    }

    /// Who the client is, or why it is nobody.
    ///
    /// Only the verdict "valid" is remembered, and only in this snapshot.
    ///
    /// # Errors
    /// The first cause that holds.
    pub(crate) fn judge(
        &self,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<Arc<ClientIdentity>, Refusal> {
        if let Some(identity) = self.remembered(&presented.key)
            && self.still_holds(&identity, now)
        {
            return Ok(identity);
        }
        let verdict = judge(
            &presented.certificate,
            &presented.intermediates,
            &self.authorities,
            now,
            |key, serial| self.revocation(key, serial, now),
        );
        match verdict {
            Ok(verified) => {
                let identity = Arc::new(ClientIdentity::from(verified));
                self.remember(presented.key, &identity);
                Ok(identity)
            }
            Err(rejection) => Err(Refusal::rejected(
                &rejection,
                Arc::clone(&presented.certificate),
            )),
        }
    }

    /// Whether a verdict of this very snapshot holds at a later moment: only dates can undo it.
    pub(crate) fn still_holds(&self, identity: &ClientIdentity, now: Timestamp) -> bool {
        identity.validity().state(now) == ValidityState::Valid
            && match self.unusable {
                CrlUnusable::Warn => true,
                CrlUnusable::Refuse => identity
                    .issued()
                    .iter()
                    .all(|(key, _)| self.crls.get(key).is_some_and(|crl| !crl.is_overdue(now))),
            }
    }

    /// Number of the list in force of an authority.
    pub(crate) fn list_number(&self, authority: KeyId) -> Option<ListNumber> {
        self.crls.get(&authority).map(|crl| crl.number())
    }

    /// The list of every authority, as far as there is one.
    pub(crate) fn crl_reports(&self, now: Timestamp) -> Vec<CrlReport> {
        self.authorities
            .iter()
            .map(|authority| {
                let crl = self.crls.get(&authority.key_id()).cloned();
                CrlReport::new(Arc::clone(authority), crl, now)
            })
            .collect()
    }

    /// When a certificate was revoked, if the newest list of its issuer says so.
    pub(crate) fn revoked_at(&self, issuer: KeyId, serial: &SerialNumber) -> Option<Timestamp> {
        self.crls.get(&issuer)?.revoked_at(serial)
    }

    /// The entries of an overdue list revoke all the same.
    fn revocation(&self, issuer: KeyId, serial: &SerialNumber, now: Timestamp) -> RevocationStatus {
        let crl = self.crls.get(&issuer);
        if let Some(at) = crl.and_then(|crl| crl.revoked_at(serial)) {
            return RevocationStatus::Revoked(at);
        }
        let usable = crl.is_some_and(|crl| !crl.is_overdue(now));
        match self.unusable {
            CrlUnusable::Refuse if !usable => RevocationStatus::Unknown,
            CrlUnusable::Refuse | CrlUnusable::Warn => RevocationStatus::NotRevoked,
        }
    }

    fn remembered(&self, key: &VerdictKey) -> Option<Arc<ClientIdentity>> {
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.get(key).cloned()
    }

    fn remember(&self, key: VerdictKey, identity: &Arc<ClientIdentity>) {
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() >= MAX_VERDICTS {
            verdicts.clear();
        }
        verdicts.insert(key, Arc::clone(identity));
    }
}

/// Before its nextUpdate by less than this, a list raises an alarm.
const EXPIRING: SignedDuration = SignedDuration::from_hours(14 * 24);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The revocation list of one authority at one moment.
#[derive(Debug)]
pub(crate) struct CrlReport {
    pub(crate) authority: Arc<Certificate>,
    pub(crate) state: CrlState,
    pub(crate) crl: Option<Arc<Crl>>,
    now: Timestamp,
}

impl CrlReport {
    fn new(authority: Arc<Certificate>, crl: Option<Arc<Crl>>, now: Timestamp) -> Self {
        let state = match &crl {
            None => CrlState::Missing,
            Some(crl) if crl.is_overdue(now) => CrlState::Overdue,
            Some(crl) if crl.next_update().duration_since(now) <= EXPIRING => CrlState::Expiring,
            Some(_) => CrlState::Good,
        };
        Self {
            authority,
            state,
            crl,
            now,
        }
    }

    /// Whole days until nextUpdate, rounded down; negative where it has passed.
    pub(crate) fn days_left(&self) -> Option<i64> {
        let next = self.crl.as_ref()?.next_update();
        Some((next.as_second() - self.now.as_second()).div_euclid(DAY.as_secs()))
    }

    /// Since thisUpdate.
    pub(crate) fn age(&self) -> Option<SignedDuration> {
        Some(self.now.duration_since(self.crl.as_ref()?.this_update()))
    }

    /// Whether a newer one should have come: every run of orca-catool that finds the list older
    /// than half its life makes a new one, and a tenth of its life (a day at least) is time enough.
    pub(crate) fn is_old(&self) -> bool {
        let (Some(crl), Some(age)) = (&self.crl, self.age()) else {
            return false;
        };
        let life = crl.next_update().duration_since(crl.this_update());
        age > life / 2 + (life / 10).max(DAY)
    }
}

/// Whether a revocation list can be relied on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CrlState {
    /// Long before its nextUpdate.
    Good,
    /// Good, but its nextUpdate is near.
    Expiring,
    /// None was ever read.
    Missing,
    /// Past its nextUpdate.
    Overdue,
}

impl CrlState {
    /// The word in status and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Expiring => "expiring",
            Self::Good => "good",
            Self::Missing => "missing",
            Self::Overdue => "overdue",
        }
    }

    /// Whether a serial that is not on the list is known not to be revoked.
    pub(crate) fn is_usable(self) -> bool {
        matches!(self, Self::Good | Self::Expiring)
    }
}
