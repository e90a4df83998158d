use serde_json::json;

use super::*;

/// Reads a file as the only one.
fn parse_with(file: &str, text: &str, left: &mut usize) -> Result<Vec<Document>, String> {
    let mut read = Documents::default();
    read.add(file, text, left).map_err(|error| error.to_string())?;
    match read.unreadable.first() {
        Some(UnreadableDocument { place, message }) => Err(format!("{place}: {message}")),
        None => Ok(read.documents),
    }
}

fn parse(file: &str, text: &str) -> Result<Vec<Document>, String> {
    parse_with(file, text, &mut { MAX_NODES })
}

#[test]
fn values_are_counted_over_all_documents_and_files() {
    let mut left = 10;
    let mut read = |text: &str| parse_with("people.yaml", text, &mut left);
    assert_eq!(read("a: 1\n---\na: 1\n").unwrap().len(), 2);
    let refused =
        "people.yaml: with it, there are more than 2000000 values to read: plan it in parts";
    assert_eq!(read("a: [1, 2, 3]\n").unwrap_err(), refused);
    assert_eq!(read("a: 1\n").unwrap().len(), 1);
    assert_eq!(read("a: 1\n").unwrap_err(), refused);
    let whole = format!("items: [{}1]\n", "1,".repeat(MAX_NODES));
    assert_eq!(parse("people.yaml", &whole).unwrap_err(), refused);
    let (mut left, aliases) = (100, format!("a: &a [1, 2, 3, 4]\nb: [{}*a]\n", "*a, ".repeat(29)));
    let error = parse_with("people.yaml", &aliases, &mut left).unwrap_err();
    assert_eq!(error, refused, "what aliases stand for is counted too");
}

#[test]
fn every_field_knows_its_line() {
    let text = "# people\nkind: A\n---\nkind: B\nspec:\n  teams:\n  - one\n  - two\n  empty:\n";
    let documents = parse("people.yaml", text).unwrap();
    assert_eq!(
        documents[1].value,
        json!({"kind": "B", "spec": {"teams": ["one", "two"], "empty": null}})
    );
    for (path, line) in [
        ("", 4),
        ("kind", 4),
        ("spec", 5),
        ("spec.teams", 6),
        ("spec.teams[1]", 8),
        ("spec.teams[1].x", 8),
        ("spec.x", 5),
    ] {
        assert_eq!(documents[1].place(path).to_string(), format!("people.yaml:{line}"), "{path}");
    }
}

#[test]
fn a_list_is_what_is_in_it() {
    let text = "kind: List\nitems:\n- kind: A\n  spec:\n    x: 1\n- kind: B\n";
    let items: Vec<Document> =
        parse("-", text).unwrap().into_iter().flat_map(|list| list.items().unwrap()).collect();
    assert_eq!(
        items.iter().map(|item| item.value["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["A", "B"]
    );
    assert_eq!((items[0].place("spec.x").line, items[1].place("").line), (5, 6));
}

#[test]
fn what_isnt_yaml_is_told_with_its_line_and_quotes_nothing() {
    let error =
        parse("people.yaml", "kind: Secret\ndata:\n  a: [hunter2\n  b: }hunter2\n").unwrap_err();
    assert!(error.starts_with("people.yaml:") && !error.contains("hunter2"), "{error}");
}

#[test]
fn json_objects_may_stand_one_after_another() {
    let text = "{\n  \"kind\": \"A\"\n}\n{\n  \"kind\": \"B\", \"spec\": {\n    \"x\": 1}\n} {\"kind\": \"C\"}\n";
    let documents = parse("people.json", text).unwrap();
    let kinds: Vec<&str> =
        documents.iter().map(|document| document.value["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["A", "B", "C"]);
    assert_eq!(
        (
            documents[1].place("").line,
            documents[1].place("spec.x").line,
            documents[2].place("").line
        ),
        (4, 6, 7)
    );
    let error = parse("people.json", &format!("{text}---\nkind: D\n")).unwrap_err();
    assert!(error.starts_with("people.json:8: kubectl reads one JSON object after"), "{error}");
    let flow = "{kind: A}\n---\n{\"kind\": \"B\"}\n";
    assert_eq!(parse("people.yaml", flow).unwrap().len(), 2, "YAML may begin so too");
}

#[test]
fn an_anchor_may_be_everybodys_and_what_is_multiplied_is_bounded() {
    let text = format!("hq: &hq {{country: US}}\nitems:\n{}", "- address: *hq\n".repeat(1000));
    let documents = parse("people.yaml", &text).unwrap();
    assert_eq!(documents[0].value["items"][999], json!({"address": {"country": "US"}}));
    let ten = |of: &str| format!("[{}]", [of; 10].join(", "));
    let levels =
        (1..9).map(|level| format!("a{level}: &a{level} {}\n", ten(&format!("*a{}", level - 1))));
    let bomb = format!("a0: &a0 {}\n{}", ten("x"), levels.collect::<String>());
    assert!(parse("people.yaml", &bomb).is_err());
}

#[test]
fn a_file_may_have_thousands_of_documents() {
    let text = "kind: A\n---\n".repeat(20_000);
    assert_eq!(parse("people.yaml", &text).unwrap().len(), 20_000);
}

#[test]
fn a_field_that_stands_there_twice_has_its_last_value_and_is_told() {
    let documents = parse("people.yaml", "kind: A\n---\nspec:\n  role: B\n  role: C\n").unwrap();
    assert_eq!(documents[1].value, json!({"spec": {"role": "C"}}));
    let told = "people.yaml:5: spec.role stands there twice; kubectl takes the last";
    assert_eq!(documents[1].notes, [told]);
}

#[test]
fn one_document_that_cant_be_read_leaves_the_others() {
    let mut read = Documents::default();
    let text = "kind: A\n---\na: [\n---\nkind: B\n--- c\nkind: C\n...\nkind: D\n";
    read.add("people.yaml", text, &mut { MAX_NODES }).unwrap();
    let kinds: Vec<&Value> =
        read.documents.iter().map(|document| &document.value["kind"]).collect();
    assert_eq!(kinds, ["A", "B", "C"]);
    let lines: Vec<u64> = read.unreadable.iter().map(|unreadable| unreadable.place.line).collect();
    assert_eq!(lines, [3, 6], "{:?}", read.unreadable);
    assert!(
        read.ignored[0].starts_with("people.yaml:8: kubectl doesn't read"),
        "{:?}",
        read.ignored
    );
}

#[test]
fn go_reads_half_a_surrogate_pair_as_a_replacement_in_json_and_not_at_all_in_yaml() {
    let read = |text: &str| parse("people", text).map(|read| read[0].value["a"].clone());
    assert_eq!(read(r#"{"a": "\ud83d\ude00 \ud83d \\ud83d"}"#).unwrap(), "😀 \u{fffd} \\ud83d");
    assert!(read(r#"a: "\ud83d\ude00""#).unwrap_err().contains("surrogate"));
    assert!(read("b: 1\na: \"\\/\"").unwrap_err().starts_with("people:2: kubectl doesn't know"));
    assert_eq!(read(r"a: '\/ \ud83d'").unwrap(), r"\/ \ud83d");
}
