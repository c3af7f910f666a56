//! Revocation lists that are put to the gateway: by the CA's own tool, by curl, and by people who
//! mean no good.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use anyhow::Context;
use orca_e2e::curl::Curl;
use orca_e2e::curl::Page;
use orca_e2e::gateway::Gateway;
use orca_e2e::kit::Kit;
use orca_e2e::lists::ListForge;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Answer;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;

const PATH: &str = "/.well-known/orca-mtls/crl";
/// The most memory a gateway may ever have held, in KiB, whatever is sent to it: one body of 64 MiB
/// in all forms it takes while it is read, and the gateway itself.
const MOST_MEMORY: u64 = 400 * 1024;

fn put(gateway: &Gateway, ca: &Path, list: &Path, more: &[&str]) -> anyhow::Result<Page> {
    Curl::new(gateway.address, ca)
        .arg("--upload-file")
        .arg(list)
        .args(more)
        .get(PATH)
}

/// As a program without certificate that wants to deliver lists only.
fn courier(ca: &Path, version: Version) -> anyhow::Result<TlsClient> {
    Ok(TlsClient::new(ca, version, None)?.offering(&["orca-mtls-crl", "http/1.1"]))
}

fn head(length: usize) -> String {
    format!("PUT {PATH} HTTP/1.1\r\nHost: weborca-server\r\nContent-Length: {length}\r\n\r\n")
}

fn push(client: &TlsClient, address: SocketAddr, list: &[u8]) -> anyhow::Result<u16> {
    let request = [head(list.len()).as_bytes(), list].concat();
    Ok(client.send(address, &request).response()?.status)
}

fn client_of(kit: &Kit) -> anyhow::Result<TlsClient> {
    TlsClient::new(&kit.ca(), Version::Tls13, Some(Identity::of(kit)?))
}

fn status(client: &TlsClient, gateway: &Gateway) -> anyhow::Result<u16> {
    Ok(client.get(gateway.address, "/").response()?.status)
}

/// The key of the site's own authority, for lists that its tool would never make.
fn authority(site: &Site) -> anyhow::Result<ListForge> {
    ListForge::new(&site.server.ca(), &site.ca.folder().join("ca.key"))
}

fn now() -> anyhow::Result<Duration> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?)
}

fn write(site: &Site, name: &str, content: &[u8]) -> anyhow::Result<PathBuf> {
    let path = site.path(name);
    std::fs::write(&path, content)?;
    Ok(path)
}

#[test]
fn curl_delivers_in_explain() -> anyhow::Result<()> {
    let site = Site::new()?;
    let (lost, kept) = (site.client("lost")?, site.client("kept")?);
    let gateway = site.gateway()?;
    let client = client_of(&lost)?;
    let mut open = client.connect(gateway.address)?;
    site.ca.done(&format!("revoke_cert {}", lost.number()))?;
    assert_eq!(status(&client, &gateway)?, 200, "nobody was told yet");
    for version in ["--http1.1", "--http2"] {
        let page = put(&gateway, &lost.ca(), &site.ca.crl(), &[version])?;
        assert_eq!((page.status, page.body.as_str()), (204, ""), "{page:?}");
        let with = Curl::new(gateway.address, &kept.ca()).with_pem(&kept);
        let with = with.arg("--upload-file").arg(site.ca.crl());
        assert_eq!(with.args([version]).get(PATH)?.status, 204);
    }
    tls::read_to_end(&mut open)?;
    assert_eq!(status(&client, &gateway)?, 403);
    assert_eq!(status(&client_of(&kept)?, &gateway)?, 200);

    let asked = Curl::new(gateway.address, &lost.ca());
    let page = asked.get(PATH)?;
    assert_eq!(page.body, std::fs::read_to_string(site.ca.crl())?);
    let head = asked.clone().args(["--head"]).get(PATH)?.body;
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: "));
    let known = format!("If-None-Match: {}", tag.context("a tag")?.trim());
    let again = asked.args(["--header", &known]).get(PATH)?;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let put = gateway.access("the first", |line| line["method"] == "PUT")?;
    assert_eq!((&put["status"], &put["path"]), (&204.into(), &PATH.into()));
    Ok(())
}

