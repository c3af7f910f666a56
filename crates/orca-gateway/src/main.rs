//! SSL client authentication in front of WebORCA, with revocation that takes effect.

mod access_log;
mod args;
mod body;
mod check;
mod choices;
mod clock;
mod conf_file;
mod config;
mod config_error;
mod connection;
mod connector;
mod credentials;
mod crl_store;
mod examination;
mod explain;
mod forward;
mod headers;
mod identity;
mod line_writer;
mod links;
mod listener;
mod live;
mod log;
mod meters;
mod reload;
mod session;
mod shutdown;
mod startup_log;
mod status;
mod stream;
mod tls;
mod trust;
mod upgrade;
mod upstream;

fn main() {}

#[cfg(test)]
#[path = "../tests/gateway/mod.rs"]
mod in_process;
