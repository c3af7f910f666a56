//! Who comes: everybody with a delivery as it was handed out, but one who has none.

use orca_e2e::catool::Catool;
use orca_e2e::kit::Kit;
use orca_e2e::site::Site;

/// What is the matter with the certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Good,
    Nobody,
    Expired,
    Revoked,
    /// Of an authority that has the same name, and the same serial number as the good one.
    LookAlike,
    /// The server's own certificate and key.
    Server,
}

impl Who {
    pub(crate) const REFUSED: [Self; 5] = [
        Self::Nobody,
        Self::Expired,
        Self::Revoked,
        Self::LookAlike,
        Self::Server,
    ];

    /// The number on the page that refuses, and the cause in the access log.
    pub(crate) fn refusal(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Good => None,
            Self::Nobody => Some(("E-101", "no-certificate")),
            Self::Expired => Some(("E-102", "expired")),
            Self::Revoked => Some(("E-104", "revoked")),
            Self::LookAlike => Some(("E-105", "unknown-ca")),
            Self::Server => Some(("E-106", "wrong-usage")),
        }
    }
}

/// Somebody at the door.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) who: Who,
    pub(crate) kit: Option<Kit>,
}

/// One of each.
pub(crate) fn visitors(site: &Site) -> anyhow::Result<Vec<Visitor>> {
    let good = site.client("reception")?;
    let revoked = site.client("lost-notebook")?;
    site.ca.done(&format!("revoke_cert {}", revoked.number()))?;
    let expired = "issue_client_cert -c old-notebook --days 1";
    let expired = site.ca.issue_at("-20d", expired)?;
    let look_alike = look_alike(site)?;
    assert_eq!(look_alike.base(), good.base());
    Ok([
        (Who::Good, Some(good)),
        (Who::Nobody, None),
        (Who::Expired, Some(expired)),
        (Who::Revoked, Some(revoked)),
        (Who::LookAlike, Some(look_alike)),
        (Who::Server, Some(site.server.clone())),
    ]
    .map(|(who, kit)| Visitor { who, kit })
    .into())
}

/// Another machine where the tool runs and the authority got the same name on purpose.
fn look_alike(site: &Site) -> anyhow::Result<Kit> {
    let home = site.path("elsewhere");
    std::fs::create_dir(&home)?;
    let name = ca_name(site)?;
    let other = Catool::new(&home);
    other
        .program(["init", "--yes", "--ca-name", &name])?
        .run()?
        .success()?;
    other.issue("issue_server_cert -c weborca-server")?;
    other.issue("issue_client_cert -c reception")
}

/// `orca CA 0123ABCD`.
fn ca_name(site: &Site) -> anyhow::Result<String> {
    let rows = site.ca.list()?;
    let issuer = rows[0]["issuer"].as_str().unwrap_or_default();
    let (_, name) = issuer.rsplit_once("/CN=").unwrap_or_default();
    assert!(!name.is_empty(), "{issuer:?}");
    Ok(name.to_owned())
}
