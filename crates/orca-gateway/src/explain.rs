//! The pages for clients that are not served: what happened, why, what to do, whom to call.

mod negotiation;
mod texts;

use std::net::IpAddr;

use askama::Template;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Lang, render};
use orca_pki::certificate::Certificate;
use rustls::crypto::aws_lc_rs;
use serde::Serialize;

use crate::body::{self, ResponseBody};
use crate::identity::{Cause, Refusal};
use crate::last_seen::Past;
use crate::origin::Foreign;

use negotiation::Content;
pub(crate) use negotiation::{Asker, Form};
use texts::Texts;

/// Makes pages; one for the whole program.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    support: Option<String>,
    zone: TimeZone,
}

impl Pages {
    /// `support` is the name and telephone that pages show.
    pub(crate) fn new(support: Option<String>, zone: TimeZone) -> Self {
        Self { support, zone }
    }

    /// Why a client is not let in: 403. `authorities` are names of the CAs whose clients are.
    pub(crate) fn refusal(
        &self,
        refusal: &Refusal,
        authorities: &[String],
        past: Option<Past>,
        asker: &Asker,
        at: Timestamp,
    ) -> Response<ResponseBody> {
        let mut texts = texts::of_refusal(refusal, authorities, &self.zone);
        if let Some(past) = past {
            texts.add_past(past, at, &self.zone);
        }
        let shown = refusal.certificate.as_deref();
        let page = Page {
            shown: shown.map(|certificate| self.shown(certificate, asker.lang)),
            offers_choice: true,
            ..self.page(&texts, Some(refusal.cause), asker, at)
        };
        respond(StatusCode::FORBIDDEN, &page, asker)
    }

    /// http was spoken on the TLS port: 400, with links to `links`.
    pub(crate) fn plain_http(
        &self,
        links: Vec<String>,
        asker: &Asker,
        at: Timestamp,
    ) -> Response<ResponseBody> {
        let cause = Cause::PlainHttp;
        let refusal = Refusal::without_certificate(cause);
        let texts = texts::of_refusal(&refusal, &[], &self.zone);
        let page = Page {
            links,
            ..self.page(&texts, Some(cause), asker, at)
        };
        respond(StatusCode::BAD_REQUEST, &page, asker)
    }

    /// The application does not answer: 502.
    pub(crate) fn application_down(&self, asker: &Asker, at: Timestamp) -> Response<ResponseBody> {
        let texts = texts::application_down();
        let page = self.page(&texts, Some(Cause::UpstreamDown), asker, at);
        respond(StatusCode::BAD_GATEWAY, &page, asker)
    }

    /// The application has as many requests as it may: 503.
    pub(crate) fn application_busy(&self, asker: &Asker, at: Timestamp) -> Response<ResponseBody> {
        let page = self.page(
            &texts::application_busy(),
            Some(Cause::UpstreamBusy),
            asker,
            at,
        );
        let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, &page, asker);
        let soon = HeaderValue::from_static("10");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
        response
    }

    /// Another site made the browser ask: 403.
    pub(crate) fn cross_site(
        &self,
        site: &Foreign,
        asker: &Asker,
        at: Timestamp,
    ) -> Response<ResponseBody> {
        let page = self.page(&texts::cross_site(site), Some(Cause::CrossSite), asker, at);
        respond(StatusCode::FORBIDDEN, &page, asker)
    }

    /// The operator may not be used with the certificate: 403.
    pub(crate) fn wrong_operator(&self, asker: &Asker, at: Timestamp) -> Response<ResponseBody> {
        let texts = texts::wrong_operator();
        let page = self.page(&texts, Some(Cause::WrongOperator), asker, at);
        respond(StatusCode::FORBIDDEN, &page, asker)
    }

    /// The next handshake will be refused, so that the browser asks again: 200.
    pub(crate) fn chosen(&self, asker: &Asker, at: Timestamp) -> Response<ResponseBody> {
        let texts = texts::chosen();
        let page = Page {
            links: vec!["/".to_owned()],
            ..self.page(&texts, None, asker, at)
        };
        respond(StatusCode::OK, &page, asker)
    }

    fn page(&self, texts: &Texts, cause: Option<Cause>, asker: &Asker, at: Timestamp) -> Page {
        let lang = asker.lang;
        let local = self.zone.to_datetime(at);
        // A program has neither the page's button nor an address bar.
        let for_program = match asker.form {
            Form::Html => None,
            Form::Json => cause.and_then(texts::for_program),
        };
        let steps = match &for_program {
            Some(step) => std::slice::from_ref(step),
            None => texts.steps.as_slice(),
        };
        Page {
            lang: lang.code(),
            nonce: nonce(),
            words: Words::of(lang),
            cause: cause.map_or("none", Cause::as_str),
            number: cause.and_then(Cause::number),
            title: texts.title.get(lang).to_owned(),
            reason: texts.reason.get(lang).to_owned(),
            steps: steps.iter().map(|step| step.get(lang).to_owned()).collect(),
            shown: None,
            links: Vec::new(),
            offers_choice: false,
            support: self.support.clone(),
            time: format!(
                "{} {}",
                render::date(at, &self.zone, lang),
                local.strftime("%H:%M:%S")
            ),
            rfc3339: orca_pki::validity::shift(at, 0)
                .display_with_offset(self.zone.to_offset(at))
                .to_string(),
            address: asker.address,
        }
    }

    fn shown(&self, certificate: &Certificate, lang: Lang) -> Shown {
        let name = |name: orca_pki::name::DistinguishedName| {
            render::one_line(&name.common_name().unwrap_or_else(|| name.one_line()))
        };
        let validity = certificate.validity();
        let day = |at| render::date(at, &self.zone, lang);
        Shown {
            number: certificate.serial().to_string(),
            name: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            validity: format!("{} – {}", day(validity.not_before), day(validity.not_after)),
        }
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    lang: &'static str,
    nonce: String,
    words: Words,
    cause: &'static str,
    number: Option<&'static str>,
    title: String,
    reason: String,
    steps: Vec<String>,
    shown: Option<Shown>,
    links: Vec<String>,
    offers_choice: bool,
    support: Option<String>,
    time: String,
    rfc3339: String,
    address: IpAddr,
}

