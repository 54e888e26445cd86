//! Plugins: those of Mosquitto itself that stand for options are known, others cannot be honoured.

use config::{ConfigError, Place};

use super::{Gathered, Security, Taken};
use crate::Weight;
use crate::read::Line;

/// A plugin, as far as it is known.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// What `plugin_use` calls it.
    name: Option<String>,
    kind: Kind,
    place: Place,
    /// The file that an option of it names.
    file: Option<(String, Place)>,
    /// Whom it is for.
    targets: Vec<Target>,
}

/// The plugins that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Acl,
    Passwords,
    DynamicSecurity,
    Persistence,
}

/// Whom a plugin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Server,
    Listener(usize),
}

impl Gathered {
    pub(super) fn take_plugin(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        match &*line.name {
            "plugin" | "auth_plugin" | "global_plugin" => {
                let target = match self.server.is_per_listener && line.name != "global_plugin" {
                    true => self.target(line)?,
                    false => Target::Server,
                };
                return self.load(line, None, line.text()?, vec![target]);
            }
            "plugin_load" => {
                let (name, path) = line.text()?.split_once(' ').unwrap_or_default();
                let name = Some(name.to_owned());
                return self.load(line, name, path.trim(), Vec::new());
            }
            "plugin_use" => {
                let name = line.text()?;
                let target = self.target(line)?;
                let mut known = self.plugins.iter_mut();
                let found = known.find(|plugin| plugin.name.as_deref() == Some(name));
                let plugin = found.ok_or_else(|| {
                    let shown = crate::value::shown(name);
                    line.wrong(format!("no plugin {shown} was loaded above it"))
                })?;
                plugin.targets.push(target);
            }
            _ => {
                let plugin = self.plugins.last_mut();
                let plugin = plugin.ok_or_else(|| line.wrong("there is no plugin above it"))?;
                let option = line.name.strip_prefix("auth_opt_");
                let option = option.or(line.name.strip_prefix("plugin_opt_"));
                let file = match (plugin.kind, option) {
                    (Kind::Acl, Some("acl_file"))
                    | (Kind::Passwords, Some("password_file"))
                    | (Kind::DynamicSecurity, Some("config_file")) => line.text()?,
                    // Of what is not honoured as a whole.
                    (Kind::DynamicSecurity | Kind::Persistence, _) | (_, None) => {
                        return Ok(Taken::Yes);
                    }
                    _ => return Err(line.wrong("the plugin has no such option")),
                };
                if plugin.file.is_some() {
                    return Err(line.wrong("is said twice of one plugin; leave one of them"));
                }
                plugin.file = Some((file.to_owned(), line.place.clone()));
            }
        }
        Ok(Taken::Yes)
    }

    /// The listener that a line is about.
    fn target(&mut self, line: &Line) -> Result<Target, ConfigError> {
        self.listener(line)?;
        Ok(Target::Listener(line.listener))
    }

    fn load(
        &mut self,
        line: &Line,
        name: Option<String>,
        path: &str,
        targets: Vec<Target>,
    ) -> Result<Taken, ConfigError> {
        let file = path.rsplit('/').next().unwrap_or(path);
        let is = |word: &str| file.starts_with("mosquitto_") && file.contains(word);
        let kind = if is("acl_file") {
            Kind::Acl
        } else if is("password_file") {
            Kind::Passwords
        } else if is("dynamic_security") {
            Kind::DynamicSecurity
        } else if is("persist_sqlite") {
            Kind::Persistence
        } else {
            return Ok(Taken::No);
        };
        self.plugins.push(Plugin {
            name,
            kind,
            place: line.place.clone(),
            file: None,
            targets,
        });
        Ok(Taken::Yes)
    }

    /// Makes options of the plugins that stand for some.
    pub(super) fn settle_plugins(&mut self) {
        for plugin in std::mem::take(&mut self.plugins) {
            let place = plugin.place.clone();
            if let Err(message) = self.is_used(&plugin) {
                self.errors.push(ConfigError {
                    place,
                    message: message.into(),
                });
                continue;
            }
            match plugin.kind {
                Kind::Persistence => {
                    self.server.is_persistent = Some(true);
                    self.server.places.push(("store.durability", place));
                    continue;
                }
                Kind::Acl | Kind::Passwords if plugin.file.is_none() => {
                    self.errors.push(ConfigError {
                        place,
                        message: "the plugin's file is not named: plugin_opt_acl_file or \
                                  plugin_opt_password_file is missing"
                            .into(),
                    });
                    continue;
                }
                Kind::DynamicSecurity => {
                    let file = plugin.file.as_ref().map(|(file, _)| file.as_str());
                    self.notes.push(crate::Note {
                        place: Some(place),
                        weight: Weight::Differs,
                        text: format!(
                            "dynamic_security: its file is not read at a start; bring its users, \
                             groups and roles along once, before the first start: `nightjar migrate \
                             --from-dynsec {} --config mosquitto.conf` with this file. Until \
                             then nobody is let in, and nobody may do anything without a role",
                            file.unwrap_or("dynamic-security.json")
                        ),
                    });
                }
                Kind::Acl | Kind::Passwords => {}
            }
            for target in &plugin.targets {
                let security = match target {
                    Target::Server => Some(&mut self.security),
                    Target::Listener(at) => {
                        self.listeners.get_mut(*at).map(|one| &mut one.security)
                    }
                };
                if let Some(Err(error)) = security.map(|security| plugin.put(security)) {
                    self.errors.push(error);
                }
            }
        }
    }

    /// Whether it is for somebody who is there: what nobody uses would protect nothing.
    fn is_used(&self, plugin: &Plugin) -> Result<(), &'static str> {
        let is_open = |target: &Target| match target {
            Target::Server => true,
            Target::Listener(at) => self
                .listeners
                .get(*at)
                .is_some_and(|one| one.place.is_some()),
        };
        match (
            plugin.targets.is_empty(),
            plugin.targets.iter().all(is_open),
        ) {
            (true, _) => Err(
                "the plugin is loaded and no plugin_use names it; put plugin_use \
                              below the listeners that it is for",
            ),
            (false, false) => Err(
                "the plugin is for a listener that is not defined: put it below \
                                   its `listener`, or write global_plugin for all of them",
            ),
            (false, true) => Ok(()),
        }
    }
}

impl Plugin {
    /// # Errors
    /// There is one already, and only one could hold.
    fn put(&self, security: &mut Security) -> Result<(), ConfigError> {
        let place = match self.kind {
            Kind::Acl => &mut security.acl_file,
            Kind::Passwords => &mut security.password_file,
            Kind::DynamicSecurity => {
                security.is_dynamic = Some(self.place.clone());
                return Ok(());
            }
            Kind::Persistence => return Ok(()),
        };
        if place.is_some() && *place != self.file {
            return Err(ConfigError {
                place: self.place.clone(),
                message: "there is another file for the same thing, and only one could hold; put \
                          both into one"
                    .into(),
            });
        }
        place.clone_from(&self.file);
        Ok(())
    }
}
