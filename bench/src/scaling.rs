//! Two workers instead of one.

use serde_json::Value;
use serde_json::json;

use crate::client::Client;
use crate::clinic::Clinic;
use crate::load;
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

/// A second worker may make an operation dearer by this factor.
const SECOND_WORKER: f64 = 1.1;
/// What is tried: full handshakes and requests on open connections.
const CASES: [&str; 2] = ["hs13-ec", "h1-1k"];

/// Measures them.
pub(crate) async fn run(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Section> {
    let mut table = Table::new(
        "Two workers",
        &[
            "",
            "processor time, two workers to one (min–max)",
            "failures",
            "peak MiB",
            "target",
            "",
        ],
    );
    let mut raw = Vec::new();
    let origin = Origin::start()?;
    for case in cases().iter().filter(|case| CASES.contains(&case.id)) {
        let row = second_worker(with, clinic, &origin, case).await?;
        progress.line(&format!(
            "{:<16} two workers {:.2}",
            case.id, row.ratio.median
        ))?;
        row.write(&mut table);
        raw.push(row.raw());
    }
    Ok(Section {
        name: "scaling",
        table,
        raw: raw.into(),
    })
}

struct Row {
    case: Case,
    ratio: Spread,
    failures: u64,
    peak_mib: f64,
}

impl Row {
    fn write(&self, table: &mut Table) {
        let ratio = self.ratio;
        table.row([
            self.case.title.to_owned(),
            format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max),
            self.failures.to_string(),
            format!("{:.1}", self.peak_mib),
            format!("≤ {SECOND_WORKER:.2}"),
            Verdict::of(ratio.median <= SECOND_WORKER).to_string(),
        ]);
    }

    fn raw(&self) -> Value {
        json!({
            "case": self.case.id,
            "ratio": self.ratio,
            "failures": self.failures,
            "peak_mib": self.peak_mib,
        })
    }
}

/// One and two workers on the same processors, both of which the load shares.
async fn second_worker(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    origin: &Origin,
    case: &Case,
) -> anyhow::Result<Row> {
    let mut gateways = Vec::new();
    for workers in [1, 2] {
        let name = format!("workers-{workers}-{}", case.id);
        let mut setup = Setup::new(with, &name, clinic, origin.address)?;
        setup.workers = workers;
        setup.processors = Processors("0,1".to_owned());
        gateways.push(servers::start(Server::Orca, &setup)?);
    }
    let shape = (case.offer.protocol, case.pattern, case.work);
    let mut pairs = Pairs::default();
    for _ in 0..with.effort.rounds {
        let one = measure(with, clinic, case, &gateways[0], shape).await?;
        let two = measure(with, clinic, case, &gateways[1], shape).await?;
        pairs.add(two.cost() / one.cost(), [&one, &two]);
    }
    pairs.row(case, &gateways[1])
}

async fn measure(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    case: &Case,
    gateway: &Running,
    shape: Shape,
) -> anyhow::Result<Sample> {
    let client = Client::new(&clinic.client, case.offer)?;
    load::measure(gateway.target(), &client, shape, with.effort.window).await
}

#[derive(Default)]
struct Pairs {
    ratios: Vec<f64>,
    failures: u64,
}

impl Pairs {
    fn add(&mut self, ratio: f64, samples: [&Sample; 2]) {
        self.ratios.push(ratio);
        let failures = samples.iter().flat_map(|sample| sample.failures.values());
        self.failures += failures.sum::<u64>();
    }

    fn row(&self, case: &Case, gateway: &Running) -> anyhow::Result<Row> {
        Ok(Row {
            case: *case,
            ratio: Spread::of(&self.ratios).ok_or_else(|| anyhow::anyhow!("no rounds"))?,
            failures: self.failures,
            peak_mib: usage::peak(gateway.process.id())? as f64 / 1024.0,
        })
    }
}
