//! What was found, for people and for scripts.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use orca_messages::{Lang, Text, render, text};
use serde::Serialize;

use crate::args::Format;
use crate::chain::{ChainId, Hash};

/// Findings that are kept; the rest is counted.
const MOST: usize = 1000;

/// All findings.
#[derive(Debug, Default)]
pub(super) struct Report {
    files: Vec<PathBuf>,
    lines: u64,
    /// Anchors that stand for a line in the files.
    pub(super) anchors: u64,
    chains: Vec<ChainRow>,
    findings: Vec<Finding>,
    failures: u64,
    left_out: u64,
}

/// What is the matter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A line is not what was written.
    Changed,
    /// A line does not belong where it stands.
    Inserted,
    /// Lines are missing before the one named.
    Removed { from: u64, to: u64 },
    /// Lines are missing at the end of a chain.
    Cut { from: u64, to: u64 },
    /// A line is not the one that was told elsewhere.
    Rewritten { number: u64 },
    /// Two chains stand in one file at the same time.
    TwoWriters,
    /// A chain that was told of is in no file.
    ChainMissing,
    /// Nobody has told of a chain.
    NotAnchored,
    /// The beginning of a chain is in no file.
    BeginningGone { to: u64 },
    /// The chain that the first line of this one names is in no file.
    EarlierChainGone,
    /// Chains that were told of before all of the files.
    ChainsGone { chains: usize },
    /// Lines without a link, before the first chain.
    Unchained { lines: u64 },
    /// Half a line that a crash has left.
    Torn,
    /// Lines after the last anchor.
    BeyondAnchors { from: u64, to: u64 },
}

#[derive(Debug)]
struct Finding {
    kind: Kind,
    fails: bool,
    place: Option<(usize, u64)>,
    chain: Option<ChainId>,
}

#[derive(Debug, Serialize)]
struct ChainRow {
    id: String,
    first: u64,
    last: u64,
    hash: String,
}

impl Report {
    /// A file that is read; findings name it by its number.
    pub(super) fn add_file(&mut self, path: &Path) {
        self.files.push(path.to_owned());
    }

    /// Lines that were read.
    pub(super) fn add_lines(&mut self, lines: u64) {
        self.lines += lines;
    }

    /// A chain and how far it goes.
    pub(super) fn add_chain(&mut self, id: ChainId, first: u64, last: u64, hash: Hash) {
        self.chains.push(ChainRow {
            id: id.to_string(),
            first,
            last,
            hash: hash.to_string(),
        });
    }

    /// Something is wrong at a line.
    pub(super) fn fail(&mut self, kind: Kind, file: usize, line: u64, chain: Option<ChainId>) {
        self.add(kind, true, Some((file, line)), chain);
    }

    /// Something is wrong with a chain that stands in no file.
    pub(super) fn fail_chain(&mut self, kind: Kind, chain: ChainId) {
        self.add(kind, true, None, Some(chain));
    }

    /// Something to know about a line.
    pub(super) fn note(&mut self, kind: Kind, file: usize, line: u64, chain: Option<ChainId>) {
        self.add(kind, false, Some((file, line)), chain);
    }

    /// Something to know about a chain.
    pub(super) fn note_chain(&mut self, kind: Kind, chain: ChainId) {
        self.add(kind, false, None, Some(chain));
    }

    /// Something to know about all of it.
    pub(super) fn note_all(&mut self, kind: Kind) {
        self.add(kind, false, None, None);
    }

    /// Whether nothing is wrong.
    pub(super) fn is_good(&self) -> bool {
        self.failures == 0
    }

    /// The kinds of what is wrong, each with file and line.
    #[cfg(test)]
    pub(super) fn failures(&self) -> Vec<(Kind, Option<(usize, u64)>)> {
        let failures = self.findings.iter().filter(|finding| finding.fails);
        failures
            .map(|finding| (finding.kind, finding.place))
            .collect()
    }

