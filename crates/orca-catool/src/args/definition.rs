//! The options and their help, in one language.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command as Clap};
use orca_messages::{Lang, Text, text};

// By its path: the generator of the manual pages reads this file from another place.
#[path = "definition/audit.rs"]
mod audit;
#[path = "definition/diagnose.rs"]
mod diagnose;
#[path = "definition/kits.rs"]
mod kits;

/// The definition of the command line in one language.
pub(super) fn definition(lang: Lang) -> Clap {
    let t = |text: Text| text.get(lang).to_owned();
    let (options, commands) = match lang {
        Lang::En => ("Options", "Subcommands"),
        Lang::Ja => ("オプション", "サブコマンド"),
    };
    let config = value(
        "config",
        t(text!(
            "設定ファイル(既定 ~/.orca_catool/config.yml)",
            "configuration file (default ~/.orca_catool/config.yml)"
        )),
    )
    .long("config")
    .value_name("FILE")
    .global(true)
    .value_parser(clap::value_parser!(PathBuf));
    let language = choice(
        "lang",
        t(text!("表示の言語: ja en", "language of messages: ja en")),
        ["ja", "en"],
    )
    .value_name("ja|en")
    .global(true);
    let help = flag("help", t(text!("使い方を表示する", "print this help")))
        .long("help")
        .short('h')
        .global(true)
        .action(ArgAction::Help);
    let version = flag("version", t(text!("版を表示する", "print the version")))
        .long("version")
        .short('V')
        .global(true)
        .action(ArgAction::Version);
    Clap::new("orca-catool")
        .version(env!("CARGO_PKG_VERSION"))
        .about(t(text!(
            "日レセ用認証局構築ツール: 認証局、証明書、破棄リスト(CRL)",
            "private CA for WebORCA: certificates and revocation lists"
        )))
        .help_template(template(lang))
        .next_help_heading(options)
        .subcommand_help_heading(commands)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .propagate_version(true)
        .subcommand_required(false)
        .args([config, language, help, version])
        .subcommands(subcommands(&t).into_iter().map(|c| {
            c.help_template(template(lang))
                .mut_args(|a| a.help_heading(options))
        }))
}

fn template(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}\n",
        Lang::Ja => "{about}\n\n使い方: {usage}\n\n{all-args}{after-help}\n",
    }
}

