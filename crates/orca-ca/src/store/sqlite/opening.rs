//! Opening a register: its connection, its schema, and what stands beside its file.

use std::io;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{MIGRATIONS, NOT_BEFORE, PATIENCE, SCHEMA, SqliteStore, database_error, listing};
use crate::error::Error;

impl SqliteStore {
    /// Brings the schema up to [`SCHEMA`], one step a transaction.
    pub(super) fn migrate(&mut self) -> Result<(), Error> {
        while self.run(version)? < SCHEMA {
            self.transaction(|work| {
                work.run(|transaction| {
                    // Another process may have been quicker.
                    let from = version(transaction)?;
                    let step = usize::try_from(from)
                        .ok()
                        .and_then(|from| MIGRATIONS.get(from));
                    let Some(step) = step else { return Ok(()) };
                    transaction.execute_batch(step)?;
                    if from + 1 == NOT_BEFORE {
                        listing::fill_not_before(transaction)?;
                    }
                    transaction.pragma_update(None, "user_version", from + 1)
                })
            })?;
        }
        Ok(())
    }

    pub(super) fn connect(path: &Path) -> Result<Self, Error> {
        // Asking the file system first gives a better answer than the database would.
        std::fs::File::open(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        align_companions(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| database_error(path, &error))?;
        let store = Self::over(path, connection);
        store.run(|connection| {
            connection.busy_timeout(PATIENCE)?;
            // A reported issue or revocation survives a power cut; a destroyed key is overwritten.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "secure_delete", "ON")?;
            connection.pragma_update(None, "foreign_keys", "ON")
        })?;
        Ok(store)
    }

    /// A register where nobody can write: on read-only media, or in another user's folder. The
    /// database would make files beside it even to read. None where the file alone does not tell
    /// everything.
    pub(super) fn connect_to_fixed(path: &Path) -> Result<Option<Self>, Error> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let is_whole = std::fs::metadata(&log).map_or(true, |log| log.len() == 0);
        let (true, Some(name)) = (is_whole, path.to_str()) else {
            return Ok(None);
        };
        let escaped: String = name
            .chars()
            .map(|c| match c {
                '%' | '?' | '#' => format!("%{:02x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let address = format!("file:{escaped}?immutable=1");
        let connection = Connection::open_with_flags(address, flags)
            .map_err(|error| database_error(path, &error))?;
        Ok(Some(Self::over(path, connection)))
    }
}

/// SQLite gives the files beside a database its mode when it makes them, and leaves them there when
/// the database could only be read. Once that is mended they must not stand in the way.
fn align_companions(path: &Path) {
    let Ok(register) = path.metadata() else {
        return;
    };
    for suffix in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let companion = Path::new(&name);
        if companion
            .metadata()
            .is_ok_and(|found| found.permissions() != register.permissions())
        {
            // Somebody else's: whoever owns it will mend it, and SQLite tells us.
            std::fs::set_permissions(companion, register.permissions()).ok();
        }
    }
}

pub(super) fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

pub(super) fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
}
