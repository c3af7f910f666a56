//! The service manager. Without one, the units stay where they are and people start programs.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::files;

/// WebORCA's own unit.
pub(crate) const WEBORCA: &str = "jma-receipt-weborca.service";
pub(crate) const GATEWAY: &str = "orca-gateway.service";
pub(crate) const SOCKET: &str = "orca-gateway.socket";
pub(crate) const DOOR: &str = "orca-gateway-door.service";

const SOCKET_DROP_IN: &str = "/etc/systemd/system/orca-gateway.socket.d";
const DROP_IN_NAME: &str = "attach.conf";

/// Whether systemd runs this machine (sd_booted(3)).
pub(crate) fn is_there() -> bool {
    sd_notify::booted().unwrap_or(false)
}

/// `systemctl ARGS`.
///
/// # Errors
/// It cannot be run or fails; with what it said.
pub(crate) fn systemctl(args: &[&str]) -> io::Result<()> {
    let output = Command::new("systemctl")
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(io::Error::other(format!(
        "systemctl {}: {said}",
        args.join(" ")
    )))
}

/// Makes the socket unit listen where the gateway's configuration says.
///
/// # Errors
/// The drop-in cannot be written.
pub(crate) fn listen_on(port: u16) -> io::Result<()> {
    let folder = Path::new(SOCKET_DROP_IN);
    files::make_folder(folder)?;
    let text =
        format!("# orca-gateway attach\n[Socket]\nListenStream=\nListenStream=[::]:{port}\n");
    files::replace(&folder.join(DROP_IN_NAME), text.as_bytes(), 0o644)?;
    systemctl(&["daemon-reload"])
}

/// The socket unit as the package ships it.
///
/// # Errors
/// The drop-in cannot be removed.
pub(crate) fn listen_as_shipped() -> io::Result<()> {
    files::remove(&Path::new(SOCKET_DROP_IN).join(DROP_IN_NAME))?;
    systemctl(&["daemon-reload"])
}
