//! Chains as clients show them, each with its verdict; made by rcgen, which is not our own issuance.

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, date_time_ymd,
};

use super::*;

const NOW: &str = "2026-11-24T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An authority with its key.
struct Ca {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl Ca {
    fn root() -> Self {
        Self::root_with(|_| {})
    }

    fn root_with(change: impl Fn(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = ca_params("orca CA");
        change(&mut params);
        let der = params.self_signed(&key).unwrap();
        Self::new(params, key, der.der())
    }

    fn below(&self, change: impl Fn(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = ca_params("orca sub CA");
        change(&mut params);
        let der = params.signed_by(&key, &self.issuer()).unwrap();
        Self::new(params, key, der.der())
    }

    fn new(params: CertificateParams, key: KeyPair, der: &[u8]) -> Self {
        Self {
            params,
            key,
            certificate: Certificate::from_der(der).unwrap(),
        }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    fn client(&self, change: impl Fn(&mut CertificateParams)) -> Arc<Certificate> {
        let key = KeyPair::generate().unwrap();
        let mut params = params("user1", 2026, 2036);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let der = params.signed_by(&key, &self.issuer()).unwrap();
        Arc::new(Certificate::from_der(der.der()).unwrap())
    }

    fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().to_vec().into()
    }

    fn trusted(&self) -> Authorities {
        Authorities::new([self.certificate.clone()])
    }
}

fn params(common_name: &str, from: i32, to: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name, 2020, 2040);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn past(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2026, 1, 1);
}

fn not_revoked(_: KeyId, _: &SerialNumber) -> RevocationStatus {
    RevocationStatus::NotRevoked
}

fn verdict(
    client: &Arc<Certificate>,
    intermediates: &[CertificateDer<'_>],
    authorities: &Authorities,
) -> Result<Verified, Rejection> {
    judge(client, intermediates, authorities, now(), not_revoked)
}

const REVOKED_AT: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// Says of exactly one certificate that it is revoked.
fn revoked(
    issuer: &Certificate,
    certificate: &Certificate,
) -> impl Fn(KeyId, &SerialNumber) -> RevocationStatus {
    let (key, revoked) = (issuer.key_id(), certificate.serial().clone());
    move |issuer, serial| {
        if issuer == key && *serial == revoked {
            RevocationStatus::Revoked(REVOKED_AT)
        } else {
            RevocationStatus::NotRevoked
        }
    }
}

#[test]
fn a_clients_certificate_of_a_trusted_authority_is_valid() {
    let ca = Ca::root();
    let client = ca.client(|_| {});
    let verified = verdict(&client, &[], &ca.trusted()).unwrap();
    assert_eq!(verified.certificate().der(), client.der());
    assert_eq!(verified.issuer_key(), ca.certificate.key_id());
    assert_eq!(verified.validity(), client.validity());
    let issued = [(ca.certificate.key_id(), client.serial().clone())];
    assert_eq!(verified.issued(), issued);
}

#[test]
fn a_purpose_that_is_not_named_is_accepted() {
    let ca = Ca::root();
    let client = ca.client(|params| {
        params.extended_key_usages.clear();
        params.key_usages.clear();
    });
    assert!(verdict(&client, &[], &ca.trusted()).is_ok());
}

#[test]
fn other_purposes_are_wrong_usage() {
    let ca = Ca::root();
    let server = ca.client(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let encryption = ca.client(|params| {
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    });
    let unreadable = ca.client(|params| {
        params.key_usages.clear();
        let extension = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![5, 0]);
        params.custom_extensions.push(extension);
    });
    let authority = Arc::new(ca.certificate.clone());
    let below = Arc::new(ca.below(|_| {}).certificate);
    for client in [server, encryption, unreadable, authority, below] {
        let verdict = verdict(&client, &[], &ca.trusted());
        assert_eq!(verdict.unwrap_err(), Rejection::WrongUsage);
    }
}

#[test]
fn foreign_and_look_alike_authorities_are_unknown_expired_or_not() {
    let ca = Ca::root();
    let look_alike = Ca::root();
    let foreign = Ca::root_with(|params| {
        params
            .distinguished_name
            .push(DnType::CommonName, "other CA");
    });
    for stranger in [&look_alike, &foreign] {
        let shown = [
            stranger.client(|_| {}),
            stranger.client(past),
            stranger.client(|params| params.extended_key_usages.clear()),
            Arc::new(stranger.certificate.clone()),
        ];
        for client in shown {
            let verdict = verdict(&client, &[stranger.der()], &ca.trusted());
            assert_eq!(verdict.unwrap_err(), Rejection::UnknownCa);
        }
    }
}

#[test]
fn what_must_not_be_followed_is_unknown_ca() {
    let ca = Ca::root();
    let critical = ca.client(|params| {
        let mut extension =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    });
    assert_eq!(
        verdict(&critical, &[], &ca.trusted()).unwrap_err(),
        Rejection::UnknownCa
    );
    let roots = [
        // keyUsage without keyCertSign.
        Ca::root_with(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]),
        // The client's name lies outside.
        Ca::root_with(|params| {
            let subtree = GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8));
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![subtree],
                excluded_subtrees: vec![],
            });
        }),
    ];
    for root in roots {
        let client = root.client(|params| {
            let address = "192.0.2.1".parse().unwrap();
            params.subject_alt_names = vec![rcgen::SanType::IpAddress(address)];
        });
        let verdict = verdict(&client, &[], &root.trusted());
        assert_eq!(verdict.unwrap_err(), Rejection::UnknownCa);
    }
}

