//! Putting the newest CRL where readers look for it: files here, gateways elsewhere.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use orca_pki::certificate::Certificate;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber};

use crate::config::{Config, PublishTarget};
use crate::delivery;
use crate::error::{Error, PublishFailure, io_message};
use crate::place::{PUBLISH_LOCK, Place};
use crate::record::{AuditEvent, DeliveryRecord, Site};
use crate::store::{Change, CrlFacts, Store};

mod address;
mod courier;
mod failure;
mod push;

pub use address::{GatewayAddress, NoGatewayAddress};
pub use courier::Effort;
pub use failure::PushFailure;

use courier::Deadline;
use push::Parcel;

/// Mode of a published CRL: it is public, the gateway reads it as another user.
const MODE: u32 = 0o644;
/// Octets that are compared at a time.
const PIECE: usize = 64 << 10;
/// How often a list that became old on its way is followed by the newer one.
const ROUNDS: usize = 5;

/// Which gateways a CRL is sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// All of them, whatever the register says they have.
    Everybody,
    /// Those that have not got it yet.
    Laggards,
}

/// What publication works with.
#[derive(Clone, Copy, Debug)]
pub struct Office<'a> {
    /// Where the CA lives.
    pub place: &'a Place,
    /// Where its CRL goes.
    pub config: &'a Config,
    /// Whose CRL it is.
    pub site: &'a Site,
    /// Who signed it.
    pub ca: &'a Certificate,
}

/// `ca.crl` in the folder of the zips.
pub fn main_file(config: &Config) -> PathBuf {
    config.certs_dir.join("ca.crl")
}

/// Brings every file up to the newest CRL of the register. Under a lock, and reading the register
/// after the lock is held: whoever comes last writes the newest. A list at hand spares reading it
/// again, where it is still the newest.
///
/// # Errors
/// The register cannot be read. A place that cannot be written is no error here but a
/// [`PublishFailure`].
pub fn publish(
    office: Office<'_>,
    store: &mut impl Store,
    at_hand: Option<&CertificateRevocationList>,
    now: Timestamp,
) -> Result<Vec<PublishFailure>, Error> {
    let Office { place, config, .. } = office;
    let _lock = lock(place)?;
    let newest = store.newest_crl_facts(office.site)?;
    let read;
    let crl = match at_hand.filter(|crl| newest == Some(CrlFacts::from(*crl))) {
        Some(crl) => crl,
        None => match store.newest_crl(office.site)? {
            Some(crl) => {
                read = crl;
                &read
            }
            None => return Ok(Vec::new()),
        },
    };
    let pem = crl.to_pem();
    if let Err(error) = delivery::make_folder(&config.certs_dir, place.owner) {
        return Ok(vec![failure(&config.certs_dir, &error)]);
    }
    let mut failures = Vec::new();
    for path in files(config) {
        match bring_up(place, &path, &pem) {
            Ok(BroughtUp::Already) => {}
            Ok(BroughtUp::Now) => tell_written(office, store, &path, crl.number, now)?,
            Err(failure) => {
                tell_failed(office, store, &failure, now)?;
                failures.push(failure);
            }
        }
    }
    Ok(failures)
}

fn tell_written(
    office: Office<'_>,
    store: &mut impl Store,
    path: &Path,
    number: CrlNumber,
    now: Timestamp,
) -> Result<(), Error> {
    let detail = format!("{}: number {number}", path.display());
    let event = AuditEvent::Published;
    store.audit(office.site, now, event, None, Some(&detail))
}

/// The same trouble is told once, not by every run.
fn tell_failed(
    office: Office<'_>,
    store: &mut impl Store,
    failure: &PublishFailure,
    now: Timestamp,
) -> Result<(), Error> {
    let change = Change {
        event: AuditEvent::NotPublished,
        opposite: AuditEvent::Published,
        subject: &format!("{}: ", failure.target),
        detail: &format!("{}: {}", failure.target, failure.cause.en),
    };
    store.audit_change(office.site, now, change)
}

