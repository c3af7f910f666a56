//! What attach is going to change, worked out from the two configuration files without touching
//! anything.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use orca_conf::{ConfFile, EditError, comment_out, set};
use serde::{Deserialize, Serialize};

use super::door::Door;
use crate::config::{OUR_KEYS, WEBORCA_CONF};

/// Where WebORCA listens if its configuration says nothing.
const WEBORCA_PORT: u16 = 8000;
/// Where the gateway listens behind a redirection.
const GATEWAY_PORT: u16 = 8443;
/// Begins every line that was made a comment.
const MARK: &str = "orca-gateway attach";

/// How clients are led to the gateway.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Mode {
    /// WebORCA keeps its port; the firewall leads clients on.
    #[default]
    Redirect,
    /// WebORCA moves, the gateway takes its port.
    Port,
}

/// A file before and after.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    /// `None` where there is no file yet.
    pub(crate) before: Option<String>,
    pub(crate) after: String,
}

impl Change {
    /// Whether anything changes.
    pub(crate) fn is_one(&self) -> bool {
        self.before.as_ref() != Some(&self.after)
    }
}

/// `HTTP_PORT` of WebORCA's configuration before attach.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HttpPort {
    /// Attach leaves it alone.
    Untouched,
    /// It was not set.
    Absent,
    /// It was this.
    Was(String),
}

/// Everything attach changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    /// The gateway's configuration.
    pub(crate) own: Change,
    /// WebORCA's; `None` where it stays as it is.
    pub(crate) weborca: Option<Change>,
    pub(crate) door: Door,
    /// Where the gateway listens.
    pub(crate) gateway: SocketAddr,
    pub(crate) http_port: HttpPort,
}

/// Where WebORCA is told what it shall do, seen from the gateway's configuration.
pub(crate) fn weborca_conf(own: &Path) -> PathBuf {
    let name = Path::new(WEBORCA_CONF).file_name().unwrap_or_default();
    own.with_file_name(name)
}

/// Works out what to change; `own` and `weborca` are the texts of the files, if there are any.
///
/// # Errors
/// A file has a line that is no plain assignment where it would have to change.
pub(crate) fn plan(
    mode: Mode,
    own_path: &Path,
    own: Option<String>,
    weborca: Option<String>,
) -> Result<Plan, EditError> {
    let own_text = own.clone().unwrap_or_default();
    let weborca_text = weborca.clone().unwrap_or_default();
    let ours = ConfFile::parse(&own_text);
    let theirs = ConfFile::parse(&weborca_text);
    let http_port = theirs.get("HTTP_PORT").map(|found| found.value.clone());
    let known = http_port.as_deref().and_then(|port| port.parse().ok());
    let known = known.unwrap_or(WEBORCA_PORT);
    let (door, gateway) = match mode {
        Mode::Redirect => {
            let gateway = port_of(&ours, "GATEWAY_LISTEN", known).unwrap_or(GATEWAY_PORT);
            let weborca = known;
            (Door::Redirect { weborca, gateway }, gateway)
        }
        Mode::Port => {
            let weborca = port_of(&ours, "GATEWAY_UPSTREAM", known);
            let weborca = weborca.unwrap_or_else(|| known.checked_add(1).unwrap_or(GATEWAY_PORT));
            (Door::Shut { weborca }, known)
        }
    };
    let listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, gateway));
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, door.weborca()));
    let moved: Vec<(&str, &str)> = OUR_KEYS
        .iter()
        .filter(|key| ours.get(key).is_none())
        .filter_map(|key| Some((*key, theirs.get(key)?.value.as_str())))
        .collect();
    let (listen_text, upstream_text) = (listen.to_string(), format!("http://{upstream}"));
    let mut assignments = moved;
    assignments.retain(|(key, _)| !["GATEWAY_LISTEN", "GATEWAY_UPSTREAM"].contains(key));
    assignments.push(("GATEWAY_LISTEN", &listen_text));
    assignments.push(("GATEWAY_UPSTREAM", &upstream_text));
    let own = Change {
        path: own_path.to_owned(),
        after: set(&own_text, &assignments)?,
        before: own,
    };
    let mut edited = comment_out(&weborca_text, &OUR_KEYS, MARK)?;
    if mode == Mode::Port {
        edited = set(&edited, &[("HTTP_PORT", &door.weborca().to_string())])?;
    }
    let weborca = Change {
        path: weborca_conf(own_path),
        after: edited,
        before: weborca,
    };
    Ok(Plan {
        own,
        weborca: Some(weborca).filter(|change| change.after != weborca_text),
        door,
        gateway: listen,
        http_port: match (mode, http_port) {
            (Mode::Redirect, _) => HttpPort::Untouched,
            (Mode::Port, None) => HttpPort::Absent,
            (Mode::Port, Some(port)) => HttpPort::Was(port),
        },
    })
}

