//! The file: read and checked as a whole, before anything is signed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use orca_ca::config::MOST_DAYS;
use orca_messages::{Localize, Text, render, text};
use orca_pki::name::CommonName;

use crate::args::name_why;

/// More than any clinic has.
const MOST_OCTETS: u64 = 16 << 20;
const COLUMNS: [&str; 4] = ["name", "holder", "device", "days"];

/// One certificate that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Line of the file, from 1 on.
    pub(super) line: u64,
    pub(super) name: CommonName,
    pub(super) holder: Option<String>,
    pub(super) device: Option<String>,
    pub(super) days: Option<u32>,
}

/// What is wrong with one line.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) why: Text,
}

/// What a file holds: good lines, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) wanted: Vec<Wanted>,
    pub(super) faults: Vec<Fault>,
}

/// The file as a whole cannot be used.
#[derive(Debug)]
pub(crate) enum CsvError {
    /// It cannot be read.
    Unreadable { path: PathBuf, source: io::Error },
    /// Too long to be meant.
    TooLong { path: PathBuf },
    /// Another character set, as Excel in Japan writes it by default.
    NotUtf8 { path: PathBuf },
    /// The first line does not name the columns.
    Header { path: PathBuf, why: Text },
    /// No line but the first.
    Empty { path: PathBuf },
    /// Lines that were named before are wrong; nothing was issued.
    Refused { path: PathBuf, lines: usize },
}

pub(super) fn read(path: &Path) -> Result<Sheet, CsvError> {
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_OCTETS + 1).read_to_end(&mut octets))
        .map_err(|source| CsvError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    if octets.len() as u64 > MOST_OCTETS {
        return Err(CsvError::TooLong {
            path: path.to_owned(),
        });
    }
    parse(path, &octets)
}

fn parse(path: &Path, octets: &[u8]) -> Result<Sheet, CsvError> {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let text = match std::str::from_utf8(octets) {
        // UTF-16 of ASCII is UTF-8 full of zeros.
        Ok(text) if !text.contains('\0') => text,
        _ => {
            return Err(CsvError::NotUtf8 {
                path: path.to_owned(),
            });
        }
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let headings = reader.headers().cloned().unwrap_or_default();
    let places = places(&headings).map_err(|why| CsvError::Header {
        path: path.to_owned(),
        why,
    })?;
    let mut sheet = Sheet::default();
    let mut lines = Lines::of(text);
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = lines.at(error.position());
                let why = text!("CSVとして読み取れません。", "it is no CSV");
                sheet.faults.push(Fault { line, why });
                continue;
            }
        };
        let line = lines.at(record.position());
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        match wanted(line, &record, headings.len(), places) {
            Ok(wanted) => sheet.wanted.push(wanted),
            Err(why) => sheet.faults.push(Fault { line, why }),
        }
    }
    if sheet.wanted.is_empty() && sheet.faults.is_empty() {
        return Err(CsvError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(sheet)
}

/// Counts lines. The reader's own count stands on the line before where lines end as Excel ends them.
struct Lines<'a> {
    text: &'a [u8],
    offset: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            offset: 0,
            line: 1,
        }
    }

    /// The line on which a record begins; records come in their order.
    fn at(&mut self, position: Option<&csv::Position>) -> u64 {
        let byte = position.and_then(|position| usize::try_from(position.byte()).ok());
        let start = byte
            .unwrap_or(self.offset)
            .clamp(self.offset, self.text.len());
        let blank = self.text[start..]
            .iter()
            .take_while(|octet| matches!(octet, b'\r' | b'\n'));
        let start = start + blank.count();
        let ended = self.text[self.offset..start]
            .iter()
            .filter(|octet| **octet == b'\n');
        self.line += ended.count() as u64;
        self.offset = start;
        self.line
    }
}

