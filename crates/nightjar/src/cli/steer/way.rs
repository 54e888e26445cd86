//! Which server is asked, and in which form its answers are wanted.

use std::path::PathBuf;

use admin::client::{Client, Failure as Refused, escaped};
use clap::Args;
use config::{Config, Setting, Sources};
use serde_json::Value;

use super::super::failure::Failure;
use super::table::{Table, print};
use crate::{data_dir, origin, steer};

/// Which server is asked, and in which form its answers are wanted.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Way {
    /// Configuration file of the server: it names the data folder or the control socket
    #[arg(short, long, value_name = "FILE", help_heading = "Server")]
    config: Option<PathBuf>,
    /// The server's data folder: its control socket is in it
    #[arg(short, long, value_name = "FOLDER", help_heading = "Server")]
    data_dir: Option<PathBuf>,
    /// The server's control socket itself
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    socket: Option<PathBuf>,
    /// Print what the server answers as JSON, in place of text for people
    #[arg(long)]
    json: bool,
}

/// Rows that are asked for at once.
const ROWS: usize = 1000;

impl Way {
    /// Asks. The path is below `/api/v5`.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let client = Client::new(self.socket()?);
        let answer = client.request(method, &format!("/api/v5{path}"), body);
        answer.map_err(|failure| match failure {
            Refused::NoServer(socket) if self.socket.is_some() => Failure::new(format!(
                "no server listens on the control socket {}",
                socket.display()
            )),
            other => Failure::new(other.to_string()),
        })
    }

    /// Asks for something that may not be there: `None` then.
    pub(super) fn ask_found(&self, method: &str, path: &str) -> Result<Option<Value>, Failure> {
        let client = Client::new(self.socket()?);
        match client.request(method, &format!("/api/v5{path}"), None) {
            Ok(answer) => Ok(Some(answer)),
            Err(Refused::Refused { status: 404, .. }) => Ok(None),
            Err(failure) => Err(Failure::new(failure.to_string())),
        }
    }

    /// Asks for a change of what this tag stands for.
    pub(super) fn ask_if(
        &self,
        what: (&str, &str),
        body: &Value,
        etag: &str,
    ) -> Result<Value, Failure> {
        let client = Client::new(self.socket()?);
        let path = format!("/api/v5{}", what.1);
        let answer = client.request_if((what.0, &path), body, etag);
        answer.map_err(|failure| Failure::new(failure.to_string()))
    }

    /// Sends a file of so many bytes.
    pub(super) fn upload(
        &self,
        path: &str,
        file: &mut dyn std::io::Read,
        length: u64,
    ) -> Result<Value, Failure> {
        let client = Client::new(self.socket()?);
        let answer = client.upload(&format!("/api/v5{path}"), file, length);
        answer.map_err(|failure| Failure::new(failure.to_string()))
    }

    /// Takes something long as it comes.
    pub(super) fn download(&self, path: &str, out: &mut dyn std::io::Write) -> Result<(), Failure> {
        let client = Client::new(self.socket()?);
        let done = client.download(&format!("/api/v5{path}"), out);
        done.map_err(|failure| Failure::new(failure.to_string()))
    }

    /// All rows of a list that has pages, or the first `most`.
    pub(super) fn rows(
        &self,
        path: &str,
        query: &[(&str, String)],
        most: Option<usize>,
    ) -> Result<Vec<Value>, Failure> {
        let mut rows: Vec<Value> = Vec::new();
        // All pages of a list have the same size, or rows would be missed.
        let limit = most.map_or(ROWS, |most| most.clamp(1, ROWS));
        for page in 1_u32.. {
            let mut words = vec![("limit", limit.to_string()), ("page", page.to_string())];
            words.extend(query.iter().cloned());
            let meta = self.take(path, &words, &mut rows)?;
            let more = meta.get("hasnext") == Some(&Value::Bool(true));
            if !more || most.is_some_and(|most| rows.len() >= most) {
                break;
            }
        }
        rows.truncate(most.unwrap_or(usize::MAX));
        Ok(rows)
    }

    /// The same of a list that goes on by a cursor.
    pub(super) fn pieces(
        &self,
        path: &str,
        query: &[(&str, String)],
        most: Option<usize>,
    ) -> Result<Vec<Value>, Failure> {
        let mut rows: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let wanted = most.map_or(ROWS, |most| most.saturating_sub(rows.len()));
            let mut words = vec![("limit", wanted.clamp(1, ROWS).to_string())];
            words.extend(cursor.map(|cursor| ("cursor", cursor)));
            words.extend(query.iter().cloned());
            let meta = self.take(path, &words, &mut rows)?;
            let next = meta.get("cursor").and_then(Value::as_str);
            cursor = next.map(Into::into);
            if cursor.is_none() || most.is_some_and(|most| rows.len() >= most) {
                rows.truncate(most.unwrap_or(usize::MAX));
                return Ok(rows);
            }
        }
    }

    /// Adds the rows of one answer; what else it says.
    fn take(
        &self,
        path: &str,
        words: &[(&str, String)],
        rows: &mut Vec<Value>,
    ) -> Result<Value, Failure> {
        let mut answer = self.ask("GET", &with_query(path, words), None)?;
        if let Some(Value::Array(found)) = answer.get_mut("data").map(Value::take) {
            rows.extend(found);
        }
        let meta = answer.get_mut("meta").map(Value::take);
        Ok(meta.unwrap_or_default())
    }

    /// Prints rows: as JSON, or as a table with these columns.
    pub(super) fn list<const N: usize>(
        &self,
        rows: Vec<Value>,
        head: [&str; N],
        cells: impl Fn(&Value) -> [String; N],
    ) -> Result<(), Failure> {
        if self.json {
            return self.print_json(&Value::Array(rows));
        }
        let mut table = Table::new(head);
        rows.iter().for_each(|row| table.row(cells(row)));
        print(&table.to_text())
    }

    /// Prints one thing: as JSON, or as this text.
    pub(super) fn show(
        &self,
        value: &Value,
        text: impl FnOnce(&Value) -> String,
    ) -> Result<(), Failure> {
        match self.json {
            true => self.print_json(value),
            false => print(&text(value)),
        }
    }

    /// Says that something was done: nothing to a script that did not ask for more.
    pub(super) fn done(&self, answer: &Value, words: &str) -> Result<(), Failure> {
        match (self.json, answer) {
            (true, Value::Null) => Ok(()),
            (true, answer) => self.print_json(answer),
            (false, _) => print(&format!("{words}\n")),
        }
    }

    /// Whether JSON is wanted.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    fn print_json(&self, value: &Value) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value);
        let text = text.map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
        print(&format!("{text}\n"))
    }

    /// The configuration file and the data folder of a server that does not run.
    pub(super) fn offline(&self) -> Result<(PathBuf, PathBuf), Failure> {
        let Some(file) = self.config.clone() else {
            return Err(Failure::new("name the configuration file with --config"));
        };
        let folder = match &self.data_dir {
            Some(folder) => folder.clone(),
            None => {
                let sources = Sources::of_process(Some(file.clone()));
                // What is wrong with the file must not keep anybody from mending it.
                let config = Config::load(&sources).map_err(|errors| {
                    let errors = errors.to_string();
                    Failure::new(format!(
                        "{}\nname the folder with --data-dir",
                        errors.trim_end()
                    ))
                })?;
                let folder = data_dir::locate(config.data_dir.as_deref(), &sources.environment);
                folder.map_err(|error| Failure::new(error.to_string()))?
            }
        };
        let socket = match &self.socket {
            Some(socket) => Some(socket.clone()),
            None => steer::socket(&Config::default(), &folder),
        };
        #[cfg(unix)]
        if socket.is_some_and(|it| std::os::unix::net::UnixStream::connect(it).is_ok()) {
            return Err(Failure::new("the server runs: leave --offline out"));
        }
        Ok((file, folder))
    }

    fn socket(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let mut sources = Sources::of_process(self.config.clone());
        if let Some(folder) = &self.data_dir {
            sources.options.push(Setting {
                option: "--data-dir",
                key: "data_dir",
                value: folder.to_string_lossy().into_owned(),
            });
        }
        let origin = origin::load(&sources);
        let origin = origin.map_err(|errors| Failure::new(errors.to_string().trim_end()))?;
        let config = origin.loaded.config;
        let folder = data_dir::locate(config.data_dir.as_deref(), &sources.environment);
        let folder = folder.map_err(|error| Failure::new(error.to_string()))?;
        steer::socket(&config, &folder).ok_or_else(|| {
            Failure::new("the configuration says that the server has no control socket")
        })
    }
}

/// A path with a query.
fn with_query(path: &str, words: &[(&str, String)]) -> String {
    let words = words
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)));
    format!("{path}?{}", words.collect::<Vec<_>>().join("&"))
}

/// The words of options that were given.
pub(super) fn given<const N: usize>(
    options: [(&'static str, &Option<String>); N],
) -> Vec<(&'static str, String)> {
    let options = options.into_iter();
    options
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
}