/// WebORCA's configuration as it was: marked lines count again, `HTTP_PORT` is what it was. Whatever
/// else was changed since stays.
///
/// # Errors
/// `HTTP_PORT` stands in a line that is no plain assignment.
pub(crate) fn undone(text: &str, http_port: &HttpPort) -> Result<String, EditError> {
    let mark = format!("# {MARK}: ");
    let unmarked: String = text
        .split_inclusive('\n')
        .map(|line| line.strip_prefix(&mark).unwrap_or(line))
        .collect();
    match http_port {
        HttpPort::Untouched => Ok(unmarked),
        HttpPort::Was(port) => set(&unmarked, &[("HTTP_PORT", port)]),
        HttpPort::Absent => comment_out(&unmarked, &["HTTP_PORT"], "orca-gateway detach"),
    }
}

/// The port a key names, unless it is WebORCA's own.
fn port_of(file: &ConfFile, key: &str, weborca: u16) -> Option<u16> {
    let value = &file.get(key)?.value;
    let port = value.trim_end_matches('/').rsplit(':').next()?;
    let port = port.parse().ok()?;
    (port != weborca && port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "/c/orca-gateway.conf";
    const KEYS: &str = "SERVER_CRT=/c/s.crt\nSERVER_PEM=/c/s.pem\nCA_CRT=/c/ca.crt\n";

    fn planned(mode: Mode, own: Option<&str>, weborca: Option<&str>) -> Plan {
        let own = own.map(str::to_owned);
        plan(mode, Path::new(OWN), own, weborca.map(str::to_owned)).unwrap()
    }

    #[test]
    fn redirecting_leaves_a_plain_weborca_alone() {
        let plan = planned(Mode::Redirect, Some(KEYS), Some("#DBHOST=x\n"));
        assert_eq!(plan.weborca, None);
        let (weborca, gateway) = (8000, 8443);
        assert_eq!(plan.door, Door::Redirect { weborca, gateway });
        let added = "GATEWAY_LISTEN=[::]:8443
GATEWAY_UPSTREAM=http://127.0.0.1:8000
";
        assert_eq!(plan.own.after, format!("{KEYS}{added}"));
    }

    #[test]
    fn the_keys_of_the_guide_move_and_come_back() {
        let site = format!("# ours\nDBHOST=db\n{KEYS}export LANG=C\n");
        let plan = planned(Mode::Redirect, None, Some(&site));
        let weborca = plan.weborca.unwrap();
        let read = ConfFile::parse(&weborca.after);
        assert!(read.get("SERVER_CRT").is_none());
        assert_eq!(read.get("DBHOST").unwrap().value, "db");
        let own = ConfFile::parse(&plan.own.after);
        assert_eq!(own.get("CA_CRT").unwrap().value, "/c/ca.crt");
        assert_eq!(undone(&weborca.after, &HttpPort::Untouched).unwrap(), site);
    }

    #[test]
    fn the_gateway_may_have_its_own_port() {
        let own =
            format!("{KEYS}GATEWAY_LISTEN=[::]:9443\nGATEWAY_UPSTREAM=http://127.0.0.1:8001\n");
        let plan = planned(Mode::Redirect, Some(&own), Some("HTTP_PORT=7000\n"));
        let (weborca, gateway) = (7000, 9443);
        assert_eq!(plan.door, Door::Redirect { weborca, gateway });
        let read = ConfFile::parse(&plan.own.after);
        assert_eq!(
            read.get("GATEWAY_UPSTREAM").unwrap().value,
            "http://127.0.0.1:7000"
        );
    }

    #[test]
    fn port_moves_weborca_and_back() {
        let was = HttpPort::Was("8000".to_owned());
        for (before, http_port) in [("", HttpPort::Absent), ("HTTP_PORT=8000\n", was)] {
            let port = |text: &str| {
                let read = ConfFile::parse(text);
                read.get("HTTP_PORT").map(|found| found.value.clone())
            };
            let plan = planned(Mode::Port, Some(KEYS), Some(before));
            assert_eq!(plan.door, Door::Shut { weborca: 8001 });
            assert_eq!(plan.gateway.port(), 8000);
            let weborca = plan.weborca.unwrap();
            assert_eq!(port(&weborca.after), Some("8001".to_owned()));
            assert_eq!(plan.http_port, http_port);
            let back = undone(&weborca.after, &http_port).unwrap();
            assert_eq!(port(&back), port(before));
        }
    }

    #[test]
    fn a_line_that_cannot_be_edited_stops_everything() {
        let odd = Some("SERVER_CRT=$HOME/s.crt\n".to_owned());
        assert!(plan(Mode::Redirect, Path::new(OWN), None, odd).is_err());
    }
}
