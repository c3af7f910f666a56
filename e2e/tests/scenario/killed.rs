//! Power cuts on both machines while certificates are being revoked: what was reported as revoked is
//! refused, whatever was running when the power went, and no CRL number ever goes back.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use orca_e2e::gateway::Conf;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::site::Site;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;

use crate::crowd::{Dice, duration, run_until};

const REVOCATIONS: usize = 200;

struct Clinic {
    conf: Conf,
    /// Running, except for a moment.
    gateway: Option<Gateway>,
    /// The highest number it was ever seen to use.
    number: u64,
}

impl Clinic {
    fn gateway(&self) -> anyhow::Result<&Gateway> {
        self.gateway.as_ref().context("a running gateway")
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        let mut gateway = self.gateway.take().context("a running gateway")?;
        gateway.process.kill()?;
        Ok(())
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.gateway = Some(self.conf.start()?);
        self.number_is_no_lower()
    }

    fn number_is_no_lower(&mut self) -> anyhow::Result<()> {
        let status = self.gateway()?.status("/status")?.json()?;
        let number = status["authorities"][0]["crl"]["number"]
            .as_str()
            .context("a number")?;
        let number: u64 = number.parse()?;
        assert!(number >= self.number, "{number} after {}", self.number);
        self.number = number;
        Ok(())
    }

    fn refuses(&self, kit: &Kit) -> anyhow::Result<()> {
        let gateway = self.gateway()?;
        let client = TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(kit)?))?;
        wait::until("the refusal of a revoked certificate", || {
            let page = client.get(gateway.address, "/").response().ok()?;
            (page.status == 403 && page.text().contains("E-104")).then_some(())
        })
    }
}

#[test]
fn kills_of_both_programs_lose_no_revocation() -> anyhow::Result<()> {
    let site = Site::new()?;
    let kits: Vec<Kit> = thread::scope(|scope| {
        let issues: Vec<_> = (0..REVOCATIONS)
            .map(|number| {
                let site = &site;
                scope.spawn(move || site.client(&format!("user{number}")))
            })
            .collect();
        let finished = issues.into_iter().map(|issue| {
            let joined = issue.join();
            joined.map_err(|_| anyhow::anyhow!("a call panicked"))?
        });
        finished.collect::<anyhow::Result<_>>()
    })?;
    let mut clinic = Clinic {
        conf: site.conf()?,
        gateway: None,
        number: 0,
    };
    let watched = site.conf_dir().join("ca.crl");
    site.ca.publish_to(&[watched.display()])?;
    clinic.start()?;

    // The quickest of several: the machine may be busy with other tests just now.
    let mut usual = Duration::MAX;
    for _ in 0..5 {
        usual = usual.min(duration(|| site.ca.done("issue_crl"))?);
    }
    let mut dice = Dice(0xdead_9e7d);
    let mut reported = BTreeMap::new();
    for (turn, kit) in kits.iter().enumerate() {
        let cut = match turn % 3 {
            0 => dice.within(usual),
            _ => Duration::from_secs(60),
        };
        let number = kit.number();
        let words = ["revoke_cert", number];
        let done = if turn % 4 == 0 {
            let after = dice.within(usual);
            thread::scope(|scope| {
                let revocation = scope.spawn(|| run_until(&site.ca, &words, cut));
                passes(after)?;
                clinic.kill()?;
                let done = revocation.join();
                done.map_err(|_| anyhow::anyhow!("the call panicked"))?
            })?
        } else {
            run_until(&site.ca, &words, cut)?
        };
        if clinic.gateway.is_none() {
            clinic.start()?;
        }
        if done.is_some() {
            clinic.refuses(kit)?;
            reported.insert(number, kit);
        }
        clinic.number_is_no_lower()?;
    }
    let cut = REVOCATIONS - reported.len();
    assert!(cut > 0, "no revocation was cut off");
    clinic.kill()?;
    clinic.start()?;
    for kit in reported.values() {
        clinic.refuses(kit)?;
    }
    Ok(())
}

/// Waits for a moment that the dice have chosen.
fn passes(time: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    wait::until("a chosen moment", || (Instant::now() >= end).then_some(()))
}
