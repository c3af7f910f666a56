//! Chromium at a reception desk: files imported as the guide tells, the login page, and what is
//! shown when something about the certificate is wrong.

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::browser::Account;
use orca_e2e::browser::Browser;
use orca_e2e::gateway::Gateway;
use orca_e2e::screen::Screen;
use orca_e2e::site::Site;
use orca_e2e::wait;

fn origin(gateway: &Gateway) -> String {
    format!("https://weborca-server:{}", gateway.port())
}

/// First with a wrong password, then with the right one.
fn logs_in(browser: &Browser) -> anyhow::Result<()> {
    shows(browser, "オペレータID")?;
    for (password, answer) in [
        ("wrong", "正しくありません"),
        ("ormaster", "オペレータ: ormaster"),
    ] {
        browser.fill_in("input[name=operator]", "ormaster")?;
        browser.fill_in("input[name=password]", password)?;
        browser.click("button[type=submit]")?;
        shows(browser, answer)?;
    }
    Ok(())
}

fn shows(browser: &Browser, text: &str) -> anyhow::Result<()> {
    wait::until(&format!("{text:?} on the page"), || {
        browser.source().ok()?.contains(text).then_some(())
    })
    .with_context(|| browser.source().unwrap_or_default())
}

#[test]
fn headless_with_the_imported_certificate_logs_in() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let account = Account::new(site.path("client"))?;
    account.store().import_p12(&user)?;
    account.store().import_ca(&user.ca())?;
    let browser = Browser::start_choosing(&account, &origin(&gateway))?;
    browser.open(&origin(&gateway))?;
    logs_in(&browser)
}

#[test]
fn headless_without_a_certificate_sees_our_page() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.gateway()?;
    let account = Account::new(site.path("client"))?;
    account.store().import_ca(&site.server.ca())?;
    let browser = Browser::start(&account, None)?;
    browser.open(&origin(&gateway))?;
    let page = browser.source()?;
    assert!(page.contains("E-101"), "{page}");
    assert!(page.contains("提示されませんでした"), "{page}");
    assert_eq!(site.application.seen()?.connections, 0);
    Ok(())
}

#[test]
fn headless_in_strict_mode_sees_the_browsers_own_error() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", "strict").start()?;
    let account = Account::new(site.path("client"))?;
    account.store().import_ca(&site.server.ca())?;
    let browser = Browser::start(&account, None)?;
    for round in 1..=5 {
        let error = browser.open(&origin(&gateway)).expect_err("refused");
        let error = error.to_string();
        let expected = "ERR_BAD_SSL_CLIENT_AUTH_CERT";
        assert!(error.contains(expected), "round {round}: {error}");
    }
    Ok(())
}

#[test]
fn a_user_picks_the_certificate_and_logs_in() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let account = Account::new(site.path("client"))?;
    account.store().import_p12(&user)?;
    account.store().import_ca(&user.ca())?;
    let screen = Screen::start(&site.path("screen"))?;
    let browser = Browser::start(&account, Some(&screen))?;
    let opening = browser.opening(&origin(&gateway));
    screen.chooser()?;
    screen.press(&["Return"])?;
    finish(opening)?;
    logs_in(&browser)
}

#[test]
fn after_a_wrong_choice_the_button_brings_the_question_back() -> anyhow::Result<()> {
    let site = Site::new()?;
    // Chromium lists the newest first: Return alone takes the wrong one.
    let right = site.client("reception")?;
    let wrong = site.client("old-notebook")?;
    site.ca.done(&format!("revoke_cert {}", wrong.number()))?;
    let gateway = site.gateway()?;
    let account = Account::new(site.path("client"))?;
    account.store().import_p12(&right)?;
    account.store().import_p12(&wrong)?;
    account.store().import_ca(&right.ca())?;
    let screen = Screen::start(&site.path("screen"))?;
    let browser = Browser::start(&account, Some(&screen))?;

    let opening = browser.opening(&origin(&gateway));
    screen.chooser()?;
    screen.press(&["Return"])?;
    finish(opening)?;
    let page = browser.source()?;
    assert!(page.contains("E-104"), "{page}");

    // Chromium remembers the wrong choice: loading again asks nothing and is refused again.
    browser.open(&origin(&gateway))?;
    assert!(!screen.chooser_is_shown()?, "it asked by itself");
    assert!(browser.source()?.contains("E-104"));

    browser.click("form[action='/.orca-gateway/choose'] button")?;
    screen.chooser()?;
    screen.press(&["Down", "Return"])?;
    wait::until("the login page", || {
        browser
            .source()
            .ok()?
            .contains("オペレータID")
            .then_some(())
    })?;
    logs_in(&browser)
}

#[test]
fn after_cancelling_the_button_brings_the_question_back() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let account = Account::new(site.path("client"))?;
    account.store().import_p12(&user)?;
    account.store().import_ca(&user.ca())?;
    let screen = Screen::start(&site.path("screen"))?;
    let browser = Browser::start(&account, Some(&screen))?;

    let opening = browser.opening(&origin(&gateway));
    screen.chooser()?;
    screen.press(&["Escape"])?;
    finish(opening)?;
    let page = browser.source()?;
    assert!(page.contains("E-101"), "{page}");

    browser.open(&origin(&gateway))?;
    assert!(!screen.chooser_is_shown()?, "it asked by itself");
    assert!(browser.source()?.contains("E-101"));

    browser.click("form[action='/.orca-gateway/choose'] button")?;
    screen.chooser()?;
    screen.press(&["Return"])?;
    logs_in(&browser)
}

fn finish(opening: std::thread::JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    let joined = opening.join();
    ensure!(joined.is_ok(), "the browser's thread panicked");
    joined.unwrap_or(Ok(()))
}
