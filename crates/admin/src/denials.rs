//! The newest denials: who was not allowed what, and why.
//!
//! Workers put them in and never wait. There are several rings with a short lock each, and who
//! finds one taken goes on to the next; what finds all taken is counted as lost. A reader holds a
//! lock no longer than it takes to copy a list of pointers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Listed, Page, Stamp};

const RINGS: usize = 8;

/// Most bytes of each text that is kept.
const WORDS: usize = 512;

/// The newest denials.
#[derive(Debug)]
pub struct Denials {
    rings: [Mutex<Ring>; RINGS],
    /// Most of a ring.
    most: usize,
    numbers: AtomicU64,
    lost: AtomicU64,
}

type Ring = VecDeque<(u64, Arc<Denial>)>;

/// That somebody was not allowed what he wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Denial {
    /// When.
    pub at: Stamp,
    /// What he wanted.
    pub wanted: Wanted,
    /// The client identifier, if he gave one.
    pub clientid: Option<String>,
    /// The user that he is, or says he is if he wanted in.
    pub username: Option<String>,
    /// From where, unless away.
    pub peer: Option<String>,
    /// The topic or filter; absent if he wanted in.
    pub topic: Option<String>,
    /// The rule that denied it, or the reason, in words; absent: no rule allowed it.
    pub why: Option<String>,
}

/// What somebody wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// To come in.
    Connect,
    /// To publish.
    Publish,
    /// To subscribe, or to stay subscribed.
    Subscribe,
}

/// Which denials are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenialFilter {
    /// The client identifier is this.
    pub clientid: Option<String>,
    /// The user is this.
    pub username: Option<String>,
    /// The topic is this, to the letter.
    pub topic: Option<String>,
    /// This was wanted.
    pub wanted: Option<Wanted>,
}

