//! The client's certificate, judged from its file or by the server.

use jiff::Timestamp;
use orca_messages::{Finding, text};
use orca_pki::certificate::{CLIENT_AUTH, Certificate};
use orca_pki::crl::UnverifiedCrl;
use orca_pki::validity::ValidityState;

use super::{
    Beliefs, Ending, Registered, ago, day, is_issued_by, name, names, pkcs12, span, which,
};
use crate::facts::{Contact, Lists};
use crate::identity::{Identity, Pair};

/// Who judged.
pub(super) enum Whose {
    /// We did.
    Ours,
    /// The server, with the number on its page and its clock so many seconds ahead of ours.
    Server { number: String, ahead: i64 },
}

impl Whose {
    /// Behind the sentence, with a blank before it: `(E-102)`.
    fn mark(&self) -> String {
        match self {
            Self::Server { number, .. } if number.starts_with('E') => format!(" ({number})"),
            _ => String::new(),
        }
    }
}

pub(super) fn findings(
    client: &Identity,
    lists: &Lists,
    beliefs: &Beliefs,
    now: Timestamp,
) -> Vec<Finding> {
    let certificate = &client.certificate;
    let mut findings = Vec::new();
    if client.pair == Pair::Differs {
        findings.push(wrong_pair(client));
    }
    if !beliefs.authorities.is_empty()
        && !is_issued_by(certificate, &client.others, &beliefs.authorities)
    {
        findings.push(unknown_ca(client, &Whose::Ours, beliefs));
    }
    if let Some(at) = revoked_at(certificate, lists, beliefs) {
        findings.push(revoked(client, &Whose::Ours, Some(at), beliefs));
    }
    match certificate.validity().state(now) {
        ValidityState::Expired => findings.push(expired(client, &Whose::Ours, beliefs, now)),
        ValidityState::NotYetValid => {
            findings.push(not_yet_valid(client, &Whose::Ours, beliefs));
        }
        ValidityState::Valid => {}
    }
    if !is_for_clients(certificate) {
        findings.push(wrong_usage(client, &Whose::Ours));
    }
    if beliefs.registered == Registered::Absent {
        findings.push(not_in_register(certificate));
    }
    findings.extend(client.pkcs12.iter().flat_map(pkcs12::findings));
    if !findings.iter().any(|finding| finding.remedy.is_some()) {
        findings.push(good(certificate, beliefs, now));
    }
    findings
}

/// When the client's certificate was withdrawn, by register or server; none where it was not.
pub fn revocation(
    client: &Identity,
    contact: Option<&Contact>,
    beliefs: &Beliefs,
) -> Option<Ending> {
    let lists = match contact {
        Some(Contact::Tls(seen)) => &seen.lists,
        _ => &Lists::Unknown,
    };
    let certificate = &client.certificate;
    let at = revoked_at(certificate, lists, beliefs)?;
    Some(Ending::Revoked(certificate.clone(), at))
}

fn revoked_at(certificate: &Certificate, lists: &Lists, beliefs: &Beliefs) -> Option<Timestamp> {
    if let Registered::Revoked(at) = beliefs.registered {
        return Some(at);
    }
    let Lists::Found(lists) = lists else {
        return None;
    };
    lists.iter().find_map(|der| {
        let list = UnverifiedCrl::from_der(der).ok()?;
        let list = list.verify(&beliefs.authorities).ok()?;
        let issuer = beliefs.authorities.iter().find(|authority| {
            authority.key_id() == list.issuer_key()
                && certificate.verify_signature(authority).is_ok()
        });
        issuer.and_then(|_| list.revoked_at(certificate.serial()))
    })
}

fn is_for_clients(certificate: &Certificate) -> bool {
    let purposes = certificate.extended_key_usage();
    !certificate.is_ca() && purposes.is_none_or(|purposes| purposes.contains(&CLIENT_AUTH))
}

fn good(certificate: &Certificate, beliefs: &Beliefs, now: Timestamp) -> Finding {
    let (which_ja, which_en) = which(certificate);
    let validity = certificate.validity();
    let days = validity.days_left(now);
    let (day_ja, day_en) = day(validity.not_after, &beliefs.zone);
    Finding::ok(
        "client-certificate-good",
        text!(
            "クライアント証明書({which_ja})に問題はありません({day_ja}まで、残り{days}日)。",
            "the client certificate ({which_en}) is in order until {day_en} ({days} days left)"
        ),
    )
}

