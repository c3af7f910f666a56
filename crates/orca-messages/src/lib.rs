//! Text for people.
//!
//! Every sentence a clinic can read exists in Japanese and English, side by side in the source, so
//! that a missing translation does not compile. This crate knows no other crate of ours; it defines
//! the shapes ([`Text`], [`Localize`], [`Finding`]) and how they are printed ([`render`]).

pub mod finding;
pub mod lang;
pub mod localize;
pub mod render;
pub mod syslog;
pub mod zone;

pub use finding::{Finding, Verdict};
pub use lang::Lang;
pub use localize::{Localize, Text};
