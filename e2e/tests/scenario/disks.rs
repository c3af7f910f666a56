//! Disks of the CA machine that are full or can only be read: nothing is lost, the cause is told, and
//! what needs no room goes on.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::catool::Catool;
use orca_e2e::program::Program;
use tempfile::TempDir;

use super::bad_input::Clinic;
use super::bad_input::told;

/// A tmpfs, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(size: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let size = format!("size={size}");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .status()?;
        ensure!(status.success(), "mounting a tmpfs takes root");
        Ok(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is still mounted makes removing the folder fail, which is harmless.
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    let disk = SmallDisk::new("16k")?;
    let target = disk.0.path().display().to_string();
    let filler = disk.0.path().join("filler");
    fs::write(&filler, vec![0u8; 12 << 10])?;
    let line = format!("issue_client_cert -c user2 -o {target}");
    let first = clinic.ca.run(&line)?;
    // Either the draft could not be made, or the zip could not be finished: both are told.
    let text = first.failure(1)?;
    ensure!(
        text.contains("ディスク") || text.contains("disk is full"),
        "{text}"
    );
    let left: Vec<_> = fs::read_dir(disk.0.path())?.collect();
    assert_eq!(left.len(), 1, "nothing half-written stays: {left:?}");
    fs::remove_file(&filler)?;
    if text.contains("[delivery-failed]") {
        ensure!(text.contains("orca-catool export_cert 000004"), "{text}");
        clinic.ca.done(&format!("export_cert 4 -o {target}"))?;
    } else {
        clinic.ca.done(&line)?;
    }
    Ok(())
}

#[test]
fn a_full_disk_under_the_ca_itself_leaves_no_ca() -> anyhow::Result<()> {
    let disk = SmallDisk::new("48k")?;
    let clinic = Catool::new(disk.0.path());
    let outcome = clinic.run("init")?;
    told(&outcome, "error: ", "\nremedy: ", "disk-full", 1)
        .with_context(|| format!("{outcome:?}"))?;
    assert_eq!(fs::read_dir(disk.0.path())?.count(), 0);
    Ok(())
}

/// A CA whose CRL has lived more than half its life, on a disk of its own.
fn with_an_old_list(size: &str) -> anyhow::Result<(SmallDisk, Catool)> {
    let disk = SmallDisk::new(size)?;
    let ca = Catool::new(disk.0.path());
    ca.program(["init"])?.at("-200d").run()?.success()?;
    ca.issue_at("-200d", "issue_client_cert -c user1")?;
    Ok((disk, ca))
}

/// Reading goes on and tells in both languages that the CRL was not renewed; writing fails.
fn renewal_fails(
    ca: &Catool,
    call: impl Fn(Program) -> Program,
    id: &str,
    causes: [&str; 2],
) -> anyhow::Result<()> {
    let cases = [
        ("ja", "[警告] CRL", "対処: "),
        ("en", "warning: half", "remedy: "),
    ];
    for ((lang, label, remedy), cause) in cases.into_iter().zip(causes) {
        let run = |line: &str| {
            let words = line.split_whitespace().chain(["--lang", lang]);
            call(ca.program(words)?).run()
        };
        let list = run("list_cert --format csv")?;
        ensure!(list.success()?.contains("user1"), "{list:?}");
        let told = &list.stderr;
        ensure!(
            told.starts_with(label) && told.contains("[crl-not-renewed]"),
            "{told}"
        );
        ensure!(told.contains(remedy) && told.contains(cause), "{told}");
        for line in ["issue_client_cert -c user2", "revoke_cert 2", "issue_crl"] {
            let outcome = run(line)?;
            outcome.failure(1)?;
            ensure!(outcome.stdout.is_empty(), "{line}: {outcome:?}");
            let told = &outcome.stderr;
            ensure!(told.contains(&format!("[{id}]")), "{line}: {told}");
            ensure!(told.matches(label).count() == 1, "{line}: {told}");
        }
    }
    Ok(())
}

#[test]
fn a_list_that_finds_no_room_to_be_renewed_stops_nothing_else() -> anyhow::Result<()> {
    let (disk, ca) = with_an_old_list("400k")?;
    let filler = disk.0.path().join("filler");
    fill(&filler)?;
    // The register needs an index of 32 KiB to be read at all.
    for line in ["list_cert", "revoke_cert 2"] {
        let outcome = ca.run(line)?;
        told(&outcome, "error: ", "\nremedy: ", "disk-full", 1)
            .with_context(|| format!("{outcome:?}"))?;
    }
    let room = fs::metadata(&filler)?.len() - (36 << 10);
    fs::File::options()
        .write(true)
        .open(&filler)?
        .set_len(room)?;
    renewal_fails(
        &ca,
        |program| program,
        "disk-full",
        ["空き容量", "disk is full"],
    )?;
    fs::remove_file(&filler)?;
    let mended = ca.run("list_cert")?;
    ensure!(mended.stderr.contains("[crl-renewed]"), "{mended:?}");
    ca.done("revoke_cert 2")?;
    Ok(())
}

/// Writes until there is no room.
fn fill(filler: &Path) -> anyhow::Result<()> {
    let mut file = fs::File::create(filler)?;
    while file.write_all(&[0; 4096]).is_ok() {}
    Ok(())
}

#[test]
fn a_register_that_can_only_be_read_is_read() -> anyhow::Result<()> {
    let (disk, ca) = with_an_old_list("1m")?;
    let owner = ["-R", "nobody"];
    let chown = Program::new("chown").args(owner).arg(disk.0.path());
    chown.run()?.success()?;
    let register = ca.folder().join("register.sqlite3");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let causes = ["権限がありません", "no permission"];
    mode(&register, 0o400)?;
    renewal_fails(&ca, Program::as_nobody, "permission-denied", causes)?;
    mode(&ca.folder(), 0o500)?;
    renewal_fails(&ca, Program::as_nobody, "permission-denied", causes)?;
    mode(&ca.folder(), 0o700)?;
    mode(&register, 0o600)?;
    let mended = ca.program(["list_cert"])?.as_nobody().run()?;
    ensure!(mended.stderr.contains("[crl-renewed]"), "{mended:?}");
    Ok(())
}
