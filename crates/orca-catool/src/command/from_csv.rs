//! `issue_client_cert --from-csv`: many certificates in one run, on all processors.
//!
//! Every worker opens the authority for itself and issues one certificate after the other, each as a
//! single call would: what can happen to one in a crash is what can happen to each of these.

mod sheet;

use std::io::{self, IsTerminal as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::authority::{IssueOrder, Issued};
use orca_ca::store::NamePolicy;
use orca_messages::{Localize as _, Text, text};
use orca_pki::issuance::{IssuanceError, IssuanceRequest};
use orca_pki::lint::{self, Advice};
use orca_pki::serial::SerialNumber;

use super::{tell_advice, words};
use crate::args::{BatchArgs, NamesInUse};
use crate::session::{Failure, Session};
use crate::{absolute, print_path};
pub(crate) use sheet::CsvError;
use sheet::{Fault, Sheet, Wanted};

/// What is to be done, in the order of the file.
struct Plan {
    orders: Vec<IssueOrder>,
    /// Valid certificates of names that are left out.
    skipped: Vec<SerialNumber>,
}

/// What was done.
#[derive(Default)]
struct Outcome {
    issued: usize,
    advice: Vec<Advice>,
    siblings: Vec<SerialNumber>,
}

pub(crate) fn run(
    authority: &Authority,
    args: BatchArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let sheet = sheet::read(&args.file)?;
    let plan = plan(authority, &args, sheet, session, now)?;
    let mut outcome = Outcome::default();
    let result = issue_all(authority, &plan.orders, &mut outcome, session, now);
    summarize(authority, &args, &plan, &outcome, session)?;
    result
}

/// Checks everything that can be known before the first is signed.
fn plan(
    authority: &Authority,
    args: &BatchArgs,
    sheet: Sheet,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<Plan, Failure> {
    let mut faults = match args.names {
        NamesInUse::Again => Vec::new(),
        NamesInUse::Refuse | NamesInUse::Skip => sheet.doubles(),
    };
    let mut plan = Plan {
        orders: Vec::with_capacity(sheet.wanted.len()),
        skipped: Vec::new(),
    };
    faults.extend(sheet.faults);
    for wanted in sheet.wanted {
        let line = wanted.line;
        let name = wanted.name.to_string();
        let held = authority.valid_clients(&name, now)?;
        match (args.names, held.last()) {
            (NamesInUse::Refuse, Some(serial)) => faults.push(Fault {
                line,
                why: text!(
                    "名前「{name}」には有効な証明書 {serial} があります。",
                    "the name {name:?} has the valid certificate {serial}"
                ),
            }),
            (NamesInUse::Skip, Some(serial)) => plan.skipped.push(serial.clone()),
            _ => match order(authority, args, wanted, now) {
                Ok(order) => plan.orders.push(order),
                Err(error) => faults.push(Fault {
                    line,
                    why: error.message(),
                }),
            },
        }
    }
    if faults.is_empty() {
        return Ok(plan);
    }
    faults.sort_by_key(|fault| fault.line);
    for Fault { line, why } in &faults {
        let Text { ja, en } = why;
        session.say(&text!("{line}行目: {ja}", "line {line}: {en}"))?;
    }
    Err(Failure::Csv(CsvError::Refused {
        path: args.file.clone(),
        lines: faults.len(),
    }))
}

fn order(
    authority: &Authority,
    args: &BatchArgs,
    wanted: Wanted,
    now: Timestamp,
) -> Result<IssueOrder, orca_ca::Error> {
    let config = authority.config();
    let days = wanted.days.or(args.days);
    let days = days.unwrap_or(config.client_cert_validity);
    let key = args.key.unwrap_or(config.client_key);
    let request = IssuanceRequest::client(&config.realm, wanted.name, days, key)
        .map_err(IssuanceError::from)?;
    lint::check(&request, Some(authority.certificate()), now)?;
    Ok(IssueOrder {
        request,
        holder: wanted.holder,
        device: wanted.device,
        names: match args.names {
            NamesInUse::Again => NamePolicy::Shared,
            NamesInUse::Refuse | NamesInUse::Skip => NamePolicy::Unique,
        },
        output: absolute(args.output.clone()),
    })
}

fn issue_all(
    authority: &Authority,
    orders: &[IssueOrder],
    outcome: &mut Outcome,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for _ in 0..workers.min(orders.len()) {
            let sender = sender.clone();
            let (next, is_over) = (&next, &is_over);
            let place = authority.place().clone();
            scope.spawn(move || match Authority::open(place) {
                Ok(authority) => work(authority, orders, next, is_over, &sender, now),
                Err(error) => drop(sender.send(Err(error))),
            });
        }
        drop(sender);
        let result = tell_all(&receiver, orders.len(), outcome, session, &is_over);
        // Where telling failed, nobody hears of more: what is under way is finished.
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

fn work(
    mut authority: Authority,
    orders: &[IssueOrder],
    next: &AtomicUsize,
    is_over: &AtomicBool,
    sender: &Sender<Result<Issued, orca_ca::Error>>,
    now: Timestamp,
) {
    while !is_over.load(Ordering::Relaxed)
        && let Some(order) = orders.get(next.fetch_add(1, Ordering::Relaxed))
    {
        if sender.send(authority.issue(order, now)).is_err() {
            return;
        }
    }
}

/// Prints the path of every zip as soon as it is written; the first error ends the run.
fn tell_all(
    receiver: &Receiver<Result<Issued, orca_ca::Error>>,
    total: usize,
    outcome: &mut Outcome,
    session: &mut Session<'_>,
    is_over: &AtomicBool,
) -> Result<(), Failure> {
    let shows_progress = io::stderr().is_terminal();
    let mut failure = None;
    for result in receiver {
        match result {
            Ok(issued) => {
                if shows_progress {
                    write!(session.messages, "\r\x1b[K")?;
                }
                print_path(&issued.zip, session)?;
                session.output.flush()?;
                outcome.add(issued);
                if shows_progress {
                    progress(outcome.issued, total, session)?;
                }
            }
            Err(error) => {
                is_over.store(true, Ordering::Relaxed);
                failure.get_or_insert(error);
            }
        }
    }
    if shows_progress {
        write!(session.messages, "\r\x1b[K")?;
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

fn progress(done: usize, total: usize, session: &mut Session<'_>) -> io::Result<()> {
    const WIDTH: usize = 30;
    let filled = done * WIDTH / total.max(1);
    let bar = "#".repeat(filled) + &"-".repeat(WIDTH - filled);
    write!(session.messages, "[{bar}] {done}/{total}")?;
    session.messages.flush()
}

impl Outcome {
    fn add(&mut self, issued: Issued) {
        self.issued += 1;
        for advice in issued.advice {
            if !self.advice.contains(&advice) {
                self.advice.push(advice);
            }
        }
        for serial in issued.siblings {
            if !self.siblings.contains(&serial) {
                self.siblings.push(serial);
            }
        }
    }
}

fn summarize(
    authority: &Authority,
    args: &BatchArgs,
    plan: &Plan,
    outcome: &Outcome,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    tell_advice(&outcome.advice, session)?;
    if !outcome.siblings.is_empty() {
        let older = words(&outcome.siblings);
        session.say(&text!(
            "古い証明書({older})はまだ有効です。使わなくなったら orca-catool revoke_cert {older} で破棄してください。",
            "the older certificates ({older}) are still valid; once unused, revoke them with orca-catool revoke_cert {older}"
        ))?;
    }
    let folder = absolute(args.output.clone());
    let folder = folder.unwrap_or_else(|| authority.config().certs_dir.clone());
    let missing = without_zip(authority, &plan.skipped, &folder)?;
    if !missing.is_empty() {
        let (serials, folder) = (words(&missing), folder.display());
        session.warn(
            "zip-missing",
            text!(
                "発行済の証明書 {serials} のzipが {folder} にありません。",
                "the zips of certificates {serials}, issued before, are not in {folder}"
            ),
            text!(
                "必要であれば orca-catool export_cert 番号 で書き出してください(番号ごとに1回)。",
                "where they are needed, write them with orca-catool export_cert SERIAL, one at a time"
            ),
        )?;
    }
    let (issued, total, skipped) = (outcome.issued, plan.orders.len(), plan.skipped.len());
    session.say(&text!(
        "{total}枚のうち{issued}枚を発行しました(発行済のため飛ばした行: {skipped})。",
        "issued {issued} of {total}; left out because they have one: {skipped}"
    ))?;
    Ok(())
}

/// Certificates whose zip does not lie in the folder: of a run that was killed, or taken away.
fn without_zip(
    authority: &Authority,
    serials: &[SerialNumber],
    folder: &std::path::Path,
) -> Result<Vec<SerialNumber>, Failure> {
    let mut missing = Vec::new();
    for serial in serials {
        let name: Option<PathBuf> = authority.zip_of(serial)?;
        if name.is_none_or(|name| !folder.join(name).exists()) {
            missing.push(serial.clone());
        }
    }
    Ok(missing)
}
