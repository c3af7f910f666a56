//! Browsers, which choose what to show of the certificates they have: one of theirs that has
//! expired, or is not meant for clients, stays where it is.

use orca_e2e::browser::Account;
use orca_e2e::browser::Browser;
use orca_e2e::firefox::Firefox;
use orca_e2e::firefox::Profile;
use orca_e2e::gateway::Gateway;
use orca_e2e::nss::Store;
use orca_e2e::site::Site;
use orca_e2e::tls::Version;

use crate::table;
use crate::trial::only_the_good_came_through;
use crate::visitors::Visitor;
use crate::visitors::Who;
use crate::visitors::visitors;

/// What is seen once may be luck; an error page especially.
const LOADS: usize = 3;
const MANY_LOADS: usize = 60;

#[test]
fn chromium() -> anyhow::Result<()> {
    let says = |_, _| "ERR_BAD_SSL_CLIENT_AUTH_CERT";
    visit("Chromium", says, |clinic, name, visitor, version| {
        let mut account = Account::new(clinic.site.path(name))?;
        fill(account.store(), clinic, visitor)?;
        if version == Version::Tls12 {
            account = account.without_tls13();
        }
        let browser = Browser::start_choosing(&account, "https://weborca-server")?;
        let seen = |url: &str| {
            browser.open(url)?;
            browser.source()
        };
        clinic.judge(name, visitor.who, says(visitor.who, version), seen)
    })
}

#[test]
fn chromium_shows_the_same_error_every_time() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", "strict").start()?;
    let account = Account::new(site.path("client"))?;
    account.store().import_ca(&site.server.ca())?;
    let browser = Browser::start(&account, None)?;
    for load in 1..=MANY_LOADS {
        let error = browser.open(&origin(&gateway)).expect_err("refused");
        let error = error.to_string();
        let expected = "net::ERR_BAD_SSL_CLIENT_AUTH_CERT";
        assert!(error.contains(expected), "load {load}: {error}");
    }
    Ok(())
}

#[test]
fn firefox() -> anyhow::Result<()> {
    let says = |who, version| match (who, version) {
        (Who::Revoked, _) => "SSL_ERROR_REVOKED_CERT_ALERT",
        (Who::LookAlike, _) => "SSL_ERROR_UNKNOWN_CA_ALERT",
        _ => "SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT",
    };
    visit("Firefox", says, |clinic, name, visitor, version| {
        let profile = Profile::new(clinic.site.path(name))?;
        fill(profile.store(), clinic, visitor)?;
        let mut firefox = Firefox::start(&profile, version)?;
        let seen = |url: &str| {
            firefox.open(url)?;
            firefox.source()
        };
        clinic.judge(name, visitor.who, says(visitor.who, version), seen)
    })
}

/// Two gateways, one in each mode.
struct Clinic {
    site: Site,
    explain: Gateway,
    strict: Gateway,
}

/// Lets everybody come with this browser, and looks for its lines in the documentation.
fn visit(
    name: &str,
    says: fn(Who, Version) -> &'static str,
    browse: impl Fn(&Clinic, &str, &Visitor, Version) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let site = Site::new()?;
    let visitors = visitors(&site)?;
    let conf = |mode| -> anyhow::Result<Gateway> {
        site.conf_of(mode)?.set("GATEWAY_CLIENT_AUTH", mode).start()
    };
    let (explain, strict) = (conf("explain")?, conf("strict")?);
    let clinic = Clinic {
        site,
        explain,
        strict,
    };
    for version in Version::ALL {
        for visitor in &visitors {
            let what = format!("{name}-{:?}-{version:?}", visitor.who);
            browse(&clinic, &what, visitor, version)?;
        }
    }
    only_the_good_came_through(&clinic.site, &visitors)?;
    table::shows_pages(name, &Who::REFUSED.map(number))?;
    table::shows(name, |who, version| vec![says(who, version)])
}

impl Clinic {
    fn judge(
        &self,
        what: &str,
        who: Who,
        error: &str,
        mut seen: impl FnMut(&str) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        let page = match who {
            Who::Good => "オペレータID",
            _ => number(who),
        };
        for load in 1..=LOADS {
            let text = seen(&origin(&self.explain))?;
            assert!(text.contains(page), "{what}, {load}: no {page} in {text}");
            match (who, seen(&origin(&self.strict))) {
                (Who::Good, text) => {
                    let text = text?;
                    assert!(text.contains(page), "{what}, {load}: {text}");
                }
                (_, Ok(text)) => panic!("{what}, {load}: {text}"),
                (_, Err(got)) => {
                    let got = got.to_string();
                    assert!(got.contains(error), "{what}, {load}: no {error} in {got}");
                }
            }
        }
        Ok(())
    }
}

/// The page a browser gets in `explain`, which shows only what may be good.
fn number(who: Who) -> &'static str {
    match who {
        Who::Expired | Who::Server => number(Who::Nobody),
        _ => who.refusal().map_or("", |(number, _)| number),
    }
}

fn fill(store: &Store, clinic: &Clinic, visitor: &Visitor) -> anyhow::Result<()> {
    store.import_ca(&clinic.site.server.ca())?;
    match (&visitor.kit, visitor.who) {
        (None, _) => Ok(()),
        (Some(kit), Who::LookAlike) => store.import_without_ca(kit),
        (Some(kit), _) => store.import_p12(kit),
    }
}

fn origin(gateway: &Gateway) -> String {
    format!("https://weborca-server:{}/", gateway.port())
}
