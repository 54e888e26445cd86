//! The control socket: who may open it may do everything, so it is its owner's alone.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use tower::ServiceExt;

use crate::Problem;
use crate::caller::Door;
use crate::http::serve::{Conversation, Entrance};

/// A socket that listens. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    /// Device and number of the socket: what another server puts in its place is not ours.
    id: (u64, u64),
}

impl Control {
    /// Listens at a path. What is left of a server that is gone is replaced. The socket is made in
    /// a folder that nobody else can enter, and gets its name when it has its mode: there is no
    /// moment at which others can open it (S99).
    pub(crate) fn bind(path: &Path) -> Result<(Self, UnixListener), Problem> {
        let refused = |error: io::Error| match error.kind() {
            // Longer than `sun_path`.
            io::ErrorKind::InvalidInput => Problem::TooLong(path.into()),
            _ => Problem::Socket(path.into(), error),
        };
        make_way(path)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).recursive(true);
        builder.create(folder).map_err(refused)?;

        let hidden = folder.join(format!(".{}", std::process::id()));
        let new = hidden.join("s");
        clear(&hidden).map_err(refused)?;
        builder.recursive(false).create(&hidden).map_err(refused)?;
        let made = UnixListener::bind(&new).and_then(|listener| {
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            let found = fs::symlink_metadata(&new)?;
            // Too long a path would be noticed by clients only.
            std::os::unix::net::SocketAddr::from_pathname(path)?;
            fs::rename(&new, path)?;
            Ok((listener, (found.dev(), found.ino())))
        });
        clear(&hidden).map_err(refused)?;
        let (listener, id) = made.map_err(refused)?;
        let path = path.into();
        Ok((Self { path, id }, listener))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        let ours = found.is_ok_and(|found| (found.dev(), found.ino()) == self.id);
        if ours {
            // What cannot be removed is replaced at the next start.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// The control socket as a way in.
pub(crate) struct ControlEntrance {
    pub(crate) listener: tokio::net::UnixListener,
    pub(crate) router: Router,
}

impl Entrance for ControlEntrance {
    type Link = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<Self::Link> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Who may open the socket is not counted.
    fn address(_: &Self::Link) -> Option<std::net::IpAddr> {
        None
    }

    fn serve(
        &self,
        link: Self::Link,
        conversation: Conversation,
    ) -> impl Future<Output = ()> + Send + 'static {
        let user = link.peer_cred().ok().map(|found| found.uid());
        let (router, door) = (self.router.clone(), Door::Control { user });
        conversation.hold(link, move |request| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(door.clone());
            let router = router.clone();
            async move {
                let Ok(response) = router.oneshot(request).await;
                response
            }
        })
    }
}

/// Whether there is room for the socket: nothing there, or one that nobody listens at.
fn make_way(path: &Path) -> Result<(), Problem> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Problem::Socket(path.into(), error)),
    };
    if !found.file_type().is_socket() {
        return Err(Problem::NotASocket(path.into()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Problem::Running(path.into())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(Problem::Socket(path.into(), error)),
    }
}

/// Removes what an earlier process of the same number left, and what is not needed any more.
fn clear(hidden: &Path) -> io::Result<()> {
    match fs::remove_dir_all(hidden) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn s99_the_socket_is_its_owners_alone_and_goes_with_the_server() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("data/control.sock");
        let (control, _listener) = Control::bind(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        UnixStream::connect(&path).unwrap();
        drop(control);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_is_replaced_only_if_nobody_listens() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (control, listener) = Control::bind(&path).unwrap();
        assert!(matches!(Control::bind(&path), Err(Problem::Running(_))));
        assert!(path.exists());

        // Another server took over: its socket stays when the first one goes.
        drop(listener);
        let (_second, _listener) = Control::bind(&path).unwrap();
        drop(control);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn nothing_else_is_replaced() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("s");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Control::bind(&path), Err(Problem::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        let long = folder.path().join("x".repeat(200));
        assert!(matches!(Control::bind(&long), Err(Problem::TooLong(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
