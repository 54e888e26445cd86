//! Users from a file of Mosquitto's or from CSV, read as it comes.
//!
//! CSV begins with a line of names: `user_id` and one of `password` and `password_hash`; `salt`,
//! `is_superuser`, `disabled`, `groups` and `roles` (separated by `;`) may be there too.

use std::fmt;
use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::{Zeroize, Zeroizing};

use crate::{Failure, Password};

/// Most bytes of a line.
pub const LINE: usize = 64 * 1024;

/// A user to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedUser {
    /// The line that it stands on, from 1, for messages.
    pub line: u64,
    /// The name.
    pub user_id: String,
    /// The password, or what is kept of it.
    pub password: ImportedPassword,
    /// May do everything that is not the server's own.
    pub is_superuser: bool,
    /// Is not let in.
    pub disabled: bool,
    /// Groups that the user is in.
    pub groups: Vec<String>,
    /// Roles that the user has.
    pub roles: Vec<String>,
}

/// A password, or what is kept of it.
#[derive(Clone, PartialEq, Eq)]
pub enum ImportedPassword {
    /// The password itself, to be hashed.
    Plain(Password),
    /// A hash that says by itself what it is: `$7$..`, `$argon2id$..`, ...
    Hash(Password),
    /// Hexadecimal digits of a hash, with the salt that was hashed along.
    Salted {
        /// The digits.
        hash: Password,
        /// The salt.
        salt: Password,
    },
}

impl fmt::Debug for ImportedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Hash(_) => "Hash",
            Self::Salted { .. } => "Salted",
        })
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `name:hash`, as mosquitto_passwd writes it.
    Mosquitto,
    /// CSV with a line of names (RFC 4180, without line breaks in values).
    Csv,
}

/// The users of a file. After an error there is nothing more.
pub struct Entries<R> {
    lines: R,
    format: Format,
    line: u64,
    columns: Vec<Column>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Going,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    User,
    Password,
    Hash,
    Salt,
    Superuser,
    Disabled,
    Groups,
    Roles,
}

const COLUMNS: [(&str, Column); 8] = [
    ("user_id", Column::User),
    ("password", Column::Password),
    ("password_hash", Column::Hash),
    ("salt", Column::Salt),
    ("is_superuser", Column::Superuser),
    ("disabled", Column::Disabled),
    ("groups", Column::Groups),
    ("roles", Column::Roles),
];

impl<R: BufRead> Entries<R> {
    /// Reads a file.
    pub fn new(format: Format, lines: R) -> Self {
        Self {
            lines,
            format,
            line: 0,
            columns: Vec::new(),
            state: State::Begin,
        }
    }

    fn entry(&mut self) -> Result<Option<ImportedUser>, String> {
        loop {
            let Some(line) = self.read_line()? else {
                return match (self.format, self.state) {
                    (Format::Csv, State::Begin) => Err("there is no line of names".into()),
                    _ => Ok(None),
                };
            };
            match (self.format, self.state) {
                (Format::Csv, State::Begin) => {
                    self.columns = columns(line.trim_start_matches('\u{feff}'))?;
                    self.state = State::Going;
                }
                (Format::Csv, _) if line.is_empty() => {}
                (Format::Csv, _) => return user(&self.columns, &line, self.line).map(Some),
                (Format::Mosquitto, _) if line.starts_with('#') || line.trim().is_empty() => {}
                (Format::Mosquitto, _) => return mosquitto(&line, self.line).map(Some),
            }
        }
    }

