//! `diagnose` names what a PKCS#12 file of another program is made of, and who cannot read it.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::kit::Kit;
use orca_e2e::nss::Store;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use serde_json::Value;
use serde_json::json;

use crate::python;

/// Where the same key and certificate are written again.
struct Bench {
    site: Site,
    kit: Kit,
    store: Store,
    pass: PathBuf,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let site = Site::new()?;
        let kit = site.client("user1")?;
        let store = Store::new(site.path("nss"))?;
        store.import_p12(&kit)?;
        let pass = kit.p12().with_extension("pass");
        Ok(Self {
            site,
            kit,
            store,
            pass,
        })
    }

    fn openssl(&self, to: &Path, options: &[&str]) -> anyhow::Result<()> {
        let done = Program::new("openssl")
            .args(["pkcs12", "-export", "-in"])
            .arg(self.kit.crt())
            .arg("-inkey")
            .arg(self.kit.pem())
            .args(["-passout", &format!("file:{}", self.pass.display())])
            .arg("-out")
            .arg(to)
            .args(options)
            .run()?;
        done.success().map(drop)
    }

    fn keytool(&self, to: &Path, options: &[&str]) -> anyhow::Result<()> {
        let passphrase = self.kit.passphrase()?;
        let done = Program::new("keytool")
            .args(options)
            .args(["-importkeystore", "-noprompt", "-srcstorepass", &passphrase])
            .args(["-deststorepass", &passphrase, "-srckeystore"])
            .arg(self.kit.p12())
            .arg("-destkeystore")
            .arg(to)
            .run()?;
        done.success().map(drop)
    }

    fn pk12util(&self, to: &Path, options: &[&str]) -> anyhow::Result<()> {
        self.store
            .export("user1", to, &self.kit.passphrase()?, options)
    }

    fn pyca(&self, to: &Path, options: &[&str]) -> anyhow::Result<()> {
        let [cipher, mac] = options else {
            anyhow::bail!("a cipher and a digest");
        };
        let told = json!({
            "key": self.kit.pem(),
            "certificate": self.kit.crt(),
            "passphrase": self.kit.passphrase()?,
            "cipher": cipher,
            "mac": mac,
            "to": to,
        });
        python::script("pkcs12_of_pyca.py", &told)?
            .success()
            .map(drop)
    }

    fn diagnose(&self, file: &Path, lang: &str) -> anyhow::Result<Vec<Value>> {
        let words = ["--lang", lang, "diagnose", "--format", "json", "--p12"];
        let program = self.site.ca.program(words)?.arg(file);
        let outcome = program.arg("--passphrase-file").arg(&self.pass).run()?;
        let rows: Vec<Value> =
            serde_json::from_slice(&outcome.stdout).with_context(|| format!("{outcome:?}"))?;
        let failed = rows.iter().any(|row| row["verdict"] == "failure");
        ensure!(outcome.code == Some(i32::from(failed)), "{outcome:?}");
        Ok(rows)
    }

    /// What Ruby's OpenSSL and Java make of it.
    fn readers(&self, file: &Path) -> anyhow::Result<[bool; 2]> {
        let read = "OpenSSL::PKCS12.new(File.binread(ARGV[0]), File.read(ARGV[1]).strip)";
        let ruby = Program::new("ruby")
            .args(["-ropenssl", "-e", read])
            .arg(file)
            .arg(&self.pass)
            .run()?;
        let java = Program::new("keytool")
            .args(["-list", "-storepass", &self.kit.passphrase()?, "-keystore"])
            .arg(file)
            .run()?;
        let is_read = |outcome: Outcome| outcome.code == Some(0);
        Ok([is_read(ruby), is_read(java)])
    }

    /// Runs what a remedy says, as printed.
    fn convert(&self, remedy: &str) -> anyhow::Result<()> {
        let start = remedy.find("{ openssl pkcs12").context("a command")?;
        let done = Program::new("sh").args(["-ec", &remedy[start..]]).run()?;
        done.success().map(drop)
    }
}

/// What wrote it with which options; what diagnose says; whether OpenSSL and Java read it.
struct Case {
    writer: fn(&Bench, &Path, &[&str]) -> anyhow::Result<()>,
    options: &'static [&'static str],
    finding: Option<(&'static str, &'static str, &'static str)>,
    is_ber: bool,
    is_read: [bool; 2],
}

