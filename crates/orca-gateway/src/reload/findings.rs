//! What the log says about files that were read again.

use std::fmt::Display;
use std::io;
use std::path::Path;

use orca_messages::{Finding, Text, render, text};
use orca_pki::crl::CrlError;

use crate::config::CrlUnusable;
use crate::crl_store::Offered;
use crate::trust::CrlState;

use super::orders::ListSource;

/// What became of one list of a file.
pub(super) fn told(offer: &Offered, source: &ListSource) -> Option<Finding> {
    match offer {
        Offered::Unchanged => None,
        Offered::Older {
            issuer,
            number,
            known,
        } => {
            let (path, issuer) = (source, render::one_line(&issuer.one_line()));
            Some(Finding::warning(
                "crl-older",
                text!(
                    "CRL({path}、発行者 {issuer})の番号{number}は、使用中の番号{known}より古いため使いません。",
                    "the CRL in {path} of {issuer} has number {number}, older than {known}, which stays in force",
                ),
                text!(
                    "orca-catool issue_crl で最新のCRLを発行し、置き換えてください。",
                    "issue the newest CRL with orca-catool issue_crl and put it there",
                ),
            ))
        }
        Offered::Unusable(issuer, error) => {
            let Text { ja, en } = fault(*error);
            Some(list_unusable(
                source,
                match issuer
                    .as_ref()
                    .map(|name| render::one_line(&name.one_line()))
                {
                    Some(name) => text!("{ja}、発行者 {name}", "{en}, issuer {name}"),
                    None => Text { ja, en },
                },
            ))
        }
        Offered::Taken(crl) => {
            let (number, entries) = (crl.number(), crl.len());
            let issuer = render::one_line(&crl.issuer().one_line());
            Some(Finding::ok(
                "crl-taken",
                text!(
                    "CRL番号{number}を読み込みました(発行者 {issuer}、失効{entries}件)。",
                    "CRL number {number} of {issuer} is in force, {entries} revoked",
                ),
            ))
        }
    }
}

pub(super) fn list_not_kept(error: &io::Error) -> Finding {
    let error = render::one_line(&error.to_string());
    Finding::warning(
        "crl-not-kept",
        text!(
            "CRLを GATEWAY_STATE に保存できません({error})。再起動すると失われます。",
            "the CRL cannot be kept in GATEWAY_STATE ({error}) and is lost at a restart",
        ),
        text!(
            "ディスクの空き容量と、フォルダの所有者を確認してください。",
            "check the free space and the owner of the folder",
        ),
    )
}

pub(super) fn list_gone(path: &Path) -> Finding {
    let path = path.display();
    Finding::warning(
        "crl-gone",
        text!(
            "CRLのファイル({path})がなくなりました。最後に読み込んだCRLを使い続けます。",
            "the file {path} (CA_CRL) is gone; the last good CRL stays in force",
        ),
        text!(
            "orca-catool issue_crl で発行したCRLを置いてください。",
            "put the CRL of orca-catool issue_crl there",
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

pub(super) fn alarm(state: CrlState, unusable: CrlUnusable, subject: &str) -> Option<Finding> {
    let remedy = text!(
        "orca-catool issue_crl でCRLを発行し、CA_CRL の場所に置いてください。",
        "issue a CRL with orca-catool issue_crl and put it where CA_CRL points",
    );
    let (ja, en) = match unusable {
        CrlUnusable::Warn => ("失効の確認をせずに続けます", "revocation is not checked"),
        CrlUnusable::Refuse => (
            "この認証局のクライアントをすべて拒否します",
            "all its clients are refused",
        ),
    };
    match state {
        CrlState::Good => None,
        CrlState::Missing => Some(Finding::warning(
            "crl-missing",
            text!(
                "認証局({subject})のCRLがありません。{ja}。",
                "there is no CRL of {subject}; {en}",
            ),
            remedy,
        )),
        CrlState::Overdue => {
            let (ja, en) = match unusable {
                CrlUnusable::Warn => (
                    "記載済みの失効だけを確認します",
                    "only what it lists is refused",
                ),
                CrlUnusable::Refuse => (ja, en),
            };
            Some(Finding::warning(
                "crl-overdue",
                text!(
                    "認証局({subject})のCRLの期限(nextUpdate)が過ぎています。{ja}。",
                    "the CRL of {subject} is past its nextUpdate; {en}",
                ),
                remedy,
            ))
        }
    }
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
