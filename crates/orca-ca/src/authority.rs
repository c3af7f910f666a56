//! The authority. Each flow is told here, in one function, from beginning to end.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use orca_pki::bundle::{BaseName, Bundle};
use orca_pki::certificate::Certificate;
use orca_pki::issuance::{IssuanceError, IssuanceRequest, Realm, prepare};
use orca_pki::key::KeyPair;
use orca_pki::lint::{self, Refused};
use orca_pki::name::CommonName;
use orca_pki::pkcs12::Pkcs12Profile;
use orca_pki::profile::CertificateProfile;
use orca_pki::revocation::{CertificateRevocationList, CrlNumber, CrlWriter, RevocationReason};
use orca_pki::serial::SerialNumber;
use orca_pki::validity::{DAY, shift};

use crate::config::{self, Config};
use crate::custody::{Custody, SealContext, random};
use crate::delivery::{self, Draft, Existing};
use crate::error::Error;
use crate::place::{CA_KEY, CONFIG, Place, REGISTER, SEALING_KEY, Standing};
use crate::record::{
    AuditEvent, CertificateRecord, CertificateStatus, ListedCertificate, Reservation, Site,
    Standing as RecordStanding,
};
use crate::scribe::Scribe;
use crate::store::{Columns, RevocationOrder, Scope, SqliteStore, Store};

mod order;
mod publishing;
mod trail;

pub use order::{
    CA_DAYS, CrlAge, CrlIssue, Delivery, InitOrder, IssueOrder, Issued, Revoked, Selection, Several,
};

/// A CA that is open for work.
#[derive(Debug)]
pub struct Authority {
    place: Place,
    config: Config,
    site: Site,
    custody: Custody,
    store: SqliteStore,
    ca: Certificate,
}

impl Authority {
    /// Makes a CA: key, certificate, register, configuration, empty CRL. Everything is built in a
    /// folder of its own and moved into place at the end, so that a kill leaves nothing half-made.
    ///
    /// # Errors
    /// One stands there already, or the files cannot be written.
    pub fn init(place: Place, order: InitOrder, now: Timestamp) -> Result<Self, Error> {
        if place.standing()? == Standing::Authority {
            return Err(Error::CaExists {
                config: place.config,
            });
        }
        let realm = Realm {
            country: Config::defaults(&place).realm.country,
            organization: order.organization,
        };
        let ca_name = match order.ca_name {
            Some(name) => name,
            None => CommonName::numbered_ca(random_number()?),
        };
        let key = KeyPair::generate(order.key)?;
        let request =
            IssuanceRequest::root(&realm, ca_name, order.constraints, order.days, order.key)
                .map_err(IssuanceError::from)?;
        let serial = SerialNumber::one();
        let prepared = prepare(&request, &serial, None, &key.public_key_info()?, now)?;
        let ca = prepared.sign(&key)?;
        let defaults = Config::defaults(&place);
        let period = crl_period(&ca, defaults.crl_validity, now)?;
        let crl = CertificateRevocationList::sign(&ca, &key, CrlNumber(1), period, [])?;

        let workplace = staging_place(&place);
        delivery::make_folder(workplace, place.owner)?;
        delivery::sweep_staging(workplace, now);
        let staging = delivery::staging_folder(workplace)?;
        Custody::in_folder(staging.path()).create(&key, place.owner)?;
        delivery::replace(&staging.path().join(REGISTER), b"", 0o600, place.owner)?;
        let mut store = SqliteStore::create(&staging.path().join(REGISTER))?;
        let site = Site::local();
        let custody = Custody::in_folder(staging.path());
        store.employ(Scribe::new(place.actor.clone(), custody, ca.clone()));
        store.enroll(&site, &ca, &crl, now)?;
        drop(store);
        let template = config::template(&realm);
        delivery::replace(
            &staging.path().join(CONFIG),
            template.as_bytes(),
            0o600,
            place.owner,
        )?;
        delivery::give_to(staging.path(), place.owner)?;
        move_into_place(&staging, &place)?;

        let mut authority = Self::open(place)?;
        authority.publish(&crl, Vec::new(), now)?;
        Ok(authority)
    }

    /// Opens the CA of a place. Files of the CRL that lag behind the register are not touched
    /// here, see [`Self::mend`].
    ///
    /// # Errors
    /// Configuration, register or keys cannot be used.
    pub fn open(place: Place) -> Result<Self, Error> {
        let config = Config::load(&place)?;
        let custody = Custody::in_folder(place.folder());
        let mut store = SqliteStore::open(&config.database)?;
        let site = Site::local();
        let ca = store
            .authority(&site)?
            .ok_or_else(|| Error::RegisterUnreadable {
                path: config.database.clone(),
                detail: "it holds no CA".to_owned(),
            })?;
        let scribe_custody = Custody::in_folder(place.folder());
        store.employ(Scribe::new(place.actor.clone(), scribe_custody, ca.clone()));
        Ok(Self {
            place,
            config,
            site,
            custody,
            store,
            ca,
        })
    }

