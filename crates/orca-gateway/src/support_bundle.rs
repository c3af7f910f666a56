//! `orca-gateway support_bundle`: what a supporter asks for, in one zip that may leave the clinic. What
//! is not known to be harmless stays out: whole lines, values and segments are named that may go in.

mod access;
mod certificates;
mod conf;
mod events;
mod files;
mod machine;
mod parcel;
mod service;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_diagnosis::report::{self, Form};
use orca_messages::{Lang, Text, text};

use crate::attach::Record;
use crate::check;
use crate::clock::Clock;
use crate::config::{self, LogTarget, OUR_KEYS, Reading, WEBORCA_CONF};
use conf::Secrets;
pub(crate) use parcel::{BundleError, Owner};

/// Octets taken from the end of a log.
const EVENT_TAIL: u64 = 1 << 20;
const ACCESS_TAIL: u64 = 4 << 20;

/// One file of the bundle.
struct Item {
    name: String,
    about: Text,
    /// The text, or why there is none.
    content: Result<String, Text>,
    /// What was left out of it.
    note: Option<Text>,
}

impl Item {
    fn new(name: impl Into<String>, about: Text, content: Result<String, Text>) -> Self {
        Self {
            name: name.into(),
            about,
            content,
            note: None,
        }
    }

    fn noting(self, note: Text) -> Self {
        let note = Some(note);
        Self { note, ..self }
    }
}

/// Writes the bundle and tells what is in it; a part that cannot be had is told and left out.
///
/// # Errors
/// The file cannot be written, or exists already.
pub(crate) fn make(
    conf: &Path,
    output: Option<&Path>,
    owner: Option<Owner>,
    clock: Clock,
    lang: Lang,
    out: &mut impl Write,
) -> Result<(), BundleError> {
    let (now, zone) = (clock.now(), TimeZone::system());
    let stamp = now
        .to_zoned_datetime(zone.clone())
        .strftime("%Y%m%d-%H%M%S");
    let stem = format!("orca-gateway-support-{stamp}");
    let named = PathBuf::from(format!("{stem}.zip"));
    let path = output.unwrap_or(&named);
    // Opened first: a place that cannot be written is told before anything is collected.
    let draft = parcel::Draft::open(path)?;
    let mut items = collect(conf, clock, &zone);
    items.insert(0, contents(&items));
    draft.publish(&stem, &items, owner, now, &zone)?;
    // A closed pipe is nobody's trouble.
    let _ = tell(path, &items, lang, out);
    Ok(())
}

fn collect(path: &Path, clock: Clock, zone: &TimeZone) -> Vec<Item> {
    let reading = config::read(path);
    let (confs, secrets) = conf::items(&conf_files(path));
    let mut items = vec![
        machine::item(clock.now(), zone),
        checked(path, clock, Lang::Ja, &secrets),
        checked(path, clock, Lang::En, &secrets),
    ];
    items.extend(confs);
    items.push(files::item(&named_files(path), zone));
    let reading = reading.ok();
    items.push(certificates::item(reading.as_ref(), clock.now()));
    items.extend(attached());
    if let Some(reading) = &reading {
        items.push(event_log(&reading.log, &secrets));
        if let Ok(config) = &reading.config {
            items.push(access_log(&config.access_log));
            items.extend(service::items(config.status));
        }
    }
    items
}

/// The file that is read, and WebORCA's beside it.
fn conf_files(path: &Path) -> Vec<PathBuf> {
    let mut files = vec![path.to_owned()];
    let name = Path::new(WEBORCA_CONF).file_name();
    if let (Some(folder), Some(name)) = (path.parent(), name) {
        let shared = folder.join(name);
        if shared != path && shared.exists() {
            files.push(shared);
        }
    }
    files
}

fn checked(path: &Path, clock: Clock, lang: Lang, secrets: &Secrets) -> Item {
    let code = lang.code();
    let mut told = Vec::new();
    let printed = report::print(&check::findings(path, clock), Form::Table, lang, &mut told);
    let content = match printed {
        Ok(()) => Ok(secrets.scrub(&String::from_utf8_lossy(&told))),
        Err(error) => Err(unreadable(&error)),
    };
    let about = text!(
        "orca-gateway check の結果({code})",
        "what orca-gateway check says ({code})"
    );
    Item::new(format!("check.{code}.txt"), about, content)
}

/// Every file and folder that the configuration names, whatever else is wrong with it.
fn named_files(path: &Path) -> Vec<PathBuf> {
    let mut named = conf_files(path);
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    if let Ok(octets) = std::fs::read(path) {
        let file = orca_conf::ConfFile::parse(&String::from_utf8_lossy(&octets));
        let values = OUR_KEYS.iter().filter_map(|key| file.get(key));
        let paths = values
            .map(|assignment| assignment.value.as_str())
            .filter(|value| names_a_file(folder, value));
        named.extend(paths.map(|value| folder.join(value)));
    }
    if let Ok(reading) = config::read(path) {
        named.extend(implied_files(&reading));
    }
    named.sort();
    named.dedup();
    named
}

fn names_a_file(folder: &Path, value: &str) -> bool {
    value.starts_with('/') || folder.join(value).exists()
}

/// What has a default.
fn implied_files(reading: &Reading) -> Vec<PathBuf> {
    let mut implied = Vec::new();
    let mut logs = vec![&reading.log];
    if let Ok(config) = &reading.config {
        implied.push(config.state.clone());
        logs.push(&config.access_log);
        if let config::Mode::Https(files) = &config.mode {
            implied.extend([&files.server_crt, &files.server_pem, &files.ca_crt].map(Clone::clone));
            if let config::CrlSource::File(path) = &files.ca_crl {
                implied.push(path.clone());
            }
        }
    }
    implied.extend(logs.into_iter().filter_map(|log| match log {
        LogTarget::File(path) => Some(path.clone()),
        LogTarget::Stdout => None,
    }));
    implied
}

