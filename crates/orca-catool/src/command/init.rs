//! `init`, and the question of the first start.

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::authority::InitOrder;
use orca_ca::place::Place;
use orca_messages::text;

use super::warn_exposed;
use crate::args::InitArgs;
use crate::interface;
use crate::session::{Failure, Session};
use crate::upkeep;

/// Makes a CA as the command line says.
pub(crate) fn run(
    place: Place,
    args: InitArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let InitArgs {
        organization,
        ca_name,
        days,
        key,
        constraints,
    } = args;
    let order = InitOrder {
        organization,
        ca_name,
        days,
        key,
        constraints,
    };
    let mut authority = Authority::init(place, order, now)?;
    upkeep::note_configuration(&mut authority, session, now)?;
    upkeep::tell_head(&authority, now);
    let subject = authority.certificate().subject();
    let folder = authority.place().folder().display();
    session.say(&text!(
        "認証局 {subject} を作成しました。設定と鍵は {folder} にあります。バックアップを取り、鍵を他人に渡さないでください。",
        "CA {subject} was made; its configuration and keys lie in {folder}. Back them up, and give the keys to nobody."
    ))?;
    for path in authority.exposed_files() {
        warn_exposed(&path, session)?;
    }
    Ok(())
}

/// Asks whether to make a CA, and makes it. Nothing more is printed than the guide shows.
pub(crate) fn ask(
    place: Place,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<Authority, Failure> {
    write!(
        session.messages,
        "{}",
        interface::first_start(&place.config)
    )?;
    loop {
        session.messages.flush()?;
        let mut answer = String::new();
        let read = session.input.read_line(&mut answer).unwrap_or(0);
        // An end of input at a terminal (Ctrl-D) moves no cursor.
        if !session.input_is_terminal || read == 0 {
            writeln!(session.messages)?;
        }
        match answer.trim() {
            "y" => return Ok(Authority::init(place, InitOrder::default(), now)?),
            "n" => return Err(Failure::Declined),
            _ if read == 0 => return Err(Failure::Declined),
            _ => write!(session.messages, "{}", interface::ASK_AGAIN)?,
        }
    }
}
