//! Waiting for something to happen, never for time to pass.

use std::time::Duration;
use std::time::Instant;

use anyhow::bail;

/// Long enough for a loaded machine; a wait that ends earlier costs nothing.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `condition` until it gives something.
///
/// # Errors
///
/// After [`PATIENCE`], naming `what` was waited for.
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    within(PATIENCE, what, condition)
}

/// Asks `condition` until it gives something, at most as long as `limit`.
///
/// # Errors
///
/// After `limit`, naming `what` was waited for.
pub fn within<T>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() > end {
            bail!("waited {limit:?} in vain: {what}");
        }
        // The pause between two looks, not a guess how long something takes.
        std::thread::sleep(Duration::from_millis(5));
    }
}
