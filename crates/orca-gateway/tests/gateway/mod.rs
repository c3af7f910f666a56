//! The proxy in process, between a client and an application of the tests.

mod forwarding;
mod framing;
mod https_upstream;
mod proxy;
mod websocket;
