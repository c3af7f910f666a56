//! NIST's path validation cases, shown to the gateway as client certificates.
//!
//! The cases stand in `pkits.tsv`. What differs from NIST's verdict stands with its reason in
//! `docs/pkits.md`, and nowhere else: the test fails when a row there is wrong or missing.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use orca_e2e::gateway::Gateway;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::tls::Answer;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::python;

const ANCHOR: &str = "TrustAnchorRootCertificate";
const TABLE: &str = include_str!("pkits.tsv");

/// Sections about revocation lists: there the issuers themselves are trusted, with their lists.
const OF_LISTS: [&str; 6] = ["4.4.", "4.5.", "4.7.4", "4.7.5", "4.14.", "4.15."];

#[derive(Clone, Debug)]
struct Case {
    number: &'static str,
    certificate: &'static str,
    sent: Vec<&'static str>,
    expected: &'static str,
}

impl Case {
    fn all() -> anyhow::Result<Vec<Self>> {
        let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
        rows.map(|row| {
            let fields: Vec<_> = row.split('\t').collect();
            let [number, certificate, sent, expected] = fields[..] else {
                bail!("no row: {row}");
            };
            let sent = sent.split(' ').filter(|name| *name != "-").collect();
            Ok(Self {
                number,
                certificate,
                sent,
                expected,
            })
        })
        .collect()
    }

    fn is_of_lists(&self) -> bool {
        OF_LISTS
            .iter()
            .any(|section| self.number.starts_with(section))
    }

    /// TLS 1.3 has no DSA, and no client here speaks it.
    fn has_dsa_key(&self) -> bool {
        ["4.1.4", "4.1.5", "4.1.6"].contains(&self.number)
    }

    /// A row of `docs/pkits.md` without its reason, if we differ.
    fn difference(&self, trusted: &str, seen: &str) -> Option<String> {
        let (number, certificate, expected) = (self.number, self.certificate, self.expected);
        (seen != expected)
            .then(|| format!("| {number} | {certificate} | {trusted} | {expected} | {seen} |"))
    }
}

/// A clinic, and the folder of the cases.
struct Range {
    site: Site,
    data: PathBuf,
}

impl Range {
    fn new() -> anyhow::Result<Self> {
        let find = "import cryptography_vectors as v; print(v.__path__[0])";
        let package = python::installed("python")?.args(["-c", find]).run()?;
        Ok(Self {
            site: Site::new()?,
            data: Path::new(package.success()?.trim_end()).join("x509/PKITS_data"),
        })
    }

