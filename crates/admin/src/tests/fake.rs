//! A server that has what it is told, and remembers what it was asked.

mod contents;
mod way;

use std::collections::BTreeMap;
use std::sync::{Mutex, mpsc};

use tokio::sync::Notify;

use super::figures::FakeFigures;
use crate::import::{ImportedPassword, ImportedUser};
use crate::server::explain::{Decision, ExplainedIdentity, Gets, Receiver};
use crate::server::status::State;
use crate::server::users::{Existing, Imported, UserFilter};
use crate::server::*;
use crate::{Alarms, Failure, Listed, Page, Piece, Record, Stamp};

#[derive(Default)]
pub(crate) struct Fake {
    pub(super) users: Mutex<BTreeMap<String, (User, String)>>,
    pub(super) groups: Mutex<BTreeMap<String, Group>>,
    pub(super) roles: Mutex<BTreeMap<String, Role>>,
    pub(super) bans: Mutex<BTreeMap<String, Ban>>,
    pub(super) kicked: Mutex<Vec<String>>,
    pub(super) purged: Mutex<Vec<Selector>>,
    /// Somebody is told when the slow client is asked for.
    pub(super) asked: Mutex<Option<mpsc::Sender<()>>>,
    /// The slow client answers then.
    pub(super) go: Notify,
    /// The tree of topics is let go then.
    pub(super) let_go: Mutex<Option<mpsc::Receiver<()>>>,
    pub(super) alarms: Alarms,
    pub(super) published: Mutex<Vec<Publication>>,
    pub(super) retained: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(super) subscribed: Mutex<Vec<(String, NewSubscription)>>,
    pub(super) figures: FakeFigures,
    pub(super) toml: Mutex<String>,
    pub(super) level: Mutex<tools::Level>,
    /// A copy does not end well.
    pub(super) breaks: std::sync::atomic::AtomicBool,
    pub(super) ordered: Mutex<Vec<(String, BridgeOrder)>>,
    pub(super) traces: Mutex<BTreeMap<String, Trace>>,
    pub(super) slow: Mutex<Vec<SlowSubscription>>,
}

fn none(what: &str) -> Failure {
    Failure::NotFound(format!("there is no such {what}"))
}

impl Server for Fake {
    fn status(&self) -> Status {
        Status {
            version: "1.2.3".into(),
            state: State::Running,
            started_at: Stamp::from_millis(0),
            uptime: 1,
            workers: 2,
            connections: 3,
            sessions: 4,
            alarms: Vec::new(),
        }
    }

    fn store(&self) -> Store {
        Store {
            durability: "disk".into(),
            ..Store::default()
        }
    }

    fn users(&self) -> &dyn Users {
        self
    }

    fn roles(&self) -> &dyn Roles {
        self
    }

    fn bans(&self) -> &dyn Bans {
        self
    }

    fn clients(&self) -> &dyn Clients {
        self
    }

    fn subscriptions(&self) -> &dyn Subscriptions {
        self
    }

    fn retained(&self) -> &dyn Retained {
        self
    }

    fn publish(&self) -> &dyn Publish {
        self
    }

    fn explain(&self) -> &dyn Explain {
        self
    }

    fn authentication(&self) -> &dyn Authentication {
        self
    }

    fn listeners(&self) -> &dyn Listeners {
        self
    }

    fn bridges(&self) -> &dyn Bridges {
        self
    }

    fn figures(&self) -> &dyn Figures {
        &self.figures
    }

    fn configuration(&self) -> &dyn Configuration {
        self
    }

    fn logging(&self) -> &dyn Logging {
        self
    }

    fn backup(&self) -> &dyn Backup {
        self
    }

    fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    fn topics(&self) -> &dyn Topics {
        self
    }

    fn drops(&self) -> Drops {
        Drops {
            total: 7,
            ..Drops::default()
        }
    }

    fn timeline(&self, _: &str, _: usize) -> Timeline {
        Timeline::default()
    }

    fn slow(&self) -> &dyn Slow {
        self
    }

    fn traces(&self) -> &dyn Traces {
        self
    }
}

