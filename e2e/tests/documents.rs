//! What the documents say of the tests stays true.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::ensure;

/// Sentences and lines of the guide.
const OF_THE_GUIDE: u32 = 186;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn tests_that_documents_name_exist() -> anyhow::Result<()> {
    for (document, least) in [("compatibility.md", 60), ("pkits.md", 1)] {
        let text = std::fs::read_to_string(root().join("docs").join(document))?;
        let named: Vec<_> = text.split('`').skip(1).step_by(2).collect();
        let named: Vec<_> = named
            .iter()
            .filter_map(|name| name.split_once("::"))
            .collect();
        ensure!(named.len() >= least, "{document} names {}", named.len());
        for (file, test) in named {
            let source = source(file).with_context(|| format!("{document}: {file}"))?;
            let exists = source.contains(&format!("fn {test}("));
            ensure!(exists, "{document} names {file}::{test}");
        }
    }
    Ok(())
}

/// The file that a document means, see the top of `docs/compatibility.md`.
fn source(name: &str) -> anyhow::Result<String> {
    let file = Path::new(name).with_extension("rs");
    let (first, rest) = name.split_once('/').unwrap_or(("", name));
    let inside = root()
        .join("crates")
        .join(first)
        .join("src")
        .join(rest)
        .with_extension("rs");
    let tests = root().join("e2e/tests");
    [
        tests.join("scenario").join(&file),
        tests.join(&file),
        root().join("crates/orca-gateway/tests").join(&file),
        inside,
    ]
    .iter()
    .find_map(|path| std::fs::read_to_string(path).ok())
    .context("no such file")
}

#[test]
fn every_sentence_of_the_guide_has_one_row() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join("docs/compatibility.md"))?;
    let mut next = 1;
    for line in text.lines() {
        let Some((numbers, rest)) = line
            .strip_prefix("| ")
            .and_then(|row| row.split_once(" | "))
        else {
            continue;
        };
        let (first, last) = numbers.split_once('–').unwrap_or((numbers, numbers));
        let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else {
            continue;
        };
        ensure!(first == next && last >= first, "after {}: {line}", next - 1);
        next = last + 1;
        let cells: Vec<&str> = rest.split('|').map(str::trim).collect();
        let [_, verdict, _, shown, ..] = cells[..] else {
            anyhow::bail!("no row: {line}");
        };
        match verdict {
            "–" => {}
            "kept" | "▲" => ensure!(
                shown.contains("::") || shown.starts_with("none"),
                "neither test nor reason: {line}"
            ),
            _ => anyhow::bail!("no verdict: {line}"),
        }
    }
    ensure!(next == OF_THE_GUIDE + 1, "{} sentences", next - 1);
    Ok(())
}
