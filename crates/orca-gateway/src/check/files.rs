//! The files of HTTPS.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, Text, render, text};
use orca_pki::crl::{self, Crl, CrlError, UnverifiedCrl};
use orca_pki::verification::Authorities;

use super::{failure, remote};
use crate::config::{CrlSource, CrlUnusable, HttpsFiles};
use crate::credentials::{Credentials, both_days};
use crate::reload::RuleFiles;

/// Certificate, key, authorities and revocation lists.
pub(super) fn https(files: &HttpsFiles, unusable: CrlUnusable, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::from_iter(key_mode(&files.server_pem));
    let credentials = match Credentials::load(files) {
        Ok(credentials) => credentials,
        Err(errors) => {
            findings.extend(errors.iter().map(|error| failure(error)));
            return findings;
        }
    };
    findings.push(loaded(&credentials, now));
    findings.extend(credentials.warnings(now));
    findings.extend(lists(
        &files.ca_crl,
        credentials.authorities(),
        unusable,
        now,
    ));
    findings
}

fn loaded(credentials: &Credentials, now: Timestamp) -> Finding {
    let server = credentials.server();
    let subject = render::one_line(&server.subject().one_line());
    let names = server.host_names();
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let (days, ja, en) = (
        server.validity().days_left(now),
        names.join("、"),
        names.join(", "),
    );
    Finding::ok(
        "server-certificate-loaded",
        text!(
            "サーバ証明書({subject})と鍵は対になっています。接続先: {ja}、残り{days}日。",
            "server certificate ({subject}) and key belong together; names: {en}; {days} days left"
        ),
    )
}

/// Operators and hours, of certificates of the authorities in `https`.
pub(super) fn rules(files: &RuleFiles, https: &HttpsFiles) -> Vec<Finding> {
    if *files == RuleFiles::default() {
        return Vec::new();
    }
    match files.read(&TimeZone::system()) {
        Ok(rules) => {
            let operators = rules.operators.len();
            let credentials = Credentials::load(https).ok();
            let warning = credentials.and_then(|known| rules.warning(known.authorities()));
            let read = Finding::ok(
                "rules-readable",
                text!(
                    "オペレータと利用時間の設定を読み取れます(オペレータ{operators}名)。",
                    "operators and hours can be read ({operators} operators listed)"
                ),
            );
            std::iter::once(read).chain(warning).collect()
        }
        Err(errors) => errors.iter().map(|error| failure(error)).collect(),
    }
}

/// Whoever reads the key can pretend to be the server.
fn key_mode(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let path = path.display();
    (mode & 0o007 != 0).then(|| {
        Finding::warning(
            "key-readable-by-others",
            text!(
                "SERVER_PEMの鍵({path})を他の利用者も読み取れます(権限{mode:o})。",
                "the key {path} (SERVER_PEM) can be read by others (mode {mode:o})"
            ),
            text!("sudo chmod 400 {path}", "sudo chmod 400 {path}"),
        )
    })
}

fn lists(
    source: &CrlSource,
    authorities: &Authorities,
    unusable: CrlUnusable,
    now: Timestamp,
) -> Vec<Finding> {
    let (file, place) = match source {
        CrlSource::File(path) => match fs::read(path) {
            Ok(file) => (file, path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return vec![graded(unusable, "crl-missing", missing(path))];
            }
            Err(error) => {
                let place = path.display().to_string();
                return vec![graded(unusable, "crl-unusable", broken(&place, &error))];
            }
        },
        CrlSource::Url(address) => match remote::content(address, authorities) {
            Ok(content) => (content, address.to_string()),
            Err(finding) => return vec![*finding],
        },
    };
    let lists = match crl::split(&file) {
        Ok(lists) => lists,
        Err(error) => return vec![graded(unusable, "crl-unusable", broken(&place, &error))],
    };
    let read: Vec<Result<Crl, CrlError>> = lists
        .iter()
        .map(|der| {
            let certificates = authorities.iter().map(AsRef::as_ref);
            UnverifiedCrl::from_der(der)?.verify(certificates)
        })
        .collect();
    let covered = |key| read.iter().flatten().any(|crl| crl.issuer_key() == key);
    let uncovered = authorities
        .iter()
        .filter(|authority| !covered(authority.key_id()))
        .map(|authority| {
            let subject = authority.subject().one_line();
            graded(unusable, "crl-missing", not_in_file(&place, &subject))
        });
    read.iter()
        .map(|list| match list {
            Ok(crl) => state(crl, unusable, now),
            Err(error) => graded(unusable, "crl-unusable", broken(&place, error)),
        })
        .chain(uncovered)
        .collect()
}

fn state(crl: &Crl, unusable: CrlUnusable, now: Timestamp) -> Finding {
    let issuer = render::one_line(&crl.issuer().one_line());
    let (number, entries) = (crl.number(), crl.len());
    let (ja, en) = both_days(crl.next_update());
    if crl.is_overdue(now) {
        let message = text!(
            "CRL(発行者 {issuer}、番号{number})の期限({ja})が切れています。",
            "the CRL of {issuer}, number {number}, was due to be replaced by {en}"
        );
        return graded(unusable, "crl-overdue", message);
    }
    Finding::ok(
        "crl-good",
        text!(
            "CRL(発行者 {issuer}、番号{number}、失効{entries}件)は{ja}まで有効です。",
            "the CRL of {issuer}, number {number}, {entries} revoked, is good until {en}"
        ),
    )
}

/// A list that cannot be relied on stops clients only where the configuration says so.
fn graded(unusable: CrlUnusable, id: &'static str, message: Text) -> Finding {
    let remedy = text!(
        "orca-catool issue_crl で発行したCRLを、CA_CRLの場所(省略時はCA_CRTと同じフォルダのca.crl)に置いてください。",
        "put the CRL of orca-catool issue_crl where CA_CRL says (by default ca.crl beside CA_CRT)"
    );
    match unusable {
        CrlUnusable::Refuse => Finding::failure(id, message, remedy),
        CrlUnusable::Warn => Finding::warning(id, message, remedy),
    }
}

fn missing(path: &Path) -> Text {
    let path = path.display();
    text!(
        "CRL({path})がないため、証明書の失効を確認できません。",
        "there is no CRL at {path}: revocation is not checked"
    )
}

fn not_in_file(path: &str, subject: &str) -> Text {
    let subject = render::one_line(subject);
    text!(
        "{path}に認証局({subject})のCRLがないため、その証明書の失効を確認できません。",
        "{path} holds no CRL of {subject}: revocation of its certificates is not checked"
    )
}

fn broken(path: &str, error: &dyn std::error::Error) -> Text {
    let error = render::one_line(&error.to_string());
    text!(
        "CRL({path})を使用できません({error})。",
        "the CRL in {path} cannot be used: {error}"
    )
}