impl Users for Fake {
    fn users(&self, filter: &UserFilter, page: Page) -> Result<Listed<User>, Failure> {
        let users = self.users.lock().unwrap();
        let found = users.values().map(|(user, _)| user).filter(|user| {
            let like = filter
                .like
                .as_ref()
                .is_none_or(|like| user.user_id.contains(like));
            like && filter
                .group
                .as_ref()
                .is_none_or(|group| user.groups.contains(group))
        });
        Ok(page.of(found.cloned()))
    }

    fn user(&self, user_id: &str) -> Result<User, Failure> {
        let users = self.users.lock().unwrap();
        users
            .get(user_id)
            .map(|(user, _)| user.clone())
            .ok_or_else(|| none("user"))
    }

    fn create_user(&self, user: NewUser, record: &Record) -> Result<User, Failure> {
        let mut users = self.users.lock().unwrap();
        if users.contains_key(&user.user_id) {
            return Err(Failure::Exists("there is such a user".into()));
        }
        let made = User {
            user_id: user.user_id,
            is_superuser: user.is_superuser,
            disabled: user.disabled,
            client_id: user.client_id,
            groups: user.groups,
            roles: user.roles,
            created_at: Stamp::from_millis(0),
            changed_at: Stamp::from_millis(0),
        };
        record.done(None, Some(&made))?;
        let password = user.password.reveal().into();
        users.insert(made.user_id.clone(), (made.clone(), password));
        Ok(made)
    }

    fn change_user(
        &self,
        user_id: &str,
        change: UserChange,
        record: &Record,
    ) -> Result<User, Failure> {
        let mut users = self.users.lock().unwrap();
        let (user, password) = users.get_mut(user_id).ok_or_else(|| none("user"))?;
        let before = user.clone();
        let after = User {
            is_superuser: change.is_superuser.unwrap_or(before.is_superuser),
            disabled: change.disabled.unwrap_or(before.disabled),
            client_id: change.client_id.or(before.client_id.clone()),
            groups: change.groups.unwrap_or(before.groups.clone()),
            roles: change.roles.unwrap_or(before.roles.clone()),
            ..before.clone()
        };
        record.done(Some(&before), Some(&after))?;
        if user_id == "on a broken disk" {
            return Err(Failure::Unavailable("the disk is broken".into()));
        }
        *user = after.clone();
        if let Some(new) = change.password {
            *password = new.reveal().into();
        }
        Ok(after)
    }

    fn delete_user(&self, user_id: &str, record: &Record) -> Result<(), Failure> {
        let mut users = self.users.lock().unwrap();
        let (user, _) = users.get(user_id).ok_or_else(|| none("user"))?;
        record.done(Some(user), None)?;
        users.remove(user_id);
        Ok(())
    }

    fn import_users(
        &self,
        entries: &mut dyn Iterator<Item = Result<ImportedUser, Failure>>,
        existing: Existing,
        record: &Record,
    ) -> Result<Imported, Failure> {
        let mut users = self.users.lock().unwrap();
        let (mut new, mut imported) = (users.clone(), Imported::default());
        for entry in entries {
            let entry = entry?;
            match (new.contains_key(&entry.user_id), existing) {
                (true, Existing::Refuse) => {
                    return Err(Failure::Exists(format!("line {}: it exists", entry.line)));
                }
                (true, Existing::Keep) => {
                    imported.kept += 1;
                    continue;
                }
                (true, Existing::Replace) => imported.replaced += 1,
                (false, _) => imported.created += 1,
            }
            let user = User {
                user_id: entry.user_id,
                is_superuser: entry.is_superuser,
                disabled: entry.disabled,
                client_id: None,
                groups: entry.groups,
                roles: entry.roles,
                created_at: Stamp::from_millis(0),
                changed_at: Stamp::from_millis(0),
            };
            let password = match entry.password {
                ImportedPassword::Plain(password) => password,
                ImportedPassword::Hash(hash) | ImportedPassword::Salted { hash, .. } => hash,
            };
            let kept = (user, password.reveal().to_owned());
            new.insert(kept.0.user_id.clone(), kept);
        }
        record.done(None, Some(&imported))?;
        *users = new;
        Ok(imported)
    }
}

impl Roles for Fake {
    fn groups(&self, page: Page) -> Result<Listed<Group>, Failure> {
        Ok(page.of(self.groups.lock().unwrap().values().cloned()))
    }

