//! What the log says about files that were read again.

use std::fmt::Display;
use std::io;

use orca_messages::{Finding, Text, render, text};
use orca_pki::crl::{Crl, CrlError};

use super::alarms::Alarm;
use super::orders::ListSource;
use crate::config::{CrlSource, CrlUnusable};
use crate::crl_store::{Offered, Reset};
use crate::trust::CrlReport;

/// Days before nextUpdate from which on the alarm is urgent.
const URGENT_DAYS: i64 = 3;

/// What is to be told of one list.
pub(crate) fn told(offer: &Offered, source: &ListSource) -> Vec<Finding> {
    match offer {
        Offered::Unchanged => Vec::new(),
        Offered::Taken(crl) => vec![taken(crl)],
        Offered::TakenAhead(crl) => vec![taken(crl), from_the_future(crl)],
        Offered::FarAhead(crl) => vec![far_ahead(crl, source)],
        Offered::Older {
            issuer,
            number,
            known,
        } => {
            let issuer = render::one_line(&issuer.one_line());
            vec![Finding::warning(
                "crl-older",
                text!(
                    "CRL({source}、発行者 {issuer})の番号{number}は、使用中の番号{known}より古いため使いません。",
                    "the CRL in {source} of {issuer} has number {number}, older than {known}, which stays in force",
                ),
                text!(
                    "orca-catool issue_crl で最新のCRLを発行し、置き換えてください。認証局をバックアップから戻した場合は、orca-gateway reset_crl も必要です。",
                    "issue the newest CRL with orca-catool issue_crl and put it there; after the CA was restored from a backup, orca-gateway reset_crl is needed too",
                ),
            )]
        }
        Offered::SameNumber { issuer, number } => {
            let issuer = render::one_line(&issuer.one_line());
            vec![Finding::warning(
                "crl-same-number",
                text!(
                    "CRL({source}、発行者 {issuer})は、使用中のものと番号{number}が同じなのに内容が異なるため使いません。",
                    "the CRL in {source} of {issuer} has number {number} like the one in force, but is another; it is not used",
                ),
                text!(
                    "orca-catool issue_crl で新しいCRLを発行し、置き換えてください。同じ認証局を2か所で使っていないか確認してください。",
                    "issue a new CRL with orca-catool issue_crl and put it there; check that the CA is not used in two places",
                ),
            )]
        }
        Offered::Unreadable(error) => {
            let error = render::one_line(&error.to_string());
            vec![list_unusable(source, text!("{error}", "{error}"))]
        }
        Offered::Unusable(issuer, error) => {
            let Text { ja, en } = fault(*error);
            let issuer = issuer
                .as_ref()
                .map(|name| render::one_line(&name.one_line()));
            vec![list_unusable(
                source,
                match issuer {
                    Some(name) => text!("{ja}、発行者 {name}", "{en}, issuer {name}"),
                    None => Text { ja, en },
                },
            )]
        }
    }
}

fn taken(crl: &Crl) -> Finding {
    let (number, entries) = (crl.number(), crl.len());
    let issuer = render::one_line(&crl.issuer().one_line());
    Finding::ok(
        "crl-taken",
        text!(
            "CRL番号{number}を読み込みました(発行者 {issuer}、失効{entries}件)。",
            "CRL number {number} of {issuer} is in force, {entries} revoked",
        ),
    )
}

fn from_the_future(crl: &Crl) -> Finding {
    let (number, this_update) = (crl.number(), crl.this_update());
    Finding::warning(
        "crl-from-the-future",
        text!(
            "CRL番号{number}の発行日時({this_update})が、このサーバの時刻より先です。CRLは使用します。",
            "CRL number {number} is dated ahead of this server's clock ({this_update}); it is in force",
        ),
        clocks(),
    )
}

fn far_ahead(crl: &Crl, source: &ListSource) -> Finding {
    let (number, this_update) = (crl.number(), crl.this_update());
    Finding::warning(
        "crl-far-ahead",
        text!(
            "CRL({source})の番号{number}の発行日時({this_update})が、このサーバの時刻より1日以上先のため使いません。",
            "the CRL in {source}, number {number}, is dated more than a day ahead of this server's clock ({this_update}); it is not used",
        ),
        clocks(),
    )
}

fn clocks() -> Text {
    text!(
        "このサーバと認証局のパソコンの日付と時刻を確認し、直してから orca-catool issue_crl を実行してください。",
        "check the clocks of this server and of the CA machine, then run orca-catool issue_crl",
    )
}

