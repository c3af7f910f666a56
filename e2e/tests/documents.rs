//! What the documents say of the tests stays true.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::fault_lab::faults;

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

/// What `orca-catool diagnose` and `orca-gateway diagnose` find by themselves.
const DIAGNOSES: [&str; 12] = [
    "orca-diagnosis/src",
    "orca-catool/src/command/diagnose.rs",
    "orca-catool/src/command/diagnose",
    "orca-gateway/src/diagnose.rs",
    "orca-gateway/src/diagnose",
    "orca-gateway/src/check.rs",
    "orca-gateway/src/check",
    "orca-gateway/src/config_error.rs",
    "orca-gateway/src/config/remarks.rs",
    "orca-gateway/src/credentials.rs",
    "orca-gateway/src/crl_store.rs",
    "orca-gateway/src/upstream/trouble.rs",
];

/// Runs of both programs whose findings are compared.
const RUNS: [&str; 4] = [
    "scenario/diagnose.rs",
    "scenario/diagnose/another_day.rs",
    "scenario/diagnose/surroundings.rs",
    "interop/foreign_p12.rs",
];

/// Those that need a firewall of their own, by what shows them.
const ELSEWHERE: [(&str, &str); 1] = [("upstream-shut", "packaging/attach-test")];

/// Each finding has a fault of the lab, or a run that names it.
#[test]
fn every_finding_of_diagnose_is_made_for_real() -> anyhow::Result<()> {
    let mut runs = String::new();
    for file in RUNS {
        let path = root().join("e2e/tests").join(file);
        runs.push_str(&std::fs::read_to_string(path)?);
    }
    for (id, file) in ELSEWHERE {
        let shown = std::fs::read_to_string(root().join(file))?;
        ensure!(shown.contains(id), "{file} does not show {id}");
    }
    let elsewhere = |id: &str| ELSEWHERE.iter().any(|(other, _)| *other == id);
    let mut lacking = Vec::new();
    for place in DIAGNOSES {
        let ids = orca_e2e::catalogue::ids(&root().join("crates").join(place))?;
        ensure!(!ids.is_empty(), "{place} finds nothing");
        let is_made = |id: &String| {
            runs.contains(&format!("\"{id}\"")) || faults().any(|fault| fault.finding == id)
        };
        lacking.extend(ids.into_iter().filter(|id| !is_made(id) && !elsewhere(id)));
    }
    ensure!(lacking.is_empty(), "no fault and no run for {lacking:#?}");
    Ok(())
}

/// Whoever is called has an exercise for each page.
#[test]
fn every_number_of_a_page_has_a_fault_of_the_lab() -> anyhow::Result<()> {
    let table = root().join("docs").join(orca_e2e::triage::PATH);
    let text = std::fs::read_to_string(table)?;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| E-"));
    let rows: Vec<_> = rows
        .map(|row| row.split_once(' ').map_or(row, |(number, _)| number))
        .collect();
    ensure!(rows.len() >= 13, "{rows:?}");
    for number in rows {
        let symptom = format!("E-{number}");
        let has_fault = faults().any(|fault| fault.symptom == symptom);
        ensure!(has_fault, "no fault shows {symptom}");
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

/// A reader of either language finds the same keys, and in Japanese the guide's chapters.
#[test]
fn the_japanese_readme_stands_in_for_the_guide() -> anyhow::Result<()> {
    let english = std::fs::read_to_string(root().join("README.md"))?;
    let japanese = std::fs::read_to_string(root().join("README.ja.md"))?;
    let keys = |text: &str| -> std::collections::BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = ["GATEWAY_", "SERVER_", "CA_C"];
        words
            .filter(|word| ours.iter().any(|start| word.starts_with(start)))
            .filter(|word| word.len() > "GATEWAY_".len() || !word.starts_with("GATEWAY_"))
            .map(str::to_owned)
            .collect()
    };
    let missing: Vec<_> = keys(&english)
        .difference(&keys(&japanese))
        .cloned()
        .collect();
    ensure!(missing.is_empty(), "README.ja.md lacks {missing:?}");
    for chapter in [
        "## 概要",
        "### 構成",
        "### 作業手順",
        "## 認証局の作成と証明書の発行",
        "### 認証局サーバの用意",
        "### orca-catoolのインストール",
        "### orca-catoolの起動および認証局作成",
        "### サーバ証明書の発行",
        "### クライアント証明書の発行",
        "### 認証局ツールのその他の操作",
        "## サーバの設定",
        "### 証明書の設置",
        "### WebORCA-ServerのSSLクライアント認証有効化",
        "### 起動と再起動",
        "## クライアントの設定",
        "### GoogleChrome: クライアント証明書の設置",
        "### GoogleChrome: クライアント証明書のインポート",
        "### クライアント証明書のファイル参照(push-exchanger、API)",
        "## トラブルシューティング",
        "### サーバ側(ログ)",
        "### クライアント側(画面に表示される番号)",
    ] {
        ensure!(
            japanese.lines().any(|line| line == chapter),
            "README.ja.md lacks {chapter}"
        );
    }
    Ok(())
}
