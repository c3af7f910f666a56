//! The command line: what was typed becomes what it means. clap appears in this folder only.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgMatches, Command};
use jiff::civil::Date;
use orca_diagnosis::report::Form;
use orca_messages::{Lang, Localize, Text, text};

mod definition;

use crate::attach::{Departure, Mode, Run};
use crate::observe_report::{Order, Since};

/// What was asked for.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Args {
    /// `--conf`; without it the file is looked for.
    pub(crate) conf: Option<PathBuf>,
    /// Language of the terminal; the log has its own.
    pub(crate) lang: Lang,
    pub(crate) task: Task,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Task {
    /// Serve.
    Run,
    /// Forget the numbers of revocation lists: of all authorities, or of those whose name has the
    /// word.
    ResetCrl(Option<String>),
    /// Tell what a start would do.
    Check(Format),
    /// Tell that, and what a client would find.
    Diagnose(DiagnoseArgs),
    /// Tell from access logs who would be locked out.
    ObserveReport(Order),
    /// Tell when each certificate was seen last.
    LastSeen(Format),
    /// Put what a supporter asks for into one zip, at this place or here.
    SupportBundle(Option<PathBuf>),
    /// Tell whether access logs are as they were written.
    VerifyLog(VerifyArgs),
    /// Put the gateway in front of WebORCA.
    Attach(Option<Mode>, Run),
    /// Take it away.
    Detach(Departure, Run),
}

/// What to look at beside the present.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DiagnoseArgs {
    /// What will have ended by then is told too.
    pub(crate) at: Option<Date>,
    pub(crate) format: Format,
}

/// Which files to verify.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct VerifyArgs {
    pub(crate) files: Vec<PathBuf>,
    /// Event logs and journals that tell the heads of the chains.
    pub(crate) anchors: Vec<PathBuf>,
    pub(crate) format: Format,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Csv,
    Json,
    Table,
}

impl Format {
    /// The same for findings.
    pub(crate) fn form(self) -> Form {
        match self {
            Self::Csv => Form::Csv,
            Self::Json => Form::Json,
            Self::Table => Form::Table,
        }
    }
}

/// Why there is nothing to do.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// Help or version, for standard output.
    Print(String),
    /// The command line is wrong.
    Usage(Lang, UsageError),
}

/// A command line that cannot be understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UsageError(Text);

impl Localize for UsageError {
    fn id(&self) -> &'static str {
        "usage"
    }

    fn message(&self) -> Text {
        self.0.clone()
    }

    fn remedy(&self) -> Text {
        text!(
            "使い方は orca-gateway --help で確認できます。",
            "orca-gateway --help shows the usage"
        )
    }

    fn exit_code(&self) -> u8 {
        2
    }
}

/// Reads the command line, the program's name first; `env` looks up variables of the environment.
///
/// # Errors
/// Nothing is to be done: help, version, or a wrong command line.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Args, Stop> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let lang = wanted_lang(&arguments).unwrap_or_else(|| Lang::from_env(env));
    match command(lang).try_get_matches_from(arguments) {
        Ok(matches) => Ok(args(lang, &matches)),
        Err(error) => Err(stop(lang, &error)),
    }
}

/// `--lang` decides about the language of the complaint on the rest, so it is looked for first.
fn wanted_lang(arguments: &[OsString]) -> Option<Lang> {
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        match word.strip_prefix("--lang") {
            Some("") => return words.next()?.parse().ok(),
            Some(rest) => return rest.strip_prefix('=')?.parse().ok(),
            None => {}
        }
    }
    None
}

/// The definition with the types that its values have here.
fn command(lang: Lang) -> Command {
    definition::definition(lang)
        .mut_subcommand("observe_report", |report| {
            report.mut_arg("since", |since| {
                since.value_parser(clap::value_parser!(Since))
            })
        })
        .mut_subcommand("diagnose", |diagnose| {
            diagnose.mut_arg("at", |at| at.value_parser(clap::value_parser!(Date)))
        })
}

