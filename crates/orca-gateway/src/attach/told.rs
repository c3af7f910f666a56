//! What attach and detach say.

use std::path::Path;

use jiff::Timestamp;
use orca_messages::{Finding, text};

use super::door::Door;
use super::plan::{Change, Plan};
use super::probe::{self, Answer};
use super::record::Record;
use super::{Departure, Tell};

impl Plan {
    /// Where WebORCA listens as long as nothing has changed.
    pub(super) fn weborca_now(&self) -> u16 {
        match self.door {
            Door::Redirect { weborca, .. } => weborca,
            Door::Shut { .. } => self.gateway.port(),
        }
    }

    /// What is kept of it.
    pub(super) fn record(&self, since: Timestamp) -> Record {
        Record {
            door: self.door,
            gateway: self.gateway.port(),
            since,
            own_conf: self.own.path.clone(),
            weborca_conf: self.weborca.as_ref().map(|change| change.path.clone()),
            http_port: self.http_port.clone(),
            emergency: None,
        }
    }
}

/// Everything that would be done.
pub(super) fn plan(plan: &Plan, tell: Tell<'_>) {
    for change in std::iter::once(&plan.own).chain(&plan.weborca) {
        if change.is_one() {
            tell(&would_change(change));
        }
    }
    if plan.weborca.is_some() {
        tell(&Finding::ok(
            "would-restart-weborca",
            text!(
                "WebORCAを1回再起動します(systemctl restart jma-receipt-weborca)。",
                "WebORCA would be restarted once (systemctl restart jma-receipt-weborca)"
            ),
        ));
    }
    tell(&rules(plan.door));
    traps(plan, tell);
}

fn would_change(change: &Change) -> Finding {
    let path = change.path.display();
    let before = change.before.as_deref().unwrap_or("");
    let lines = |one: &str, other: &str, sign: char| -> String {
        let gone = one
            .lines()
            .filter(|line| !other.lines().any(|o| o == *line));
        gone.map(|line| format!("\n  {sign} {line}")).collect()
    };
    let changed = lines(before, &change.after, '-') + &lines(&change.after, before, '+');
    Finding::ok(
        "would-change",
        text!(
            "{path} を変更します:{changed}",
            "{path} would change:{changed}"
        ),
    )
}

/// The firewall's part.
pub(super) fn rules(door: Door) -> Finding {
    let indented: String = door
        .to_string()
        .lines()
        .map(|l| format!("\n  {l}"))
        .collect();
    Finding::ok(
        "would-load-rules",
        text!(
            "nftablesに読み込みます:{indented}",
            "nftables would get:{indented}"
        ),
    )
}

/// A file was replaced.
pub(super) fn changed(change: &Change) -> Finding {
    let path = change.path.display();
    Finding::ok(
        "conf-changed",
        match change.before {
            Some(_) => text!(
                "{path} を変更しました(変更前の内容: {path}.before-attach)。",
                "{path} was changed; what stood there before is in {path}.before-attach"
            ),
            None => text!("{path} を作成しました。", "{path} was made"),
        },
    )
}

/// WebORCA reads its configuration anew.
pub(super) fn weborca_restarted() -> Finding {
    Finding::ok(
        "weborca-restarted",
        text!("WebORCAを再起動しました。", "WebORCA was restarted"),
    )
}

/// One end stands.
pub(super) fn weborca_answers(port: u16) -> Finding {
    Finding::ok(
        "weborca-answers",
        text!(
            "日レセ(WebORCA)がポート{port}で応答しています。",
            "WebORCA answers at port {port}"
        ),
    )
}

/// The other end stands.
pub(super) fn gateway_answers(port: u16) -> Finding {
    Finding::ok(
        "gateway-answers",
        text!(
            "orca-gatewayがポート{port}で応答しています。",
            "orca-gateway answers at port {port}"
        ),
    )
}

/// The door is shut and nobody stands behind it.
pub(super) fn gateway_silent(port: u16) -> Finding {
    Finding::warning(
        "gateway-silent",
        text!(
            "orca-gatewayがポート{port}で応答しません。端末からは日レセに接続できません。",
            "no orca-gateway answers at port {port}: clients cannot reach WebORCA"
        ),
        text!(
            "sudo systemctl start orca-gateway を実行してください。",
            "run sudo systemctl start orca-gateway"
        ),
    )
}

/// After an emergency.
pub(super) fn door_shut() -> Finding {
    Finding::ok(
        "door-shut",
        text!(
            "証明書のない端末からの接続を再び遮断しました。",
            "nobody reaches WebORCA past the gateway any more"
        ),
    )
}

