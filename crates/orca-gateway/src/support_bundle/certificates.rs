//! What everybody may know of the certificates that the configuration names. Files of keys are not
//! opened.

use std::path::Path;

use jiff::Timestamp;
use orca_messages::render::one_line;
use orca_messages::{Text, text};
use orca_pki::certificate::Certificate;

use super::Item;
use crate::config::{Mode, Reading};

/// The facts, file by file.
pub(super) fn item(reading: Option<&Reading>, now: Timestamp) -> Item {
    let about = text!(
        "証明書の名前、期限、指紋",
        "names, dates and fingerprints of certificates"
    );
    let content = match reading {
        Some(reading) => Ok(files(reading)
            .iter()
            .map(|(key, path)| of_file(key, path, now))
            .collect()),
        None => Err(no_conf()),
    };
    Item::new("certificates.txt", about, content)
}

fn no_conf() -> Text {
    text!(
        "設定ファイルを読み取れません",
        "there is no configuration to read"
    )
}

fn files(reading: &Reading) -> Vec<(&'static str, &Path)> {
    let mut files = Vec::new();
    if let Some(Mode::Https(https)) = &reading.mode {
        files.push(("SERVER_CRT", https.server_crt.as_path()));
        files.push(("CA_CRT", https.ca_crt.as_path()));
    }
    if let Ok(config) = &reading.config {
        let upstream = &config.upstream;
        let ca = upstream.ca.as_deref();
        files.extend(ca.map(|path| ("GATEWAY_UPSTREAM_CA", path)));
        let identity = upstream.identity.as_ref();
        files.extend(identity.map(|ours| ("GATEWAY_UPSTREAM_CRT", ours.crt.as_path())));
    }
    files
}

fn of_file(key: &str, path: &Path, now: Timestamp) -> String {
    let shown = one_line(&path.display().to_string());
    let told = match std::fs::read(path) {
        Err(error) => format!("  {error}\n"),
        Ok(octets) => match Certificate::all_from_pem(&octets) {
            Err(error) => format!("  {error}\n"),
            Ok(certificates) => certificates.iter().map(|one| facts(one, now)).collect(),
        },
    };
    format!("{key} {shown}\n{told}\n")
}

fn facts(certificate: &Certificate, now: Timestamp) -> String {
    let validity = certificate.validity();
    let names: Vec<_> = certificate
        .host_names()
        .iter()
        .map(ToString::to_string)
        .collect();
    let kind = match certificate.is_ca() {
        true => "CA",
        false => "end entity",
    };
    format!(
        "  subject     {}\n  issuer      {}\n  serial      {}\n  kind        {kind}\n  names       {}\n  \
         not before  {}\n  not after   {} ({} days left)\n  sha256      {}\n",
        one_line(&certificate.subject().one_line()),
        one_line(&certificate.issuer().one_line()),
        certificate.serial().decimal(),
        one_line(&names.join(", ")),
        validity.not_before,
        validity.not_after,
        validity.days_left(now),
        certificate.fingerprint(),
    )
}
