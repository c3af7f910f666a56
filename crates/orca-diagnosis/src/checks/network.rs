//! The way to the server.

use orca_messages::{Finding, text};
use orca_pki::name::HostName;

use super::server;
use crate::facts::{Contact, Seen};
use crate::target::Target;

pub(super) fn reached(target: &Target, seen: &Seen) -> Finding {
    let version = seen.version.unwrap_or("TLS");
    Finding::ok(
        "server-reached",
        text!(
            "接続先 {target} は{version}で応答しました。",
            "{target} answers with {version}"
        ),
    )
}

/// What `http://` gives where TLS is spoken; where it is not, that is told as it is.
pub fn typed_http(target: &Target, contact: &Contact) -> Option<Finding> {
    let authority = target.authority();
    matches!(contact, Contact::Tls(_)).then(|| {
        Finding::failure(
            "http-address",
            text!(
                "アドレスが http://{authority} になっています。このサーバは暗号化通信(https)のみ受け付けます(画面の番号 E-108)。",
                "the address is http://{authority}, but this server takes encrypted connections (https) only; its page has the number E-108"
            ),
            text!(
                "{target} を開き、ブラウザのお気に入りや連携するプログラムの設定も「https」に変更してください。",
                "open {target}, and change bookmarks and the settings of programs to https too"
            ),
        )
    })
}

/// Why there was no TLS.
pub(super) fn trouble(target: &Target, contact: &Contact) -> Finding {
    match contact {
        Contact::NoName => no_name(target),
        Contact::Refused => Finding::failure(
            "nothing-listens",
            text!(
                "{target} で待ち受けているプログラムがありません(接続はすぐに拒否されました)。サーバ機とネットワークは動作しています。",
                "nothing listens at {target}: the connection was refused at once, so machine and network are up"
            ),
            text!(
                "サーバで systemctl status orca-gateway と orca-gateway diagnose を実行してください。ポート番号も確認してください。",
                "on the server, run systemctl status orca-gateway and orca-gateway diagnose; check the port too"
            ),
        ),
        Contact::NoAnswer => Finding::failure(
            "no-answer",
            text!(
                "{target} から応答がありません(拒否もされません)。サーバ機の電源、ネットワーク、ファイアウォールのいずれかに問題があります。",
                "{target} does not answer, not even with a refusal: the machine is off, the network is cut, or a firewall drops it"
            ),
            text!(
                "サーバ機の電源とアドレスを確認し、この端末で ping を実行してください。pingに応答がある場合は、ファイアウォールでポートを許可してください。",
                "check power and address of the server and ping it from here; if that works, let the port through its firewall"
            ),
        ),
        Contact::HostUnreachable => Finding::failure(
            "host-unreachable",
            text!(
                "{target} のサーバ機が見つかりません(途中の機器またはファイアウォールが「到達不能」と応答しました)。サーバ機の電源が切れているか、アドレスが違うか、ファイアウォールで拒否されています。",
                "the machine of {target} cannot be found: a device on the way, or a firewall, says that it is unreachable; it is off, has another address, or rejects us"
            ),
            text!(
                "サーバ機の電源、LANケーブル、IPアドレスを確認してください。サーバ機が動作している場合は、サーバのファイアウォール(firewall-cmd --list-all、nft list ruleset)でポートを許可してください。",
                "check power, cable and address of the server; if it runs, let the port through its firewall (firewall-cmd --list-all, nft list ruleset)"
            ),
        ),
        Contact::Unreachable(reason) => Finding::failure(
            "unreachable",
            text!(
                "{target} への経路がありません({reason})。",
                "there is no way to {target} ({reason})"
            ),
            text!(
                "この端末のネットワーク(ケーブル、無線LAN、IPアドレス)を確認してください。",
                "check the network of this machine: cable, wireless, address"
            ),
        ),
        Contact::PlainHttp => not_https(target),
        Contact::Other(first) => other_program(target, first),
        Contact::OldTls => Finding::failure(
            "tls-too-old",
            text!(
                "{target} はTLS 1.2以降に対応していません。最近のブラウザは接続できません。",
                "{target} knows no TLS 1.2: today's browsers cannot connect"
            ),
            text!(
                "古い機器や別のプログラムが応答していないか、アドレスとポートを確認してください。orca-gatewayはTLS 1.2と1.3に対応しています。",
                "check address and port: some old device or program answers; orca-gateway speaks TLS 1.2 and 1.3"
            ),
        ),
        Contact::Silent => Finding::failure(
            "silent",
            text!(
                "{target} は接続を受け付けますが、何も応答しません。プログラムが停止しているか、過負荷です。",
                "{target} takes the connection and then says nothing: the program hangs, or has too much to do"
            ),
            text!(
                "サーバで systemctl restart orca-gateway を実行してください。orca-gatewayではない場合は、待ち受けているプログラムを ss -ltnp で確認してください。",
                "on the server, run systemctl restart orca-gateway; ss -ltnp tells whether it is another program that listens"
            ),
        ),
        Contact::OddCertificate(_) => server::unreadable(),
        Contact::BrokenTls(reason) => Finding::failure(
            "tls-failed",
            text!(
                "{target} とのTLS接続に失敗しました({reason})。",
                "TLS with {target} failed ({reason})"
            ),
            text!(
                "途中にプロキシやウイルス対策ソフトがないか確認し、サーバで orca-gateway diagnose を実行してください。",
                "look for a proxy or virus scanner on the way, and run orca-gateway diagnose on the server"
            ),
        ),
        Contact::Closed | Contact::Tls(_) => Finding::failure(
            "closed-without-answer",
            text!(
                "{target} は接続をすぐに切断しました。別のプログラムか、途中の機器が応答しています。",
                "{target} closes the connection without a word: another program, or a device on the way"
            ),
            text!(
                "サーバで orca-gateway diagnose を実行し、待ち受けているプログラムを ss -ltnp で確認してください。",
                "on the server, run orca-gateway diagnose, and ss -ltnp to see which program listens"
            ),
        ),
    }
}

