//! Man pages: one of the program and one of each subcommand, as `git-commit(1)` stands beside `git(1)`.

use clap::Command;
use clap_mangen::Man;
use orca_messages::{Lang, Text, text};

/// What pages of manuals call their parts, and what they are called in Japanese.
const HEADINGS: [(&str, &str); 6] = [
    ("NAME", "名前"),
    ("SYNOPSIS", "書式"),
    ("DESCRIPTION", "説明"),
    ("VERSION", "版"),
    ("Options", "オプション"),
    ("Subcommands", "サブコマンド"),
];

/// A part that no definition of a command line has.
pub(crate) struct Section {
    pub(crate) heading: Text,
    /// Paragraphs.
    pub(crate) text: Vec<Text>,
}

/// Every page with its name.
///
/// # Errors
/// The definition cannot be rendered.
pub(crate) fn pages(
    mut program: Command,
    section: &str,
    more: Vec<Section>,
    lang: Lang,
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    program.build();
    let name = program.get_name().to_owned();
    let see = |names: &[String]| {
        let pages: Vec<_> = names
            .iter()
            .map(|name| format!("{name}({section})"))
            .collect();
        let pages = pages.join(", ");
        Section {
            heading: text!("関連項目", "SEE ALSO"),
            text: vec![text!("{pages}", "{pages}")],
        }
    };
    let subcommands: Vec<Command> = program.get_subcommands().cloned().collect();
    let names: Vec<String> = subcommands
        .iter()
        .map(|sub| page_name(&name, sub))
        .collect();
    let mut all = Vec::new();
    for (subcommand, page) in subcommands.into_iter().zip(&names) {
        let bin = format!("{name} {}", subcommand.get_name());
        let subcommand = subcommand.display_name(page.clone()).bin_name(bin);
        let see = see(std::slice::from_ref(&name));
        all.push((page.clone(), render(subcommand, section, &[see], lang)?));
    }
    let mut more = more;
    more.push(see(&names));
    all.push((name, render(program, section, &more, lang)?));
    Ok(all)
}

fn page_name(program: &str, subcommand: &Command) -> String {
    format!("{program}-{}", subcommand.get_name())
}

fn render(
    command: Command,
    section: &str,
    more: &[Section],
    lang: Lang,
) -> anyhow::Result<Vec<u8>> {
    let man = Man::new(command)
        .section(section)
        .source(format!("orca-mtls {}", env!("CARGO_PKG_VERSION")))
        .manual("orca-mtls");
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut page = String::from_utf8(page)?;
    for Section { heading, text } in more {
        page.push_str(&format!(".SH {}\n", escaped(heading.get(lang))));
        let paragraphs: Vec<_> = text.iter().map(|text| escaped(text.get(lang))).collect();
        page.push_str(&(paragraphs.join("\n.PP\n") + "\n"));
    }
    Ok(match lang {
        Lang::En => page,
        Lang::Ja => in_japanese(&page),
    }
    .into_bytes())
}

/// Text as groff takes it literally (groff(7)).
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = text
        .lines()
        .map(|line| match line.starts_with(['.', '\'']) {
            true => format!("\\&{line}"),
            false => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

fn in_japanese(page: &str) -> String {
    let lines = page.lines().map(|line| {
        let Some(heading) = line.strip_prefix(".SH ") else {
            return line.to_owned();
        };
        let heading = heading.trim_matches('"');
        match HEADINGS
            .iter()
            .find(|(en, _)| en.eq_ignore_ascii_case(heading))
        {
            Some((_, ja)) => format!(".SH {ja}"),
            None => line.to_owned(),
        }
    });
    lines.fold(String::new(), |page, line| page + &line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Program, sections};

    fn page(program: Program, name: &str, lang: Lang) -> String {
        let (command, more) = (program.command(lang), sections::of(program));
        let pages = pages(command, program.section(), more, lang).unwrap();
        let page = pages.into_iter().find(|(page, _)| page == name).unwrap().1;
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn every_subcommand_has_a_page_in_both_languages() {
        for program in Program::ALL {
            for lang in [Lang::En, Lang::Ja] {
                let command = program.command(lang);
                let pages = pages(command.clone(), "1", Vec::new(), lang).unwrap();
                assert_eq!(pages.len(), command.get_subcommands().count() + 1);
            }
        }
    }

    #[test]
    fn the_japanese_page_has_japanese_headings_and_text() {
        let page = page(Program::Catool, "orca-catool-revoke_cert", Lang::Ja);
        for heading in ["名前", "書式", "説明", "オプション", "関連項目"] {
            assert!(
                page.contains(&format!(".SH {heading}\n")),
                "{heading} in {page}"
            );
        }
        assert!(!page.contains(".SH NAME"));
        assert!(page.contains("失効") || page.contains("破棄"), "{page}");
    }

    #[test]
    fn the_page_of_the_program_tells_files_and_exit_codes() {
        let page = page(Program::Gateway, "orca-gateway", Lang::En);
        for word in [
            ".SH FILES",
            ".SH EXIT STATUS",
            "orca\\-gateway.conf",
            ".SH SEE ALSO",
        ] {
            assert!(page.contains(word), "{word} in {page}");
        }
    }

    #[test]
    fn text_does_not_become_requests() {
        assert_eq!(escaped(".so \\x\n'a-b"), "\\&.so \\ex\n\\&'a\\-b");
    }
}
