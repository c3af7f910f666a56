//! The CA itself.

use std::os::unix::fs::PermissionsExt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_ca::record::{CertificateRecord, Standing};
use orca_ca::{Authority, Error};
use orca_diagnosis::checks::Ending;
use orca_messages::{Finding, Lang, render, text};
use orca_pki::profile::CertificateProfile;

/// What ends within so many days is told without being asked.
const SOON: i64 = 30;
const DAY: i64 = 86_400;

/// What is wrong with the CA, and all that will end.
pub(super) fn findings(
    authority: &Authority,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<(Vec<Finding>, Vec<Ending>), Error> {
    let records = authority.list()?;
    let mut findings = vec![about_ca(authority, now, zone)];
    findings.extend(exposed(authority));
    findings.extend(about_list(authority, now, zone)?);
    findings.extend(behind(authority)?);
    findings.extend(ending(&records, now, zone));
    let valid = records
        .iter()
        .filter(|record| record.standing(now) == Standing::Valid);
    let mut endings: Vec<Ending> = valid
        .filter_map(|record| {
            let certificate = record.certificate.clone()?;
            Some(match record.reservation.profile {
                CertificateProfile::Server => Ending::Server(certificate),
                _ => Ending::Client(certificate),
            })
        })
        .collect();
    if let Some(crl) = authority.newest_crl()? {
        endings.push(Ending::List(crl.number.to_string(), crl.next_update));
    }
    Ok((findings, endings))
}

fn about_ca(authority: &Authority, now: Timestamp, zone: &TimeZone) -> Finding {
    let ca = authority.certificate();
    let name = render::one_line(&ca.subject().one_line());
    let validity = ca.validity();
    let days = validity.days_left(now);
    let ja = render::date(validity.not_after, zone, Lang::Ja);
    let en = render::date(validity.not_after, zone, Lang::En);
    if days < 0 {
        return Finding::failure(
            "ca-not-valid",
            text!(
                "認証局({name})の有効期限が{ja}に切れています。発行した証明書はすべて使用できません。",
                "the CA ({name}) ended on {en}; nothing it issued can be used"
            ),
            text!(
                "新しい認証局を作成し、サーバと全端末の証明書を発行し直してください。",
                "make a new CA and issue the certificates of server and clients again"
            ),
        );
    }
    if days <= SOON {
        return Finding::warning(
            "ca-ends-soon",
            text!(
                "認証局({name})の有効期限は{ja}に切れます(残り{days}日)。",
                "the CA ({name}) ends on {en}, in {days} days"
            ),
            text!(
                "新しい認証局の作成と、全端末の証明書の入れ替えを計画してください。",
                "plan a new CA, and new certificates for all clients"
            ),
        );
    }
    Finding::ok(
        "ca-good",
        text!(
            "認証局({name})の鍵と台帳を読み取れます({ja}まで)。",
            "key and register of the CA ({name}) can be read; it is good until {en}"
        ),
    )
}

fn exposed(authority: &Authority) -> Vec<Finding> {
    let mut paths = authority.exposed_files();
    let folder = authority.place().folder().to_owned();
    let mode = std::fs::metadata(&folder).map(|folder| folder.permissions().mode());
    if authority.place().is_default() && mode.is_ok_and(|mode| mode & 0o077 != 0) {
        paths.push(folder);
    }
    paths.dedup();
    let findings = paths.iter().map(|path| {
        let path = path.display();
        Finding::failure(
            "exposed-files",
            text!(
                "{path} を他のユーザが読み取れます。",
                "other users can read {path}"
            ),
            text!(
                "chmod go= {path} を実行してください。",
                "run chmod go= {path}"
            ),
        )
    });
    findings.collect()
}

fn about_list(
    authority: &Authority,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Vec<Finding>, Error> {
    let Some(crl) = authority.newest_crl()? else {
        return Ok(vec![Finding::failure(
            "crl-missing",
            text!(
                "破棄リスト(CRL)がまだ発行されていません。",
                "no revocation list has been made yet"
            ),
            text!(
                "orca-catool issue_crl を実行してください。",
                "run orca-catool issue_crl"
            ),
        )]);
    };
    let number = crl.number;
    let ja = render::date(crl.next_update, zone, Lang::Ja);
    let en = render::date(crl.next_update, zone, Lang::En);
    let mut findings = Vec::new();
    findings.push(match crl.next_update < now {
        true => Finding::failure(
            "crl-overdue",
            text!(
                "破棄リスト(番号{number})の期限が{ja}に切れています。",
                "the revocation list, number {number}, ran out on {en}"
            ),
            text!(
                "orca-catool issue_crl を実行してください。",
                "run orca-catool issue_crl"
            ),
        ),
        false => Finding::ok(
            "crl-good",
            text!(
                "破棄リスト(番号{number})は{ja}まで有効です。",
                "the revocation list, number {number}, is good until {en}"
            ),
        ),
    });
    if authority.config().crl_publish.is_empty() {
        findings.push(Finding::warning(
            "crl-goes-nowhere",
            text!(
                "config.yml の :crl_publish: が空です。証明書を破棄しても、サーバには伝わりません。",
                ":crl_publish: in config.yml is empty: no server learns of a revocation"
            ),
            text!(
                "サーバのアドレスを加えてください(例 :crl_publish: [\"https://192.168.1.100:8000\"])。",
                "add the server, e.g. :crl_publish: [\"https://192.168.1.100:8000\"]"
            ),
        ));
    }
    Ok(findings)
}

fn behind(authority: &Authority) -> Result<Vec<Finding>, Error> {
    let laggards = authority.laggards()?;
    let findings = laggards.iter().map(|laggard| {
        let place = render::one_line(&laggard.place);
        let cause = laggard.failure.as_ref().map(|failure| failure.text());
        let (ja, en) = match cause {
            Some(cause) => (format!(" 原因: {}", cause.ja), format!(": {}", cause.en)),
            None => Default::default(),
        };
        Finding::failure(
            "crl-not-delivered",
            text!(
                "最新の破棄リストが {place} に届いていません。{ja}",
                "the newest revocation list has not reached {place}{en}"
            ),
            text!(
                "原因を取り除いてから orca-catool publish_crl を実行してください。",
                "remove the cause, then run orca-catool publish_crl"
            ),
        )
    });
    Ok(findings.collect())
}

/// Valid certificates that end within [`SOON`].
fn ending(records: &[CertificateRecord], now: Timestamp, zone: &TimeZone) -> Vec<Finding> {
    let soon = records.iter().filter(|record| {
        record.standing(now) == Standing::Valid
            && record.certificate.as_ref().is_some_and(|certificate| {
                certificate.validity().not_after.as_second() - now.as_second() <= SOON * DAY
            })
    });
    let findings = soon.filter_map(|record| {
        let validity = record.certificate.as_ref()?.validity();
        let (serial, name) = (&record.serial, &record.reservation.common_name);
        let days = validity.days_left(now);
        let ja = render::date(validity.not_after, zone, Lang::Ja);
        let en = render::date(validity.not_after, zone, Lang::En);
        Some(Finding::warning(
            "certificate-ends-soon",
            text!(
                "証明書(番号{serial}、{name})の有効期限は{ja}に切れます(残り{days}日)。",
                "the certificate (number {serial}, {name}) expires on {en}, in {days} days"
            ),
            text!(
                "使用を続ける場合は、発行し直して設置してください(orca-catool list_cert --expiring 30 で一覧できます)。",
                "if it is still in use, issue it again and install it; orca-catool list_cert --expiring 30 lists them all"
            ),
        ))
    });
    findings.collect()
}
