//! `revoke_cert`.

use jiff::Timestamp;
use orca_ca::Authority;
use orca_ca::authority::Delivery;
use orca_messages::text;

use crate::args::RevokeArgs;
use crate::session::{Failure, Session};

pub(crate) fn run(
    authority: &mut Authority,
    args: RevokeArgs,
    session: &mut Session<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let revoked = authority.revoke(&args.selection, args.reason, now)?;
    let list = revoked
        .serials
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let number = revoked.crl;
    session.say(&text!(
        "証明書 {list} を破棄(失効)し、CRL(番号 {number})を発行しました。",
        "revoked: {list}; CRL number {number} says so"
    ))?;
    if revoked.delivery == Delivery::Nowhere {
        let config = authority.place().config.display();
        session.warn(
            "no-gateway-told",
            text!(
                "どのゲートウェイにもCRLを渡していません。破棄した証明書でまだ接続できる可能性があります。",
                "no gateway was told: the revoked certificate may still open connections"
            ),
            text!(
                "{config} の :crl_publish: にCRLの置き場所(例: /opt/jma/weborca/conf/ca.crl)またはゲートウェイのアドレス(例: https://192.168.1.100:8000)を書き、orca-catool publish_crl を実行してください。",
                "name the gateway's CRL file (e.g. /opt/jma/weborca/conf/ca.crl) or its address (e.g. https://192.168.1.100:8000) under :crl_publish: in {config}, then run orca-catool publish_crl"
            ),
        )?;
    }
    Ok(())
}
