//! PostgreSQL. Parameters are bound as text; `${ip}::inet` makes an address of one. TLS is what the
//! address says: `?sslmode=require` refuses a server without, `disable` uses none; without it a
//! server that has none is taken, unless authorities are given. Certificates are always verified.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Row};
use tokio_rustls::TlsConnector;

use crate::pool::Pool;
use crate::question::{Question, Trouble};
use crate::rules::{self, RuleText};
use crate::sql::{Marks, Queries, Query, several};
use crate::table::{self, Extras, Users};
use crate::{Problem, settings, tls};

/// Asks PostgreSQL.
#[derive(Debug)]
pub(crate) struct PostgreSql {
    config: Config,
    tls: MakeTls,
    queries: Queries,
    pool: Pool<Client>,
}

impl PostgreSql {
    pub(crate) fn new(settings: &settings::Sql) -> Result<Self, Problem> {
        let mut config: Config = settings.url.reveal().parse().map_err(|_| {
            Problem::new("the address is not postgresql://user:password@host/database")
        })?;
        // Who names authorities means them.
        match (settings.tls.ca.is_some(), config.get_ssl_mode()) {
            (true, SslMode::Disable) => {
                return Err(Problem::new("ca is for an address without sslmode=disable"));
            }
            (true, _) => config.ssl_mode(SslMode::Require),
            (false, _) => &mut config,
        };
        config.connect_timeout(CONNECT);
        config.application_name("nightjar");
        let tls = tls::client(&settings.tls)?;
        Ok(Self {
            config,
            tls: MakeTls(TlsConnector::from(Arc::new(tls))),
            queries: Queries::new(settings, Marks::Numbered)?,
            pool: Pool::new(),
        })
    }

    /// The rows of a query; `None`: the client lacks what it needs.
    async fn rows(&self, query: &Query, question: &Question) -> Result<Option<Vec<Row>>, Trouble> {
        let Some(values) = query.values(question) else {
            return Ok(None);
        };
        let parameters: Vec<_> = values
            .iter()
            .map(|value| (value as &(dyn ToSql + Sync), Type::TEXT))
            .collect();
        if let Some(client) = self.pool.take().filter(|it| !it.is_closed()) {
            match client.query_typed(&query.text, &parameters).await {
                Ok(rows) => {
                    self.pool.put(client);
                    return Ok(Some(rows));
                }
                // The server may have gone while it waited.
                Err(_) if client.is_closed() => {}
                Err(error) => return Err(trouble(&error)),
            }
        }
        let connected = self.config.connect(self.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| Trouble::Failed(said(&error)))?;
        tokio::spawn(async move {
            // The client hears of it with its next question.
            let _ = connection.await;
        });
        let rows = client.query_typed(&query.text, &parameters).await;
        // The connection is in order if the server only says no.
        if !client.is_closed() {
            self.pool.put(client);
        }
        rows.map(Some).map_err(|error| trouble(&error))
    }
}

impl Users for PostgreSql {
    async fn find(&self, question: &Question) -> Result<Option<table::Row>, Trouble> {
        let Some(rows) = self.rows(&self.queries.user, question).await? else {
            return Ok(None);
        };
        match &rows[..] {
            [] => Ok(None),
            [row] => Ok(Some(table::Row {
                name: optional(row, "username")?,
                hash: text(row, "password_hash")?,
                salt: optional(row, "salt")?,
                superuser: flag(row, "is_superuser")?,
                groups: Vec::new(),
            })),
            _ => Err(several().into()),
        }
    }

