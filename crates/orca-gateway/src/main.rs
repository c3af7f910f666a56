//! SSL client authentication in front of WebORCA, with revocation that takes effect.

mod access_log;
mod args;
mod body;
mod clock;
mod conf_file;
mod config;
mod config_error;
mod connector;
mod counters;
mod credentials;
mod crl_store;
mod examination;
mod explain;
mod forward;
mod headers;
mod identity;
mod line_writer;
mod live;
mod log;
mod reload;
mod startup_log;
mod status;
mod tls;
mod trust;
mod upgrade;
mod upstream;

fn main() {}

#[cfg(test)]
#[path = "../tests/gateway/mod.rs"]
mod in_process;
