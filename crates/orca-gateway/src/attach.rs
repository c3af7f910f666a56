//! `orca-gateway attach` and `detach`: the gateway in front of a WebORCA that runs already, without
//! moving what works, and back again.
//!
//! Everything is worked out and checked first; each step that is taken knows how to undo itself, and a
//! failure undoes them all.

mod door;
mod error;
mod files;
pub(crate) mod nag;
mod plan;
mod probe;
mod record;
mod service;
mod told;
mod undo;

use std::io;
use std::path::Path;
use std::time::Duration;

use orca_messages::Finding;
use rustix::process::geteuid;

use crate::clock::Clock;
use crate::config::{self, Reading};
use crate::credentials::Credentials;
pub(crate) use door::is_shut;
pub(crate) use error::AttachError;
use error::Words;
pub(crate) use plan::Mode;
use plan::{Change, Plan, weborca_conf};
use probe::Answer;
pub(crate) use record::Record;
use undo::{Step, Undo};

/// WebORCA loads a lot before it answers.
const WEBORCA_STARTS: Duration = Duration::from_secs(120);
const GATEWAY_STARTS: Duration = Duration::from_secs(30);
/// For a gateway that somebody else has started before.
const GATEWAY_RUNS: Duration = Duration::from_secs(1);

/// Takes what there is to tell, as it happens.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(&Finding);

/// Whether anything is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Run {
    /// Only tell what would be done.
    Dry,
    Real,
}

/// How the gateway leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Departure {
    /// For good: everything as it was before.
    Complete,
    /// For now: only the door is opened.
    Emergency,
}

/// Puts the gateway in front of WebORCA; where it stands there already, shuts the door again.
///
/// # Errors
/// What is in the way; then nothing has changed.
pub(crate) fn attach(
    conf: &Path,
    mode: Option<Mode>,
    run: Run,
    clock: Clock,
    tell: Tell<'_>,
) -> Result<(), AttachError> {
    if let Some(record) = read_record()? {
        return again(record, mode, run, tell);
    }
    let conf = std::path::absolute(conf).unwrap_or_else(|_| conf.to_owned());
    let plan = plan::plan(
        mode.unwrap_or_default(),
        &conf,
        text_of(&conf)?,
        text_of(&weborca_conf(&conf))?,
    )?;
    usable(&config::interpret(&conf, &plan.own.after))?;
    let weborca = plan.weborca_now();
    if !matches!(probe::ask(weborca), Answer::Http | Answer::Https) {
        return Err(AttachError::WeborcaSilent { port: weborca });
    }
    if run == Run::Dry {
        told::plan(&plan, tell);
        return Ok(());
    }
    permitted()?;
    let mut undo = Undo::default();
    match carry_out(&plan, clock, &mut undo, tell) {
        Ok(()) => {
            told::attached(&plan, tell);
            Ok(())
        }
        Err(error) => {
            undo.all(tell);
            Err(error)
        }
    }
}

/// Takes the gateway away from WebORCA.
///
/// # Errors
/// It is not there, or something cannot be changed; calling again goes on where it stopped.
pub(crate) fn detach(
    departure: Departure,
    run: Run,
    clock: Clock,
    tell: Tell<'_>,
) -> Result<(), AttachError> {
    let record = read_record()?.ok_or(AttachError::NotAttached)?;
    if run == Run::Dry {
        told::departure(&record, departure, tell);
        return Ok(());
    }
    permitted()?;
    match departure {
        Departure::Emergency => open_for_now(record, clock, tell),
        Departure::Complete => leave(&record, tell),
    }
}

fn carry_out(
    plan: &Plan,
    clock: Clock,
    undo: &mut Undo,
    tell: Tell<'_>,
) -> Result<(), AttachError> {
    let managed = service::is_there();
    if plan.weborca.is_some() && !managed {
        return Err(AttachError::NoServiceManager);
    }
    change(&plan.own, 0o640, undo, tell)?;
    if let Some(weborca) = &plan.weborca {
        // Undone in reverse: first the file, then the restart that reads it.
        undo.push(Step::RestartWeborca);
        change(weborca, 0o644, undo, tell)?;
        service::systemctl(&["restart", service::WEBORCA])?;
        tell(&told::weborca_restarted());
    }
    let port = plan.door.weborca();
    if probe::wait_for(port, Answer::Http, WEBORCA_STARTS) != Answer::Http {
        return Err(AttachError::WeborcaSilent { port });
    }
    tell(&told::weborca_answers(port));
    if managed {
        undo.push(Step::StopGateway);
    }
    gateway_answers(plan, managed)?;
    tell(&told::gateway_answers(plan.gateway.port()));
    undo.push(Step::OpenDoor);
    shut(&plan.record(clock.now()), managed)
}

/// The rules are on disk before they are in force: whatever happens in between, a reboot shuts the door.
fn shut(record: &Record, managed: bool) -> Result<(), AttachError> {
    record.write()?;
    record.door.shut()?;
    if managed {
        service::systemctl(&["enable", service::DOOR])?;
        service::systemctl(&["restart", service::DOOR])?;
    }
    Ok(())
}

