//! `orca-gateway diagnose`: what `check` finds, what a client finds at the running gateway, whether the
//! machine still has the addresses of its certificate, and what its clock and its names are worth.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use orca_diagnosis::checks::{self, Beliefs, Ending, Names, Registered};
use orca_diagnosis::facts::{self, Answer, Contact, Lists, Seen};
use orca_diagnosis::target::Target;
use orca_messages::{Finding, Verdict, text};
use orca_pki::certificate::Certificate;
use orca_pki::crl::{Crl, UnverifiedCrl};
use orca_pki::name::HostName;

use crate::check;
use crate::clock::Clock;
use crate::config::{self, Config, CrlSource, CrlUnusable, HttpsFiles, LogTarget, Mode};
use crate::credentials::Credentials;
use clock::Witness;

mod addresses;
mod answer;
mod application;
mod clock;
mod names;

/// What is found where the program that answers is the configured gateway.
const OURS: &str = "own-certificate-served";
/// What is found where the application answers.
const UPSTREAM: &str = "upstream-reached";
/// What a list that runs out is told by.
const LIST_ENDS: &str = "crl-will-end";

/// Everything that is wrong, and with `at` what will have broken by that day, or had on it.
pub(crate) fn findings(conf: &Path, at: Option<Date>, clock: Clock) -> Vec<Finding> {
    let mut findings = check::findings(conf, clock);
    let Ok(reading) = config::read(conf) else {
        return findings;
    };
    let Ok(config) = &reading.config else {
        return findings;
    };
    let visit = Visit {
        conf,
        config,
        now: clock.now(),
        zone: TimeZone::system(),
        application: match findings.iter().any(|finding| finding.id == UPSTREAM) {
            true => application::clock(&config.upstream, clock.now()),
            false => None,
        },
    };
    let (more, ca_crt) = match &config.mode {
        Mode::Http => (visit.http(at), None),
        Mode::Https(files) => (visit.https(files, at), Some(files.ca_crt.as_path())),
    };
    let answer = answer::finding(config, ca_crt, visit.now);
    // The port is taken by the very gateway; without GATEWAY_STATUS `check` cannot know.
    if more.iter().any(|finding| finding.id == OURS) {
        findings.retain(|finding| finding.id != "port-in-use");
    }
    let known: Vec<&str> = findings.iter().map(|finding| finding.id).collect();
    let new = answer
        .into_iter()
        .chain(more)
        .filter(|finding| !known.contains(&finding.id));
    let new: Vec<Finding> = new.collect();
    findings.extend(new);
    findings
}

struct Visit<'a> {
    conf: &'a Path,
    config: &'a Config,
    now: Timestamp,
    zone: TimeZone,
    /// What the application takes for now.
    application: Option<Timestamp>,
}

