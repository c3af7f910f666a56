//! What the pages say: situation, reason, remedy, one action a sentence.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use orca_messages::{Lang, Text, render, text};
use orca_pki::certificate::Certificate;

use crate::identity::{Cause, Refusal};
use crate::last_seen::Past;
use crate::origin::Foreign;

/// What one page says, apart from the certificate that was shown.
pub(super) struct Texts {
    /// The situation.
    pub(super) title: Text,
    /// Why.
    pub(super) reason: Text,
    /// What to do, in order.
    pub(super) steps: Vec<Text>,
}

impl Texts {
    /// Tells first what became of the certificate this machine used before, without naming it: nobody
    /// has proved to be its owner.
    pub(super) fn add_past(&mut self, past: Past, now: Timestamp, zone: &TimeZone) {
        let (Past::Expired(at) | Past::Revoked(at)) = past;
        let (day_ja, day_en) = relative_day(at, now, zone);
        let told = match past {
            Past::Expired(_) => text!(
                "この端末で前回使用された証明書は、{day_ja}期限が切れています。",
                "The certificate last used on this machine expired {day_en}.",
            ),
            Past::Revoked(_) => text!(
                "この端末で前回使用された証明書は、{day_ja}利用停止(失効)されています。",
                "The certificate last used on this machine was revoked {day_en}.",
            ),
        };
        let (told_ja, told_en) = (told.get(Lang::Ja), told.get(Lang::En));
        let (ja, en) = (self.reason.get(Lang::Ja), self.reason.get(Lang::En));
        self.reason = text!("{told_ja}{ja}", "{told_en} {en}");
        self.steps.push(text!(
            "管理者に新しい証明書の発行を依頼してください。日レセのパスワードの変更は不要です。",
            "Ask your administrator for a new certificate. Your password stays as it is.",
        ));
    }
}

/// `昨日`, `2026年11月20日に`; `yesterday`, `on 2026-11-20`.
fn relative_day(at: Timestamp, now: Timestamp, zone: &TimeZone) -> (String, String) {
    let date = |at| zone.to_datetime(at).date();
    let today = date(now);
    if date(at) == today {
        return ("本日".to_owned(), "today".to_owned());
    }
    if today
        .yesterday()
        .is_ok_and(|yesterday| date(at) == yesterday)
    {
        return ("昨日".to_owned(), "yesterday".to_owned());
    }
    let (ja, en) = day(Some(at), zone);
    (format!("{ja}に"), format!("on {en}"))
}