    async fn extras(&self, question: &Question) -> Result<Extras, Trouble> {
        let mut extras = Extras::default();
        if let Some(query) = &self.queries.groups {
            for row in self.rows(query, question).await?.unwrap_or_default() {
                let name: Option<String> = row.try_get(0).map_err(|error| said(&error))?;
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

fn rule(row: &Row) -> Result<RuleText, Arc<str>> {
    let word = |column| {
        let missing = || Arc::from(format!("the column {column:?} is null"));
        text(row, column)?.ok_or_else(missing)
    };
    let found = rules::of_words(&word("permission")?, &word("action")?, &word("topic")?);
    found.map_err(|error| error.to_string().into())
}

/// A column that must be there.
fn text(row: &Row, column: &str) -> Result<Option<String>, Arc<str>> {
    row.try_get(column)
        .map_err(|_| format!("the query does not give a text {column:?}").into())
}

fn optional(row: &Row, column: &str) -> Result<Option<String>, Arc<str>> {
    if row.columns().iter().any(|it| it.name() == column) {
        text(row, column)
    } else {
        Ok(None)
    }
}

fn flag(row: &Row, column: &str) -> Result<bool, Arc<str>> {
    let Some(place) = row.columns().iter().position(|it| it.name() == column) else {
        return Ok(false);
    };
    let Some(found) = row.columns().get(place) else {
        return Ok(false);
    };
    let number = |number: Option<i64>| match number {
        None | Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => table::is_yes("?"),
    };
    let wrong = |_| Arc::from("is_superuser is neither yes nor no");
    match *found.type_() {
        Type::BOOL => Ok(row
            .try_get::<_, Option<bool>>(place)
            .map_err(wrong)?
            .unwrap_or(false)),
        Type::INT2 => number(
            row.try_get::<_, Option<i16>>(place)
                .map_err(wrong)?
                .map(i64::from),
        ),
        Type::INT4 => number(
            row.try_get::<_, Option<i32>>(place)
                .map_err(wrong)?
                .map(i64::from),
        ),
        Type::INT8 => number(row.try_get(place).map_err(wrong)?),
        _ => table::is_yes(&text(row, column)?.unwrap_or_default()),
    }
}

/// Whether it is about the question or about the server.
fn trouble(error: &tokio_postgres::Error) -> Trouble {
    match error.code().is_some_and(|code| is_of_question(code.code())) {
        true => Trouble::Unclear(said(error)),
        false => Trouble::Failed(said(error)),
    }
}

/// Whether an SQLSTATE is about what was asked: cardinality, data (texts that the server's encoding
/// does not have), constraints, syntax and rights, limits of a statement, what a function of the
/// database raises. It would be the same on a server in the best of health.
fn is_of_question(state: &str) -> bool {
    matches!(
        state.get(..2),
        Some("21" | "22" | "23" | "42" | "54" | "P0")
    )
}

/// What the server said, without parameters: its own message may repeat one, so only the code is
/// told.
fn said(error: &tokio_postgres::Error) -> Arc<str> {
    match error.code() {
        Some(code) => format!("PostgreSQL: SQLSTATE {}", code.code()).into(),
        None => format!("PostgreSQL: {error}").into(),
    }
}

/// Our TLS for the driver.
#[derive(Clone)]
struct MakeTls(TlsConnector);

impl std::fmt::Debug for MakeTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MakeTls")
    }
}

struct ConnectTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

struct Encrypted<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for MakeTls {
    type Stream = Encrypted<S>;
    type TlsConnect = ConnectTls;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<ConnectTls> {
        let name = ServerName::try_from(domain.to_owned());
        Ok(ConnectTls {
            connector: self.0.clone(),
            name: name.map_err(|_| io::Error::other("not the name of a host"))?,
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for ConnectTls {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(self.name, stream).await?;
            Ok(Encrypted(Box::new(stream)))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

const CONNECT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Address, HashKind, Tls};

    fn settings(url: &str) -> settings::Sql {
        settings::Sql {
            url: Address::new(url),
            query: "SELECT password_hash FROM u WHERE name = ${username}".into(),
            rules_query: None,
            groups_query: None,
            hash: HashKind::Auto,
            tls: Tls::default(),
        }
    }

    #[test]
    fn s69_settings_that_make_no_sense_refuse_the_start() {
        assert!(PostgreSql::new(&settings("postgresql://u:pa55@h/db?sslmode=require")).is_ok());
        let problem = PostgreSql::new(&settings("postgresql://u:pa55@h:x/db")).unwrap_err();
        assert!(!problem.to_string().contains("pa55"), "s71: {problem}");
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let trusting = |url: &str| {
            PostgreSql::new(&settings::Sql {
                tls: Tls {
                    ca: Some(ca.clone()),
                    identity: None,
                },
                ..settings(url)
            })
        };
        let made = trusting("postgresql://h/db").unwrap();
        assert_eq!(made.config.get_ssl_mode(), SslMode::Require, "s79");
        assert!(trusting("postgresql://h/db?sslmode=disable").is_err());
        let quoted = settings::Sql {
            rules_query: Some("SELECT '${username}'".into()),
            ..settings("postgresql://h/db")
        };
        let problem = PostgreSql::new(&quoted).unwrap_err().to_string();
        assert!(problem.starts_with("rules_query: "), "{problem}");
    }

    #[test]
    fn s68_a_text_that_does_not_fit_is_not_a_database_that_fails() {
        for state in ["22P05", "22021", "21000", "42P01", "54000", "P0001"] {
            assert!(is_of_question(state), "{state}");
        }
        for state in [
            "", "08006", "28P01", "40001", "53300", "57P01", "58030", "XX000",
        ] {
            assert!(!is_of_question(state), "{state}");
        }
    }

    #[test]
    fn s71_the_password_is_not_shown() {
        let made = PostgreSql::new(&settings("postgresql://u:pa55@h/db")).unwrap();
        assert!(!format!("{made:?}").contains("pa55"));
    }
}
