//! Versions: ours, the kernel's, the system's.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::text;

use super::{Item, moment};

/// What runs here.
pub(super) fn item(now: Timestamp, zone: &TimeZone) -> Item {
    let kernel = rustix::system::uname();
    let program = std::env::current_exe()
        .map_or_else(|error| error.to_string(), |path| path.display().to_string());
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let mut text = format!(
        "orca-gateway  {}\nprogram       {program}\ntime          {}\nkernel        {} {} {}\nprocessors    {processors}\n",
        env!("CARGO_PKG_VERSION"),
        moment(now, zone),
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy(),
    );
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split('.').next().unwrap_or_default();
    text.push_str(&format!("uptime        {seconds} s\n\n"));
    text.push_str(&std::fs::read_to_string("/etc/os-release").unwrap_or_default());
    let about = text!(
        "プログラム、カーネル、OSの版",
        "versions of the program, kernel and system"
    );
    Item::new("versions.txt", about, Ok(text))
}
