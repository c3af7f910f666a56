//! Names: of people and devices, of hosts, and X.501 distinguished names.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use const_oid::db::{rfc3280, rfc4519};
use der::asn1::{Any, ObjectIdentifier};
use der::{Decode, Encode, Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

/// Upper bound of a commonName and an organizationName, in characters (RFC 5280 appendix A,
/// `ub-common-name`, `ub-organization-name`).
pub const NAME_LENGTH: usize = 64;

/// Why a text is no name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or blanks only.
    #[error("a name is needed")]
    Empty,
    /// Over [`NAME_LENGTH`] characters.
    #[error("a name has at most {NAME_LENGTH} characters")]
    TooLong,
    /// `/` separates the parts of a one-line subject, and folders.
    #[error("a name has no /")]
    Slash,
    /// A control character, or one that turns the direction of writing.
    #[error("a name has no control characters")]
    Control,
    /// Blanks at an end, which nobody sees.
    #[error("a name does not begin or end with a blank")]
    OuterBlank,
    /// No host name after RFC 1123 §2.1.
    #[error("{0:?} is no host name")]
    NotAHost(String),
    /// A host name with `*`.
    #[error("{0:?} is a wildcard")]
    Wildcard(String),
    /// No IPv4 or IPv6 address.
    #[error("{0:?} is no IP address")]
    NotAnAddress(String),
    /// Not two letters `A`–`Z` (ISO 3166).
    #[error("{0:?} is no two-letter country code")]
    NotACountry(String),
}

fn check_text(text: &str) -> Result<(), NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Empty);
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    {
        return Err(NameError::Control);
    }
    if text.contains('/') {
        return Err(NameError::Slash);
    }
    if text.chars().count() > NAME_LENGTH {
        return Err(NameError::TooLong);
    }
    if text.trim() != text {
        return Err(NameError::OuterBlank);
    }
    Ok(())
}

/// A commonName or organizationName that fits into a certificate and a file name: 1 to 64
/// characters, no `/`, no control characters, no blanks at the ends.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CommonName(String);

impl CommonName {
    /// `orca`, the organization of the original tool's certificates.
    pub fn orca() -> Self {
        Self("orca".to_owned())
    }