impl Visit<'_> {
    /// Whether anybody answers, and not with TLS.
    fn http(&self, at: Option<Date>) -> Vec<Finding> {
        let target = self.target();
        let address = target.authority();
        let mut findings = match facts::look(&target, None, self.now) {
            Contact::Refused => vec![not_running(&target)],
            Contact::PlainHttp => vec![Finding::ok(
                "http-answers",
                text!(
                    "{address} はhttpで応答しています(設定どおり)。",
                    "{address} answers in http, as configured"
                ),
            )],
            Contact::Tls(_) => vec![another_mode(&target, ["HTTP", "HTTPS"])],
            contact => checks::outside(&target, &contact, None, &self.beliefs(&[]), self.now),
        };
        findings.extend(self.clock(Vec::new()));
        findings.extend(names::findings(self.config, None));
        findings.extend(at.into_iter().flat_map(|date| self.at_day(date, &[])));
        findings
    }

    fn https(&self, files: &HttpsFiles, at: Option<Date>) -> Vec<Finding> {
        // Why they cannot be loaded has been told.
        let Ok(credentials) = Credentials::load(files) else {
            return self.clock(Vec::new());
        };
        let authorities: Vec<Certificate> = credentials
            .authorities()
            .iter()
            .map(|authority| Certificate::clone(authority))
            .collect();
        let target = self.target();
        let contact = facts::look(&target, None, self.now);
        let mut findings = match &contact {
            Contact::Refused => vec![not_running(&target)],
            Contact::PlainHttp => vec![another_mode(&target, ["HTTPS", "HTTP"])],
            Contact::Tls(seen) => self.seen(&target, &contact, seen, &credentials, &authorities),
            _ => checks::outside(
                &target,
                &contact,
                None,
                &self.beliefs(&authorities),
                self.now,
            ),
        };
        findings.extend(addresses::finding(credentials.server()));
        let server = credentials.server().clone();
        findings.extend(names::findings(self.config, Some((files, &server))));
        let lists = lists(&contact, &files.ca_crl, &authorities);
        findings.extend(self.clock(papers(files, &server, &authorities, &lists)));
        if let Some(date) = at {
            let endings = endings(server, authorities, &lists);
            findings.extend(self.at_day(date, &endings));
        }
        findings
    }

    fn seen(
        &self,
        target: &Target,
        contact: &Contact,
        seen: &Seen,
        credentials: &Credentials,
        authorities: &[Certificate],
    ) -> Vec<Finding> {
        let beliefs = self.beliefs(authorities);
        let mut findings = checks::outside(target, contact, None, &beliefs, self.now);
        // We come without a certificate, and should not get far.
        findings.retain(|finding| finding.id != "no-certificate");
        // It has the very clock that we have.
        findings.retain(|finding| !["clock-agrees", "clock-differs"].contains(&finding.id));
        let refused = match &seen.answer {
            Answer::Alert(_) => true,
            Answer::Http(reply) => reply.number.as_deref() == Some("E-101"),
            Answer::Closed | Answer::NotHttp | Answer::Silent => false,
        };
        if refused {
            findings.push(Finding::ok(
                "refuses-without-certificate",
                text!(
                    "クライアント証明書のない接続は拒否されています。",
                    "who comes without a client certificate is refused"
                ),
            ));
        }
        let shown = seen.chain.first().map(Certificate::fingerprint);
        findings.push(match shown == Some(credentials.server().fingerprint()) {
            true => own_certificate(target),
            false => another_certificate(target),
        });
        findings
    }

    /// `witnesses` and what every machine has.
    fn clock(&self, mut witnesses: Vec<Witness>) -> Vec<Finding> {
        witnesses.extend(Witness::file(self.conf));
        witnesses.extend(Witness::program());
        if let LogTarget::File(path) = &self.config.access_log {
            witnesses.extend(Witness::access_log(path));
        }
        clock::findings(&witnesses, self.application, self.now, &self.zone)
    }

    fn beliefs(&self, authorities: &[Certificate]) -> Beliefs {
        Beliefs {
            authorities: authorities.to_vec(),
            registered: Registered::Unasked,
            newest_list: None,
            names: Names::Any,
            zone: self.zone.clone(),
        }
    }

    /// Our own listener, by an address of this machine.
    fn target(&self) -> Target {
        let listen = self.config.listen;
        let address = match listen {
            // `[::]` takes IPv4 too, or has fallen back to it.
            _ if listen.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            _ => listen.ip(),
        };
        Target {
            host: HostName::Ip(address),
            port: listen.port(),
        }
    }

    /// Of that day. Where a list that has run out shuts everybody out, that is no mere warning.
    fn at_day(&self, date: Date, endings: &[Ending]) -> Vec<Finding> {
        let mut findings = checks::at_day(endings, date, self.now, &self.zone);
        for finding in &mut findings {
            if finding.id == LIST_ENDS && self.config.crl_unusable == CrlUnusable::Refuse {
                finding.verdict = Verdict::Failure;
            }
        }
        findings
    }
}