#[test]
fn couriers_are_let_in_by_strict_and_see_nothing_else() -> anyhow::Result<()> {
    let site = Site::new()?;
    let lost = site.client("lost")?;
    let gateway = site.conf()?.set("GATEWAY_CLIENT_AUTH", "strict").start()?;
    let stranger = TlsClient::new(&lost.ca(), Version::Tls13, None)?;
    let refused = stranger.get(gateway.address, PATH);
    assert_eq!(refused, Answer::Alert(tls::Alert::CertificateRequired));
    site.ca.done(&format!("revoke_cert {}", lost.number()))?;
    for version in Version::ALL {
        let courier = courier(&lost.ca(), version)?;
        let list = std::fs::read(site.ca.crl())?;
        assert_eq!(push(&courier, gateway.address, &list)?, 204);
        let shown = courier.get(gateway.address, PATH).response()?;
        assert_eq!(shown.body, list);
        for path in ["/", "/api/", "/.orca-gateway/choose", "/%2e/"] {
            let answer = courier.get(gateway.address, path).response()?;
            assert_eq!((answer.status, answer.body.len()), (404, 0), "{path}");
        }
    }
    let seen = client_of(&lost)?.get(gateway.address, "/");
    assert_eq!(seen, Answer::Alert(tls::Alert::CertificateRevoked));
    assert_eq!(site.application.seen()?.requests, 0);
    Ok(())
}

#[test]
fn what_cannot_be_believed_changes_nothing() -> anyhow::Result<()> {
    let site = Site::new()?;
    let lost = site.client("lost")?;
    let gateway = site.gateway()?;
    let older = std::fs::read(site.ca.crl())?;
    site.ca.done(&format!("revoke_cert {}", lost.number()))?;
    let good = std::fs::read(site.ca.crl())?;
    let courier = courier(&lost.ca(), Version::Tls13)?;
    assert_eq!(push(&courier, gateway.address, &good)?, 204);
    let number = gateway.status("/status")?.json()?["authorities"][0]["crl"]["number"].clone();
    let number: u64 = number.as_str().context("a number")?.parse()?;
    let own = authority(&site)?;
    let foreign = site.path("foreign");
    std::fs::create_dir(&foreign)?;
    let stranger = orca_e2e::catool::Catool::new(&foreign);
    stranger.done("init --yes")?;
    let mut damaged = own.list(number + 9, [], now()?)?;
    damaged.replace_range(200..201, if &damaged[200..201] == "A" { "B" } else { "A" });
    for (what, list) in [
        ("older", older),
        ("twin", own.list(number, [], now()?)?.into_bytes()),
        ("foreign", std::fs::read(stranger.crl())?),
        ("damaged", damaged.into_bytes()),
        ("garbage", b"garbage".to_vec()),
        ("half", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
    ] {
        let request = [head(list.len()).as_bytes(), &list].concat();
        let answer = courier.send(gateway.address, &request).response()?;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (403, "not taken\n"),
            "{what}"
        );
        assert_eq!(
            courier.get(gateway.address, PATH).response()?.body,
            good,
            "{what}"
        );
    }
    assert_eq!(status(&client_of(&lost)?, &gateway)?, 403);
    let state = gateway.status("/status")?.json()?;
    assert_eq!(state["crl_pushes"]["taken"], 1);
    assert_eq!(state["crl_pushes"]["refused"], 7);
    Ok(())
}

#[test]
fn huge_and_endless_bodies_meet_limits() -> anyhow::Result<()> {
    let site = Site::new()?;
    let user = site.client("user1")?;
    let gateway = site.gateway()?;
    let huge = site.path("huge");
    File::create(&huge)?.set_len(1 << 30)?;
    let ca = user.ca();
    let began = Instant::now();
    let chunked = ["--http1.1", "--header", "Transfer-Encoding: chunked"];
    assert_eq!(put(&gateway, &ca, &huge, &["--http1.1"])?.status, 413);
    let page = put(&gateway, &ca, &huge, &chunked)?;
    assert_eq!(page.status, 403, "{page:?}");
    // With our name on it, and the signature broken at its very end.
    let million = authority(&site)?.list(77, 10_000..1_010_000, now()?)?;
    let at = million.rfind("\n-----END").context("an end")? - 8;
    let mut forged = million.clone().into_bytes();
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    assert!(forged.len() > 25 << 20);
    let path = write(&site, "forged", &forged)?;
    assert_eq!(put(&gateway, &ca, &path, &["--http2"])?.status, 403);
    // Its beginning, and then zeros for ever.
    let mut endless = File::create(site.path("endless"))?;
    endless.write_all(&forged[..400_000])?;
    endless.set_len(1 << 30)?;
    let endless = site.path("endless");
    assert_eq!(put(&gateway, &ca, &endless, &chunked)?.status, 413);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(status(&client_of(&user)?, &gateway)?, 200);
    let peak = gateway.process.peak_memory()?;
    assert!(peak < MOST_MEMORY, "{peak} KiB");
    // The real one of that size is welcome.
    let path = write(&site, "million", million.as_bytes())?;
    assert_eq!(put(&gateway, &ca, &path, &[])?.status, 204);
    Ok(())
}

