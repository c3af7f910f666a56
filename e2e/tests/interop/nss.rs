//! NSS judges with pk12util, certutil and crlutil: the library of Firefox, and of Chromium's key
//! stores.

use std::path::PathBuf;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::kit::Kit;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;

use crate::specimens::Issued;
use crate::specimens::Purpose;
use crate::specimens::Specimens;
use crate::specimens::der_crl;

pub(crate) fn judge(specimens: &Specimens) -> anyhow::Result<()> {
    for profile in ["compat", "modern"] {
        let database = Database::new(specimens, profile)?;
        for issued in &specimens.issued {
            let kit = match profile {
                "compat" => &issued.compat,
                _ => &issued.modern,
            };
            database
                .import(kit)
                .with_context(|| format!("{} {profile}", issued.name))?;
        }
        let keys = database.certutil(&["-K"])?.success()?;
        let found = keys.lines().filter(|line| line.starts_with('<')).count();
        ensure!(found == specimens.issued.len(), "{keys}");
        database.judge_paths(specimens).context(profile)?;
    }
    Ok(())
}

/// A user's certificates and keys.
struct Database(PathBuf);

impl Database {
    fn new(specimens: &Specimens, profile: &str) -> anyhow::Result<Self> {
        let dir = specimens.path(&format!("nss-{profile}"));
        std::fs::create_dir(&dir)?;
        let database = Self(dir);
        database.certutil(&["-N", "--empty-password"])?.success()?;
        let ca = specimens.ca();
        let ca = ca.to_str().context("UTF-8")?;
        database
            .certutil(&["-A", "-n", "authority", "-t", "CT,,", "-a", "-i", ca])?
            .success()?;
        Ok(database)
    }

    fn import(&self, kit: &Kit) -> anyhow::Result<()> {
        self.tool("pk12util")
            .arg("-i")
            .arg(kit.p12())
            .arg("-W")
            .arg(kit.passphrase()?)
            .run()?
            .success()?;
        Ok(())
    }

    /// Before and after revocation.
    fn judge_paths(&self, specimens: &Specimens) -> anyhow::Result<()> {
        for (crl, filled) in specimens.crls() {
            let der = self.0.join("der.crl");
            der_crl(crl, &der)?;
            let told = self.tool("crlutil").arg("-I").arg("-i").arg(&der).run()?;
            told.success()?;
            for issued in &specimens.issued {
                self.judge(issued, filled && issued.revoked)
                    .with_context(|| issued.name.clone())?;
            }
        }
        Ok(())
    }

    fn judge(&self, issued: &Issued, revoked: bool) -> anyhow::Result<()> {
        let (right, wrong) = match issued.purpose {
            Purpose::Server => ("V", "C"),
            Purpose::Client => ("C", "V"),
        };
        let verify = |usage| self.certutil(&["-V", "-n", &issued.name, "-u", usage]);
        let outcome = verify(right)?;
        if revoked {
            ensure!(outcome.code != Some(0), "{outcome:?}");
            let told = format!("{}{}", outcome.text(), outcome.stderr);
            ensure!(told.contains("has been revoked"), "{told}");
        } else {
            outcome.success()?;
        }
        let refusal = verify(wrong)?;
        ensure!(refusal.code != Some(0), "{refusal:?}");
        Ok(())
    }

    fn certutil(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        self.tool("certutil").args(words).run()
    }

    fn tool(&self, name: &str) -> Program {
        Program::new(name)
            .arg("-d")
            .arg(format!("sql:{}", self.0.display()))
    }
}
