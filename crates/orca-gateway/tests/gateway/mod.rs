//! The proxy in process, between a client and an application of the tests.

pub(crate) mod forge;
mod forwarding;
mod framing;
mod house;
mod https_upstream;
mod proxy;
mod refusals;
mod revocation;
mod websocket;
