//! What people read when something went wrong, and what they can do.

use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use orca_messages::{Lang, Localize, Text, render, text, zone};
use orca_pki::issuance::IssuanceError;
use orca_pki::lint::Refused;
use orca_pki::profile::CertificateProfile;
use orca_pki::serial::SerialNumber;

use super::{Error, PublishFailure};

fn list(serials: &[SerialNumber]) -> String {
    serials
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn date(at: Timestamp, lang: Lang) -> String {
    render::date(at, &zone::local(), lang)
}

impl Localize for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::AlreadyRevoked { .. } => "already-revoked",
            Self::CaExists { .. } => "ca-exists",
            Self::CaKeyUnusable { .. } => "ca-key-unusable",
            Self::Config(error) => error.id(),
            Self::ConfNotPlain { .. } => "conf-not-plain",
            Self::ConfigLost { .. } => "config-lost",
            Self::CrlNotPublished { .. } => "crl-not-published",
            Self::DeliveryFailed { .. } => "delivery-failed",
            Self::DoubledSerial { .. } => "doubled-serial",
            Self::FileExists { .. } => "file-exists",
            Self::ForeignDirectory { .. } => "foreign-ca-directory",
            Self::Io { source, .. } | Self::Output { source, .. } => io_id(source.kind()),
            Self::Issuance(IssuanceError::Refused(refused)) | Self::Refused(refused) => {
                refused_id(refused)
            }
            Self::Issuance(_) | Self::Encryption(_) | Self::Key(_) => "internal-error",
            Self::KeyNotKept { .. } => "key-not-kept",
            Self::NameInUse { .. } => "name-in-use",
            Self::NoCaForRoot { .. } => "no-ca-for-root",
            Self::HomeFolder { .. } => "home-folder",
            Self::NoHome => "no-home",
            Self::NoSuchUser { .. } => "no-such-user",
            Self::NothingToUndo { .. } => "nothing-to-undo",
            Self::PublishListByHand { .. } => "publish-list-by-hand",
            Self::NeverIssued { .. } => "never-issued",
            Self::RegisterNewer { .. } => "register-newer",
            Self::RegisterUnreadable { .. } => "register-unreadable",
            Self::RevokedNoExport { .. } => "revoked-no-export",
            Self::SealBroken { .. } => "seal-broken",
            Self::SeveralCertificates { .. } => "several-certificates",
            Self::UnknownName { .. } => "unknown-name",
            Self::UnknownSudoUser { .. } => "unknown-sudo-user",
            Self::UnknownSerial { .. } => "unknown-serial",
            Self::WrongProfile { .. } => "wrong-profile",
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::AlreadyRevoked { serial, at } => {
                let (ja, en) = (date(*at, Lang::Ja), date(*at, Lang::En));
                text!(
                    "証明書 {serial} は{ja}にすでに破棄(失効)されています。",
                    "certificate {serial} is already revoked (since {en})"
                )
            }
            Self::CaExists { config } => {
                let config = config.display();
                text!(
                    "認証局はすでに作成されています({config})。",
                    "a CA exists already ({config})"
                )
            }
            Self::CaKeyUnusable { path } => {
                let path = path.display();
                text!(
                    "認証局の鍵ファイル {path} がこの認証局のものではないか、壊れています。",
                    "{path} is not the key of this CA, or is damaged"
                )
            }
            Self::Config(error) => error.message(),
            Self::ConfigLost { config } => {
                let config = config.display();
                text!(
                    "認証局の鍵はありますが、設定ファイル {config} がありません。",
                    "the CA's key is there, its configuration {config} is not"
                )
            }
            Self::CrlNotPublished { failures, revoked } => not_published(failures, revoked),
            Self::DeliveryFailed { serial, cause, .. } => {
                let Text { ja, en } = cause.message();
                text!(
                    "証明書 {serial} は発行されましたが、zipファイルを書き出せませんでした。{ja}",
                    "certificate {serial} was issued, but its zip could not be written: {en}"
                )
            }
            Self::DoubledSerial { serial } => text!(
                "番号 {serial} が2回指定されています。",
                "the serial {serial} is named twice"
            ),
            Self::FileExists { path } => {
                let path = path.display();
                text!(
                    "ファイル {path} がすでにあります。",
                    "the file {path} exists already"
                )
            }
            Self::ForeignDirectory { folder } => {
                let folder = folder.display();
                text!(
                    "フォルダ {folder} は別のプログラムが作成したものです。変更していません。",
                    "the folder {folder} was made by another program; nothing in it was changed"
                )
            }
            Self::Io { path, source } | Self::Output { path, source } => io_message(path, source),
            Self::Issuance(IssuanceError::Refused(refused)) | Self::Refused(refused) => {
                refused_message(refused)
            }
            Self::Issuance(error) => internal(&error.to_string()),
            Self::Encryption(error) => internal(&error.to_string()),
            Self::Key(error) => internal(&error.to_string()),
            Self::KeyNotKept { serial } => text!(
                "証明書 {serial} の秘密鍵は保管されていないため、再出力できません。",
                "the private key of certificate {serial} was not kept, so it cannot be exported again"
            ),
            Self::NameInUse { name, serial } => text!(
                "「{name}」には有効なクライアント証明書 {serial} があります。",
                "{name} already has the valid client certificate {serial}"
            ),
            Self::NoCaForRoot { user_config } => {
                let path = user_config.display();
                text!(
                    "sudoで実行されましたが、認証局がありません({path} も root の設定もありません)。",
                    "run under sudo, but there is no CA (neither {path} nor one of root's)"
                )
            }
            Self::ConfNotPlain { path, line, key } => {
                let path = path.display();
                text!(
                    "{path} の{line}行目の {key} は「キー=値」の形ではないため、書き換えられません。何も変更していません。",
                    "{key} stands in line {line} of {path}, which is no plain assignment; nothing was changed"
                )
            }
            Self::HomeFolder { path } => {
                let path = path.display();
                text!(
                    "{path} はホームディレクトリの中です。push-exchangerなどのサービスからは読み取れません。",
                    "{path} lies in a home folder, which services such as push-exchanger cannot read"
                )
            }
            Self::NoHome => text!(
                "環境変数 HOME が設定されていません。",
                "the environment variable HOME is not set"
            ),
            Self::NoSuchUser { name } => text!(
                "ユーザまたはグループ「{name}」が見つかりません。",
                "there is no user or group {name}"
            ),
            Self::WrongProfile { serial, profile } => match profile {
                CertificateProfile::Server | CertificateProfile::Root => text!(
                    "証明書 {serial} はクライアント証明書です。サーバには使えません。",
                    "certificate {serial} is one of a client; a server cannot use it"
                ),
                CertificateProfile::Client => text!(
                    "証明書 {serial} はサーバ証明書です。クライアントには使えません。",
                    "certificate {serial} is one of a server; a client cannot use it"
                ),
            },
            Self::NothingToUndo { journal } => {
                let journal = journal.display();
                text!(
                    "元に戻す変更の記録が {journal} にありません。",
                    "{journal} remembers no change to undo"
                )
            }
            Self::PublishListByHand { config, .. } => {
                let config = config.display();
                text!(
                    "{config} の :crl_publish: に自動で追加できません。何も変更していません。",
                    ":crl_publish: in {config} cannot be added to; nothing was changed"
                )
            }
            Self::NeverIssued { serial } => text!(
                "証明書 {serial} は発行が途中で中断されたもので、ファイルがありません。",
                "certificate {serial} was reserved but never finished; there is nothing to export"
            ),
            Self::RegisterNewer { path, version } => {
                let path = path.display();
                text!(
                    "台帳 {path} は新しい版のorca-catool(形式 {version})で書かれています。",
                    "the register {path} was written by a newer orca-catool (format {version})"
                )
            }
            Self::RegisterUnreadable { path, detail } => {
                let path = path.display();
                text!(
                    "台帳 {path} を読み書きできません({detail})。",
                    "the register {path} cannot be used ({detail})"
                )
            }
            Self::RevokedNoExport { serial } => text!(
                "証明書 {serial} は破棄(失効)済みのため、再出力できません。秘密鍵は破棄時に消去されています。",
                "certificate {serial} is revoked; its private key was destroyed then"
            ),
            Self::SealBroken { serial } => text!(
                "証明書 {serial} の保管鍵を開けません。鍵ファイルが別のものか、台帳が書き換えられています。",
                "the kept key of certificate {serial} does not open: another sealing key, or the register was changed"
            ),
            Self::SeveralCertificates { name, serials } => {
                let list = list(serials);
                text!(
                    "「{name}」の有効な証明書が複数あります: {list}",
                    "{name} has several valid certificates: {list}"
                )
            }
            Self::UnknownSudoUser { name } => text!(
                "sudoで実行されましたが、実行したユーザ「{name}」(SUDO_USER)がこの端末に見つかりません。",
                "run under sudo, but this machine knows no user {name} (SUDO_USER)"
            ),
            Self::UnknownName { name } => text!(
                "「{name}」という名前の有効な証明書はありません。",
                "there is no valid certificate of the name {name}"
            ),
            Self::UnknownSerial { serial } => text!(
                "番号 {serial} の証明書はありません。",
                "there is no certificate {serial}"
            ),
        }
    }

    fn remedy(&self) -> Text {
        match self {
            Self::AlreadyRevoked { serial, .. } => text!(
                "{serial} を除いて実行してください。CRLを配り直す場合は orca-catool issue_crl を実行してください。",
                "run the command without {serial}; to deliver the CRL again run orca-catool issue_crl"
            ),
            Self::CaExists { .. } => text!(
                "そのまま使用できます。別の認証局を作る場合は --config で別のフォルダを指定してください。",
                "use it as it is; for another CA name another folder with --config"
            ),
            Self::CaKeyUnusable { path } => {
                let path = path.display();
                text!(
                    "バックアップから {path} を戻してください。",
                    "restore {path} from your backup"
                )
            }
            Self::Config(error) => error.remedy(),
            Self::ConfigLost { config } => {
                let config = config.display();
                text!(
                    "バックアップから {config} を戻してください。なければ空のファイルを作成すると既定値で動作します。",
                    "restore {config} from your backup; an empty file works too, with the defaults"
                )
            }
            Self::CrlNotPublished { .. } => text!(
                "原因を取り除いてから orca-catool publish_crl を実行してください(issue_crl でも配り直されます)。それまでその場所には古いCRLが残ります。",
                "remove the cause, then run orca-catool publish_crl (issue_crl does it too); until then that place keeps the older CRL"
            ),
            Self::DeliveryFailed {
                serial, kept: true, ..
            } => text!(
                "原因を取り除いてから orca-catool export_cert {serial} を実行してください。",
                "remove the cause, then run orca-catool export_cert {serial}"
            ),
            Self::DeliveryFailed {
                serial,
                kept: false,
                ..
            } => text!(
                "秘密鍵は保管されていません。orca-catool revoke_cert {serial} で破棄し、もう一度発行してください。",
                "its key was not kept: run orca-catool revoke_cert {serial} and issue it again"
            ),
            Self::DoubledSerial { .. } => text!(
                "同じ番号は1回だけ指定してください。",
                "name each serial once"
            ),
            Self::FileExists { path } => {
                let path = path.display();
                text!(
                    "{path} を別の場所へ移すか、-o で別のフォルダを指定してください。上書きはしません。",
                    "move {path} away, or name another folder with -o; it is not overwritten"
                )
            }
            Self::ForeignDirectory { folder } => {
                let folder = folder.display();
                text!(
                    "元の認証局を使い続ける場合は元のorca-catoolを使用してください。新しく作る場合は {folder} を別名に変更するか、--config で別の場所を指定してください。",
                    "keep using the original tool for that CA; for a new one rename {folder}, or name another place with --config"
                )
            }
            Self::Io { source, .. } => io_remedy(source.kind()),
            Self::Output { source, .. } => output_remedy(source.kind()),
            Self::Issuance(IssuanceError::Refused(refused)) | Self::Refused(refused) => {
                refused_remedy(refused)
            }
            Self::Issuance(_) | Self::Encryption(_) | Self::Key(_) => text!(
                "もう一度実行してください。繰り返す場合は、この表示を添えて販売店に連絡してください。",
                "run the command again; if it happens again, send this message to your vendor"
            ),
            Self::KeyNotKept { serial } => text!(
                "orca-catool revoke_cert {serial} で破棄し、同じ名前でもう一度発行してください。",
                "revoke it with orca-catool revoke_cert {serial} and issue a new one"
            ),
            Self::NameInUse { name, serial } => text!(
                "ファイルを紛失した場合は orca-catool export_cert {serial} で再出力してください。端末を入れ替える場合は issue_client_cert -c {name} --again で発行し、古い証明書を revoke_cert {serial} で破棄してください。",
                "for lost files run orca-catool export_cert {serial}; for a new machine run issue_client_cert -c {name} --again, then revoke_cert {serial}"
            ),
            Self::NoCaForRoot { .. } => text!(
                "認証局を作成したユーザで、sudoを付けずに実行してください。新しく作る場合も同じです。",
                "run it without sudo, as the user who made the CA; the same goes for making a new one"
            ),
            Self::ConfNotPlain { path, line, key } => {
                let path = path.display();
                text!(
                    "{path} の{line}行目を「{key}=パス」の形に直すか削除してから、もう一度実行してください。",
                    "write line {line} of {path} as {key}=PATH or remove it, then try again"
                )
            }
            Self::HomeFolder { .. } => text!(
                "--dir /opt/jma/weborca/conf のように、ホームディレクトリ以外のフォルダを指定してください。",
                "name another folder, such as --dir /opt/jma/weborca/conf"
            ),
            Self::NoSuchUser { .. } => text!(
                "--owner に、このサーバにあるユーザ(とグループ)を orca:orca のように指定してください。",
                "name a user (and group) of this machine, such as --owner orca:orca"
            ),
            Self::NothingToUndo { .. } => text!(
                "server_kit を実行したときと同じ --conf を指定しているか確認してください。",
                "check that --conf is the same as when server_kit was run"
            ),
            Self::WrongProfile { profile, .. } => match profile {
                CertificateProfile::Server | CertificateProfile::Root => text!(
                    "orca-catool list_cert --profile server で番号を確認してください。",
                    "look for the serial with orca-catool list_cert --profile server"
                ),
                CertificateProfile::Client => text!(
                    "orca-catool list_cert --profile client で番号を確認してください。",
                    "look for the serial with orca-catool list_cert --profile client"
                ),
            },
            Self::PublishListByHand { file, .. } => {
                let file = file.display();
                text!(
                    ":crl_publish: に {file} を書き加えてから、もう一度実行してください。",
                    "add {file} to :crl_publish: and try again"
                )
            }
            Self::NoHome => text!(
                "HOME を設定するか、--config で設定ファイルを指定してください。",
                "set HOME, or name the configuration with --config"
            ),
            Self::NeverIssued { serial } => text!(
                "もう一度発行してください。番号 {serial} は orca-catool revoke_cert {serial} で片付けられます。",
                "issue it again; orca-catool revoke_cert {serial} tidies {serial} away"
            ),
            Self::RegisterNewer { .. } => text!(
                "orca-catoolを新しい版に更新してください。",
                "update orca-catool"
            ),
            Self::RegisterUnreadable { path, .. } => {
                let path = path.display();
                text!(
                    "ディスクの空き容量と権限を確認してください。壊れている場合はバックアップから {path} を戻してください。",
                    "check disk space and permissions; if it is damaged, restore {path} from your backup"
                )
            }
            Self::RevokedNoExport { .. } => text!(
                "新しい証明書を発行してください。",
                "issue a new certificate"
            ),
            Self::SealBroken { .. } => text!(
                "sealing.key と台帳を同じ時点のバックアップから戻すか、証明書を破棄して発行し直してください。",
                "restore sealing.key and the register from the same backup, or revoke the certificate and issue a new one"
            ),
            Self::SeveralCertificates { .. } => text!(
                "orca-catool list_cert で確認し、番号で指定してください。すべてを破棄する場合は revoke_cert に --all を付けてください。",
                "look them up with orca-catool list_cert and name one by its serial; revoke_cert --all revokes all of them"
            ),
            Self::UnknownSudoUser { name } => text!(
                "「id {name}」で確認し、認証局を作成したユーザで、sudoを付けずに実行してください。",
                "look with \"id {name}\", and run it without sudo, as the user who made the CA"
            ),
            Self::UnknownName { .. } | Self::UnknownSerial { .. } => text!(
                "orca-catool list_cert で確認してください。",
                "look it up with orca-catool list_cert"
            ),
        }
    }
}

