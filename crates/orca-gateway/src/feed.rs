//! How trust stays up to date while the gateway runs: the keeper's thread with its orders, and the
//! thread that asks the address in `CA_CRL`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, CrlSource, Mode};
use crate::crl_intake::Intake;
use crate::crl_poll::Poller;
use crate::live::Live;
use crate::log::EventLog;
use crate::meters::Meters;
use crate::reload::{Keeper, Order};
use crate::sd::Watchdog;

/// How long a start waits for the first look at an address; afterwards the last good copies count
/// until there is an answer.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Ready to run.
pub(crate) struct Feed {
    /// `None` in HTTP mode.
    keeper: Option<Keeper>,
    orders: Arc<Sender<Order>>,
    received: Receiver<Order>,
    /// Where `CA_CRL` is an address.
    poller: Option<Poller>,
    look_now: Arc<Notify>,
}

/// Running.
pub(crate) struct Feeding {
    orders: Arc<Sender<Order>>,
    look_now: Arc<Notify>,
    keeper: JoinHandle<io::Result<()>>,
    poller: Option<JoinHandle<io::Result<()>>>,
    /// Ends the poller.
    stop: CancellationToken,
}

impl Feed {
    /// Of what was loaded, `None` in HTTP mode; with the way in for lists from the network.
    pub(crate) fn new(
        loaded: Option<(Keeper, Live)>,
        config: &Config,
        meters: &Arc<Meters>,
        clock: Clock,
        log: &EventLog,
    ) -> (Self, Option<Arc<Intake>>) {
        let (keeper, live) = loaded.unzip();
        let (orders, received) = mpsc::channel();
        let orders = Arc::new(orders);
        let intake = live.map(|live| Arc::new(Intake::new(&orders, live, config.state.clone())));
        let look_now = Arc::new(Notify::new());
        let poller = match (&config.mode, &intake) {
            (Mode::Https(files), Some(intake)) => match &files.ca_crl {
                CrlSource::File(_) => None,
                CrlSource::Url(address) => Some(Poller {
                    address: address.clone(),
                    interval: config.crl_poll,
                    intake: Arc::clone(intake),
                    now: Arc::clone(&look_now),
                    meters: Arc::clone(meters),
                    clock,
                    log: log.clone(),
                }),
            },
            _ => None,
        };
        let feed = Self {
            keeper,
            orders,
            received,
            poller,
            look_now,
        };
        (feed, intake)
    }

    /// Starts the threads, and waits a moment for the first look at an address. The receiver learns
    /// that the keeper is gone, which must not happen before the end: nothing would be revoked any
    /// more.
    ///
    /// # Errors
    /// The system refuses threads.
    pub(crate) fn start(
        self,
        watchdog: &mut Watchdog,
    ) -> io::Result<(Feeding, oneshot::Receiver<Infallible>)> {
        let (alive, keeper_lost) = oneshot::channel();
        let keeper = spawn_keeper(self.keeper, self.received, alive, watchdog)?;
        let stop = CancellationToken::new();
        let poller = match self.poller {
            None => None,
            Some(poller) => {
                let (looked, first) = mpsc::channel();
                let thread = spawn_poller(poller, stop.clone(), looked)?;
                // No answer is one too: the poller has told, or will.
                let _ = first.recv_timeout(FIRST_LOOK);
                Some(thread)
            }
        };
        let feeding = Feeding {
            orders: self.orders,
            look_now: self.look_now,
            keeper,
            poller,
            stop,
        };
        Ok((feeding, keeper_lost))
    }
}

impl Feeding {
    /// Lets everything be read again. What is given back is over when all files are read.
    pub(crate) fn hangup(&self) -> oneshot::Receiver<Infallible> {
        let (done, over) = oneshot::channel();
        // Where the keeper is gone, the gateway is about to end.
        let _ = self.orders.send(Order::Hangup { done });
        self.look_now.notify_one();
        over
    }

    /// Ends the threads.
    ///
    /// # Errors
    /// One of them failed.
    pub(crate) fn end(self) -> io::Result<()> {
        self.stop.cancel();
        drop(self.orders);
        let poller = self.poller.map_or(Ok(()), join);
        join(self.keeper).and(poller)
    }
}

/// In HTTP mode there is nothing to keep, and the thread only waits for the end.
fn spawn_keeper(
    keeper: Option<Keeper>,
    orders: Receiver<Order>,
    alive: oneshot::Sender<Infallible>,
    watchdog: &mut Watchdog,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let keeper = keeper.map(|keeper| (keeper, watchdog.pulse()));
    thread::Builder::new()
        .name("keeper".to_owned())
        .spawn(move || {
            let _alive = alive;
            match keeper {
                Some((keeper, pulse)) => keeper.run(&orders, &pulse),
                None => while orders.recv().is_ok() {},
            }
            Ok(())
        })
}

fn spawn_poller(
    poller: Poller,
    stop: CancellationToken,
    looked: Sender<()>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    thread::Builder::new()
        .name("poller".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    // Nobody waits any more where the first look took long.
                    never = poller.run(|| {
                        let _ = looked.send(());
                    }) => match never {},
                }
            });
            // A name that is being looked up must not hold up the end.
            runtime.shutdown_background();
            Ok(())
        })
}

/// Waits for the end of a thread.
///
/// # Errors
/// It failed.
pub(crate) fn join(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread of the gateway has failed")))
}
