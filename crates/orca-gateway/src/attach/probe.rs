//! Both ends, asked as a client asks.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// For one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two questions to something that is starting.
const PAUSE: Duration = Duration::from_millis(200);
/// What Go's HTTP server says on a TLS port.
const TLS_PORT: &str = "HTTP request to an HTTPS server";
/// What the gateway says to plain HTTP, in every mode.
const GATEWAY: &str = "E-108";

/// What answers plain HTTP on a port of this machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// An application.
    Http,
    /// A server that speaks no plain HTTP, and is not ours.
    Https,
    /// The gateway, which wants TLS.
    Gateway,
    Nothing,
}

/// Asks a port once.
pub(crate) fn ask(port: u16) -> Answer {
    answer(port).map_or(Answer::Nothing, |text| classify(&text))
}

/// Asks until the answer is this one, or the deadline has passed; gives the last one.
pub(crate) fn wait_for(port: u16, wanted: Answer, deadline: Duration) -> Answer {
    let end = Instant::now() + deadline;
    loop {
        let answer = ask(port);
        if answer == wanted || Instant::now() >= end {
            return answer;
        }
        // The pause between two questions: a port that opens tells nobody.
        thread::sleep(PAUSE);
    }
}

fn answer(port: u16) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Language: en\r\nConnection: close\r\n\r\n",
    )?;
    let mut octets = Vec::new();
    // Whoever ends without a proper end is there all the same; whoever is silent is not.
    match stream.take(64 * 1024).read_to_end(&mut octets) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && octets.is_empty() => {
            return Err(error);
        }
        _ => {}
    }
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

fn classify(text: &str) -> Answer {
    if text.contains(GATEWAY) {
        Answer::Gateway
    } else if text.starts_with("HTTP/") && !text.contains(TLS_PORT) {
        Answer::Http
    } else {
        // An alert of TLS, Go's own words, or an end without a word (OpenSSL).
        Answer::Https
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (text, answer) in [
            ("HTTP/1.1 200 OK\r\n\r\n<html>", Answer::Http),
            ("HTTP/1.1 400 Bad Request\r\n\r\nE-108", Answer::Gateway),
            (
                "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
                Answer::Https,
            ),
            ("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{46}", Answer::Https),
            ("", Answer::Https),
        ] {
            assert_eq!(classify(text), answer, "{text}");
        }
    }
}