    fn group(&self, name: &str) -> Result<Group, Failure> {
        let groups = self.groups.lock().unwrap();
        groups.get(name).cloned().ok_or_else(|| none("group"))
    }

    fn put_group(&self, name: &str, group: GroupChange, record: &Record) -> Result<Group, Failure> {
        let mut groups = self.groups.lock().unwrap();
        let after = Group {
            name: name.into(),
            roles: group.roles,
            members: 0,
        };
        record.done(groups.get(name), Some(&after))?;
        groups.insert(name.into(), after.clone());
        Ok(after)
    }

    fn delete_group(&self, name: &str, record: &Record) -> Result<(), Failure> {
        let mut groups = self.groups.lock().unwrap();
        record.done(Some(groups.get(name).ok_or_else(|| none("group"))?), None)?;
        groups.remove(name);
        Ok(())
    }

    fn roles(&self, page: Page) -> Result<Listed<Role>, Failure> {
        Ok(page.of(self.roles.lock().unwrap().values().cloned()))
    }

    fn role(&self, name: &str) -> Result<Role, Failure> {
        let roles = self.roles.lock().unwrap();
        roles.get(name).cloned().ok_or_else(|| none("role"))
    }

    fn put_role(&self, name: &str, role: RoleChange, record: &Record) -> Result<Role, Failure> {
        let mut roles = self.roles.lock().unwrap();
        let after = Role {
            name: name.into(),
            rules: role.rules,
        };
        record.done(roles.get(name), Some(&after))?;
        roles.insert(name.into(), after.clone());
        Ok(after)
    }

    fn delete_role(&self, name: &str, record: &Record) -> Result<(), Failure> {
        let mut roles = self.roles.lock().unwrap();
        record.done(Some(roles.get(name).ok_or_else(|| none("role"))?), None)?;
        roles.remove(name);
        Ok(())
    }
}

fn key(on: BanOn, who: &str) -> String {
    format!("{}/{who}", on.as_str())
}

impl Bans for Fake {
    fn bans(&self, page: Page) -> Result<Listed<Ban>, Failure> {
        Ok(page.of(self.bans.lock().unwrap().values().cloned()))
    }

    fn ban(&self, on: BanOn, who: &str) -> Result<Ban, Failure> {
        let bans = self.bans.lock().unwrap();
        bans.get(&key(on, who)).cloned().ok_or_else(|| none("ban"))
    }

    fn create_ban(&self, ban: NewBan, by: &str, record: &Record) -> Result<Ban, Failure> {
        if ban.on == BanOn::PeerHost && ban.who == "nowhere" {
            return Err(Failure::Invalid("nowhere is no address".into()));
        }
        let mut bans = self.bans.lock().unwrap();
        let made = Ban {
            on: ban.on,
            who: ban.who,
            by: by.into(),
            reason: ban.reason,
            at: Stamp::from_millis(0),
            until: ban.until,
        };
        let key = key(made.on, &made.who);
        record.done(bans.get(&key), Some(&made))?;
        bans.insert(key, made.clone());
        Ok(made)
    }

    fn delete_ban(&self, on: BanOn, who: &str, record: &Record) -> Result<(), Failure> {
        let mut bans = self.bans.lock().unwrap();
        let found = bans.get(&key(on, who)).ok_or_else(|| none("ban"))?;
        record.done(Some(found), None)?;
        bans.remove(&key(on, who));
        Ok(())
    }
}

/// Rows behind those that the cursor counts.
fn piece<T>(rows: Vec<T>, cursor: Option<String>, limit: usize) -> Result<Piece<T>, Failure> {
    let wrong = |_| Failure::Invalid("cursor: it is none".into());
    let first: usize = cursor.map_or(Ok(0), |text| text.parse()).map_err(wrong)?;
    let all = rows.len();
    let rows: Vec<T> = rows.into_iter().skip(first).take(limit).collect();
    let next = first + rows.len();
    Ok(Piece {
        rows,
        cursor: (next < all).then(|| next.to_string()),
    })
}

