//! Revocation lists of a million entries: what a handshake costs beside them, how soon they count,
//! what they weigh, and whether anybody has to wait meanwhile.

mod look_up;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use orca_e2e::kit::Kit;
use orca_e2e::lists::ListForge;
use serde::Serialize;
use tokio::time::sleep;

use crate::client::Client;
use crate::client::Groups;
use crate::client::Offer;
use crate::client::Protocol;
use crate::client::Version;
use crate::clinic::Clinic;
use crate::comparison::decimals;
use crate::load;
use crate::load::Load;
use crate::load::Pattern;
use crate::load::Sample;
use crate::load::Work;
use crate::load::http1::Connection;
use crate::load::http1::Exchange;
use crate::load::limited;
use crate::origin::Origin;
use crate::plan::Circumstances;
use crate::plan::Effort;
use crate::progress::Progress;
use crate::report::Section;
use crate::report::Table;
use crate::report::Verdict;
use crate::servers;
use crate::servers::Running;
use crate::servers::Server;
use crate::servers::Setup;
use crate::statistics::Spread;
use crate::usage;

const OFFER: Offer = Offer {
    version: Version::Tls13,
    groups: Groups::Classic,
    protocol: Protocol::Http1,
};
/// The first serial in the lists; nobody here has so high a one.
const FIRST: u64 = 1_000_000;
/// A stream of requests is watched so long before and after the change.
const WATCH: Duration = Duration::from_secs(2);
/// The shortest measurement of handshakes here.
const ENOUGH: Duration = Duration::from_millis(1_500);
/// Between two looks at the memory of a server.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Numbers of forged lists begin here, above those of the authority.
const NUMBER: u64 = 1_000_000;

/// ms until it counts, MiB at rest, MiB more at the swap.
const TARGETS: (f64, f64, f64) = (250.0, 20.0, 80.0);

/// What one list did to one server.
#[derive(Clone, Debug, Serialize)]
struct Effect {
    server: &'static str,
    entries: usize,
    /// Of ours alone.
    look_up_ns: Option<f64>,
    handshake_us: Spread,
    handshakes_failed: u64,
    effect_ms: f64,
    rest_mib: f64,
    swap_mib: f64,
    p999_before_ms: f64,
    longest_before_ms: f64,
    p999_during_ms: f64,
    longest_during_ms: f64,
    requests_lost: u64,
}

/// Gives lists of every size to ours and to nginx.
pub(crate) async fn run(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Section> {
    let origin = Origin::start()?;
    let forge = clinic.forge()?;
    let victim = clinic.another("listed")?;
    let mut effects = Vec::new();
    for (index, &entries) in with.effort.crl_entries.iter().enumerate() {
        let number = NUMBER + index as u64;
        let list = forged(&forge, number, entries, &victim)?;
        let look_up = look_up::nanoseconds(clinic, &list, FIRST, entries)?;
        // haproxy loads a list as nginx does.
        let servers = with
            .servers
            .iter()
            .filter(|server| **server != Server::Haproxy);
        for &server in servers {
            let name = format!("list-{server}-{entries}");
            let setup = Setup::new(with, &name, clinic, origin.address)?;
            let running = servers::start(server, &setup)?;
            let change = Change {
                server,
                entries,
                list: &list,
                look_up: (server == Server::Orca).then_some(look_up),
                setup: &setup,
                victim: &victim,
            };
            let effect = change.watch(&running, clinic, &with.effort).await?;
            progress.line(&format!(
                "{:<16} {server} {entries}: handshake {:.0} µs, effect {:.0} ms, rest {:.1} MiB, \
                 swap {:.1} MiB, longest request {:.1} ms",
                "list",
                effect.handshake_us.median,
                effect.effect_ms,
                effect.rest_mib,
                effect.swap_mib,
                effect.longest_during_ms
            ))?;
            effects.push(effect);
        }
    }
    Ok(Section {
        name: "long_list",
        table: table(&effects),
        raw: serde_json::to_value(&effects)?,
    })
}

/// A list that revokes `victim` and so many others.
fn forged(forge: &ListForge, number: u64, entries: usize, victim: &Kit) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let others = FIRST..FIRST + entries as u64;
    forge.list(number, others.chain([victim.number().parse()?]), now)
}

/// A list that replaces another on a running server.
struct Change<'a> {
    server: Server,
    entries: usize,
    list: &'a str,
    look_up: Option<f64>,
    setup: &'a Setup<'a>,
    victim: &'a Kit,
}

