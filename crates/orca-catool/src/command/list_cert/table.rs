//! The table of `list_cert`: columns aligned by width on the screen, Japanese characters counting
//! double. The first rows decide the widths; what comes later and is wider pushes its own line only,
//! so that a long list begins at once and takes no memory.

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

type Cells = Vec<String>;

pub(super) struct Rows<'a> {
    output: &'a mut dyn Write,
    lang: Lang,
    setting: Setting<'a>,
    zone: TimeZone,
    /// The last dates that were written: many certificates share theirs.
    dates: [Option<(Timestamp, String)>; 2],
    /// Headings and the first rows, until the widths are decided.
    waiting: Vec<Cells>,
    widths: Option<Vec<usize>>,
    line: String,
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
        let headings = headings.into_iter().chain(more.into_iter().flatten());
        Self {
            output,
            lang,
            setting,
            zone: zone::local(),
            dates: [None, None],
            waiting: vec![
                headings
                    .map(|heading| heading.get(lang).to_owned())
                    .collect(),
            ],
            widths: None,
            line: String::new(),
        }
    }

    pub(super) fn add(&mut self, row: &ListedCertificate<'_>) -> io::Result<()> {
        let cells = self.cells(row);
        match &self.widths {
            Some(widths) => write(self.output, &mut self.line, &cells, widths),
            None => {
                self.waiting.push(cells);
                match self.waiting.len() > SAMPLE {
                    true => self.decide(),
                    false => Ok(()),
                }
            }
        }
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        match self.widths {
            Some(_) => Ok(()),
            None => self.decide(),
        }
    }

    fn decide(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let columns = waiting.first().map_or(0, Vec::len);
        let widths = self.widths.insert(vec![0; columns]);
        for cells in &waiting {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.width());
            }
        }
        for cells in &waiting {
            write(self.output, &mut self.line, cells, widths)?;
        }
        Ok(())
    }

    fn cells(&mut self, row: &ListedCertificate<'_>) -> Cells {
        let lang = self.lang;
        let mut cells = vec![
            format!("{:06}", row.number),
            word(row.standing(self.setting.now)).get(lang).to_owned(),
            profile(row.profile).get(lang).to_owned(),
            render::one_line(row.common_name),
            self.date(0, row.not_after),
            self.date(1, row.revoked_at),
            render::one_line(&row.hosts.replace('\n', " ")),
            render::one_line(row.holder.unwrap_or_default()),
            render::one_line(row.device.unwrap_or_default()),
        ];
        if let Some(uses) = self.setting.uses {
            let last = last_use(row, uses);
            let at = last.last_seen.and_then(|at| at.parse().ok());
            let last = [
                at.map(|at| minute(at, &self.zone)).unwrap_or_default(),
                last.last_address.unwrap_or_default(),
                last.user_agent.unwrap_or_default(),
            ];
            cells.extend(last.iter().map(|cell| render::one_line(cell)));
        }
        cells
    }

    fn date(&mut self, column: usize, at: Option<Timestamp>) -> String {
        let Some(at) = at else { return String::new() };
        match &self.dates[column] {
            Some((known, date)) if *known == at => date.clone(),
            _ => {
                let date = render::date(at, &self.zone, self.lang);
                self.dates[column] = Some((at, date.clone()));
                date
            }
        }
    }
}

fn write(
    output: &mut dyn Write,
    line: &mut String,
    cells: &[String],
    widths: &[usize],
) -> io::Result<()> {
    line.clear();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        let blanks = GAP + width.saturating_sub(cell.width());
        line.extend(std::iter::repeat_n(' ', blanks));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    output.write_all(line.as_bytes())
}

fn minute(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}

fn word(standing: Standing) -> Text {
    match standing {
        Standing::Expired => text!("期限切れ", "expired"),
        Standing::Reserved => text!("未完了", "reserved"),
        Standing::Revoked => text!("破棄", "revoked"),
        Standing::Valid => text!("有効", "valid"),
    }
}

fn profile(profile: CertificateProfile) -> Text {
    match profile {
        CertificateProfile::Server => text!("サーバ", "server"),
        _ => text!("クライアント", "client"),
    }
}
