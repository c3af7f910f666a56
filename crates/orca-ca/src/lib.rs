//! The authority: the only code that touches the issuer key or SQL.
//!
//! [`authority::Authority`] tells each flow (init, issue, export, revoke, issue a CRL) in one
//! function; the command line and, later, the console are faces of it.

pub mod actor;
pub mod authority;
pub mod config;
pub mod custody;
pub mod delivery;
pub mod error;
pub mod installation;
pub mod place;
pub mod publication;
pub mod record;
pub mod scribe;
pub mod store;
pub mod trail;

pub use authority::Authority;
pub use error::Error;
