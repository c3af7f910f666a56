//! What will have broken by a day that is to come.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, text};
use orca_pki::certificate::Certificate;

use super::{day, name, which};

/// Something that ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// An authority.
    Authority(Certificate),
    /// A client's certificate.
    Client(Certificate),
    /// A revocation list: its number, and when the next one is due.
    List(String, Timestamp),
    /// A server's certificate.
    Server(Certificate),
}

impl Ending {
    fn moment(&self) -> Timestamp {
        match self {
            Self::Authority(one) | Self::Client(one) | Self::Server(one) => {
                one.validity().not_after
            }
            Self::List(_, due) => *due,
        }
    }
}

/// What ends between `now` and `then`, in the order of time; what has ended before is told by other
/// checks.
pub fn by_then(
    endings: &[Ending],
    now: Timestamp,
    then: Timestamp,
    zone: &TimeZone,
) -> Vec<Finding> {
    let mut ending: Vec<&Ending> = endings
        .iter()
        .filter(|one| (now..then).contains(&one.moment()))
        .collect();
    ending.sort_by_key(|one| one.moment());
    let mut findings: Vec<Finding> = Vec::new();
    for finding in ending.iter().map(|one| finding(one, zone)) {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    if findings.is_empty() {
        let (ja, en) = day(then, zone);
        findings.push(Finding::ok(
            "nothing-ends",
            text!(
                "{ja}までに期限が切れるものはありません。",
                "nothing that was looked at ends before {en}"
            ),
        ));
    }
    findings
}

fn finding(ending: &Ending, zone: &TimeZone) -> Finding {
    let (day_ja, day_en) = day(ending.moment(), zone);
    match ending {
        Ending::Authority(ca) => {
            let name = name(ca);
            Finding::failure(
                "ca-will-end",
                text!(
                    "認証局({name})の有効期限は{day_ja}に切れます。その日からすべての証明書が使用できなくなります。",
                    "the CA ({name}) ends on {day_en}, and with it every certificate"
                ),
                text!(
                    "それまでに新しい認証局を作成し、サーバと全端末の証明書を発行し直してください。",
                    "make a new CA before, and issue the certificates of server and clients again"
                ),
            )
        }
        Ending::Client(client) => {
            let ((ja, en), name) = (which(client), name(client));
            Finding::failure(
                "client-certificate-will-expire",
                text!(
                    "クライアント証明書({ja})の有効期限は{day_ja}に切れます。",
                    "the client certificate ({en}) expires on {day_en}"
                ),
                text!(
                    "それまでに orca-catool issue_client_cert -c {name} --again で発行し、端末に登録してください。",
                    "before, run orca-catool issue_client_cert -c {name} --again and install it"
                ),
            )
        }
        Ending::List(number, _) => Finding::failure(
            "crl-will-end",
            text!(
                "破棄リスト(番号{number})の期限は{day_ja}に切れます。",
                "the revocation list, number {number}, runs out on {day_en}"
            ),
            text!(
                "orca-catool を実行すると、期間の半分が過ぎた破棄リストは自動で更新されます。それまでに一度 orca-catool issue_crl を実行してください。",
                "any run of orca-catool renews a list when half its life is over; run orca-catool issue_crl before that day"
            ),
        ),
        Ending::Server(server) => {
            let name = name(server);
            let hosts = server.host_names().into_iter().map(|host| match host {
                orca_pki::name::HostName::Dns(name) => format!(" -c {name}"),
                orca_pki::name::HostName::Ip(address) => format!(" -i {address}"),
            });
            let hosts: String = hosts.collect();
            Finding::failure(
                "server-certificate-will-expire",
                text!(
                    "サーバ証明書({name})の有効期限は{day_ja}に切れます。その日から全端末で警告が表示されます。",
                    "the server certificate ({name}) expires on {day_en}; from then on every client warns"
                ),
                text!(
                    "それまでに orca-catool issue_server_cert{hosts} で発行し、server_kit で設置してください。",
                    "before, run orca-catool issue_server_cert{hosts} and install it with server_kit"
                ),
            )
        }
    }
}