/// Starts the gateway where there is a service manager, and asks it.
fn gateway_answers(plan: &Plan, managed: bool) -> Result<(), AttachError> {
    let port = plan.gateway.port();
    let (started, patience) = if managed {
        lead_the_socket(port)?;
        let started = service::systemctl(&["start", service::GATEWAY]).is_ok();
        (started, GATEWAY_STARTS)
    } else {
        (true, GATEWAY_RUNS)
    };
    if started && probe::wait_for(port, Answer::Gateway, patience) == Answer::Gateway {
        return Ok(());
    }
    Err(AttachError::GatewaySilent {
        listen: plan.gateway,
        weborca: plan.door.weborca(),
        managed,
    })
}

/// The gateway is down, and its socket waits for clients at this port.
fn lead_the_socket(port: u16) -> io::Result<()> {
    service::systemctl(&["stop", service::SOCKET, service::GATEWAY])?;
    service::listen_on(port)?;
    service::systemctl(&["enable", service::SOCKET, service::GATEWAY])?;
    service::systemctl(&["start", service::SOCKET])
}

fn change(change: &Change, mode: u32, undo: &mut Undo, tell: Tell<'_>) -> Result<(), AttachError> {
    if !change.is_one() {
        return Ok(());
    }
    if let Some(before) = &change.before {
        let mut backup = change.path.clone().into_os_string();
        backup.push(".before-attach");
        files::replace(Path::new(&backup), before.as_bytes(), 0o600)?;
    }
    undo.push(Step::Restore(change.clone()));
    files::replace(&change.path, change.after.as_bytes(), mode)?;
    tell(&told::changed(change));
    Ok(())
}

fn again(
    mut record: Record,
    mode: Option<Mode>,
    run: Run,
    tell: Tell<'_>,
) -> Result<(), AttachError> {
    let standing = match record.door {
        door::Door::Redirect { .. } => Mode::Redirect,
        door::Door::Shut { .. } => Mode::Port,
    };
    if mode.is_some_and(|mode| mode != standing) {
        return Err(AttachError::AttachedOtherwise);
    }
    if run == Run::Dry {
        tell(&told::rules(record.door));
        return Ok(());
    }
    permitted()?;
    let port = record.gateway;
    if probe::ask(port) != Answer::Gateway {
        // A closed door with nobody behind it is what a stopped gateway means; it is told all the same.
        tell(&told::gateway_silent(port));
    }
    record.emergency = None;
    shut(&record, service::is_there())?;
    tell(&told::door_shut());
    Ok(())
}

fn open_for_now(mut record: Record, clock: Clock, tell: Tell<'_>) -> Result<(), AttachError> {
    // First the record: whoever looks must never find an open door that nobody answers for.
    record.emergency.get_or_insert_with(|| clock.now());
    record.write()?;
    door::open()?;
    if service::is_there() {
        service::systemctl(&["stop", service::DOOR])?;
    }
    let opened = told::emergency(record.door);
    nag::write_down(&record.own_conf, &opened, clock);
    tell(&opened);
    Ok(())
}

fn leave(record: &Record, tell: Tell<'_>) -> Result<(), AttachError> {
    let managed = service::is_there();
    if managed {
        let units = [service::SOCKET, service::GATEWAY, service::DOOR];
        for order in ["disable", "stop"] {
            service::systemctl(&[&[order][..], &units[..]].concat())?;
        }
        service::listen_as_shipped()?;
    }
    if let Some(path) = &record.weborca_conf {
        let before = text_of(path)?;
        let after = plan::undone(before.as_deref().unwrap_or(""), &record.http_port)?;
        if before.as_ref() != Some(&after) {
            files::replace(path, after.as_bytes(), 0o644)?;
            if managed {
                service::systemctl(&["restart", service::WEBORCA])?;
            }
        }
    }
    door::open()?;
    Record::remove()?;
    told::detached(record, managed, tell);
    Ok(())
}

/// The configuration attach would leave must carry a start with certificates.
fn usable(reading: &Reading) -> Result<(), AttachError> {
    let config = match &reading.config {
        Ok(config) => config,
        Err(errors) => {
            let first = errors.first().map(Words::of);
            return Err(first.map_or(AttachError::NoCertificates, AttachError::Unusable));
        }
    };
    let config::Mode::Https(files) = &config.mode else {
        return Err(AttachError::NoCertificates);
    };
    Credentials::load(files).map(drop).map_err(|errors| {
        let first = errors.first().map(Words::of);
        first.map_or(AttachError::NoCertificates, AttachError::Unusable)
    })
}

fn permitted() -> Result<(), AttachError> {
    if !geteuid().is_root() {
        return Err(AttachError::NotRoot);
    }
    is_shut().map(drop).map_err(AttachError::from)
}

fn read_record() -> Result<Option<Record>, AttachError> {
    Record::read().map_err(AttachError::from)
}

fn text_of(path: &Path) -> Result<Option<String>, AttachError> {
    let Some(octets) = files::read(path)? else {
        return Ok(None);
    };
    // Written back as text, anything else would be damaged.
    String::from_utf8(octets)
        .map(Some)
        .map_err(|_| AttachError::NotUtf8(path.to_owned()))
}
