//! The clients clinics have, with the files of the deliveries as they are: who gets in, and what
//! the others see.

mod browsers;
mod curl;
mod gnutls;
mod languages;
mod table;
mod triage;
mod trial;
mod visitors;
