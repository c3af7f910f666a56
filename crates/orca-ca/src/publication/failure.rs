//! Why a gateway has not got a CRL: each cause told apart, because each has its own remedy.

use std::io;
use std::time::Duration;

use orca_messages::{Text, text};
use rustls::{AlertDescription, CertificateError};

/// Why a gateway did not take a CRL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PushFailure {
    /// The TLS alert it answered with: it wants a certificate of us, or shares no protocol.
    Alert(String),
    /// It was asked too often (429), or is at its limit.
    Busy,
    /// Its certificate cannot be used, for this reason.
    Certificate(String),
    /// Its certificate has ended.
    Expired,
    /// Its certificate was issued by another CA.
    ForeignIssuer,
    /// The connection broke, or could not be opened.
    Lost(String),
    /// It holds another list with this number, which is not lower.
    Newer(String),
    /// It answered something that is no HTTP.
    NotHttp,
    /// It answered with a status that no gateway of ours gives: something else stands there.
    NotAGateway(String),
    /// It did not take the list (403).
    NotTaken,
    /// It does not speak TLS.
    NotTls,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// Nothing listens there.
    Refused,
    /// Its certificate is revoked.
    Revoked,
    /// No answer in time.
    TimedOut,
    /// The list is too long for it (413).
    TooLarge,
    /// It cannot take a list now (503 and other statuses of that class).
    Unavailable(String),
    /// The name has no address.
    UnknownHost,
    /// Its certificate is for these names only.
    WrongName(String),
}

impl PushFailure {
    /// Whether it may pass by itself within seconds.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Lost(_) | Self::Refused | Self::TimedOut | Self::Unavailable(_)
        )
    }

    /// The stable word of the cause, and what belongs to it.
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Alert(alert) => ("alert", alert),
            Self::Busy => ("busy", ""),
            Self::Certificate(reason) => ("certificate", reason),
            Self::Expired => ("expired", ""),
            Self::ForeignIssuer => ("foreign-issuer", ""),
            Self::Lost(reason) => ("lost", reason),
            Self::Newer(number) => ("newer", number),
            Self::NotHttp => ("not-http", ""),
            Self::NotAGateway(status) => ("not-a-gateway", status),
            Self::NotTaken => ("not-taken", ""),
            Self::NotTls => ("not-tls", ""),
            Self::NotYetValid => ("not-yet-valid", ""),
            Self::Refused => ("refused", ""),
            Self::Revoked => ("revoked", ""),
            Self::TimedOut => ("timed-out", ""),
            Self::TooLarge => ("too-large", ""),
            Self::Unavailable(status) => ("unavailable", status),
            Self::UnknownHost => ("unknown-host", ""),
            Self::WrongName(names) => ("wrong-name", names),
        }
    }

    /// The stable word of the cause, for scripts.
    pub fn word(&self) -> &'static str {
        self.parts().0
    }

    /// As the register keeps it: the word, a blank, what belongs to it.
    pub fn to_record(&self) -> String {
        let (word, detail) = self.parts();
        format!("{word} {detail}").trim_end().to_owned()
    }

    /// What [`Self::to_record`] wrote; a word of a newer version is told as it stands.
    pub fn from_record(record: &str) -> Self {
        let (word, detail) = record.split_once(' ').unwrap_or((record, ""));
        let detail = detail.to_owned();
        match word {
            "alert" => Self::Alert(detail),
            "busy" => Self::Busy,
            "certificate" => Self::Certificate(detail),
            "expired" => Self::Expired,
            "foreign-issuer" => Self::ForeignIssuer,
            "lost" => Self::Lost(detail),
            "newer" => Self::Newer(detail),
            "not-http" => Self::NotHttp,
            "not-a-gateway" => Self::NotAGateway(detail),
            "not-taken" => Self::NotTaken,
            "not-tls" => Self::NotTls,
            "not-yet-valid" => Self::NotYetValid,
            "refused" => Self::Refused,
            "revoked" => Self::Revoked,
            "timed-out" => Self::TimedOut,
            "too-large" => Self::TooLarge,
            "unavailable" => Self::Unavailable(detail),
            "unknown-host" => Self::UnknownHost,
            "wrong-name" => Self::WrongName(detail),
            _ => Self::Lost(record.to_owned()),
        }
    }

    /// What people read.
    pub fn text(&self) -> Text {
        match self {
            Self::Alert(alert) => text!(
                "TLSの接続を断られました({alert})。orca-gatewayではないか、CRLの受け取りに対応していない版です",
                "it refused the TLS connection ({alert}): no orca-gateway, or one that cannot take CRLs yet"
            ),
            Self::Busy => text!(
                "混み合っていて受け取れません(429)",
                "it is too busy to take it (429)"
            ),
            Self::Certificate(reason) => text!(
                "サーバ証明書が使用できません({reason})",
                "its certificate cannot be used ({reason})"
            ),
            Self::Expired => text!(
                "サーバ証明書の有効期限が切れています。issue_server_cert で発行し直して設置してください",
                "its certificate has expired; install a new one (issue_server_cert)"
            ),
            Self::ForeignIssuer => text!(
                "サーバ証明書がこの認証局の発行したものではありません。別の機器か、別の認証局の証明書が設置されています",
                "its certificate was not issued by this CA: another machine, or the certificate of another CA"
            ),
            Self::Lost(reason) => text!(
                "通信が切れました({reason})",
                "the connection was lost ({reason})"
            ),
            Self::Newer(number) => text!(
                "番号が同じかより大きい別のCRL(番号 {number})を持っています。台帳が古いバックアップから戻された可能性があります。番号が {number} を超えるまで issue_crl を繰り返してください",
                "it holds another CRL whose number is not lower ({number}): the register may be an older backup; repeat issue_crl until the number is above {number}"
            ),
            Self::NotHttp => text!(
                "HTTPではない応答がありました。orca-gatewayではありません",
                "its answer is no HTTP: no orca-gateway"
            ),
            Self::NotAGateway(status) => text!(
                "orca-gatewayではない応答がありました(HTTP {status})。アドレスとポートを確認してください",
                "no orca-gateway answers there (HTTP {status}); check address and port"
            ),
            Self::NotTaken => text!(
                "CRLが受け取られませんでした(403)。CA_CRT がこの認証局のものか、ゲートウェイのログを確認してください",
                "it did not take the CRL (403); check that its CA_CRT is this CA, and see its log"
            ),
            Self::NotTls => text!(
                "TLSではない応答がありました。ゲートウェイがHTTPモードで動いている可能性があります",
                "it does not speak TLS: the gateway may be running in HTTP mode"
            ),
            Self::NotYetValid => text!(
                "サーバ証明書の有効期間がまだ始まっていません。この端末の時計を確認してください",
                "its certificate is not valid yet; check the clock of this machine"
            ),
            Self::Refused => text!(
                "接続を受け付けるものがありません。ゲートウェイが停止していないか、ポート番号を確認してください",
                "nothing listens there; check that the gateway runs, and the port"
            ),
            Self::Revoked => text!(
                "サーバ証明書が破棄(失効)されています。新しい証明書を設置してください",
                "its certificate is revoked; install a new one"
            ),
            Self::TimedOut => text!(
                "時間内に応答がありません。電源とネットワークを確認してください",
                "no answer in time; check that the machine is up and the network"
            ),
            Self::TooLarge => text!(
                "CRLが大きすぎて受け取れません(413)",
                "the CRL is too large for it (413)"
            ),
            Self::Unavailable(status) => text!(
                "ゲートウェイが現在受け取れません(HTTP {status})。ゲートウェイのログを確認してください",
                "the gateway cannot take it now (HTTP {status}); see its log"
            ),
            Self::UnknownHost => text!(
                "ホスト名のアドレスが見つかりません",
                "the host name has no address"
            ),
            Self::WrongName(names) => text!(
                "このアドレスがサーバ証明書にありません(記載: {names})。この名前で発行し直すか、:crl_publish: を証明書にある名前に変えてください",
                "its certificate is not for this name or address (but for {names}); issue it again with this one, or name one of those in :crl_publish:"
            ),
        }
    }
}

