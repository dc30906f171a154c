//! Tests of the whole live in the folders beside this file, one `[[test]]` each.

pub mod program;
