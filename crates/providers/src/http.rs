//! A web service that is asked who a client is.
//!
//! It is asked by POST with `content-type: application/json`:
//!
//! ```json
//! {
//!   "purpose": "connect",
//!   "clientid": "c1", "username": "ann", "password": "secret",
//!   "ip": "192.0.2.1", "listener": "tls",
//!   "cert_cn": "c1", "cert_subject": "CN=c1", "cert_fingerprint": "ab12.."
//! }
//! ```
//!
//! What a client does not have is `null`. A password that is no UTF-8 is in `password_base64`, and
//! `password` is `null`. With the purpose `refresh`, which asks again about a client that is in,
//! there is no password. A client that shows neither name nor password nor certificate is not asked
//! about.
//!
//! | answer | what it means |
//! |---|---|
//! | 200 with a JSON object | what its `result` says: `allow`, `deny`, `ignore` |
//! | 204 | `allow`, and nothing else |
//! | 401, 403 | `deny`: nobody else is asked |
//! | 404 | `ignore`: the next provider is asked |
//! | all else: other statuses, redirects, garbage, more than 64 KiB | the service has failed (S68) |
//!
//! Beside `result`, the object may have:
//!
//! | key | what |
//! |---|---|
//! | `username` | who the client is, if not who it says |
//! | `is_superuser` | `true`: it may do everything that is not the server's own |
//! | `groups` | names of groups |
//! | `acl` | rules ([`crate::rules`]) |
//! | `expire_in` | seconds after which the client has to come again; not with `expire_at` |
//! | `expire_at` | the same as a time, in seconds since 1970 |

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::question::{Known, Purpose, Question, Verdict};
use crate::web::{Reply, Web};
use crate::{Problem, rules, settings};

/// Asks a web service.
#[derive(Debug)]
pub(crate) struct Http {
    web: Web,
    /// Where its rules stand.
    source: Arc<str>,
}

#[derive(Serialize)]
struct Body<'a> {
    purpose: &'static str,
    clientid: &'a str,
    username: Option<&'a str>,
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_base64: Option<String>,
    ip: Option<String>,
    listener: &'a str,
    cert_cn: Option<&'a str>,
    cert_subject: Option<&'a str>,
    cert_fingerprint: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    result: Result,
    username: Option<String>,
    #[serde(default)]
    is_superuser: Option<bool>,
    #[serde(default)]
    groups: Option<Vec<String>>,
    #[serde(default)]
    acl: Value,
    expire_in: Option<f64>,
    expire_at: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Result {
    Allow,
    Deny,
    Ignore,
}

impl Http {
    pub(crate) fn new(
        settings: &settings::Http,
        name: &Arc<str>,
    ) -> std::result::Result<Self, Problem> {
        Ok(Self {
            web: Web::new(&settings.url, &settings.headers, &settings.tls, LONGEST)?,
            source: format!("back end {name}").into(),
        })
    }

    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        let shows_nothing = question.is_anonymous() && question.certificate.is_none();
        shows_nothing.then_some(Verdict::Unknown)
    }

    pub(crate) async fn ask(&self, question: &Question) -> Verdict {
        let body = match serde_json::to_vec(&Body::of(question)) {
            Ok(body) => body,
            Err(error) => return Verdict::Failed(error.to_string().into()),
        };
        let reply = match self.web.post(body).await {
            Ok(reply) => reply,
            Err(why) => return Verdict::Failed(why),
        };
        self.judge(&reply, question, SystemTime::now())
    }

    fn judge(&self, reply: &Reply, question: &Question, now: SystemTime) -> Verdict {
        let claimed = || Known {
            user: question.username.as_deref().map(Arc::from),
            ..Known::default()
        };
        match reply.status {
            StatusCode::OK => {}
            StatusCode::NO_CONTENT => return Verdict::Known(claimed()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return denied(),
            StatusCode::NOT_FOUND => return Verdict::Unknown,
            other => {
                let why = format!("status {}", other.as_u16()).into();
                return match is_of_question(other) {
                    true => Verdict::Unclear(why),
                    false => Verdict::Failed(why),
                };
            }
        }
        let answer: Answer = match serde_json::from_slice(&reply.body) {
            Ok(answer) => answer,
            // What it says may hold what it was asked.
            Err(_) => return Verdict::Unclear("the answer is not what it should be".into()),
        };
        match answer.result {
            Result::Deny => return denied(),
            Result::Ignore => return Verdict::Unknown,
            Result::Allow => {}
        }
        let Ok(valid_for) = answer.valid_for(now) else {
            return Verdict::Unclear("the answer's end is no time, or over".into());
        };
        let rules = match rules::of_json(&answer.acl, &self.source) {
            Ok(rules) => rules,
            Err(error) => return Verdict::Unclear(format!("the answer's rules: {error}").into()),
        };
        let groups = answer.groups.unwrap_or_default();
        if groups.len() > MOST_GROUPS {
            return Verdict::Unclear("the answer has too many groups".into());
        }
        let user = match answer.username {
            Some(name) if name.is_empty() || name.chars().any(char::is_control) => {
                return Verdict::Unclear("the answer's user name is none".into());
            }
            Some(name) => Some(name.into()),
            None => claimed().user,
        };
        Verdict::Known(Known {
            user,
            groups: groups.into_iter().map(Arc::from).collect(),
            superuser: answer.is_superuser.unwrap_or(false),
            is_known: false,
            rules,
            valid_for,
            data: None,
            credential: None,
        })
    }
}

