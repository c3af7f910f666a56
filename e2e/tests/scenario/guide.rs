//! The guide's own commands and addresses, as they stand there.

use anyhow::ensure;
use orca_e2e::gateway::Conf;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use orca_e2e::program::ours;
use orca_e2e::site::Site;
use rustix::process::Signal;

use crate::faults::set_mode;
use crate::faults::somewhere_everybody_reads;

const BASE: &str = "000003__JP_orca_192.168.1.100";
const DAY: u32 = 86_400;

/// Types this address of the guide at a client; it leads to the gateway, whatever port that has.
fn types(address: &str, gateway: &Gateway, user: &Kit) -> anyhow::Result<Outcome> {
    Program::new("curl")
        .args(["--silent", "--show-error", "--cacert"])
        .arg(user.ca())
        .arg("--cert")
        .arg(user.crt())
        .arg("--key")
        .arg(user.pem())
        .args(["--connect-to", &format!("::{}", gateway.address)])
        .arg(address)
        .run()
}

/// The commands of the guide in a user's home, each on its line; the first that fails ends it.
fn commands(site: &Site, script: &str) -> anyhow::Result<String> {
    Program::new("bash")
        .args(["-ec", script])
        .env("HOME", site.ca.home())
        .run()?
        .success()
}

#[test]
fn ten_years_unless_the_configuration_says_otherwise() -> anyhow::Result<()> {
    let site = Site::new()?;
    let ends_within = |kit: &Kit, days: u32| -> anyhow::Result<bool> {
        let end = (days * DAY).to_string();
        let openssl = Program::new("openssl").args(["x509", "-noout", "-checkend", &end]);
        Ok(openssl.arg("-in").arg(kit.crt()).run()?.code != Some(0))
    };
    let server = site.ca.issue("issue_server_cert -c ten-years")?;
    for kit in [server, site.client("user1")?] {
        ensure!(!ends_within(&kit, 3648)?, "{}", kit.base());
        ensure!(ends_within(&kit, 3651)?, "{}", kit.base());
    }
    let path = site.ca.folder().join("config.yml");
    let text = std::fs::read_to_string(&path)?;
    let text = text.replace("_cert_validity: 3650", "_cert_validity: 100");
    std::fs::write(&path, text)?;
    let server = site.ca.issue("issue_server_cert -c hundred-days")?;
    for kit in [server, site.client("user2")?] {
        ensure!(!ends_within(&kit, 98)?, "{}", kit.base());
        ensure!(ends_within(&kit, 101)?, "{}", kit.base());
    }
    Ok(())
}

#[test]
fn the_address_that_is_typed_must_stand_in_the_certificate() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let by_name = site.ca.issue("issue_server_cert -c weborca-server")?;
    let by_address = site.ca.issue("issue_server_cert -i 192.168.1.100")?;
    let both = "issue_server_cert -i 192.168.1.100 -c weborca-server";
    let both = site.ca.issue(both)?;
    let (name, address) = ("https://weborca-server:8000", "https://192.168.1.100:8000");
    for (server, typed, right) in [
        (&by_name, name, true),
        (&by_name, address, false),
        (&by_address, address, true),
        (&by_address, name, false),
        (&both, name, true),
        (&both, address, true),
    ] {
        let conf = site
            .conf()?
            .set("SERVER_CRT", server.crt().display())
            .set("SERVER_PEM", server.pem().display());
        let outcome = types(typed, &conf.start()?, &user)?;
        // curl's code for a certificate that does not fit.
        let expected = if right { 0 } else { 60 };
        let what = format!("{typed} with {}", server.base());
        assert_eq!(outcome.code, Some(expected), "{what}: {outcome:#?}");
    }
    Ok(())
}

