//! Bridges to other servers, as the API shows them.

use std::time::{Duration, SystemTime};

use admin::server::bridges::{BridgeDrops, BridgeError};
use admin::server::{Bridge, BridgeOrder, Bridges};
use admin::{Failure, Record, Stamp};
use bridge::{Dropped, Phase, View};
use config::Config;

use super::Steer;
use super::lookout::Away;

impl Bridges for Steer {
    fn bridges(&self) -> Vec<Bridge> {
        let config = self.config();
        let views = self.bridges.list().into_iter();
        views.map(|view| shown(&view, &config)).collect()
    }

    fn order(&self, name: &str, order: BridgeOrder, record: &Record) -> Result<(), Failure> {
        let missing = || Failure::NotFound(format!("there is no bridge {name}"));
        let all = self.bridges.list();
        if !all.iter().any(|view| view.settings.name == name) {
            return Err(missing());
        }
        record.acted()?;
        let found = match order {
            BridgeOrder::Restart => self.bridges.restart(name),
            BridgeOrder::Enable => self.bridges.enable(name),
            BridgeOrder::Disable => self.bridges.disable(name),
        };
        // The configuration was read again in between.
        found.then_some(()).ok_or_else(missing)
    }
}

fn shown(view: &View, config: &Config) -> Bridge {
    let (settings, figures) = (&*view.settings, &*view.figures);
    let status = figures.status();
    let is_connected = status.phase == Phase::Connected;
    let configured = config.bridges.iter().find(|one| one.name == settings.name);
    let (messages_out, bytes_out) = figures.out();
    let (messages_in, bytes_in) = figures.came();
    let (inflight_out, inflight_in) = figures.inflight();
    Bridge {
        name: settings.name.clone(),
        state: status.phase.as_str().into(),
        since: Stamp::from(status.since),
        enabled: view.enabled,
        connected_at: is_connected.then(|| Stamp::from(status.since)),
        down_since: status.down_since.map(Stamp::from),
        addresses: settings.addresses.iter().map(ToString::to_string).collect(),
        address: status.address,
        remote_clientid: settings.client_id.clone(),
        local_clientid: settings.local_client_id.clone(),
        user: configured.and_then(|one| one.user.clone()),
        last_error: status.error.map(|(message, at)| BridgeError {
            message,
            at: Stamp::from(at),
        }),
        messages_out,
        bytes_out,
        messages_in,
        bytes_in,
        inflight_out,
        inflight_in,
        lag: figures.waiting(),
        // The first is no other.
        reconnects: figures.connects().saturating_sub(1),
        failures: figures.failures(),
        dropped: Dropped::ALL
            .map(|reason| BridgeDrops {
                reason: reason.as_str().into(),
                count: figures.dropped(reason),
            })
            .into(),
    }
}

impl Steer {
    /// Bridges that have been without a connection for longer than they may be.
    pub(super) fn bridges_away(&self) -> Vec<Away> {
        let config = self.config();
        let views = self.bridges.list().into_iter();
        let away = views.filter_map(|view| {
            let mut all = config.bridges.iter();
            let most = all.find(|one| one.name == view.settings.name)?.alarm_after;
            let status = view.figures.status();
            let since = status.down_since?;
            // A clock that was set back says nothing.
            let away = SystemTime::now().duration_since(since);
            (away.unwrap_or(Duration::ZERO) >= most).then(|| Away {
                name: view.settings.name.clone(),
                most,
                why: status.error.map(|(words, _)| words),
            })
        });
        away.collect()
    }
}
