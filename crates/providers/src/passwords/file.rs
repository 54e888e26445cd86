//! Reading and changing a password file.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use auth::Secret;

use crate::Problem;
use crate::hash::{Hash, hash_argon2id};

/// What became of a user's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// There was none.
    Added,
    /// There is another hash in it.
    Replaced,
}

/// Gives a user a password, hashed by argon2id. The file is made if it is not there, with mode
/// 0600 (S99); one that is there keeps its owner, its group and its mode, but that nobody may write
/// to it whose file it is not. All its other lines stay as they are. Who reads the file sees it before or after
/// the change, and a crash leaves one of the two.
///
/// # Errors
/// The file cannot be read or written, a line of it is not right, the name is not fit to be one,
/// the password is empty.
pub fn set(file: &Path, name: &str, password: &Secret) -> Result<Changed, Problem> {
    check_name(name).map_err(Problem::new)?;
    let hash = hash_argon2id(password).map_err(|error| Problem::new(error.to_string()))?;
    let text = if file.exists() {
        read(file)?
    } else {
        Vec::new()
    };
    let mut changed = Changed::Added;
    let mut lines = Vec::new();
    for line in self::lines(file, &text) {
        match line? {
            (_, Some((user, _))) if user == name => {
                changed = Changed::Replaced;
                lines.push(format!("{name}:{hash}"));
            }
            (line, _) => lines.push(line.into()),
        }
    }
    if changed == Changed::Added {
        lines.push(format!("{name}:{hash}"));
    }
    replace(file, &lines)?;
    Ok(changed)
}

/// Makes a file with this one user, whatever was in it before. Otherwise as [`set`].
///
/// # Errors
/// The file cannot be written, the name is not fit to be one, the password is empty.
pub fn create(file: &Path, name: &str, password: &Secret) -> Result<Changed, Problem> {
    check_name(name).map_err(Problem::new)?;
    let hash = hash_argon2id(password).map_err(|error| Problem::new(error.to_string()))?;
    replace(file, &[format!("{name}:{hash}")])?;
    Ok(Changed::Added)
}

/// Takes a user's line out; whether there was one. Otherwise as [`set`].
///
/// # Errors
/// The file cannot be read or written, or a line of it is not right.
pub fn delete(file: &Path, name: &str) -> Result<bool, Problem> {
    let text = read(file)?;
    let mut found = false;
    let mut kept = Vec::new();
    for line in lines(file, &text) {
        match line? {
            (_, Some((user, _))) if user == name => found = true,
            (line, _) => kept.push(line.into()),
        }
    }
    if found {
        replace(file, &kept)?;
    }
    Ok(found)
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    fs::read(file)
        .map_err(|error| Problem::new(format!("{} cannot be read: {error}", file.display())))
}

/// A line as it stands, and the user in it.
type Line<'a> = (&'a str, Option<(&'a str, Hash)>);

/// The lines of a file, each checked.
pub(super) fn lines<'a>(
    file: &Path,
    text: &'a [u8],
) -> impl Iterator<Item = Result<Line<'a>, Problem>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = text.split(|&byte| byte == b'\n');
    let mut names = HashSet::new();
    (1_u32..)
        .zip(lines)
        .filter(|_| !text.is_empty())
        .map(move |(number, line)| {
            let checked = check(line).and_then(|line| match &line.1 {
                Some((name, _)) if !names.insert(*name) => Err("the user has a line before".into()),
                Some(_) | None => Ok(line),
            });
            checked.map_err(|why| Problem::new(format!("{}:{number}: {why}", file.display())))
        })
}

fn check(line: &[u8]) -> Result<Line<'_>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "this is not UTF-8")?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.starts_with('#') || line.trim().is_empty() {
        return Ok((line, None));
    }
    let (name, hash) = line.split_once(':').ok_or("a line is name:hash")?;
    check_name(name)?;
    let hash = Hash::parse(hash).map_err(|error| error.to_string())?;
    Ok((line, Some((name, hash))))
}

/// What is fit to be a name in a file.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("the name is empty")
    } else if name.len() > usize::from(u16::MAX) {
        Err("the name is longer than 65535 bytes")
    } else if name.chars().any(char::is_control) {
        Err("the name has a control character")
    } else if name.trim() != name {
        Err("the name begins or ends with a space")
    } else if name.starts_with('#') {
        Err("the name begins with #, which is for comments")
    } else if name.contains(':') {
        Err("the name has a colon in it")
    } else {
        Ok(())
    }
}

