//! New connections to the application, plain or over TLS.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use orca_messages::{Localize, Text, text};
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::config::{Upstream, UpstreamIdentity};
use crate::crl_address::CrlAddress;
use crate::tls::{CRL_DELIVERY, HTTP_1_1};

/// An application that takes longer than this to accept a connection counts as down.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

const KEEPALIVE: Duration = Duration::from_secs(60);

/// A connection to the application.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Opens connections to one application.
#[derive(Clone)]
pub(crate) struct Connector {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// An https application cannot be verified, or our certificate towards it cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectorError {
    #[error("{key}={}: {source}", path.display())]
    Unreadable {
        key: &'static str,
        path: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    #[error("{key}={}: no certificate", path.display())]
    NoCertificate { key: &'static str, path: PathBuf },
    #[error("GATEWAY_UPSTREAM_CRT={} and GATEWAY_UPSTREAM_PEM={}: {source}", crt.display(), pem.display())]
    Identity {
        crt: PathBuf,
        pem: PathBuf,
        source: rustls::Error,
    },
    #[error("{host} is no host name")]
    HostName { host: String },
    #[error("TLS towards the application: {0}")]
    Tls(#[from] rustls::Error),
}

impl Connector {
    /// Prepares connections to `upstream`. An https application must be vouched for by
    /// `GATEWAY_UPSTREAM_CA`, else by `ca_crt` or the roots of the system.
    ///
    /// # Errors
    /// A file of it cannot be used.
    pub(crate) fn new(upstream: &Upstream, ca_crt: Option<&Path>) -> Result<Self, ConnectorError> {
        let host = host(&upstream.authority);
        let tls = if upstream.scheme == Scheme::HTTPS {
            let name = server_name(host)?;
            Some((TlsConnector::from(tls_config(upstream, ca_crt)?), name))
        } else {
            None
        };
        Ok(Self {
            host: host.to_owned(),
            port: upstream.authority.port_u16().unwrap_or(80),
            tls,
        })
    }

    /// Prepares connections to a server of revocation lists, which one of `authorities` or the roots
    /// of the system must vouch for. Another gateway hears what it is wanted for.
    ///
    /// # Errors
    /// The address is no name that a certificate can have.
    pub(crate) fn for_lists(
        address: &CrlAddress,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, ConnectorError> {
        let host = host(&address.authority);
        let tls = if address.scheme == Scheme::HTTPS {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities.iter().cloned());
            add_system_roots(&mut roots);
            let mut config = config_builder(roots)?.with_no_client_auth();
            config.alpn_protocols = vec![CRL_DELIVERY.to_vec(), HTTP_1_1.to_vec()];
            Some((TlsConnector::from(Arc::new(config)), server_name(host)?))
        } else {
            None
        };
        Ok(Self {
            host: host.to_owned(),
            port: address.authority.port_u16().unwrap_or(80),
            tls,
        })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Nobody listens, it takes too long, or the application cannot be verified.
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        match tokio::time::timeout(CONNECT_DEADLINE, self.open()).await {
            Ok(stream) => stream,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn open(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // Head and body leave in pieces; none of them may wait for an acknowledgement.
        stream.set_nodelay(true)?;
        // A machine that was switched off never answers and never closes.
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE / 4);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        match &self.tls {
            None => Ok(Either::Left(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await?;
                Ok(Either::Right(Box::new(stream)))
            }
        }
    }
}

/// Without the brackets of an IPv6 address.
fn host(authority: &Authority) -> &str {
    let host = authority.host();
    host.trim_start_matches('[').trim_end_matches(']')
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConnectorError> {
    ServerName::try_from(host.to_owned()).map_err(|_| ConnectorError::HostName {
        host: host.to_owned(),
    })
}

fn config_builder(
    roots: RootCertStore,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots))
}

fn tls_config(
    upstream: &Upstream,
    ca_crt: Option<&Path>,
) -> Result<Arc<ClientConfig>, ConnectorError> {
    let builder = config_builder(roots(upstream, ca_crt)?)?;
    let mut config = match &upstream.identity {
        None => builder.with_no_client_auth(),
        Some(UpstreamIdentity { crt, pem }) => {
            let key = PrivateKeyDer::from_pem_file(pem);
            let key = key.map_err(unreadable("GATEWAY_UPSTREAM_PEM", pem))?;
            builder
                .with_client_auth_cert(certificates("GATEWAY_UPSTREAM_CRT", crt)?, key)
                .map_err(|source| ConnectorError::Identity {
                    crt: crt.clone(),
                    pem: pem.clone(),
                    source,
                })?
        }
    };
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

fn roots(upstream: &Upstream, ca_crt: Option<&Path>) -> Result<RootCertStore, ConnectorError> {
    let mut roots = RootCertStore::empty();
    let own = upstream.ca.as_deref().map(|ca| ("GATEWAY_UPSTREAM_CA", ca));
    if let Some((key, path)) = own.or_else(|| ca_crt.map(|ca_crt| ("CA_CRT", ca_crt))) {
        for certificate in certificates(key, path)? {
            roots.add(certificate)?;
        }
    }
    if upstream.ca.is_none() {
        add_system_roots(&mut roots);
    }
    Ok(roots)
}

/// A machine without roots of its own is no error: the other side may be ours.
fn add_system_roots(roots: &mut RootCertStore) {
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ConnectorError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(key, path))?;
    if certificates.is_empty() {
        return Err(ConnectorError::NoCertificate {
            key,
            path: path.to_owned(),
        });
    }
    Ok(certificates)
}

fn unreadable(
    key: &'static str,
    path: &Path,
) -> impl FnOnce(rustls_pki_types::pem::Error) -> ConnectorError {
    let path = path.to_owned();
    move |source| ConnectorError::Unreadable { key, path, source }
}

impl Localize for ConnectorError {
    fn id(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::NoCertificate { .. } => "upstream-file-unusable",
            Self::Identity { .. } => "upstream-pair-unusable",
            Self::HostName { .. } => "upstream-host-invalid",
            Self::Tls(_) => "upstream-tls-unusable",
        }
    }

    fn message(&self) -> Text {
        text!(
            "日レセ(アプリケーション)への暗号化接続を準備できません({self})。",
            "cannot prepare TLS towards the application: {self}"
        )
    }

    fn remedy(&self) -> Text {
        match self {
            Self::Unreadable { .. } | Self::NoCertificate { .. } => text!(
                "GATEWAY_UPSTREAM_CA、_CRT、_PEMのファイルがPEM形式で、読み取れることを確認してください。",
                "check that the files of GATEWAY_UPSTREAM_CA, _CRT and _PEM are PEM and readable"
            ),
            Self::Identity { .. } => text!(
                "GATEWAY_UPSTREAM_CRTとGATEWAY_UPSTREAM_PEMに、対になる証明書と鍵を指定してください。",
                "name a certificate and its own key in GATEWAY_UPSTREAM_CRT and GATEWAY_UPSTREAM_PEM"
            ),
            Self::HostName { .. } | Self::Tls(_) => text!(
                "GATEWAY_UPSTREAMとGATEWAY_UPSTREAM_CAを確認してください。",
                "check GATEWAY_UPSTREAM and GATEWAY_UPSTREAM_CA"
            ),
        }
    }
}
