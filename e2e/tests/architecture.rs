//! The rules of the house that the compiler does not keep: who may depend on whom, one TLS stack,
//! one crypto provider.

use std::collections::BTreeSet;
use std::path::Path;

use orca_e2e::program::Program;

/// A program or library of ours and what it may see of ours, directly or not.
const WALLS: [(&str, &[&str]); 8] = [
    ("orca-messages", &[]),
    ("orca-conf", &["orca-messages"]),
    ("orca-pki", &["orca-messages"]),
    ("orca-wire", &[]),
    (
        "orca-diagnosis",
        &["orca-messages", "orca-pki", "orca-wire"],
    ),
    ("orca-ca", &["orca-messages", "orca-pki", "orca-wire"]),
    (
        "orca-catool",
        &[
            "orca-ca",
            "orca-conf",
            "orca-diagnosis",
            "orca-messages",
            "orca-pki",
            "orca-wire",
        ],
    ),
    (
        "orca-gateway",
        &[
            "orca-conf",
            "orca-diagnosis",
            "orca-messages",
            "orca-pki",
            "orca-wire",
        ],
    ),
];

/// What must not be in a program: other TLS stacks, other providers, wrappers of either.
const FOREIGN_STACKS: [&str; 8] = [
    "boring",
    "mbedtls",
    "native-tls",
    "openssl",
    "openssl-sys",
    "ring",
    "s2n-tls",
    "schannel",
];

#[test]
fn crates_see_only_what_the_rule_allows() -> anyhow::Result<()> {
    for (name, allowed) in WALLS {
        let parts = parts_of(name)?;
        let foreign: Vec<&String> = parts
            .iter()
            .filter(|part| part.starts_with("orca-") && *part != name)
            .filter(|part| !allowed.contains(&part.as_str()))
            .collect();
        assert!(foreign.is_empty(), "{name} must not see {foreign:?}");
    }
    Ok(())
}

#[test]
fn the_gateway_has_no_database() -> anyhow::Result<()> {
    let parts = parts_of("orca-gateway")?;
    for database in ["rusqlite", "libsqlite3-sys", "postgres", "tokio-postgres"] {
        assert!(!parts.contains(database), "orca-gateway has {database}");
    }
    Ok(())
}

#[test]
fn there_is_one_tls_stack() -> anyhow::Result<()> {
    for program in ["orca-catool", "orca-gateway"] {
        let parts = parts_of(program)?;
        for stack in FOREIGN_STACKS {
            assert!(!parts.contains(stack), "{program} has {stack}");
        }
        assert!(
            parts.contains("aws-lc-rs"),
            "{program} signs with aws-lc-rs"
        );
    }
    Ok(())
}

#[test]
fn values_do_no_io() -> anyhow::Result<()> {
    let parts = parts_of("orca-pki")?;
    for io in ["tokio", "mio", "socket2", "rusqlite", "hyper"] {
        assert!(!parts.contains(io), "orca-pki has {io}");
    }
    Ok(())
}

/// The names of everything a package of ours is made of when it is built here, itself included.
fn parts_of(package: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut program = Program::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal"])
        .args(["--prefix", "none", "--package", package])
        .dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    for variable in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = std::env::var_os(variable) {
            program = program.env(variable, value);
        }
    }
    let tree = program.run()?.success()?;
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

#[test]
fn every_message_is_in_the_catalogue() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let written = std::fs::read_to_string(root.join("docs/messages.md"))?;
    assert!(
        written == orca_e2e::catalogue::markdown(&root)?,
        "docs/messages.md is not current: cargo run -p orca-e2e --bin message-catalogue"
    );
    Ok(())
}

#[test]
fn the_table_for_the_telephone_is_current() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("docs").join(orca_e2e::triage::PATH);
    assert!(
        std::fs::read_to_string(&path)? == orca_e2e::triage::markdown(&root)?,
        "{} is not current: cargo run -p orca-e2e --bin message-catalogue",
        path.display()
    );
    Ok(())
}
