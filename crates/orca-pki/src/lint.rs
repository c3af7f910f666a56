//! Looks at a certificate before it is signed: what every client would refuse is refused here, what
//! some will is said.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::date;
use x509_cert::ext::pkix::NameConstraints as NameConstraintsExtension;

use crate::certificate::Certificate;
use crate::issuance::{IssuanceRequest, validity};
use crate::key::KeyAlgorithm;
use crate::name::HostName;
use crate::profile::{CertificateProfile, NameConstraints};

/// Longest validity of a server certificate that Safari, iPhone and iPad accept, in days, private
/// authorities included (Apple HT210176).
pub const APPLE_SERVER_DAYS: i64 = 825;

/// Why a certificate is not signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// This machine's clock stands before the CA's notBefore.
    #[error("the clock stands at {now}, before the CA's notBefore {not_before}")]
    ClockBeforeIssuer {
        /// What the clock says.
        now: Timestamp,
        /// notBefore of the CA.
        not_before: Timestamp,
    },
    /// The CA has expired.
    #[error("the CA expired at {not_after}")]
    IssuerExpired {
        /// notAfter of the CA.
        not_after: Timestamp,
    },
    /// The CA's name constraints exclude a host (RFC 5280 §4.2.1.10).
    #[error("the CA's name constraints do not permit {0}")]
    HostNotPermitted(HostName),
    /// A server certificate without any host: no client would accept it.
    #[error("a server certificate needs a host")]
    NoHost,
}

/// What some clients, or the rules in Japan, will object to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Advice {
    /// Cut down to the CA's own end.
    Shortened {
        /// notAfter it gets.
        not_after: Timestamp,
    },
    /// Safari, iPhone and iPad refuse servers with more than [`APPLE_SERVER_DAYS`].
    LongServerValidity {
        /// Days it will be valid from now on; the day it is dated back comes on top.
        days: i64,
    },
    /// An IPv4 address and no name, under a CA that may certify some names only: OpenSSL takes the
    /// commonName for a host name then, and finds it outside (`NAME_CONSTRAINTS_check_CN`).
    AddressAlone,
    /// RSA-2048 in use after 2030 (CRYPTREC LS-0003, 112-bit security).
    Rsa2048After2030 {
        /// notAfter it gets.
        not_after: Timestamp,
    },
}

/// Lints a request.
///
/// # Errors
/// Every client would refuse what comes out.
pub fn check(
    request: &IssuanceRequest,
    issuer: Option<&Certificate>,
    now: Timestamp,
) -> Result<Vec<Advice>, Refused> {
    let period = validity(request, issuer, now)?;
    let is_server = request.profile() == CertificateProfile::Server;
    if is_server && request.hosts().is_empty() {
        return Err(Refused::NoHost);
    }
    if let Some(host) = issuer.and_then(|issuer| excluded(issuer, request.hosts())) {
        return Err(Refused::HostNotPermitted(host));
    }
    let mut advice = Vec::new();
    if issuer.is_some_and(|issuer| issuer.validity().not_after == period.not_after) {
        advice.push(Advice::Shortened {
            not_after: period.not_after,
        });
    }
    if is_server && period.days() > APPLE_SERVER_DAYS {
        advice.push(Advice::LongServerValidity {
            days: period.days_left(now),
        });
    }
    if is_server && issuer.is_some_and(|issuer| address_alone(issuer, request.hosts())) {
        advice.push(Advice::AddressAlone);
    }
    let end_of_2030 = date(2031, 1, 1).to_datetime(jiff::civil::Time::midnight());
    let after_2030 = jiff::tz::TimeZone::UTC
        .to_timestamp(end_of_2030)
        .is_ok_and(|end| period.not_after > end);
    if request.key() == KeyAlgorithm::Rsa2048 && after_2030 {
        advice.push(Advice::Rsa2048After2030 {
            not_after: period.not_after,
        });
    }
    Ok(advice)
}

fn excluded(issuer: &Certificate, hosts: &[HostName]) -> Option<HostName> {
    let constraints = constraints(issuer)?;
    hosts.iter().find(|host| !constraints.permit(host)).cloned()
}

/// The first host is the commonName; an IPv6 address does not look like a host name.
fn address_alone(issuer: &Certificate, hosts: &[HostName]) -> bool {
    constraints(issuer).is_some_and(|constraints| !constraints.names.is_empty())
        && matches!(hosts.first(), Some(HostName::Ip(IpAddr::V4(_))))
        && !hosts.iter().any(|host| matches!(host, HostName::Dns(_)))
}

fn constraints(issuer: &Certificate) -> Option<NameConstraints> {
    let extension: NameConstraintsExtension = issuer.extension()?;
    Some(NameConstraints::from_extension(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuance::tests::{authority, realm};

    fn now() -> Timestamp {
        "2026-11-24T00:00:00Z".parse().unwrap()
    }

    fn server(hosts: &[&str], days: u32) -> IssuanceRequest {
        let name = hosts[0].parse().unwrap();
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        IssuanceRequest::server(&realm(), name, hosts, days, KeyAlgorithm::P256).unwrap()
    }

    #[test]
    fn a_host_outside_the_ca_is_refused() {
        let constraints = NameConstraints {
            names: vec!["clinic.local".parse().unwrap()],
            networks: vec!["192.168.1.0/24".parse().unwrap()],
        };
        let (ca, _) = authority(constraints, 7300, now());
        for (host, permitted) in [
            ("weborca.clinic.local", true),
            ("192.168.1.100", true),
            ("weborca-server", false),
            ("10.0.0.1", false),
        ] {
            let request = server(&[host], 90);
            let result = check(&request, Some(&ca), now());
            let expected = if host == "192.168.1.100" {
                Ok(vec![Advice::AddressAlone])
            } else if permitted {
                Ok(vec![])
            } else {
                Err(Refused::HostNotPermitted(host.parse().unwrap()))
            };
            assert_eq!(result, expected, "{host}");
        }
    }

    #[test]
    fn under_name_constraints_an_address_wants_a_name_beside_it() {
        let named = vec!["weborca".parse().unwrap()];
        let networks = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        for (names, hosts, advice) in [
            (&named, vec!["192.168.1.100"], vec![Advice::AddressAlone]),
            (&named, vec!["192.168.1.100", "weborca"], vec![]),
            (&named, vec!["fd00::1"], vec![]),
            (&vec![], vec!["192.168.1.100"], vec![]),
        ] {
            let constraints = NameConstraints {
                names: names.clone(),
                networks: networks.clone(),
            };
            let (ca, _) = authority(constraints, 7300, now());
            let request = server(&hosts, 90);
            assert_eq!(check(&request, Some(&ca), now()), Ok(advice), "{hosts:?}");
        }
    }

    #[test]
    fn advice_is_given_only_where_it_applies() {
        let (ca, _) = authority(NameConstraints::default(), 7300, now());
        let client = |days, key| {
            let request =
                IssuanceRequest::client(&realm(), "user1".parse().unwrap(), days, key).unwrap();
            check(&request, Some(&ca), now()).unwrap()
        };
        assert_eq!(client(3650, KeyAlgorithm::P256), []);
        assert_eq!(client(365, KeyAlgorithm::Rsa2048), []);
        assert!(matches!(
            client(3650, KeyAlgorithm::Rsa2048)[..],
            [Advice::Rsa2048After2030 { .. }]
        ));
        let advice = |days| {
            let request = server(&["weborca-server"], days);
            check(&request, Some(&ca), now()).unwrap()
        };
        assert_eq!(advice(824), []);
        assert_eq!(advice(825), [Advice::LongServerValidity { days: 825 }]);
    }
}
