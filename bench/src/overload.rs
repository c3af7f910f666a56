//! Twice as many clients as can be served: what is left of the goodput, and of the memory.
//!
//! The server shares its processor with others that never rest, so that a load generator on the other
//! one can bring more than it bears. Its share is what it gets, so goodput is what it serves in so much
//! processor time.

use std::process::Stdio;

use anyhow::Context;
use orca_e2e::process::Process;
use orca_e2e::program::Program;
use serde_json::Value;
use serde_json::json;

use crate::client::Client;
use crate::clinic::Clinic;
use crate::load;
use crate::load::PATIENCE;
use crate::load::Pattern;
use crate::load::Sample;
use crate::load::Shape;
use crate::origin::Origin;
use crate::plan::Case;
use crate::plan::Circumstances;
use crate::plan::cases;
use crate::progress::Progress;
use crate::report::Section;
use crate::report::Table;
use crate::report::Verdict;
use crate::servers;
use crate::servers::Processors;
use crate::servers::Running;
use crate::servers::Server;
use crate::servers::Setup;
use crate::statistics::Spread;
use crate::usage;

/// What must be left of the goodput.
const GOODPUT: f64 = 0.9;
/// What is tried: so many times the clients that can be served (handshakes), or so many times those who
/// keep the server busy and wait for their answers (requests); and whether the aim is for that.
const CASES: [(&str, usize, bool); 3] = [
    ("hs13-ec", 2, true),
    ("h1-1k", 2, true),
    ("h1-1k", 16, false),
];
/// So many programs share the processor of the server.
const COMPETITORS: usize = 2;

/// Measures full handshakes and requests on open connections on every server.
pub(crate) async fn run(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Section> {
    let mut table = Table::new(
        "More clients than can be served",
        &[
            "",
            "",
            "served in the same processor time as without a crowd (min–max)",
            "not served",
            "peak MiB",
            "target",
            "",
        ],
    );
    let mut raw = Vec::new();
    let origin = Origin::start()?;
    let cases = cases();
    for (id, factor, is_aimed_at) in CASES {
        let case = cases.iter().find(|case| case.id == id);
        let case = case.with_context(|| format!("no case {id}"))?;
        for &server in with.servers {
            let mut row = measure(with, clinic, &origin, case, factor, server).await?;
            row.is_aimed_at = is_aimed_at;
            progress.line(&format!(
                "{id:<16} {server} {factor} times: {:.2}",
                row.goodput.median
            ))?;
            row.write(&mut table);
            raw.push(row.raw());
        }
    }
    table.note(format!(
        "Handshakes: so many times as many arrive as can be served, and leave after {} s. Requests: so many \
         times the usual connections, each of which waits for its answer. The server shares its processor with \
         {COMPETITORS} programs that take what they can get.",
        PATIENCE.as_secs()
    ));
    Ok(Section {
        name: "overload",
        table,
        raw: raw.into(),
    })
}

struct Row {
    case: Case,
    factor: usize,
    is_aimed_at: bool,
    server: Server,
    goodput: Spread,
    served_a_second: Spread,
    not_served: u64,
    peak_mib: f64,
}

impl Row {
    fn write(&self, table: &mut Table) {
        let goodput = self.goodput;
        let (target, verdict) = match self.server {
            Server::Orca if self.is_aimed_at => (
                format!("≥ {GOODPUT:.2}"),
                Verdict::of(goodput.median >= GOODPUT).to_string(),
            ),
            _ => Default::default(),
        };
        table.row([
            format!("{}, {} times", self.case.title, self.factor),
            self.server.to_string(),
            format!(
                "{:.2} ({:.2}–{:.2})",
                goodput.median, goodput.min, goodput.max
            ),
            self.not_served.to_string(),
            format!("{:.1}", self.peak_mib),
            target,
            verdict,
        ]);
    }

    fn raw(&self) -> Value {
        json!({
            "case": self.case.id,
            "factor": self.factor,
            "server": self.server.name(),
            "goodput": self.goodput,
            "served_a_second": self.served_a_second,
            "not_served": self.not_served,
            "peak_mib": self.peak_mib,
        })
    }
}

async fn measure(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    origin: &Origin,
    case: &Case,
    factor: usize,
    server: Server,
) -> anyhow::Result<Row> {
    let name = format!("overload-{}-{factor}-{server}", case.id);
    let setup = Setup::new(with, &name, clinic, origin.address)?;
    let running = servers::start(server, &setup)?;
    let _competitors = (0..COMPETITORS)
        .map(|_| compete(&with.processors))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let usual = (case.offer.protocol, case.pattern, case.work);
    let client = Client::new(&clinic.client, case.offer)?;
    let (mut goodputs, mut served) = (Vec::new(), Vec::new());
    let mut not_served = 0;
    for _ in 0..with.effort.overloads {
        let few = sample(with, &running, &client, usual).await?;
        let many = sample(with, &running, &client, crowded(usual, factor, &few)).await?;
        goodputs.push(few.cost() / many.cost());
        served.push(many.rate());
        not_served += many.failures.values().sum::<u64>();
    }
    Ok(Row {
        case: *case,
        factor,
        is_aimed_at: false,
        server,
        goodput: Spread::of(&goodputs).context("no rounds")?,
        served_a_second: Spread::of(&served).context("no rounds")?,
        not_served,
        peak_mib: usage::peak(running.process.id())? as f64 / 1024.0,
    })
}

fn crowded((protocol, pattern, work): Shape, factor: usize, few: &Sample) -> Shape {
    let can_be_served = 1e6 / few.cost() / (COMPETITORS + 1) as f64;
    let pattern = match pattern {
        Pattern::Requests {
            connections,
            streams,
        } => Pattern::Requests {
            connections: connections * factor,
            streams,
        },
        Pattern::Handshakes { .. } | Pattern::Arrivals { .. } => Pattern::Arrivals {
            a_second: (can_be_served * factor as f64) as u32,
        },
    };
    (protocol, pattern, work)
}

/// Those who cannot be served leave only after their patience; the window begins after that.
async fn sample(
    with: &Circumstances<'_>,
    running: &Running,
    client: &Client,
    shape: Shape,
) -> anyhow::Result<Sample> {
    let warm_up = match shape.1 {
        Pattern::Arrivals { .. } => PATIENCE * 2,
        _ => PATIENCE / 2,
    };
    let window = with.effort.window * 2;
    load::measure_after(warm_up, running.target(), client, shape, window).await
}

/// A program that takes what it can get of these processors until it is dropped.
fn compete(processors: &Processors) -> anyhow::Result<Process> {
    let program =
        Program::new("taskset").args(["-c", &processors.0, "sh", "-c", "while :; do :; done"]);
    let child = program.spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
    Ok(Process::new("competitor", child))
}
