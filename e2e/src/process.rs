//! Programs that go on running beside a test.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::process::Child;
use std::process::ExitStatus;

use anyhow::Context;
use anyhow::bail;
use rustix::process::Pid;
use rustix::process::Signal;

use crate::wait;

/// A running program; it is killed, by its own pid, when the guard is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Takes charge of a child.
    pub fn new(name: &str, child: Child) -> Self {
        let name = name.to_owned();
        Self { name, child }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When it has already ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("a pid is positive")?;
        rustix::process::kill_process(pid, signal)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When it goes on and on.
    pub fn end(&mut self) -> anyhow::Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let child = &mut self.child;
        Ok(wait::until(&what, || child.try_wait().transpose())??)
    }

    /// Kills it at once, as a power cut does.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// The most memory it ever held, in KiB (`VmHWM`).
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .context("no VmHWM")?
            .parse()
            .context("VmHWM is no number")
    }

    /// Waits until it listens on a TCP port of this address and tells which.
    ///
    /// The kernel's own table is asked, so that a program may be given port 0.
    ///
    /// # Errors
    ///
    /// When it ends, or never listens there.
    pub fn listening(&mut self, address: impl Into<IpAddr>) -> anyhow::Result<SocketAddr> {
        let address = address.into();
        let what = format!("{} listens on {address}", self.name);
        let found = wait::until(&what, || match self.ended() {
            Ok(None) => Some(Ok(*self
                .listeners()
                .iter()
                .find(|at| at.ip() == address)?)),
            Ok(Some(status)) => Some(Err(status)),
            Err(_) => None,
        })?;
        match found {
            Ok(address) => Ok(address),
            Err(status) => bail!("{} ended before it listened: {status}", self.name),
        }
    }

    /// Every address it listens on (proc(5): `/proc/PID/net/tcp`, state `0A`).
    fn listeners(&self) -> Vec<SocketAddr> {
        let proc = format!("/proc/{}", self.id());
        let Ok(descriptors) = std::fs::read_dir(format!("{proc}/fd")) else {
            return Vec::new();
        };
        let sockets: Vec<String> = descriptors
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter_map(|link| {
                let link = link.to_str()?.strip_prefix("socket:[")?;
                Some(link.strip_suffix(']')?.to_owned())
            })
            .collect();
        ["tcp", "tcp6"]
            .iter()
            .filter_map(|table| std::fs::read_to_string(format!("{proc}/net/{table}")).ok())
            .flat_map(|table| {
                let rows = table.lines().skip(1).map(str::to_owned);
                rows.collect::<Vec<_>>()
            })
            .filter_map(|row| listener(&row, &sockets))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The address of a row of the table, if it listens and the socket is one of these.
fn listener(row: &str, sockets: &[String]) -> Option<SocketAddr> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    let inode = *fields.get(9)?;
    let ours = fields[3] == "0A" && sockets.iter().any(|socket| socket == inode);
    ours.then(|| socket_address(fields[1]))?
}

/// `0100007F:1F90` is 127.0.0.1:8080: 32 bits each in the byte order of the machine.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let octets: Vec<u8> = (0..address.len() / 8)
        .map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let address = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    Some((address, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_gives_addresses() {
        if cfg!(target_endian = "little") {
            for (text, address) in [
                ("0100007F:1F90", "127.0.0.1:8080"),
                ("00000000000000000000000000000000:1F90", "[::]:8080"),
                ("00000000000000000000000001000000:1F90", "[::1]:8080"),
            ] {
                assert_eq!(socket_address(text), address.parse().ok());
            }
        }
        assert_eq!(socket_address("junk"), None);
    }
}
