//! Every fault made for real, and named by `diagnose` in both languages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::catool::Catool;
use orca_e2e::fault_lab::FAULTS;
use orca_e2e::fault_lab::Fault;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::stand_in::Vacancy;
use serde_json::Value;

mod another_day;

/// The findings, and whether the exit code fits them.
fn findings(program: Program) -> anyhow::Result<Vec<Value>> {
    let outcome = program.args(["--format", "json"]).run()?;
    let rows: Vec<Value> =
        serde_json::from_slice(&outcome.stdout).with_context(|| format!("{outcome:?}"))?;
    let failed = rows.iter().any(|row| row["verdict"] == "failure");
    ensure!(outcome.code == Some(i32::from(failed)), "{outcome:?}");
    for row in &rows {
        let keys: Vec<&String> = row.as_object().context("an object")?.keys().collect();
        ensure!(
            keys == ["id", "message", "remedy", "verdict"],
            "{keys:?} in {row}"
        );
        let is_ok = row["verdict"] == "ok";
        ensure!(row["remedy"].is_null() == is_ok, "{row}");
    }
    Ok(rows)
}

fn is_told(rows: &[Value], id: &str, words: &[&str]) -> anyhow::Result<()> {
    let row = rows.iter().find(|row| row["id"] == id);
    let row = row.with_context(|| format!("no {id} in {rows:#?}"))?;
    let said = format!("{} {}", row["message"], row["remedy"]);
    for word in words {
        ensure!(said.contains(word), "no {word:?} in {row:#} of {rows:#?}");
    }
    Ok(())
}

fn is_named(site: &Site, fault: &Fault) -> anyhow::Result<()> {
    let station = fault.start(site)?;
    for (lang, words) in [("ja", fault.japanese), ("en", fault.english)] {
        let program = site
            .ca
            .program(["--lang", lang, "diagnose", &station.url])?;
        let rows = findings(program.args(&station.options))?;
        is_told(&rows, fault.finding, words)?;
    }
    Ok(())
}

