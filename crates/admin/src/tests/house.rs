//! A running API, and ways to ask it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::fake::Fake;
use crate::client::{Client, Failure};
use crate::{Api, Audit, Denials, Page, Settings, audit};

/// A running API with all that belongs to it.
pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) fake: Arc<Fake>,
    pub(crate) denials: Arc<Denials>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) client: Client,
    pub(crate) api: Option<Api>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("control.sock");
        let mut settings = Settings::new(folder.path().join("administrators.json"));
        settings.socket = Some(socket.clone());
        change(&mut settings);
        let audit = Audit::open(audit::Settings {
            file: folder.path().join("audit.jsonl"),
            size: 1 << 20,
            keep: 2,
        });
        let (audit, denials, fake) = (audit.unwrap(), Denials::new(100), Arc::new(Fake::default()));
        let server = Arc::clone(&fake);
        let api = Api::start(settings, server, Arc::clone(&audit), Arc::clone(&denials));
        Self {
            folder,
            fake,
            denials,
            audit,
            client: Client::new(socket),
            api: Some(api.unwrap()),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    /// Asks, and wants a yes.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self
            .client
            .request(method, &format!("/api/v5{path}"), body.as_ref());
        answer.unwrap_or_else(|failure| panic!("{method} {path}: {failure}"))
    }

    /// Asks, and wants a no: status, code and words.
    pub(crate) fn refused(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, String, String) {
        let answer = self
            .client
            .request(method, &format!("/api/v5{path}"), body.as_ref());
        match answer {
            Err(Failure::Refused {
                status,
                code,
                message,
            }) => (status, code, message),
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    /// Sends these bytes and reads until the server closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The newest line of the audit log.
    pub(crate) fn line(&self) -> audit::Line {
        self.audit
            .newest(Page::new(1, 1).unwrap())
            .unwrap()
            .rows
            .remove(0)
    }

    /// How many lines the audit log has.
    pub(crate) fn lines(&self) -> u64 {
        self.audit.newest(Page::new(1, 1).unwrap()).unwrap().count
    }
}
