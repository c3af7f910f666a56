//! What the application says when it is asked: one that takes connections may hang, speak TLS where
//! http is expected, or be another program.

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use orca_diagnosis::facts::{self, Contact};
use orca_diagnosis::target::Target;
use orca_messages::{Finding, Localize, render, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::Config;
use crate::connector::Connector;
use crate::upstream::trouble::Trouble;

/// Longest wait for the beginning of an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of an answer that are read.
const BEGINNING: usize = 1024;
/// What servers of https say to http, with status 400: Go, nginx, Apache httpd.
const NEEDS_TLS: [&str; 3] = ["HTTPS server", "HTTPS port", "SSL-enabled"];

/// What came of one request.
enum Said {
    Nothing,
    These(Vec<u8>),
}

/// Nothing where no connection comes about: `check` has told why.
pub(super) fn finding(config: &Config, ca_crt: Option<&Path>, now: Timestamp) -> Option<Finding> {
    let connector = Connector::new(&config.upstream, ca_crt).ok()?;
    let host = config.upstream.authority.as_str();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let address = config.upstream.to_string();
    match runtime.block_on(ask(&connector, host))? {
        Ok(Said::Nothing) => Some(silent(&address)),
        // Some servers of https close without a word.
        Ok(Said::These(octets)) if octets.is_empty() && is_tls(config, now) => {
            Some(speaks_tls(&address))
        }
        Ok(Said::These(octets)) => Some(judge(&address, &octets)),
        Err(error) => {
            let trouble = Trouble::of(&error);
            Some(Finding::failure(
                trouble.id(),
                trouble.message(),
                trouble.remedy(),
            ))
        }
    }
}

async fn ask(connector: &Connector, host: &str) -> Option<io::Result<Said>> {
    let mut stream = connector.connect().await.ok()?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let talk = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut octets = Vec::new();
        // The rest of a page is no matter, nor how it ends.
        let mut beginning = stream.take(BEGINNING as u64);
        match beginning.read_to_end(&mut octets).await {
            Err(error) if octets.is_empty() => Err(error),
            _ => Ok(Said::These(octets)),
        }
    };
    Some(
        tokio::time::timeout(PATIENCE, talk)
            .await
            .unwrap_or(Ok(Said::Nothing)),
    )
}

fn is_tls(config: &Config, now: Timestamp) -> bool {
    let authority = &config.upstream.authority;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let (Ok(host), Some(port)) = (host.parse(), authority.port_u16()) else {
        return false;
    };
    let contact = facts::look(&Target { host, port }, None, now);
    matches!(contact, Contact::Tls(_))
}

fn judge(address: &str, octets: &[u8]) -> Finding {
    let text = String::from_utf8_lossy(octets);
    // An alert of TLS (RFC 8446 §5.1).
    let is_alert = octets.first() == Some(&21);
    if is_alert || (text.contains(" 400") && NEEDS_TLS.iter().any(|word| text.contains(word))) {
        return speaks_tls(address);
    }
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    match status.filter(|status| status.bytes().all(|octet| octet.is_ascii_digit())) {
        Some(status) => Finding::ok(
            "upstream-answers",
            text!(
                "日レセ(アプリケーション) {address} が応答しました(HTTP {status})。",
                "the application at {address} answers (HTTP {status})"
            ),
        ),
        None => no_http(address, text.lines().next().unwrap_or_default()),
    }
}

fn silent(address: &str) -> Finding {
    Finding::failure(
        "upstream-silent",
        text!(
            "日レセ(アプリケーション) {address} は接続を受け付けますが、応答しません。処理が止まっているか、過負荷です。証明書の問題ではありません。",
            "the application at {address} takes connections and then says nothing: it hangs, or has too much to do; certificates are not the problem"
        ),
        text!(
            "systemctl status jma-receipt-weborca と日レセのログを確認し、変わらない場合は日レセを再起動してください。",
            "run systemctl status jma-receipt-weborca and read the log of the application; if nothing changes, restart it"
        ),
    )
}

fn speaks_tls(address: &str) -> Finding {
    Finding::failure(
        "upstream-speaks-tls",
        text!(
            "日レセ(アプリケーション) {address} は、httpではなくhttpsで待ち受けています。",
            "the application at {address} speaks https, not http"
        ),
        text!(
            "WebORCAの設定ファイルにSERVER_CRT、SERVER_PEM、CA_CRTがある場合は、orca-gateway.confに移してWebORCAを再起動してください。httpsのまま使う場合は、GATEWAY_UPSTREAMをhttps://に直してください。",
            "where SERVER_CRT, SERVER_PEM and CA_CRT stand in the configuration of WebORCA, move them to orca-gateway.conf and restart WebORCA; to keep https, write GATEWAY_UPSTREAM with https://"
        ),
    )
}

fn no_http(address: &str, first: &str) -> Finding {
    let first: String = first.chars().take(64).collect();
    let (ja, en) = match first.trim() {
        "" => ("なし".to_owned(), "nothing".to_owned()),
        words => (render::one_line(words), render::one_line(words)),
    };
    Finding::failure(
        "upstream-not-http",
        text!(
            "{address} で応答しているプログラムは、日レセ(アプリケーション)ではありません(応答: {ja})。",
            "what answers at {address} is not the application; it says: {en}"
        ),
        text!(
            "GATEWAY_UPSTREAMのアドレスとポート番号を確認し、ss -ltnp で待ち受けているプログラムを確認してください。",
            "check address and port in GATEWAY_UPSTREAM; ss -ltnp tells which program listens"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (octets, id) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], "upstream-answers"),
            (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "upstream-answers"),
            (
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
                "upstream-speaks-tls",
            ),
            (b"\x15\x03\x01\x00\x02\x02\x46", "upstream-speaks-tls"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "upstream-answers"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "upstream-not-http"),
            (b"HTTP/1.1 2", "upstream-not-http"),
            (b"", "upstream-not-http"),
        ] {
            let found = judge("http://127.0.0.1:8001", octets);
            assert_eq!(found.id, id, "{octets:?}");
        }
    }
}
