//! Certificate policies along a path (RFC 5280 §6.1), for a start with any policy and nothing
//! inhibited: all that can be wrong is that a certificate demands an explicit policy and none is
//! good for the whole path.
//!
//! RFC 9618 keeps a graph of policies. Childless nodes leave it at once, so it is empty exactly if
//! its deepest level is: with any policy acceptable, that level alone is kept, and the work grows
//! with the length of the extensions and not with the number of ways through them.

use std::collections::{BTreeMap, BTreeSet};

use const_oid::db::rfc5280::ANY_POLICY;
use der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{
    CertificatePolicies, InhibitAnyPolicy, PolicyConstraints, PolicyMappings,
};

use crate::certificate::{Certificate, UnreadableExtension};

/// Policies, and mappings, that one certificate may have; real ones have a handful.
const MAX_POLICIES: usize = 64;

/// What makes a path unacceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PolicyError {
    /// A policy is demanded (requireExplicitPolicy), and none is good for the whole path.
    NoneExplicit,
    /// anyPolicy is mapped (RFC 5280 §6.1.4 a).
    AnyMapped,
    /// A policy stands twice in a certificate (RFC 5280 §4.2.1.4).
    Doubled,
    /// More than [`MAX_POLICIES`].
    TooMany,
    /// An extension about policies that cannot be read, or stands there twice.
    Unreadable,
}

impl From<UnreadableExtension> for PolicyError {
    fn from(_: UnreadableExtension) -> Self {
        Self::Unreadable
    }
}

/// What one certificate says of policies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Statement {
    self_issued: bool,
    policies: Option<BTreeSet<ObjectIdentifier>>,
    /// Policies of the issuer, each with those below that count for it.
    mappings: BTreeMap<ObjectIdentifier, BTreeSet<ObjectIdentifier>>,
    require_explicit: Option<u32>,
    inhibit_mapping: Option<u32>,
    inhibit_any: Option<u32>,
}

/// Whether the policies of a path allow it; the certificate that the anchor signed comes first.
///
/// # Errors
/// They do not, or cannot be read, or are too many to be meant.
pub(super) fn check(path: &[&Certificate]) -> Result<(), PolicyError> {
    let statements = path
        .iter()
        .map(|certificate| Statement::of(certificate))
        .collect::<Result<Vec<_>, _>>()?;
    judge(&statements)
}

fn judge(path: &[Statement]) -> Result<(), PolicyError> {
    let mut state = State::new(path.len());
    let Some((last, above)) = path.split_last() else {
        return Ok(());
    };
    for statement in above {
        state.take(statement, Place::Above)?;
        state.prepare(statement)?;
    }
    state.take(last, Place::Last)?;
    state.wrap_up(last)
}

impl Statement {
    fn of(certificate: &Certificate) -> Result<Self, PolicyError> {
        let policies = match certificate.sole_extension()? {
            Some(CertificatePolicies(policies)) => {
                Some(distinct(policies.iter().map(|one| one.policy_identifier))?)
            }
            None => None,
        };
        let mappings = match certificate.sole_extension()? {
            Some(PolicyMappings(pairs)) => mapped(
                pairs
                    .iter()
                    .map(|pair| (pair.issuer_domain_policy, pair.subject_domain_policy)),
            )?,
            None => BTreeMap::new(),
        };
        let constraints: Option<PolicyConstraints> = certificate.sole_extension()?;
        let constraints = constraints.as_ref();
        let inhibit_any = certificate.sole_extension()?;
        Ok(Self {
            self_issued: certificate.subject() == certificate.issuer(),
            policies,
            mappings,
            require_explicit: constraints.and_then(|one| one.require_explicit_policy),
            inhibit_mapping: constraints.and_then(|one| one.inhibit_policy_mapping),
            inhibit_any: inhibit_any.map(|InhibitAnyPolicy(skipped)| skipped),
        })
    }
}

