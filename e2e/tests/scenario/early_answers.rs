//! Answers that come before the request is whole: whoever sends ten megabytes sees why they are not
//! wanted, instead of a connection that breaks.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::curl::Curl;
use orca_e2e::site::Site;

const LISTS: &str = "/.well-known/orca-mtls/crl";
const VERSIONS: [&str; 2] = ["--http1.1", "--http2"];
/// The trouble was one of timing.
const ROUNDS: usize = 5;

fn zeros(site: &Site, megabytes: u64) -> anyhow::Result<std::path::PathBuf> {
    let path = site.path(&format!("{megabytes}"));
    File::create(&path)?.set_len(megabytes << 20)?;
    Ok(path)
}

/// Sends a file to a path and must get an answer, without a complaint of curl's.
fn sent(curl: &Curl, how: &[&str], file: &Path, path: &str) -> anyhow::Result<(u16, String)> {
    let data = format!("@{}", file.display());
    let curl = match how.contains(&"--upload-file") {
        true => curl.clone().args(how).arg(file),
        false => curl.clone().args(how).args(["--data-binary", &data]),
    };
    let page = curl.get(path)?;
    ensure!(page.outcome.code == Some(0), "{how:?} {path}: {page:?}");
    Ok((page.status, page.body))
}

#[test]
fn who_has_no_certificate_sees_the_page_in_the_middle_of_an_upload() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let file = zeros(&site, 10)?;
    let nobody = Curl::new(gateway.address, &user.ca());
    for version in VERSIONS {
        // With `Expect: 100-continue` a careful client would not even begin.
        for how in [&["--header", "Expect:"][..], &[]] {
            for _ in 0..ROUNDS {
                let how = [&[version], how].concat();
                let (status, page) = sent(&nobody, &how, &file, "/api01rv2/patientgetv2")?;
                ensure!((status, page.contains("E-101")) == (403, true), "{page}");
            }
        }
    }
    assert_eq!(site.application.seen()?.requests, 0);
    Ok(())
}

#[test]
fn who_sends_a_list_that_is_not_wanted_hears_so() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let (foreign, huge) = (zeros(&site, 10)?, zeros(&site, 70)?);
    let nobody = Curl::new(gateway.address, &user.ca());
    let mut seen = Vec::new();
    for round in 0..3 * ROUNDS {
        for version in VERSIONS {
            let file = if round % 2 == 0 { &huge } else { &foreign };
            let how = [version, "--upload-file"];
            let (status, _) = sent(&nobody, &how, file, LISTS)?;
            ensure!([403, 413, 429].contains(&status), "{status}");
            seen.push(status);
        }
    }
    for status in [403, 413, 429] {
        ensure!(seen.contains(&status), "no {status}: {seen:?}");
    }
    Ok(())
}

#[test]
fn who_is_let_in_sees_why_an_upload_went_no_further() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let file = zeros(&site, 10)?;
    let curl = Curl::new(gateway.address, &user.ca()).with_pem(&user);
    let elsewhere = ["--header", "Origin: https://elsewhere.example"];
    for version in VERSIONS {
        for _ in 0..ROUNDS {
            let how = [&[version], &elsewhere[..]].concat();
            let (status, page) = sent(&curl, &how, &file, "/")?;
            ensure!((status, page.contains("E-110")) == (403, true), "{page}");
            let how = [version, "--request", "TRACE"];
            assert_eq!(sent(&curl, &how, &file, "/")?.0, 405, "{version}");
        }
    }
    let ports = gateway.access("a refusal", |line| line["cause"] == "cross-site")?;
    assert_eq!(ports["status"].as_u64().context("a status")?, 403);
    Ok(())
}
