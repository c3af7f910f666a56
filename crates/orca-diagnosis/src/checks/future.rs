//! What is judged as of another day: what will have broken by a day to come, and in `past` what had
//! on a day that is over.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use orca_messages::{Finding, text};
use orca_pki::certificate::Certificate;
use orca_pki::validity::Validity;

use super::{day, name, which};

mod past;

/// Something that ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// An authority.
    Authority(Certificate),
    /// A client's certificate.
    Client(Certificate),
    /// A revocation list: its number, and when the next one is due.
    List(String, Timestamp),
    /// A client's certificate that was withdrawn, and when.
    Revoked(Certificate, Timestamp),
    /// A server's certificate.
    Server(Certificate),
}

impl Ending {
    fn moment(&self) -> Timestamp {
        match self {
            Self::List(_, due) => *due,
            Self::Revoked(_, at) => *at,
            _ => self.validity().map_or(Timestamp::MAX, |one| one.not_after),
        }
    }

    fn validity(&self) -> Option<Validity> {
        match self {
            Self::Authority(one) | Self::Client(one) | Self::Server(one) => Some(one.validity()),
            Self::List(..) | Self::Revoked(..) => None,
        }
    }

    /// What people call it.
    fn title(&self) -> (String, String) {
        match self {
            Self::Authority(ca) => {
                let name = name(ca);
                (format!("認証局({name})"), format!("the CA ({name})"))
            }
            Self::Client(client) | Self::Revoked(client, _) => {
                let (ja, en) = which(client);
                (
                    format!("クライアント証明書({ja})"),
                    format!("the client certificate ({en})"),
                )
            }
            Self::List(number, _) => (
                format!("破棄リスト(番号{number})"),
                format!("the revocation list, number {number},"),
            ),
            Self::Server(server) => {
                let name = name(server);
                (
                    format!("サーバ証明書({name})"),
                    format!("the server certificate ({name})"),
                )
            }
        }
    }
}

/// A day in a zone, from midnight to midnight.
struct Day {
    begin: Timestamp,
    end: Timestamp,
    zone: TimeZone,
}

impl Day {
    fn new(date: Date, zone: &TimeZone) -> Self {
        let midnight = |date: Date| zone.to_timestamp(date.at(0, 0, 0, 0)).ok();
        Self {
            begin: midnight(date).unwrap_or(Timestamp::MAX),
            end: (date.tomorrow().ok().and_then(midnight)).unwrap_or(Timestamp::MAX),
            zone: zone.clone(),
        }
    }

    fn names(&self) -> (String, String) {
        day(self.begin, &self.zone)
    }
}

/// Authorities that were sent along.
pub fn intermediates(others: &[Certificate]) -> Vec<Ending> {
    let above = others.iter().filter(|one| one.is_ca());
    above.cloned().map(Ending::Authority).collect()
}

/// Whether a day is over.
pub fn is_over(date: Date, now: Timestamp, zone: &TimeZone) -> bool {
    Day::new(date, zone).end <= now
}

/// What is to be said of `date`, beside all that is to be said of `now`.
pub fn at_day(endings: &[Ending], date: Date, now: Timestamp, zone: &TimeZone) -> Vec<Finding> {
    let day = Day::new(date, zone);
    let mut sorted: Vec<&Ending> = endings.iter().collect();
    sorted.sort_by_key(|one| one.moment());
    let mut findings = Vec::new();
    let found = match day.end <= now {
        true => past::findings(&sorted, &day),
        false => by_then(&sorted, now, &day),
    };
    for finding in found {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}

/// In the order of time. What has ended before `now` is told by other checks and not again.
fn by_then(endings: &[&Ending], now: Timestamp, day: &Day) -> Vec<Finding> {
    let begins = endings
        .iter()
        .filter_map(|one| beginning(one, now, day))
        .collect::<Vec<_>>();
    let ends = endings
        .iter()
        .filter(|one| !matches!(one, Ending::Revoked(..)))
        .filter(|one| (now..day.end).contains(&one.moment()))
        .map(|one| finding(one, &day.zone));
    let mut findings: Vec<Finding> = begins.into_iter().chain(ends).collect();
    if findings.iter().all(|finding| finding.remedy.is_none()) {
        let (ja, en) = day.names();
        findings.push(Finding::ok(
            "nothing-ends",
            text!(
                "{ja}までに、新たに期限が切れるものはありません。",
                "nothing more that was looked at ends by {en}"
            ),
        ));
    }
    findings
}

/// What is not valid yet: whether it will be.
fn beginning(ending: &Ending, now: Timestamp, day: &Day) -> Option<Finding> {
    let validity = ending.validity()?;
    let begin = validity.not_before;
    if begin <= now || validity.not_after < day.end {
        return None;
    }
    let (title_ja, title_en) = ending.title();
    let (begin_ja, begin_en) = super::day(begin, &day.zone);
    let (then_ja, then_en) = day.names();
    Some(match begin < day.end {
        true => Finding::ok(
            "valid-by-then",
            text!(
                "{title_ja}は{begin_ja}から有効です。{then_ja}には使用できます。",
                "{title_en} is valid from {begin_en} on, and can be used on {then_en}"
            ),
        ),
        false => Finding::failure(
            "not-valid-by-then",
            text!(
                "{title_ja}の有効期間は{begin_ja}からです。{then_ja}にもまだ使用できません。",
                "{title_en} is valid from {begin_en} on: on {then_en} it cannot be used yet"
            ),
            text!(
                "証明書を発行した機械の時計(timedatectl)を確認し、正しい時刻で発行し直してください。",
                "check the clock of the machine that issued it with timedatectl, and issue it again by the right time"
            ),
        ),
    })
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
        Ending::List(number, _) => Finding::warning(
            "crl-will-end",
            text!(
                "破棄リスト(番号{number})の期限は、更新されない場合{day_ja}に切れます。",
                "the revocation list, number {number}, runs out on {day_en} unless it is renewed"
            ),
            text!(
                "orca-catool を実行すると、期間の半分が過ぎた破棄リストは自動で更新されます(orca-catool-crl@.timer でも更新されます)。それまでに一度 orca-catool issue_crl を実行してください。",
                "any run of orca-catool renews a list when half its life is over, and so does orca-catool-crl@.timer; else run orca-catool issue_crl before that day"
            ),
        ),
        Ending::Revoked(..) => past::revoked(ending, zone),
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
