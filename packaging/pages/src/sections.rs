//! What the pages of the programs say beyond their options.

use orca_messages::text;

use crate::Program;
use crate::manual::Section;

/// Files and exit codes.
pub(crate) fn of(program: Program) -> Vec<Section> {
    match program {
        Program::Catool => vec![catool_files(), exit_status()],
        Program::Gateway => vec![gateway_files(), signals(), exit_status()],
    }
}

fn catool_files() -> Section {
    Section {
        heading: text!("ファイル", "FILES"),
        text: vec![
            text!(
                "~/.orca_catool/ 設定(config.yml)、台帳、認証局の鍵。バックアップを取り、誰にも渡さないこと。",
                "~/.orca_catool/ configuration (config.yml), the register, the key of the CA: back it up and give it to nobody"
            ),
            text!(
                "~/certs/ 発行した証明書のzipと ca.crl",
                "~/certs/ the zips of issued certificates and ca.crl"
            ),
            text!(
                "/var/lib/orca-mtls/crl/ orca-gatewayと共有できるCRLのフォルダ(グループ orca-crl が書き込める)",
                "/var/lib/orca-mtls/crl/ a folder for the CRL that orca-gateway can read (the group orca-crl writes)"
            ),
            text!(
                "/usr/share/doc/orca-catool/README.md.gz 説明書",
                "/usr/share/doc/orca-catool/README.md.gz the manual, in Japanese"
            ),
        ],
    }
}

fn gateway_files() -> Section {
    Section {
        heading: text!("ファイル", "FILES"),
        text: vec![
            text!(
                "/opt/jma/weborca/conf/orca-gateway.conf 設定。なければ同じ場所の jma-receipt.conf を読む。",
                "/opt/jma/weborca/conf/orca-gateway.conf the configuration; without it jma-receipt.conf there is read"
            ),
            text!(
                "/opt/jma/weborca/log/orca-gateway.log、orca-gateway-access.log 動作ログとアクセスログ",
                "/opt/jma/weborca/log/orca-gateway.log, orca-gateway-access.log event log and access log"
            ),
            text!(
                "/var/lib/orca-gateway/ 最後に有効だったCRL",
                "/var/lib/orca-gateway/ the last good CRLs"
            ),
            text!(
                "/usr/share/doc/orca-mtls-gateway/README.md.gz 説明書",
                "/usr/share/doc/orca-mtls-gateway/README.md.gz the manual, in Japanese"
            ),
        ],
    }
}

fn signals() -> Section {
    Section {
        heading: text!("シグナル", "SIGNALS"),
        text: vec![text!(
            "SIGHUP: 証明書、鍵、CA証明書、CRLを読み直し、ログを開き直す。SIGTERM: 処理中の要求を終えてから終了する。",
            "SIGHUP: certificates, key, CA and CRL are read again, logs are opened again. SIGTERM: requests under way are finished, then it ends."
        )],
    }
}

fn exit_status() -> Section {
    Section {
        heading: text!("終了コード", "EXIT STATUS"),
        text: vec![text!(
            "0 成功。1 拒否または失敗。2 コマンドの指定が正しくない。",
            "0 done. 1 refused or failed. 2 the command line alone shows it wrong."
        )],
    }
}
