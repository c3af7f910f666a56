//! The gateway under a service manager: sockets that outlive it, what it tells, and restarts that
//! nobody notices.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::gateway::Conf;
use orca_e2e::http1;
use orca_e2e::process::Process;
use orca_e2e::program::Program;
use orca_e2e::program::ours;
use orca_e2e::site::Site;
use orca_e2e::tls;
use orca_e2e::tls::Answer;
use orca_e2e::tls::Identity;
use orca_e2e::tls::TlsClient;
use orca_e2e::tls::Version;
use orca_e2e::wait;
use rustix::process::Signal;

/// Clients that ask all the time.
const CLIENTS: usize = 4;
/// Restarts under load, of each kind.
const RESTARTS: usize = 3;
/// What the manager asks of a program that lives.
const WATCHDOG: Duration = Duration::from_secs(2);

/// What systemd does: it holds the sockets, starts the program with them and listens to it.
struct Manager {
    site: Site,
    conf: Conf,
    public: TcpListener,
    status: TcpListener,
    started: usize,
}

/// One start of the program.
struct Service {
    process: Process,
    told: UnixDatagram,
}

impl Manager {
    fn new() -> anyhow::Result<Self> {
        let site = Site::new()?;
        let public = TcpListener::bind("127.0.0.1:0")?;
        let status = TcpListener::bind("127.0.0.2:0")?;
        let conf = site
            .conf()?
            .set("GATEWAY_LISTEN", public.local_addr()?)
            .set("GATEWAY_STATUS", status.local_addr()?);
        conf.write()?;
        Ok(Self {
            site,
            conf,
            public,
            status,
            started: 0,
        })
    }

    fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.public.local_addr()?)
    }

    fn client(&self) -> anyhow::Result<TlsClient> {
        let user = self.site.client("user1")?;
        TlsClient::new(&user.ca(), Version::Tls13, Some(Identity::of(&user)?))
    }

    /// Starts the program as sd_listen_fds(3) tells and waits for `READY=1`.
    fn start(&mut self) -> anyhow::Result<Service> {
        self.started += 1;
        let notify = self.site.path(&format!("notify-{}", self.started));
        let told = UnixDatagram::bind(&notify)?;
        told.set_read_timeout(Some(wait::PATIENCE))?;
        let hand_over = "exec 3<&0 4<&1 </dev/null >/dev/null; export LISTEN_PID=$$ WATCHDOG_PID=$$; exec \"$@\"";
        let program = Program::new("sh")
            .args(["-c", hand_over, "sh"])
            .arg(ours("orca-gateway")?)
            .arg("--conf")
            .arg(self.conf.path())
            .env("LISTEN_FDS", "2")
            .env("NOTIFY_SOCKET", &notify)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        let console = File::create(self.site.path("weborca/log/console.log"))?;
        let child = program.spawn(
            Stdio::from(OwnedFd::from(self.public.try_clone()?)),
            Stdio::from(OwnedFd::from(self.status.try_clone()?)),
            console.into(),
        )?;
        let process = Process::new("orca-gateway", child);
        let service = Service { process, told };
        service.tells("READY", "1").with_context(|| self.log())?;
        Ok(service)
    }

    fn log(&self) -> String {
        let console: PathBuf = self.site.path("weborca/log/console.log");
        [self.conf.log_path(), console]
            .map(|path| std::fs::read_to_string(path).unwrap_or_default())
            .concat()
    }
}

impl Service {
    /// The next message of the program.
    fn message(&self) -> std::io::Result<BTreeMap<String, String>> {
        let mut octets = [0; 4096];
        let length = self.told.recv(&mut octets)?;
        let text = String::from_utf8_lossy(&octets[..length]).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect())
    }

    /// Waits until it tells this, and gives the whole message.
    fn tells(&self, key: &str, value: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let end = Instant::now() + wait::PATIENCE;
        while Instant::now() < end {
            let message = self.message().with_context(|| format!("no {key}"))?;
            if message.get(key).is_some_and(|told| told == value) {
                return Ok(message);
            }
        }
        anyhow::bail!("no {key}={value}")
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::TERM)?;
        self.tells("STOPPING", "1")?;
        let status = self.process.end()?;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

/// How the clients fare.
#[derive(Debug, Default)]
struct Load {
    done: AtomicBool,
    served: AtomicUsize,
    failed: Mutex<Vec<Answer>>,
}

impl Load {
    /// Waits until every client has been served a few times more.
    fn more(&self) -> anyhow::Result<()> {
        let enough = self.served.load(Ordering::Relaxed) + 5 * CLIENTS;
        wait::until("clients are served", || {
            (self.served.load(Ordering::Relaxed) >= enough).then_some(())
        })
    }

    fn note(&self, answer: Answer) {
        match answer {
            Answer::Response(response) if response.status == 200 => {
                self.served.fetch_add(1, Ordering::Relaxed);
            }
            other => self.failed.lock().expect("no client panics").push(other),
        }
    }
}

/// Half of the clients connect anew for every request; half stay as long as the server says.
fn ask_on_and_on(load: &Load, client: &TlsClient, address: SocketAddr, stay: bool) {
    let mut open = None;
    while !load.done.load(Ordering::Relaxed) {
        load.note(if stay {
            ask_on(&mut open, client, address)
        } else {
            client.get(address, "/")
        });
    }
}

