//! Admissions that are remembered, if settings say so.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ring::hmac;
use ring::rand::SystemRandom;
use types::Certificate;

use super::Purge;
use crate::Problem;
use crate::question::{Known, Purpose, Question};

/// Who was admitted lately. What was shown, passwords included, is kept as a keyed hash only, and
/// the key is another one at each start.
#[derive(Debug)]
pub(crate) struct Cache {
    key: hmac::Key,
    lasts: Duration,
    entries: HashMap<Digest, Entry>,
    /// In the order in which they end.
    order: VecDeque<(Instant, Digest)>,
    purges: u64,
    /// Of what the provider knows.
    version: u64,
}

/// What a cache was when a question was asked: what is learned of an answer that comes after a
/// purge may be what was to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(u64);

type Digest = [u8; 32];

#[derive(Debug)]
struct Entry {
    since: Instant,
    client_id: Box<str>,
    known: Known,
}

impl Cache {
    pub(crate) fn new(lasts: Duration) -> Result<Self, Problem> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| Problem::new("the system gives no random numbers"))?;
        Ok(Self {
            key,
            lasts,
            entries: HashMap::new(),
            order: VecDeque::new(),
            purges: 0,
            version: 0,
        })
    }

    /// Forgets all if the provider knows something else than before (S61).
    pub(crate) fn keep_to(&mut self, version: u64) {
        if std::mem::replace(&mut self.version, version) != version {
            self.purge(&Purge::All);
        }
    }

    /// Who asks this was admitted lately, and that holds. A question about a client that is in is
    /// never answered from here: it is asked because the answer may be another one now.
    pub(crate) fn find(&self, question: &Question, now: Instant) -> Option<Known> {
        if question.purpose != Purpose::Admit {
            return None;
        }
        let entry = self.entries.get(&self.digest(question))?;
        let age = now.saturating_duration_since(entry.since);
        if age >= self.lasts {
            return None;
        }
        let mut known = entry.known.clone();
        if let Some(valid_for) = known.valid_for {
            known.valid_for = Some(valid_for.checked_sub(age).filter(|it| !it.is_zero())?);
        }
        Some(known)
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen(self.purges)
    }

    /// Remembers a client that was let in. A refresh shows no password: its yes would let in who
    /// shows none either (S62).
    pub(crate) fn insert(&mut self, question: &Question, known: Known, seen: Seen, now: Instant) {
        if question.purpose != Purpose::Admit || seen != self.seen() {
            return;
        }
        let ends = now.checked_add(self.lasts).unwrap_or(now);
        while let Some(&(end, digest)) = self.order.front() {
            if end > now && self.order.len() < MOST {
                break;
            }
            self.order.pop_front();
            // It may have been remembered again since.
            let is_old = |it: &Entry| it.since.checked_add(self.lasts) == Some(end);
            if self.entries.get(&digest).is_some_and(is_old) {
                self.entries.remove(&digest);
            }
        }
        let digest = self.digest(question);
        let entry = Entry {
            since: now,
            client_id: question.client_id.clone(),
            known,
        };
        self.entries.insert(digest, entry);
        self.order.push_back((ends, digest));
    }

    /// Forgets those that are meant; how many.
    pub(crate) fn purge(&mut self, purge: &Purge<'_>) -> usize {
        self.purges = self.purges.wrapping_add(1);
        let before = self.entries.len();
        self.entries.retain(|_, entry| match purge {
            Purge::All => false,
            Purge::User(user) => entry.known.user.as_deref() != Some(user),
            Purge::Client(client) => *entry.client_id != **client,
        });
        if self.entries.is_empty() {
            self.order.clear();
        }
        before.saturating_sub(self.entries.len())
    }

    /// All that a provider could have looked at. Each part comes with its length, so that no two
    /// questions look the same.
    fn digest(&self, question: &Question) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        let mut add = |part: Option<&[u8]>| {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            context.update(&length.to_le_bytes());
            context.update(part.unwrap_or_default());
        };
        let purpose: &[u8] = match question.purpose {
            Purpose::Admit => b"admit",
            Purpose::Refresh => b"refresh",
        };
        add(Some(purpose));
        add(Some(question.client_id.as_bytes()));
        add(question.username.as_deref().map(str::as_bytes));
        add(question.password.as_ref().map(|it| it.reveal()));
        add(question
            .peer
            .ip()
            .map(|it| it.to_string())
            .as_deref()
            .map(str::as_bytes));
        add(Some(&question.listener.to_le_bytes()));
        add_certificate(&mut add, question.certificate.as_deref());
        let mut digest = Digest::default();
        for (to, from) in digest.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        digest
    }
}

/// All of a certificate. The fingerprint alone would not do: what a PROXY header says of one has
/// none, and may have a name only.
fn add_certificate(add: &mut impl FnMut(Option<&[u8]>), certificate: Option<&Certificate>) {
    let Some(certificate) = certificate else {
        return add(None);
    };
    let Certificate {
        common_names,
        subject,
        issuer,
        dns_names,
        uris,
        emails,
        serial,
        fingerprint,
        not_after,
    } = certificate;
    for text in [subject, issuer, serial, fingerprint] {
        add(Some(text.as_bytes()));
    }
    add(Some(&not_after.to_le_bytes()));
    for list in [common_names, dns_names, uris, emails] {
        add(Some(&list.len().to_le_bytes()));
        for name in list {
            add(Some(name.as_bytes()));
        }
    }
}

