//! nginx, configured to do the same work.

use crate::servers::Running;
use crate::servers::Setup;
use crate::servers::free_port;

pub(super) fn start(setup: &Setup<'_>) -> anyhow::Result<Running> {
    let port = free_port()?;
    let path = setup.folder.join("nginx.conf");
    std::fs::write(&path, conf(setup, port))?;
    let errors = setup.folder.join("error.log");
    let program = setup
        .pinned("nginx")
        .arg("-c")
        .arg(&path)
        .arg("-e")
        .arg(errors)
        .arg("-p")
        .arg(&setup.folder);
    setup.spawn("nginx", &program, port)
}

fn conf(setup: &Setup<'_>, port: u16) -> String {
    let folder = setup.folder.display();
    let kit = &setup.clinic.server;
    let (crt, key, ca) = (kit.crt(), kit.pem(), kit.ca());
    let (crt, key, ca) = (crt.display(), key.display(), ca.display());
    let (crl, origin, workers) = (setup.crl.display(), setup.origin, setup.workers);
    format!(
        r#"user root;
daemon off;
worker_processes {workers};
worker_rlimit_nofile 20000;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{ worker_connections 19000; }}
http {{
    log_format json escape=json '{{"time":"$time_iso8601","client":{{"address":"$remote_addr",'
        '"issuer":"$ssl_client_i_dn","serial":"$ssl_client_serial","subject":"$ssl_client_s_dn",'
        '"fingerprint":"$ssl_client_fingerprint"}},"method":"$request_method","path":"$uri",'
        '"status":$status}}';
    access_log {folder}/access.log json buffer=64k flush=1s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    upstream application {{
        server {origin};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {crt};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:prime256v1;
        ssl_client_certificate {ca};
        ssl_crl {crl};
        ssl_verify_client on;
        ssl_session_cache off;
        ssl_session_tickets off;
        location / {{
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Client-Cert-Serial $ssl_client_serial;
            proxy_set_header X-Client-Cert-Subject $ssl_client_s_dn;
            proxy_set_header X-Client-Cert-Issuer $ssl_client_i_dn;
            proxy_set_header X-Client-Cert-Fingerprint $ssl_client_fingerprint;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
    }}
}}
"#
    )
}
