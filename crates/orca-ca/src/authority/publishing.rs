//! What the authority does so that everybody has a CRL that is new enough.

use jiff::Timestamp;
use orca_messages::Localize as _;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber};
use orca_pki::serial::SerialNumber;
use orca_pki::validity::{DAY, ValidityState, shift};

use super::{Authority, CrlAge, CrlIssue, crl_period, crl_signer};
use crate::delivery;
use crate::error::{Error, PublishFailure};
use crate::publication::{self, Audience, Effort, Office, PlaceReport};
use crate::record::AuditEvent;
use crate::store::{CrlFacts, Store as _};

impl Authority {
    /// The newest CRL of the register.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn newest_crl(&self) -> Result<Option<CertificateRevocationList>, Error> {
        self.store.newest_crl(&self.site)
    }

    /// Signs a CRL one number higher and publishes it; where the newest is young enough, only sees
    /// to it that all places have that.
    ///
    /// # Errors
    /// The CRL could not be made, or [`Error::CrlNotPublished`].
    pub fn issue_crl(
        &mut self,
        days: Option<u32>,
        age: CrlAge,
        now: Timestamp,
    ) -> Result<CrlIssue, Error> {
        if let CrlAge::OlderThan(seconds) = age
            && let Some(newest) = self.store.newest_crl(&self.site)?
            && age_at(CrlFacts::from(&newest), now).is_some_and(|age| age <= seconds)
            && !is_due(CrlFacts::from(&newest), now)
        {
            self.publish(&newest, Vec::new(), now)?;
            return Ok(CrlIssue::Kept(newest));
        }
        let crl = self.sign_crl(AuditEvent::CrlIssued, days, now)?;
        self.publish(&crl, Vec::new(), now)?;
        Ok(CrlIssue::Made(crl))
    }

    /// Makes a new CRL where the newest has lived half its life, so that none ever lapses; its
    /// number, where one was made. Gateways are tried briefly; [`Self::laggards`] tells who has not
    /// got it.
    ///
    /// # Errors
    /// The CRL could not be made, or a file of it not written.
    pub fn renew_crl(&mut self, now: Timestamp) -> Result<Option<CrlNumber>, Error> {
        let newest = self.store.newest_crl_facts(&self.site)?;
        // Before the CA's time the clock is wrong, after it no list can help.
        if self.ca.validity().state(now) != ValidityState::Valid
            || newest.is_some_and(|newest| !is_due(newest, now))
        {
            return Ok(None);
        }
        let crl = self.sign_crl(AuditEvent::CrlRenewed, None, now)?;
        self.remind_laggards(now)?;
        let (office, store) = self.desk();
        let written = publication::publish(office, store, Some(&crl), now)?;
        told(written, Vec::new())?;
        Ok(Some(crl.number))
    }

    /// Puts the newest CRL in all places again, whatever the register says they have; how it
    /// stands there afterwards.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn publish_crl(
        &mut self,
        now: Timestamp,
    ) -> Result<(Vec<PlaceReport>, Vec<PublishFailure>), Error> {
        let failures = self.send_out(None, Audience::Everybody, now);
        Ok((publication::survey(self.office(), &self.store)?, failures))
    }

    /// Gateways that have not got the newest CRL, by what the register remembers; none is asked.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn laggards(&self) -> Result<Vec<PlaceReport>, Error> {
        let mut places = publication::survey_gateways(self.office(), &self.store)?;
        places.retain(|place| !place.current);
        Ok(places)
    }

    /// Tries gateways that have not got the newest CRL, once and briefly; who still has not.
    ///
    /// # Errors
    /// The register cannot be read or written.
    pub fn remind_laggards(&mut self, now: Timestamp) -> Result<Vec<PlaceReport>, Error> {
        let (office, store) = self.desk();
        publication::send(office, store, Audience::Laggards, Effort::Brief, now)?;
        self.laggards()
    }

    /// Mends what killed commands left: removes their drafts, and brings CRL files up that lag
    /// behind the register.
    ///
    /// # Errors
    /// A CRL file cannot be written.
    pub fn mend(&mut self, now: Timestamp) -> Result<(), Error> {
        delivery::sweep(&self.config.certs_dir, now);
        if !publication::lags(&self.config, &self.store, &self.site)? {
            return Ok(());
        }
        let (office, store) = self.desk();
        let written = publication::publish(office, store, None, now)?;
        told(written, Vec::new())
    }

    pub(super) fn publish(
        &mut self,
        crl: &CertificateRevocationList,
        revoked: Vec<SerialNumber>,
        now: Timestamp,
    ) -> Result<(), Error> {
        told(self.send_out(Some(crl), Audience::Laggards, now), revoked)
    }

    /// Files first: they take no time. What is revoked stays revoked, whatever happens here, so
    /// that every trouble is one of publication.
    fn send_out(
        &mut self,
        at_hand: Option<&CertificateRevocationList>,
        audience: Audience,
        now: Timestamp,
    ) -> Vec<PublishFailure> {
        let (office, store) = self.desk();
        let written = publication::publish(office, store, at_hand, now);
        let sent = publication::send(office, store, audience, Effort::Full, now);
        let target = self.place.folder().display().to_string();
        let failures = [written, sent].into_iter().map(|result| {
            result.unwrap_or_else(|error| {
                vec![PublishFailure {
                    target: target.clone(),
                    cause: error.message(),
                }]
            })
        });
        failures.flatten().collect()
    }

    fn sign_crl(
        &mut self,
        event: AuditEvent,
        days: Option<u32>,
        now: Timestamp,
    ) -> Result<CertificateRevocationList, Error> {
        let ca_key = self.custody.ca_key(&self.ca)?;
        let period = crl_period(&self.ca, days.unwrap_or(self.config.crl_validity), now)?;
        let mut sign = crl_signer(&self.ca, &ca_key, period);
        let floor = self.drop_expired_before(now)?;
        self.store
            .issue_crl(&self.site, event, now, floor, &mut sign)
    }

    /// Expired entries stay for one CRL period more, counted from the list before: a clock that is
    /// wrong once must not make a revoked certificate good again.
    pub(super) fn drop_expired_before(&self, now: Timestamp) -> Result<Timestamp, Error> {
        let newest = self.store.newest_crl_facts(&self.site)?;
        let trusted = newest.map_or(now, |crl| crl.this_update.min(now));
        Ok(shift(trusted, -i64::from(self.config.crl_validity) * DAY))
    }

    fn office(&self) -> Office<'_> {
        Office {
            place: &self.place,
            config: &self.config,
            site: &self.site,
            ca: &self.ca,
        }
    }

    /// The same, and the register to write in.
    fn desk(&mut self) -> (Office<'_>, &mut crate::store::SqliteStore) {
        let office = Office {
            place: &self.place,
            config: &self.config,
            site: &self.site,
            ca: &self.ca,
        };
        (office, &mut self.store)
    }
}

fn told(failures: Vec<PublishFailure>, revoked: Vec<SerialNumber>) -> Result<(), Error> {
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Error::CrlNotPublished { failures, revoked }),
    }
}

/// Seconds since a list was made; none for one that is dated more than a day ahead, which was made
/// under a wrong clock and is no reason to wait.
fn age_at(crl: CrlFacts, now: Timestamp) -> Option<i64> {
    let age = now.as_second() - crl.this_update.as_second();
    (age >= -DAY).then_some(age)
}

/// Whether a list has lived half its life.
fn is_due(crl: CrlFacts, now: Timestamp) -> bool {
    let life = crl.next_update.as_second() - crl.this_update.as_second();
    age_at(crl, now).is_none_or(|age| age > life / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_due_when_half_its_life_is_over() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let crl = CrlFacts {
            number: CrlNumber(1),
            this_update: start,
            next_update: shift(start, 100 * DAY),
        };
        for (seconds, due) in [
            (0, false),
            (50 * DAY, false),
            (50 * DAY + 1, true),
            (200 * DAY, true),
            (-DAY, false),
            (-DAY - 1, true),
        ] {
            assert_eq!(is_due(crl, shift(start, seconds)), due, "{seconds}");
        }
    }
}
