//! What was measured, as Markdown, JSON and a picture.

mod picture;

use std::fmt;
use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::comparison::Row;
use crate::machine::Machine;

/// Whether an aim was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Met,
    NoTarget,
    NotMet,
}

impl Verdict {
    pub(crate) fn of(met: bool) -> Self {
        if met { Self::Met } else { Self::NotMet }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::NoTarget => "",
            Self::NotMet => "**not met**",
        })
    }
}

/// A table of words.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: &str, head: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            head: head.iter().map(|&cell| cell.to_owned()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// A sentence below it.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = "|---".repeat(self.head.len());
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("\n{note}\n"))
            .collect();
        format!(
            "## {}\n\n{}{rule}|\n{rows}{notes}",
            self.title,
            line(&self.head)
        )
    }
}

/// One part of the results.
pub(crate) struct Section {
    /// Key of the raw figures.
    pub(crate) name: &'static str,
    pub(crate) table: Table,
    pub(crate) raw: Value,
}

/// Everything a run gave.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) effort: &'static str,
    pub(crate) comparison: Vec<Row>,
    pub(crate) tables: Vec<Table>,
    /// Figures by section, as they were measured.
    pub(crate) raw: serde_json::Map<String, Value>,
}

impl Report {
    pub(crate) fn add(&mut self, section: Section) {
        self.tables.push(section.table);
        self.raw.insert(section.name.to_owned(), section.raw);
    }

    /// Writes `results.md`, `results.json` and `results.svg`.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let raw = serde_json::json!({
            "machine": self.machine,
            "effort": self.effort,
            "comparison": self.comparison,
            "sections": self.raw,
        });
        let files = [
            ("results.md", self.markdown()?),
            ("results.json", serde_json::to_string_pretty(&raw)? + "\n"),
            ("results.svg", picture::draw(&self.comparison)?),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn markdown(&self) -> anyhow::Result<String> {
        let mut text = String::from("# Results of `bench/run`\n\n");
        writeln!(
            text,
            "What the columns mean and how it is measured: `docs/performance.md`. Raw figures: \
             `results.json`.\n\n![How many times cheaper than the best peer](results.svg)\n"
        )?;
        for (what, value) in self.machine.facts() {
            writeln!(text, "- {what}: {value}")?;
        }
        writeln!(text, "- effort: {}", self.effort)?;
        for table in &self.tables {
            write!(text, "\n{}", table.markdown())?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new("T", &["", "a"]);
        table.row(["x".to_owned(), "1".to_owned()]);
        table.note("n");
        assert_eq!(
            table.markdown(),
            "## T\n\n|  | a |\n|---|---|\n| x | 1 |\n\nn\n"
        );
    }
}