impl Clients for Fake {
    fn clients(
        &self,
        wanted: ClientFilter,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Client>> {
        let clients = (0..5).map(|number| Client {
            clientid: format!("c{number}"),
            connected: number != 0,
            ..Client::default()
        });
        let clients = clients.filter(|one| {
            wanted.connected.is_none_or(|it| it == one.connected)
                && wanted
                    .like
                    .as_ref()
                    .is_none_or(|like| one.clientid.contains(&**like))
        });
        let found = piece(clients.collect(), cursor, limit);
        Box::pin(async { found })
    }

    fn ordered_clients(
        &self,
        wanted: ClientFilter,
        _: ClientOrder,
        page: Page,
    ) -> Answer<'_, Listed<Client>> {
        Box::pin(async move {
            let all = Clients::clients(self, wanted, None, 1000).await?;
            Ok(page.of(all.rows.into_iter()))
        })
    }

    fn subscriptions(
        &self,
        clientid: String,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Subscription>> {
        let topics = ["a", "b", "c"].map(|topic| Subscription {
            topic: format!("{clientid}/{topic}"),
            qos: 1,
            nl: false,
            rap: false,
            rh: 0,
            partly: false,
        });
        let found = piece(topics.into(), cursor, limit);
        Box::pin(async { found })
    }

    fn client(&self, clientid: String) -> Answer<'_, Client> {
        Box::pin(async move {
            match &*clientid {
                "nobody" => return Err(none("client")),
                "panics" => panic!("as it was told"),
                "slow" => {
                    if let Some(asked) = &*self.asked.lock().unwrap() {
                        asked.send(()).unwrap();
                    }
                    self.go.notified().await;
                }
                _ => {}
            }
            Ok(Client {
                clientid,
                connected: true,
                ..Client::default()
            })
        })
    }

    fn kick(&self, clientid: String) -> Answer<'_, ()> {
        Box::pin(async move {
            self.kicked.lock().unwrap().push(clientid);
            Ok(())
        })
    }

    fn subscribe(&self, clientid: String, wish: NewSubscription) -> Answer<'_, ()> {
        Box::pin(async move {
            self.subscribed.lock().unwrap().push((clientid, wish));
            Ok(())
        })
    }

    fn unsubscribe(&self, _: String, _: String) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn messages(
        &self,
        _: String,
        part: MessagePart,
        from: usize,
        limit: usize,
    ) -> Answer<'_, QueuedMessages> {
        let message = QueuedMessage {
            payload: Some(message::Bytes(b"p".to_vec())),
            state: (part == MessagePart::Inflight).then(|| "puback".into()),
            ..QueuedMessage::default()
        };
        let rows = (0..3).map(|_| message.clone()).skip(from).take(limit);
        let found = QueuedMessages {
            rows: rows.collect(),
            count: 3,
        };
        Box::pin(async { Ok(found) })
    }
}

impl Explain for Fake {
    fn explain(&self, request: ExplainRequest) -> Answer<'_, Explained> {
        Box::pin(async move {
            Ok(Explained {
                authentication: ExplainedIdentity {
                    username: request.username,
                    ..ExplainedIdentity::default()
                },
                refused: None,
                ban: None,
                steps: Vec::new(),
                decision: Decision::Deny,
                why: String::new(),
                rule: None,
                limits: Vec::new(),
                routing: vec![Receiver {
                    clientid: request.clientid,
                    qos: request.qos,
                    share: None,
                    gets: Gets::Now,
                }],
                routing_more: false,
            })
        })
    }
}

impl Authentication for Fake {
    fn chain(&self) -> Chain {
        Chain {
            throttled: 7,
            ..Chain::default()
        }
    }

    fn purge(&self, selector: Selector) -> Answer<'_, ()> {
        Box::pin(async move {
            self.purged.lock().unwrap().push(selector);
            Ok(())
        })
    }
}

impl Listeners for Fake {
    fn listeners(&self) -> Vec<Listener> {
        vec![Listener {
            name: "mqtt-1883".into(),
            ..Listener::default()
        }]
    }

    fn certificates(&self) -> Vec<CertificateRow> {
        vec![CertificateRow {
            listener: "mqtts-8883".into(),
            subject: "CN=a".into(),
            issuer: "CN=b".into(),
            sans: Vec::new(),
            not_before: Stamp::from_millis(0),
            not_after: Stamp::from_millis(1),
            days_left: -1,
            source: "file".into(),
            fingerprint: "00".into(),
        }]
    }
}
