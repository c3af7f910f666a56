//! `CA_CRL=http(s)://…`: lists that the gateway fetches, and servers that mean no good.

use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use orca_e2e::forge::Forge;
use orca_e2e::gateway::Conf;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::site::Site;
use orca_e2e::stand_in::Manner;
use orca_e2e::stand_in::StandIn;
use orca_e2e::stand_in::Vacancy;
use orca_e2e::tls;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;

const PATH: &str = "/.well-known/orca-mtls/crl";
/// See `crl_delivery.rs`.
const MOST_MEMORY: u64 = 400 * 1024;

fn client_of(kit: &Kit) -> anyhow::Result<TlsClient> {
    TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(kit)?))
}

fn status(client: &TlsClient, gateway: &Gateway) -> anyhow::Result<u16> {
    Ok(client.get(gateway.address, "/").response()?.status)
}

fn polling(site: &Site, name: &str, url: &str) -> anyhow::Result<Conf> {
    let conf = site.conf_of(name)?.set("CA_CRL", url);
    Ok(conf.set("GATEWAY_CRL_POLL", 1))
}

fn ok(list: &[u8], fields: &str) -> Vec<u8> {
    let length = list.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{fields}\r\n");
    [head.as_bytes(), list].concat()
}

/// An HTTP server whose manner can be changed.
#[derive(Clone)]
struct Web {
    address: SocketAddr,
    manner: Arc<Mutex<Act>>,
    heads: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
enum Act {
    Says(Vec<u8>),
    /// These octets, then these again and again.
    Repeats(Vec<u8>, Vec<u8>, Duration),
}

impl Web {
    fn start(act: Act) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let web = Self {
            address: listener.local_addr()?,
            manner: Arc::new(Mutex::new(act)),
            heads: Arc::default(),
        };
        let behind = web.clone();
        // Ends with the test: nothing else holds it up.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let behind = behind.clone();
                std::thread::spawn(move || behind.serve(stream).ok());
            }
        });
        Ok(web)
    }

    fn url(&self) -> String {
        format!("http://{}/ca.crl", self.address)
    }

    fn now(&self, act: Act) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = act;
    }

    fn heads(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.clone()
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        let mut octet = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut octet)? > 0 {
            head.push(octet[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.push(head);
        drop(heads);
        let act = self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        let act = act.clone();
        match act {
            Act::Says(octets) => stream.write_all(&octets),
            Act::Repeats(first, again, pause) => {
                stream.write_all(&first)?;
                loop {
                    stream.write_all(&again)?;
                    // The pace of a slow server, not a guess how long something takes.
                    std::thread::sleep(pause);
                }
            }
        }
    }
}

#[test]
fn newer_lists_are_fetched_and_others_not_asked_for_twice() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let first = std::fs::read(site.ca.crl())?;
    let web = Web::start(Act::Says(ok(&first, "ETag: \"a\"\r\n")))?;
    let gateway = polling(&site, "poller", &web.url())?.start()?;
    assert_eq!(status(&client_of(&user)?, &gateway)?, 200);
    wait::until("a second look", || (web.heads().len() > 1).then_some(()))?;
    let heads = web.heads();
    assert!(
        heads[0].starts_with("GET /ca.crl HTTP/1.1\r\n"),
        "{heads:?}"
    );
    assert!(!heads[0].contains("if-none-match"), "{heads:?}");
    assert!(heads[1].contains("if-none-match: \"a\"\r\n"), "{heads:?}");
    let mut open = client_of(&user)?.connect(gateway.address)?;
    site.ca.done("revoke_cert -c user1")?;
    let newer = std::fs::read(site.ca.crl())?;
    web.now(Act::Says(ok(&newer, "ETag: \"b\"\r\n")));
    tls::read_to_end(&mut open)?;
    let unchanged = "HTTP/1.1 304 Not Modified\r\n\r\n";
    web.now(Act::Says(unchanged.as_bytes().to_vec()));
    let looks = web.heads().len();
    wait::until("more looks", || {
        (web.heads().len() > looks + 2).then_some(())
    })?;
    let fetch = gateway.status("/status")?.json()?["crl_fetch"].clone();
    assert_eq!(fetch["result"], "unchanged");
    assert_eq!(fetch["last_success"], fetch["time"]);
    let metrics = gateway.status("/metrics")?.text();
    assert!(metrics.contains("orca_gateway_crl_fetch_failing 0\n"));
    assert!(!gateway.log()?.contains("[crl-fetch"), "{}", gateway.log()?);

    // What was fetched is there after a restart, without a server.
    drop(gateway);
    let vacant = Vacancy::new()?;
    let url = format!("http://{}/ca.crl", vacant.address);
    let gateway = polling(&site, "poller", &url)?.start()?;
    assert_eq!(status(&client_of(&user)?, &gateway)?, 403);
    gateway.logged("[crl-fetch-failed]")?;
    let status = gateway.status("/status")?.json()?;
    assert_eq!(status["alarms"], serde_json::json!(["crl-fetch-failed"]));
    Ok(())
}

