use serde_json::json;

use super::*;

/// Parses a file as the only one.
fn parse(file: &str, text: &str) -> Result<Vec<Document>, Failure> {
    super::parse(file, text, &mut { MAX_NODES })
}

#[test]
fn values_are_counted_over_all_documents_and_files() {
    let mut left = 10;
    let mut read = |text: &str| {
        super::parse("people.yaml", text, &mut left).map_err(|error| error.to_string())
    };
    assert_eq!(read("a: 1\n---\na: 1\n").unwrap().len(), 2);
    let refused =
        "people.yaml: with it, there are more than 2000000 values to read: plan it in parts";
    assert_eq!(read("a: [1, 2, 3]\n").unwrap_err(), refused);
    assert_eq!(read("a: 1\n").unwrap().len(), 1);
    assert_eq!(read("a: 1\n").unwrap_err(), refused);
    let whole = format!("items: [{}1]\n", "1,".repeat(MAX_NODES));
    assert_eq!(parse("people.yaml", &whole).unwrap_err().to_string(), refused);
    let (mut left, aliases) = (100, format!("a: &a [1, 2, 3, 4]\nb: [{}*a]\n", "*a, ".repeat(29)));
    let error = super::parse("people.yaml", &aliases, &mut left).unwrap_err().to_string();
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
        parse("-", text).unwrap().into_iter().flat_map(Document::items).collect();
    assert_eq!(
        items.iter().map(|item| item.value["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["A", "B"]
    );
    assert_eq!((items[0].place("spec.x").line, items[1].place("").line), (5, 6));
}

#[test]
fn what_isnt_yaml_is_told_with_its_line_and_quotes_nothing() {
    let error = parse("people.yaml", "kind: Secret\ndata:\n  a: [hunter2\n  b: }hunter2\n")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("people.yaml:") && !error.contains("hunter2"), "{error}");
    assert!(
        parse("people.yaml", "a: 1\na: 2\n")
            .unwrap_err()
            .to_string()
            .starts_with("people.yaml:2: ")
    );
}

#[test]
fn a_mounted_config_map_is_read_once() {
    let mounted = tempfile::tempdir().unwrap();
    let [kept, linked] = ["..2026_11_22", "..data"].map(|name| mounted.path().join(name));
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("alice.yaml"), "kind: A\n").unwrap();
    std::os::unix::fs::symlink("..2026_11_22", linked).unwrap();
    std::os::unix::fs::symlink("..data/alice.yaml", mounted.path().join("alice.yaml")).unwrap();
    assert_eq!(read(&[mounted.path().to_owned()]).unwrap().len(), 1);
}

#[track_caller]
fn check_refused(path: &Path, said: &str) {
    let error = read(&[path.to_owned()]).unwrap_err().to_string();
    assert!(error.contains(said), "{error}");
}

#[test]
fn what_has_no_end_is_read_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(Path::new("/dev/zero"), "/dev/zero: not YAML or JSON");
    let [large, pipe, deep] = ["large.yaml", "pipe", "deep"].map(|name| folder.path().join(name));
    std::fs::write(&large, vec![b'#'; MAX_BYTES + 1]).unwrap();
    check_refused(
        &large,
        "large.yaml: with it, there is more than 64 MiB to read: plan it in parts",
    );
    std::fs::write(&large, vec![b'#'; MAX_BYTES / 2 + 1]).unwrap();
    assert!(read(std::slice::from_ref(&large)).is_ok());
    let twice = read(&[large.clone(), large.clone()]).unwrap_err().to_string();
    assert!(twice.contains("more than 64 MiB"), "{twice}");
    std::fs::remove_file(&large).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let begun = std::time::Instant::now();
    check_refused(&pipe, "pipe: a pipe into which nobody writes");
    assert!(begun.elapsed() < TIMEOUT * 3);
    // The first one is still read, by whoever waited for it.
    let pipe = folder.path().join("another");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(writer, "kind: A\n").unwrap());
    assert_eq!(read(&[pipe]).unwrap().len(), 1);
    writer.join().unwrap();
    let mut below = deep.clone();
    (0..=MAX_DEPTH).for_each(|_| below.push("a"));
    std::fs::create_dir_all(below).unwrap();
    check_refused(&deep, "more than 64 folders lie within each other");
}

#[test]
fn links_that_lead_back_end() {
    let folder = tempfile::tempdir().unwrap();
    let [itself, back, one] =
        ["itself.yaml", "back", "one.yaml"].map(|name| folder.path().join(name));
    std::fs::write(one, "kind: A\n").unwrap();
    std::os::unix::fs::symlink(".", back).unwrap();
    assert_eq!(read(&[folder.path().to_owned()]).unwrap().len(), 1);
    std::os::unix::fs::symlink("itself.yaml", &itself).unwrap();
    check_refused(&itself, "itself.yaml: Too many levels of symbolic links");
    check_refused(folder.path(), "itself.yaml: Too many levels of symbolic links");
}

#[test]
fn a_folder_may_have_thousands_of_files_and_no_more_than_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3000 {
        std::fs::write(folder.path().join(format!("{number}.yaml")), "kind: A\n").unwrap();
    }
    assert_eq!(read(&[folder.path().to_owned()]).unwrap().len(), 3000);
    let error = collect(
        folder.path(),
        MAX_DEPTH,
        &mut ReadBudget { bytes: 0, files: 2999, nodes: 0 },
        &mut vec![],
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("more than 50000 manifests: plan them in parts"), "{error}");
}

#[test]
fn files_of_other_systems_are_read_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.yaml");
    std::fs::write(&file, "\u{feff}kind: A\r\n").unwrap();
    assert_eq!(read(std::slice::from_ref(&file)).unwrap()[0].value, json!({"kind": "A"}));
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        std::fs::write(
            &file,
            "\u{feff}kind: A\r\n".encode_utf16().flat_map(order).collect::<Vec<u8>>(),
        )
        .unwrap();
        check_refused(&file, "in UTF-16, as the > of Windows PowerShell writes: save it as UTF-8");
    }
    std::fs::write(&file, b"kind: \xe9\n").unwrap();
    check_refused(&file, "it isn't text in UTF-8");
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
    let error =
        parse("people.json", &format!("{text}{{\"a\": 1, \"a\": 2}}")).unwrap_err().to_string();
    assert!(error.starts_with("people.json:8: "), "{error}");
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
