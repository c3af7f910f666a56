//! What can be wrong with the configuration file.

use std::io;
use std::path::PathBuf;

use orca_messages::render::one_line;
use orca_messages::{Localize, Text, text};

/// Why the configuration file is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("line {line} is no plain assignment: {text}")]
    NotPlain { line: usize, text: String },
    #[error("line {line}: {key}={value} is none of {expected}")]
    BadValue {
        line: usize,
        key: String,
        value: String,
        expected: &'static str,
    },
    #[error("line {line}: {key}: the network is {network}")]
    HostBits {
        line: usize,
        key: &'static str,
        network: String,
    },
    #[error("{key} needs HTTPS")]
    NeedsHttps { key: &'static str },
    #[error("line {line}: CA_CRL={value}")]
    CrlCannotBeOff { line: usize, value: String },
    #[error("not set: {}", missing.join(", "))]
    KeysIncomplete { missing: Vec<&'static str> },
    #[error("GATEWAY_UPSTREAM is the gateway itself")]
    UpstreamIsSelf,
    #[error("only one of GATEWAY_UPSTREAM_CRT and GATEWAY_UPSTREAM_PEM is set")]
    UpstreamPairIncomplete,
}

impl ConfigError {
    /// The line of the file it is about.
    pub(crate) fn line(&self) -> Option<usize> {
        match self {
            Self::NotPlain { line, .. }
            | Self::BadValue { line, .. }
            | Self::HostBits { line, .. }
            | Self::CrlCannotBeOff { line, .. } => Some(*line),
            Self::Unreadable { .. }
            | Self::KeysIncomplete { .. }
            | Self::NeedsHttps { .. }
            | Self::UpstreamIsSelf
            | Self::UpstreamPairIncomplete => None,
        }
    }
}

impl Localize for ConfigError {
    fn id(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "conf-unreadable",
            Self::NotPlain { .. } => "not-a-plain-assignment",
            Self::BadValue { .. } => "bad-value",
            Self::HostBits { .. } => "not-a-network",
            Self::NeedsHttps { .. } => "needs-https",
            Self::CrlCannotBeOff { .. } => "crl-cannot-be-off",
            Self::KeysIncomplete { .. } => "keys-incomplete",
            Self::UpstreamIsSelf => "upstream-is-self",
            Self::UpstreamPairIncomplete => "upstream-pair-incomplete",
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::Unreadable { path, source } => {
                let path = path.display();
                text!(
                    "設定ファイル{path}を読めません({source})。",
                    "cannot read the configuration file {path}: {source}"
                )
            }
            Self::NotPlain { line, text } => {
                let shown = one_line(text);
                text!(
                    "設定ファイルの{line}行目は単純な「キー=値」ではありません: {shown}",
                    "line {line} of the configuration file is no plain KEY=VALUE: {shown}"
                )
            }
            Self::BadValue {
                line, key, value, ..
            } => {
                let value = one_line(value);
                text!(
                    "設定ファイルの{line}行目、{key}の値「{value}」は使用できません。",
                    "line {line} of the configuration file: {key} cannot be {value:?}"
                )
            }
            Self::HostBits { line, key, network } => text!(
                "設定ファイルの{line}行目、{key}のネットワークは、{network} の範囲内の1台を指しています。",
                "line {line} of the configuration file: {key} names an address inside {network}, not a network"
            ),
            Self::NeedsHttps { key } => text!(
                "{key}は証明書の設定ですが、HTTP(証明書なし)で起動しようとしています。",
                "{key} is about certificates, and the gateway would start with plain HTTP"
            ),
            Self::CrlCannotBeOff { line, value } => text!(
                "設定ファイルの{line}行目、CA_CRLの値「{value}」は使用できません。失効の確認は無効にできません。",
                "line {line} of the configuration file: CA_CRL cannot be {value}: revocation is always checked"
            ),
            Self::KeysIncomplete { missing } => {
                let (ja, en) = (missing.join("、"), missing.join(", "));
                text!(
                    "SSLクライアント認証の3つの設定のうち、{ja}がありません。",
                    "of the three keys of SSL client authentication, {en} is not set"
                )
            }
            Self::UpstreamIsSelf => text!(
                "GATEWAY_UPSTREAMがorca-gateway自身のアドレスです。",
                "GATEWAY_UPSTREAM is the address of the gateway itself"
            ),
            Self::UpstreamPairIncomplete => text!(
                "GATEWAY_UPSTREAM_CRTとGATEWAY_UPSTREAM_PEMの片方だけが設定されています。",
                "only one of GATEWAY_UPSTREAM_CRT and GATEWAY_UPSTREAM_PEM is set"
            ),
        }
    }

    fn remedy(&self) -> Text {
        match self {
            Self::Unreadable { .. } => text!(
                "パス、所有者、権限を確認してください。別のファイルは --conf で指定できます。",
                "check the path, its owner and mode; --conf names another file"
            ),
            Self::NotPlain { .. } => text!(
                "「=」の前後に空白を置かず、値をそのまま書いてください。$、`、; は使えません。空白を含む値は引用符で囲みます。",
                "write the value as it is, without spaces round '=' and without $, ` and ;; quote a value with spaces"
            ),
            Self::BadValue { expected, .. } => text!(
                "次のように書いてください: {expected}",
                "write it like this: {expected}"
            ),
            Self::CrlCannotBeOff { .. } => text!(
                "CA_CRLの行を消してください。CA_CRTと同じフォルダのca.crlを使用し、ファイルがない間は警告を出して動作します。",
                "remove the line of CA_CRL: ca.crl beside CA_CRT is used then, and while there is none the gateway serves with a warning"
            ),
            Self::HostBits { network, .. } => text!(
                "ネットワーク全体であれば {network} と書いてください。1台だけの場合は、アドレスの後に /32(IPv6では /128)を付けてください。",
                "write {network} for the whole network, or the address with /32 (/128 for IPv6) for one machine"
            ),
            Self::NeedsHttps { key } => text!(
                "SERVER_CRT、SERVER_PEM、CA_CRTを設定するか、{key}を消してください。",
                "set SERVER_CRT, SERVER_PEM and CA_CRT, or remove {key}"
            ),
            Self::KeysIncomplete { .. } => text!(
                "SERVER_CRT、SERVER_PEM、CA_CRTをすべて設定するか、HTTPで使う場合はすべて消してください。",
                "set SERVER_CRT, SERVER_PEM and CA_CRT, or remove all three to run without TLS"
            ),
            Self::UpstreamIsSelf => text!(
                "WebORCAのポート(HTTP_PORT)をorca-gatewayと別にし、そのアドレスを設定してください。",
                "give WebORCA a port of its own (HTTP_PORT) and name that one"
            ),
            Self::UpstreamPairIncomplete => text!(
                "両方を設定するか、両方を消してください。",
                "set both or remove both"
            ),
        }
    }
}
