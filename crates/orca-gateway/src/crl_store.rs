//! The newest revocation list of each authority, in memory and as the last good copy on disk, so
//! that neither a broken file nor a restart makes a revoked certificate good again.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orca_messages::{Finding, Localize, Text, render, text};
use orca_pki::certificate::Certificate;
use orca_pki::crl::{self, Crl, CrlError, ListNumber, UnverifiedCrl};
use orca_pki::key::KeyId;
use orca_pki::name::DistinguishedName;
use orca_pki::verification::Authorities;

/// Newest list per key of an authority.
#[derive(Debug)]
pub(crate) struct CrlStore {
    folder: PathBuf,
    newest: HashMap<KeyId, Arc<Crl>>,
    /// Lists that were taken and are not on disk yet.
    unsaved: Vec<(KeyId, Vec<u8>)>,
}

impl CrlStore {
    /// Opens the folder, or makes it (0700).
    ///
    /// # Errors
    /// It cannot be made or entered.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError {
            folder: folder.to_owned(),
            source,
        };
        match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
            Ok(()) => {}
            Err(error) => return Err(failed(error)),
        }
        // What cannot be written later would be lost by the next restart: say so now.
        tempfile::tempfile_in(folder).map_err(failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            newest: HashMap::new(),
            unsaved: Vec::new(),
        })
    }

    /// Reads the last good copies of authorities that were not known before.
    pub(crate) fn recall(&mut self, authorities: &Authorities) -> Vec<Finding> {
        let mut findings = Vec::new();
        for authority in authorities.iter() {
            let key = authority.key_id();
            if self.newest.contains_key(&key) {
                continue;
            }
            match self.last_good(authority) {
                Ok(Some(crl)) => {
                    self.newest.insert(key, Arc::new(crl));
                }
                Ok(None) => {}
                Err(source) => findings.push(damaged_copy(&self.copy_path(key), &source)),
            }
        }
        findings
    }

    /// Takes the lists of a file: each counts on its own, and only a newer one replaces another. To
    /// be followed by [`Self::save`] when they are in force: a slow disk must not delay a revocation.
    pub(crate) fn offer(
        &mut self,
        file: &[u8],
        authorities: &Authorities,
    ) -> Result<Vec<Offered>, CrlError> {
        let lists = crl::split(file)?;
        Ok(lists
            .into_iter()
            .map(|der| self.offer_one(der, authorities))
            .collect())
    }

    /// Writes the last good copies of what was taken.
    ///
    /// # Errors
    /// The first that could not be written; it is not tried again.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for (key, der) in std::mem::take(&mut self.unsaved) {
            let kept = self.keep(key, &der);
            outcome = outcome.and(kept);
        }
        outcome
    }

    /// The newest lists, by key of their authority.
    pub(crate) fn newest(&self) -> HashMap<KeyId, Arc<Crl>> {
        self.newest.clone()
    }

    fn offer_one(&mut self, der: Vec<u8>, authorities: &Authorities) -> Offered {
        let unverified = match UnverifiedCrl::from_der(&der) {
            Ok(unverified) => unverified,
            Err(error) => return Offered::Unusable(None, error),
        };
        let certificates = authorities.iter().map(AsRef::as_ref);
        let crl = match unverified.verify(certificates) {
            Ok(crl) => crl,
            Err(error) => return Offered::Unusable(Some(unverified.issuer().clone()), error),
        };
        let key = crl.issuer_key();
        if let Some(known) = self.newest.get(&key) {
            let age = (known.number(), known.this_update());
            let offered = (crl.number(), crl.this_update());
            if offered == age {
                return Offered::Unchanged;
            }
            if offered < age {
                return Offered::Older {
                    issuer: crl.issuer().clone(),
                    number: crl.number(),
                    known: known.number(),
                };
            }
        }
        let crl = Arc::new(crl);
        self.newest.insert(key, Arc::clone(&crl));
        self.unsaved.push((key, der));
        Offered::Taken(crl)
    }

    fn last_good(&self, authority: &Certificate) -> Result<Option<Crl>, CopyError> {
        let der = match fs::read(self.copy_path(authority.key_id())) {
            Ok(der) => der,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let crl = UnverifiedCrl::from_der(&der)?.verify([authority])?;
        Ok(Some(crl))
    }

    /// Temporary file, fsync, rename: a crash leaves the old copy or the new one.
    fn keep(&self, key: KeyId, der: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(der)?;
        file.as_file().sync_all()?;
        file.persist(self.copy_path(key))?;
        File::open(&self.folder)?.sync_all()
    }

    fn copy_path(&self, key: KeyId) -> PathBuf {
        copy_path(&self.folder, key)
    }
}

/// Where the newest list of an authority lies on disk, as DER; replaced by renaming.
pub(crate) fn copy_path(state: &Path, key: KeyId) -> PathBuf {
    state.join(format!("{key}.crl"))
}

