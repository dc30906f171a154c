//! Programs that have a homeserver inside. Each is one file, to be read and copied from, with its tests below it;
//! `docs/embedding.md` tells the rest.
//!
//! | example | what it shows |
//! |---|---|
//! | `embedding` | the shortest program: people talk, and any Matrix client may join |
//! | `own_login` | a web application whose own login opens Matrix sessions, with all data on the disk |
//! | `bot` | a user who answers by itself, over a stream of what happens |
//! | `support_chat` | visitors of a web page talk with a team, one room each |
//! | `several_servers` | several servers in one process, behind one port |
//! | `own_parts` | one's own mail, files and time |
