//! A register with as many certificates as one likes.
//!
//! Issuing a million takes an hour, so the rows are copies of one that the program made, with
//! numbers and names of their own. The copied certificates inside keep the number of the first.

use anyhow::Context;
use orca_e2e::catool::Catool;
use rusqlite::Connection;

/// Whether the copies are good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Copies {
    Valid,
    Revoked,
}

/// Fills the register up to `count` certificates. The first client must have been issued.
pub(crate) fn fill(ca: &Catool, count: usize, copies: Copies) -> anyhow::Result<()> {
    let path = ca.folder().join("register.sqlite3");
    let mut register = Connection::open(&path).context("the register")?;
    let columns = columns(&register)?;
    let values: Vec<&str> = columns
        .iter()
        .map(|column| match (column.as_str(), copies) {
            ("serial", _) => "number.n",
            ("common_name", _) => "'user' || number.n",
            ("subject", _) => "'/C=JP/O=orca/CN=user' || number.n",
            ("status", Copies::Revoked) => "'revoked'",
            ("revoked_at", Copies::Revoked) => "one.reserved_at",
            ("sealed_key", Copies::Revoked) => "NULL",
            (other, _) => other,
        })
        .collect();
    let sql = format!(
        "WITH RECURSIVE number (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM number \
         WHERE n < {last}) INSERT INTO certificate ({}) SELECT {} FROM number, \
         (SELECT * FROM certificate WHERE serial = 2) AS one",
        columns.join(", "),
        values.join(", "),
        first = 3,
        last = count + 1,
    );
    let change = register.transaction()?;
    change.execute(&sql, []).context(sql)?;
    let next = i64::try_from(count + 2)?;
    change.execute("UPDATE authority SET next_serial = ?1", [next])?;
    change.commit().context("the copies")
}

fn columns(register: &Connection) -> anyhow::Result<Vec<String>> {
    let mut statement = register.prepare("SELECT name FROM pragma_table_info('certificate')")?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect::<Result<_, _>>().context("columns")
}
