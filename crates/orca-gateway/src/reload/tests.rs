//! Half-written files, vanished files, resets, alarms: what stays in force, looked at poll by poll.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use jiff::tz::TimeZone;
use orca_messages::Lang;
use orca_pki::certificate::Certificate;

use super::*;
use crate::config::{self, LogTarget, Mode};
use crate::identity::Cause;
use crate::in_process::forge::Ca;

/// A keeper whose polls the test makes itself.
struct Bench {
    folder: tempfile::TempDir,
    ca: Ca,
    /// Certificates as clients show them.
    good: Vec<u8>,
    bad: Vec<u8>,
    keeper: Keeper,
    live: Live,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::new("orca CA");
        let (crt, pem) = ca.server(&["localhost"]);
        for (name, content) in [
            ("server.crt", crt),
            ("server.pem", pem),
            ("ca.crt", ca.pem()),
            ("ca.crl", ca.crl(5, &[3])),
        ] {
            put(&folder.path().join(name), content.as_bytes());
        }
        let (keeper, live) = start(folder.path());
        Self {
            good: ca.client(4).der().to_vec(),
            bad: ca.client(3).der().to_vec(),
            folder,
            ca,
            keeper,
            live,
        }
    }

    fn restart(&mut self) {
        (self.keeper, self.live) = start(self.folder.path());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) {
        put(&self.path(name), content);
    }

    /// Long enough for everything that is at rest to be read, and for the chores.
    fn polls(&mut self) {
        for _ in 0..=CHORES_POLLS {
            self.keeper.poll();
        }
    }

    fn log(&self) -> String {
        self.keeper.log.flush();
        std::fs::read_to_string(self.path("events")).unwrap()
    }

    fn told(&self, id: &str) -> usize {
        self.log().matches(&format!("[{id}]")).count()
    }

    fn verdict(&self, client: &[u8]) -> Option<Cause> {
        let snapshot = Arc::clone(&self.live.borrow());
        let presented = snapshot.read(client, Vec::new()).unwrap();
        let verdict = snapshot.judge(&presented, self.keeper.clock.now());
        verdict.err().map(|refusal| refusal.cause)
    }

    /// The good client is served, the revoked one is not, and certificate and key are a pair.
    fn stands(&self, when: &str) {
        assert_eq!(self.verdict(&self.good), None, "{when}");
        assert_eq!(self.verdict(&self.bad), Some(Cause::Revoked), "{when}");
        let snapshot = Arc::clone(&self.live.borrow());
        let pair = snapshot.credentials().certified_key();
        pair.keys_match().unwrap();
    }

    fn number(&self) -> String {
        let snapshot = Arc::clone(&self.live.borrow());
        let reports = snapshot.trust().crl_reports(self.keeper.clock.now());
        reports[0].crl.as_ref().unwrap().number().to_string()
    }
}

fn start(folder: &Path) -> (Keeper, Live) {
    let text = format!(
        "SERVER_CRT={0}/server.crt\nSERVER_PEM={0}/server.pem\nCA_CRT={0}/ca.crt\nGATEWAY_STATE={0}/state\n",
        folder.display()
    );
    let config = config::interpret(&folder.join("x.conf"), &text);
    let config = config.config.unwrap();
    let Mode::Https(files) = &config.mode else {
        panic!("no files")
    };
    let clock = Clock::system();
    let target = LogTarget::File(folder.join("events"));
    let log = EventLog::open(&target, clock, TimeZone::UTC, Lang::En).unwrap();
    let loaded = Loaded::from_files(files).unwrap();
    let rules = RuleKeeper::start(&config.rules, TimeZone::UTC).unwrap();
    Keeper::start(&config, files, loaded, rules, clock, Arc::default(), log).unwrap()
}

fn put(path: &Path, content: &[u8]) {
    File::create(path).unwrap().write_all(content).unwrap();
}

/// `cp` over the file, stopped anywhere and resumed later.
#[test]
fn a_half_written_file_changes_nothing_wherever_it_is_cut() {
    let mut bench = Bench::new();
    let second = Ca::new("second CA");
    let both = bench.ca.pem() + &second.pem();
    bench.put("ca.crt", both.as_bytes());
    let lists = second.crl(7, &[9]) + &bench.ca.crl(6, &[3]);
    bench.put("ca.crl", lists.as_bytes());
    bench.polls();
    bench.stands("two authorities");
    for name in ["ca.crt", "server.crt", "server.pem", "ca.crl"] {
        let path = bench.path(name);
        let whole = std::fs::read(&path).unwrap();
        let end = b"-----END ";
        let border = whole.windows(end.len()).position(|window| window == end);
        let border = whole[border.unwrap()..]
            .iter()
            .position(|octet| *octet == b'\n')
            .unwrap()
            + border.unwrap()
            + 1;
        let cuts = (0..40).map(|step| step * (whole.len() - 2) / 39);
        for cut in cuts.chain([border]) {
            let when = format!("{name} cut at {cut} of {}", whole.len());
            put(&path, &whole[..cut]);
            bench.polls();
            bench.stands(&when);
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(&whole[cut..]).unwrap();
            bench.polls();
            bench.stands(&format!("{when}, whole again"));
        }
    }
    assert!(bench.told("fewer-authorities") > 0, "cut at a border");
    assert_eq!(bench.number(), "6");
}

