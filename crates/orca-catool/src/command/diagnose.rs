//! `diagnose`: what is wrong with a server, a client's certificate, the CA. It works without a CA,
//! and never makes or changes one.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use orca_ca::place::{Place, Standing};
use orca_ca::record::{CertificateRecord, CertificateStatus};
use orca_ca::{Authority, Error};
use orca_diagnosis::checks::{self, Beliefs, Ending, Names, Registered};
use orca_diagnosis::facts::{self, Contact, Lists};
use orca_diagnosis::identity::{self, Identity};
use orca_diagnosis::report::{self, Form};
use orca_messages::{Finding, Localize, text, zone};
use orca_pki::certificate::Certificate;
use orca_pki::crl::UnverifiedCrl;

use crate::args::{DiagnoseArgs, Format, Scheme};
use crate::session::{Failure, Session};

mod own;

pub(crate) fn run(
    place: Result<Place, Error>,
    args: DiagnoseArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<u8, Failure> {
    let zone = zone::local();
    let mut findings = Vec::new();
    let authority = match open(place) {
        Ok(authority) => authority,
        Err(error) => {
            findings.push(unusable(&error, &args));
            None
        }
    };
    let visit = Visit {
        authority: authority.as_ref(),
        now,
        zone,
    };
    findings.extend(visit.findings(&args)?);
    let form = match args.format {
        Format::Csv => Form::Csv,
        Format::Json => Form::Json,
        Format::Table => Form::Table,
    };
    report::print(&findings, form, session.lang, session.output)?;
    Ok(u8::from(checks::any_failed(&findings)))
}

/// The CA of this machine, where it has one. Nothing is mended and nothing renewed.
fn open(place: Result<Place, Error>) -> Result<Option<Authority>, Error> {
    let place = match place {
        // A client without a CA, whoever runs this on it.
        Err(Error::NoCaForRoot { .. } | Error::NoHome) => return Ok(None),
        place => place?,
    };
    match place.standing()? {
        Standing::Vacant => Ok(None),
        Standing::Authority => Authority::open(place).map(Some),
    }
}

/// A CA that cannot be opened; beside a server it is not the subject.
fn unusable(error: &Error, args: &DiagnoseArgs) -> Finding {
    let (id, message, remedy) = (error.id(), error.message(), error.remedy());
    match args.target.is_some() || args.source.is_some() {
        true => Finding::warning(id, message, remedy),
        false => Finding::failure(id, message, remedy),
    }
}

struct Visit<'a> {
    authority: Option<&'a Authority>,
    now: Timestamp,
    zone: TimeZone,
}