impl<'a> Body<'a> {
    fn of(question: &'a Question) -> Self {
        let password = question.password.as_ref().map(|it| it.reveal());
        let text = password.map(std::str::from_utf8);
        let certificate = question.certificate.as_deref();
        Self {
            purpose: match question.purpose {
                Purpose::Admit => "connect",
                Purpose::Refresh => "refresh",
            },
            clientid: &question.client_id,
            username: question.username.as_deref(),
            password: text.and_then(std::result::Result::ok),
            password_base64: match (password, text) {
                (Some(password), Some(Err(_))) => Some(STANDARD.encode(password)),
                _ => None,
            },
            ip: question.peer.ip().map(|it| it.to_string()),
            listener: &question.listener_name,
            cert_cn: certificate.and_then(|it| match &it.common_names[..] {
                [name] => Some(name.as_str()),
                _ => None,
            }),
            cert_subject: certificate.map(|it| it.subject.as_str()),
            cert_fingerprint: certificate.map(|it| it.fingerprint.as_str()),
        }
    }
}

impl Answer {
    fn valid_for(&self, now: SystemTime) -> std::result::Result<Option<Duration>, ()> {
        let rest = match (self.expire_in, self.expire_at) {
            (None, None) => return Ok(None),
            (Some(rest), None) => rest,
            (None, Some(end)) => {
                end - now
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs_f64()
            }
            (Some(_), Some(_)) => return Err(()),
        };
        if rest > 0.0 && rest.is_finite() {
            Ok(Some(Duration::from_secs_f64(rest.min(FAR))))
        } else {
            Err(())
        }
    }
}

/// Whether a status is about this client. The service itself is in trouble if it has no time, wants
/// to know who we are, or sends us elsewhere.
fn is_of_question(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(
            status,
            StatusCode::PROXY_AUTHENTICATION_REQUIRED
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
        )
}

fn denied() -> Verdict {
    Verdict::Wrong("the web service says no".into())
}

