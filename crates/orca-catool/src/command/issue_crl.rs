//! `issue_crl`.

use std::path::Path;

use jiff::Timestamp;
use orca_ca::{Authority, delivery, publication};

use crate::args::CrlArgs;
use crate::session::{Failure, Session};
use crate::{absolute, print_path};

pub(crate) fn run(
    authority: &mut Authority,
    args: CrlArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let issued = authority.issue_crl(args.days, args.age, now)?;
    let crl = issued.newest();
    match args.output {
        Some(path) if path == Path::new("-") => {
            write!(session.output, "{}", crl.to_pem())?;
            Ok(())
        }
        Some(path) => {
            let path = absolute(Some(path.clone())).unwrap_or(path);
            delivery::replace(
                &path,
                crl.to_pem().as_bytes(),
                0o644,
                authority.place().owner,
            )
            .map_err(orca_ca::Error::of_output)?;
            print_path(&path, session)
        }
        // Where the list stands, whether it is a new one or young enough: scripts read it.
        None => print_path(&publication::main_file(authority.config()), session),
    }
}
