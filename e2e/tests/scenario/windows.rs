//! A vendor who may come at certain hours only.

use std::io::Write;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use orca_e2e::http1;
use orca_e2e::kit::Kit;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Alert;
use orca_e2e::tls::Answer;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;

/// Seconds between the start of the gateway, on its own clock, and the end of the hours.
const LEFT: i64 = 8;
const TOKYO: i64 = 9 * 3600;

fn client(kit: &Kit) -> anyhow::Result<TlsClient> {
    TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(kit)?))
}

/// `09:00`, of a Unix time in Japan.
fn hour_and_minute(seconds: i64) -> String {
    let minutes = (seconds + TOKYO).rem_euclid(86_400) / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[test]
fn the_end_of_the_hours_ends_connections_and_websockets() -> anyhow::Result<()> {
    let site = Site::new()?;
    let (vendor, clerk) = (site.client("vendor")?, site.client("clerk")?);
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let end = (now / 60 + 2) * 60;
    let file = site.path("windows");
    let (from, to) = (hour_and_minute(end - 3600), hour_and_minute(end));
    std::fs::write(&file, format!("/C=JP/O=orca/CN=vendor\t{from}-{to}\n"))?;
    let conf = site.conf()?.set("GATEWAY_WINDOWS", file.display());
    let shift = format!("+{}", end - LEFT - now);
    let program = conf.program(&[])?.at(&shift).env("TZ", "Asia/Tokyo");
    let gateway = conf.start_program(program)?;
    let (vendor, clerk) = (client(&vendor)?, client(&clerk)?);
    let request = tls::request(gateway.address, "/", &[]);
    let mut theirs = vendor.connect(gateway.address)?;
    let mut ours = clerk.connect(gateway.address)?;
    for stream in [&mut theirs, &mut ours] {
        assert_eq!(http1::exchange(stream, request.as_bytes())?.status, 200);
    }
    let mut socket = vendor.connect(gateway.address)?;
    socket.write_all(
        tls::request(
            gateway.address,
            "/ws",
            &[
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ],
        )
        .as_bytes(),
    )?;
    let said = String::from_utf8_lossy(&tls::read_to_end(&mut socket)?).into_owned();
    assert!(said.starts_with("HTTP/1.1 101"), "{said}");
    tls::read_to_end(&mut theirs)?;
    let page = vendor.get(gateway.address, "/").response()?;
    assert_eq!(page.status, 403, "{}", page.text());
    assert!(page.text().contains("E-113"), "{}", page.text());
    assert_eq!(http1::exchange(&mut ours, request.as_bytes())?.status, 200);
    gateway.access("the refusal", |entry| entry["cause"] == "outside-hours")?;
    Ok(())
}

#[test]
fn outside_of_the_hours_nobody_gets_in_and_a_new_file_counts_at_once() -> anyhow::Result<()> {
    let site = Site::new()?;
    let vendor = client(&site.client("vendor")?)?;
    let file = site.path("windows");
    let over = "/C=JP/O=orca/CN=vendor\t2001-01-01..2001-12-31\n";
    std::fs::write(&file, "/C=JP/O=orca/CN=vendor\t00:00-24:00\n")?;
    let conf = site.conf()?.set("GATEWAY_WINDOWS", file.display());
    let gateway = conf.start()?;
    let mut stream = vendor.connect(gateway.address)?;
    let request = tls::request(gateway.address, "/", &[]);
    assert_eq!(
        http1::exchange(&mut stream, request.as_bytes())?.status,
        200
    );
    std::fs::write(&file, over)?;
    tls::read_to_end(&mut stream)?;
    assert_eq!(vendor.get(gateway.address, "/").response()?.status, 403);
    drop(gateway);
    let gateway = conf.set("GATEWAY_CLIENT_AUTH", "strict").start()?;
    let answer = vendor.get(gateway.address, "/");
    assert_eq!(answer, Answer::Alert(Alert::AccessDenied));
    Ok(())
}
