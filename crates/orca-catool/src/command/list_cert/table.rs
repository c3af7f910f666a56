//! The table of `list_cert`: columns aligned by width on the screen, Japanese characters counting
//! double. The first rows decide the widths; what comes later and is wider pushes its own line only,
//! so that a long list begins at once and takes no memory.

use std::fmt::Write as _;
use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_ca::record::{ListedCertificate, Standing};
use orca_messages::{Lang, Text, render, text, zone};
use orca_pki::profile::CertificateProfile;
use unicode_width::UnicodeWidthStr as _;

use super::{Setting, last_use};

/// Rows that are looked at before the first is written.
const SAMPLE: usize = 1000;
/// Blanks between columns.
const GAP: usize = 2;

/// The cells of a row, one behind the other in one string, with what each takes on the screen.
#[derive(Clone, Default)]
struct Cells {
    text: String,
    ends: Vec<(usize, usize)>,
}

pub(super) struct Rows<'a> {
    output: &'a mut dyn Write,
    setting: Setting<'a>,
    lang: Lang,
    zone: TimeZone,
    words: Words,
    /// The last dates that were written: many certificates share theirs.
    dates: [(Option<Timestamp>, String); 2],
    /// Headings and the first rows, until the widths are decided.
    waiting: Vec<Cells>,
    widths: Vec<usize>,
    cells: Cells,
    line: String,
}

/// In the language of the run.
struct Words {
    expired: String,
    reserved: String,
    revoked: String,
    valid: String,
    server: String,
    client: String,
}

impl<'a> Rows<'a> {
    pub(super) fn new(output: &'a mut dyn Write, lang: Lang, setting: Setting<'a>) -> Self {
        let headings = [
            text!("番号", "NUMBER"),
            text!("状態", "STATUS"),
            text!("種類", "PROFILE"),
            text!("名前", "NAME"),
            text!("有効期限", "EXPIRES"),
            text!("破棄日", "REVOKED"),
            text!("ホスト", "HOSTS"),
            text!("使用者", "HOLDER"),
            text!("端末", "DEVICE"),
        ];
        let more = setting.uses.map(|_| {
            [
                text!("最終使用", "LAST SEEN"),
                text!("アドレス", "ADDRESS"),
                text!("プログラム", "PROGRAM"),
            ]
        });
        let mut first = Cells::default();
        for heading in headings.into_iter().chain(more.into_iter().flatten()) {
            first.push(heading.get(lang));
        }
        Self {
            output,
            setting,
            lang,
            zone: zone::local(),
            words: Words::new(lang),
            dates: Default::default(),
            waiting: vec![first],
            widths: Vec::new(),
            cells: Cells::default(),
            line: String::new(),
        }
    }

    pub(super) fn add(&mut self, row: &ListedCertificate<'_>) -> io::Result<()> {
        self.fill(row);
        if !self.widths.is_empty() {
            return write(self.output, &mut self.line, &self.cells, &self.widths);
        }
        self.waiting.push(self.cells.clone());
        match self.waiting.len() > SAMPLE {
            true => self.decide(),
            false => Ok(()),
        }
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        match self.widths.is_empty() {
            true => self.decide(),
            false => Ok(()),
        }
    }

    fn decide(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        for cells in &waiting {
            self.widths.resize(cells.ends.len(), 0);
            for (most, (_, width)) in self.widths.iter_mut().zip(&cells.ends) {
                *most = (*most).max(*width);
            }
        }
        for cells in &waiting {
            write(self.output, &mut self.line, cells, &self.widths)?;
        }
        Ok(())
    }

    fn fill(&mut self, row: &ListedCertificate<'_>) {
        let expires = self.date(0, row.not_after);
        let revoked = self.date(1, row.revoked_at);
        let (cells, words) = (&mut self.cells, &self.words);
        cells.clear();
        cells.push_number(row.number);
        cells.push(words.standing(row.standing(self.setting.now)));
        cells.push(words.profile(row.profile));
        cells.push(row.common_name);
        cells.push(expires.map_or("", |column| &self.dates[column].1));
        cells.push(revoked.map_or("", |column| &self.dates[column].1));
        match row.hosts.contains('\n') {
            true => cells.push(&row.hosts.replace('\n', " ")),
            false => cells.push(row.hosts),
        }
        cells.push(row.holder.unwrap_or_default());
        cells.push(row.device.unwrap_or_default());
        if let (Some(uses), Some(details)) = (self.setting.uses, &row.details) {
            let last = last_use(details, uses);
            let at = last.last_seen.and_then(|at| at.parse().ok());
            cells.push(&at.map(|at| minute(at, &self.zone)).unwrap_or_default());
            cells.push(&last.last_address.unwrap_or_default());
            cells.push(&last.user_agent.unwrap_or_default());
        }
    }

    /// Where the date stands then.
    fn date(&mut self, column: usize, at: Option<Timestamp>) -> Option<usize> {
        let (known, date) = &mut self.dates[column];
        let moment = at?;
        if *known != at {
            *date = render::date(moment, &self.zone, self.lang);
            *known = at;
        }
        Some(column)
    }
}

impl Cells {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn push(&mut self, cell: &str) {
        let is_plain = cell.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        let width = match is_plain {
            true => {
                self.text.push_str(cell);
                cell.len()
            }
            false => {
                let cell = render::one_line(cell);
                self.text.push_str(&cell);
                cell.width()
            }
        };
        self.ends.push((self.text.len(), width));
    }

    /// Of six digits at least.
    fn push_number(&mut self, number: u64) {
        let start = self.text.len();
        // Writing to a String does not fail.
        let _ = write!(self.text, "{number:06}");
        let end = self.text.len();
        self.ends.push((end, end - start));
    }
}

impl Words {
    fn new(lang: Lang) -> Self {
        let word = |text: Text| text.get(lang).to_owned();
        Self {
            expired: word(text!("期限切れ", "expired")),
            reserved: word(text!("未完了", "reserved")),
            revoked: word(text!("破棄", "revoked")),
            valid: word(text!("有効", "valid")),
            server: word(text!("サーバ", "server")),
            client: word(text!("クライアント", "client")),
        }
    }

    fn standing(&self, standing: Standing) -> &str {
        match standing {
            Standing::Expired => &self.expired,
            Standing::Reserved => &self.reserved,
            Standing::Revoked => &self.revoked,
            Standing::Valid => &self.valid,
        }
    }

    fn profile(&self, profile: CertificateProfile) -> &str {
        match profile {
            CertificateProfile::Server => &self.server,
            _ => &self.client,
        }
    }
}

/// Blanks go out when something follows them.
fn write(
    output: &mut dyn Write,
    line: &mut String,
    cells: &Cells,
    widths: &[usize],
) -> io::Result<()> {
    line.clear();
    let (mut start, mut blanks) = (0, 0);
    for ((end, width), column) in cells.ends.iter().zip(widths) {
        if *end > start {
            pad(line, blanks);
            line.push_str(&cells.text[start..*end]);
            blanks = 0;
        }
        blanks += GAP + column.saturating_sub(*width);
        start = *end;
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    output.write_all(line.as_bytes())
}

fn pad(line: &mut String, mut blanks: usize) {
    const BLANKS: &str = "                                                                ";
    while blanks > 0 {
        let some = blanks.min(BLANKS.len());
        line.push_str(&BLANKS[..some]);
        blanks -= some;
    }
}

fn minute(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}
