//! The server set up by one command, and API programs by another.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use orca_e2e::gateway::Conf;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;

/// A server without certificates, whose configuration says where the application is.
fn bare_server(site: &Site) -> anyhow::Result<Conf> {
    let conf = Conf::new(&site.path("weborca"))
        .set(
            "GATEWAY_UPSTREAM",
            format_args!("http://{}", site.application.address),
        )
        .set("GATEWAY_STATE", site.path("state").display());
    conf.write()?;
    Ok(conf)
}

fn server_kit(site: &Site, conf: &Path, words: &[&str]) -> anyhow::Result<Outcome> {
    let program = site.ca.program(["--lang", "en", "server_kit"])?;
    program.args(words).arg("--conf").arg(conf).run()
}

fn number(site: &Site) -> String {
    site.server.number().to_string()
}

#[test]
fn one_command_puts_the_server_in_order() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = bare_server(&site)?;
    let path = conf.path();
    let before = fs::read_to_string(&path)?;
    let number = number(&site);

    let preview = server_kit(&site, &path, &[&number, "--dry-run"])?.success()?;
    assert_eq!(preview.lines().count(), 6, "{preview}");
    assert_eq!(fs::read_to_string(&path)?, before);
    assert_eq!(fs::read_dir(site.conf_dir())?.count(), 1);

    let placed = server_kit(&site, &path, &[&number])?.success()?;
    assert_eq!(placed, preview, "it does what it said");
    let files: Vec<PathBuf> = placed.lines().take(4).map(PathBuf::from).collect();
    for file in &files {
        let mode = fs::metadata(file)?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o400, "{}", file.display());
    }
    let after = fs::read_to_string(&path)?;
    assert!(after.starts_with(&before), "{after}");
    for key in ["SERVER_CRT", "SERVER_PEM", "CA_CRT", "CA_CRL"] {
        let line = after
            .lines()
            .find(|line| line.starts_with(&format!("{key}=")));
        let file = line.and_then(|line| line.split_once('=')).context(key)?.1;
        assert!(files.iter().any(|known| known == Path::new(file)), "{file}");
    }

    // The gateway starts with it, and a revocation reaches it without another word.
    let kit = site.client("user1")?;
    let program = Program::new(orca_e2e::program::ours("orca-gateway")?);
    let gateway = conf.start_program(program.arg("--conf").arg(&path))?;
    let client = TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(&kit)?))?;
    assert_eq!(client.get(gateway.address, "/").response()?.status, 200);
    site.ca.done("revoke_cert -c user1")?;
    wait::until("the refusal", || {
        let page = client.get(gateway.address, "/").response().ok()?;
        (page.status == 403).then_some(())
    })
}

#[test]
fn twice_changes_nothing_and_undo_leaves_no_trace() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = bare_server(&site)?
        .line("# 日レセ")
        .line("export SERVER_CRT='/old/server.crt' # the old one")
        .line("PASS=\"it's $SECRET\"")
        .line("unset OTHER")
        .line("CA_CRT=");
    conf.write()?;
    let (path, config) = (conf.path(), site.ca.folder().join("config.yml"));
    let before = (fs::read(&path)?, fs::read(&config)?);
    let number = number(&site);
    server_kit(&site, &path, &[&number])?.success()?;
    let text = fs::read_to_string(&path)?;
    assert!(
        text.contains("# the old one\nPASS=\"it's $SECRET\"\nunset OTHER\nCA_CRT=/"),
        "{text}"
    );
    assert!(!text.contains("/old/server.crt"), "{text}");
    let after = (fs::read(&path)?, fs::read(&config)?);

    let again = server_kit(&site, &path, &[&number])?;
    assert!(
        again.stderr.contains("in place already"),
        "{}",
        again.stderr
    );
    assert_eq!(again.success()?, "");
    assert_eq!((fs::read(&path)?, fs::read(&config)?), after);

    // Without certificates and with the old name in it the configuration is as broken as before.
    let undone = server_kit(&site, &path, &["--undo"])?;
    assert!(
        undone.stderr.contains("[gateway-check-failed]"),
        "{}",
        undone.stderr
    );
    assert_eq!((fs::read(&path)?, fs::read(&config)?), before);
    assert_eq!(fs::read_dir(site.conf_dir())?.count(), 1, "no file is left");
    let nothing = server_kit(&site, &path, &["--undo"])?.failure(1)?;
    assert!(nothing.contains("[nothing-to-undo]"), "{nothing}");
    Ok(())
}

#[test]
fn what_server_kit_cannot_do_it_does_not_begin() -> anyhow::Result<()> {
    let site = Site::new()?;
    let client = site.client("user1")?;
    let conf = bare_server(&site)?.line("CA_CRT=$(cat /etc/ca)");
    conf.write()?;
    let (path, number) = (conf.path(), number(&site));
    let before = fs::read(&path)?;
    let user = client.number().to_string();
    let nowhere = site.path("no/such/jma-receipt.conf");
    for (conf, words, id) in [
        (&path, vec![number.as_str()], "[conf-not-plain]"),
        (&path, vec![user.as_str()], "[wrong-profile]"),
        (
            &path,
            vec![number.as_str(), "--owner", "nobody-here"],
            "[no-such-user]",
        ),
        (&path, vec!["99"], "[unknown-serial]"),
        (&nowhere, vec![number.as_str()], "no/such"),
    ] {
        let error = server_kit(&site, conf, &words)?.failure(1)?;
        assert!(error.contains(id), "{words:?}: {error}");
        assert_eq!(fs::read(&path)?, before, "{words:?}");
        assert_eq!(fs::read_dir(site.conf_dir())?.count(), 1, "{words:?}");
    }
    Ok(())
}

