//! Lists in pieces.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which part of a list is asked for. Both numbers are small enough that no sum of them overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    number: u32,
    limit: u32,
}

impl Page {
    /// Most rows of a page.
    pub const MOST: u32 = 10_000;
    /// Rows of a page, unless something else is asked for.
    pub const USUAL: u32 = 100;

    /// A page, counted from 1, of so many rows.
    ///
    /// # Errors
    /// The words to say if a number is out of its range (S95).
    pub fn new(number: u32, limit: u32) -> Result<Self, String> {
        if number == 0 {
            return Err("page: counts from 1".into());
        }
        if limit == 0 || limit > Self::MOST {
            return Err(format!("limit: 1 to {} rows", Self::MOST));
        }
        Ok(Self { number, limit })
    }

    /// The page's number, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// Most rows.
    pub fn limit(self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// The same number, as it is answered.
    pub(crate) fn rows(self) -> u32 {
        self.limit
    }

    /// Rows before this page.
    pub fn offset(self) -> u64 {
        u64::from(self.number.saturating_sub(1)).saturating_mul(u64::from(self.limit))
    }

    /// This page of rows that come one by one.
    pub fn of<T>(self, rows: impl Iterator<Item = T>) -> Listed<T> {
        let (first, limit) = (self.offset(), self.limit());
        let (mut count, mut kept) = (0_u64, Vec::new());
        for row in rows {
            if count >= first && kept.len() < limit {
                kept.push(row);
            }
            count = count.saturating_add(1);
        }
        Listed { rows: kept, count }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows of the page.
    pub rows: Vec<T>,
    /// All rows that there are, on this page and others.
    pub count: u64,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rows<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where they are in the list.
    pub meta: Meta,
}

/// Where the rows of a page are in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meta {
    /// The page, from 1.
    pub page: u32,
    /// Most rows of a page.
    pub limit: u32,
    /// All rows of the list.
    pub count: u64,
    /// Whether there is another page.
    pub hasnext: bool,
}

impl<T> Rows<T> {
    /// A page as it is answered.
    pub fn new(page: Page, listed: Listed<T>) -> Self {
        let shown = u64::try_from(listed.rows.len()).unwrap_or(u64::MAX);
        let meta = Meta {
            page: page.number,
            limit: page.limit,
            count: listed.count,
            hasnext: page.offset().saturating_add(shown) < listed.count && shown > 0,
        };
        Self {
            data: listed.rows,
            meta,
        }
    }
}

/// A piece of a list whose order only its owner knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where to go on; `None`: this was all.
    pub cursor: Option<String>,
}

/// A piece of a list, as it is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pieces<T> {
    /// The rows.
    pub data: Vec<T>,
    /// How to go on.
    pub meta: Onward,
}

/// How to go on in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Onward {
    /// Most rows of a piece.
    pub limit: u32,
    /// What to ask with for the next piece; absent: this was all.
    pub cursor: Option<String>,
    /// Whether there may be another piece.
    pub hasnext: bool,
    /// The page, from 1, of a list that was asked for in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// All rows of such a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl<T> Pieces<T> {
    /// A piece as it is answered, of at most `limit` rows.
    pub fn new(limit: u32, piece: Piece<T>) -> Self {
        let meta = Onward {
            limit,
            hasnext: piece.cursor.is_some(),
            cursor: piece.cursor,
            page: None,
            count: None,
        };
        Self {
            data: piece.rows,
            meta,
        }
    }

    /// A page of the same list in an order, which goes on by number up to row `last`.
    pub fn ordered(page: Page, listed: Listed<T>, last: u64) -> Self {
        let count = listed.count;
        let rows = Rows::new(page, listed);
        let ahead = page.offset().saturating_add(u64::from(page.limit));
        let meta = Onward {
            limit: page.limit,
            cursor: None,
            hasnext: rows.meta.hasnext && ahead < last,
            page: Some(page.number),
            count: Some(count),
        };
        Self {
            data: rows.data,
            meta,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s95_pages_are_bounded() {
        assert!(Page::new(0, 1).is_err());
        assert!(Page::new(1, 0).is_err());
        assert!(Page::new(1, Page::MOST + 1).is_err());
        let last = Page::new(u32::MAX, Page::MOST).unwrap();
        assert_eq!(last.offset(), u64::from(u32::MAX - 1) * 10_000);
        assert!(last.of(0..5).rows.is_empty());
    }

    #[test]
    fn a_page_says_whether_there_is_another() {
        let page = |number| {
            let page = Page::new(number, 2).unwrap();
            Rows::new(page, page.of(0..5))
        };
        assert_eq!((page(1).data, page(1).meta.hasnext), (vec![0, 1], true));
        assert_eq!((page(3).data, page(3).meta.hasnext), (vec![4], false));
        assert_eq!((page(4).data, page(4).meta.hasnext), (vec![], false));
        assert_eq!(page(1).meta.count, 5);
    }
}
