//! What is typed, and what becomes of it.

use clap::Command as Clap;
use orca_messages::Localize as _;

use super::*;

fn call(line: &str) -> Result<Command, &'static str> {
    let words = std::iter::once("orca-catool").chain(line.split_whitespace());
    let (_, result) = parse(words.map(OsString::from).collect(), Lang::En);
    result
        .map(|invocation| invocation.command)
        .map_err(|error| {
            assert_eq!(error.exit_code(), 2);
            error.id()
        })
}

#[test]
fn definitions_are_consistent_in_both_languages() {
    definition::definition(Lang::Ja).debug_assert();
    definition::definition(Lang::En).debug_assert();
}

#[test]
fn what_the_command_line_shows_wrong_has_an_id() {
    for (line, id) in [
        ("issue_server_cert", "no-host"),
        ("issue_server_cert -i 300.1.1.1", "invalid-address"),
        ("issue_server_cert -c a_b", "invalid-host"),
        ("issue_server_cert -c *.local", "invalid-host"),
        ("issue_server_cert -c x --days 0", "invalid-days"),
        ("issue_server_cert -c x --days 99999999999", "invalid-days"),
        ("issue_client_cert", "usage"),
        ("issue_client_cert -c a/b", "invalid-name"),
        ("issue_client_cert -c user1 --key rsa1024", "invalid-key"),
        ("export_cert", "usage"),
        ("export_cert user1", "invalid-serial"),
        ("export_cert 3 -c user1", "usage"),
        ("revoke_cert 3 --all", "usage"),
        ("revoke_cert 3 --reason lost", "invalid-reason"),
        ("issue_crl --if-older-than 7", "invalid-age"),
        ("list_cert --format xml", "usage"),
        ("audit --since yesterday", "invalid-date"),
        ("audit --anchors x", "usage"),
        ("audit --verify --since 2026-11-24", "usage"),
        ("init --only-networks 10.0.0.0", "invalid-network"),
        ("no_such", "usage"),
        ("--no-such", "usage"),
        ("--lang fr", "usage"),
        ("list_cert a b", "usage"),
        ("issue_crl --days", "usage"),
        ("issue_crl --days -1", "invalid-days"),
        ("list_cert --expiring -1", "invalid-days"),
        ("init --ca-days -1", "invalid-days"),
        ("init --only-networks 192.168.1.5/24", "invalid-network"),
        ("init --only-networks fd00::1/64", "invalid-network"),
    ] {
        assert_eq!(call(line).unwrap_err(), id, "{line}");
    }
}

#[test]
fn hosts_keep_their_order_and_addresses_are_addresses() {
    let Command::IssueServerCert(args) =
        call("issue_server_cert -i 192.168.1.100 -c weborca-server -c 10.0.0.1").unwrap()
    else {
        panic!("another command")
    };
    let expected: Vec<HostName> = ["weborca-server", "10.0.0.1", "192.168.1.100"]
        .map(|host| host.parse().unwrap())
        .to_vec();
    assert_eq!(args.names.hosts, expected);
    assert_eq!(args.names.common_name.as_str(), "weborca-server");
}

#[test]
fn a_wrong_choice_is_answered_with_the_choices() {
    for (words, choices) in [
        ("--lang fr", "ja, en"),
        ("list_cert --format xml", "table, json, csv"),
        (
            "list_cert --status odd",
            "valid, revoked, expired, reserved, all",
        ),
    ] {
        let line = format!("orca-catool {words}");
        let words_of = line.split_whitespace().map(OsString::from).collect();
        let told = parse(words_of, Lang::En).1.unwrap_err().message().en;
        assert!(told.ends_with(choices), "{told}");
    }
}

#[test]
fn what_does_not_fit_is_told_in_words_of_ours() {
    for (words, ja, en) in [
        ("list_cert a b", "「b」は余分", "\"b\" is one word too many"),
        (
            "issue_crl --days",
            "--days <N> の値がありません",
            "--days <N> lacks its value",
        ),
        (
            "list_cert --format",
            "値がありません。table, json, csv のいずれか",
            "lacks its value: expected is one of table, json, csv",
        ),
        ("--config= list_cert", "の値がありません", "lacks its value"),
        (
            "list_cert --no-such",
            "--no-such というオプション",
            "no option --no-such",
        ),
        ("init --yes=1", "--yes に値は", "--yes takes no value"),
        (
            "no_such",
            "no_such というサブコマンド",
            "no subcommand no_such",
        ),
    ] {
        let line = format!("orca-catool {words}");
        let words_of = line.split_whitespace().map(OsString::from).collect();
        let told = parse(words_of, Lang::En).1.unwrap_err().message();
        assert!(told.ja.contains(ja), "{}", told.ja);
        assert!(told.en.contains(en), "{}", told.en);
        assert!(told.ja.ends_with('。'), "{}", told.ja);
    }
}

