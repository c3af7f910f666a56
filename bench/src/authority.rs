//! What the CA tool costs, whole processes, beside openssl and easy-rsa.

mod register;

use std::fmt::Write;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::process::Process;
use orca_e2e::program::Program;
use orca_e2e::program::ours;
use serde::Serialize;

use crate::comparison::decimals;
use crate::once;
use crate::once::Cost;
use crate::plan::Circumstances;
use crate::plan::Effort;
use crate::progress::Progress;
use crate::report::Section;
use crate::report::Table;
use crate::report::Verdict;
use crate::statistics::Spread;
use register::Copies;

const EASY_RSA: &str = "/usr/share/easy-rsa/easyrsa";

/// One thing done by ours and by others.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    measure: Measure,
    ours: Costs,
    peers: Vec<(&'static str, Costs)>,
    /// Aimed at: ms of processor time.
    target_ms: Option<f64>,
    /// Aimed at: MiB.
    target_mib: Option<f64>,
}

/// Which of the figures of a row the table shows and the target means; all of them are in the raw
/// ones.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Measure {
    Processor,
    Wall,
}

impl Measure {
    fn ms(self, cost: &Cost) -> f64 {
        match self {
            Self::Processor => cost.processor_ms,
            Self::Wall => cost.wall_ms,
        }
    }
}

/// Several runs of one call.
#[derive(Clone, Debug, Default, Serialize)]
struct Costs(Vec<Cost>);

impl Costs {
    fn spread(&self, measure: Measure) -> Option<Spread> {
        let figures = self.0.iter().map(|cost| measure.ms(cost));
        Spread::of(&figures.collect::<Vec<_>>())
    }

    /// Key searches vary so much that only their mean says something.
    fn mean(&self, measure: Measure) -> f64 {
        let sum: f64 = self.0.iter().map(|cost| measure.ms(cost)).sum();
        sum / self.0.len().max(1) as f64
    }

    fn peak(&self) -> f64 {
        self.0.iter().map(|cost| cost.peak_mib).fold(0.0, f64::max)
    }
}

/// Measures all rows.
pub(crate) fn run(
    with: &Circumstances<'_>,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Section> {
    let (root, effort) = (with.root, &with.effort);
    let mut rows = vec![start_up(root, effort)?];
    rows.extend(bundles(root, effort)?);
    rows.extend(many(root)?);
    for &count in effort.registers {
        progress.line(&format!("{:<16} {count} certificates", "authority"))?;
        rows.extend(grown(root, count, effort)?);
        rows.extend(lists(root, count, effort)?);
    }
    let mut table = table(&rows);
    for (count, ms) in first_rows(root, effort)? {
        table.note(format!(
            "`list_cert` of {count} certificates into a pipe: the first 100 lines after {ms:.1} ms \
             (wall)."
        ));
    }
    table.note(
        "Registers of this size are filled with copies of one row that the program made; each figure \
         is the median of several runs, of RSA bundles the mean. `openssl` is `openssl ca` with an \
         index.txt of the same length.",
    );
    Ok(Section {
        name: "authority",
        raw: serde_json::to_value(&rows)?,
        table,
    })
}

fn start_up(root: &Path, effort: &Effort) -> anyhow::Result<Row> {
    let version = |program: &str, arg: &str| {
        let words = [program.to_owned(), arg.to_owned()];
        repeated(root, effort.calls, |_| words.to_vec())
    };
    let program = ours("orca-catool")?;
    Ok(Row {
        what: "start-up (`--version`)".to_owned(),
        measure: Measure::Processor,
        ours: version(&program.display().to_string(), "--version")?,
        peers: vec![("openssl", version("openssl", "version")?)],
        target_ms: Some(5.0),
        target_mib: None,
    })
}

/// One delivery each, as the guide lists it.
fn bundles(root: &Path, effort: &Effort) -> anyhow::Result<Vec<Row>> {
    let ca = authority(root, "bundles")?;
    let openssl = openssl_authority(root, "openssl-bundles", 10, "V")?;
    let easy = root.join("easy-rsa");
    std::fs::create_dir_all(&easy)?;
    easy_rsa(&easy)?;
    let mut rows = Vec::new();
    for (keys, target) in [("p256", 6.0), ("rsa2048", 60.0)] {
        let call = |n| issue(&ca, &format!("{keys}-{n}"), keys);
        let script = |script: &str, place: &Path| {
            let script = peer(script);
            let place = place.to_owned();
            move |n: usize| {
                let name = format!("{keys}-{n}");
                let place = place.display().to_string();
                vec!["bash".into(), script.clone(), place, name, keys.into()]
            }
        };
        rows.push(Row {
            what: format!("one delivery, {keys}"),
            measure: Measure::Processor,
            ours: repeated(ca.home(), effort.calls, call)?,
            peers: vec![
                (
                    "openssl",
                    repeated(root, effort.calls, script("openssl-bundle.bash", &openssl))?,
                ),
                (
                    "easy-rsa",
                    repeated(root, effort.calls, script("easyrsa-bundle.bash", &easy))?,
                ),
            ],
            target_ms: Some(target),
            target_mib: None,
        });
    }
    Ok(rows)
}