/// Every fragment runs exactly as it is printed; C# has no compiler here.
#[test]
fn the_fragments_of_api_kit_run_as_printed() -> anyhow::Result<()> {
    let site = Site::new()?;
    site.client("push-exchanger")?;
    let gateway = site.gateway()?;
    let dir = site.path("opt");
    fs::create_dir(&dir)?;
    let url = format!("https://127.0.0.1:{}", gateway.port());
    let api_kit = |only: &str| -> anyhow::Result<String> {
        let program = site.ca.program(["api_kit", "-c", "push-exchanger"])?;
        let program = program.args(["--url", &url, "--only", only]);
        program.arg("--dir").arg(&dir).run()?.success()
    };
    for (only, command, file) in [
        ("curl", "sh", "call.sh"),
        ("ruby", "ruby", "client.rb"),
        ("python", "python3", "client.py"),
        ("java", "java", "Client.java"),
        ("node", "node", "client.js"),
    ] {
        let path = site.path(file);
        fs::write(&path, api_kit(only)?)?;
        let outcome = Program::new(command)
            .env("ORCA_USER", "ormaster")
            .env("ORCA_PASSWORD", "ormaster")
            .arg(&path)
            .run()?;
        let printed = outcome.success().with_context(|| only.to_owned())?;
        assert!(printed.contains("山田 太郎"), "{only}: {printed}");
    }
    for file in fs::read_dir(&dir)? {
        let mode = file?.metadata()?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o400);
    }
    assert_eq!(fs::read_dir(&dir)?.count(), 4);
    push_exchanger_connects(&site, &api_kit("push-exchanger")?)?;

    let path = site.path("websocket.rb");
    fs::write(&path, api_kit("ruby-websocket")?)?;
    let output = site.path("websocket.out");
    let said = |what: &str| {
        wait::until(what, || {
            let text = fs::read_to_string(&output).ok()?;
            text.contains(what).then_some(())
        })
    };
    let program = Program::new("ruby").arg(&path);
    let file = fs::File::create(&output)?;
    let mut child = program.spawn(Stdio::null(), file.into(), Stdio::inherit())?;
    said("connected\n")?;
    // Revoked, the tunnel ends, and the program says so.
    site.ca.done("revoke_cert -c push-exchanger")?;
    site.place(&site.ca.crl())?;
    said("disconnected\n")?;
    assert!(child.wait()?.success());
    Ok(())
}

/// push-exchanger itself is not to be had here: its configuration is read as it reads it, and used.
fn push_exchanger_connects(site: &Site, fragment: &str) -> anyhow::Result<()> {
    let path = site.path("push-exchanger.yml");
    fs::write(&path, fragment)?;
    let script = r#"
        require "openssl"; require "socket"; require "uri"; require "yaml"
        settings = YAML.load_file(ARGV[0], permitted_classes: [Symbol])
        abort "no TLS" unless settings[:use_ssl] && settings[:use_weborca]
        context = OpenSSL::SSL::SSLContext.new
        context.verify_mode = OpenSSL::SSL::VERIFY_PEER
        context.ca_file = settings[:ca_cert]
        context.cert = OpenSSL::X509::Certificate.new(File.read(settings[:cert]))
        context.key = OpenSSL::PKey.read(File.read(settings[:cert_key]), settings[:passphrase])
        tcp = TCPSocket.new(settings[:api_server], settings[:api_port])
        socket = OpenSSL::SSL::SSLSocket.new(tcp, context).connect
        socket.write("GET / HTTP/1.1\r\nHost: #{settings[:api_server]}\r\nConnection: close\r\n\r\n")
        puts socket.readline, URI(settings[:ws_server]).scheme
    "#;
    let outcome = Program::new("ruby").args(["-e", script]).arg(&path).run()?;
    assert_eq!(outcome.success()?, "HTTP/1.1 200 OK\r\nwss\n");
    Ok(())
}

#[test]
fn api_kit_refuses_homes_and_servers() -> anyhow::Result<()> {
    let site = Site::new()?;
    site.client("user1")?;
    let home = site.ca.home().join("files");
    fs::create_dir(&home)?;
    let dir = site.path("opt");
    fs::create_dir(&dir)?;
    let (home, dir) = (home.display().to_string(), dir.display().to_string());
    let server = number(&site);
    for (words, code, id) in [
        (vec!["-c", "user1", "--dir", &home], 1, "[home-folder]"),
        (vec![&server, "--dir", &dir], 1, "[wrong-profile]"),
        (
            vec!["-c", "user1", "--dir", "/opt/no/such"],
            1,
            "/opt/no/such",
        ),
        (
            vec!["-c", "user1", "--dir", &dir, "--only", "perl"],
            2,
            "[invalid-kind]",
        ),
    ] {
        let program = site.ca.program(["--lang", "en", "api_kit"])?.args(&words);
        let error = program
            .args(["--url", "https://a:8000"])
            .run()?
            .failure(code)?;
        assert!(error.contains(id), "{words:?}: {error}");
    }
    let http = [
        "api_kit",
        "-c",
        "user1",
        "--dir",
        "/opt",
        "--url",
        "http://a:8000",
    ];
    let error = site.ca.program(http)?.run()?.failure(2)?;
    assert!(error.contains("[invalid-url]"), "{error}");
    Ok(())
}
