//! The load generator: a closed loop of clients, each with one thing under way at a time, or arrivals
//! that wait for nobody.

pub(crate) mod http1;
pub(crate) mod http2;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tokio::task::spawn_local;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::client::Client;
use crate::client::Protocol;
use crate::statistics::quantile;
use crate::usage;
use http1::Connection;
use http1::Exchange;

/// Before anything is counted.
const WARM_UP: Duration = Duration::from_millis(200);
/// A client that failed does not fail again at once.
const AFTER_FAILURE: Duration = Duration::from_millis(5);
/// Any single operation that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// How long somebody waits who came by himself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// Those who arrive within this come together.
const MOMENT: Duration = Duration::from_millis(5);

/// What is asked of the application; octets of the body.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Work {
    Get(usize),
    Post(usize),
}

/// How the clients behave.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Pattern {
    /// Every operation is a connection, a full handshake and one request.
    Handshakes { clients: usize },
    /// Requests on open connections, `streams` at a time on each.
    Requests { connections: usize, streams: usize },
    /// Like `Handshakes`, by clients who come whether others have been served or not and leave when
    /// they have waited [`PATIENCE`].
    Arrivals { a_second: u32 },
}

/// What one window of time gave.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Operations that succeeded.
    pub(crate) operations: u64,
    /// Whatever did not, by its reason.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Processor time of the server, µs.
    pub(crate) processor: u64,
    /// The window.
    pub(crate) elapsed: Duration,
    /// Latencies in µs, ascending.
    pub(crate) latencies: Vec<u32>,
}

impl Sample {
    /// Server processor time of one operation, µs.
    pub(crate) fn cost(&self) -> f64 {
        self.processor as f64 / self.operations.max(1) as f64
    }

    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    /// A quantile of the latencies, ms.
    pub(crate) fn latency(&self, share: f64) -> f64 {
        f64::from(quantile(&self.latencies, share)) / 1000.0
    }
}

/// A server under test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
}

/// Puts a server under load for `window` and tells what it cost.
pub(crate) async fn measure(
    target: Target,
    client: &Client,
    shape: Shape,
    window: Duration,
) -> anyhow::Result<Sample> {
    measure_after(WARM_UP, target, client, shape, window).await
}

/// [`measure`] with a warm-up of its own.
pub(crate) async fn measure_after(
    warm_up: Duration,
    target: Target,
    client: &Client,
    shape: Shape,
    window: Duration,
) -> anyhow::Result<Sample> {
    let load = Load::start(target, client, shape);
    sleep(warm_up).await;
    load.count()?;
    sleep(window).await;
    load.stop().await
}

/// Protocol, pattern and work of a load.
pub(crate) type Shape = (Protocol, Pattern, Work);

/// A load that goes on until it is stopped.
pub(crate) struct Load {
    crowd: Crowd,
    pid: u32,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Has to be called within a `LocalSet`.
    pub(crate) fn start(target: Target, client: &Client, shape: Shape) -> Self {
        let (protocol, pattern, work) = shape;
        let crowd = Crowd {
            client: client.clone(),
            server: target.address,
            work,
            tally: Rc::default(),
        };
        Self {
            tasks: crowd.start(protocol, pattern),
            pid: target.pid,
            crowd,
        }
    }

    /// From now on successes count; failures always do.
    pub(crate) fn count(&self) -> anyhow::Result<()> {
        let processor = usage::processor_time(self.pid)?;
        let mut tally = self.crowd.tally.borrow_mut();
        tally.latencies.clear();
        tally.phase = Phase::Counting(Instant::now(), processor);
        Ok(())
    }

