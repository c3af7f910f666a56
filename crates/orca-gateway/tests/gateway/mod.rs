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

/// Writes a file of a test, not atomically: nobody watches it.
pub(crate) fn write(path: &std::path::Path, content: impl AsRef<[u8]>) {
    std::fs::File::create(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, content.as_ref()))
        .unwrap();
}