/// One request on the open connection. Where the server has closed it meanwhile, a client asks again
/// on a new one (RFC 9112 §9.3.1), as browsers do; a new one must not fail.
fn ask_on(open: &mut Option<tls::TlsStream>, client: &TlsClient, address: SocketAddr) -> Answer {
    let request = tls::request(address, "/", &[]);
    if let Some(mut stream) = open.take()
        && let Ok(response) = http1::exchange(&mut stream, request.as_bytes())
    {
        if response.header("connection") != Some("close") {
            *open = Some(stream);
        }
        return Answer::Response(response);
    }
    let asked = client.connect(address).and_then(|mut stream| {
        let response = http1::exchange(&mut stream, request.as_bytes())?;
        if response.header("connection") != Some("close") {
            *open = Some(stream);
        }
        Ok(response)
    });
    match asked {
        Ok(response) => Answer::Response(response),
        Err(error) => Answer::Broken(error.to_string()),
    }
}

/// Runs `restarts` while clients ask all the time; none of their requests may fail.
fn under_load(
    client: &TlsClient,
    address: SocketAddr,
    restarts: impl FnOnce(&Load) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let load = Load::default();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let load = &load;
            scope.spawn(move || ask_on_and_on(load, client, address, number % 2 == 1));
        }
        let restarted = restarts(&load).and_then(|()| load.more());
        load.done.store(true, Ordering::Relaxed);
        restarted
    })?;
    let failed = load.failed.into_inner()?;
    ensure!(failed.is_empty(), "{failed:#?}");
    Ok(())
}

#[test]
fn a_new_gateway_takes_over_and_nobody_is_refused() -> anyhow::Result<()> {
    let mut manager = Manager::new()?;
    let (client, address) = (manager.client()?, manager.address()?);
    let status = manager.status.local_addr()?;
    let mut old = manager.start()?;
    under_load(&client, address, |load| {
        for _ in 0..RESTARTS {
            load.more()?;
            // A long answer that is under way in the old one is finished there.
            let mut long = client.connect(address)?;
            let request = tls::request(address, "/drip?count=20&ms=50", &["Connection: close"]);
            std::io::Write::write_all(&mut long, request.as_bytes())?;
            let new = manager.start()?;
            old.stop()?;
            let text = String::from_utf8_lossy(&tls::read_to_end(&mut long)?).into_owned();
            ensure!(
                text.contains("200 OK") && text.ends_with("0\r\n\r\n"),
                "{text}"
            );
            ensure!(http1::get(status, "/healthz")?.status == 200);
            old = new;
        }
        Ok(())
    })?;
    old.stop()
}

#[test]
fn between_two_gateways_clients_wait() -> anyhow::Result<()> {
    let mut manager = Manager::new()?;
    let (client, address) = (manager.client()?, manager.address()?);
    let mut service = manager.start()?;
    under_load(&client, address, |load| {
        for _ in 0..RESTARTS {
            load.more()?;
            // As systemctl restart: the new one starts when the old one has ended.
            service.stop()?;
            service = manager.start()?;
        }
        service.process.signal(Signal::HUP)?;
        service.tells("READY", "1").map(drop)
    })?;
    service.stop()
}

#[test]
fn a_reload_is_announced_and_ends() -> anyhow::Result<()> {
    let mut manager = Manager::new()?;
    let service = manager.start()?;
    service.process.signal(Signal::HUP)?;
    let reloading = service.tells("RELOADING", "1")?;
    let usec: u64 = reloading["MONOTONIC_USEC"].parse()?;
    assert!(usec > 0);
    let ready = service.tells("READY", "1")?;
    assert!(ready["STATUS"].contains(&manager.address()?.to_string()));
    Ok(())
}

#[test]
fn the_watchdog_is_fed_only_while_the_keeper_lives() -> anyhow::Result<()> {
    let mut manager = Manager::new()?;
    let service = manager.start()?;
    service.tells("WATCHDOG", "1")?;
    service.tells("WATCHDOG", "1")?;
    // Reading a pipe that nobody writes to never ends; revocation would be dead from here on.
    let pipe = manager.site.path("pipe");
    let crl = manager.site.conf_dir().join("ca.crl");
    let status = Program::new("mkfifo").arg(&pipe).run()?;
    status.success()?;
    std::fs::rename(&pipe, &crl)?;
    service
        .told
        .set_read_timeout(Some(WATCHDOG + WATCHDOG / 2))?;
    let end = Instant::now() + wait::PATIENCE;
    while service.message().is_ok() {
        assert!(Instant::now() < end, "it is fed though the keeper hangs");
    }
    // Clients are still served, so only the watchdog can notice.
    let page = manager.client()?.get(manager.address()?, "/").response()?;
    assert_eq!(page.status, 200);
    Ok(())
}

#[test]
fn a_start_that_fails_says_why() -> anyhow::Result<()> {
    let manager = Manager::new()?;
    let notify = manager.site.path("notify");
    let told = UnixDatagram::bind(&notify)?;
    told.set_read_timeout(Some(wait::PATIENCE))?;
    let conf = manager.conf.set("SERVER_PEM", "/nowhere/s.pem");
    let outcome = conf.program(&[])?.env("NOTIFY_SOCKET", &notify).run()?;
    outcome.failure(1)?;
    let service = Service {
        process: Process::new(
            "true",
            Program::new("true").spawn(Stdio::null(), Stdio::null(), Stdio::null())?,
        ),
        told,
    };
    let message = service.message()?;
    assert!(message["STATUS"].contains("[file-missing]"), "{message:?}");
    Ok(())
}
