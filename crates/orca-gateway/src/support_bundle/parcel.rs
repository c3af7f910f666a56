//! The zip: whole or not at all, for its owner's eyes alone from the first byte.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Localize, Text, text};
use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;

use super::Item;

/// Who is to have the file: under sudo the user who called it, who has to send it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    /// Of the variables that sudo sets; they count for root only.
    pub(crate) fn under_sudo(env: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        Some(Self {
            user: env("SUDO_UID")?.parse().ok()?,
            group: env("SUDO_GID")?.parse().ok()?,
        })
    }
}

/// A bundle that is being written beside its final place; dropped, it vanishes.
pub(super) struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// # Errors
    /// The folder cannot be written, or a file of that name exists.
    pub(super) fn open(path: &Path) -> Result<Self, BundleError> {
        if path.symlink_metadata().is_ok() {
            return Err(BundleError::new(path, io::ErrorKind::AlreadyExists.into()));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".orca-support-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(|source| BundleError::new(path, source))?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Writes everything, then names it.
    ///
    /// # Errors
    /// The disk is full, or a file of that name has come meanwhile.
    pub(super) fn publish(
        mut self,
        stem: &str,
        items: &[Item],
        owner: Option<Owner>,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<(), BundleError> {
        let failed = |source| BundleError::new(&self.path, source);
        write(&mut self.file, stem, items, dos_time(now, zone)).map_err(failed)?;
        if let Some(Owner { user, group }) = owner {
            fchown(self.file.as_file(), Some(user), Some(group)).map_err(failed)?;
        }
        self.file.as_file().sync_all().map_err(failed)?;
        let persisted = self.file.persist_noclobber(&self.path);
        persisted.map_err(|error| BundleError::new(&self.path, error.error))?;
        Ok(())
    }
}

fn write(
    file: &mut NamedTempFile,
    stem: &str,
    items: &[Item],
    at: zip::DateTime,
) -> io::Result<()> {
    let mut writer = zip::ZipWriter::new(file.as_file_mut());
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(at)
        .unix_permissions(0o600);
    for item in items {
        if let Ok(content) = &item.content {
            writer.start_file(format!("{stem}/{}", item.name), options)?;
            writer.write_all(content.as_bytes())?;
        }
    }
    writer.finish()?;
    Ok(())
}

/// Local time as zips have it: without a zone, from 1980 on.
fn dos_time(at: Timestamp, zone: &TimeZone) -> zip::DateTime {
    let local = zone.to_datetime(at);
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

/// There is no bundle.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub(crate) struct BundleError {
    path: PathBuf,
    source: io::Error,
}

impl BundleError {
    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self { path, source }
    }
}

impl Localize for BundleError {
    fn id(&self) -> &'static str {
        "bundle-not-written"
    }

    fn message(&self) -> Text {
        let (path, source) = (self.path.display(), &self.source);
        text!(
            "{path}を作成できません({source})。",
            "cannot write {path}: {source}"
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "-o で、書き込めるフォルダの、まだないファイル名を指定してください。",
            "name a file that does not exist yet, in a folder that can be written, with -o"
        )
    }
}
