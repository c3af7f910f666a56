//! What `orca-gateway diagnose` says of the machine: its clock, and the names of its configuration.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;

use orca_e2e::curl::Curl;
use orca_e2e::gateway::Conf;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use serde_json::Value;

use super::{findings, is_told};

fn told(conf: &Conf, lang: &str, shift: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let program = conf.program(&["--lang", lang, "diagnose"])?;
    findings(match shift {
        Some(shift) => program.at(shift),
        None => program,
    })
}

fn has(rows: &[Value], id: &str, verdict: &str) -> bool {
    rows.iter()
        .any(|row| row["id"] == id && row["verdict"] == verdict)
}

#[test]
fn a_clock_that_is_slow_is_told_with_what_it_was_compared_with() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = site.conf()?;
    for (lang, good, papers) in [
        (
            "ja",
            [
                "サーバ証明書の開始日時",
                "破棄リストの発行日時",
                "プログラム",
                "日レセの時計",
            ],
            [
                "遅れている可能性",
                "サーバ証明書の開始日時(20",
                "認証局の証明書の開始日時(20",
                "破棄リストの発行日時(20",
            ],
        ),
        (
            "en",
            [
                "server certificate",
                "revocation list",
                "program",
                "application",
            ],
            [
                "seems to be slow",
                "of the server certificate (20",
                "of the CA's certificate (20",
                "timedatectl",
            ],
        ),
    ] {
        let rows = told(&conf, lang, None)?;
        is_told(&rows, "clock-plausible", &good)?;
        let rows = told(&conf, lang, Some("-60d"))?;
        is_told(&rows, "clock-behind", &papers)?;
        assert!(has(&rows, "clock-behind", "failure"), "{rows:#?}");
    }
    Ok(())
}

#[test]
fn a_clock_that_was_put_back_is_known_by_the_access_log() -> anyhow::Result<()> {
    let site = Site::new()?;
    let kit = site.client("user1")?;
    let conf = site.conf()?;
    let gateway = conf.start()?;
    Curl::new(gateway.address, &kit.ca())
        .with_pem(&kit)
        .get("/")?;
    drop(gateway);
    let log = conf.access_log_path();
    assert!(std::fs::read_to_string(&log)?.contains("\"path\""));
    for (lang, words) in [
        ("ja", "アクセスログの最後の行(20"),
        ("en", "the last line of the access log (20"),
    ] {
        is_told(&told(&conf, lang, Some("-1h"))?, "clock-behind", &[words])?;
        is_told(
            &told(&conf, lang, None)?,
            "clock-plausible",
            &[words.trim_end_matches("(20").trim_end()],
        )?;
    }
    Ok(())
}

#[test]
fn a_file_of_a_day_to_come_is_a_warning() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = site.conf()?;
    conf.write()?;
    let words = ["-d", "+10 days"];
    let touched = site.place(&site.server.crt())?;
    let conf = conf.set("SERVER_CRT", touched.display());
    Program::new("touch")
        .args(words)
        .arg(&touched)
        .run()?
        .success()?;
    for lang in ["ja", "en"] {
        let rows = told(&conf, lang, None)?;
        is_told(&rows, "clock-behind", &[&touched.display().to_string()])?;
        assert!(has(&rows, "clock-behind", "warning"), "{rows:#?}");
    }
    Ok(())
}

/// An application whose clock stands still.
fn stopped_clock() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            let mut first = [0; 1024];
            // Who only looks whether anybody listens says nothing.
            if stream.read(&mut first)? > 0 {
                stream.write_all(
                    b"HTTP/1.1 401 Unauthorized\r\nDate: Thu, 07 Sep 2023 03:56:10 GMT\r\nContent-Length: 0\r\n\r\n",
                )?;
            }
        }
        std::io::Result::Ok(())
    });
    Ok(address)
}

#[test]
fn the_clock_of_the_application_is_compared() -> anyhow::Result<()> {
    let site = Site::new()?;
    let upstream = format!("http://{}", stopped_clock()?);
    let conf = site.conf()?.set("GATEWAY_UPSTREAM", upstream);
    for (lang, words) in [
        ("ja", ["日レセの時計(2023-09-07", "timedatectl"]),
        ("en", ["the application (2023-09-07", "timedatectl"]),
    ] {
        let rows = told(&conf, lang, None)?;
        is_told(&rows, "application-clock-differs", &words)?;
        assert!(has(&rows, "application-clock-differs", "warning"));
        assert!(!has(&rows, "clock-plausible", "ok"), "{rows:#?}");
    }
    Ok(())
}

#[test]
fn names_without_an_address_are_told() -> anyhow::Result<()> {
    let site = Site::new()?;
    // RFC 6761 §6.4: they never have one.
    let named = site
        .ca
        .issue("issue_server_cert -c weborca-server.invalid")?;
    let conf = site
        .conf()?
        .set("SERVER_CRT", named.crt().display())
        .set("SERVER_PEM", named.pem().display())
        .set("GATEWAY_UPSTREAM", "http://application.invalid:8080")
        .set("CA_CRL", "http://lists.invalid/ca.crl");
    for (lang, upstream, lists, server) in [
        (
            "ja",
            "名前 application.invalid に対応するIPアドレス",
            "名前 lists.invalid に対応するIPアドレス",
            "名前 weborca-server.invalid のIPアドレスが、この機械では見つかりません",
        ),
        (
            "en",
            "application.invalid of GATEWAY_UPSTREAM has no address",
            "lists.invalid of CA_CRL has no address",
            "weborca-server.invalid of the server certificate has no address",
        ),
    ] {
        let rows = told(&conf, lang, None)?;
        is_told(
            &rows,
            "upstream-name-unresolved",
            &[upstream, "getent hosts"],
        )?;
        is_told(&rows, "crl-name-unresolved", &[lists, "/etc/hosts"])?;
        is_told(&rows, "certificate-name-unknown-here", &[server, "hosts"])?;
    }
    Ok(())
}

#[test]
fn a_name_with_an_address_is_in_order() -> anyhow::Result<()> {
    let site = Site::new()?;
    let upstream = format!("http://localhost:{}", stopped_clock()?.port());
    let conf = site.conf()?.set("GATEWAY_UPSTREAM", upstream);
    for lang in ["ja", "en"] {
        is_told(&told(&conf, lang, None)?, "names-resolve", &["localhost"])?;
    }
    Ok(())
}
