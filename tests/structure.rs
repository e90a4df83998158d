//! What the rooms of the house promise: the pure ones have no effects, and the CRDs are what the
//! types say.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use roster::api::Reason;
use roster::api::schema::crds;
use roster::controller::policies::{MUTATING, VALIDATING};
use roster::domain::password::{MAXIMUM_LENGTH, MINIMUM_LENGTH, MINIMUM_SCORE};
use serde_json::Value;
use strum::IntoEnumIterator;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn domain_and_plan_have_no_clock_no_coin_and_no_effects() {
    let effects = [
        "kube::",
        "k8s_openapi",
        "sqlx",
        "tokio",
        "axum",
        "futures::",
        "async ",
        ".await",
        "::now(",
        "now_v7",
        "new_v4",
        "rand::",
        "std::fs",
        "std::env",
        "std::process",
        "std::thread",
        "std::time",
        "std::io",
        "std::sync::Mutex",
        "tracing::",
        "println!",
    ];
    for room in ["src/domain", "src/plan"] {
        for file in files_below(&project().join(room)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (number, line) in code.enumerate() {
                let found = effects.iter().find(|effect| line.contains(**effect));
                assert_eq!(found, None, "{}: code line {}: {line}", file.display(), number + 1);
            }
        }
    }
}

#[test]
fn domain_knows_no_other_room() {
    for file in files_below(&project().join("src/domain")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for room in ["crate::api", "crate::plan", "crate::store", "crate::controller", "crate::cli"]
        {
            assert!(!text.contains(room), "{} reaches into {room}", file.display());
        }
    }
}

#[test]
fn provisioning_knows_nothing_of_kubernetes() {
    for (module, code) in modules() {
        let is_clean =
            ["crate::controller", "kube::", "k8s_openapi"].iter().all(|it| !code.contains(it));
        assert!(
            is_clean || !module.starts_with("provisioning"),
            "{module} reaches into Kubernetes"
        );
    }
}

#[test]
fn awaits_stand_only_in_the_rooms_of_effects() {
    for file in files_below(&project().join("src")) {
        let place =
            file.strip_prefix(project().join("src")).unwrap().to_string_lossy().into_owned();
        let has_effects =
            ["controller/", "provisioning/", "store/", "cli/", "main.rs", "telemetry.rs"]
                .iter()
                .any(|room| place.starts_with(room));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(has_effects || !text.contains(".await"), "{place} awaits");
    }
}

#[test]
fn the_kept_crds_are_what_the_types_say() {
    for (file, crd) in crds() {
        let kept = std::fs::read_to_string(project().join("crds").join(file)).unwrap();
        let said = serde_saphyr::to_string(&crd).unwrap();
        assert!(kept == said, "crds/{file} differs from the types: run `make crds`");
    }
}

/// Calls `judge` with the path and schema of everything below a schema.
fn walk(schema: &Value, path: &str, judge: &mut impl FnMut(&str, &Value)) {
    judge(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &format!("{path}.{name}"), judge);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), judge);
    }
}

fn every_schema(mut judge: impl FnMut(&str, &Value)) {
    for (file, crd) in crds() {
        let crd = serde_json::to_value(crd).unwrap();
        walk(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], file, &mut judge);
    }
}

#[test]
fn every_field_has_a_description() {
    every_schema(|path, schema| {
        let described =
            schema["description"].as_str().is_some_and(|text| text.trim().ends_with('.'));
        assert!(
            described || path.ends_with("[]") || path.ends_with(".metadata"),
            "{path} has no description"
        );
    });
}

#[test]
fn every_text_and_every_list_is_bounded() {
    every_schema(|path, schema| match schema["type"].as_str() {
        Some("string") => {
            let bounded =
                ["maxLength", "enum", "format"].iter().any(|bound| !schema[bound].is_null());
            assert!(bounded, "{path} has no bound");
        }
        Some("array") => assert!(!schema["maxItems"].is_null(), "{path} has no bound"),
        _ => {}
    });
}

#[test]
fn the_reference_explains_every_reason() {
    let page = std::fs::read_to_string(project().join("docs/reference/conditions.md")).unwrap();
    for reason in Reason::iter() {
        let name = reason.as_str();
        assert!(page.contains(&format!("\n### {name}\n")), "{name} isn't in the reference");
    }
}

#[test]
fn the_operator_knows_every_policy_that_is_shipped() {
    let mut shipped = vec![];
    for file in files_below(&project().join("deploy/policies")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for document in text.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document).unwrap();
            if object["kind"].as_str().is_some_and(|kind| kind.ends_with("AdmissionPolicy")) {
                shipped.push(object["metadata"]["name"].as_str().unwrap().to_owned());
            }
        }
    }
    shipped.sort();
    let mut known = [VALIDATING.names, MUTATING.names].concat();
    known.sort_unstable();
    assert_eq!(shipped, known);
}

