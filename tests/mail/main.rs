//! Mail over real sockets, to a server that keeps it for the test to read.

mod smtp;
