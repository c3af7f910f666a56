//! `diagnose`.

use clap::Command as Clap;
use orca_messages::{Text, text};

use super::{path_value, value};

pub(super) fn definition(t: &dyn Fn(Text) -> String) -> Clap {
    let file = |id: &'static str, help: Text| path_value(id, t(help)).long(id).value_name("FILE");
    Clap::new("diagnose")
        .about(t(text!(
            "サーバ、証明書、認証局の問題を調べて対処を表示します(異常があれば終了コード1)",
            "look for what is wrong with a server, a certificate or the CA, and say what to do; exit 1 if anything failed"
        )))
        .args([
            value(
                "url",
                t(text!(
                    "サーバのアドレス(例 https://192.168.1.100:8000、省略時はこの認証局を調べる)",
                    "address of a server, e.g. https://192.168.1.100:8000; without it the CA itself is looked at"
                )),
            )
            .value_name("https://HOST:PORT"),
            file(
                "p12",
                text!(
                    "端末の証明書(p12)",
                    "certificate of a client, PKCS#12"
                ),
            )
            .requires("passphrase-file")
            .conflicts_with_all(["cert", "key"]),
            file(
                "passphrase-file",
                text!(
                    "p12または鍵のパスフレーズのファイル(….pass)",
                    "file with the passphrase of p12 or key (.pass)"
                ),
            ),
            file(
                "cert",
                text!("端末の証明書(PEM)", "certificate of a client, PEM"),
            )
            .requires("key"),
            file("key", text!("その秘密鍵(PEM)", "its private key, PEM")).requires("cert"),
            file(
                "ca",
                text!(
                    "認証局の証明書(ca.crt、省略時はこの機械の認証局、なければp12の中のもの)",
                    "certificate of the CA; else the CA of this machine, else that in the p12"
                ),
            ),
            value(
                "at",
                t(text!(
                    "この日までに使用できなくなるもの(過ぎた日の場合は、その日に使用できなかったもの)も調べる(例 2027-04-01)",
                    "tell too what will have broken by that day, or what had on a day that is over, e.g. 2027-04-01"
                )),
            )
            .long("at")
            .value_name("DATE"),
        ])
}
