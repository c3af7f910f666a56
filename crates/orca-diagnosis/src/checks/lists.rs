//! The revocation list that the gateway shows.

use jiff::Timestamp;
use orca_messages::{Finding, text};
use orca_pki::crl::{Crl, UnverifiedCrl};

use super::{Beliefs, day, names};
use crate::facts::{Lists, Seen};

pub(super) fn findings(seen: &Seen, beliefs: &Beliefs, now: Timestamp) -> Vec<Finding> {
    match &seen.lists {
        Lists::Unknown => Vec::new(),
        Lists::Nowhere => vec![missing()],
        Lists::Found(lists) => found(lists, beliefs, now),
    }
}

/// Whether what a server shows is as it should be.
fn found(lists: &[Vec<u8>], beliefs: &Beliefs, now: Timestamp) -> Vec<Finding> {
    if beliefs.authorities.is_empty() {
        return Vec::new();
    }
    let verified: Vec<Crl> = lists
        .iter()
        .filter_map(|der| {
            let list = UnverifiedCrl::from_der(der).ok()?;
            list.verify(&beliefs.authorities).ok()
        })
        .collect();
    let Some(newest) = verified.iter().max_by_key(|list| list.number()) else {
        return vec![of_another_ca(beliefs)];
    };
    let mut findings = Vec::new();
    if newest.is_overdue(now) {
        findings.push(overdue(newest, beliefs));
    }
    let number: u64 = newest.number().to_string().parse().unwrap_or(u64::MAX);
    if let Some(wanted) = beliefs.newest_list
        && number < wanted
    {
        findings.push(behind(number, wanted));
    }
    if findings.is_empty() {
        findings.push(good(newest, beliefs));
    }
    findings
}

fn good(list: &Crl, beliefs: &Beliefs) -> Finding {
    let (number, entries) = (list.number(), list.len());
    let (ja, en) = day(list.next_update(), &beliefs.zone);
    Finding::ok(
        "crl-good",
        text!(
            "サーバの破棄リスト(番号{number}、失効{entries}件)は{ja}まで有効です。",
            "the server's revocation list, number {number}, {entries} revoked, is good until {en}"
        ),
    )
}

fn missing() -> Finding {
    Finding::warning(
        "crl-missing",
        text!(
            "サーバに破棄リスト(CRL)がありません。証明書を破棄しても、この接続先では使用できてしまいます。",
            "the server has no revocation list: revoked certificates still work there"
        ),
        text!(
            "認証局で orca-catool issue_crl を実行し、ca.crlをサーバの CA_CRL の場所に配置するか、config.yml の :crl_publish: にこのサーバを加えて orca-catool publish_crl を実行してください。",
            "run orca-catool issue_crl and put ca.crl where CA_CRL says, or add the server to :crl_publish: in config.yml and run orca-catool publish_crl"
        ),
    )
}

fn overdue(list: &Crl, beliefs: &Beliefs) -> Finding {
    let number = list.number();
    let (ja, en) = day(list.next_update(), &beliefs.zone);
    Finding::failure(
        "crl-overdue",
        text!(
            "サーバの破棄リスト(番号{number})の期限が{ja}に切れています。",
            "the server's revocation list, number {number}, ran out on {en}"
        ),
        text!(
            "認証局で orca-catool issue_crl を実行し、届かない場合は orca-catool publish_crl で原因を確認してください。",
            "run orca-catool issue_crl at the CA; if it does not arrive, orca-catool publish_crl tells why"
        ),
    )
}

fn behind(number: u64, wanted: u64) -> Finding {
    Finding::failure(
        "crl-not-delivered",
        text!(
            "最新の破棄リスト(番号{wanted})がサーバに届いていません(サーバは番号{number})。最近の破棄がこのサーバで効いていません。",
            "the newest revocation list, number {wanted}, has not reached the server, which has number {number}: the latest revocations have no effect there"
        ),
        text!(
            "orca-catool publish_crl を実行してください。届かない場合は、表示された原因を取り除いてください。",
            "run orca-catool publish_crl and remove the cause that it tells"
        ),
    )
}

fn of_another_ca(beliefs: &Beliefs) -> Finding {
    let (ja, en) = names(&beliefs.authorities);
    Finding::failure(
        "crl-of-another-ca",
        text!(
            "サーバの破棄リストは、認証局「{ja}」のものではありません。この認証局の破棄は効きません。",
            "the server's revocation lists are none of {en}: what this CA revokes has no effect there"
        ),
        text!(
            "orca-catool server_kit でサーバのファイルを配置し直してください。",
            "put the files of the server in place again with orca-catool server_kit"
        ),
    )
}