pub(super) fn nothing_changed() -> Finding {
    Finding::ok(
        "nothing-changed",
        text!(
            "証明書、鍵、CA証明書、CRLに変更はありません。",
            "nothing changed: certificate, key, CA certificates and CRL are those in force",
        ),
    )
}

pub(super) fn reset(reset: &Reset) -> Finding {
    let subject = render::one_line(&reset.authority.subject().one_line());
    let number = match reset.number {
        Some(number) => text!("番号{number}", "number {number}"),
        None => text!("番号なし", "no number"),
    };
    let Text { ja, en } = number;
    let trouble = match &reset.done {
        Ok(()) => text!("", ""),
        Err(error) => text!(
            "(記録を書き換えられません: {error})",
            " (it cannot be written down: {error})"
        ),
    };
    let (trouble_ja, trouble_en) = (trouble.ja, trouble.en);
    Finding::warning(
        "crl-reset",
        text!(
            "reset_crl により、認証局({subject})のCRLの記録({ja})を消去しました。次に届くCRLは、番号が古くても使用します。{trouble_ja}",
            "reset_crl: what was known of the CRL of {subject} ({en}) is forgotten; the next CRL of it is taken whatever its number{trouble_en}",
        ),
        text!(
            "身に覚えがない場合は、正しいCRLを置き、このサーバを操作した人を確認してください。",
            "if nobody meant this, put the right CRL in place and find out who used this server",
        ),
    )
}

pub(super) fn list_back(source: &CrlSource) -> Finding {
    Finding::ok(
        "crl-back",
        text!(
            "CRLのファイル({source})が再び置かれました。",
            "the file {source} (CA_CRL) is back",
        ),
    )
}

pub(super) fn list_not_kept(error: &io::Error) -> Finding {
    let error = render::one_line(&error.to_string());
    Finding::warning(
        "crl-not-kept",
        text!(
            "CRLを GATEWAY_STATE に保存できません({error})。使用はしていますが、再起動すると失われます。保存は繰り返し試みます。",
            "the CRL is in force but cannot be kept in GATEWAY_STATE ({error}): a restart would lose it; saving is tried again",
        ),
        text!(
            "ディスクの空き容量と、フォルダの所有者を確認してください。",
            "check the free space and the owner of the folder",
        ),
    )
}

/// `cause` is a phrase without full stop.
pub(super) fn list_unusable(path: &dyn Display, cause: Text) -> Finding {
    let Text { ja, en } = cause;
    Finding::warning(
        "crl-unusable",
        text!(
            "CRL({path})を使えません({ja})。使用中のCRLがあれば使い続けます。",
            "the CRL in {path} cannot be used: {en}; one that is in force stays so",
        ),
        text!(
            "CA_CRT の認証局で orca-catool issue_crl を実行し、CRLを置き直してください。ファイルの所有者と権限も確認してください。",
            "run orca-catool issue_crl of the CA in CA_CRT and put the CRL there; check owner and mode of the file",
        ),
    )
}

/// What is wrong with a list, as a phrase.
pub(crate) fn fault(error: CrlError) -> Text {
    let ja = match error {
        CrlError::BadSignature => "署名が CA_CRT の認証局のものではありません",
        CrlError::Delta => "差分CRLです",
        CrlError::Malformed => "CRLとして読み取れません",
        CrlError::NoNextUpdate => "次回更新日(nextUpdate)がありません",
        CrlError::NotAnIssuer => "認証局の証明書がCRLへの署名を許していません",
        CrlError::Partial => "一部の証明書だけを対象とするCRLです",
        CrlError::UnknownExtension => "対応していない拡張があります",
        CrlError::UnknownIssuer => "CA_CRT の認証局のCRLではありません",
        CrlError::Version => "CRLのバージョンが2ではありません",
    };
    Text {
        ja: ja.to_owned(),
        en: error.to_string(),
    }
}

/// A list that cannot be relied on, or soon cannot.
pub(crate) struct Trouble<'a> {
    pub(crate) alarm: Alarm,
    /// Of the authority it is about; `None` where it is about the file of all.
    pub(crate) report: Option<&'a CrlReport>,
    pub(crate) source: &'a CrlSource,
    pub(crate) unusable: CrlUnusable,
}

