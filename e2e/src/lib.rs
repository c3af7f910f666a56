//! Runs the programs as people do: a temporary site, an imitation of the WebORCA application, and
//! the clients a clinic has. The programs under test are only ever started, never linked.

pub mod imitation;
