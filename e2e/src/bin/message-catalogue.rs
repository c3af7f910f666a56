//! Writes the catalogue of messages: `cargo run -p orca-e2e --bin message-catalogue`.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = orca_e2e::catalogue::markdown(&root)?;
    // A document in a checkout: half a file would only be written anew.
    std::io::Write::write_all(
        &mut std::fs::File::create(root.join("docs/messages.md"))?,
        text.as_bytes(),
    )?;
    Ok(())
}
