//! The firewall rule: a table of its own in nftables, so that removing it undoes everything.
//!
//! Only what arrives from outside the machine is touched. Packets to itself travel over `lo`, so local
//! programs reach WebORCA as ever.

use std::fmt;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

const TABLE: &str = "inet orca_gateway";

/// What clients outside the machine meet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Door {
    /// What they send to WebORCA's port reaches the gateway.
    Redirect { weborca: u16, gateway: u16 },
    /// WebORCA's own port refuses them.
    Shut { weborca: u16 },
}

impl Door {
    /// WebORCA's port.
    pub(crate) fn weborca(self) -> u16 {
        match self {
            Self::Redirect { weborca, .. } | Self::Shut { weborca } => weborca,
        }
    }

    /// The port that clients know.
    pub(crate) fn clients(self, gateway: u16) -> u16 {
        match self {
            Self::Redirect { weborca, .. } => weborca,
            Self::Shut { .. } => gateway,
        }
    }

    /// Puts the table in force, whole or not at all.
    ///
    /// # Errors
    /// nft is missing or refuses.
    pub(crate) fn shut(self) -> Result<(), NftError> {
        nft(&["-f", "-"], &self.to_string())
    }
}

/// As nft(8) reads it. The first two lines make the third hold whether there was a table or not.
impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# orca-gateway attach")?;
        writeln!(f, "table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{")?;
        if let Self::Redirect { weborca, gateway } = self {
            writeln!(f, "\tchain arriving {{")?;
            writeln!(
                f,
                "\t\ttype nat hook prerouting priority dstnat; policy accept;"
            )?;
            writeln!(
                f,
                "\t\tiifname != \"lo\" fib daddr type local tcp dport {weborca} redirect to :{gateway}"
            )?;
            writeln!(f, "\t}}")?;
        }
        // Connections from before are not redirected any more: they end and come again.
        writeln!(f, "\tchain arrived {{")?;
        writeln!(
            f,
            "\t\ttype filter hook input priority filter; policy accept;"
        )?;
        let weborca = self.weborca();
        writeln!(
            f,
            "\t\tiifname != \"lo\" tcp dport {weborca} reject with tcp reset"
        )?;
        writeln!(f, "\t}}\n}}")
    }
}

/// Takes the table away; there need not be one.
///
/// # Errors
/// nft is missing or refuses.
pub(crate) fn open() -> Result<(), NftError> {
    nft(
        &["-f", "-"],
        &format!("table {TABLE}\ndelete table {TABLE}\n"),
    )
}

/// Whether the table is in force; only root may know.
///
/// # Errors
/// nft is missing, or not permitted.
pub(crate) fn is_shut() -> Result<bool, NftError> {
    match nft(&["list", "table", "inet", "orca_gateway"], "") {
        Ok(()) => Ok(true),
        Err(NftError::Refused(why)) if why.contains("No such file or directory") => Ok(false),
        Err(error) => Err(error),
    }
}

fn nft(args: &[&str], input: &str) -> Result<(), NftError> {
    let mut child = Command::new("nft")
        .args(args)
        .env("LC_ALL", "C")
        // root's own way to programs of the system is not everybody's.
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(NftError::Missing)?;
    if let Some(mut pipe) = child.stdin.take() {
        // Where it ends before it has read everything, its own words say why.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(NftError::Missing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(NftError::Refused(said))
}

/// The firewall cannot be changed or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NftError {
    #[error("cannot run nft: {0}")]
    Missing(io::Error),
    #[error("nft: {0}")]
    Refused(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_doors_leave_loopback_alone() {
        let redirect = Door::Redirect {
            weborca: 8000,
            gateway: 8443,
        };
        let shut = Door::Shut { weborca: 8001 };
        for (door, nat) in [(redirect, true), (shut, false)] {
            let text = door.to_string();
            assert_eq!(text.contains("redirect to :8443"), nat, "{text}");
            let rules = text.lines().filter(|line| line.contains("dport"));
            for rule in rules {
                assert!(rule.contains("iifname != \"lo\""), "{rule}");
            }
        }
    }
}
