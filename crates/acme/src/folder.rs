//! The files of a certificate.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::validity;
use crate::wanted::Wanted;

/// Makes the folder if it is missing, and a stand-in if there is no certificate that is still good:
/// a listener does not open with one that has ended.
pub(crate) fn prepare(wanted: &Wanted, now: SystemTime) -> io::Result<()> {
    make(&wanted.folder)?;
    let known = match fs::read_to_string(wanted.file()) {
        Ok(text) => validity::of(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if known.is_some_and(|known| known.is_good(now)) {
        return Ok(());
    }
    let text = stand_in(&wanted.domains).map_err(io::Error::other)?;
    replace(&wanted.file(), &text)
}

/// A certificate that says of itself that it is none.
fn stand_in(domains: &[String]) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(domains.to_vec())?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "waiting for the authority");
    params.distinguished_name = name;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

/// A folder for its owner only, above it what exists.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Replaces a file as a whole, for its owner only: a crash leaves the old one or the new one.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn s99_a_stand_in_is_its_owners_alone_and_due_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted {
            name: "main".into(),
            directory: "https://ca.example/directory".into(),
            domains: vec!["a.example".into()],
            email: None,
            roots: None,
            http: ([127, 0, 0, 1], 0).into(),
            folder: folder.path().join("acme").join("main"),
        };
        let now = SystemTime::now();
        prepare(&wanted, now).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&wanted.folder), mode(&wanted.file())), (0o700, 0o600));
        let text = fs::read_to_string(wanted.file()).unwrap();
        assert!(validity::of(&text).unwrap().is_stand_in);
        prepare(&wanted, now).unwrap();
        assert_eq!(fs::read_to_string(wanted.file()).unwrap(), text);
        replace(&wanted.file(), "no certificate").unwrap();
        assert_eq!(mode(&wanted.file()), 0o600);
        prepare(&wanted, now).unwrap();
        let other = fs::read_to_string(wanted.file()).unwrap();
        assert!(validity::of(&other).unwrap().is_stand_in && other != text);
        assert_eq!(fs::read_dir(&wanted.folder).unwrap().count(), 1);
    }
}
