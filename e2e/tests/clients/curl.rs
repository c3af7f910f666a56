//! curl, with each form of the certificate.

use orca_e2e::curl::Curl;
use orca_e2e::site::Site;
use orca_e2e::tls::Version;

use crate::trial::Call;
use crate::trial::Client;
use crate::trial::Seen;
use crate::visitors::Who;

/// How the delivery is handed to curl.
#[derive(Clone, Copy, Debug)]
enum Form {
    P12,
    Pem,
    EncryptedPem,
}

#[test]
fn with_the_p12() -> anyhow::Result<()> {
    curl("curl, .p12", Form::P12)
}

#[test]
fn with_crt_and_pem() -> anyhow::Result<()> {
    curl("curl, .crt and .pem", Form::Pem)
}

#[test]
fn with_crt_and_encrypted_pem() -> anyhow::Result<()> {
    curl("curl, .crt and .enc.pem", Form::EncryptedPem)
}

/// A client that has begun with HTTP/2 when the alert comes may not tell what it was.
#[test]
fn http_2_is_for_where_no_alert_refuses() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("reception")?;
    for (mode, version) in [("explain", "2"), ("strict", "1.1")] {
        let gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", mode).start()?;
        let curl = Curl::new(gateway.address, &user.ca()).with_p12(&user)?;
        let page = curl.arg("--http2").get("/")?;
        assert_eq!((page.status, page.version.as_str()), (200, version));
    }
    Ok(())
}

fn curl(name: &'static str, form: Form) -> anyhow::Result<()> {
    let client = Client {
        name,
        path: "/",
        says,
    };
    client.visits(|calls| calls.iter().map(|call| ask(call, form)).collect())
}

fn ask(call: &Call<'_>, form: Form) -> anyhow::Result<Seen> {
    let curl = Curl::new(call.gateway.address, &call.ca);
    let curl = match call.version {
        Version::Tls12 => curl.args(["--tlsv1.2", "--tls-max", "1.2"]),
        Version::Tls13 => curl.arg("--tlsv1.3"),
    };
    let curl = match (call.kit, form) {
        (None, _) => curl,
        (Some(kit), Form::P12) => curl.with_p12(kit)?,
        (Some(kit), Form::Pem) => curl.with_pem(kit),
        (Some(kit), Form::EncryptedPem) => curl.with_encrypted_pem(kit)?,
    };
    let page = curl
        .args(["--header", "Accept-Language: ja"])
        .get(call.path)?;
    Ok(match page.status {
        0 => Seen::Error(page.outcome.stderr),
        status => Seen::Response(status, page.body),
    })
}

/// With TLS 1.2 it takes the alert about its own certificate for one about the server's.
fn says(who: Who, version: Version) -> &'static [&'static str] {
    match (who, version) {
        (Who::Expired, Version::Tls12) => &["(60) SSL certificate verification failed"],
        _ => openssl(who),
    }
}

/// OpenSSL's words for the alerts; newer ones differ in what stands before.
pub(crate) fn openssl(who: Who) -> &'static [&'static str] {
    match who {
        Who::Good => &[],
        Who::Nobody => &["alert certificate required"],
        Who::Expired => &["alert certificate expired"],
        Who::Revoked => &["alert certificate revoked"],
        Who::LookAlike => &["alert unknown ca"],
        Who::Server => &["alert unsupported certificate"],
    }
}
