//! An application that speaks https: it is verified, and we can show it a certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use orca_messages::Localize;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::proxy::soon;
use crate::body::{RequestBody, full};
use crate::config::{self, Config};
use crate::connector::{Connector, ConnectorError};
use crate::slots::Slots;
use crate::upstream::Upstream;
use crate::upstream::trouble::Trouble;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key for `name`, as PEM files in the folder.
fn issue(ca: &Ca, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    (
        save(folder, &format!("{name}.crt"), &certificate.pem()),
        save(folder, &format!("{name}.pem"), &key.serialize_pem()),
    )
}

fn save(folder: &Path, name: &str, text: &str) -> PathBuf {
    use std::io::Write;
    let path = folder.join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

/// Says hello to whoever shows a certificate of `ca`.
async fn application(ca: &Ca, folder: &Path) -> std::net::SocketAddr {
    let (crt, pem) = issue(ca, folder, "127.0.0.1");
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_file(crt).unwrap()],
            PrivateKeyDer::from_pem_file(pem).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else {
                    return;
                };
                let hello = hyper::service::service_fn(|_| async {
                    Ok::<_, std::convert::Infallible>(Response::new(full("hello")))
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(tls), hello)
                    .await;
            });
        }
    });
    address
}

fn config(address: std::net::SocketAddr, lines: &str) -> Config {
    let text = format!("GATEWAY_UPSTREAM=https://{address}\n{lines}");
    config::interpret(Path::new("x.conf"), &text)
        .config
        .unwrap()
}

async fn hello(connector: Connector) -> Result<String, &'static str> {
    let request = Request::get("/")
        .header("host", "a")
        .body(RequestBody::empty())
        .unwrap();
    let upstream = Upstream::new(connector, Slots::new(8, Slots::PATIENCE));
    let (response, _lease) = soon(upstream.send(request))
        .await
        .map_err(|error| Trouble::of(&error).id())?;
    let body = soon(response.into_body().collect()).await.unwrap();
    Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn the_application_is_verified_and_sees_our_certificate() {
    let (ca, other) = (ca(), ca());
    let folder = tempfile::tempdir().unwrap();
    let address = application(&ca, folder.path()).await;
    let ca_crt = save(folder.path(), "ca.crt", &ca.pem());
    let other_crt = save(folder.path(), "other.crt", &other.pem());
    let (crt, pem) = issue(&ca, folder.path(), "gateway");
    let (crt, pem) = (crt.display(), pem.display());
    let ours = format!("GATEWAY_UPSTREAM_CRT={crt}\nGATEWAY_UPSTREAM_PEM={pem}\n");

    // By CA_CRT, or by a CA of its own.
    let by_ca_crt = Connector::new(&config(address, &ours).upstream, Some(&ca_crt)).unwrap();
    assert_eq!(hello(by_ca_crt).await, Ok("hello".to_owned()));
    let own = format!("{ours}GATEWAY_UPSTREAM_CA={}\n", ca_crt.display());
    let by_own = Connector::new(&config(address, &own).upstream, Some(&other_crt)).unwrap();
    assert_eq!(hello(by_own).await, Ok("hello".to_owned()));

    // A CA of its own replaces CA_CRT; a stranger is not spoken to.
    let wrong = format!("{ours}GATEWAY_UPSTREAM_CA={}\n", other_crt.display());
    let by_wrong = Connector::new(&config(address, &wrong).upstream, Some(&ca_crt)).unwrap();
    assert_eq!(hello(by_wrong).await, Err("upstream-certificate"));

    // Without our certificate this application refuses.
    let nobody = Connector::new(&config(address, "").upstream, Some(&ca_crt)).unwrap();
    assert_eq!(hello(nobody).await, Err("upstream-refuses-us"));

    // Nobody there at all.
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let nowhere = Connector::new(&config(nowhere, "").upstream, Some(&ca_crt)).unwrap();
    assert_eq!(hello(nowhere).await, Err("upstream-down"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    let junk = save(folder.path(), "junk", "junk");
    let (crt, _) = issue(&ca(), folder.path(), "one");
    let (_, pem) = issue(&ca(), folder.path(), "two");
    let failed = |lines: String| {
        let config = config(address, &lines);
        Connector::new(&config.upstream, None)
            .map(drop)
            .unwrap_err()
    };
    let error = failed(format!("GATEWAY_UPSTREAM_CA={}", junk.display()));
    assert!(matches!(&error, ConnectorError::NoCertificate { path, .. } if *path == junk));
    assert!(error.to_string().starts_with("GATEWAY_UPSTREAM_CA="));
    let error = failed("GATEWAY_UPSTREAM_CA=/nowhere".to_owned());
    assert!(matches!(error, ConnectorError::Unreadable { .. }));
    let error = failed(format!(
        "GATEWAY_UPSTREAM_CRT={}\nGATEWAY_UPSTREAM_PEM=/nowhere",
        crt.display()
    ));
    assert!(
        error
            .to_string()
            .starts_with("GATEWAY_UPSTREAM_PEM=/nowhere")
    );
    let (crt, pem) = (crt.display(), pem.display());
    let error = failed(format!(
        "GATEWAY_UPSTREAM_CRT={crt}\nGATEWAY_UPSTREAM_PEM={pem}"
    ));
    assert!(matches!(error, ConnectorError::Identity { .. }));
}
