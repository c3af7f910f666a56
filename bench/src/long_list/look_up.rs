//! What the gateway does with a list at a handshake, alone: one look-up, in its own code.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Context;
use orca_pki::certificate::Certificate;
use orca_pki::crl::UnverifiedCrl;
use orca_pki::crl::split;
use orca_pki::serial::SerialNumber;

use crate::clinic::Clinic;

const LOOK_UPS: u64 = 1_000_000;
/// Prime, so that successive look-ups are far from each other.
const STRIDE: u64 = 7_919;

/// Nanoseconds of one look-up in a list (PEM), half of which meet an entry; entries are the serials from
/// `first` on.
pub(super) fn nanoseconds(
    clinic: &Clinic,
    list: &str,
    first: u64,
    entries: usize,
) -> anyhow::Result<f64> {
    let ca = Certificate::from_pem(&std::fs::read(clinic.server.ca())?)?;
    let der = split(list.as_bytes())?.pop().context("no list")?;
    let crl = UnverifiedCrl::from_der(&der)?.verify([&ca])?;
    let serials = (0..LOOK_UPS)
        .map(|index| SerialNumber::try_from(first + index * STRIDE % (2 * entries.max(1) as u64)))
        .collect::<Result<Vec<_>, _>>()?;
    let begin = Instant::now();
    let mut found = 0;
    for serial in &serials {
        found += usize::from(black_box(crl.revoked_at(serial)).is_some());
    }
    let elapsed = begin.elapsed();
    anyhow::ensure!(entries == 0 || found > 0, "nothing was found");
    Ok(elapsed.as_nanos() as f64 / LOOK_UPS as f64)
}
