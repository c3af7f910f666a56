//! What kinds of certificates there are, and the extensions each carries.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use const_oid::AssociatedOid;
use der::Encode;
use der::asn1::{Ia5String, OctetString};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    NameConstraints as NameConstraintsExtension, SubjectAltName, SubjectKeyIdentifier,
};

use crate::certificate::{CLIENT_AUTH, SERVER_AUTH};
use crate::name::{HostName, NameError};

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CertificateProfile {
    /// The authority itself: signs certificates and revocation lists, nothing below it may sign.
    Root,
    /// A server: serverAuth and at least one subjectAltName.
    Server,
    /// A user or device: clientAuth.
    Client,
}

impl CertificateProfile {
    /// The word in lists and in the register.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for CertificateProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A range of addresses in CIDR notation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address lies in it; an IPv4 address never lies in an IPv6 range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (network, mask) = self.octets();
        let octets = octets(address);
        octets.len() == network.len()
            && octets
                .iter()
                .zip(&network)
                .zip(&mask)
                .all(|((a, n), m)| a & m == n & m)
    }

    /// The same range, written with its first address.
    pub fn canonical(&self) -> Self {
        let shift = |bits: u32| bits.saturating_sub(u32::from(self.prefix));
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(shift(32)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(shift(128)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Self { address, ..*self }
    }

    /// The address it was written with.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Address and mask, as the iPAddress of a name constraint wants them (RFC 5280 §4.2.1.10).
    fn octets(&self) -> (Vec<u8>, Vec<u8>) {
        let address = octets(self.address);
        let mask: Vec<u8> = (0..address.len())
            .map(
                |index| match usize::from(self.prefix).saturating_sub(index * 8) {
                    0 => 0,
                    bits @ 1..8 => 0xff << (8 - bits),
                    _ => 0xff,
                },
            )
            .collect();
        let network = address
            .iter()
            .zip(&mask)
            .map(|(octet, mask)| octet & mask)
            .collect();
        (network, mask)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

impl FromStr for Network {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NameError::NotAnAddress(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(error)?;
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let prefix: u8 = prefix.parse().map_err(|_| error())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most {
            Err(error())
        } else {
            Ok(Self { address, prefix })
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Names a CA may certify (RFC 5280 §4.2.1.10); an empty list of a kind does not limit that kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NameConstraints {
    /// DNS names, each with everything below it.
    pub names: Vec<HostName>,
    /// Address ranges.
    pub networks: Vec<Network>,
}

impl NameConstraints {
    /// Whether a host may stand in a certificate.
    pub fn permit(&self, host: &HostName) -> bool {
        match host {
            HostName::Ip(address) => {
                self.networks.is_empty()
                    || self
                        .networks
                        .iter()
                        .any(|network| network.contains(*address))
            }
            HostName::Dns(name) => {
                self.names.is_empty()
                    || self.names.iter().any(|permitted| match permitted {
                        HostName::Dns(domain) => {
                            name == domain
                                || name
                                    .strip_suffix(domain.as_str())
                                    .is_some_and(|head| head.ends_with('.'))
                        }
                        HostName::Ip(_) => false,
                    })
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.networks.is_empty()
    }

    /// What the nameConstraints extension of a CA certificate permits.
    pub(crate) fn from_extension(extension: &NameConstraintsExtension) -> Self {
        let mut constraints = Self::default();
        for subtree in extension.permitted_subtrees.iter().flatten() {
            match &subtree.base {
                GeneralName::DnsName(name) => {
                    constraints
                        .names
                        .push(HostName::Dns(name.to_string().to_ascii_lowercase()));
                }
                GeneralName::IpAddress(octets) => {
                    constraints.networks.extend(network(octets.as_bytes()));
                }
                _ => {}
            }
        }
        constraints
    }

    fn to_extension(&self) -> der::Result<NameConstraintsExtension> {
        let names = self.names.iter().map(general_name);
        let networks = self.networks.iter().map(|network| {
            let (mut octets, mask) = network.octets();
            octets.extend(mask);
            Ok(GeneralName::IpAddress(OctetString::new(octets)?))
        });
        let subtrees = names
            .chain(networks)
            .map(|base| {
                Ok(GeneralSubtree {
                    base: base?,
                    minimum: 0,
                    maximum: None,
                })
            })
            .collect::<der::Result<Vec<_>>>()?;
        Ok(NameConstraintsExtension {
            permitted_subtrees: Some(subtrees),
            excluded_subtrees: None,
        })
    }
}

fn network(octets: &[u8]) -> Option<Network> {
    let (address, mask) = octets.split_at(octets.len() / 2);
    let address = match (<[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
        (Ok(v4), _) => IpAddr::from(v4),
        (_, Ok(v6)) => IpAddr::from(v6),
        _ => return None,
    };
    let prefix = mask.iter().map(|octet| octet.leading_ones()).sum::<u32>();
    Some(Network {
        address,
        prefix: u8::try_from(prefix).ok()?,
    })
}

fn general_name(host: &HostName) -> der::Result<GeneralName> {
    Ok(match host {
        HostName::Dns(name) => GeneralName::DnsName(Ia5String::new(name)?),
        HostName::Ip(address) => GeneralName::IpAddress(OctetString::new(octets(*address))?),
    })
}

/// What the extensions are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExtensionFacts<'a> {
    pub(crate) profile: CertificateProfile,
    pub(crate) hosts: &'a [HostName],
    pub(crate) constraints: &'a NameConstraints,
    pub(crate) subject_key_identifier: &'a [u8],
    pub(crate) authority_key_identifier: &'a [u8],
    pub(crate) key_is_rsa: bool,
}

/// The extensions of a certificate (RFC 5280 §4.2.1), basicConstraints and keyUsage critical.
pub(crate) fn extensions(facts: ExtensionFacts<'_>) -> der::Result<Vec<Extension>> {
    let is_root = facts.profile == CertificateProfile::Root;
    // §4.2.1.9: cA only for authorities; pathLen 0: none below ours.
    let constraints = BasicConstraints {
        ca: is_root,
        path_len_constraint: is_root.then_some(0),
    };
    // §4.2.1.3
    let usage = match (facts.profile, facts.key_is_rsa) {
        (CertificateProfile::Root, _) => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
        (_, false) => KeyUsages::DigitalSignature.into(),
        (_, true) => KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment,
    };
    let mut extensions = vec![critical(&constraints)?, critical(&KeyUsage(usage))?];
    // §4.2.1.12: one purpose each.
    match facts.profile {
        CertificateProfile::Root => {}
        CertificateProfile::Server => extensions.push(plain(&ExtendedKeyUsage(vec![SERVER_AUTH]))?),
        CertificateProfile::Client => extensions.push(plain(&ExtendedKeyUsage(vec![CLIENT_AUTH]))?),
    }
    // §4.2.1.2 and §4.2.1.1
    extensions.push(plain(&SubjectKeyIdentifier(OctetString::new(
        facts.subject_key_identifier,
    )?))?);
    extensions.push(plain(&AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(facts.authority_key_identifier)?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    })?);
    // §4.2.1.6
    if !facts.hosts.is_empty() {
        let names = facts
            .hosts
            .iter()
            .map(general_name)
            .collect::<der::Result<_>>()?;
        extensions.push(plain(&SubjectAltName(names))?);
    }
    // §4.2.1.10
    if !facts.constraints.is_empty() {
        extensions.push(critical(&facts.constraints.to_extension()?)?);
    }
    Ok(extensions)
}

fn critical<T: AssociatedOid + Encode>(value: &T) -> der::Result<Extension> {
    Ok(Extension {
        critical: true,
        ..plain(value)?
    })
}

/// An extension that is not critical.
pub(crate) fn plain<T: AssociatedOid + Encode>(value: &T) -> der::Result<Extension> {
    Ok(Extension {
        extn_id: T::OID,
        critical: false,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let network: Network = "192.168.0.0/23".parse().unwrap();
        for (address, inside) in [
            ("192.168.1.255", true),
            ("192.168.2.0", false),
            ("::ffff:192.168.1.1", false),
        ] {
            assert_eq!(
                network.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
        let v6: Network = "fd00::/8".parse().unwrap();
        assert!(v6.contains("fd12::1".parse().unwrap()));
        for text in ["192.168.0.0", "192.168.0.0/33", "x/8", "192.168.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn constraints_permit_a_domain_and_what_is_below_it() {
        let constraints = NameConstraints {
            names: vec![HostName::dns("clinic.local").unwrap()],
            networks: vec!["10.0.0.0/8".parse().unwrap()],
        };
        for (host, permitted) in [
            ("clinic.local", true),
            ("orca.clinic.local", true),
            ("evilclinic.local", false),
            ("10.1.2.3", true),
            ("192.168.1.1", false),
        ] {
            assert_eq!(
                constraints.permit(&host.parse().unwrap()),
                permitted,
                "{host}"
            );
        }
        let again = NameConstraints::from_extension(&constraints.to_extension().unwrap());
        assert_eq!(again, constraints);
    }
}
