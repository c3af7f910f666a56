//! The imitation of the WebORCA application as a program.
//!
//! `weborca-imitation [ADDRESS]` serves the application (`127.0.0.1:0` without an address) and, on
//! a second port, what reached it (`/counters`, `/requests`). Both addresses go to stdout, a line
//! each: `application ADDRESS`, `control ADDRESS`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let application = TcpListener::bind(&address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let control = TcpListener::bind("127.0.0.1:0").await?;
        announce(&application, &control)?;
        orca_e2e::imitation::serve(application, control).await?;
        Ok(())
    })
}

fn announce(application: &TcpListener, control: &TcpListener) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "application {}", application.local_addr()?)?;
    writeln!(out, "control {}", control.local_addr()?)?;
    out.flush()?;
    Ok(())
}
