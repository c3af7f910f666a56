//! Stories from a clinic, told with the real programs.

mod first_start;
