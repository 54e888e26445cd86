//! Tables, keys, transactions.

use std::fs::{self, File, OpenOptions};
use std::ops::Bound;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::AccessError;
use super::Row;
use super::records::{self, Ban, Group, Page, Role, StoredUser, User};
use super::snapshot::Model;
use crate::rules::RuleText;

/// The file.
pub(super) struct Store {
    database: Database,
    seed: [u8; 32],
}

pub(super) type Table = TableDefinition<'static, &'static str, &'static [u8]>;

pub(super) const USERS: Table = Table::new("users");
pub(super) const GROUPS: Table = Table::new("groups");
pub(super) const ROLES: Table = Table::new("roles");
pub(super) const BANS: Table = Table::new("bans");
/// What there is one of.
pub(super) const META: Table = Table::new("meta");

/// In [`META`]: the rules that belong to no role.
pub(super) const RULES_KEY: &str = "rules";
const REVISION_KEY: &str = "revision";
const FORMAT_KEY: &str = "format";
const SEED_KEY: &str = "seed";

/// All of them, by the names that copies know them by.
const TABLES: &[(&str, Table)] = &[
    ("meta", META),
    ("users", USERS),
    ("groups", GROUPS),
    ("roles", ROLES),
    ("bans", BANS),
];

/// Of the tables and what is in them.
const FORMAT: u64 = 1;
/// Memory for pages of the file.
const CACHE: usize = 16 << 20;

impl Store {
    pub(super) fn open(file: &Path) -> Result<Self, AccessError> {
        let database = if file.try_exists().map_err(storage)? {
            let length = fs::metadata(file).map_err(storage)?.len();
            if length == 0 {
                let why = "is empty, which it never is: restore it, or remove it to begin anew";
                return Err(AccessError::Storage(format!("{} {why}", file.display())));
            }
            let opened = redb::Builder::new().set_cache_size(CACHE).open(file);
            opened.map_err(|error| not_opened(file, &error))?
        } else {
            create(file)?
        };
        let format: u64 = read(&database, META, FORMAT_KEY)?.ok_or_else(|| damaged(FORMAT_KEY))?;
        if format != FORMAT {
            return Err(AccessError::Storage(format!(
                "{} has format {format}, and this version knows {FORMAT}: use the version that \
                 wrote it",
                file.display()
            )));
        }
        let seed = read(&database, META, SEED_KEY)?.ok_or_else(|| damaged(SEED_KEY))?;
        Ok(Self { database, seed })
    }

    pub(super) fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// Reads all, but not passwords.
    pub(super) fn load(&self) -> Result<Model, AccessError> {
        let mut model = Model::default();
        each(&self.database, USERS, |name, user: StoredUser| {
            model.put_user(name, &user, 0);
            Ok(())
        })?;
        each(&self.database, GROUPS, |_, group: Group| {
            model.put_group(&group, 0);
            Ok(())
        })?;
        each(&self.database, ROLES, |name, role: Role| {
            let rules = records::rules(&role.rules, &format!("role {name}"))?;
            model.put_role(&role, rules, 0);
            Ok(())
        })?;
        each(&self.database, BANS, |key, ban: Ban| {
            let (_, banned) = ban.on.check()?;
            model.put_ban(key, &ban, banned, 0);
            Ok(())
        })?;
        let texts: Vec<RuleText> = read(&self.database, META, RULES_KEY)?.unwrap_or_default();
        let rules = records::rules(&texts, "rules of the database")?;
        let revision = read(&self.database, META, REVISION_KEY)?;
        model.put_rules(
            &texts,
            rules,
            revision.ok_or_else(|| damaged(REVISION_KEY))?,
        );
        Ok(model)
    }

    pub(super) fn user(&self, name: &str) -> Result<Option<StoredUser>, AccessError> {
        read(&self.database, USERS, name)
    }