/// Puts another file in the place of this one, at once. It keeps its owner, group and mode.
fn replace(file: &Path, lines: &[String]) -> Result<(), Problem> {
    // What a link names is replaced, not the link.
    let target = if file.exists() {
        fs::canonicalize(file).map_err(|error| unwritten(file, &error))?
    } else {
        file.to_owned()
    };
    let next = beside(&target);
    let written = write(&target, &next, lines).and_then(|()| fs::rename(&next, &target));
    if let Err(error) = written {
        let problem = unwritten(file, &error);
        return Err(match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Problem::new(format!(
                "{problem}; {} is left over: {error}",
                next.display()
            )),
            Ok(()) | Err(_) => problem,
        });
    }
    let folder = target.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(|error| unwritten(file, &error))
}

fn write(target: &Path, next: &Path, lines: &[String]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut to = options.open(next)?;
    #[cfg(unix)]
    keep_readers(target, &to)?;
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    to.write_all(text.as_bytes())?;
    to.sync_all()
}

/// Root may change the file of another user, and the server must still be able to read it: as its
/// owner, as one of its group, or as anybody if its owner left it so.
#[cfg(unix)]
fn keep_readers(target: &Path, to: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let (was, is) = match fs::metadata(target) {
        Ok(was) => (was, to.metadata()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if (was.uid(), was.gid()) != (is.uid(), is.gid()) {
        fchown(to, Some(was.uid()), Some(was.gid()))?;
    }
    // After the owner: nobody else reads it meanwhile.
    let mode = was.permissions().mode() & READERS | 0o600;
    to.set_permissions(fs::Permissions::from_mode(mode))
}

/// Who may read a file; nobody but its owner may change it.
#[cfg(unix)]
const READERS: u32 = 0o644;

/// A name in the same folder, for as long as it takes to write.
fn beside(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    target.with_file_name(name)
}

fn unwritten(file: &Path, error: &io::Error) -> Problem {
    Problem::new(format!("{} cannot be written: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::Passwords;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes())
    }

    #[test]
    fn users_are_added_changed_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        assert_eq!(set(&file, "alice", &secret("one")), Ok(Changed::Added));
        let commented = format!("# who\r\n\n{}", fs::read_to_string(&file).unwrap());
        fs::write(&file, commented).unwrap();
        assert_eq!(set(&file, "bob", &secret("two")), Ok(Changed::Added));
        let before = fs::read_to_string(&file).unwrap();
        assert_eq!(set(&file, "alice", &secret("three")), Ok(Changed::Replaced));
        let after = fs::read_to_string(&file).unwrap();
        assert!(after.starts_with("# who\n\nalice:$argon2id$"), "{after}");
        assert_eq!(before.lines().last(), after.lines().last(), "bob's");
        let users = |file: &Path| {
            let text = read(file).unwrap();
            let users = lines(file, &text).filter_map(|line| line.unwrap().1);
            users
                .map(|(name, hash)| (name.to_owned(), hash))
                .collect::<Vec<_>>()
        };
        let [(alice, hash), (bob, other)] = &users(&file)[..] else {
            panic!("two users");
        };
        assert_eq!((alice.as_str(), bob.as_str()), ("alice", "bob"));
        assert!(hash.verify(b"three") && !hash.verify(b"one") && other.verify(b"two"));
        assert_eq!(delete(&file, "alice"), Ok(true));
        assert_eq!(delete(&file, "alice"), Ok(false));
        assert_eq!(users(&file).len(), 1);
        assert_eq!(delete(&file, "bob"), Ok(true));
        assert_eq!(fs::read_to_string(&file).unwrap(), "# who\n\n");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing left over"
        );
    }

    #[cfg(unix)]
    #[test]
    fn s99_the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
        set(&file, "alice", &secret("one")).unwrap();
        assert_eq!(mode(&file), 0o600);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        set(&link, "alice", &secret("two")).unwrap();
        assert_eq!(mode(&file), 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn s99_who_reads_the_file_still_does_and_nobody_else() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        set(&file, "alice", &secret("one")).unwrap();
        for (was, is) in [
            (0o640, 0o640),
            (0o600, 0o600),
            (0o644, 0o644),
            (0o666, 0o644),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(was)).unwrap();
            set(&file, "bob", &secret("two")).unwrap();
            assert_eq!(delete(&file, "bob"), Ok(true));
            let found = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(found & 0o777, is, "{was:o}");
        }
    }

    #[test]
    fn s63_a_file_that_is_not_right_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        fs::write(&file, "alice\n").unwrap();
        assert!(set(&file, "bob", &secret("one")).is_err());
        assert!(delete(&file, "alice").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "alice\n");
    }

    #[test]
    fn s63_names_that_could_not_be_read_again_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        for name in [
            "",
            " a",
            "a ",
            "a:b",
            "a\nb",
            "a\0",
            "#a",
            &"x".repeat(65_536),
        ] {
            assert!(set(&file, name, &secret("p")).is_err(), "{name:?}");
        }
        assert!(set(&file, "a", &secret("")).is_err());
        assert!(!file.exists());
        set(&file, "a b/+", &secret("p")).unwrap();
        assert!(Passwords::load(&file).is_ok());
    }
}