const CASES: [Case; 12] = [
    Case {
        writer: Bench::openssl,
        options: &[],
        finding: Some((
            "warning",
            "AES-256-CBC、証明書 AES-256-CBC、MAC SHA-256",
            "Server 2016",
        )),
        is_ber: false,
        is_read: [true, true],
    },
    Case {
        writer: Bench::openssl,
        options: &["-legacy"],
        finding: Some(("failure", "鍵 3DES、証明書 RC2-40、MAC SHA-1", "OpenSSL 3")),
        is_ber: false,
        is_read: [false, true],
    },
    Case {
        writer: Bench::openssl,
        options: &[
            "-keypbe",
            "PBE-SHA1-3DES",
            "-certpbe",
            "PBE-SHA1-3DES",
            "-macalg",
            "sha1",
        ],
        finding: None,
        is_ber: false,
        is_read: [true, true],
    },
    Case {
        writer: Bench::openssl,
        options: &[
            "-keypbe",
            "PBE-SHA1-3DES",
            "-certpbe",
            "PBE-SHA1-3DES",
            "-macalg",
            "sha512",
        ],
        finding: Some(("warning", "証明書 3DES、MAC SHA-512", "Keychain")),
        is_ber: false,
        is_read: [true, true],
    },
    Case {
        writer: Bench::openssl,
        options: &["-nomac"],
        finding: Some(("warning", "証明書 暗号化なし、MAC なし", "no MAC")),
        is_ber: false,
        is_read: [false, true],
    },
    Case {
        writer: Bench::openssl,
        options: &[
            "-legacy",
            "-keypbe",
            "PBE-SHA1-RC4-128",
            "-certpbe",
            "PBE-SHA1-RC4-128",
        ],
        finding: Some((
            "failure",
            "鍵 RC4-128、証明書 RC4-128、MAC SHA-1",
            "not in wide use",
        )),
        is_ber: false,
        is_read: [false, true],
    },
    Case {
        writer: Bench::keytool,
        options: &[],
        finding: Some((
            "warning",
            "AES-256-CBC、証明書 AES-256-CBC、MAC SHA-256",
            "iPhones",
        )),
        is_ber: false,
        is_read: [true, true],
    },
    Case {
        writer: Bench::keytool,
        options: &["-J-Dkeystore.pkcs12.legacy"],
        finding: Some((
            "failure",
            "鍵 3DES、証明書 RC2-40、MAC SHA-1",
            "curl, Ruby, Node.js",
        )),
        is_ber: false,
        is_read: [false, true],
    },
    Case {
        writer: Bench::pk12util,
        options: &[],
        finding: Some((
            "warning",
            "鍵 AES-256-CBC、証明書 AES-128-CBC、MAC SHA-256",
            "AES-128",
        )),
        is_ber: true,
        is_read: [true, true],
    },
    Case {
        writer: Bench::pk12util,
        options: &["-c", "AES-256-CBC", "-C", "AES-256-CBC", "-M", "SHA-1"],
        finding: Some(("warning", "証明書 AES-256-CBC、MAC SHA-1", "modern")),
        is_ber: true,
        is_read: [true, true],
    },
    Case {
        writer: Bench::pk12util,
        options: &["-c", "DES-EDE3-CBC", "-C", "RC2-CBC", "-M", "SHA-1"],
        finding: Some(("failure", "鍵 3DES、証明書 RC2-128、MAC SHA-1", "OpenSSL 3")),
        // What cannot be opened has a more important finding.
        is_ber: false,
        is_read: [false, true],
    },
    Case {
        writer: Bench::pyca,
        options: &["PBESv1SHA1And3KeyTripleDESCBC", "SHA256"],
        finding: Some((
            "warning",
            "鍵 3DES、証明書 3DES、MAC SHA-256",
            "old Windows",
        )),
        is_ber: false,
        is_read: [true, true],
    },
];

impl Case {
    fn hold(&self, bench: &Bench, file: &Path) -> anyhow::Result<()> {
        (self.writer)(bench, file, self.options)?;
        let readers = bench.readers(file)?;
        ensure!(readers == self.is_read, "OpenSSL and Java: {readers:?}");
        for lang in ["ja", "en"] {
            let rows = bench.diagnose(file, lang)?;
            let row = |id: &str| rows.iter().find(|row| row["id"] == id);
            match (self.finding, row("p12-unreadable")) {
                (None, None) => {}
                (Some((verdict, ja, en)), Some(row)) => {
                    let words = if lang == "ja" { ja } else { en };
                    let told = row["message"].as_str().unwrap_or_default();
                    ensure!(row["verdict"] == verdict && told.contains(words), "{row:#}");
                }
                (wanted, row) => anyhow::bail!("{wanted:?}, and not {row:?}"),
            }
            ensure!(row("p12-is-ber").is_some() == self.is_ber, "{rows:#?}");
        }
        Ok(())
    }
}

#[test]
fn files_of_other_programs_are_named_for_what_they_are() -> anyhow::Result<()> {
    let bench = Bench::new()?;
    let mut complaints = String::new();
    for (number, case) in CASES.iter().enumerate() {
        let file = bench.site.path(&format!("{number}.p12"));
        if let Err(complaint) = case.hold(&bench, &file) {
            complaints += &format!("{number} {:?}: {complaint:#}\n", case.options);
        }
    }
    ensure!(complaints.is_empty(), "{complaints}");
    Ok(())
}

#[test]
fn what_the_remedies_say_makes_files_that_all_read() -> anyhow::Result<()> {
    let bench = Bench::new()?;
    let [rc2, ber] = ["rc 2.p12", "ber.p12"].map(|name| bench.site.path(name));
    bench.openssl(&rc2, &["-legacy"])?;
    bench.pk12util(&ber, &[])?;
    for (file, id) in [(rc2, "p12-unreadable"), (ber, "p12-is-ber")] {
        let rows = bench.diagnose(&file, "en")?;
        let row = rows.iter().find(|row| row["id"] == id);
        let remedy = row.and_then(|row| row["remedy"].as_str());
        bench.convert(remedy.with_context(|| format!("{rows:#?}"))?)?;
        let converted = file.with_extension("compat.p12");
        let rows = bench.diagnose(&converted, "en")?;
        let ids: Vec<_> = rows.iter().map(|row| &row["id"]).collect();
        ensure!(ids == ["client-certificate-good"], "{rows:#?}");
        ensure!(bench.readers(&converted)? == [true, true], "{converted:?}");
    }
    Ok(())
}