    /// `orca CA 1A2B3C4D`, the name of a CA that was not given one.
    pub fn numbered_ca(number: u32) -> Self {
        Self(format!("orca CA {number:08X}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommonName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_text(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CommonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An ISO 3166 two-letter country code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Country(String);

impl Country {
    /// `JP`.
    pub fn japan() -> Self {
        Self("JP".to_owned())
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Country {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::NotACountry(text.to_owned()))
        }
    }
}

/// What a client types to reach a server: a DNS name or an address. Parsed once, so that an
/// address is never taken for a DNS name (RFC 5280 §4.2.1.6 encodes the two differently).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum HostName {
    /// A DNS name in lower case, RFC 1123 letters, digits and hyphens, without wildcards.
    Dns(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

impl HostName {
    /// A DNS name; text that is an address is refused here.
    ///
    /// # Errors
    /// No RFC 1123 host name, or a wildcard.
    pub fn dns(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.contains('*') {
            return Err(NameError::Wildcard(text.to_owned()));
        }
        if text.len() > 253 {
            return Err(NameError::NotAHost(text.to_owned()));
        }
        let labels_fit = text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
        let last_is_number = text
            .rsplit('.')
            .next()
            .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if !labels_fit || last_is_number {
            return Err(NameError::NotAHost(text.to_owned()));
        }
        Ok(Self::Dns(text.to_ascii_lowercase()))
    }

    /// An address.
    ///
    /// # Errors
    /// No IPv4 or IPv6 address.
    pub fn ip(text: &str) -> Result<Self, NameError> {
        text.parse()
            .map(Self::Ip)
            .map_err(|_| NameError::NotAnAddress(text.to_owned()))
    }
}

impl FromStr for HostName {
    type Err = NameError;

    /// An address where the text is one, else a DNS name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ip(text).or_else(|_| Self::dns(text))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// An X.501 distinguished name (RFC 5280 §4.1.2.4).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DistinguishedName(Name);

impl DistinguishedName {
    /// `/C=…/O=…/CN=…` with the country as PrintableString and the others as UTF8String
    /// (RFC 5280 §4.1.2.4). Values are put in as attributes, never parsed from joined text.
    ///
    /// # Errors
    /// A value cannot be encoded.
    pub fn new(
        country: &Country,
        organization: &CommonName,
        common_name: &CommonName,
    ) -> der::Result<Self> {
        let rdn = |oid: ObjectIdentifier,
                   tag: Tag,
                   value: &str|
         -> der::Result<RelativeDistinguishedName> {
            let value = Any::new(tag, value.as_bytes())?;
            RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid, value }])
        };
        let mut sequence = RdnSequence::default();
        sequence.push(rdn(
            rfc4519::COUNTRY_NAME,
            Tag::PrintableString,
            country.as_str(),
        )?);
        sequence.push(rdn(
            rfc4519::ORGANIZATION_NAME,
            Tag::Utf8String,
            organization.as_str(),
        )?);
        sequence.push(rdn(
            rfc4519::COMMON_NAME,
            Tag::Utf8String,
            common_name.as_str(),
        )?);
        Ok(Self(Name::hazmat_from_rdn_sequence(sequence)))
    }

    /// From DER.
    ///
    /// # Errors
    /// No Name.
    pub fn from_der(der: &[u8]) -> der::Result<Self> {
        Name::from_der(der).map(Self)
    }

    /// The DER encoding.
    ///
    /// # Errors
    /// A value is too long to encode.
    pub fn to_der(&self) -> der::Result<Vec<u8>> {
        self.0.to_der()
    }

    /// Type label and value of each attribute, in the order of the certificate. Values that are no
    /// text are shown as `#` and hexadecimal DER (RFC 4514 §2.4).
    pub fn attributes(&self) -> impl Iterator<Item = (String, String)> {
        self.0
            .iter()
            .map(|attribute| (label(attribute.oid), value(&attribute.value)))
    }

    /// The name in one line as OpenSSL prints it, `/C=JP/O=orca/CN=user1`, UTF-8 unescaped.
    pub fn one_line(&self) -> String {
        self.attributes()
            .map(|(label, value)| format!("/{label}={value}"))
            .collect()
    }

    /// The last commonName, the most specific one.
    pub fn common_name(&self) -> Option<String> {
        self.attributes()
            .filter(|(label, _)| label == "CN")
            .map(|(_, value)| value)
            .last()
    }

    pub(crate) fn as_name(&self) -> &Name {
        &self.0
    }
}

impl From<Name> for DistinguishedName {
    fn from(name: Name) -> Self {
        Self(name)
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.one_line())
    }
}

fn label(oid: ObjectIdentifier) -> String {
    let known = match oid {
        rfc4519::COUNTRY_NAME => "C",
        rfc4519::ORGANIZATION_NAME => "O",
        rfc4519::ORGANIZATIONAL_UNIT_NAME => "OU",
        rfc4519::COMMON_NAME => "CN",
        rfc4519::LOCALITY_NAME => "L",
        rfc4519::ST => "ST",
        rfc4519::SERIAL_NUMBER => "serialNumber",
        rfc4519::DOMAIN_COMPONENT => "DC",
        rfc4519::UID => "UID",
        rfc4519::GIVEN_NAME => "GN",
        rfc4519::SN => "SN",
        rfc4519::TITLE => "title",
        rfc3280::EMAIL_ADDRESS => "emailAddress",
        other => return other.to_string(),
    };
    known.to_owned()
}

fn value(any: &Any) -> String {
    let octets = any.value();
    let text = match any.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::VisibleString
        | Tag::NumericString => std::str::from_utf8(octets).ok().map(str::to_owned),
        // T.61 as everybody uses it: Latin-1.
        Tag::TeletexString => Some(octets.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let units: Vec<u16> = octets
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    };
    text.unwrap_or_else(|| {
        let der = any.to_der().unwrap_or_default();
        format!(
            "#{}",
            der.iter()
                .map(|octet| format!("{octet:02x}"))
                .collect::<String>()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(common_name: &str) -> DistinguishedName {
        DistinguishedName::new(
            &"JP".parse().unwrap(),
            &"orca".parse().unwrap(),
            &common_name.parse().unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn a_subject_is_one_line_and_survives_der() {
        let subject = name("山田太郎");
        assert_eq!(subject.one_line(), "/C=JP/O=orca/CN=山田太郎");
        assert_eq!(
            DistinguishedName::from_der(&subject.to_der().unwrap()).unwrap(),
            subject
        );
    }

    #[test]
    fn commas_and_plus_signs_stay_inside_their_value() {
        let subject = name("user1,O=evil+CN=x");
        assert_eq!(subject.attributes().count(), 3);
        assert_eq!(subject.common_name().as_deref(), Some("user1,O=evil+CN=x"));
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let cases = [
            ("", NameError::Empty),
            ("  ", NameError::Empty),
            ("a/b", NameError::Slash),
            ("a\nb", NameError::Control),
            ("a\u{202e}b", NameError::Control),
            (" a", NameError::OuterBlank),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<CommonName>(), Err(error), "{text:?}");
        }
        assert_eq!(
            "あ".repeat(65).parse::<CommonName>(),
            Err(NameError::TooLong)
        );
        assert!("あ".repeat(64).parse::<CommonName>().is_ok());
    }

    #[test]
    fn an_address_is_never_a_dns_name() {
        assert_eq!(
            "192.168.1.100".parse(),
            Ok(HostName::Ip("192.168.1.100".parse().unwrap()))
        );
        assert_eq!(
            "WebORCA-Server".parse(),
            Ok(HostName::Dns("weborca-server".into()))
        );
        for text in [
            "300.1.1.1",
            "192.168.1",
            "a..b",
            "-a",
            "a_b",
            "weborca server",
            "",
        ] {
            assert!(HostName::dns(text).is_err(), "{text}");
        }
        assert_eq!(
            HostName::dns("*.local"),
            Err(NameError::Wildcard("*.local".into()))
        );
        assert!(HostName::ip("300.1.1.1").is_err());
    }
}
