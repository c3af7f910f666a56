//! Large bodies and long talks: streamed both ways, in little memory, and ended in good order.

use std::io::BufReader;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use orca_e2e::curl::Curl;
use orca_e2e::http1;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use rustix::process::Signal;
use tokio_tungstenite::tungstenite;
use tungstenite::Message;

const GIB: u64 = 1 << 30;
/// `VmHWM` counts KiB.
const MEMORY_LIMIT: u64 = 64 * 1024;

#[test]
fn a_gibibyte_each_way_stays_below_64_mib() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let big = site.path("big");
    std::fs::File::create(&big)?.set_len(GIB)?;
    let upload = format!("@{}", big.display());
    for version in ["--http1.1", "--http2"] {
        let curl = || {
            Curl::new(gateway.address, &user.ca())
                .with_pem(&user)
                .args([version, "--max-time", "300"])
        };
        let down = curl()
            .args(["--output", "/dev/null"])
            .args(["--write-out", "%{size_download}"])
            .outcome(&format!("/download?bytes={GIB}"))?;
        assert_eq!(down.success()?, GIB.to_string(), "{version}");
        let up = curl()
            .args(["--header", "Expect:", "--request", "POST"])
            .args(["--upload-file", upload.trim_start_matches('@')])
            .get("/upload")?;
        let told: serde_json::Value = serde_json::from_str(&up.body)?;
        assert_eq!(told["bytes"], GIB, "{version}: {told}");
        assert_eq!(told["sha256"], ZEROS_SHA256, "{version}");
    }
    let peak = gateway.process.peak_memory()?;
    assert!(peak < MEMORY_LIMIT, "{peak} KiB");
    Ok(())
}

/// Of 2^30 zero bytes.
const ZEROS_SHA256: &str = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14";

#[test]
fn bytes_arrive_as_they_were_sent() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    for version in Version::ALL {
        let client = TlsClient::new(&user.ca(), version, Some(Identity::of(&user)?))?;
        let page = client
            .get(gateway.address, "/download?bytes=3000001")
            .response()?;
        assert_eq!(page.body.len(), 3_000_001);
        let whole = page.body.iter().zip(0_usize..);
        let wrong = whole.filter(|(byte, at)| usize::from(**byte) != at % 251);
        assert_eq!(wrong.count(), 0, "{version:?}");
    }
    Ok(())
}

#[test]
fn a_websocket_talks_through_the_gateway() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    for version in Version::ALL {
        let client = TlsClient::new(&user.ca(), version, Some(Identity::of(&user)?))?;
        let stream = client.connect(gateway.address)?;
        let url = format!("wss://weborca-server:{}/ws", gateway.port());
        let (mut socket, response) = tungstenite::client(url, stream)
            .map_err(|error| anyhow::anyhow!("no WebSocket: {error}"))?;
        assert_eq!(response.status(), 101);
        for message in [
            Message::text("受付に患者が到着しました"),
            Message::binary(vec![7; 1_000_000]),
            Message::text(""),
        ] {
            for _ in 0..50 {
                socket.send(message.clone())?;
                assert_eq!(socket.read()?, message);
            }
        }
        socket.close(None)?;
        tls::read_to_end(socket.get_mut())?;
    }
    let peak = gateway.process.peak_memory()?;
    assert!(peak < MEMORY_LIMIT, "{peak} KiB");
    Ok(())
}

#[test]
fn sigterm_lets_the_request_under_way_finish_and_then_ends_at_once() -> anyhow::Result<()> {
    for status in ["127.0.0.2:0", "none"] {
        drains(status).with_context(|| format!("GATEWAY_STATUS={status}"))?;
    }
    Ok(())
}

fn drains(status: &str) -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let mut gateway = site.conf()?.set("GATEWAY_STATUS", status).start()?;
    let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))?;
    let mut busy = client.connect(gateway.address)?;
    let request = tls::request(gateway.address, "/drip?count=20&ms=100", &[]);
    busy.write_all(request.as_bytes())?;
    let mut idle = client.connect(gateway.address)?;
    let page = tls::request(gateway.address, "/", &[]);
    assert_eq!(http1::exchange(&mut idle, page.as_bytes())?.status, 200);

    gateway.process.signal(Signal::TERM)?;
    tls::read_to_end(&mut idle)?;
    wait::within(SOON, "new connections are refused", || {
        http1::connect(gateway.address).err()
    })?;
    let response = http1::read(&mut BufReader::new(&mut busy))?;
    assert_eq!(
        response.text().lines().count(),
        20,
        "the answer was cut off"
    );
    let status = wait::within(SOON, "the end", || gateway.process.ended().transpose())??;
    assert!(status.success(), "{status}");
    Ok(())
}

/// Far below the half minute that a request under way is given.
const SOON: Duration = Duration::from_secs(5);
