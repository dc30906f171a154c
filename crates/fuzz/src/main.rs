//! `fuzz TARGET`: the program that AFL++ drives.

use std::{env, process::exit};

fn main() {
    let name = env::args().nth(1).unwrap_or_default();
    let Some(target) = tertulia_fuzz::target(&name) else {
        let names = tertulia_fuzz::TARGETS.map(|target| target.name).join(", ");
        #[allow(clippy::print_stderr, reason = "this is what a program says to its user")]
        {
            eprintln!("name a target: {names}");
        }
        exit(2);
    };
    afl::fuzz!(|input: &[u8]| (target.run)(input));
}
