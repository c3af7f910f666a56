//! Strangers read what we write and look at what we run.

mod foreign_p12;
mod gnutls;
mod java;
mod name_constraints;
mod nss;
mod openssl;
mod pkilint;
mod pkits;
mod pyca;
mod python;
mod scanners;
mod specimens;

use anyhow::bail;

use crate::specimens::Specimens;

type Judge = fn(&Specimens) -> anyhow::Result<()>;

const JUDGES: [(&str, Judge); 6] = [
    ("openssl", openssl::judge),
    ("GnuTLS", gnutls::judge),
    ("NSS", nss::judge),
    ("Java", java::judge),
    ("pyca", pyca::judge),
    ("pkilint", pkilint::judge),
];

/// Keys are slow to make, so all strangers see the same papers of an authority.
fn judged(key: &'static str, organization: &str) -> anyhow::Result<()> {
    let specimens = Specimens::new(key, organization)?;
    let mut complaints = String::new();
    for (name, judge) in JUDGES {
        if let Err(complaint) = judge(&specimens) {
            complaints += &format!("{name}: {complaint:#}\n");
        }
    }
    if !complaints.is_empty() {
        bail!(complaints);
    }
    Ok(())
}

#[test]
fn strangers_accept_what_a_p256_authority_writes() -> anyhow::Result<()> {
    judged("p256", "orca")
}

#[test]
fn strangers_accept_what_a_p384_authority_writes() -> anyhow::Result<()> {
    judged("p384", "医療法人社団オルカ会")
}

#[test]
fn strangers_accept_what_an_rsa2048_authority_writes() -> anyhow::Result<()> {
    judged("rsa2048", &"医".repeat(64))
}

#[test]
fn strangers_accept_what_an_rsa3072_authority_writes() -> anyhow::Result<()> {
    judged("rsa3072", r#"A+B,"C"=D\E;<F>#G"#)
}

#[test]
fn strangers_accept_what_an_rsa4096_authority_writes() -> anyhow::Result<()> {
    judged("rsa4096", &"x".repeat(64))
}
