//! A year on the CA machine: every subcommand by the letter of the contract.

use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use serde_json::Value;
use tempfile::TempDir;

fn authority() -> anyhow::Result<(TempDir, Catool)> {
    let dir = tempfile::tempdir()?;
    let ca = Catool::new(dir.path());
    ca.done("init --yes")?;
    Ok((dir, ca))
}

/// The tool refuses with this id, and with a remedy, in both languages.
fn refused(ca: &Catool, line: &str, code: i32, id: &str) -> anyhow::Result<()> {
    for (lang, error, remedy) in [("en", "error: ", "remedy: "), ("ja", "エラー: ", "対処: ")]
    {
        let outcome = ca.run(&format!("--lang {lang} {line}"))?;
        outcome.failure(code).context(line.to_owned())?;
        assert_eq!(outcome.text(), "", "{line}");
        let told = &outcome.stderr;
        assert!(told.starts_with(error), "{line}: {told}");
        assert!(told.contains(&format!("[{id}]")), "{line}: {told}");
        assert!(told.contains(remedy), "{line}: {told}");
    }
    Ok(())
}

fn row(ca: &Catool, number: &str) -> anyhow::Result<Value> {
    let rows = ca.list()?;
    let row = rows.into_iter().find(|row| row["number"] == number);
    row.with_context(|| format!("{number} is not listed"))
}

#[test]
fn a_name_in_use_needs_a_second_word() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.issue("issue_client_cert -c user1")?;
    refused(&ca, "issue_client_cert -c user1", 1, "name-in-use")?;
    let told = ca.run("issue_client_cert -c user1")?.stderr;
    for way_out in ["export_cert", "--again", "revoke"] {
        assert!(told.contains(way_out), "{told}");
    }
    let again = ca.issue("issue_client_cert -c user1 --again")?;
    assert_eq!(again.number(), "000003", "a refusal takes no serial");
    Ok(())
}

#[test]
fn a_second_server_certificate_is_issued_with_a_warning() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.issue("issue_server_cert -c weborca-server")?;
    let second = ca.run("issue_server_cert -c weborca-server")?;
    second.success()?;
    assert!(second.stderr.contains("000002"), "{}", second.stderr);
    Ok(())
}

#[test]
fn the_command_line_alone_shows_it_wrong() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    for line in [
        "issue_client_cert",
        "issue_client_cert -c",
        "issue_client_cert -c a/b",
        "issue_client_cert -c user1 --days 0",
        "issue_client_cert -c user1 --days -1",
        "issue_client_cert -c user1 --days many",
        "issue_client_cert -c user1 --key md5",
        "issue_server_cert",
        "issue_server_cert -i 300.1.1.1",
        "issue_server_cert -c bad_name!",
        "revoke_cert",
        "revoke_cert zero",
        "revoke_cert 0",
        "revoke_cert 2 --reason boredom",
        "list_cert --format xml",
        "no_such_subcommand",
    ] {
        let outcome = ca.run(line)?;
        assert_eq!(outcome.code, Some(2), "{line}: {outcome:?}");
        assert_eq!(outcome.text(), "", "{line}");
        assert!(!outcome.stderr.is_empty(), "{line}");
    }
    assert_eq!(ca.list()?.len(), 0, "no serial was taken");
    Ok(())
}

#[test]
fn an_export_gives_the_same_certificate_under_a_new_passphrase() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let first = ca.issue("issue_client_cert -c user1")?;
    let certificate = std::fs::read(first.crt())?;
    let passphrase = first.passphrase()?;
    for line in [
        "export_cert 2",
        "export_cert 000002",
        "export_cert 0x2",
        "export_cert -c user1",
    ] {
        let again = ca.issue(line)?;
        assert_eq!(again.zip(), first.zip(), "{line}: replaced");
        assert_eq!(std::fs::read(again.crt())?, certificate, "{line}");
        assert_ne!(again.passphrase()?, passphrase, "{line}");
    }
    let elsewhere = ca.home().join("usb");
    std::fs::create_dir(&elsewhere)?;
    let copy = ca.issue(&format!("export_cert 2 -o {}", elsewhere.display()))?;
    assert_eq!(copy.zip().parent(), Some(elsewhere.as_path()));
    Ok(())
}

