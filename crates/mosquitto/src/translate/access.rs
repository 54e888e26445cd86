//! Who may come in, and what he may do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{
    Authentication, ByCertificate, Granted, Method, Passwords, Permission, Place, Rule, RuleAction,
    UserFrom,
};

use super::Work;
use super::doors::Door;
use crate::Weight;
use crate::acl::read_acl;
use crate::gather::Server;

impl Work<'_> {
    pub(super) fn access(&mut self, doors: &[Door], server: &Server) {
        if server.has_no_retained {
            self.add_rule(
                Rule {
                    permission: Permission::Deny,
                    action: RuleAction::Publish,
                    retain: Some(true),
                    source: "retain_available false".into(),
                    ..Rule::default()
                },
                &Place::Default,
            );
        }
        self.anonymous(doors);
        self.passwords(doors);
        self.certificates(doors);
        self.unknown(doors);
        self.rules(doors);
    }

    /// Who may come in without a name.
    fn anonymous(&mut self, doors: &[Door]) {
        for door in doors {
            let said = door.security.anonymous.as_ref().map(|(flag, _)| *flag);
            let mut admits = said.unwrap_or_default() && door.user_from.is_none();
            if door.security.is_dynamic.is_some() {
                admits = false;
            }
            for listener in &mut self.config.listeners {
                if door.names.contains(&listener.name) {
                    listener.allow_anonymous = Some(admits);
                }
            }
        }
    }

    /// The files of names and passwords, each for its listeners.
    fn passwords(&mut self, doors: &[Door]) {
        let mut files: BTreeMap<PathBuf, (Place, Vec<String>)> = BTreeMap::new();
        for door in doors.iter().filter(|door| door.user_from.is_none()) {
            if let Some((file, place)) = &door.security.password_file {
                let known = files.entry(self.path(file));
                let (_, names) = known.or_insert_with(|| (place.clone(), Vec::new()));
                names.extend(door.names.iter().cloned());
            }
        }
        for (file, (place, names)) in files {
            let method = Method::Passwords(Passwords { file });
            self.ask(method, &place, names);
        }
    }

    /// What in a certificate is the user's name.
    fn certificates(&mut self, doors: &[Door]) {
        for from in [UserFrom::CommonName, UserFrom::Subject] {
            let mut these = doors
                .iter()
                .filter(|door| door.user_from == Some(from))
                .peekable();
            let Some(place) = these.peek().map(|door| door.place.clone()) else {
                continue;
            };
            let names = these.flat_map(|door| door.names.clone()).collect();
            let method = Method::Certificate(ByCertificate { user_from: from });
            self.ask(method, &place, names);
        }
    }

    /// Listeners that nobody can come in by: as with Mosquitto, but users can be made.
    fn unknown(&mut self, doors: &[Door]) {
        let is_shut = |door: &&Door| {
            let anonymous = door
                .security
                .anonymous
                .as_ref()
                .is_some_and(|(flag, _)| *flag);
            let asks = door.user_from.is_some() || door.security.password_file.is_some();
            door.security.is_dynamic.is_some() || !(anonymous || asks)
        };
        let shut: Vec<&Door> = doors.iter().filter(is_shut).collect();
        let Some(place) = shut.first().map(|door| door.place.clone()) else {
            return;
        };
        for door in shut
            .iter()
            .filter(|door| door.security.is_dynamic.is_none())
        {
            let text = format!(
                "nobody can connect by {}: allow_anonymous is false (its default once a listener is \
                 defined) and there is no password_file; make users with `nightjar user`, name a \
                 password_file, or say allow_anonymous true",
                door.names.join(", ")
            );
            self.note(Some(&door.place), Weight::Differs, text);
        }
        let names = shut.iter().flat_map(|door| door.names.clone()).collect();
        self.ask(Method::Database, &place, names);
    }

    fn ask(&mut self, method: Method, place: &Place, listeners: Vec<String>) {
        let name = method.as_str();
        let same = |one: &&Authentication| one.method.as_str() == name;
        let before = self.config.authentication.iter().filter(same).count();
        let name = match before {
            0 => name.to_owned(),
            count => format!("{name}-{}", count.saturating_add(1)),
        };
        let is_for_all = listeners.len() == self.config.listeners.len();
        self.places.note_entry("authentication", place.clone(), &[]);
        self.config.authentication.push(Authentication {
            method,
            name,
            listeners: match is_for_all {
                true => Vec::new(),
                false => listeners,
            },
            ..Authentication::default()
        });
    }

    /// Rules, and what holds without one.
    fn rules(&mut self, doors: &[Door]) {
        let mut files: BTreeMap<PathBuf, (Place, Vec<String>)> = BTreeMap::new();
        let mut open: Vec<String> = Vec::new();
        let mut is_closed = false;
        for door in doors {
            match (&door.security.acl_file, &door.security.is_dynamic) {
                (Some((file, place)), _) => {
                    let known = files.entry(self.path(file));
                    let (_, names) = known.or_insert_with(|| (place.clone(), Vec::new()));
                    names.extend(door.names.iter().cloned());
                }
                (None, Some(_)) => is_closed = true,
                (None, None) => open.extend(door.names.iter().cloned()),
            }
        }
        if is_closed {
            // The plugin looks at filters as a whole, where an acl_file looks at messages alone.
            self.config.access.granted = Granted::Covered;
        }
        if is_closed {
            self.orders(files.is_empty() && open.is_empty());
        }
        if is_closed && !files.is_empty() {
            let text = "acl_file beside dynamic_security: a subscription that no line allows is \
                        denied, where Mosquitto grants it and delivers nothing";
            self.note(None, Weight::Differs, text.to_owned());
        }
        let is_one = files.len() == 1 && open.is_empty() && !is_closed;
        let without_acl = files.is_empty() && !is_closed;
        for (file, (place, names)) in files {
            match read_acl(&file) {
                Ok(rules) => {
                    if doors.iter().any(|door| door.believes_names(&names)) {
                        self.unchecked(&rules, &file, &place);
                    }
                    for mut rule in rules {
                        if !is_one {
                            rule.listeners.clone_from(&names);
                        }
                        self.add_rule(rule, &place);
                    }
                }
                Err(mut errors) => self.errors.append(&mut errors),
            }
        }
        self.config.access.no_match = Some(match without_acl {
            true => Permission::Allow,
            false => Permission::Deny,
        });
        if open.is_empty() {
            return;
        }
        let listeners = match without_acl {
            true => Vec::new(),
            false => open.clone(),
        };
        let sys = open_rule(RuleAction::Subscribe, "$SYS/#", &listeners);
        self.add_rule(sys, &Place::Default);
        if !without_acl {
            let all = open_rule(RuleAction::All, "#", &listeners);
            self.add_rule(all, &Place::Default);
        }
        let text = format!(
            "no acl_file for {}: whoever is in may publish and subscribe to everything, and read \
             $SYS; topics that begin with $ are the server's own and cannot be published to",
            open.join(", ")
        );
        self.note(None, Weight::Same, text);
    }

    /// Whether `mosquitto_ctrl` is answered: where others have a say in who may do what, one of them
    /// could open it by mistake. `is_alone`: the plugin is for all listeners, without an `acl_file`.
    fn orders(&mut self, is_alone: bool) {
        self.config.dynamic_security.enabled = is_alone;
        let (weight, text) = match is_alone {
            true => (
                Weight::Same,
                "dynamic_security: mosquitto_ctrl is answered, for users whose roles allow it",
            ),
            false => (
                Weight::Differs,
                "dynamic_security is not for all listeners, or beside an acl_file: \
                 mosquitto_ctrl is not answered; use `nightjar user`, `group` and `role`, or \
                 `dynamic_security.enabled` in a nightjar.toml",
            ),
        };
        self.note(None, weight, text.to_owned());
    }

    /// Lines about users, of a file for a listener that checks no names.
    fn unchecked(&mut self, rules: &[Rule], file: &Path, place: &Place) {
        let is_named = |rule: &&Rule| {
            let mut topics = rule.topics.iter();
            !rule.users.is_empty() || topics.any(|topic| topic.contains("${username}"))
        };
        let (denies, allows): (Vec<&Rule>, Vec<&Rule>) = rules
            .iter()
            .filter(is_named)
            .partition(|rule| rule.permission == Permission::Deny);
        let lines = |rules: &[&Rule]| {
            let some = rules.iter().take(20).map(|rule| rule.source.as_str());
            let more = match rules.len() > 20 {
                true => ", ...",
                false => "",
            };
            format!("{}{more}", some.collect::<Vec<_>>().join(", "))
        };
        let file = file.display();
        if !denies.is_empty() {
            let denies = lines(&denies);
            let message = format!(
                "acl_file: {denies} of {file} deny something to users, and a listener that it is \
                 for checks no names: they would hold for nobody; name a password_file"
            );
            self.wrong(place, message);
        }
        if !allows.is_empty() {
            let allows = lines(&allows);
            let text = format!(
                "acl_file: {allows} of {file} hold for nobody who comes by a listener without \
                 password_file: whoever comes there is anonymous, whatever name he gives, and has \
                 the lines before the first `user`; Mosquitto believes the name"
            );
            self.note(Some(place), Weight::Differs, text);
        }
    }

    fn add_rule(&mut self, rule: Rule, place: &Place) {
        self.places.note_entry("rule", place.clone(), &[]);
        self.config.rules.push(rule);
    }
}

/// What clients of listeners without an `acl_file` may do.
fn open_rule(action: RuleAction, topic: &str, listeners: &[String]) -> Rule {
    Rule {
        permission: Permission::Allow,
        action,
        topics: vec![topic.to_owned()],
        listeners: listeners.to_vec(),
        source: "mosquitto.conf without acl_file".into(),
        ..Rule::default()
    }
}

impl Door {
    /// Whether a client may say any name by one of these listeners, and nobody checks it.
    fn believes_names(&self, names: &[String]) -> bool {
        let security = &self.security;
        let is_anonymous = security.anonymous.as_ref().is_some_and(|(flag, _)| *flag);
        let checks = self.user_from.is_some()
            || security.password_file.is_some()
            || security.is_dynamic.is_some();
        is_anonymous && !checks && self.names.iter().any(|name| names.contains(name))
    }
}
