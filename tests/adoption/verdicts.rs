//! `roster plan` refuses what `kubectl apply` refuses and takes what it takes: each form of a file,
//! of metadata and of values is given to both, on a real API server.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use roster_test_support::cluster::Organization;
use serde_json::Value;

use crate::{CLUSTER, Place};

/// How many manifests are judged at once.
const AT_ONCE: usize = 4;

const NAME: &str = "name: ann";

/// A `User` with further metadata and further fields.
fn user(metadata: &str, fields: &str) -> String {
    format!(
        "apiVersion: roster.rs/v1alpha1\nkind: User\nmetadata: {{{metadata}}}\n\
         spec: {{email: ann@acme.example, profile: {{displayName: Ann}}, chargeApproved: true{fields}}}\n"
    )
}

/// Further fields of metadata.
fn metadata() -> Vec<String> {
    let long = |length: usize| "x".repeat(length);
    let fields = [
        "labels: {owner: bob@acme.example}",
        "labels: {n: 1}",
        "labels: {n: true}",
        "labels: {n: null}",
        "labels: {n: \"\"}",
        "labels: {n: a-}",
        "labels: {n: a_b.c-d}",
        "labels: {a b: x}",
        "labels: {a/b/c: x}",
        "labels: {A.b/c: x}",
        "labels: {\"\": x}",
        "labels: [a]",
        "labels: a",
        "labels: null",
        "annotations: {n: 1}",
        "annotations: {n: yes}",
        "annotations: {n: null}",
        "annotations: {n: hello world @}",
        "annotations: {a b: x}",
        "annotations: {A.B/c: x}",
        "annotations: {n: {a: b}}",
        "lables: {a: b}",
        "foo: 1",
        "generateName: ann-",
        "uid: 0b7e0b9c-1b8e-4b3c-9f0e-3b1f0c0d2e4f",
        "resourceVersion: 5",
        "creationTimestamp: null",
        "creationTimestamp: \"2024-01-01T00:00:00Z\"",
        "creationTimestamp: yesterday",
        "generation: 4",
        "generation: \"4\"",
        "finalizers: [acme.example/keep]",
        "finalizers: [keep]",
        "finalizers: [a b]",
        "finalizers: keep",
        "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: \"1\"}]",
        "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a}]",
        "ownerReferences: [{apiVersion: v1, kind: ConfigMap, uid: \"1\"}]",
        "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: \"1\", foo: 1}]",
        "ownerReferences: [{apiVersion: a/b/c, kind: ConfigMap, name: a, uid: \"1\"}]",
        "ownerReferences: [{apiVersion: v1, kind: Event, name: a, uid: \"1\"}]",
        "ownerReferences: {a: b}",
        "managedFields: []",
        "clusterName: a",
    ];
    let mut all: Vec<String> = fields.map(str::to_owned).into();
    all.extend([63, 64].map(|length| format!("labels: {{n: {}}}", long(length))));
    all.push(format!("labels: {{{}: x}}", long(64)));
    all.extend(
        [100_000, 200_000, 262_145].map(|length| format!("annotations: {{n: {}}}", long(length))),
    );
    all
}

/// Names of an object.
const NAMES: [&str; 18] = [
    "1001",
    "\"1001\"",
    "1.5",
    "yes",
    "null",
    "\"\"",
    "Ann",
    "a_b",
    "a.b",
    "-a",
    "\"ann \"",
    "änn",
    "[a]",
    "010",
    "2024-01-01",
    "1e3",
    "0x1F",
    "\"a/b\"",
];

/// Further fields of a spec.
const FIELDS: [&str; 56] = [
    "role: null",
    "teams: null",
    "permissions: null",
    "permissions: {from: null}",
    "state: null",
    "teams: [null]",
    "teams: []",
    "foo: null",
    "foo: 1",
    "groupRef: null",
    "permissions: {grants: null}",
    "permissions: {grants: [null]}",
    "deletionProtection: null",
    "username: null",
    "role: A, role: B",
    "role: A, role: null",
    "state: yes",
    "deletionProtection: yes",
    "deletionProtection: \"true\"",
    "deletionProtection: on",
    "deletionProtection: y",
    "role: 12",
    "role: 1.0",
    "role: 2024-01-01",
    "role: 0123",
    "role: 12:30:45",
    "role: ~",
    "role: .inf",
    "role: 1_000",
    "role: +49",
    "role: 0b11",
    "role: 0o17",
    "role: no",
    "role: off",
    "role: Null",
    "role: <<",
    "role: =",
    "role: !!str 12",
    "role: !!binary aGVsbG8=",
    "role: !foo bar",
    "role: !!int \"3\"",
    "role: !!float 3",
    "teams: !!set {a: null}",
    "5: x",
    "yes: x",
    "null: x",
    "[a]: x",
    "1.5: x",
    "<<: {role: B}",
    "role: A, <<: {role: B}",
    "role: *nope",
    "role: &a A, teams: [*a]",
    "role: \"A \\ud83d\\ude00\"",
    "role: \"A \\ud83d\"",
    "role: \"A \\/ b\"",
    "role: 'A \\/ b \\ud83d'",
];