#[test]
fn a_list_file_that_is_gone_is_an_alarm_and_its_return_is_told() {
    let mut bench = Bench::new();
    let list = std::fs::read(bench.path("ca.crl")).unwrap();
    std::fs::remove_file(bench.path("ca.crl")).unwrap();
    bench.polls();
    bench.polls();
    assert_eq!(bench.told("crl-gone"), 1);
    assert!(bench.keeper.meters.is_list_file_gone());
    bench.stands("gone");
    bench.restart();
    bench.stands("gone, restarted");
    assert_eq!(bench.told("crl-gone"), 2, "told by the new process");
    bench.put("ca.crl", &list);
    bench.polls();
    assert_eq!(bench.told("crl-back"), 1);
    assert!(!bench.keeper.meters.is_list_file_gone());
}

#[test]
fn a_list_that_was_never_there_is_missing_and_not_gone() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("orca CA");
    let (crt, pem) = ca.server(&["localhost"]);
    put(&folder.path().join("server.crt"), crt.as_bytes());
    put(&folder.path().join("server.pem"), pem.as_bytes());
    put(&folder.path().join("ca.crt"), ca.pem().as_bytes());
    let (keeper, _live) = start(folder.path());
    keeper.log.flush();
    let log = std::fs::read_to_string(folder.path().join("events")).unwrap();
    let place = folder.path().join("ca.crl");
    assert!(
        log.contains("[crl-missing]") && !log.contains("[crl-gone]"),
        "{log}"
    );
    assert!(log.contains(&place.display().to_string()), "{log}");
}

#[test]
fn a_hangup_without_news_says_so() {
    let mut bench = Bench::new();
    bench.keeper.reload_all();
    assert_eq!(bench.told("nothing-changed"), 1);
    assert_eq!(bench.told("credentials-taken"), 0);
    let reload = bench.keeper.meters.last_reload().unwrap();
    assert_eq!(reload.outcome, ReloadOutcome::Unchanged);
    bench.put("ca.crl", bench.ca.crl(6, &[3]).as_bytes());
    bench.keeper.reload_all();
    assert_eq!(bench.told("nothing-changed"), 1);
    assert_eq!(bench.number(), "6");
}

#[test]
fn a_reset_counts_while_the_gateway_runs() {
    let mut bench = Bench::new();
    bench.put("ca.crl", bench.ca.crl(2, &[3]).as_bytes());
    bench.polls();
    assert_eq!(bench.told("crl-older"), 1);
    let key = Certificate::from_der(&bench.ca.der).unwrap().key_id();
    let aside = CrlStore::over(&bench.path("state"));
    aside.ask_reset(key).unwrap();
    bench.polls();
    assert_eq!(bench.told("crl-reset"), 1);
    assert_eq!(bench.number(), "2");
    bench.polls();
    bench.restart();
    assert_eq!(bench.told("crl-reset"), 1, "once");
    assert_eq!(bench.number(), "2");
    bench.stands("after the reset");
}

#[test]
fn what_is_sent_is_in_force_and_on_disk_when_it_is_answered() {
    let mut bench = Bench::new();
    let source = ListSource::Pushed("192.0.2.7".to_owned());
    for (number, serials, answer) in [
        (6, &[3, 4][..], ListAnswer::Taken),
        (6, &[3, 4], ListAnswer::Older),
        (5, &[3], ListAnswer::Older),
    ] {
        let list = bench.ca.crl(number, serials);
        let became = bench.keeper.take_lists(list.as_bytes(), &source);
        assert_eq!(became, [answer], "{number}");
        assert_eq!(bench.verdict(&bench.good), Some(Cause::Revoked));
    }
    let became = bench.keeper.take_lists(&b"nonsense"[..], &source);
    assert_eq!(became, [ListAnswer::Unusable]);
    // As by a kill.
    bench.restart();
    assert_eq!(bench.number(), "6");
    assert_eq!(bench.verdict(&bench.good), Some(Cause::Revoked));
}

#[test]
fn a_list_that_cannot_be_kept_is_in_force_and_answered_otherwise() {
    let mut bench = Bench::new();
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    let source = ListSource::Pushed("192.0.2.7".to_owned());
    let list = bench.ca.crl(6, &[3, 4]);
    let became = bench.keeper.take_lists(list.as_bytes(), &source);
    assert_eq!(became, [ListAnswer::NotKept]);
    assert_eq!(bench.verdict(&bench.good), Some(Cause::Revoked));
    assert_eq!(bench.told("crl-not-kept"), 1);
    std::fs::create_dir(bench.path("state")).unwrap();
    for _ in 0..SAVE_CHORES {
        bench.polls();
    }
    assert_eq!(bench.told("crl-not-kept"), 1, "told once");
    let became = bench.keeper.take_lists(list.as_bytes(), &source);
    assert_eq!(became, [ListAnswer::Unchanged]);
}

#[test]
fn a_key_with_a_passphrase_speaks_of_no_start_while_the_gateway_runs() {
    let error = CredentialsError::KeyEncrypted {
        path: "/x/server.enc.pem".into(),
    };
    let told = error.while_running();
    assert_eq!(told.id, "key-encrypted");
    assert!(!told.message.ja.contains("起動"), "{told:?}");
}
