//! Clients on GnuTLS: wget as Debian builds it, and gnutls-cli.

use std::io::Read;
use std::io::Write;
use std::process::Stdio;

use anyhow::Context;
use orca_e2e::process::Process;
use orca_e2e::program::Program;
use orca_e2e::site::SERVER_NAME;
use orca_e2e::tls::Version;

use crate::trial::Call;
use crate::trial::Client;
use crate::trial::Seen;
use crate::visitors::Who;

#[test]
fn wget() -> anyhow::Result<()> {
    let client = Client {
        name: "wget",
        path: "/",
        says: |who, version| match (who, version) {
            (_, Version::Tls12) => gnutls(who),
            // It learns of the alert while it waits for a session to store, or when it reads.
            (_, Version::Tls13) => &[
                "The specified session has been invalidated",
                "A TLS fatal alert has been received",
            ],
        },
    };
    client.visits(|calls| calls.iter().map(ask_with_wget).collect())
}

fn ask_with_wget(call: &Call<'_>) -> anyhow::Result<Seen> {
    let mut wget = Program::new("wget")
        .args(["--no-config", "--no-proxy", "--no-hsts", "--tries=1"])
        .args(["--server-response", "--content-on-error", "--timeout=60"])
        .args(["--output-document=-", "--header=Accept-Language: ja"])
        .arg(format!("--ciphers={}", priority(call.version)))
        .arg(format!("--ca-certificate={}", call.ca.display()));
    if let Some(kit) = call.kit {
        wget = wget
            .arg(format!("--certificate={}", kit.crt().display()))
            .arg(format!("--private-key={}", kit.pem().display()));
    }
    let outcome = wget.arg(call.url()).run()?;
    Ok(match status(&outcome.stderr) {
        Some(status) => Seen::Response(status, outcome.text()),
        None => Seen::Error(outcome.stderr),
    })
}

#[test]
fn gnutls_cli() -> anyhow::Result<()> {
    let client = Client {
        name: "gnutls-cli",
        path: "/",
        says: |who, _| gnutls(who),
    };
    client.visits(|calls| calls.iter().map(ask_with_gnutls_cli).collect())
}

fn ask_with_gnutls_cli(call: &Call<'_>) -> anyhow::Result<Seen> {
    let mut program = Program::new("gnutls-cli")
        .args(["--priority", priority(call.version)])
        .args(["--verify-hostname", SERVER_NAME])
        .args(["--sni-hostname", SERVER_NAME])
        .arg("--x509cafile")
        .arg(&call.ca);
    if let Some(kit) = call.kit {
        program = program
            .env("GNUTLS_PIN", kit.passphrase()?)
            .arg("--x509certfile")
            .arg(kit.crt())
            .arg("--x509keyfile")
            .arg(kit.enc_pem());
    }
    let program = program
        .args(["--port", &call.gateway.port().to_string()])
        .arg(call.gateway.address.ip().to_string());
    let text = talk(&program, call)?;
    Ok(match status(&text) {
        Some(status) => Seen::Response(status, text),
        None => Seen::Error(text),
    })
}

/// Its standard input stays open until the server has closed: at the end of input it leaves at
/// once and the answer is lost.
fn talk(program: &Program, call: &Call<'_>) -> anyhow::Result<String> {
    let mut child = program.spawn(Stdio::piped(), Stdio::piped(), Stdio::null())?;
    let mut input = child.stdin.take().context("its input")?;
    let mut output = child.stdout.take().context("its output")?;
    let mut process = Process::new("gnutls-cli", child);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {SERVER_NAME}:{}\r\nAccept-Language: ja\r\n\
         Connection: close\r\n\r\n",
        call.path,
        call.gateway.port()
    );
    // It may have been refused, and be gone, before it reads.
    let _ = input.write_all(request.as_bytes());
    let mut text = Vec::new();
    output.read_to_end(&mut text)?;
    process.end()?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn priority(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "NORMAL:-VERS-ALL:+VERS-TLS1.2",
        Version::Tls13 => "NORMAL:-VERS-ALL:+VERS-TLS1.3",
    }
}

/// Out of the status line of a response, if there is one.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("HTTP/1.1 ")?;
    rest.get(..3)?.parse().ok()
}

fn gnutls(who: Who) -> &'static [&'static str] {
    match who {
        Who::Good => &[],
        Who::Nobody => &["alert [116]: Certificate is required"],
        Who::Expired => &["alert [45]: Certificate is expired"],
        Who::Revoked => &["alert [44]: Certificate was revoked"],
        Who::LookAlike => &["alert [48]: CA is unknown"],
        Who::Server => &["alert [43]: Certificate is not supported"],
    }
}