pub(super) fn wrong_pair(client: &Identity) -> Finding {
    let (ja, en) = which(&client.certificate);
    Finding::failure(
        "wrong-pair",
        text!(
            "鍵が証明書({ja})のものではありません。別の証明書の鍵が指定されています。",
            "the key does not belong to the certificate ({en}): it is another one's"
        ),
        text!(
            "同じフォルダにある「….crt」と「….pem」の組を指定してください。見つからない場合は orca-catool export_cert で書き出してください。",
            "take .crt and .pem from one folder; orca-catool export_cert writes them again"
        ),
    )
}

pub(super) fn expired(client: &Identity, by: &Whose, beliefs: &Beliefs, now: Timestamp) -> Finding {
    let certificate = &client.certificate;
    let ((ja, en), mark) = (which(certificate), by.mark());
    let not_after = certificate.validity().not_after;
    let (day_ja, day_en) = day(not_after, &beliefs.zone);
    if not_after.as_second() < now.as_second() {
        let (ago_ja, ago_en) = ago(not_after, now);
        let name = name(certificate);
        return Finding::failure(
            "expired",
            text!(
                "クライアント証明書({ja})の有効期限が{ago_ja}({day_ja})に切れています{mark}。",
                "the client certificate ({en}) expired {ago_en} ({day_en}){mark}"
            ),
            text!(
                "orca-catool issue_client_cert -c {name} で新しい証明書を発行し、端末に登録してください。日レセのパスワードの変更は不要です。",
                "issue a new one with orca-catool issue_client_cert -c {name} and install it; passwords stay as they are"
            ),
        );
    }
    Finding::failure(
        "expired",
        text!(
            "クライアント証明書({ja})は{day_ja}まで有効ですが、サーバは期限切れと判定しました{mark}。サーバの時計が違っているか、認証局の期限が切れています。",
            "the client certificate ({en}) is good until {day_en}, but the server says that it has expired{mark}: its clock is wrong, or the CA has ended"
        ),
        text!(
            "サーバの時刻を timedatectl で確認してください。",
            "check the clock of the server with timedatectl"
        ),
    )
}

pub(super) fn not_yet_valid(client: &Identity, by: &Whose, beliefs: &Beliefs) -> Finding {
    let certificate = &client.certificate;
    let ((ja, en), mark) = (which(certificate), by.mark());
    let (day_ja, day_en) = day(certificate.validity().not_before, &beliefs.zone);
    match by {
        Whose::Ours => Finding::failure(
            "not-yet-valid",
            text!(
                "クライアント証明書({ja})の有効期間がまだ始まっていません(開始日 {day_ja})。この端末の時計が遅れている可能性があります。",
                "the client certificate ({en}) is not valid before {day_en}: the clock of this machine may be slow"
            ),
            text!(
                "「日付と時刻」でこの端末の時刻を合わせてから再接続してください。",
                "set the clock of this machine and connect again"
            ),
        ),
        Whose::Server { ahead, .. } => {
            let (behind_ja, behind_en) = span(ahead.unsigned_abs());
            Finding::failure(
                "not-yet-valid",
                text!(
                    "クライアント証明書({ja})の有効期間は{day_ja}に始まっていますが、サーバは「有効期間前」と判定しました{mark}。サーバの時計は、この端末と{behind_ja}違います。",
                    "the client certificate ({en}) is good from {day_en} on, but the server says that it is not valid yet{mark}; its clock is {behind_en} from ours"
                ),
                text!(
                    "サーバの時刻を timedatectl で確認し、合わせてください。端末の時計が進んでいる場合は、端末の時刻を合わせてください。",
                    "check and set the clock of the server with timedatectl; if it is the client's that is fast, set that"
                ),
            )
        }
    }
}

pub(super) fn revoked(
    client: &Identity,
    by: &Whose,
    at: Option<Timestamp>,
    beliefs: &Beliefs,
) -> Finding {
    let certificate = &client.certificate;
    let ((ja, en), mark, name) = (which(certificate), by.mark(), name(certificate));
    let at = at.or(match beliefs.registered {
        Registered::Revoked(at) => Some(at),
        _ => None,
    });
    let (day_ja, day_en) = match at.map(|at| day(at, &beliefs.zone)) {
        Some((ja, en)) => (format!("{ja}に"), format!(" on {en}")),
        None => Default::default(),
    };
    Finding::failure(
        "revoked",
        text!(
            "クライアント証明書({ja})は{day_ja}破棄(失効)されています{mark}。",
            "the client certificate ({en}) was revoked{day_en}{mark}"
        ),
        text!(
            "この端末を引き続き使用する場合は、orca-catool issue_client_cert -c {name} で新しい証明書を発行してください。破棄の取り消しはできません。",
            "to go on using the machine, issue a new one with orca-catool issue_client_cert -c {name}; a revocation cannot be taken back"
        ),
    )
}

