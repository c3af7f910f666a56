//! SSL client authentication in front of WebORCA, with revocation that takes effect.

mod clock;
mod conf_file;
mod config;
mod config_error;
mod identity;

fn main() {}
