//! SSL client authentication in front of WebORCA, with revocation that takes effect.

mod clock;
mod identity;

fn main() {}