pub(super) fn unknown_ca(client: &Identity, by: &Whose, beliefs: &Beliefs) -> Finding {
    let certificate = &client.certificate;
    let ((ja, en), mark) = (which(certificate), by.mark());
    let issuer = certificate.issuer();
    let issuer = issuer.common_name().unwrap_or_else(|| issuer.one_line());
    let issuer = orca_messages::render::one_line(&issuer);
    let ours = is_issued_by(certificate, &client.others, &beliefs.authorities);
    if !ours || matches!(by, Whose::Ours) {
        let (ours_ja, ours_en) = match beliefs.authorities.is_empty() {
            true => ("当院の認証局".to_owned(), "the CA of the clinic".to_owned()),
            false => {
                let (ja, en) = names(&beliefs.authorities);
                (format!("当院の認証局「{ja}」"), en)
            }
        };
        return Finding::failure(
            "unknown-ca",
            text!(
                "クライアント証明書({ja})の発行元「{issuer}」は、{ours_ja}ではありません{mark}。オンライン資格確認など、別の証明書の可能性があります。",
                "the client certificate ({en}) was issued by {issuer}, not by {ours_en}{mark}; it may be that of another service"
            ),
            text!(
                "発行者が{ours_ja}の証明書を選択してください。ない場合は orca-catool issue_client_cert で発行してください。",
                "choose a certificate issued by {ours_en}; if there is none, run orca-catool issue_client_cert"
            ),
        );
    }
    Finding::failure(
        "unknown-ca",
        text!(
            "クライアント証明書({ja})は認証局「{issuer}」が発行したものですが、サーバは別の認証局を信頼しています{mark}。",
            "the client certificate ({en}) was issued by {issuer}, but the server trusts another CA{mark}"
        ),
        text!(
            "サーバの CA_CRT を、この認証局のca.crtにしてください(orca-catool server_kit)。認証局を作り直した場合は、全端末の証明書を発行し直してください。",
            "let CA_CRT on the server be the ca.crt of this CA (orca-catool server_kit); if the CA was made anew, issue all certificates again"
        ),
    )
}

pub(super) fn wrong_usage(client: &Identity, by: &Whose) -> Finding {
    let ((ja, en), mark) = (which(&client.certificate), by.mark());
    Finding::failure(
        "wrong-usage",
        text!(
            "証明書({ja})は、端末の認証用ではありません{mark}。サーバ用や認証局の証明書が指定されています。",
            "the certificate ({en}) is not made for clients{mark}: it is a server's or a CA's"
        ),
        text!(
            "orca-catool issue_client_cert で発行した証明書を使用してください。",
            "use one made by orca-catool issue_client_cert"
        ),
    )
}

pub(super) fn outside_hours(client: &Identity, by: &Whose) -> Finding {
    let ((ja, en), mark) = (which(&client.certificate), by.mark());
    Finding::failure(
        "outside-hours",
        text!(
            "クライアント証明書({ja})は、今の時間には使用できません{mark}。サーバの GATEWAY_WINDOWS の設定によるもので、証明書に問題はありません。",
            "the client certificate ({en}) may not be used at this hour{mark}: GATEWAY_WINDOWS of the server says so, and the certificate is in order"
        ),
        text!(
            "時間外の作業が必要な場合は、医院の管理者に連絡してください。時間内のはずの場合は、サーバの時刻を timedatectl で、時間を GATEWAY_WINDOWS のファイルで確認してください。",
            "if work is needed now, call the clinic's administrator; if the hour should be right, check the clock of the server with timedatectl and the file of GATEWAY_WINDOWS"
        ),
    )
}

fn not_in_register(certificate: &Certificate) -> Finding {
    let (ja, en) = which(certificate);
    Finding::warning(
        "not-in-register",
        text!(
            "この認証局の証明書({ja})ですが、台帳に記録がありません。",
            "this CA signed the certificate ({en}), but the register has no record of it"
        ),
        text!(
            "認証局をバックアップから戻した場合に起こります。この証明書は破棄できないため、docs/revocation.md を確認してください。",
            "that happens after a CA was restored from a backup; it cannot be revoked by number: see docs/revocation.md"
        ),
    )
}