/// The certificate that was shown, for people.
struct Shown {
    number: String,
    name: String,
    issuer: String,
    validity: String,
}

/// Labels.
struct Words {
    reason: &'static str,
    remedy: &'static str,
    shown: &'static str,
    number: &'static str,
    name: &'static str,
    issuer: &'static str,
    validity: &'static str,
    choose: &'static str,
    contact: &'static str,
    code: &'static str,
    address: &'static str,
    dot: &'static str,
}

impl Words {
    fn of(lang: Lang) -> Self {
        match lang {
            Lang::Ja => Self {
                reason: "原因",
                remedy: "対処",
                shown: "提示された証明書",
                number: "番号",
                name: "名前",
                issuer: "発行者",
                validity: "有効期間",
                choose: "別の証明書を選ぶ",
                contact: "連絡先",
                code: "番号",
                address: "端末のアドレス",
                dot: "・",
            },
            Lang::En => Self {
                reason: "Reason",
                remedy: "What to do",
                shown: "The certificate that was shown",
                number: "Number",
                name: "Name",
                issuer: "Issuer",
                validity: "Validity",
                choose: "Choose another certificate",
                contact: "Contact",
                code: "Number",
                address: "address of this machine",
                dot: " · ",
            },
        }
    }
}

#[derive(Serialize)]
struct Json<'a> {
    error: JsonError<'a>,
}

#[derive(Serialize)]
struct JsonError<'a> {
    number: Option<&'static str>,
    cause: &'static str,
    message: String,
    remedy: String,
    time: &'a str,
    address: IpAddr,
}

fn respond(status: StatusCode, page: &Page, asker: &Asker) -> Response<ResponseBody> {
    let (media_type, content) = match asker.form {
        Form::Html => (
            "text/html; charset=utf-8",
            page.render().unwrap_or_default(),
        ),
        Form::Json => ("application/json", json(page, asker.lang)),
    };
    let length = HeaderValue::from(content.len());
    let mut response = Response::new(match asker.content {
        Content::Sent => body::full(content),
        Content::Withheld => body::empty(),
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if asker.form == Form::Html {
        let policy = content_security_policy(&page.nonce);
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
    response
}

fn json(page: &Page, lang: Lang) -> String {
    let (between, join) = match lang {
        Lang::En => (" ", " "),
        Lang::Ja => ("", ""),
    };
    let links: String = page.links.iter().map(|link| format!(" {link}")).collect();
    let json = Json {
        error: JsonError {
            number: page.number,
            cause: page.cause,
            message: format!("{}{between}{}", page.title, page.reason),
            remedy: page.steps.join(join) + &links,
            time: &page.rfc3339,
            address: page.address,
        },
    };
    serde_json::to_string(&json).unwrap_or_default()
}

/// Nothing from elsewhere; style and script only of this very page.
fn content_security_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// A value nobody can guess; without randomness one that matches nothing.
fn nonce() -> String {
    let mut octets = [0u8; 16];
    match aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut octets)
    {
        Ok(()) => octets.iter().map(|octet| format!("{octet:02x}")).collect(),
        Err(_) => String::new(),
    }
}
