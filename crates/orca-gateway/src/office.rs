//! What all connections share.

use std::net::IpAddr;
use std::sync::Arc;

use orca_messages::Lang;

use crate::access_log::AccessLog;
use crate::admission::Ground;
use crate::choices::Choices;
use crate::clock::Clock;
use crate::config::ClientAuth;
use crate::crl_service::CrlService;
use crate::doorway::Doorway;
use crate::exempt::Exemptions;
use crate::explain::Pages;
use crate::forward::is_reserved;
use crate::last_seen::LastSeen;
use crate::limits::Limits;
use crate::log::EventLog;
use crate::meters::Meters;
use crate::news::News;
use crate::origin::AllowedOrigins;
use crate::server_names::NameLog;

/// What all connections share.
pub(crate) struct Office {
    pub(crate) access_log: AccessLog,
    pub(crate) choices: Choices,
    pub(crate) client_auth: ClientAuth,
    pub(crate) clock: Clock,
    pub(crate) doorway: Arc<Doorway>,
    pub(crate) exemptions: Exemptions,
    pub(crate) meters: Arc<Meters>,
    pub(crate) lang: Lang,
    /// Takes and gives out revocation lists; `None` in HTTP mode.
    pub(crate) lists: Option<CrlService>,
    pub(crate) log: EventLog,
    pub(crate) limits: Limits,
    pub(crate) names: NameLog,
    pub(crate) origins: AllowedOrigins,
    pub(crate) pages: Pages,
    pub(crate) seen: Arc<LastSeen>,
    /// Foreign sites that were told of.
    pub(crate) sites: News,
    /// Wrong operators that were told of.
    pub(crate) operators: News,
}

impl Office {
    /// How a client at an address is asked for its certificate. One that may come without a
    /// certificate must not be refused before its request is known.
    pub(crate) fn client_auth_of(&self, address: IpAddr) -> ClientAuth {
        match self.client_auth {
            ClientAuth::Strict if self.exemptions.know(address) => ClientAuth::Explain,
            client_auth => client_auth,
        }
    }

    /// Why somebody without a verdict is served, if at all.
    pub(crate) fn ground(&self, address: IpAddr, path: &str) -> Option<Ground> {
        if self.exemptions.cover(address, path) && !is_reserved(path) {
            return Some(Ground::Exempt);
        }
        (self.client_auth == ClientAuth::Observe).then_some(Ground::Observe)
    }

    /// Whether somebody without a verdict may be served.
    pub(crate) fn receives(&self, address: IpAddr) -> bool {
        self.client_auth == ClientAuth::Observe || self.exemptions.know(address)
    }
}