/// Files whose form is out of the ordinary.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let one = user(NAME, "");
    let two = one.replace("ann", "bob");
    let json = serde_json::to_string(&serde_saphyr::from_str::<Value>(&one).unwrap()).unwrap();
    let other = json.replace("ann", "bob");
    let utf16 = |text: String| {
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    let texts = [
        ("byte order mark", format!("\u{feff}{one}")),
        ("byte order mark, second document", format!("{one}---\n\u{feff}{two}")),
        ("byte order mark before a separator", format!("{one}\u{feff}---\n{two}")),
        ("byte order mark in a value", one.replace("Ann", "A\u{feff}nn")),
        ("CRLF", format!("{one}---\n{two}").replace('\n', "\r\n")),
        ("CR", one.replace('\n', "\r")),
        ("YAML directive", format!("%YAML 1.1\n---\n{one}")),
        ("TAG directive", format!("%TAG ! tag:example.com,2000:\n---\n{one}")),
        ("directive after an end", format!("{one}...\n%YAML 1.1\n---\n{two}")),
        ("separator with a comment", format!("--- # first\n{one}")),
        ("separator with a text", format!("--- foo\n{one}")),
        ("separator with a map", format!("--- {{}}\n{one}")),
        ("separator with an object", format!("--- {json}\n")),
        ("four dashes", format!("----\n{one}")),
        ("separator with spaces", format!("---  \t\n{one}")),
        ("separator that is indented", format!("{one} ---\n{two}")),
        ("end of a document", format!("{one}...\n")),
        ("document after an end", format!("{one}...\n{two}")),
        ("empty documents", format!("---\n---\n# nothing\n---\n{one}---\n")),
        ("comments alone", "# nothing\n".to_owned()),
        ("nothing", String::new()),
        ("null", format!("null\n---\n{one}")),
        ("text", format!("hello\n---\n{one}")),
        ("list", format!("- a\n---\n{one}")),
        ("empty map", format!("{{}}\n---\n{one}")),
        ("bad first document", format!("a: [\n---\n{one}")),
        ("bad second document", format!("{one}---\na: [\n")),
        ("tab", one.replace("spec: {", "spec:\n\t{")),
        ("control character", one.replace("Ann", "\"A\u{7}nn\"")),
        ("delete character", one.replace("Ann", "\"A\u{7f}nn\"")),
        ("escaped control character", one.replace("Ann", "\"A\\e[0mnn\"")),
        ("unknown escape", one.replace("Ann", "\"A\\q\"")),
        ("JSON", json.clone()),
        ("JSON with a surrogate pair", json.replace("Ann", "A\\ud83d\\ude00")),
        ("JSON with half a pair", json.replace("Ann", "A\\ud83d")),
        ("JSON with an escaped slash", json.replace("Ann", "A\\/")),
        ("JSON with a byte order mark", format!("\u{feff}{json}")),
        ("JSON twice", format!("{json}\n{other}")),
        ("JSON in a list", format!("[{json}]")),
        ("JSON field twice", json.replace("\"chargeApproved\"", "\"role\":\"A\",\"role\":\"B\",\"chargeApproved\"")),
        ("JSON field in capitals", json.replace("chargeApproved", "ChargeApproved")),
        ("JSON with a comma", json.replace("true}", "true,}")),
        ("JSON with single quotes", json.replace("\"Ann\"", "'Ann'")),
        ("JSON with a comment", json.replace("{\"apiVersion\"", "{ # x\n\"apiVersion\"")),
        ("JSON after a comment", format!("// x\n{json}")),
        ("JSON with a separator", format!("{json}\n---\n{other}")),
        ("JSON, then YAML", format!("{json}\n{two}")),
        ("JSON twice, then YAML", format!("{json}\n{other}\n---\n{}", one.replace("ann", "eve"))),
        ("JSON, then something", format!("{json} garbage")),
        ("JSON, then null", format!("{json}\nnull\n")),
        ("List", format!("apiVersion: v1\nkind: List\nitems:\n- {json}\n")),
        ("UserList", format!("apiVersion: roster.rs/v1alpha1\nkind: UserList\nitems:\n- {json}\n")),
        ("UserList of objects without a kind", format!("apiVersion: roster.rs/v1alpha1\nkind: UserList\nitems:\n- {}\n", json.replace("\"kind\":\"User\",", "").replace("\"apiVersion\":\"roster.rs/v1alpha1\",", ""))),
        ("List without items", "apiVersion: v1\nkind: List\n".to_owned()),
        ("List of null", "apiVersion: v1\nkind: List\nitems: [null]\n".to_owned()),
        ("List with a map", "apiVersion: v1\nkind: List\nitems: {a: b}\n".to_owned()),
        ("List in a List", format!("apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: List, items: [{json}]}}\n")),
        ("unknown field beside spec", format!("{one}foo: 1\n")),
        ("status", format!("{one}status: {{}}\n")),
        ("status with an unknown field", format!("{one}status: {{foo: 1}}\n")),
        ("status that is a text", format!("{one}status: hello\n")),
        ("spec that is a text", "apiVersion: roster.rs/v1alpha1\nkind: User\nmetadata: {name: ann}\nspec: x\n".to_owned()),
        ("no metadata", "apiVersion: roster.rs/v1alpha1\nkind: User\nspec: {email: ann@acme.example, profile: {displayName: Ann}}\n".to_owned()),
        ("metadata that is a text", "apiVersion: roster.rs/v1alpha1\nkind: User\nmetadata: ann\n".to_owned()),
        ("no kind", one.replace("kind: User\n", "")),
        ("kind in small letters", one.replace("kind: User", "kind: user")),
        ("kind that is a number", one.replace("kind: User", "kind: 5")),
        ("apiVersion that isn't there", one.replace("v1alpha1", "v1")),
        ("apiVersion that is a number", one.replace("roster.rs/v1alpha1", "1")),
        ("apiVersion of three parts", one.replace("roster.rs/v1alpha1", "a/b/c")),
        ("empty namespace", user("name: ann, namespace: \"\"", "")),
        ("namespace that is a number", user("name: ann, namespace: 5", "")),
    ];
    let mut files: Vec<(&str, Vec<u8>)> =
        texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    files.extend([
        ("UTF-16", utf16(one.clone())),
        ("UTF-16 with two documents", utf16(format!("{one}---\r\n{two}"))),
        ("UTF-16 without a mark", one.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        (
            "Latin-1",
            one.replace("Ann", "A~nn").bytes().map(|b| if b == b'~' { 0xe4 } else { b }).collect(),
        ),
    ]);
    files
}

/// Namespaces, which have to be new ones: each has a name of its own.
fn namespaces() -> Vec<String> {
    let namespace = |name: &str, further: &str| {
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}{further}}}\n")
    };
    let labelled = |label: &str| {
        namespace("verdict", &format!(", labels: {{roster.rs/customer-id: {label}}}"))
    };
    let mut all: Vec<String> =
        ["acme-1", "10042", "Acme Inc", "ACME", "\"\"", "a.b", "null"].map(labelled).into();
    all.extend(["Verdict", "a.b", "77", "null"].map(|name| namespace(name, "")));
    all.push(namespace(&"a".repeat(64), ""));
    all.push(namespace("verdict", ", foo: 1"));
    all.push(namespace("verdict", ", labels: {a: b@c}"));
    all.push(namespace("verdict", "") + "foo: 1\n");
    all.push(namespace("verdict", "") + "spec: {foo: [x]}\n");
    all
}

