//! Programs as users write them: a small one in each language makes all the calls it is given.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use orca_e2e::tls::Version;
use serde_json::Value;

use crate::curl::openssl;
use crate::trial::Call;
use crate::trial::Client;
use crate::trial::Seen;
use crate::visitors::Who;

#[test]
fn python_ssl() -> anyhow::Result<()> {
    let client = on_openssl("Python ssl, .crt and .enc.pem", "/");
    run(&client, Program::new("python3"), "client.py", &["ssl"])
}

#[test]
fn python_requests() -> anyhow::Result<()> {
    let client = on_openssl("Python requests, .crt and .pem", "/");
    let python = root().join(".venv/bin/python3");
    run(&client, Program::new(python), "client.py", &["requests"])
}

#[test]
fn node_https() -> anyhow::Result<()> {
    let client = on_openssl("Node https, .p12", "/");
    run(&client, Program::new("node"), "client.js", &[])
}

#[test]
fn ruby_net_http() -> anyhow::Result<()> {
    let client = on_openssl("Ruby Net::HTTP, .p12", "/");
    run(&client, Program::new("ruby"), "client.rb", &["http"])
}

#[test]
fn ruby_websocket() -> anyhow::Result<()> {
    let client = on_openssl("Ruby websocket, .p12", "/ws");
    run(&client, Program::new("ruby"), "client.rb", &["websocket"])
}

#[test]
fn java_http_client() -> anyhow::Result<()> {
    let client = Client {
        name: "Java HttpClient, .p12",
        path: "/",
        says: |who, _| match who {
            Who::Good => &[],
            Who::Nobody => &["Received fatal alert: certificate_required"],
            Who::Expired => &["Received fatal alert: certificate_expired"],
            Who::Revoked => &["Received fatal alert: certificate_revoked"],
            Who::LookAlike => &["Received fatal alert: unknown_ca"],
            Who::Server => &["Received fatal alert: unsupported_certificate"],
        },
    };
    run(&client, Program::new("java"), "Client.java", &[])
}

fn on_openssl(name: &'static str, path: &'static str) -> Client {
    Client {
        name,
        path,
        says: |who, _| openssl(who),
    }
}

fn run(client: &Client, language: Program, file: &str, args: &[&str]) -> anyhow::Result<()> {
    let program = language
        .arg(root().join("e2e/clients").join(file))
        .args(args);
    client.visits(|calls| answers(&program, calls))
}

/// One start makes all calls: a line each in, a line each out.
fn answers(program: &Program, calls: &[Call<'_>]) -> anyhow::Result<Vec<Seen>> {
    let lines = calls.iter().map(line).collect::<anyhow::Result<String>>()?;
    let ca = &calls.first().context("a call")?.ca;
    let outcome = program.clone().arg(ca).stdin(lines).run()?;
    let text = outcome.success()?;
    text.lines().map(seen).collect()
}

fn line(call: &Call<'_>) -> anyhow::Result<String> {
    let version = match call.version {
        Version::Tls12 => "1.2",
        Version::Tls13 => "1.3",
    };
    let file = |path: fn(&Kit) -> PathBuf| -> String {
        call.kit
            .map(|kit| path(kit).display().to_string())
            .unwrap_or_default()
    };
    let fields = [
        call.url(),
        version.to_owned(),
        file(Kit::crt),
        file(Kit::pem),
        file(Kit::enc_pem),
        file(Kit::p12),
        call.kit.map_or(Ok(String::new()), Kit::passphrase)?,
    ];
    Ok(fields.join("\t") + "\n")
}

fn seen(line: &str) -> anyhow::Result<Seen> {
    let answer: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    Ok(match answer["status"].as_u64() {
        Some(status) => Seen::Response(status.try_into()?, text("body")),
        None => Seen::Error(text("error")),
    })
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