    /// The kinds of what is merely told.
    #[cfg(test)]
    pub(super) fn notes(&self) -> Vec<Kind> {
        let notes = self.findings.iter().filter(|finding| !finding.fails);
        notes.map(|finding| finding.kind).collect()
    }

    fn add(
        &mut self,
        kind: Kind,
        fails: bool,
        place: Option<(usize, u64)>,
        chain: Option<ChainId>,
    ) {
        self.failures += u64::from(fails);
        if self.findings.len() >= MOST {
            self.left_out += 1;
            return;
        }
        self.findings.push(Finding {
            kind,
            fails,
            place,
            chain,
        });
    }

    /// Prints all of it.
    ///
    /// # Errors
    /// The output is closed.
    pub(super) fn print(&self, format: Format, lang: Lang, out: &mut impl Write) -> io::Result<()> {
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| (!finding.fails, finding.place));
        let rows = findings.into_iter().map(|finding| self.row(finding, lang));
        match format {
            Format::Table => {
                for row in rows {
                    writeln!(out, "{}", row.line(lang))?;
                }
                writeln!(out, "{}", self.summary().get(lang))?;
            }
            Format::Json => {
                serde_json::to_writer_pretty(
                    &mut *out,
                    &Json {
                        intact: self.is_good(),
                        files: self.files.iter().map(|path| shown(path)).collect(),
                        lines: self.lines,
                        anchors: self.anchors,
                        chains: &self.chains,
                        findings: rows.collect(),
                        left_out: self.left_out,
                    },
                )?;
                writeln!(out)?;
            }
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(&mut *out);
                for row in rows {
                    writer.serialize(row)?;
                }
                writer.flush()?;
            }
        }
        out.flush()
    }

    fn row(&self, finding: &Finding, lang: Lang) -> Row {
        let file = finding.place.and_then(|(file, _)| self.files.get(file));
        Row {
            id: finding.kind.id(),
            verdict: if finding.fails { "failure" } else { "note" },
            file: file.map(|path| shown(path)),
            line: finding.place.map(|(_, line)| line),
            chain: finding.chain.map(|id| id.to_string()),
            message: finding.kind.text().get(lang).to_owned(),
        }
    }

    fn summary(&self) -> Text {
        let (files, chains) = (self.files.len(), self.chains.len());
        let Self {
            lines,
            anchors,
            failures,
            left_out,
            ..
        } = self;
        let (more_ja, more_en) = match left_out {
            0 => (String::new(), String::new()),
            more => (
                format!("表示を省略したもの: {more}件。"),
                format!("; {more} more are not shown"),
            ),
        };
        match failures {
            0 => text!(
                "正常: {files}ファイル、{lines}行、{chains}本の連鎖に、変更、削除、挿入はありません(照合した記録点: {anchors})。{more_ja}",
                "ok: {lines} lines in {files} files and {chains} chains are as they were written; {anchors} anchors agree{more_en}",
            ),
            _ => text!(
                "異常: {failures}件({files}ファイル、{lines}行、{chains}本の連鎖、照合した記録点: {anchors})。{more_ja}",
                "failure: {failures} findings in {lines} lines, {files} files, {chains} chains; {anchors} anchors were compared{more_en}",
            ),
        }
    }
}

