//! What may leave the clinic in a support bundle, and what may not.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use orca_e2e::gateway::Gateway;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use serde_json::Value;

/// Base64 of `ormaster:secret-word`.
const BASIC: &str = "b3JtYXN0ZXI6c2VjcmV0LXdvcmQ=";

fn unzip(zip: &Path, to: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let program = Program::new("unzip").args(["-q", "-o"]).arg(zip);
    program.arg("-d").arg(to).run()?.success()?;
    let mut folder = fs::read_dir(to)?;
    let inner = folder.next().context("one folder")??.path();
    anyhow::ensure!(folder.next().is_none(), "one folder");
    let mut files = BTreeMap::new();
    let mut folders = vec![inner.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&inner)?.display().to_string();
                files.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(files)
}

/// A request with everything that must not leave the clinic.
fn visit(site: &Site, gateway: &Gateway) -> anyhow::Result<()> {
    let kit = site.client("user1")?;
    let client = TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(&kit)?))?;
    let head = format!(
        "GET /api/api01rv2/patientgetv2/00012345?id=00067890 HTTP/1.1\r\nHost: localhost\r\n\
         User-Agent: chart/1.0\r\nAuthorization: Basic {BASIC}\r\nConnection: close\r\n\r\n"
    );
    let answer = client.send(gateway.address, head.as_bytes());
    answer.response()?;
    gateway.access("the visit", |entry| entry["operator"] == "ormaster")?;
    Ok(())
}

#[test]
fn a_support_bundle_tells_much_and_no_secret() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = site
        .conf()?
        .line("# PASS=comment-secret-word")
        .line("PASS=\"plain-secret-word\"")
        .line("DBPASS=$(cat quoted-secret-word)");
    let gateway = conf.start()?;
    visit(&site, &gateway)?;
    // WebORCA writes to the same file.
    let others = "2026/11/24 12:00:00 GET /patient/00099999\nDBPASS=log-secret-word\n";
    let mut log = fs::OpenOptions::new().append(true).open(conf.log_path())?;
    log.write_all(others.as_bytes())?;

    // Where the kernel has put it.
    let status = gateway.status_address().context("a status address")?;
    let conf = conf.set("GATEWAY_STATUS", status);
    let zip = site.path("bundle.zip");
    let bundle = || -> anyhow::Result<_> {
        let program = conf.program(&["support_bundle", "--lang", "ja", "-o"])?;
        program.arg(&zip).run()
    };
    let told = bundle()?.success()?;
    assert_eq!(fs::metadata(&zip)?.permissions().mode() & 0o7777, 0o600);
    let files = unzip(&zip, &site.path("bundle"))?;

    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "README.txt",
            "access.log",
            "certificates.txt",
            "check.en.txt",
            "check.ja.txt",
            "conf/jma-receipt.conf",
            "event.log",
            "files.txt",
            "metrics.txt",
            "status.json",
            "versions.txt"
        ]
    );
    assert!(told.starts_with(&format!("{}\n", zip.display())), "{told}");
    for name in &names {
        assert!(told.contains(name), "{name}: {told}");
        let listed = *name == "README.txt" || files["README.txt"].contains(name);
        assert!(listed, "{name}");
    }

    let key = fs::read_to_string(site.server.pem())?;
    let key = key.lines().nth(1).context("a key")?;
    let whole = files.values().cloned().collect::<String>();
    for secret in [
        "secret-word",
        "PRIVATE KEY",
        key,
        BASIC,
        "00012345",
        "00067890",
        "00099999",
        "patientgetv2",
        "ormaster",
    ] {
        assert!(!whole.contains(secret), "{secret} is in the bundle");
    }

    assert!(files["event.log"].contains("Server Mode: HTTPS\n"));
    assert!(files["event.log"].contains("[listening]\n"));
    let lines: Vec<Value> = files["access.log"]
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let visit = lines
        .iter()
        .find(|line| line["path"] == "/api/api01rv2/…")
        .context("the visit")?;
    assert_eq!(visit["operator"], "operator-1");
    assert_eq!(visit["user_agent"], "chart/1.0");
    assert_eq!(visit["client"]["subject"], "/C=JP/O=orca/CN=user1");
    assert!(files["check.ja.txt"].contains("[conf-read]"));
    assert!(files["check.en.txt"].contains("ok: "));
    assert!(files["conf/jma-receipt.conf"].contains(" PASS=(blanked)\n"));
    assert!(files["certificates.txt"].contains("names       weborca-server, localhost, 127.0.0.1"));
    let pem = site
        .conf_dir()
        .join(site.server.pem().file_name().context("a name")?);
    let pem = format!(" {}\n", pem.display());
    assert!(files["files.txt"].contains(&pem), "{}", files["files.txt"]);
    let status: Value = serde_json::from_str(&files["status.json"])?;
    assert_eq!(status["listening"], true);
    assert!(files["metrics.txt"].contains("# TYPE "));
    assert!(files["versions.txt"].contains("kernel        Linux "));

    let again = bundle()?.failure(1)?;
    assert!(again.contains("[bundle-not-written]"), "{again}");
    Ok(())
}

#[test]
fn a_support_bundle_is_made_where_nothing_works() -> anyhow::Result<()> {
    let site = Site::new()?;
    let program = Program::new(orca_e2e::program::ours("orca-gateway")?).dir(site.path("home"));
    let told = program
        .args([
            "support_bundle",
            "--lang",
            "en",
            "--conf",
            "/no/such/gateway.conf",
        ])
        .run()?
        .success()?;
    assert!(told.contains("[missing: "), "{told}");
    let zip = site
        .path("home")
        .join(told.lines().next().context("its name")?);
    let files = unzip(&zip, &site.path("bundle"))?;
    assert!(files["check.en.txt"].contains("[conf-unreadable]"));
    assert!(files["files.txt"].contains("/no/such/gateway.conf: "));
    let left: Vec<_> = fs::read_dir(site.path("home"))?.collect::<Result<_, _>>()?;
    let drafts = left.iter().filter(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with(".orca-support")
    });
    assert_eq!(drafts.count(), 0);
    Ok(())
}
