//! `export_cert`.

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::authority::Selection;
use orca_ca::record::Standing;
use orca_messages::text;

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
    print_path(&zip, session)?;
    let Selection::Serials(serials) = &args.selection else {
        return Ok(());
    };
    for serial in serials {
        if authority.record(serial)?.standing(now) == Standing::Expired {
            session.warn(
                "exported-expired",
                text!(
                    "証明書 {serial} の有効期限は切れています。書き出したファイルでは接続できません。",
                    "certificate {serial} has expired: nobody gets in with these files"
                ),
                text!("新しい証明書を発行してください。", "issue a new certificate"),
            )?;
        }
    }
    Ok(())
}