    pub(super) fn users(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<User>, AccessError> {
        let transaction = self.database.begin_read().map_err(storage)?;
        let table = transaction.open_table(USERS).map_err(storage)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = table
            .range::<&str>((from, Bound::Unbounded))
            .map_err(storage)?;
        let mut items: Vec<User> = Vec::new();
        let mut next = None;
        for entry in range {
            if items.len() >= limit {
                next = items
                    .last()
                    .map(|user| user.name.clone())
                    .or(after.map(String::from));
                break;
            }
            let (name, user) = entry.map_err(storage)?;
            let name = name.value();
            let user: StoredUser = parse(name, user.value())?;
            items.push(user.show(name));
        }
        Ok(Page { items, next })
    }

    /// Passes on every record of every table, as they are at one moment.
    pub(super) fn rows(
        &self,
        pass: &mut dyn FnMut(Row) -> std::io::Result<()>,
    ) -> Result<(), AccessError> {
        let transaction = self.database.begin_read().map_err(storage)?;
        for (name, table) in TABLES {
            let table = transaction.open_table(*table).map_err(storage)?;
            for entry in table.iter().map_err(storage)? {
                let (key, record) = entry.map_err(storage)?;
                let row = Row {
                    table: (*name).to_owned(),
                    key: key.value().to_owned(),
                    record: parse(key.value(), record.value())?,
                };
                pass(row).map_err(storage)?;
            }
        }
        Ok(())
    }

    /// Takes over records that [`Store::rows`] gave, in place of all that is there; all or none.
    pub(super) fn restore(
        &self,
        rows: &mut dyn Iterator<Item = Result<Row, AccessError>>,
    ) -> Result<(), AccessError> {
        let transaction = self.database.begin_write().map_err(storage)?;
        for row in rows {
            let row = row?;
            let known = TABLES.iter().find(|(known, _)| *known == row.table);
            let Some((_, table)) = known else {
                let words = format!("there is no table {:?}", row.table);
                return Err(AccessError::Invalid(words));
            };
            let record = serde_json::to_vec(&row.record).map_err(storage)?;
            let mut table = transaction.open_table(*table).map_err(storage)?;
            table.insert(&*row.key, &record[..]).map_err(storage)?;
        }
        transaction.commit().map_err(storage)
    }

    /// Writes a record; the new revision.
    pub(super) fn put(
        &self,
        table: Table,
        key: &str,
        record: &impl Serialize,
    ) -> Result<u64, AccessError> {
        let json = serde_json::to_vec(record).map_err(storage)?;
        self.change(|transaction| {
            let mut table = transaction.open_table(table).map_err(storage)?;
            table.insert(key, &json[..]).map_err(storage)?;
            Ok(())
        })
    }

    /// Takes a record away; the new revision.
    pub(super) fn delete(&self, table: Table, key: &str) -> Result<u64, AccessError> {
        self.change(|transaction| {
            let mut table = transaction.open_table(table).map_err(storage)?;
            table.remove(key).map_err(storage)?;
            Ok(())
        })
    }

    fn change(
        &self,
        act: impl FnOnce(&WriteTransaction) -> Result<(), AccessError>,
    ) -> Result<u64, AccessError> {
        let transaction = self.database.begin_write().map_err(storage)?;
        act(&transaction)?;
        commit(transaction)
    }

    /// Begins a change of many users. Nobody else may change anything until it is gone.
    pub(super) fn batch(&self) -> Result<Batch, AccessError> {
        let transaction = self.database.begin_write().map_err(storage)?;
        Ok(Batch(transaction))
    }
}

/// A change of many users. Unless it is committed, it was none.
pub(super) struct Batch(WriteTransaction);

impl Batch {
    /// A user as it would be.
    pub(super) fn user(&self, name: &str) -> Result<Option<StoredUser>, AccessError> {
        let users = self.0.open_table(USERS).map_err(storage)?;
        let found = users.get(name).map_err(storage)?;
        found.map(|found| parse(name, found.value())).transpose()
    }

    pub(super) fn put_user(&self, name: &str, user: &StoredUser) -> Result<(), AccessError> {
        let json = serde_json::to_vec(user).map_err(storage)?;
        let mut users = self.0.open_table(USERS).map_err(storage)?;
        users.insert(name, &json[..]).map_err(storage)?;
        Ok(())
    }