/// The texts of a refusal; `authorities` are the names of the CAs whose clients are accepted.
pub(super) fn of_refusal(refusal: &Refusal, authorities: &[String], zone: &TimeZone) -> Texts {
    let certificate = refusal.certificate.as_deref();
    let (ja, en) = which(certificate);
    let (day_ja, day_en) = day(refusal.date, zone);
    match refusal.cause {
        Cause::NoCertificate => no_certificate(),
        Cause::Expired if is_own_end(refusal) => Texts {
            title: text!(
                "クライアント証明書{ja}の有効期限が{day_ja}に切れました。",
                "The client certificate{en} expired on {day_en}.",
            ),
            reason: text!(
                "有効期限を過ぎた証明書では接続できません。",
                "A certificate cannot be used after its last day.",
            ),
            steps: vec![
                text!(
                    "管理者に新しい証明書の発行を依頼してください。日レセのパスワードの変更は不要です。",
                    "Ask your administrator for a new certificate. Your password stays as it is.",
                ),
                already_renewed(),
                restart(),
            ],
        },
        Cause::Expired => Texts {
            title: text!(
                "証明書{ja}を発行した認証局の有効期限が{day_ja}に切れました。",
                "The authority that issued the certificate{en} expired on {day_en}.",
            ),
            reason: text!(
                "認証局の期限が切れると、その認証局の証明書はすべて使えなくなります。",
                "All certificates of an authority end with it.",
            ),
            steps: vec![text!(
                "管理者に認証局の更新を依頼してください。",
                "Ask your administrator to renew the authority.",
            )],
        },
        Cause::NotYetValid => Texts {
            title: text!(
                "クライアント証明書{ja}の有効期間がまだ始まっていません(開始日 {day_ja})。",
                "The client certificate{en} is not valid before {day_en}.",
            ),
            reason: text!(
                "サーバの時計が遅れている可能性があります。",
                "The clock of the server may be slow.",
            ),
            steps: vec![
                text!(
                    "管理者に、サーバの日付と時刻の確認を依頼してください。",
                    "Ask your administrator to check the clock of the server.",
                ),
                already_renewed(),
            ],
        },
        Cause::Revoked => Texts {
            title: text!(
                "この証明書{ja}は{day_ja}に利用停止(失効)されています。",
                "This certificate{en} was revoked on {day_en}.",
            ),
            reason: text!(
                "紛失や端末の入れ替えなどのため、管理者が証明書の利用を停止しました。",
                "Your administrator has ended its use, for example after a loss or a change of machines.",
            ),
            steps: vec![
                text!(
                    "この端末を引き続きお使いになる場合は、管理者に新しい証明書の発行を依頼してください。",
                    "To go on using this machine, ask your administrator for a new certificate.",
                ),
                already_renewed(),
                restart(),
            ],
        },
        Cause::UnknownCa | Cause::BadSignature | Cause::Malformed => unknown_ca(authorities),
        // Nobody is shown a page.
        Cause::BrokenRequest | Cause::NotForwarded => unknown_ca(authorities),
        Cause::WrongUsage => Texts {
            title: text!(
                "提示された証明書{ja}は、端末の認証用ではありません。",
                "The certificate{en} that was shown is not made for client machines.",
            ),
            reason: text!(
                "サーバ用の証明書など、用途の違う証明書を選択された可能性があります。",
                "A certificate for another purpose, such as the server's, may have been chosen.",
            ),
            steps: vec![press(), restart(), ask()],
        },
        Cause::CrlUnusable => Texts {
            title: text!(
                "失効リスト(CRL)を確認できないため、接続を受け付けていません。",
                "The revocation list cannot be checked, so nobody is let in.",
            ),
            reason: text!(
                "サーバに置かれた失効リストの期限が切れているか、失効リストがありません。お使いの証明書の問題ではありません。",
                "The list on the server is missing or out of date. Your certificate is not at fault.",
            ),
            steps: vec![text!(
                "管理者に、失効リストの更新(orca-catool issue_crl)を依頼してください。",
                "Ask your administrator to renew the list (orca-catool issue_crl).",
            )],
        },
        Cause::PlainHttp => Texts {
            title: text!("「http」で接続されています。", "This connection uses http.",),
            reason: text!(
                "このサーバは暗号化通信のみ受け付けます。",
                "This server takes encrypted connections only.",
            ),
            steps: vec![text!(
                "「https」で始まる次のアドレスを開き、お気に入りも変更してください。",
                "Open the address that begins with https, and change your bookmark too.",
            )],
        },
        Cause::OutsideHours => outside_hours(&ja, &en, refusal.date, zone),
        Cause::WrongOperator => wrong_operator(),
        Cause::CrossSite => cross_site(&Foreign::default()),
        Cause::UpstreamBusy => application_busy(),
        Cause::UpstreamDown => application_down(),
    }
}

/// `date` is the next opening.
fn outside_hours(ja: &str, en: &str, date: Option<Timestamp>, zone: &TimeZone) -> Texts {
    let (day_ja, day_en) = day(date, zone);
    let time = date.map(|at| zone.to_datetime(at).strftime("%H:%M").to_string());
    let reason = match time {
        Some(time) => text!(
            "次に使用できるのは{day_ja} {time}からです。",
            "It can be used again from {day_en} {time}.",
        ),
        None => text!("使用できる期間は終わっています。", "Its time is over.",),
    };
    Texts {
        title: text!(
            "証明書{ja}は、決められた時間の外では使用できません。",
            "The certificate{en} may be used at certain hours only.",
        ),
        reason,
        steps: vec![text!(
            "時間外の作業が必要な場合は、医院の管理者に連絡してください(GATEWAY_WINDOWSの設定)。",
            "If work is needed outside of these hours, call the clinic's administrator (GATEWAY_WINDOWS).",
        )],
    }
}

