//! Which listener has which place. Workers, rules and rates know listeners by their places, which
//! never change while the server runs.

use config::{Config, Listener as Wanted};

use super::listeners::ListenError;

/// The listeners of this run by their places. One that has closed keeps its place, and what held when
/// it closed, for the clients that came by it.
#[derive(Clone)]
pub(crate) struct Places {
    entries: Vec<(Wanted, State)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// What a reload does with listeners.
pub(crate) struct Moves {
    /// All places as they are then.
    pub(crate) places: Places,
    /// The first place of those to open; they are the last ones.
    pub(crate) first_new: usize,
    /// Places to close.
    pub(crate) close: Vec<usize>,
}

impl Places {
    pub(crate) fn new(config: &Config) -> Self {
        let listeners = config.listeners.iter().cloned();
        Self {
            entries: listeners.map(|wanted| (wanted, State::Open)).collect(),
        }
    }

    /// `config` with its listeners in the order of their places, and those that have closed.
    pub(crate) fn apply(&self, config: &Config) -> Config {
        let entries = self.entries.iter();
        Config {
            listeners: entries.map(|(wanted, _)| wanted.clone()).collect(),
            ..config.clone()
        }
    }

    /// Whether somebody can come in at a place.
    pub(crate) fn is_open(&self, place: usize) -> bool {
        let entry = self.entries.get(place);
        entry.is_some_and(|(_, state)| *state == State::Open)
    }

    /// The listener at a place.
    pub(crate) fn at(&self, place: usize) -> Option<&Wanted> {
        self.entries.get(place).map(|(wanted, _)| wanted)
    }

    /// Those from a place on.
    pub(crate) fn from(&self, place: usize) -> impl Iterator<Item = &Wanted> {
        self.entries.iter().skip(place).map(|(wanted, _)| wanted)
    }

    /// What is to be done to have the listeners of `config`.
    ///
    /// # Errors
    /// It cannot be done without a restart.
    pub(crate) fn moves(&self, config: &Config) -> Result<Moves, ListenError> {
        let mut places = self.clone();
        let (mut close, mut staying) = (Vec::new(), Vec::new());
        for (place, (wanted, state)) in places.entries.iter_mut().enumerate() {
            if *state == State::Closed {
                continue;
            }
            let next = config.listeners.iter().find(|one| one.name == wanted.name);
            match next {
                Some(next) => {
                    wanted.clone_from(next);
                    staying.push(next.name.clone());
                }
                None => {
                    *state = State::Closed;
                    close.push(place);
                }
            }
        }
        let first_new = places.entries.len();
        for wanted in &config.listeners {
            if staying.contains(&wanted.name) {
                continue;
            }
            if wanted.durability.is_some() {
                let what = "a new listener with a durability of its own waits for a restart";
                return Err(ListenError::Unsupported(wanted.address.clone(), what));
            }
            let closing = close.iter().filter_map(|place| self.at(*place));
            let at_address = |one: &&Wanted| overlap(one, wanted);
            if let Some(other) = closing.into_iter().find(at_address) {
                let (address, name) = (wanted.address.clone(), other.name.clone());
                return Err(ListenError::StillOpen(address, name));
            }
            places.entries.push((wanted.clone(), State::Open));
        }
        Ok(Moves {
            places,
            first_new,
            close,
        })
    }
}

/// Whether two listeners cannot be open at a time.
fn overlap(one: &Wanted, other: &Wanted) -> bool {
    let is_udp = |listener: &Wanted| listener.protocol == config::Protocol::Quic;
    // Whoever asks for port 0 gets another one each time.
    let is_any = matches!(&one.address, config::Address::Ip(address) if address.port() == 0);
    one.address == other.address && is_udp(one) == is_udp(other) && !is_any
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn listener(port: u16) -> Wanted {
        let mut listener = Wanted::new(SocketAddr::from(([127, 0, 0, 1], port)));
        listener.name = format!("l{port}");
        listener
    }

    fn with(ports: &[u16]) -> Config {
        Config {
            listeners: ports.iter().copied().map(listener).collect(),
            ..Config::default()
        }
    }

    fn names(places: &Places) -> Vec<String> {
        let placed = places.apply(&Config::default());
        placed.listeners.into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn a_place_is_for_ever() {
        let places = Places::new(&with(&[1, 2]));
        let moves = places.moves(&with(&[3, 2])).expect("it can be done");
        assert_eq!((moves.first_new, &*moves.close), (2, &[0][..]));
        assert_eq!(names(&moves.places), ["l1", "l2", "l3"]);
        let back = moves.places.moves(&with(&[1, 2, 3])).expect("it can be");
        assert_eq!((back.first_new, back.close.len()), (3, 0));
        assert_eq!(names(&back.places), ["l1", "l2", "l3", "l1"]);
        let again = back.places.moves(&with(&[1, 2, 3])).expect("it can be");
        assert_eq!((again.first_new, again.close.len()), (4, 0));
    }

    #[test]
    fn what_changes_in_a_listener_changes_at_its_place() {
        let places = Places::new(&with(&[1, 2]));
        let mut next = with(&[2, 1]);
        next.listeners[0].connections = Some(7);
        let moves = places.moves(&next).expect("it can be done");
        let at = |place: usize| moves.places.at(place).and_then(|it| it.connections);
        assert_eq!((at(0), at(1)), (None, Some(7)));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let places = Places::new(&with(&[1]));
        let mut renamed = with(&[1]);
        renamed.listeners[0].name = "other".into();
        let told = places.moves(&renamed).err().map(|error| error.to_string());
        assert!(told.is_some_and(|told| told.contains("listener l1 is")));
        renamed.listeners[0].protocol = config::Protocol::Quic;
        assert!(places.moves(&renamed).is_ok(), "UDP is another port");
        let any = |name: &str| {
            let mut config = with(&[0]);
            config.listeners[0].name = name.into();
            config
        };
        assert!(Places::new(&any("a")).moves(&any("b")).is_ok());
        let mut durable = with(&[1, 2]);
        durable.listeners[1].durability = Some(types::Durability::Disk);
        let told = places.moves(&durable).err().map(|error| error.to_string());
        assert!(told.is_some_and(|told| told.contains("waits for a restart")));
    }
}