fn no_name(target: &Target) -> Finding {
    let host = &target.host;
    Finding::failure(
        "name-does-not-resolve",
        text!(
            "接続先の名前 {host} に対応するIPアドレスが見つかりません。",
            "the name {host} has no address"
        ),
        text!(
            "名前の綴りを確認し、院内のDNSまたは hosts ファイルに {host} を登録してください。IPアドレスで接続する場合は、そのアドレスがサーバ証明書に必要です。",
            "check the spelling, and add {host} to the DNS or the hosts file; to connect by address, the server certificate needs that address"
        ),
    )
}

fn not_https(target: &Target) -> Finding {
    Finding::failure(
        "not-https",
        text!(
            "{target} は暗号化なしの「http」で応答しました。サーバがHTTPSになっていません(Server Mode: HTTP)。",
            "{target} speaks http without encryption: it does not run in HTTPS (Server Mode: HTTP)"
        ),
        text!(
            "サーバで orca-catool server_kit -c サーバ名 を実行するか、設定ファイルの SERVER_CRT、SERVER_PEM、CA_CRT を確認し、orca-gateway diagnose を実行してください。",
            "on the server, run orca-catool server_kit -c NAME, or see to SERVER_CRT, SERVER_PEM and CA_CRT, then run orca-gateway diagnose"
        ),
    )
}

fn other_program(target: &Target, first: &str) -> Finding {
    let port = target.port;
    let kind = match &target.host {
        HostName::Ip(_) => text!("IPアドレス", "address"),
        HostName::Dns(_) => text!("名前", "name"),
    };
    let (ja, en) = (kind.ja, kind.en);
    Finding::failure(
        "other-program",
        text!(
            "{target} で別のプログラムが応答しています(応答: {first})。",
            "another program answers at {target}; it says: {first}"
        ),
        text!(
            "{ja}とポート番号{port}を確認してください。正しい場合は、サーバで ss -ltnp を実行し、ポート{port}を使用しているプログラムを停止してください。",
            "check the {en} and port {port}; if they are right, run ss -ltnp on the server and stop the program that holds port {port}"
        ),
    )
}
