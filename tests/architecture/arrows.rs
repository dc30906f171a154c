//! Arrows between the modules of the library point to the left.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use syn::{
    Item, ItemMod, ItemUse, Macro, UseTree,
    visit::{self, Visit},
};

use crate::source::{Source, is_for_tests, is_test_file, sources};

const FOLDER: &str = "crates/homeserver/src";

/// Each module uses only those in rows above its own.
const ORDER: &[&[&str]] = &[
    &["error", "settings", "words"],
    &["schema"],
    &["ports"],
    &["core"],
    &["log"],
    &["server"],
    &["company"],
    &["presence", "typing"],
    &["events"],
    &["rooms"],
    &["users"],
    &["devices"],
    &["account_data"],
    &["receipts", "media"],
    &["mail", "messages"],
    &["accounts", "directory", "unread"],
    &["favourites", "reports", "upgrades", "groups"],
    &["friends"],
    &["chats", "requests"],
    &["sync"],
    &["housekeeping"],
    &["followers"],
];

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|row| row.contains(&module))
}

/// The arrows of one file: the modules of the library that it names.
struct Arrows<'a> {
    /// Where the file's items are, below the library.
    place: Vec<String>,
    /// Which module gave the library an item: `Error` → `error`.
    exports: &'a BTreeMap<String, String>,
    found: BTreeSet<String>,
}

impl Arrows<'_> {
    /// Notes a path that begins with `crate`, `super` or `self`.
    fn note(&mut self, path: &[String]) {
        let mut place = self.place.clone();
        let mut parts = path.iter();
        let rest = loop {
            match parts.as_slice().first().map(String::as_str) {
                Some("crate") => place.clear(),
                Some("super") => drop(place.pop()),
                Some("self") => {}
                _ => break parts.as_slice(),
            }
            parts.next();
        };
        let first = place.first().or(rest.first());
        if let Some(first) = first.filter(|_| rest.len() < path.len()) {
            self.found.insert(self.exports.get(first).unwrap_or(first).clone());
        }
    }

    fn note_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.note_tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => self.note(&with(name.ident.to_string())),
            UseTree::Rename(name) => self.note(&with(name.ident.to_string())),
            UseTree::Glob(_) => self.note(before),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.note_tree(tree, before))
            }
        }
    }

    /// Notes the paths among the words of a macro call, which nobody has parsed.
    fn note_words(&mut self, words: &str) {
        let words: Vec<_> =
            words.replace("::", " :: ").split_whitespace().map(str::to_owned).collect();
        for (start, _) in
            words.iter().enumerate().filter(|(_, word)| ["crate", "super"].contains(&word.as_str()))
        {
            let path =
                words[start..].chunks(2).take_while(|pair| pair.len() == 2 && pair[1] == "::");
            let length = path.count();
            let path: Vec<_> = words[start..].iter().step_by(2).take(length + 1).cloned().collect();
            self.note(&path);
        }
    }
}

impl<'ast> Visit<'ast> for Arrows<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            self.place.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.place.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.note_tree(&item.tree, &[]);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.note_words(&call.tokens.to_string());
        visit::visit_macro(self, call);
    }
}

/// Where the items of a file are: `rooms/send.rs` → `rooms`, `send`.
fn place(path: &Path) -> Vec<String> {
    let below = path.strip_prefix(FOLDER).unwrap().with_extension("");
    let parts = below.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| part != "lib" && part != "mod").collect()
}

/// Which module each name comes from that `lib.rs` makes public.
fn exports(library: &syn::File) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for item in &library.items {
        if let Item::Use(item) = item
            && let UseTree::Path(path) = &item.tree
        {
            name_exports(&path.tree, &path.ident.to_string(), &mut exports);
        }
    }
    exports
}