#[test]
fn several_of_one_name_are_listed_instead_of_guessed() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.issue("issue_client_cert -c user1")?;
    ca.issue("issue_client_cert -c user1 --again")?;
    for line in ["export_cert -c user1", "revoke_cert -c user1"] {
        let told = ca.run(line)?.failure(1)?;
        assert!(told.contains("000002") && told.contains("000003"), "{told}");
    }
    assert_eq!(row(&ca, "000002")?["status"], "valid");
    ca.done("revoke_cert -c user1 --all")?;
    for number in ["000002", "000003"] {
        assert_eq!(row(&ca, number)?["status"], "revoked");
    }
    Ok(())
}

#[test]
fn revoking_is_all_or_nothing() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.issue("issue_client_cert -c user1")?;
    ca.issue("issue_client_cert -c user2")?;
    ca.run("revoke_cert 2 3 99")?.failure(1)?;
    assert_eq!(row(&ca, "000002")?["status"], "valid");
    let done = ca.run("revoke_cert 2 --reason superseded")?;
    done.success()?;
    assert!(
        done.stderr.contains("gateway"),
        "no gateway was told: {done:?}"
    );
    let revoked = row(&ca, "000002")?;
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(revoked["reason"], "superseded");
    refused(&ca, "revoke_cert 2", 1, "already-revoked")?;
    // The key was destroyed with the revocation.
    refused(&ca, "export_cert 2", 1, "revoked-no-export")
}

#[test]
fn a_committed_revocation_whose_crl_cannot_be_written_says_so() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let kit = ca.issue("issue_client_cert -c user1")?;
    publish_to(&ca, "/nowhere/ca.crl")?;
    refused_once(&ca.run("revoke_cert 2")?, "crl-not-published")?;
    assert_eq!(row(&ca, "000002")?["status"], "revoked");
    let place = ca.home().join("published.crl");
    publish_to(&ca, &place.display().to_string())?;
    let printed = ca.done("issue_crl")?;
    assert!(printed.contains("ca.crl"), "{printed}");
    let published = std::fs::read(&place)?;
    assert_eq!(published, std::fs::read(ca.crl())?);
    assert_eq!(
        std::fs::metadata(&place)?.permissions().mode() & 0o777,
        0o644
    );
    let verified = Program::new("openssl")
        .args(["verify", "-crl_check", "-CAfile"])
        .arg(kit.ca())
        .arg("-CRLfile")
        .arg(&place)
        .arg(kit.crt())
        .run()?;
    assert!(
        verified.stderr.contains("certificate revoked"),
        "{verified:?}"
    );
    Ok(())
}

fn refused_once(outcome: &Outcome, id: &str) -> anyhow::Result<()> {
    outcome.failure(1)?;
    let told = &outcome.stderr;
    assert!(told.contains(&format!("[{id}]")), "{told}");
    Ok(())
}

fn publish_to(ca: &Catool, target: &str) -> anyhow::Result<()> {
    let path = ca.folder().join("config.yml");
    let text = std::fs::read_to_string(&path)?;
    let lines = text
        .lines()
        .map(|line| match line.starts_with(":crl_publish:") {
            true => format!(":crl_publish: [\"{target}\"]\n"),
            false => format!("{line}\n"),
        });
    let text: String = lines.collect();
    std::fs::write(&path, text)?;
    Ok(())
}

