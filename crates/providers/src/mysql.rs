//! MySQL and MariaDB. Names compare as the column's collation says, which often is without regard
//! to upper and lower case, and rules and bans compare exactly: write `BINARY name = ${username}`,
//! or select the name `AS username`, which then is the user. TLS is used if the address says
//! `?require_ssl=true`, or if authorities are given. Certificates are always verified.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{
    ClientIdentity, Conn, Error, Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, Row,
    SslOpts, Value,
};

use crate::question::{Question, Trouble};
use crate::rules::{self, RuleText};
use crate::sql::{Marks, Queries, Query, several};
use crate::table::{self, Extras, Users};
use crate::{Problem, settings, tls};

/// Asks MySQL or MariaDB.
pub(crate) struct MySql {
    pool: Pool,
    queries: Queries,
}

impl std::fmt::Debug for MySql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MySql")
    }
}

impl MySql {
    pub(crate) fn new(settings: &settings::Sql, concurrency: u32) -> Result<Self, Problem> {
        let opts = Opts::from_url(settings.url.reveal())
            .map_err(|_| Problem::new("the address is not mysql://user:password@host/database"))?;
        // Read once now, so that what is wrong with it refuses the start (S79).
        tls::client(&settings.tls)?;
        let ssl = ssl(&settings.tls, &opts)?;
        let most = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
        let constraints = PoolConstraints::new(0, most)
            .ok_or_else(|| Problem::new("no connection is allowed"))?;
        let pool = PoolOpts::default()
            .with_constraints(constraints)
            .with_inactive_connection_ttl(IDLE);
        // Otherwise it leaves the host that was named for a socket of this machine.
        let names_socket = opts.socket().is_some();
        let builder = OptsBuilder::from_opts(opts)
            .prefer_socket(names_socket)
            .ssl_opts(ssl)
            .pool_opts(pool);
        Ok(Self {
            pool: Pool::new(builder),
            queries: Queries::new(settings, Marks::Question)?,
        })
    }

    /// The rows of a query; `None`: the client lacks what it needs.
    async fn rows(&self, query: &Query, question: &Question) -> Result<Option<Vec<Row>>, Trouble> {
        let Some(values) = query.values(question) else {
            return Ok(None);
        };
        let values: Vec<Value> = values.into_iter().map(Value::from).collect();
        let parameters = if values.is_empty() {
            Params::Empty
        } else {
            Params::Positional(values)
        };
        let connected = self.pool.get_conn().await;
        let mut connection: Conn = connected.map_err(|error| Trouble::Failed(said(&error)))?;
        let rows = connection.exec(query.text.as_str(), parameters).await;
        rows.map(Some).map_err(|error| trouble(&error))
    }
}

/// TLS, if the address or the settings want it.
fn ssl(tls: &settings::Tls, opts: &Opts) -> Result<Option<SslOpts>, Problem> {
    let wanted = opts.ssl_opts().cloned();
    if wanted
        .as_ref()
        .is_some_and(|it| it.accept_invalid_certs() || it.skip_domain_validation())
    {
        let why = "certificates are always verified; leave verify_ca and verify_identity out";
        return Err(Problem::new(why));
    }
    if wanted.is_none() && tls.ca.is_none() && tls.identity.is_none() {
        return Ok(None);
    }
    let mut ssl = wanted.unwrap_or_default();
    if let Some(ca) = &tls.ca {
        ssl = ssl
            .with_root_certs(vec![ca.clone().into()])
            .with_disable_built_in_roots(true);
    }
    let identity = tls.identity.clone();
    let identity = identity.map(|(chain, key)| ClientIdentity::new(chain.into(), key.into()));
    Ok(Some(ssl.with_client_identity(identity)))
}

impl Users for MySql {
    async fn find(&self, question: &Question) -> Result<Option<table::Row>, Trouble> {
        let Some(rows) = self.rows(&self.queries.user, question).await? else {
            return Ok(None);
        };
        match &rows[..] {
            [] => Ok(None),
            [row] => Ok(Some(user(row)?)),
            _ => Err(several().into()),
        }
    }

    async fn extras(&self, question: &Question) -> Result<Extras, Trouble> {
        let mut extras = Extras::default();
        if let Some(query) = &self.queries.groups {
            for row in self.rows(query, question).await?.unwrap_or_default() {
                let name = row.as_ref(0).map(text).transpose()?.flatten();
                extras.groups.extend(name.map(Arc::from));
            }
        }
        if let Some(query) = &self.queries.rules {
            let rows = self.rows(query, question).await?.unwrap_or_default();
            if rows.len() >= table::MOST_ROWS {
                return Err("the user has too many rules".into());
            }
            extras.rules = Some(rows.iter().map(rule).collect::<Result<_, _>>()?);
        }
        Ok(extras)
    }
}

fn user(row: &Row) -> Result<table::Row, Arc<str>> {
    let flag = column(row, "is_superuser").map(text).transpose()?.flatten();
    Ok(table::Row {
        name: column(row, "username").map(text).transpose()?.flatten(),
        hash: text(column(row, "password_hash").ok_or_else(|| missing("password_hash"))?)?,
        salt: column(row, "salt").map(text).transpose()?.flatten(),
        superuser: table::is_yes(&flag.unwrap_or_default())?,
        groups: Vec::new(),
    })
}

