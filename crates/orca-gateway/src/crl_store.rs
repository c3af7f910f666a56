//! The newest revocation list of each authority: in memory, as the last good copy on disk, and its
//! number, so that neither a broken file nor a restart makes a revoked certificate good again.

mod mark;

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use orca_messages::{Finding, Localize, Text, render, text};
use orca_pki::certificate::Certificate;
use orca_pki::crl::{Crl, CrlError, ListFileError, ListNumber, Lists, UnverifiedCrl};
use orca_pki::key::{KeyId, sha256};
use orca_pki::name::DistinguishedName;
use orca_pki::verification::Authorities;

pub(crate) use mark::Carrier;
use mark::Mark;

/// How far ahead of our clock a list may be dated. One dated years ahead, signed under a wrong
/// clock, must not lock the real ones out.
const FARTHEST_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// Clocks of two machines are never the same.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);

/// Newest list per key of an authority.
#[derive(Debug)]
pub(crate) struct CrlStore {
    folder: PathBuf,
    known: HashMap<KeyId, Known>,
}

/// What is known of an authority's lists.
#[derive(Debug)]
struct Known {
    mark: Mark,
    /// The list and the SHA-256 of its DER; older than the mark where the newer copy was lost.
    in_force: Option<(Arc<Crl>, [u8; 32])>,
    unsaved: Unsaved,
}

/// What is not on disk yet.
#[derive(Debug)]
enum Unsaved {
    Nothing,
    Mark,
    /// With the DER of the list.
    All(Vec<u8>),
}

