//! Java judges with keytool.

use std::path::Path;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;

use crate::specimens::Issued;
use crate::specimens::Specimens;

pub(crate) fn judge(specimens: &Specimens) -> anyhow::Result<()> {
    for (crl, filled) in specimens.crls() {
        let told = keytool(&["-printcrl", "-file"], crl)?;
        let entries = told.matches("SerialNumber: ").count();
        ensure!(entries == if filled { 2 } else { 0 }, "{told}");
    }
    let told = keytool(&["-printcert", "-file"], &specimens.ca())?;
    ensure!(told.contains("CA:true"), "{told}");
    // A virtual machine for each is slow, and the same key in the leaf as in the authority shows
    // both; the difficult names have keys of one kind only.
    let some = specimens.issued.iter().filter(|issued| {
        issued.key == specimens.ca_key || !issued.name.is_ascii() || issued.name.contains('<')
    });
    for issued in some.filter(|issued| !issued.revoked) {
        let told = keytool(&["-printcert", "-file"], &issued.compat.crt())?;
        ensure!(told.contains("AuthorityKeyIdentifier"), "{told}");
        for kit in [&issued.compat, &issued.modern] {
            opens(specimens, issued, kit).with_context(|| issued.name.clone())?;
        }
    }
    Ok(())
}

/// Importing decrypts the key; the copy has the chain.
fn opens(specimens: &Specimens, issued: &Issued, kit: &Kit) -> anyhow::Result<()> {
    let copy = specimens.path("java.p12");
    if copy.exists() {
        std::fs::remove_file(&copy)?;
    }
    let passphrase = kit.passphrase()?;
    let done = Program::new("keytool")
        .args(["-importkeystore", "-noprompt", "-deststorepass", "changeit"])
        .args(["-srcstoretype", "PKCS12", "-srcstorepass", &passphrase])
        .arg("-srckeystore")
        .arg(kit.p12())
        .arg("-destkeystore")
        .arg(&copy)
        .run()?;
    done.success()?;
    let told = keytool(
        &["-list", "-v", "-storepass", "changeit", "-keystore"],
        &copy,
    )?;
    for part in ["1 entry", "PrivateKeyEntry", "chain length: 2"] {
        ensure!(told.contains(part), "{part}: {told}");
    }
    // As the alias, which Java writes in lower case.
    ensure!(told.contains(&issued.name.to_lowercase()), "{told}");
    Ok(())
}

fn keytool(words: &[&str], file: &Path) -> anyhow::Result<String> {
    Program::new("keytool")
        .args(["-J-Dfile.encoding=UTF-8", "-J-Duser.language=en"])
        .args(words)
        .arg(file)
        .run()?
        .success()
}
