//! How the gateway ends: first what is under way, then tunnels, then everything.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Tunnels have no end of their own; they get this long.
const TUNNELS: Duration = Duration::from_secs(5);
/// Requests under way get this long in all.
const REQUESTS: Duration = Duration::from_secs(30);

/// Where in its life the gateway is; it only goes on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    /// Everything is accepted.
    Serving,
    /// Nothing new is accepted, idle connections close.
    Draining,
    /// Tunnels are closed too.
    EndingTunnels,
    /// Everything is closed.
    Ended,
}

/// The signals that mean something to us.
pub(crate) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on they are ours; needs a runtime.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Reloads on SIGHUP until SIGTERM or SIGINT, or until `failed` is over, then tells `draining` and
    /// leads through the phases. A second signal ends everything at once. Returns when nobody listens to the phases
    /// any more.
    pub(crate) async fn keep(
        mut self,
        phase: &watch::Sender<Phase>,
        mut reload: impl FnMut(),
        draining: impl FnOnce(),
        failed: impl Future<Output = ()>,
    ) {
        let mut failed = std::pin::pin!(failed);
        loop {
            tokio::select! {
                _ = self.hangup.recv() => reload(),
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                () = &mut failed => break,
                () = phase.closed() => return,
            }
        }
        draining();
        let start = Instant::now();
        for (next, until) in [(Phase::Draining, TUNNELS), (Phase::EndingTunnels, REQUESTS)] {
            phase.send_replace(next);
            tokio::select! {
                () = phase.closed() => return,
                () = self.asked_to_end() => break,
                () = sleep_until(start + until) => {}
            }
        }
        phase.send_replace(Phase::Ended);
    }

    async fn asked_to_end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
