//! Every case on every server, round by round, so that what disturbs one disturbs its neighbours too.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::client::Client;
use crate::client::Groups;
use crate::clinic::Clinic;
use crate::clinic::Keys;
use crate::load;
use crate::load::Sample;
use crate::origin::Origin;
use crate::plan::Case;
use crate::plan::Circumstances;
use crate::plan::Effort;
use crate::progress::Progress;
use crate::report::Table;
use crate::report::Verdict;
use crate::servers;
use crate::servers::Running;
use crate::servers::Server;
use crate::servers::Setup;
use crate::statistics::Spread;

/// What still counts as no worse.
const NO_WORSE: f64 = 1.05;

/// One measurement in figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Server processor time of one operation, µs.
    pub(crate) cost_us: f64,
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) longest_ms: f64,
    pub(crate) operations: u64,
    pub(crate) failures: BTreeMap<String, u64>,
}

impl From<&Sample> for Figures {
    fn from(sample: &Sample) -> Self {
        Self {
            cost_us: sample.cost(),
            rate: sample.rate(),
            p50_ms: sample.latency(0.5),
            p99_ms: sample.latency(0.99),
            longest_ms: sample.latency(1.0),
            operations: sample.operations,
            failures: sample.failures.clone(),
        }
    }
}

/// A row: all rounds of a case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) target: Option<f64>,
    /// By server, one a round.
    pub(crate) rounds: BTreeMap<&'static str, Vec<Figures>>,
}

/// Runs these cases.
pub(crate) async fn run(
    with: &Circumstances<'_>,
    clinics: &[(Keys, &Clinic)],
    cases: &[Case],
    progress: &mut Progress<'_>,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (keys, clinic) in clinics {
        let cases: Vec<&Case> = cases.iter().filter(|case| case.keys == *keys).collect();
        if cases.is_empty() {
            continue;
        }
        let origin = Origin::start()?;
        let mut running = Vec::new();
        for &server in with.servers {
            let name = format!("{server}-{keys}");
            let setup = Setup::new(with, &name, clinic, origin.address)?;
            running.push((server, servers::start(server, &setup)?));
        }
        for case in cases {
            rows.push(measure(case, clinic, &running, &with.effort, progress).await?);
        }
    }
    Ok(rows)
}