#[test]
fn kubectl_explain_states_what_a_password_must_be() {
    let mut described = String::new();
    every_schema(|path, schema| {
        if path.ends_with(".spec.passwordSecretRef") {
            described = schema["description"].as_str().unwrap().replace('\n', " ");
        }
    });
    let score = u8::from(MINIMUM_SCORE);
    let numbers = [
        format!("{MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters"),
        format!("score of at least {score} of 4"),
    ];
    let words = [
        "UTF-8",
        "one line without control characters",
        "NFKC",
        "the login name, the username or the email, alone or repeated",
        "must be the same",
    ];
    for text in numbers.iter().map(String::as_str).chain(words) {
        assert!(described.contains(text), "{text:?} isn't in: {described}");
    }
}

/// Returns the files of `src/` that aren't unit tests, by module: `controller::cache` and its code,
/// without comments and unit tests.
fn modules() -> BTreeMap<String, String> {
    let src = project().join("src");
    let files = files_below(&src).into_iter().filter_map(|file| {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().strip_suffix(".rs")?;
        let module = path.strip_suffix("/mod").unwrap_or(path).replace('/', "::");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap());
        let is_code = !module.contains("tests") && module != "lib" && module != "main";
        is_code.then(|| (module, code.collect::<Vec<_>>().join("\n")))
    });
    files.collect()
}

/// Returns what is the same for two modules that belong together: the first `depth` names.
fn area(module: &str, depth: usize) -> String {
    module.split("::").take(depth).collect::<Vec<_>>().join("::")
}

/// Returns the module of a path such as `super::cache::ClusterCache`, as seen from a module.
fn resolve<'a>(
    modules: &'a BTreeMap<String, String>,
    from: &str,
    path: &str,
) -> Option<&'a String> {
    let mut base: Vec<&str> = from.split("::").collect();
    let mut names = path.split("::").peekable();
    match names.next()? {
        "crate" => base.clear(),
        "super" => _ = base.pop(),
        _ => {}
    }
    while names.next_if_eq(&"super").is_some() {
        base.pop();
    }
    base.extend(names);
    (1..=base.len()).rev().find_map(|length| {
        modules.get_key_value(&base[..length].join("::")).map(|(module, _)| module)
    })
}

/// Returns the paths in code, those in the braces of a `use` written out one level deep.
fn paths(code: &str) -> Vec<String> {
    let path = regex::Regex::new(r"\b((?:crate|super|self)(?:::[a-z_0-9]+)*)(?:::\{([^;]*)\};)?");
    let first = regex::Regex::new(r"(?:^|[{,])\s*([a-z_0-9]+)(?:::|,|\s|$)").unwrap();
    let path = path.unwrap();
    let found = path.captures_iter(code).flat_map(|found| {
        let base = found[1].to_owned();
        let inner = found.get(2).map_or("", |inner| inner.as_str());
        let below: Vec<String> =
            first.captures_iter(inner).map(|name| format!("{base}::{}", &name[1])).collect();
        below.into_iter().chain([base])
    });
    found.collect()
}

/// Returns which areas use which others: `depth` 1 tells top-level modules apart, 2 those below.
fn uses(depth: usize) -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, code) in &modules {
        for path in paths(code) {
            let Some(used) = resolve(&modules, module, &path) else { continue };
            let (by, of) = (area(module, depth), area(used, depth));
            // What a folder's own file has is below no sibling of its other files.
            let are_apart = by != of && !by.starts_with(&of) && !of.starts_with(&by);
            if are_apart {
                uses.entry(by).or_default().insert(of);
            }
        }
    }
    uses
}

/// Returns the modules through which `from` comes back to itself.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>, from: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in uses.get(way.last().unwrap()).into_iter().flatten() {
            if next == from {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                ways.push(way.iter().chain([next]).cloned().collect());
            }
        }
    }
    None
}

#[test]
fn no_module_depends_on_itself_by_a_detour() {
    let top = uses(1);
    let circles = top.keys().filter_map(|module| circle(&top, module));
    assert_eq!(circles.collect::<Vec<_>>(), Vec::<Vec<String>>::new());
    let below = uses(2);
    let controller = below.keys().filter(|module| module.starts_with("controller::"));
    let circles = controller.filter_map(|module| circle(&below, module));
    assert_eq!(circles.collect::<Vec<_>>(), Vec::<Vec<String>>::new());
}

#[test]
fn each_visible_type_has_a_name_of_its_own() {
    let definition = regex::Regex::new(
        r"(?m)^\s*pub(?:\([a-z:]+\))? (?:struct|enum|trait|type|union) ([A-Za-z]+)",
    );
    let definition = definition.unwrap();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (module, code) in modules() {
        // What a trait has (`type Spec;`) and a test names is no definition that others can meet.
        for name in definition.captures_iter(&code) {
            places.entry(name[1].to_owned()).or_default().push(module.clone());
        }
    }
    places.retain(|_, modules| modules.len() > 1);
    assert_eq!(places, BTreeMap::new());
}