impl CrlStore {
    /// Opens the folder, or makes it (0700).
    ///
    /// # Errors
    /// It cannot be made or entered.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::new(folder, source);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).map_err(failed)?;
        // What cannot be written later would be lost by the next restart: say so now.
        tempfile::tempfile_in(folder).map_err(failed)?;
        Ok(Self::over(folder))
    }

    /// Over a folder that is only looked at; it may be absent.
    pub(crate) fn over(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            known: HashMap::new(),
        }
    }

    /// Reads what is remembered of authorities that were not known before.
    pub(crate) fn recall(&mut self, authorities: &Authorities) -> Vec<Finding> {
        let mut findings = Vec::new();
        for authority in authorities.iter() {
            let key = authority.key_id();
            if self.known.contains_key(&key) {
                continue;
            }
            let copy = match self.last_good(authority) {
                Ok(copy) => copy,
                Err(source) => {
                    findings.push(damaged_copy(&copy_path(&self.folder, key), &source));
                    None
                }
            };
            let mark = match Mark::read(&self.mark_path(key)) {
                Ok(mark) => mark,
                Err(source) => {
                    findings.push(damaged_mark(&self.mark_path(key), &source));
                    None
                }
            };
            let Some(known) = Known::recalled(copy, mark) else {
                continue;
            };
            findings.extend(known.lost_copy(authority));
            self.known.insert(key, known);
        }
        findings
    }

    /// Takes the lists of a file: each counts on its own, and only a newer one replaces another. To
    /// be followed by [`Self::save`] when they are in force: a slow disk must not delay a revocation.
    pub(crate) fn offer(
        &mut self,
        file: impl BufRead,
        carrier: Carrier,
        authorities: &Authorities,
        now: Timestamp,
    ) -> Vec<Offered> {
        Lists::new(file)
            .map(|list| match list {
                Ok(der) => self.offer_one(der, carrier, authorities, now),
                Err(ListFileError::Crl(error)) => Offered::Unusable(None, error),
                Err(ListFileError::Io(error)) => Offered::Unreadable(error),
            })
            .collect()
    }

    /// Writes what is not on disk yet: first the number, then the copy, so that whatever comes in
    /// between no list that was in force is taken for a new one.
    ///
    /// # Errors
    /// The first that could not be written; all of it is tried again next time.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for (key, known) in &mut self.known {
            let kept = known.save(&self.folder, *key);
            outcome = outcome.and(kept);
        }
        outcome
    }

    /// Whether a restart would forget something.
    pub(crate) fn is_unsaved(&self) -> bool {
        let mut known = self.known.values();
        known.any(|known| !matches!(known.unsaved, Unsaved::Nothing))
    }

    /// The newest lists, by key of their authority.
    pub(crate) fn newest(&self) -> HashMap<KeyId, Arc<Crl>> {
        let known = self.known.iter();
        known
            .filter_map(|(key, known)| Some((*key, Arc::clone(&known.in_force.as_ref()?.0))))
            .collect()
    }

    /// Whether a list of one of these authorities came by the file last.
    pub(crate) fn relies_on_file(&self, authorities: &Authorities) -> bool {
        authorities.iter().any(|authority| {
            let known = self.known.get(&authority.key_id());
            known.is_some_and(|known| known.mark.carrier == Carrier::File)
        })
    }

    /// The highest number that was taken; `None` where nothing is remembered or it was reset.
    pub(crate) fn number(&self, key: KeyId) -> Option<ListNumber> {
        self.known.get(&key)?.mark.number
    }

    /// Asks whoever keeps the folder, now or at its next start, to forget the number.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn ask_reset(&self, key: KeyId) -> io::Result<()> {
        File::create(self.reset_path(key))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Forgets the numbers that somebody asked to be forgotten: the next list of that authority is
    /// taken whatever its number. The last good copy stays in force until then.
    pub(crate) fn reset_as_asked(&mut self, authorities: &Authorities) -> Vec<Reset> {
        let asked = self.asked_resets(authorities);
        let reset = |authority: Arc<Certificate>| {
            let key = authority.key_id();
            let number = self.forget_number(key);
            let marker = self.reset_path(key);
            Reset {
                authority,
                number,
                done: self.save().and_then(|()| fs::remove_file(&marker)),
            }
        };
        asked.into_iter().map(reset).collect()
    }

    /// The authorities whose numbers somebody asked to be forgotten, and nobody forgot yet.
    pub(crate) fn asked_resets(&self, authorities: &Authorities) -> Vec<Arc<Certificate>> {
        authorities
            .iter()
            .filter(|authority| self.reset_path(authority.key_id()).exists())
            .map(Arc::clone)
            .collect()
    }

    /// Forgets a number, on disk with the next [`Self::save`]; what it was.
    pub(crate) fn forget_number(&mut self, key: KeyId) -> Option<ListNumber> {
        let known = self.known.get_mut(&key)?;
        known.note_mark();
        known.mark.number.take()
    }

    fn offer_one(
        &mut self,
        der: Vec<u8>,
        carrier: Carrier,
        authorities: &Authorities,
        now: Timestamp,
    ) -> Offered {
        let digest = sha256(&der);
        if let Some(known) = self.holding(&digest) {
            // Who resets has put the list that is to count in place already.
            if known.mark.number.is_none() {
                known.fix_number();
            }
            if carrier == Carrier::File && known.mark.carrier != carrier {
                known.mark.carrier = carrier;
                known.note_mark();
            }
            return Offered::Unchanged;
        }
        let crl = match verified(&der, authorities) {
            Ok(crl) => crl,
            Err((issuer, error)) => return Offered::Unusable(issuer, error),
        };
        let ahead = crl.this_update().duration_since(now);
        if ahead > FARTHEST_AHEAD {
            return Offered::FarAhead(crl);
        }
        let key = crl.issuer_key();
        if let Some(known) = self.known.get(&key)
            && let Some(refused) = known.mark.refuses(&crl, &digest)
        {
            return refused;
        }
        let crl = Arc::new(crl);
        let known = Known {
            mark: Mark {
                number: Some(crl.number()),
                sha256: digest,
                this_update: crl.this_update(),
                carrier,
            },
            in_force: Some((Arc::clone(&crl), digest)),
            unsaved: Unsaved::All(der),
        };
        self.known.insert(key, known);
        if ahead > CLOCKS_DIFFER {
            Offered::TakenAhead(crl)
        } else {
            Offered::Taken(crl)
        }
    }

    fn holding(&mut self, digest: &[u8; 32]) -> Option<&mut Known> {
        let mut known = self.known.values_mut();
        known.find(|known| {
            let in_force = known.in_force.as_ref();
            in_force.is_some_and(|(_, held)| held == digest)
        })
    }

    fn last_good(&self, authority: &Certificate) -> Result<Option<Copy>, CopyError> {
        let der = match fs::read(copy_path(&self.folder, authority.key_id())) {
            Ok(der) => der,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let crl = UnverifiedCrl::from_der(&der)?.verify([authority])?;
        Ok(Some((Arc::new(crl), sha256(&der))))
    }

    fn mark_path(&self, key: KeyId) -> PathBuf {
        mark_path(&self.folder, key)
    }

    /// The marker that asks for a reset.
    pub(crate) fn reset_path(&self, key: KeyId) -> PathBuf {
        self.folder.join(format!("{key}.reset"))
    }
}

