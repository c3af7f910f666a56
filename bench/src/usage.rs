//! What a server costs, as the kernel counts it (proc(5)).

use std::path::Path;

use anyhow::Context;

/// Processor time in µs, user and system, of a process and everything it started.
pub(crate) fn processor_time(pid: u32) -> anyhow::Result<u64> {
    // USER_HZ is 100 on every Linux that has /proc (proc(5)).
    const TICK: u64 = 10_000;
    let mut ticks = 0;
    for pid in tree(pid)? {
        // A process that ends while we count is counted by its parent when it is waited for.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let fields = after_name(&stat).context("a strange /proc/PID/stat")?;
        // utime stime cutime cstime are fields 14 to 17; the first here is field 3.
        for field in fields.split(' ').skip(11).take(4) {
            ticks += field.parse::<u64>()?;
        }
    }
    Ok(ticks * TICK)
}

/// KiB of memory, pages shared with others divided among them (`Pss`).
pub(crate) fn memory(pid: u32) -> anyhow::Result<u64> {
    tree(pid)?
        .into_iter()
        .map(|pid| kib(Path::new(&format!("/proc/{pid}/smaps_rollup")), "Pss:"))
        .sum()
}

/// The most KiB a process ever held (`VmHWM`), the largest of its tree.
pub(crate) fn peak(pid: u32) -> anyhow::Result<u64> {
    let mut peak = 0;
    for pid in tree(pid)? {
        peak = peak.max(kib(Path::new(&format!("/proc/{pid}/status")), "VmHWM:")?);
    }
    Ok(peak)
}

/// Forgets the highest `VmHWM` so far (`/proc/PID/clear_refs`, 5).
pub(crate) fn forget_peak(pid: u32) -> anyhow::Result<()> {
    for pid in tree(pid)? {
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    }
    Ok(())
}

/// A process and its descendants.
fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let parent = after_name(&stat).and_then(|fields| fields.split(' ').nth(1)?.parse().ok());
        parents.push((pid, parent.unwrap_or(0)));
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    Ok(found)
}

/// What follows the name in parentheses, which may hold anything.
fn after_name(stat: &str) -> Option<&str> {
    Some(stat.rsplit_once(") ")?.1)
}

fn kib(file: &Path, label: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .with_context(|| format!("no {label} in {}", file.display()))?
        .parse()
        .context("no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory() {
        let me = std::process::id();
        let begin = std::time::Instant::now();
        let mut sum = 0_u64;
        while processor_time(me).unwrap() == 0 && begin.elapsed().as_secs() < 10 {
            sum = sum.wrapping_add(1);
        }
        assert!(processor_time(me).unwrap() > 0);
        assert!(memory(me).unwrap() > 100);
        assert!(peak(me).unwrap() >= 100);
    }

    #[test]
    fn a_name_may_hold_parentheses() {
        assert_eq!(after_name("7 (a) b) S 1 7"), Some("S 1 7"));
    }
}