/// What says itself when it was made, and the times of files.
fn papers(
    files: &HttpsFiles,
    server: &Certificate,
    authorities: &[Certificate],
    lists: &[Crl],
) -> Vec<Witness> {
    let mut papers = vec![Witness::paper(
        text!(
            "サーバ証明書の開始日時",
            "the beginning of the server certificate"
        ),
        server.validity().not_before,
    )];
    papers.extend(authorities.iter().map(|authority| {
        let what = text!(
            "認証局の証明書の開始日時",
            "the beginning of the CA's certificate"
        );
        Witness::paper(what, authority.validity().not_before)
    }));
    papers.extend(lists.iter().map(|list| {
        let what = text!("破棄リストの発行日時", "the making of the revocation list");
        Witness::paper(what, list.this_update())
    }));
    let paths = [&files.server_crt, &files.server_pem, &files.ca_crt];
    papers.extend(paths.into_iter().filter_map(|path| Witness::file(path)));
    papers
}

/// The lists that are in force; of a gateway that does not run, those in the file that it would read.
fn lists(contact: &Contact, source: &CrlSource, authorities: &[Certificate]) -> Vec<Crl> {
    let lists = match (contact, source) {
        (Contact::Tls(seen), _) => match &seen.lists {
            Lists::Found(lists) => lists.clone(),
            Lists::Nowhere | Lists::Unknown => Vec::new(),
        },
        (_, CrlSource::File(path)) => {
            let octets = std::fs::read(path).unwrap_or_default();
            orca_pki::crl::split(&octets).unwrap_or_default()
        }
        (_, CrlSource::Url(_)) => Vec::new(),
    };
    let verified = lists.iter().filter_map(|der| {
        let list = UnverifiedCrl::from_der(der).ok()?;
        list.verify(authorities).ok()
    });
    verified.collect()
}

/// What ends here: certificates, and lists.
fn endings(server: Certificate, authorities: Vec<Certificate>, lists: &[Crl]) -> Vec<Ending> {
    let mut endings = vec![Ending::Server(server)];
    let list = |list: &Crl| Ending::List(list.number().to_string(), list.next_update());
    endings.extend(lists.iter().map(list));
    endings.extend(authorities.into_iter().map(Ending::Authority));
    endings
}

fn not_running(target: &Target) -> Finding {
    let address = target.authority();
    Finding::warning(
        "gateway-not-running",
        text!(
            "orca-gatewayは起動していません({address} で応答がありません)。",
            "orca-gateway does not run: nobody answers at {address}"
        ),
        text!(
            "異常がある場合は取り除いてから、systemctl start orca-gateway を実行してください。",
            "remove what failed, if anything did, then run systemctl start orca-gateway"
        ),
    )
}

fn another_mode(target: &Target, [configured, found]: [&str; 2]) -> Finding {
    let address = target.authority();
    Finding::failure(
        "another-mode",
        text!(
            "設定ファイルは{configured}ですが、{address} は{found}で応答しています。設定の変更後に再起動されていないか、別のプログラムです。",
            "the configuration says {configured}, but {address} answers in {found}: it was not restarted since, or is another program"
        ),
        text!(
            "systemctl restart orca-gateway を実行してください。変わらない場合は、ss -ltnp で待ち受けているプログラムを確認してください。",
            "run systemctl restart orca-gateway; if that changes nothing, ss -ltnp tells which program listens"
        ),
    )
}

fn own_certificate(target: &Target) -> Finding {
    Finding::ok(
        "own-certificate-served",
        text!(
            "{target} で、SERVER_CRT の証明書を持つゲートウェイが応答しています。",
            "the gateway that answers at {target} has the certificate of SERVER_CRT"
        ),
    )
}

fn another_certificate(target: &Target) -> Finding {
    Finding::failure(
        "another-certificate-served",
        text!(
            "{target} で応答しているプログラムは、SERVER_CRT とは別の証明書を使用しています。新しい証明書を読み込めなかったか、別のプログラムです。",
            "what answers at {target} shows another certificate than SERVER_CRT: it could not load the new one, or is another program"
        ),
        text!(
            "ログを確認し、上の異常を取り除いてください。ss -ltnp で待ち受けているプログラムを確認できます。",
            "read the log and remove what failed above; ss -ltnp tells which program listens"
        ),
    )
}