fn distinct(
    policies: impl ExactSizeIterator<Item = ObjectIdentifier>,
) -> Result<BTreeSet<ObjectIdentifier>, PolicyError> {
    let count = policies.len();
    if count > MAX_POLICIES {
        return Err(PolicyError::TooMany);
    }
    let set: BTreeSet<_> = policies.collect();
    if set.len() == count {
        Ok(set)
    } else {
        Err(PolicyError::Doubled)
    }
}

fn mapped(
    pairs: impl ExactSizeIterator<Item = (ObjectIdentifier, ObjectIdentifier)>,
) -> Result<BTreeMap<ObjectIdentifier, BTreeSet<ObjectIdentifier>>, PolicyError> {
    if pairs.len() > MAX_POLICIES {
        return Err(PolicyError::TooMany);
    }
    let mut mappings: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (from, to) in pairs {
        if from == ANY_POLICY || to == ANY_POLICY {
            return Err(PolicyError::AnyMapped);
        }
        mappings.entry(from).or_default().insert(to);
    }
    Ok(mappings)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Above,
    Last,
}

/// The deepest level of the graph: each policy with those that count for it one level further down.
type Level = BTreeMap<ObjectIdentifier, BTreeSet<ObjectIdentifier>>;

/// The state variables of RFC 5280 §6.1.2; a graph that is NULL is an empty level.
struct State {
    level: Level,
    explicit: u32,
    mapping: u32,
    any: u32,
}

impl State {
    fn new(length: usize) -> Self {
        let beyond = u32::try_from(length).unwrap_or(u32::MAX).saturating_add(1);
        Self {
            level: BTreeMap::from([node(ANY_POLICY)]),
            explicit: beyond,
            mapping: beyond,
            any: beyond,
        }
    }

    /// RFC 5280 §6.1.3 (d) to (f).
    fn take(&mut self, statement: &Statement, place: Place) -> Result<(), PolicyError> {
        self.level = match &statement.policies {
            Some(policies) => self.next_level(policies, statement.self_issued, place),
            None => Level::new(),
        };
        if self.explicit == 0 && self.level.is_empty() {
            Err(PolicyError::NoneExplicit)
        } else {
            Ok(())
        }
    }

    fn next_level(
        &self,
        policies: &BTreeSet<ObjectIdentifier>,
        self_issued: bool,
        place: Place,
    ) -> Level {
        let expected: BTreeSet<_> = self.level.values().flatten().copied().collect();
        let any_above = self.level.contains_key(&ANY_POLICY);
        let mut next: Level = policies
            .iter()
            .filter(|policy| **policy != ANY_POLICY)
            .filter(|policy| any_above || expected.contains(*policy))
            .map(|policy| node(*policy))
            .collect();
        let any_counts = self.any > 0 || (place == Place::Above && self_issued);
        if policies.contains(&ANY_POLICY) && any_counts {
            for policy in expected {
                next.entry(policy).or_insert_with(|| [policy].into());
            }
        }
        next
    }

    /// RFC 5280 §6.1.4 (b), (h), (i) and (j).
    fn prepare(&mut self, statement: &Statement) -> Result<(), PolicyError> {
        self.map(&statement.mappings);
        if !statement.self_issued {
            for count in [&mut self.explicit, &mut self.mapping, &mut self.any] {
                *count = count.saturating_sub(1);
            }
        }
        for (count, most) in [
            (&mut self.explicit, statement.require_explicit),
            (&mut self.mapping, statement.inhibit_mapping),
            (&mut self.any, statement.inhibit_any),
        ] {
            *count = most.map_or(*count, |most| most.min(*count));
        }
        Ok(())
    }

    fn map(&mut self, mappings: &Level) {
        let any = self.level.contains_key(&ANY_POLICY);
        for (from, to) in mappings {
            if self.mapping == 0 {
                self.level.remove(from);
            } else if any || self.level.contains_key(from) {
                self.level.insert(*from, to.clone());
            }
        }
    }

    /// RFC 5280 §6.1.5 (a), (b) and (g).
    fn wrap_up(&self, last: &Statement) -> Result<(), PolicyError> {
        let explicit = match last.require_explicit {
            Some(0) => 0,
            _ => self.explicit.saturating_sub(1),
        };
        if explicit == 0 && self.level.is_empty() {
            Err(PolicyError::NoneExplicit)
        } else {
            Ok(())
        }
    }
}

