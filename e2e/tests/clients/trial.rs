//! One client, every visitor, both modes, both versions of TLS, again and again.

use std::path::PathBuf;

use anyhow::Context;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::site::Site;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use serde_json::Value;

use crate::table;
use crate::visitors::Visitor;
use crate::visitors::Who;
use crate::visitors::visitors;

/// What is seen once may be luck.
const ROUNDS: usize = 3;

/// A program that connects, and what it is known to say.
pub(crate) struct Client {
    /// As in the table of the documentation.
    pub(crate) name: &'static str,
    /// Where it goes; `/ws` opens a WebSocket.
    pub(crate) path: &'static str,
    /// What it says of the alert that refuses this visitor in `strict`: one of these texts.
    pub(crate) says: fn(Who, Version) -> &'static [&'static str],
}

/// A call that is to be made.
pub(crate) struct Call<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) ca: PathBuf,
    pub(crate) path: &'static str,
    pub(crate) version: Version,
    pub(crate) kit: Option<&'a Kit>,
}

impl Call<'_> {
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}{}", self.gateway.port(), self.path)
    }
}

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A response with its content; after 101, what the WebSocket sent back.
    Response(u16, String),
    /// What the client said when there was none.
    Error(String),
}

impl Client {
    /// Lets everybody come; `make` makes all the calls it is given.
    pub(crate) fn visits(
        &self,
        make: impl Fn(&[Call<'_>]) -> anyhow::Result<Vec<Seen>>,
    ) -> anyhow::Result<()> {
        let site = Site::new()?;
        let visitors = visitors(&site)?;
        for mode in ["explain", "strict"] {
            let gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", mode).start()?;
            for round in 1..=ROUNDS {
                let (plan, calls) = self.plan(&site, &gateway, &visitors);
                let seen = make(&calls)?;
                assert_eq!(seen.len(), calls.len(), "{}: an answer each", self.name);
                for ((who, version), seen) in plan.into_iter().zip(&seen) {
                    let what = format!("{}, {mode}, {who:?}, {version:?}, {round}", self.name);
                    self.judge(&what, mode, who, version, seen);
                }
            }
            causes_are_logged(&gateway, mode)?;
        }
        only_the_good_came_through(&site, &visitors)?;
        let page = |who: Who| who.refusal().map_or("", |(number, _)| number);
        table::shows_pages(self.name, &Who::REFUSED.map(page))?;
        table::shows(self.name, |who, version| (self.says)(who, version).to_vec())
    }

    fn plan<'a>(
        &self,
        site: &Site,
        gateway: &'a Gateway,
        visitors: &'a [Visitor],
    ) -> (Vec<(Who, Version)>, Vec<Call<'a>>) {
        let mut plan = Vec::new();
        let mut calls = Vec::new();
        for version in Version::ALL {
            for visitor in visitors {
                plan.push((visitor.who, version));
                calls.push(Call {
                    gateway,
                    ca: site.server.ca(),
                    path: self.path,
                    version,
                    kit: visitor.kit.as_ref(),
                });
            }
        }
        (plan, calls)
    }

    fn judge(&self, what: &str, mode: &str, who: Who, version: Version, seen: &Seen) {
        match (who.refusal(), mode) {
            (None, _) => {
                let (status, text) = self.welcome();
                let Seen::Response(got, body) = seen else {
                    panic!("{what}: {seen:?}");
                };
                assert_eq!(*got, status, "{what}: {body}");
                assert!(body.contains(text), "{what}: {body}");
            }
            (Some((number, _)), "explain") => {
                let Seen::Response(status, body) = seen else {
                    panic!("{what}: {seen:?}");
                };
                assert_eq!(*status, 403, "{what}: {body}");
                assert!(body.contains(number), "{what}: {body}");
            }
            (Some(_), _) => {
                let Seen::Error(error) = seen else {
                    panic!("{what}: {seen:?}");
                };
                let texts = (self.says)(who, version);
                let named = texts.iter().any(|text| error.contains(text));
                assert!(named, "{what}: none of {texts:?} in {error}");
            }
        }
    }

    /// What the good one gets.
    fn welcome(&self) -> (u16, &'static str) {
        match self.path {
            "/ws" => (101, "受付 1 番"),
            _ => (200, "オペレータID"),
        }
    }
}

/// Each refusal of this mode stands in the access log under its cause, as often as it happened;
/// some clients try again by themselves.
fn causes_are_logged(gateway: &Gateway, mode: &str) -> anyhow::Result<()> {
    let status = match mode {
        "explain" => Value::from(403),
        _ => Value::Null,
    };
    for who in Who::REFUSED {
        let (_, cause) = who.refusal().context("a refusal")?;
        let times = ROUNDS * Version::ALL.len();
        wait::until(&format!("{times} times {cause} in the access log"), || {
            let entries = gateway.access_log().ok()?;
            let of_cause = entries
                .iter()
                .filter(|entry| entry["cause"] == cause && entry["status"] == status);
            (of_cause.count() >= times).then_some(())
        })?;
    }
    Ok(())
}

/// The application saw the good one's requests, all of them, and nothing else.
pub(crate) fn only_the_good_came_through(site: &Site, visitors: &[Visitor]) -> anyhow::Result<()> {
    let good = visitors.iter().find(|visitor| visitor.who == Who::Good);
    let kit = good.and_then(|good| good.kit.as_ref()).context("a good")?;
    let serial: u64 = kit.number().parse()?;
    let field = serde_json::json!(["x-client-cert-serial", serial.to_string()]);
    let requests = site.application.requests()?;
    assert!(!requests.is_empty());
    for request in &requests {
        let fields = request["headers"].as_array().context("fields")?;
        assert!(fields.contains(&field), "{request}");
    }
    assert_eq!(site.application.seen()?.requests, requests.len() as u64);
    Ok(())
}