fn name_exports(tree: &UseTree, module: &str, exports: &mut BTreeMap<String, String>) {
    match tree {
        UseTree::Path(path) => name_exports(&path.tree, module, exports),
        UseTree::Name(name) => drop(exports.insert(name.ident.to_string(), module.to_owned())),
        UseTree::Rename(name) => drop(exports.insert(name.rename.to_string(), module.to_owned())),
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| name_exports(tree, module, exports))
        }
        UseTree::Glob(_) => {}
    }
}

fn complaints(sources: &[Source]) -> Vec<String> {
    let library = sources.iter().find(|source| source.path.ends_with("lib.rs"));
    let exports = library.map(|library| exports(&library.syntax)).unwrap_or_default();
    sources
        .iter()
        .filter(|source| !is_test_file(&source.path))
        .flat_map(|source| judge(source, &exports))
        .collect()
}

fn judge(source: &Source, exports: &BTreeMap<String, String>) -> Vec<String> {
    let place = place(&source.path);
    // The library itself is at the right end: it may use everything.
    let Some(own) = place.first().cloned() else {
        return Vec::new();
    };
    let Some(own_rank) = rank(&own) else {
        return vec![format!(
            "{}: the module {own} has no place in the order",
            source.path.display()
        )];
    };
    let mut arrows = Arrows { place, exports, found: BTreeSet::new() };
    arrows.visit_file(&source.syntax);
    // A name without a place is an item or a macro of the library itself, not a module.
    let is_wrong =
        |other: &&String| **other != own && rank(other).is_some_and(|rank| rank >= own_rank);
    let wrong = arrows.found.iter().filter(is_wrong);
    wrong
        .map(|other| {
            format!("{}: an arrow from {own} to {other} points to the right", source.path.display())
        })
        .collect()
}

#[test]
fn arrows_between_modules_point_to_the_left() {
    let sources = sources(FOLDER);
    assert!(sources.len() > 10, "only {} files were found", sources.len());
    crate::none(&complaints(&sources));
}

/// Complaints about a library of one module and this `lib.rs`.
fn judged(path: &str, text: &str) -> Vec<String> {
    let library = "pub use rooms::{Room, page::Page};\npub use sync::Update as News;\n";
    let source = |path: &str, text| Source::new(&Path::new(FOLDER).join(path), text);
    complaints(&[source("lib.rs", library), source(path, text)])
}

#[test]
fn an_arrow_to_the_right_is_caught_however_it_is_written() {
    for text in [
        "use crate::sync;",
        "use crate::{core, sync::Token as T};",
        "use crate::sync::*;",
        "use super::sync;",
        "fn f() { crate::sync::next(); }",
        "fn f(update: &super::sync::Update) {}",
        "mod inner { use super::super::sync::next; }",
        "fn f() { vec![1, crate::sync::next()]; }",
        "fn f() { select! { update = super::sync::next() => {} } }",
        "use crate::News;",
        "impl crate::sync::Follow for A {}",
    ] {
        crate::about(&judged("rooms.rs", text), &["from rooms to sync points to the right"]);
    }
}

#[test]
fn arrows_to_the_left_and_within_a_module_are_allowed() {
    for text in [
        "use crate::{core::User, schema};",
        "use crate::Room;",
        "use super::send;",
        "use self::x;",
        "use super::super::core;",
    ] {
        crate::none(&judged("rooms/page.rs", text));
    }
    crate::none(&judged("sync.rs", "use crate::{Room, rooms::x}; fn f() { crate::users::y() }"));
    crate::none(&judged("rooms.rs", "#[cfg(test)] mod tests { use crate::sync; }"));
    crate::none(&judged("rooms/tests.rs", "use crate::sync;"));
}

#[test]
fn modules_of_one_row_do_not_know_each_other() {
    crate::about(&judged("typing.rs", "use crate::receipts;"), &["from typing to receipts"]);
}

#[test]
fn a_module_without_a_place_is_caught() {
    crate::about(&judged("helpers.rs", ""), &["helpers has no place"]);
}