    /// Makes it so; the new revision.
    pub(super) fn commit(self) -> Result<u64, AccessError> {
        commit(self.0)
    }
}

/// Ends a change; the new revision.
fn commit(transaction: WriteTransaction) -> Result<u64, AccessError> {
    let revision = {
        let mut meta = transaction.open_table(META).map_err(storage)?;
        let before: u64 = {
            let found = meta.get(REVISION_KEY).map_err(storage)?;
            let found = found.ok_or_else(|| damaged(REVISION_KEY))?;
            parse(REVISION_KEY, found.value())?
        };
        let revision = before.saturating_add(1);
        let json = serde_json::to_vec(&revision).map_err(storage)?;
        meta.insert(REVISION_KEY, &json[..]).map_err(storage)?;
        revision
    };
    transaction.commit().map_err(storage)?;
    Ok(revision)
}

/// Makes the file under another name, so that there is never one without its first records.
fn create(file: &Path) -> Result<Database, AccessError> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let next = file.with_file_name(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(&next).map_err(storage)?;
    #[cfg(unix)]
    opened
        .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(storage)?;
    let database = redb::Builder::new()
        .set_cache_size(CACHE)
        .create_with_backend(FileBackend::new(opened).map_err(storage)?);
    let database = database.map_err(storage)?;
    let mut seed = [0_u8; 32];
    let random = SystemRandom::new().fill(&mut seed);
    random.map_err(|_| storage("the system gives no random numbers"))?;
    let transaction = database.begin_write().map_err(storage)?;
    {
        for table in [USERS, GROUPS, ROLES, BANS] {
            transaction.open_table(table).map_err(storage)?;
        }
        let mut meta = transaction.open_table(META).map_err(storage)?;
        for (key, json) in [
            (FORMAT_KEY, serde_json::to_vec(&FORMAT)),
            (REVISION_KEY, serde_json::to_vec(&0_u64)),
            (SEED_KEY, serde_json::to_vec(&seed)),
        ] {
            meta.insert(key, &json.map_err(storage)?[..])
                .map_err(storage)?;
        }
    }
    transaction.commit().map_err(storage)?;
    fs::rename(&next, file).map_err(storage)?;
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(storage)?;
    folder.sync_all().map_err(storage)?;
    Ok(database)
}

fn read<T: DeserializeOwned>(
    database: &Database,
    table: Table,
    key: &str,
) -> Result<Option<T>, AccessError> {
    let transaction = database.begin_read().map_err(storage)?;
    let table = transaction.open_table(table).map_err(storage)?;
    let found = table.get(key).map_err(storage)?;
    found.map(|found| parse(key, found.value())).transpose()
}

fn each<T: DeserializeOwned>(
    database: &Database,
    table: Table,
    mut act: impl FnMut(&str, T) -> Result<(), AccessError>,
) -> Result<(), AccessError> {
    let transaction = database.begin_read().map_err(storage)?;
    let table = transaction.open_table(table).map_err(storage)?;
    for entry in table.iter().map_err(storage)? {
        let (key, record) = entry.map_err(storage)?;
        let record = parse(key.value(), record.value())?;
        act(key.value(), record)?;
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(key: &str, json: &[u8]) -> Result<T, AccessError> {
    serde_json::from_slice(json).map_err(|_| damaged(key))
}

fn damaged(key: &str) -> AccessError {
    AccessError::Storage(format!("the record {key:?} is damaged"))
}

fn storage(error: impl std::fmt::Display) -> AccessError {
    AccessError::Storage(error.to_string())
}

/// Why the file was not opened.
fn not_opened(file: &Path, error: &redb::DatabaseError) -> AccessError {
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen => storage(format!(
            "{} is in use by another server: end that one, or give each its own data folder",
            file.display()
        )),
        error => storage(format!("{}: {error}", file.display())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// As a later version would write it.
    pub(in super::super) fn set_format(file: &Path, format: u64) {
        let store = Store::open(file).unwrap();
        store.put(META, FORMAT_KEY, &format).unwrap();
    }

    /// Many users in one transaction.
    pub(in super::super) fn fill(file: &Path, count: usize) {
        let store = Store::open(file).unwrap();
        let transaction = store.database.begin_write().unwrap();
        {
            let mut users = transaction.open_table(USERS).unwrap();
            for number in 0..count {
                let user = br#"{"groups":["g"],"roles":[],"created":0,"changed":0}"#;
                users.insert(&*format!("user {number}"), &user[..]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}