#[test]
fn issue_crl_writes_where_it_is_told() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let to_stdout = ca.done("issue_crl -o -")?;
    assert!(
        to_stdout.starts_with("-----BEGIN X509 CRL-----"),
        "{to_stdout}"
    );
    let file = ca.home().join("mine.crl");
    let printed = ca.done(&format!("issue_crl -o {}", file.display()))?;
    assert_eq!(printed, format!("{}\n", file.display()));
    let before = std::fs::read(ca.crl())?;
    ca.done("issue_crl --if-older-than 7d")?;
    assert_eq!(std::fs::read(ca.crl())?, before, "it is young");
    ca.done("issue_crl")?;
    assert_ne!(std::fs::read(ca.crl())?, before);
    Ok(())
}

#[test]
fn the_list_tells_everything_by_its_names() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.issue("issue_server_cert -c weborca-server -i 192.168.1.100")?;
    let client = ca.program(["issue_client_cert", "-c", "user1"])?.args([
        "--holder",
        "山田 太郎",
        "--device",
        "受付2号機",
    ]);
    client.run()?.success()?;
    let rows = ca.list()?;
    assert_eq!(rows.len(), 2, "the CA itself is not listed");
    let server = &rows[0];
    assert_eq!(server["serial"], "2");
    assert_eq!(server["number"], "000002");
    assert_eq!(server["profile"], "server");
    assert_eq!(server["subject"], "/C=JP/O=orca/CN=weborca-server");
    assert_eq!(
        server["san"],
        serde_json::json!(["weborca-server", "192.168.1.100"])
    );
    let client = &rows[1];
    assert_eq!(client["common_name"], "user1");
    assert_eq!(client["holder"], "山田 太郎");
    assert_eq!(client["device"], "受付2号機");
    assert_eq!(client["status"], "valid");
    for key in ["revoked_at", "reason"] {
        assert!(client[key].is_null(), "{key}");
    }
    for key in ["not_before", "not_after"] {
        let text = client[key].as_str().unwrap_or_default();
        assert!(text.len() >= 20 && text.ends_with('Z'), "{key}: {text}");
    }
    let fingerprint = client["fingerprint_sha256"].as_str().unwrap_or_default();
    assert!(fingerprint.len() == 64, "{fingerprint}");
    Ok(())
}

#[test]
fn the_list_finds_what_one_looks_for() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.issue("issue_server_cert -c weborca-server -i 192.168.1.100")?;
    ca.program(["issue_client_cert", "-c", "user1"])?
        .args(["--holder", "山田 太郎"])
        .run()?
        .success()?;
    ca.issue("issue_client_cert -c user2 --days 5")?;
    ca.issue("issue_client_cert -c user3")?;
    ca.done("revoke_cert -c user3")?;
    for (line, expected) in [
        ("", &["000002", "000003", "000004", "000005"][..]),
        ("山田", &["000003"]),
        ("user", &["000003", "000004", "000005"]),
        ("192.168.1.100", &["000002"]),
        ("000004", &["000004"]),
        ("nobody", &[]),
        ("--status valid", &["000002", "000003", "000004"]),
        ("--status revoked", &["000005"]),
        ("--status expired", &[]),
        ("--profile server", &["000002"]),
        ("--profile client --status valid", &["000003", "000004"]),
        ("--expiring 30", &["000004"]),
    ] {
        let text = ca.done(&format!("list_cert --format json {line}"))?;
        let rows: Vec<Value> = serde_json::from_str(&text)?;
        let numbers: Vec<&str> = rows
            .iter()
            .filter_map(|row| row["number"].as_str())
            .collect();
        assert_eq!(numbers, expected, "{line}");
    }
    Ok(())
}

