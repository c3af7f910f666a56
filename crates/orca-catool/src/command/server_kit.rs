//! `server_kit`: the guide's chapter on the server in one command.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use jiff::Timestamp;
use orca_ca::authority::Selection;
use orca_ca::installation::{self, Change};
use orca_ca::place::Owner;
use orca_ca::{Authority, Error, config};
use orca_messages::{Localize, text};
use orca_pki::profile::CertificateProfile;
use zeroize::Zeroizing;

use crate::args::{ServerKitArgs, ServerKitTask};
use crate::session::{Failure, Session};
use crate::{absolute, print_path};

/// Where WebORCA has its configuration, and where the guide puts certificates.
const CONF_FOLDER: &str = "/opt/jma/weborca/conf";
/// The user WebORCA runs as.
const ORCA: &str = "orca";
/// What remembers how it was before, beside the configuration.
const JOURNAL: &str = ".orca-server-kit";
/// Only its owner, and nobody writes it (the guide's `chmod 400`).
const MODE: u32 = 0o400;

pub(crate) fn run(
    authority: &mut Authority,
    args: ServerKitArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let conf = absolute(args.conf).unwrap_or_else(usual_conf);
    let folder = conf.parent().unwrap_or_else(|| Path::new("/")).to_owned();
    let journal = folder.join(JOURNAL);
    let (selection, preview) = match args.task {
        ServerKitTask::Undo => return undo(&conf, &journal, session),
        ServerKitTask::Install(selection) => (selection, false),
        ServerKitTask::Preview(selection) => (selection, true),
    };
    let owner = whose(args.owner.as_deref())?;
    let mut changes = changes(authority, &selection, &conf, owner, now)?;
    let mut open = Vec::new();
    for change in changes.drain(..) {
        if !change.is_done()? {
            open.push(change);
        }
    }
    if open.is_empty() {
        session.say(&text!(
            "すべて配置済みです。変更はありません。",
            "everything is in place already; nothing was changed"
        ))?;
    } else if preview {
        session.say(&text!(
            "次のファイルを変更します(--dry-run のため、まだ変更していません)。",
            "these files would be changed (--dry-run: nothing was)"
        ))?;
    } else {
        installation::apply(&open, &journal)?;
    }
    for change in &open {
        print_path(&change.path, session)?;
    }
    if preview {
        return Ok(());
    }
    check(&conf, session)
}

/// The files of the kit, the configuration that names them, and the list of places for CRLs.
fn changes(
    authority: &mut Authority,
    selection: &Selection,
    conf: &Path,
    owner: Option<Owner>,
    now: Timestamp,
) -> Result<Vec<Change>, Error> {
    let folder = conf.parent().unwrap_or_else(|| Path::new("/"));
    let kit = authority.bundle(selection, CertificateProfile::Server, now)?;
    let crl = authority.newest_crl()?;
    let place = |name: &str, content: Zeroizing<Vec<u8>>| Change {
        path: folder.join(name),
        content,
        mode: Some(MODE),
        owner,
    };
    let (mut changes, mut values) = (Vec::new(), Vec::new());
    for file in kit.files {
        let key = match file.name.as_str() {
            "ca.crt" => "CA_CRT",
            name if name.ends_with(".crt") => "SERVER_CRT",
            name if name.ends_with(".pem") && !name.ends_with(".enc.pem") => "SERVER_PEM",
            _ => continue,
        };
        let change = place(&file.name, file.content);
        values.push((key, change.path.display().to_string()));
        changes.push(change);
    }
    let list = folder.join("ca.crl");
    if let Some(crl) = crl {
        let path = list.display().to_string();
        values.push(("CA_CRL", path));
        changes.push(place("ca.crl", Zeroizing::new(crl.to_pem().into_bytes())));
    }
    changes.push(conf_change(conf, &values)?);
    changes.extend(publication(authority, &list)?);
    Ok(changes)
}

fn conf_change(conf: &Path, values: &[(&str, String)]) -> Result<Change, Error> {
    let text = read(conf)?;
    let values: Vec<_> = values
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let edited = orca_conf::set(&text, &values).map_err(|error| Error::ConfNotPlain {
        path: conf.to_owned(),
        line: error.line,
        key: error.key,
    })?;
    Ok(Change {
        path: conf.to_owned(),
        content: Zeroizing::new(edited.into_bytes()),
        mode: None,
        owner: None,
    })
}

