use serde_json::json;

use super::*;

#[test]
fn a_mounted_config_map_is_read_once() {
    let mounted = tempfile::tempdir().unwrap();
    let [kept, linked] = ["..2026_11_22", "..data"].map(|name| mounted.path().join(name));
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("alice.yaml"), "kind: A\n").unwrap();
    std::os::unix::fs::symlink("..2026_11_22", linked).unwrap();
    std::os::unix::fs::symlink("..data/alice.yaml", mounted.path().join("alice.yaml")).unwrap();
    assert_eq!(read(&[mounted.path().to_owned()]).unwrap().documents.len(), 1);
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
    let mut half = b"kind: A\n".to_vec();
    half.resize(MAX_BYTES / 2 + 1, b'#');
    std::fs::write(&large, half).unwrap();
    assert!(read(std::slice::from_ref(&large)).is_ok());
    let twice = read(&[large.clone(), large.clone()]).unwrap_err().to_string();
    assert!(twice.contains("more than 64 MiB"), "{twice}");
    std::fs::remove_file(&large).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let begun = std::time::Instant::now();
    check_refused(&pipe, "pipe: a pipe that nothing is written to");
    assert!(begun.elapsed() < TIMEOUT * 3);
    // The first one is still read, by whoever waited for it.
    let pipe = folder.path().join("another");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(writer, "kind: A\n").unwrap());
    assert_eq!(read(&[pipe]).unwrap().documents.len(), 1);
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
    assert_eq!(read(&[folder.path().to_owned()]).unwrap().documents.len(), 1);
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
    assert_eq!(read(&[folder.path().to_owned()]).unwrap().documents.len(), 3000);
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
    assert_eq!(read(std::slice::from_ref(&file)).unwrap().documents[0].value, json!({"kind": "A"}));
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        std::fs::write(
            &file,
            "\u{feff}kind: A\r\n".encode_utf16().flat_map(order).collect::<Vec<u8>>(),
        )
        .unwrap();
        let read = read(std::slice::from_ref(&file)).unwrap();
        assert_eq!(read.documents[0].value, json!({"kind": "A"}));
    }
    std::fs::write(&file, b"kind: \xe9\n").unwrap();
    let read = read(&[file]).unwrap();
    assert_eq!(read.documents[0].value, json!({"kind": "\u{fffd}"}), "as kubectl reads it");
}