type Copy = (Arc<Crl>, [u8; 32]);

impl Known {
    /// The higher number counts: a crash may have left either file behind.
    fn recalled(copy: Option<Copy>, mark: Option<Mark>) -> Option<Self> {
        let of_copy = copy.as_ref().map(|(crl, digest)| Mark {
            number: Some(crl.number()),
            sha256: *digest,
            this_update: crl.this_update(),
            carrier: mark.map_or(Carrier::File, |mark| mark.carrier),
        });
        let (mark, unsaved) = match (mark, of_copy) {
            (None, None) => return None,
            (Some(mark), None) => (mark, Unsaved::Nothing),
            (None, Some(of_copy)) => (of_copy, Unsaved::Mark),
            (Some(mark), Some(of_copy))
                if mark.number.is_some() && mark.number < of_copy.number =>
            {
                (of_copy, Unsaved::Mark)
            }
            (Some(mark), Some(_)) => (mark, Unsaved::Nothing),
        };
        Some(Self {
            mark,
            in_force: copy,
            unsaved,
        })
    }

    /// A newer list than the copy was in force once.
    fn lost_copy(&self, authority: &Certificate) -> Option<Finding> {
        let number = self.mark.number?;
        let held = self.in_force.as_ref().map(|(crl, _)| crl.number());
        (held < Some(number)).then(|| copy_behind(authority, number))
    }

    fn fix_number(&mut self) {
        if let Some((crl, _)) = &self.in_force {
            self.mark.number = Some(crl.number());
            self.note_mark();
        }
    }

    fn note_mark(&mut self) {
        if matches!(self.unsaved, Unsaved::Nothing) {
            self.unsaved = Unsaved::Mark;
        }
    }

    fn save(&mut self, folder: &Path, key: KeyId) -> io::Result<()> {
        if matches!(self.unsaved, Unsaved::Nothing) {
            return Ok(());
        }
        replace(folder, &mark_path(folder, key), &self.mark.to_json()?)?;
        if let Unsaved::All(der) = &self.unsaved {
            replace(folder, &copy_path(folder, key), der)?;
        }
        File::open(folder)?.sync_all()?;
        self.unsaved = Unsaved::Nothing;
        Ok(())
    }
}

impl Mark {
    /// Why a list may not follow. The one that bears the mark itself may: its copy was lost.
    fn refuses(&self, crl: &Crl, digest: &[u8; 32]) -> Option<Offered> {
        let known = self.number?;
        if *digest == self.sha256 {
            return None;
        }
        // Without a number the dates decide.
        let numbered = known != ListNumber::default();
        let age = crl.number().cmp(&known);
        let age = age.then_with(|| match numbered {
            true => std::cmp::Ordering::Equal,
            false => crl.this_update().cmp(&self.this_update),
        });
        let (issuer, number) = (crl.issuer().clone(), crl.number());
        match age {
            std::cmp::Ordering::Greater => None,
            std::cmp::Ordering::Equal => Some(Offered::SameNumber { issuer, number }),
            std::cmp::Ordering::Less => Some(Offered::Older {
                issuer,
                number,
                known,
            }),
        }
    }
}