/// Where each column of ours stands.
fn places(headings: &csv::StringRecord) -> Result<[Option<usize>; 4], Text> {
    let mut places = [None; 4];
    for (index, heading) in headings.iter().enumerate() {
        let word = heading.trim();
        let shown = render::one_line(word);
        match COLUMNS.iter().position(|column| *column == word) {
            Some(column) if places[column].is_none() => places[column] = Some(index),
            Some(_) => {
                return Err(text!(
                    "「{shown}」の列が2つあります。",
                    "there are two columns {shown:?}"
                ));
            }
            None => {
                return Err(text!(
                    "「{shown}」という列はありません。",
                    "there is no column {shown:?}"
                ));
            }
        }
    }
    match places[0] {
        Some(_) => Ok(places),
        None => Err(text!(
            "name の列がありません。",
            "the column name is missing"
        )),
    }
}

fn wanted(
    line: u64,
    record: &csv::StringRecord,
    width: usize,
    places: [Option<usize>; 4],
) -> Result<Wanted, Text> {
    let found = record.len();
    if found != width {
        return Err(text!(
            "列が{found}個あります({width}個のはずです)。",
            "it has {found} cells instead of {width}"
        ));
    }
    let cell = |column: usize| {
        let place = places[column].and_then(|place| record.get(place));
        place.map(str::trim).filter(|text| !text.is_empty())
    };
    let name = cell(0).ok_or_else(|| text!("name が空です。", "the name is empty"))?;
    let name = name.parse().map_err(|error| {
        let (shown, Text { ja, en }) = (render::one_line(name), name_why(&error));
        text!(
            "名前「{shown}」は使用できません。{ja}",
            "the name cannot be {shown:?}: {en}"
        )
    })?;
    Ok(Wanted {
        line,
        name,
        holder: remark("holder", cell(1))?,
        device: remark("device", cell(2))?,
        days: days(cell(3))?,
    })
}

/// As on the command line: in the register only, so it may hold more than a name may.
fn remark(column: &str, text: Option<&str>) -> Result<Option<String>, Text> {
    let Some(text) = text else { return Ok(None) };
    if text.chars().any(char::is_control) || text.chars().count() > 200 {
        return Err(text!(
            "{column} は制御文字を含まない200文字以内にしてください。",
            "{column} has to be text of up to 200 characters without control characters"
        ));
    }
    Ok(Some(text.to_owned()))
}

fn days(text: Option<&str>) -> Result<Option<u32>, Text> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(days) if (1..=MOST_DAYS).contains(&days) => Ok(Some(days)),
        _ => {
            let shown = render::one_line(text);
            Err(text!(
                "days「{shown}」は1から{MOST_DAYS}までの日数にしてください。",
                "days is {shown:?}, expected is a number from 1 to {MOST_DAYS}"
            ))
        }
    }
}

impl Sheet {
    /// Names that stand on an earlier line too.
    pub(super) fn doubles(&self) -> Vec<Fault> {
        let mut first = HashMap::new();
        let mut faults = Vec::new();
        for wanted in &self.wanted {
            let name = wanted.name.as_str();
            match first.get(name) {
                Some(before) => faults.push(Fault {
                    line: wanted.line,
                    why: text!(
                        "名前「{name}」は{before}行目にもあります。",
                        "the name {name:?} stands on line {before} too"
                    ),
                }),
                None => {
                    first.insert(name, wanted.line);
                }
            }
        }
        faults
    }
}

