//! The command line, as a newcomer meets it: help, and one clear line for each thing that may
//! be wrong.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder for one test; gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("nightjar-cli-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn file(&self, text: &str) -> String {
        let path = self.0.join("nightjar.toml");
        fs::write(&path, text).expect("a configuration file");
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

fn nightjar(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightjar"));
    // What is set around the tests must not reach in.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NIGHTJAR__") {
            command.env_remove(name);
        }
    }
    command.args(args).output().expect("nightjar runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The lines of a failure; nothing may stand on standard output.
fn failure(args: &[&str]) -> Vec<String> {
    let output = nightjar(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
    text(&output.stderr).lines().map(str::to_owned).collect()
}

#[test]
fn help_shows_the_way() {
    let output = nightjar(&["--help"]);
    assert!(output.status.success());
    let help = text(&output.stdout);
    for word in [
        "serve",
        "check",
        "--config",
        "--listen",
        "--data-dir",
        "Examples:",
        "1883",
    ] {
        assert!(help.contains(word), "no {word} in\n{help}");
    }
    let version = text(&nightjar(&["--version"]).stdout);
    assert_eq!(version, format!("nightjar {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let folder = Folder::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let lines = failure(&[
        "serve",
        "--listen",
        &address,
        "--data-dir",
        &folder.path("data"),
    ]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains(&address) && lines[0].contains("in use"),
        "{lines:?}"
    );
}

#[test]
fn an_unwritable_folder_is_one_clear_line_for_check_and_start() {
    let folder = Folder::new("folder");
    // Below a file there is no folder, whoever asks: tests may run as root.
    let below = format!("{}/data", folder.file(""));
    for command in ["serve", "check"] {
        let lines = failure(&[command, "--listen", "127.0.0.1:0", "--data-dir", &below]);
        assert_eq!(lines.len(), 1, "{command}: {lines:?}");
        assert!(
            lines[0].contains(&below) && lines[0].contains("--data-dir"),
            "{lines:?}"
        );
    }
}

#[test]
fn check_and_start_find_the_same_mistakes() {
    let folder = Folder::new("mistakes");
    for wrong in [
        "wrokers = 1\n",
        "workers = 1\nworkers = 2\n",
        "[[listener]]\naddress = \"0.0.0.0:1883\"\n",
        "allow_anonymous = false\n",
        "[limits]\ninflight = 0\nmemory = \"lots\"\n",
        "node = \"${NOWHERE_TO_BE_FOUND}\"\n",
    ] {
        let file = folder.file(wrong);
        let checked = failure(&["check", "--config", &file]);
        assert_eq!(checked, failure(&["serve", "--config", &file]), "{wrong}");
        assert!(!checked.is_empty(), "{wrong}");
        assert!(
            checked
                .iter()
                .all(|line| line.starts_with(&format!("{file}:"))),
            "{checked:?}"
        );
    }
    let missing = folder.path("none.toml");
    assert_eq!(
        failure(&["check", "-c", &missing]),
        failure(&["serve", "-c", &missing])
    );
    let open = ["--listen", "0.0.0.0:1883"];
    let checked = failure(&[&["check"], &open[..]].concat());
    assert_eq!(checked, failure(&[&["serve"], &open[..]].concat()));
    assert!(checked[0].starts_with("option --listen: "), "{checked:?}");
}

#[test]
fn check_leaves_nothing_behind_and_prints_what_results() {
    let folder = Folder::new("check");
    let file = folder.file("workers = 3\n[limits]\ninflight = 7\n");
    let data = folder.path("data/deep");
    let output = nightjar(&["check", "-c", &file, "-d", &data]);
    assert!(output.status.success(), "{output:?}");
    let verdict = text(&output.stdout);
    assert!(
        verdict.contains("good") && verdict.contains(&data),
        "{verdict}"
    );
    assert!(!folder.0.join("data").exists());
    let printed = text(&nightjar(&["check", "-c", &file, "-d", &data, "--print"]).stdout);
    assert!(
        printed.contains("workers = 3\n") && printed.contains("inflight = 7\n"),
        "{printed}"
    );
    let again = folder.file(&printed);
    assert!(
        nightjar(&["check", "-c", &again]).status.success(),
        "{printed}"
    );
}