impl Visit<'_> {
    fn findings(&self, args: &DiagnoseArgs) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        let mut endings = Vec::new();
        let client = match args.source.as_ref().map(identity::read).transpose() {
            Ok(client) => client,
            Err(trouble) => {
                findings.push(checks::no_identity(&trouble));
                None
            }
        };
        let given = match args.ca.as_deref().map(identity::certificates).transpose() {
            Ok(given) => given,
            Err(trouble) => {
                findings.push(checks::no_identity(&trouble));
                None
            }
        };
        let beliefs = self.beliefs(given, client.as_ref())?;
        let over = |date: &Date| checks::is_over(*date, self.now, &self.zone);
        if let Some(date) = args.at.filter(over)
            && args.target.is_none()
            && args.source.is_none()
        {
            return Err(crate::args::past_date(date).into());
        }
        match (&args.target, &client) {
            (Some(target), client) => {
                let contact = facts::look(target, client.as_ref(), self.now);
                endings.extend(endings_of(&contact, &beliefs));
                endings.extend(
                    client
                        .as_ref()
                        .and_then(|client| checks::revocation(client, Some(&contact), &beliefs)),
                );
                if args.scheme == Scheme::Http {
                    findings.extend(checks::typed_http(target, &contact));
                }
                findings.extend(checks::outside(
                    target,
                    &contact,
                    client.as_ref(),
                    &beliefs,
                    self.now,
                ));
                findings.extend(self.behind(target));
            }
            (None, Some(client)) => {
                endings.extend(checks::revocation(client, None, &beliefs));
                findings.extend(checks::alone(client, &beliefs, self.now));
            }
            // Its files are the trouble, and that has been told.
            (None, None) if args.source.is_some() => {}
            (None, None) => {
                let (found, ending) = self.own()?;
                findings.extend(found);
                endings.extend(ending);
            }
        }
        if let Some(client) = client {
            endings.push(Ending::Client(client.certificate));
            endings.extend(checks::intermediates(&client.others));
        }
        endings.extend(beliefs.authorities.into_iter().map(Ending::Authority));
        if let Some(date) = args.at {
            findings.extend(checks::at_day(&endings, date, self.now, &self.zone));
        }
        Ok(findings)
    }

    fn own(&self) -> Result<(Vec<Finding>, Vec<Ending>), Failure> {
        match self.authority {
            Some(authority) => Ok(own::findings(authority, self.now, &self.zone)?),
            None => Ok((vec![no_ca()], Vec::new())),
        }
    }

    fn beliefs(
        &self,
        given: Option<Vec<Certificate>>,
        client: Option<&Identity>,
    ) -> Result<Beliefs, Failure> {
        let own = self.authority.map(Authority::certificate);
        let authorities = match (given, own, client) {
            (Some(given), _, _) => given,
            (None, Some(own), _) => vec![own.clone()],
            // Where nobody tells, the CA that came with the certificate.
            (None, None, Some(client)) => {
                let cas = client.others.iter().filter(|one| one.is_ca());
                cas.cloned().collect()
            }
            (None, None, None) => Vec::new(),
        };
        let registered = match (self.authority, client) {
            (Some(authority), Some(client)) => registered(authority, &client.certificate)?,
            _ => Registered::Unasked,
        };
        let is_own = own.is_some_and(|own| authorities.iter().any(|one| one.der() == own.der()));
        let newest_list = match self.authority {
            Some(authority) if is_own => authority.newest_crl()?.map(|crl| crl.number.0),
            _ => None,
        };
        Ok(Beliefs {
            authorities,
            registered,
            newest_list,
            names: Names::OfTarget,
            zone: self.zone.clone(),
        })
    }

    /// What the register remembers of other gateways is no matter of this one.
    fn behind(&self, target: &orca_diagnosis::target::Target) -> Option<Finding> {
        let laggards = self.authority?.laggards().ok()?;
        let address = target.to_string();
        let laggard = laggards.iter().find(|one| one.place == address)?;
        let failure = laggard.failure.as_ref()?.text();
        let (ja, en) = (failure.ja, failure.en);
        Some(Finding::warning(
            "delivery-failed",
            text!(
                "前回、破棄リストをこのサーバに届けられませんでした。原因: {ja}",
                "the last delivery of a revocation list to this server failed: {en}"
            ),
            text!(
                "原因を取り除いてから orca-catool publish_crl を実行してください。",
                "remove the cause, then run orca-catool publish_crl"
            ),
        ))
    }
}

/// What the register of the CA says, where the certificate is one of its own.
fn registered(authority: &Authority, certificate: &Certificate) -> Result<Registered, Error> {
    let ca = authority.certificate();
    if certificate.issuer() != ca.subject() || certificate.verify_signature(ca).is_err() {
        return Ok(Registered::Unasked);
    }
    let is_it =
        |record: &CertificateRecord| record.fingerprint() == Some(certificate.fingerprint());
    let record = authority.list()?.into_iter().find(is_it);
    Ok(match record.map(|record| record.status) {
        None => Registered::Absent,
        Some(CertificateStatus::Revoked { at, .. }) => Registered::Revoked(at),
        Some(CertificateStatus::Reserved | CertificateStatus::Issued) => Registered::Known,
    })
}

/// What ends at a server.
fn endings_of(contact: &Contact, beliefs: &Beliefs) -> Vec<Ending> {
    let Contact::Tls(seen) = contact else {
        return Vec::new();
    };
    let server = seen.chain.first().cloned().map(Ending::Server);
    let above = checks::intermediates(seen.chain.get(1..).unwrap_or_default());
    let server = server.into_iter().chain(above);
    let Lists::Found(lists) = &seen.lists else {
        return server.collect();
    };
    let lists = lists.iter().filter_map(|der| {
        let list = UnverifiedCrl::from_der(der).ok()?;
        let list = list.verify(&beliefs.authorities).ok()?;
        Some(Ending::List(list.number().to_string(), list.next_update()))
    });
    server.chain(lists).collect()
}

fn no_ca() -> Finding {
    Finding::failure(
        "no-ca",
        text!(
            "この機械には認証局がないため、調べるものがありません。",
            "there is no CA on this machine, and so nothing to look at"
        ),
        text!(
            "サーバを調べる場合は orca-catool diagnose https://ホスト:8000 のようにアドレスを指定してください。",
            "to look at a server, name its address: orca-catool diagnose https://HOST:8000"
        ),
    )
}
