//! Who writes the audit trail, and the key that signs it.

use std::cell::OnceCell;
use std::fmt;

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use orca_pki::key::KeyPair;

use crate::actor::Actor;
use crate::custody::Custody;
use crate::record::Site;
use crate::trail::{ChainHash, SignedHead};

/// Writes rows of the trail in somebody's name and signs the last.
#[derive(Debug)]
pub struct Scribe {
    /// In whose name.
    pub actor: Actor,
    seal: Option<Seal>,
}

struct Seal {
    custody: Custody,
    ca: Certificate,
    /// Loaded when the first row is written; none where the CA's key cannot be used.
    key: OnceCell<Option<KeyPair>>,
}

impl Scribe {
    /// One who cannot sign.
    pub fn without_seal(actor: Actor) -> Self {
        Self { actor, seal: None }
    }

    /// One who signs with the key of a CA.
    pub fn new(actor: Actor, custody: Custody, ca: Certificate) -> Self {
        let key = OnceCell::new();
        let seal = Some(Seal { custody, ca, key });
        Self { actor, seal }
    }

    /// Signs the head of the trail. None where the key cannot be used: whatever is done then needs
    /// no key, and the trail will tell that nobody signed it.
    pub(crate) fn sign(
        &self,
        site: &Site,
        sequence: i64,
        hash: &ChainHash,
        now: Timestamp,
    ) -> Option<SignedHead> {
        let at = now.as_second();
        let message = SignedHead::message(site, sequence, at, hash.octets());
        let signature = self.seal.as_ref()?.key()?.sign(&message).ok()?;
        Some(SignedHead {
            sequence,
            at,
            hash: hash.octets().to_vec(),
            signature,
        })
    }

    /// Whether a head is the CA's. Without a key there is nobody to say no.
    pub(crate) fn accepts(&self, head: &SignedHead, site: &Site) -> bool {
        let seal = self.seal.as_ref();
        seal.is_none_or(|seal| head.is_signed_by(&seal.ca, site))
    }

    /// Whether [`Self::sign`] can work.
    pub(crate) fn can_sign(&self) -> bool {
        self.seal.as_ref().is_some_and(|seal| seal.key().is_some())
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    fn key(&self) -> Option<&KeyPair> {
        self.key
            .get_or_init(|| self.custody.ca_key(&self.ca).ok())
            .as_ref()
    }
}