/// Sends the newest CRL of the register to gateways and writes down what came of it. Without a
/// lock: a gateway that hangs keeps no other command waiting, and none takes a lower number.
///
/// # Errors
/// The register cannot be read or written. A gateway that does not take it is no error here but a
/// [`PublishFailure`].
pub fn send(
    office: Office<'_>,
    store: &mut impl Store,
    audience: Audience,
    effort: Effort,
    now: Timestamp,
) -> Result<Vec<PublishFailure>, Error> {
    let mut failures = Vec::new();
    let deadline = effort.begin();
    for round in 0..ROUNDS {
        let Some(newest) = store.newest_crl_facts(office.site)? else {
            break;
        };
        let audience = if round == 0 {
            audience
        } else {
            Audience::Laggards
        };
        let gateways = audience.of(
            office.config,
            &store.deliveries(office.site)?,
            newest.number,
        );
        if gateways.is_empty() {
            break;
        }
        let Some(crl) = store.newest_crl(office.site)? else {
            break;
        };
        failures = round_of(office, store, &crl, &gateways, deadline, now)?;
        // Another command may have made a newer one meanwhile, and met the same gateways.
        let newest = store.newest_crl_facts(office.site)?;
        if newest.is_none_or(|newest| newest.number == crl.number) || deadline.is_over() {
            break;
        }
    }
    Ok(failures)
}

fn round_of(
    office: Office<'_>,
    store: &mut impl Store,
    crl: &CertificateRevocationList,
    gateways: &[GatewayAddress],
    deadline: Deadline,
    now: Timestamp,
) -> Result<Vec<PublishFailure>, Error> {
    let results = match Parcel::new(office.ca, crl, now) {
        Ok(parcel) => courier::deliver(gateways, parcel, deadline),
        Err(failure) => vec![Err(failure); gateways.len()],
    };
    let mut failures = Vec::new();
    for (gateway, result) in gateways.iter().zip(results) {
        let target = gateway.to_string();
        match result {
            Ok(()) => store.delivered(office.site, &target, crl.number, now)?,
            Err(failure) => {
                store.not_delivered(office.site, &target, &failure.to_record(), now)?;
                let cause = failure.text();
                failures.push(PublishFailure { target, cause });
            }
        }
    }
    Ok(failures)
}

impl Audience {
    fn of(
        self,
        config: &Config,
        records: &[DeliveryRecord],
        newest: CrlNumber,
    ) -> Vec<GatewayAddress> {
        let all = gateways(config).into_iter();
        match self {
            Self::Everybody => all.collect(),
            Self::Laggards => all
                .filter(|gateway| !has(records, gateway, newest))
                .collect(),
        }
    }
}

/// Whether it took this list and nothing went wrong since.
fn has(records: &[DeliveryRecord], gateway: &GatewayAddress, newest: CrlNumber) -> bool {
    let name = gateway.to_string();
    let record = records.iter().find(|record| record.gateway == name);
    record.is_some_and(|record| {
        record.failure.is_none() && record.number.is_some_and(|(number, _)| number >= newest)
    })
}

/// One place of a CRL and how it stands there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlaceReport {
    /// File or address.
    pub place: String,
    /// What it is.
    pub kind: PlaceKind,
    /// The number it has, where that is known.
    pub number: Option<u64>,
    /// Since when a gateway has it.
    pub since: Option<Timestamp>,
    /// Whether that is the newest.
    pub current: bool,
    /// Why a gateway has not got the newest.
    pub failure: Option<PushFailure>,
}

/// Kind of a place of a CRL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlaceKind {
    /// A file on this machine.
    File,
    /// A gateway.
    Gateway,
}

/// How the newest CRL stands in all places: files are looked at, of gateways the register tells.
///
/// # Errors
/// The register cannot be read.
pub fn survey(office: Office<'_>, store: &impl Store) -> Result<Vec<PlaceReport>, Error> {
    let Some(newest) = store.newest_crl(office.site)? else {
        return Ok(Vec::new());
    };
    let pem = newest.to_pem();
    let files = files(office.config).into_iter().map(|path| PlaceReport {
        number: number_in(&path, office.ca),
        current: is_current(&path, &pem),
        place: path.display().to_string(),
        kind: PlaceKind::File,
        since: None,
        failure: None,
    });
    let gateways = survey_gateways(office, store)?;
    Ok(files.chain(gateways).collect())
}

