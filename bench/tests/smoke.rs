//! The yardstick still measures: one case on our own gateway, as short as can be.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_case_is_measured_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_orca-bench"))
        .args(["measure", "--quick", "--alone", "--only", "servers"])
        .args(["--case", "h1-1k-single", "--output"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let json = std::fs::read_to_string(folder.path().join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&json).unwrap();
    let rounds = &results["comparison"][0]["rounds"]["orca-gateway"];
    for round in rounds.as_array().unwrap() {
        assert!(round["operations"].as_u64().unwrap() > 0, "{round}");
        assert_eq!(round["failures"], serde_json::json!({}));
    }
    let table = std::fs::read_to_string(folder.path().join("results.md")).unwrap();
    assert!(
        table.contains("| HTTP/1.1, 1 KiB, one connection |"),
        "{table}"
    );
}