pub(super) fn wrong_operator() -> Texts {
    Texts {
        title: text!(
            "このオペレータIDは、提示された証明書では使用できません。",
            "This operator may not be used with the certificate that was shown.",
        ),
        reason: text!(
            "APIのBasic認証のオペレータIDと証明書の組み合わせが、サーバの設定にないか、認証の情報を読み取れません。日レセのパスワードは確認していません。",
            "The server lists no such pair of operator and certificate for the API, or the credentials cannot be read. The password was not looked at.",
        ),
        steps: vec![
            text!(
                "プログラムに設定したオペレータIDと証明書を確認してください。",
                "Check the operator and the certificate that the program is set up with.",
            ),
            text!(
                "正しい場合は、管理者に番号を伝えてください(GATEWAY_OPERATORSの設定)。",
                "If they are right, tell your administrator the number (GATEWAY_OPERATORS).",
            ),
        ],
    }
}

pub(super) fn application_down() -> Texts {
    Texts {
        title: text!("日レセが応答していません。", "ORCA does not answer."),
        reason: text!(
            "証明書の問題ではありません。プログラム更新中の可能性があります。",
            "Your certificate is not at fault. The program may be being updated.",
        ),
        steps: vec![
            text!(
                "数分後に再度お試しください。",
                "Try again in a few minutes.",
            ),
            text!(
                "変わらない場合は、管理者に連絡してください。",
                "If nothing changes, tell your administrator.",
            ),
        ],
    }
}

pub(super) fn application_busy() -> Texts {
    Texts {
        title: text!("日レセが混み合っています。", "ORCA is busy."),
        reason: text!(
            "同時に処理できる件数を超えています。証明書の問題ではありません。",
            "It has as many requests as it may. Your certificate is not at fault.",
        ),
        steps: vec![
            text!(
                "少し待ってから再度お試しください。",
                "Wait a moment and try again.",
            ),
            text!(
                "繰り返し表示される場合は、管理者に連絡してください。",
                "If this is shown again and again, tell your administrator.",
            ),
        ],
    }
}

pub(super) fn cross_site(site: &Foreign) -> Texts {
    Texts {
        title: text!(
            "別のサイト({site})からの操作を受け付けませんでした。",
            "Another site ({site}) tried to act here, and was refused.",
        ),
        reason: text!(
            "証明書はブラウザが自動で提示するため、日レセ以外のページからの登録や変更は拒否しています。",
            "The browser shows your certificate for whatever page asks, so only pages of ORCA may change something.",
        ),
        steps: vec![
            text!(
                "日レセのアドレスを開き、日レセの画面から操作してください。",
                "Open the address of ORCA and act there.",
            ),
            text!(
                "日レセと連携するシステムの場合は、管理者に番号とサイト名を伝えてください(GATEWAY_ALLOWED_ORIGINSの設定)。",
                "If that site is meant to work with ORCA, tell your administrator its name and the number (GATEWAY_ALLOWED_ORIGINS).",
            ),
        ],
    }
}

/// After the button was pressed without script.
pub(super) fn chosen() -> Texts {
    Texts {
        title: text!(
            "証明書を選び直せます。",
            "You can choose a certificate again.",
        ),
        reason: text!(
            "10秒以内の次の接続は一度だけ拒否され、ブラウザは前回の選択を忘れます。",
            "The next connection within ten seconds is refused once, and the browser forgets its choice.",
        ),
        steps: vec![
            text!(
                "日レセのアドレスを再読み込みしてください。一度エラー画面が表示されます。",
                "Reload the address of ORCA. An error is shown once.",
            ),
            text!(
                "もう一度再読み込みし、証明書を選択してください。",
                "Reload again and choose a certificate.",
            ),
            restart(),
        ],
    }
}