impl Kind {
    fn id(self) -> &'static str {
        match self {
            Self::Changed => "line-changed",
            Self::Inserted => "line-inserted",
            Self::Removed { .. } => "lines-removed",
            Self::Cut { .. } => "lines-cut",
            Self::Rewritten { .. } => "line-rewritten",
            Self::TwoWriters => "two-writers",
            Self::ChainMissing => "chain-missing",
            Self::NotAnchored => "chain-not-anchored",
            Self::BeginningGone { .. } => "beginning-gone",
            Self::EarlierChainGone => "earlier-chain-gone",
            Self::ChainsGone { .. } => "older-files-gone",
            Self::Unchained { .. } => "lines-without-chain",
            Self::Torn => "line-torn",
            Self::BeyondAnchors { .. } => "beyond-anchors",
        }
    }

    fn text(self) -> Text {
        match self {
            Self::Changed => text!("この行は変更されています。", "this line was changed"),
            Self::Inserted => text!(
                "この行は挿入されたか、移動されています。",
                "this line was inserted, repeated or moved"
            ),
            Self::Removed { from, to } => text!(
                "この行の前で、連鎖の{from}番から{to}番までの行が削除されています(または、そのファイルが指定されていません)。",
                "before this line, lines {from} to {to} of the chain were removed, or their file was not given"
            ),
            Self::Cut { from, to } => text!(
                "この行の後で、連鎖の{from}番から{to}番までの行が切り取られています(または、そのファイルが指定されていません)。",
                "after this line, lines {from} to {to} of the chain were cut off, or their file was not given"
            ),
            Self::Rewritten { number } => text!(
                "この行(連鎖の{number}番)は、ほかに記録された値と一致しません。ファイルが書き直されています。",
                "this line (number {number} of the chain) is not the one that was told elsewhere: the file was rewritten"
            ),
            Self::TwoWriters => text!(
                "この行から別の連鎖が始まりますが、前の連鎖も続いています。再起動の引き継ぎでなければ、行が挿入されています(--anchors で確認できます)。",
                "another chain begins here while the one before goes on: one gateway took over from the other, or lines were inserted (--anchors tells which)"
            ),
            Self::ChainMissing => text!(
                "記録点のある連鎖が、どのファイルにもありません。ファイルが削除されたか、指定されていません。",
                "anchors tell of a chain that is in no file: it was removed, or its file was not given"
            ),
            Self::NotAnchored => text!(
                "この行から始まる連鎖には、記録点がありません。",
                "there is no anchor for the chain that begins here"
            ),
            Self::BeginningGone { to } => text!(
                "連鎖の{to}番までの行は、指定されたファイルより前のものです。",
                "lines up to number {to} of the chain are older than the files"
            ),
            Self::EarlierChainGone => text!(
                "この連鎖の前の連鎖が、指定されたファイルにありません。",
                "the chain before this one is in none of the files"
            ),
            Self::ChainsGone { chains } => text!(
                "記録点のある連鎖{chains}本は、指定されたファイルより前のものです。",
                "{chains} chains with anchors are older than the files"
            ),
            Self::Unchained { lines } => text!(
                "連鎖の始まる前の{lines}行は、確認できません(以前の版が書いた行)。",
                "{lines} lines before the first chain cannot be verified; an older version wrote them"
            ),
            Self::Torn => text!(
                "この行は書き込みの途中で終わっています(停電や強制終了)。",
                "this line was never finished: a power cut or a kill"
            ),
            Self::BeyondAnchors { from, to } => text!(
                "最後の記録点より後の行(連鎖の{from}番から{to}番まで)は、連鎖だけで確認しました。",
                "lines {from} to {to} of the chain come after its last anchor; only the chain speaks for them"
            ),
        }
    }
}

#[derive(Serialize)]
struct Json<'a> {
    intact: bool,
    files: Vec<String>,
    lines: u64,
    anchors: u64,
    chains: &'a [ChainRow],
    findings: Vec<Row>,
    left_out: u64,
}

#[derive(Serialize)]
struct Row {
    id: &'static str,
    verdict: &'static str,
    file: Option<String>,
    line: Option<u64>,
    chain: Option<String>,
    message: String,
}

impl Row {
    fn line(&self, lang: Lang) -> String {
        let label = match (self.verdict, lang) {
            ("failure", Lang::En) => "failure",
            ("failure", Lang::Ja) => "[異常]",
            (_, Lang::En) => "note",
            (_, Lang::Ja) => "[参考]",
        };
        let place = match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}: "),
            _ => match &self.chain {
                Some(chain) => format!("{chain}: "),
                None => String::new(),
            },
        };
        let separator = match lang {
            Lang::En => ": ",
            Lang::Ja => " ",
        };
        let Self { message, id, .. } = self;
        format!("{label}{separator}{place}{message} [{id}]")
    }
}

fn shown(path: &Path) -> String {
    render::one_line(&path.display().to_string())
}
