//! Which operator comes with which certificate: the API's programs, a reload, a file that is broken.

use std::path::Path;

use orca_e2e::curl::Curl;
use orca_e2e::curl::Page;
use orca_e2e::forge::Forge;
use orca_e2e::gateway::Conf;
use orca_e2e::gateway::Gateway;
use orca_e2e::http1;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;

const API: &str = "/api/api01rv2/patientgetv2?id=00001";

fn call(gateway: &Gateway, kit: &Kit, user: &str) -> anyhow::Result<Page> {
    let curl = Curl::new(gateway.address, &kit.ca()).with_pem(kit);
    curl.args(["--user", user]).get(API)
}

#[test]
fn an_operator_works_with_its_certificates_only() -> anyhow::Result<()> {
    let site = Site::new()?;
    let (user1, user2) = (site.client("user1")?, site.client("user2")?);
    let file = site.path("operators");
    std::fs::write(&file, "# API\normaster\t/C=JP/O=orca/CN=user1\n")?;
    let conf = site.conf()?.set("GATEWAY_OPERATORS", file.display());
    let gateway = conf.start()?;
    assert_eq!(call(&gateway, &user1, "ormaster:ormaster")?.status, 200);
    let before = site.application.seen()?.requests;
    for (kit, user) in [
        (&user1, "doctor:geheim-1"),
        (&user2, "ormaster:geheim-2"),
        (&user2, "ORMASTER:geheim-3"),
    ] {
        let page = call(&gateway, kit, user)?;
        assert_eq!(page.status, 403, "{user}: {}", page.body);
        assert!(page.body.contains("E-112"), "{user}: {}", page.body);
        assert!(page.body.contains("wrong-operator"), "{}", page.body);
    }
    let twice = [
        "Authorization: Basic eDp5",
        "authorization: bAsIc b3JtYXN0ZXI6b3JtYXN0ZXI",
    ];
    for fields in [
        &twice[..],
        &["Authorization: Basic b3Jt*YXN0ZXI6b3JtYXN0ZXI="][..],
    ] {
        for kit in [&user1, &user2] {
            let headers = fields.iter().flat_map(|field| ["--header", *field]);
            let curl = Curl::new(gateway.address, &kit.ca()).with_pem(kit);
            assert_eq!(curl.args(headers).get(API)?.status, 403, "{fields:?}");
        }
    }
    assert_eq!(site.application.seen()?.requests, before);
    // Nobody lists this one, and browsers log in by a page: the application decides.
    assert_eq!(call(&gateway, &user2, "doctor:geheim-4")?.status, 401);
    let curl = Curl::new(gateway.address, &user1.ca()).with_pem(&user1);
    assert_eq!(curl.get("/")?.status, 200);
    let entry = gateway.access("the refusal", |entry| entry["cause"] == "wrong-operator")?;
    assert_eq!(entry["status"], 403, "{entry}");
    assert!(!entry["client"]["fingerprint"].is_null(), "{entry}");
    let told = gateway.logged("[wrong-operator]")?;
    assert!(
        told.contains("doctor") || told.contains("ormaster"),
        "{told}"
    );
    let written = format!("{}{:?}", gateway.log()?, gateway.access_log()?);
    assert!(!written.contains("geheim"), "{written}");
    assert!(
        gateway
            .status("/status")?
            .text()
            .contains("\"wrong-operator\":7")
    );
    Ok(())
}

/// The certificate is good, so the connection stays.
#[test]
fn a_wrong_operator_does_not_end_the_connection() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let file = site.path("operators");
    std::fs::write(&file, "ormaster\t/C=JP/O=orca/CN=user1\n")?;
    let conf = site.conf()?.set("GATEWAY_OPERATORS", file.display());
    let gateway = conf.start()?;
    let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))?;
    let mut stream = client.connect(gateway.address)?;
    for (authorization, status) in [
        ("Authorization: Basic eDp5", 403),
        ("Authorization: basic b3JtYXN0ZXI6b3JtYXN0ZXI", 401),
        ("Authorization: Basic b3JtYXN0ZXI6b3JtYXN0ZXI=", 200),
    ] {
        let request = tls::request(gateway.address, API, &[authorization]);
        let response = http1::exchange(&mut stream, request.as_bytes())?;
        assert_eq!(response.status, status, "{authorization}");
    }
    Ok(())
}

