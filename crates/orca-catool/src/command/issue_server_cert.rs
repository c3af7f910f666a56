//! `issue_server_cert`.

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::authority::IssueOrder;
use orca_ca::store::NamePolicy;
use orca_messages::text;
use orca_pki::issuance::{IssuanceError, IssuanceRequest};

use super::{tell_advice, words};
use crate::args::{IssueArgs, ServerNames};
use crate::session::{Failure, Session};
use crate::{absolute, print_path};

pub(crate) fn run(
    authority: &mut Authority,
    args: IssueArgs<ServerNames>,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let config = authority.config();
    let days = args.days.unwrap_or(config.server_cert_validity);
    let key = args.key.unwrap_or(config.server_key);
    let ServerNames { common_name, hosts } = args.names;
    let request = IssuanceRequest::server(&config.realm, common_name, hosts, days, key)
        .map_err(IssuanceError::from)
        .map_err(orca_ca::Error::from)?;
    let name = request.common_name().clone();
    let order = IssueOrder {
        request,
        holder: None,
        device: None,
        names: NamePolicy::Shared,
        output: absolute(args.output),
    };
    let issued = authority.issue(&order, now)?;
    print_path(&issued.zip, session)?;
    tell_advice(&issued.advice, session)?;
    if !issued.siblings.is_empty() {
        let older = words(&issued.siblings);
        session.warn(
            "older-server-certificate",
            text!(
                "{name} には有効なサーバ証明書がほかにもあります({older})。",
                "{name} has other valid server certificates ({older})"
            ),
            text!(
                "新しい証明書を設置したあと、orca-catool revoke_cert {older} で古いものを破棄してください。",
                "once the new one is installed, revoke the others with orca-catool revoke_cert {older}"
            ),
        )?;
    }
    Ok(())
}
