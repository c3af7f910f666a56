//! `docs/clients.md` says what these tests expect, line by line.

use std::path::Path;

use anyhow::Context;
use orca_e2e::tls::Version;

use crate::visitors::Who;

/// The lines of this client, and what it says when an alert refuses, are in the document.
pub(crate) fn shows<'a>(
    name: &str,
    says: impl Fn(Who, Version) -> Vec<&'a str>,
) -> anyhow::Result<()> {
    let refused = |version| {
        let cells = Who::REFUSED.map(|who| quoted(&says(who, version)));
        cells.join(" | ")
    };
    let [old, new] = Version::ALL.map(refused);
    if old == new {
        return contains(&format!("| {name} | 1.2, 1.3 | {old} |"));
    }
    contains(&format!("| {name} | 1.2 | {old} |"))?;
    contains(&format!("| {name} | 1.3 | {new} |"))
}

/// The line of this client, and the pages it gets, is in the document.
pub(crate) fn shows_pages(name: &str, numbers: &[&str]) -> anyhow::Result<()> {
    contains(&format!("| {name} | {} |", numbers.join(" | ")))
}

/// `a` or `b`.
fn quoted(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
    texts.join(" or ")
}

/// This very line is in the document.
fn contains(line: &str) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let found = text.lines().any(|candidate| candidate == line);
    assert!(found, "docs/clients.md lacks this line:\n{line}");
    Ok(())
}