    fn read_line(&mut self) -> Result<Option<Zeroizing<String>>, String> {
        let most = u64::try_from(LINE).unwrap_or(u64::MAX);
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        let mut reader = (&mut self.lines).take(most);
        let read = reader.read_until(b'\n', &mut bytes);
        self.line = self.line.saturating_add(1);
        if read.map_err(|error| error.to_string())? == 0 {
            return Ok(None);
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() >= LINE {
            return Err(format!("the line is longer than {LINE} bytes"));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| "this is not UTF-8")?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = Result<ImportedUser, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let entry = self.entry();
        if !matches!(entry, Ok(Some(_))) {
            self.state = State::Over;
        }
        let line = self.line;
        let entry = entry.map_err(|why| Failure::Invalid(format!("line {line}: {why}")));
        entry.transpose()
    }
}

fn mosquitto(text: &str, line: u64) -> Result<ImportedUser, String> {
    let (user_id, hash) = text.split_once(':').ok_or("a line is name:hash")?;
    if hash.is_empty() {
        return Err("there is no hash".into());
    }
    named(user_id)?;
    Ok(ImportedUser {
        line,
        user_id: user_id.into(),
        password: ImportedPassword::Hash(Password::new(hash)),
        is_superuser: false,
        disabled: false,
        groups: Vec::new(),
        roles: Vec::new(),
    })
}

fn columns(text: &str) -> Result<Vec<Column>, String> {
    let mut found = Vec::new();
    for name in cells(text)? {
        let column = COLUMNS.iter().find(|(known, _)| *known == name.trim());
        let (_, column) = column.ok_or_else(|| format!("there is no column {name:?}"))?;
        if found.contains(column) {
            return Err(format!("the column {name:?} is there twice"));
        }
        found.push(*column);
    }
    let has = |column| found.contains(&column);
    if !has(Column::User) {
        return Err("the first line has no column user_id".into());
    }
    if has(Column::Password) == has(Column::Hash) {
        return Err("the first line needs one of the columns password and password_hash".into());
    }
    if has(Column::Salt) && !has(Column::Hash) {
        return Err("the column salt needs the column password_hash".into());
    }
    Ok(found)
}

fn user(columns: &[Column], text: &str, line: u64) -> Result<ImportedUser, String> {
    let mut cells = cells(text)?;
    if cells.len() != columns.len() {
        let (found, wanted) = (cells.len(), columns.len());
        return Err(format!("{found} values for {wanted} columns"));
    }
    let mut take = |column: Column| {
        let place = columns.iter().position(|&found| found == column);
        let cell = place.and_then(|place| cells.get_mut(place));
        cell.map(std::mem::take).unwrap_or_default()
    };
    let user_id = take(Column::User);
    named(&user_id)?;
    let (plain, hash) = (take(Column::Password), take(Column::Hash));
    let salt = take(Column::Salt);
    let password = match (plain.is_empty(), hash.is_empty(), salt.is_empty()) {
        (true, true, _) => return Err("there is no password".into()),
        (false, _, _) => ImportedPassword::Plain(Password::new(plain)),
        (true, false, true) => ImportedPassword::Hash(Password::new(hash)),
        (true, false, false) => ImportedPassword::Salted {
            hash: Password::new(hash),
            salt: Password::new(salt),
        },
    };
    Ok(ImportedUser {
        line,
        user_id,
        password,
        is_superuser: flag(&take(Column::Superuser))?,
        disabled: flag(&take(Column::Disabled))?,
        groups: names(&take(Column::Groups)),
        roles: names(&take(Column::Roles)),
    })
}

fn named(user_id: &str) -> Result<(), String> {
    crate::routes::check::name("the name", user_id)
}

fn flag(text: &str) -> Result<bool, String> {
    match text.trim() {
        "" | "false" | "0" => Ok(false),
        "true" | "1" => Ok(true),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

fn names(text: &str) -> Vec<String> {
    let names = text.split(';').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(Into::into)
        .collect()
}

/// The values of a line of CSV. What the line is has been bounded before.
fn cells(text: &str) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    let mut rest = text;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (cell, after) = rest.split_at(end);
                if cell.contains('"') {
                    cells.iter_mut().for_each(String::zeroize);
                    return Err("a quotation mark in a value that does not begin with one".into());
                }
                (cell.to_owned(), after)
            }
        };
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(cells),
            None => return Err("something follows a closing quotation mark".into()),
        }
    }
}

