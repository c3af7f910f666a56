//! haproxy, configured to do the same work.

use crate::servers::Running;
use crate::servers::Setup;
use crate::servers::free_port;

pub(super) fn start(setup: &Setup<'_>) -> anyhow::Result<Running> {
    let port = free_port()?;
    let kit = &setup.clinic.server;
    // It wants certificate and key in one file.
    let both = [std::fs::read(kit.crt())?, std::fs::read(kit.pem())?].concat();
    std::fs::write(setup.folder.join("server.pem"), both)?;
    let path = setup.folder.join("haproxy.cfg");
    std::fs::write(&path, conf(setup, port))?;
    let program = setup.pinned("haproxy").args(["-W", "-f"]).arg(&path);
    setup.spawn("haproxy", &program, port)
}

fn conf(setup: &Setup<'_>, port: u16) -> String {
    let folder = setup.folder.display();
    let ca = setup.clinic.server.ca();
    let (ca, crl, origin, workers) = (
        ca.display(),
        setup.crl.display(),
        setup.origin,
        setup.workers,
    );
    format!(
        r#"global
    nbthread {workers}
    maxconn 9000
    log stdout format raw local0 info
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-bind-curves X25519:P-256
defaults
    mode http
    log global
    timeout connect 10s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
    http-reuse always
frontend public
    bind 127.0.0.1:{port} ssl crt {folder}/server.pem ca-file {ca} crl-file {crl} verify required alpn h2,http/1.1
    log-format "{{\"time\":\"%trg\",\"client\":{{\"address\":\"%ci\",\"issuer\":\"%[ssl_c_i_dn]\",\"serial\":\"%[ssl_c_serial,hex]\",\"subject\":\"%[ssl_c_s_dn]\",\"fingerprint\":\"%[ssl_c_sha1,hex]\"}},\"method\":\"%HM\",\"path\":\"%HU\",\"status\":%ST}}"
    http-request set-header X-Client-Cert-Serial %[ssl_c_serial,hex]
    http-request set-header X-Client-Cert-Subject %[ssl_c_s_dn]
    http-request set-header X-Client-Cert-Issuer %[ssl_c_i_dn]
    http-request set-header X-Client-Cert-Fingerprint %[ssl_c_sha1,hex]
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend application
backend application
    server weborca {origin}
"#
    )
}
