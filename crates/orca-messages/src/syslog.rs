//! The machine's own log: a datagram to `/dev/log` (RFC 3164), which syslog daemons and the journal
//! of systemd both take. A crate would bring its own idea of time and host for these few lines.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::render::one_line;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const SOCKET: &str = "/dev/log";
/// Facility authpriv (10), severity notice (5).
const PRIORITY: u8 = 10 * 8 + 5;

/// Where to say something; a machine without a syslog is no error.
#[derive(Clone, Debug)]
pub struct Syslog {
    program: &'static str,
    socket: PathBuf,
    zone: TimeZone,
}

impl Syslog {
    /// Of this machine, for a program.
    pub fn new(program: &'static str, zone: TimeZone) -> Self {
        Self::at(Path::new(SOCKET), program, zone)
    }

    fn at(socket: &Path, program: &'static str, zone: TimeZone) -> Self {
        Self {
            program,
            socket: socket.to_owned(),
            zone,
        }
    }

    /// Says one line. Nobody waits where the syslog does not read.
    pub fn say(&self, at: Timestamp, text: &str) {
        let (id, text) = (std::process::id(), one_line(text));
        let time = self
            .zone
            .to_datetime(at)
            .strftime("%b %e %H:%M:%S")
            .to_string();
        let program = self.program;
        let line = format!("<{PRIORITY}>{time} {program}[{id}]: {text}");
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to(line.as_bytes(), &self.socket)
        });
        // Nobody there, or nobody reads.
        let _ = sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_arrives_as_the_syslog_expects_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::at(&path, "orca-gateway", TimeZone::fixed(jiff::tz::offset(9)));
        syslog.say("2026-11-04T00:01:02Z".parse().unwrap(), "a\nb");
        let mut octets = [0; 200];
        let length = daemon.recv(&mut octets).unwrap();
        let id = std::process::id();
        assert_eq!(
            str::from_utf8(&octets[..length]).unwrap(),
            format!("<85>Nov  4 09:01:02 orca-gateway[{id}]: a#012b")
        );
    }

    #[test]
    fn a_machine_without_syslog_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let syslog = Syslog::at(&folder.path().join("log"), "orca-gateway", TimeZone::UTC);
        syslog.say(Timestamp::UNIX_EPOCH, "nobody listens");
    }
}
