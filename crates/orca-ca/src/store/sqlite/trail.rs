//! Rows of the audit trail: appended inside the transaction of what they tell.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::record::{AuditEvent, Site};
use crate::scribe::Scribe;
use crate::trail::{ChainHash, SignedHead, Trail, TrailRow};

/// The end of a trail that this transaction has added to.
#[derive(Debug)]
pub(super) struct Pen<'a> {
    scribe: &'a Scribe,
    end: RefCell<Option<End>>,
    signed_at: Cell<Timestamp>,
}

/// What the next row follows.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) site: Site,
    pub(super) sequence: i64,
    pub(super) hash: ChainHash,
}

/// What is to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note<'a> {
    pub(super) event: AuditEvent,
    pub(super) serial: Option<i64>,
    pub(super) detail: Option<&'a str>,
}

impl<'a> Pen<'a> {
    pub(super) fn new(scribe: &'a Scribe) -> Self {
        Self {
            scribe,
            end: RefCell::default(),
            signed_at: Cell::default(),
        }
    }

    /// Adds a row.
    pub(super) fn append(
        &self,
        connection: &Connection,
        site: &Site,
        at: Timestamp,
        note: Note<'_>,
    ) -> Result<(), rusqlite::Error> {
        let known = self.end.borrow().clone().filter(|end| end.site == *site);
        let end = match known {
            Some(end) => end,
            None => self.begin(connection, site, at)?,
        };
        let end = self.insert(connection, end, at, note)?;
        *self.end.borrow_mut() = Some(end);
        self.signed_at.set(at);
        Ok(())
    }

    /// Signs the last row, if any was added; its number and hash.
    pub(super) fn finish(self, connection: &Connection) -> Result<Option<End>, rusqlite::Error> {
        let Some(end) = self.end.into_inner() else {
            return Ok(None);
        };
        let at = self.signed_at.get();
        if let Some(head) = self.scribe.sign(&end.site, end.sequence, &end.hash, at) {
            connection.execute(
                "INSERT INTO audit_head (site, sequence, at, hash, signature)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (site) DO UPDATE
                 SET sequence = ?2, at = ?3, hash = ?4, signature = ?5",
                params![
                    end.site.name(),
                    head.sequence,
                    head.at,
                    head.hash,
                    head.signature
                ],
            )?;
        }
        Ok(Some(end))
    }

    /// Finds the end. Rows that the CA has not signed would look as if it had once the next head is
    /// signed: that they were there is told first.
    fn begin(
        &self,
        connection: &Connection,
        site: &Site,
        at: Timestamp,
    ) -> Result<End, rusqlite::Error> {
        let (end, is_chained) = end(connection, site)?;
        let head = head(connection, site)?;
        let is_signed = match &head {
            None => !is_chained,
            Some(head) => {
                head.stands_for(end.sequence, end.hash.octets()) && self.scribe.accepts(head, site)
            }
        };
        if is_signed || !self.scribe.can_sign() {
            return Ok(end);
        }
        let signed = head.map_or(0, |head| head.sequence);
        let detail = format!("signed up to {signed}, found {}", end.sequence);
        let note = Note {
            event: AuditEvent::Unsigned,
            serial: None,
            detail: Some(&detail),
        };
        self.insert(connection, end, at, note)
    }

    fn insert(
        &self,
        connection: &Connection,
        end: End,
        at: Timestamp,
        note: Note<'_>,
    ) -> Result<End, rusqlite::Error> {
        let row = TrailRow {
            // Where there is no next number the register refuses the row.
            sequence: end.sequence.saturating_add(1),
            at: at.as_second(),
            event: note.event.name().to_owned(),
            serial: note.serial,
            actor: Some(self.scribe.actor.name.clone()),
            host: Some(self.scribe.actor.host.clone()),
            detail: note.detail.map(str::to_owned),
            hash: None,
        };
        let hash = row.link(&end.site, &end.hash, row.sequence);
        connection.execute(
            "INSERT INTO audit (site, sequence, at, event, serial, actor, host, detail, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                end.site.name(),
                row.sequence,
                row.at,
                row.event,
                row.serial,
                row.actor,
                row.host,
                row.detail,
                hash.octets()
            ],
        )?;
        Ok(End {
            site: end.site,
            sequence: row.sequence,
            hash,
        })
    }
}

