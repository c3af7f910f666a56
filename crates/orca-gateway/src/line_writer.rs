//! A file of whole lines, written by a thread of its own.
//!
//! Nobody waits for the disk: lines are gathered in memory up to a limit and written in batches; what
//! does not fit, or cannot be written, is dropped and counted.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orca_messages::{Localize, Text, text};

use crate::config::LogTarget;

/// Octets of lines that may wait for the disk.
const LIMIT: usize = 4 << 20;
/// How long the writer gathers lines after a batch, so that a busy gateway writes seldom.
const LINGER: Duration = Duration::from_millis(25);
/// How long [`LineWriter::flush`] waits for a disk that hangs.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// A log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to {}: {source}", path.display())]
pub(crate) struct LogError {
    path: PathBuf,
    source: io::Error,
}

impl Localize for LogError {
    fn id(&self) -> &'static str {
        "log-not-writable"
    }

    fn message(&self) -> Text {
        let (path, source) = (self.path.display(), &self.source);
        text!(
            "ログファイル{path}に書き込めません({source})。",
            "cannot write to the log {path}: {source}"
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "フォルダとファイルの所有者、権限、空き容量を確認してください。",
            "check owner, mode and free space of folder and file"
        )
    }
}

/// Takes lines; clones write to the same file.
#[derive(Clone)]
pub(crate) struct LineWriter(Arc<Shared>);

struct Shared {
    target: LogTarget,
    dropped: AtomicU64,
    state: Mutex<State>,
    /// Tells the writer that there is work.
    work: Condvar,
    /// Tells those who flush that a batch is done.
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Batch,
    /// Lines taken so far, and how many of them are written or given up.
    taken: u64,
    settled: u64,
    /// The writer sleeps until told.
    asleep: bool,
    /// Somebody waits: no gathering.
    urgent: bool,
    replacement: Option<Sink>,
}

#[derive(Default)]
struct Batch {
    octets: Vec<u8>,
    lines: u64,
}

enum Sink {
    Stdout,
    File(File),
}

impl LineWriter {
    /// Opens the target (a missing folder is made with mode 0750, a file with 0640) and starts the
    /// writer.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(target: &LogTarget) -> Result<Self, LogError> {
        let sink = open(target)?;
        let shared = Arc::new(Shared {
            target: target.clone(),
            dropped: AtomicU64::new(0),
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || for_thread.write_lines(sink))
            .map_err(|source| LogError {
                path: PathBuf::from(target.to_string()),
                source,
            })?;
        Ok(Self(shared))
    }

    /// Takes one line without its line feed; returns at once.
    pub(crate) fn line(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.waiting.octets.len() + line.len() >= LIMIT {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.waiting.octets.extend_from_slice(line);
        state.waiting.octets.push(b'\n');
        state.waiting.lines += 1;
        state.taken += 1;
        if std::mem::take(&mut state.asleep) {
            self.0.work.notify_one();
        }
    }

    /// Opens the file anew by its name, after somebody has moved it away.
    ///
    /// # Errors
    /// It cannot be opened; the old file stays in use.
    pub(crate) fn reopen(&self) -> Result<(), LogError> {
        let sink = open(&self.0.target)?;
        let mut state = self.0.lock();
        state.replacement = Some(sink);
        state.urgent = true;
        self.0.work.notify_one();
        Ok(())
    }

    /// Waits until all lines taken so far are written or given up, two seconds at most.
    pub(crate) fn flush(&self) {
        let deadline = Instant::now() + FLUSH_DEADLINE;
        let mut state = self.0.lock();
        let goal = state.taken;
        while state.settled < goal {
            state.urgent = true;
            self.0.work.notify_one();
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            let waited = self.0.done.wait_timeout(state, rest);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lines that were lost so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lines(&self, mut sink: Sink) {
        let mut torn = false;
        loop {
            let (batch, replacement) = self.next_work();
            if let Some(new) = replacement {
                sink = new;
                torn = false;
            }
            if sink.write(&batch.octets, &mut torn).is_err() {
                self.dropped.fetch_add(batch.lines, Ordering::Relaxed);
            }
            let mut state = self.lock();
            state.settled += batch.lines;
            self.done.notify_all();
            if !state.urgent {
                drop(self.work.wait_timeout(state, LINGER));
            }
        }
    }

    fn next_work(&self) -> (Batch, Option<Sink>) {
        let mut state = self.lock();
        while state.waiting.lines == 0 && state.replacement.is_none() {
            state.asleep = true;
            state.urgent = false;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        state.urgent = false;
        (std::mem::take(&mut state.waiting), state.replacement.take())
    }
}

impl Sink {
    /// Writes a batch; `torn` remembers that the last one broke off in the middle of a line.
    fn write(&mut self, octets: &[u8], torn: &mut bool) -> io::Result<()> {
        if octets.is_empty() {
            return Ok(());
        }
        if *torn {
            self.write_all(b"\n")?;
        }
        let written = self.write_all(octets);
        *torn = written.is_err();
        written
    }

    fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(octets)?;
                stdout.flush()
            }
            Self::File(file) => file.write_all(octets),
        }
    }
}

fn open(target: &LogTarget) -> Result<Sink, LogError> {
    match target {
        LogTarget::Stdout => Ok(Sink::Stdout),
        LogTarget::File(path) => open_file(path).map(Sink::File).map_err(|source| LogError {
            path: path.clone(),
            source,
        }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder() -> (tempfile::TempDir, PathBuf, LogTarget) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/gateway.log");
        let target = LogTarget::File(path.clone());
        (folder, path, target)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn lines_arrive_in_order_in_a_file_that_is_made() {
        let (_folder, path, target) = in_folder();
        let writer = LineWriter::open(&target).unwrap();
        for number in 0..1000 {
            writer.line(format!("line {number}").as_bytes());
        }
        writer.flush();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1000);
        assert!(text.ends_with("line 999\n"));
        assert_eq!(mode(&path), 0o640);
        assert_eq!(mode(path.parent().unwrap()), 0o750);
        assert_eq!(writer.dropped(), 0);
    }

    #[test]
    fn a_moved_file_is_made_again_on_reopen() {
        let (_folder, path, target) = in_folder();
        let writer = LineWriter::open(&target).unwrap();
        writer.line(b"before");
        writer.flush();
        let moved = path.with_extension("1");
        std::fs::rename(&path, &moved).unwrap();
        writer.reopen().unwrap();
        writer.line(b"after");
        writer.flush();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "before\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
    }

    #[test]
    fn a_full_disk_drops_lines_and_counts_them() {
        let writer = LineWriter::open(&LogTarget::File("/dev/full".into())).unwrap();
        writer.line(b"lost");
        writer.flush();
        assert_eq!(writer.dropped(), 1);
    }

    #[test]
    fn lines_beyond_the_limit_are_dropped_at_once() {
        let (_folder, _path, target) = in_folder();
        let writer = LineWriter::open(&target).unwrap();
        writer.line(&vec![b'x'; LIMIT]);
        assert_eq!(writer.dropped(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let target = LogTarget::File("/dev/null/x/gateway.log".into());
        assert!(LineWriter::open(&target).is_err());
    }
}
