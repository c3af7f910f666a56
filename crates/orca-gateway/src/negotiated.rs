//! What a handshake agreed on, for the access log.

use rustls::{ProtocolVersion, ServerConnection};
use serde::Serialize;

/// Version and key exchange of a connection.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Negotiated {
    /// `TLSv1.3` or `TLSv1.2`.
    pub(crate) version: &'static str,
    /// The name of the group in the TLS registry, as `X25519MLKEM768`.
    pub(crate) group: &'static str,
}

impl Negotiated {
    /// Of a completed handshake.
    pub(crate) fn of(connection: &ServerConnection) -> Option<Self> {
        let group = connection.negotiated_key_exchange_group()?.name();
        Some(Self {
            version: match connection.protocol_version()? {
                ProtocolVersion::TLSv1_2 => "TLSv1.2",
                _ => "TLSv1.3",
            },
            group: group.as_str().unwrap_or("unknown"),
        })
    }
}
