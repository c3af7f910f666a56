//! A TLS client that shows exactly what a server does: the handshake, the answer, the alert.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::StreamOwned;
use rustls::SupportedProtocolVersion;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;

use crate::http1;
use crate::http1::Response;
use crate::kit::Kit;
use crate::site::SERVER_NAME;

pub use rustls::AlertDescription as Alert;

/// The open connection.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tls12, Self::Tls13];

    fn rustls(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

/// What a client shows of itself: a chain and a key, which need not belong together.
#[derive(Clone, Debug)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// The certificate of a delivery with its key.
    ///
    /// # Errors
    ///
    /// When a file is missing or no PEM.
    pub fn of(kit: &Kit) -> anyhow::Result<Self> {
        Self::read(&kit.crt(), &kit.pem())
    }

    /// The certificates in one PEM file with the key in another.
    ///
    /// # Errors
    ///
    /// When a file is missing or no PEM.
    pub fn read(certificates: &Path, key: &Path) -> anyhow::Result<Self> {
        let chain = CertificateDer::pem_file_iter(certificates)?.collect::<Result<_, _>>()?;
        Self::new(chain, PrivateKeyDer::from_pem_file(key)?)
    }

    /// Any chain with any key.
    ///
    /// # Errors
    ///
    /// When the key is none.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> anyhow::Result<Self> {
        let key = aws_lc_rs::sign::any_supported_type(&key)?;
        Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// As a server shows it.
    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

/// Shows its identity whatever the server asks for, unlike a browser.
#[derive(Debug)]
struct Always(Option<Identity>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.as_ref().map(|identity| Arc::clone(&identity.0))
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// What came of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// A response, whatever it says.
    Response(Response),
    /// A fatal alert, in the handshake or instead of a response.
    Alert(Alert),
    /// The connection ended otherwise.
    Broken(String),
}

impl Answer {
    /// The response.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn response(self) -> anyhow::Result<Response> {
        match self {
            Self::Response(response) => Ok(response),
            other => anyhow::bail!("no response: {other:?}"),
        }
    }

    fn from_error(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match tls {
            Some(rustls::Error::AlertReceived(alert)) => Self::Alert(*alert),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// A client with one identity, or none; it remembers sessions as far as a server lets it.
#[derive(Clone, Debug)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Trusts `ca` (PEM) and speaks one version only.
    ///
    /// # Errors
    ///
    /// When `ca` cannot be read.
    pub fn new(ca: &Path, version: Version, identity: Option<Identity>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca)? {
            roots.add(certificate?)?;
        }
        let provider: CryptoProvider = aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version.rustls()])?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Always(identity)));
        Ok(Self(Arc::new(config)))
    }

    /// The same with these protocols offered (ALPN, RFC 7301).
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        Arc::make_mut(&mut self.0).alpn_protocols = protocols.collect();
        self
    }

    /// Connects to the server under its usual name and finishes the client's half of the handshake.
    ///
    /// # Errors
    ///
    /// Of the stream; an alert is inside as [`rustls::Error::AlertReceived`].
    pub fn connect(&self, address: SocketAddr) -> io::Result<TlsStream> {
        let tcp = http1::connect(address).map_err(io::Error::other)?;
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        let connection =
            ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// Connects for HTTP/2 (RFC 9113 §3.2).
    ///
    /// # Errors
    ///
    /// Of the stream, or when another protocol was agreed on.
    pub async fn connect_http2(
        &self,
        address: SocketAddr,
    ) -> anyhow::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = tokio::net::TcpStream::connect(address).await?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect(ServerName::try_from(SERVER_NAME)?, tcp)
            .await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        anyhow::ensure!(agreed == Some(b"h2"), "{agreed:?}");
        Ok(stream)
    }

    /// Connects, sends a request as it stands and tells what came of it.
    pub fn send(&self, address: SocketAddr, request: &[u8]) -> Answer {
        let answer = self
            .connect(address)
            .and_then(|mut stream| http1::exchange(&mut stream, request));
        match answer {
            Ok(response) => Answer::Response(response),
            Err(error) => Answer::from_error(error),
        }
    }

    /// Connects and asks for a page as a browser in Japan does.
    pub fn get(&self, address: SocketAddr, path: &str) -> Answer {
        self.send(
            address,
            request(address, path, &["Accept-Language: ja"]).as_bytes(),
        )
    }
}

/// A GET request with these fields, for one request on an open connection.
pub fn request(address: SocketAddr, path: &str, fields: &[&str]) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {SERVER_NAME}:{}\r\n{fields}\r\n",
        address.port()
    )
}

/// Reads on until the server has ended the connection and tells how.
///
/// # Errors
///
/// When it does not end.
pub fn read_to_end(stream: &mut (impl Read + Write)) -> anyhow::Result<Vec<u8>> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => Ok(rest),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(error).context("the server keeps the connection open")
        }
        // A reset, an alert or an end without close_notify: it is closed all the same.
        Err(_) => Ok(rest),
    }
}
