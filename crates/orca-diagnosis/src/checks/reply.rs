//! What the server answered, and by which clock.

use jiff::Timestamp;
use orca_messages::{Finding, Text, text};
use rustls::AlertDescription as Alert;

use super::client::{self, Whose};
use super::{Beliefs, Registered, span};
use crate::facts::{Answer, Asked, Lists, Reply, Seen};
use crate::identity::Identity;

/// Clocks of a clinic's machines may differ by this many seconds.
const TOLERANCE: u64 = 120;

/// The server's clock against ours.
pub(super) fn clock(answer: &Answer) -> Option<Finding> {
    let Answer::Http(Reply {
        ahead: Some(ahead), ..
    }) = answer
    else {
        return None;
    };
    let (ja, en) = span(ahead.unsigned_abs());
    if ahead.unsigned_abs() <= TOLERANCE {
        return Some(Finding::ok(
            "clock-agrees",
            text!(
                "この端末の時計とサーバの時計は合っています(差 {ja})。",
                "the clocks of this machine and of the server agree ({en} apart)"
            ),
        ));
    }
    let (ahead_ja, ahead_en) = match *ahead > 0 {
        true => ("遅れて", "behind"),
        false => ("進んで", "ahead of"),
    };
    Some(Finding::failure(
        "clock-differs",
        text!(
            "この端末の時計がサーバより{ja}{ahead_ja}います。証明書が「有効期間前」や「期限切れ」と判定されることがあります。",
            "the clock of this machine is {en} {ahead_en} that of the server: certificates may seem to be not yet valid or expired"
        ),
        text!(
            "正しい時刻と見比べ、違っている方の時刻を「日付と時刻」で合わせてから再接続してください。",
            "compare both with the right time, set the one that is wrong, and connect again"
        ),
    ))
}

/// What the server makes of the client.
pub(super) fn findings(
    seen: &Seen,
    client: Option<&Identity>,
    beliefs: &Beliefs,
    now: Timestamp,
) -> Vec<Finding> {
    match &seen.answer {
        Answer::Alert(alert) => vec![alerted(*alert, seen, client, beliefs, now)],
        Answer::Closed => vec![closed()],
        Answer::NotHttp => vec![not_http()],
        Answer::Silent => vec![silent()],
        Answer::Http(reply) => http(reply, seen, client, beliefs, now),
    }
}

fn http(
    reply: &Reply,
    seen: &Seen,
    client: Option<&Identity>,
    beliefs: &Beliefs,
    now: Timestamp,
) -> Vec<Finding> {
    let said = Said {
        client,
        beliefs,
        now,
        ahead: reply.ahead.unwrap_or_default(),
    };
    match (reply.number.as_deref(), reply.cause.as_deref()) {
        (Some(number), Some(cause)) => vec![said.refused(number, cause)],
        _ => served(reply, seen, client, beliefs),
    }
}

/// The alert of each cause in `strict`.
fn alerted(
    alert: Alert,
    seen: &Seen,
    client: Option<&Identity>,
    beliefs: &Beliefs,
    now: Timestamp,
) -> Finding {
    let said = Said {
        client,
        beliefs,
        now,
        ahead: 0,
    };
    let (number, cause) = match alert {
        // Some servers answer so on TLS 1.2 (RFC 5246 §7.4.6).
        Alert::HandshakeFailure if client.is_none() && seen.asked == Asked::Yes => {
            ("E-101", "no-certificate")
        }
        Alert::CertificateRequired => ("E-101", "no-certificate"),
        Alert::CertificateExpired => ("E-102", "expired"),
        Alert::CertificateRevoked => ("E-104", "revoked"),
        Alert::UnknownCA => ("E-105", "unknown-ca"),
        Alert::UnsupportedCertificate => ("E-106", "wrong-usage"),
        Alert::AccessDenied if client.is_some() => ("E-113", "outside-hours"),
        Alert::CertificateUnknown => ("E-107", "crl-unusable"),
        Alert::DecryptError => ("-", "bad-signature"),
        other => return other_alert(other),
    };
    said.refused(number, cause)
}

fn other_alert(alert: Alert) -> Finding {
    Finding::failure(
        "refused-by-alert",
        text!(
            "サーバが接続を拒否しました(TLS警告 {alert:?})。応答がないのではなく、サーバの判断です。",
            "the server refused the connection (TLS alert {alert:?}): it is not silent, it decided so"
        ),
        text!(
            "サーバで orca-gateway diagnose を実行し、ログを確認してください。",
            "on the server, run orca-gateway diagnose and read its log"
        ),
    )
}

/// A refusal with what is needed to explain it.
struct Said<'a> {
    client: Option<&'a Identity>,
    beliefs: &'a Beliefs,
    now: Timestamp,
    ahead: i64,
}