impl Denials {
    /// Room for about so many; then the oldest is forgotten for each new one. Texts are cut at 512
    /// bytes, so that one takes at most some 3 KiB.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            rings: Default::default(),
            most: most.div_ceil(RINGS),
            numbers: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        })
    }

    /// Keeps a denial. Never waits: it may be called on a worker.
    pub fn push(&self, mut denial: Denial) {
        if self.most == 0 {
            return;
        }
        let texts = [
            &mut denial.clientid,
            &mut denial.username,
            &mut denial.peer,
            &mut denial.topic,
            &mut denial.why,
        ];
        texts.into_iter().flatten().for_each(shorten);
        let number = self.numbers.fetch_add(1, Relaxed);
        let first = usize::try_from(number).unwrap_or(0) % RINGS;
        let rings = self.rings.iter().cycle().skip(first).take(RINGS);
        for ring in rings {
            let mut ring = match ring.try_lock() {
                Ok(ring) => ring,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            if ring.len() >= self.most {
                ring.pop_front();
            }
            ring.push_back((number, Arc::new(denial)));
            return;
        }
        self.lost.fetch_add(1, Relaxed);
    }

    /// The newest first.
    pub fn newest(&self, filter: &DenialFilter, page: Page) -> Listed<Denial> {
        let mut all: Vec<(u64, Arc<Denial>)> = Vec::new();
        for ring in &self.rings {
            let ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(ring.iter().cloned());
        }
        let filter = filter.shortened();
        all.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let wanted = all.iter().filter(|(_, denial)| filter.takes(denial));
        let listed = page.of(wanted.map(|(_, denial)| denial));
        Listed {
            rows: listed
                .rows
                .into_iter()
                .map(|denial| Denial::clone(denial))
                .collect(),
            count: listed.count,
        }
    }

    /// Forgets all.
    pub fn clear(&self) {
        for ring in &self.rings {
            ring.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Denials that were not kept because every ring was taken at that moment.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

impl DenialFilter {
    /// As what is kept is.
    fn shortened(&self) -> Self {
        let mut filter = self.clone();
        let texts = [
            &mut filter.clientid,
            &mut filter.username,
            &mut filter.topic,
        ];
        texts.into_iter().flatten().for_each(shorten);
        filter
    }

    fn takes(&self, denial: &Denial) -> bool {
        let fits = |wanted: &Option<String>, found: &Option<String>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| Some(wanted) == found.as_ref())
        };
        fits(&self.clientid, &denial.clientid)
            && fits(&self.username, &denial.username)
            && fits(&self.topic, &denial.topic)
            && self.wanted.is_none_or(|wanted| wanted == denial.wanted)
    }
}

fn shorten(text: &mut String) {
    if text.len() > WORDS {
        text.truncate(text.floor_char_boundary(WORDS));
        text.push('…');
        // What was cut off would be kept with it.
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(topic: &str) -> Denial {
        Denial {
            at: Stamp::from_millis(0),
            wanted: Wanted::Publish,
            clientid: Some("c".into()),
            username: None,
            peer: None,
            topic: Some(topic.into()),
            why: None,
        }
    }

    fn topics(denials: &Denials, filter: &DenialFilter) -> Vec<String> {
        let listed = denials.newest(filter, Page::new(1, 1000).unwrap());
        let topics = listed.rows.into_iter().filter_map(|denial| denial.topic);
        topics.collect()
    }

    #[test]
    fn the_newest_are_kept_and_come_first() {
        let denials = Denials::new(16);
        for number in 0..100 {
            denials.push(denial(&number.to_string()));
        }
        let expected: Vec<_> = (84..100).rev().map(|number| number.to_string()).collect();
        assert_eq!(topics(&denials, &DenialFilter::default()), expected);
        denials.clear();
        assert!(topics(&denials, &DenialFilter::default()).is_empty());
    }

    #[test]
    fn a_filter_takes_what_has_all_of_it() {
        let denials = Denials::new(16);
        denials.push(denial("a"));
        denials.push(Denial {
            clientid: None,
            username: Some("u".into()),
            wanted: Wanted::Connect,
            topic: Some("b".into()),
            ..denial("")
        });
        let by = |filter: DenialFilter| topics(&denials, &filter).join(" ");
        let none = DenialFilter::default;
        assert_eq!(by(none()), "b a");
        assert_eq!(
            by(DenialFilter {
                clientid: Some("c".into()),
                ..none()
            }),
            "a"
        );
        assert_eq!(
            by(DenialFilter {
                username: Some("u".into()),
                ..none()
            }),
            "b"
        );
        assert_eq!(
            by(DenialFilter {
                topic: Some("b".into()),
                ..none()
            }),
            "b"
        );
        assert_eq!(
            by(DenialFilter {
                wanted: Some(Wanted::Subscribe),
                ..none()
            }),
            ""
        );
    }

    #[test]
    fn who_puts_one_in_never_waits() {
        let denials = Denials::new(80);
        let mut held: Vec<_> = denials
            .rings
            .iter()
            .map(|ring| ring.lock().unwrap())
            .collect();
        denials.push(denial("nowhere"));
        assert_eq!(denials.lost(), 1);
        held.pop();
        denials.push(denial("in the one that is free"));
        drop(held);
        assert_eq!(
            topics(&denials, &DenialFilter::default()),
            ["in the one that is free"]
        );
        assert_eq!(denials.lost(), 1);
    }

    #[test]
    fn texts_and_numbers_are_bounded() {
        let denials = Denials::new(0);
        denials.push(denial("a"));
        assert!(topics(&denials, &DenialFilter::default()).is_empty());
        let denials = Denials::new(1);
        denials.push(denial(&"ä".repeat(40_000)));
        let filter = DenialFilter {
            topic: Some("ä".repeat(40_000)),
            ..DenialFilter::default()
        };
        let topic = topics(&denials, &filter).remove(0);
        assert_eq!(topic.len(), 512 + '…'.len_utf8());
    }

    #[test]
    fn s95_what_is_cut_off_is_not_kept() {
        let denials = Denials::new(1);
        denials.push(Denial {
            clientid: Some("x".repeat(60_000)),
            ..denial(&"y".repeat(60_000))
        });
        let capacity = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
        let mut kept = Vec::new();
        for ring in &denials.rings {
            for (_, denial) in ring.lock().unwrap().iter() {
                kept.extend([&denial.clientid, &denial.topic].map(capacity));
            }
        }
        assert_eq!(kept.len(), 2);
        assert!(kept.iter().all(|bytes| *bytes <= WORDS * 2), "{kept:?}");
    }
}
