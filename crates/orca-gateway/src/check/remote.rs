//! Revocation lists at an address, fetched once.

use orca_messages::Finding;
use orca_pki::verification::Authorities;
use rustls_pki_types::CertificateDer;

use crate::connector::Connector;
use crate::crl_address::CrlAddress;
use crate::crl_poll::{FetchError, Fetched, fetch, not_fetched};

/// What lies at the address.
///
/// # Errors
/// Why there is nothing, as the running gateway would say it.
pub(super) fn content(
    address: &CrlAddress,
    authorities: &Authorities,
) -> Result<Vec<u8>, Box<Finding>> {
    let failed = |error: FetchError| Box::new(not_fetched(address, error.phrase()));
    let authorities: Vec<_> = authorities
        .iter()
        .map(|authority| CertificateDer::from(authority.der().to_vec()))
        .collect();
    let connector = match Connector::for_lists(address, &authorities) {
        Ok(connector) => connector,
        Err(error) => return Err(Box::new(super::failure(&error))),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.into()))?;
    let fetched = runtime.block_on(fetch(&connector, address, None));
    runtime.shutdown_background();
    match fetched {
        Ok(Fetched::Content(octets, _)) => Ok(octets.to_vec()),
        // It was not asked for less than the content.
        Ok(Fetched::Unchanged) => Err(failed(FetchError::NotAsked)),
        Err(error) => Err(failed(error)),
    }
}
