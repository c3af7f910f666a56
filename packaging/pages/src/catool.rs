//! The command line of `orca-catool`: the program's own file, so that pages and program cannot differ.

#[path = "../../../crates/orca-catool/src/args/definition.rs"]
mod definition;

/// The definition in one language.
pub(crate) fn command(lang: orca_messages::Lang) -> clap::Command {
    definition::definition(lang)
}
