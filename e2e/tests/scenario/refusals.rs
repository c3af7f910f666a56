//! Who must not get in: every cause of the contract, in both modes, on both versions of TLS. What
//! the client sees is exact, and the application sees nothing at all.

use orca_e2e::curl::Curl;
use orca_e2e::forge;
use orca_e2e::forge::Forge;
use orca_e2e::gateway::Conf;
use orca_e2e::gateway::Gateway;
use orca_e2e::http1;
use orca_e2e::http1::Response;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Alert;
use orca_e2e::tls::Answer;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;

/// Somebody at the door.
struct Visitor {
    who: &'static str,
    identity: Option<Identity>,
    cause: &'static str,
    /// The number on the page; none where an alert refuses in both modes.
    number: Option<&'static str>,
    /// What the page must say besides.
    says: &'static str,
    alert: Alert,
}

impl Visitor {
    fn new(who: &'static str, identity: Option<Identity>, cause: &'static str) -> Self {
        let (number, says, alert) = match cause {
            "no-certificate" => ("E-101", "提示されませんでした", Alert::CertificateRequired),
            "expired" => ("E-102", "有効期限", Alert::CertificateExpired),
            "not-yet-valid" => ("E-103", "", Alert::CertificateExpired),
            "revoked" => ("E-104", "利用停止", Alert::CertificateRevoked),
            "unknown-ca" => ("E-105", "認証局", Alert::UnknownCA),
            "wrong-usage" => ("E-106", "", Alert::UnsupportedCertificate),
            "crl-unusable" => ("E-107", "", Alert::CertificateUnknown),
            "bad-signature" => ("", "", Alert::DecryptError),
            _ => ("", "", Alert::BadCertificate),
        };
        Self {
            who,
            identity,
            cause,
            number: (!number.is_empty()).then_some(number),
            says,
            alert,
        }
    }
}

/// One for every way to be refused that needs no special configuration. The authority's register
/// has them as the contract describes; user 3 to 5 are the real ones.
fn visitors(site: &Site) -> anyhow::Result<Vec<Visitor>> {
    let client = "issue_client_cert -c";
    let valid = site.client("valid")?;
    let revoked = site.client("revoked")?;
    let expired = site
        .ca
        .issue_at("-20d", &format!("{client} expired --days 1"))?;
    let both = site
        .ca
        .issue_at("-20d", &format!("{client} both --days 1"))?;
    let future = site.ca.issue_at("+5d", &format!("{client} future"))?;
    for kit in [&revoked, &both] {
        site.ca.done(&format!("revoke_cert {}", kit.number()))?;
    }
    let foreign = Forge::foreign()?;
    let look_alike = Forge::look_alike(&valid.ca())?;
    let serial = valid.number().parse()?;
    let some = |identity: anyhow::Result<Identity>| identity.map(Some);
    Ok(vec![
        Visitor::new("nobody", None, "no-certificate"),
        Visitor::new("expired", some(Identity::of(&expired))?, "expired"),
        Visitor::new(
            "not yet valid",
            some(Identity::of(&future))?,
            "not-yet-valid",
        ),
        Visitor::new("revoked", some(Identity::of(&revoked))?, "revoked"),
        Visitor::new("revoked and expired", some(Identity::of(&both))?, "revoked"),
        Visitor::new(
            "foreign",
            some(foreign.client("user1", serial))?,
            "unknown-ca",
        ),
        Visitor::new(
            "foreign and expired",
            some(foreign.expired_client("user1", serial))?,
            "unknown-ca",
        ),
        Visitor::new(
            "look-alike of a valid one",
            some(look_alike.client("valid", serial))?,
            "unknown-ca",
        ),
        Visitor::new(
            "look-alike and expired",
            some(look_alike.expired_client("valid", serial))?,
            "unknown-ca",
        ),
        Visitor::new(
            "the server's certificate",
            some(Identity::of(&site.server))?,
            "wrong-usage",
        ),
        Visitor::new(
            "somebody without the key",
            some(forge::stolen(&valid.crt()))?,
            "bad-signature",
        ),
        Visitor::new("junk", some(forge::malformed())?, "malformed"),
    ])
}

#[test]
fn explain_shows_each_visitor_a_page() -> anyhow::Result<()> {
    let site = Site::new()?;
    let visitors = visitors(&site)?;
    let gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", "explain").start()?;
    for visitor in &visitors {
        for version in Version::ALL {
            meets_a_page(&site, &gateway, visitor, version)?;
        }
    }
    nothing_got_through(&site, &gateway, &visitors)
}

