//! Stories from a clinic, told with the real programs.

mod bad_input;
mod browser;
mod crowd;
mod faults;
mod first_start;
mod login;
mod refusals;
mod register;
mod reload;
mod revocation;
mod streams;