#[test]
fn help_is_in_one_language_and_the_version_known_everywhere() {
    let commands = definition::definition(Lang::En);
    let names: Vec<_> = commands.get_subcommands().map(Clap::get_name).collect();
    for name in names.into_iter().chain([""]) {
        let Ok(Command::Show(help)) = call(&format!("--lang ja {name} --help")) else {
            panic!("no help of {name}")
        };
        assert!(!help.contains("possible values"), "{help}");
        assert!(help.contains("使い方: "), "{help}");
        let Ok(Command::Show(version)) = call(&format!("{name} --version")) else {
            panic!("no version of {name}")
        };
        assert_eq!(
            version,
            format!("orca-catool {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
    let Ok(Command::Show(help)) = call("list_cert --help") else {
        panic!("no help")
    };
    for word in ["revoked", "client", "csv", "en"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn a_network_with_host_bits_is_answered_with_the_right_spelling() {
    for (typed, right) in [
        ("192.168.1.5/24", "192.168.1.0/24"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("fd00::1/64", "fd00::/64"),
    ] {
        let words = ["orca-catool", "init", "--only-networks", typed].map(OsString::from);
        let told = parse(words.to_vec(), Lang::En).1.unwrap_err().message();
        assert!(told.ja.contains(right), "{}", told.ja);
        assert!(told.en.contains(right), "{}", told.en);
    }
    assert!(call("init --only-networks 192.168.1.5/32 10.0.0.0/8 fd00::/8").is_ok());
}

#[test]
fn the_first_name_stands_as_typed_in_the_common_name_alone() {
    for (line, name, hosts) in [
        (
            "-c WebORCA-Server -c OTHER",
            "WebORCA-Server",
            vec!["weborca-server", "other"],
        ),
        ("-c X -c x", "X", vec!["x"]),
        ("-i FD00::1", "fd00::1", vec!["fd00::1"]),
        ("-c FD00::1 -c Y", "fd00::1", vec!["fd00::1", "y"]),
    ] {
        let Ok(Command::IssueServerCert(args)) = call(&format!("issue_server_cert {line}")) else {
            panic!("{line}")
        };
        let hosts: Vec<HostName> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        assert_eq!(args.names.common_name.as_str(), name);
        assert_eq!(args.names.hosts, hosts);
    }
}

#[test]
fn a_host_that_cannot_be_is_refused_for_its_reason() {
    for (words, id, reason) in [
        ("-c 300.1.1.1", "invalid-host", "it is no IP address"),
        ("-c weborca.", "invalid-host", "the dot at the end"),
        ("-c a_b.", "invalid-host", "only letters, digits"),
        ("-c 0.0.0.0", "invalid-address", "any address"),
        ("-i 0.0.0.0", "invalid-address", "any address"),
        ("-i 0.1.2.3", "invalid-address", "any address"),
        ("-i ::", "invalid-address", "any address"),
        ("-i 255.255.255.255", "invalid-address", "broadcast"),
        ("-i 224.0.0.1", "invalid-address", "multicast"),
        ("-i ff02::1", "invalid-address", "multicast"),
        (
            "-i ::ffff:192.168.1.1",
            "invalid-address",
            "name it 192.168.1.1",
        ),
    ] {
        let line = format!("orca-catool issue_server_cert {words}");
        let words_of = line.split_whitespace().map(OsString::from).collect();
        let error = parse(words_of, Lang::En).1.unwrap_err();
        assert_eq!(error.id(), id, "{words}");
        let told = error.message().en;
        assert!(told.contains(reason), "{words}: {told}");
    }
    assert!(call("issue_server_cert -i 127.0.0.1 -i 169.254.1.1 -i 10.0.0.255").is_ok());
}

#[test]
fn the_language_is_found_wherever_it_stands() {
    for line in ["--lang ja", "list_cert --lang ja", "list_cert --lang=ja"] {
        let words = std::iter::once("orca-catool").chain(line.split_whitespace());
        assert_eq!(
            parse(words.map(OsString::from).collect(), Lang::En).0,
            Lang::Ja,
            "{line}"
        );
    }
}