/// Admissions that one provider remembers.
const MOST: usize = 16_384;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::question::tests::question;

    fn cache() -> Cache {
        Cache::new(Duration::from_secs(10)).unwrap()
    }

    fn insert(cache: &mut Cache, question: &Question, known: Known, now: Instant) {
        cache.insert(question, known, cache.seen(), now);
    }

    #[test]
    fn s61_everything_that_was_shown_counts() {
        let mut cache = cache();
        let now = Instant::now();
        insert(&mut cache, &question("c", "u", "p"), Known::user("u"), now);
        let find = |question: &Question| cache.find(question, now).is_some();
        assert!(find(&question("c", "u", "p")));
        for other in [
            question("d", "u", "p"),
            question("c", "v", "p"),
            question("c", "u", "q"),
            question("cu", "", "p"),
            question("c", "up", ""),
        ] {
            assert!(!find(&other), "{other:?}");
        }
        let mut elsewhere = question("c", "u", "p");
        elsewhere.listener = 1;
        assert!(!find(&elsewhere));
        let mut nameless = question("c", "", "p");
        nameless.username = None;
        insert(&mut cache, &nameless, Known::default(), now);
        assert!(cache.find(&question("c", "", "p"), now).is_none());
    }

    #[test]
    fn s62_a_refresh_is_neither_remembered_nor_answered() {
        let mut cache = cache();
        let now = Instant::now();
        let mut refresh = question("c", "u", "");
        refresh.purpose = Purpose::Refresh;
        refresh.password = None;
        let mut connect = question("c", "u", "");
        connect.password = None;
        insert(&mut cache, &refresh, Known::user("u"), now);
        assert!(cache.find(&connect, now).is_none());
        insert(&mut cache, &connect, Known::user("u"), now);
        assert!(cache.find(&connect, now).is_some());
        assert!(cache.find(&refresh, now).is_none());
    }

    #[test]
    fn s61_each_part_of_a_certificate_counts() {
        let mut cache = cache();
        let now = Instant::now();
        let mut asked = question("c", "u", "p");
        let mut with = |certificate: Certificate| {
            asked.certificate = Some(Arc::new(certificate));
            let found = cache.find(&asked, now).is_some();
            insert(&mut cache, &asked, Known::user("u"), now);
            found
        };
        let name = |name: &str| Certificate {
            common_names: vec![name.into()],
            ..Certificate::default()
        };
        // As a PROXY header has them: a name, and nothing else.
        assert!(!with(name("ann")));
        assert!(!with(name("bob")));
        let others = [
            Certificate::default(),
            Certificate {
                common_names: vec!["ann".into(), "bob".into()],
                ..Certificate::default()
            },
            Certificate {
                dns_names: vec!["ann".into()],
                ..Certificate::default()
            },
            Certificate {
                subject: "CN=ann".into(),
                ..name("ann")
            },
            Certificate {
                fingerprint: "ab12".into(),
                ..name("ann")
            },
        ];
        for other in others {
            assert!(!with(other.clone()), "{other:?}");
        }
        assert!(with(name("ann")));
    }

    #[test]
    fn s61_what_is_remembered_ends() {
        let mut cache = cache();
        let now = Instant::now();
        let known = Known {
            valid_for: Some(Duration::from_secs(4)),
            ..Known::user("u")
        };
        insert(&mut cache, &question("c", "u", "p"), known, now);
        insert(&mut cache, &question("d", "u", "p"), Known::user("u"), now);
        let at = |seconds| now + Duration::from_secs(seconds);
        let found = cache.find(&question("c", "u", "p"), at(3)).unwrap();
        assert_eq!(found.valid_for, Some(Duration::from_secs(1)));
        assert!(cache.find(&question("c", "u", "p"), at(4)).is_none());
        assert!(cache.find(&question("d", "u", "p"), at(9)).is_some());
        assert!(cache.find(&question("d", "u", "p"), at(10)).is_none());
        insert(
            &mut cache,
            &question("e", "u", "p"),
            Known::user("u"),
            at(10),
        );
        assert_eq!((cache.entries.len(), cache.order.len()), (1, 1));
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = cache();
        let now = Instant::now();
        for number in 0..MOST + 5 {
            let question = question(&number.to_string(), "u", "p");
            insert(&mut cache, &question, Known::user("u"), now);
        }
        assert_eq!((cache.entries.len(), cache.order.len()), (MOST, MOST));
        assert!(cache.find(&question("0", "u", "p"), now).is_none());
        for _ in 0..MOST {
            insert(
                &mut cache,
                &question("same", "u", "p"),
                Known::user("u"),
                now,
            );
        }
        assert!(cache.find(&question("same", "u", "p"), now).is_some());
        assert!(cache.order.len() <= MOST);
    }

    #[test]
    fn s61_a_purge_forgets_who_is_meant() {
        let mut cache = cache();
        let now = Instant::now();
        for (client, user) in [("a", "u"), ("b", "u"), ("c", "v")] {
            insert(
                &mut cache,
                &question(client, user, "p"),
                Known::user(user),
                now,
            );
        }
        assert_eq!(cache.purge(&Purge::Client("a")), 1);
        assert_eq!(cache.purge(&Purge::User("u")), 1);
        assert!(cache.find(&question("c", "v", "p"), now).is_some());
        let seen = cache.seen();
        assert_eq!(cache.purge(&Purge::All), 1);
        cache.insert(&question("c", "v", "p"), Known::user("v"), seen, now);
        let late = "an answer from before the purge";
        assert!(
            cache.find(&question("c", "v", "p"), now).is_none(),
            "{late}"
        );
    }
}
