//! Writing files: whole or not at all, with their mode from the first byte.

use std::fs::{self, File, Permissions};
use std::io::{self, Cursor, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use orca_pki::bundle::Bundle;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::error::Error;
use crate::place::Owner;

mod utf8_flag;

/// Beginning of the names of drafts.
const DRAFT: &str = ".orca-draft-";
/// Age in seconds from which a draft can only be what a killed process left.
const STALE: i64 = 600;

/// A file that is being written beside its final place; dropped, it vanishes.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    folder: PathBuf,
    owner: Option<Owner>,
}

/// What happens to a file that already has the name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    /// It stays, and the new one is refused.
    Keep,
    /// The new one takes its place in one step.
    Replace,
}

impl Draft {
    /// Opens a draft of mode 0600 in a folder, which shows early whether it can be written.
    ///
    /// # Errors
    /// The folder is missing, full or not writable.
    pub fn open(folder: &Path, owner: Option<Owner>) -> Result<Self, Error> {
        let file = tempfile::Builder::new()
            .prefix(DRAFT)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(|source| Error::Io {
                path: folder.to_owned(),
                source,
            })?;
        Ok(Self {
            file,
            folder: folder.to_owned(),
            owner,
        })
    }

    /// Writes the content, gives it owner and mode, flushes it to the disk, then names it.
    ///
    /// # Errors
    /// The disk is full, or a file of that name exists and is to be kept.
    pub fn publish(
        mut self,
        name: &str,
        content: &[u8],
        mode: u32,
        existing: Existing,
    ) -> Result<PathBuf, Error> {
        let path = self.folder.join(name);
        let failed = |source: io::Error| Error::Io {
            path: path.clone(),
            source,
        };
        self.file.write_all(content).map_err(failed)?;
        if let Some(owner) = self.owner {
            let (uid, gid) = (owner.uid.as_raw(), owner.gid.as_raw());
            std::os::unix::fs::fchown(self.file.as_file(), Some(uid), Some(gid)).map_err(failed)?;
        }
        self.file
            .as_file()
            .set_permissions(Permissions::from_mode(mode))
            .map_err(failed)?;
        self.file.as_file().sync_all().map_err(failed)?;
        match existing {
            Existing::Replace => self
                .file
                .persist(&path)
                .map_err(|error| failed(error.error))?,
            Existing::Keep => match self.file.persist_noclobber(&path) {
                Ok(file) => file,
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(Error::FileExists { path });
                }
                Err(error) => return Err(failed(error.error)),
            },
        };
        sync_folder(&self.folder)?;
        Ok(path)
    }
}

/// Removes drafts that killed processes left in a folder: they may hold private keys.
pub fn sweep(folder: &Path, now: Timestamp) {
    sweep_names(folder, DRAFT, now, |path| fs::remove_file(path));
}

/// Does the same for unfinished CA folders.
pub fn sweep_staging(parent: &Path, now: Timestamp) {
    sweep_names(parent, STAGING, now, |path| fs::remove_dir_all(path));
}

/// What cannot be looked at or removed stays for the next run: nothing depends on it.
fn sweep_names(
    folder: &Path,
    prefix: &str,
    now: Timestamp,
    remove: impl Fn(&Path) -> io::Result<()>,
) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(prefix));
        let is_stale = || {
            let changed = entry.metadata().and_then(|status| status.modified());
            changed.is_ok_and(|at| {
                Timestamp::try_from(at).is_ok_and(|at| now.as_second() - at.as_second() > STALE)
            })
        };
        if is_ours && is_stale() {
            remove(&entry.path()).ok();
        }
    }
}

/// Beginning of the names of unfinished CA folders.
pub(crate) const STAGING: &str = ".orca_catool-";

/// An empty folder of mode 0700 in which a CA is built; dropped, it vanishes.
///
/// # Errors
/// The parent cannot be written.
pub fn staging_folder(parent: &Path) -> Result<tempfile::TempDir, Error> {
    tempfile::Builder::new()
        .prefix(STAGING)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(|source| Error::Io {
            path: parent.to_owned(),
            source,
        })
}

/// Moves a file to a name that must be free.
///
/// # Errors
/// The name is taken, or the folder cannot be written.
pub fn move_new(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io {
        path: to.to_owned(),
        source,
    };
    let draft = tempfile::TempPath::try_from_path(from).map_err(failed)?;
    match draft.persist_noclobber(to) {
        Ok(()) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(Error::CaExists {
            config: to.to_owned(),
        }),
        Err(error) => Err(failed(error.error)),
    }
}

/// Writes a whole file in place of whatever had its name.
///
/// # Errors
/// The folder is missing, full or not writable.
pub fn replace(path: &Path, content: &[u8], mode: u32, owner: Option<Owner>) -> Result<(), Error> {
    let (folder, name) = split(path)?;
    Draft::open(folder, owner)?
        .publish(name, content, mode, Existing::Replace)
        .map(drop)
}

fn split(path: &Path) -> Result<(&Path, &str), Error> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok((folder, name)),
        None => Err(Error::Io {
            path: path.to_owned(),
            source: io::Error::from(io::ErrorKind::InvalidFilename),
        }),
    }
}

