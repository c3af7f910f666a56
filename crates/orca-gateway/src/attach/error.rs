//! What keeps the gateway from being attached or detached.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use orca_conf::EditError;
use orca_messages::render::one_line;
use orca_messages::{Localize, Text, text};

use super::door::NftError;

/// What an error of somebody else says.
#[derive(Debug)]
pub(crate) struct Words {
    id: &'static str,
    message: Text,
    remedy: Text,
}

impl Words {
    /// The words of an error.
    pub(super) fn of(error: &impl Localize) -> Self {
        Self {
            id: error.id(),
            message: error.message(),
            remedy: error.remedy(),
        }
    }
}

/// Nothing has changed, or everything was undone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("not root")]
    NotRoot,
    #[error("not attached")]
    NotAttached,
    #[error("attached in the other mode")]
    AttachedOtherwise,
    #[error("the configuration names no certificates")]
    NoCertificates,
    #[error("{}", .0.message.en)]
    Unusable(Words),
    #[error("nothing answers at port {port}")]
    WeborcaSilent { port: u16 },
    #[error("no gateway answers at {listen}")]
    GatewaySilent {
        listen: SocketAddr,
        /// Where it would forward to.
        weborca: u16,
        /// Whether systemd was asked to start it.
        managed: bool,
    },
    #[error("no service manager")]
    NoServiceManager,
    #[error("{} is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Nft(#[from] NftError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Localize for AttachError {
    fn id(&self) -> &'static str {
        match self {
            Self::NotRoot => "not-root",
            Self::NotAttached => "not-attached",
            Self::AttachedOtherwise => "attached-otherwise",
            Self::NoCertificates => "no-certificates",
            Self::Unusable(words) => words.id,
            Self::WeborcaSilent { .. } => "weborca-silent",
            Self::GatewaySilent { .. } => "gateway-silent",
            Self::NoServiceManager => "no-service-manager",
            Self::NotUtf8(_) => "conf-not-utf8",
            Self::Edit(_) => "line-not-editable",
            Self::Nft(NftError::Missing(_)) => "nft-missing",
            Self::Nft(NftError::Refused(_)) => "nft-refused",
            Self::Io(_) => "attach-failed",
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::NotRoot => text!("root の権限が必要です。", "this takes root"),
            Self::NotAttached => text!(
                "orca-gatewayはWebORCAの前段に接続(attach)されていません。",
                "the gateway is not attached to a WebORCA"
            ),
            Self::AttachedOtherwise => text!(
                "すでに別の方式(--mode)で接続されています。",
                "it is attached already, in the other mode"
            ),
            Self::NoCertificates => text!(
                "SERVER_CRT、SERVER_PEM、CA_CRTが設定されていません。",
                "SERVER_CRT, SERVER_PEM and CA_CRT are not set"
            ),
            Self::Unusable(words) => words.message.clone(),
            Self::WeborcaSilent { port } => text!(
                "日レセ(WebORCA)がこのサーバのポート{port}で応答しません。",
                "WebORCA does not answer at port {port} of this machine"
            ),
            Self::GatewaySilent { listen, .. } => text!(
                "orca-gatewayが {listen} で応答しません。",
                "no orca-gateway answers at {listen}"
            ),
            Self::NoServiceManager => text!(
                "systemdが動作していないため、WebORCAを再起動できません。",
                "WebORCA has to be restarted, and there is no systemd to do it"
            ),
            Self::NotUtf8(path) => {
                let path = path.display();
                text!(
                    "{path}はUTF-8ではないため、変更できません。",
                    "{path} is not UTF-8 and cannot be edited"
                )
            }
            Self::Edit(EditError { line, key }) => text!(
                "設定ファイルの{line}行目の{key}は「キー=値」の形ではないため、変更できません。",
                "line {line} concerns {key} and is no plain KEY=VALUE: it cannot be edited"
            ),
            Self::Nft(NftError::Missing(source)) => text!(
                "nftコマンドを実行できません({source})。",
                "cannot run nft: {source}"
            ),
            Self::Nft(NftError::Refused(said)) => {
                let said = one_line(said);
                text!(
                    "ファイアウォールを変更できません({said})。",
                    "the firewall cannot be changed: {said}"
                )
            }
            Self::Io(source) => {
                let source = one_line(&source.to_string());
                text!("変更できません({source})。", "it cannot be done: {source}")
            }
        }
    }

    fn remedy(&self) -> Text {
        match self {
            Self::NotRoot => text!("sudo を付けて実行してください。", "run it with sudo"),
            Self::NotAttached => text!(
                "接続するには sudo orca-gateway attach を実行してください。",
                "sudo orca-gateway attach attaches it"
            ),
            Self::AttachedOtherwise => text!(
                "先に sudo orca-gateway detach を実行してください。",
                "run sudo orca-gateway detach first"
            ),
            Self::NoCertificates => text!(
                "サーバ証明書を配置し、orca-gateway.conf に3つの設定を書いてください。orca-gateway check で確認できます。",
                "put the server's certificate into place and set the three keys in orca-gateway.conf; orca-gateway check tells what is missing"
            ),
            Self::Unusable(words) => words.remedy.clone(),
            Self::WeborcaSilent { .. } => text!(
                "日レセを起動してから、もう一度実行してください(systemctl status jma-receipt-weborca)。",
                "start WebORCA and try again (systemctl status jma-receipt-weborca)"
            ),
            Self::GatewaySilent { managed: true, .. } => text!(
                "systemctl status orca-gateway と orca-gateway check で原因を確認してください。",
                "systemctl status orca-gateway and orca-gateway check tell why"
            ),
            Self::GatewaySilent {
                listen, weborca, ..
            } => text!(
                "systemdがないため、GATEWAY_LISTEN={listen} と GATEWAY_UPSTREAM=http://127.0.0.1:{weborca} を設定して orca-gateway を起動してから、もう一度実行してください。",
                "without systemd, set GATEWAY_LISTEN={listen} and GATEWAY_UPSTREAM=http://127.0.0.1:{weborca}, start orca-gateway, and try again"
            ),
            Self::NoServiceManager => text!(
                "jma-receipt.conf の3つの設定を orca-gateway.conf に移し、WebORCAを再起動してから、もう一度実行してください。",
                "move the three keys from jma-receipt.conf to orca-gateway.conf, restart WebORCA, and try again"
            ),
            Self::NotUtf8(_) => text!(
                "ファイルの文字コードをUTF-8にしてください。",
                "convert the file to UTF-8"
            ),
            Self::Edit(_) => text!(
                "その行を「キー=値」の形に直してください。",
                "write that line as KEY=VALUE"
            ),
            Self::Nft(NftError::Missing(_)) => text!(
                "sudo apt-get install nftables を実行してください。",
                "run sudo apt-get install nftables"
            ),
            Self::Nft(NftError::Refused(_)) => text!(
                "root で実行しているか、カーネルがnftablesに対応しているか確認してください。",
                "check that this is root and that the kernel has nftables"
            ),
            Self::Io(_) => text!(
                "原因を取り除いて、もう一度実行してください。",
                "mend the cause and run it again"
            ),
        }
    }
}
