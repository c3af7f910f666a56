//! The commands, the options and their help, in one language. The man pages and the completions of
//! the packages are made from it too.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};
use orca_messages::{Lang, Text, text};

/// The definition of the command line in one language. It knows no type of ours, so that it stands
/// alone.
pub(super) fn definition(lang: Lang) -> Command {
    let say = |text: Text| text.get(lang).to_owned();
    let (options, commands) = match lang {
        Lang::En => ("Options", "Commands"),
        Lang::Ja => ("オプション", "コマンド"),
    };
    let subcommand = |name: &'static str, about: Text| {
        Command::new(name)
            .about(say(about))
            .help_template(template(lang))
            .next_help_heading(options)
    };
    let format = || {
        Arg::new("format")
            .long("format")
            .value_name("table|json|csv")
            .value_parser(PossibleValuesParser::new(["table", "json", "csv"]))
            .hide_possible_values(true)
            .help(say(text!("出力の形式", "form of the output")))
    };
    Command::new("orca-gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .about(say(text!(
            "WebORCAの前段でSSLクライアント認証を行い、失効した証明書を直ちに拒否します。",
            "SSL client authentication in front of WebORCA, with revocation that takes effect"
        )))
        .help_template(template(lang))
        .next_help_heading(options)
        .subcommand_help_heading(commands)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(global_args(lang))
        .arg(
            Arg::new("version")
                .long("version")
                .short('V')
                .action(ArgAction::Version)
                .help(say(text!("版を表示する", "print the version"))),
        )
        .subcommand(subcommand(
            "run",
            text!(
                "起動する(コマンドの指定がない場合と同じ)",
                "serve; the same as no command"
            ),
        ))
        .subcommand(
            subcommand(
                "check",
                text!(
                    "起動せずに、起動した場合の問題をすべて表示する(異常があれば終了コード1、警告だけなら0)",
                    "tell all that is wrong without starting; exit 1 if anything failed, 0 with warnings alone"
                ),
            )
            .arg(format()),
        )
        .subcommand(
            subcommand(
                "observe_report",
                text!(
                    "アクセスログから、証明書を必須にすると接続できなくなる端末の一覧を表示する",
                    "tell from access logs who would be locked out if certificates were asked for"
                ),
            )
            .arg(
                Arg::new("file")
                    .value_name("FILE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .num_args(1..)
                    .required(true)
                    .help(say(text!(
                        "アクセスログ(gzip圧縮されたものも可)",
                        "access logs, compressed ones (gzip) too"
                    ))),
            )
            .arg(
                Arg::new("since")
                    .long("since")
                    .value_name("DATE")
                    .help(say(text!(
                        "この日(2026-11-24)か時刻(RFC 3339)以降の行だけを集計する",
                        "only lines from that day (2026-11-24) or moment (RFC 3339) on"
                    ))),
            )
            .arg(format()),
        )
        .subcommands(placing(lang).map(|command| command.next_help_heading(options)))
        .subcommand(
            subcommand(
                "reset_crl",
                text!(
                    "CRLの番号の記録を消去し、番号が古いCRLも受け付けるようにする(認証局をバックアップから戻したとき)",
                    "forget the numbers of CRLs, so that a lower one is taken: after a CA was restored from a backup"
                ),
            )
            .arg(
                Arg::new("ca").long("ca").value_name("WORD").help(say(text!(
                    "名前にこの語を含む認証局だけ(省略時: CA_CRT のすべて)",
                    "only CAs whose name has this word; else all of CA_CRT"
                ))),
            ),
        )
        .subcommand(
            subcommand(
                "diagnose",
                text!(
                    "check に加えて、起動中のゲートウェイに接続して問題を調べる(異常があれば終了コード1)",
                    "do what check does and look at the running gateway too; exit 1 if anything failed"
                ),
            )
            .arg(
                Arg::new("at").long("at").value_name("DATE").help(say(text!(
                    "この日までに使用できなくなるもの(過ぎた日の場合は、その日に使用できなかったもの)も調べる(例 2027-04-01)",
                    "tell too what will have broken by that day, or what had on a day that is over, e.g. 2027-04-01"
                ))),
            )
            .arg(format()),
        )
        .subcommand(
            subcommand(
                "last_seen",
                text!(
                    "証明書ごとに、最後に使用された日時と端末を表示する",
                    "tell when and where each certificate was used last"
                ),
            )
            .arg(format()),
        )
        .subcommand(
            subcommand(
                "support_bundle",
                text!(
                    "問い合わせ用の資料(ログ、check の結果、版、設定)を1つのzipにまとめる。秘密鍵、パスワード、患者番号は含まない",
                    "put logs, check, versions and configuration for a supporter into one zip, without keys, passwords and patients"
                ),
            )
            .arg(
                Arg::new("output")
                    .long("output")
                    .short('o')
                    .value_name("FILE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .help(say(text!(
                        "作成するファイル(省略時: 現在のフォルダの orca-gateway-support-日時.zip)",
                        "the file to make; else orca-gateway-support-TIME.zip in this folder"
                    ))),
            ),
        )
        .subcommand(
            subcommand(
                "verify_log",
                text!(
                    "アクセスログに変更、削除、挿入がないか確認する(異常があれば終了コード1)",
                    "tell whether access logs were changed, cut or added to; exit 1 if so"
                ),
            )
            .args(verify_args(lang))
            .arg(format()),
        )
}

