//! A delivery, unpacked.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::program::Program;

/// The files of one certificate, as they lie after `unzip`.
#[derive(Clone, Debug)]
pub struct Kit {
    zip: PathBuf,
    dir: PathBuf,
    base: String,
}

impl Kit {
    /// Unpacks `zip` into `place` with the program the guide names.
    ///
    /// # Errors
    ///
    /// When it is no zip, or unzip is missing.
    pub fn unpack(zip: &Path, place: &Path) -> anyhow::Result<Self> {
        Program::new("unzip")
            .args(["-q", "-o"])
            .arg(zip)
            .arg("-d")
            .arg(place)
            .run()?
            .success()?;
        let base = zip.file_stem().context("a zip has a name")?;
        let base = base.to_str().context("names are UTF-8")?.to_owned();
        Ok(Self {
            zip: zip.to_owned(),
            dir: place.join(&base),
            base,
        })
    }

    /// The zip it came in.
    pub fn zip(&self) -> &Path {
        &self.zip
    }

    /// `000003__JP_orca_user1`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The six digits in front.
    pub fn number(&self) -> &str {
        &self.base[..6]
    }

    /// The folder that was in the zip.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The certificate, PEM.
    pub fn crt(&self) -> PathBuf {
        self.file("crt")
    }

    /// The private key without passphrase, PEM.
    pub fn pem(&self) -> PathBuf {
        self.file("pem")
    }

    /// The private key under the passphrase, PEM.
    pub fn enc_pem(&self) -> PathBuf {
        self.file("enc.pem")
    }

    /// PKCS#12 under the passphrase.
    pub fn p12(&self) -> PathBuf {
        self.file("p12")
    }

    /// The certificate of the authority, PEM.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// The passphrase itself, without the line feed behind it.
    ///
    /// # Errors
    ///
    /// When the file is missing.
    pub fn passphrase(&self) -> anyhow::Result<String> {
        let text = std::fs::read_to_string(self.file("pass"))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.base))
    }
}
