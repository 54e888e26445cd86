//! Topics, cut into levels for a walk.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::rules::Rule;
use crate::rules::pattern::Level;

/// A number for the text of each level that is in a rule.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    numbers: HashMap<Arc<[u8]>, u32, FixedState>,
    texts: Vec<Arc<[u8]>>,
}

impl Symbols {
    /// Those of all rules.
    pub(super) fn of<'r>(rules: impl Iterator<Item = &'r Rule>) -> Self {
        let mut symbols = Self::default();
        for level in rules
            .flat_map(|rule| &rule.topics)
            .flat_map(|it| it.levels())
        {
            if let Level::Text(text) = level
                && !symbols.numbers.contains_key(text.as_bytes())
            {
                let text: Arc<[u8]> = text.as_bytes().into();
                let next = number(symbols.texts.len());
                symbols.numbers.insert(Arc::clone(&text), next);
                symbols.texts.push(text);
            }
        }
        symbols
    }

    pub(super) fn find(&self, text: &[u8]) -> u32 {
        self.numbers.get(text).copied().unwrap_or(NONE)
    }

    pub(super) fn is(&self, symbol: u32, text: &[u8]) -> bool {
        let found = self.texts.get(symbol as usize);
        found.is_some_and(|found| **found == *text)
    }
}

/// The levels of a topic with their symbols, the latter as far as somebody asked.
pub(super) struct Levels<'a> {
    pub(super) symbols: &'a Symbols,
    text: &'a [u8],
    /// Where the first levels begin and end. Topics have at most 65,535 bytes.
    cut: [(u16, u16); EARLY],
    /// How many they are.
    count: u32,
    /// Where the other levels begin.
    rest: Option<usize>,
    /// Symbols of the first levels.
    known: [u32; EARLY],
    reserved: bool,
}

impl<'a> Levels<'a> {
    pub(super) fn new(symbols: &'a Symbols, text: &'a str) -> Self {
        let text = text.as_bytes();
        let mut levels = Self {
            symbols,
            text,
            cut: [(0, 0); EARLY],
            count: 0,
            rest: None,
            known: [UNKNOWN; EARLY],
            reserved: text.first() == Some(&b'$'),
        };
        let mut start = 0;
        for place in &mut levels.cut {
            let end = slash(text, start);
            *place = (short(start), short(end));
            levels.count = levels.count.saturating_add(1);
            if end >= text.len() {
                return levels;
            }
            start = end.saturating_add(1);
        }
        levels.rest = Some(start);
        levels
    }

    /// The text of a level.
    #[inline]
    pub(super) fn at(&self, depth: u32) -> Option<&'a [u8]> {
        if depth >= self.count {
            return self.late(depth.saturating_sub(self.count));
        }
        let &(start, end) = self.cut.get(depth as usize)?;
        self.text.get(usize::from(start)..usize::from(end))
    }

    /// That of one of the others. Rules so deep are rare.
    fn late(&self, place: u32) -> Option<&'a [u8]> {
        let mut others = self.text.get(self.rest?..)?.split(|&byte| byte == b'/');
        others.nth(place as usize)
    }

    /// The symbol of a level. It is looked for once, and only if somebody needs it.
    pub(super) fn symbol(&mut self, depth: u32, text: &[u8]) -> u32 {
        let Some(known) = self.known.get_mut(depth as usize) else {
            return self.symbols.find(text);
        };
        if *known == UNKNOWN {
            *known = self.symbols.find(text);
        }
        *known
    }

    /// Whether wildcards at this depth are not about it (MQTT-4.7.2-1).
    pub(super) fn spares(&self, depth: u32) -> bool {
        depth == 0 && self.reserved
    }
}

fn short(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

/// Where the next `/` is, or the end: eight bytes at a time.
fn slash(text: &[u8], start: usize) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const SLASHES: u64 = u64::from_le_bytes([b'/'; 8]);
    let mut at = start;
    let mut rest = text.get(start..).unwrap_or_default();
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        let other = u64::from_le_bytes(*chunk) ^ SLASHES;
        // The lowest byte that is zero has its highest bit set; above it there may be others.
        let zeros = other.wrapping_sub(ONES) & !other & (ONES << 7);
        if zeros != 0 {
            return at.saturating_add((zeros.trailing_zeros() >> 3) as usize);
        }
        at = at.saturating_add(8);
        rest = behind;
    }
    let end = rest.iter().position(|&byte| byte == b'/');
    at.saturating_add(end.unwrap_or(rest.len()))
}

/// Four thousand million rules do not fit into any memory.
pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NONE)
}

/// No rule, no node, no symbol.
pub(super) const NONE: u32 = u32::MAX;

/// A symbol that nobody has looked for.
const UNKNOWN: u32 = NONE - 1;

/// So many levels are cut before the walk.
const EARLY: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_that_split_finds() {
        let symbols = Symbols::default();
        let long = "x".repeat(65_535);
        let deep = "/".repeat(65_535);
        for text in [
            "a",
            "/",
            "a/b",
            "//",
            "12345678/1234567/x",
            "a/b/c/d/e/f/g/h",
            &long,
            &deep,
        ] {
            let levels = Levels::new(&symbols, text);
            let count = text.split('/').count().min(40);
            for (place, level) in text.split('/').take(count).enumerate() {
                assert_eq!(levels.at(place as u32), Some(level.as_bytes()), "{place}");
            }
        }
        for text in [
            "a",
            "a/b/c/d/e/f/g/h",
            "a/b/c/d/e/f/g/h/",
            "1/2/3/4/5/6/7/8/9",
        ] {
            let levels = Levels::new(&symbols, text);
            let count = text.split('/').count() as u32;
            assert!(
                levels.at(count - 1).is_some() && levels.at(count).is_none(),
                "{text}"
            );
        }
    }
}
