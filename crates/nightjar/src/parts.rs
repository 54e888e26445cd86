//! What this build has: a smaller one lacks parts, and whoever asks for one of them hears that, with the
//! name of the Cargo feature that brings it. (Listeners and providers of a kind that is missing are
//! refused where they are made.)

use config::{Config, ConfigError, ConfigErrors, ControlSocket, Loaded, Place, Places, Told};

/// A part that a build may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Api,
    Acme,
    Tools,
}

impl Part {
    /// Whether this build has it.
    const fn is_here(self) -> bool {
        match self {
            Self::Api => cfg!(feature = "api"),
            Self::Acme => cfg!(feature = "acme"),
            Self::Tools => cfg!(feature = "tools"),
        }
    }

    /// That it is missing.
    fn is_missing(self) -> String {
        let (part, feature) = match self {
            Self::Api => ("the API", "api"),
            Self::Acme => ("ACME", "acme"),
            Self::Tools => ("tools", "tools"),
        };
        format!("this build of the server was made without {part} (Cargo feature `{feature}`)")
    }
}

/// Keys of the API's, by how they begin.
const OF_API: &[&str] = &[
    "alarms.",
    "audit.",
    "dashboard.",
    "dynamic_security.",
    "limits.denials",
    "limits.duplicate_takeovers",
    "limits.flapping_",
    "limits.timeline_events",
    "limits.watched_topics",
    "metrics.",
    "telemetry.",
];

/// Commands that ask or change a running server, and others that go with the API.
const COMMANDS_OF_API: &[&str] = &[
    "alarms",
    "audit",
    "backup",
    "ban",
    "bridges",
    "certificates",
    "clients",
    "config",
    "denials",
    "doctor",
    "drops",
    "explain",
    "group",
    "kick",
    "listeners",
    "log-level",
    "metrics",
    "overview",
    "purge",
    "restore",
    "retained",
    "role",
    "slow",
    "stats",
    "subscriptions",
    "timeline",
    "topics",
    "trace",
    "user",
];

/// Commands that go with the tools.
const TOOLS: &[&str] = &["bench", "completions", "man"];

/// A configuration as this build can serve it: what is on by itself and is not in it, is off.
///
/// # Errors
/// Something is asked for that this build lacks.
pub(crate) fn fitted(loaded: Loaded) -> Result<Loaded, ConfigErrors> {
    let parts = [Part::Api, Part::Acme, Part::Tools].into_iter();
    parts
        .filter(|part| !part.is_here())
        .try_fold(loaded, without)
}

fn without(mut loaded: Loaded, part: Part) -> Result<Loaded, ConfigErrors> {
    let asked = match part {
        Part::Api => asked_of_api(&loaded),
        Part::Acme => asked_of_acme(&loaded),
        Part::Tools => Vec::new(),
    };
    let error = |one: Told| ConfigError {
        message: format!("{}: {}", one.key, part.is_missing()),
        place: one.place,
    };
    if let Some(errors) = ConfigErrors::of(asked.into_iter().map(error).collect()) {
        return Err(errors);
    }
    if part == Part::Api {
        loaded.config.dashboard.enabled = false;
        loaded.config.control_socket = ControlSocket::Off;
    }
    Ok(loaded)
}

fn asked_of_acme(loaded: &Loaded) -> Vec<Told> {
    let mut told = loaded.config.told(&loaded.places);
    told.retain(|one| one.key.starts_with("certificate[") && one.key.ends_with("].acme"));
    told
}

fn asked_of_api(loaded: &Loaded) -> Vec<Told> {
    let config = &loaded.config;
    let usual = Config::default().told(&Places::default());
    let mut told = config.told(&loaded.places);
    told.retain(|one| {
        let is_said = one.place != Place::Default;
        let is_usual = || {
            let mut usual = usual.iter();
            usual.any(|usual| (&usual.key, &usual.value) == (&one.key, &one.value))
        };
        match &*one.key {
            "control_socket" => is_said && config.control_socket != ControlSocket::Off,
            "dashboard.enabled" => is_said && config.dashboard.enabled,
            key if key.starts_with("dashboard.") && !config.dashboard.enabled => false,
            key => OF_API.iter().any(|of_api| key.starts_with(of_api)) && !is_usual(),
        }
    });
    told
}

