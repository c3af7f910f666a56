//! The files of HTTPS.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, render, text};
use orca_pki::certificate::Certificate;
use orca_pki::verification::Authorities;

use super::{failure, remote};
use crate::config::{CrlSource, CrlUnusable, HttpsFiles};
use crate::credentials::{Credentials, both_days};
use crate::crl_store::{CrlStore, Offered};
use crate::reload::{Alarm, ListSource, RuleFiles, Trouble, told};
use crate::trust::{CrlReport, TrustSnapshot};

/// Certificate, key, authorities and revocation lists.
pub(super) fn https(
    files: &HttpsFiles,
    state: &Path,
    unusable: CrlUnusable,
    now: Timestamp,
) -> Vec<Finding> {
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
    let authorities = credentials.authorities();
    findings.extend(lists(files, authorities, state, unusable, now));
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

/// As a start does it, with what `GATEWAY_STATE` remembers; nothing is written.
fn lists(
    files: &HttpsFiles,
    authorities: &Authorities,
    state: &Path,
    unusable: CrlUnusable,
    now: Timestamp,
) -> Vec<Finding> {
    let mut store = CrlStore::over(state);
    let mut findings = store.recall(authorities);
    for authority in store.asked_resets(authorities) {
        findings.push(reset_pending(&mut store, &authority));
    }
    let mut gone = false;
    let mut offer = |octets: &mut dyn BufRead, source: ListSource| {
        let offered = store.offer(octets, source.carrier(), authorities, now);
        let troubles = offered.iter().filter(|offer| !is_taken(offer));
        findings.extend(troubles.flat_map(|offer| told(offer, &source)));
    };
    match &files.ca_crl {
        CrlSource::File(path) => match File::open(path) {
            Ok(file) => offer(&mut BufReader::new(file), ListSource::File(path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                gone = store.relies_on_file(authorities);
            }
            Err(error) => findings.push(broken(path, &error)),
        },
        CrlSource::Url(address) => match remote::content(address, authorities) {
            Ok(octets) => offer(&mut &octets[..], ListSource::Polled(address.to_string())),
            Err(finding) => findings.push(*finding),
        },
    }
    let trust = TrustSnapshot::new(authorities.clone(), store.newest(), unusable);
    let reports = trust.crl_reports(now);
    let alarms = reports
        .iter()
        .map(|report| (Alarm::of(report), Some(report)));
    let gone = gone.then_some((Some(Alarm::FileGone), None));
    findings.extend(alarms.chain(gone).flat_map(|(alarm, report)| {
        let Some(alarm) = alarm else {
            return report.and_then(good);
        };
        let trouble = Trouble {
            alarm,
            report,
            source: &files.ca_crl,
            unusable,
        };
        Some(graded(unusable, alarm, trouble.finding()))
    }));
    findings
}

/// `reset_crl` was called while no gateway ran: what a start would do with it.
fn reset_pending(store: &mut CrlStore, authority: &Certificate) -> Finding {
    let key = authority.key_id();
    let subject = render::one_line(&authority.subject().one_line());
    let number = match store.forget_number(key) {
        Some(number) => text!("番号{number}", "number {number}"),
        None => text!("番号の記録なし", "no number is remembered"),
    };
    let (ja, en) = (number.ja, number.en);
    let marker = store.reset_path(key);
    let marker = marker.display();
    Finding::warning(
        "crl-reset-pending",
        text!(
            "reset_crl により、次の起動時に認証局({subject})のCRLの記録({ja})を消去します。その次に届くCRLは、番号が古くても使用します。",
            "reset_crl was called: the next start forgets what is known of the CRL of {subject} ({en}); the next CRL of it is taken whatever its number"
        ),
        text!(
            "使用するCRLを CA_CRL の場所に置いてから起動してください。取りやめる場合は {marker} を削除してください。",
            "put the CRL that is to count where CA_CRL says, then start; to take it back remove {marker}"
        ),
    )
}

fn is_taken(offer: &Offered) -> bool {
    matches!(offer, Offered::Taken(_))
}

fn good(report: &CrlReport) -> Option<Finding> {
    let crl = report.crl.as_deref()?;
    let issuer = render::one_line(&crl.issuer().one_line());
    let (number, entries) = (crl.number(), crl.len());
    let (ja, en) = both_days(crl.next_update());
    Some(Finding::ok(
        "crl-good",
        text!(
            "CRL(発行者 {issuer}、番号{number}、失効{entries}件)は{ja}まで有効です。",
            "the CRL of {issuer}, number {number}, {entries} revoked, is good until {en}"
        ),
    ))
}

/// A list that cannot be relied on stops clients only where the configuration says so.
fn graded(unusable: CrlUnusable, alarm: Alarm, finding: Finding) -> Finding {
    match (unusable, alarm, finding.remedy) {
        (CrlUnusable::Refuse, Alarm::Missing | Alarm::Overdue, Some(remedy)) => {
            Finding::failure(finding.id, finding.message, remedy)
        }
        (_, _, remedy) => Finding { remedy, ..finding },
    }
}

fn broken(path: &Path, error: &io::Error) -> Finding {
    let (path, error) = (path.display(), render::one_line(&error.to_string()));
    Finding::warning(
        "crl-unusable",
        text!(
            "CRL({path})を使用できません({error})。",
            "the CRL in {path} cannot be used: {error}"
        ),
        text!(
            "ファイルの所有者と権限を確認してください。",
            "check owner and mode of the file"
        ),
    )
}