/// The CRL's place in config.yml, so that every revocation reaches this server by itself.
fn publication(authority: &Authority, list: &Path) -> Result<Option<Change>, Error> {
    let place = authority.place();
    let text = read(&place.config)?;
    let edited = config::with_place(&text, list, place)?;
    Ok(edited.map(|text| Change {
        path: place.config.clone(),
        content: Zeroizing::new(text.into_bytes()),
        mode: None,
        owner: None,
    }))
}

/// A file that is not there yet is empty; the folder has to be there.
fn read(path: &Path) -> Result<String, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && path.parent().is_some_and(Path::is_dir) =>
        {
            Ok(String::new())
        }
        Err(source) => Err(Error::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// As the gateway looks for it.
fn usual_conf() -> PathBuf {
    let folder = Path::new(CONF_FOLDER);
    let own = folder.join("orca-gateway.conf");
    match own.exists() {
        true => own,
        false => folder.join("jma-receipt.conf"),
    }
}

/// Without `--owner`, the user of WebORCA where there is one.
pub(super) fn whose(owner: Option<&str>) -> Result<Option<Owner>, Error> {
    match owner {
        Some(name) => Owner::named(name).map(Some),
        None => Ok(Owner::named(ORCA).ok()),
    }
}

fn undo(conf: &Path, journal: &Path, session: &mut Session<'_>) -> Result<(), Failure> {
    let undone = installation::undo(journal)?;
    for path in &undone.restored {
        print_path(path, session)?;
    }
    for path in &undone.left {
        let path = path.display();
        session.warn(
            "changed-since",
            text!(
                "{path} は server_kit の後に変更されているため、そのままにしました。",
                "{path} was changed after server_kit and is left as it is"
            ),
            text!(
                "必要であれば手で元に戻してください。",
                "put it back by hand if need be"
            ),
        )?;
    }
    check(conf, session)
}

/// Lets the gateway say what it thinks of it.
fn check(conf: &Path, session: &mut Session<'_>) -> Result<(), Failure> {
    session.output.flush()?;
    let Some(gateway) = gateway_program() else {
        session.warn(
            "gateway-not-installed",
            text!(
                "このサーバに orca-gateway が見つからないため、設定の確認は行っていません。",
                "orca-gateway is not installed here, so that the configuration was not checked"
            ),
            text!(
                "WebORCA-Serverを再起動し、ログに Server Mode: HTTPS と出ることを確認してください。",
                "restart WebORCA-Server and look for Server Mode: HTTPS in its log"
            ),
        )?;
        return Ok(());
    };
    let outcome = Process::new(&gateway)
        .args(["check", "--lang", session.lang.code(), "--conf"])
        .arg(conf)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Io {
            path: gateway.clone(),
            source,
        })?;
    session.messages.write_all(&outcome.stdout)?;
    session.messages.write_all(&outcome.stderr)?;
    match outcome.status.success() {
        true => Ok(()),
        false => Err(Failure::Gateway(CheckFailed)),
    }
}

/// Beside this program, else on the path.
fn gateway_program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("orca-gateway");
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&on_path).map(|folder| folder.join("orca-gateway"));
    std::iter::once(beside)
        .chain(others)
        .find(|path| path.is_file())
}

/// `orca-gateway check` found something.
#[derive(Debug)]
pub(crate) struct CheckFailed;

impl Localize for CheckFailed {
    fn id(&self) -> &'static str {
        "gateway-check-failed"
    }

    fn message(&self) -> orca_messages::Text {
        text!(
            "orca-gateway check が問題を報告しました(上の表示)。ファイルは配置済みです。",
            "orca-gateway check found a problem (see above); the files are in place"
        )
    }

    fn remedy(&self) -> orca_messages::Text {
        text!(
            "表示された対処を行ってください。元に戻すには server_kit --undo を同じ --conf で実行します。",
            "do what it says; server_kit --undo with the same --conf puts everything back"
        )
    }
}