const COLUMNS: &str = "sequence, at, event, serial, actor, host, detail, hash";
/// The same of a register that knows no chain yet.
const OLD_COLUMNS: &str = "sequence, at, event, serial, NULL, NULL, NULL, NULL";

/// The last row, and whether it is chained.
fn end(connection: &Connection, site: &Site) -> Result<(End, bool), rusqlite::Error> {
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE site = ?1 ORDER BY sequence DESC LIMIT 1");
    let last = connection
        .query_row(&sql, params![site.name()], row)
        .optional()?;
    let carried = last.as_ref().and_then(TrailRow::carried);
    let hash = match (&last, carried) {
        (None, _) => ChainHash::NONE,
        (Some(_), Some(hash)) => hash,
        (Some(_), None) => fold(connection, site)?,
    };
    let end = End {
        site: site.clone(),
        sequence: last.as_ref().map_or(0, |row| row.sequence),
        hash,
    };
    Ok((end, last.is_some_and(|row| !row.is_older())))
}

/// The hash of the last of rows that have none.
fn fold(connection: &Connection, site: &Site) -> Result<ChainHash, rusqlite::Error> {
    let all = rows(connection, site, COLUMNS)?;
    Ok(all.iter().fold(ChainHash::NONE, |before, row| {
        row.carried()
            .unwrap_or_else(|| row.link(site, &before, row.sequence))
    }))
}

/// The trail of a register whose schema has the chain.
pub(super) fn chained(connection: &Connection, site: &Site) -> Result<Trail, rusqlite::Error> {
    // Rows and head of the same moment.
    let moment = connection.unchecked_transaction()?;
    Ok(Trail {
        rows: rows(&moment, site, COLUMNS)?,
        head: head(&moment, site)?,
    })
}

/// The trail of a register whose schema has no chain.
pub(super) fn unchained(connection: &Connection, site: &Site) -> Result<Trail, rusqlite::Error> {
    Ok(Trail {
        rows: rows(connection, site, OLD_COLUMNS)?,
        head: None,
    })
}

fn rows(
    connection: &Connection,
    site: &Site,
    columns: &str,
) -> Result<Vec<TrailRow>, rusqlite::Error> {
    let sql = format!("SELECT {columns} FROM audit WHERE site = ?1 ORDER BY sequence");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params![site.name()], row)?;
    rows.collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<TrailRow> {
    Ok(TrailRow {
        sequence: row.get(0)?,
        at: row.get(1)?,
        event: row.get(2)?,
        serial: row.get(3)?,
        actor: row.get(4)?,
        host: row.get(5)?,
        detail: row.get(6)?,
        hash: row.get(7)?,
    })
}

fn head(connection: &Connection, site: &Site) -> Result<Option<SignedHead>, rusqlite::Error> {
    connection
        .query_row(
            "SELECT sequence, at, hash, signature FROM audit_head WHERE site = ?1",
            params![site.name()],
            |row| {
                Ok(SignedHead {
                    sequence: row.get(0)?,
                    at: row.get(1)?,
                    hash: row.get(2)?,
                    signature: row.get(3)?,
                })
            },
        )
        .optional()
}

/// Event and detail of the last row of some events whose detail begins with `start`.
pub(super) fn last(
    connection: &Connection,
    site: &Site,
    events: [AuditEvent; 2],
    start: &str,
) -> Result<Option<(String, String)>, rusqlite::Error> {
    connection
        .query_row(
            "SELECT event, detail FROM audit
             WHERE site = ?1 AND event IN (?2, ?3) AND substr(detail, 1, length(?4)) = ?4
             ORDER BY sequence DESC LIMIT 1",
            params![site.name(), events[0].name(), events[1].name(), start],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
}
