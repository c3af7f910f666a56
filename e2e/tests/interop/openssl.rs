//! OpenSSL judges certificates, CRLs, keys and key stores.

use std::path::Path;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::kit::Kit;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;

use crate::specimens::Issued;
use crate::specimens::Purpose;
use crate::specimens::SERVER_ADDRESSES;
use crate::specimens::SERVER_NAMES;
use crate::specimens::Specimens;

fn openssl(line: &str, files: &[&Path]) -> anyhow::Result<String> {
    Program::new("openssl")
        .args(line.split_whitespace())
        .args(files)
        .run()?
        .success()
}

pub(crate) fn judge(specimens: &Specimens) -> anyhow::Result<()> {
    judge_lists(specimens)?;
    for issued in &specimens.issued {
        judge_path(specimens, issued).with_context(|| issued.name.clone())?;
        for (kit, algorithms) in [
            (
                &issued.compat,
                ["pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1"],
            ),
            (&issued.modern, ["AES-256-CBC", "MAC: sha256"]),
        ] {
            judge_keys(kit).with_context(|| issued.name.clone())?;
            let told = open_p12(kit).with_context(|| issued.name.clone())?;
            for algorithm in algorithms {
                ensure!(told.contains(algorithm), "no {algorithm}: {told}");
            }
            ensure!(!told.contains("RC2"), "{told}");
        }
    }
    Ok(())
}

fn judge_path(specimens: &Specimens, issued: &Issued) -> anyhow::Result<()> {
    let (right, wrong) = match issued.purpose {
        Purpose::Server => ("sslserver", "sslclient"),
        Purpose::Client => ("sslclient", "sslserver"),
    };
    let kit = &issued.compat;
    let names = match issued.purpose {
        Purpose::Server => vec![
            ("-verify_hostname", SERVER_NAMES[0]),
            ("-verify_hostname", SERVER_NAMES[1]),
            ("-verify_hostname", &issued.name),
            ("-verify_ip", SERVER_ADDRESSES[0]),
            ("-verify_ip", SERVER_ADDRESSES[1]),
        ],
        // Of no consequence: how far up the chain it may look.
        Purpose::Client => vec![("-verify_depth", "3")],
    };
    for (option, name) in names {
        verify(
            &["-purpose", right, option, name],
            kit,
            &specimens.empty_crl,
        )?
        .success()?;
    }
    let refusal = verify(&["-purpose", wrong], kit, &specimens.empty_crl)?;
    ensure!(refusal.code != Some(0), "{refusal:?}");
    let last = verify(&["-purpose", right], kit, &specimens.crl)?;
    ensure!((last.code == Some(0)) != issued.revoked, "{last:?}");
    ensure!(
        last.stderr.contains("certificate revoked") == issued.revoked,
        "{last:?}"
    );
    Ok(())
}

/// The key without passphrase, the encrypted one and the certified one are one key.
fn judge_keys(kit: &Kit) -> anyhow::Result<()> {
    let encrypted = std::fs::read_to_string(kit.enc_pem())?;
    ensure!(
        encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        "{encrypted}"
    );
    let opened = Program::new("openssl")
        .args(["pkey", "-pubout", "-passin"])
        .arg(format!("pass:{}", kit.passphrase()?))
        .arg("-in")
        .arg(kit.enc_pem())
        .run()?
        .success()?;
    let plain = openssl("pkey -pubout -in", &[&kit.pem()])?;
    let certified = openssl("x509 -noout -pubkey -in", &[&kit.crt()])?;
    ensure!(opened == plain && certified == plain, "not one key");
    Ok(())
}

fn judge_lists(specimens: &Specimens) -> anyhow::Result<()> {
    let [empty, full] = [&specimens.empty_crl, &specimens.crl].map(|crl| {
        let told = Program::new("openssl")
            .args(["crl", "-noout", "-text", "-CAfile"])
            .arg(specimens.ca())
            .arg("-in")
            .arg(crl)
            .run()?;
        // The exit code of `openssl crl -verify` says nothing.
        ensure!(told.stderr.contains("verify OK"), "{told:?}");
        told.success()
    });
    let (empty, full) = (empty?, full?);
    ensure!(empty.contains("No Revoked Certificates"), "{empty}");
    for part in ["Version 2 (0x1)", "Key Compromise"] {
        ensure!(full.contains(part), "no {part}: {full}");
    }
    for issued in &specimens.issued {
        let number: u64 = issued.compat.number().parse()?;
        let entry = format!("Serial Number: {number:02X}\n");
        ensure!(full.contains(&entry) == issued.revoked, "{entry} {full}");
    }
    ensure!(crl_number(&full)? > crl_number(&empty)?, "{full}");
    Ok(())
}

/// `openssl verify` by the letter of RFC 5280, the CRL included.
fn verify(options: &[&str], kit: &Kit, crl: &Path) -> anyhow::Result<Outcome> {
    Program::new("openssl")
        .args(["verify", "-x509_strict", "-crl_check", "-check_ss_sig"])
        .args(options)
        .arg("-CAfile")
        .arg(kit.ca())
        .arg("-CRLfile")
        .arg(crl)
        .arg(kit.crt())
        .run()
}

/// Opens a `.p12`, finds the certificate, its key and the certificate of the authority, and gives
/// the names of the algorithms.
fn open_p12(kit: &Kit) -> anyhow::Result<String> {
    let outcome = Program::new("openssl")
        .args(["pkcs12", "-info", "-noenc", "-passin"])
        .arg(format!("pass:{}", kit.passphrase()?))
        .arg("-in")
        .arg(kit.p12())
        .run()?;
    let content = outcome.success()?;
    let certificates = pem_blocks(&content, "CERTIFICATE");
    ensure!(certificates.len() == 2, "certificate and CA: {content}");
    for file in [kit.crt(), kit.ca()] {
        let text = std::fs::read_to_string(&file)?;
        let block = pem_blocks(&text, "CERTIFICATE");
        ensure!(
            certificates.contains(&block[0]),
            "{} is missing",
            file.display()
        );
    }
    let plain = public_key(&std::fs::read_to_string(kit.pem())?)?;
    ensure!(public_key(&content)? == plain, "another key");
    Ok(outcome.stderr)
}

fn crl_number(text: &str) -> anyhow::Result<u64> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("X509v3 CRL Number"));
    lines
        .next()
        .context("a number")?
        .parse()
        .context("a number")
}

fn public_key(text: &str) -> anyhow::Result<String> {
    let key = pem_blocks(text, "PRIVATE KEY");
    Program::new("openssl")
        .args(["pkey", "-pubout"])
        .stdin(key.first().context("a key")?)
        .run()?
        .success()
}

/// Every block of this kind, armour included.
fn pem_blocks(text: &str, kind: &str) -> Vec<String> {
    let (begin, end) = (
        format!("-----BEGIN {kind}-----"),
        format!("-----END {kind}-----"),
    );
    text.split(&begin)
        .skip(1)
        .filter_map(|rest| rest.split_once(&end))
        .map(|(body, _)| format!("{begin}{body}{end}\n"))
        .collect()
}
