//! An authority that may certify some names only cannot certify others, whatever its key signs.

use std::path::Path;

use anyhow::ensure;
use orca_e2e::catool::Catool;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use serde_json::json;

use crate::python;

const INSIDE: [&str; 5] = [
    "weborca-server",
    "clinic.example.jp",
    "weborca.clinic.example.jp",
    "192.168.1.100",
    "fd00::1",
];
const OUTSIDE: [&str; 6] = [
    "evil.example",
    "xclinic.example.jp",
    "example.jp",
    "10.0.0.1",
    "192.169.0.1",
    "2001:db8::1",
];

#[test]
fn strangers_obey_name_constraints() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Catool::new(dir.path());
    ca.done(
        "init --yes --only-names weborca-server clinic.example.jp \
         --only-networks 192.168.0.0/16 fd00::/8",
    )?;
    let mut inside = Vec::new();
    let mut authority = None;
    for name in INSIDE {
        // OpenSSL takes the commonName for a host name where no other is.
        let option = if is_address(name) {
            "-c weborca-server -i"
        } else {
            "-c"
        };
        let kit = ca.issue(&format!("issue_server_cert {option} {name}"))?;
        inside.push((kit.crt(), name));
        authority = Some(kit.ca());
    }
    for name in OUTSIDE {
        let option = if is_address(name) { "-i" } else { "-c" };
        let refusal = ca.run(&format!("issue_server_cert {option} {name}"))?;
        ensure!(refusal.failure(1)?.contains("host-not-permitted"), "{name}");
    }
    let authority = authority.unwrap_or_default();

    // The tool refuses, so somebody with its key has to make what is outside.
    let input = json!({
        "ca": authority,
        "ca_key": ca.folder().join("ca.key"),
        "inside": inside,
        "outside": OUTSIDE,
        "folder": dir.path(),
    });
    python::script("name_constraints.py", &input)?.success()?;

    let verify = |certificate: &Path| -> anyhow::Result<Outcome> {
        Program::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"])
            .arg(&authority)
            .arg(certificate)
            .run()
    };
    for (certificate, _) in &inside {
        verify(certificate)?.success()?;
    }
    let told = ca.run("issue_server_cert -i 192.168.1.100")?;
    ensure!(told.stderr.contains("[address-without-name]"), "{told:?}");
    for (number, name) in OUTSIDE.iter().enumerate() {
        let refusal = verify(&dir.path().join(format!("{number}.crt")))?;
        ensure!(
            refusal.stderr.contains("permitted subtree violation"),
            "{name}: {refusal:?}"
        );
    }
    Ok(())
}

fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
}
