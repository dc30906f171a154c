//! Reading sources: which lines are code, which are tests, and how long functions are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Block, ImplItemFn, Item, ItemFn, ItemMod, Signature, TraitItemFn,
    spanned::Spanned as _,
    visit::{self, Visit},
};
use walkdir::WalkDir;

/// One Rust file.
pub(crate) struct Source {
    /// Its path below the project's folder.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) syntax: syn::File,
    lines: Vec<(Kind, String)>,
    /// Its functions that are no tests.
    pub(crate) functions: Vec<Function>,
}

/// What a line is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Test,
    /// Blank, or a comment.
    Other,
}

/// A function that is no test.
pub(crate) struct Function {
    pub(crate) name: String,
    /// From `fn` to the closing brace.
    pub(crate) length: usize,
}

/// The project's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the project's folder")
}

/// All Rust files in a folder of the project, in order.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let files =
        WalkDir::new(root().join(folder)).sort_by_file_name().into_iter().map(Result::unwrap);
    files
        .map(|entry| entry.into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            Source::new(path.strip_prefix(root()).unwrap(), &fs::read_to_string(&path).unwrap())
        })
        .collect()
}

impl Source {
    /// Reads `text` as the file at `path`.
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        let syntax =
            syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = Reader { tests: Vec::new(), functions: Vec::new() };
        if !is_test_file(path) {
            reader.visit_file(&syntax);
        }
        let is_test = |line| {
            is_test_file(path)
                || reader.tests.iter().any(|(first, last)| (first..=last).contains(&&line))
        };
        let kind = |line, text: &str| match text.trim() {
            "" => Kind::Other,
            text if text.starts_with("//") => Kind::Other,
            _ if is_test(line) => Kind::Test,
            _ => Kind::Code,
        };
        let lines = text
            .lines()
            .enumerate()
            .map(|(index, text)| (kind(index + 1, text), text.to_owned()))
            .collect();
        Self { path: path.to_owned(), syntax, lines, functions: reader.functions }
    }

    /// How many lines are of this kind.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.lines.iter().filter(|(found, _)| *found == kind).count()
    }

    /// The lines that are code, with their numbers.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.lines.iter().enumerate().filter(|(_, (kind, _))| *kind == Kind::Code);
        lines.map(|(index, (_, text))| (index + 1, text.as_str()))
    }
}

/// Whether a whole file is there for tests: by its name, as `#[cfg(test)]` stands where it is named.
pub(crate) fn is_test_file(path: &Path) -> bool {
    let is_test = |name: &str| {
        ["tests", "testing", "testkit", "fuzz", "conformance"].contains(&name)
            || name.ends_with("_tests")
    };
    path.with_extension("").components().any(|part| part.as_os_str().to_str().is_some_and(is_test))
}

/// Whether something is compiled for tests only.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("cfg")
            && list.is_ok_and(|list| list.tokens.to_string().contains("test"))
    })
}

struct Reader {
    tests: Vec<(usize, usize)>,
    functions: Vec<Function>,
}

impl Reader {
    fn function(&mut self, signature: &Signature, block: &Block) {
        let (first, last) = (signature.span().start().line, block.span().end().line);
        self.functions
            .push(Function { name: signature.ident.to_string(), length: last + 1 - first });
    }

    fn skip(&mut self, attributes: &[Attribute], span: proc_macro2::Span) -> bool {
        let is_test = is_for_tests(attributes);
        if is_test {
            self.tests.push((span.start().line, span.end().line));
        }
        is_test
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(ItemMod { attrs, .. }) | Item::Fn(ItemFn { attrs, .. }) => attrs.as_slice(),
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            _ => &[],
        };
        if !self.skip(attributes, item.span()) {
            visit::visit_item(self, item);
        }
    }

    // A function within a function belongs to the outer one, whose length it adds to.
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig, &function.block);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !self.skip(&function.attrs, function.span()) {
            self.function(&function.sig, &function.block);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig, block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "
//! Module.

/// Function.
fn one() {
    // Comment.
    two();
}

impl A {
    #[cfg(test)]
    fn three() {}
    fn four(
        &self,
    ) {
    }
}

#[cfg(test)]
mod tests {
    fn five() {}
}
";

    #[test]
    fn code_and_tests_are_told_apart() {
        let source = Source::new(Path::new("crates/a/src/b.rs"), SAMPLE);
        assert_eq!(source.count(Kind::Code), 9);
        assert_eq!(source.count(Kind::Test), 6);
    }

    #[test]
    fn functions_have_their_length() {
        let source = Source::new(Path::new("crates/a/src/b.rs"), SAMPLE);
        let found: Vec<_> = source
            .functions
            .iter()
            .map(|function| (function.name.as_str(), function.length))
            .collect();
        assert_eq!(found, [("one", 4), ("four", 4)]);
    }

    #[test]
    fn whole_files_may_be_tests() {
        for path in [
            "tests/api/main.rs",
            "crates/a/src/b/tests.rs",
            "crates/testkit/src/lib.rs",
            "crates/fuzz/src/key.rs",
            "a/create_tests.rs",
        ] {
            assert!(is_test_file(Path::new(path)), "{path}");
        }
        assert!(!is_test_file(Path::new("crates/a/src/latest.rs")));
        assert_eq!(Source::new(Path::new("crates/a/src/tests.rs"), SAMPLE).count(Kind::Code), 0);
    }
}