async fn measure(
    case: &Case,
    clinic: &Clinic,
    running: &[(Server, Running)],
    effort: &Effort,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Row> {
    let client = Client::new(&clinic.client, case.offer)?;
    let mut row = Row {
        id: case.id,
        title: case.title,
        target: case.target,
        rounds: BTreeMap::new(),
    };
    for round in 0..effort.rounds {
        for turn in 0..running.len() {
            // Another one begins every time.
            let (server, process) = &running[(round + turn) % running.len()];
            if case.offer.groups == Groups::PostQuantum && *server != Server::Orca {
                // OpenSSL 3.0 does not have it.
                continue;
            }
            let work = (case.offer.protocol, case.pattern, case.work);
            let sample = load::measure(process.target(), &client, work, effort.window).await?;
            row.rounds
                .entry(server.name())
                .or_default()
                .push(Figures::from(&sample));
        }
    }
    progress.line(&row.summary())?;
    Ok(row)
}

impl Row {
    /// Cost of a server over the rounds, µs.
    pub(crate) fn cost(&self, server: Server) -> Option<Spread> {
        self.spread(server, |figures| figures.cost_us)
    }

    fn spread(&self, server: Server, figure: fn(&Figures) -> f64) -> Option<Spread> {
        let rounds = self.rounds.get(server.name())?;
        Spread::of(&rounds.iter().map(figure).collect::<Vec<_>>())
    }

    /// The peer with the lowest median.
    fn best_peer(&self) -> Option<Server> {
        let peers = Server::ALL
            .into_iter()
            .filter(|server| *server != Server::Orca);
        peers
            .filter_map(|peer| Some((peer, self.cost(peer)?.median)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(peer, _)| peer)
    }

    /// How many times cheaper ours is than the best peer, paired by round.
    pub(crate) fn ratio(&self) -> Option<Spread> {
        let theirs = self.rounds.get(self.best_peer()?.name())?;
        let ours = self.rounds.get(Server::Orca.name())?;
        let ratios: Vec<f64> = ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| theirs.cost_us / ours.cost_us)
            .collect();
        Spread::of(&ratios)
    }

    /// Our median latency to that of the quickest peer.
    fn patience(&self) -> Option<f64> {
        let median = |server| Some(self.spread(server, |figures| figures.p50_ms)?.median);
        let peers = Server::ALL
            .into_iter()
            .filter(|server| *server != Server::Orca);
        let quickest = peers.filter_map(median).min_by(f64::total_cmp)?;
        Some(median(Server::Orca)? / quickest)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match (self.target, self.ratio()) {
            (Some(target), Some(ratio)) => Verdict::of(ratio.median >= target),
            _ => Verdict::NoTarget,
        }
    }

    fn failures(&self, server: Server) -> u64 {
        let rounds = self.rounds.get(server.name()).into_iter().flatten();
        rounds.flat_map(|figures| figures.failures.values()).sum()
    }

    fn summary(&self) -> String {
        let costs: Vec<String> = Server::ALL
            .into_iter()
            .filter_map(|server| {
                let cost = self.cost(server)?.median;
                let failures = match self.failures(server) {
                    0 => String::new(),
                    count => format!(" ({count} FAILED)"),
                };
                Some(format!("{server} {cost:.1} µs{failures}"))
            })
            .collect();
        format!("{:<16} {}", self.id, costs.join(", "))
    }
}

/// What operations cost.
pub(crate) fn cost_table(rows: &[Row]) -> Table {
    let mut table = Table::new(
        "Server processor time of one operation (µs)",
        &[
            "",
            "orca-gateway",
            "nginx",
            "haproxy",
            "times cheaper than the best peer (min–max)",
            "target",
            "",
        ],
    );
    for row in rows {
        let cost = |server| {
            row.cost(server)
                .map_or_else(dash, |cost| decimals(cost.median))
        };
        let ratio = row.ratio().map_or_else(dash, |ratio| {
            format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max)
        });
        table.row([
            row.title.to_owned(),
            cost(Server::Orca),
            cost(Server::Nginx),
            cost(Server::Haproxy),
            ratio,
            row.target
                .map_or_else(dash, |target| format!("≥ {target:.2}")),
            row.verdict().to_string(),
        ]);
    }
    table
}

/// What clients saw.
pub(crate) fn latency_table(rows: &[Row]) -> Table {
    let mut table = Table::new(
        "Latency p50 / p99 / longest (ms), operations a second, failures",
        &[
            "",
            "orca-gateway",
            "nginx",
            "haproxy",
            "p50, ours to the best",
            "",
        ],
    );
    for row in rows {
        let cell = |server| {
            let p50 = row.spread(server, |figures| figures.p50_ms)?.median;
            let p99 = row.spread(server, |figures| figures.p99_ms)?.median;
            let longest = row.spread(server, |figures| figures.longest_ms)?.max;
            let rate = row.spread(server, |figures| figures.rate)?.median;
            let failures = row.failures(server);
            Some(format!(
                "{p50:.2} / {p99:.2} / {longest:.1}, {rate:.0} /s, {failures}"
            ))
        };
        let [ours, nginx, haproxy] = Server::ALL.map(|server| cell(server).unwrap_or_else(dash));
        let relation = row.patience();
        let verdict = match (row.id.ends_with("-single"), relation) {
            (true, Some(relation)) => Verdict::of(relation <= NO_WORSE),
            _ => Verdict::NoTarget,
        };
        let relation = relation.map_or_else(dash, |relation| format!("{relation:.2}"));
        table.row([
            row.title.to_owned(),
            ours,
            nginx,
            haproxy,
            relation,
            verdict.to_string(),
        ]);
    }
    table.note(format!(
        "Target where a client is alone: the median no worse than the best peer's (≤ {NO_WORSE:.2}, \
         the spread of equals)."
    ));
    table
}

/// Every reason of every failure.
pub(crate) fn failures(rows: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        for (server, rounds) in &row.rounds {
            let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
            for (reason, count) in rounds.iter().flat_map(|figures| &figures.failures) {
                *reasons.entry(reason).or_default() += count;
            }
            for (reason, count) in reasons {
                lines.push(format!("{}, {server}: {count} × {reason}", row.id));
            }
        }
    }
    lines
}

fn dash() -> String {
    "–".to_owned()
}

/// Three digits are enough.
pub(crate) fn decimals(figure: f64) -> String {
    if figure < 100.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.0}")
    }
}