/// A thousand deliveries in one run, on all processors, whatever the harness itself is bound to: what
/// counts is how long it takes.
fn many(root: &Path) -> anyhow::Result<Vec<Row>> {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online")?;
    let mut rows = Vec::new();
    for (keys, target) in [("p256", 4000.0), ("rsa2048", 32_000.0)] {
        let ca = authority(root, &format!("many-{keys}"))?;
        let names: String = (1..=1000).map(|n| format!("many{n}\n")).collect();
        std::fs::write(ca.home().join("many.csv"), format!("name\n{names}"))?;
        let line = format!("issue_client_cert --from-csv many.csv --key {keys}");
        let front = ["taskset", "-c", online.trim()].map(str::to_owned);
        let words: Vec<String> = front.into_iter().chain(catool(&ca, &line)).collect();
        rows.push(Row {
            what: format!("1,000 deliveries from a CSV, {keys} (wall)"),
            measure: Measure::Wall,
            ours: Costs(vec![once::cost(ca.home(), &words)?]),
            peers: Vec::new(),
            target_ms: Some(target),
            target_mib: None,
        });
    }
    Ok(rows)
}

/// Single steps beside a list of valid certificates.
fn grown(root: &Path, count: usize, effort: &Effort) -> anyhow::Result<Vec<Row>> {
    let ca = authority(root, &format!("grown-{count}"))?;
    register::fill(&ca, count, Copies::Valid)?;
    let openssl = openssl_authority(root, &format!("openssl-{count}"), count, "V")?;
    let ask = |words: &str| openssl_words(&openssl, words);
    let home = ca.home();
    let row = |what: &str, ours, peers, target_ms| Row {
        what: format!("{what}, {count} certificates"),
        measure: Measure::Processor,
        ours,
        peers,
        target_ms,
        target_mib: None,
    };
    let calls = effort.calls(count);
    let issued = repeated(home, calls, |n| issue(&ca, &format!("new-{n}"), "p256"))?;
    let signed = repeated(root, calls, |_| {
        ask("-batch -notext -in one.csr -out one.crt -config ca.cnf")
    })?;
    let found = repeated(home, calls, |n| {
        catool(
            &ca,
            &format!("list_cert user{} --exact --format json", count / 2 + n),
        )
    })?;
    let searched = repeated(home, calls, |n| {
        catool(
            &ca,
            &format!("list_cert user{} --format json", count / 2 + n),
        )
    })?;
    let looked = repeated(root, calls, |n| {
        // It exits with 1 whatever it finds.
        ask(&format!(
            "-config ca.cnf -status {:08X} || true",
            count / 2 + n
        ))
    })?;
    let listed = repeated(home, calls, |_| catool(&ca, "list_cert"))?;
    let printed = repeated(root, calls, |_| {
        let index = openssl.join("index.txt").display().to_string();
        vec!["awk".into(), "$1 == \"V\" { print }".into(), index]
    })?;
    let revoked = repeated(home, calls, |n| {
        catool(&ca, &format!("revoke_cert {}", n + 3))
    })?;
    Ok(vec![
        row(
            "issue one, p256",
            issued,
            vec![("openssl ca", signed)],
            Some(10.0),
        ),
        row(
            "revoke one, its CRL included",
            revoked,
            Vec::new(),
            Some(10.0),
        ),
        row(
            "look up one (`--exact`)",
            found,
            vec![("openssl ca", looked)],
            Some(5.0),
        ),
        row("search all for a word", searched, Vec::new(), Some(5.0)),
        row(
            "list all",
            listed,
            vec![("awk", printed)],
            (count >= 1_000_000).then_some(120.0),
        ),
    ])
}

/// A revocation list in which every certificate stands.
fn lists(root: &Path, count: usize, effort: &Effort) -> anyhow::Result<Vec<Row>> {
    let ca = authority(root, &format!("revoked-{count}"))?;
    register::fill(&ca, count, Copies::Revoked)?;
    let openssl = openssl_authority(root, &format!("openssl-revoked-{count}"), count, "R")?;
    let calls = effort.calls(count);
    let ours = repeated(ca.home(), calls, |_| catool(&ca, "issue_crl"))?;
    let theirs = repeated(root, calls, |_| {
        openssl_words(&openssl, "-gencrl -out ca.crl -config ca.cnf")
    })?;
    let target_ms = match count {
        ..=1_000 => 4.0,
        1_001..=100_000 => 40.0,
        _ => 350.0,
    };
    Ok(vec![Row {
        what: format!("CRL of {count} entries"),
        measure: Measure::Processor,
        ours,
        peers: vec![("openssl ca", theirs)],
        target_ms: Some(target_ms),
        target_mib: Some(120.0),
    }])
}