#[test]
fn tables_line_up_with_japanese_in_them() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    for (name, holder) in [
        ("user1", "山田 太郎"),
        ("user2", "Yamada"),
        ("user3", "髙橋"),
    ] {
        ca.program(["issue_client_cert", "-c", name])?
            .args(["--holder", holder])
            .run()?
            .success()?;
    }
    for lang in ["ja", "en"] {
        let table = ca.done(&format!("--lang {lang} list_cert"))?;
        assert_eq!(
            table.lines().filter(|line| line.contains("user")).count(),
            3
        );
        // What follows the holder begins in the same column of the screen.
        let columns: Vec<usize> = table
            .lines()
            .filter_map(|line| line.find("user").map(|at| width(&line[..at])))
            .collect();
        assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    }
    let csv = ca.done("list_cert --format csv")?;
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.contains("山田 太郎"), "{csv}");
    Ok(())
}

/// Columns on a screen: what is not ASCII takes two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

#[test]
fn a_closed_pipe_is_no_failure() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    for number in 0..30 {
        ca.done(&format!("issue_client_cert -c user{number}"))?;
    }
    let program = ca.program(["list_cert"])?;
    let mut child = program.spawn(Stdio::null(), Stdio::piped(), Stdio::piped())?;
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("panicked"), "{told}");
    assert_eq!(told, "");
    Ok(())
}

#[test]
fn what_sudo_writes_belongs_to_the_user() -> anyhow::Result<()> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "giving files away takes root"
    );
    let (_dir, ca) = authority()?;
    let config = ca.folder().join("config.yml");
    let text = std::fs::read_to_string(&config)?;
    let usb = ca.home().join("usb");
    let certs_dir = format!(":certs_dir: {}", usb.display());
    std::fs::write(&config, text.replace(":certs_dir:", &certs_dir))?;
    Program::new("chown")
        .args(["-R", "nobody"])
        .arg(ca.home())
        .run()?
        .success()?;
    for line in ["issue_client_cert -c user1", "revoke_cert 2", "issue_crl"] {
        ca.program(["--config"])?
            .arg(&config)
            .args(line.split_whitespace())
            .env("SUDO_USER", "nobody")
            .run()?
            .success()?;
    }
    let nobody = Program::new("id").args(["-u", "nobody"]).run()?.success()?;
    let nobody: u32 = nobody.trim().parse()?;
    assert!(usb.join("000002__JP_orca_user1.zip").is_file());
    for place in [ca.folder(), usb] {
        for entry in std::fs::read_dir(place)? {
            let entry = entry?;
            assert_eq!(entry.metadata()?.uid(), nobody, "{:?}", entry.path());
        }
    }
    Ok(())
}

#[test]
fn a_configuration_of_the_wrong_type_is_refused_with_its_line() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let path = ca.folder().join("config.yml");
    let good = std::fs::read_to_string(&path)?;
    let bad = good.replace(":client_cert_validity: 3650", ":client_cert_validity: long");
    let line = bad.lines().position(|line| line.ends_with(": long"));
    let line = line.context("the line")? + 1;
    std::fs::write(&path, bad)?;
    let told = ca.run("issue_client_cert -c user1")?.failure(1)?;
    assert!(told.contains(&line.to_string()), "line {line}: {told}");
    let commented = good.replace(
        ":client_cert_validity: 3650",
        "client_cert_validity: 10 # short",
    ) + "# ours\n:unknown: 1\n";
    std::fs::write(&path, &commented)?;
    ca.done("issue_client_cert -c user1")?;
    assert_eq!(
        std::fs::read_to_string(&path)?,
        commented,
        "comments survive"
    );
    let postgres = good.replace(":database:", ":database: postgres://db/orca #");
    std::fs::write(&path, postgres)?;
    refused(&ca, "list_cert", 1, "database-not-supported")
}

#[test]
fn nothing_outlives_its_authority() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Catool::new(dir.path());
    ca.done("init --yes --ca-days 100")?;
    let outcome = ca.run("issue_client_cert -c user1 --days 3650")?;
    outcome.success()?;
    assert!(!outcome.stderr.is_empty(), "the user is told");
    let row = row(&ca, "000002")?;
    let year = |text: &str| text.get(..4).and_then(|year| year.parse::<u32>().ok());
    let end = row["not_after"].as_str().and_then(year).context("a date")?;
    let begin = row["not_before"]
        .as_str()
        .and_then(year)
        .context("a date")?;
    assert!(end - begin <= 1, "{row}");
    Ok(())
}

