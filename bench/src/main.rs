//! The yardstick: what the gateway and the CA tool cost, beside others of their kind.

mod authority;
mod client;
mod clinic;
mod comparison;
mod held;
mod load;
mod long_list;
mod machine;
mod once;
mod origin;
mod overload;
mod plan;
mod progress;
mod reaction;
mod report;
mod scaling;
mod servers;
mod statistics;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use clinic::Clinic;
use clinic::Keys;
use machine::Machine;
use plan::Circumstances;
use plan::Effort;
use progress::Progress;
use report::Report;
use servers::Processors;
use servers::Server;

#[derive(Parser)]
#[command(about = "Measures orca-gateway and orca-catool beside others of their kind")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The application behind the servers
    Origin,
    /// Runs a program and tells what it cost
    Once {
        /// The program and its arguments
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// Measures and writes the results
    Measure(MeasureArguments),
}

#[derive(clap::Args)]
struct MeasureArguments {
    /// Fewer and shorter measurements: minutes instead of an hour
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only cases whose id begins so
    #[arg(long, default_value = "")]
    case: String,
    /// Processors of the server, as taskset takes them
    #[arg(long, default_value = "0")]
    server_cpu: String,
    /// Only ours, without nginx and haproxy
    #[arg(long)]
    alone: bool,
    /// Where results.md, results.json and results.svg go
    #[arg(long, default_value = "bench/results")]
    output: PathBuf,
}

/// A part of the whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Handshakes and requests on all servers
    Servers,
    /// Two workers
    Scaling,
    /// More clients than can be served
    Overload,
    /// Memory of idle connections
    Held,
    /// How soon a revoked client is out
    Revocation,
    /// Lists of many entries
    Lists,
    /// The CA tool
    Authority,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("orca-bench: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match command {
        Command::Once { words } => once::tell(&words),
        Command::Origin => runtime.block_on(origin::serve()),
        Command::Measure(arguments) => {
            tokio::task::LocalSet::new().block_on(&runtime, measure(arguments))
        }
    }
}

async fn measure(arguments: MeasureArguments) -> anyhow::Result<()> {
    let mut output = std::io::stderr();
    let mut progress = Progress::new(&mut output);
    let root = tempfile::tempdir()?;
    let effort = match arguments.quick {
        true => Effort::QUICK,
        false => Effort::FULL,
    };
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let processors = Processors(arguments.server_cpu.clone());
    let servers: &[Server] = match arguments.alone {
        true => &[Server::Orca],
        false => &Server::ALL,
    };
    let mut report = Report {
        machine: Machine::look(jiff::Timestamp::now(), servers)?,
        effort: if arguments.quick { "quick" } else { "full" },
        comparison: Vec::new(),
        tables: Vec::new(),
        raw: serde_json::Map::new(),
    };
    let with = &Circumstances {
        root: root.path(),
        effort,
        processors,
        servers,
    };
    let clinic = Clinic::new(root.path(), Keys::P256).context("the authority")?;
    if wanted(Part::Servers) {
        let rsa = Clinic::new(root.path(), Keys::Rsa2048).context("the RSA authority")?;
        let clinics = [(Keys::P256, &clinic), (Keys::Rsa2048, &rsa)];
        let cases: Vec<_> = plan::cases()
            .into_iter()
            .filter(|case| case.id.starts_with(&arguments.case))
            .collect();
        let rows = comparison::run(with, &clinics, &cases, &mut progress).await?;
        let mut costs = comparison::cost_table(&rows);
        for failure in comparison::failures(&rows) {
            costs.note(format!("FAILED: {failure}"));
        }
        report.tables.push(costs);
        report.tables.push(comparison::latency_table(&rows));
        report.comparison = rows;
    }
    if wanted(Part::Scaling) {
        report.add(scaling::run(with, &clinic, &mut progress).await?);
    }
    if wanted(Part::Overload) {
        report.add(overload::run(with, &clinic, &mut progress).await?);
    }
    if wanted(Part::Held) {
        report.add(held::run(with, &clinic, &mut progress).await?);
    }
    if wanted(Part::Revocation) {
        report.add(reaction::run(with, &clinic, &mut progress).await?);
    }
    if wanted(Part::Lists) {
        report.add(long_list::run(with, &clinic, &mut progress).await?);
    }
    if wanted(Part::Authority) {
        report.add(authority::run(with, &mut progress)?);
    }
    report.machine.look_again()?;
    report.write(&arguments.output)?;
    progress.line(&format!("written: {}", arguments.output.display()))?;
    Ok(())
}