/// Makes a folder and what is missing above it, mode 0700, for its owner.
///
/// # Errors
/// No permission, or a file stands there.
pub fn make_folder(folder: &Path, owner: Option<Owner>) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        make_folder(parent, owner)?;
    }
    let failed = |source| Error::Io {
        path: folder.to_owned(),
        source,
    };
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        // Somebody else made it meanwhile.
        Err(_) if folder.is_dir() => return Ok(()),
        Err(source) => return Err(failed(source)),
    }
    give_to(folder, owner)
}

/// Gives a file or folder to its owner, where there is one.
///
/// # Errors
/// The system refused.
pub fn give_to(path: &Path, owner: Option<Owner>) -> Result<(), Error> {
    let Some(owner) = owner else { return Ok(()) };
    std::os::unix::fs::lchown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).map_err(
        |source| Error::Io {
            path: path.to_owned(),
            source,
        },
    )
}

/// Flushes a folder, so that a name given in it survives a power cut.
///
/// # Errors
/// The folder cannot be read.
pub fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::Io {
            path: folder.to_owned(),
            source,
        })
}

/// The zip of a delivery: one folder with the six files, private keys 0600, all names flagged UTF-8.
///
/// # Errors
/// A file does not fit into a zip.
pub fn zip(bundle: &Bundle, now: Timestamp) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |source: ZipError| Error::Io {
        path: PathBuf::from(format!("{}.zip", bundle.base_name)),
        source: io::Error::other(source),
    };
    // Room enough for all files, so that the buffer never moves and leaves secrets behind.
    let room = bundle
        .files
        .iter()
        .map(|file| file.content.len() + 1024)
        .sum();
    let mut buffer = Cursor::new(Zeroizing::new(Vec::with_capacity(room)));
    let mut writer = zip::ZipWriter::new(ZipTarget(&mut buffer));
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(dos_time(now))
        .unix_permissions(0o600);
    let folder = options.unix_permissions(0o700);
    writer
        .add_directory(bundle.base_name.as_str(), folder)
        .map_err(failed)?;
    for file in &bundle.files {
        let name = format!("{}/{}", bundle.base_name, file.name);
        writer.start_file(name, options).map_err(failed)?;
        writer
            .write_all(&file.content)
            .map_err(|source| failed(source.into()))?;
    }
    writer.finish().map_err(failed)?;
    let mut zip = buffer.into_inner();
    utf8_flag::set(&mut zip).ok_or_else(|| failed(ZipError::InvalidArchive("flags".into())))?;
    Ok(zip)
}

/// Local time as zips have it: without a zone, from 1980 on.
fn dos_time(at: Timestamp) -> zip::DateTime {
    let local = orca_messages::zone::local().to_datetime(at);
    let part = |number: i8| u8::try_from(number).unwrap_or(0);
    zip::DateTime::from_date_and_time(
        u16::try_from(local.year()).unwrap_or(0),
        part(local.month()),
        part(local.day()),
        part(local.hour()),
        part(local.minute()),
        part(local.second()),
    )
    .unwrap_or_default()
}

/// A seekable writer over a buffer that is wiped when dropped.
struct ZipTarget<'a>(&'a mut Cursor<Zeroizing<Vec<u8>>>);

impl Write for ZipTarget<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let position = usize::try_from(self.0.position()).map_err(io::Error::other)?;
        let buffer: &mut Vec<u8> = self.0.get_mut();
        let overlap = octets.len().min(buffer.len().saturating_sub(position));
        buffer[position..position + overlap].copy_from_slice(&octets[..overlap]);
        buffer.extend_from_slice(&octets[overlap..]);
        self.0.set_position((position + octets.len()) as u64);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Seek for ZipTarget<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let length = self.0.get_ref().len() as i64;
        let target = match to {
            io::SeekFrom::Start(offset) => i64::try_from(offset).map_err(io::Error::other)?,
            io::SeekFrom::End(offset) => length + offset,
            io::SeekFrom::Current(offset) => self.0.position() as i64 + offset,
        };
        if !(0..=length).contains(&target) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.0.set_position(target as u64);
        Ok(target as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_out_of_others_reach() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.key");
        replace(&path, b"one", 0o600, None).unwrap();
        replace(&path, b"two", 0o600, None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft stays"
        );
    }

    #[test]
    fn an_existing_file_is_kept_where_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("a.zip")).unwrap();
        let draft = Draft::open(folder.path(), None).unwrap();
        assert_eq!(mode(draft.file.path()), 0o600);
        let refused = draft.publish("a.zip", b"new", 0o600, Existing::Keep);
        assert!(matches!(refused, Err(Error::FileExists { .. })));
        assert_eq!(fs::read(folder.path().join("a.zip")).unwrap(), b"");
    }

    #[test]
    fn drafts_of_killed_processes_are_swept_and_fresh_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let draft = Draft::open(folder.path(), None).unwrap();
        let written =
            Timestamp::try_from(fs::metadata(draft.file.path()).unwrap().modified().unwrap())
                .unwrap();
        sweep(folder.path(), orca_pki::validity::shift(written, STALE));
        assert!(draft.file.path().exists());
        sweep(folder.path(), orca_pki::validity::shift(written, STALE + 1));
        assert!(!draft.file.path().exists());
    }
}
