//! What people mistype, and what machines do to files. Every refusal has a stable id, a remedy in
//! both languages and an exit code, and leaves everything as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use orca_e2e::catool::Catool;
use orca_e2e::program::{Outcome, Program};
use tempfile::TempDir;

/// A CA with one server certificate (2) and one client certificate (3).
pub(crate) struct Clinic {
    _dir: TempDir,
    pub(crate) ca: Catool,
}

impl Clinic {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Catool::new(dir.path());
        ca.done("init")?;
        ca.done("issue_server_cert -c weborca-server")?;
        ca.done("issue_client_cert -c user1")?;
        Ok(Self { _dir: dir, ca })
    }

    fn config(&self) -> PathBuf {
        self.ca.folder().join("config.yml")
    }

    /// The call is refused with this id and code, in both languages with a remedy, and no file of
    /// the account changes.
    fn refuses<'a>(
        &self,
        words: impl IntoIterator<Item = &'a str>,
        id: &str,
        code: i32,
    ) -> anyhow::Result<String> {
        let words: Vec<&str> = words.into_iter().collect();
        let before = contents(self.ca.home())?;
        let mut english = String::new();
        for (lang, label, remedy) in [
            ("ja", "エラー: ", "\n対処: "),
            ("en", "error: ", "\nremedy: "),
        ] {
            let words = ["--lang", lang].into_iter().chain(words.iter().copied());
            let outcome = self.ca.program(words)?.run()?;
            told(&outcome, label, remedy, id, code).with_context(|| format!("{outcome:#?}"))?;
            english = outcome.stderr;
        }
        ensure!(contents(self.ca.home())? == before, "something was written");
        Ok(english)
    }

    fn refuses_line(&self, line: &str, id: &str, code: i32) -> anyhow::Result<String> {
        self.refuses(line.split_whitespace(), id, code)
            .with_context(|| line.to_owned())
    }
}

/// A failure with this id and code, its label and its remedy, and nothing on standard output.
pub(crate) fn told(
    outcome: &Outcome,
    label: &str,
    remedy: &str,
    id: &str,
    code: i32,
) -> anyhow::Result<()> {
    ensure!(outcome.code == Some(code), "another exit code than {code}");
    ensure!(outcome.stdout.is_empty(), "standard output is for data");
    ensure!(outcome.stderr.starts_with(label), "no {label}");
    ensure!(outcome.stderr.contains(&format!("[{id}]\n")), "no [{id}]");
    let (_, after) = outcome.stderr.split_once(remedy).context("no remedy")?;
    ensure!(after.trim().len() > 5, "an empty remedy");
    Ok(())
}

/// Every file below a folder with its content; what a reader of SQLite leaves does not count.
fn contents(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(contents(&path)?);
        } else if !path.to_string_lossy().contains("register.sqlite3-") {
            files.insert(path.clone(), fs::read(&path)?);
        }
    }
    Ok(files)
}

#[test]
fn names_and_numbers_that_do_not_fit() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    let long = "a".repeat(65);
    let cases: [(&[&str], &str); 23] = [
        (&["issue_client_cert", "-c", ""], "invalid-name"),
        (&["issue_client_cert", "-c", "  "], "invalid-name"),
        (&["issue_client_cert", "-c", "a/b"], "invalid-name"),
        (
            &["issue_client_cert", "-c", "../../etc/passwd"],
            "invalid-name",
        ),
        (&["issue_client_cert", "-c", "a\nb"], "invalid-name"),
        (&["issue_client_cert", "-c", "a\u{1b}[2J"], "invalid-name"),
        (&["issue_client_cert", "-c", "a\u{202e}b"], "invalid-name"),
        (&["issue_client_cert", "-c", &long], "invalid-name"),
        (
            &["issue_client_cert", "-c", "user2", "--holder", "a\tb"],
            "invalid-text",
        ),
        (&["issue_server_cert", "-c", "web orca"], "invalid-host"),
        (&["issue_server_cert", "-c", "web_orca"], "invalid-host"),
        (&["issue_server_cert", "-c", "日レセ"], "invalid-host"),
        (
            &["issue_server_cert", "-c", "*.clinic.local"],
            "invalid-host",
        ),
        (&["issue_server_cert", "-c", "192.168.1"], "invalid-host"),
        (&["issue_server_cert", "-i", "300.1.1.1"], "invalid-address"),
        (
            &["issue_server_cert", "-i", "weborca-server"],
            "invalid-address",
        ),
        (
            &["issue_server_cert", "-c", "x", "--days", "0"],
            "invalid-days",
        ),
        (
            &["issue_server_cert", "-c", "x", "--days", "-1"],
            "invalid-days",
        ),
        (
            &["init", "--only-networks", "10.1.2.3/8"],
            "invalid-network",
        ),
        (&["list_cert", "a", "b"], "usage"),
        (&["list_cert", "--no-such"], "usage"),
        (&["issue_crl", "--days"], "usage"),
        (&["revoke_cert", "3", "--reason", "lost"], "invalid-reason"),
    ];
    for (words, id) in cases {
        let stderr = clinic
            .refuses(words.iter().copied(), id, 2)
            .with_context(|| format!("{words:?}"))?;
        ensure!(
            !stderr.contains('\u{1b}') && !stderr.contains('\u{202e}'),
            "{stderr:?}"
        );
    }
    Ok(())
}

