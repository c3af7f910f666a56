//! `export_cert`.

use jiff::Timestamp;
use orca_ca::Authority;

use crate::args::ExportArgs;
use crate::session::{Failure, Session};
use crate::{absolute, print_path};

pub(crate) fn run(
    authority: &mut Authority,
    args: ExportArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let zip = authority.export(&args.selection, args.p12, absolute(args.output), now)?;
    print_path(&zip, session)
}
