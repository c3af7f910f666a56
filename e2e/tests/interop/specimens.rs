//! One authority and everything it writes, for all strangers to judge.

use std::path::Path;
use std::path::PathBuf;

use orca_e2e::catool::Catool;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

/// Every kind of key the tool makes.
pub(crate) const KEYS: [&str; 5] = ["p256", "p384", "rsa2048", "rsa3072", "rsa4096"];

/// Names that servers have in every authority, names of their own aside.
pub(crate) const SERVER_NAMES: [&str; 2] = ["weborca-server", "weborca.example.jp"];
pub(crate) const SERVER_ADDRESSES: [&str; 2] = ["192.168.1.100", "fd00::1"];

/// What a certificate is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Server,
    Client,
}

/// A certificate, delivered in both profiles of PKCS#12.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) purpose: Purpose,
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) revoked: bool,
    pub(crate) compat: Kit,
    pub(crate) modern: Kit,
}

/// The authority and its papers.
#[derive(Debug)]
pub(crate) struct Specimens {
    dir: TempDir,
    pub(crate) ca_key: &'static str,
    pub(crate) issued: Vec<Issued>,
    /// Before anything was revoked.
    pub(crate) empty_crl: PathBuf,
    /// After the certificates that are marked so were revoked.
    pub(crate) crl: PathBuf,
}

impl Specimens {
    /// Has an authority with this kind of key issue a server's and a client's certificate for every
    /// kind of key, and some with difficult names; then two are revoked.
    pub(crate) fn new(ca_key: &'static str, organization: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Catool::new(dir.path());
        ca.done(&format!(
            "init --yes --key {ca_key} --organization {organization}"
        ))?;
        let mut specimens = Self {
            ca_key,
            issued: Vec::new(),
            empty_crl: dir.path().join("empty.crl"),
            crl: ca.crl(),
            dir,
        };
        for key in KEYS {
            let mut server = format!("issue_server_cert --key {key} -c {key}.example.jp");
            for name in SERVER_NAMES {
                server += &format!(" -c {name}");
            }
            for address in SERVER_ADDRESSES {
                server += &format!(" -i {address}");
            }
            specimens.issue(
                &ca,
                Purpose::Server,
                key,
                &format!("{key}.example.jp"),
                &server,
            )?;
            specimens.client(&ca, key, &format!("user-{key}"))?;
        }
        specimens.client(&ca, "p256", "山田太郎")?;
        specimens.client(&ca, "p256", &"郎".repeat(64))?;
        specimens.client(&ca, "rsa2048", r#"a<b>,+=#;"\'%&"#)?;
        std::fs::copy(ca.crl(), &specimens.empty_crl)?;
        specimens.client(&ca, "p256", "lost")?;
        specimens.client(&ca, "p256", "left")?;
        specimens.revoke(&ca, "lost", "--reason keyCompromise")?;
        specimens.revoke(&ca, "left", "")?;
        Ok(specimens)
    }

    fn client(&mut self, ca: &Catool, key: &str, name: &str) -> anyhow::Result<()> {
        let line = format!("issue_client_cert --key {key} -c {name}");
        self.issue(ca, Purpose::Client, key, name, &line)
    }

    fn issue(
        &mut self,
        ca: &Catool,
        purpose: Purpose,
        key: &str,
        name: &str,
        line: &str,
    ) -> anyhow::Result<()> {
        let compat = ca.issue(line)?;
        let modern_dir = self.dir.path().join("modern");
        let zip = ca.done(&format!(
            "export_cert {} --p12 modern -o {}",
            compat.number(),
            modern_dir.display()
        ))?;
        let modern = Kit::unpack(Path::new(zip.trim_end()), &modern_dir)?;
        self.issued.push(Issued {
            purpose,
            key: key.to_owned(),
            name: name.to_owned(),
            revoked: false,
            compat,
            modern,
        });
        Ok(())
    }

    fn revoke(&mut self, ca: &Catool, name: &str, how: &str) -> anyhow::Result<()> {
        ca.done(&format!("revoke_cert -c {name} {how}"))?;
        for issued in &mut self.issued {
            issued.revoked |= issued.name == name;
        }
        Ok(())
    }

    /// The certificate of the authority.
    pub(crate) fn ca(&self) -> PathBuf {
        self.issued[0].compat.ca()
    }

    /// A path for something of a stranger's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The CRLs, and whether they are the one with entries.
    pub(crate) fn crls(&self) -> [(&Path, bool); 2] {
        [(&self.empty_crl, false), (&self.crl, true)]
    }

    /// Everything, for a judge that is a script.
    pub(crate) fn to_json(&self) -> anyhow::Result<Value> {
        let mut issued = Vec::new();
        for one in &self.issued {
            issued.push(json!({
                "purpose": format!("{:?}", one.purpose).to_lowercase(),
                "key": one.key,
                "name": one.name,
                "revoked": one.revoked,
                "compat": kit_json(&one.compat)?,
                "modern": kit_json(&one.modern)?,
            }));
        }
        Ok(json!({
            "ca": self.ca(),
            "ca_key": self.ca_key,
            "empty_crl": self.empty_crl,
            "crl": self.crl,
            "issued": issued,
            "names": SERVER_NAMES,
            "addresses": SERVER_ADDRESSES,
        }))
    }
}

fn kit_json(kit: &Kit) -> anyhow::Result<Value> {
    Ok(json!({
        "number": kit.number(),
        "crt": kit.crt(),
        "pem": kit.pem(),
        "enc_pem": kit.enc_pem(),
        "p12": kit.p12(),
        "passphrase": kit.passphrase()?,
    }))
}

/// A CRL in the binary form that some want.
pub(crate) fn der_crl(crl: &Path, to: &Path) -> anyhow::Result<()> {
    Program::new("openssl")
        .args(["crl", "-outform", "DER", "-in"])
        .arg(crl)
        .arg("-out")
        .arg(to)
        .run()?
        .success()?;
    Ok(())
}
