//! What the command line alone shows wrong: exit code 2.

use std::net::IpAddr;

use clap::error::{ContextKind, ErrorKind};
use orca_messages::{Localize, Text, text};
use orca_pki::name::{HostName, NameError};
use orca_pki::serial::SerialNumberError;

/// The command line alone shows it wrong.
#[derive(Debug)]
pub(crate) enum UsageError {
    /// An argument that does not fit.
    Argument { fault: Fault, what: String },
    /// A value that does not mean what its option takes.
    Value {
        id: &'static str,
        option: &'static str,
        value: String,
        why: Text,
    },
    /// A value that is none of those an option takes.
    Choice {
        option: String,
        value: String,
        choices: String,
    },
    /// `issue_server_cert` without any host.
    NoHost,
}

impl UsageError {
    pub(super) fn value(id: &'static str, option: &'static str, value: &str, why: Text) -> Self {
        let value = orca_messages::render::one_line(value);
        Self::Value {
            id,
            option,
            value,
            why,
        }
    }
}

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Not together with another, or twice.
    Conflict,
    /// Required.
    Missing,
    NoOption,
    NoSubcommand,
    /// It takes a value.
    NoValue,
    NotUtf8,
    /// One word more than the subcommand takes.
    Surplus,
    TakesNoValue,
    Other,
}

impl Fault {
    fn of(kind: ErrorKind, what: &str) -> Self {
        match kind {
            ErrorKind::ArgumentConflict => Self::Conflict,
            ErrorKind::InvalidSubcommand => Self::NoSubcommand,
            ErrorKind::InvalidUtf8 => Self::NotUtf8,
            ErrorKind::InvalidValue => Self::NoValue,
            ErrorKind::MissingRequiredArgument => Self::Missing,
            ErrorKind::TooManyValues => Self::TakesNoValue,
            ErrorKind::UnknownArgument if !what.starts_with('-') => Self::Surplus,
            ErrorKind::UnknownArgument => Self::NoOption,
            _ => Self::Other,
        }
    }
}

impl From<&clap::Error> for UsageError {
    fn from(error: &clap::Error) -> Self {
        let context = |kind| error.get(kind).map(ToString::to_string);
        let what = context(ContextKind::InvalidArg)
            .or_else(|| context(ContextKind::InvalidSubcommand))
            .unwrap_or_default();
        let choices = context(ContextKind::ValidValue).filter(|choices| !choices.is_empty());
        if let (Some(value), Some(choices)) = (context(ContextKind::InvalidValue), choices) {
            return Self::Choice {
                option: what,
                value: orca_messages::render::one_line(&value),
                choices,
            };
        }
        Self::Argument {
            fault: Fault::of(error.kind(), &what),
            what: orca_messages::render::one_line(&what),
        }
    }
}

impl Localize for UsageError {
    fn id(&self) -> &'static str {
        match self {
            Self::Argument { .. } | Self::Choice { .. } => "usage",
            Self::Value { id, .. } => id,
            Self::NoHost => "no-host",
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::Argument { fault, what } => argument_message(*fault, what),
            Self::Choice {
                option,
                value,
                choices,
            } if value.is_empty() => text!(
                "{option} の値がありません。{choices} のいずれかを指定してください。",
                "{option} lacks its value: expected is one of {choices}"
            ),
            Self::Choice {
                option,
                value,
                choices,
            } => text!(
                "{option} に「{value}」は指定できません。{choices} のいずれかを指定してください。",
                "{option} cannot take {value:?}: expected is one of {choices}"
            ),
            Self::Value {
                option,
                value,
                why: Text { ja, en },
                ..
            } => text!(
                "{option} の値「{value}」は使用できません。{ja}",
                "{option} cannot take {value:?}: {en}"
            ),
            Self::NoHost => text!(
                "サーバ証明書にはホスト名かIPアドレスが必要です。",
                "a server certificate needs a host name or an address"
            ),
        }
    }

    fn remedy(&self) -> Text {
        match self {
            Self::NoHost => text!(
                "-c ホスト名 または -i IPアドレス を指定してください。例: orca-catool issue_server_cert -i 192.168.1.100 -c weborca-server",
                "name it with -c HOST or -i IP, e.g. orca-catool issue_server_cert -i 192.168.1.100 -c weborca-server"
            ),
            _ => text!(
                "orca-catool --help または orca-catool サブコマンド --help で使い方を確認してください。",
                "see orca-catool --help, or orca-catool SUBCOMMAND --help"
            ),
        }
    }

    fn exit_code(&self) -> u8 {
        2
    }
}

