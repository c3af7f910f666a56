//! The first hour on the CA machine, as the guide tells it. Prompts, file names and the list of
//! subcommands are interface: they are compared byte for byte.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use orca_e2e::catool::Catool;
use orca_e2e::kit::Kit;
use orca_e2e::program::Outcome;
use tempfile::TempDir;

/// What a call without subcommand prints first; newer subcommands follow under their own heading.
const SUBCOMMANDS: &str = concat!(
    "  specify subcommand\n",
    "\n",
    "  issue_server_cert\n",
    "  issue_client_cert\n",
    "  export_cert\n",
    "  revoke_cert\n",
    "  issue_crl\n",
    "  list_cert\n",
    "\n",
);

/// A user who has never called the tool.
struct Newcomer {
    _dir: TempDir,
    ca: Catool,
}

impl Newcomer {
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Catool::new(dir.path());
        Ok(Self { _dir: dir, ca })
    }

    /// One whose authority stands already.
    fn with_authority() -> anyhow::Result<Self> {
        let newcomer = Self::new()?;
        newcomer.call("", "y\n")?.success()?;
        Ok(newcomer)
    }

    fn call(&self, line: &str, answer: &str) -> anyhow::Result<Outcome> {
        self.ca
            .program(line.split_whitespace())?
            .stdin(answer)
            .run()
    }

    /// What the guide shows, with the real path, and the line feed after an answer that came
    /// through a pipe.
    fn dialogue(&self, questions: usize) -> String {
        let path = self.ca.folder().join("config.yml");
        let question = "initialize ca?\ny or n> \n";
        let head = format!("config file({}) does not exist.\n\n", path.display());
        head + &question.repeat(questions)
    }

    fn left_nothing_behind(&self) -> anyhow::Result<bool> {
        Ok(std::fs::read_dir(self.ca.home())?.next().is_none())
    }
}

#[test]
fn the_guides_transcript() -> anyhow::Result<()> {
    let user = Newcomer::new()?;
    let first = user.call("", "y\n")?;
    assert_eq!(first.stderr, user.dialogue(1));
    assert_eq!(first.code, Some(0), "after an initialisation");
    let text = first.text();
    assert!(text.starts_with(SUBCOMMANDS), "{text}");

    let server = user.ca.issue("issue_server_cert -i 192.168.1.100")?;
    assert_eq!(server.base(), "000002__JP_orca_192.168.1.100");
    let client = user.ca.issue("issue_client_cert -c user1")?;
    assert_eq!(client.base(), "000003__JP_orca_user1");
    assert_eq!(
        client.zip(),
        user.ca.certs().join("000003__JP_orca_user1.zip")
    );
    assert_eq!(contents(server.zip())?, expected_contents(&server));
    assert_eq!(contents(client.zip())?, expected_contents(&client));
    Ok(())
}

#[test]
fn at_a_terminal_the_answer_brings_its_own_line_feed() -> anyhow::Result<()> {
    let user = Newcomer::new()?;
    let tool = orca_e2e::program::ours("orca-catool")?;
    let seen = orca_e2e::program::Program::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(tool)
        .arg("/dev/null")
        .env("HOME", user.ca.home())
        .stdin("y\n")
        .run()?
        .success()?;
    let seen = seen.replace("\r\n", "\n");
    let dialogue = user.dialogue(1);
    let question = dialogue.trim_end_matches('\n');
    assert!(seen.contains(question), "{seen}");
    assert!(!seen.contains("y or n> \n"), "{seen}");
    assert!(seen.contains(SUBCOMMANDS), "{seen}");
    Ok(())
}

#[test]
fn a_call_without_subcommand_later_is_a_mistake() -> anyhow::Result<()> {
    let user = Newcomer::with_authority()?;
    let outcome = user.call("", "")?;
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.text().starts_with(SUBCOMMANDS), "{outcome:?}");
    assert_eq!(outcome.stderr, "");
    Ok(())
}

#[test]
fn the_servers_name_in_every_form_of_the_guide() -> anyhow::Result<()> {
    for (arguments, base) in [
        ("-c weborca-server", "000002__JP_orca_weborca-server"),
        ("-i 192.168.1.100", "000002__JP_orca_192.168.1.100"),
        (
            "-i 192.168.1.100 -c weborca-server",
            "000002__JP_orca_weborca-server",
        ),
    ] {
        let user = Newcomer::with_authority()?;
        let server = user.ca.issue(&format!("issue_server_cert {arguments}"))?;
        assert_eq!(server.base(), base, "{arguments}");
    }
    Ok(())
}