/// What attach has done, where it has.
fn attached() -> Option<Item> {
    let about = text!("attach の記録", "what attach has done");
    let content = match Record::read().transpose()? {
        Ok(record) => serde_json::to_string_pretty(&record)
            .map(|json| json + "\n")
            .map_err(|error| unreadable(&error.into())),
        Err(error) => Err(unreadable(&error)),
    };
    Some(Item::new("attached.json", about, content))
}

fn event_log(target: &LogTarget, secrets: &Secrets) -> Item {
    let about = text!("起動ログ(末尾)", "the end of the event log");
    let (mut dropped, mut kept) = (0, String::new());
    let content = tail(target, EVENT_TAIL).map(|text| {
        for line in text.lines() {
            match events::harmless(line) {
                Some(line) => kept.push_str(&format!("{}\n", secrets.scrub(&line))),
                None => dropped += 1,
            }
        }
        kept
    });
    Item::new("event.log", about, content).noting(text!(
        "ほかのプログラムの行を除外: {dropped}行",
        "{dropped} lines of other programs left out"
    ))
}

fn access_log(target: &LogTarget) -> Item {
    let about = text!(
        "アクセスログ(末尾。パスは2階層まで、オペレータIDは番号)",
        "the end of the access log: two segments of each path, operators as numbers"
    );
    let (mut dropped, mut kept) = (0, String::new());
    let content = tail(target, ACCESS_TAIL).map(|text| {
        let mut operators = access::Operators::default();
        for line in text.lines() {
            match access::harmless(line, &mut operators) {
                Some(line) => kept.push_str(&(line + "\n")),
                None => dropped += 1,
            }
        }
        kept
    });
    Item::new("access.log", about, content).noting(text!(
        "読み取れない行を除外: {dropped}行",
        "{dropped} lines that cannot be read left out"
    ))
}

/// The last whole lines of a log.
fn tail(target: &LogTarget, most: u64) -> Result<String, Text> {
    let LogTarget::File(path) = target else {
        return Err(text!(
            "標準出力に書かれています",
            "it is written to standard output"
        ));
    };
    end_of(path, most).map_err(|error| unreadable(&error))
}

fn end_of(path: &Path, most: u64) -> io::Result<String> {
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(start))?;
    let mut octets = Vec::new();
    file.take(most).read_to_end(&mut octets)?;
    let text = String::from_utf8_lossy(&octets).into_owned();
    Ok(match start {
        0 => text,
        _ => text
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .to_owned(),
    })
}

fn unreadable(error: &io::Error) -> Text {
    text!("読み取れません({error})", "it cannot be read: {error}")
}

/// What is in the bundle and what is not, for whoever opens it, in both languages.
fn contents(items: &[Item]) -> Item {
    let mut text = String::from(LEFT_OUT);
    for lang in [Lang::Ja, Lang::En] {
        text.push('\n');
        for item in items {
            text.push_str(&line(item, lang));
        }
    }
    let about = text!("内容の一覧", "what is in here");
    Item::new("README.txt", about, Ok(text))
}

const LEFT_OUT: &str = "\
orca-gateway support_bundle

含まれないもの: 秘密鍵、パスフレーズ、パスワード、orca-gateway以外の設定の値、設定ファイルのコメント、患者番号(アクセスログのパスは
2階層まで、数字の続く部分は * に置き換え、? 以降なし)、オペレータID(operator-1 のような番号。番号はこのファイルの中だけで同じ人を示します)。
含まれるもの: 端末のアドレス、証明書の名前、ブラウザの種類(User-Agent)、ファイルの場所と権限。
access.log は書き換えられているため、verify_log では確認できません。

Not in here: private keys, passphrases, passwords, values of settings that are not orca-gateway's, comments of configuration files,
patient numbers (paths of the access log have two segments, what holds a number is *, nothing after ?), operators (numbers such as
operator-1, which mean the same person within this bundle only).
In here: addresses of clients, names in certificates, user agents, places and modes of files.
access.log was rewritten and cannot be verified by verify_log.
";

fn tell(path: &Path, items: &[Item], lang: Lang, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", path.display())?;
    for item in items {
        write!(out, "{}", line(item, lang))?;
    }
    out.flush()
}

fn line(item: &Item, lang: Lang) -> String {
    let about = item.about.get(lang);
    let note = match (&item.content, &item.note) {
        (Ok(_), Some(note)) => format!(" ({})", note.get(lang)),
        (Ok(_), None) => String::new(),
        (Err(why), _) => match lang {
            Lang::Ja => format!(" [なし: {}]", why.ja),
            Lang::En => format!(" [missing: {}]", why.en),
        },
    };
    format!("  {:<28} {about}{note}\n", item.name)
}

/// Seconds are enough for whoever reads.
fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned_datetime(zone.clone());
    local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_begins_with_a_whole_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all("一\n二\n三\n".as_bytes()).unwrap();
        let path = file.path();
        for (most, text) in [
            (100, "一\n二\n三\n"),
            (11, "二\n三\n"),
            (5, "三\n"),
            (2, ""),
        ] {
            assert_eq!(end_of(path, most).unwrap(), text, "{most}");
        }
        assert!(end_of(&std::env::temp_dir(), 9).is_err());
    }
}
