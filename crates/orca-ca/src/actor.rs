//! Who works on the CA, as the audit trail names them.

use nix::unistd::{User, geteuid, gethostname};

/// A person at a machine.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Actor {
    /// `SUDO_USER` under sudo, else the name of the process's user.
    pub name: String,
    /// Name of the machine.
    pub host: String,
}

impl Actor {
    /// Whoever runs this process. `SUDO_USER` counts for root alone: everybody else could set it.
    pub fn find(env: impl Fn(&str) -> Option<String>) -> Self {
        let user = geteuid();
        let sudo_user = env("SUDO_USER").filter(|name| user.is_root() && !name.is_empty());
        let name = sudo_user.unwrap_or_else(|| match User::from_uid(user) {
            Ok(Some(user)) => user.name,
            _ => user.to_string(),
        });
        let host = gethostname().map(|host| host.to_string_lossy().into_owned());
        Self {
            name,
            host: host.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_works_for_somebody_else() {
        let own = Actor::find(|_| None);
        assert!(!own.name.is_empty());
        let other = Actor::find(|name| (name == "SUDO_USER").then(|| "hana".to_owned()));
        let expected = if geteuid().is_root() {
            "hana"
        } else {
            &own.name
        };
        assert_eq!(other.name, expected);
        assert_eq!(other.host, own.host);
    }
}
