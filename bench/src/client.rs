//! The TLS side of the load generator: what is offered, and one connection at a time.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use orca_e2e::kit::Kit;
use orca_e2e::site::SERVER_NAME;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Protocol version.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

/// Key exchange groups, best first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Groups {
    /// X25519, then P-256.
    Classic,
    /// X25519MLKEM768 alone.
    PostQuantum,
}

/// What is spoken over TLS.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// What a client offers in its handshakes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Offer {
    pub(crate) version: Version,
    pub(crate) groups: Groups,
    pub(crate) protocol: Protocol,
}

/// A client that shows its certificate and remembers no session.
#[derive(Clone)]
pub(crate) struct Client {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Client {
    pub(crate) fn new(kit: &Kit, offer: Offer) -> anyhow::Result<Self> {
        let provider = CryptoProvider {
            kx_groups: groups(offer.groups),
            ..aws_lc_rs::default_provider()
        };
        let version = match offer.version {
            Version::Tls12 => &rustls::version::TLS12,
            Version::Tls13 => &rustls::version::TLS13,
        };
        let chain = CertificateDer::pem_file_iter(kit.crt())?.collect::<Result<_, _>>()?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])?
            .with_root_certificates(roots(&kit.ca())?)
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(kit.pem())?)?;
        config.resumption = Resumption::disabled();
        config.alpn_protocols = match offer.protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Self {
            connector: Arc::new(config).into(),
            name: ServerName::try_from(SERVER_NAME)?,
        })
    }

    /// Connects and completes the handshake, as far as a client can know.
    pub(crate) async fn connect(&self, server: SocketAddr) -> anyhow::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(server).await.context("connect")?;
        tcp.set_nodelay(true)?;
        let stream = self.connector.connect(self.name.clone(), tcp).await;
        stream.context("handshake")
    }
}

fn roots(ca: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

fn groups(groups: Groups) -> Vec<&'static dyn SupportedKxGroup> {
    match groups {
        Groups::Classic => vec![kx_group::X25519, kx_group::SECP256R1],
        Groups::PostQuantum => vec![kx_group::X25519MLKEM768],
    }
}
