//! What a PKCS#12 file is made of, and who cannot read that.

use std::path::Path;

use orca_messages::{Finding, Text, render, text};
use orca_pki::pkcs12::reading::{Encoding, Makeup, Protection};

use crate::identity::Pkcs12;

/// Of a file that could be opened here.
pub(super) fn findings(file: &Pkcs12) -> Vec<Finding> {
    let refusers = refusers(&file.makeup);
    let hard = refusers.map(|text| Finding::warning("p12-unreadable", text, remedy(file)));
    let ber = (file.makeup.encoding == Encoding::Ber).then(|| ber(file));
    hard.into_iter().chain(ber).collect()
}

/// Of a file that could not.
pub(super) fn unopened(file: &Pkcs12) -> Finding {
    let (ja, en) = makeup(&file.makeup);
    let Text { ja, en } = refusers(&file.makeup).unwrap_or_else(|| {
        text!(
            "p12({ja})は読み込めません。",
            "the p12 ({en}) cannot be read"
        )
    });
    Finding::failure(
        "p12-unreadable",
        text!(
            "{ja}この機械でも開けないため、中の証明書は調べていません。",
            "{en}; it cannot be opened here either, and its certificate was not looked at"
        ),
        remedy(file),
    )
}

/// `鍵 3DES、証明書 RC2-40、MAC SHA-1`.
fn makeup(makeup: &Makeup) -> (String, String) {
    let list = |names: Vec<String>, separator| {
        let mut once: Vec<String> = Vec::new();
        for name in names {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        once.join(separator)
    };
    let safes = |open: &str| {
        let names = makeup.safes.iter();
        let names = names.map(|name| name.clone().unwrap_or_else(|| open.to_owned()));
        names.collect()
    };
    let (mut ja, mut en) = (Vec::new(), Vec::new());
    if !makeup.keys.is_empty() {
        ja.push(format!("鍵 {}", list(makeup.keys.clone(), "・")));
        en.push(format!("key {}", list(makeup.keys.clone(), " and ")));
    }
    ja.push(format!("証明書 {}", list(safes("暗号化なし"), "・")));
    en.push(format!("certificate {}", list(safes("open"), " and ")));
    let mac = |none: &str| makeup.mac.clone().unwrap_or_else(|| none.to_owned());
    ja.push(format!("MAC {}", mac("なし")));
    en.push(format!("MAC {}", mac("none")));
    (ja.join("、"), en.join(", "))
}

/// Who cannot read it; nobody where everybody can.
fn refusers(of: &Makeup) -> Option<Text> {
    let (ja, en) = makeup(of);
    Some(match of.protection {
        Protection::TripleDes => return None,
        Protection::Modern => text!(
            "p12の方式は新しいもの(modern)です({ja})。古いWindows(Windows Server 2016以前など)、macOS(12、13のキーチェーンなど)、iPhone、古いAndroidは「パスワードが違います」と表示して読み込めません。",
            "the p12 is made in the new way (modern: {en}): old Windows (such as Server 2016), macOS (such as the Keychain of 12 and 13), iPhones and old Androids cannot import it, and say that the password is wrong"
        ),
        Protection::Rc2 => text!(
            "p12の方式は古いもの(RC2)です({ja})。OpenSSL 3を使用するプログラム(curl、Ruby、Node.jsなど)は読み込めません。Windows、Chrome、Firefox、Javaは読み込めます。",
            "the p12 is made in an old way (RC2: {en}): what is built on OpenSSL 3 (curl, Ruby, Node.js) cannot read it; Windows, Chrome, Firefox and Java can"
        ),
        Protection::Unsealed => text!(
            "p12に改ざんを検出するMACがありません({ja})。OpenSSLを使用するプログラム(curl、Ruby、Node.jsなど)と、LinuxのChrome、Firefoxは読み込めません。Javaは読み込めます。",
            "the p12 has no MAC ({en}): what is built on OpenSSL (curl, Ruby, Node.js) and Chrome and Firefox on Linux cannot read it; Java can"
        ),
        Protection::Other => text!(
            "p12の方式は広く使われていないものです({ja})。Windows、macOS、ブラウザ、OpenSSL 3を使用するプログラムは読み込めないことがあります。",
            "the p12 is made in a way that is not in wide use ({en}): Windows, macOS, browsers and what is built on OpenSSL 3 may not read it"
        ),
    })
}

fn remedy(file: &Pkcs12) -> Text {
    match file.makeup.protection {
        Protection::Rc2 => {
            let command = command(file, " -legacy");
            text!(
                "orca-catool export_cert SERIAL --p12 compat で書き出したものを使用してください。別の認証局のp12は、{command} で変換できます。",
                "use one written by orca-catool export_cert SERIAL --p12 compat; that of another CA can be converted: {command}"
            )
        }
        _ => text!(
            "そのような端末には orca-catool export_cert SERIAL --p12 compat で書き出したもの(3DES、SHA-1)を渡してください。",
            "for such machines, write it again with orca-catool export_cert SERIAL --p12 compat (3DES, SHA-1)"
        ),
    }
}

fn ber(file: &Pkcs12) -> Finding {
    let command = command(file, "");
    Finding::warning(
        "p12-is-ber",
        text!(
            "p12はBER(長さを後で決める形式)で書かれています。OpenSSLを使用するプログラム、Chrome、Firefox、Javaは読み込めますが、DERだけを読むプログラム(Go言語のものなど)は読み込めません。",
            "the p12 is written in BER, with open lengths: what is built on OpenSSL, Chrome, Firefox and Java read it, but programs that read DER alone (such as those in Go) cannot"
        ),
        text!(
            "読み込めないプログラムには、{command} で変換したものを使用してください。",
            "for a program that cannot, convert it: {command}"
        ),
    )
}

/// Writes it again as `--p12 compat` does. Nothing without a passphrase touches the disk, and the key
/// goes first: what stands before it in a pipe is lost to openssl.
fn command(file: &Pkcs12, option: &str) -> String {
    let passphrase = word(&file.passphrase);
    let (from, to) = (
        word(&file.file),
        word(&file.file.with_extension("compat.p12")),
    );
    let read = format!("openssl pkcs12{option} -in {from} -passin file:{passphrase}");
    format!(
        "{{ {read} -nodes -nocerts; {read} -nokeys -clcerts; }} | openssl pkcs12 -export -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 \
         -passout file:{passphrase} -out {to}"
    )
}

/// As a shell takes it.
fn word(path: &Path) -> String {
    let text = render::one_line(&path.to_string_lossy());
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_the_shell() {
        for (path, word_of) in [
            (
                "/tmp/000003__JP_orca_user1.p12",
                "/tmp/000003__JP_orca_user1.p12",
            ),
            ("山田.p12", "山田.p12"),
            ("a b.p12", "'a b.p12'"),
            ("it's.p12", r"'it'\''s.p12'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(word(Path::new(path)), word_of);
        }
    }
}