fn verified(
    der: &[u8],
    authorities: &Authorities,
) -> Result<Crl, (Option<DistinguishedName>, CrlError)> {
    let unverified = UnverifiedCrl::from_der(der).map_err(|error| (None, error))?;
    let certificates = authorities.iter().map(AsRef::as_ref);
    unverified
        .verify(certificates)
        .map_err(|error| (Some(unverified.issuer().clone()), error))
}

/// Where the newest list of an authority lies on disk, as DER; replaced by renaming.
pub(crate) fn copy_path(state: &Path, key: KeyId) -> PathBuf {
    state.join(format!("{key}.crl"))
}

/// Whether the number of an authority was forgotten on request, so that any list of it may follow.
pub(crate) fn was_reset(state: &Path, key: KeyId) -> bool {
    let mark = Mark::read(&mark_path(state, key));
    mark.is_ok_and(|mark| mark.is_some_and(|mark| mark.number.is_none()))
}

fn mark_path(state: &Path, key: KeyId) -> PathBuf {
    state.join(format!("{key}.number"))
}

/// Temporary file, fsync, rename: a crash leaves the old content or the new one.
fn replace(folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// What became of one list of a file.
#[derive(Debug)]
pub(crate) enum Offered {
    /// Dated more than a day ahead.
    FarAhead(Crl),
    /// Older than what is known: refused, or a stolen old list would undo revocations.
    Older {
        issuer: DistinguishedName,
        number: ListNumber,
        known: ListNumber,
    },
    /// Another list of a number that is known.
    SameNumber {
        issuer: DistinguishedName,
        number: ListNumber,
    },
    /// Newer: counts from now on.
    Taken(Arc<Crl>),
    /// Newer, and dated ahead of our clock.
    TakenAhead(Arc<Crl>),
    /// The same as before.
    Unchanged,
    /// The file cannot be read (on).
    Unreadable(io::Error),
    /// Not to be relied on.
    Unusable(Option<DistinguishedName>, CrlError),
}

/// A number that was forgotten on request.
#[derive(Debug)]
pub(crate) struct Reset {
    pub(crate) authority: Arc<Certificate>,
    /// `None` where nothing was remembered.
    pub(crate) number: Option<ListNumber>,
    /// Whether a restart will know of it.
    pub(crate) done: io::Result<()>,
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

fn damaged_mark(path: &Path, source: &io::Error) -> Finding {
    let (path, source) = (path.display(), render::one_line(&source.to_string()));
    Finding::warning(
        "crl-number-damaged",
        text!(
            "CRLの番号の記録({path})を読み取れません({source})。保存済みのCRLの番号を使います。",
            "{path}, which remembers the number of the CRL, cannot be used: {source}; the number of the kept copy counts",
        ),
        text!(
            "orca-catool issue_crl で新しいCRLを発行してください。受け取ると記録し直されます。",
            "issue a new CRL with orca-catool issue_crl; it is written anew then",
        ),
    )
}

fn copy_behind(authority: &Certificate, number: ListNumber) -> Finding {
    let subject = render::one_line(&authority.subject().one_line());
    Finding::warning(
        "crl-copy-lost",
        text!(
            "認証局({subject})の番号{number}のCRLを以前に使用していましたが、保存されたものがありません。それより古いCRLは受け付けません。",
            "CRL number {number} of {subject} was in force before, but its copy is lost; older ones are refused",
        ),
        text!(
            "orca-catool issue_crl で最新のCRLを発行し、CA_CRL の場所に置いてください。",
            "issue the newest CRL with orca-catool issue_crl and put it where CA_CRL says",
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

impl StateError {
    /// Of a folder that could not be written.
    pub(crate) fn new(folder: &Path, source: io::Error) -> Self {
        Self {
            folder: folder.to_owned(),
            source,
        }
    }
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
mod tests;
