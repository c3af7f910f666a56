//! Runs the programs as people do: a temporary site, an imitation of the WebORCA application, and
//! the clients a clinic has. The programs under test are only ever started, never linked.

pub mod browser;
pub mod catalogue;
pub mod catool;
pub mod curl;
pub mod fault_lab;
pub mod firefox;
pub mod forge;
pub mod gateway;
pub mod http1;
pub mod imitation;
pub mod kit;
pub mod lists;
pub mod nss;
pub mod process;
pub mod program;
pub mod screen;
pub mod site;
pub mod stand_in;
pub mod tls;
pub mod triage;
pub mod wait;
