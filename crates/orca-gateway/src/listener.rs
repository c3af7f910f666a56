//! The public port: binding it, and accepting under a limit.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use orca_messages::{Localize, Text, text};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio_util::task::TaskTracker;

use crate::connection::Front;
use crate::meters::Meters;
use crate::shutdown::Phase;

/// Connections that wait to be accepted. Whoever waits outside costs nothing; in a crowd it is better to
/// be turned away than to be served when one has left.
const BACKLOG: i32 = 512;
/// Connections at most, whatever the system allows.
const MOST_CONNECTIONS: usize = 16_384;
/// Descriptors for logs, files, status and the workers themselves.
const RESERVED_DESCRIPTORS: u64 = 64;
/// A client machine that was switched off is noticed after this.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Pause after the system had no descriptor or memory for us: it tells nobody when it has some again,
/// and the listener stays readable meanwhile.
pub(crate) const EXHAUSTED: Duration = Duration::from_millis(100);

/// Binds the public port. `[::]` takes IPv4 too, and is `0.0.0.0` on a machine without IPv6.
///
/// # Errors
/// In use, not permitted, or no address of this machine.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = match open(address) {
        Err(error) if is_any_v6(address) && lacks_ipv6(&error) => {
            open((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        other => other,
    };
    listener.map_err(|source| BindError { address, source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if is_any_v6(address) {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.ip() == Ipv6Addr::UNSPECIFIED
}

fn lacks_ipv6(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [
        rustix::io::Errno::AFNOSUPPORT,
        rustix::io::Errno::ADDRNOTAVAIL,
    ]
    .iter()
    .any(|lacking| number == Some(lacking.raw_os_error()))
}

/// Lets the process open as many descriptors as it may, and tells how many connections that allows
/// beside `upstream` requests under way: each needs one for the client, and one for the application
/// where it is a WebSocket.
pub(crate) fn connection_limit(upstream: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let reserved = RESERVED_DESCRIPTORS.saturating_add(upstream as u64);
    let wanted = reserved.saturating_add(MOST_CONNECTIONS as u64 * 2);
    let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        // What is refused here shows in the limit that is read back.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    let connections = descriptors.saturating_sub(reserved) / 2;
    usize::try_from(connections)
        .unwrap_or(MOST_CONNECTIONS)
        .clamp(16, MOST_CONNECTIONS)
}

/// Accepts until the gateway drains, then waits for the connections to end. Whoever is inside is served
/// first: let in all at once, more clients than can be served would each get a share too small for
/// anybody to be done in time.
///
/// # Errors
/// The listener cannot be used by the runtime.
pub(crate) async fn accept(
    listener: TcpListener,
    front: Front,
    places: Arc<Semaphore>,
) -> io::Result<()> {
    tune(&listener);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let tracker = TaskTracker::new();
    let mut phase = front.phase.clone();
    while *phase.borrow() == Phase::Serving {
        tokio::select! {
            accepted = next(&listener, &places) => {
                if let Some((tcp, remote, place)) = accepted {
                    let front = front.clone();
                    tracker.spawn(async move {
                        let _open = Open::new(&front.office.meters);
                        front.connection(tcp, remote).await;
                        drop(place);
                    });
                }
                yield_now().await;
            }
            changed = phase.changed() => if changed.is_err() { break },
        }
    }
    drop(listener);
    tracker.close();
    tokio::select! {
        () = tracker.wait() => {}
        _ = phase.wait_for(|phase| *phase == Phase::Ended) => {}
    }
    Ok(())
}

/// Counts a connection as open until it is dropped, whatever happens to it.
struct Open(Arc<Meters>);

impl Open {
    fn new(meters: &Arc<Meters>) -> Self {
        meters.connections.increment();
        meters.open.increment();
        Self(Arc::clone(meters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.decrement();
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn next(listener: &tokio::net::TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((tcp, remote)) => Some((tcp, remote, place)),
        Err(error) => {
            // A client that left while it waited is no trouble; a full system needs a moment.
            if error.kind() != io::ErrorKind::ConnectionAborted {
                tokio::time::sleep(EXHAUSTED).await;
            }
            None
        }
    }
}

/// Small writes leave at once; dead clients are noticed. Both only make things better. Connections
/// have from their listener what it was told.
fn tune(listener: &TcpListener) {
    let socket = SockRef::from(listener);
    let _ = socket.set_tcp_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 4);
    let _ = socket.set_tcp_keepalive(&keepalive);
}

/// The public port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub(crate) struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl Localize for BindError {
    fn id(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => "port-in-use",
            io::ErrorKind::PermissionDenied => "port-not-permitted",
            io::ErrorKind::AddrNotAvailable => "address-not-here",
            _ => "listen-failed",
        }
    }

    fn message(&self) -> Text {
        let (address, source) = (self.address, &self.source);
        match source.kind() {
            io::ErrorKind::AddrInUse => text!(
                "{address} は別のプログラムが使用中です(GATEWAY_LISTEN)。",
                "another program uses {address} (GATEWAY_LISTEN)",
            ),
            io::ErrorKind::PermissionDenied => text!(
                "{address} を使う権限がありません(GATEWAY_LISTEN)。",
                "no permission to use {address} (GATEWAY_LISTEN)",
            ),
            io::ErrorKind::AddrNotAvailable => text!(
                "{address} はこのサーバのアドレスではありません(GATEWAY_LISTEN)。",
                "{address} (GATEWAY_LISTEN) is no address of this server",
            ),
            _ => text!(
                "{address} で待ち受けできません({source})。",
                "cannot listen on {address} (GATEWAY_LISTEN): {source}",
            ),
        }
    }

    fn remedy(&self) -> Text {
        let port = self.address.port();
        match self.source.kind() {
            io::ErrorKind::AddrInUse => text!(
                "sudo ss -ltnp 'sport = :{port}' で使用中のプログラムを確認してください。日レセの場合は、待ち受けを GATEWAY_UPSTREAM のポートに変更してください。",
                "find the program with sudo ss -ltnp 'sport = :{port}'; if it is WebORCA, move it to the port of GATEWAY_UPSTREAM",
            ),
            io::ErrorKind::PermissionDenied => text!(
                "1024以上のポート(既定は8000)を指定してください。",
                "use a port from 1024 on (8000 is the default)",
            ),
            _ => text!(
                "GATEWAY_LISTEN を [::]:{port} などに直してください。",
                "set GATEWAY_LISTEN to [::]:{port} or an address of this server",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_says_so() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.id(), "port-in-use");
    }

    #[test]
    fn the_unspecified_address_takes_ipv4() {
        let listener = bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    #[test]
    fn connections_are_tuned_as_their_listener() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        tune(&listener);
        listener.set_nonblocking(false).unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(accepted.nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE / 4);
        drop(client);
    }

    #[test]
    fn there_is_room_for_connections() {
        assert!(connection_limit(256) >= 16);
    }
}
