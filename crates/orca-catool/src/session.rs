//! The terminal: where data and messages go, and where the one answer comes from.

use std::io::{self, BufRead, Write};

use orca_messages::{Finding, Lang, Localize, Text, render, text};

use crate::args::UsageError;

/// Standard streams and the language of a run.
pub(crate) struct Session<'a> {
    pub(crate) lang: Lang,
    pub(crate) input: &'a mut dyn BufRead,
    pub(crate) input_is_terminal: bool,
    pub(crate) output: &'a mut dyn Write,
    pub(crate) messages: &'a mut dyn Write,
}

/// Why a run ended without success.
pub(crate) enum Failure {
    /// The authority refused or failed.
    Authority(orca_ca::Error),
    /// `orca-gateway check` found something.
    Gateway(crate::command::server_kit::CheckFailed),
    /// The file of `--from-csv` cannot be used.
    Csv(crate::command::from_csv::CsvError),
    /// The file of last uses cannot be read.
    Seen(crate::command::list_cert::SeenError),
    /// The command line is wrong.
    Usage(UsageError),
    /// The user said no.
    Declined,
    /// A standard stream is gone.
    Stream(io::Error),
}

/// The result could not be written to standard output or error; the work itself is done.
pub(crate) struct StreamError(pub(crate) io::Error);

impl Localize for StreamError {
    fn id(&self) -> &'static str {
        "output-failed"
    }

    fn message(&self) -> Text {
        let cause = &self.0;
        text!(
            "結果を出力できませんでした({cause})。コマンドの処理は終わっている可能性があります。",
            "the result could not be written ({cause}); the command itself may be done"
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "出力先の空き容量を確認し、orca-catool list_cert で結果を確認してください。",
            "make room where the output goes, and look with orca-catool list_cert what was done"
        )
    }
}

impl From<crate::command::from_csv::CsvError> for Failure {
    fn from(error: crate::command::from_csv::CsvError) -> Self {
        Self::Csv(error)
    }
}

impl From<crate::command::list_cert::SeenError> for Failure {
    fn from(error: crate::command::list_cert::SeenError) -> Self {
        Self::Seen(error)
    }
}

impl From<orca_ca::Error> for Failure {
    fn from(error: orca_ca::Error) -> Self {
        Self::Authority(error)
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl Session<'_> {
    /// Says something on standard error.
    pub(crate) fn say(&mut self, text: &Text) -> io::Result<()> {
        writeln!(self.messages, "{}", text.get(self.lang))
    }

    /// Warns on standard error: what and what to do.
    pub(crate) fn warn(&mut self, id: &'static str, message: Text, remedy: Text) -> io::Result<()> {
        self.find(&Finding::warning(id, message, remedy))
    }

    /// Tells a finding on standard error.
    pub(crate) fn find(&mut self, finding: &Finding) -> io::Result<()> {
        writeln!(self.messages, "{}", render::finding(finding, self.lang))
    }

    /// Reports an error on standard error.
    pub(crate) fn report(&mut self, error: &dyn Localize) -> io::Result<()> {
        writeln!(self.messages, "{}", render::error(error, self.lang))
    }
}
