//! `orca-gateway check`: what a start would do, and everything that is wrong at once.

mod exposure;
mod files;
mod places;
mod remote;

use std::path::Path;

use orca_messages::{Finding, Localize, Verdict, text};

use crate::admission;
use crate::clock::Clock;
use crate::config::{self, Config, CrlUnusable, Mode, Reading, WEBORCA_CONF};
use crate::connector::Connector;
use crate::startup_log;
use crate::upstream::trouble::Trouble;
use orca_conf::Peculiarity;

/// Looks at everything a start would look at, with the start's own loaders.
pub(crate) fn findings(conf: &Path, clock: Clock) -> Vec<Finding> {
    let reading = match config::read(conf) {
        Ok(reading) => reading,
        Err(error) => return vec![failure(&error)],
    };
    let mut findings = about_lines(&reading);
    findings.extend(keys_shared(&reading));
    if let Some(mode) = &reading.mode {
        findings.push(told_mode(mode));
    }
    match &reading.config {
        Ok(config) => findings.extend(about_start(config, clock)),
        Err(errors) => {
            findings.extend(errors.iter().map(|error| failure(error)));
            if let Some(Mode::Https(files)) = &reading.mode {
                findings.extend(files::https(
                    files,
                    Path::new(config::DEFAULT_STATE),
                    CrlUnusable::Warn,
                    clock.now(),
                ));
            }
        }
    }
    findings.extend(places::log("GATEWAY_LOG", &reading.log));
    findings
}

/// Whether a start would fail, or users would be turned away though it goes; the exit code is 1 then.
pub(crate) fn any_failed(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Failure)
}

fn failure(error: &dyn Localize) -> Finding {
    Finding::failure(error.id(), error.message(), error.remedy())
}

/// The file itself, and lines in it that are not for us.
fn about_lines(reading: &Reading) -> Vec<Finding> {
    let path = reading.path.display();
    let read = Finding::ok(
        "conf-read",
        text!(
            "設定ファイル{path}を読み込みました。",
            "the configuration file is {path}"
        ),
    );
    let odd = reading.left_alone.iter().map(Peculiarity::finding);
    let remarks = reading.remarks.iter().cloned();
    std::iter::once(read).chain(odd).chain(remarks).collect()
}

/// WebORCA sources jma-receipt.conf itself: with the three keys in it, it would switch to HTTPS too,
/// and the gateway would speak to it in vain.
fn keys_shared(reading: &Reading) -> Option<Finding> {
    let folder = reading.path.parent()?;
    let shared = folder.join(Path::new(WEBORCA_CONF).file_name()?);
    let keys = if reading.path == shared {
        reading.keys.clone()
    } else {
        config::read(&shared).ok()?.keys
    };
    keys.in_order().iter().find(|path| path.is_some())?;
    let shared = shared.display();
    let message = text!(
        "SERVER_CRT、SERVER_PEM、CA_CRTが{shared}に書かれています。WebORCAもこのファイルを読むため、WebORCA自身がHTTPSに切り替わります。",
        "SERVER_CRT, SERVER_PEM or CA_CRT stand in {shared}, which WebORCA reads too: it switches to HTTPS itself"
    );
    let remedy = text!(
        "3つの設定を同じフォルダのorca-gateway.confに移し、WebORCAを再起動してください。",
        "move the three keys to orca-gateway.conf in the same folder and restart WebORCA"
    );
    // Where this is the file of the gateway and no WebORCA lies beside it, nobody else reads it.
    let weborca = folder.join("../mw/bin/weborca").exists();
    if weborca || !reading.path.ends_with("jma-receipt.conf") {
        Some(Finding::failure("keys-shared", message, remedy))
    } else {
        Some(Finding::warning("keys-shared", message, remedy))
    }
}

fn about_start(config: &Config, clock: Clock) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut ca_crt = None;
    if let Mode::Https(files) = &config.mode {
        let (state, unusable) = (&config.state, config.crl_unusable);
        findings.extend(files::https(files, state, unusable, clock.now()));
        findings.extend(places::state(&config.state));
        findings.extend(files::rules(&config.rules, files));
        findings.extend(admission::open_doors(
            config.client_auth,
            &config.exemptions,
        ));
        ca_crt = Some(files.ca_crt.as_path());
    }
    findings.extend(places::ports(config));
    findings.push(application(config, ca_crt));
    findings.extend(exposure::findings(config));
    findings.extend(places::log("GATEWAY_ACCESS_LOG", &config.access_log));
    findings
}

