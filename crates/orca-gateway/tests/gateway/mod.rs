//! The proxy in process, between a client and an application of the tests.

mod crl_service;
mod cross_site;
pub(crate) mod forge;
pub(crate) mod forged_lists;
mod forwarding;
mod framing;
mod house;
mod https_upstream;
mod hygiene;
mod limits;
pub(crate) mod proxy;
mod raw_http2;
mod refusals;
mod revocation;
mod websocket;