fn subcommands(t: &dyn Fn(Text) -> String) -> Vec<Clap> {
    let output = || {
        value(
            "output",
            t(text!("zipを書き出すフォルダ", "folder for the zip")),
        )
        .short('o')
        .long("output")
        .value_name("DIR")
        .value_parser(clap::value_parser!(PathBuf))
    };
    let valid_days = || {
        number("days", t(text!("有効期間(日数)", "validity in days")))
            .long("days")
            .value_name("N")
    };
    let key = || {
        value(
            "key",
            t(text!(
                "鍵の種類: p256 p384 rsa2048 rsa3072 rsa4096",
                "kind of key: p256 p384 rsa2048 rsa3072 rsa4096"
            )),
        )
        .long("key")
        .value_name("ALG")
    };
    let format = || {
        choice(
            "format",
            t(text!(
                "出力形式: table(既定) json csv",
                "output format: table (default) json csv"
            )),
            ["table", "json", "csv"],
        )
        .value_name("FORMAT")
    };
    vec![
        Clap::new("issue_server_cert")
            .about(t(text!(
                "サーバ証明書を発行します",
                "issue a server certificate"
            )))
            .arg(
                many(
                    "common-name",
                    t(text!("ホスト名(複数指定可)", "host name (may be repeated)")),
                )
                .short('c')
                .value_name("HOST"),
            )
            .arg(
                many(
                    "ip",
                    t(text!(
                        "IPアドレス(複数指定可)",
                        "IP address (may be repeated)"
                    )),
                )
                .short('i')
                .value_name("IP"),
            )
            .args([valid_days(), key(), output()]),
        Clap::new("issue_client_cert")
            .about(t(text!(
                "クライアント証明書を発行します",
                "issue a client certificate"
            )))
            .args([
                name(t).required_unless_present("from-csv"),
                value(
                    "holder",
                    t(text!(
                        "使用者(台帳にのみ記録)",
                        "who holds it (register only)"
                    )),
                )
                .long("holder")
                .value_name("TEXT"),
                value(
                    "device",
                    t(text!(
                        "端末(台帳にのみ記録)",
                        "on which device (register only)"
                    )),
                )
                .long("device")
                .value_name("TEXT"),
                valid_days(),
                key(),
                flag(
                    "again",
                    t(text!(
                        "同じ名前の有効な証明書があっても発行する",
                        "issue although a valid certificate has the name"
                    )),
                )
                .long("again"),
                path_value(
                    "from-csv",
                    t(text!(
                        "CSV(name,holder,device,days)の全員に発行する",
                        "issue one for each line of a CSV (name,holder,device,days)"
                    )),
                )
                .long("from-csv")
                .value_name("FILE")
                .conflicts_with_all(["common-name", "holder", "device"]),
                flag(
                    "skip-existing",
                    t(text!(
                        "有効な証明書がある名前の行を飛ばす(中断した発行の続き)",
                        "leave out lines whose name has one (to go on after a break)"
                    )),
                )
                .long("skip-existing")
                .requires("from-csv")
                .conflicts_with("again"),
                output(),
            ]),
        Clap::new("export_cert")
            .about(t(text!(
                "発行済証明書のzipをもう一度書き出します(パスフレーズは新しくなります)",
                "write the zip of a certificate again, with a fresh passphrase"
            )))
            .args([
                serial(t(text!(
                    "証明書の番号(3、000003、0x3)",
                    "serial (3, 000003, 0x3)"
                ))),
                name(t),
                output(),
                value(
                    "p12",
                    t(text!(
                        "p12の形式: compat(既定) modern",
                        "PKCS#12 profile: compat (default) or modern"
                    )),
                )
                .long("p12")
                .value_name("PROFILE"),
            ]),
        Clap::new("revoke_cert")
            .about(t(text!(
                "証明書を破棄(失効)し、CRLを発行します",
                "revoke certificates and issue the CRL"
            )))
            .args([
                serial(t(text!("証明書の番号(複数指定可)", "serials")))
                    .action(ArgAction::Append)
                    .num_args(1..),
                name(t),
                flag(
                    "all",
                    t(text!(
                        "その名前の有効な証明書をすべて破棄する",
                        "revoke all valid certificates of the name"
                    )),
                )
                .long("all"),
                value(
                    "reason",
                    t(text!(
                        "理由: keyCompromise affiliationChanged superseded cessationOfOperation",
                        "keyCompromise, affiliationChanged, superseded or cessationOfOperation"
                    )),
                )
                .long("reason")
                .value_name("REASON"),
            ]),
        Clap::new("issue_crl")
            .about(t(text!(
                "証明書破棄リスト(CRL)を発行します",
                "issue a certificate revocation list"
            )))
            .args([
                value(
                    "output",
                    t(text!(
                        "書き出すファイル(「-」は標準出力)",
                        "file besides the configured ones, - for standard output"
                    )),
                )
                .short('o')
                .long("output")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf)),
                valid_days(),
                value(
                    "if-older-than",
                    t(text!(
                        "最新のCRLがこれより古い場合だけ発行する(例 7d)",
                        "only if the newest one is older (e.g. 7d)"
                    )),
                )
                .long("if-older-than")
                .value_name("AGE"),
            ]),
        Clap::new("list_cert")
            .about(t(text!(
                "発行済証明書を一覧・検索します",
                "list and search certificates"
            )))
            .args([
                Arg::new("word").value_name("WORD").help(t(text!(
                    "番号、名前、ホスト、使用者、端末を検索",
                    "searches number, name, hosts, holder, device"
                ))),
                flag(
                    "exact",
                    t(text!(
                        "番号または名前がWORDと一致する証明書だけを表示する",
                        "only what has exactly this number or name"
                    )),
                )
                .long("exact")
                .requires("word"),
                choice(
                    "status",
                    t(text!(
                        "状態で絞り込む: valid revoked expired reserved all(既定)",
                        "by status: valid revoked expired reserved all (default)"
                    )),
                    ["valid", "revoked", "expired", "reserved", "all"],
                )
                .value_name("STATUS"),
                choice(
                    "profile",
                    t(text!(
                        "種類で絞り込む: server client",
                        "by kind: server client"
                    )),
                    ["server", "client"],
                )
                .value_name("PROFILE"),
                number(
                    "expiring",
                    t(text!(
                        "N日以内に期限が切れる有効な証明書",
                        "valid ones that expire within N days"
                    )),
                )
                .long("expiring")
                .value_name("DAYS"),
                value(
                    "seen",
                    t(text!(
                        "orca-gateway last_seen の出力(CSV、JSON)を加えて表示する",
                        "adds what orca-gateway last_seen printed (CSV or JSON)"
                    )),
                )
                .long("seen")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf)),
                format(),
            ]),
        Clap::new("init")
            .about(t(text!(
                "質問せずに認証局を作成します",
                "make a CA without asking"
            )))
            .args([
                flag(
                    "yes",
                    t(text!(
                        "確認を省略する(常に省略されます)",
                        "do not ask (it never does)"
                    )),
                )
                .long("yes"),
                value(
                    "organization",
                    t(text!(
                        "証明書の組織名 O(既定 orca)",
                        "O of all certificates (default orca)"
                    )),
                )
                .long("organization")
                .value_name("O"),
                value("ca-name", t(text!("認証局の名前 CN", "CN of the CA")))
                    .long("ca-name")
                    .value_name("CN"),
                number(
                    "ca-days",
                    t(text!(
                        "認証局の有効期間(日数、既定 7300)",
                        "validity of the CA in days (default 7300)"
                    )),
                )
                .long("ca-days")
                .value_name("N"),
                key(),
                many(
                    "only-names",
                    t(text!(
                        "発行できるドメインを限定する",
                        "certify only these domains"
                    )),
                )
                .long("only-names")
                .value_name("DOMAIN")
                .num_args(1..),
                many(
                    "only-networks",
                    t(text!(
                        "発行できるIPアドレスの範囲を限定する",
                        "certify only addresses of these ranges"
                    )),
                )
                .long("only-networks")
                .value_name("CIDR")
                .num_args(1..),
            ]),
        Clap::new("publish_crl")
            .about(t(text!(
                "最新のCRLをすべての場所(ファイルとゲートウェイ)へもう一度届けます",
                "put the newest CRL in all places again, files and gateways"
            )))
            .arg(format()),
    ]
    .into_iter()
    .chain(kits::definitions(t))
    .chain([diagnose::definition(t).arg(format())])
    .chain([audit::definition(t, format())])
    .collect()
}

