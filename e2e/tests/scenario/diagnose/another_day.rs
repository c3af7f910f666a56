//! `--at`: what will have broken by a day to come, and what had on a day that is over.

use anyhow::Context;
use orca_e2e::kit::Kit;
use orca_e2e::program::Program;
use orca_e2e::site::Site;
use orca_e2e::stand_in::Vacancy;
use serde_json::Value;

use super::{findings, is_told};

/// A day, so far from today (`+2 days`): for the option, and as Japanese and English write it.
struct Day {
    option: String,
    ja: String,
    en: String,
}

impl Day {
    fn new(shift: &str) -> anyhow::Result<Self> {
        let written = |form: &str| -> anyhow::Result<String> {
            let words = ["-d", shift, form];
            let told = Program::new("date").args(words).run()?.success()?;
            Ok(told.trim().to_owned())
        };
        Ok(Self {
            option: written("+%F")?,
            ja: written("+%Y年%-m月%-d日")?,
            en: written("+%F")?,
        })
    }
}

fn options(kit: &Kit) -> Vec<String> {
    let (crt, pem) = (kit.crt(), kit.pem());
    let words = [
        "--cert",
        &crt.to_string_lossy(),
        "--key",
        &pem.to_string_lossy(),
    ];
    words.map(str::to_owned).to_vec()
}

fn at(site: &Site, lang: &str, words: &[String], day: &str) -> anyhow::Result<Vec<Value>> {
    let program = site.ca.program(["--lang", lang, "diagnose", "--at", day])?;
    findings(program.args(words))
}

fn ids<'a>(rows: &'a [Value], verdict: &str) -> Vec<&'a str> {
    let rows = rows.iter().filter(|row| row["verdict"] == verdict);
    rows.filter_map(|row| row["id"].as_str()).collect()
}

#[test]
fn what_will_have_broken_is_told_with_its_day_and_in_order() -> anyhow::Result<()> {
    let site = Site::new()?;
    let kit = site.ca.issue("issue_client_cert -c user1 --days 40")?;
    let gateway = site.gateway()?;
    let url = format!("https://{}", gateway.address);
    let words = [vec![url], options(&kit)].concat();
    let (soon, end) = (Day::new("+2 days")?, Day::new("+40 days")?);
    for (lang, day, first) in [
        (
            "ja",
            &end.ja,
            "クライアント証明書(番号000003、user1)の有効期限は",
        ),
        (
            "en",
            &end.en,
            "the client certificate (number 000003, user1) expires on ",
        ),
    ] {
        let far = at(&site, lang, &words, "2120-01-01")?;
        assert_eq!(
            ids(&far, "failure"),
            [
                "client-certificate-will-expire",
                "server-certificate-will-expire",
                "ca-will-end",
            ]
        );
        // Whoever renews it in time has no trouble.
        assert_eq!(ids(&far, "warning"), ["crl-will-end"]);
        let told = format!("{first}{day}");
        is_told(&far, "client-certificate-will-expire", &[&told, "--again"])?;
        is_told(
            &far,
            "server-certificate-will-expire",
            &["-c weborca-server"],
        )?;
        // What holds today comes first, and is in order.
        let reached = far
            .iter()
            .position(|row| row["id"] == "client-certificate-good");
        let ends = far
            .iter()
            .position(|row| row["id"] == "client-certificate-will-expire");
        assert!(reached < ends, "{far:#?}");

        let near = at(&site, lang, &words, &soon.option)?;
        assert_eq!(ids(&near, "failure"), [""; 0]);
        let day = if lang == "ja" { &soon.ja } else { &soon.en };
        is_told(&near, "nothing-ends", &[day])?;
        // The whole day counts: the certificate ends some time in it.
        let last = at(&site, lang, &words, &end.option)?;
        is_told(&last, "client-certificate-will-expire", &[&told])?;
    }
    let own = site.ca.program(["diagnose", "--at", "2120-01-01"])?;
    is_told(
        &findings(own)?,
        "client-certificate-will-expire",
        &["user1"],
    )
}

#[test]
fn what_begins_by_a_day_is_not_broken_on_it() -> anyhow::Result<()> {
    let site = Site::new()?;
    // A clock that was ten days ahead made it.
    let early = site.ca.issue_at("+10d", "issue_client_cert -c early")?;
    let words = options(&early);
    let (before, begin, after) = (
        Day::new("+3 days")?,
        // Validity begins a day before it is issued.
        Day::new("+9 days")?,
        Day::new("+20 days")?,
    );
    for (lang, begin, not_yet, then) in [
        ("ja", &begin.ja, "まだ使用できません", &after.ja),
        ("en", &begin.en, "it cannot be used yet", &after.en),
    ] {
        let rows = at(&site, lang, &words, &before.option)?;
        assert_eq!(
            ids(&rows, "failure"),
            ["not-yet-valid", "not-valid-by-then"]
        );
        is_told(&rows, "not-valid-by-then", &[begin, not_yet, "timedatectl"])?;
        let rows = at(&site, lang, &words, &after.option)?;
        assert_eq!(ids(&rows, "failure"), ["not-yet-valid"]);
        is_told(&rows, "valid-by-then", &[begin, then])?;
    }
    Ok(())
}