impl Trouble<'_> {
    /// What to tell.
    pub(crate) fn finding(&self) -> Finding {
        let remedy = self.remedy();
        match self.alarm {
            Alarm::Missing => Finding::warning("crl-missing", self.missing(), remedy),
            Alarm::Overdue => Finding::warning("crl-overdue", self.overdue(), remedy),
            Alarm::Expiring => Finding::warning("crl-expiring", self.expiring(), remedy),
            Alarm::Old => Finding::warning("crl-old", self.old(), remedy),
            Alarm::FileGone => Finding::warning("crl-gone", self.file_gone(), remedy),
        }
    }

    fn subject(&self) -> String {
        let subject = self.report.map(|report| report.authority.subject());
        subject
            .map(|subject| render::one_line(&subject.one_line()))
            .unwrap_or_default()
    }

    fn missing(&self) -> Text {
        let (subject, source) = (self.subject(), self.source);
        let Text { ja, en } = match self.unusable {
            CrlUnusable::Warn => text!("失効の確認をせずに続けます", "revocation is not checked"),
            CrlUnusable::Refuse => all_refused(),
        };
        text!(
            "認証局({subject})のCRLがありません(CA_CRL: {source})。{ja}。",
            "there is no CRL of {subject} (CA_CRL: {source}); {en}",
        )
    }

    fn overdue(&self) -> Text {
        let subject = self.subject();
        let Text { ja, en } = match self.unusable {
            CrlUnusable::Warn => text!(
                "記載済みの失効だけを確認します",
                "only what it lists is refused"
            ),
            CrlUnusable::Refuse => all_refused(),
        };
        text!(
            "認証局({subject})のCRLの期限(nextUpdate)が過ぎています。{ja}。",
            "the CRL of {subject} is past its nextUpdate; {en}",
        )
    }

    fn expiring(&self) -> Text {
        let subject = self.subject();
        let days = self.report.and_then(CrlReport::days_left).unwrap_or(0);
        let Text { ja, en } = if days > URGENT_DAYS {
            text!("", "")
        } else {
            text!("至急: ", "urgent: ")
        };
        let Text {
            ja: then_ja,
            en: then_en,
        } = match self.unusable {
            CrlUnusable::Warn => text!(
                "期限が過ぎると、その後の失効を確認できません",
                "after that, later revocations are not known",
            ),
            CrlUnusable::Refuse => text!(
                "期限が過ぎると、この認証局のクライアントをすべて拒否します",
                "after that, all its clients are refused",
            ),
        };
        text!(
            "{ja}認証局({subject})のCRLの期限(nextUpdate)まで残り{days}日です。{then_ja}。",
            "{en}the CRL of {subject} is due to be replaced, {days} days left; {then_en}",
        )
    }

    fn old(&self) -> Text {
        let subject = self.subject();
        let age = self.report.and_then(CrlReport::age).unwrap_or_default();
        let days = age.as_hours() / 24;
        text!(
            "認証局({subject})の新しいCRLが{days}日間届いていません。その間の失効が反映されていない可能性があります。",
            "no newer CRL of {subject} has come for {days} days; revocations since then may be missing",
        )
    }

    fn file_gone(&self) -> Text {
        let source = self.source;
        text!(
            "CRLのファイル({source})がなくなりました。最後に読み込んだCRLを使い続けます。",
            "the file {source} (CA_CRL) is gone; the last good CRL stays in force",
        )
    }

    fn remedy(&self) -> Text {
        let source = self.source;
        match source {
            CrlSource::File(_) => text!(
                "orca-catool issue_crl でCRLを発行し、{source} に置いてください。",
                "issue a CRL with orca-catool issue_crl and put it at {source}",
            ),
            CrlSource::Url(_) => text!(
                "orca-catool issue_crl でCRLを発行し、{source} から取得できるか確認してください。",
                "issue a CRL with orca-catool issue_crl and check that {source} gives it",
            ),
        }
    }
}

fn all_refused() -> Text {
    text!(
        "この認証局のクライアントをすべて拒否します",
        "all its clients are refused",
    )
}

pub(super) fn fewer_authorities(lost: &[String]) -> Finding {
    let lost = lost.join(", ");
    Finding::warning(
        "fewer-authorities",
        text!(
            "CA_CRT から認証局({lost})がなくなっています。誤って消えた場合に備え、以前のものを使い続けます。",
            "CA_CRT no longer holds {lost}; in case this is a mistake, the old set stays in force",
        ),
        text!(
            "意図した変更であれば、systemctl reload(SIGHUP)で読み込んでください。",
            "if it is meant, reload with systemctl reload (SIGHUP)",
        ),
    )
}
