//! The files of a store, before anything in them is believed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::error::OpenError;
use super::scan::Wrong;
use crate::disk::{Disk, DiskFile, LOCK};
use crate::segment::{
    HEADER_BYTES, HeaderError, SegmentHeader, VERSION, segment_name, segment_number, spare_number,
};

/// What `store.id` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// There is none yet: the store has never been begun.
    New,
    /// It is this store.
    Known(String),
}

/// A segment that is there.
pub(super) struct Found {
    pub(super) file: Arc<dyn DiskFile>,
    /// Bytes of the file.
    pub(super) length: u64,
    pub(super) header: Result<SegmentHeader, Wrong>,
}

pub(super) fn find(disk: &dyn Disk, number: u64) -> Result<Found, OpenError> {
    let name = segment_name(number);
    let failed = |error| io_error(&name, error);
    let file = disk.open(&name).map_err(failed)?;
    let length = file.len().map_err(failed)?;
    let mut bytes = vec![0; 64];
    let header = match file.read_at(0, &mut bytes) {
        Ok(read) => {
            bytes.truncate(read);
            SegmentHeader::decode(&bytes).map_err(Wrong::Header)
        }
        Err(error) => Err(Wrong::Unreadable(error.to_string())),
    };
    let header = header.and_then(|header| {
        if header.number != number {
            Err(Wrong::Number(header.number))
        } else if header.checkpoint > number {
            Err(Wrong::Checkpoint(header.checkpoint))
        } else if length < HEADER_BYTES {
            Err(Wrong::Header(HeaderError::Short))
        } else {
            Ok(header)
        }
    });
    if let Err(Wrong::Header(HeaderError::Version(version))) = header {
        return Err(OpenError::Version {
            file: name,
            found: version.to_string(),
        });
    }
    Ok(Found {
        file,
        length,
        header,
    })
}

/// Reads `store.id`; without one there must be nothing that is not ours.
pub(super) fn identity(disk: &dyn Disk, names: &[String]) -> Result<Identity, OpenError> {
    if names.iter().any(|name| name == IDENTITY) {
        return read_identity(disk).map(Identity::Known);
    }
    let foreign = names.iter().find(|name| {
        let ours = [LOCK, NEW_IDENTITY].contains(&name.as_str());
        !ours && segment_number(name).is_none() && spare_number(name).is_none()
    });
    match foreign {
        Some(file) => Err(OpenError::Foreign { file: file.clone() }),
        None => Ok(Identity::New),
    }
}

fn read_identity(disk: &dyn Disk) -> Result<String, OpenError> {
    let failed = |error| io_error(IDENTITY, error);
    let file = disk.open(IDENTITY).map_err(failed)?;
    let mut bytes = vec![0; 256];
    let read = file.read_at(0, &mut bytes).map_err(failed)?;
    bytes.truncate(read);
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let damaged = |what: &str| OpenError::Damaged {
        file: IDENTITY.to_owned(),
        offset: 0,
        what: what.to_owned(),
    };
    if lines.next() != Some(IDENTITY_TITLE) {
        return Err(damaged("it is not the identity of a Nightjar store"));
    }
    let version = lines.next().and_then(|line| line.strip_prefix("format "));
    let version = version.ok_or_else(|| damaged("it has no line `format`"))?;
    if version != VERSION.to_string() {
        return Err(OpenError::Version {
            file: IDENTITY.to_owned(),
            found: version.to_owned(),
        });
    }
    let id = lines.next().and_then(|line| line.strip_prefix("id "));
    let is_id = |id: &&str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = id.filter(is_id);
    id.map(str::to_owned)
        .ok_or_else(|| damaged("it has no line `id` with 32 hexadecimal digits"))
}

/// What `store.id` says for a store with this name.
pub(super) fn identity_text(id: [u64; 2]) -> String {
    let [high, low] = id;
    format!("{IDENTITY_TITLE}\nformat {VERSION}\nid {high:016x}{low:016x}\n")
}

/// Without `store.id`, the first segment may be there, still without frames: the very first start
/// was cut off. Nothing was acknowledged then.
pub(super) fn only_begun(segments: &BTreeMap<u64, Found>) -> Result<(), OpenError> {
    for (&number, found) in segments {
        let mut first = [0; 4096];
        let read = found.file.read_at(HEADER_BYTES, &mut first);
        read.map_err(|error| io_error(&segment_name(number), error))?;
        if number != 1 || first != [0; 4096] {
            return Err(OpenError::NoIdentity);
        }
    }
    Ok(())
}

pub(super) fn io_error(file: &str, error: io::Error) -> OpenError {
    OpenError::Io {
        file: file.to_owned(),
        error,
    }
}

/// The file that says which store this is.
pub(super) const IDENTITY: &str = "store.id";
/// [`IDENTITY`] while it is made.
pub(super) const NEW_IDENTITY: &str = "store.id.new";
const IDENTITY_TITLE: &str = "Nightjar store";
