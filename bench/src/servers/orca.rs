//! The gateway as `README.md` configures it, with limits that let a single address do all this.

use std::net::Ipv4Addr;
use std::process::Stdio;

use anyhow::Context;
use orca_e2e::process::Process;
use orca_e2e::program::ours;

use crate::servers::Running;
use crate::servers::Setup;

pub(super) fn start(setup: &Setup<'_>) -> anyhow::Result<Running> {
    let folder = setup.folder.display();
    let kit = &setup.clinic.server;
    let conf = format!(
        "SERVER_CRT={crt}\nSERVER_PEM={pem}\nCA_CRT={ca}\nCA_CRL={crl}\n\
         GATEWAY_LISTEN=127.0.0.1:0\nGATEWAY_STATUS=none\nGATEWAY_UPSTREAM=http://{origin}\n\
         GATEWAY_LOG={folder}/event.log\nGATEWAY_ACCESS_LOG={folder}/access.log\n\
         GATEWAY_STATE={folder}/state\nGATEWAY_WORKERS={workers}\n\
         GATEWAY_MAX_CONNECTIONS_PER_ADDRESS=15000\n",
        crt = kit.crt().display(),
        pem = kit.pem().display(),
        ca = kit.ca().display(),
        crl = setup.crl.display(),
        origin = setup.origin,
        workers = setup.workers,
    );
    let path = setup.folder.join("orca-gateway.conf");
    std::fs::write(&path, conf)?;
    let program = setup.pinned(ours("orca-gateway")?).arg("--conf").arg(&path);
    let output = std::fs::File::create(setup.folder.join("output.log"))?;
    let child = program.spawn(Stdio::null(), output.try_clone()?.into(), output.into())?;
    let mut process = Process::new("orca-gateway", child);
    let address = process.listening(Ipv4Addr::LOCALHOST).with_context(|| {
        let events = std::fs::read_to_string(setup.folder.join("event.log"));
        format!("{}{}", setup.told(), events.unwrap_or_default())
    })?;
    Ok(Running { address, process })
}
