use std::path::Path;

use super::*;
use crate::{masked, unmasked};

const ALL: &str = r#"[telemetry]
endpoint = "https://user:pa55@collector:4318/otlp"
# Ours.
headers = ["Authorization: Bearer pa55", "X-Scope: ${SCOPE}"]
ca = "ca.pem"
timeout = "5s"
metrics_interval = "10s"
traces = true
sample_one_in = 1000
honor_traceparent = true
client_messages_per_second = 5
messages_per_second = 50
spans_per_second = 500
standard_variables = true
service_name = "mqtt"
attributes = ["deployment.environment.name=plant", "a==b"]
"#;

#[test]
fn all_of_telemetry_is_read() {
    let folder = Folder::new("telemetry");
    let mut sources = folder.sources(ALL);
    sources.environment = vec![
        ("SCOPE".into(), "7".into()),
        // What the file says holds.
        ("OTEL_SERVICE_NAME".into(), "other".into()),
    ];
    let telemetry = Config::load(&sources).unwrap().telemetry;
    let endpoint = telemetry.endpoint.as_ref().unwrap();
    assert_eq!(endpoint.reveal(), "https://user:pa55@collector:4318/otlp");
    let headers = telemetry.headers.iter();
    let headers: Vec<_> = headers
        .map(|it| (it.name.as_str(), it.value.reveal()))
        .collect();
    assert_eq!(
        headers,
        [("Authorization", "Bearer pa55"), ("X-Scope", "7")]
    );
    assert_eq!(telemetry.ca, Some(folder.0.join("ca.pem")));
    assert_eq!(telemetry.timeout, Duration::from_secs(5));
    assert_eq!(telemetry.metrics_interval, Duration::from_secs(10));
    assert!(telemetry.traces);
    assert_eq!(
        (telemetry.sample_one_in, telemetry.messages_per_second),
        (1000, 50)
    );
    assert!(telemetry.honor_traceparent);
    assert_eq!(
        (
            telemetry.client_messages_per_second,
            telemetry.spans_per_second
        ),
        (5, 500)
    );
    assert_eq!(telemetry.service_name, "mqtt");
    assert_eq!(telemetry.attributes.len(), 2);
}

#[test]
fn variables_of_opentelemetry_stand_for_what_nobody_said_if_they_are_wanted() {
    let mut sources = Sources {
        environment: vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT".into(), "http://c:4318".into()),
            ("OTEL_SERVICE_NAME".into(), String::new()),
        ],
        ..Sources::default()
    };
    // A container has them for others.
    assert_eq!(Config::load(&sources).unwrap().telemetry.endpoint, None);
    let wanted = (
        "NIGHTJAR__TELEMETRY__STANDARD_VARIABLES".to_owned(),
        "true".to_owned(),
    );
    sources.environment.push(wanted.clone());
    let telemetry = Config::load(&sources).unwrap().telemetry;
    assert_eq!(telemetry.endpoint.unwrap().reveal(), "http://c:4318");
    assert_eq!(telemetry.service_name, "nightjar");
    let ours = ("NIGHTJAR__TELEMETRY__ENDPOINT".into(), "http://d".into());
    sources.environment.push(ours);
    let telemetry = Config::load(&sources).unwrap().telemetry;
    assert_eq!(telemetry.endpoint.unwrap().reveal(), "http://d");
    sources.environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".into(), "c:pa55@4317".into())];
    assert!(Config::load(&sources).is_ok());
    sources.environment.push(wanted);
    let error = Config::load(&sources).unwrap_err().to_string();
    let told = "variable OTEL_EXPORTER_OTLP_ENDPOINT: telemetry.endpoint: ";
    assert!(
        error.starts_with(told) && !error.contains("pa55"),
        "{error}"
    );
}

#[test]
fn what_makes_no_sense_of_telemetry_is_told() {
    assert_told(
        "telemetry-wrong",
        &[
            (
                "[telemetry]\ntraces = true\n",
                "nightjar.toml:2:10: telemetry.traces needs telemetry.endpoint",
            ),
            (
                "[telemetry]\nattributes = [\"a\"]\n",
                "nightjar.toml:2:14: telemetry.attributes: \"a\" is no attribute; write \"key=value\"",
            ),
            (
                "[telemetry]\nservice_name = \"\"\n",
                "nightjar.toml:2:16: telemetry.service_name: \"\" is no name",
            ),
            (
                "[telemetry]\nendpoint = \"grpc://h\"\n",
                "nightjar.toml:2:12: telemetry.endpoint: this address begins in another way",
            ),
            (
                "[telemetry]\nendpoint = \"http://h/?a=b\"\n",
                "nightjar.toml:2:12: telemetry.endpoint ends before ? and #",
            ),
            (
                "[telemetry]\nheaders = [\"Host: h\"]\n",
                "nightjar.toml:2:11: telemetry.headers: host is said by the server itself",
            ),
        ],
    );
}

#[test]
fn s71_secrets_of_a_table_are_hidden_and_go_to_nobody_else() {
    let shown = masked(ALL).unwrap();
    assert!(
        !shown.contains("pa55") && shown.contains("# Ours."),
        "{shown}"
    );
    assert!(
        shown.contains("\"Authorization: ***\", \"X-Scope: ${SCOPE}\""),
        "{shown}"
    );
    let path = Path::new("nightjar.toml");
    assert_eq!(unmasked(path, &shown, ALL).unwrap(), ALL);
    let elsewhere = shown.replace("collector:", "elsewhere:");
    let error = unmasked(path, &elsewhere, ALL).unwrap_err().to_string();
    assert!(
        error.contains("telemetry.headers: *** stands for no secret"),
        "{error}"
    );
    let told = load("telemetry-told", &ALL.replace("${SCOPE}", "7")).unwrap();
    let text = format!("{told:?}{}", told.to_toml());
    assert!(!text.contains("pa55"), "{text}");
    let rows = told.told(&crate::Places::default());
    assert!(rows.iter().all(|row| !row.value.contains("pa55")));
}