/// `-c NAME`.
fn name(t: &dyn Fn(Text) -> String) -> Arg {
    value(
        "common-name",
        t(text!(
            "証明書の名前(コモンネーム)",
            "commonName of the certificate"
        )),
    )
    .short('c')
    .value_name("NAME")
}

/// A serial, unless a name is given.
fn serial(help: String) -> Arg {
    Arg::new("serial")
        .value_name("SERIAL")
        .help(help)
        .conflicts_with("common-name")
        .required_unless_present("common-name")
}

fn path_value(id: &'static str, help: String) -> Arg {
    value(id, help).value_parser(clap::value_parser!(PathBuf))
}

fn value(id: &'static str, help: String) -> Arg {
    Arg::new(id)
        .help(help)
        .action(ArgAction::Set)
        .allow_hyphen_values(false)
}

/// A number; one below zero is told as a wrong number, not as an option nobody knows.
fn number(id: &'static str, help: String) -> Arg {
    value(id, help).allow_negative_numbers(true)
}

/// One of a few words, which the help text names itself: clap would add them in English.
fn choice<const N: usize>(id: &'static str, help: String, words: [&'static str; N]) -> Arg {
    value(id, help)
        .long(id)
        .hide_possible_values(true)
        .value_parser(words)
}

fn many(id: &'static str, help: String) -> Arg {
    Arg::new(id).help(help).action(ArgAction::Append)
}

fn flag(id: &'static str, help: String) -> Arg {
    Arg::new(id).help(help).action(ArgAction::SetTrue)
}
