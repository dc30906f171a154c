//! Every Rust file is part of a program, a library or a test: what nobody compiles is not there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit};
use walkdir::WalkDir;

use crate::{crates::metadata, source::root};

/// The files that cargo begins with.
fn roots() -> Vec<PathBuf> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let targets = packages.flat_map(|package| package["targets"].as_array().unwrap());
    targets.map(|target| target["src_path"].as_str().unwrap().into()).collect()
}

/// All files that are compiled when one begins with `file`.
fn reached(file: &Path, is_root: bool) -> Vec<PathBuf> {
    let syntax = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
    let folder = file.parent().unwrap();
    let is_folder_s_own = is_root || file.file_stem().is_some_and(|stem| stem == "mod");
    let below = if is_folder_s_own { folder.to_owned() } else { file.with_extension("") };
    let modules = modules(&syntax.items, &Folders { own: folder, below: &below });
    std::iter::once(file.to_owned())
        .chain(modules.into_iter().flat_map(|file| reached(&file, false)))
        .collect()
}

/// Where the modules of a file may lie.
struct Folders<'a> {
    /// The folder of the file, from which a `path` leads on.
    own: &'a Path,
    /// The folder of its modules.
    below: &'a Path,
}

/// The files of the modules that are declared among `items`.
fn modules(items: &[Item], folders: &Folders<'_>) -> Vec<PathBuf> {
    let modules = items
        .iter()
        .filter_map(|item| if let Item::Mod(module) = item { Some(module) } else { None });
    modules.flat_map(|module| module_files(module, folders)).collect()
}

fn module_files(module: &ItemMod, folders: &Folders<'_>) -> Vec<PathBuf> {
    let name = module.ident.to_string();
    if let Some((_, items)) = &module.content {
        let below = folders.below.join(name);
        return modules(items, &Folders { own: &below, below: &below });
    }
    let elsewhere = module.attrs.iter().find_map(path_of);
    let files = match elsewhere {
        Some(path) => vec![folders.own.join(path)],
        None => {
            vec![folders.below.join(format!("{name}.rs")), folders.below.join(name).join("mod.rs")]
        }
    };
    files.into_iter().filter(|file| file.is_file()).collect()
}

/// What `#[path = "…"]` says.
fn path_of(attribute: &Attribute) -> Option<String> {
    let value =
        &attribute.meta.require_name_value().ok().filter(|meta| meta.path.is_ident("path"))?.value;
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
        _ => None,
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &Path| !path.components().any(|part| part.as_os_str() == "node_modules");
    let files = WalkDir::new(folder).into_iter().map(Result::unwrap).map(|entry| entry.into_path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs") && is_ours(path))
        .collect()
}

fn complaints(files: &[PathBuf], roots: &[PathBuf]) -> Vec<String> {
    let compiled: BTreeSet<_> = roots.iter().flat_map(|root| reached(root, true)).collect();
    let orphans = files.iter().filter(|file| !compiled.contains(*file));
    orphans.map(|file| format!("{} belongs to no target", file.display())).collect()
}

/// What lies in a folder of `tests/` that has no target.
fn homeless(folder: &Path, roots: &[PathBuf]) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries.filter(|path| path.is_dir() && rust_files(path).is_empty());
    let homeless =
        folders.filter(|path| !roots.iter().any(|root| root.starts_with(path)) && !is_data(path));
    homeless.map(|path| format!("{} belongs to no target", path.display())).collect()
}

/// Whether a folder holds what a target beside it reads.
fn is_data(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "golden")
}

#[test]
fn every_file_belongs_to_a_target() {
    let folders = ["tests", "crates"].map(|folder| root().join(folder));
    let files: Vec<_> = folders.iter().flat_map(|folder| rust_files(folder)).collect();
    let roots = roots();
    crate::none(&complaints(&files, &roots));
    crate::none(&homeless(&root().join("tests"), &roots));
}

#[test]
fn a_file_that_nobody_compiles_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    };
    let main =
        write("api/main.rs", "mod one; mod four { mod five; } #[path = \"six.rs\"] mod sixth;");
    write("api/six.rs", "");
    write("api/one.rs", "mod two;");
    write("api/one/two.rs", "");
    write("api/four/five.rs", "");
    write("api/orphan.rs", "");
    write("lonely/notes.txt", "");
    crate::about(
        &complaints(&rust_files(folder.path()), std::slice::from_ref(&main)),
        &["orphan.rs"],
    );
    crate::about(&homeless(folder.path(), &[main]), &["lonely"]);
}