fn args(lang: Lang, matches: &ArgMatches) -> Args {
    let task = match matches.subcommand() {
        Some(("check", matches)) => Task::Check(format(matches)),
        Some(("diagnose", matches)) => Task::Diagnose(DiagnoseArgs {
            at: matches.get_one::<Date>("at").copied(),
            format: format(matches),
        }),
        Some(("observe_report", matches)) => Task::ObserveReport(Order {
            files: matches
                .get_many::<PathBuf>("file")
                .map(|files| files.cloned().collect())
                .unwrap_or_default(),
            since: matches.get_one::<Since>("since").copied(),
            format: format(matches),
        }),
        Some(("reset_crl", matches)) => Task::ResetCrl(matches.get_one::<String>("ca").cloned()),
        Some(("last_seen", matches)) => Task::LastSeen(format(matches)),
        Some(("support_bundle", matches)) => {
            Task::SupportBundle(matches.get_one::<PathBuf>("output").cloned())
        }
        Some(("verify_log", matches)) => Task::VerifyLog(VerifyArgs {
            files: paths(matches, "files"),
            anchors: paths(matches, "anchors"),
            format: format(matches),
        }),
        Some(("attach", matches)) => Task::Attach(mode(matches), rehearsal(matches)),
        Some(("detach", matches)) => Task::Detach(departure(matches), rehearsal(matches)),
        _ => Task::Run,
    };
    Args {
        conf: matches.get_one::<PathBuf>("conf").cloned(),
        lang,
        task,
    }
}

fn paths(matches: &ArgMatches, id: &str) -> Vec<PathBuf> {
    let paths = matches.get_many::<PathBuf>(id);
    paths.into_iter().flatten().cloned().collect()
}

fn mode(matches: &ArgMatches) -> Option<Mode> {
    match matches.get_one::<String>("mode")?.as_str() {
        "port" => Some(Mode::Port),
        _ => Some(Mode::Redirect),
    }
}

fn departure(matches: &ArgMatches) -> Departure {
    match matches.get_flag("emergency") {
        true => Departure::Emergency,
        false => Departure::Complete,
    }
}

fn rehearsal(matches: &ArgMatches) -> Run {
    match matches.get_flag("dry-run") {
        true => Run::Dry,
        false => Run::Real,
    }
}

fn format(matches: &ArgMatches) -> Format {
    match matches.get_one::<String>("format").map(String::as_str) {
        Some("csv") => Format::Csv,
        Some("json") => Format::Json,
        _ => Format::Table,
    }
}

fn stop(lang: Lang, error: &clap::Error) -> Stop {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Stop::Print(error.render().to_string())
        }
        _ => Stop::Usage(lang, UsageError(complaint(error))),
    }
}

