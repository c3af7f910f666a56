//! What to tell people when the application cannot be reached: over TLS it may well run.

use std::error::Error;

use orca_messages::{Localize, Text, render, text};
use rustls::AlertDescription;

/// Why the application cannot be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trouble {
    kind: Kind,
    cause: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Nobody answers.
    Down,
    /// Its certificate is not acceptable to us.
    Certificate,
    /// It speaks something else than TLS.
    NotTls,
    /// Ours, or none, is not acceptable to it.
    RefusesUs,
}

impl Trouble {
    /// Of a failed connection or exchange.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let kind = match tls(error) {
            Some(rustls::Error::InvalidCertificate(_)) => Kind::Certificate,
            Some(rustls::Error::InvalidMessage(_)) => Kind::NotTls,
            Some(rustls::Error::AlertReceived(alert)) if is_about_us(*alert) => Kind::RefusesUs,
            _ => Kind::Down,
        };
        Self {
            kind,
            cause: render::one_line(&error.to_string()),
        }
    }
}

/// The TLS error at the bottom of an error, if it is one. An `io::Error` hides what it carries from
/// `source`.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        let carried = error.downcast_ref::<std::io::Error>();
        next = match carried.and_then(std::io::Error::get_ref) {
            Some(carried) => Some(carried as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

impl Localize for Trouble {
    fn id(&self) -> &'static str {
        match self.kind {
            Kind::Down => "upstream-down",
            Kind::Certificate => "upstream-certificate",
            Kind::NotTls => "upstream-not-tls",
            Kind::RefusesUs => "upstream-refuses-us",
        }
    }

    fn message(&self) -> Text {
        let cause = &self.cause;
        match self.kind {
            Kind::Down => text!(
                "日レセ(アプリケーション)が応答していません({cause})。",
                "the application does not answer: {cause}"
            ),
            Kind::Certificate => text!(
                "日レセ(アプリケーション)の証明書を確認できないため、接続しません({cause})。",
                "the certificate of the application cannot be verified, so nothing is sent to it: {cause}"
            ),
            Kind::NotTls => text!(
                "日レセ(アプリケーション)は、httpsで応答していません({cause})。",
                "the application does not speak https: {cause}"
            ),
            Kind::RefusesUs => text!(
                "日レセ(アプリケーション)が、ゲートウェイの証明書を受け付けません({cause})。",
                "the application does not accept the gateway's certificate: {cause}"
            ),
        }
    }

    fn remedy(&self) -> Text {
        match self.kind {
            Kind::Down => text!(
                "日レセが起動しているか、GATEWAY_UPSTREAMのアドレスが正しいか確認してください。証明書の問題ではありません。",
                "check that WebORCA runs and that GATEWAY_UPSTREAM is its address; certificates are not the problem"
            ),
            Kind::Certificate => text!(
                "GATEWAY_UPSTREAMの名前が日レセの証明書にあること、その認証局がGATEWAY_UPSTREAM_CA(省略時はCA_CRT)にあること、有効期限を確認してください。",
                "check that the application's certificate has the name in GATEWAY_UPSTREAM, is not expired, and that its CA stands in GATEWAY_UPSTREAM_CA (by default CA_CRT)"
            ),
            Kind::NotTls => text!(
                "GATEWAY_UPSTREAMをhttp://に直すか、アドレスとポート番号を確認してください。",
                "write GATEWAY_UPSTREAM with http://, or check its address and port"
            ),
            Kind::RefusesUs => text!(
                "GATEWAY_UPSTREAM_CRTとGATEWAY_UPSTREAM_PEMに、日レセが受け付ける証明書と鍵を指定してください。",
                "name a certificate that the application accepts in GATEWAY_UPSTREAM_CRT, and its key in GATEWAY_UPSTREAM_PEM"
            ),
        }
    }
}