const LONGEST: usize = 64 * 1024;
const MOST_GROUPS: usize = 1000;
/// Longer than any server runs, in seconds.
const FAR: f64 = 1e10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use auth::{Identity, Secret};
    use types::{Certificate, ReasonCode};

    use super::*;
    use crate::ProviderSettings;
    use crate::chain::tests::{Bench, admitted, login, refusal, request};
    use crate::question::tests::question;
    use crate::settings::{Address, Kind, Tls};
    use crate::web::tests::{Server, says};

    fn provider(server: &Server) -> ProviderSettings {
        ProviderSettings::new("web", Kind::Http(settings(server.url("/"))))
    }

    fn settings(url: Address) -> settings::Http {
        settings::Http {
            url,
            headers: vec![("X-Key".into(), Secret::new(b"k3y"))],
            tls: Tls::default(),
        }
    }

    /// What is made of an answer.
    fn judge(status: u16, body: &str) -> Verdict {
        let http = Http::new(&settings(Address::new("http://h/")), &"web".into()).unwrap();
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.into(),
        };
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        http.judge(&reply, &question("c", "ann", "p"), now)
    }

    #[test]
    fn answers_are_read() {
        let body = r#"{"result": "allow", "is_superuser": true, "groups": ["a"], "expire_in": 60,
            "acl": [{"permission": "deny", "topic": "x"}], "client_attrs": {}}"#;
        let Verdict::Known(known) = judge(200, body) else {
            panic!("it says yes");
        };
        assert_eq!(known.user.as_deref(), Some("ann"));
        assert!(known.superuser);
        assert_eq!(&*known.groups[0], "a");
        assert_eq!(known.valid_for, Some(Duration::from_secs(60)));
        let rule = known.rules.unwrap().list[0].to_string();
        assert_eq!(rule, r#"back end web: deny publish and subscribe "x""#);
        let Verdict::Known(known) = judge(
            200,
            r#"{"result": "allow", "username": "bob", "expire_at": 1007}"#,
        ) else {
            panic!("it says yes");
        };
        assert_eq!(known.user.as_deref(), Some("bob"));
        assert_eq!(known.valid_for, Some(Duration::from_secs(7)));
        for (status, body, said) in [
            (200, r#"{"result": "allow"}"#, "Known"),
            (204, "", "Known"),
            (200, r#"{"result": "deny"}"#, "Wrong"),
            (200, r#"{"result": "deny", "acl": 7}"#, "Wrong"),
            (401, "", "Wrong"),
            (403, r#"{"result": "allow"}"#, "Wrong"),
            (200, r#"{"result": "ignore"}"#, "Unknown"),
            (404, "", "Unknown"),
        ] {
            let shown = format!("{:?}", judge(status, body));
            assert!(shown.starts_with(said), "{status} {body}: {shown}");
        }
    }

    #[test]
    fn s68_what_is_not_an_answer_is_a_failure() {
        for (status, body) in [
            (200, ""),
            (200, "OK"),
            (200, "{}"),
            (200, "[]"),
            (200, r#""allow""#),
            (200, r#"{"result": "Allow"}"#),
            (200, r#"{"result": true}"#),
            (200, r#"{"result": "allow", "is_superuser": "yes"}"#),
            (200, r#"{"result": "allow", "groups": "a"}"#),
            (
                200,
                r#"{"result": "allow", "acl": [{"permission": "allow"}]}"#,
            ),
            (200, r#"{"result": "allow", "username": ""}"#),
            (200, r#"{"result": "allow", "expire_in": 0}"#),
            (200, r#"{"result": "allow", "expire_in": -1}"#),
            (200, r#"{"result": "allow", "expire_at": 1000}"#),
            (
                200,
                r#"{"result": "allow", "expire_in": 1, "expire_at": 1001}"#,
            ),
            (201, r#"{"result": "allow"}"#),
            (206, r#"{"result": "allow"}"#),
            (301, ""),
            (302, r#"{"result": "allow"}"#),
            (400, ""),
            (418, ""),
            (429, ""),
            (500, r#"{"result": "allow"}"#),
            (503, ""),
        ] {
            let said = judge(status, body);
            // What it says about one client is not what it says about all.
            let is_as_it_should_be = match status {
                200 | 400 | 418 => matches!(said, Verdict::Unclear(_)),
                _ => matches!(said, Verdict::Failed(_)),
            };
            assert!(is_as_it_should_be, "{status} {body}: {said:?}");
        }
    }

    #[test]
    fn the_service_is_told_who_asks() {
        let server = Server::new(|_| says("200 OK", r#"{"result": "allow"}"#));
        let bench = Bench::of(vec![ProviderSettings {
            refresh: Duration::from_secs(60),
            ..provider(&server)
        }]);
        let mut asked = login("ann", "se\"cret");
        asked.certificate = Some(Arc::new(Certificate {
            common_names: vec!["c1".into()],
            subject: "CN=c1".into(),
            fingerprint: "ab12".into(),
            ..Certificate::default()
        }));
        let ann = admitted(bench.ask(asked));
        assert_eq!(ann.identity, Identity::User("ann".into()));
        let seen: Value = serde_json::from_str(&server.seen().body).unwrap();
        assert_eq!(
            seen,
            serde_json::json!({
                "purpose": "connect", "clientid": "c", "username": "ann", "password": "se\"cret",
                "ip": "192.0.2.1", "listener": "tcp", "cert_cn": "c1", "cert_subject": "CN=c1",
                "cert_fingerprint": "ab12",
            })
        );
        let mut binary = login("ann", "");
        binary.password = Some(Secret::new(b"\xff"));
        admitted(bench.ask(binary));
        let seen: Value = serde_json::from_str(&server.seen().body).unwrap();
        assert_eq!(
            (&seen["password"], &seen["password_base64"]),
            (&Value::Null, &"/w==".into())
        );
        assert_eq!(admitted(bench.refresh(&ann)), ann);
        let seen: Value = serde_json::from_str(&server.seen().body).unwrap();
        assert_eq!(
            (&seen["purpose"], &seen["password"]),
            (&"refresh".into(), &Value::Null)
        );
        // Who shows nothing is nobody's business.
        assert_eq!(
            refusal(bench.ask(request(None, None))).0,
            ReasonCode::NotAuthorized
        );
        assert_eq!(server.count(), 0);
    }

    #[test]
    fn s68_a_service_that_does_not_answer_is_late_and_then_down() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let server = Server::new(move |_| {
            // Until the test is over.
            let _ = held.lock().unwrap().recv();
            Vec::new()
        });
        let bench = Bench::of(vec![ProviderSettings {
            timeout: Duration::from_millis(50),
            ..provider(&server)
        }]);
        for _ in 0..6 {
            let (reason, _) = refusal(bench.ask(login("ann", "p")));
            assert_eq!(reason, ReasonCode::ServerUnavailable);
        }
        let figures = bench.chain.figures();
        let web = &figures.providers[0];
        assert_eq!(
            (web.timed_out, web.failed, web.refused_by_breaker),
            (5, 0, 1)
        );
        assert!(matches!(bench.notice(), crate::chain::Notice::Down { .. }));
        drop(hold);
    }

    #[test]
    fn s68_questions_that_cannot_be_answered_take_no_provider_down() {
        let server = Server::new(|request| match request.body.contains("odd") {
            true => says("400 Bad Request", ""),
            false => says("200 OK", r#"{"result": "allow"}"#),
        });
        let bench = Bench::new(settings::Settings {
            providers: vec![provider(&server)],
            failed_logins: 7,
            ..settings::Settings::default()
        });
        for _ in 0..7 {
            let (reason, why) = refusal(bench.ask(login("odd", "p")));
            assert_eq!(reason, ReasonCode::ServerUnavailable);
            assert_eq!(&*why, "web: status 400");
        }
        let mut elsewhere = login("ann", "p");
        elsewhere.peer = crate::chain::tests::peer("192.0.2.2");
        let ann = admitted(bench.ask(elsewhere));
        assert_eq!(ann.identity, Identity::User("ann".into()));
        let web = &bench.chain.figures().providers[0];
        assert_eq!(
            (web.failed, web.down, web.refused_by_breaker),
            (7, false, 0)
        );
        // It is the address that is not listened to any more.
        let (reason, _) = refusal(bench.ask(login("odd", "p")));
        assert_eq!(reason, ReasonCode::ConnectionRateExceeded);
    }

    #[test]
    fn f18_who_is_in_stays_in_while_the_service_is_down() {
        let is_first = std::sync::atomic::AtomicBool::new(true);
        let server = Server::new(move |_| {
            let first = is_first.swap(false, std::sync::atomic::Ordering::Relaxed);
            says(if first { "204 No Content" } else { "500 Oh" }, "")
        });
        let bench = Bench::of(vec![ProviderSettings {
            refresh: Duration::from_secs(60),
            ..provider(&server)
        }]);
        let ann = admitted(bench.ask(login("ann", "p")));
        for _ in 0..7 {
            assert_eq!(admitted(bench.refresh(&ann)), ann);
        }
        assert_eq!(
            bench.chain.figures().providers[0].failed,
            5,
            "then it is down"
        );
    }

    #[test]
    fn s68_the_next_one_is_asked_if_settings_say_so() {
        let server = Server::new(|_| says("500 Oh", ""));
        let second = Server::new(|_| says("200 OK", r#"{"result": "allow"}"#));
        let bench = Bench::of(vec![
            ProviderSettings {
                on_failure: settings::OnFailure::Next,
                ..provider(&server)
            },
            ProviderSettings {
                name: "second".into(),
                ..provider(&second)
            },
        ]);
        let ann = admitted(bench.ask(login("ann", "p")));
        assert_eq!(ann.identity, Identity::User("ann".into()));
    }

    #[test]
    fn s71_the_header_and_the_password_are_not_shown() {
        let settings = settings(Address::new("http://u:pa55@h/"));
        let http = Http::new(&settings, &"web".into()).unwrap();
        let shown = format!("{settings:?} {http:?}");
        assert!(!shown.contains("k3y") && !shown.contains("pa55"), "{shown}");
    }
}
