//! Where a CA lives: its folder, its home, whom its files belong to.

use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

use crate::actor::Actor;
use crate::error::Error;

/// Name of the register's file where the configuration names none.
pub const REGISTER: &str = "register.sqlite3";
/// The CA's private key, PKCS#8 PEM, mode 0600.
pub const CA_KEY: &str = "ca.key";
/// The key under which kept private keys are sealed, mode 0600.
pub const SEALING_KEY: &str = "sealing.key";
/// The lock that publishing a CRL takes.
pub const PUBLISH_LOCK: &str = "publish.lock";
/// The configuration's file name.
pub const CONFIG: &str = "config.yml";

/// Whom written files belong to when root works for somebody else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    /// User id.
    pub uid: Uid,
    /// Group id.
    pub gid: Gid,
}

impl Owner {
    /// `USER` or `USER:GROUP`; without a group, the user's own.
    ///
    /// # Errors
    /// This machine knows no such user or group.
    pub fn named(text: &str) -> Result<Self, Error> {
        let unknown = |name: &str| Error::NoSuchUser {
            name: name.to_owned(),
        };
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let found = User::from_name(user).ok().flatten();
        let found = found.ok_or_else(|| unknown(user))?;
        let gid = match group {
            None => found.gid,
            Some(group) => {
                let known = Group::from_name(group).ok().flatten();
                known.ok_or_else(|| unknown(group))?.gid
            }
        };
        Ok(Self {
            uid: found.uid,
            gid,
        })
    }

    /// Who runs this process.
    pub fn of_process() -> Self {
        Self {
            uid: geteuid(),
            gid: getegid(),
        }
    }
}

/// Where a CA lives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The configuration file; register and keys lie beside it.
    pub config: PathBuf,
    /// The user's home; zips go to `certs` in it. A user without one has the CA's folder instead.
    pub home: PathBuf,
    /// Set under sudo: `SUDO_USER`.
    pub owner: Option<Owner>,
    /// Who works here, for the audit trail.
    pub actor: Actor,
}

/// What stands at a [`Place`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// A CA of ours.
    Authority,
    /// Nothing.
    Vacant,
}

impl Place {
    /// Finds the place from `--config` and the environment (`ORCA_CATOOL_CONFIG`, `HOME`,
    /// `SUDO_USER`).
    ///
    /// # Errors
    /// No home folder; or root under sudo finds a CA neither of its own nor of the user: a second
    /// one must not come into being by accident.
    pub fn find(
        config: Option<PathBuf>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let present = |name: &str| env(name).filter(|value| !value.is_empty());
        let sudo_user = match present("SUDO_USER") {
            Some(name) if geteuid().is_root() && name != "root" => Some(sudo_user(name)?),
            _ => None,
        };
        let actor = Actor::find(&env);
        let own_home = present("HOME").map(PathBuf::from);
        let explicit = config.or_else(|| present("ORCA_CATOOL_CONFIG").map(PathBuf::from));
        let (home, owner) = match sudo_user {
            Some(user) => (
                user.dir,
                Some(Owner {
                    uid: user.uid,
                    gid: user.gid,
                }),
            ),
            None => (own_home.clone().ok_or(Error::NoHome)?, None),
        };
        if let Some(config) = explicit {
            let config = std::path::absolute(&config).map_err(|source| Error::Io {
                path: config.clone(),
                source,
            })?;
            return Ok(Self::named(config, home, owner, actor));
        }
        let place = Self {
            config: default_config(&home),
            home,
            owner,
            actor,
        };
        if owner.is_none() || place.config.exists() {
            return Ok(place);
        }
        // Root's own CA, made before anybody used sudo.
        match own_home.filter(|home| default_config(home).exists()) {
            Some(home) => Ok(Self {
                config: default_config(&home),
                home,
                owner: None,
                actor: place.actor,
            }),
            None => Err(Error::NoCaForRoot {
                user_config: place.config,
            }),
        }
    }

    /// A place that was named: no home is made for who has none, such as the user of a service.
    fn named(config: PathBuf, home: PathBuf, owner: Option<Owner>, actor: Actor) -> Self {
        let mut place = Self {
            config,
            home,
            owner,
            actor,
        };
        if !place.home.is_dir() {
            place.home = place.folder().to_owned();
        }
        place
    }

    /// The folder of the configuration.
    pub fn folder(&self) -> &Path {
        self.config.parent().unwrap_or_else(|| Path::new("/"))
    }

    /// A file beside the configuration.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// What stands here.
    ///
    /// # Errors
    /// The folder belongs to another program, or its configuration has vanished.
    pub fn standing(&self) -> Result<Standing, Error> {
        let exists = |path: &Path| match path.symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::Io {
                path: path.to_owned(),
                source,
            }),
        };
        let has_key = exists(&self.beside(CA_KEY))?;
        let is_ours =
            has_key || exists(&self.beside(REGISTER))? || exists(&self.beside(SEALING_KEY))?;
        match (exists(&self.config)?, is_ours) {
            // A file that is missing is named by whoever needs it.
            (true, true) => Ok(Standing::Authority),
            (true, false) => Err(Error::ForeignDirectory {
                folder: self.folder().to_owned(),
            }),
            (false, true) => Err(Error::ConfigLost {
                config: self.config.clone(),
            }),
            (false, false) if self.is_default() && !is_empty(self.folder()) => {
                Err(Error::ForeignDirectory {
                    folder: self.folder().to_owned(),
                })
            }
            (false, false) => Ok(Standing::Vacant),
        }
    }

    /// Whether this is `.orca_catool` in a home, the folder that belongs to this tool alone.
    pub fn is_default(&self) -> bool {
        self.folder()
            .file_name()
            .is_some_and(|name| name == ".orca_catool")
    }
}

/// Who called sudo. Root's own home would be a guess, and a second CA its result.
fn sudo_user(name: String) -> Result<User, Error> {
    let found = User::from_name(&name).ok().flatten();
    found.ok_or(Error::UnknownSudoUser { name })
}

fn default_config(home: &Path) -> PathBuf {
    home.join(".orca_catool").join(CONFIG)
}

/// Nothing in it but what an unfinished `init` left.
fn is_empty(folder: &Path) -> bool {
    let is_staging = |name: &std::ffi::OsStr| {
        name.to_str()
            .is_some_and(|name| name.starts_with(crate::delivery::STAGING))
    };
    std::fs::read_dir(folder).map_or(true, |entries| {
        entries
            .flatten()
            .all(|entry| is_staging(&entry.file_name()))
    })
}