#[test]
fn the_guides_commands_install_what_the_gateway_reads() -> anyhow::Result<()> {
    let site = Site::new()?;
    let zip = site.ca.done("issue_server_cert -i 192.168.1.100")?;
    ensure!(zip.ends_with(&format!("{BASE}.zip\n")), "{zip}");
    let user = site.client("user1")?;
    let conf_dir = site.conf_dir();
    let to = conf_dir.display();
    let owner = if rustix::process::geteuid().is_root() {
        "nobody:nogroup".to_owned()
    } else {
        "$(id -un):$(id -gn)".to_owned()
    };
    commands(
        &site,
        &format!(
            "cd\n\
             cd certs/\n\
             unzip {BASE}.zip\n\
             cd {BASE}\n\
             cp {BASE}.crt {to}\n\
             cp {BASE}.pem {to}\n\
             cp ca.crt {to}\n\
             chown {owner} {to}/{BASE}.crt\n\
             chown {owner} {to}/{BASE}.pem\n\
             chown {owner} {to}/ca.crt\n\
             chmod 400 {to}/{BASE}.crt\n\
             chmod 400 {to}/{BASE}.pem\n\
             chmod 400 {to}/ca.crt\n"
        ),
    )?;
    let conf = Conf::new(&site.path("weborca"))
        .line(&format!("SERVER_CRT={to}/{BASE}.crt"))
        .line(&format!("SERVER_PEM={to}/{BASE}.pem"))
        .line(&format!("CA_CRT={to}/ca.crt"))
        .set("GATEWAY_STATE", site.path("state").display())
        .set(
            "GATEWAY_UPSTREAM",
            format_args!("http://{}", site.application.address),
        );
    conf.write()?;
    for folder in [site.path("weborca/log"), site.path("state")] {
        std::fs::create_dir_all(&folder)?;
        set_mode(&folder, 0o777)?;
    }
    let program = somewhere_everybody_reads(&site, &ours("orca-gateway")?)?;
    let program = Program::new(program).arg("--conf").arg(conf.path());
    let gateway = conf.start_program(program.as_nobody())?;
    let page = types("https://192.168.1.100:8000", &gateway, &user)?.success()?;
    ensure!(page.contains("オペレータID"), "{page}");
    Ok(())
}

#[test]
fn the_three_lines_and_a_restart_switch_https_on() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let with = site.conf()?;
    let without = ["SERVER_CRT", "SERVER_PEM", "CA_CRT"]
        .iter()
        .fold(with.clone(), |conf, key| conf.set(key, ""));
    let mut gateway = without.start()?;
    gateway.logged("Server Mode: HTTP")?;
    gateway.logged("[keys-empty]")?;
    gateway.logged("[mode-http]")?;
    with.write()?;
    ensure!(types("https://weborca-server:8000", &gateway, &user)?.code != Some(0));
    gateway.process.signal(Signal::TERM)?;
    gateway.process.end()?;
    gateway.logged("[stopped]")?;
    let _ = std::fs::remove_file(with.log_path());
    let gateway = with.start()?;
    gateway.logged("Server Mode: HTTPS")?;
    types("https://weborca-server:8000", &gateway, &user)?.success()?;
    Ok(())
}

#[test]
fn the_clients_zip_is_unpacked_and_its_passphrase_read() -> anyhow::Result<()> {
    let site = Site::new()?;
    site.ca.done("issue_client_cert -c user1")?;
    let base = "000003__JP_orca_user1";
    let shown = commands(
        &site,
        &format!("cd\ncd certs\nunzip -q {base}.zip\ncd {base}/\ncat {base}.pass\n"),
    )?;
    let passphrase = shown.trim_end_matches('\n');
    ensure!(passphrase.len() == 16, "{shown:?}");
    ensure!(
        passphrase
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric()),
        "{shown:?}"
    );
    let folder = site.ca.certs().join(base);
    Program::new("openssl")
        .args(["pkcs12", "-info", "-nokeys", "-passin"])
        .arg(format!("pass:{passphrase}"))
        .arg("-in")
        .arg(folder.join(format!("{base}.p12")))
        .run()?
        .success()?;
    Ok(())
}

/// push-exchanger and programs that use the API run as the user of WebORCA, who has no home to read
/// from.
#[test]
fn programs_read_their_certificate_beside_the_servers() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("push-exchanger")?;
    let gateway = site.gateway()?;
    let mut placed = Vec::new();
    for file in [user.crt(), user.pem(), user.ca()] {
        let place = site.place(&file)?;
        set_mode(&place, 0o400)?;
        if rustix::process::geteuid().is_root() {
            let give = Program::new("chown").arg("nobody").arg(&place);
            give.run()?.success()?;
        }
        placed.push(place);
    }
    let page = Program::new("curl")
        .args(["--silent", "--show-error", "--cacert"])
        .arg(&placed[2])
        .arg("--cert")
        .arg(&placed[0])
        .arg("--key")
        .arg(&placed[1])
        .args(["--connect-to", &format!("::{}", gateway.address)])
        .args(["--user", "ormaster:ormaster"])
        .arg("https://weborca-server:8000/api/api01rv2/patientgetv2?id=00001")
        .as_nobody()
        .run()?
        .success()?;
    ensure!(page.contains("<Patient_ID"), "{page}");
    Ok(())
}