#[test]
fn the_authority_can_be_bound_to_names_and_networks() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Catool::new(dir.path());
    ca.done("init --yes --only-names clinic.example --only-networks 192.168.1.0/24")?;
    ca.done("issue_server_cert -c orca.clinic.example -i 192.168.1.100")?;
    for line in [
        "issue_server_cert -c elsewhere.example",
        "issue_server_cert -i 10.0.0.1",
    ] {
        ca.run(line)?.failure(1)?;
    }
    Ok(())
}

#[test]
fn japanese_names_arrive_whole() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let kit = ca.issue("issue_client_cert -c 山田太郎")?;
    assert_eq!(kit.base(), "000002__JP_orca_山田太郎");
    assert!(kit.crt().is_file(), "unzip keeps the names");
    assert_eq!(row(&ca, "000002")?["subject"], "/C=JP/O=orca/CN=山田太郎");
    Ok(())
}

#[test]
fn every_name_in_a_zip_is_flagged_utf_8() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    // The third column is the general purpose flags, of which 0x800 is the one.
    let script = "import sys, zipfile
zip = zipfile.ZipFile(sys.argv[1])
assert zip.testzip() is None
for entry in zip.infolist():
    print(entry.filename, bool(entry.flag_bits & 0x800))";
    for name in ["user1", "山田太郎"] {
        let kit = ca.issue(&format!("issue_client_cert -c {name}"))?;
        Program::new("unzip")
            .args(["-t", "-qq"])
            .arg(kit.zip())
            .run()?
            .success()?;
        let python = Program::new("/usr/bin/python3").args(["-B", "-c", script]);
        let listed = python.arg(kit.zip()).run()?.success()?;
        assert_eq!(listed.matches(" True\n").count(), 7, "{listed}");
        assert_eq!(listed.lines().count(), 7, "the folder and six files");
        assert!(
            listed.contains(&format!("{0}/{0}.p12", kit.base())),
            "{listed}"
        );
    }
    Ok(())
}

#[test]
fn a_server_is_called_as_it_was_typed() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    let kit = ca.issue("issue_server_cert -c WebORCA-Server")?;
    assert_eq!(kit.base(), "000002__JP_orca_WebORCA-Server");
    let row = row(&ca, "000002")?;
    assert_eq!(row["common_name"], "WebORCA-Server");
    assert_eq!(row["san"], serde_json::json!(["weborca-server"]));
    let again = ca.run("issue_server_cert -c weborca-server")?;
    again.success()?;
    assert!(
        again.stderr.contains("[older-server-certificate]"),
        "{again:?}"
    );
    Ok(())
}

#[test]
fn a_name_is_no_formula_in_a_spreadsheet() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.issue("issue_client_cert -c =1+1 --holder @SUM(A1)")?;
    let csv = ca.done("list_cert --format csv")?;
    assert!(csv.contains(",'=1+1,"), "{csv}");
    assert!(csv.contains(",'@SUM(A1),"), "{csv}");
    assert_eq!(
        row(&ca, "000002")?["common_name"],
        "=1+1",
        "JSON is as it is"
    );
    Ok(())
}

#[test]
fn an_expired_certificate_is_exported_with_a_warning() -> anyhow::Result<()> {
    let (_dir, ca) = authority()?;
    ca.issue("issue_client_cert -c user1 --days 1")?;
    let export = ca.program(["export_cert", "2"])?;
    assert!(!export.run()?.stderr.contains("[exported-expired]"));
    let later = export.at("+3d").run()?;
    later.success()?;
    assert!(later.stderr.contains("[exported-expired]"), "{later:?}");
    Ok(())
}
