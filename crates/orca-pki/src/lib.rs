//! X.509 as values.
//!
//! Certificates, revocation lists, keys and delivery sets as bytes and types. This crate does no
//! input or output, reads no clock and knows no async: time, randomness and bytes are arguments.

pub mod bundle;
pub mod certificate;
pub mod crl;
pub mod decryption;
pub mod encryption;
pub mod issuance;
pub mod key;
pub mod lint;
pub mod name;
pub mod passphrase;
pub mod pkcs12;
pub mod profile;
pub mod revocation;
pub mod serial;
pub mod validity;
pub mod verification;
