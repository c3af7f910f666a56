//! The chain of the access log: every line carries a number and a hash over itself and the line
//! before.
//!
//! A line ends in `,"chain":{"id":"…","n":7,"hash":"…"}}`. The hash is SHA-256 over the hash of the
//! line before, as 64 hexadecimal digits (zeros before the first line), followed by all octets of the
//! line up to and without `"hash"`. The first line of a chain names its writer and the end of the
//! chain before: `"n":1,"writer":{…},"hash":…`.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// What stands before and after the 64 digits at the end of a line.
const BEFORE_HASH: &[u8] = b"\"hash\":\"";
const AFTER_HASH: &[u8] = b"\"}}";
const CHAIN: &[u8] = b",\"chain\":{\"id\":\"";
const DIGITS: usize = 64;
const ID_DIGITS: usize = 16;

/// SHA-256 as lower-case hexadecimal digits.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Hash([u8; DIGITS]);

impl Hash {
    /// What stands before the first line.
    pub(crate) const NONE: Self = Self([b'0'; DIGITS]);

    /// Of a line that follows `self`.
    pub(crate) fn next(&self, hashed: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(hashed);
        let mut digits = [0; DIGITS];
        hex(context.finish().as_ref(), &mut digits);
        Self(digits)
    }

    fn read(digits: &[u8]) -> Option<Self> {
        let digits: [u8; DIGITS] = digits.try_into().ok()?;
        digits.iter().all(is_hex).then_some(Self(digits))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names one chain: eight random octets.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ChainId([u8; ID_DIGITS]);

impl ChainId {
    /// Of random octets.
    pub(crate) fn new(random: [u8; 8]) -> Self {
        let mut digits = [0; ID_DIGITS];
        hex(&random, &mut digits);
        Self(digits)
    }

    fn read(digits: &[u8]) -> Option<Self> {
        let digits: [u8; ID_DIGITS] = digits.try_into().ok()?;
        digits.iter().all(is_hex).then_some(Self(digits))
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How far a chain has come: told outside the file, it is an anchor that the file must agree with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    pub(crate) id: ChainId,
    pub(crate) number: u64,
    pub(crate) hash: Hash,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id={} n={} hash={}", self.id, self.number, self.hash)
    }
}

/// No head stands there.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("no head of a chain")]
pub(crate) struct NoHead;

impl FromStr for Head {
    type Err = NoHead;

    /// Finds the first head in a text, whatever stands around it.
    fn from_str(text: &str) -> Result<Self, NoHead> {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("id=") {
            if let Some(head) = head_after_id(after) {
                return Ok(head);
            }
            rest = after;
        }
        Err(NoHead)
    }
}

fn head_after_id(text: &str) -> Option<Head> {
    let (id, rest) = text.split_once(" n=")?;
    let (number, rest) = rest.split_once(" hash=")?;
    Some(Head {
        id: ChainId::read(id.as_bytes())?,
        number: number.parse().ok()?,
        hash: Hash::read(rest.as_bytes().get(..DIGITS)?)?,
    })
}

/// Who writes a chain, and what the file held before: part of the chain's first line.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Writer {
    /// Start of the writer, RFC 3339.
    pub(crate) started: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) version: String,
    /// Where the chain before ended, as far as the file told.
    pub(crate) previous: Option<Previous>,
    /// Octets of an unfinished line that the file ended in, before its line feed was added.
    pub(crate) torn: u64,
}

/// The end of the chain before.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Previous {
    id: String,
    n: u64,
    hash: String,
}

impl From<Head> for Previous {
    fn from(head: Head) -> Self {
        Self {
            id: head.id.to_string(),
            n: head.number,
            hash: head.hash.to_string(),
        }
    }
}

impl Previous {
    /// The head it names.
    pub(crate) fn head(&self) -> Option<Head> {
        Some(Head {
            id: ChainId::read(self.id.as_bytes())?,
            number: self.n,
            hash: Hash::read(self.hash.as_bytes())?,
        })
    }
}

/// A chain that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    head: Head,
    writer: Writer,
}

