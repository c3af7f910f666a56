//! The faults of the guide's troubleshooting section, and the ones next to them: each leaves the
//! guide's line in the log and a line that says what to do, and `check` tells all of them at once.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use orca_e2e::gateway::Conf;
use orca_e2e::kit::Kit;
use orca_e2e::program;
use orca_e2e::site::Site;

/// A start that fails: exit code 1, these lines, and after the last of them one of ours.
fn refuses_to_start(conf: &Conf, lines: &[&str]) -> anyhow::Result<String> {
    let (outcome, log) = conf.failing_start()?;
    assert_eq!(outcome.code, Some(1), "{outcome:?}\n{log}");
    for line in lines {
        tells_a_remedy(&log, line);
    }
    Ok(log)
}

/// The line stands in the log, whole but for the time in front, and one of ours follows.
fn tells_a_remedy(log: &str, line: &str) {
    let all: Vec<&str> = log.lines().collect();
    let at = all.iter().position(|found| found.get(20..) == Some(line));
    let Some(at) = at else {
        panic!("no line {line:?} in\n{log}");
    };
    let rest = &all[at + 1..];
    let remedy = rest.iter().any(|next| next.contains("対処"));
    assert!(remedy, "no remedy after {line:?} in\n{log}");
}

#[test]
fn missing_files() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = site.conf()?;
    for (key, line) in [
        ("CA_CRT", "CA_CRT ...file does not exist"),
        ("SERVER_CRT", "SERVER_CRT ...file does not exist"),
        ("SERVER_PEM", "SERVER_PEM ...file does not exist"),
    ] {
        let _ = std::fs::remove_file(conf.log_path());
        let broken = conf.clone().set(key, "/nowhere/file.pem");
        let log = refuses_to_start(&broken, &[line])?;
        assert!(!log.contains("Server Mode"), "as in the guide: {log}");
        let told = broken.check()?.failure(1)?;
        assert!(told.contains("/nowhere/file.pem"), "{told}");
    }
    Ok(())
}

#[test]
fn all_three_missing_as_in_the_guide() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = ["CA_CRT", "SERVER_CRT", "SERVER_PEM"]
        .iter()
        .fold(site.conf()?, |conf, key| {
            conf.set(key, format!("/nowhere/{key}"))
        });
    let (outcome, log) = conf.failing_start()?;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let lines: Vec<&str> = log.lines().filter_map(|line| line.get(20..)).collect();
    let of_the_guide: Vec<&&str> = lines
        .iter()
        .filter(|line| line.ends_with("...file does not exist"))
        .collect();
    assert_eq!(
        of_the_guide,
        [
            &"CA_CRT ...file does not exist",
            &"SERVER_CRT ...file does not exist",
            &"SERVER_PEM ...file does not exist",
        ],
        "{log}"
    );
    Ok(())
}

#[test]
fn a_passphrase_on_the_servers_key() -> anyhow::Result<()> {
    let site = Site::new()?;
    let encrypted = site.place(&site.server.enc_pem())?;
    let conf = site.conf()?.set("SERVER_PEM", encrypted.display());
    let log = refuses_to_start(&conf, &["PASSWORD input was canceled"])?;
    assert!(log.contains(".enc.pem"), "{log}");
    let told = conf.check()?.failure(1)?;
    assert!(told.contains(".enc.pem"), "{told}");
    Ok(())
}

#[test]
fn a_key_that_does_not_belong() -> anyhow::Result<()> {
    let site = Site::new()?;
    let other = site.ca.issue("issue_server_cert -c other-server")?;
    let conf = site.conf()?.set("SERVER_PEM", other.pem().display());
    let log = refuses_to_start(&conf, &[])?;
    assert!(log.contains("対処"), "{log}");
    assert!(log.contains(other.base()), "{log}");
    conf.check()?.failure(1)?;
    Ok(())
}

#[test]
fn files_that_are_no_certificates() -> anyhow::Result<()> {
    let site = Site::new()?;
    let junk = site.conf_dir().join("junk.pem");
    std::fs::write(&junk, "これは証明書ではありません\n")?;
    for key in ["CA_CRT", "SERVER_CRT", "SERVER_PEM"] {
        let conf = site.conf()?.set(key, junk.display());
        let _ = std::fs::remove_file(conf.log_path());
        let log = refuses_to_start(&conf, &[])?;
        assert!(log.contains("junk.pem"), "{key}: {log}");
        assert!(log.contains("対処"), "{key}: {log}");
        conf.check()?.failure(1)?;
    }
    Ok(())
}