/// A value up to its closing quotation mark, and what follows that.
fn unquoted(text: &str) -> Result<(String, &str), String> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest
            .split_once('"')
            .ok_or("a quotation mark is not closed")?;
        cell.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Ok((cell, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, text: &[u8]) -> Result<Vec<ImportedUser>, String> {
        let entries: Result<Vec<_>, _> = Entries::new(format, text).collect();
        entries.map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_file_of_mosquitto_is_read_line_by_line() {
        let text = b"# users\n\nann:$7$101$c2FsdA==$aGFzaA==\r\nbob:$6$a:b$c";
        let users = read(Format::Mosquitto, text).unwrap();
        let found: Vec<_> = users
            .iter()
            .map(|user| (user.line, &*user.user_id, &user.password))
            .collect();
        let hash = |text: &str| ImportedPassword::Hash(Password::new(text));
        let (ann, bob) = (hash("$7$101$c2FsdA==$aGFzaA=="), hash("$6$a:b$c"));
        assert_eq!(found, [(3, "ann", &ann), (4, "bob", &bob)]);
        assert!(read(Format::Mosquitto, b"").unwrap().is_empty());
    }

    #[test]
    fn s63_a_wrong_line_is_named_and_ends_the_file() {
        let long = [&b"ann:$7$"[..], &b"x".repeat(LINE), b"\n"].concat();
        let wrong: [(&[u8], &str); 7] = [
            (b"ann", "line 1: a line is name:hash"),
            (b"#\n:$7$1", "line 2: the name is empty"),
            (b"ann:", "line 1: there is no hash"),
            (b"a\0b:$7$1", "line 1: the name has a control character"),
            (b"ann:$7$1\n\xff:$7$1", "line 2: this is not UTF-8"),
            (&long, "line 1: the line is longer than 65536 bytes"),
            (b"a\rb:$7$", "line 1: the name has a control character"),
        ];
        for (text, why) in wrong {
            assert_eq!(read(Format::Mosquitto, text).unwrap_err(), why);
        }
        let mut entries = Entries::new(Format::Mosquitto, &b"x\nann:$7$1"[..]);
        assert!(entries.next().unwrap().is_err());
        assert!(entries.next().is_none());
    }

    #[test]
    fn csv_is_read_by_the_names_of_its_columns() {
        let text = "\u{feff}groups,user_id,password,is_superuser\r\n\
                    ops; all ,ann,\"a \"\"b\"\", c\",true\r\n\r\n,bob,x,\r\n";
        let users = read(Format::Csv, text.as_bytes()).unwrap();
        assert_eq!(users.len(), 2);
        assert_eq!(users[0].groups, ["ops", "all"]);
        assert!(users[0].is_superuser && !users[1].is_superuser);
        let plain = |text: &str| ImportedPassword::Plain(Password::new(text));
        assert_eq!(users[0].password, plain("a \"b\", c"));
        assert_eq!((users[1].line, &users[1].password), (4, &plain("x")));

        // As EMQX exports it.
        let text = b"user_id,password_hash,salt,is_superuser\nann,abcd,1234,false\n";
        let users = read(Format::Csv, text).unwrap();
        let salted = ImportedPassword::Salted {
            hash: Password::new("abcd"),
            salt: Password::new("1234"),
        };
        assert_eq!(users[0].password, salted);
    }

    #[test]
    fn s71_errors_of_csv_name_no_value() {
        let wrong = [
            ("", "line 1: there is no line of names"),
            ("user_id", "line 1: the first line needs one of"),
            ("password", "line 1: the first line has no column user_id"),
            (
                "user_id,user_id,password",
                "line 1: the column \"user_id\" is there twice",
            ),
            ("user_id,pass", "line 1: there is no column \"pass\""),
            ("user_id,password,salt", "line 1: the column salt needs"),
            ("user_id,password\nann", "line 2: 1 values for 2 columns"),
            ("user_id,password\nann,", "line 2: there is no password"),
            (
                "user_id,password\nann,\"s3cret",
                "line 2: a quotation mark is not closed",
            ),
            (
                "user_id,password\nann,\"s3cret\"x",
                "line 2: something follows",
            ),
            (
                "user_id,password\nann,s3\"cret",
                "line 2: a quotation mark in a value",
            ),
            ("user_id,password\n,s3cret", "line 2: the name is empty"),
        ];
        for (text, why) in wrong {
            let error = read(Format::Csv, text.as_bytes()).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
            assert!(!error.contains("s3"), "{error}");
        }
    }
}