fn complaint(error: &clap::Error) -> Text {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let argument = context(ContextKind::InvalidArg);
    let value = context(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand);
            text!(
                "「{word}」というコマンドはありません",
                "there is no command {word}"
            )
        }
        ErrorKind::UnknownArgument => text!(
            "「{argument}」という引数はありません",
            "there is no argument {argument}"
        ),
        ErrorKind::InvalidValue if value.is_empty() => {
            text!("{argument} に値がありません", "{argument} needs a value")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => text!(
            "「{value}」は {argument} の値になりません",
            "{value} is no value of {argument}"
        ),
        ErrorKind::MissingRequiredArgument => {
            text!("{argument} を指定してください", "{argument} is missing")
        }
        ErrorKind::ArgumentConflict => text!(
            "{argument} は一度だけ指定できます",
            "{argument} can be given only once"
        ),
        _ => text!("引数を解釈できません", "the arguments cannot be understood"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, Stop> {
        let words = std::iter::once("orca-gateway").chain(line.split_whitespace());
        parse(words.map(OsString::from), |_| None)
    }

    fn complaint(line: &str) -> String {
        match parsed(line) {
            Err(Stop::Usage(lang, error)) => error.message().get(lang).to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_command_means_run() {
        let run = |conf: Option<&str>| Args {
            conf: conf.map(PathBuf::from),
            lang: Lang::En,
            task: Task::Run,
        };
        assert_eq!(parsed(""), Ok(run(None)));
        assert_eq!(parsed("run"), Ok(run(None)));
        assert_eq!(parsed("--conf a run"), Ok(run(Some("a"))));
        assert_eq!(parsed("run --conf a"), Ok(run(Some("a"))));
    }

    #[test]
    fn check_and_diagnose_take_a_format() {
        for (line, format) in [
            ("check", Format::Table),
            ("check --format json", Format::Json),
        ] {
            assert_eq!(parsed(line).unwrap().task, Task::Check(format));
        }
        let at = Some(Date::constant(2027, 4, 1));
        for (line, at, format) in [
            ("diagnose --format=csv", None, Format::Csv),
            ("diagnose --at 2027-04-01", at, Format::Table),
        ] {
            let args = DiagnoseArgs { at, format };
            assert_eq!(parsed(line).unwrap().task, Task::Diagnose(args));
        }
        assert!(parsed("diagnose --at someday").is_err());
    }

    #[test]
    fn observe_report_takes_files_and_a_beginning() {
        let Task::ObserveReport(order) =
            parsed("observe_report a b.gz --since 2026-11-24 --format csv")
                .unwrap()
                .task
        else {
            panic!("another task");
        };
        assert_eq!(order.files, [PathBuf::from("a"), PathBuf::from("b.gz")]);
        assert_eq!(order.since, Some("2026-11-24".parse().unwrap()));
        assert_eq!(order.format, Format::Csv);
        for line in ["observe_report", "observe_report a --since yesterday"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn reset_crl_is_for_all_authorities_or_one() {
        for (line, word) in [("reset_crl", None), ("reset_crl --ca 1A2B", Some("1A2B"))] {
            let word = word.map(str::to_owned);
            assert_eq!(parsed(line).unwrap().task, Task::ResetCrl(word));
        }
    }

    #[test]
    fn attach_and_detach_take_their_words() {
        for (line, task) in [
            ("attach", Task::Attach(None, Run::Real)),
            (
                "attach --mode port --dry-run",
                Task::Attach(Some(Mode::Port), Run::Dry),
            ),
            (
                "attach --mode=redirect",
                Task::Attach(Some(Mode::Redirect), Run::Real),
            ),
            ("detach", Task::Detach(Departure::Complete, Run::Real)),
            (
                "detach --emergency",
                Task::Detach(Departure::Emergency, Run::Real),
            ),
            (
                "detach --dry-run",
                Task::Detach(Departure::Complete, Run::Dry),
            ),
        ] {
            assert_eq!(parsed(line).unwrap().task, task, "{line}");
        }
    }

    #[test]
    fn the_clap_definition_is_sound() {
        for lang in [Lang::Ja, Lang::En] {
            command(lang).debug_assert();
        }
    }

    #[test]
    fn help_speaks_the_language_and_names_everything() {
        for (flag, usage) in [("ja", "使い方: "), ("en", "Usage: ")] {
            let Err(Stop::Print(help)) = parsed(&format!("--lang {flag} --help")) else {
                panic!("no help");
            };
            for word in [
                usage,
                "--conf",
                "--lang",
                "--help",
                "--version",
                "check",
                "diagnose",
                "reset_crl",
                "last_seen",
                "verify_log",
            ] {
                assert!(help.contains(word), "{word} in {help}");
            }
            if flag == "ja" {
                for english in ["Usage", "Options", "Commands", "Print", "print"] {
                    assert!(!help.contains(english), "{english} in {help}");
                }
            }
        }
        let Err(Stop::Print(version)) = parsed("--version") else {
            panic!("no version");
        };
        assert!(version.starts_with("orca-gateway 0."));
    }

    #[test]
    fn wrong_lines_are_explained_in_the_language() {
        let cases = [
            ("frobnicate", "there is no command frobnicate"),
            ("--frob", "there is no argument --frob"),
            ("--lang fr", "fr is no value of --lang <ja|en>"),
            ("--conf", "--conf <FILE> needs a value"),
            (
                "check --format xml",
                "xml is no value of --format <table|json|csv>",
            ),
            ("verify_log", "<FILE>... is missing"),
            ("--lang ja --frob", "「--frob」という引数はありません"),
            ("--frob --lang=ja", "「--frob」という引数はありません"),
        ];
        for (line, expected) in cases {
            assert_eq!(complaint(line), expected, "{line}");
        }
    }
}
