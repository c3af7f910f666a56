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
