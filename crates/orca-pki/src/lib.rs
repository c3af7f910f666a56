//! X.509 as values.
//!
//! Certificates, revocation lists, keys and delivery sets as bytes and types. This crate does no
//! input or output, reads no clock and knows no async: time, randomness and bytes are arguments.

pub mod certificate;
pub mod key;
pub mod name;
pub mod serial;
pub mod validity;
pub mod verification;