    /// Issues a certificate and writes its zip.
    ///
    /// ① reserve a serial and write down what it is for ② prepare and lint ③ sign ④ record the
    /// certificate and its sealed key; then the delivery. A crash after ① leaves a reserved row, a
    /// crash after ④ is repaired by [`Self::export`].
    ///
    /// # Errors
    /// Name, file or policy refuse (nothing is changed), or the delivery failed (the certificate is
    /// issued, and the error says so).
    pub fn issue(&mut self, order: &IssueOrder, now: Timestamp) -> Result<Issued, Error> {
        let request = &order.request;
        lint::check(request, Some(&self.ca), now)?;
        let ca_key = self.custody.ca_key(&self.ca)?;
        let folder = order
            .output
            .clone()
            .unwrap_or_else(|| self.config.certs_dir.clone());
        let draft = self.draft(&folder)?;
        let key = KeyPair::generate(request.key())?;
        let siblings = self.valid_siblings(request, now)?;

        // ①
        let reservation = Reservation {
            profile: request.profile(),
            subject: request.subject().one_line(),
            common_name: request.common_name().to_string(),
            hosts: request.hosts().iter().map(ToString::to_string).collect(),
            holder: order.holder.clone(),
            device: order.device.clone(),
            at: now,
        };
        let serial = self
            .store
            .reserve(&self.site, &reservation, order.names, &mut |serial| {
                let path = folder.join(zip_name(&BaseName::new(serial, request.subject())));
                match path.symlink_metadata() {
                    Ok(_) => Err(Error::FileExists { path }),
                    Err(_) => Ok(()),
                }
            })?;
        // ②
        let public_key_info = key.public_key_info()?;
        let prepared = prepare(request, &serial, Some(&self.ca), &public_key_info, now)?;
        let advice = prepared.advice().to_vec();
        // ③
        let certificate = prepared.sign(&ca_key)?;
        // ④
        let sealed = match self.config.keep_private_keys {
            true => Some(self.custody.seal(&key, self.seal_context(&certificate))?),
            false => None,
        };
        self.store
            .record(&self.site, &certificate, sealed.as_deref(), now)?;

        let zip = self
            .deliver(
                &certificate,
                &key,
                self.config.p12,
                draft,
                Existing::Keep,
                now,
            )
            .map_err(|cause| Error::DeliveryFailed {
                serial: serial.clone(),
                kept: sealed.is_some(),
                cause: Box::new(cause),
            })?;
        Ok(Issued {
            serial,
            zip,
            advice,
            siblings,
        })
    }

    /// Makes the delivery of a certificate again, with a fresh passphrase.
    ///
    /// # Errors
    /// No such certificate, it is revoked, or its key was not kept.
    pub fn export(
        &mut self,
        selection: &Selection,
        profile: Option<Pkcs12Profile>,
        output: Option<PathBuf>,
        now: Timestamp,
    ) -> Result<PathBuf, Error> {
        let (certificate, key) = self.kept(selection, now)?;
        let serial = certificate.serial().clone();
        let folder = output.unwrap_or_else(|| self.config.certs_dir.clone());
        let draft = self.draft(&folder)?;
        self.store.audit(
            &self.site,
            now,
            AuditEvent::Exported,
            Some(&serial),
            Some("export_cert"),
        )?;
        let profile = profile.unwrap_or(self.config.p12);
        self.deliver(&certificate, &key, profile, draft, Existing::Replace, now)
    }

    /// The files of a certificate with a fresh passphrase, for a machine that shall use it.
    ///
    /// # Errors
    /// As [`Self::export`], or the certificate is of the other kind.
    pub fn bundle(
        &mut self,
        selection: &Selection,
        profile: CertificateProfile,
        now: Timestamp,
    ) -> Result<Bundle, Error> {
        let (certificate, key) = self.kept(selection, now)?;
        let serial = certificate.serial().clone();
        if self.find(&serial)?.reservation.profile != profile {
            return Err(Error::WrongProfile { serial, profile });
        }
        let detail = match profile {
            CertificateProfile::Server => "server_kit",
            _ => "api_kit",
        };
        self.store.audit(
            &self.site,
            now,
            AuditEvent::Exported,
            Some(&serial),
            Some(detail),
        )?;
        let p12 = self.config.p12;
        Ok(Bundle::new(&certificate, &key, &self.ca, p12, &mut random)?)
    }

