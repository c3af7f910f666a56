//! A page: text, and in it commands with what they print.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

/// Where a command is typed, by the prompt in front of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Machine {
    First,
    /// `従% `
    Second,
}

/// A command and what it prints.
#[derive(Debug)]
pub(super) struct Step {
    /// From 1 on.
    pub(super) line: usize,
    pub(super) machine: Machine,
    pub(super) command: String,
    /// Whole lines.
    pub(super) output: String,
    /// As they stand in the page.
    typed: String,
}

impl Step {
    /// Whether repeating it changes nothing.
    pub(super) fn only_looks(&self) -> bool {
        let command = self.command.trim_start_matches("sudo ");
        let command = command.trim_start_matches("-u orca ");
        let looks = ["curl ", "cat ", "grep ", "tail ", "ls "];
        let programs = ["check", "last_seen", "observe_report", "verify_log"];
        let ours = command.strip_prefix("orca-gateway ");
        ours.is_some_and(|words| programs.iter().any(|look| words.starts_with(look)))
            || looks.iter().any(|look| command.starts_with(look))
    }

    /// What is typed into the program, from the last line of its question: `y or n> y`.
    pub(super) fn answer(&self) -> Option<&str> {
        let asked = self.output.lines().find(|line| line.contains("y or n> "))?;
        Some(asked.rsplit_once("> ")?.1)
    }
}

enum Part {
    Text(String),
    Step(Step),
}

/// The parts in their order.
pub(super) struct Page(Vec<Part>);

impl Page {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut parts = Vec::new();
        let mut inside = false;
        for (number, line) in text.lines().enumerate() {
            let begins = inside.then(|| prompt(line)).flatten();
            match (begins, parts.last_mut()) {
                (Some((machine, command)), _) => parts.push(Part::Step(Step {
                    line: number + 1,
                    machine,
                    command: command.to_owned(),
                    output: String::new(),
                    typed: format!("{line}\n"),
                })),
                (None, Some(Part::Step(step))) if inside && line != "```" => step.goes_on(line),
                _ => {
                    inside = line == "```console" || (inside && line != "```");
                    parts.push(Part::Text(format!("{line}\n")));
                }
            }
        }
        ensure!(!inside, "a block does not end");
        Ok(Self(parts))
    }

    pub(super) fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        self.0.iter_mut().filter_map(|part| match part {
            Part::Step(step) => Some(step),
            Part::Text(_) => None,
        })
    }

    /// The page with the outputs as they are now.
    pub(super) fn text(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Step(step) => format!("{}{}", step.typed, step.output),
        });
        parts.collect()
    }
}

impl Step {
    /// A second line of the command (`> `), or one of its output.
    fn goes_on(&mut self, line: &str) {
        match line.strip_prefix("> ") {
            Some(more) if self.output.is_empty() => {
                self.command.push('\n');
                self.command.push_str(more);
                self.typed.push_str(&format!("{line}\n"));
            }
            _ => self.output.push_str(&format!("{line}\n")),
        }
    }
}

fn prompt(line: &str) -> Option<(Machine, &str)> {
    match line.strip_prefix("従% ") {
        Some(command) => Some((Machine::Second, command)),
        None => Some((Machine::First, line.strip_prefix("% ")?)),
    }
}
