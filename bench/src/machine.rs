//! Where and when it was measured.

use jiff::Timestamp;
use orca_e2e::program::Program;
use serde::Serialize;

use crate::servers::Server;

/// What a reader has to know of the machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    date: String,
    processor: String,
    processors: usize,
    kernel: String,
    distribution: String,
    load_before: String,
    load_after: Option<String>,
    versions: Vec<(String, String)>,
}

impl Machine {
    pub(crate) fn look(now: Timestamp, servers: &[Server]) -> anyhow::Result<Self> {
        let mut versions = Vec::new();
        for server in servers {
            versions.push((server.name().to_owned(), server.version()?));
        }
        versions.push(("openssl".to_owned(), first_line("openssl", "version")?));
        Ok(Self {
            date: now.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            processor: value_in("/proc/cpuinfo", "model name"),
            processors: processors(),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            distribution: value_in("/etc/os-release", "PRETTY_NAME"),
            load_before: load()?,
            load_after: None,
            versions,
        })
    }

    /// The load when everything was measured: other people's work shows here.
    pub(crate) fn look_again(&mut self) -> anyhow::Result<()> {
        self.load_after = Some(load()?);
        Ok(())
    }

    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let processor = format!("{}, {} of them", self.processor, self.processors);
        let after = self.load_after.clone().unwrap_or_default();
        let mut facts = vec![
            ("date".to_owned(), self.date.clone()),
            ("processors".to_owned(), processor),
            ("kernel".to_owned(), self.kernel.clone()),
            ("distribution".to_owned(), self.distribution.clone()),
            (
                "load average before and after".to_owned(),
                format!("{}; {after}", self.load_before),
            ),
        ];
        facts.extend(self.versions.iter().cloned());
        facts
    }
}

fn load() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// Of the machine: we ourselves are bound to one.
fn processors() -> usize {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with("processor"))
        .count()
}

fn first_line(program: &str, arg: &str) -> anyhow::Result<String> {
    let text = Program::new(program).arg(arg).run()?.text();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn value_in(file: &str, key: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let value = line
        .unwrap_or("unknown")
        .trim_start_matches([' ', '\t', ':', '=']);
    value.trim_matches('"').to_owned()
}
