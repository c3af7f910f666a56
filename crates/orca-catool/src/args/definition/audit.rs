//! `audit`.

use clap::{Arg, ArgAction, Command as Clap};
use orca_messages::{Text, text};

use super::{flag, path_value, value};

pub(super) fn definition(t: &dyn Fn(Text) -> String, format: Arg) -> Clap {
    Clap::new("audit")
        .about(t(text!(
            "認証局の操作記録を表示・検証します",
            "show or verify the audit trail of the CA"
        )))
        .args([
            value(
                "since",
                t(text!(
                    "この日(例 2026-11-24)以降の記録",
                    "only what happened since this day, e.g. 2026-11-24"
                )),
            )
            .long("since")
            .value_name("DATE")
            .conflicts_with("verify"),
            flag(
                "verify",
                t(text!(
                    "変更、削除、挿入がないことを検証する",
                    "find rows that were changed, removed, inserted or cut off"
                )),
            )
            .long("verify"),
            path_value(
                "anchors",
                t(text!(
                    "照合する記録点のファイル(syslog、journalctl の出力など)",
                    "files with heads of the trail to compare: syslog, output of journalctl, notes"
                )),
            )
            .long("anchors")
            .value_name("FILE")
            .action(ArgAction::Append)
            .num_args(1..)
            .requires("verify"),
            format,
        ])
}