/// It is done.
pub(super) fn attached(plan: &Plan, tell: Tell<'_>) {
    let port = plan.door.clients(plan.gateway.port());
    tell(&Finding::ok(
        "attached",
        text!(
            "完了しました。端末は https://サーバ名:{port} を使います(再起動後も有効)。元に戻すには sudo orca-gateway detach を実行します。",
            "done: clients use https://SERVER:{port}, after a reboot too; sudo orca-gateway detach undoes it"
        ),
    ));
    traps(plan, tell);
}

/// What people stumble over afterwards.
fn traps(plan: &Plan, tell: Tell<'_>) {
    let (weborca, gateway) = (plan.door.weborca(), plan.gateway.port());
    tell(&Finding::ok(
        "attach-console",
        text!(
            "このサーバ自身の画面と、サーバ内の連携プログラムは http://localhost:{weborca} を使ってください。",
            "on the server itself, people and programs use http://localhost:{weborca}"
        ),
    ));
    tell(&Finding::ok(
        "attach-ssh",
        text!(
            "サーバにsshでログインできる人は、ssh -L で証明書なしに日レセへ接続できます。sshの利用者を限定してください。",
            "who may log in to the server with ssh reaches WebORCA without a certificate (ssh -L): mind who may"
        ),
    ));
    if ufw_is_on(Path::new("/etc/ufw/ufw.conf")) {
        tell(&Finding::warning(
            "attach-ufw",
            text!(
                "ufwが有効です。ufwにはポート{gateway}への接続として見えます。",
                "ufw is on, and sees connections to port {gateway}"
            ),
            text!(
                "許可されていなければ sudo ufw allow {gateway}/tcp を実行してください。",
                "unless it is allowed, run sudo ufw allow {gateway}/tcp"
            ),
        ));
    }
}

fn ufw_is_on(conf: &Path) -> bool {
    std::fs::read_to_string(conf)
        .is_ok_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes"))
}

/// What a departure would do.
pub(super) fn departure(record: &Record, departure: Departure, tell: Tell<'_>) {
    if departure == Departure::Emergency {
        tell(&emergency(record.door));
        return;
    }
    tell(&Finding::ok(
        "would-detach",
        text!(
            "orca-gatewayを停止し、nftablesのテーブル inet orca_gateway を削除します。",
            "orca-gateway would be stopped and the table inet orca_gateway removed"
        ),
    ));
    if let Some(path) = &record.weborca_conf {
        let path = path.display();
        tell(&Finding::ok(
            "would-restore",
            text!(
                "{path} を元に戻し、WebORCAを再起動します。",
                "{path} would be as before and WebORCA restarted"
            ),
        ));
    }
}

/// The door stands open.
pub(super) fn emergency(door: Door) -> Finding {
    let port = door.weborca();
    Finding::warning(
        "door-open",
        text!(
            "緊急迂回中です。証明書がなくても、だれでも http://サーバ名:{port} で日レセに接続できます。",
            "emergency: everybody reaches WebORCA at http://SERVER:{port}, without a certificate"
        ),
        text!(
            "復旧したら sudo orca-gateway attach を実行してください。",
            "as soon as things work again, run sudo orca-gateway attach"
        ),
    )
}

/// It is gone.
pub(super) fn detached(record: &Record, managed: bool, tell: Tell<'_>) {
    tell(&Finding::ok(
        "detached",
        text!(
            "orca-gatewayをWebORCAから切り離しました。",
            "the gateway is detached from WebORCA"
        ),
    ));
    if !managed && record.weborca_conf.is_some() {
        tell(&Finding::warning(
            "restart-weborca",
            text!(
                "jma-receipt.conf を元に戻しました。WebORCAはまだ以前の設定で動作しています。",
                "jma-receipt.conf is as before; WebORCA has not read it yet"
            ),
            text!("WebORCAを再起動してください。", "restart WebORCA"),
        ));
    }
    let port = match record.door {
        Door::Redirect { weborca, .. } => weborca,
        Door::Shut { .. } => record.gateway,
    };
    if probe::ask(port) == Answer::Http {
        tell(&Finding::warning(
            "upstream-exposed",
            text!(
                "証明書がなくても、だれでも http://サーバ名:{port} で日レセに接続できます。",
                "everybody reaches WebORCA at http://SERVER:{port}, without a certificate"
            ),
            text!(
                "保護するには sudo orca-gateway attach を実行してください。",
                "sudo orca-gateway attach protects it"
            ),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ufw_counts_only_where_it_is_on() {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("ufw.conf");
        assert!(!ufw_is_on(&conf));
        for (text, on) in [("ENABLED=no\n", false), ("# x\nENABLED=yes\n", true)] {
            super::super::files::replace(&conf, text.as_bytes(), 0o644).unwrap();
            assert_eq!(ufw_is_on(&conf), on, "{text}");
        }
    }
}
