//! Writes what the packages ship beside the programs: `orca-pages FOLDER` makes `man/`, `man/ja/` and
//! `completions/` there, out of the definitions of the two command lines.

mod catool;
mod gateway;
mod manual;
mod sections;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Command;
use clap_complete::{Shell, generate};
use orca_messages::Lang;

/// A program whose pages are written.
#[derive(Clone, Copy)]
enum Program {
    Catool,
    Gateway,
}

impl Program {
    const ALL: [Self; 2] = [Self::Catool, Self::Gateway];

    fn command(self, lang: Lang) -> Command {
        match self {
            Self::Catool => catool::command(lang),
            Self::Gateway => gateway::command(lang),
        }
    }

    /// Of the manual: everybody's commands, or root's.
    fn section(self) -> &'static str {
        match self {
            Self::Catool => "1",
            Self::Gateway => "8",
        }
    }
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        let _ = writeln!(std::io::stderr(), "usage: orca-pages FOLDER");
        return ExitCode::from(2);
    };
    match Program::ALL
        .into_iter()
        .try_for_each(|program| write(program, &folder))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(program: Program, folder: &Path) -> anyhow::Result<()> {
    let section = program.section();
    for (lang, tree) in [(Lang::En, "man"), (Lang::Ja, "man/ja")] {
        let pages = manual::pages(program.command(lang), section, sections::of(program), lang)?;
        let folder = folder.join(tree).join(format!("man{section}"));
        for (name, page) in pages {
            put(&folder, &format!("{name}.{section}"), &page)?;
        }
    }
    // Who types Tab on a console without kanji still sees the words themselves.
    let mut command = program.command(Lang::Ja);
    let name = command.get_name().to_owned();
    for (shell, file) in [
        (Shell::Bash, name.clone()),
        (Shell::Zsh, format!("_{name}")),
        (Shell::Fish, format!("{name}.fish")),
    ] {
        let mut script = Vec::new();
        generate(shell, &mut command, &name, &mut script);
        let folder = folder.join("completions").join(shell.to_string());
        put(&folder, &file, &script)?;
    }
    Ok(())
}

fn put(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| File::create(&path)?.write_all(content))
        .with_context(|| format!("cannot write {}", path.display()))
}