fn not_published(failures: &[PublishFailure], revoked: &[SerialNumber]) -> Text {
    let each = |lang| {
        failures
            .iter()
            .map(|failure| format!("{}: {}", failure.target, failure.cause.get(lang)))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let (ja, en) = (each(Lang::Ja), each(Lang::En));
    if revoked.is_empty() {
        return text!(
            "CRLは作成されましたが、次の場所に届けられませんでした: {ja}",
            "the CRL was made but could not be published: {en}"
        );
    }
    let list = list(revoked);
    text!(
        "証明書 {list} は破棄(失効)されました。ただしCRLを次の場所に届けられませんでした: {ja}",
        "certificate {list} IS revoked, but the CRL could not be published: {en}"
    )
}

fn internal(detail: &str) -> Text {
    text!(
        "内部エラーが発生しました({detail})。",
        "an internal error occurred ({detail})"
    )
}

fn io_id(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "file-not-found",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "permission-denied",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "disk-full",
        _ => "file-error",
    }
}

/// A trouble with a file, told by its kind.
pub(crate) fn io_message(path: &Path, source: &std::io::Error) -> Text {
    let path = path.display();
    match source.kind() {
        ErrorKind::NotFound => {
            text!("{path} がありません。", "{path} does not exist")
        }
        ErrorKind::PermissionDenied => {
            text!(
                "{path} を読み書きする権限がありません。",
                "no permission to use {path}"
            )
        }
        ErrorKind::ReadOnlyFilesystem => {
            text!("{path} は読み取り専用です。", "{path} is read-only")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => text!(
            "ディスクの空き容量がないため {path} に書き込めません。",
            "the disk is full: {path} cannot be written"
        ),
        _ => text!(
            "{path} を使用できません({source})。",
            "{path} cannot be used ({source})"
        ),
    }
}

fn io_remedy(kind: ErrorKind) -> Text {
    match kind {
        ErrorKind::NotFound => text!("場所を確認してください。", "check the path"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => text!(
            "所有者と権限を確認し、認証局を作成したユーザで実行してください。",
            "check owner and mode, and run it as the user who made the CA"
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => text!(
            "不要なファイルを削除して空き容量を作り、もう一度実行してください。",
            "make room on the disk and run the command again"
        ),
        _ => text!(
            "場所と装置の状態を確認してください。",
            "check the path and the device"
        ),
    }
}

/// Trouble with what `-o` names, or would.
fn output_remedy(kind: ErrorKind) -> Text {
    match kind {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => text!(
            "所有者と権限を確認するか、-o で書き込める場所を指定してください。",
            "check owner and mode, or name a place you can write to with -o"
        ),
        kind => io_remedy(kind),
    }
}

fn refused_id(refused: &Refused) -> &'static str {
    match refused {
        Refused::ClockBeforeIssuer { .. } => "clock-before-ca",
        Refused::IssuerExpired { .. } => "ca-expired",
        Refused::HostNotPermitted(_) => "host-not-permitted",
        Refused::NoHost => "no-host",
    }
}

fn refused_message(refused: &Refused) -> Text {
    match refused {
        Refused::ClockBeforeIssuer { now, not_before } => {
            let (ja, en) = (date(*not_before, Lang::Ja), date(*not_before, Lang::En));
            let (now_ja, now_en) = (date(*now, Lang::Ja), date(*now, Lang::En));
            text!(
                "この端末の時計({now_ja})が、認証局の有効期間の開始({ja})より前になっています。",
                "this machine's clock ({now_en}) stands before the CA became valid ({en})"
            )
        }
        Refused::IssuerExpired { not_after } => {
            let (ja, en) = (date(*not_after, Lang::Ja), date(*not_after, Lang::En));
            text!(
                "認証局の証明書の有効期限が{ja}に切れているため、発行できません。",
                "the CA expired on {en}; it cannot issue any more"
            )
        }
        Refused::HostNotPermitted(host) => text!(
            "この認証局は {host} の証明書を発行できません(認証局の名前制限の範囲外です)。",
            "this CA may not certify {host}: it lies outside the CA's name constraints"
        ),
        Refused::NoHost => text!(
            "サーバ証明書にはホスト名かIPアドレスが必要です。",
            "a server certificate needs a host name or an address"
        ),
    }
}

fn refused_remedy(refused: &Refused) -> Text {
    match refused {
        Refused::ClockBeforeIssuer { .. } => text!(
            "「日付と時刻」で時計を合わせてから、もう一度実行してください。",
            "set the clock, then run the command again"
        ),
        Refused::IssuerExpired { .. } => text!(
            "時計が正しい場合は、--config で別のフォルダに新しい認証局を作成し、証明書を発行し直してください。",
            "if the clock is right, make a new CA in another folder with --config and issue everything again"
        ),
        Refused::HostNotPermitted(_) => text!(
            "範囲内の名前を使うか、--only-names と --only-networks を変えて新しい認証局を作成してください。",
            "use a name inside them, or make a new CA with other --only-names and --only-networks"
        ),
        Refused::NoHost => text!(
            "-c ホスト名 または -i IPアドレス を指定してください。",
            "name it with -c HOST or -i IP"
        ),
    }
}
