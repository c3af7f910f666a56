//! What had broken on a day that is over: why did it fail then?

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Finding, text};

use super::{Day, Ending};

/// What can be told of the day; at last, what cannot.
pub(super) fn findings(endings: &[&Ending], day: &Day) -> Vec<Finding> {
    let told = endings.iter().filter_map(|ending| match ending {
        Ending::List(..) => None,
        Ending::Revoked(_, at) => Some(match *at < day.end {
            true => revoked(ending, &day.zone),
            false => revoked_later(ending, *at, day),
        }),
        _ => standing(ending, day),
    });
    told.chain([unknown(day)]).collect()
}

fn standing(ending: &Ending, day: &Day) -> Option<Finding> {
    let validity = ending.validity()?;
    Some(if validity.not_after < day.end {
        expired(ending, day)
    } else if validity.not_before >= day.begin {
        began_later(ending, validity.not_before, day)
    } else {
        valid(ending, day)
    })
}

fn expired(ending: &Ending, day: &Day) -> Finding {
    let ((ja, en), (then_ja, then_en)) = (ending.title(), day.names());
    let (end_ja, end_en) = super::day(ending.moment(), &day.zone);
    Finding::failure(
        "had-expired",
        text!(
            "{then_ja}には、{ja}の有効期限が切れていました({end_ja}まで)。",
            "on {then_en}, {en} had expired: it was good until {end_en}"
        ),
        text!(
            "現在も期限切れです。対処は、現在の結果を確認してください。",
            "it still is; what to do stands with the findings of today"
        ),
    )
}

fn began_later(ending: &Ending, begin: Timestamp, day: &Day) -> Finding {
    let ((ja, en), (then_ja, then_en)) = (ending.title(), day.names());
    let (begin_ja, begin_en) = super::day(begin, &day.zone);
    let message = text!(
        "{then_ja}には、{ja}の有効期間は始まっていないか、その日に始まりました({begin_ja}から)。それまでは別の証明書を使用していた可能性があります。",
        "on {then_en}, {en} was not valid yet or only just: it is good from {begin_en} on; another one may have been in use before"
    );
    match ending {
        Ending::Client(_) => Finding::failure(
            "was-not-yet-valid",
            message,
            text!(
                "その日に使用していた証明書(--p12、--cert)を指定して、もう一度実行してください。",
                "name the certificate that was in use on that day (--p12, --cert) and run this again"
            ),
        ),
        _ => Finding::warning(
            "was-not-yet-valid",
            message,
            text!(
                "その日のサーバの証明書と認証局は、サーバのログの起動時の行で確認してください。",
                "which certificate and CA the server had on that day stands in its log, where it started"
            ),
        ),
    }
}

fn valid(ending: &Ending, day: &Day) -> Finding {
    let ((ja, en), (then_ja, then_en)) = (ending.title(), day.names());
    Finding::ok(
        "was-valid",
        text!(
            "{then_ja}には、{ja}は有効期間内でした。",
            "on {then_en}, {en} was within its dates"
        ),
    )
}

/// Also what a day to come says of it: nobody takes a revocation back.
pub(super) fn revoked(ending: &Ending, zone: &TimeZone) -> Finding {
    let (ja, en) = ending.title();
    let (at_ja, at_en) = super::day(ending.moment(), zone);
    Finding::failure(
        "was-revoked",
        text!(
            "{ja}は{at_ja}に破棄(失効)されています。その日から使用できません。",
            "{en} was revoked on {at_en} and cannot be used from then on"
        ),
        text!(
            "対処は、現在の結果を確認してください。",
            "what to do stands with the findings of today"
        ),
    )
}

fn revoked_later(ending: &Ending, at: Timestamp, day: &Day) -> Finding {
    let ((ja, en), (then_ja, then_en)) = (ending.title(), day.names());
    let (at_ja, at_en) = super::day(at, &day.zone);
    Finding::ok(
        "was-not-yet-revoked",
        text!(
            "{ja}が破棄されたのは{at_ja}です。{then_ja}にはまだ破棄されていません。",
            "{en} was revoked on {at_en}; on {then_en} it was not yet"
        ),
    )
}

fn unknown(day: &Day) -> Finding {
    let (ja, en) = day.names();
    Finding::ok(
        "past-seen-in-part",
        text!(
            "{ja}の破棄リスト、時計、日レセの状態は、今からは分かりません。その日の拒否の理由は、サーバのログに記録されています。",
            "what revocation list, clocks and application were like on {en} nobody can tell today; why somebody was refused on that day stands in the log of the server"
        ),
    )
}