fn verify_args(lang: Lang) -> [Arg; 2] {
    let say = |text: Text| text.get(lang).to_owned();
    [
        Arg::new("files")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .num_args(1..)
            .required(true)
            .help(say(text!(
                "アクセスログ(世代のファイルを任意の順で。gzipも可)",
                "access logs, rotated ones in any order, gzip too"
            ))),
        Arg::new("anchors")
            .long("anchors")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .action(ArgAction::Append)
            .help(say(text!(
                "記録点のあるログ(起動ログ、またはジャーナルの出力)",
                "a text that tells the heads: event log or exported journal"
            ))),
    ]
}

/// `attach` and `detach`.
fn placing(lang: Lang) -> [Command; 2] {
    let say = |text: Text| text.get(lang).to_owned();
    let dry_run = || {
        Arg::new("dry-run")
            .long("dry-run")
            .action(ArgAction::SetTrue)
            .help(say(text!(
                "変更せずに、変更する内容だけを表示する",
                "only tell what would be done"
            )))
    };
    let mode = Arg::new("mode")
        .long("mode")
        .value_name("redirect|port")
        .value_parser(PossibleValuesParser::new(["redirect", "port"]))
        .hide_possible_values(true)
        .help(say(text!(
            "redirect(既定): WebORCAはポート8000のまま、外からの接続をorca-gatewayに転送する。port: WebORCAのポートを移し、orca-gatewayがポート8000で待ち受ける",
            "redirect (default): WebORCA keeps port 8000, what comes from outside is led to the gateway; port: WebORCA moves, the gateway takes port 8000"
        )));
    let emergency = Arg::new("emergency")
        .long("emergency")
        .action(ArgAction::SetTrue)
        .help(say(text!(
            "緊急迂回: 証明書なしで日レセに接続できるようにする。attach で元に戻す",
            "open the door for now: everybody reaches WebORCA without a certificate, until attach"
        )));
    let subcommand = |name: &'static str, about: Text| {
        Command::new(name)
            .about(say(about))
            .help_template(template(lang))
    };
    [
        subcommand(
            "attach",
            text!(
                "動作中のWebORCAの前段に接続する(root)",
                "stand in front of a WebORCA that runs (root)"
            ),
        )
        .args([mode, dry_run()]),
        subcommand(
            "detach",
            text!(
                "WebORCAから切り離し、元の状態に戻す(root)",
                "leave WebORCA as it was before (root)"
            ),
        )
        .args([emergency, dry_run()]),
    ]
}

fn global_args(lang: Lang) -> [Arg; 3] {
    let say = |text: Text| text.get(lang).to_owned();
    [
        Arg::new("conf")
            .long("conf")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .global(true)
            .help(say(text!(
                "設定ファイル(省略時: /opt/jma/weborca/conf/orca-gateway.conf があればそれ、なければ同じ場所の jma-receipt.conf)",
                "configuration file; else /opt/jma/weborca/conf/orca-gateway.conf if it exists, else jma-receipt.conf there"
            ))),
        Arg::new("lang")
            .long("lang")
            .value_name("ja|en")
            .value_parser(PossibleValuesParser::new(["ja", "en"]))
            .hide_possible_values(true)
            .global(true)
            .help(say(text!("表示の言語", "language of the messages"))),
        Arg::new("help")
            .long("help")
            .short('h')
            .action(ArgAction::Help)
            .global(true)
            .help(say(text!("使い方を表示する", "print this help"))),
    ]
}

fn template(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}\n",
        Lang::Ja => "{about}\n\n使い方: {usage}\n\n{all-args}{after-help}\n",
    }
}
