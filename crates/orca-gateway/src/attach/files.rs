//! Files are replaced whole: a neighbour is written, flushed and renamed.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

/// Replaces a file. Owner and mode stay; a new one gets the owner of its folder and this mode.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let (like, mode) = match std::fs::metadata(path) {
        Ok(metadata) => {
            let mode = metadata.mode() & 0o7777;
            (metadata, mode)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (std::fs::metadata(folder)?, mode),
        Err(error) => return Err(error),
    };
    // Made with mode 0600; nobody sees it before it is complete.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    fchown(file.as_file(), Some(like.uid()), Some(like.gid()))?;
    file.as_file()
        .set_permissions(PermissionsExt::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()
}

/// Removes a file; it need not be there.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a folder that everybody may read.
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
}

/// The content, or nothing where there is no file.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_mode_and_a_new_one_gets_the_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mode = || std::fs::metadata(&path).unwrap().mode() & 0o777;
        replace(&path, b"one", 0o640).unwrap();
        assert_eq!(
            (mode(), read(&path).unwrap().unwrap()),
            (0o640, b"one".to_vec())
        );
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o604)).unwrap();
        replace(&path, b"two", 0o640).unwrap();
        assert_eq!(
            (mode(), read(&path).unwrap().unwrap()),
            (0o604, b"two".to_vec())
        );
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None);
    }
}
