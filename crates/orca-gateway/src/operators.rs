//! Which operators of 日レセ may log in to the API with which certificates (`GATEWAY_OPERATORS`), as
//! in the user database of the old glserver.

use std::collections::HashSet;
use std::path::Path;

use http::header::HeaderMap;

use orca_messages::{Finding, render::one_line, text};

use crate::access_log::Peer;
use crate::basic::{self, Claim};
use crate::certificate_list::{CertificateList, LineFault, ListError, ListFile, Named, read};
use crate::identity::ClientIdentity;

/// Longest part of a foreign text that is shown.
const MOST_SHOWN: usize = 100;

/// The pairs of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operators {
    of_certificates: CertificateList<String>,
    /// Listed operators, in the form in which look-alikes are equal.
    listed: HashSet<String>,
}

/// An operator that may not be used with the certificate that was shown, or one that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WrongOperator(pub(crate) Option<String>);

impl WrongOperator {
    /// For the log: a program is set up wrong, or somebody tries.
    pub(crate) fn finding(&self, peer: &Peer) -> Finding {
        let shown = |text: &str| one_line(&text.chars().take(MOST_SHOWN).collect::<String>());
        let (ja, en) = match &self.0 {
            Some(operator) => {
                let operator = shown(operator);
                (
                    format!("オペレータ{operator}"),
                    format!("the operator {operator}"),
                )
            }
            None => (
                "読み取れないオペレータ".to_owned(),
                "an unreadable operator".to_owned(),
            ),
        };
        let address = peer.address();
        let (with_ja, with_en) = match peer.subject() {
            Some(subject) => {
                let subject = shown(subject);
                (
                    format!("証明書{subject}"),
                    format!("with the certificate {subject}"),
                )
            }
            None => ("証明書なし".to_owned(), "without a certificate".to_owned()),
        };
        Finding::warning(
            "wrong-operator",
            text!(
                "{address}({with_ja})から、許可されていない{ja}でのAPIの利用を拒否しました。",
                "{address} tried to use the API as {en} {with_en} and was refused"
            ),
            text!(
                "正しい組み合わせであれば GATEWAY_OPERATORS のファイルに加えてください。心当たりがない場合は、その端末を調べてください。",
                "if that pair is meant to be, add it to the file of GATEWAY_OPERATORS; otherwise look at that machine"
            ),
        )
    }
}

impl Operators {
    /// Reads lines `operator<TAB>subject` or `operator<TAB>sha256:HEX`.
    ///
    /// # Errors
    /// All lines that cannot be read.
    pub(crate) fn load(path: &Path) -> Result<Self, Vec<ListError>> {
        let pairs = read(ListFile::Operators, path, |operator, certificate| {
            if !is_operator(operator) {
                return Err(LineFault::Operator);
            }
            let certificate = Named::parse(certificate).ok_or(LineFault::Certificate)?;
            Ok((operator.to_owned(), certificate))
        })?;
        let mut operators = Self::default();
        for (operator, certificate) in pairs {
            operators.listed.insert(folded(&operator));
            operators.of_certificates.insert(certificate, operator);
        }
        Ok(operators)
    }

    /// Whether a request may act as the operator it claims in Basic authentication. A listed
    /// certificate may use its own operators only, in their exact spelling; nobody else may use a
    /// listed operator, in whatever spelling. What cannot be read for certain is refused.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn admit(
        &self,
        identity: Option<&ClientIdentity>,
        headers: &HeaderMap,
    ) -> Result<(), WrongOperator> {
        if self.listed.is_empty() {
            return Ok(());
        }
        let operator = match basic::claim(headers) {
            Claim::Nobody => return Ok(()),
            Claim::Unreadable => return Err(WrongOperator(None)),
            Claim::Operator(operator) => operator,
        };
        let mut own = identity
            .into_iter()
            .flat_map(|identity| self.of_certificates.of(identity))
            .peekable();
        let admitted = if own.peek().is_some() {
            own.any(|listed| *listed == operator)
        } else {
            !self.listed.contains(&folded(&operator))
        };
        if admitted {
            Ok(())
        } else {
            Err(WrongOperator(Some(operator)))
        }
    }

    /// The certificates.
    pub(crate) fn certificates(&self) -> &CertificateList<String> {
        &self.of_certificates
    }

    /// Operators that are listed.
    pub(crate) fn len(&self) -> usize {
        self.listed.len()
    }
}

