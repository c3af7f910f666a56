//! Keys that are no error and not what somebody meant either.

use http::uri::Scheme;
use orca_conf::{Assignment, ConfFile};
use orca_messages::{Finding, text};

use super::{OUR_KEYS, SERVER_KEYS, Upstream};

/// Everything about the keys of this file that its writer should know.
pub(super) fn about_keys(file: &ConfFile, upstream: Option<&Upstream>) -> Vec<Finding> {
    file.assignments
        .iter()
        .filter_map(unknown)
        .chain(all_empty(file))
        .chain(upstream.and_then(unused_files))
        .collect()
}

/// A mistyped `GATEWAY_CRL_UNUSABLE` must not pass unseen.
fn unknown(assignment: &Assignment) -> Option<Finding> {
    let Assignment { line, key, .. } = assignment;
    let is_unknown = key.starts_with("GATEWAY_") && !OUR_KEYS.contains(&key.as_str());
    is_unknown.then(|| {
        Finding::warning(
            "unknown-key",
            text!(
                "設定ファイルの{line}行目の {key} というキーはありません。無視します。",
                "line {line} of the configuration file: there is no key {key}; it is left alone"
            ),
            text!(
                "キーの綴りを確認してください。",
                "check how the key is spelled"
            ),
        )
    })
}

/// Whoever writes the three keys down wants HTTPS; without values they mean plain HTTP.
fn all_empty(file: &ConfFile) -> Option<Finding> {
    let written = |key: &str| file.assignments.iter().any(|one| one.key == key);
    let empty = SERVER_KEYS.iter().all(|key| file.get(key).is_none());
    (empty && SERVER_KEYS.iter().any(|key| written(key))).then(|| {
        Finding::warning(
            "keys-empty",
            text!(
                "SERVER_CRT、SERVER_PEM、CA_CRTの値がすべて空です。SSLクライアント認証は行われず、暗号化もされません。",
                "SERVER_CRT, SERVER_PEM and CA_CRT are there without values: there is no SSL client authentication and no encryption"
            ),
            text!(
                "3つのファイルのパスを設定してください。HTTPで使う場合は、3つの行を消してください。",
                "set the paths of the three files; to use plain HTTP remove the three lines"
            ),
        )
    })
}

/// An `https` that was forgotten in `GATEWAY_UPSTREAM`.
fn unused_files(upstream: &Upstream) -> Option<Finding> {
    let files = upstream.ca.is_some() || upstream.identity.is_some();
    (files && upstream.scheme == Scheme::HTTP).then(|| {
        Finding::warning(
            "upstream-files-unused",
            text!(
                "GATEWAY_UPSTREAMがhttpのため、GATEWAY_UPSTREAM_CA、_CRT、_PEMは使用されません。",
                "GATEWAY_UPSTREAM is http, so GATEWAY_UPSTREAM_CA, _CRT and _PEM are not used"
            ),
            text!(
                "日レセにTLSで接続する場合は、GATEWAY_UPSTREAMをhttps://に直してください。",
                "to reach the application over TLS write GATEWAY_UPSTREAM with https://"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::interpret;

    #[test]
    fn keys_that_cannot_be_meant_do_not_pass_unseen() {
        for (text, expected) in [
            ("DBHOST=x\nGATEWAY_LANG=ja\n", &[][..]),
            ("GATEWAY_CRL_UNUSABL=refuse\n", &["unknown-key"]),
            ("CA_CRT=\nSERVER_CRT=\nSERVER_PEM=''\n", &["keys-empty"]),
            ("CA_CRT=/a\nCA_CRT=\n", &["keys-empty"]),
            ("CA_CRT=/a\nSERVER_CRT=/b\nSERVER_PEM=/c\n", &[]),
            ("GATEWAY_UPSTREAM_CA=/a\n", &["upstream-files-unused"]),
            (
                "GATEWAY_UPSTREAM_CRT=/a\nGATEWAY_UPSTREAM_PEM=/b\nGATEWAY_UPSTREAM=http://a\n",
                &["upstream-files-unused"],
            ),
            ("GATEWAY_UPSTREAM_CA=/a\nGATEWAY_UPSTREAM=https://a\n", &[]),
        ] {
            let reading = interpret(Path::new("/x/orca-gateway.conf"), text);
            let ids: Vec<_> = reading.remarks.iter().map(|remark| remark.id).collect();
            assert_eq!(ids, expected, "{text}");
        }
        let mistyped = interpret(Path::new("/x/gw.conf"), "A=1\nGATEWAY_LAN=ja\n");
        assert!(mistyped.remarks[0].message.en.contains("line 2"));
    }
}
