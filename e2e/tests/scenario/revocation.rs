//! A lost notebook: its certificate is revoked and it is out, at once, without a restart; everybody
//! else notices nothing.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use anyhow::Context;
use orca_e2e::curl::Curl;
use orca_e2e::gateway::Gateway;
use orca_e2e::http1;
use orca_e2e::kit::Kit;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Alert;
use orca_e2e::tls::Answer;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::TlsStream;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use tokio_tungstenite::tungstenite;
use tungstenite::Message;
use tungstenite::WebSocket;

type Socket = WebSocket<TlsStream>;

/// A client with every kind of connection open.
struct Desk {
    client: TlsClient,
    idle: TlsStream,
    socket: Socket,
    download: TlsStream,
}

impl Desk {
    fn open(gateway: &Gateway, kit: &Kit, version: Version) -> anyhow::Result<Self> {
        let client = TlsClient::new(&kit.ca(), version, Some(Identity::of(kit)?))?;
        let mut idle = client.connect(gateway.address)?;
        ask(gateway, &mut idle)?;
        let mut download = client.connect(gateway.address)?;
        let request = tls::request(gateway.address, "/drip?count=100000&ms=20", &[]);
        download.write_all(request.as_bytes())?;
        download.read_exact(&mut [0; 200])?;
        Ok(Self {
            idle,
            socket: socket(gateway, &client)?,
            download,
            client,
        })
    }

    /// All three connections still do their work.
    fn works(&mut self, gateway: &Gateway) -> anyhow::Result<()> {
        ask(gateway, &mut self.idle)?;
        echo(&mut self.socket)?;
        self.download.read_exact(&mut [0; 20])?;
        Ok(())
    }

    /// All three connections end, and none of them served anything more.
    fn ends(&mut self, gateway: &Gateway) -> anyhow::Result<()> {
        tls::read_to_end(&mut self.idle).context("the idle connection")?;
        tls::read_to_end(&mut self.download).context("the download")?;
        let over = wait::until("the end of the WebSocket", || self.socket.read().err());
        over.context("the WebSocket")?;
        ask(gateway, &mut self.idle).expect_err("it is closed");
        Ok(())
    }
}

fn ask(gateway: &Gateway, stream: &mut TlsStream) -> anyhow::Result<()> {
    let request = tls::request(gateway.address, "/echo-headers", &[]);
    let response = http1::exchange(stream, request.as_bytes())?;
    anyhow::ensure!(response.status == 200, "{response:?}");
    Ok(())
}

fn socket(gateway: &Gateway, client: &TlsClient) -> anyhow::Result<Socket> {
    let stream = client.connect(gateway.address)?;
    let url = format!("wss://weborca-server:{}/ws", gateway.port());
    let (socket, _) = tungstenite::client(url, stream)
        .map_err(|error| anyhow::anyhow!("no WebSocket: {error}"))?;
    Ok(socket)
}

fn echo(socket: &mut Socket) -> anyhow::Result<()> {
    let text = Message::text("受付に患者が到着しました");
    socket.send(text.clone())?;
    assert_eq!(socket.read()?, text);
    Ok(())
}

#[test]
fn the_revoked_client_is_out_and_the_others_stay() -> anyhow::Result<()> {
    for (mode, version) in [("explain", Version::Tls13), ("strict", Version::Tls12)] {
        let site = Site::new()?;
        let lost = site.client("lost-notebook")?;
        let kept = site.client("reception")?;
        let mut gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", mode).start()?;
        let mut theirs = Desk::open(&gateway, &lost, version)?;
        let mut ours = Desk::open(&gateway, &kept, version)?;

        site.ca.done(&format!("revoke_cert {}", lost.number()))?;
        site.place(&site.ca.crl())?;

        theirs.ends(&gateway)?;
        let seen = site.application.seen()?;
        comes_again_in_vain(&theirs, &gateway, mode)?;
        assert_eq!(site.application.seen()?, seen, "{mode}");
        ours.works(&gateway)?;
        Desk::open(&gateway, &kept, version)?.works(&gateway)?;
        assert!(gateway.process.ended()?.is_none(), "no restart");
    }
    Ok(())
}

fn comes_again_in_vain(desk: &Desk, gateway: &Gateway, mode: &str) -> anyhow::Result<()> {
    let answer = desk.client.get(gateway.address, "/");
    if mode == "strict" {
        assert_eq!(answer, Answer::Alert(Alert::CertificateRevoked));
        return Ok(());
    }
    let page = answer.response()?;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("E-104"), "{}", page.text());
    Ok(())
}