fn node(policy: ObjectIdentifier) -> (ObjectIdentifier, BTreeSet<ObjectIdentifier>) {
    (policy, [policy].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "2.5.29.32.0";
    const P1: &str = "2.16.840.1.101.3.2.1.48.1";
    const P2: &str = "2.16.840.1.101.3.2.1.48.2";
    const P3: &str = "2.16.840.1.101.3.2.1.48.3";

    fn oid(text: &str) -> ObjectIdentifier {
        text.parse().unwrap()
    }

    fn with(policies: &[&str]) -> Statement {
        Statement {
            policies: Some(policies.iter().map(|one| oid(one)).collect()),
            ..Statement::default()
        }
    }

    fn without() -> Statement {
        Statement::default()
    }

    impl Statement {
        fn explicit_within(mut self, skipped: u32) -> Self {
            self.require_explicit = Some(skipped);
            self
        }

        fn no_mapping_within(mut self, skipped: u32) -> Self {
            self.inhibit_mapping = Some(skipped);
            self
        }

        fn no_any_within(mut self, skipped: u32) -> Self {
            self.inhibit_any = Some(skipped);
            self
        }

        fn self_issued(mut self) -> Self {
            self.self_issued = true;
            self
        }

        fn mapping(mut self, pairs: &[(&str, &str)]) -> Self {
            self.mappings = mapped(pairs.iter().map(|(from, to)| (oid(from), oid(to)))).unwrap();
            self
        }
    }

    #[test]
    fn a_path_is_good_unless_a_policy_is_demanded_and_none_reaches_its_end() {
        let demanding = |policies: &[&str]| with(policies).explicit_within(0);
        for (name, path, good) in [
            ("nothing but the anchor", vec![], true),
            (
                "nobody speaks of policies",
                vec![without(), without()],
                true,
            ),
            (
                "different, not demanded",
                vec![with(&[P1]), with(&[P2])],
                true,
            ),
            (
                "the same, demanded",
                vec![demanding(&[P1]), with(&[P1])],
                true,
            ),
            (
                "others, demanded",
                vec![demanding(&[P1]), with(&[P2])],
                false,
            ),
            ("none, demanded", vec![demanding(&[P1]), without()], false),
            (
                "of an authority without",
                vec![without().explicit_within(0), with(&[P1])],
                false,
            ),
            (
                "demanded by the client's own",
                vec![with(&[P1]), demanding(&[P2])],
                false,
            ),
            (
                "one of several",
                vec![demanding(&[P1, P2]), with(&[P2, P3])],
                true,
            ),
            (
                "different ones on the way",
                vec![demanding(&[P1, P2]), with(&[P1]), with(&[P2])],
                false,
            ),
            ("any above", vec![demanding(&[ANY]), with(&[P1])], true),
            ("any below", vec![demanding(&[P1]), with(&[ANY])], true),
            (
                "any between",
                vec![demanding(&[P1]), with(&[ANY]), with(&[P1])],
                true,
            ),
            (
                "any between others",
                vec![demanding(&[P1]), with(&[ANY]), with(&[P2])],
                false,
            ),
            (
                "demanded beyond the end",
                vec![with(&[P1]).explicit_within(3), with(&[P2]), with(&[P3])],
                true,
            ),
            (
                "demanded at the end",
                vec![with(&[P1]).explicit_within(2), with(&[P2]), with(&[P3])],
                false,
            ),
            (
                "a self-issued one is not counted",
                vec![
                    with(&[P1]).explicit_within(1),
                    with(&[P1]).self_issued(),
                    without(),
                ],
                false,
            ),
            (
                "a demand is not taken back",
                vec![
                    demanding(&[P1]),
                    with(&[P1]).explicit_within(9),
                    with(&[P2]),
                ],
                false,
            ),
        ] {
            assert_eq!(judge(&path).is_ok(), good, "{name}: {:?}", judge(&path));
        }
    }

    #[test]
    fn any_policy_counts_until_it_is_inhibited() {
        let first = |skipped| with(&[P1]).explicit_within(0).no_any_within(skipped);
        for (name, path, good) in [
            ("at once", vec![first(0), with(&[ANY])], false),
            ("not yet", vec![first(1), with(&[ANY])], true),
            (
                "after one",
                vec![first(1), with(&[ANY]), with(&[ANY])],
                false,
            ),
            ("a named one", vec![first(0), with(&[P1])], true),
            (
                "self-issued above",
                vec![first(0), with(&[ANY]).self_issued(), with(&[P1])],
                true,
            ),
            (
                "self-issued at the end",
                vec![first(0), with(&[ANY]).self_issued()],
                false,
            ),
        ] {
            assert_eq!(judge(&path).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn mapped_policies_count_for_each_other_until_that_is_inhibited() {
        let first = |policies: &[&str]| with(policies).explicit_within(0);
        for (name, path, good) in [
            (
                "mapped",
                vec![first(&[P1]).mapping(&[(P1, P2)]), with(&[P2])],
                true,
            ),
            (
                "away",
                vec![first(&[P1]).mapping(&[(P1, P2)]), with(&[P1])],
                false,
            ),
            (
                "others",
                vec![first(&[P1]).mapping(&[(P2, P3)]), with(&[P3])],
                false,
            ),
            (
                "of any",
                vec![first(&[ANY]).mapping(&[(P1, P2)]), with(&[P2])],
                true,
            ),
            (
                "to several",
                vec![first(&[P1]).mapping(&[(P1, P2), (P1, P3)]), with(&[P3])],
                true,
            ),
            (
                "inhibited",
                vec![
                    first(&[P1]).no_mapping_within(0),
                    with(&[P1]).mapping(&[(P1, P2)]),
                    with(&[P2]),
                ],
                false,
            ),
        ] {
            assert_eq!(judge(&path).is_ok(), good, "{name}");
        }
        let any = mapped([(oid(ANY), oid(P1))].into_iter());
        assert_eq!(any.unwrap_err(), PolicyError::AnyMapped);
        let any = mapped([(oid(P1), oid(ANY))].into_iter());
        assert_eq!(any.unwrap_err(), PolicyError::AnyMapped);
    }

    #[test]
    fn doubled_policies_and_too_many_are_refused() {
        let numbered = |count: usize| -> Vec<_> {
            let texts = (1..=count).map(|number| format!("1.3.6.1.4.1.99999.{number}"));
            texts.map(|text| oid(&text)).collect()
        };
        assert!(distinct(numbered(MAX_POLICIES).into_iter()).is_ok());
        let many = numbered(MAX_POLICIES + 1);
        assert_eq!(
            distinct(many.iter().copied()).unwrap_err(),
            PolicyError::TooMany
        );
        let pairs = many.iter().map(|policy| (*policy, oid(P1)));
        assert_eq!(mapped(pairs).unwrap_err(), PolicyError::TooMany);
        let twice = [oid(P1), oid(P1)];
        assert_eq!(
            distinct(twice.into_iter()).unwrap_err(),
            PolicyError::Doubled
        );
    }

    /// RFC 9618 §1: with a tree, each of these authorities would square the number of nodes.
    #[test]
    fn mappings_of_all_to_all_do_not_grow() {
        let policies: Vec<String> = (1..=8)
            .map(|number| format!("1.3.6.1.4.1.9.{number}"))
            .collect();
        let names: Vec<&str> = policies.iter().map(String::as_str).collect();
        let pairs: Vec<_> = names
            .iter()
            .flat_map(|from| names.iter().map(move |to| (*from, *to)))
            .collect();
        let mut state = State::new(40);
        for _ in 0..40 {
            let statement = with(&names).mapping(&pairs);
            state.take(&statement, Place::Above).unwrap();
            state.prepare(&statement).unwrap();
            assert_eq!(state.level.len(), names.len());
        }
    }
}
