//! `issue_client_cert`.

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::authority::IssueOrder;
use orca_ca::store::NamePolicy;
use orca_messages::text;
use orca_pki::issuance::{IssuanceError, IssuanceRequest};

use super::{tell_advice, words};
use crate::args::ClientArgs;
use crate::session::{Failure, Session};
use crate::{absolute, print_path};

pub(crate) fn run(
    authority: &mut Authority,
    args: ClientArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let config = authority.config();
    let days = args.issue.days.unwrap_or(config.client_cert_validity);
    let key = args.issue.key.unwrap_or(config.client_key);
    let request = IssuanceRequest::client(&config.realm, args.issue.names, days, key)
        .map_err(IssuanceError::from)
        .map_err(orca_ca::Error::from)?;
    let order = IssueOrder {
        request,
        holder: args.holder,
        device: args.device,
        names: if args.again {
            NamePolicy::Shared
        } else {
            NamePolicy::Unique
        },
        output: absolute(args.issue.output),
    };
    let issued = authority.issue(&order, now)?;
    print_path(&issued.zip, session)?;
    tell_advice(&issued.advice, session)?;
    if !issued.siblings.is_empty() {
        let older = words(&issued.siblings);
        session.say(&text!(
            "古い証明書({older})はまだ有効です。使わなくなったら orca-catool revoke_cert {older} で破棄してください。",
            "the older certificates ({older}) are still valid; once unused, revoke them with orca-catool revoke_cert {older}"
        ))?;
    }
    Ok(())
}
