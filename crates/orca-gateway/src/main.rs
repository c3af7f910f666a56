//! SSL client authentication in front of WebORCA, with revocation that takes effect.

mod access_log;
mod admission;
mod args;
mod attach;
mod basic;
mod body;
mod certificate_list;
mod chain;
mod check;
mod choices;
mod clerk;
mod clock;
mod config;
mod config_error;
mod connection;
mod connector;
mod cork;
mod credentials;
mod crl_address;
mod crl_intake;
mod crl_poll;
mod crl_published;
mod crl_service;
mod crl_store;
mod cuts;
mod denial;
mod diagnose;
mod doorway;
mod examination;
mod exempt;
mod explain;
mod feed;
mod forward;
mod headers;
mod http1;
mod identity;
mod last_seen;
mod leaving;
mod limits;
mod line_writer;
mod listener;
mod live;
mod log;
mod meters;
mod negotiated;
mod news;
mod observe_report;
mod office;
mod operators;
mod origin;
mod reload;
mod reset_crl;
mod rules;
mod run;
mod salvage;
mod sd;
mod seldom;
mod server_names;
mod session;
mod shutdown;
mod slots;
mod standing;
mod startup_log;
mod status;
mod stream;
mod support_bundle;
mod takeover;
mod tls;
mod trust;
mod upgrade;
mod upstream;
mod verify_log;
mod windows;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use orca_diagnosis::report;
use orca_messages::{Finding, Lang, Localize, render};

use args::{Args, DiagnoseArgs, Format, Stop, Task, VerifyArgs};
use clock::Clock;
use observe_report::{Order, Report};
use support_bundle::Owner;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match args::parse(arguments, |name| std::env::var(name).ok()) {
        Ok(args) => act(args),
        Err(Stop::Print(text)) => print(&text),
        Err(Stop::Usage(lang, error)) => complain(&[Box::new(error)], lang),
    }
}

fn act(args: Args) -> ExitCode {
    if let Task::Attach(..) | Task::Detach(..) = args.task {
        return place(&args);
    }
    let path = args.conf.unwrap_or_else(config::default_path);
    match &args.task {
        Task::Check(format) => return check(&path, *format, args.lang),
        Task::Diagnose(diagnosis) => return diagnose(&path, *diagnosis, args.lang),
        Task::ObserveReport(report) => return observe_report(report, args.lang),
        Task::ResetCrl(word) => return reset_crl(&path, word.as_deref(), args.lang),
        Task::LastSeen(format) => return last_seen(&path, *format, args.lang),
        Task::SupportBundle(output) => return support_bundle(&path, output.as_deref(), args.lang),
        Task::VerifyLog(verify) => return verify_log(verify, args.lang),
        Task::Run | Task::Attach(..) | Task::Detach(..) => {}
    }
    let reading = match config::read(&path) {
        Ok(reading) => reading,
        Err(error) => return complain(&[Box::new(error)], args.lang),
    };
    match run::run(reading, Clock::system()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(troubles) => complain(&troubles, args.lang),
    }
}

/// Attaches or detaches; what happens is told as it happens.
fn place(args: &Args) -> ExitCode {
    let conf = args
        .conf
        .as_deref()
        .unwrap_or_else(|| Path::new(config::OWN_CONF));
    let mut tell = |finding: &Finding| {
        let line = render::finding(finding, args.lang);
        // A closed pipe is nobody's trouble, and no reason to stop half-way.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    };
    let outcome = match args.task {
        Task::Attach(mode, run) => attach::attach(conf, mode, run, Clock::system(), &mut tell),
        Task::Detach(departure, run) => attach::detach(departure, run, Clock::system(), &mut tell),
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&[Box::new(error)], args.lang),
    }
}

fn check(path: &Path, format: Format, lang: Lang) -> ExitCode {
    print_findings(&check::findings(path, Clock::system()), format, lang)
}

fn diagnose(path: &Path, args: DiagnoseArgs, lang: Lang) -> ExitCode {
    let findings = diagnose::findings(path, args.at, Clock::system());
    print_findings(&findings, args.format, lang)
}

fn print_findings(findings: &[Finding], format: Format, lang: Lang) -> ExitCode {
    let mut out = std::io::stdout().lock();
    // A closed pipe is nobody's trouble.
    let _ = report::print(findings, format.form(), lang, &mut out);
    match check::any_failed(findings) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn observe_report(order: &Order, lang: Lang) -> ExitCode {
    let zone = TimeZone::system();
    let since = order.since.map(|since| since.moment(&zone));
    match Report::read(&order.files, since) {
        Ok(report) => {
            // A closed pipe is nobody's trouble.
            let _ = report.print(order.format, lang, &zone, &mut std::io::stdout().lock());
            let summary = report.summary();
            let _ = writeln!(
                std::io::stderr().lock(),
                "{}",
                render::finding(&summary, lang)
            );
            ExitCode::SUCCESS
        }
        Err(error) => complain(&[Box::new(error)], lang),
    }
}

fn reset_crl(path: &Path, word: Option<&str>, lang: Lang) -> ExitCode {
    match reset_crl::ask(path, word) {
        Ok(findings) => {
            let lines = findings
                .iter()
                .map(|finding| render::finding(finding, lang));
            print(&(lines.collect::<Vec<_>>().join("\n") + "\n"))
        }
        Err(troubles) => complain(&troubles, lang),
    }
}

fn last_seen(path: &Path, format: Format, lang: Lang) -> ExitCode {
    let state = match config::read(path).map(|reading| reading.config) {
        Ok(Ok(config)) => config.state,
        Ok(Err(errors)) => {
            let errors = errors.into_iter().map(|error| Box::new(error) as _);
            return complain(&errors.collect::<Vec<_>>(), lang);
        }
        Err(error) => return complain(&[Box::new(error)], lang),
    };
    let zone = TimeZone::system();
    let mut out = std::io::stdout().lock();
    let printed = last_seen::print(&state, format, lang, &zone, &mut out);
    finish(
        printed.map(|()| true).map_err(|error| Box::new(error) as _),
        lang,
    )
}

fn verify_log(verify: &VerifyArgs, lang: Lang) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let VerifyArgs {
        files,
        anchors,
        format,
    } = verify;
    let good = verify_log::run(files, anchors, *format, lang, &mut out);
    finish(good.map_err(|error| Box::new(error) as _), lang)
}

fn support_bundle(path: &Path, output: Option<&Path>, lang: Lang) -> ExitCode {
    let owner = Owner::under_sudo(|name| std::env::var(name).ok());
    let mut out = std::io::stdout().lock();
    let made = support_bundle::make(path, output, owner, Clock::system(), lang, &mut out);
    finish(
        made.map(|()| true).map_err(|error| Box::new(error) as _),
        lang,
    )
}

/// Exit code of a command that tells whether all is well.
fn finish(good: Result<bool, Box<dyn Localize>>, lang: Lang) -> ExitCode {
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => complain(&[error], lang),
    }
}

/// A closed pipe is nobody's trouble.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(troubles: &[Box<dyn Localize>], lang: Lang) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    let mut code = 1;
    for trouble in troubles {
        let _ = writeln!(stderr, "{}", render::error(trouble.as_ref(), lang));
        code = trouble.exit_code();
    }
    ExitCode::from(code)
}

#[cfg(test)]
#[path = "../tests/gateway/mod.rs"]
mod in_process;