impl Change<'_> {
    async fn watch(
        &self,
        running: &Running,
        clinic: &Clinic,
        effort: &Effort,
    ) -> anyhow::Result<Effect> {
        let client = Client::new(&clinic.client, OFFER)?;
        let pid = running.process.id();
        // Whatever the first connections allocate is no part of the list.
        requests(running, &client, WATCH / 4).await?;
        let before = requests(running, &client, WATCH).await?;
        let rest = usage::memory(pid)?;
        let scale = Scale::put_on(pid)?;
        let load = Load::start(running.target(), &client, shape());
        load.count()?;
        let effect = self.take_effect(running).await?;
        sleep(WATCH).await;
        let during = load.stop().await?;
        let swap = scale.read()?.saturating_sub(rest);
        let rest = usage::memory(pid)?.saturating_sub(rest);
        let mut costs = Vec::new();
        let mut failed = 0;
        // Some handshakes take so long that few fit in.
        let window = effort.window.max(ENOUGH);
        for _ in 0..effort.rounds {
            let pattern = Pattern::Handshakes { clients: 4 };
            let shape = (Protocol::Http1, pattern, Work::Get(2));
            let sample = load::measure(running.target(), &client, shape, window).await?;
            costs.push(sample.cost());
            failed += sample.failures.values().sum::<u64>();
        }
        Ok(Effect {
            server: self.server.name(),
            entries: self.entries,
            look_up_ns: self.look_up,
            handshake_us: Spread::of(&costs).unwrap_or(Spread {
                median: 0.0,
                min: 0.0,
                max: 0.0,
            }),
            handshakes_failed: failed,
            effect_ms: effect.as_secs_f64() * 1000.0,
            rest_mib: rest as f64 / 1024.0,
            swap_mib: swap as f64 / 1024.0,
            p999_before_ms: before.latency(0.999),
            longest_before_ms: before.latency(1.0),
            p999_during_ms: during.latency(0.999),
            longest_during_ms: during.latency(1.0),
            requests_lost: during.failures.values().sum(),
        })
    }

    /// From the rename, and a reload where one is needed, until the listed client is refused.
    async fn take_effect(&self, running: &Running) -> anyhow::Result<Duration> {
        let client = Client::new(self.victim, OFFER)?;
        let partial = self.setup.crl.with_extension("partial");
        std::fs::write(&partial, self.list)?;
        let exchange = Exchange::new(Work::Get(2), Connection::Close);
        let begin = Instant::now();
        std::fs::rename(&partial, &self.setup.crl)?;
        running.reload(self.server)?;
        loop {
            let attempt = async {
                let mut stream = client.connect(running.address).await?;
                exchange.run(&mut stream, &mut Vec::new()).await
            };
            if limited(attempt).await.is_err() {
                return Ok(begin.elapsed());
            }
            anyhow::ensure!(begin.elapsed().as_secs() < 60, "the list never counts");
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Watches the largest memory of a process tree.
struct Scale {
    pid: u32,
    /// `VmHWM` exceeded the divided memory by so much when nothing happened, KiB.
    shared: u64,
    over: Arc<AtomicBool>,
    /// Looks again and again: in a tree, a reload has several processes at once.
    watcher: std::thread::JoinHandle<u64>,
}

impl Scale {
    fn put_on(pid: u32) -> anyhow::Result<Self> {
        usage::forget_peak(pid)?;
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let watcher = std::thread::spawn(move || {
            let mut most = 0;
            while !told.load(Ordering::Relaxed) {
                // A process that has just ended has no memory.
                most = most.max(usage::memory(pid).unwrap_or(0));
                std::thread::sleep(LOOK_AGAIN);
            }
            most
        });
        Ok(Self {
            pid,
            shared: usage::peak(pid)?.saturating_sub(usage::memory(pid)?),
            over,
            watcher,
        })
    }

    /// KiB.
    fn read(self) -> anyhow::Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        let seen = self.watcher.join().unwrap_or(0);
        Ok(seen.max(usage::peak(self.pid)?.saturating_sub(self.shared)))
    }
}

fn shape() -> load::Shape {
    let pattern = Pattern::Requests {
        connections: 2,
        streams: 1,
    };
    (Protocol::Http1, pattern, Work::Get(1024))
}

async fn requests(running: &Running, client: &Client, time: Duration) -> anyhow::Result<Sample> {
    load::measure(running.target(), client, shape(), time).await
}

fn table(effects: &[Effect]) -> Table {
    let mut table = Table::new(
        "Long revocation lists",
        &[
            "entries",
            "",
            "one look-up, ns",
            "handshake µs (min–max)",
            "in effect after ms",
            "MiB at rest",
            "MiB more at the swap",
            "p99.9 / longest request before, ms",
            "during",
            "requests lost",
            "targets",
        ],
    );
    for effect in effects {
        let (ms, rest, swap) = TARGETS;
        let met = effect.effect_ms <= ms
            && effect.rest_mib <= rest
            && effect.swap_mib <= swap
            && effect.look_up_ns.is_none_or(|look_up| look_up <= 1000.0);
        let verdict = match effect.server == Server::Orca.name() {
            true => Verdict::of(met),
            false => Verdict::NoTarget,
        };
        let cost = effect.handshake_us;
        table.row([
            effect.entries.to_string(),
            effect.server.to_owned(),
            effect.look_up_ns.map(decimals).unwrap_or_default(),
            format!(
                "{} ({}–{})",
                decimals(cost.median),
                decimals(cost.min),
                decimals(cost.max)
            ),
            format!("{:.0}", effect.effect_ms),
            format!("{:.1}", effect.rest_mib),
            format!("{:.1}", effect.swap_mib),
            format!(
                "{:.1} / {:.1}",
                effect.p999_before_ms, effect.longest_before_ms
            ),
            format!(
                "{:.1} / {:.1}",
                effect.p999_during_ms, effect.longest_during_ms
            ),
            effect.requests_lost.to_string(),
            verdict.to_string(),
        ]);
    }
    let (ms, rest, swap) = TARGETS;
    table.note(format!(
        "Targets: a look-up ≤ 1 µs, ≤ {ms:.0} ms, ≤ {rest:.0} MiB at rest, ≤ {swap:.0} MiB at the swap; no difference \
         of the handshakes beyond noise. nginx needs a reload for a new list (sent here), which ends \
         everybody's connections."
    ));
    table
}
