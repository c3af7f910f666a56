//! A file of whole lines, written by a thread of its own.
//!
//! Nobody waits for the disk: lines are gathered in memory up to a limit and written in batches; what
//! does not fit, or cannot be written, is dropped and counted. As soon as writing works again, a line
//! of its own tells how many are missing. Where the lines are chained, they get their link here.

mod output;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use orca_messages::{Localize, Text, text};

use crate::chain::{Chain, Head};
use crate::clock::Clock;
use crate::config::LogTarget;
use output::{Broken, Output};

/// Octets of lines that may wait for the disk.
const LIMIT: usize = 4 << 20;
/// How long the writer gathers lines after a batch, so that a busy gateway writes seldom.
const LINGER: Duration = Duration::from_millis(25);
/// How long [`LineWriter::flush`] waits for a disk that hangs.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);
/// How soon it is tried again to tell of lost lines where no new ones come.
const RETRY: Duration = Duration::from_secs(1);

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

/// Lines that are missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Loss {
    pub(crate) lines: u64,
    /// When the first and the last of them were lost.
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// How a log tells of lost lines, without the line feed.
pub(crate) type TellLoss = Box<dyn Fn(&Loss) -> Vec<u8> + Send>;

/// Takes lines; clones write to the same file.
#[derive(Clone)]
pub(crate) struct LineWriter(Arc<Shared>);

struct Shared {
    target: LogTarget,
    clock: Clock,
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
    replacement: Option<Output>,
    /// What the file does not tell yet.
    loss: Option<Loss>,
    head: Option<Head>,
    /// Why the last batch could not be written.
    trouble: Option<Arc<LogError>>,
}

#[derive(Default)]
struct Batch {
    octets: Vec<u8>,
    lines: u64,
}

/// What the writer does next.
struct Work {
    batch: Batch,
    replacement: Option<Output>,
    loss: Option<Loss>,
}