#[test]
fn dates_are_judged_along_the_whole_path() {
    let expired = Rejection::Expired {
        not_after: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let future = Rejection::NotYetValid {
        not_before: "2027-01-01T00:00:00Z".parse().unwrap(),
    };
    let coming = |params: &mut CertificateParams| params.not_before = date_time_ymd(2027, 1, 1);
    let ca = Ca::root();
    assert_eq!(
        verdict(&ca.client(past), &[], &ca.trusted()).unwrap_err(),
        expired
    );
    assert_eq!(
        verdict(&ca.client(coming), &[], &ca.trusted()).unwrap_err(),
        future
    );
    let below = ca.below(past);
    let client = below.client(|_| {});
    // The dates of the two never overlap, and the authority is ours all the same.
    assert_eq!(
        verdict(&client, &[below.der()], &ca.trusted()).unwrap_err(),
        expired
    );
    let old = Ca::root_with(past);
    let client = old.client(|_| {});
    assert_eq!(verdict(&client, &[], &old.trusted()).unwrap_err(), expired);
}

#[test]
fn the_first_and_the_last_second_are_valid() {
    let ca = Ca::root();
    let client = ca.client(|_| {});
    let validity = client.validity();
    let at = |second: Timestamp| judge(&client, &[], &ca.trusted(), second, not_revoked).is_ok();
    assert!(at(validity.not_before));
    assert!(at(validity.not_after));
    let second = jiff::SignedDuration::from_secs(1);
    assert!(!at(validity.not_before - second));
    assert!(!at(validity.not_after + second));
}

#[test]
fn intermediates_of_the_client_are_followed_and_can_be_revoked() {
    let ca = Ca::root();
    let below = ca.below(|params| params.not_before = date_time_ymd(2026, 6, 1));
    // Backdated before its authority's own beginning.
    let client = below.client(|params| params.not_before = date_time_ymd(2026, 1, 1));
    let verified = verdict(&client, &[below.der()], &ca.trusted()).unwrap();
    assert_eq!(verified.issuer_key(), below.certificate.key_id());
    assert_eq!(verified.issued().len(), 2);
    assert_eq!(
        verified.validity().not_before,
        below.certificate.validity().not_before
    );
    let verdict = judge(
        &client,
        &[below.der()],
        &ca.trusted(),
        now(),
        revoked(&ca.certificate, &below.certificate),
    );
    assert_eq!(verdict.unwrap_err(), Rejection::Revoked { at: REVOKED_AT });
}

#[test]
fn path_length_counts_and_missing_intermediates_do_not_help() {
    let limited = Ca::root_with(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below = limited.below(|_| {});
    let client = below.client(|_| {});
    for sent in [vec![below.der()], vec![]] {
        let verdict = verdict(&client, &sent, &limited.trusted());
        assert_eq!(verdict.unwrap_err(), Rejection::UnknownCa);
    }
}

#[test]
fn a_client_cannot_issue() {
    let ca = Ca::root();
    let end = Ca::below(&ca, |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    let forged = end.client(|_| {});
    let verdict = verdict(&forged, &[end.der()], &ca.trusted());
    assert_eq!(verdict.unwrap_err(), Rejection::UnknownCa);
}

#[test]
fn an_authority_revoked_by_another_trusted_one_is_trusted_no_longer() {
    let ca = Ca::root();
    let below = ca.below(|_| {});
    let client = below.client(|_| {});
    let both = Authorities::new([below.certificate.clone(), ca.certificate.clone()]);
    assert!(verdict(&client, &[], &both).is_ok());
    let verdict = judge(
        &client,
        &[],
        &both,
        now(),
        revoked(&ca.certificate, &below.certificate),
    );
    assert_eq!(verdict.unwrap_err(), Rejection::Revoked { at: REVOKED_AT });
}

#[test]
fn a_renewed_authority_counts_beside_its_old_certificate() {
    let old = Ca::root_with(past);
    let mut renewed = old.params.clone();
    renewed.not_before = date_time_ymd(2025, 6, 1);
    renewed.not_after = date_time_ymd(2040, 1, 1);
    let der = renewed.self_signed(&old.key).unwrap();
    let new = Certificate::from_der(der.der()).unwrap();
    let client = old.client(|_| {});
    for order in [[&old.certificate, &new], [&new, &old.certificate]] {
        let both = Authorities::new(order.map(Clone::clone));
        assert!(verdict(&client, &[], &both).is_ok());
    }
}

#[test]
fn causes_come_in_the_contracts_order() {
    let ca = Ca::root();
    let wrong = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    let everything = ca.client(|params| {
        past(params);
        wrong(params);
    });
    let verdict = |client: &Arc<Certificate>, status: RevocationStatus| {
        judge(client, &[], &ca.trusted(), now(), |_, _| status).unwrap_err()
    };
    assert_eq!(
        verdict(&everything, RevocationStatus::Revoked(REVOKED_AT)),
        Rejection::Revoked { at: REVOKED_AT }
    );
    assert!(matches!(
        verdict(&everything, RevocationStatus::Unknown),
        Rejection::Expired { .. }
    ));
    assert_eq!(
        verdict(&ca.client(wrong), RevocationStatus::Unknown),
        Rejection::WrongUsage
    );
    assert_eq!(
        verdict(&ca.client(|_| {}), RevocationStatus::Unknown),
        Rejection::CrlUnusable
    );
    let stranger = Ca::root();
    assert_eq!(
        verdict(
            &stranger.client(past),
            RevocationStatus::Revoked(REVOKED_AT)
        ),
        Rejection::UnknownCa
    );
}

#[test]
fn a_hundred_useless_intermediates_cost_little() {
    let ca = Ca::root();
    let junk: Vec<_> = (0..100).map(|_| Ca::root().der()).collect();
    let stranger = Ca::root();
    let client = stranger.client(|_| {});
    let verdict = verdict(&client, &junk, &ca.trusted());
    assert_eq!(verdict.unwrap_err(), Rejection::UnknownCa);
}

#[test]
fn every_octet_of_a_certificate_counts() {
    let ca = Ca::root();
    let trusted = ca.trusted();
    let client = ca.client(|_| {});
    for place in 0..client.der().len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut damaged = client.der().to_vec();
            damaged[place] ^= bit;
            if let Ok(damaged) = Certificate::from_der(&damaged) {
                let verdict = verdict(&Arc::new(damaged), &[], &trusted);
                assert!(verdict.is_err(), "octet {place}, bit {bit:#x}");
            }
        }
    }
}

/// certificatePolicies with one policy below 2.16.840.1.101.3.2.1.48.
fn policy(last: u8) -> CustomExtension {
    let content = vec![
        0x30, 0x0e, 0x30, 0x0c, 6, 10, 0x60, 0x86, 0x48, 1, 0x65, 3, 2, 1, 0x30, last,
    ];
    CustomExtension::from_oid_content(&[2, 5, 29, 32], content)
}

#[test]
fn a_path_whose_policies_do_not_fit_is_no_path() {
    let root = Ca::root();
    let sub = root.below(|params| {
        let demanded = vec![0x30, 3, 0x80, 1, 0];
        let demanded = CustomExtension::from_oid_content(&[2, 5, 29, 36], demanded);
        params.custom_extensions = vec![policy(1), demanded];
    });
    let unreadable = || CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![5, 0]);
    for (ca, policies, accepted) in [
        (&sub, vec![policy(1)], true),
        (&sub, vec![policy(2)], false),
        (&sub, vec![], false),
        (&root, vec![policy(2)], true),
        (&root, vec![unreadable()], false),
    ] {
        let client = ca.client(|params| params.custom_extensions.clone_from(&policies));
        let verdict = verdict(&client, &[sub.der()], &root.trusted());
        let expected = if accepted {
            None
        } else {
            Some(Rejection::UnknownCa)
        };
        assert_eq!(verdict.err(), expected, "{policies:?}");
    }
    // The same authority under a certificate without demands: another path, and a good one.
    let client = sub.client(|_| {});
    let plain = {
        let params = ca_params("orca sub CA");
        params.signed_by(&sub.key, &root.issuer()).unwrap()
    };
    let sent = [sub.der(), plain.der().clone()];
    assert!(verdict(&client, &sent, &root.trusted()).is_ok());
}
