//! Sockets that were handed over at the start (sd_listen_fds(3)): they outlive this process, so that
//! a restart refuses nobody. The new gateway accepts on them while the old one finishes its requests.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use orca_messages::{Finding, Localize, Text, text};

use crate::listener::{self, BindError};
use crate::log::EventLog;
use crate::status::{self, StatusError};

/// The sockets that came with the start and are not in use yet.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(SocketAddr, TcpListener)>);

/// A listener, and whether it lives on when this process ends.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) inherited: bool,
}

impl Inherited {
    /// Takes what `LISTEN_FDS` announces.
    ///
    /// # Errors
    /// One of them is no listening TCP socket.
    pub(crate) fn from_environment() -> Result<Self, InheritError> {
        let mut announced = ListenFd::from_env();
        let sockets = (0..announced.len()).map(|index| {
            let socket = announced.take_tcp_listener(index)?;
            socket.ok_or_else(|| io::ErrorKind::NotFound.into())
        });
        Self::new(sockets).map_err(InheritError)
    }

    fn new(sockets: impl Iterator<Item = io::Result<TcpListener>>) -> io::Result<Self> {
        let sockets = sockets.map(|socket| {
            let socket = socket?;
            socket.set_nonblocking(true)?;
            Ok((socket.local_addr()?, socket))
        });
        Ok(Self(sockets.collect::<io::Result<_>>()?))
    }

    /// The status listener: the socket at that very address, else a new one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) fn status(&mut self, address: SocketAddr) -> Result<Bound, StatusError> {
        match self.0.iter().position(|(at, _)| *at == address) {
            Some(index) => Ok(Bound::handed_over(self.0.swap_remove(index).1)),
            None => status::bind(address).map(Bound::own),
        }
    }

    /// The public listener: a socket that was handed over, the fitting one first, else a new one.
    /// Whoever made the socket decided where clients arrive; the configuration is told to differ.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) fn public(
        &mut self,
        address: SocketAddr,
        log: &EventLog,
    ) -> Result<Bound, BindError> {
        let fitting = self.0.iter().position(|(at, _)| *at == address);
        if let Some(index) = fitting {
            return Ok(Bound::handed_over(self.0.swap_remove(index).1));
        }
        let Some((at, listener)) = self.0.pop() else {
            return listener::bind(address).map(Bound::own);
        };
        if at.port() != address.port() {
            log.finding(&differs(at, address));
        }
        Ok(Bound::handed_over(listener))
    }
}

impl Bound {
    fn handed_over(listener: TcpListener) -> Self {
        let inherited = true;
        Self {
            listener,
            inherited,
        }
    }

    fn own(listener: TcpListener) -> Self {
        let inherited = false;
        Self {
            listener,
            inherited,
        }
    }
}

fn differs(socket: SocketAddr, configured: SocketAddr) -> Finding {
    Finding::warning(
        "listen-differs",
        text!(
            "起動時に渡されたソケットは{socket}で、GATEWAY_LISTENの{configured}と異なります。{socket}で待ち受けます。",
            "the socket that was handed over is {socket}, not {configured} (GATEWAY_LISTEN); {socket} is used"
        ),
        text!(
            "orca-gateway.socket の ListenStream と GATEWAY_LISTEN を同じにしてください。",
            "make ListenStream of orca-gateway.socket and GATEWAY_LISTEN the same"
        ),
    )
}

/// What was handed over cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("a socket that was handed over cannot be used: {0}")]
pub(crate) struct InheritError(io::Error);

impl Localize for InheritError {
    fn id(&self) -> &'static str {
        "socket-unusable"
    }

    fn message(&self) -> Text {
        let cause = &self.0;
        text!(
            "起動時に渡されたソケット(LISTEN_FDS)を使用できません({cause})。",
            "a socket that was handed over (LISTEN_FDS) cannot be used: {cause}"
        )
    }

    fn remedy(&self) -> Text {
        text!(
            "orca-gateway.socket には TCP の ListenStream だけを書いてください。",
            "only TCP addresses may stand as ListenStream in orca-gateway.socket"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use jiff::tz::TimeZone;
    use orca_messages::Lang;

    use super::*;
    use crate::clock::Clock;
    use crate::config::LogTarget;

    fn log() -> (tempfile::TempDir, EventLog) {
        let folder = tempfile::tempdir().unwrap();
        let target = LogTarget::File(folder.path().join("log"));
        let log = EventLog::open(&target, Clock::system(), TimeZone::UTC, Lang::En);
        (folder, log.unwrap())
    }

    fn two() -> (SocketAddr, SocketAddr, Inherited) {
        let open = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (one, two) = (open(), open());
        let addresses = (one.local_addr().unwrap(), two.local_addr().unwrap());
        let inherited = Inherited::new([Ok(one), Ok(two)].into_iter()).unwrap();
        (addresses.0, addresses.1, inherited)
    }

    #[test]
    fn each_socket_finds_its_place_by_its_address() {
        let (folder, log) = log();
        let (public, status, mut inherited) = two();
        let bound = inherited.status(status).unwrap();
        assert!(bound.inherited);
        assert_eq!(bound.listener.local_addr().unwrap(), status);
        let bound = inherited.public(public, &log).unwrap();
        assert!(bound.inherited);
        assert_eq!(bound.listener.local_addr().unwrap(), public);
        log.flush();
        let told = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(told, "");
    }

    #[test]
    fn a_socket_elsewhere_is_used_and_told() {
        let (folder, log) = log();
        let (public, status, mut inherited) = two();
        inherited.status(status).unwrap();
        let bound = inherited.public("[::]:1".parse().unwrap(), &log).unwrap();
        assert_eq!(bound.listener.local_addr().unwrap(), public);
        log.flush();
        let told = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(told.contains("[listen-differs]"), "{told}");
    }

    #[test]
    fn without_sockets_the_addresses_are_bound() {
        let (_folder, log) = log();
        let mut inherited = Inherited::default();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        assert!(!inherited.status(free).unwrap().inherited);
        assert!(!inherited.public(free, &log).unwrap().inherited);
    }
}
