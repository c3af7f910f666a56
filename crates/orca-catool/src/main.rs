//! 日レセ用認証局構築ツール: the private CA of a clinic on the command line.

use std::io::{self, BufWriter, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::place::{Place, Standing};
use orca_messages::{Lang, Localize};

use crate::args::{Command, Invocation};
use crate::session::{Failure, Session, StreamError};
use crate::upkeep::Upkeep;

mod args;
mod command;
mod interface;
mod session;
mod tabular;
mod upkeep;

/// Octets of output that leave at once: long lists are megabytes.
const OUTPUT: usize = 64 * 1024;

fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    let (lang, invocation) = args::parse(std::env::args_os().collect(), Lang::from_env(env));
    let mut input = io::stdin().lock();
    let mut output = BufWriter::with_capacity(OUTPUT, io::stdout().lock());
    let mut messages = io::stderr().lock();
    let mut session = Session {
        lang,
        input_is_terminal: io::stdin().is_terminal(),
        input: &mut input,
        output: &mut output,
        messages: &mut messages,
    };
    let result = invocation
        .map_err(Failure::from)
        .and_then(|call| run(call, &mut session, env));
    let result = result.and_then(|code| {
        session.output.flush()?;
        Ok(code)
    });
    // When standard error is closed too, the exit code is all that is left to say.
    match result {
        Ok(code) => ExitCode::from(code),
        Err(Failure::Authority(error)) => {
            session.report(&error).ok();
            ExitCode::from(error.exit_code())
        }
        Err(Failure::Usage(error)) => {
            session.report(&error).ok();
            ExitCode::from(error.exit_code())
        }
        Err(Failure::Gateway(error)) => {
            session.report(&error).ok();
            ExitCode::from(error.exit_code())
        }
        Err(Failure::Csv(error)) => {
            session.report(&error).ok();
            ExitCode::from(error.exit_code())
        }
        Err(Failure::Seen(error)) => {
            session.report(&error).ok();
            ExitCode::from(error.exit_code())
        }
        Err(Failure::Declined) => ExitCode::from(1),
        // `list_cert | head`: the reader has seen enough.
        Err(Failure::Stream(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Failure::Stream(error)) => {
            session.report(&StreamError(error)).ok();
            ExitCode::from(1)
        }
    }
}

/// Runs one call; the exit code where it did not fail.
fn run(
    call: Invocation,
    session: &mut Session<'_>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<u8, Failure> {
    if let Command::Show(text) = &call.command {
        write!(session.output, "{text}")?;
        return Ok(0);
    }
    let now = now();
    if let Command::Diagnose(args) = call.command {
        return command::diagnose::run(Place::find(call.config, env), args, session, now);
    }
    let place = Place::find(call.config, env)?;
    if let Command::Init(args) = call.command {
        command::init::run(place, args, session, now)?;
        return Ok(0);
    }
    let (mut authority, initialized) = match place.standing()? {
        Standing::Authority => (open(place, session)?, false),
        Standing::Vacant => (command::init::ask(place, session, now)?, true),
    };
    let upkeep = Upkeep::of(&call.command);
    upkeep.before(&mut authority, session, now)?;
    let code = execute(call.command, &mut authority, initialized, session, now);
    // Where standard error is gone the upkeep has nobody to tell, and the command counts.
    upkeep.after(&mut authority, session, now).ok();
    code
}

/// Runs one subcommand of a CA; the exit code where it did not fail.
fn execute(
    command: Command,
    authority: &mut Authority,
    initialized: bool,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<u8, Failure> {
    match command {
        Command::Overview => {
            write!(session.output, "{}", interface::SUBCOMMANDS)?;
            return Ok(if initialized { 0 } else { 2 });
        }
        Command::IssueServerCert(args) => {
            command::issue_server_cert::run(authority, args, session, now)?;
        }
        Command::IssueClientCert(args) => {
            command::issue_client_cert::run(authority, args, session, now)?;
        }
        Command::IssueFromCsv(args) => command::from_csv::run(authority, args, session, now)?,
        Command::ExportCert(args) => command::export_cert::run(authority, args, session, now)?,
        Command::RevokeCert(args) => command::revoke_cert::run(authority, args, session, now)?,
        Command::IssueCrl(args) => command::issue_crl::run(authority, args, session, now)?,
        Command::ListCert(args) => command::list_cert::run(authority, args, session, now)?,
        Command::ServerKit(args) => command::server_kit::run(authority, args, session, now)?,
        Command::ApiKit(args) => command::api_kit::run(authority, args, session, now)?,
        Command::Audit(args) => return command::audit::run(authority, args, session),
        Command::PublishCrl(format) => {
            command::publish_crl::run(authority, format, session, now)?;
        }
        Command::Diagnose(_) | Command::Init(_) | Command::Show(_) => {}
    }
    Ok(0)
}

fn open(place: Place, session: &mut Session<'_>) -> Result<Authority, Failure> {
    let authority = Authority::open(place)?;
    for path in authority.exposed_files() {
        command::warn_exposed(&path, session)?;
    }
    Ok(authority)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this program reads the clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

/// A path as data on standard output: as it is, in one line.
fn print_path(path: &std::path::Path, session: &mut Session<'_>) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt as _;
    session.output.write_all(path.as_os_str().as_bytes())?;
    session.output.write_all(b"\n")?;
    Ok(())
}

/// `-o` as typed, made absolute so that messages name the place.
fn absolute(path: Option<PathBuf>) -> Option<PathBuf> {
    path.map(|path| std::path::absolute(&path).unwrap_or(path))
}
