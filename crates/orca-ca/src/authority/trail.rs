//! What the authority does for and with its audit trail.

use std::fs;

use jiff::Timestamp;
use orca_pki::certificate::Fingerprint;
use orca_pki::key::sha256;

use super::Authority;
use crate::error::Error;
use crate::record::AuditEvent;
use crate::store::{Change, Store as _};
use crate::trail::anchors::Anchors;
use crate::trail::verify::{Verdict, verify};
use crate::trail::{Head, TrailId, TrailRow};

impl Authority {
    /// Writes down that `config.yml` is another one than at the run before. A register that can
    /// only be read stays as it is.
    ///
    /// # Errors
    /// The configuration or the register cannot be read.
    pub fn note_configuration(&mut self, now: Timestamp) -> Result<(), Error> {
        let path = &self.place.config;
        let content = fs::read(path).map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })?;
        let change = Change {
            event: AuditEvent::ConfigChanged,
            opposite: AuditEvent::ConfigChanged,
            subject: "",
            detail: &Fingerprint(sha256(&content)).to_string(),
        };
        match self.store.audit_change(&self.site, now, change) {
            Err(Error::Io { .. }) => Ok(()),
            other => other,
        }
    }

    /// All rows of the audit trail.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn trail(&self) -> Result<Vec<TrailRow>, Error> {
        Ok(self.store.trail(&self.site)?.rows)
    }

    /// Whether the audit trail is as it was written. Needs no key.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn verify_trail(&self, anchors: &Anchors) -> Result<Verdict, Error> {
        let trail = self.store.trail(&self.site)?;
        Ok(verify(&trail, &self.site, &self.ca, anchors))
    }

    /// The name of its trail in anchors.
    pub fn trail_id(&self) -> TrailId {
        TrailId::of(&self.ca)
    }

    /// How far the trail has come by what was done here; none where nothing was written.
    pub fn trail_head(&self) -> Option<Head> {
        let (sequence, hash) = self.store.written()?;
        let id = self.trail_id();
        Some(Head { id, sequence, hash })
    }
}