#[test]
fn a_day_that_is_over_is_judged_as_it_was() -> anyhow::Result<()> {
    let site = Site::new()?;
    let old = site
        .ca
        .issue_at("-20d", "issue_client_cert -c old --days 10")?;
    let gone = site.ca.issue_at("-20d", "issue_client_cert -c gone")?;
    site.ca.done("revoke_cert -c gone")?;
    let gateway = site.gateway()?;
    let url = format!("https://{}", gateway.address);
    let (past, end, today) = (
        Day::new("-5 days")?,
        Day::new("-10 days")?,
        Day::new("now")?,
    );
    let (good, long) = (Day::new("-15 days")?, Day::new("-30 days")?);
    for (lang, past_named, end_named, today_named) in [
        ("ja", &past.ja, &end.ja, &today.ja),
        ("en", &past.en, &end.en, &today.en),
    ] {
        let words = options(&old);
        let rows = at(&site, lang, &words, &past.option)?;
        is_told(&rows, "had-expired", &[past_named, end_named, "old"])?;
        let rows = at(&site, lang, &words, &good.option)?;
        is_told(&rows, "was-valid", &["old"])?;
        assert_eq!(ids(&rows, "failure"), ["expired"], "{rows:#?}");
        let rows = at(&site, lang, &words, &long.option)?;
        is_told(&rows, "was-not-yet-valid", &["old", "--p12"])?;
        is_told(&rows, "past-seen-in-part", &[])?;

        let words = options(&gone);
        let rows = at(&site, lang, &words, &past.option)?;
        is_told(&rows, "was-not-yet-revoked", &[today_named, past_named])?;
        // The server's certificate is younger: which one it had on that day, nobody here knows.
        let words = [vec![url.clone()], words].concat();
        let rows = at(&site, lang, &words, &past.option)?;
        let row = rows.iter().find(|row| {
            let about = row["message"].as_str().unwrap_or_default();
            row["id"] == "was-not-yet-valid" && about.contains("weborca-server")
        });
        let row = row.with_context(|| format!("{rows:#?}"))?;
        assert_eq!(row["verdict"], "warning");
    }
    let rows = at(&site, "en", &options(&gone), &today.option)?;
    assert_eq!(ids(&rows, "failure"), ["revoked"]);
    is_told(&rows, "nothing-ends", &[])?;

    // Of a CA alone nothing can be told of such a day.
    let refused = site
        .ca
        .run("--lang en diagnose --at 2001-01-01")?
        .failure(2)?;
    assert!(
        refused.contains("[invalid-date]") && refused.contains("--cert"),
        "{refused}"
    );
    for line in [
        "diagnose ftp://127.0.0.1:1",
        "diagnose --p12 x",
        "diagnose --cert x",
        "diagnose --at someday",
    ] {
        site.ca.run(line)?.failure(2)?;
    }
    Ok(())
}

#[test]
fn the_server_tells_of_another_day_too() -> anyhow::Result<()> {
    let site = Site::new()?;
    let port = Vacancy::new()?.address;
    let ends = [
        "ca-will-end",
        "server-certificate-will-expire",
        "crl-will-end",
    ];
    let conf = site.conf()?.set("GATEWAY_LISTEN", port);
    let told = |words: &[&str]| findings(conf.program(&[&["diagnose"], words].concat())?);
    // Its files tell, and the running gateway.
    for id in ends {
        is_told(&told(&["--at", "2120-01-01"])?, id, &[])?;
    }
    let gateway = conf.start()?;
    let over = Day::new("-5 days")?;
    for (lang, day) in [("ja", &over.ja), ("en", &over.en)] {
        let rows = told(&["--lang", lang, "--at", "2120-01-01"])?;
        for id in ends {
            is_told(&rows, id, &[])?;
        }
        let warnings = ids(&rows, "warning");
        assert!(warnings.contains(&"crl-will-end"), "{rows:#?}");
        let rows = told(&["--lang", lang, "--at", &over.option])?;
        is_told(&rows, "was-not-yet-valid", &[day, "weborca-server"])?;
        is_told(&rows, "past-seen-in-part", &[day])?;
        assert_eq!(ids(&rows, "failure"), [""; 0]);
    }
    drop(gateway);

    // Where a list that runs out shuts everybody out, it is no mere warning.
    let strict = site
        .conf()?
        .set("GATEWAY_LISTEN", port)
        .set("GATEWAY_CRL_UNUSABLE", "refuse");
    let rows = findings(strict.program(&["diagnose", "--at", "2120-01-01"])?)?;
    assert!(ids(&rows, "failure").contains(&"crl-will-end"), "{rows:#?}");
    Ok(())
}
