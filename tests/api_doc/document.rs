//! `docs/api.md` taken apart: its sections, what they have one run, and what is to be answered.

use serde_json::Value;

/// A section, from one heading `##` to the next.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
    /// The rows of its table of errors.
    pub(crate) errors: Vec<Refusal>,
    /// What stands under each heading `###`, with the heading.
    pub(crate) parts: Vec<(String, String)>,
}

/// Something to do, and the line of the document that says so.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) what: What,
}

#[derive(Debug, PartialEq)]
pub(crate) enum What {
    /// Run these lines.
    Run(String),
    /// The last answer looks so.
    Answer(Value),
    /// A mail comes that looks so.
    Mail(String),
    /// Run these lines, of which the last is refused so.
    Refused(Refusal, String),
}

/// An error code and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) status: u16,
}

/// The sections of a document.
pub(crate) fn sections(text: &str) -> Vec<Section> {
    let mut reader = Reader { lines: text.lines().enumerate(), sections: Vec::new() };
    while let Some((number, line)) = reader.lines.next() {
        reader.take(number + 1, line);
    }
    reader.sections
}

struct Reader<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    sections: Vec<Section>,
}

impl Reader<'_> {
    fn take(&mut self, number: usize, line: &str) {
        if let Some(title) = line.strip_prefix("## ") {
            self.sections.push(Section { title: title.to_owned(), ..Section::default() });
        } else if let Some(title) = line.strip_prefix("### ") {
            self.section().parts.push((title.to_owned(), String::new()));
        } else if let Some(language) = line.strip_prefix("```") {
            let text = self.until("```");
            let what = block(number, language, text);
            self.section().steps.extend(what.map(|what| Step { line: number, what }));
        } else if line == "<!--" {
            let text = self.until("-->");
            let refused = refusals(number + 1, &text);
            self.section().steps.extend(refused);
        } else if let Some(error) = error_of(line) {
            self.section().errors.push(error);
        }
        self.note(line);
    }

    /// The lines up to `end`.
    fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        for (_, line) in self.lines.by_ref() {
            if line == end {
                self.note(&text);
                return text;
            }
            text.push_str(line);
            text.push('\n');
        }
        panic!("the document ends before {end}");
    }

    /// Keeps what a part says.
    fn note(&mut self, text: &str) {
        let part = self.sections.last_mut().and_then(|section| section.parts.last_mut());
        if let Some((_, said)) = part {
            said.push_str(text);
            said.push('\n');
        }
    }

    fn section(&mut self) -> &mut Section {
        self.sections.last_mut().expect("a section comes first")
    }
}

fn block(number: usize, language: &str, text: String) -> Option<What> {
    match language {
        "sh" => Some(What::Run(text)),
        "json" => {
            let value = serde_json::from_str(&text);
            Some(What::Answer(value.unwrap_or_else(|error| panic!("block at {number}: {error}"))))
        }
        "text" if text.starts_with("To: ") => Some(What::Mail(text)),
        _ => None,
    }
}

/// What stands unseen behind a table: for each of its rows a line such as `# M_NOT_FOUND 404`, and what is
/// refused so. Blocks between them prepare it.
fn refusals(number: usize, text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = text.lines().zip(number..);
    while let Some((line, number)) = lines.next() {
        if let Some(error) = line.strip_prefix("# ").and_then(named) {
            let what = What::Refused(error, String::new());
            steps.push(Step { line: number, what });
        } else if let Some(language) = line.strip_prefix("```") {
            let inside = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```");
            let text = inside.flat_map(|line| [line, "\n"]).collect();
            steps.extend(block(number, language, text).map(|what| Step { line: number, what }));
        } else if let Some(Step { what: What::Refused(_, said), .. }) = steps.last_mut() {
            said.push_str(line);
            said.push('\n');
        } else {
            panic!("line {number}: this is refused, but how?");
        }
    }
    steps
}

/// `M_NOT_FOUND 404`
fn named(text: &str) -> Option<Refusal> {
    let (code, status) = text.split_once(' ')?;
    let status = status.parse().ok()?;
    code.starts_with("M_").then(|| Refusal { code: code.to_owned(), status })
}

/// ``| `M_NOT_FOUND` | 404 | … |``
fn error_of(line: &str) -> Option<Refusal> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let code = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    named(&format!("{code} {}", cells.next()?))
}

#[test]
fn a_document_is_taken_apart() {
    let text = "# T\n## A\ntext\n```sh\ncurl x\n```\n```json\n{}\n```\n### Errors\n| errcode | status | tell |\n|---|---|---|\n\
                | `M_X` | 404 | no |\n\n<!--\n# M_X 404\ncurl y\n```sh\ncurl z\n```\n-->\n## B\n```text\nTo: a\n```\n```text\nx\n```\n";
    let error = Refusal { code: "M_X".to_owned(), status: 404 };
    let [a, b] = &sections(text)[..] else { panic!("two sections") };
    let steps = [
        Step { line: 4, what: What::Run("curl x\n".to_owned()) },
        Step { line: 7, what: What::Answer(serde_json::json!({})) },
        Step { line: 16, what: What::Refused(error.clone(), "curl y\n".to_owned()) },
        Step { line: 18, what: What::Run("curl z\n".to_owned()) },
    ];
    assert_eq!((a.title.as_str(), &a.steps[..], &a.errors[..]), ("A", &steps[..], &[error][..]));
    assert!(a.parts[0].0 == "Errors" && a.parts[0].1.contains("M_X"));
    assert_eq!(b.steps, [Step { line: 23, what: What::Mail("To: a\n".to_owned()) }]);
}
