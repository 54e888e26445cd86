//! The port.

use std::fmt;

use types::Ticket;

use crate::record::Record;

/// The store has failed and promises nothing more: acknowledgements that wait are never given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFailed;

impl fmt::Display for StoreFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store has failed")
    }
}

impl std::error::Error for StoreFailed {}

/// Where one worker keeps what must outlive it.
///
/// Calls never wait. Records of one store are kept in the order of [`Store::append`]; a commit
/// covers all records appended before it.
pub trait Store: Send {
    /// Whether records are wanted at all. A store of class `memory` wants none, and workers
    /// then spend nothing on them.
    fn is_durable(&self) -> bool;

    /// Takes a record. Nothing is promised before a commit that covers it is safe.
    fn append(&mut self, record: Record<'_>);

    /// Closes a batch and returns its ticket. Tickets grow by one.
    fn commit(&mut self) -> Ticket;

    /// The last ticket that is safe, with all before it. The store wakes its worker (by mail)
    /// when this changes.
    ///
    /// # Errors
    ///
    /// [`StoreFailed`] for good, once a write or a sync has failed.
    fn safe(&self) -> Result<Option<Ticket>, StoreFailed>;
}
