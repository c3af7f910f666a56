//! What a connection costs that nobody uses.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::client::Client;
use crate::client::Groups;
use crate::client::Offer;
use crate::client::Protocol;
use crate::client::Version;
use crate::clinic::Clinic;
use crate::load::Work;
use crate::load::http1::Connection;
use crate::load::http1::Exchange;
use crate::load::limited;
use crate::origin::Origin;
use crate::plan::Circumstances;
use crate::progress::Progress;
use crate::report::Section;
use crate::report::Table;
use crate::report::Verdict;
use crate::servers;
use crate::servers::Running;
use crate::servers::Server;
use crate::servers::Setup;
use crate::usage;

/// How long a server may take to notice that a connection rests.
const REST: Duration = Duration::from_secs(3);
/// KiB aimed at.
const TARGET: f64 = 10.0;

/// Holds connections on every server.
pub(crate) async fn run(
    with: &Circumstances<'_>,
    clinic: &Clinic,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Section> {
    let origin = Origin::start()?;
    let title = format!(
        "Memory of one idle connection (KiB, {} held after one request each)",
        with.effort.held
    );
    let mut table = Table::new(&title, &["", "TLS 1.3", "TLS 1.2", "lost", "target", ""]);
    let mut raw = Vec::new();
    for &server in with.servers {
        let mut sizes = Vec::new();
        let mut lost = 0;
        for version in [Version::Tls13, Version::Tls12] {
            // A fresh one each time: freed memory of another test is no measure.
            let name = format!("held-{server}-{version:?}");
            let setup = Setup::new(with, &name, clinic, origin.address)?;
            let running = servers::start(server, &setup)?;
            let (size, gone) = hold(&running, clinic, version, with.effort.held).await?;
            sizes.push(size);
            lost += gone;
        }
        progress.line(&format!("{:<16} {server} {sizes:.1?} KiB", "held"))?;
        let (target, verdict) = match server {
            Server::Orca => {
                let met = Verdict::of(sizes.iter().all(|size| *size <= TARGET));
                (format!("≤ {TARGET:.0}"), met.to_string())
            }
            _ => Default::default(),
        };
        table.row([
            server.to_string(),
            format!("{:.1}", sizes[0]),
            format!("{:.1}", sizes[1]),
            lost.to_string(),
            target,
            verdict,
        ]);
        raw.push(json!({"server": server.name(), "kib_tls13": sizes[0], "kib_tls12": sizes[1], "lost": lost}));
    }
    Ok(Section {
        name: "held",
        table,
        raw: raw.into(),
    })
}

/// KiB a connection, and how many of them were closed on us.
async fn hold(
    running: &Running,
    clinic: &Clinic,
    version: Version,
    count: usize,
) -> anyhow::Result<(f64, usize)> {
    let offer = Offer {
        version,
        groups: Groups::Classic,
        protocol: Protocol::Http1,
    };
    let client = Client::new(&clinic.client, offer)?;
    let exchange = Exchange::new(Work::Get(1024), Connection::KeepAlive);
    let pid = running.process.id();
    let mut buffer = Vec::new();
    // What is set up once for all is no part of a connection.
    let mut warm = client.connect(running.address).await?;
    exchange.run(&mut warm, &mut buffer).await?;
    sleep(REST).await;
    let before = usage::memory(pid)?;
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = client.connect(running.address).await?;
        exchange.run(&mut stream, &mut buffer).await?;
        held.push(stream);
    }
    sleep(REST).await;
    let after = usage::memory(pid)?;
    let mut lost = 0;
    for stream in &mut held {
        lost += usize::from(limited(exchange.run(stream, &mut buffer)).await.is_err());
    }
    let size = after.saturating_sub(before) as f64 / count as f64;
    Ok((size, lost))
}