    /// Revokes certificates, all or none, and publishes the CRL that says so.
    ///
    /// # Errors
    /// Nothing was changed; or [`Error::CrlNotPublished`]: they are revoked, and a place did not
    /// get the CRL.
    pub fn revoke(
        &mut self,
        selection: &Selection,
        reason: Option<RevocationReason>,
        now: Timestamp,
    ) -> Result<Revoked, Error> {
        let serials = self.select(selection, now)?;
        let ca_key = self.custody.ca_key(&self.ca)?;
        let order = RevocationOrder {
            serials: serials.clone(),
            reason,
            at: now,
            drop_expired_before: self.drop_expired_before(now)?,
        };
        let period = crl_period(&self.ca, self.config.crl_validity, now)?;
        let crl = self.store.revoke(
            &self.site,
            &order,
            &mut crl_signer(&self.ca, &ca_key, period),
        )?;
        self.publish(&crl, serials.clone(), now)?;
        let delivery = match self.config.crl_publish.is_empty() {
            true => Delivery::Nowhere,
            false => Delivery::Published,
        };
        Ok(Revoked {
            serials,
            crl: crl.number,
            delivery,
        })
    }

    /// Files of this CA that other users of the machine could read.
    pub fn exposed_files(&self) -> Vec<PathBuf> {
        let files = [CA_KEY, SEALING_KEY].map(|name| self.place.beside(name));
        let folder = self.place.folder().to_owned();
        files
            .into_iter()
            .chain([self.config.database.clone(), folder])
            .filter(|path| {
                fs::metadata(path).is_ok_and(|status| status.permissions().mode() & 0o077 != 0)
            })
            .collect()
    }

    /// All rows of the register, with their certificates; [`Self::each`] shows them without.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn list(&self) -> Result<Vec<CertificateRecord>, Error> {
        self.store.all(&self.site)
    }

    /// Shows rows of the register in the order of their serials, one after the other, until the
    /// visitor has enough.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn each(
        &self,
        scope: Scope<'_>,
        columns: Columns,
        visit: &mut dyn FnMut(&ListedCertificate<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.store.each(&self.site, scope, columns, visit)
    }

    /// One row of the register.
    ///
    /// # Errors
    /// There is none of this serial, or the register cannot be read.
    pub fn record(&self, serial: &SerialNumber) -> Result<CertificateRecord, Error> {
        self.find(serial)
    }

    /// Valid client certificates of a name.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn valid_clients(&self, name: &str, now: Timestamp) -> Result<Vec<SerialNumber>, Error> {
        self.valid_named(name, CertificateProfile::Client, now)
    }

    /// The name that the zip of a certificate has, once it is issued.
    ///
    /// # Errors
    /// There is none of this serial, or the register cannot be read.
    pub fn zip_of(&self, serial: &SerialNumber) -> Result<Option<PathBuf>, Error> {
        let certificate = self.find(serial)?.certificate;
        let name = certificate.map(|found| zip_name(&BaseName::new(serial, &found.subject())));
        Ok(name.map(PathBuf::from))
    }

    /// The CA's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.ca
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it lives.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A certificate that counts, with its private key.
    fn kept(&self, selection: &Selection, now: Timestamp) -> Result<(Certificate, KeyPair), Error> {
        let serial = self.select(selection, now)?.remove(0);
        let record = self.find(&serial)?;
        let certificate = match (record.status, record.certificate) {
            (CertificateStatus::Revoked { .. }, _) => {
                return Err(Error::RevokedNoExport { serial });
            }
            (_, None) | (CertificateStatus::Reserved, _) => {
                return Err(Error::NeverIssued { serial });
            }
            (CertificateStatus::Issued, Some(certificate)) => certificate,
        };
        let sealed =
            self.store
                .sealed_key(&self.site, &serial)?
                .ok_or_else(|| Error::KeyNotKept {
                    serial: serial.clone(),
                })?;
        let key = self
            .custody
            .unseal(&sealed, self.seal_context(&certificate))?;
        Ok((certificate, key))
    }

    fn find(&self, serial: &SerialNumber) -> Result<CertificateRecord, Error> {
        self.store
            .find(&self.site, serial)?
            .ok_or_else(|| Error::UnknownSerial {
                serial: serial.clone(),
            })
    }

    /// The serials a selection means; at least one.
    fn select(&self, selection: &Selection, now: Timestamp) -> Result<Vec<SerialNumber>, Error> {
        match selection {
            Selection::Serials(serials) => {
                for (index, serial) in serials.iter().enumerate() {
                    if serials[..index].contains(serial) {
                        return Err(Error::DoubledSerial {
                            serial: serial.clone(),
                        });
                    }
                    self.find(serial)?;
                }
                Ok(serials.clone())
            }
            Selection::Name { name, several } => {
                let serials: Vec<SerialNumber> = self
                    .store
                    .named(&self.site, name, None)?
                    .into_iter()
                    .filter(|record| record.standing(now) == RecordStanding::Valid)
                    .map(|record| record.serial)
                    .collect();
                match (serials.len(), several) {
                    (0, _) => Err(Error::UnknownName { name: name.clone() }),
                    (1, _) | (_, Several::All) => Ok(serials),
                    (_, Several::Refuse) => Err(Error::SeveralCertificates {
                        name: name.clone(),
                        serials,
                    }),
                }
            }
        }
    }

    fn valid_siblings(
        &self,
        request: &IssuanceRequest,
        now: Timestamp,
    ) -> Result<Vec<SerialNumber>, Error> {
        self.valid_named(request.common_name().as_str(), request.profile(), now)
    }

    fn valid_named(
        &self,
        name: &str,
        profile: CertificateProfile,
        now: Timestamp,
    ) -> Result<Vec<SerialNumber>, Error> {
        let same = self.store.named(&self.site, name, Some(profile))?;
        Ok(same
            .into_iter()
            .filter(|record| record.standing(now) == RecordStanding::Valid)
            .map(|record| record.serial)
            .collect())
    }

    /// The beginning of a zip in a folder, which is made where it is missing.
    fn draft(&self, folder: &Path) -> Result<Draft, Error> {
        delivery::make_folder(folder, self.place.owner)
            .and_then(|()| Draft::open(folder, self.place.owner))
            .map_err(Error::of_output)
    }

    fn deliver(
        &self,
        certificate: &Certificate,
        key: &KeyPair,
        profile: Pkcs12Profile,
        draft: Draft,
        existing: Existing,
        now: Timestamp,
    ) -> Result<PathBuf, Error> {
        let bundle = Bundle::new(certificate, key, &self.ca, profile, &mut random)?;
        let content = delivery::zip(&bundle, now)?;
        draft.publish(&zip_name(&bundle.base_name), &content, 0o600, existing)
    }

    fn seal_context<'a>(&'a self, certificate: &'a Certificate) -> SealContext<'a> {
        SealContext {
            site: &self.site,
            serial: certificate.serial(),
            fingerprint: certificate.fingerprint(),
        }
    }
}