impl Said<'_> {
    fn refused(&self, number: &str, cause: &str) -> Finding {
        let Said {
            client,
            beliefs,
            now,
            ahead,
        } = self;
        let by = Whose::Server {
            number: number.to_owned(),
            ahead: *ahead,
        };
        match (cause, client) {
            ("no-certificate", None) => without_certificate(number),
            ("no-certificate", Some(_)) => did_not_arrive(number),
            ("expired", Some(client)) => client::expired(client, &by, beliefs, *now),
            ("not-yet-valid", Some(client)) => client::not_yet_valid(client, &by, beliefs),
            ("revoked", Some(client)) => client::revoked(client, &by, None, beliefs),
            ("unknown-ca" | "malformed", Some(client)) => client::unknown_ca(client, &by, beliefs),
            ("wrong-usage", Some(client)) => client::wrong_usage(client, &by),
            ("bad-signature", Some(client)) => client::wrong_pair(client),
            ("crl-unusable", _) => crl_unusable(number),
            ("outside-hours", Some(client)) => client::outside_hours(client, &by),
            ("upstream-down" | "upstream-busy", _) => application_down(number),
            (cause, _) => other_cause(number, cause),
        }
    }
}

fn without_certificate(number: &str) -> Finding {
    Finding::warning(
        "no-certificate",
        text!(
            "クライアント証明書なしで接続したため、サーバに断られました({number})。証明書が登録されていない端末、選択画面で「キャンセル」を押した端末、期限切れの証明書しかない端末も同じになります。",
            "without a client certificate the server refuses ({number}); so it does for machines that have none, where the choice was cancelled, or where it has expired"
        ),
        text!(
            "端末の証明書を確認する場合は、--p12 FILE --passphrase-file FILE を付けて実行してください。証明書がない端末には orca-catool issue_client_cert -c 名前 で発行してください。",
            "to try a client's certificate, add --p12 FILE --passphrase-file FILE; for a machine that has none, run orca-catool issue_client_cert -c NAME"
        ),
    )
}

fn did_not_arrive(number: &str) -> Finding {
    Finding::failure(
        "no-certificate",
        text!(
            "クライアント証明書を提示しましたが、サーバに届いていません({number})。途中の機器がTLSを中継している可能性があります。",
            "a certificate was shown but did not reach the server ({number}): a device on the way may end TLS itself"
        ),
        text!(
            "プロキシ、ウイルス対策ソフト、UTMの「SSL検査」の対象から、このサーバを外してください。鍵と証明書の組み合わせも確認してください。",
            "exempt this server from TLS inspection by proxies, virus scanners and firewalls; check that key and certificate belong together"
        ),
    )
}

fn crl_unusable(number: &str) -> Finding {
    Finding::failure(
        "crl-unusable",
        text!(
            "サーバの破棄リスト(CRL)が期限切れか、読み取れないため、すべての端末が拒否されています({number})。",
            "the server's revocation list has run out or cannot be used, and every client is refused ({number})"
        ),
        text!(
            "認証局で orca-catool issue_crl を実行し、ca.crlをサーバに配置してください(:crl_publish: を設定すると自動で届きます)。",
            "run orca-catool issue_crl at the CA and put ca.crl on the server; with :crl_publish: it gets there by itself"
        ),
    )
}

fn application_down(number: &str) -> Finding {
    Finding::failure(
        "application-down",
        text!(
            "日レセが応答していません({number})。証明書とゲートウェイに問題はありません。",
            "the application behind the gateway does not answer ({number}); certificates and gateway are in order"
        ),
        text!(
            "プログラム更新中の場合は、数分待ってください。変わらない場合は、サーバで systemctl status jma-receipt-weborca と orca-gateway diagnose を実行してください。",
            "wait some minutes if it is being updated; else run systemctl status jma-receipt-weborca and orca-gateway diagnose on the server"
        ),
    )
}

fn other_cause(number: &str, cause: &str) -> Finding {
    Finding::failure(
        "refused-otherwise",
        text!(
            "サーバに断られました({number}、{cause})。",
            "the server refused ({number}, {cause})"
        ),
        text!(
            "docs/ja/phone-triage.md で {number} を確認し、サーバのログを確認してください。",
            "look {number} up in docs/ja/phone-triage.md, and read the log of the server"
        ),
    )
}

fn served(
    reply: &Reply,
    seen: &Seen,
    client: Option<&Identity>,
    beliefs: &Beliefs,
) -> Vec<Finding> {
    let mut findings = Vec::from([match reply.status {
        500.. => application_error(reply.status),
        status => application_answers(status),
    }]);
    findings.extend(match (seen.asked, client) {
        (Asked::No, _) => Some(no_certificate_asked()),
        (Asked::Yes, None) => Some(served_without()),
        (Asked::Yes, Some(client)) => match beliefs.registered {
            Registered::Revoked(at) => Some(revoked_but_served(client, at, &seen.lists, beliefs)),
            _ => None,
        },
    });
    findings
}

