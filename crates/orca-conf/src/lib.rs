//! WebORCA's configuration file (`jma-receipt.conf`, `orca-gateway.conf`): shell assignments, read as
//! a shell would and edited without touching anything else in it.

mod edit;
mod read;

pub use edit::{EditError, comment_out, set};
pub use read::{Assignment, ConfFile, Peculiarity};