/// What a program's keeper does about its certificate, instead of what one does in a browser.
pub(super) fn for_program(cause: Cause) -> Option<Text> {
    match cause {
        Cause::NoCertificate | Cause::UnknownCa | Cause::WrongUsage => Some(text!(
            "プログラムの設定で、当院の認証局が発行したクライアント証明書の「….crt」と「….pem」、または「….p12」を指定してください。証明書がない場合は、管理者に発行を依頼してください。",
            "Set the program up with the .crt and .pem (or the .p12) of a client certificate of this clinic's authority; ask your administrator for one if there is none.",
        )),
        Cause::Expired | Cause::Revoked => Some(text!(
            "管理者に新しい証明書の発行を依頼し、プログラムの設定を新しいファイルに変更してください。",
            "Ask your administrator for a new certificate and set the program up with its files.",
        )),
        _ => None,
    }
}

fn no_certificate() -> Texts {
    Texts {
        title: text!(
            "この端末からクライアント証明書が提示されませんでした。",
            "This machine did not show a client certificate.",
        ),
        reason: text!(
            "証明書が未登録か、有効期限が切れているか、選択画面で「キャンセル」が押された可能性があります。",
            "None may be installed, it may have expired, or the choice may have been cancelled.",
        ),
        steps: vec![
            press(),
            restart(),
            text!(
                "それでも選択画面が出ない場合は、証明書の再登録が必要です。管理者に連絡してください。",
                "If nothing is offered even then, the certificate has to be installed again. Tell your administrator.",
            ),
        ],
    }
}

fn unknown_ca(authorities: &[String]) -> Texts {
    let ja: String = authorities
        .iter()
        .map(|name| format!("「{name}」"))
        .collect();
    let en = authorities
        .iter()
        .map(|name| format!("“{name}”"))
        .collect::<Vec<_>>()
        .join(", ");
    Texts {
        title: text!(
            "提示された証明書は、当院の認証局が発行したものではありません。",
            "The certificate that was shown was not issued by the authority of this clinic.",
        ),
        reason: text!(
            "オンライン資格確認など、別の証明書を選択された可能性があります。",
            "A certificate for another service may have been chosen.",
        ),
        steps: vec![
            text!(
                "「別の証明書を選ぶ」を押し、発行者が{ja}の証明書を選択してください。",
                "Press “Choose another certificate” and choose one issued by {en}.",
            ),
            restart(),
            ask(),
        ],
    }
}

fn press() -> Text {
    text!(
        "「別の証明書を選ぶ」を押し、証明書を選択してください。",
        "Press “Choose another certificate” and choose one.",
    )
}

fn already_renewed() -> Text {
    text!(
        "新しい証明書を登録済みの場合は、「別の証明書を選ぶ」を押し、その証明書を選択してください。",
        "If a new one is installed already, press “Choose another certificate” and choose it.",
    )
}

fn restart() -> Text {
    text!(
        "選択画面が出ない場合は、アドレス欄に chrome://restart と入力してChromeを再起動してください。",
        "If you are not asked, type chrome://restart into the address bar to restart Chrome.",
    )
}

fn ask() -> Text {
    text!(
        "該当する証明書がない場合は、管理者に連絡してください。",
        "If there is none, tell your administrator.",
    )
}

/// `(番号000003、user1)`: what people can read out.
fn which(certificate: Option<&Certificate>) -> (String, String) {
    let Some(certificate) = certificate else {
        return (String::new(), String::new());
    };
    let serial = certificate.serial();
    match certificate.subject().common_name() {
        Some(name) => (
            format!("(番号{serial}、{name})"),
            format!(" (number {serial}, {name})"),
        ),
        None => (format!("(番号{serial})"), format!(" (number {serial})")),
    }
}

fn day(at: Option<Timestamp>, zone: &TimeZone) -> (String, String) {
    at.map(|at| {
        (
            render::date(at, zone, Lang::Ja),
            render::date(at, zone, Lang::En),
        )
    })
    .unwrap_or_default()
}

fn is_own_end(refusal: &Refusal) -> bool {
    let end = refusal
        .certificate
        .as_ref()
        .map(|certificate| certificate.validity().not_after);
    end == refusal.date
}
