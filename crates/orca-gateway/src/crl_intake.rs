//! Lists that come over the network: looked at cheaply and signature first, so that the keeper, who
//! watches over revocation, never works for strangers.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};
use std::time::Duration;

use base64ct::Encoding;
use bytes::Bytes;
use orca_messages::{Text, text};
use orca_pki::crl::{self, CrlError, ListNumber, UnverifiedCrl};
use orca_pki::key::KeyId;
use rustls_pki_types::CertificateDer;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::crl_published::{Copy, Published, Shelf};
use crate::live::{Live, Snapshot};
use crate::reload::{ListAnswer, ListSource, Order, fault};

/// Lists of one body; each that seems worth it costs a look at its signature.
const MOST_LISTS: usize = 64;
/// How long the keeper may take to put a list in force and on disk.
const KEEPER_DEADLINE: Duration = Duration::from_secs(60);
/// The issuer stands at the beginning of a list (RFC 5280 §5.1): after version and algorithm, which
/// are short.
const HEAD: usize = 4096;
/// How a list in PEM begins (RFC 7468 §7).
const PEM_BEGIN: &[u8] = b"-----BEGIN X509 CRL-----";

/// The largest body: a million entries with serials of 16 octets are 47 MiB of PEM.
pub(crate) const MOST_OCTETS: usize = 64 * 1024 * 1024;

/// What takes lists in, for who is sent them and who fetches them.
pub(crate) struct Intake {
    /// Weak, so that the keeper ends when the gateway does.
    orders: Weak<Sender<Order>>,
    live: Live,
    shelf: Arc<Shelf>,
    /// One look at a time, so that looking never takes more than one processor.
    looks: Semaphore,
    reads: Semaphore,
}

/// Why a list is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unwanted {
    /// Nobody answers for it in time; it may be taken later.
    Busy,
    /// It cannot be relied on.
    Crl(CrlError),
    /// The keeper found something; its own line says what.
    Judged,
    /// In force, but lost at a restart.
    NotKept,
    Older {
        number: ListNumber,
        known: ListNumber,
    },
    TooMany,
    /// The same number as the one in force, and not the same list.
    Twin {
        number: ListNumber,
    },
}

/// What became of lists that are in force and on disk now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Accepted {
    /// Something new was among them.
    Taken,
    /// They had been before.
    Unchanged,
}

impl Intake {
    /// Looks at lists under the snapshot of `live`, compares them with the copies in `state`, and
    /// hands on what the keeper should see.
    pub(crate) fn new(orders: &Arc<Sender<Order>>, live: Live, state: PathBuf) -> Self {
        Self {
            orders: Arc::downgrade(orders),
            live,
            shelf: Arc::new(Shelf::new(state)),
            looks: Semaphore::new(1),
            reads: Semaphore::new(1),
        }
    }

    /// Takes lists: PEM or DER, one or several. Returns when they are in force and on disk.
    ///
    /// # Errors
    /// None of them can be taken.
    pub(crate) async fn offer(
        &self,
        octets: Bytes,
        source: ListSource,
    ) -> Result<Accepted, Unwanted> {
        let worth = {
            let _turn = self.looks.acquire().await.map_err(|_| Unwanted::Busy)?;
            let (snapshot, shelf) = (self.snapshot(), Arc::clone(&self.shelf));
            let look = spawn_blocking(move || look(&octets, &snapshot, &shelf));
            look.await.map_err(|_| Unwanted::Busy)??
        };
        match worth {
            Look::Unchanged => Ok(Accepted::Unchanged),
            Look::Worth(lists) => self.order(lists, source).await,
        }
    }

    /// Whether the beginning of a body names one of our authorities as issuer.
    pub(crate) fn names_authority(&self, beginning: &[u8]) -> bool {
        let head = head(beginning);
        self.snapshot()
            .trust()
            .authorities()
            .iter()
            .any(|authority| {
                let subject = authority.subject().to_der();
                subject.is_ok_and(|name| head.windows(name.len()).any(|place| place == name))
            })
    }

    /// What others may fetch.
    pub(crate) async fn published(&self) -> Arc<Published> {
        let Ok(_turn) = self.reads.acquire().await else {
            return Arc::default();
        };
        let (snapshot, shelf) = (self.snapshot(), Arc::clone(&self.shelf));
        let read = spawn_blocking(move || shelf.published(&keys(&snapshot)));
        read.await.unwrap_or_default()
    }

    /// The authorities in force.
    pub(crate) fn authorities(&self) -> Vec<CertificateDer<'static>> {
        let snapshot = self.snapshot();
        let authorities = snapshot.trust().authorities().iter();
        let owned = authorities.map(|authority| CertificateDer::from(authority.der().to_vec()));
        owned.collect()
    }

    async fn order(&self, octets: Bytes, source: ListSource) -> Result<Accepted, Unwanted> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Lists {
            octets,
            source,
            answer,
        };
        let orders = self.orders.upgrade().ok_or(Unwanted::Busy)?;
        orders.send(order).map_err(|_| Unwanted::Busy)?;
        drop(orders);
        match timeout(KEEPER_DEADLINE, answered).await {
            Ok(Ok(ListAnswer::Taken)) => Ok(Accepted::Taken),
            Ok(Ok(ListAnswer::Unchanged)) => Ok(Accepted::Unchanged),
            Ok(Ok(ListAnswer::NotKept)) => Err(Unwanted::NotKept),
            Ok(Ok(ListAnswer::Older | ListAnswer::Unusable)) => Err(Unwanted::Judged),
            Ok(Err(_)) | Err(_) => Err(Unwanted::Busy),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.live.borrow())
    }
}