fn told_mode(mode: &Mode) -> Finding {
    match mode {
        Mode::Https(_) => Finding::ok(
            "mode-https",
            text!(
                "HTTPS(SSLクライアント認証)で起動します。",
                "the gateway starts with HTTPS and client certificates"
            ),
        ),
        Mode::Http => startup_log::plain_http(),
    }
}

fn application(config: &Config, ca_crt: Option<&Path>) -> Finding {
    let connector = match Connector::new(&config.upstream, ca_crt) {
        Ok(connector) => connector,
        Err(error) => return failure(&error),
    };
    let address = &config.upstream;
    let reached = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(connector.connect()).map(drop));
    match reached {
        Ok(()) => Finding::ok(
            "upstream-reached",
            text!(
                "日レセ(アプリケーション) {address} に接続できます。",
                "the application at {address} accepts connections"
            ),
        ),
        Err(error) => failure(&Trouble::of(&error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn in_conf(name: &str, text: &str) -> (tempfile::TempDir, Vec<Finding>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        write(&path, text);
        let findings = findings(&path, Clock::system());
        (folder, findings)
    }

    fn write(path: &Path, text: &str) {
        let mut file = std::fs::File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn verdict_of(findings: &[Finding], id: &str) -> Option<Verdict> {
        findings.iter().find(|f| f.id == id).map(|f| f.verdict)
    }

    const QUIET: &str = "GATEWAY_LOG=-\nGATEWAY_ACCESS_LOG=-\nGATEWAY_STATUS=none\n\
        GATEWAY_LISTEN=127.0.0.1:0\nGATEWAY_UPSTREAM=http://127.0.0.1:1\n";

    #[test]
    fn a_sound_http_start_has_warnings_only() {
        let application = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = application.local_addr().unwrap();
        let text = format!("umask 022\n{QUIET}GATEWAY_UPSTREAM=http://{upstream}\n");
        let (_folder, findings) = in_conf("gw.conf", &text);
        assert!(!any_failed(&findings), "{findings:?}");
        for id in ["line-left-alone", "mode-http"] {
            assert_eq!(verdict_of(&findings, id), Some(Verdict::Warning), "{id}");
        }
    }

    #[test]
    fn an_application_that_is_down_is_a_failure() {
        let (_folder, findings) = in_conf("gw.conf", QUIET);
        let failed = Some(Verdict::Failure);
        assert_eq!(verdict_of(&findings, "upstream-down"), failed);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let text = format!(
            "{QUIET}SERVER_CRT=/nowhere/s.crt\nSERVER_PEM=/nowhere/s.pem\nCA_CRT=/nowhere/ca.crt\n\
             GATEWAY_STATE=/dev/null/x\n"
        );
        let broken = format!("{text}GATEWAY_CLIENT_AUTH=sometimes\n");
        let (_folder, findings) = in_conf("gw.conf", &broken);
        assert_eq!(verdict_of(&findings, "bad-value"), Some(Verdict::Failure));
        assert_eq!(
            verdict_of(&findings, "file-missing"),
            Some(Verdict::Failure)
        );
        let (_folder, findings) = in_conf("gw.conf", &text);
        let missing = findings.iter().filter(|f| f.id == "file-missing").count();
        assert_eq!(missing, 3);
        assert_eq!(
            verdict_of(&findings, "state-unusable"),
            Some(Verdict::Failure)
        );
        assert!(any_failed(&findings));
    }

    #[test]
    fn keys_that_weborca_reads_too_are_reported() {
        let keys = "CA_CRT=/a\nSERVER_CRT=/b\nSERVER_PEM=/c\n";
        let (_folder, found) = in_conf("jma-receipt.conf", keys);
        assert_eq!(verdict_of(&found, "keys-shared"), Some(Verdict::Warning));
        let (folder, found) = in_conf("orca-gateway.conf", keys);
        assert_eq!(verdict_of(&found, "keys-shared"), None);
        write(&folder.path().join("jma-receipt.conf"), "CA_CRT=/a\n");
        let path = folder.path().join("orca-gateway.conf");
        let found = findings(&path, Clock::system());
        assert_eq!(verdict_of(&found, "keys-shared"), Some(Verdict::Failure));
    }
}