impl Chain {
    /// A new one without lines.
    pub(crate) fn new(id: ChainId, writer: Writer) -> Self {
        let (number, hash) = (0, Hash::NONE);
        Self {
            head: Head { id, number, hash },
            writer,
        }
    }

    /// Its name.
    #[cfg(test)]
    pub(crate) fn id(&self) -> ChainId {
        self.head.id
    }

    /// How far it has come; `None` before the first line.
    pub(crate) fn head(&self) -> Option<Head> {
        (self.head.number > 0).then_some(self.head)
    }

    /// Goes back to a line that stands in the file: those after it could not be written.
    pub(crate) fn set_head(&mut self, head: Head) {
        self.head = head;
    }

    /// Adds a JSON object to `lines`, as the chain's next line with its line feed.
    pub(crate) fn append(&mut self, object: &[u8], lines: &mut Vec<u8>) {
        let start = lines.len();
        let number = self.head.number + 1;
        lines.extend_from_slice(object.strip_suffix(b"}").unwrap_or(object));
        lines.extend_from_slice(CHAIN);
        lines.extend_from_slice(&self.head.id.0);
        lines.extend_from_slice(format!("\",\"n\":{number},").as_bytes());
        if number == 1 {
            // Serialising a struct of strings and numbers into memory cannot fail.
            let writer = serde_json::to_vec(&self.writer).unwrap_or_default();
            lines.extend_from_slice(b"\"writer\":");
            lines.extend_from_slice(&writer);
            lines.push(b',');
        }
        let hash = self.head.hash.next(&lines[start..]);
        lines.extend_from_slice(BEFORE_HASH);
        lines.extend_from_slice(&hash.0);
        lines.extend_from_slice(AFTER_HASH);
        lines.push(b'\n');
        self.head.number = number;
        self.head.hash = hash;
    }
}

/// The end of a line that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Link<'a> {
    pub(crate) head: Head,
    /// What the hash is over, besides the hash before.
    pub(crate) hashed: &'a [u8],
    /// The JSON that names the writer, in the first line of a chain.
    pub(crate) writer: Option<&'a [u8]>,
}

impl<'a> Link<'a> {
    /// Of a line without its line feed; `None` where it does not end in a link.
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_suffix(AFTER_HASH)?;
        let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
        let hash = Hash::read(digits)?;
        let hashed = rest.strip_suffix(BEFORE_HASH)?;
        let before_comma = hashed.strip_suffix(b",")?;
        let (start, writer) = match before_comma.last()? {
            b'}' => {
                // A quote inside of a string is escaped, so that this can only be the real one.
                let at = find(before_comma, CHAIN)?;
                let (_, after) = before_comma[at..].split_at_checked(CHAIN.len())?;
                let writer = find(after, b",\"writer\":")?;
                let end = before_comma.len() - (after.len() - writer);
                (end, Some(&after[writer + b",\"writer\":".len()..]))
            }
            _ => (before_comma.len(), None),
        };
        let (id, number) = id_and_number(&before_comma[..start])?;
        Some(Self {
            head: Head { id, number, hash },
            hashed,
            writer,
        })
    }

    /// Whether the line is what follows a line of this hash.
    pub(crate) fn follows(&self, before: &Hash) -> bool {
        before.next(self.hashed) == self.head.hash
    }

    /// The hash that the line would have to carry after `before`.
    pub(crate) fn due(&self, before: &Hash) -> Hash {
        before.next(self.hashed)
    }
}