#[test]
fn an_expired_or_soon_expiring_server_certificate_starts_all_the_same() -> anyhow::Result<()> {
    let site = Site::new()?;
    for (shift, days, warns) in [
        // Half a day off, so that no whole day ends while the test runs.
        ("-492h", 1, true),
        ("-492h", 19, true),
        ("-492h", 21, true),
        ("-12h", 30, true),
        ("-12h", 32, false),
    ] {
        let line = format!("issue_server_cert -c weborca-server -i 127.0.0.1 --days {days}");
        let server = site.ca.issue_at(shift, &line)?;
        let conf = site
            .conf()?
            .set("SERVER_CRT", server.crt().display())
            .set("SERVER_PEM", server.pem().display());
        let _ = std::fs::remove_file(conf.log_path());
        let gateway = conf.start()?;
        let log = gateway.log()?;
        if warns {
            let left = whole_days_left(&server)?;
            let head = "The certificate(/C=JP/O=orca/CN=weborca-server) will be expired in";
            let tail = "days.#012Please update the certificate.";
            tells_a_remedy(&log, &format!("{head} {left} {tail}"));
        } else {
            assert!(!log.contains("will be expired"), "{log}");
        }
        assert!(log.contains("Server Mode: HTTPS"), "{log}");
        assert_eq!(gateway.status("/healthz")?.status, 200);
    }
    Ok(())
}

/// floor((notAfter − now) / 86400), by openssl and date.
fn whole_days_left(kit: &Kit) -> anyhow::Result<i64> {
    let end = program::Program::new("openssl")
        .args(["x509", "-noout", "-enddate", "-in"])
        .arg(kit.crt())
        .run()?
        .success()?;
    let end = end.trim().trim_start_matches("notAfter=");
    let seconds = program::Program::new("date")
        .args(["-d", end, "+%s"])
        .run()?
        .success()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let left = seconds.trim().parse::<i64>()? - i64::try_from(now)?;
    Ok(left.div_euclid(86_400))
}

#[test]
fn a_server_certificate_with_time_left_is_no_matter() -> anyhow::Result<()> {
    let site = Site::new()?;
    let log = site.gateway()?.log()?;
    assert!(!log.contains("will be expired"), "{log}");
    site.conf()?.check()?.success()?;
    Ok(())
}

#[test]
fn an_address_the_certificate_lacks() -> anyhow::Result<()> {
    let site = Site::new()?;
    let server = site.ca.issue("issue_server_cert -c weborca-server")?;
    let gateway = site
        .conf()?
        .set("SERVER_CRT", server.crt().display())
        .set("SERVER_PEM", server.pem().display())
        .start()?;
    // By address: no SNI is sent, and the certificate does not fit.
    let by_address = program::Program::new("curl")
        .args(["--silent", "--cacert"])
        .arg(server.ca())
        .arg(format!("https://{}/", gateway.address))
        .run()?;
    assert_eq!(by_address.code, Some(60), "{by_address:?}");
    let line = gateway.logged("[name-not-in-certificate]")?;
    assert!(line.contains("127.0.0.1"), "{line}");
    assert!(line.contains("weborca-server"), "{line}");
    // By a name nobody knows.
    let by_name = program::Program::new("curl")
        .args(["--silent", "--cacert"])
        .arg(server.ca())
        .args([
            "--resolve",
            &format!("old-name:{}:127.0.0.1", gateway.port()),
        ])
        .arg(format!("https://old-name:{}/", gateway.port()))
        .run()?;
    assert_eq!(by_name.code, Some(60), "{by_name:?}");
    gateway.logged("old-name")?;
    Ok(())
}

#[test]
fn a_port_that_is_taken() -> anyhow::Result<()> {
    let site = Site::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    for key in ["GATEWAY_LISTEN", "GATEWAY_STATUS"] {
        let conf = site.conf()?.set(key, address);
        let _ = std::fs::remove_file(conf.log_path());
        let (outcome, log) = conf.failing_start()?;
        assert_eq!(outcome.code, Some(1), "{key}: {outcome:?}\n{log}");
        assert!(log.contains(&address.to_string()), "{key}: {log}");
        assert!(log.contains("対処"), "{key}: {log}");
        conf.check()?.failure(1)?;
    }
    Ok(())
}