    /// A gateway that trusts these besides its own authority, with these lists.
    fn gateway(
        &self,
        trusted: &[&str],
        lists: &[PathBuf],
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Gateway> {
        let mut authorities = std::fs::read_to_string(self.site.server.ca())?;
        for name in trusted {
            let pem = Program::new("openssl")
                .args(["x509", "-inform", "DER", "-in"])
                .arg(self.certificate_path(name))
                .run()?;
            authorities += &pem.success()?;
        }
        let ca_crt = self.site.conf_dir().join("authorities.crt");
        std::fs::write(&ca_crt, authorities)?;
        let mut content = Vec::new();
        for list in lists {
            content.extend(std::fs::read(list)?);
        }
        let ca_crl = self.site.conf_dir().join("lists.crl");
        std::fs::write(&ca_crl, content)?;
        let mut conf = self
            .site
            .conf()?
            .set("CA_CRT", ca_crt.display())
            .set("CA_CRL", ca_crl.display());
        for (key, value) in settings {
            conf = conf.set(key, value);
        }
        conf.start()
    }

    fn certificate_path(&self, name: &str) -> PathBuf {
        self.data.join("certs").join(name).with_extension("crt")
    }

    fn lists(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut paths = std::fs::read_dir(self.data.join("crls"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    /// The client of a case: its certificate, those it sends along, its key.
    fn identity(&self, case: &Case) -> anyhow::Result<Identity> {
        let key = Program::new("openssl")
            .args(["pkcs12", "-nocerts", "-noenc", "-passin", "pass:password"])
            .arg("-in")
            .arg(
                self.data
                    .join("pkcs12")
                    .join(case.certificate)
                    .with_extension("p12"),
            )
            .run()?
            .success()?;
        let mut chain = Vec::new();
        for name in [case.certificate].iter().chain(&case.sent) {
            let der = std::fs::read(self.certificate_path(name))?;
            chain.push(CertificateDer::from(der));
        }
        Identity::new(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)
    }

    /// Whether this client gets to the application.
    fn seen(
        &self,
        identity: &Identity,
        gateway: &Gateway,
        version: Version,
    ) -> anyhow::Result<&'static str> {
        let identity = Some(identity.clone());
        let client = TlsClient::new(&self.site.server.ca(), version, identity)?;
        match client.get(gateway.address, "/") {
            Answer::Response(response) if response.status == 403 => Ok("invalid"),
            Answer::Response(response) if response.status < 400 => Ok("valid"),
            Answer::Alert(_) => Ok("invalid"),
            other => bail!("{other:?}"),
        }
    }
}

#[test]
fn the_gateway_judges_as_nist_does() -> anyhow::Result<()> {
    let range = Range::new()?;
    let mut cases = Vec::new();
    let mut rows = BTreeSet::new();
    for case in Case::all()? {
        if case.has_dsa_key() {
            rows.extend(case.difference("-", "not shown"));
            continue;
        }
        let identity = range.identity(&case).with_context(|| format!("{case:?}"))?;
        cases.push((case, identity));
    }
    ensure!(cases.len() + rows.len() == 224, "{} cases", cases.len());
    let anchor_list = range.data.join("crls/TrustAnchorRootCRL.crl");
    for (mode, version) in [("explain", Version::Tls13), ("strict", Version::Tls12)] {
        let settings = [("GATEWAY_CLIENT_AUTH", mode)];
        let gateway = range.gateway(&[ANCHOR], std::slice::from_ref(&anchor_list), &settings)?;
        for (case, identity) in &cases {
            if case.is_of_lists() && case.expected == "invalid" {
                continue;
            }
            let seen = range.seen(identity, &gateway, version)?;
            rows.extend(case.difference("anchor", seen));
        }
    }
    let of_lists = cases.iter().filter(|(case, _)| case.is_of_lists());
    let issuers: BTreeSet<&str> = of_lists
        .clone()
        .flat_map(|(case, _)| case.sent.iter().copied())
        .chain([ANCHOR])
        .collect();
    let issuers: Vec<_> = issuers.into_iter().collect();
    let settings = [("GATEWAY_CRL_UNUSABLE", "refuse")];
    let gateway = range.gateway(&issuers, &range.lists()?, &settings)?;
    for (case, identity) in of_lists {
        let seen = range.seen(identity, &gateway, Version::Tls13)?;
        rows.extend(case.difference("issuers", seen));
    }
    compare(&rows)
}

/// Fails unless these and no others are written down, each with a reason, and nobody gets in whom
/// NIST keeps out.
fn compare(rows: &BTreeSet<String>) -> anyhow::Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pkits.md");
    let text = std::fs::read_to_string(page)?;
    let mut written = BTreeSet::new();
    let mut section = "";
    for line in text.lines() {
        section = line.strip_prefix("## ").unwrap_or(section);
        let listed = ["Differences", "Out of scope"].contains(&section);
        if !listed || !line.starts_with("| 4.") {
            continue;
        }
        let (row, reason) = line
            .trim_end_matches(['|', ' '])
            .rsplit_once(" | ")
            .context("a row")?;
        ensure!(!reason.is_empty(), "no reason: {line}");
        let false_accept = row.ends_with("| invalid | valid");
        ensure!(!false_accept || section == "Out of scope", "{line}");
        written.insert(format!("{row} |"));
    }
    let missing: Vec<_> = rows.difference(&written).collect();
    let wrong: Vec<_> = written.difference(rows).collect();
    ensure!(
        missing.is_empty() && wrong.is_empty(),
        "docs/pkits.md lacks {missing:#?}\nand has, but nobody saw it, {wrong:#?}"
    );
    Ok(())
}