/// What became of one list of a file.
#[derive(Debug)]
pub(crate) enum Offered {
    /// Older than what is known: refused, or a stolen old list would undo revocations.
    Older {
        issuer: DistinguishedName,
        number: ListNumber,
        known: ListNumber,
    },
    /// Newer: counts from now on.
    Taken(Arc<Crl>),
    /// The same as before.
    Unchanged,
    /// Not to be relied on.
    Unusable(Option<DistinguishedName>, CrlError),
}

/// Why a last good copy does not count.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Crl(#[from] CrlError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn damaged_copy(path: &Path, source: &CopyError) -> Finding {
    let (path, source) = (path.display(), render::one_line(&source.to_string()));
    Finding::warning(
        "crl-copy-damaged",
        text!(
            "保存済みのCRL({path})を読み取れません({source})。",
            "the kept copy {path} of a CRL cannot be used: {source}",
        ),
        text!(
            "orca-catool issue_crl で新しいCRLを発行してください。受け取ると保存し直されます。",
            "issue a new CRL with orca-catool issue_crl; it replaces the copy",
        ),
    )
}

/// `GATEWAY_STATE` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{folder}: no usable state folder")]
pub(crate) struct StateError {
    folder: PathBuf,
    source: io::Error,
}

impl Localize for StateError {
    fn id(&self) -> &'static str {
        "state-unusable"
    }

    fn message(&self) -> Text {
        let (folder, source) = (self.folder.display(), &self.source);
        text!(
            "GATEWAY_STATE のフォルダ({folder})に書き込めません({source})。",
            "the folder {folder} (GATEWAY_STATE) cannot be written: {source}",
        )
    }

    fn remedy(&self) -> Text {
        let folder = self.folder.display();
        text!(
            "フォルダを作成し、所有者を orca にしてください: sudo install -d -o orca -g orca -m 700 {folder}",
            "make the folder and give it to orca: sudo install -d -o orca -g orca -m 700 {folder}",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_process::forge::Ca;
    use std::os::unix::fs::PermissionsExt;

    fn trusted(ca: &Ca) -> Authorities {
        Authorities::new([Certificate::from_der(&ca.der).unwrap()])
    }

    fn number(store: &CrlStore) -> Vec<String> {
        let newest = store.newest();
        newest
            .values()
            .map(|crl| crl.number().to_string())
            .collect()
    }

    #[test]
    fn a_restart_remembers_the_newest_list() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("var/state");
        let ca = Ca::new("orca CA");
        let mut store = CrlStore::open(&state).unwrap();
        let mode = fs::metadata(&state).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        store
            .offer(ca.crl(5, &[3]).as_bytes(), &trusted(&ca))
            .unwrap();
        store.save().unwrap();

        let mut again = CrlStore::open(&state).unwrap();
        assert!(again.recall(&trusted(&ca)).is_empty());
        assert_eq!(number(&again), ["5"]);
        let older = again
            .offer(ca.crl(4, &[]).as_bytes(), &trusted(&ca))
            .unwrap();
        assert!(matches!(older[..], [Offered::Older { .. }]));
        let same = again
            .offer(ca.crl(5, &[3]).as_bytes(), &trusted(&ca))
            .unwrap();
        assert!(matches!(same[..], [Offered::Unchanged]));
        assert_eq!(number(&again), ["5"]);
    }

    #[test]
    fn every_list_of_a_file_counts_for_its_own_authority() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two, stranger) = (Ca::new("one"), Ca::new("two"), Ca::new("three"));
        let certificates = [&one, &two].map(|ca| Certificate::from_der(&ca.der).unwrap());
        let both = Authorities::new(certificates);
        let mut store = CrlStore::open(folder.path()).unwrap();
        let file = one.crl(1, &[3]) + &stranger.crl(2, &[4]) + &two.crl(3, &[5]);
        let offered = store.offer(file.as_bytes(), &both).unwrap();
        assert!(matches!(
            offered[..],
            [
                Offered::Taken(_),
                Offered::Unusable(Some(_), CrlError::UnknownIssuer),
                Offered::Taken(_),
            ]
        ));
        assert_eq!(store.newest().len(), 2);
    }

    #[test]
    fn a_damaged_copy_is_told_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::new("orca CA");
        let mut store = CrlStore::open(folder.path()).unwrap();
        store
            .offer(ca.crl(5, &[3]).as_bytes(), &trusted(&ca))
            .unwrap();
        store.save().unwrap();
        let copy = fs::read_dir(folder.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        File::create(copy.path()).unwrap().write_all(b"0").unwrap();
        let mut again = CrlStore::open(folder.path()).unwrap();
        let findings = again.recall(&trusted(&ca));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].id, "crl-copy-damaged");
        again
            .offer(ca.crl(5, &[3]).as_bytes(), &trusted(&ca))
            .unwrap();
        again.save().unwrap();
        assert!(
            CrlStore::open(folder.path())
                .unwrap()
                .recall(&trusted(&ca))
                .is_empty()
        );
    }
}