/// What both say of a file: a difference, if there is one.
fn difference(organization: &Organization, place: &Place, file: &Path) -> Option<String> {
    let file = file.to_str().unwrap();
    let applied = |further: &[&str]| {
        let arguments: Vec<&str> =
            ["apply", "--dry-run=server", "-f", file].iter().chain(further).copied().collect();
        organization.kubectl(&arguments, "")
    };
    let client_side = applied(&[]);
    let planned = place.roster(&["plan", "-n", &organization.name, "-f", file], "");
    let said = String::from_utf8_lossy(&planned.stdout) + String::from_utf8_lossy(&planned.stderr);
    let is_refused = planned.status.code() == Some(2) || said.contains("refused: Invalid: ");
    if client_side.success == is_refused {
        return Some(format!("kubectl: {}plan: {said}", client_side.stderr));
    }
    if !is_refused && !applied(&["--server-side"]).success && !said.contains("server-side apply") {
        return Some(format!("server-side apply refuses it, plan says nothing of it: {said}"));
    }
    None
}

#[test]
fn a_manifest_gets_the_same_verdict_from_plan_and_from_kubectl() {
    let organization = CLUSTER.organization();
    let place = tokio::runtime::Runtime::new().unwrap().block_on(Place::filled());
    let mut cases: Vec<(String, Vec<u8>)> = vec![];
    cases.extend(metadata().into_iter().map(|further| {
        let text = user(&format!("{NAME}, {further}"), "");
        (further, text.into_bytes())
    }));
    cases.extend(
        NAMES.map(|name| (name.to_owned(), user(&format!("name: {name}"), "").into_bytes())),
    );
    cases.extend(
        FIELDS.map(|field| (field.to_owned(), user(NAME, &format!(", {field}")).into_bytes())),
    );
    cases.extend(files().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)));
    cases.extend(namespaces().into_iter().map(|text| (text.clone(), text.into_bytes())));
    assert!(cases.len() >= 200, "{}", cases.len());
    let next = AtomicUsize::new(0);
    let differences = std::thread::scope(|scope| {
        let work = || {
            let mut found = vec![];
            while let Some((name, bytes)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
                std::fs::write(file.path(), bytes).unwrap();
                let told = difference(&organization, &place, file.path());
                found.extend(told.map(|told| format!("{}\n{told}", &name[..name.len().min(120)])));
            }
            found
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<String>>()
    });
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}