#[test]
fn strict_refuses_each_visitor_with_the_fitting_alert() -> anyhow::Result<()> {
    let site = Site::new()?;
    let visitors = visitors(&site)?;
    let gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", "strict").start()?;
    for visitor in &visitors {
        for version in Version::ALL {
            meets_an_alert(&site, &gateway, visitor, version)?;
        }
    }
    nothing_got_through(&site, &gateway, &visitors)
}

fn meets_a_page(
    site: &Site,
    gateway: &Gateway,
    visitor: &Visitor,
    version: Version,
) -> anyhow::Result<()> {
    let Some(number) = visitor.number else {
        return meets_an_alert(site, gateway, visitor, version);
    };
    let who = format!("{}, {version:?}", visitor.who);
    let client = TlsClient::new(&site.server.ca(), version, visitor.identity.clone())?;
    let page = client.get(gateway.address, "/").response()?;
    assert_eq!(page.status, 403, "{who}: {}", page.text());
    let text = page.text();
    assert!(text.contains(number), "{who}: {text}");
    assert!(text.contains(visitor.says), "{who}: {text}");
    assert!(text.contains("127.0.0.1"), "{who}: {text}");
    assert!(text.contains("別の証明書を選ぶ"), "{who}: {text}");
    assert_eq!(page.header("cache-control"), Some("no-store"), "{who}");
    assert_eq!(page.header("strict-transport-security"), None, "{who}");

    let for_programs = client.get(gateway.address, "/api/api01rv2/patientgetv2?id=00001");
    is_json(&who, &for_programs.response()?, visitor)?;
    let accept = tls::request(gateway.address, "/", &["Accept: application/json"]);
    let by_accept = client.send(gateway.address, accept.as_bytes());
    is_json(&who, &by_accept.response()?, visitor)
}

fn is_json(who: &str, response: &Response, visitor: &Visitor) -> anyhow::Result<()> {
    assert_eq!(response.status, 403, "{who}");
    let error = &response.json()?["error"];
    assert_eq!(error["number"].as_str(), visitor.number, "{who}");
    assert_eq!(error["cause"], visitor.cause, "{who}");
    assert_eq!(error["address"], "127.0.0.1", "{who}");
    for key in ["message", "remedy", "time"] {
        let text = error[key].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{who}: no {key} in {error}");
    }
    Ok(())
}

fn meets_an_alert(
    site: &Site,
    gateway: &Gateway,
    visitor: &Visitor,
    version: Version,
) -> anyhow::Result<()> {
    let client = TlsClient::new(&site.server.ca(), version, visitor.identity.clone())?;
    let answer = client.get(gateway.address, "/");
    let who = format!("{}, {version:?}", visitor.who);
    assert_eq!(answer, Answer::Alert(visitor.alert), "{who}");
    gateway.access(&who, |entry| {
        let nulls = ["method", "path", "status"].map(|key| entry[key].is_null());
        entry["cause"] == visitor.cause && nulls == [true; 3]
    })?;
    Ok(())
}

/// The application was never connected to, and every cause stands in the access log.
fn nothing_got_through(site: &Site, gateway: &Gateway, visitors: &[Visitor]) -> anyhow::Result<()> {
    let seen = site.application.seen()?;
    assert_eq!((seen.connections, seen.requests), (0, 0));
    for visitor in visitors {
        let entry = gateway.access(visitor.cause, |entry| entry["cause"] == visitor.cause)?;
        assert_eq!(entry["client"]["address"], "127.0.0.1", "{entry}");
    }
    Ok(())
}

