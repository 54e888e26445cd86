//! How far a session looks ahead for messages that are not in memory.

/// How much [`Session::missing`](super::Session::missing) may look ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    most: Extent,
    used: Extent,
}

/// So many messages of so many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Ahead {
    pub(super) fn new(messages: usize, bytes: usize) -> Self {
        Self {
            most: Extent { messages, bytes },
            used: Extent::default(),
        }
    }

    /// What was looked at before.
    pub(super) fn skip(&mut self, extent: Extent) {
        self.used.messages = self.used.messages.saturating_add(extent.messages);
        self.used.bytes = self.used.bytes.saturating_add(extent.bytes);
    }

    /// Looks at one more message. The first is never too large: it could not be sent at all.
    pub(super) fn take(&mut self, size: usize) -> bool {
        let bytes = self.used.bytes.saturating_add(size);
        let fits = bytes <= self.most.bytes || self.used.messages == 0;
        if self.used.messages >= self.most.messages || !fits {
            self.close();
            return false;
        }
        self.skip(Extent {
            messages: 1,
            bytes: size,
        });
        true
    }

    /// Whether what lies ahead is enough for now, so that asking goes on in larger pieces.
    pub(super) fn is_half_used(&self) -> bool {
        let half = |used: usize, most: usize| used > 0 && used >= most.div_ceil(2);
        half(self.used.messages, self.most.messages) || half(self.used.bytes, self.most.bytes)
    }

    /// Nothing behind this may be looked at.
    pub(super) fn close(&mut self) {
        self.used.messages = self.most.messages;
    }
}