/// Why this build has no such command, if others have it.
pub(crate) fn lacks_command(name: &str) -> Option<String> {
    let of = [(Part::Api, COMMANDS_OF_API), (Part::Tools, TOOLS)];
    let of = of.into_iter().find(|(_, names)| names.contains(&name));
    let (part, _) = of.filter(|(part, _)| !part.is_here())?;
    Some(format!(
        "there is no command `{name}`: {}",
        part.is_missing()
    ))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use config::Sources;

    use super::*;

    fn refused(part: Part, text: &str) -> Vec<String> {
        let sources = Sources {
            file: Some(PathBuf::from("/n.toml")),
            ..Sources::default()
        };
        let loaded = Loaded::read_text(&sources, text).unwrap();
        match without(loaded, part) {
            Ok(loaded) => {
                let has_dashboard = loaded.config.dashboard.enabled;
                assert_eq!(has_dashboard, part != Part::Api);
                Vec::new()
            }
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_build_without_the_api_refuses_what_only_the_api_does() {
        for (text, key) in [
            ("control_socket = \"here.sock\"", "control_socket"),
            ("dashboard.enabled = true", "dashboard.enabled"),
            ("dashboard.address = \"[::1]:1\"", "dashboard.address"),
            ("metrics.listen = \"[::1]:1\"", "metrics.listen"),
            ("telemetry.endpoint = \"http://c\"", "telemetry.endpoint"),
            ("alarms.disk_percent = 50", "alarms.disk_percent"),
            ("audit.keep = 2", "audit.keep"),
            ("limits.flapping_connects = 9", "limits.flapping_connects"),
        ] {
            let found = refused(Part::Api, text);
            let wanted = format!(": {key}: this build of the server was made without the API");
            assert!(
                matches!(&found[..], [one] if one.starts_with("/n.toml:1:") && one.contains(&wanted)),
                "{text}: {found:?}"
            );
        }
        // The lists are not made up.
        let known = Config::default().told(&Places::default());
        for beginning in OF_API.iter().filter(|it| !it.starts_with("telemetry")) {
            let is_known = known.iter().any(|one| one.key.starts_with(beginning));
            assert!(is_known, "{beginning}");
        }
    }

    #[test]
    fn a_build_without_the_api_takes_what_asks_nothing_of_it() {
        assert!(refused(Part::Api, "").is_empty());
        assert!(refused(Part::Api, "limits.connections = 7").is_empty());
        assert!(
            refused(
                Part::Api,
                "control_socket = \"\"\ndashboard.enabled = false"
            )
            .is_empty()
        );
        // What a build of this kind prints is taken by it again.
        let mut config = Config::default();
        config.dashboard.enabled = false;
        config.control_socket = ControlSocket::Off;
        assert!(refused(Part::Api, &config.to_toml()).is_empty());
    }

    #[test]
    fn a_build_without_acme_refuses_what_asks_an_authority() {
        let text = "[[certificate]]\nname = \"own\"\nacme = \"https://ca.example/directory\"\n\
                    domains = [\"example.org\"]\n";
        let found = refused(Part::Acme, text);
        let wanted = "/n.toml:3:8: certificate[own].acme: this build of the server was made \
                      without ACME (Cargo feature `acme`)";
        assert_eq!(found, [wanted]);
        let files = "[[certificate]]\nname = \"own\"\nchain = \"c\"\nkey = \"k\"\n";
        assert!(refused(Part::Acme, files).is_empty());
    }

    #[test]
    fn a_whole_build_lacks_no_command() {
        assert_eq!(lacks_command("user").is_none(), Part::Api.is_here());
        assert_eq!(lacks_command("bench").is_none(), Part::Tools.is_here());
        assert_eq!(lacks_command("usr"), None);
    }
}
