//! The image that the suite starts its servers from.
//!
//! It is made of this machine's own files, the server and what it is linked with, so that no registry is needed and
//! what runs in it is what was built here. `complement/Dockerfile` says the same for those who have a registry.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};

use super::{Unable, engine::Engine};
use crate::cargo::root;

/// The image's name.
pub(crate) const NAME: &str = "tertulia-complement";

/// What an image says besides its files; the Dockerfile says it, too.
const FACTS: [&str; 3] =
    ["ENV SERVER_NAME=localhost", "EXPOSE 8008 8448", r#"CMD ["/etc/tertulia/start.sh"]"#];
const PATH: &str = "ENV PATH=/usr/bin:/bin";
/// Files of the project that the image holds.
const FILES: [&str; 3] = ["start.sh", "tertulia.toml", "certificate.cnf"];
/// Folders that are empty at first.
const FOLDERS: [&str; 6] =
    ["certificate", "complement/appservice", "complement/ca", "data", "etc/tertulia", "tmp"];

/// Makes the image from `server` and this machine's files; they are gathered in `home`.
pub(crate) fn gather(engine: &Engine, server: &Path, home: &Path) -> anyhow::Result<()> {
    let folder = home.join("image");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let openssl =
        find("openssl").ok_or_else(|| Unable::error("there is no openssl: install it"))?;
    let programs = [
        (Path::new("/bin/sh"), "bin/sh"),
        (&openssl, "usr/bin/openssl"),
        (server, "usr/bin/tertulia"),
    ];
    lay_out(&programs, &folder)?;
    import(engine, &folder)
}

/// Puts programs with their libraries into a folder, and what the project says of the image.
fn lay_out(programs: &[(&Path, &str)], folder: &Path) -> anyhow::Result<()> {
    FOLDERS.iter().try_for_each(|name| fs::create_dir_all(folder.join(name)))?;
    for name in FILES {
        copy(&root().join("complement").join(name), folder, &format!("etc/tertulia/{name}"))?;
    }
    for (program, name) in programs {
        copy(program, folder, name)?;
    }
    for library in libraries(programs.iter().map(|(program, _)| *program))? {
        copy(&library, folder, library.to_string_lossy().trim_start_matches('/'))?;
    }
    Ok(())
}

/// Has Docker build the image as the Dockerfile says.
pub(crate) fn build(engine: &Engine) -> anyhow::Result<()> {
    let mut build = engine.docker();
    build.current_dir(root()).args([
        "build",
        "--tag",
        NAME,
        "--file",
        "complement/Dockerfile",
        ".",
    ]);
    ensure!(build.status()?.success(), "the image could not be built; the reason is said above");
    Ok(())
}

fn import(engine: &Engine, folder: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar")
        .args(["--create", "--owner=0", "--group=0", "--directory"])
        .arg(folder)
        .arg(".")
        .stdout(Stdio::piped())
        .spawn()
        .context("tar cannot be called")?;
    let files = tar.stdout.take().context("tar writes nothing")?;
    let mut import = engine.docker();
    import.arg("import");
    for fact in FACTS.iter().chain([&PATH]) {
        import.args(["--change", fact]);
    }
    let status = import.args(["-", NAME]).stdin(files).stdout(Stdio::null()).status()?;
    ensure!(status.success() && tar.wait()?.success(), "docker took no image");
    Ok(())
}

fn copy(file: &Path, folder: &Path, name: &str) -> anyhow::Result<()> {
    let target = folder.join(name);
    fs::create_dir_all(target.parent().context("a file is in a folder")?)?;
    fs::copy(file, &target)
        .with_context(|| format!("{} cannot be put into the image", file.display()))?;
    Ok(())
}

/// A program on the search path.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The libraries that these programs are linked with, and the list by which the loader finds them.
fn libraries<'a>(
    programs: impl IntoIterator<Item = &'a Path>,
) -> anyhow::Result<BTreeSet<PathBuf>> {
    const LIST: &str = "/etc/ld.so.cache";
    let mut all: BTreeSet<_> =
        [PathBuf::from(LIST)].into_iter().filter(|list| list.is_file()).collect();
    for program in programs {
        let output = Command::new("ldd").arg(program).output().context("ldd cannot be called")?;
        all.extend(named(&String::from_utf8_lossy(&output.stdout))?);
    }
    Ok(all)
}