#[test]
fn the_authority_is_heard_among_crowds_of_strangers() -> anyhow::Result<()> {
    let site = Site::new()?;
    let (lost, kept) = (site.client("lost")?, site.client("kept")?);
    let gateway = site.gateway()?;
    let courier = courier(&lost.ca(), Version::Tls13)?;
    // More bodies that never end than there are places.
    let slow: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = courier.connect(gateway.address)?;
            stream.write_all(head(900).as_bytes())?;
            stream.write_all(b"-----BEGIN")?;
            stream.flush()?;
            anyhow::Ok(stream)
        })
        .collect::<Result<_, _>>()?;
    site.ca.done(&format!("revoke_cert {}", lost.number()))?;
    let list = std::fs::read(site.ca.crl())?;
    let (over, pushed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let key = rcgen::KeyPair::generate()?.serialize_pem();
    let key = write(&site, "double.key", key.as_bytes())?;
    let forged = ListForge::new(&lost.ca(), &key)?.list(900, [], now()?)?;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let request = [head(forged.len()).as_bytes(), forged.as_bytes()].concat();
                    let _ = courier.send(gateway.address, &request);
                    pushed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let told = (|| {
            wait::until("a flood", || {
                (pushed.load(Ordering::Relaxed) > 100).then_some(())
            })?;
            let began = Instant::now();
            assert_eq!(push(&courier, gateway.address, &list)?, 204);
            let took = began.elapsed();
            assert!(took < Duration::from_secs(5), "{took:?}");
            assert_eq!(status(&client_of(&lost)?, &gateway)?, 403);
            assert_eq!(status(&client_of(&kept)?, &gateway)?, 200);
            anyhow::Ok(())
        })();
        over.store(true, Ordering::Relaxed);
        told
    })?;
    drop(slow);
    let request = [head(forged.len()).as_bytes(), forged.as_bytes()].concat();
    let answer = courier.send(gateway.address, &request).response()?;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some());
    let told = gateway.log()?.matches("[crl-push-refused]").count();
    assert!(told <= 4, "{told} lines");
    let peak = gateway.process.peak_memory()?;
    assert!(peak < MOST_MEMORY, "{peak} KiB");
    Ok(())
}

#[test]
fn a_revocation_reaches_two_gateways_within_a_second() -> anyhow::Result<()> {
    let site = Site::new()?;
    let users = [site.client("one")?, site.client("two")?];
    let none = site.path("none.crl");
    let start = |name: &str, auth: &str| {
        let conf = site.conf_of(name)?.set("CA_CRL", none.display());
        conf.set("GATEWAY_CLIENT_AUTH", auth).start()
    };
    let gateways = [start("east", "explain")?, start("west", "strict")?];
    let urls = gateways
        .each_ref()
        .map(|it| format!("https://{}", it.address));
    site.ca.publish_to(&urls)?;
    let mut open = Vec::new();
    for gateway in &gateways {
        open.push(client_of(&users[0])?.connect(gateway.address)?);
        let last = client_of(&users[1])?.get(gateway.address, "/");
        assert_eq!(last.response()?.status, 200);
    }
    let began = Instant::now();
    site.ca.done("revoke_cert -c one")?;
    for stream in &mut open {
        tls::read_to_end(stream)?;
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    for gateway in &gateways {
        let last = client_of(&users[1])?.get(gateway.address, "/");
        assert_eq!(last.response()?.status, 200);
    }
    Ok(())
}

#[test]
fn http_mode_has_no_lists() -> anyhow::Result<()> {
    let site = Site::new()?;
    let root = site.path("plain");
    for folder in ["conf", "log"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    let upstream = format!("http://{}", site.application.address);
    let gateway = orca_e2e::gateway::Conf::new(&root)
        .set("GATEWAY_UPSTREAM", upstream)
        .start()?;
    assert_eq!(orca_e2e::http1::get(gateway.address, PATH)?.status, 404);
    assert_eq!(site.application.seen()?.requests, 0);
    Ok(())
}