/// thisUpdate and nextUpdate; a CRL does not outlive its CA either.
fn crl_period(
    ca: &Certificate,
    days: u32,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Refused> {
    let ca = ca.validity();
    if now < ca.not_before {
        return Err(Refused::ClockBeforeIssuer {
            now,
            not_before: ca.not_before,
        });
    }
    if now > ca.not_after {
        return Err(Refused::IssuerExpired {
            not_after: ca.not_after,
        });
    }
    Ok((
        shift(now, 0),
        shift(now, i64::from(days) * DAY).min(ca.not_after),
    ))
}

fn crl_signer<'a>(
    ca: &'a Certificate,
    ca_key: &'a KeyPair,
    period: (Timestamp, Timestamp),
) -> impl FnMut(CrlNumber, CrlWriter) -> Result<CertificateRevocationList, Error> + 'a {
    move |number, writer| Ok(writer.sign(ca, ca_key, number, period)?)
}

fn zip_name(base: &BaseName) -> String {
    format!("{base}.zip")
}

fn random_number() -> Result<u32, Error> {
    let mut octets = [0; 4];
    random(&mut octets)?;
    Ok(u32::from_be_bytes(octets))
}

/// Where a CA is built: on the file system it will lie on.
fn staging_place(place: &Place) -> &Path {
    let folder = place.folder();
    if folder.exists() {
        folder
    } else {
        folder.parent().unwrap_or_else(|| Path::new("/"))
    }
}

/// Moves the finished folder to its name in one step. Where the folder exists already (a
/// configuration named by `--config`), the files go one by one, the configuration last: its
/// presence is what makes a CA.
fn move_into_place(staging: &tempfile::TempDir, place: &Place) -> Result<(), Error> {
    let folder = place.folder();
    let failed = |source| Error::Io {
        path: folder.to_owned(),
        source,
    };
    if !folder.exists() && place.config.file_name().is_some_and(|name| name == CONFIG) {
        match fs::rename(staging.path(), folder) {
            Ok(()) => {}
            // Another init was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                return Err(Error::CaExists {
                    config: place.config.clone(),
                });
            }
            Err(source) => return Err(failed(source)),
        }
        return delivery::sync_folder(folder.parent().unwrap_or_else(|| Path::new("/")));
    }
    delivery::make_folder(folder, place.owner)?;
    if place.is_default() {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    for name in [REGISTER, SEALING_KEY, CA_KEY, CONFIG] {
        let target = if name == CONFIG {
            place.config.clone()
        } else {
            folder.join(name)
        };
        delivery::move_new(&staging.path().join(name), &target)?;
    }
    delivery::sync_folder(folder)
}
