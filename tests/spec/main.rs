//! The server beside the specification: which endpoints are served, and whether they answer as its schemas have it.
//!
//! `data/` is what `cargo xtask spec` took over from the specification.

mod endpoints;
mod fields;
mod hostile;
mod odd;
mod own;
mod schemas;
mod served;
mod story;
mod twins;
mod witness;