#[test]
fn serials_that_are_unknown_doubled_or_no_numbers() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    for (line, id, code) in [
        ("revoke_cert 99", "unknown-serial", 1),
        ("revoke_cert 3 99", "unknown-serial", 1),
        ("revoke_cert 1", "unknown-serial", 1),
        ("revoke_cert 3 0x3", "doubled-serial", 1),
        ("revoke_cert 0", "invalid-serial", 2),
        ("revoke_cert user1", "invalid-serial", 2),
        ("revoke_cert", "usage", 2),
        ("revoke_cert -c nobody", "unknown-name", 1),
        ("export_cert 99", "unknown-serial", 1),
        ("export_cert 0xffffffffffffffffffff", "unknown-serial", 1),
        ("export_cert -c nobody", "unknown-name", 1),
        ("issue_client_cert -c user1", "name-in-use", 1),
        ("init", "ca-exists", 1),
    ] {
        clinic.refuses_line(line, id, code)?;
    }
    clinic.ca.done("revoke_cert 3")?;
    clinic.refuses_line("revoke_cert 000003", "already-revoked", 1)?;
    clinic.refuses_line("export_cert 3", "revoked-no-export", 1)?;
    Ok(())
}

#[test]
fn a_zip_that_exists_is_never_replaced_by_an_issue() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    let taken = clinic.ca.certs().join("000004__JP_orca_user2.zip");
    fs::write(&taken, "precious")?;
    clinic.refuses_line("issue_client_cert -c user2", "file-exists", 1)?;
    fs::remove_file(&taken)?;
    let kit = clinic.ca.issue("issue_client_cert -c user2")?;
    assert_eq!(kit.base(), "000004__JP_orca_user2", "no serial was used up");
    Ok(())
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_with_its_line() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    let good = fs::read_to_string(clinic.config())?;
    let cases = [
        (
            good.replace(":client_cert_validity: 3650", ":client_cert_validity: ten"),
            "config-type",
        ),
        (
            good.replace(":keep_private_keys: true", ":keep_private_keys: sometimes"),
            "config-type",
        ),
        (
            good.replace(":country: JP", ":country: Nippon"),
            "config-type",
        ),
        (
            good.replace(":crl_publish: []", ":crl_publish: [ca.crl"),
            "config-syntax",
        ),
        (good.clone() + ":p12: modern\n", "config-doubled-key"),
        (
            good.replace(
                ":database: register.sqlite3",
                ":database: postgres://db/orca",
            ),
            "database-not-supported",
        ),
    ];
    for (text, id) in cases {
        fs::write(clinic.config(), &text)?;
        let stderr = clinic
            .refuses_line("list_cert", id, 1)
            .with_context(|| text.clone())?;
        ensure!(stderr.contains("config.yml line "), "no line: {stderr}");
    }
    // Half a file is a smaller file: what is missing has its default.
    fs::write(clinic.config(), &good[..good.len() / 2])?;
    clinic.ca.done("list_cert")?;
    Ok(())
}

