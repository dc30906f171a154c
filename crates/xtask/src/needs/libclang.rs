//! Finding libclang in the places where bindgen looks for it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How deep below `/usr/lib` distributions keep it, as in `/usr/lib/llvm-14/lib`.
const DEPTH: usize = 2;

/// Whether bindgen will find the library, and the library the headers that it needs itself.
pub(crate) fn is_found() -> bool {
    if let Some(path) = env::var_os("LIBCLANG_PATH").map(PathBuf::from) {
        return is_library(&path) || has_library(&path);
    }
    let places = places();
    places.iter().any(|folder| has_library(folder))
        && places.iter().any(|folder| has_headers(folder))
}

fn places() -> Vec<PathBuf> {
    let mut places: Vec<_> =
        llvm_prefix().into_iter().flat_map(|path| [path.join("lib"), path.join("lib64")]).collect();
    for variable in ["LD_LIBRARY_PATH", "LIBRARY_PATH"] {
        places.extend(env::var_os(variable).iter().flat_map(env::split_paths));
    }
    for parent in ["/usr", "/usr/local"] {
        let libraries =
            folders(Path::new(parent)).into_iter().filter(|path| starts_with(path, "lib"));
        places.extend(libraries.flat_map(|path| with_descendants(path, DEPTH)));
    }
    for parent in ["/usr/local", "/usr/local/opt", "/opt/homebrew/opt"] {
        let versions =
            folders(Path::new(parent)).into_iter().filter(|path| starts_with(path, "llvm"));
        places.extend(versions.map(|path| path.join("lib")));
    }
    places.push("/Library/Developer/CommandLineTools/usr/lib".into());
    places.push(
        "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib"
            .into(),
    );
    places
}

fn llvm_prefix() -> Option<PathBuf> {
    let program = env::var_os("LLVM_CONFIG_PATH").unwrap_or_else(|| "llvm-config".into());
    let output = Command::new(program)
        .arg("--prefix")
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().into())
}

fn with_descendants(folder: PathBuf, depth: usize) -> Vec<PathBuf> {
    let below = if depth == 0 { Vec::new() } else { folders(&folder) };
    let below = below.into_iter().flat_map(|path| with_descendants(path, depth - 1));
    std::iter::once(folder.clone()).chain(below).collect()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    entries(parent).into_iter().filter(|path| path.is_dir()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn has_library(folder: &Path) -> bool {
    entries(folder).iter().any(|path| is_library(path))
}

/// `libclang.so`, `libclang-14.so.1`, `libclang.dylib`, but not `libclang-cpp.so` nor `libclangBasic.so`.
fn is_library(path: &Path) -> bool {
    let name = name(path);
    let Some(rest) = name.strip_prefix("libclang") else {
        return false;
    };
    let is_shared = rest.contains(".so") || rest.ends_with(".dylib");
    is_shared && rest.starts_with(['.', '-']) && !rest.starts_with("-cpp")
}

/// Whether the compiler's own headers lie here, which libclang reads first.
fn has_headers(folder: &Path) -> bool {
    folders(&folder.join("clang")).iter().any(|version| version.join("include/stddef.h").is_file())
}

fn starts_with(path: &Path, start: &str) -> bool {
    name(path).starts_with(start)
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_known_by_its_name() {
        for name in [
            "libclang.so",
            "libclang-14.so.1",
            "libclang.so.18.1",
            "libclang-14.0.6.so",
            "libclang.dylib",
        ] {
            assert!(is_library(Path::new(name)), "{name}");
        }
        for name in [
            "libclang-cpp.so.14",
            "libclangBasic.a",
            "libclangTidy.so",
            "libclang.a",
            "liblclang.so",
        ] {
            assert!(!is_library(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn folders_are_searched_so_deep_and_no_deeper() {
        let top = env::temp_dir().join(format!("tertulia-libclang-{}", std::process::id()));
        let deep = top.join("llvm-14/lib/clang/14/include");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("stddef.h"), "").unwrap();
        let places = with_descendants(top.clone(), DEPTH);
        assert!(places.contains(&top.join("llvm-14/lib")));
        assert!(!places.contains(&top.join("llvm-14/lib/clang")));
        assert!(has_headers(&top.join("llvm-14/lib")) && !has_headers(&top));
        assert!(!has_library(&top.join("llvm-14/lib")));
        fs::remove_dir_all(top).unwrap();
    }
}