#[test]
fn a_no_leaves_nothing_behind() -> anyhow::Result<()> {
    for answer in ["n\n", ""] {
        let user = Newcomer::new()?;
        let outcome = user.call("", answer)?;
        assert_eq!(outcome.code, Some(1), "{answer:?}: {outcome:?}");
        assert_eq!(outcome.text(), "", "{answer:?}");
        assert!(
            outcome.stderr.starts_with(&user.dialogue(1)),
            "{answer:?}: {outcome:?}"
        );
        assert!(user.left_nothing_behind()?, "{answer:?}");
    }
    Ok(())
}

#[test]
fn anything_else_asks_again() -> anyhow::Result<()> {
    let user = Newcomer::new()?;
    let outcome = user.call("", "yes\n\nY e s\ny\n")?;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr.matches("y or n> ").count(), 4, "{outcome:?}");
    assert!(outcome.stderr.starts_with(&user.dialogue(1)), "{outcome:?}");
    Ok(())
}

#[test]
fn a_yes_before_a_subcommand_runs_it_too() -> anyhow::Result<()> {
    let user = Newcomer::new()?;
    let outcome = user.call("issue_server_cert -i 192.168.1.100", "y\n")?;
    let zip = user.ca.certs().join("000002__JP_orca_192.168.1.100.zip");
    assert_eq!(outcome.success()?, format!("{}\n", zip.display()));
    assert!(outcome.stderr.starts_with(&user.dialogue(1)), "{outcome:?}");
    assert!(zip.is_file());
    Ok(())
}

#[test]
fn help_version_and_init_never_ask() -> anyhow::Result<()> {
    for line in ["--help", "--version", "init --yes"] {
        let user = Newcomer::new()?;
        let outcome = user.call(line, "")?;
        assert_eq!(outcome.code, Some(0), "{line}: {outcome:?}");
        assert!(!outcome.stderr.contains("y or n>"), "{line}: {outcome:?}");
    }
    Ok(())
}

#[test]
fn a_second_authority_is_refused() -> anyhow::Result<()> {
    let user = Newcomer::with_authority()?;
    let told = user.call("init --yes", "")?.failure(1)?;
    assert!(told.contains("[ca-exists]"), "{told}");
    Ok(())
}

#[test]
fn secrets_are_for_their_owner_only() -> anyhow::Result<()> {
    let user = Newcomer::with_authority()?;
    user.ca.issue("issue_client_cert -c user1")?;
    assert_eq!(mode(&user.ca.folder())?, 0o700);
    for entry in std::fs::read_dir(user.ca.folder())? {
        let path = entry?.path();
        assert_eq!(mode(&path)?, 0o600, "{}", path.display());
    }
    assert_eq!(
        mode(&user.ca.certs().join("000002__JP_orca_user1.zip"))?,
        0o600
    );
    Ok(())
}

#[test]
fn the_configuration_can_be_edited_as_the_guide_says() -> anyhow::Result<()> {
    let user = Newcomer::with_authority()?;
    let path = user.ca.folder().join("config.yml");
    let text = std::fs::read_to_string(&path)?;
    let (server, client) = (":server_cert_validity: 3650", ":client_cert_validity: 3650");
    assert!(text.lines().any(|line| line == server), "{text}");
    assert!(text.lines().any(|line| line == client), "{text}");
    std::fs::write(&path, text.replace(client, ":client_cert_validity: 30"))?;
    let client = user.ca.issue("issue_client_cert -c user1")?;
    let days = days_left(&client)?;
    assert!((29..=30).contains(&days), "{days}");
    Ok(())
}

/// Whole days from now to notAfter, by openssl.
fn days_left(kit: &Kit) -> anyhow::Result<i64> {
    let day = 86_400;
    for days in 0..10_000 {
        let check = orca_e2e::program::Program::new("openssl")
            .args([
                "x509",
                "-noout",
                "-checkend",
                &(days * day).to_string(),
                "-in",
            ])
            .arg(kit.crt())
            .run()?;
        if check.code != Some(0) {
            return Ok(days - 1);
        }
    }
    anyhow::bail!("valid for longer than anybody lives")
}

fn contents(zip: &Path) -> anyhow::Result<Vec<String>> {
    let listed = orca_e2e::program::Program::new("unzip")
        .args(["-Z1"])
        .arg(zip)
        .run()?
        .success()?;
    let mut names: Vec<String> = listed
        .lines()
        .filter(|name| !name.ends_with('/'))
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}

fn expected_contents(kit: &Kit) -> Vec<String> {
    let base = kit.base();
    let mut names: Vec<String> = ["crt", "enc.pem", "p12", "pass", "pem"]
        .iter()
        .map(|extension| format!("{base}/{base}.{extension}"))
        .collect();
    names.push(format!("{base}/ca.crt"));
    names
}

fn mode(path: &Path) -> anyhow::Result<u32> {
    let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(metadata.permissions().mode() & 0o777)
}
