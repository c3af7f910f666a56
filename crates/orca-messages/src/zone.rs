//! The zone of this machine.

use std::env;
use std::fs;

use jiff::tz::TimeZone;

const LOCALTIME: &str = "/etc/localtime";

/// The zone in which this machine tells the time; UTC where it does not say.
///
/// [`TimeZone::system`] reads the names of all zones to find that of `/etc/localtime`: a hundred
/// system calls and a millisecond. Nobody asks for its name here, and the file itself says the rest.
pub fn local() -> TimeZone {
    let unnamed = || TimeZone::tzif(LOCALTIME, &fs::read(LOCALTIME).ok()?).ok();
    match env::var_os("TZ") {
        None => unnamed().unwrap_or_else(TimeZone::system),
        Some(_) => TimeZone::system(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn it_is_the_zone_of_the_system() {
        for at in [
            "1970-01-01T00:00:00Z",
            "2026-07-01T12:00:00Z",
            "2060-12-31T00:00:00Z",
        ] {
            let at: Timestamp = at.parse().unwrap();
            let offset = local().to_offset(at);
            assert_eq!(offset, TimeZone::system().to_offset(at), "{at}");
        }
    }
}
