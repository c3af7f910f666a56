//! Scripts beside these files, run by the Python that `./test` sets up.

use std::path::Path;

use anyhow::Context;
use anyhow::ensure;
use orca_e2e::program::Outcome;
use orca_e2e::program::Program;
use serde_json::Value;

/// A program of the virtual environment in the root of the repository.
pub(crate) fn installed(name: &str) -> anyhow::Result<Program> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join(".venv/bin").join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run ./test once",
        path.display()
    );
    Ok(Program::new(path))
}

/// Runs a script of this folder with `input` on its standard input.
pub(crate) fn script(name: &str, input: &Value) -> anyhow::Result<Outcome> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    installed("python")?
        .arg("-B")
        .arg(path.join(name))
        .stdin(serde_json::to_vec(input)?)
        .run()
        .with_context(|| name.to_owned())
}