fn application_error(status: u16) -> Finding {
    Finding::warning(
        "application-error",
        text!(
            "日レセがエラーを返しました(HTTP {status})。接続と証明書に問題はありません。",
            "the application answers with an error (HTTP {status}); connection and certificates are in order"
        ),
        text!(
            "日レセのログを確認してください。",
            "read the log of the application"
        ),
    )
}

fn application_answers(status: u16) -> Finding {
    Finding::ok(
        "application-answers",
        text!(
            "日レセが応答しました(HTTP {status})。",
            "the application answers (HTTP {status})"
        ),
    )
}

fn no_certificate_asked() -> Finding {
    Finding::warning(
        "no-certificate-asked",
        text!(
            "サーバはクライアント証明書を求めずに応答しました。誰でも接続できる状態です。",
            "the server answers without asking for a client certificate: anybody can connect"
        ),
        text!(
            "接続先がorca-gatewayか確認し、サーバで orca-gateway diagnose を実行してください。",
            "check that this is orca-gateway, and run orca-gateway diagnose on the server"
        ),
    )
}

fn served_without() -> Finding {
    Finding::warning(
        "served-without-certificate",
        text!(
            "クライアント証明書なしで日レセに接続できました。移行期間の設定(GATEWAY_CLIENT_AUTH=observe、GATEWAY_EXEMPT)が残っている可能性があります。",
            "the application answered without a client certificate: settings of a transition (GATEWAY_CLIENT_AUTH=observe, GATEWAY_EXEMPT) may still be there"
        ),
        text!(
            "移行が終わっている場合は、GATEWAY_CLIENT_AUTH=explain にし、GATEWAY_EXEMPT を削除してください。",
            "once the transition is over, set GATEWAY_CLIENT_AUTH=explain and remove GATEWAY_EXEMPT"
        ),
    )
}

fn revoked_but_served(
    client: &Identity,
    at: Timestamp,
    lists: &Lists,
    beliefs: &Beliefs,
) -> Finding {
    let (ja, en) = super::which(&client.certificate);
    let (day_ja, day_en) = super::day(at, &beliefs.zone);
    Finding::failure(
        "revoked-but-served",
        text!(
            "証明書({ja})は{day_ja}に破棄されていますが、サーバは受け付けました。",
            "the certificate ({en}) was revoked on {day_en}, but the server takes it"
        ),
        towards_the_server(lists),
    )
}

/// How the server learns of a revocation.
fn towards_the_server(lists: &Lists) -> Text {
    match lists {
        Lists::Found(_) => text!(
            "orca-catool publish_crl を実行し、届かない場合は表示された原因を取り除いてください。",
            "run orca-catool publish_crl and remove the cause that it tells"
        ),
        Lists::Nowhere | Lists::Unknown => text!(
            "サーバに破棄リストがありません。ca.crlを配置するか、:crl_publish: にこのサーバを加えて orca-catool publish_crl を実行してください。",
            "the server has no revocation list: put ca.crl there, or add it to :crl_publish: and run orca-catool publish_crl"
        ),
    }
}

fn closed() -> Finding {
    Finding::failure(
        "closed-after-handshake",
        text!(
            "サーバはTLSの接続後、応答せずに切断しました。拒否の理由も示されていません。",
            "after TLS was set up the server closed the connection without an answer or a reason"
        ),
        text!(
            "サーバで orca-gateway diagnose を実行し、ログを確認してください。",
            "on the server, run orca-gateway diagnose and read its log"
        ),
    )
}

fn silent() -> Finding {
    Finding::failure(
        "silent",
        text!(
            "サーバはTLSの接続後、何も応答しません。拒否ではなく、処理が止まっています(ブラウザに約30秒後に E-111 が表示される場合は、日レセが混み合っています)。",
            "after TLS was set up the server says nothing: that is no refusal, it hangs (where a browser shows E-111 after half a minute, the application is busy)"
        ),
        text!(
            "サーバで systemctl status jma-receipt-weborca と orca-gateway diagnose を実行し、日レセとサーバの負荷を確認してください。",
            "on the server, run systemctl status jma-receipt-weborca and orca-gateway diagnose, and look at the load of application and server"
        ),
    )
}

fn not_http() -> Finding {
    Finding::failure(
        "other-program",
        text!(
            "接続先はTLSで応答しますが、HTTPではありません。別のプログラムが応答しています。",
            "TLS answers there, but no HTTP: another program"
        ),
        text!(
            "アドレスとポート番号を確認してください。",
            "check address and port"
        ),
    )
}
