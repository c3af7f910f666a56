//! OpenSSL judges certificates, CRLs, keys and key stores.

use std::path::Path;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use tempfile::TempDir;

const KEYS: [&str; 5] = ["p256", "p384", "rsa2048", "rsa3072", "rsa4096"];

/// An authority in a temporary home.
fn authority() -> anyhow::Result<(TempDir, Catool)> {
    let dir = tempfile::tempdir()?;
    let ca = Catool::new(dir.path());
    ca.done("init --yes")?;
    Ok((dir, ca))
}

fn openssl(line: &str, files: &[&Path]) -> anyhow::Result<String> {
    Program::new("openssl")
        .args(line.split_whitespace())
        .args(files)
        .run()?
        .success()
}

/// `openssl verify` by the letter of RFC 5280, the CRL included.
fn verify(purpose: &str, kit: &Kit, crl: &Path) -> anyhow::Result<String> {
    Program::new("openssl")
        .args(["verify", "-x509_strict", "-crl_check", "-check_ss_sig"])
        .args(["-purpose", purpose])
        .arg("-CAfile")
        .arg(kit.ca())
        .arg("-CRLfile")
        .arg(crl)
        .arg(kit.crt())
        .run()?
        .success()
}

#[test]
fn verify_accepts_certificates_of_every_key_type() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    for key in KEYS {
        let server = ca.issue(&format!(
            "issue_server_cert -c {key}.example -i 192.168.1.100 -i fd00::1 --key {key}"
        ))?;
        verify("sslserver", &server, &ca.crl())?;
        let client = ca.issue(&format!("issue_client_cert -c user-{key} --key {key}"))?;
        verify("sslclient", &client, &ca.crl())?;
        verify("sslserver", &client, &ca.crl()).expect_err("a client is no server");
        verify("sslclient", &server, &ca.crl()).expect_err("a server is no client");
    }
    Ok(())
}

#[test]
fn names_stand_where_clients_look_for_them() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let server = ca.issue("issue_server_cert -i 192.168.1.100 -c weborca-server")?;
    for (check, name) in [
        ("-verify_hostname", "weborca-server"),
        ("-verify_ip", "192.168.1.100"),
    ] {
        let outcome = Program::new("openssl")
            .args(["verify", check, name, "-CAfile"])
            .arg(server.ca())
            .arg(server.crt())
            .run()?;
        outcome.success()?;
    }
    let names = openssl("x509 -noout -ext subjectAltName -in", &[&server.crt()])?;
    assert!(names.contains("DNS:weborca-server"), "{names}");
    assert!(names.contains("IP Address:192.168.1.100"), "{names}");
    Ok(())
}

#[test]
fn both_pkcs12_profiles_open_with_the_passphrase() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    for key in KEYS {
        let issued = ca.issue(&format!("issue_client_cert -c user-{key} --key {key}"))?;
        for (profile, algorithms) in [
            ("compat", ["pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1"]),
            ("modern", ["AES-256-CBC", "MAC: sha256"]),
        ] {
            let number = issued.number();
            let kit = ca.issue(&format!("export_cert {number} --p12 {profile}"))?;
            let told = open_p12(&kit)?;
            for algorithm in algorithms {
                assert!(told.contains(algorithm), "{key} {profile}: {told}");
            }
            assert!(!told.contains("RC2"), "{key} {profile}: {told}");
        }
    }
    Ok(())
}

/// Opens a `.p12` and finds the certificate, its key and the authority's certificate.
fn open_p12(kit: &Kit) -> anyhow::Result<String> {
    let outcome = Program::new("openssl")
        .args(["pkcs12", "-info", "-noenc", "-passin"])
        .arg(format!("pass:{}", kit.passphrase()?))
        .arg("-in")
        .arg(kit.p12())
        .run()?;
    let content = outcome.success()?;
    let certificates = pem_blocks(&content, "CERTIFICATE");
    assert_eq!(certificates.len(), 2, "certificate and CA: {content}");
    for file in [kit.crt(), kit.ca()] {
        let text = std::fs::read_to_string(&file)?;
        let block = pem_blocks(&text, "CERTIFICATE");
        assert!(
            certificates.contains(&block[0]),
            "{} is missing",
            file.display()
        );
    }
    assert_eq!(
        public_key(&content)?,
        public_key(&std::fs::read_to_string(kit.pem())?)?
    );
    Ok(content + &outcome.stderr)
}

#[test]
fn the_encrypted_key_is_the_same_key() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    for key in KEYS {
        let kit = ca.issue(&format!("issue_client_cert -c user-{key} --key {key}"))?;
        let encrypted = std::fs::read_to_string(kit.enc_pem())?;
        assert!(
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
        assert_eq!(opened, plain, "{key}");
        assert_eq!(certified, plain, "{key}");
    }
    Ok(())
}

#[test]
fn revocation_lists_are_read_and_obeyed() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let client = ca.issue("issue_client_cert -c user1")?;
    let empty = openssl("crl -noout -text -in", &[&ca.crl()])?;
    assert!(empty.contains("No Revoked Certificates"), "{empty}");
    verify("sslclient", &client, &ca.crl())?;

    ca.done(&format!(
        "revoke_cert {} --reason keyCompromise",
        client.number()
    ))?;
    let text = openssl("crl -noout -text -in", &[&ca.crl()])?;
    assert!(text.contains("Version 2 (0x1)"), "{text}");
    assert!(text.contains("Serial Number: 02"), "{text}");
    assert!(text.contains("Key Compromise"), "{text}");
    let refusal = verify("sslclient", &client, &ca.crl()).expect_err("it is revoked");
    assert!(format!("{refusal:?}").contains("certificate revoked"));
    Program::new("openssl")
        .args(["crl", "-noout", "-verify", "-CAfile"])
        .arg(client.ca())
        .arg("-in")
        .arg(ca.crl())
        .run()?
        .success()?;
    assert!(crl_number(&text)? > crl_number(&empty)?);
    Ok(())
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
