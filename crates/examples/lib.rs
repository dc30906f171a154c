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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// The text of a file of the project.
    fn text(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        fs::read_to_string(root.join(path)).unwrap()
    }

    /// The lines of Rust that stand in a document, each block with the file that is named above it.
    fn blocks(document: &str) -> Vec<(Option<&str>, String)> {
        let (mut blocks, mut before) = (Vec::new(), "");
        let mut lines = document.lines();
        while let Some(line) = lines.next() {
            if line == "```rust" {
                let code = lines.by_ref().take_while(|line| *line != "```");
                let code = code.map(|line| format!("{line}\n")).collect();
                let source =
                    before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                blocks.push((source, code));
            }
            before = line;
        }
        blocks
    }

    /// What is in a document and not, as it is written there, in the file that it names.
    fn strangers(document: &str) -> Vec<String> {
        let is_strange = |(source, code): &(Option<&str>, String)| {
            source.is_none_or(|source| !text(source).contains(code))
        };
        blocks(document).into_iter().filter(is_strange).map(|(_, code)| code).collect()
    }

    #[test]
    fn what_the_documents_show_is_taken_from_the_examples() {
        for (document, at_least) in [("docs/embedding.md", 12), ("README.md", 1)] {
            let document = text(document);
            assert!(blocks(&document).len() >= at_least, "there are fewer blocks of code");
            assert_eq!(strangers(&document), Vec::<String>::new());
        }
    }

    #[test]
    fn the_readme_shows_a_whole_program() {
        let readme = text("README.md");
        let (source, code) = blocks(&readme).into_iter().next().unwrap();
        let program = text(source.unwrap());
        let (program, _) = program.split_once("\n#[cfg(test)]").unwrap();
        assert_eq!(code, program);
    }

    #[test]
    fn code_that_stands_nowhere_is_caught() {
        let document = "<!-- crates/examples/bot.rs -->\n```rust\nfn nowhere() {}\n```\n";
        assert_eq!(strangers(document), ["fn nowhere() {}\n"]);
        assert_eq!(strangers("```rust\nuse std::error::Error;\n```\n").len(), 1, "of no file");
        let document = "<!-- crates/examples/bot.rs -->\n```rust\nuse std::error::Error;\n```\n";
        assert_eq!(strangers(document).len(), 0);
    }
}
