//! Every fault made for real, and named by `diagnose` in both languages.

use std::fs;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::catool::Catool;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use orca_e2e::program::ours;
use orca_e2e::site::Site;
use orca_e2e::stand_in::Vacancy;
use serde_json::Value;

mod another_day;
mod surroundings;

/// The findings, and whether the exit code fits them.
pub(crate) fn findings(program: Program) -> anyhow::Result<Vec<Value>> {
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

pub(crate) fn is_told(rows: &[Value], id: &str, words: &[&str]) -> anyhow::Result<()> {
    let row = rows.iter().find(|row| row["id"] == id);
    let row = row.with_context(|| format!("no {id} in {rows:#?}"))?;
    let said = format!("{} {}", row["message"], row["remedy"]);
    for word in words {
        ensure!(said.contains(word), "no {word:?} in {row:#} of {rows:#?}");
    }
    Ok(())
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
            vec!["--cert", &pem, "--key", &pem],
            "certificate-unreadable",
            ["証明書がありません。", "there is no certificate in"],
        ),
        (
            vec!["--cert", &crt, "--key", &crt],
            "key-unreadable",
            [
                "使用できる秘密鍵がありません。",
                "there is no private key in",
            ],
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

/// The authority is good for twenty years, its list for a year; a clock is set forward.
#[test]
fn an_authority_and_a_list_that_end_are_told() -> anyhow::Result<()> {
    let site = Site::new()?;
    let ca = &site.ca;
    let told = |shift: &str, id: &str, facts: [&str; 2]| -> anyhow::Result<()> {
        for (lang, fact) in [("ja", facts[0]), ("en", facts[1])] {
            let program = ca.program(["--lang", lang, "diagnose"])?;
            is_told(&findings(program.at(shift))?, id, &[fact])?;
        }
        Ok(())
    };
    told("+0d", "crl-good", ["まで有効です", "is good until"])?;
    told(
        "+400d",
        "crl-overdue",
        ["orca-catool issue_crl", "ran out on"],
    )?;
    told(
        "+7250d",
        "ca-ends-soon",
        ["計画してください", "plan a new CA"],
    )?;
    told(
        "+7400d",
        "ca-not-valid",
        ["新しい認証局を作成", "make a new CA"],
    )?;

    // As a register that was made elsewhere and has seen no list yet.
    let script = "import sqlite3, sys\n\
                  db = sqlite3.connect(sys.argv[1])\n\
                  db.execute('DELETE FROM crl')\n\
                  db.commit()";
    let register = ca.folder().join("register.sqlite3");
    let python = Program::new("python3").args(["-c", script]).arg(register);
    python.run()?.success()?;
    let facts = [
        "まだ発行されていません",
        "no revocation list has been made yet",
    ];
    told("+0d", "crl-missing", facts)
}

#[test]
fn the_server_looks_at_itself() -> anyhow::Result<()> {
    let site = Site::new()?;
    let port = Vacancy::new()?.address;
    let status = (Ipv4Addr::new(127, 0, 0, 2), Vacancy::new()?.address.port());
    let conf = site.conf()?.set("GATEWAY_LISTEN", port);
    let conf = conf.set("GATEWAY_STATUS", SocketAddr::from(status));
    let told = |lang: &str| findings(conf.program(&["--lang", lang, "diagnose"])?);
    let rows = told("ja")?;
    is_told(&rows, "gateway-not-running", &["systemctl start"])?;
    for id in ["conf-read", "mode-https", "place-writable", "port-free"] {
        is_told(&rows, id, &[])?;
    }
    let operators = site.path("operators");
    fs::write(&operators, "ormaster\t/C=JP/O=orca/CN=user1\n")?;
    let conf = conf.set("GATEWAY_OPERATORS", operators.display());
    let told = |lang: &str| findings(conf.program(&["--lang", lang, "diagnose"])?);
    is_told(&told("ja")?, "rules-readable", &["オペレータ1名"])?;

    let gateway = conf.start()?;
    let rows = findings(conf.program(&["diagnose", "--lang", "en"])?)?;
    for id in [
        "own-certificate-served",
        "port-held-by-gateway",
        "refuses-without-certificate",
        "server-certificate-loaded",
        "server-reached",
        "upstream-answers",
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

#[test]
fn a_server_without_tls_looks_at_itself() -> anyhow::Result<()> {
    let site = Site::new()?;
    let keys = ["SERVER_CRT", "SERVER_PEM", "CA_CRT"];
    let conf = keys
        .iter()
        .fold(site.conf()?, |conf, key| conf.set(key, ""));
    let status = (Ipv4Addr::new(127, 0, 0, 2), Vacancy::new()?.address.port());
    let conf = conf
        .set("GATEWAY_LISTEN", Vacancy::new()?.address)
        .set("GATEWAY_STATUS", SocketAddr::from(status));
    let gateway = conf.start()?;
    for (lang, fact) in [("ja", "httpで応答しています"), ("en", "answers in http")] {
        let rows = findings(conf.program(&["--lang", lang, "diagnose"])?)?;
        is_told(&rows, "http-answers", &[fact])?;
        is_told(&rows, "mode-http", &["SERVER_CRT"])?;
        let failed = |row: &&Value| row["verdict"] == "failure";
        assert_eq!(rows.iter().find(failed), None, "{rows:#?}");
    }
    drop(gateway);
    Ok(())
}

#[test]
fn a_revocation_before_the_day_that_is_asked_about_is_told() -> anyhow::Result<()> {
    let site = Site::new()?;
    let line = "issue_client_cert -c gone";
    let kit = site.ca.issue_at("-20d", line)?;
    let revocation = site.ca.program(["revoke_cert", "-c", "gone"])?;
    revocation.at("-10d").run()?.success()?;
    let day = Program::new("date").args(["-d", "-5 days", "+%F"]).run()?;
    let day = day.success()?;
    let (crt, pem) = (kit.crt(), kit.pem());
    let (crt, pem) = (crt.display().to_string(), pem.display().to_string());
    let words = ["--cert", &crt, "--key", &pem, "--at", day.trim()];
    let facts = ["破棄(失効)されています", "was revoked on"];
    said(&site.ca, &words, "was-revoked", facts)
}

#[test]
fn a_configuration_that_is_not_there_is_told() -> anyhow::Result<()> {
    for (lang, fact) in [("ja", "を読めません"), ("en", "cannot read")] {
        let program = Program::new(ours("orca-gateway")?);
        let words = ["--conf", "/nowhere/jma-receipt.conf", "--lang", lang];
        let rows = findings(program.args(words).arg("diagnose"))?;
        is_told(
            &rows,
            "conf-unreadable",
            &["/nowhere/jma-receipt.conf", fact],
        )?;
    }
    Ok(())
}

/// An address of this machine that others may use, where it has one.
fn own_address() -> anyhow::Result<Option<String>> {
    let listed = Program::new("hostname").arg("-I").run()?.success()?;
    Ok(listed.split_whitespace().next().map(str::to_owned))
}

#[test]
fn the_address_of_this_machine_is_known_again() -> anyhow::Result<()> {
    let site = Site::new()?;
    let Some(address) = own_address()? else {
        return Ok(());
    };
    let kit = site.ca.issue(&format!("issue_server_cert -i {address}"))?;
    let conf = site
        .conf()?
        .set("SERVER_CRT", kit.crt().display())
        .set("SERVER_PEM", kit.pem().display());
    for (lang, fact) in [("ja", "この機械のものです"), ("en", "are this machine's")] {
        let rows = findings(conf.program(&["--lang", lang, "diagnose"])?)?;
        is_told(&rows, "addresses-certified", &[fact, &address])?;
    }
    Ok(())
}