impl LineWriter {
    /// Opens the target (a missing folder is made with mode 0750, a file with 0640) and starts the
    /// writer.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(
        target: &LogTarget,
        clock: Clock,
        tell: TellLoss,
        chain: Option<Chain>,
    ) -> Result<Self, LogError> {
        let failed = |source| LogError {
            path: PathBuf::from(target.to_string()),
            source,
        };
        let output = Output::open(target).map_err(failed)?;
        let shared = Arc::new(Shared {
            target: target.clone(),
            clock,
            dropped: AtomicU64::new(0),
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || for_thread.write_lines(output, &tell, chain))
            .map_err(failed)?;
        Ok(Self(shared))
    }

    /// Takes one line without its line feed; returns at once.
    pub(crate) fn line(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.waiting.octets.len() + line.len() >= LIMIT {
            self.0.lose(&mut state, 1);
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
        let output = Output::open(&self.0.target).map_err(|source| LogError {
            path: PathBuf::from(self.0.target.to_string()),
            source,
        })?;
        let mut state = self.0.lock();
        state.replacement = Some(output);
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

    /// Why the last attempt to write has failed, if it has.
    pub(crate) fn trouble(&self) -> Option<Arc<LogError>> {
        self.0.lock().trouble.clone()
    }

    /// How far the chain in the file has come; `None` before its first line, or without a chain.
    pub(crate) fn head(&self) -> Option<Head> {
        self.0.lock().head
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, state: &mut State, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        let now = self.clock.now();
        let loss = state.loss.get_or_insert(Loss {
            lines: 0,
            from: now,
            to: now,
        });
        loss.lines += lines;
        loss.to = now;
    }

    fn write_lines(&self, mut output: Output, tell: &TellLoss, mut chain: Option<Chain>) {
        loop {
            let Work {
                batch,
                replacement,
                loss,
            } = self.next_work();
            if let Some(new) = replacement {
                output = new;
            }
            let told = loss.map_or(Ok(()), |loss| {
                let mut line = tell(&loss);
                line.push(b'\n');
                write(&mut output, &mut chain, &line, 1).map_err(|unwritten| unwritten.source)
            });
            if let (Err(_), Some(untold)) = (&told, loss) {
                let mut state = self.lock();
                state.loss = Some(joined(untold, state.loss));
            }
            // Where even that one line does not fit, the rest would only leave gaps between.
            let written = match told {
                Ok(()) => write(&mut output, &mut chain, &batch.octets, batch.lines),
                Err(source) => Err(Unwritten { written: 0, source }),
            };
            let mut state = self.lock();
            state.trouble = match written {
                Ok(()) => None,
                Err(Unwritten { written, source }) => {
                    self.lose(&mut state, batch.lines.saturating_sub(written));
                    let path = PathBuf::from(self.target.to_string());
                    Some(Arc::new(LogError { path, source }))
                }
            };
            state.head = chain.as_ref().and_then(Chain::head);
            state.settled += batch.lines;
            self.done.notify_all();
            if !state.urgent {
                drop(self.work.wait_timeout(state, LINGER));
            }
        }
    }

    fn next_work(&self) -> Work {
        let mut state = self.lock();
        let mut rested = false;
        while state.waiting.lines == 0 && state.replacement.is_none() {
            if rested && state.loss.is_some() {
                break;
            }
            state.asleep = true;
            state.urgent = false;
            state = match state.loss {
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(_) => {
                    let waited = self.work.wait_timeout(state, RETRY);
                    let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    rested = timeout.timed_out();
                    state
                }
            };
        }
        state.asleep = false;
        state.urgent = false;
        Work {
            batch: std::mem::take(&mut state.waiting),
            replacement: state.replacement.take(),
            loss: state.loss.take(),
        }
    }
}

fn joined(earlier: Loss, later: Option<Loss>) -> Loss {
    match later {
        None => earlier,
        Some(later) => Loss {
            lines: earlier.lines + later.lines,
            from: earlier.from,
            to: later.to,
        },
    }
}

/// Lines that were not all written.
struct Unwritten {
    /// How many stand in the file.
    written: u64,
    source: io::Error,
}

/// Writes lines, with their links where there is a chain.
fn write(
    output: &mut Output,
    chain: &mut Option<Chain>,
    lines: &[u8],
    count: u64,
) -> Result<(), Unwritten> {
    if count == 0 {
        return Ok(());
    }
    let Some(present) = chain else {
        return output.write(lines).map_err(|broken| Unwritten {
            written: count_lines(&lines[..broken.written]),
            source: broken.source,
        });
    };
    let mut linked = Vec::with_capacity(lines.len() + lines.len() / 2);
    let mut next = present.clone();
    let mut stages = Vec::new();
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', lines) {
        next.append(&lines[begin..end], &mut linked);
        stages.push(next.head());
        begin = end + 1;
    }
    match output.write(&linked) {
        Ok(()) => {
            *present = next;
            Ok(())
        }
        Err(Broken { written, source }) => {
            let whole = count_lines(&linked[..written]);
            let last = usize::try_from(whole).unwrap_or(usize::MAX).checked_sub(1);
            if let Some(Some(head)) = last.and_then(|last| stages.get(last)) {
                present.set_head(*head);
            }
            let written = whole;
            Err(Unwritten { written, source })
        }
    }
}

fn count_lines(octets: &[u8]) -> u64 {
    let feeds = octets.iter().filter(|octet| **octet == b'\n');
    u64::try_from(feeds.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn opened(target: &LogTarget) -> Result<LineWriter, LogError> {
        let tell = Box::new(|loss: &Loss| format!("{} lines are missing", loss.lines).into_bytes());
        LineWriter::open(target, Clock::stopped(), tell, None)
    }

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
        let writer = opened(&target).unwrap();
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
        let writer = opened(&target).unwrap();
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
        let writer = opened(&LogTarget::File("/dev/full".into())).unwrap();
        writer.line(b"lost");
        writer.flush();
        assert_eq!(writer.dropped(), 1);
        assert!(writer.trouble().is_some());
    }

    #[test]
    fn a_gap_is_told_by_a_line_of_its_own_when_writing_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("log");
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let writer = opened(&LogTarget::File(link.clone())).unwrap();
        for number in 0..3 {
            writer.line(format!("lost {number}").as_bytes());
            writer.flush();
        }
        std::fs::remove_file(&link).unwrap();
        writer.reopen().unwrap();
        writer.line(b"after");
        writer.flush();
        let text = std::fs::read_to_string(&link).unwrap();
        assert_eq!(text, "3 lines are missing\nafter\n");
        assert_eq!(writer.dropped(), 3);
        assert!(writer.trouble().is_none());
    }

    #[test]
    fn lines_beyond_the_limit_are_dropped_at_once() {
        let (_folder, _path, target) = in_folder();
        let writer = opened(&target).unwrap();
        writer.line(&vec![b'x'; LIMIT]);
        assert_eq!(writer.dropped(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let target = LogTarget::File("/dev/null/x/gateway.log".into());
        assert!(opened(&target).is_err());
    }
}
