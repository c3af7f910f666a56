//! The lists of a file, one at a time and decoded while it is read: one with a million entries has
//! 30 MB of PEM, and its DER is all that is kept of it.

use std::io::{self, BufRead, Read, Take};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cursor::{Cursor, SEQUENCE};
use super::{CrlError, roomy};

/// What is longer is cut off, and damaged thereby; some nine million entries.
const LONGEST: u64 = 256 * 1024 * 1024;
/// Characters decoded at a time; a multiple of four.
const CHUNK: usize = 16 * 1024;

const BEGIN: &[u8] = b"-----BEGIN X509 CRL-----";
const END: &[u8] = b"-----END X509 CRL-----";

/// Why a file gives no more lists.
#[derive(Debug, thiserror::Error)]
pub enum ListFileError {
    /// Not, or not only, lists.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The DER lists in a file: PEM (RFC 7468 §7) with one or several, or DER with one or several
/// behind each other. What is broken ends the lists, but those before it count.
#[derive(Debug)]
pub struct Lists<R> {
    file: Take<R>,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    /// Of PEM, after so many lists.
    Text(usize),
    Der(Vec<u8>),
    Over,
}

impl<R: BufRead> Lists<R> {
    /// Of a file that is read from its beginning.
    pub fn new(file: R) -> Self {
        Self {
            file: file.take(LONGEST),
            state: State::Begin,
        }
    }

    fn advance(&mut self) -> Result<Option<Vec<u8>>, ListFileError> {
        if matches!(self.state, State::Begin) {
            self.state = match self.file.fill_buf()?.first() {
                Some(&SEQUENCE) => {
                    let mut octets = Vec::new();
                    self.file.read_to_end(&mut octets)?;
                    State::Der(octets)
                }
                _ => State::Text(0),
            };
        }
        match &mut self.state {
            State::Begin | State::Over => Ok(None),
            State::Der(octets) => Ok(first_of(octets)?),
            State::Text(count) => {
                let list = next_section(&mut self.file)?;
                if list.is_none() && *count == 0 {
                    return Err(CrlError::Malformed.into());
                }
                *count += 1;
                Ok(list)
            }
        }
    }
}

impl<R: BufRead> Iterator for Lists<R> {
    type Item = Result<Vec<u8>, ListFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Over;
        }
        item
    }
}

/// Takes the first element off.
fn first_of(octets: &mut Vec<u8>) -> Result<Option<Vec<u8>>, CrlError> {
    if octets.is_empty() {
        return Ok(None);
    }
    let length = Cursor(octets).whole(SEQUENCE)?.len();
    let rest = octets.split_off(length);
    Ok(Some(std::mem::replace(octets, rest)))
}

/// The content of the next section of lists; sections of other things are passed over.
fn next_section(file: &mut impl BufRead) -> Result<Option<Vec<u8>>, ListFileError> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.trim_ascii() == BEGIN {
            break;
        }
    }
    let mut section = Section::default();
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            return Err(CrlError::Malformed.into());
        }
        match line.trim_ascii() {
            END => return Ok(Some(section.end()?)),
            characters => section.push(characters)?,
        }
    }
}

/// A section as far as it was read.
#[derive(Debug, Default)]
struct Section {
    characters: Vec<u8>,
    der: Vec<u8>,
}

impl Section {
    fn push(&mut self, characters: &[u8]) -> Result<(), CrlError> {
        self.characters.extend_from_slice(characters);
        if self.characters.len() > CHUNK {
            let whole = self.characters.len() / 4 * 4 - 4;
            // Padding belongs to the very end, which is kept back.
            if self.characters[..whole].contains(&b'=') {
                return Err(CrlError::Malformed);
            }
            self.decode(whole)?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<Vec<u8>, CrlError> {
        self.decode(self.characters.len())?;
        Ok(self.der)
    }

    fn decode(&mut self, count: usize) -> Result<(), CrlError> {
        let start = self.der.len();
        self.der.reserve(roomy::<u8>(start + count) - start);
        self.der.resize(start + count / 4 * 3, 0);
        let decoded = STANDARD
            .decode_slice(&self.characters[..count], &mut self.der[start..])
            .map_err(|_| CrlError::Malformed)?;
        self.der.truncate(start + decoded);
        self.characters.drain(..count);
        Ok(())
    }
}
