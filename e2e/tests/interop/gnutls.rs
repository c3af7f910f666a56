//! GnuTLS judges with certtool.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::kit::Kit;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;

use crate::specimens::Issued;
use crate::specimens::Purpose;
use crate::specimens::SERVER_NAMES;
use crate::specimens::Specimens;

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

pub(crate) fn judge(specimens: &Specimens) -> anyhow::Result<()> {
    for (crl, filled) in specimens.crls() {
        let told = certtool(["--crl-info", "--infile"], [crl])?;
        ensure!(
            told.contains(if filled {
                "Revoked certificates (2)"
            } else {
                "No revoked certificates."
            }),
            "{told}"
        );
    }
    for issued in &specimens.issued {
        paths(specimens, issued).with_context(|| issued.name.clone())?;
        for (kit, schema) in [
            (&issued.compat, "PKCS12-3DES-SHA1"),
            (&issued.modern, "AES-256-CBC"),
        ] {
            opens(kit, schema).with_context(|| format!("{} {schema}", issued.name))?;
        }
    }
    Ok(())
}

fn paths(specimens: &Specimens, issued: &Issued) -> anyhow::Result<()> {
    let crt = issued.compat.crt();
    let (right, wrong) = match issued.purpose {
        Purpose::Server => (SERVER_AUTH, CLIENT_AUTH),
        Purpose::Client => (CLIENT_AUTH, SERVER_AUTH),
    };
    let ca = specimens.ca();
    let verify = |purpose: &str, crl: &Path| -> anyhow::Result<Outcome> {
        let mut program = Program::new("certtool")
            .args(["--verify", "--verify-profile=medium"])
            .args(["--verify-purpose", purpose, "--load-ca-certificate"])
            .arg(&ca)
            .arg("--load-crl")
            .arg(crl)
            .arg("--infile")
            .arg(&crt);
        if purpose == SERVER_AUTH {
            program = program.args(["--verify-hostname", SERVER_NAMES[0]]);
        }
        program.run()
    };
    verify(right, &specimens.empty_crl)?.success()?;
    let refusal = verify(wrong, &specimens.empty_crl)?;
    ensure!(refusal.text().contains("intended purpose"), "{refusal:?}");
    let last = verify(right, &specimens.crl)?;
    ensure!(
        last.text().contains("chain is revoked") == issued.revoked,
        "{last:?}"
    );
    ensure!((last.code == Some(0)) != issued.revoked, "{last:?}");
    Ok(())
}

fn opens(kit: &Kit, schema: &str) -> anyhow::Result<()> {
    let passphrase = kit.passphrase()?;
    let certificate = key_id(&certtool(
        ["--pubkey-info", "--load-certificate"],
        [&kit.crt()],
    )?)?;
    let plain = key_id(&certtool(["--key-info", "--infile"], [&kit.pem()])?)?;
    let encrypted = key_id(&certtool(
        ["--key-info", "--password", &passphrase, "--infile"],
        [&kit.enc_pem()],
    )?)?;
    ensure!(certificate == plain && plain == encrypted, "not one key");
    let p12 = certtool(
        [
            "--p12-info",
            "--inder",
            "--password",
            &passphrase,
            "--infile",
        ],
        [&kit.p12()],
    )?;
    ensure!(p12.contains(schema), "{p12}");
    ensure!(p12.matches("BEGIN CERTIFICATE").count() == 2, "{p12}");
    let (_, key) = p12.split_once("PKCS #8").context("no key")?;
    let begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let key = key.split_once(begin).context("no key")?.1;
    let bag = Program::new("certtool")
        .args(["--key-info", "--password", &passphrase])
        .stdin(format!("{begin}{key}"))
        .run()?
        .success()?;
    ensure!(key_id(&bag)? == plain, "another key: {bag}");
    Ok(())
}

/// The SHA-256 of the public key.
fn key_id(text: &str) -> anyhow::Result<String> {
    let mut words = text.split_whitespace();
    let id = words.find(|word| word.starts_with("sha256:"));
    Ok(id.context("no key id")?.to_owned())
}

fn certtool<const N: usize>(
    words: [&str; N],
    files: [impl AsRef<OsStr>; 1],
) -> anyhow::Result<String> {
    let program = Program::new("certtool").args(words).args(files);
    program.run()?.success()
}