fn argument_message(fault: Fault, what: &str) -> Text {
    match fault {
        Fault::NoOption => text!(
            "{what} というオプションはありません。",
            "there is no option {what}"
        ),
        Fault::NoSubcommand => text!(
            "{what} というサブコマンドはありません。",
            "there is no subcommand {what}"
        ),
        Fault::Missing => text!("{what} が指定されていません。", "{what} is missing"),
        Fault::Conflict => text!(
            "{what} は同時に指定できないか、2回指定されています。",
            "{what} cannot be used together with another option, or twice"
        ),
        Fault::NoValue => text!("{what} の値がありません。", "{what} lacks its value"),
        Fault::Surplus => text!(
            "「{what}」は余分な指定です。空白を含む値は引用符で囲んでください。",
            "{what:?} is one word too many; a value with blanks stands in quotes"
        ),
        Fault::TakesNoValue => text!("{what} に値は指定できません。", "{what} takes no value"),
        Fault::NotUtf8 => text!(
            "コマンドの指定にUTF-8ではない文字があります。",
            "the command line holds something that is no UTF-8"
        ),
        Fault::Other => text!(
            "コマンドの指定が正しくありません({what})。",
            "the command line is wrong ({what})"
        ),
    }
}

pub(super) fn serial_why(error: SerialNumberError) -> Text {
    match error {
        SerialNumberError::NotPositive => {
            text!(
                "1以上の番号を指定してください。",
                "a serial number is positive"
            )
        }
        SerialNumberError::TooLong => text!("番号が長すぎます。", "the number is too long"),
        SerialNumberError::NotANumber => text!(
            "3、000003、0x3 のように指定してください。名前で指定する場合は -c を使用してください。",
            "expected is e.g. 3, 000003 or 0x3; for a name use -c"
        ),
    }
}

/// Why `-c` of a server takes no such name; what looks like an address is told as one.
pub(super) fn host_why(typed: &str, error: &NameError) -> Text {
    let is_host = || {
        typed
            .strip_suffix('.')
            .is_some_and(|name| HostName::dns(name).is_ok())
    };
    match error {
        NameError::NotAHost(_) if typed.bytes().all(|b| b.is_ascii_digit() || b == b'.') => text!(
            "IPアドレスとして正しくありません。192.168.1.100 のように指定してください。",
            "it is no IP address; expected is e.g. 192.168.1.100"
        ),
        NameError::NotAHost(_) if is_host() => text!(
            "末尾の「.」を取り除いてください。",
            "leave the dot at the end out"
        ),
        NameError::NotAHost(_) if typed.len() > 253 => text!(
            "ホスト名は253文字以内です。",
            "a host name has at most 253 characters"
        ),
        error => name_why(error),
    }
}

/// Why no client can reach a server under an address.
pub(super) fn unreachable_why(address: IpAddr) -> Option<Text> {
    match address {
        IpAddr::V4(address) if address.octets()[0] == 0 => Some(unspecified()),
        IpAddr::V4(address) if address.is_broadcast() => Some(text!(
            "ブロードキャストアドレスです。サーバのIPアドレスを指定してください。",
            "it is the broadcast address; name the server's own"
        )),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => unreachable_why(mapped.into()).or_else(|| {
                Some(text!(
                    "{mapped} と指定してください。クライアントはその形で比較します。",
                    "name it {mapped}: that is what clients compare"
                ))
            }),
            None if address.is_unspecified() => Some(unspecified()),
            None if address.is_multicast() => Some(multicast()),
            None => None,
        },
        address if address.is_multicast() => Some(multicast()),
        IpAddr::V4(_) => None,
    }
}

fn unspecified() -> Text {
    text!(
        "「すべてのアドレス」を表す値です。クライアントが接続するサーバのIPアドレスを指定してください。",
        "it stands for any address; name the one that clients connect to"
    )
}

fn multicast() -> Text {
    text!(
        "マルチキャストアドレスです。サーバのIPアドレスを指定してください。",
        "it is a multicast address; name the server's own"
    )
}

pub(crate) fn name_why(error: &NameError) -> Text {
    match error {
        NameError::Empty => text!("名前が空です。", "the name is empty"),
        NameError::TooLong => {
            text!(
                "64文字以内で指定してください。",
                "a name has at most 64 characters"
            )
        }
        NameError::Slash => text!("「/」は使用できません。", "a name cannot hold a /"),
        NameError::Control => {
            text!(
                "制御文字は使用できません。",
                "a name cannot hold control characters"
            )
        }
        NameError::OuterBlank => {
            text!(
                "前後の空白を取り除いてください。",
                "a name does not begin or end with a blank"
            )
        }
        NameError::NotAHost(_) => text!(
            "ホスト名には英数字と「-」と「.」だけを使用できます。",
            "a host name has only letters, digits, - and ."
        ),
        NameError::Wildcard(_) => text!(
            "「*」は使用できません。ホスト名を1つずつ指定してください。",
            "wildcards are not offered; name each host"
        ),
        NameError::NotAnAddress(_) => text!(
            "192.168.1.100 のようなIPアドレスを指定してください。",
            "expected is an IP address such as 192.168.1.100"
        ),
        NameError::NotACountry(_) => {
            text!(
                "大文字2文字の国コードを指定してください。",
                "expected are two capital letters"
            )
        }
    }
}