#[test]
fn one_gateway_asks_another_even_in_strict() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let none = site.path("none.crl");
    let strict = |conf: Conf| conf.set("GATEWAY_CLIENT_AUTH", "strict");
    let first = strict(site.conf_of("first")?.set("CA_CRL", none.display())).start()?;
    site.ca
        .publish_to(&[format!("https://{}", first.address)])?;
    site.ca.done("publish_crl")?;
    let url = format!("https://{}{PATH}", first.address);
    let second = strict(polling(&site, "second", &url)?).start()?;
    assert_eq!(status(&client_of(&user)?, &second)?, 200);
    let mut open = client_of(&user)?.connect(second.address)?;
    let began = Instant::now();
    site.ca.done("revoke_cert -c user1")?;
    tls::read_to_end(&mut open)?;
    let took = began.elapsed();
    // A second between two looks, and what the tool itself takes.
    assert!(took < Duration::from_millis(2500), "{took:?}");
    let seen = client_of(&user)?.get(second.address, "/");
    assert_eq!(seen, tls::Answer::Alert(tls::Alert::CertificateRevoked));
    Ok(())
}

#[test]
fn whatever_a_server_says_the_good_list_stays() -> anyhow::Result<()> {
    let site = Site::new()?;
    let (lost, kept) = (site.client("lost")?, site.client("kept")?);
    let older = std::fs::read(site.ca.crl())?;
    site.ca.done("revoke_cert -c lost")?;
    let good = std::fs::read(site.ca.crl())?;
    let foreign = site.path("foreign");
    std::fs::create_dir(&foreign)?;
    let stranger = orca_e2e::catool::Catool::new(&foreign);
    stranger.done("init --yes")?;
    let says = |text: &str| Act::Says(text.as_bytes().to_vec());
    let length = "HTTP/1.1 200 OK\r\nContent-Length:";
    let endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"100000\r\n".as_slice(), &vec![b'-'; 1 << 20], b"\r\n"].concat();
    let (now, second) = (Duration::ZERO, Duration::from_millis(200));
    let acts = [
        (
            "redirects",
            says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n"),
        ),
        ("304", says("HTTP/1.1 304 Not Modified\r\n\r\n")),
        (
            "status 500",
            says("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
        ),
        (
            "larger than",
            says(&format!("{length} 99999999999\r\n\r\n-")),
        ),
        ("larger than", Act::Repeats(endless, chunk, now)),
        ("cut off", says(&format!("{length} 1000\r\n\r\n-----BEGIN"))),
        ("cut off", says("garbage")),
        (
            "no certificate revocation list",
            Act::Says(ok(b"garbage", "")),
        ),
        ("issuer", Act::Says(ok(&std::fs::read(stranger.crl())?, ""))),
        ("older than", Act::Says(ok(&older, ""))),
        (
            "within 20 seconds",
            Act::Repeats(length.into(), b"0".to_vec(), second),
        ),
    ];
    // All at once: the slowest takes as long as a gateway's patience.
    let mut running = Vec::new();
    for (number, (reason, act)) in acts.into_iter().enumerate() {
        let web = Web::start(Act::Says(ok(&good, "")))?;
        let conf = polling(&site, &format!("poller{number}"), &web.url())?;
        let gateway = conf
            .set("GATEWAY_LANG", "en")
            .set("GATEWAY_WORKERS", 1)
            .start()?;
        assert_eq!(status(&client_of(&lost)?, &gateway)?, 403, "{reason}");
        web.now(act);
        running.push((reason, gateway));
    }
    for (reason, gateway) in &running {
        let line = gateway.logged("[crl-fetch-failed]")?;
        assert!(line.contains(reason), "{line}");
        assert_eq!(status(&client_of(&lost)?, gateway)?, 403, "{reason}");
        assert_eq!(status(&client_of(&kept)?, gateway)?, 200, "{reason}");
        let peak = gateway.process.peak_memory()?;
        assert!(peak < MOST_MEMORY, "{reason}: {peak} KiB");
    }
    Ok(())
}

#[test]
fn a_server_must_be_vouched_for_and_check_looks_too() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let list = ok(&std::fs::read(site.ca.crl())?, "");
    let says = [Manner::Answers(list)];
    let stranger = StandIn::start(&Forge::foreign()?.server()?, &says)?;
    let conf = polling(&site, "poller", &stranger.url())?;
    let gateway = conf.clone().set("GATEWAY_LANG", "en").start()?;
    let line = gateway.logged("[crl-fetch-failed]")?;
    assert!(line.contains("certificate"), "{line}");
    assert!(stranger.requests().is_empty());
    gateway.logged("[crl-missing]")?;
    assert_eq!(status(&client_of(&user)?, &gateway)?, 200);
    drop(gateway);
    let told = conf.check()?;
    assert_eq!(told.code, Some(0));
    assert!(told.text().contains("[crl-fetch-failed]"), "{told:?}");
    let insisting = conf.set("GATEWAY_CRL_UNUSABLE", "refuse").check()?;
    assert_eq!(insisting.code, Some(1));

    let ours = StandIn::start(&Identity::of(&site.server)?, &says)?;
    let conf = polling(&site, "poller", &ours.url())?;
    let told = conf.check()?.success()?;
    assert!(told.contains("[crl-good]"), "{told}");
    assert_eq!(ours.requests()[0].protocol, "orca-mtls-crl");
    Ok(())
}

#[test]
fn a_server_that_says_nothing_does_not_hold_up_the_start() -> anyhow::Result<()> {
    let site = Site::new()?;
    let web = Web::start(Act::Repeats(Vec::new(), Vec::new(), Duration::from_secs(1)))?;
    let began = Instant::now();
    let gateway = polling(&site, "poller", &web.url())?.start()?;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    let user = site.client("user1")?;
    assert_eq!(status(&client_of(&user)?, &gateway)?, 200);
    Ok(())
}
