use super::*;

fn text(file: File) -> &'static str {
    std::str::from_utf8(file.content).unwrap()
}

/// What the page names in `src="..."` and `href="..."`.
fn named(page: &str) -> Vec<&str> {
    let after = |mark: &'static str| {
        page.match_indices(mark).filter_map(move |(at, _)| {
            page[at + mark.len()..]
                .split_once('"')
                .map(|(name, _)| name)
        })
    };
    after("src=\"").chain(after("href=\"")).collect()
}

#[test]
fn the_page_names_files_that_are_there_by_relative_paths() {
    let page = text(file("").unwrap());
    let names = named(page);
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        let path = name.strip_prefix("./").expect(name);
        assert!(file(path).is_some_and(|file| file.is_immutable()), "{name}");
    }
}

#[test]
fn the_first_load_is_under_a_megabyte() {
    let page = file("").unwrap();
    let parts = named(text(page)).into_iter().map(|name| {
        let path = name.strip_prefix("./").unwrap();
        file(path).unwrap().content.len()
    });
    let all = page.content.len() + parts.sum::<usize>();
    assert!(all < 1_000_000, "{all} bytes");
}

#[test]
fn s93_the_page_has_nothing_inline_and_asks_nothing_of_others() {
    let page = text(file("").unwrap());
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("></script>"), "the script has a body");
    for forbidden in ["<style", "style=", " onload", "http:", "https:", "//"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for wanted in [
        "default-src 'none'",
        "script-src 'self'",
        "trusted-types 'none'",
    ] {
        assert!(POLICY.contains(wanted), "{wanted}");
    }
    assert!(!POLICY.contains("unsafe"));
}

#[test]
fn there_are_no_source_maps_and_no_paths_of_the_machine_that_built() {
    for file in files() {
        assert!(!file.path.ends_with(".map"), "{}", file.path);
        let content = text(*file);
        for forbidden in ["sourceMappingURL", "/node_modules/", "/home/"] {
            assert!(!content.contains(forbidden), "{forbidden} in {}", file.path);
        }
    }
}

#[test]
fn s90_only_the_paths_of_the_list_are_found() {
    let real = files()
        .iter()
        .find(|file| file.is_immutable())
        .unwrap()
        .path;
    for path in [
        "../Cargo.toml",
        "assets/../index.html",
        "/index.html",
        "assets",
        "assets/",
        "index.html/",
        "%69ndex.html",
        "assets%2f..%2findex.html",
        "INDEX.HTML",
        &format!("/{real}"),
        &format!("{real}\0"),
    ] {
        assert_eq!(file(path), None, "{path}");
    }
    assert_eq!(file(real).unwrap().path, real);
    assert_eq!(file(""), file("index.html"));
}

#[test]
fn media_types_are_those_that_a_browser_runs() {
    for file in files() {
        assert_ne!(
            file.media_type(),
            "application/octet-stream",
            "{}",
            file.path
        );
    }
}