impl Localize for CsvError {
    fn id(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::TooLong { .. } => "csv-unreadable",
            Self::NotUtf8 { .. } => "csv-not-utf8",
            Self::Header { .. } => "csv-header",
            Self::Empty { .. } => "csv-empty",
            Self::Refused { .. } => "csv-refused",
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::Unreadable { path, source } => {
                let path = path.display();
                text!(
                    "{path} を読み取れません({source})。",
                    "{path} cannot be read: {source}"
                )
            }
            Self::TooLong { path } => {
                let path = path.display();
                text!("{path} が大きすぎます。", "{path} is too long")
            }
            Self::NotUtf8 { path } => {
                let path = path.display();
                text!(
                    "{path} の文字コードがUTF-8ではありません(ExcelのCSVは通常Shift_JISです)。発行していません。",
                    "{path} is not UTF-8 (Excel in Japan writes Shift_JIS); nothing was issued"
                )
            }
            Self::Header { path, why } => {
                let (path, Text { ja, en }) = (path.display(), why);
                text!(
                    "{path} の1行目が正しくありません。{ja}発行していません。",
                    "the first line of {path} is wrong: {en}; nothing was issued"
                )
            }
            Self::Empty { path } => {
                let path = path.display();
                text!(
                    "{path} に2行目以降がありません。",
                    "{path} has no line but the first"
                )
            }
            Self::Refused { path, lines } => {
                let path = path.display();
                text!(
                    "{path} の{lines}か所に誤りがあります。1枚も発行していません。",
                    "{lines} mistakes in {path}; no certificate was issued"
                )
            }
        }
    }

    fn remedy(&self) -> Text {
        match self {
            Self::NotUtf8 { .. } => text!(
                "Excelで「名前を付けて保存」を選び、ファイルの種類を「CSV UTF-8(コンマ区切り)」にして保存し直してください。",
                "save it again as \"CSV UTF-8\""
            ),
            Self::Refused { .. } => text!(
                "表示された行を直してから、もう一度実行してください。使用中の名前にも発行する場合は --again を、発行済の名前を飛ばす場合は --skip-existing を付けてください。",
                "correct these lines and run it again; --again issues for names in use too, --skip-existing leaves them out"
            ),
            Self::Unreadable { .. } | Self::TooLong { .. } => text!(
                "ファイルの場所と権限を確認してください。",
                "look at the file's place, length and permissions"
            ),
            _ => text!(
                "1行目を name,holder,device,days とし、2行目から1行に1枚ずつ書いてください(holder、device、days は省略できます)。",
                "the first line is name,holder,device,days, then one certificate a line; holder, device and days may be left out"
            ),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(octets: &[u8]) -> Result<Sheet, &'static str> {
        parse(Path::new("users.csv"), octets).map_err(|error| error.id())
    }

    #[test]
    fn columns_are_found_by_name_with_and_without_a_mark() {
        for text in [
            "name,holder,device,days\nuser1,山田,受付PC,30\n\n",
            "\u{feff}days,name,device,holder\r\n30,user1,受付PC,山田\r\n",
        ] {
            let sheet = parsed(text.as_bytes()).unwrap();
            let [one] = &sheet.wanted[..] else { panic!() };
            assert_eq!(one.name.as_str(), "user1");
            assert_eq!(one.holder.as_deref(), Some("山田"));
            assert_eq!(one.device.as_deref(), Some("受付PC"));
            assert_eq!((one.days, one.line), (Some(30), 2));
        }
        assert_eq!(parsed(b"name\nuser1").unwrap().wanted.len(), 1);
    }

    #[test]
    fn files_that_are_something_else_are_told_apart() {
        for (octets, id) in [
            // 山田 in Shift_JIS.
            (&b"name,holder\nuser1,\x8eR\x93c\n"[..], "csv-not-utf8"),
            (b"\xff\xfen\0a\0m\0e\0", "csv-not-utf8"),
            (b"n\0a\0m\0e\0", "csv-not-utf8"),
            (b"user,holder\nuser1,x\n", "csv-header"),
            (b"holder\nx\n", "csv-header"),
            (b"name,name\nx,y\n", "csv-header"),
            (b"", "csv-header"),
            (b"name\n\n", "csv-empty"),
        ] {
            assert_eq!(parsed(octets).unwrap_err(), id);
        }
    }

    #[test]
    fn every_bad_line_is_named() {
        let text = "name,days\nuser1,30\na/b,30\nuser2,0\n\nuser3,x\nuser4\n,5\nuser1,1\n";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let sheet = parsed(text.as_bytes()).unwrap();
            let lines =
                |faults: &[Fault]| faults.iter().map(|fault| fault.line).collect::<Vec<_>>();
            assert_eq!(lines(&sheet.faults), [3, 4, 6, 7, 8]);
            assert_eq!(lines(&sheet.doubles()), [9]);
        }
    }
}