fn rule(row: &Row) -> Result<RuleText, Arc<str>> {
    let word = |name| {
        let found = column(row, name).ok_or_else(|| missing(name))?;
        text(found)?.ok_or_else(|| missing(name))
    };
    let found = rules::of_words(&word("permission")?, &word("action")?, &word("topic")?);
    found.map_err(|error| error.to_string().into())
}

fn column<'a>(row: &'a Row, name: &str) -> Option<&'a Value> {
    let place = row
        .columns_ref()
        .iter()
        .position(|it| it.name_str() == name)?;
    row.as_ref(place)
}

fn missing(name: &str) -> Arc<str> {
    format!("the query does not give {name:?}").into()
}

fn text(value: &Value) -> Result<Option<String>, Arc<str>> {
    match value {
        Value::NULL => Ok(None),
        Value::Bytes(bytes) => {
            let text = String::from_utf8(bytes.clone());
            text.map(Some).map_err(|_| "a column is not UTF-8".into())
        }
        Value::Int(number) => Ok(Some(number.to_string())),
        Value::UInt(number) => Ok(Some(number.to_string())),
        Value::Float(_) | Value::Double(_) | Value::Date(..) | Value::Time(..) => {
            Err("a column is not text".into())
        }
    }
}

/// Whether it is about the question or about the server. Texts that do not fit the column, its
/// character set or its collation are the client's, and so is a query that the server finds wrong:
/// it would find it wrong for everybody, and quickly.
fn trouble(error: &Error) -> Trouble {
    let is_unclear = match error {
        Error::Server(error) => {
            matches!(error.state.get(..2), Some("21" | "22" | "42"))
                || OF_TEXTS.contains(&error.code)
        }
        _ => false,
    };
    match is_unclear {
        true => Trouble::Unclear(said(error)),
        false => Trouble::Failed(said(error)),
    }
}

/// What the server said, without parameters: its own message may repeat one, so only the code is
/// told.
fn said(error: &Error) -> Arc<str> {
    match error {
        Error::Server(error) => format!("MySQL: error {}", error.code).into(),
        error => format!("MySQL: {error}").into(),
    }
}

/// Errors about texts that have the SQLSTATE of anything else: collations that do not go together, a
/// text that is none in its character set, a value that is wrong for its column, one that cannot be
/// converted.
const OF_TEXTS: [u16; 8] = [1267, 1270, 1271, 1300, 1366, 1977, 3854, 3988];
const IDLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Address, HashKind, Tls};

    #[test]
    fn s69_settings_that_make_no_sense_refuse_the_start() {
        let with = |url: &str, query: &str| {
            let settings = settings::Sql {
                url: Address::new(url),
                query: query.into(),
                rules_query: None,
                groups_query: None,
                hash: HashKind::Auto,
                tls: Tls::default(),
            };
            MySql::new(&settings, 8).map_err(|problem| problem.to_string())
        };
        let query = "SELECT password_hash FROM u WHERE name = ${username}";
        assert!(with("mysql://u:pa55@h/db?require_ssl=true", query).is_ok());
        let shown = format!("{:?}", with("mysql://u:pa55@h/db", query));
        assert!(!shown.contains("pa55"), "s71: {shown}");
        let problem = with("mysql://u:pa55@h/db?nothing=1", query).unwrap_err();
        assert!(!problem.contains("pa55"), "s71: {problem}");
        assert!(with("mysql://h/db", "SELECT '${username}'").is_err());
        for off in ["verify_ca=false", "verify_identity=false"] {
            let url = format!("mysql://u:pa55@h/db?require_ssl=true&{off}");
            let problem = with(&url, query).unwrap_err();
            assert!(
                problem.starts_with("certificates are always verified"),
                "s79"
            );
        }
    }

    #[test]
    fn s68_a_text_that_does_not_fit_is_not_a_server_that_fails() {
        let with = |code: u16, state: &str| {
            trouble(&Error::Server(mysql_async::ServerError {
                code,
                message: "about ann".into(),
                state: state.into(),
            }))
        };
        for (code, state) in [
            (1267, "HY000"),
            (1366, "HY000"),
            (1406, "22001"),
            (1146, "42S02"),
        ] {
            assert_eq!(
                with(code, state),
                Trouble::Unclear(format!("MySQL: error {code}").into())
            );
        }
        for (code, state) in [
            (1040, "08004"),
            (1045, "28000"),
            (1053, "08S01"),
            (1205, "HY000"),
        ] {
            assert!(matches!(with(code, state), Trouble::Failed(_)), "{code}");
        }
        let gone = trouble(&Error::Io(std::io::Error::other("gone").into()));
        assert!(matches!(gone, Trouble::Failed(_)));
    }

    #[test]
    fn columns_are_texts_numbers_or_nothing() {
        for (value, found) in [
            (Value::NULL, Ok(None)),
            (Value::Bytes(b"x".to_vec()), Ok(Some("x".into()))),
            (Value::Int(-1), Ok(Some("-1".into()))),
            (Value::UInt(1), Ok(Some("1".into()))),
        ] {
            assert_eq!(text(&value), found);
        }
        assert!(text(&Value::Bytes(b"\xff".to_vec())).is_err());
        assert!(text(&Value::Double(1.0)).is_err());
    }
}
