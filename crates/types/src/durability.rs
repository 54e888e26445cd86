//! What an acknowledgement promises.

/// What has to have happened before a message is acknowledged, if it has a durable recipient or
/// is retained. Each class promises what those before it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing is stored: a restart forgets the message.
    Memory,
    /// The operating system has the message: it survives the end of the process. A power cut may
    /// take what was acknowledged within the store's sync interval.
    Os,
    /// The disk says that it has the message: it survives a power cut.
    #[default]
    Disk,
}

impl Durability {
    /// The classes, weakest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Os, Self::Disk];

    /// The word for it in the configuration, in logs and in `$SYS`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Os => "os",
            Self::Disk => "disk",
        }
    }

    /// Whether messages of this class go to the store.
    pub fn is_stored(self) -> bool {
        self > Self::Memory
    }
}
