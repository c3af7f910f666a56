//! The number of a CRL never goes back, whatever is lost, until somebody says so.

use orca_e2e::gateway::Gateway;
use orca_e2e::site::Site;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;

fn told(gateway: &Gateway, id: &str) -> anyhow::Result<()> {
    wait::until(&format!("{id} in the log"), || {
        gateway.log().ok()?.contains(id).then_some(())
    })
}

#[test]
fn a_restored_ca_needs_reset_crl_and_nothing_else_goes_back() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let backup = std::fs::read(site.ca.crl())?;
    site.ca.done("revoke_cert -c user1")?;
    let conf = site.conf()?;
    let gateway = conf.start()?;
    let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))?;
    let status = |gateway: &Gateway| -> anyhow::Result<u16> {
        Ok(client.get(gateway.address, "/").response()?.status)
    };
    assert_eq!(status(&gateway)?, 403);
    drop(gateway);

    // The copy is lost, the file is that of the backup: the number is remembered all the same.
    for file in std::fs::read_dir(site.path("state"))? {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == "crl") {
            std::fs::remove_file(path)?;
        }
    }
    let watched = site.conf_dir().join("ca.crl");
    std::fs::write(&watched, &backup)?;
    let gateway = conf.start()?;
    told(&gateway, "[crl-copy-lost]")?;
    told(&gateway, "[crl-older]")?;

    let asked = conf
        .program(&["reset_crl", "--lang", "en"])?
        .run()?
        .success()?;
    assert!(asked.contains("[crl-reset-asked]"), "{asked}");
    told(&gateway, "[crl-reset]")?;
    wait::until("the list of the backup counts", || {
        (status(&gateway).ok()? == 200 && gateway.log().ok()?.contains("CRL番号1を")).then_some(())
    })?;
    let no_such = conf.program(&["reset_crl", "--ca", "stranger", "--lang", "en"])?;
    let refused = no_such.run()?.failure(1)?;
    assert!(refused.contains("[no-such-ca]"), "{refused}");
    Ok(())
}

#[test]
fn check_tells_of_a_reset_that_waits_for_the_next_start() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let backup = std::fs::read(site.ca.crl())?;
    site.ca.done("revoke_cert -c user1")?;
    let conf = site.conf()?;
    drop(conf.start()?);
    std::fs::write(site.conf_dir().join("ca.crl"), &backup)?;
    let before = conf.check()?.success()?;
    assert!(before.contains("[crl-older]"), "{before}");
    assert!(!before.contains("[crl-reset-pending]"), "{before}");
    conf.program(&["reset_crl"])?.run()?.success()?;
    // Looking changes nothing, so it is told until somebody starts.
    for lang in ["ja", "en"] {
        let checked = conf.program(&["check", "--lang", lang])?.run()?.success()?;
        assert!(checked.contains("[crl-reset-pending]"), "{checked}");
        assert!(!checked.contains("[crl-older]"), "{checked}");
    }
    let gateway = conf.start()?;
    told(&gateway, "[crl-reset]")?;
    wait::until("the list of the backup counts", || {
        let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user).ok()?));
        let answer = client.ok()?.get(gateway.address, "/").response().ok()?;
        (answer.status == 200).then_some(())
    })?;
    let after = conf.check()?.success()?;
    assert!(!after.contains("[crl-reset-pending]"), "{after}");
    Ok(())
}

#[test]
fn check_sees_the_copy_that_a_start_would_use() -> anyhow::Result<()> {
    let site = Site::new()?;
    let conf = site.conf()?;
    drop(conf.start()?);
    std::fs::remove_file(site.conf_dir().join("ca.crl"))?;
    let checked = conf.check()?.success()?;
    for (id, expected) in [
        ("[crl-good]", true),
        ("[crl-gone]", true),
        ("[crl-missing]", false),
    ] {
        assert_eq!(checked.contains(id), expected, "{id}: {checked}");
    }
    let gateway = conf.start()?;
    told(&gateway, "[crl-gone]")?;
    let alarms = gateway.status("/status")?.json()?["alarms"].to_string();
    assert!(alarms.contains("crl-gone"), "{alarms}");
    assert!(!gateway.log()?.contains("[crl-missing]"));
    Ok(())
}
