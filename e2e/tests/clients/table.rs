//! `docs/clients.md` says what these tests expect, line by line.

use std::path::Path;

use anyhow::Context;
use orca_e2e::tls::Version;

use crate::trial::Client;
use crate::visitors::Who;

/// The lines of this client are in the document.
pub(crate) fn shows(client: &Client) -> anyhow::Result<()> {
    let refused = |version| {
        let cells = Who::REFUSED.map(|who| quoted((client.says)(who, version)));
        cells.join(" | ")
    };
    let [old, new] = Version::ALL.map(refused);
    if old == new {
        return contains(&format!("| {} | 1.2, 1.3 | {old} |", client.name));
    }
    contains(&format!("| {} | 1.2 | {old} |", client.name))?;
    contains(&format!("| {} | 1.3 | {new} |", client.name))
}

/// `a` or `b`.
fn quoted(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
    texts.join(" or ")
}

/// This very line is in the document.
pub(crate) fn contains(line: &str) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let found = text.lines().any(|candidate| candidate == line);
    assert!(found, "docs/clients.md lacks this line:\n{line}");
    Ok(())
}