/// Makes one fault after the other in one clinic, and tells all that are not named.
fn every_fault(which: impl Fn(&Fault) -> bool) -> anyhow::Result<()> {
    let site = Site::new()?;
    let mut failures = Vec::new();
    for fault in FAULTS.iter().filter(|fault| which(fault)) {
        if let Err(error) = is_named(&site, fault) {
            failures.push(format!("{}: {error:#}", fault.name));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn is_of_client(fault: &Fault) -> bool {
    fault.symptom.starts_with("E-") || fault.name.ends_with("-strict")
}

#[test]
fn faults_of_servers_and_networks_are_named() -> anyhow::Result<()> {
    every_fault(|fault| !is_of_client(fault))
}

#[test]
fn faults_of_clients_are_named() -> anyhow::Result<()> {
    every_fault(is_of_client)
}

/// What is said with these words, in English, and under this id in Japanese too.
fn said(ca: &Catool, words: &[&str], id: &str, facts: [&str; 2]) -> anyhow::Result<()> {
    for (lang, fact) in [("ja", facts[0]), ("en", facts[1])] {
        let program = ca.program(["--lang", lang, "diagnose"])?.args(words);
        is_told(&findings(program)?, id, &[fact]).with_context(|| format!("{words:?}"))?;
    }
    Ok(())
}

fn pass(kit: &Kit) -> String {
    kit.p12().with_extension("pass").display().to_string()
}

/// The same key and certificate in another PKCS#12 file.
fn exported(kit: &Kit, to: &Path, options: &[&str]) -> anyhow::Result<()> {
    let pass = format!("file:{}", pass(kit));
    Program::new("openssl")
        .args(["pkcs12", "-export", "-in"])
        .arg(kit.crt())
        .arg("-inkey")
        .arg(kit.pem())
        .args(["-passout", &pass, "-out"])
        .arg(to)
        .args(options)
        .run()?
        .success()?;
    Ok(())
}

#[test]
fn files_of_a_client_are_judged_without_a_server() -> anyhow::Result<()> {
    let site = Site::new()?;
    let (one, two) = (site.client("user1")?, site.client("user2")?);
    let text = |path: &Path| path.display().to_string();
    let (p12, crt, pem, enc) = (
        text(&one.p12()),
        text(&one.crt()),
        text(&one.pem()),
        text(&one.enc_pem()),
    );
    let (right, wrong) = (pass(&one), pass(&two));
    let (rc2, modern) = (site.path("rc2.p12"), site.path("modern.p12"));
    let weak = ["-legacy", "-certpbe", "PBE-SHA1-RC2-40"];
    exported(&one, &rc2, &weak)?;
    exported(
        &one,
        &modern,
        &["-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC"],
    )?;
    let (rc2, modern, other) = (text(&rc2), text(&modern), text(&two.pem()));
    let good = ["user1", "user1"];
    for (words, id, facts) in [
        (
            vec!["--p12", &p12, "--passphrase-file", &right],
            "client-certificate-good",
            good,
        ),
        (
            vec!["--cert", &crt, "--key", &pem],
            "client-certificate-good",
            good,
        ),
        (
            vec!["--cert", &crt, "--key", &enc, "--passphrase-file", &right],
            "client-certificate-good",
            good,
        ),
        (
            vec!["--p12", &p12, "--passphrase-file", &wrong],
            "passphrase-wrong",
            ["同じzipの「….pass」", ".pass of the same zip"],
        ),
        (
            vec!["--cert", &crt, "--key", &enc],
            "passphrase-missing",
            ["パスフレーズが付いています", "has a passphrase"],
        ),
        (
            vec!["--cert", &crt, "--key", &other],
            "wrong-pair",
            [
                "鍵が証明書(番号000003、user1)のものではありません",
                "number 000003, user1",
            ],
        ),
        (
            vec!["--p12", &rc2, "--passphrase-file", &right],
            "p12-unreadable",
            ["RC2", "--p12 compat"],
        ),
        (
            vec!["--p12", &modern, "--passphrase-file", &right],
            "p12-unreadable",
            ["古いWindows", "old Windows"],
        ),
        (
            vec!["--p12", &crt, "--passphrase-file", &right],
            "p12-unreadable",
            ["p12ファイルとして読み取れません", "cannot be read as a p12"],
        ),
        (
            vec!["--p12", "/nowhere/x.p12", "--passphrase-file", &right],
            "file-unreadable",
            ["/nowhere/x.p12", "/nowhere/x.p12"],
        ),
    ] {
        said(&site.ca, &words, id, facts)?;
    }
    site.ca.done("revoke_cert -c user1")?;
    let words = ["--cert", &crt, "--key", &pem];
    said(
        &site.ca,
        &words,
        "revoked",
        ["破棄(失効)", "was revoked on"],
    )
}

#[test]
fn a_client_needs_no_authority_of_its_own() -> anyhow::Result<()> {
    let site = Site::new()?;
    let kit = site.client("user1")?;
    let gateway = site.gateway()?;
    let home = site.path("client");
    fs::create_dir(&home)?;
    let client = Catool::new(&home);
    let url = format!("https://{}", gateway.address);
    let (p12, pass, ca) = (kit.p12(), pass(&kit), kit.ca());
    let (p12, ca) = (p12.display().to_string(), ca.display().to_string());

    let program = client.program(["diagnose", &url, "--p12", &p12, "--passphrase-file", &pass])?;
    let rows = findings(program)?;
    for id in [
        "server-reached",
        "server-certificate-good",
        "clock-agrees",
        "application-answers",
        "client-certificate-good",
        "crl-good",
    ] {
        is_told(&rows, id, &[])?;
    }
    assert!(rows.iter().all(|row| row["verdict"] == "ok"), "{rows:#?}");

    // Who does not know the authority is told that nobody looked.
    is_told(
        &findings(client.program(["diagnose", &url])?)?,
        "server-certificate-good",
        &["--ca FILE"],
    )?;
    is_told(
        &findings(client.program(["diagnose", &url, "--ca", &ca])?)?,
        "server-certificate-good",
        &["days left"],
    )?;
    let rows = findings(client.program(["diagnose"])?)?;
    is_told(&rows, "no-ca", &["orca-catool diagnose https://HOST:8000"])?;
    assert_eq!(fs::read_dir(&home)?.count(), 0, "nothing was made");
    Ok(())
}

#[test]
fn a_name_without_an_address_is_named() -> anyhow::Result<()> {
    let site = Site::new()?;
    // RFC 6761 §6.4: it never has one.
    let words = ["https://weborca-server.invalid:8000"];
    let facts = [
        "weborca-server.invalid に対応するIPアドレスが見つかりません",
        "the name weborca-server.invalid has no address",
    ];
    said(&site.ca, &words, "name-does-not-resolve", facts)
}

#[test]
fn the_authority_is_looked_at_where_no_address_is_named() -> anyhow::Result<()> {
    let site = Site::new()?;
    let ca = &site.ca;
    let rows = findings(ca.program(["diagnose"])?)?;
    is_told(&rows, "ca-good", &["orca CA "])?;
    is_told(&rows, "crl-goes-nowhere", &[":crl_publish:"])?;

    ca.issue("issue_client_cert -c soon --days 10")?;
    said(ca, &[], "certificate-ends-soon", ["soon", "--expiring 30"])?;
    let key = ca.folder().join("ca.key");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644))?;
    said(ca, &[], "exposed-files", ["chmod go= ", "ca.key"])?;
    fs::set_permissions(&key, PermissionsExt::from_mode(0o600))?;

    let nobody = Vacancy::new()?;
    ca.publish_to(&[nobody.url()])?;
    let _ = ca.run("publish_crl")?;
    let address = nobody.url();
    said(ca, &[], "crl-not-delivered", [&address, &address])?;
    said(
        ca,
        &[&address],
        "delivery-failed",
        ["前回", "last delivery"],
    )
}

#[test]
fn the_server_looks_at_itself() -> anyhow::Result<()> {
    let site = Site::new()?;
    let port = Vacancy::new()?.address;
    let conf = site.conf()?.set("GATEWAY_LISTEN", port);
    let told = |lang: &str| findings(conf.program(&["--lang", lang, "diagnose"])?);
    is_told(&told("ja")?, "gateway-not-running", &["systemctl start"])?;

    let gateway = conf.start()?;
    let rows = findings(conf.program(&["diagnose", "--lang", "en"])?)?;
    for id in [
        "refuses-without-certificate",
        "server-reached",
        "upstream-reached",
    ] {
        is_told(&rows, id, &[])?;
    }
    let rows = told("en")?;
    assert!(
        !rows.iter().any(|row| row["verdict"] == "failure"),
        "{rows:#?}"
    );

    // Another certificate that the running gateway does not have: its key is another one's.
    let moved = site.ca.issue("issue_server_cert -i 192.0.2.7")?;
    let other = site
        .conf()?
        .set("GATEWAY_LISTEN", port)
        .set("SERVER_CRT", moved.crt().display())
        .set("SERVER_PEM", moved.pem().display());
    for (lang, was, command) in [
        (
            "ja",
            "サーバ証明書のIPアドレス(192.0.2.7)は、この機械にありません",
            "issue_server_cert",
        ),
        ("en", "192.0.2.7", "issue_server_cert"),
    ] {
        let rows = findings(other.program(&["--lang", lang, "diagnose"])?)?;
        is_told(&rows, "address-changed", &[was, command])?;
        is_told(&rows, "another-certificate-served", &["SERVER_CRT"])?;
    }
    let locked = site
        .conf()?
        .set("GATEWAY_LISTEN", port)
        .set("SERVER_PEM", site.server.enc_pem().display());
    let rows = findings(locked.program(&["--lang", "ja", "diagnose"])?)?;
    assert!(
        rows.iter().any(|row| row["verdict"] == "failure"
            && row["message"]
                .as_str()
                .is_some_and(|told| told.contains("パスフレーズ"))),
        "{rows:#?}"
    );
    drop(gateway);
    Ok(())
}