#[test]
fn one_or_two_of_the_three_keys() -> anyhow::Result<()> {
    let site = Site::new()?;
    let full = site.conf()?;
    for left_out in ["SERVER_CRT", "SERVER_PEM", "CA_CRT"] {
        let _ = std::fs::remove_file(full.log_path());
        let conf = full.clone().set(left_out, "");
        let (outcome, log) = conf.failing_start()?;
        assert_eq!(outcome.code, Some(1), "{left_out}: {outcome:?}");
        let told = format!("{log}{}", outcome.stderr);
        assert!(told.contains(left_out), "{left_out}: {told}");
        conf.check()?.failure(1)?;
    }
    Ok(())
}

#[test]
fn none_of_the_three_keys_is_http() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = Conf::new(&site.path("weborca"))
        .set("GATEWAY_STATE", site.path("state").display())
        .set(
            "GATEWAY_UPSTREAM",
            format_args!("http://{}", site.application.address),
        );
    let gateway = conf.start()?;
    let log = gateway.log()?;
    let lines: Vec<&str> = log.lines().filter_map(|line| line.get(20..)).collect();
    assert_eq!(
        lines[..4],
        [
            "CA_CRT ...none",
            "SERVER_CRT ...none",
            "SERVER_PEM ...none",
            "Server Mode: HTTP"
        ],
        "{log}"
    );
    let request = format!(
        "GET /echo-headers HTTP/1.1\r\nHost: {}\r\nX-Client-Cert-Serial: 2\r\nConnection: close\r\n\r\n",
        gateway.address
    );
    let stream = orca_e2e::http1::connect(gateway.address)?;
    let page = orca_e2e::http1::exchange(stream, request.as_bytes())?;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(!text.contains("x-client-cert"), "{text}");
    assert!(text.contains("x-forwarded-for"), "{text}");
    assert_eq!(gateway.status("/healthz")?.status, 200);
    Ok(())
}

#[test]
fn no_permission_to_read_the_key() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = site.conf()?;
    for path in [site.path("weborca/log"), site.path("state")] {
        std::fs::create_dir_all(&path)?;
        set_mode(&path, 0o777)?;
    }
    for file in [site.server.crt(), site.server.ca(), site.ca.crl()] {
        set_mode(&site.place(&file)?, 0o644)?;
    }
    let key = site.place(&site.server.pem())?;
    set_mode(&key, 0o000)?;
    conf.write()?;
    let gateway = somewhere_everybody_reads(&site, &program::ours("orca-gateway")?)?;
    let run = |arguments: &[&str]| {
        program::Program::new(&gateway)
            .arg("--conf")
            .arg(conf.path())
            .args(arguments)
            .as_nobody()
            .run()
    };
    let outcome = run(&[])?;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let log = std::fs::read_to_string(conf.log_path())?;
    assert!(log.contains(&key.display().to_string()), "{log}");
    assert!(log.contains("対処"), "{log}");
    let told = run(&["check", "--lang", "en"])?.failure(1)?;
    assert!(told.contains(&key.display().to_string()), "{told}");
    Ok(())
}

#[test]
fn check_tells_all_at_once_and_touches_nothing() -> anyhow::Result<()> {
    let site = Site::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let encrypted = site.place(&site.server.enc_pem())?;
    let conf = site
        .conf()?
        .set("CA_CRT", "/nowhere/ca.crt")
        .set("SERVER_PEM", encrypted.display())
        .set("GATEWAY_LISTEN", address)
        .set("GATEWAY_CLIENT_AUTH", "sometimes");
    let told = conf.check()?.failure(1)?;
    for part in ["/nowhere/ca.crt", ".enc.pem", "sometimes"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    assert!(!conf.log_path().exists(), "check is no start");
    assert!(!site.path("state").exists(), "check makes nothing");
    Ok(())
}

#[test]
fn a_configuration_that_cannot_be_read() -> anyhow::Result<()> {
    let site = Site::new()?;
    let missing = program::Program::new(program::ours("orca-gateway")?)
        .arg("--conf")
        .arg(site.path("nowhere.conf"))
        .run()?;
    let told = missing.failure(1)?;
    assert!(told.contains("nowhere.conf"), "{told}");
    let conf = site.conf()?.line("SERVER_CRT=$(rm -rf /)");
    let (outcome, log) = conf.failing_start()?;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let told = format!("{log}{}", outcome.stderr);
    assert!(told.contains("SERVER_CRT"), "{told}");
    Ok(())
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
    Ok(())
}

/// A copy of a program where a user without rights can start it.
pub(crate) fn somewhere_everybody_reads(
    site: &Site,
    program: &Path,
) -> anyhow::Result<std::path::PathBuf> {
    let copy = site.path("program");
    std::fs::copy(program, &copy)?;
    set_mode(&copy, 0o755)?;
    Ok(copy)
}
