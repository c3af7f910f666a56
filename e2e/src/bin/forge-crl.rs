//! Revocation lists for measurements.
//!
//! `forge-crl CA_CRT CA_KEY NUMBER COUNT [SERIAL…]` writes to stdout a list (PEM) with that number,
//! COUNT entries whose serials begin at 1,000,000, and the SERIALs (decimal). It is signed with the
//! key of the authority (`~/.orca_catool/ca.key`), which does not learn of it: the next list of
//! `orca-catool` needs a higher number (`forge-crl` again, or an authority made for measuring).

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context;
use orca_e2e::lists::ListForge;

const USAGE: &str = "forge-crl CA_CRT CA_KEY NUMBER COUNT [SERIAL…]";
/// Three octets each up to sixteen million, as in a clinic that counts from 1.
const FIRST: u64 = 1_000_000;

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
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [crt, key, number, count, serials @ ..] = &words[..] else {
        anyhow::bail!("usage: {USAGE}");
    };
    let forge = ListForge::new(Path::new(crt), Path::new(key))?;
    let number = number.parse().context("NUMBER")?;
    let count: u64 = count.parse().context("COUNT")?;
    let mut entries: Vec<u64> = (FIRST..FIRST + count).collect();
    for serial in serials {
        entries.push(serial.parse().context("SERIAL")?);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let list = forge.list(number, entries, now)?;
    std::io::stdout().lock().write_all(list.as_bytes())?;
    Ok(())
}
