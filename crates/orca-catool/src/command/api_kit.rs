//! `api_kit`: the files of a client certificate where programs can read them, and what to write into
//! those programs.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use orca_ca::place::Owner;
use orca_ca::{Authority, Error, delivery};
use orca_messages::text;
use orca_pki::bundle::Bundle;
use orca_pki::profile::CertificateProfile;
use zeroize::Zeroizing;

use super::server_kit::whose;
use crate::absolute;
use crate::args::{ApiKitArgs, Fragment, ServerAddress};
use crate::session::{Failure, Session};

/// Only its owner, and nobody writes it.
const MODE: u32 = 0o400;

pub(crate) fn run(
    authority: &mut Authority,
    args: ApiKitArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let dir = absolute(Some(args.dir.clone())).unwrap_or(args.dir);
    refuse_homes(&dir)?;
    let owner = whose(args.owner.as_deref())?;
    let kit = authority.bundle(&args.selection, CertificateProfile::Client, now)?;
    let placed = place(&kit, &dir, owner)?;
    for path in placed.paths() {
        let path = path.display();
        session.say(&text!("{path} を配置しました。", "{path} is in place"))?;
    }
    session.say(&text!(
        "パスフレーズは以下の表示に含まれます。扱いに注意してください。",
        "the passphrase stands in what follows; take care of it"
    ))?;
    for (number, kind) in args.kinds.iter().enumerate() {
        let text = fragment(*kind, &placed, &args.server);
        // One alone is a file as it stands.
        if args.kinds.len() > 1 {
            let gap = if number == 0 { "" } else { "\n" };
            writeln!(session.output, "{gap}==== {} ====", kind.word())?;
        }
        session.output.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Where the files are, and what opens the key.
struct Placed {
    crt: PathBuf,
    enc_pem: PathBuf,
    pem: PathBuf,
    ca: PathBuf,
    passphrase: Zeroizing<String>,
}

impl Placed {
    fn paths(&self) -> [&Path; 4] {
        [&self.crt, &self.enc_pem, &self.pem, &self.ca]
    }
}

/// The guide: services cannot read files in a home folder (0750 on Ubuntu 22.04).
fn refuse_homes(dir: &Path) -> Result<(), Error> {
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mut homes = vec![PathBuf::from("/home"), PathBuf::from("/root")];
    homes.extend(std::env::var_os("HOME").map(PathBuf::from));
    let inside = |dir: &Path| {
        homes
            .iter()
            .filter(|home| home.as_os_str() != "/")
            .any(|home| dir.starts_with(home))
    };
    match inside(dir) || inside(&real) {
        true => Err(Error::HomeFolder {
            path: dir.to_owned(),
        }),
        false => Ok(()),
    }
}

fn place(kit: &Bundle, dir: &Path, owner: Option<Owner>) -> Result<Placed, Error> {
    let base = &kit.base_name;
    let path = |suffix: &str| dir.join(format!("{base}{suffix}"));
    let placed = Placed {
        crt: path(".crt"),
        enc_pem: path(".enc.pem"),
        pem: path(".pem"),
        ca: dir.join("ca.crt"),
        passphrase: kit
            .files
            .iter()
            .find(|file| file.name.ends_with(".pass"))
            .map(|file| String::from_utf8_lossy(&file.content).trim_end().to_owned())
            .unwrap_or_default()
            .into(),
    };
    for path in placed.paths() {
        let name = path.file_name();
        if let Some(file) = kit
            .files
            .iter()
            .find(|file| Some(file.name.as_ref()) == name)
        {
            delivery::replace(path, &file.content, MODE, owner)?;
        }
    }
    Ok(placed)
}

fn fragment(kind: Fragment, placed: &Placed, server: &ServerAddress) -> Zeroizing<String> {
    let (template, quote): (&str, Quote) = match kind {
        Fragment::PushExchanger => (include_str!("../../fragments/push-exchanger.yml"), double),
        Fragment::Curl => (include_str!("../../fragments/curl.sh"), shell),
        Fragment::Ruby => (include_str!("../../fragments/client.rb"), single),
        Fragment::RubyWebSocket => (include_str!("../../fragments/websocket.rb"), single),
        Fragment::Python => (include_str!("../../fragments/client.py"), single),
        Fragment::Java => (include_str!("../../fragments/Client.java"), double),
        Fragment::Node => (include_str!("../../fragments/client.js"), single),
        Fragment::CSharp => (include_str!("../../fragments/Program.cs"), double),
    };
    let (host, port) = (server.bracketed(), server.port);
    let path = |path: &Path| quote(&path.display().to_string());
    let values = [
        ("@URL@", quote(&format!("https://{host}:{port}"))),
        ("@WSS@", quote(&format!("wss://{host}:{port}/ws"))),
        ("@HOST@", quote(&server.host)),
        ("@PORT@", port.to_string()),
        ("@CA@", path(&placed.ca)),
        ("@CRT@", path(&placed.crt)),
        ("@ENC_PEM@", path(&placed.enc_pem)),
        ("@PEM@", path(&placed.pem)),
        ("@PASSPHRASE@", quote(&placed.passphrase)),
    ];
    let mut text = Zeroizing::new(template.to_owned());
    for (mark, value) in values {
        text = Zeroizing::new(text.replace(mark, &value));
    }
    text
}

/// A text as a literal of a language.
type Quote = fn(&str) -> String;

/// POSIX.1-2017 §2.2.2.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Ruby, Python and JavaScript.
fn single(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Java, C# and YAML.
fn double(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_fill_in() {
        let placed = Placed {
            crt: "/c/it's \"x\".crt".into(),
            enc_pem: "/c/x.enc.pem".into(),
            pem: "/c/x.pem".into(),
            ca: "/c/ca.crt".into(),
            passphrase: "secret".to_owned().into(),
        };
        let server = ServerAddress {
            host: "fd00::1".into(),
            port: 8000,
        };
        for kind in Fragment::ALL {
            let text = fragment(kind, &placed, &server);
            let marks = [
                "@URL", "@WSS", "@HOST", "@PORT", "@CA@", "@CRT", "@PEM", "@ENC", "@PASS",
            ];
            for mark in marks {
                assert!(!text.contains(mark), "{kind:?}: {mark}");
            }
            assert!(text.contains("fd00::1"), "{kind:?}");
        }
    }

    #[test]
    fn home_folders_are_refused() {
        for dir in ["/home/hana/certs", "/root/x", "/home"] {
            assert!(refuse_homes(Path::new(dir)).is_err(), "{dir}");
        }
        assert!(refuse_homes(Path::new("/opt/jma/weborca/conf")).is_ok());
    }
}