#[test]
fn a_register_that_cannot_be_read_or_is_newer() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    let register = clinic.ca.folder().join("register.sqlite3");
    let good = fs::read(&register)?;
    fs::write(
        &register,
        "no database at all, only some text that is long enough for a header",
    )?;
    clinic.refuses_line("list_cert", "register-unreadable", 1)?;
    // The schema version lies in bytes 60 to 63 of the header (SQLite file format, §1.3).
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99u32.to_be_bytes());
    fs::write(&register, newer)?;
    clinic.refuses_line("issue_client_cert -c user2", "register-newer", 1)?;
    fs::remove_file(&register)?;
    clinic.refuses_line("list_cert", "file-not-found", 1)?;
    fs::write(&register, good)?;
    clinic.ca.done("list_cert")?;
    Ok(())
}

#[test]
fn keys_that_are_missing_or_anothers() -> anyhow::Result<()> {
    let (clinic, other) = (Clinic::new()?, Clinic::new()?);
    let key = clinic.ca.folder().join("ca.key");
    fs::copy(other.ca.folder().join("ca.key"), &key)?;
    clinic.refuses_line("issue_client_cert -c user2", "ca-key-unusable", 1)?;
    clinic.refuses_line("revoke_cert 3", "ca-key-unusable", 1)?;
    fs::write(
        &key,
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )?;
    clinic.refuses_line("issue_crl", "ca-key-unusable", 1)?;
    let sealing = clinic.ca.folder().join("sealing.key");
    fs::copy(other.ca.folder().join("sealing.key"), sealing)?;
    clinic.refuses_line("export_cert 3", "seal-broken", 1)?;
    Ok(())
}

#[test]
fn a_configuration_that_vanished_does_not_lead_to_a_second_ca() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    fs::remove_file(clinic.config())?;
    clinic.refuses_line("list_cert", "config-lost", 1)?;
    clinic.refuses_line("init", "config-lost", 1)?;
    // The remedy of the message works.
    fs::write(clinic.config(), "")?;
    assert_eq!(clinic.ca.list()?.len(), 2);
    Ok(())
}

#[test]
fn a_folder_of_another_program_is_left_untouched() -> anyhow::Result<()> {
    for (name, content) in [
        ("config.yml", ":server_cert_validity: 3650\n"),
        ("index.txt", "V\n"),
    ] {
        let dir = tempfile::tempdir()?;
        let clinic = Clinic {
            ca: Catool::new(dir.path()),
            _dir: dir,
        };
        fs::create_dir(clinic.ca.folder())?;
        fs::write(clinic.ca.folder().join(name), content)?;
        for line in ["", "list_cert", "init"] {
            clinic.refuses_line(line, "foreign-ca-directory", 1)?;
        }
    }
    Ok(())
}

#[test]
fn files_that_others_can_read_are_told_and_do_not_stop_the_work() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    let key = clinic.ca.folder().join("ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    let outcome = clinic.ca.run("list_cert")?;
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome.stderr.contains("[exposed-files]"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("chmod go= "), "{}", outcome.stderr);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    assert_eq!(clinic.ca.run("list_cert")?.stderr, "");
    Ok(())
}

#[test]
fn a_clock_before_the_ca_and_a_ca_that_has_expired() -> anyhow::Result<()> {
    let clinic = Clinic::new()?;
    for (shift, id) in [("-10d", "clock-before-ca"), ("+7400d", "ca-expired")] {
        let before = contents(clinic.ca.home())?;
        let call = clinic.ca.program(["issue_client_cert", "-c", "user2"])?;
        let outcome = call.at(shift).run()?;
        told(&outcome, "error: ", "\nremedy: ", id, 1).with_context(|| format!("{outcome:?}"))?;
        ensure!(
            contents(clinic.ca.home())? == before,
            "something was written"
        );
    }
    Ok(())
}

