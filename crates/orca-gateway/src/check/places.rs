//! Ports and folders.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use orca_messages::{Finding, Localize, Verdict, text};
use rustix::fs::{Access, access};

use super::failure;
use crate::config::{Config, LogTarget};
use crate::{listener, status};

const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// Whether both ports could be bound. Ports that a running gateway holds are no fault.
pub(super) fn ports(config: &Config) -> Vec<Finding> {
    let running = config.status.is_some_and(is_gateway);
    let mut findings = vec![match listener::bind(config.listen) {
        Ok(_) => free("GATEWAY_LISTEN", config.listen),
        Err(error) => taken("GATEWAY_LISTEN", config.listen, &error, running),
    }];
    if let Some(address) = config.status {
        findings.push(match status::bind(address) {
            Ok(_) => free("GATEWAY_STATUS", address),
            Err(error) => taken("GATEWAY_STATUS", address, &error, running),
        });
    }
    findings
}

fn taken(key: &str, address: SocketAddr, error: &dyn Localize, running: bool) -> Finding {
    if running && error.id().ends_with("port-in-use") {
        return Finding::ok(
            "port-held-by-gateway",
            text!(
                "{key}のアドレス{address}は、起動中のorca-gatewayが使用しています。",
                "{address} ({key}) is held by the orca-gateway that is running"
            ),
        );
    }
    failure(error)
}

fn free(key: &str, address: SocketAddr) -> Finding {
    Finding::ok(
        "port-free",
        text!(
            "{key}のアドレス{address}を使用できます。",
            "{address} ({key}) is free"
        ),
    )
}

/// Whether a gateway answers at its status address.
fn is_gateway(status: SocketAddr) -> bool {
    let probe = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&status, PROBE_DEADLINE)?;
        stream.set_read_timeout(Some(PROBE_DEADLINE))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    probe().is_ok_and(|answer| answer.ends_with("\r\n\r\nok\n"))
}

/// Whether lines could be written.
pub(super) fn log(key: &'static str, target: &LogTarget) -> Option<Finding> {
    match target {
        LogTarget::Stdout => None,
        LogTarget::File(path) => Some(writable(key, path)),
    }
}

/// Whether the last good revocation lists could be kept.
pub(super) fn state(folder: &Path) -> Option<Finding> {
    let finding = writable("GATEWAY_STATE", folder);
    Some(match finding.verdict {
        Verdict::Ok => finding,
        Verdict::Warning | Verdict::Failure => Finding {
            id: "state-unusable",
            ..finding
        },
    })
}

/// Looks without making anything: a start makes what is missing below the first folder that exists.
fn writable(key: &'static str, path: &Path) -> Finding {
    let existing = existing(path);
    let shown = path.display();
    match access(&existing, Access::WRITE_OK) {
        Ok(()) if existing == path || existing.is_dir() => Finding::ok(
            "place-writable",
            text!(
                "{key}の{shown}に書き込めます。",
                "{shown} ({key}) can be written"
            ),
        ),
        result => {
            let error =
                result.map_or_else(io::Error::from, |()| io::ErrorKind::NotADirectory.into());
            Finding::failure(
                "place-not-writable",
                text!(
                    "{key}の{shown}に書き込めません({error})。",
                    "{shown} ({key}) cannot be written: {error}"
                ),
                text!(
                    "フォルダを作成し、所有者をorca-gatewayを実行する利用者(orca)にしてください。",
                    "make the folder and give it to the user that runs orca-gateway (orca)"
                ),
            )
        }
    }
}

fn existing(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|ancestor| ancestor.exists())
        .map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_a_failure_unless_a_gateway_holds_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let error = status::bind(address).unwrap_err();
        let finding = |running| taken("GATEWAY_STATUS", address, &error, running);
        assert_eq!(finding(false).id, "status-port-in-use");
        assert_eq!(finding(true).id, "port-held-by-gateway");
    }

    #[test]
    fn missing_folders_are_judged_by_the_first_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.log");
        assert_eq!(writable("GATEWAY_LOG", &path).verdict, Verdict::Ok);
        assert!(!folder.path().join("a").exists());
        let path = Path::new("/dev/null/x.log");
        assert_eq!(writable("GATEWAY_LOG", path).verdict, Verdict::Failure);
    }
}
