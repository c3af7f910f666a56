//! The file or stream of a log, and what is written of a batch when the disk is full.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::config::LogTarget;

/// Whole lines go in; what cannot be written whole is taken back.
pub(super) enum Output {
    Stdout,
    File {
        file: File,
        /// It ends in the middle of a line.
        torn: bool,
    },
}

/// A batch that was not written to its end.
pub(super) struct Broken {
    /// Octets that were written, whole lines.
    pub(super) written: usize,
    pub(super) source: io::Error,
}

impl Output {
    /// Opens the target; a missing folder is made with mode 0750, a file with 0640.
    pub(super) fn open(target: &LogTarget) -> io::Result<Self> {
        match target {
            LogTarget::Stdout => Ok(Self::Stdout),
            LogTarget::File(path) => Ok(Self::File {
                file: open_file(path)?,
                torn: ends_torn(path),
            }),
        }
    }

    /// Writes lines.
    ///
    /// # Errors
    /// How many octets of whole lines stand in the file all the same.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Broken> {
        if lines.is_empty() {
            return Ok(());
        }
        let broken = |source| Broken { written: 0, source };
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout
                    .write_all(lines)
                    .and_then(|()| stdout.flush())
                    .map_err(broken)
            }
            Self::File { file, torn } => {
                if *torn {
                    file.write_all(b"\n").map_err(broken)?;
                    *torn = false;
                }
                write_whole_lines(file, lines, torn)
            }
        }
    }
}

fn write_whole_lines(file: &mut File, lines: &[u8], torn: &mut bool) -> Result<(), Broken> {
    let mut done = 0;
    while done < lines.len() {
        let source = match file.write(&lines[done..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(octets) => {
                done += octets;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        let whole = &lines[..done];
        let written = whole.iter().rposition(|octet| *octet == b'\n');
        let written = written.map_or(0, |at| at + 1);
        if done > written {
            let surplus = u64::try_from(done - written).unwrap_or(u64::MAX);
            *torn = take_back(file, surplus).is_err();
        }
        return Err(Broken { written, source });
    }
    Ok(())
}

/// Cuts the unfinished line off again.
fn take_back(file: &File, surplus: u64) -> io::Result<()> {
    let status = file.metadata()?;
    let length = status.len().checked_sub(surplus);
    match length.filter(|_| status.is_file()) {
        Some(length) => file.set_len(length),
        None => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).mode(0o640);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // The mode of a new file does not depend on the umask.
            file.set_permissions(Permissions::from_mode(0o640))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// A kill or a power cut leaves half a line; a file that cannot be looked at is taken as it is.
fn ends_torn(path: &Path) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Ok(b'\n');
        }
        file.seek(SeekFrom::End(-1))?;
        let mut octet = [0];
        file.read_exact(&mut octet)?;
        Ok(octet[0])
    };
    last().is_ok_and(|octet| octet != b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_ended_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        crate::in_process::write(&path, "whole\nhal");
        let mut output = Output::open(&LogTarget::File(path.clone())).unwrap();
        output.write(b"next\n").map_err(|b| b.source).unwrap();
        output.write(b"more\n").map_err(|b| b.source).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "whole\nhal\nnext\nmore\n");
    }

    #[test]
    fn a_surplus_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        crate::in_process::write(&path, "whole\nhalf");
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        take_back(&file, 4).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\n");
        assert!(take_back(&file, 7).is_err());
    }
}