/// What Basic authentication can carry (RFC 7617 §2).
fn is_operator(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(|c: char| c == ':' || c.is_control())
}

/// One form for spellings that an application may take for the same: letter case, blanks around it,
/// full-width letters.
fn folded(operator: &str) -> String {
    let narrow = |c: char| match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let narrowed: String = operator.chars().map(narrow).collect();
    // Both ways: ſ is a small letter whose capital is S.
    narrowed.trim().to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_process::forge::Ca;
    use base64ct::{Base64, Encoding};
    use http::header::{AUTHORIZATION, HeaderValue};

    fn operators(text: &str) -> Result<Operators, Vec<ListError>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operators");
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
        Operators::load(&path)
    }

    fn basic(operator: &str) -> HeaderMap {
        let encoded = Base64::encode_string(format!("{operator}:pw").as_bytes());
        let mut headers = HeaderMap::new();
        let field = HeaderValue::try_from(format!("Basic {encoded}")).unwrap();
        headers.insert(AUTHORIZATION, field);
        headers
    }

    #[test]
    fn a_listed_certificate_has_its_operators_and_a_listed_operator_its_certificates() {
        let ca = Ca::new("orca CA");
        let [one, two, three, free] = ["one", "two", "three", "free"].map(|name| ca.verified(name));
        let fingerprint = three.fingerprint();
        let operators = operators(&format!(
            "# the API\nreception\t{one}\nreception\t{two}\nchart\t{one}\n山田\tsha256:{fingerprint}\n",
            one = one.subject(),
            two = two.subject(),
        ))
        .unwrap();
        for (who, operator, admitted) in [
            (Some(&one), "reception", true),
            (Some(&one), "chart", true),
            (Some(&one), "ormaster", false),
            (Some(&one), "Reception", false),
            (Some(&one), "", false),
            (Some(&two), "reception", true),
            (Some(&two), "chart", false),
            (Some(&three), "山田", true),
            (Some(&three), "reception", false),
            (Some(&free), "ormaster", true),
            (Some(&free), "鈴木", true),
            (Some(&free), "", true),
            (Some(&free), "reception", false),
            (Some(&free), "RECEPTION", false),
            (Some(&free), " reception ", false),
            (Some(&free), "ｒｅｃｅｐｔｉｏｎ", false),
            (Some(&free), "山田", false),
            (Some(&free), "receptıon", false),
            (None, "reception", false),
            (None, "ormaster", true),
        ] {
            let verdict = operators.admit(who.map(|id| &**id), &basic(operator));
            assert_eq!(verdict.is_ok(), admitted, "{who:?} {operator}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_no_claim_passes() {
        let ca = Ca::new("orca CA");
        let one = ca.verified("one");
        let listed = operators(&format!("a\t{}\n", one.subject())).unwrap();
        let mut broken = HeaderMap::new();
        broken.insert(AUTHORIZATION, HeaderValue::from_static("Basic ?"));
        for who in [Some(&*one), None] {
            assert_eq!(listed.admit(who, &broken), Err(WrongOperator(None)));
            assert_eq!(listed.admit(who, &HeaderMap::new()), Ok(()));
        }
        let nobody = operators("# nobody\n").unwrap();
        assert_eq!(nobody.admit(None, &broken), Ok(()));
    }

    #[test]
    fn operators_that_basic_cannot_carry_are_refused() {
        for operator in ["", " a", "a ", "a:b", "a\u{7}"] {
            assert!(
                operators(&format!("{operator}\t/CN=a\n")).is_err(),
                "{operator:?}"
            );
        }
        assert!(operators("a\tuser1\n").is_err());
    }
}