/// How the newest CRL stands on gateways, as far as the register knows.
///
/// # Errors
/// The register cannot be read.
pub fn survey_gateways(office: Office<'_>, store: &impl Store) -> Result<Vec<PlaceReport>, Error> {
    let gateways = gateways(office.config);
    if gateways.is_empty() {
        return Ok(Vec::new());
    }
    let Some(newest) = store.newest_crl_facts(office.site)? else {
        return Ok(Vec::new());
    };
    let records = store.deliveries(office.site)?;
    let reports = gateways.into_iter().map(|gateway| {
        let place = gateway.to_string();
        let current = has(&records, &gateway, newest.number);
        let record = records.iter().find(|record| record.gateway == place);
        let number = record.and_then(|record| record.number);
        let failure = record.and_then(|record| record.failure.as_deref());
        PlaceReport {
            place,
            kind: PlaceKind::Gateway,
            number: number.map(|(number, _)| number.0),
            since: number.map(|(_, at)| at),
            current,
            failure: failure.map(PushFailure::from_record),
        }
    });
    Ok(reports.collect())
}

fn number_in(path: &Path, ca: &Certificate) -> Option<u64> {
    let file = fs::read(path).ok()?;
    let list = orca_pki::crl::split(&file).ok()?.into_iter().next()?;
    let list = orca_pki::crl::UnverifiedCrl::from_der(&list).ok()?;
    list.verify([ca]).ok()?.number().to_string().parse().ok()
}

/// Every file the CRL goes to, the one beside the zips first.
fn files(config: &Config) -> Vec<PathBuf> {
    let others = config.crl_publish.iter().filter_map(|target| match target {
        PublishTarget::File(path) => Some(path.clone()),
        PublishTarget::Gateway(_) => None,
    });
    std::iter::once(main_file(config)).chain(others).collect()
}

/// Every gateway once.
fn gateways(config: &Config) -> Vec<GatewayAddress> {
    let mut gateways = Vec::new();
    for target in &config.crl_publish {
        if let PublishTarget::Gateway(address) = target
            && !gateways.contains(address)
        {
            gateways.push(address.clone());
        }
    }
    gateways
}

/// Whether some file is missing or older than the register: the sign of a command that was killed.
///
/// # Errors
/// The register cannot be read.
pub fn lags(config: &Config, store: &impl Store, site: &Site) -> Result<bool, Error> {
    let Some(crl) = store.newest_crl(site)? else {
        return Ok(false);
    };
    let pem = crl.to_pem();
    Ok(files(config).iter().any(|path| !is_current(path, &pem)))
}

fn is_current(path: &Path, pem: &str) -> bool {
    has_content(path, pem.as_bytes()).unwrap_or(false)
}

/// Compares piece by piece: a long list is not held twice.
fn has_content(path: &Path, expected: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != expected.len() as u64 {
        return Ok(false);
    }
    let mut rest = expected;
    let mut piece = vec![0; PIECE.min(expected.len() + 1)];
    loop {
        let length = file.read(&mut piece)?;
        match rest.split_at_checked(length) {
            Some((_, behind)) if length == 0 => return Ok(behind.is_empty()),
            Some((front, behind)) if front == &piece[..length] => rest = behind,
            _ => return Ok(false),
        }
    }
}

/// What had to be done for a file.
enum BroughtUp {
    Already,
    Now,
}

fn bring_up(place: &Place, path: &Path, pem: &str) -> Result<BroughtUp, PublishFailure> {
    if is_current(path, pem) {
        return Ok(BroughtUp::Already);
    }
    delivery::replace(path, pem.as_bytes(), MODE, place.owner)
        .map(|()| BroughtUp::Now)
        .map_err(|error| failure(path, &error))
}

fn failure(path: &Path, error: &Error) -> PublishFailure {
    use orca_messages::Localize as _;
    let cause = match error {
        Error::Io { path, source } => io_message(path, source),
        other => other.message(),
    };
    PublishFailure {
        target: path.display().to_string(),
        cause,
    }
}

fn lock(place: &Place) -> Result<File, Error> {
    let path = place.beside(PUBLISH_LOCK);
    let failed = |source| Error::Io {
        path: path.clone(),
        source,
    };
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    delivery::give_to(&path, place.owner)?;
    file.lock().map_err(failed)?;
    Ok(file)
}
