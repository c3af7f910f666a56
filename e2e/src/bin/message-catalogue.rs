//! Writes the catalogue of messages and the table for the telephone:
//! `cargo run -p orca-e2e --bin message-catalogue`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = root.join("docs");
    fs::create_dir_all(docs.join("ja"))?;
    let messages = orca_e2e::catalogue::markdown(&root)?;
    let triage = orca_e2e::triage::markdown(&root)?;
    // Documents in a checkout: half a file would only be written anew.
    File::create(docs.join("messages.md"))?.write_all(messages.as_bytes())?;
    File::create(docs.join(orca_e2e::triage::PATH))?.write_all(triage.as_bytes())?;
    Ok(())
}
