//! A store of certificates as Chromium and Firefox keep it (NSS).

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::kit::Kit;
use crate::program::Program;

/// A store without a password.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// Makes an empty one in this folder, which may exist.
    ///
    /// # Errors
    ///
    /// When certutil is missing.
    pub fn new(dir: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let store = Self { dir };
        store.run("certutil", &["-N", "--empty-password"])?;
        Ok(store)
    }

    /// Imports the `.p12` of a delivery with the passphrase beside it.
    ///
    /// # Errors
    ///
    /// When pk12util refuses the file.
    pub fn import_p12(&self, kit: &Kit) -> anyhow::Result<()> {
        self.import(&kit.p12(), &kit.passphrase()?)
    }

    /// Imports certificate and key of a delivery, but not the authority's certificate: NSS takes no
    /// second one with the same name and serial number.
    ///
    /// # Errors
    ///
    /// When openssl or pk12util refuses the files.
    pub fn import_without_ca(&self, kit: &Kit) -> anyhow::Result<()> {
        let bare = self.dir.join("bare.p12");
        Program::new("openssl")
            .args(["pkcs12", "-export", "-passout", "pass:bare", "-in"])
            .arg(kit.crt())
            .arg("-inkey")
            .arg(kit.pem())
            .arg("-out")
            .arg(&bare)
            .run()?
            .success()?;
        self.import(&bare, "bare")
    }

    /// Imports `ca.crt` and trusts it for servers.
    ///
    /// # Errors
    ///
    /// When certutil refuses the file.
    pub fn import_ca(&self, ca: &Path) -> anyhow::Result<()> {
        let ca = ca.to_str().context("paths are UTF-8")?;
        self.run("certutil", &["-A", "-n", "orca CA", "-t", "C,,", "-i", ca])
    }

    /// Exports certificate and key of a nickname, with further options of pk12util.
    ///
    /// # Errors
    ///
    /// When pk12util refuses.
    pub fn export(
        &self,
        nickname: &str,
        to: &Path,
        passphrase: &str,
        options: &[&str],
    ) -> anyhow::Result<()> {
        let to = to.to_str().context("paths are UTF-8")?;
        let words = ["-o", to, "-n", nickname, "-W", passphrase];
        self.run("pk12util", &[&words, options].concat())
    }

    fn import(&self, p12: &Path, passphrase: &str) -> anyhow::Result<()> {
        let p12 = p12.to_str().context("paths are UTF-8")?;
        self.run("pk12util", &["-i", p12, "-W", passphrase])
    }

    fn run(&self, tool: &str, args: &[&str]) -> anyhow::Result<()> {
        Program::new(tool)
            .args(["-d", &format!("sql:{}", self.dir.display())])
            .args(args)
            .run()?
            .success()?;
        Ok(())
    }
}
