//! Stories from a clinic, told with the real programs.

mod bad_input;
mod browser;
mod crl_delivery;
mod crl_poll;
mod crowd;
mod expiry;
mod faults;
mod first_start;
mod guide;
mod hygiene;
mod killed;
mod kits;
mod login;
mod operations;
mod operators;
mod publish;
mod refusals;
mod register;
mod reload;
mod revocation;
mod streams;
mod takeover;
mod transition;
mod two_gateways;
mod under_load;
mod windows;
