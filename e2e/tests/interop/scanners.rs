//! sslyze and testssl look at the running gateway as anybody on the network can.

use std::time::Duration;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::gateway::Gateway;
use orca_e2e::program::Program;
use orca_e2e::site::SERVER_NAME;
use orca_e2e::site::Site;
use serde_json::Value;

use crate::python;

/// What testssl rates above LOW and no private authority can have.
const OF_A_PRIVATE_AUTHORITY: [&str; 1] = ["cert_revocation"];

/// What testssl says that it could not try (severity WARN): its own OpenSSL lacks GOST, and without a
/// certificate it gets no further than the handshake.
const NOT_TRIED: [&str; 3] = ["engine_problem", "secure_client_renego", "BREACH"];

/// The guide's ten years.
const GUIDES_VALIDITY: &str = "cert_validityPeriod";

/// Far longer than the minute it takes.
const PATIENCE: Duration = Duration::from_secs(400);

fn strict(site: &Site) -> anyhow::Result<Gateway> {
    site.conf()?.set("GATEWAY_CLIENT_AUTH", "strict").start()
}

#[test]
fn testssl_finds_nothing_but_what_a_private_authority_cannot_have() -> anyhow::Result<()> {
    let mut site = Site::new()?;
    // The validity that testssl, Safari and iPads ask for.
    site.server = site.ca.issue(&format!(
        "issue_server_cert -c {SERVER_NAME} -i 127.0.0.1 --days 397"
    ))?;
    let report = testssl(&site, &[])?;
    ensure!(report.len() > 60, "it looked at little: {report:#?}");
    for (id, finding) in [
        ("TLS1_2", "offered"),
        ("TLS1_3", "offered"),
        ("cert_chain_of_trust", "passed"),
        ("cert_trust", "Ok via SAN"),
        ("heartbleed", "not vulnerable"),
        // The last entry.
        ("scanTime", ""),
    ] {
        let entry = report.iter().find(|entry| entry["id"] == id);
        let found = entry.and_then(|entry| entry["finding"].as_str());
        let found = found.with_context(|| format!("no {id}"))?;
        ensure!(found.starts_with(finding), "{id}: {found}");
    }
    complaints_are(&report, &OF_A_PRIVATE_AUTHORITY)
}

#[test]
fn testssl_finds_the_guides_ten_years_too_long_and_nothing_else() -> anyhow::Result<()> {
    let site = Site::new()?;
    let report = testssl(&site, &["--server-defaults"])?;
    complaints_are(&report, &[OF_A_PRIVATE_AUTHORITY[0], GUIDES_VALIDITY])
}

fn testssl(site: &Site, checks: &[&str]) -> anyhow::Result<Vec<Value>> {
    let gateway = strict(site)?;
    let report = site.path("testssl.json");
    let outcome = Program::new("testssl")
        .args(["--quiet", "--color", "0", "--warnings", "off"])
        // No look-ups: the name is in no DNS.
        .args(["--nodns", "none", "--ip", "127.0.0.1"])
        .args(checks.iter().copied())
        .arg("--add-ca")
        .arg(site.server.ca())
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("{SERVER_NAME}:{}", gateway.port()))
        .env("HOME", site.path("home"))
        .env("TERM", "dumb")
        .dir(site.path("home"))
        .limit(PATIENCE)
        .run()?;
    let text = std::fs::read_to_string(&report).with_context(|| format!("{outcome:?}"))?;
    Ok(serde_json::from_str(&text)?)
}

/// Everything above LOW has one of these ids, and each of them is seen.
fn complaints_are(report: &[Value], expected: &[&str]) -> anyhow::Result<()> {
    let complaints: Vec<_> = report.iter().filter(|entry| is_complaint(entry)).collect();
    for id in expected {
        let seen = complaints.iter().any(|entry| entry["id"] == *id);
        ensure!(seen, "no {id}: {complaints:#?}");
    }
    let others = |entry: &&Value| !expected.iter().any(|id| entry["id"] == *id);
    let others: Vec<_> = complaints.into_iter().filter(others).collect();
    ensure!(others.is_empty(), "{others:#?}");
    Ok(())
}

fn is_complaint(entry: &Value) -> bool {
    match entry["severity"].as_str().unwrap_or_default() {
        "OK" | "INFO" | "LOW" | "DEBUG" => false,
        "WARN" => !NOT_TRIED.iter().any(|id| entry["id"] == *id),
        _ => true,
    }
}

#[test]
fn sslyze_finds_tls_1_2_and_1_3_and_no_fault() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = strict(&site)?;
    let outcome = python::installed("sslyze")?
        .args(["--mozilla_config", "disable", "--json_out", "-"])
        .args(["--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2"])
        .args(["--tlsv1_3", "--compression", "--openssl_ccs", "--fallback"])
        .args(["--heartbleed", "--robot", "--elliptic_curves", "--ems"])
        .args(["--sni", SERVER_NAME, "--certinfo", "--certinfo_ca_file"])
        .arg(site.server.ca())
        .arg(gateway.address.to_string())
        .run()?;
    let report: Value = serde_json::from_str(&outcome.success()?)?;
    let server = &report["server_scan_results"][0];
    ensure!(server["scan_status"] == "COMPLETED", "{server:#}");
    let required = &server["connectivity_result"]["client_auth_requirement"];
    ensure!(required == "REQUIRED", "{required}");
    let results = &server["scan_result"];
    suites(results)?;
    for (check, field, right) in [
        (
            "tls_compression",
            "supports_compression",
            Value::from(false),
        ),
        (
            "openssl_ccs_injection",
            "is_vulnerable_to_ccs_injection",
            false.into(),
        ),
        ("tls_fallback_scsv", "supports_fallback_scsv", true.into()),
        ("heartbleed", "is_vulnerable_to_heartbleed", false.into()),
        (
            "robot",
            "robot_result",
            "NOT_VULNERABLE_RSA_NOT_SUPPORTED".into(),
        ),
        (
            "tls_extended_master_secret",
            "supports_ems_extension",
            true.into(),
        ),
    ] {
        let found = &results[check]["result"][field];
        ensure!(*found == right, "{check}: {:#}", results[check]);
    }
    let stores = results["certificate_info"]["result"]["certificate_deployments"][0]
        ["path_validation_results"]
        .as_array()
        .context("no certificate")?;
    let trusting = stores
        .iter()
        .filter(|store| store["was_validation_successful"] == true)
        .count();
    ensure!(trusting == 1, "our authority and no other: {stores:#?}");
    Ok(())
}

/// Forward secrecy and authenticated encryption, or nothing.
fn suites(results: &Value) -> anyhow::Result<()> {
    for (version, expected) in [
        ("ssl_2_0", &[][..]),
        ("ssl_3_0", &[]),
        ("tls_1_0", &[]),
        ("tls_1_1", &[]),
        (
            "tls_1_2",
            &[
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            ],
        ),
        (
            "tls_1_3",
            &[
                "TLS_AES_128_GCM_SHA256",
                "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256",
            ],
        ),
    ] {
        let check = &results[format!("{version}_cipher_suites")];
        ensure!(check["status"] == "COMPLETED", "{version}: {check:#}");
        let accepted = check["result"]["accepted_cipher_suites"]
            .as_array()
            .context("no list")?;
        let mut names: Vec<_> = accepted
            .iter()
            .filter_map(|suite| suite["cipher_suite"]["name"].as_str())
            .collect();
        names.sort_unstable();
        ensure!(names == expected, "{version}: {names:?}");
    }
    Ok(())
}
