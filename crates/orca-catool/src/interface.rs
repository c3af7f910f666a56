//! Lines that the original tool prints: interface, byte for byte, not translated.

use std::path::Path;

/// The question of the first start. No line feed at the end: the answer follows.
pub(crate) fn first_start(config: &Path) -> String {
    format!(
        "config file({}) does not exist.\n\ninitialize ca?\n{}",
        config.display(),
        ASK_AGAIN
    )
}

/// The question once more, after an answer that is neither.
pub(crate) const ASK_AGAIN: &str = "y or n> ";

/// What a call without subcommand prints: the six of the original, then ours.
pub(crate) const SUBCOMMANDS: &str = "  specify subcommand

  issue_server_cert
  issue_client_cert
  export_cert
  revoke_cert
  issue_crl
  list_cert

  newer subcommands

  init
  publish_crl
  server_kit
  api_kit
  diagnose
  audit
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_that_of_the_guide() {
        assert_eq!(
            first_start(Path::new("/home/hana/.orca_catool/config.yml")),
            "config file(/home/hana/.orca_catool/config.yml) does not exist.\n\
             \n\
             initialize ca?\n\
             y or n> "
        );
    }
}