/// ms until the first hundred lines of a long list are there.
fn first_rows(root: &Path, effort: &Effort) -> anyhow::Result<Vec<(usize, f64)>> {
    let mut times = Vec::new();
    for &count in effort.registers {
        let ca = Catool::new(&root.join(format!("grown-{count}")));
        let begin = Instant::now();
        let program = ca.program(["list_cert"])?;
        let mut child = program.spawn(Stdio::null(), Stdio::piped(), Stdio::null())?;
        let output = child.stdout.take().context("its output")?;
        let _process = Process::new("orca-catool", child);
        let lines = BufReader::new(output).lines().take(100).count();
        anyhow::ensure!(lines == 100, "{lines} lines");
        times.push((count, begin.elapsed().as_secs_f64() * 1000.0));
    }
    Ok(times)
}

fn authority(root: &Path, name: &str) -> anyhow::Result<Catool> {
    let home = root.join(name);
    std::fs::create_dir_all(&home)?;
    let ca = Catool::new(&home);
    ca.done("init --yes")?;
    ca.done("issue_client_cert -c first")?;
    Ok(ca)
}

fn openssl_authority(
    root: &Path,
    name: &str,
    count: usize,
    status: &str,
) -> anyhow::Result<PathBuf> {
    let folder = root.join(name);
    Program::new("bash")
        .arg(peer("openssl-ca.bash"))
        .arg(&folder)
        .args([&count.to_string(), status])
        .run()?
        .success()?;
    Ok(folder)
}

fn easy_rsa(folder: &Path) -> anyhow::Result<()> {
    let run = |words: &[&str]| {
        Program::new(EASY_RSA)
            .args(words)
            .env("EASYRSA_PKI", folder.join("pki"))
            .env("EASYRSA_BATCH", "1")
            .env("EASYRSA_ALGO", "ec")
            .env("EASYRSA_CURVE", "prime256v1")
            .dir(folder)
            .run()?
            .success()
    };
    run(&["init-pki"])?;
    run(&["build-ca", "nopass"])?;
    Ok(())
}

fn peer(script: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    folder.join(script).display().to_string()
}

fn issue(ca: &Catool, name: &str, keys: &str) -> Vec<String> {
    catool(ca, &format!("issue_client_cert -c {name} --key {keys}"))
}

fn catool(ca: &Catool, line: &str) -> Vec<String> {
    let program = ours("orca-catool").unwrap_or_default();
    let home = format!("HOME={}", ca.home().display());
    let front = ["env".to_owned(), home, program.display().to_string()];
    let words = line.split(' ').map(str::to_owned);
    front.into_iter().chain(words).collect()
}

fn openssl_words(folder: &Path, words: &str) -> Vec<String> {
    let line = format!("cd {} && openssl ca 2>/dev/null {words}", folder.display());
    vec!["bash".to_owned(), "-c".to_owned(), line]
}

fn repeated(
    home: &Path,
    calls: usize,
    words: impl Fn(usize) -> Vec<String>,
) -> anyhow::Result<Costs> {
    let costs = (0..calls).map(|n| once::cost(home, &words(n)));
    Ok(Costs(costs.collect::<anyhow::Result<_>>()?))
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(
        "The CA tool: processor time of one call (ms), peak memory",
        &["", "orca-catool (min–max)", "MiB", "others", "target", ""],
    );
    for row in rows {
        let is_search = row.what.contains("rsa");
        let figure = |costs: &Costs| match (is_search, costs.spread(row.measure)) {
            (true, _) => costs.mean(row.measure),
            (false, spread) => spread.map_or(0.0, |spread| spread.median),
        };
        let ours = figure(&row.ours);
        let spread = row.ours.spread(row.measure);
        let range = spread.map_or_else(String::new, |spread| {
            format!(" ({}–{})", decimals(spread.min), decimals(spread.max))
        });
        let mut others = String::new();
        for (name, costs) in &row.peers {
            let (ms, mib) = (decimals(figure(costs)), costs.peak());
            // Writing to a String does not fail.
            let _ = write!(others, "{name} {ms} ({mib:.0} MiB) ");
        }
        let mut target = String::new();
        if let Some(ms) = row.target_ms {
            let _ = write!(target, "≤ {ms:.0} ms");
        }
        if let Some(mib) = row.target_mib {
            let _ = write!(target, ", ≤ {mib:.0} MiB");
        }
        let met = row.target_ms.is_none_or(|ms| ours <= ms)
            && row.target_mib.is_none_or(|mib| row.ours.peak() <= mib);
        let verdict = match target.is_empty() {
            true => Verdict::NoTarget,
            false => Verdict::of(met),
        };
        table.row([
            row.what.clone(),
            format!("{}{range}", decimals(ours)),
            format!("{:.0}", row.ours.peak()),
            others.trim_end().to_owned(),
            target,
            verdict.to_string(),
        ]);
    }
    table
}
