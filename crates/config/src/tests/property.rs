use proptest::prelude::*;

use super::*;
use crate::keys::KEYS;
use crate::value::{Kind, Value};

/// Any value that a key takes.
fn any_value(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Size { min, max } | Kind::Count { min, max } => {
            (min..=max).prop_map(Value::Number).boxed()
        }
        Kind::Span { min, max } => {
            let seconds = min.as_secs().max(1)..=max.as_secs();
            seconds
                .prop_map(|s| Value::Span(Duration::from_secs(s)))
                .boxed()
        }
        Kind::Rate(_) => (
            1..=1_u64 << 40,
            proptest::sample::select(vec![1_u64, 60, 3600]),
        )
            .prop_map(|(count, seconds)| {
                Value::Rate(Rate::new(count, Duration::from_secs(seconds)).unwrap())
            })
            .boxed(),
        Kind::Mark => Just(Value::Flag(true)).boxed(),
        Kind::Mode => (0..=0o777_u64).prop_map(Value::Number).boxed(),
        Kind::Flag => any::<bool>().prop_map(Value::Flag).boxed(),
        Kind::Choice(words) => proptest::sample::select(words)
            .prop_map(|word| Value::Text(word.into()))
            .boxed(),
        Kind::Url(schemes) => "[a-z]{1,9}"
            .prop_map(|host| {
                Value::Url(Url::parse(&format!("{}://{host}", schemes[0]), schemes).unwrap())
            })
            .boxed(),
        Kind::File | Kind::Made => "/[a-z]{1,9}".prop_map(Value::Text).boxed(),
        Kind::List(_) | Kind::Secret(_) | Kind::Header | Kind::Location(_) => {
            panic!("no single key is of this kind")
        }
        Kind::Text(check) | Kind::Template(check) => ".{1,40}"
            .prop_filter("text that the key takes", move |text| check(text).is_ok())
            .prop_map(Value::Text)
            .boxed(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_rendered_reads_back(
        (key, value) in (0..KEYS.len()).prop_filter("keys that need others, or letters", |i| {
            let path = KEYS[*i].path();
            let alone = path == "dashboard.enabled" || !path.starts_with("dashboard.");
            alone && !["node", "allow_anonymous", "access.file", "access.no_match", "metrics.listen", "telemetry.headers", "telemetry.attributes", "telemetry.traces", "telemetry.standard_variables", "dynamic_security.enabled"].contains(&path.as_str())
        }).prop_flat_map(|i| (Just(i), any_value(KEYS[i].kind)))
    ) {
        let mut config = Config::default();
        (KEYS[key].write)(&mut config, value).unwrap();
        config.limits.connect_packet_size =
            config.limits.connect_packet_size.min(config.limits.packet_size);
        let read = load(&format!("property-{key}"), &config.to_toml()).unwrap();
        prop_assert_eq!(read, config);
    }

    #[test]
    fn no_file_makes_it_panic(text in ".{0,80}|(\\[?\\[?[a-z_]{0,9}\\]?\\]? ?=? ?[\"0-9a-z$\\{\\}]{0,9}\n){0,6}") {
        if let Err(errors) = load("panic", &text) {
            prop_assert!(errors.iter().count() > 0);
        }
    }
}
