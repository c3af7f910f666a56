//! One file a subcommand.

use std::path::Path;

use orca_messages::{Lang, render, text, zone};
use orca_pki::lint::Advice;
use orca_pki::serial::SerialNumber;

use crate::session::{Failure, Session};

pub(crate) mod api_kit;
pub(crate) mod audit;
pub(crate) mod diagnose;
pub(crate) mod export_cert;
pub(crate) mod from_csv;
pub(crate) mod init;
pub(crate) mod issue_client_cert;
pub(crate) mod issue_crl;
pub(crate) mod issue_server_cert;
pub(crate) mod list_cert;
pub(crate) mod publish_crl;
pub(crate) mod revoke_cert;
pub(crate) mod server_kit;

/// Serials as they are typed after a subcommand.
fn words(serials: &[SerialNumber]) -> String {
    let words: Vec<_> = serials.iter().map(ToString::to_string).collect();
    words.join(" ")
}

/// Warns that others can read what only the CA's user may.
pub(crate) fn warn_exposed(path: &Path, session: &mut Session<'_>) -> Result<(), Failure> {
    let path = path.display();
    session.warn(
        "exposed-files",
        text!(
            "{path} を他のユーザが読み取れます。",
            "other users can read {path}"
        ),
        text!(
            "chmod go= {path} を実行してください。",
            "run chmod go= {path}"
        ),
    )?;
    Ok(())
}

/// Tells what some clients, or the rules, will object to.
fn tell_advice(advice: &[Advice], session: &mut Session<'_>) -> Result<(), Failure> {
    let zone = zone::local();
    for advice in advice {
        match advice {
            Advice::Shortened { not_after } => {
                let ja = render::date(*not_after, &zone, Lang::Ja);
                let en = render::date(*not_after, &zone, Lang::En);
                session.warn(
                    "validity-shortened",
                    text!(
                        "認証局の有効期限({ja})までに短縮しました。",
                        "the validity was shortened to the CA's own end, {en}"
                    ),
                    text!(
                        "それより長く使う場合は、新しい認証局の作成を計画してください。",
                        "plan a new CA if it has to last longer"
                    ),
                )?;
            }
            Advice::LongServerValidity { days } => session.warn(
                "long-server-validity",
                text!(
                    "サーバ証明書の有効期間は{days}日です(開始日は1日前)。SafariとiPadは、開始日から825日を超えるサーバ証明書を受け付けません。",
                    "the server certificate is valid for {days} days from today (and dated back by one); Safari and iPad refuse more than 825 in all"
                ),
                text!(
                    "iPadやSafariから接続する場合は、--days 824 を付けて発行し直してください。Chromeだけで使う場合は、このままで問題ありません。",
                    "where iPads or Safari connect, issue it again with --days 824; for Chrome alone it is fine"
                ),
            )?,
            Advice::AddressAlone => session.warn(
                "address-without-name",
                text!(
                    "この認証局は名前が制限されているため、IPアドレスだけのサーバ証明書は、OpenSSLを使うプログラム(curl、Ruby、Pythonなど)に拒否されます。",
                    "the CA is bound to names: programs with OpenSSL (curl, Ruby, Python) refuse a server certificate that has an address only"
                ),
                text!(
                    "そのようなプログラムから接続する場合は、範囲内のホスト名を -c で加えて発行し直してください。Chromeだけで使う場合は、このままで問題ありません。",
                    "where such programs connect, issue it again with a permitted -c HOST beside it; for Chrome alone it is fine"
                ),
            )?,
            Advice::Rsa2048After2030 { not_after } => {
                let ja = render::date(*not_after, &zone, Lang::Ja);
                let en = render::date(*not_after, &zone, Lang::En);
                session.warn(
                    "rsa2048-after-2030",
                    text!(
                        "RSA 2048ビットの鍵を{ja}まで使用することになります。CRYPTRECは2031年以降の使用を認めていません。",
                        "an RSA-2048 key would be in use until {en}; CRYPTREC ends its use with 2030"
                    ),
                    text!(
                        "--key p256 または --key rsa3072 で発行し直してください。",
                        "issue it again with --key p256 or --key rsa3072"
                    ),
                )?;
            }
        }
    }
    Ok(())
}