/// The files that ldd names.
fn named(text: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for line in text.lines().map(str::trim) {
        let place = line.split_once(" => ").map_or(line, |(_, place)| place);
        if place == "not found" {
            bail!("the server is linked with a library that is not here: {line}");
        }
        let file = place.split(" (").next().unwrap_or_default();
        files.extend(file.starts_with('/').then(|| PathBuf::from(file)));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(named(text).unwrap(), expected);
    }

    #[test]
    fn libraries_are_those_that_ldd_finds_in_files() {
        let text = "\
\tlinux-vdso.so.1 (0x00007f5a31d41000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f5a31b2c000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f5a31d43000)
";
        check(text, &["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }

    #[test]
    fn a_program_that_is_linked_with_nothing_needs_nothing() {
        check("\tstatically linked\n", &[]);
        check("", &[]);
    }

    #[test]
    fn a_library_that_is_missing_is_named() {
        let error = named("\tlibx.so.1 => not found\n").unwrap_err().to_string();
        assert!(error.contains("libx.so.1"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_s_shell_and_its_libraries_are_found() {
        let shell = find("sh").unwrap();
        assert!(libraries([shell.as_path()]).unwrap().iter().all(|file| file.is_file()));
        assert_eq!(find("no-such-program"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_image_holds_the_server_and_all_that_it_needs() {
        let folder = env::temp_dir().join(format!("tertulia-image-{}", std::process::id()));
        // Any program will do for a server.
        let [shell, server] = ["sh", "true"].map(|name| find(name).unwrap());
        lay_out(&[(&shell, "bin/sh"), (&server, "usr/bin/tertulia")], &folder).unwrap();
        for name in FOLDERS {
            assert!(folder.join(name).is_dir(), "{name}");
        }
        for name in ["bin/sh", "usr/bin/tertulia", "etc/tertulia/start.sh"] {
            let rights = fs::metadata(folder.join(name)).unwrap().permissions().mode();
            assert_eq!(rights & 0o111, 0o111, "{name}");
        }
        for library in libraries([Path::new("/bin/sh")]).unwrap() {
            let copy = folder.join(library.strip_prefix("/").unwrap());
            assert_eq!(fs::read(copy).unwrap(), fs::read(&library).unwrap(), "{library:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_not_there_cannot_be_put_into_the_image() {
        let folder = env::temp_dir().join(format!("tertulia-no-image-{}", std::process::id()));
        let error = copy(Path::new("/nowhere/x"), &folder, "usr/bin/x").unwrap_err().to_string();
        assert!(error.contains("/nowhere/x cannot be put"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_start_script_calls_nothing_that_the_image_lacks() {
        let text = fs::read_to_string(root().join("complement/start.sh")).unwrap();
        let code = text.lines().filter(|line| !line.starts_with(['#', ' ']) && !line.is_empty());
        let first = |line: &str| line.split([' ', '=']).next().unwrap_or_default().to_owned();
        let words: Vec<_> = code.map(first).collect();
        assert_eq!(words, ["set", "export", "openssl", "TERTULIA_SERVER_NAME"]);
        assert!(text.contains("exec tertulia serve --config /etc/tertulia/tertulia.toml"));
    }

    #[test]
    fn the_dockerfile_says_the_same_of_the_image() {
        let text = fs::read_to_string(root().join("complement/Dockerfile")).unwrap();
        for fact in FACTS {
            assert!(text.lines().any(|line| line == fact), "{fact}");
        }
        for name in FILES {
            assert!(text.contains(&format!("complement/{name}")), "{name}");
            assert!(root().join("complement").join(name).is_file(), "{name}");
        }
    }
}
