//! `orca-gateway verify_log`: is the access log as it was written?

mod anchors;
mod join;
mod report;
mod scan;
mod track;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use orca_messages::{Lang, Localize, Text, render, text};

use crate::args::Format;
use anchors::Anchors;
use report::Report;
use scan::Scan;

/// Octets read at once.
const BUFFER: usize = 1 << 20;
/// The longest line that is looked at as one.
const MOST_OF_LINE: u64 = 1 << 20;

/// Reads the files in any order, prints what was found, and tells whether all is well.
///
/// # Errors
/// A file cannot be read, or the output is closed.
pub(crate) fn run(
    files: &[PathBuf],
    anchors: &[PathBuf],
    format: Format,
    lang: Lang,
    out: &mut impl Write,
) -> Result<bool, VerifyError> {
    let report = verify(files, anchors)?;
    report
        .print(format, lang, out)
        .map_err(VerifyError::Output)?;
    Ok(report.is_good())
}

fn verify(files: &[PathBuf], anchor_files: &[PathBuf]) -> Result<Report, VerifyError> {
    let mut anchors = Anchors::default();
    for path in anchor_files {
        let failed = |source| VerifyError::unreadable(path, source);
        let reader = open(path).map_err(failed)?;
        anchors.read(reader).map_err(failed)?;
    }
    let mut report = Report::default();
    let mut tracks = Vec::new();
    for (number, path) in files.iter().enumerate() {
        let failed = |source| VerifyError::unreadable(path, source);
        let mut reader = open(path).map_err(failed)?;
        report.add_file(path);
        let mut scan = Scan::new(number, &anchors, &mut report);
        let mut line = Vec::new();
        while let Some(end) = read_line(&mut reader, &mut line).map_err(failed)? {
            scan.line(&line, end);
        }
        tracks.push(scan.finish());
    }
    join::join(tracks, &anchors, &mut report);
    Ok(report)
}

/// A file, unpacked where it is gzip (RFC 1952).
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::with_capacity(BUFFER, File::open(path)?);
    let is_gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(match is_gzip {
        true => Box::new(BufReader::with_capacity(
            BUFFER,
            MultiGzDecoder::new(reader),
        )),
        false => Box::new(reader),
    })
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LineEnd {
    Feed,
    /// The file ends in it, or it is longer than any of ours.
    Open,
}

/// The next line without its line feed; `None` at the end.
fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<LineEnd>> {
    line.clear();
    let octets = reader.take(MOST_OF_LINE).read_until(b'\n', line)?;
    if octets == 0 {
        return Ok(None);
    }
    Ok(Some(match line.pop_if(|last| *last == b'\n') {
        Some(_) => LineEnd::Feed,
        None => LineEnd::Open,
    }))
}

/// Nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// A file of log or anchors.
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Where the result goes.
    #[error("output: {0}")]
    Output(io::Error),
}

impl VerifyError {
    fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            source,
        }
    }
}

impl Localize for VerifyError {
    fn id(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "log-not-readable",
            Self::Output(_) => "output-failed",
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::Unreadable { path, source } => {
                let path = render::one_line(&path.display().to_string());
                text!(
                    "{path} を読み取れません({source})。",
                    "cannot read {path}: {source}"
                )
            }
            Self::Output(source) => text!(
                "結果を出力できませんでした({source})。",
                "the result could not be written: {source}"
            ),
        }
    }

    fn remedy(&self) -> Text {
        match self {
            Self::Unreadable { .. } => text!(
                "ファイル名と読み取り権限を確認してください(sudo が必要な場合があります)。",
                "check the name of the file and the right to read it (sudo may be needed)"
            ),
            Self::Output(_) => text!(
                "出力先を確認してください。",
                "look at where the output goes"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
