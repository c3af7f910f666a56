//! Ports and folders.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use orca_messages::{Finding, Text, Verdict, text};
use rustix::fs::{Access, access};

use crate::config::{Config, LogTarget};

const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// Whether both ports could be bound. Ports that a running gateway holds are no fault.
pub(super) fn ports(config: &Config) -> Vec<Finding> {
    let running = config.status.is_some_and(is_gateway);
    let listen = ("GATEWAY_LISTEN", config.listen);
    let status = config.status.map(|address| ("GATEWAY_STATUS", address));
    std::iter::once(listen)
        .chain(status)
        .map(|(key, address)| port(key, address, running))
        .collect()
}

fn port(key: &'static str, address: SocketAddr, running: bool) -> Finding {
    let error = match TcpListener::bind(address) {
        Ok(_) => return free(key, address),
        Err(error) => error,
    };
    if running && error.kind() == io::ErrorKind::AddrInUse {
        return Finding::ok(
            "port-held-by-gateway",
            text!(
                "{key}のアドレス{address}は、起動中のorca-gatewayが使用しています。",
                "{address} ({key}) is held by the orca-gateway that is running"
            ),
        );
    }
    Finding::failure(
        "port-unusable",
        text!(
            "{key}のアドレス{address}を使用できません({error})。",
            "cannot listen on {address} ({key}): {error}"
        ),
        port_remedy(key, error.kind()),
    )
}

fn port_remedy(key: &'static str, error: io::ErrorKind) -> Text {
    match error {
        io::ErrorKind::PermissionDenied => text!(
            "1024未満のポートにはroot権限が必要です。{key}に1024以上のポートを設定してください。",
            "ports below 1024 need root; set {key} to a port from 1024 on"
        ),
        io::ErrorKind::AddrInUse => text!(
            "ss -ltnp でそのポートを使用しているプログラムを確認し、停止するか、{key}に別のポートを設定してください。WebORCA自身が同じポートを使用している場合は、HTTP_PORT=8001 に変更してください。",
            "find the program with ss -ltnp and stop it, or set {key} to another port; if it is WebORCA itself, move it with HTTP_PORT=8001"
        ),
        _ => text!(
            "このサーバのアドレスか確認してください。",
            "check that it is an address of this machine"
        ),
    }
}

fn free(key: &'static str, address: SocketAddr) -> Finding {
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
    fn a_taken_port_is_a_failure_with_the_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let finding = port("GATEWAY_LISTEN", taken.local_addr().unwrap(), false);
        assert_eq!(finding.id, "port-unusable");
        assert!(finding.remedy.unwrap().en.contains("ss -ltnp"));
        let finding = port("GATEWAY_LISTEN", taken.local_addr().unwrap(), true);
        assert_eq!(finding.id, "port-held-by-gateway");
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
