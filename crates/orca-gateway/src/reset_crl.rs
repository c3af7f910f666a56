//! `orca-gateway reset_crl`: asks that the numbers of revocation lists be forgotten, by the gateway
//! that runs or at its next start.

use std::path::Path;

use orca_messages::{Finding, Localize, Text, render, text};
use orca_pki::certificate::Certificate;
use orca_pki::verification::Authorities;

use crate::config::{self, Mode};
use crate::credentials;
use crate::crl_store::{CrlStore, StateError};

type Troubles = Vec<Box<dyn Localize>>;

/// Asks for the authorities of `CA_CRT`, or those whose name has the word; names what is forgotten.
///
/// # Errors
/// The configuration cannot be used, there is no such authority, or the folder cannot be written.
pub(crate) fn ask(conf: &Path, word: Option<&str>) -> Result<Vec<Finding>, Troubles> {
    let reading = config::read(conf).map_err(one)?;
    let config = reading.config.map_err(|errors| {
        let boxed = errors.into_iter().map(|error| Box::new(error) as _);
        boxed.collect::<Troubles>()
    })?;
    let Mode::Https(files) = &config.mode else {
        return Err(one(NoSuchCa {
            word: None,
            known: Vec::new(),
        }));
    };
    let authorities = credentials::authorities(&files.ca_crt).map_err(one)?;
    forget(&config.state, &authorities, word).map_err(|error| vec![error])
}

fn forget(
    state: &Path,
    authorities: &Authorities,
    word: Option<&str>,
) -> Result<Vec<Finding>, Box<dyn Localize>> {
    let wanted: Vec<_> = authorities
        .iter()
        .filter(|authority| word.is_none_or(|word| bears(authority, word)))
        .collect();
    if wanted.is_empty() {
        return Err(Box::new(NoSuchCa {
            word: word.map(str::to_owned),
            known: authorities.iter().map(|known| name(known)).collect(),
        }));
    }
    let mut store = CrlStore::over(state);
    let mut findings = store.recall(authorities);
    for authority in wanted {
        let key = authority.key_id();
        let asked = store.ask_reset(key);
        asked.map_err(|error| Box::new(StateError::new(state, error)) as Box<dyn Localize>)?;
        let subject = name(authority);
        let forgotten = match store.number(key) {
            Some(number) => text!("番号{number}", "number {number}"),
            None => text!("番号の記録なし", "no number is remembered"),
        };
        let Text { ja, en } = forgotten;
        findings.push(Finding::ok(
            "crl-reset-asked",
            text!(
                "認証局({subject})のCRLの記録を消去します({ja})。",
                "what is known of the CRL of {subject} will be forgotten: {en}",
            ),
        ));
    }
    findings.push(Finding::warning(
        "crl-reset-follows",
        text!(
            "起動中のorca-gatewayには1秒以内に、停止中であれば次の起動時に反映されます。次に届くCRLは、番号が古くても使用されます。",
            "a running orca-gateway does so within a second, else the next start does; the next CRL is taken whatever its number",
        ),
        text!(
            "使用するCRLを CA_CRL の場所に置き、ログの crl-reset と crl-taken を確認してください。先に置いた場合はそのまま読み込まれます。",
            "put the CRL that is to count where CA_CRL says (before or after this) and look for crl-reset and crl-taken in the log",
        ),
    ));
    Ok(findings)
}

fn bears(authority: &Certificate, word: &str) -> bool {
    let name = authority.subject().one_line().to_lowercase();
    name.contains(&word.to_lowercase())
}

fn name(authority: &Certificate) -> String {
    render::one_line(&authority.subject().one_line())
}

fn one(error: impl Localize + 'static) -> Troubles {
    vec![Box::new(error)]
}

/// No authority bears the word, or there is none at all.
#[derive(Debug)]
struct NoSuchCa {
    word: Option<String>,
    known: Vec<String>,
}

impl Localize for NoSuchCa {
    fn id(&self) -> &'static str {
        "no-such-ca"
    }

    fn message(&self) -> Text {
        match &self.word {
            Some(word) => text!(
                "名前に「{word}」を含む認証局は CA_CRT にありません。",
                "no CA in CA_CRT has {word} in its name",
            ),
            None => text!(
                "CA_CRT が設定されていないため、CRLの記録はありません。",
                "without CA_CRT no CRL is known",
            ),
        }
    }

    fn remedy(&self) -> Text {
        let known = self.known.join(", ");
        match &self.word {
            Some(_) => text!(
                "次のいずれかに含まれる語を指定してください: {known}",
                "give a word out of one of these: {known}",
            ),
            None => text!(
                "--conf に、CA_CRT のある設定ファイルを指定してください。",
                "name the configuration file that has CA_CRT with --conf",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crl_store::Carrier;
    use crate::in_process::forge::Ca;

    #[test]
    fn what_is_forgotten_is_named_and_only_for_those_who_bear_the_word() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Ca::new("orca CA 1A2B3C4D"), Ca::new("second CA"));
        let certificates = [&one, &other].map(|ca| Certificate::from_der(&ca.der).unwrap());
        let authorities = Authorities::new(certificates);
        let now = "2026-11-24T00:00:00Z".parse().unwrap();
        let mut store = CrlStore::open(folder.path()).unwrap();
        let file = one.crl(5, &[3]) + &other.crl(9, &[]);
        store.offer(file.as_bytes(), Carrier::File, &authorities, now);
        store.save().unwrap();

        let told = forget(folder.path(), &authorities, Some("1a2b"))
            .ok()
            .unwrap();
        let ids: Vec<_> = told.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, ["crl-reset-asked", "crl-reset-follows"]);
        let line = &told[0].message.en;
        assert!(
            line.contains("/CN=orca CA 1A2B3C4D") && line.ends_with("number 5"),
            "{line}"
        );
        let resets = store.reset_as_asked(&authorities);
        assert_eq!(resets.len(), 1);
        assert!(resets[0].done.is_ok());
        assert!(store.reset_as_asked(&authorities).is_empty(), "once");
        let lower = one.crl(4, &[3]) + &other.crl(8, &[]);
        let offered = store.offer(lower.as_bytes(), Carrier::File, &authorities, now);
        use crate::crl_store::Offered::{Older, Taken};
        assert!(
            matches!(offered[..], [Taken(_), Older { .. }]),
            "{offered:?}"
        );

        let error = forget(folder.path(), &authorities, Some("third"))
            .err()
            .unwrap();
        assert_eq!(error.id(), "no-such-ca");
        assert!(error.remedy().en.contains("second CA"));
    }
}
