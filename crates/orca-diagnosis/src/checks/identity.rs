//! Files of a client that cannot be used at all.

use orca_messages::{Finding, text};

use super::pkcs12;
use crate::identity::NoIdentity;

/// Why there is no certificate to show.
pub fn no_identity(trouble: &NoIdentity) -> Finding {
    match trouble {
        NoIdentity::File(path, error) => {
            let path = path.display();
            Finding::failure(
                "file-unreadable",
                text!(
                    "{path} を読み取れません({error})。",
                    "{path} cannot be read: {error}"
                ),
                text!(
                    "ファイル名、所有者、権限を確認してください。",
                    "check its name, owner and mode"
                ),
            )
        }
        NoIdentity::NoCertificate(path) => {
            let path = path.display();
            Finding::failure(
                "certificate-unreadable",
                text!(
                    "{path} に証明書がありません。",
                    "there is no certificate in {path}"
                ),
                text!(
                    "zipの中の「….crt」(認証局の場合は ca.crt)を指定してください。",
                    "name the .crt out of the zip, ca.crt for the CA"
                ),
            )
        }
        NoIdentity::NoKey(path) => {
            let path = path.display();
            Finding::failure(
                "key-unreadable",
                text!(
                    "{path} に使用できる秘密鍵がありません。",
                    "there is no private key in {path} that can be used"
                ),
                text!(
                    "zipの中の「….pem」を指定してください。",
                    "name the .pem out of the zip"
                ),
            )
        }
        NoIdentity::PassphraseMissing(path) => {
            let path = path.display();
            Finding::failure(
                "passphrase-missing",
                text!(
                    "{path} の鍵にはパスフレーズが付いています。",
                    "the key in {path} has a passphrase"
                ),
                text!(
                    "--passphrase-file でパスフレーズのファイル(….pass)を指定するか、パスフレーズのない「….pem」を指定してください。",
                    "add --passphrase-file with the .pass, or name the .pem that has none"
                ),
            )
        }
        NoIdentity::PassphraseWrong(path) => {
            let path = path.display();
            Finding::failure(
                "passphrase-wrong",
                text!(
                    "{path} のパスフレーズが違います。",
                    "the passphrase of {path} is wrong"
                ),
                text!(
                    "同じzipの「….pass」を使用してください。書き出すたびにパスフレーズは新しくなります。分からない場合は orca-catool export_cert で書き出し直してください。",
                    "use the .pass of the same zip: each export has a new one; orca-catool export_cert writes both again"
                ),
            )
        }
        NoIdentity::Pkcs12Protected(file) => pkcs12::unopened(file),
        NoIdentity::Pkcs12Unreadable(path) => {
            let path = path.display();
            Finding::failure(
                "p12-unreadable",
                text!(
                    "{path} はp12ファイルとして読み取れません。壊れているか、別の種類のファイルです。",
                    "{path} cannot be read as a p12 file: it is damaged, or something else"
                ),
                text!(
                    "zipの中の「….p12」を指定してください。壊れている場合は orca-catool export_cert で書き出し直してください。",
                    "name the .p12 out of the zip; orca-catool export_cert writes it again"
                ),
            )
        }
    }
}