    /// Ends it and tells what was counted.
    pub(crate) async fn stop(self) -> anyhow::Result<Sample> {
        let phase = std::mem::replace(&mut self.crowd.tally.borrow_mut().phase, Phase::Over);
        let after = usage::processor_time(self.pid)?;
        let (elapsed, processor) = match phase {
            Phase::Counting(begin, before) => (begin.elapsed(), after.saturating_sub(before)),
            Phase::WarmUp | Phase::Over => (Duration::ZERO, 0),
        };
        for task in self.tasks {
            task.await?;
        }
        let mut tally = self.crowd.tally.borrow_mut();
        tally.latencies.sort_unstable();
        Ok(Sample {
            operations: tally.latencies.len() as u64,
            failures: std::mem::take(&mut tally.failures),
            processor,
            elapsed,
            latencies: std::mem::take(&mut tally.latencies),
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    WarmUp,
    /// Since when, and the processor time of the server then.
    Counting(Instant, u64),
    Over,
}

#[derive(Default)]
struct Tally {
    phase: Phase,
    latencies: Vec<u32>,
    failures: BTreeMap<String, u64>,
}

impl Tally {
    /// Failures always count, successes while counting.
    fn settle(&mut self, begin: Instant, result: &anyhow::Result<()>) {
        match result {
            Ok(()) if matches!(self.phase, Phase::Counting(..)) => {
                let micros = begin.elapsed().as_micros();
                self.latencies
                    .push(u32::try_from(micros).unwrap_or(u32::MAX));
            }
            Ok(()) => {}
            Err(error) => *self.failures.entry(format!("{error:#}")).or_default() += 1,
        }
    }
}

#[derive(Clone)]
struct Crowd {
    client: Client,
    server: SocketAddr,
    work: Work,
    tally: Rc<RefCell<Tally>>,
}

impl Crowd {
    fn start(&self, protocol: Protocol, pattern: Pattern) -> Vec<JoinHandle<()>> {
        match (protocol, pattern) {
            (_, Pattern::Handshakes { clients }) => (0..clients)
                .map(|_| spawn_local(self.clone().handshakes()))
                .collect(),
            (_, Pattern::Arrivals { a_second }) => {
                vec![spawn_local(self.clone().arrivals(a_second))]
            }
            (Protocol::Http1, Pattern::Requests { connections, .. }) => (0..connections)
                .map(|_| spawn_local(self.clone().requests()))
                .collect(),
            (
                Protocol::Http2,
                Pattern::Requests {
                    connections,
                    streams,
                },
            ) => (0..connections)
                .map(|_| spawn_local(self.clone().streams(streams)))
                .collect(),
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.tally.borrow().phase, Phase::Over)
    }

    async fn settle(&self, begin: Instant, result: anyhow::Result<()>) {
        self.tally.borrow_mut().settle(begin, &result);
        if result.is_err() {
            sleep(AFTER_FAILURE).await;
        }
    }

    async fn handshakes(self) {
        let exchange = Exchange::new(self.work, Connection::Close);
        let mut buffer = Vec::with_capacity(65_536);
        while !self.is_over() {
            let begin = Instant::now();
            let result = limited(self.handshake(&exchange, &mut buffer)).await;
            self.settle(begin, result).await;
        }
    }

    async fn arrivals(self, a_second: u32) {
        let begin = Instant::now();
        let mut arrived = 0;
        let mut here = JoinSet::new();
        let mut moments = interval(MOMENT);
        moments.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !self.is_over() {
            moments.tick().await;
            while here.try_join_next().is_some() {}
            let due = begin.elapsed().as_secs_f64() * f64::from(a_second);
            while f64::from(arrived) < due {
                here.spawn_local(self.clone().visit());
                arrived += 1;
            }
        }
        // Whoever is still here is nobody's loss: the window is over.
    }

    async fn visit(self) {
        let exchange = Exchange::new(self.work, Connection::Close);
        let begin = Instant::now();
        let mut buffer = Vec::new();
        let visit = timeout(PATIENCE, self.handshake(&exchange, &mut buffer));
        let result = match visit.await {
            Ok(result) => result,
            Err(_) => Err(anyhow::anyhow!("left after {} s", PATIENCE.as_secs())),
        };
        self.tally.borrow_mut().settle(begin, &result);
    }

    async fn handshake(&self, exchange: &Exchange, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut stream = self.client.connect(self.server).await?;
        exchange.run(&mut stream, buffer).await?;
        http1::end(&mut stream).await
    }

    async fn requests(self) {
        let exchange = Exchange::new(self.work, Connection::KeepAlive);
        let mut buffer = Vec::with_capacity(65_536);
        while !self.is_over() {
            let begin = Instant::now();
            let mut stream = match limited(self.client.connect(self.server)).await {
                Ok(stream) => stream,
                Err(error) => {
                    self.settle(begin, Err(error)).await;
                    continue;
                }
            };
            let mut result = Ok(());
            while !self.is_over() && result.is_ok() {
                let begin = Instant::now();
                result = limited(exchange.run(&mut stream, &mut buffer)).await;
                self.tally.borrow_mut().settle(begin, &result);
            }
        }
    }

    async fn streams(self, streams: usize) {
        while !self.is_over() {
            let begin = Instant::now();
            let connected = limited(http2::connect(&self.client, self.server)).await;
            let sender = match connected {
                Ok(sender) => sender,
                Err(error) => {
                    self.settle(begin, Err(error)).await;
                    continue;
                }
            };
            let tasks: Vec<_> = (0..streams)
                .map(|_| spawn_local(self.clone().stream(sender.clone())))
                .collect();
            for task in tasks {
                // A panic of a stream shows in its missing operations.
                let _ = task.await;
            }
        }
    }

    async fn stream(self, mut sender: http2::Sender) {
        while !self.is_over() {
            let begin = Instant::now();
            let result = limited(http2::exchange(&mut sender, self.work)).await;
            let failed = result.is_err();
            self.settle(begin, result).await;
            if failed {
                return;
            }
        }
    }
}

/// No operation hangs for ever.
pub(crate) async fn limited<T>(
    operation: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    match timeout(LIMIT, operation).await {
        Ok(result) => result,
        Err(_) => anyhow::bail!("not done after {} s", LIMIT.as_secs()),
    }
}