impl From<io::Error> for PushFailure {
    fn from(error: io::Error) -> Self {
        if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return of_tls(inner);
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            _ => Self::Lost(error.to_string()),
        }
    }
}

fn of_tls(error: &rustls::Error) -> PushFailure {
    match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        rustls::Error::InvalidMessage(_) => PushFailure::NotTls,
        rustls::Error::AlertReceived(AlertDescription::InternalError) => {
            PushFailure::Lost("internal_error".to_owned())
        }
        rustls::Error::AlertReceived(alert) => PushFailure::Alert(format!("{alert:?}")),
        rustls::Error::PeerIncompatible(reason) => PushFailure::Alert(format!("{reason:?}")),
        other => PushFailure::Lost(other.to_string()),
    }
}

fn of_certificate(error: &CertificateError) -> PushFailure {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => PushFailure::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => PushFailure::NotYetValid,
        E::Revoked => PushFailure::Revoked,
        E::UnknownIssuer | E::BadSignature => PushFailure::ForeignIssuer,
        E::NotValidForName => PushFailure::WrongName("?".to_owned()),
        E::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            PushFailure::WrongName(names.join(", "))
        }
        other => PushFailure::Certificate(other.to_string()),
    }
}

/// `DnsName("server")` and `IpAddress(192.168.1.100)`, as the verifier writes them.
fn bare(presented: &str) -> &str {
    let inner = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(presented);
    inner.trim_matches('"')
}

/// How long a gateway asks us to stay away (RFC 9110 §10.2.3, in seconds; a date is not taken).
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_comes_back_from_the_register_as_it_was() {
        let word = || "x y".to_owned();
        for failure in [
            PushFailure::Alert(word()),
            PushFailure::Busy,
            PushFailure::Certificate(word()),
            PushFailure::Expired,
            PushFailure::ForeignIssuer,
            PushFailure::Lost(word()),
            PushFailure::Newer(word()),
            PushFailure::NotHttp,
            PushFailure::NotAGateway(word()),
            PushFailure::NotTaken,
            PushFailure::NotTls,
            PushFailure::NotYetValid,
            PushFailure::Refused,
            PushFailure::Revoked,
            PushFailure::TimedOut,
            PushFailure::TooLarge,
            PushFailure::Unavailable(word()),
            PushFailure::UnknownHost,
            PushFailure::WrongName(word()),
        ] {
            assert_eq!(PushFailure::from_record(&failure.to_record()), failure);
        }
        let newer = PushFailure::from_record("struck-by-lightning twice");
        assert_eq!(newer, PushFailure::Lost("struck-by-lightning twice".into()));
    }

    #[test]
    fn names_of_a_certificate_are_told_bare() {
        assert_eq!(bare("DnsName(\"weborca-server\")"), "weborca-server");
        assert_eq!(bare("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(bare("odd"), "odd");
    }

    #[test]
    fn the_gateway_says_how_long_to_wait_in_seconds() {
        assert_eq!(retry_after(" 3 "), Some(Duration::from_secs(3)));
        for odd in ["", "-1", "Tue, 24 Nov 2026 00:00:00 GMT"] {
            assert_eq!(retry_after(odd), None);
        }
    }
}
