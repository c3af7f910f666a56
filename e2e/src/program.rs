//! Running a program to its end, as a person at a terminal or a script would.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use anyhow::ensure;

use crate::wait;

/// No single run of a program takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// The loader of the C library puts its own word for `lib` in (ld.so(8)).
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// The folder of the programs under test: `ORCA_BIN_DIR`, else `target/release`.
pub fn bin_dir() -> PathBuf {
    match std::env::var_os("ORCA_BIN_DIR") {
        Some(dir) => dir.into(),
        None => target_dir().join("release"),
    }
}

/// A program of ours, as it was built.
///
/// # Errors
///
/// When it has not been built.
pub fn ours(name: &str) -> anyhow::Result<PathBuf> {
    let path = bin_dir().join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run cargo build --release",
        path.display()
    );
    Ok(path)
}

/// `target`, seen from a test binary in `target/PROFILE/deps`.
fn target_dir() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.ancestors()
        .find(|path| path.join("CACHEDIR.TAG").is_file())
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
            Path::to_owned,
        )
}

/// A run that is to be made: arguments, a small environment of its own, standard input.
#[derive(Clone, Debug)]
pub struct Program {
    path: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Program {
    /// Prepares a run of `path` with nothing of our environment but `PATH`.
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        let search = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        Self {
            path: path.as_ref().to_owned(),
            args: Vec::new(),
            env: vec![("PATH".into(), search), ("LC_ALL".into(), "C.UTF-8".into())],
            dir: None,
            stdin: Vec::new(),
            limit: LIMIT,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment; the last one of a name counts.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs in this folder.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// What the program reads on standard input; without it, end of input at once.
    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = text.as_ref().to_owned();
        self
    }

    /// Lets the run take longer than the usual two minutes.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Shifts the clock the program sees, in the form of faketime: `-30d`, `+3d`, `+90` seconds.
    ///
    /// Not through the command `faketime`, which stays between us and the program. The monotonic
    /// clock stays as it is, or waits with a timeout would hang.
    pub fn at(self, shift: &str) -> Self {
        self.env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME", shift)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    /// Runs as a user without rights: root ignores the modes of files.
    pub fn as_nobody(self) -> Self {
        if !rustix::process::geteuid().is_root() {
            return self;
        }
        let user = [
            "setpriv",
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
            "--",
        ];
        self.under(&user)
    }

    /// Runs as the last argument of another program and its arguments; of none, as it is.
    pub fn under<A: AsRef<OsStr>>(mut self, wrapper: &[A]) -> Self {
        let mut front = wrapper.iter().map(|word| word.as_ref().to_owned());
        let Some(outer) = front.next() else {
            return self;
        };
        let inner = std::mem::replace(&mut self.path, outer);
        let args = std::mem::take(&mut self.args);
        self.args = front.chain([inner]).chain(args).collect();
        self
    }

    /// The call as a line for a shell.
    pub fn line(&self) -> String {
        let env = self.env.iter().filter(|(name, _)| name != "PATH");
        let env = env.map(|(name, value)| {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            format!("{name}={}", quoted(&value))
        });
        let words = std::iter::once(&self.path).chain(&self.args);
        let words = words.map(|word| quoted(&word.to_string_lossy()));
        env.chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs to the end.
    ///
    /// # Errors
    ///
    /// When the program cannot be started or has not ended in time.
    pub fn run(&self) -> anyhow::Result<Outcome> {
        let mut child = self.spawn(Stdio::piped(), Stdio::piped(), Stdio::piped())?;
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let input = child.stdin.take().map(|mut pipe| {
            let text = self.stdin.clone();
            // A program that does not read its input is no failure.
            std::thread::spawn(move || drop(pipe.write_all(&text)))
        });
        let what = format!("the end of {}", self.path.display());
        let ended = wait::within(self.limit, &what, || child.try_wait().transpose());
        if ended.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let status = ended??;
        if let Some(input) = input {
            let _ = input.join();
        }
        Ok(Outcome {
            code: status.code(),
            stdout: join(stdout)?,
            stderr: String::from_utf8_lossy(&join(stderr)?).into_owned(),
        })
    }

    /// Starts it with these streams and does not wait.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn spawn(&self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<std::io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn join(reader: JoinHandle<std::io::Result<Vec<u8>>>) -> anyhow::Result<Vec<u8>> {
    let bytes = reader
        .join()
        .map_err(|_| anyhow::anyhow!("a reader of output panicked"))??;
    Ok(bytes)
}

/// How a run ended and what it wrote.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The text of standard output, if the program exited with 0.
    ///
    /// # Errors
    ///
    /// With everything the program wrote, when it did not.
    pub fn success(&self) -> anyhow::Result<String> {
        ensure!(self.code == Some(0), "the program failed: {self:#?}");
        Ok(self.text())
    }

    /// What it wrote on both streams, if the program exited with `code`.
    ///
    /// # Errors
    ///
    /// With everything the program wrote, when it did not.
    pub fn failure(&self, code: i32) -> anyhow::Result<String> {
        ensure!(
            self.code == Some(code),
            "the exit code is not {code}: {self:#?}"
        );
        Ok(format!("{}{}", self.text(), self.stderr))
    }
}