#[test]
fn the_file_is_read_again_and_a_broken_one_changes_nothing() -> anyhow::Result<()> {
    let site = Site::new()?;
    let (user1, user2) = (site.client("user1")?, site.client("user2")?);
    let file = site.path("operators");
    std::fs::write(&file, "ormaster\t/C=JP/O=orca/CN=user1\n")?;
    let conf = site.conf()?.set("GATEWAY_OPERATORS", file.display());
    let gateway = conf.start()?;
    assert_eq!(call(&gateway, &user2, "ormaster:ormaster")?.status, 403);
    std::fs::write(
        &file,
        format!("ormaster\tsha256:{}\n", fingerprint(&user2)?),
    )?;
    gateway.logged("[rules-taken]")?;
    wait::until("user2 may", || {
        let page = call(&gateway, &user2, "ormaster:ormaster").ok()?;
        (page.status == 200).then_some(())
    })?;
    assert_eq!(call(&gateway, &user1, "ormaster:ormaster")?.status, 403);
    std::fs::write(&file, "# a comment\normaster user1\n")?;
    let told = gateway.logged("[list-line-unreadable]")?;
    assert!(told.contains("2行目"), "{told}");
    gateway.logged("[old-rules-kept]")?;
    std::fs::remove_file(&file)?;
    gateway.logged("[list-unreadable]")?;
    assert_eq!(call(&gateway, &user1, "ormaster:ormaster")?.status, 403);
    assert_eq!(call(&gateway, &user2, "ormaster:ormaster")?.status, 200);
    drop(gateway);
    several_authorities(&site, &conf, &file)?;
    let (outcome, log) = conf.failing_start()?;
    assert_eq!(outcome.code, Some(1), "{log}");
    assert!(log.contains("[list-unreadable]"), "{log}");
    let checked = conf.check()?.failure(1)?;
    assert!(checked.contains("failure: cannot read"), "{checked}");
    Ok(())
}

/// While a clinic moves, the rule holds for who is excepted, and is only written down for who is
/// observed.
#[test]
fn without_a_certificate_nobody_is_a_listed_operator() -> anyhow::Result<()> {
    let site = Site::new()?;
    let (listed, other) = (site.client("listed")?, site.client("other")?);
    let file = site.path("operators");
    std::fs::write(&file, "ormaster\t/C=JP/O=orca/CN=listed\n")?;
    let conf = site.conf()?.set("GATEWAY_OPERATORS", file.display());
    let exempt = conf.clone().set("GATEWAY_EXEMPT", "\"127.0.0.1 /api/\"");
    let gateway = exempt.start()?;
    let stranger = Curl::new(gateway.address, &listed.ca());
    let as_operator = |user: &str| stranger.clone().args(["--user", user]).get(API);
    let page = as_operator("ormaster:ormaster")?;
    assert!(
        page.status == 403 && page.body.contains("E-112"),
        "{}",
        page.body
    );
    assert_eq!(as_operator("reader:x")?.status, 401);
    let request = format!(
        "GET {API} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic b3JtYXN0ZXI6b3JtYXN0ZXI=\r\n\r\n"
    );
    let plain = http1::exchange(http1::connect(gateway.address)?, request.as_bytes())?;
    assert!(
        plain.status == 403 && plain.text().contains("E-112"),
        "{}",
        plain.text()
    );
    drop(gateway);
    let gateway = conf.set("GATEWAY_CLIENT_AUTH", "observe").start()?;
    assert_eq!(call(&gateway, &other, "ormaster:ormaster")?.status, 200);
    let entry = gateway.access("the wrong operator", |entry| {
        entry["cause"] == "wrong-operator" && entry["admitted"] == "observe"
    })?;
    assert_eq!(entry["status"], 200, "{entry}");
    Ok(())
}

/// A subject counts whoever issued it: `check` says so, and a fingerprint is silent.
fn several_authorities(site: &Site, conf: &Conf, file: &Path) -> anyhow::Result<()> {
    let mut both = std::fs::read_to_string(site.server.ca())?;
    both.push_str(Forge::foreign()?.pem()?);
    let ca = site.path("both.crt");
    std::fs::write(&ca, both)?;
    let conf = conf.clone().set("CA_CRT", ca.display());
    for (certificate, warned) in [
        ("/CN=a", true),
        (&*format!("sha256:{}", "0".repeat(64)), false),
    ] {
        std::fs::write(file, format!("ormaster\t{certificate}\n"))?;
        let checked = conf.check()?.success()?;
        assert_eq!(
            checked.contains("[subject-of-any-authority]"),
            warned,
            "{checked}"
        );
    }
    std::fs::remove_file(file)?;
    Ok(())
}

fn fingerprint(kit: &Kit) -> anyhow::Result<String> {
    let program = Program::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(kit.crt());
    let line = program.run()?.success()?;
    Ok(line
        .trim()
        .rsplit('=')
        .next()
        .unwrap_or_default()
        .to_owned())
}
