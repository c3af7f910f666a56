//! Owners and modes of the files that the configuration names and of the folders above them: most
//! starts fail there.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::render::one_line;
use orca_messages::text;

use super::{Item, moment};

/// One line a file, as `ls -l` writes it.
pub(super) fn item(named: &[PathBuf], zone: &TimeZone) -> Item {
    let paths: BTreeSet<&Path> = named.iter().flat_map(|path| path.ancestors()).collect();
    let (users, groups) = (Names::read("/etc/passwd"), Names::read("/etc/group"));
    let lines = paths
        .iter()
        .filter(|path| !path.as_os_str().is_empty())
        .map(|path| line(path, &users, &groups, zone));
    let about = text!("ファイルの所有者と権限", "owners and modes of files");
    Item::new("files.txt", about, Ok(lines.collect()))
}

fn line(path: &Path, users: &Names, groups: &Names, zone: &TimeZone) -> String {
    let shown = one_line(&path.display().to_string());
    // A link is shown as what it leads to: that is what is opened.
    match std::fs::metadata(path) {
        Err(error) => format!("{shown}: {error}\n"),
        Ok(status) => format!(
            "{} {}:{} {:>10} {} {shown}\n",
            mode(&status),
            users.of(status.uid()),
            groups.of(status.gid()),
            status.len(),
            moment(
                Timestamp::from_second(status.mtime()).unwrap_or_default(),
                zone
            ),
        ),
    }
}

fn mode(status: &std::fs::Metadata) -> String {
    let kind = match status.is_dir() {
        true => 'd',
        false => '-',
    };
    let bits = status.mode();
    let letters = "rwxrwxrwx".chars().enumerate();
    let letters = letters.map(|(place, letter)| match bits >> (8 - place) & 1 {
        1 => letter,
        _ => '-',
    });
    std::iter::once(kind).chain(letters).collect()
}

/// Names of numbers, as the files of the system tell them.
struct Names(Vec<(u32, String)>);

impl Names {
    fn read(path: &str) -> Self {
        Self::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let named = text.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            Some((fields.nth(1)?.parse().ok()?, name))
        });
        Self(named.collect())
    }

    fn of(&self, number: u32) -> String {
        let named = self.0.iter().find(|(known, _)| *known == number);
        named.map_or_else(|| number.to_string(), |(_, name)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_the_names_of_the_system() {
        let names = Names::parse("root:x:0:0:root:/root:/bin/sh\n# x\norca:x:990:\n");
        assert_eq!(names.of(0), "root");
        assert_eq!(names.of(990), "orca");
        assert_eq!(names.of(7), "7");
    }

    #[test]
    fn the_folders_above_are_told_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conf/x.pem");
        let text = item(std::slice::from_ref(&path), &TimeZone::UTC)
            .content
            .unwrap();
        assert!(text.contains(&format!("{}: ", path.display())), "{text}");
        let line = text
            .lines()
            .find(|line| line.ends_with(folder.path().to_str().unwrap()));
        assert!(line.unwrap().starts_with("drwx"), "{text}");
    }
}
