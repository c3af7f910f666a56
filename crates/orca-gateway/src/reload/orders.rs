//! What others ask of the keeper.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::sync::oneshot;

/// To be done now, in the order of arrival.
#[derive(Debug)]
pub(crate) enum Order {
    /// SIGHUP: read everything again.
    Hangup {
        /// Dropped when it is done.
        done: oneshot::Sender<Infallible>,
    },
    /// Revocation lists that somebody fetched or was sent; each counts on its own, and each is
    /// believed for its signature only.
    Lists {
        /// PEM or DER, one or several.
        octets: Bytes,
        source: ListSource,
        /// Gets what became of them, when they are in force and on disk. Nobody needs to listen.
        answer: oneshot::Sender<ListAnswer>,
    },
}

/// Where revocation lists came from, as log lines name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ListSource {
    /// `CA_CRL`.
    File(PathBuf),
    /// The address that was asked for it.
    Polled(String),
    /// The address of who sent it.
    Pushed(String),
}

impl fmt::Display for ListSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Polled(address) | Self::Pushed(address) => f.write_str(address),
        }
    }
}

/// What became of revocation lists: of several the first of these that holds for one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum ListAnswer {
    /// In force, but not on disk: a restart may forget it, so it must be sent again.
    NotKept,
    /// In force and on disk.
    Taken,
    /// In force before, byte for byte, and on disk.
    Unchanged,
    /// Older than what is in force, or another one of the same number.
    Older,
    /// No list, or of nobody we trust.
    Unusable,
}
