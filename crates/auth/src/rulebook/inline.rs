//! A list that takes memory from the heap only when it grows long.

/// The first `N` things lie in place.
#[derive(Debug)]
pub(super) struct Inline<T, const N: usize> {
    first: [T; N],
    length: usize,
    more: Vec<T>,
}

impl<T: Copy, const N: usize> Inline<T, N> {
    /// An empty one; what it is filled with is never seen.
    #[inline]
    pub(super) fn new(filling: T) -> Self {
        Self {
            first: [filling; N],
            length: 0,
            more: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        match self.first.get_mut(self.length) {
            Some(place) => {
                *place = item;
                self.length = self.length.saturating_add(1);
            }
            None => self.more.push(item),
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.more.pop().or_else(|| {
            self.length = self.length.checked_sub(1)?;
            self.first.get(self.length).copied()
        })
    }
}