#[test]
fn http_2_streams_of_the_revoked_client_end_too() -> anyhow::Result<()> {
    let site = Site::new()?;
    let lost = site.client("lost")?;
    let kept = site.client("kept")?;
    let gateway = site.gateway()?;
    let begin = |kit: &Kit, name: &str| {
        let curl = Curl::new(gateway.address, &kit.ca());
        let curl = curl.with_pem(kit).args(["--http2", "--max-time", "60"]);
        curl.begin("/drip?count=100000&ms=20", &site.path(name))
    };
    let received = |name: &str| std::fs::metadata(site.path(name)).map_or(0, |file| file.len());
    let mut theirs = begin(&lost, "theirs")?;
    let mut ours = begin(&kept, "ours")?;
    wait::until("both downloads run", || {
        (received("theirs") > 100 && received("ours") > 100).then_some(())
    })?;
    site.ca.done(&format!("revoke_cert {}", lost.number()))?;
    site.place(&site.ca.crl())?;
    let status = theirs.end()?;
    assert!(!status.success(), "{status}");
    let so_far = received("ours");
    wait::until("the other download goes on", || {
        (received("ours") > so_far + 100).then_some(())
    })?;
    assert!(ours.ended()?.is_none());
    Ok(())
}

#[test]
fn the_tool_publishes_where_the_gateway_looks() -> anyhow::Result<()> {
    let site = Site::new()?;
    let lost = site.client("lost")?;
    let conf = site.conf()?;
    let watched = site.conf_dir().join("ca.crl");
    site.ca.publish_to(&[watched.display()])?;
    let gateway = conf.start()?;
    let client = TlsClient::new(&lost.ca(), Version::Tls13, Some(Identity::of(&lost)?))?;
    let mut open = client.connect(gateway.address)?;
    ask(&gateway, &mut open)?;
    site.ca.done("revoke_cert -c lost")?;
    tls::read_to_end(&mut open)?;
    assert_eq!(client.get(gateway.address, "/").response()?.status, 403);
    Ok(())
}

#[test]
fn a_lower_crl_number_is_no_way_back() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let before = site.path("before.crl");
    std::fs::copy(site.ca.crl(), &before)?;
    site.ca.done(&format!("revoke_cert {}", user.number()))?;
    let gateway = site.gateway()?;
    let client = TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))?;
    assert_eq!(client.get(gateway.address, "/").response()?.status, 403);

    let watched = site.conf_dir().join("ca.crl");
    let lines = gateway.log()?.lines().count();
    std::fs::rename(&before, &watched)?;
    wait::until("a line about the old CRL", || {
        (gateway.log().ok()?.lines().count() > lines).then_some(())
    })?;
    assert_eq!(client.get(gateway.address, "/").response()?.status, 403);

    // Nor after a restart: the highest number is remembered.
    drop(gateway);
    let conf = site.conf()?;
    std::fs::remove_file(&watched)?;
    let gateway = conf.start()?;
    assert_eq!(client.get(gateway.address, "/").response()?.status, 403);
    Ok(())
}

#[test]
fn plain_tcp_that_never_speaks_is_closed() -> anyhow::Result<()> {
    let site = Site::new()?;
    let gateway = site.gateway()?;
    let mut silent: TcpStream = http1::connect(gateway.address)?;
    assert_eq!(tls::read_to_end(&mut silent)?, b"");
    Ok(())
}

/// A flat clock battery let `issue_crl` drop an entry whose certificate seemed long expired, and
/// `--if-older-than` then took that list for fresh.
#[test]
fn a_clock_that_is_wrong_once_makes_no_revoked_certificate_good() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = orca_e2e::catool::Catool::new(dir.path());
    ca.done("init")?;
    ca.done("issue_client_cert -c user1")?;
    ca.done("revoke_cert -c user1")?;
    let entries = || -> anyhow::Result<usize> {
        let program = orca_e2e::program::Program::new("openssl");
        let text = program
            .args(["crl", "-noout", "-text", "-in"])
            .arg(ca.crl())
            .run()?
            .success()?;
        Ok(text.matches("Serial Number: 02").count())
    };
    ca.program(["issue_crl"])?.at("+15y").run()?.success()?;
    assert_eq!(entries()?, 1, "under the wrong clock");
    ca.done("issue_crl --if-older-than 7d")?;
    assert_eq!(entries()?, 1, "and afterwards");
    let number = std::fs::read(ca.crl())?;
    ca.done("issue_crl --if-older-than 7d")?;
    assert_eq!(
        std::fs::read(ca.crl())?,
        number,
        "the list of today is fresh"
    );
    let expired = ca.program(["issue_crl"])?.at("+30y").run()?.failure(1)?;
    assert!(expired.contains("[ca-expired]"), "{expired}");
    Ok(())
}
