//! A certificate authority made by the real `orca-catool`, and whom it certified.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::catool::Catool;
use orca_e2e::kit::Kit;
use orca_e2e::lists::ListForge;
use orca_e2e::program::Program;
use orca_e2e::site::SERVER_NAME;

/// Keys of authority, server and clients.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Keys {
    P256,
    Rsa2048,
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
        })
    }
}

/// A CA machine with a server certificate and one client.
pub(crate) struct Clinic {
    pub(crate) ca: Catool,
    pub(crate) server: Kit,
    pub(crate) client: Kit,
    keys: Keys,
}

impl Clinic {
    /// Sets it up in a folder of its own below `root`.
    pub(crate) fn new(root: &Path, keys: Keys) -> anyhow::Result<Self> {
        let home = root.join(format!("ca-{keys}"));
        std::fs::create_dir_all(&home)?;
        let ca = Catool::new(&home);
        ca.done(&format!("init --yes --key {keys}"))?;
        let server = ca.issue(&format!(
            "issue_server_cert -c {SERVER_NAME} -i 127.0.0.1 --key {keys}"
        ))?;
        let client = ca.issue(&format!("issue_client_cert -c bench --key {keys}"))?;
        Ok(Self {
            ca,
            server,
            client,
            keys,
        })
    }

    /// Certifies one more client.
    pub(crate) fn another(&self, name: &str) -> anyhow::Result<Kit> {
        let keys = self.keys;
        self.ca
            .issue(&format!("issue_client_cert -c {name} --key {keys}"))
    }

    /// Makes `revoke_cert` write the list here as well.
    pub(crate) fn publish(&self, crl: &Path) -> anyhow::Result<()> {
        let path = self.ca.folder().join("config.yml");
        let text = std::fs::read_to_string(&path)?;
        let line = format!(":crl_publish: [\"{}\"]", crl.display());
        let changed: Vec<&str> = text
            .lines()
            .map(|old| match old.starts_with(":crl_publish:") {
                true => line.as_str(),
                false => old,
            })
            .collect();
        ensure!(changed.contains(&line.as_str()), "no :crl_publish: key");
        std::fs::write(path, changed.join("\n") + "\n").context("cannot write config.yml")
    }

    /// A revocation that has not been made yet.
    pub(crate) fn revocation(&self, kit: &Kit) -> anyhow::Result<Program> {
        self.ca.program(["revoke_cert", kit.number()])
    }

    /// Signs lists behind the authority's back.
    pub(crate) fn forge(&self) -> anyhow::Result<ListForge> {
        ListForge::new(&self.server.ca(), &self.ca.folder().join("ca.key"))
    }
}
