//! What is wrong with a server, a certificate, a network.
//!
//! `facts` and `identity` look, each within seconds; `checks` is pure: facts and a moment become
//! findings; `report` writes them down.

pub mod checks;
pub mod facts;
pub mod identity;
pub mod report;
pub mod target;