impl Unwanted {
    /// The word for it, which no sender can choose.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Crl(_) => "unusable",
            Self::Judged => "judged",
            Self::NotKept => "not-kept",
            Self::Older { .. } => "older",
            Self::TooMany => "too-many",
            Self::Twin { .. } => "twin",
        }
    }

    /// Whether the same list may be taken a little later.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Self::Busy | Self::NotKept)
    }

    /// The reason as a phrase without full stop.
    pub(crate) fn phrase(self) -> Text {
        match self {
            Self::Busy => text!(
                "読み込みが時間内に終わりません",
                "it could not be taken in time"
            ),
            Self::Crl(error) => fault(error),
            Self::Judged => text!("使えないCRLです", "it cannot be used"),
            Self::NotKept => text!(
                "GATEWAY_STATE に保存できません",
                "it is in force but cannot be kept in GATEWAY_STATE"
            ),
            Self::Older { number, known } => text!(
                "番号{number}は、使用中の番号{known}より古いものです",
                "number {number} is older than {known}, which is in force"
            ),
            Self::TooMany => text!(
                "CRLの数が多すぎます({MOST_LISTS}件まで)",
                "more than {MOST_LISTS} lists at once"
            ),
            Self::Twin { number } => text!(
                "番号{number}は使用中ですが、内容が異なります",
                "number {number} is in force with other content"
            ),
        }
    }
}

/// What a first look shows.
enum Look {
    /// All are in force and on disk.
    Unchanged,
    /// DER of those for the keeper, one behind the other.
    Worth(Bytes),
}

/// Signature first, then numbers; the entries are not read.
fn look(octets: &[u8], snapshot: &Snapshot, shelf: &Shelf) -> Result<Look, Unwanted> {
    let lists = crl::split(octets).map_err(Unwanted::Crl)?;
    if lists.len() > MOST_LISTS {
        return Err(Unwanted::TooMany);
    }
    let mut worth = Vec::new();
    let mut unchanged = false;
    let mut unwanted = Unwanted::Crl(CrlError::Malformed);
    for der in &lists {
        match look_at(der, snapshot, shelf) {
            Ok(Copy::Another) => worth.extend_from_slice(der),
            Ok(Copy::Same) => unchanged = true,
            Err(reason) => unwanted = reason,
        }
    }
    match (worth.is_empty(), unchanged) {
        (false, _) => Ok(Look::Worth(worth.into())),
        (true, true) => Ok(Look::Unchanged),
        (true, false) => Err(unwanted),
    }
}

fn look_at(der: &[u8], snapshot: &Snapshot, shelf: &Shelf) -> Result<Copy, Unwanted> {
    let list = UnverifiedCrl::from_der(der).map_err(Unwanted::Crl)?;
    let trust = snapshot.trust();
    let authorities = trust.authorities().iter().map(AsRef::as_ref);
    let key = list.signer(authorities).map_err(Unwanted::Crl)?.key_id();
    let number = list.number();
    let Some(known) = trust.list_number(key) else {
        return Ok(Copy::Another);
    };
    if number > known || shelf.was_reset(key) {
        return Ok(Copy::Another);
    }
    if number < known {
        return Err(Unwanted::Older { number, known });
    }
    match shelf.published(&keys(snapshot)).kept(key, der) {
        Some((kept, Copy::Same)) if kept == known => Ok(Copy::Same),
        Some((kept, Copy::Another)) if kept == known => Err(Unwanted::Twin { number }),
        // In force, but what lies on disk is not it: the keeper may be able to save it now.
        Some(_) | None => Ok(Copy::Another),
    }
}

fn keys(snapshot: &Snapshot) -> Vec<KeyId> {
    let authorities = snapshot.trust().authorities().iter();
    authorities.map(|authority| authority.key_id()).collect()
}

/// The beginning of the first list of a body as DER; empty where there is none.
fn head(beginning: &[u8]) -> Vec<u8> {
    if beginning.first() == Some(&0x30) {
        return beginning[..beginning.len().min(HEAD)].to_vec();
    }
    let begin = PEM_BEGIN.len();
    let Some(at) = beginning
        .windows(begin)
        .position(|place| place == PEM_BEGIN)
    else {
        return Vec::new();
    };
    let mut digits: Vec<u8> = beginning[at + begin..]
        .iter()
        .copied()
        .filter(|octet| !octet.is_ascii_whitespace())
        .take_while(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
        .take(HEAD)
        .collect();
    digits.truncate(digits.len() / 4 * 4);
    let mut der = vec![0; digits.len()];
    let decoded = base64ct::Base64::decode(&digits, &mut der).map(<[u8]>::len);
    der.truncate(decoded.unwrap_or_default());
    der
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_process::forge::Ca;

    #[test]
    fn the_head_of_a_list_is_found_in_pem_and_der() {
        let ca = Ca::new("orca CA");
        let pem = ca.crl(1, &[3; 1000]);
        let der = crl::split(pem.as_bytes()).unwrap().remove(0);
        assert!(der.starts_with(&head(&der)));
        let from_pem = head(format!("comment\r\n{pem}").as_bytes());
        assert!(from_pem.len() > 1000 && der.starts_with(&from_pem));
        for junk in [
            "",
            "0",
            "-----BEGIN X509 CRL-----",
            "-----BEGIN X509 CRL-----\n*",
        ] {
            assert!(head(junk.as_bytes()).len() < 2, "{junk}");
        }
    }
}