#[test]
fn a_folder_without_permission_and_one_that_does_not_exist() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777))?;
    let closed = dir.path().join("closed");
    fs::create_dir(&closed)?;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555))?;
    let home = dir.path().join("home");
    fs::create_dir(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777))?;
    let ca = Catool::new(&home);
    let call = |line: &str| -> anyhow::Result<Outcome> {
        ca.program(line.split_whitespace())?.as_nobody().run()
    };
    call("init")?.success()?;
    let closed = closed.display();
    for line in [
        format!("issue_client_cert -c user1 -o {closed}"),
        format!("issue_client_cert -c user1 -o {closed}/new"),
        format!("--config {closed}/config.yml init"),
    ] {
        let outcome = call(&line)?;
        told(&outcome, "error: ", "\nremedy: ", "permission-denied", 1)
            .with_context(|| format!("{line}: {outcome:?}"))?;
        let (_, remedy) = outcome.stderr.split_once("remedy: ").context("no remedy")?;
        assert_eq!(remedy.contains(" -o"), line.contains(" -o "), "{outcome:?}");
    }
    let outcome = call(&format!(
        "issue_client_cert -c user1 -o {}/new/er",
        home.display()
    ))?;
    let zip = outcome.success()?;
    assert!(
        zip.ends_with("new/er/000002__JP_orca_user1.zip\n"),
        "no serial was used up: {zip}"
    );
    let mode = fs::metadata(home.join("new"))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    Ok(())
}

#[test]
fn a_ca_made_in_a_folder_that_others_can_read_says_so() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let folder = dir.path().join("ca");
    let ca = Catool::new(dir.path());
    let line = format!("--config {}/config.yml init", folder.display());
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    let outcome = ca.run(&line)?;
    outcome.success()?;
    let warning = format!(
        "warning: other users can read {} [exposed-files]",
        folder.display()
    );
    ensure!(outcome.stderr.contains(&warning), "{outcome:?}");
    let quiet = ca.run("init")?;
    quiet.success()?;
    ensure!(!quiet.stderr.contains("[exposed-files]"), "{quiet:?}");
    Ok(())
}

#[test]
fn sudo_by_nobody_we_know_is_refused() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("config.yml");
    for (lang, label, remedy) in [
        ("ja", "エラー: ", "\n対処: "),
        ("en", "error: ", "\nremedy: "),
    ] {
        for words in [&["init"][..], &["list_cert"], &["--config"]] {
            let mut call = Program::new(orca_e2e::program::ours("orca-catool")?)
                .env("HOME", dir.path())
                .env("SUDO_USER", "no-such-user")
                .args(["--lang", lang])
                .args(words);
            if words == ["--config"] {
                call = call.arg(&config).arg("init");
            }
            let outcome = call.run()?;
            told(&outcome, label, remedy, "unknown-sudo-user", 1)
                .with_context(|| format!("{words:?}: {outcome:?}"))?;
        }
    }
    assert_eq!(fs::read_dir(dir.path())?.count(), 0);
    Ok(())
}

#[test]
fn no_home_is_made_for_a_user_without_one() -> anyhow::Result<()> {
    let users = Program::new("getent").arg("passwd").run()?.success()?;
    let fields = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let mut homes = fields.filter_map(|fields| Some((*fields.first()?, *fields.get(5)?)));
    let homeless = homes.find(|(_, home)| !Path::new(home).exists());
    let (user, home) = homeless.context("every user has a home")?;
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("ca/config.yml");
    let call = |line: &str| -> anyhow::Result<String> {
        Program::new(orca_e2e::program::ours("orca-catool")?)
            .env("HOME", dir.path())
            .env("SUDO_USER", user)
            .arg("--config")
            .arg(&config)
            .args(line.split_whitespace())
            .run()?
            .success()
    };
    call("init")?;
    let certs = dir.path().join("ca/certs");
    assert_eq!(
        call("issue_crl")?,
        format!("{}\n", certs.join("ca.crl").display())
    );
    assert!(call("issue_client_cert -c user1")?.starts_with(&certs.display().to_string()));
    ensure!(!Path::new(home).exists(), "{home} was made");
    Ok(())
}

#[test]
fn sudo_never_makes_a_second_ca() -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "this story takes root"
    );
    let dir = tempfile::tempdir()?;
    let call = |words: &[&str]| -> anyhow::Result<Outcome> {
        Program::new(orca_e2e::program::ours("orca-catool")?)
            .env("HOME", dir.path())
            .env("SUDO_USER", "nobody")
            .args(words)
            .stdin("y\n")
            .run()
    };
    for words in [&[][..], &["list_cert"], &["init"]] {
        let outcome = call(words)?;
        told(&outcome, "error: ", "\nremedy: ", "no-ca-for-root", 1)
            .with_context(|| format!("{words:?}: {outcome:?}"))?;
    }
    assert_eq!(fs::read_dir(dir.path())?.count(), 0);
    Ok(())
}