#[test]
fn an_unusable_crl_refuses_where_that_is_wanted() -> anyhow::Result<()> {
    for mode in ["explain", "strict"] {
        let site = Site::new()?;
        let user = Identity::of(&site.client("user1")?)?;
        let conf = site.conf()?;
        std::fs::remove_file(site.conf_dir().join("ca.crl"))?;
        let gateway = conf
            .set("GATEWAY_CLIENT_AUTH", mode)
            .set("GATEWAY_CRL_UNUSABLE", "refuse")
            .start()?;
        let visitors = [Visitor::new("no CRL", Some(user), "crl-unusable")];
        for version in Version::ALL {
            match mode {
                "explain" => meets_a_page(&site, &gateway, &visitors[0], version)?,
                _ => meets_an_alert(&site, &gateway, &visitors[0], version)?,
            }
        }
        nothing_got_through(&site, &gateway, &visitors)?;
        // It comes back, and so do the clients, without a restart.
        site.place(&site.ca.crl())?;
        let client = TlsClient::new(
            &site.server.ca(),
            Version::Tls13,
            visitors[0].identity.clone(),
        )?;
        orca_e2e::wait::until("the CRL is taken", || {
            let answer = client.get(gateway.address, "/").response().ok()?;
            (answer.status == 200).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn odd_certificates_of_a_trusted_authority() -> anyhow::Result<()> {
    let site = Site::new()?;
    let other = Forge::foreign()?;
    let ca_file = site.conf_dir().join("other-ca.crt");
    std::fs::write(&ca_file, other.pem()?)?;
    let visitors = [
        Visitor::new(
            "unknown critical extension",
            Some(other.odd_client("odd", 7)?),
            "unknown-ca",
        ),
        Visitor::new("the CA itself", Some(other.itself()?), "wrong-usage"),
    ];
    let conf = |mode: &str| -> anyhow::Result<Conf> {
        Ok(site
            .conf()?
            .set("CA_CRT", ca_file.display())
            .set("GATEWAY_CLIENT_AUTH", mode))
    };
    let gateway = conf("explain")?.start()?;
    for visitor in &visitors {
        for version in Version::ALL {
            meets_a_page(&site, &gateway, visitor, version)?;
        }
    }
    drop(gateway);
    let gateway = conf("strict")?.start()?;
    for visitor in &visitors {
        for version in Version::ALL {
            meets_an_alert(&site, &gateway, visitor, version)?;
        }
    }
    nothing_got_through(&site, &gateway, &visitors)?;
    let good = Some(other.client("good", 8)?);
    let good = TlsClient::new(&site.server.ca(), Version::Tls13, good)?;
    assert_eq!(good.get(gateway.address, "/").response()?.status, 200);
    Ok(())
}

#[test]
fn plain_http_is_told_the_right_address_in_both_modes() -> anyhow::Result<()> {
    for mode in ["explain", "strict"] {
        let site = Site::new()?;
        let gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", mode).start()?;
        for (host, linked) in [("weborca-server", true), ("evil.example", false)] {
            let host = format!("{host}:{}", gateway.port());
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept-Language: ja\r\n\r\n");
            let mut stream = http1::connect(gateway.address)?;
            let page = http1::exchange(&mut stream, request.as_bytes())?;
            assert_eq!(page.status, 400, "{mode} {host}");
            let text = page.text();
            assert!(text.contains("E-108"), "{mode} {host}: {text}");
            let link = format!("https://{host}");
            assert_eq!(text.contains(&link), linked, "{mode} {host}: {text}");
            // The connection is over: nothing more comes, and soon.
            assert_eq!(tls::read_to_end(&mut stream)?, b"");
        }
        let entry = gateway.access("plain http", |entry| entry["cause"] == "plain-http")?;
        assert_eq!(entry["status"], 400, "{entry}");
        assert_eq!(site.application.seen()?.connections, 0);
    }
    Ok(())
}

#[test]
fn a_refused_upload_still_shows_why() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.gateway()?;
    let body = vec![b'x'; 3_000_000];
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: weborca-server\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), &body].concat();
    for version in Version::ALL {
        let client = TlsClient::new(&site.server.ca(), version, None)?;
        for round in 1..=5 {
            let response = client.send(gateway.address, &request).response();
            let response = response.map_err(|error| error.context(format!("round {round}")))?;
            assert_eq!(response.status, 403);
        }
    }
    assert_eq!(site.application.seen()?.connections, 0);
    Ok(())
}

/// Content in an answer to HEAD was a protocol error on HTTP/2.
#[test]
fn a_head_request_is_refused_on_http_2_too() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.gateway()?;
    for version in ["--http1.1", "--http2"] {
        for path in ["/", "/api/api01rv2/patientgetv2"] {
            let curl = Curl::new(gateway.address, &site.server.ca()).args([version, "--head"]);
            let text = curl.outcome(path)?.success()?;
            assert!(text.contains(" 403"), "{version} {path}: {text}");
            assert!(text.to_lowercase().contains("content-length: "), "{text}");
        }
    }
    Ok(())
}

/// A program has neither the page's button nor an address bar.
#[test]
fn programs_are_told_what_programs_can_do() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.gateway()?;
    let curl = Curl::new(gateway.address, &site.server.ca());
    let page = curl.outcome("/api/api01rv2/patientgetv2")?.success()?;
    assert!(page.contains("E-101") && page.contains("….crt"), "{page}");
    assert!(
        !page.contains("chrome://") && !page.contains("別の証明書を選ぶ"),
        "{page}"
    );
    Ok(())
}
