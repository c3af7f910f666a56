//! `server_kit` and `api_kit`.

use clap::Command as Clap;
use orca_messages::{Text, text};

use super::{flag, many, name, path_value, serial, value};

pub(super) fn definitions(t: &dyn Fn(Text) -> String) -> [Clap; 2] {
    let owner = || {
        value(
            "owner",
            t(text!(
                "配置するファイルの所有者(既定: orca があれば orca:orca)",
                "whom the files shall belong to (default orca:orca where there is an orca)"
            )),
        )
        .long("owner")
        .value_name("USER[:GROUP]")
    };
    let server_kit = Clap::new("server_kit")
        .about(t(text!(
            "サーバ証明書一式をこのサーバに配置し、設定ファイルに記述します",
            "put a server certificate in place on this server and into its configuration"
        )))
        .args([
            serial(t(text!(
                "サーバ証明書の番号",
                "serial of the server certificate"
            )))
            .required(false)
            .required_unless_present_any(["common-name", "undo"]),
            name(t),
            path_value(
                "conf",
                t(text!(
                    "設定ファイル(既定は orca-gateway.conf、なければ jma-receipt.conf)",
                    "configuration file (default orca-gateway.conf, else jma-receipt.conf)"
                )),
            )
            .long("conf")
            .value_name("FILE"),
            owner(),
            flag(
                "dry-run",
                t(text!(
                    "何をするかだけを表示する",
                    "only say what would be done"
                )),
            )
            .long("dry-run"),
            flag(
                "undo",
                t(text!(
                    "最後の server_kit を元に戻す",
                    "undo the last server_kit"
                )),
            )
            .long("undo")
            .conflicts_with_all(["serial", "common-name", "dry-run", "owner"]),
        ]);
    let api_kit = Clap::new("api_kit")
        .about(t(text!(
            "APIプログラム用のファイルを配置し、設定とコードの例を表示します",
            "put files for API programs in place and print ready configuration and code"
        )))
        .args([
            serial(t(text!(
                "クライアント証明書の番号",
                "serial of the client certificate"
            ))),
            name(t),
            path_value(
                "dir",
                t(text!(
                    "配置するフォルダ(例 /opt/jma/weborca/conf)",
                    "folder for the files (e.g. /opt/jma/weborca/conf)"
                )),
            )
            .long("dir")
            .value_name("DIR")
            .required(true),
            owner(),
            value(
                "url",
                t(text!(
                    "WebORCAのアドレス(https://ホスト:ポート)",
                    "address of WebORCA (https://HOST:PORT)"
                )),
            )
            .long("url")
            .value_name("URL")
            .required(true),
            many(
                "only",
                t(text!(
                    "表示するもの(複数指定可): push-exchanger curl ruby ruby-websocket python java node csharp",
                    "what to print (may be repeated): push-exchanger curl ruby ruby-websocket python java node csharp"
                )),
            )
            .long("only")
            .value_name("KIND"),
        ]);
    [server_kit, api_kit]
}