/// Of octets that end in `,"chain":{"id":"…","n":7`.
fn id_and_number(octets: &[u8]) -> Option<(ChainId, u64)> {
    let digits = octets
        .iter()
        .rev()
        .take_while(|octet| octet.is_ascii_digit());
    let (rest, digits) = octets.split_at_checked(octets.len() - digits.count())?;
    if digits.len() > 19 || digits.first() == Some(&b'0') {
        return None;
    }
    let number = str::from_utf8(digits).ok()?.parse().ok()?;
    let rest = rest.strip_suffix(b"\",\"n\":")?;
    let (rest, id) = rest.split_at_checked(rest.len().checked_sub(ID_DIGITS)?)?;
    rest.ends_with(CHAIN).then_some(())?;
    Some((ChainId::read(id)?, number))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn is_hex(octet: &u8) -> bool {
    matches!(octet, b'0'..=b'9' | b'a'..=b'f')
}

fn hex(octets: &[u8], digits: &mut [u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (octet, pair) in octets.iter().zip(digits.chunks_exact_mut(2)) {
        pair[0] = HEX[usize::from(octet >> 4)];
        pair[1] = HEX[usize::from(octet & 15)];
    }
}

#[cfg(test)]
pub(crate) fn chain_for_tests(number: u8, previous: Option<Head>) -> Chain {
    let writer = Writer {
        started: "2026-11-24T09:00:00.000+09:00".into(),
        host: "weborca \"server\"}".into(),
        pid: 7,
        version: "0".into(),
        previous: previous.map(Previous::from),
        torn: 0,
    };
    Chain::new(ChainId::new([number; 8]), writer)
}

#[cfg(test)]
pub(crate) fn torn_chain_for_tests(number: u8, previous: Option<Head>, torn: u64) -> Chain {
    let mut chain = chain_for_tests(number, previous);
    chain.writer.torn = torn;
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_json_and_follow_each_other() {
        let mut chain = chain_for_tests(1, None);
        assert_eq!(chain.head(), None);
        let mut lines = Vec::new();
        for object in [
            r#"{"a":1}"#,
            r#"{"path":",\"chain\":{\"id\":\""}"#,
            "{\"b\":2}",
        ] {
            chain.append(object.as_bytes(), &mut lines);
        }
        let mut before = Hash::NONE;
        let text = String::from_utf8(lines).unwrap();
        for (index, line) in text.lines().enumerate() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["chain"]["n"], index + 1);
            let link = Link::read(line.as_bytes()).unwrap();
            assert!(link.follows(&before), "{line}");
            assert_eq!(link.writer.is_some(), index == 0);
            if let Some(writer) = link.writer {
                let writer: Writer = serde_json::from_slice(writer).unwrap();
                assert_eq!(writer.host, "weborca \"server\"}");
            }
            before = link.head.hash;
        }
        assert_eq!(chain.head().unwrap().hash, before);
    }

    #[test]
    fn anybody_can_compute_the_hash() {
        let mut chain = chain_for_tests(1, None);
        let mut lines = Vec::new();
        chain.append(b"{\"a\":1}", &mut lines);
        let text = String::from_utf8(lines).unwrap();
        let (hashed, rest) = text.split_once("\"hash\":\"").unwrap();
        let octets = orca_pki::key::sha256(format!("{}{hashed}", "0".repeat(64)).as_bytes());
        let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(rest, format!("{digits}\"}}}}\n"));
    }

    #[test]
    fn what_is_no_link_is_not_read_as_one() {
        let mut chain = chain_for_tests(1, None);
        let mut lines = Vec::new();
        chain.append(b"{\"a\":1}", &mut lines);
        lines.clear();
        chain.append(b"{\"a\":1}", &mut lines);
        let line = String::from_utf8(lines).unwrap();
        let line = line.trim_end();
        assert!(Link::read(line.as_bytes()).is_some());
        for wrong in [
            "",
            "{}",
            "\"}}",
            &line[..line.len() - 1],
            &line.replace("\"n\":2", "\"n\":02"),
            &line.replace("\"n\":2", "\"n\":"),
            &line.replace("\"n\":2", "\"n\":99999999999999999999"),
            &line.replace("\"hash\"", "\"hush\""),
            &line.replace("\"id\"", "\"ib\""),
        ] {
            assert_eq!(Link::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_head_is_found_in_any_text() {
        let mut chain = chain_for_tests(1, None);
        chain.append(b"{\"a\":1}", &mut Vec::new());
        let head = chain.head().unwrap();
        let text = format!("Nov 24 09:00:00 pid=1 id=x: head of the access log {head} [x]");
        assert_eq!(text.parse(), Ok(head));
        assert_eq!("id=1 n=2 hash=3".parse::<Head>(), Err(NoHead));
    }
}
