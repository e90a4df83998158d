//! The states that the stories' objects are in, for the tests of the tools that wait for them:
//! `tests/gitops/states.jsonl`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

/// Each state once.
#[derive(Default)]
pub(crate) struct States(BTreeSet<String>);

impl States {
    pub(crate) fn note<'a>(&mut self, objects: impl Iterator<Item = &'a Value>) {
        self.0.extend(objects.map(|object| state(object).to_string()));
    }

    /// Compares the states with the file, or writes it anew with `ROSTER_BLESS=1`.
    pub(crate) fn check(self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gitops/states.jsonl");
        let happened: String = self.0.iter().map(|state| format!("{state}\n")).collect();
        if std::env::var_os("ROSTER_BLESS").is_some() {
            std::fs::write(&path, &happened).unwrap();
        }
        let told = std::fs::read_to_string(&path).unwrap();
        assert!(told == happened, "{} differs; it would be\n{happened}", path.display());
    }
}

/// Returns what decides for a tool that waits for the object. The generation is 2 and those before
/// it are 1, so that neither the number of edits nor a name makes a state of its own.
fn state(object: &Value) -> Value {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let observed = match &status["observedGeneration"] {
        seen if *seen == metadata["generation"] => 2,
        seen if *seen == -1 => -1,
        _ => 1,
    };
    let mut state = json!({
        "apiVersion": "roster.rs/v1alpha1",
        "kind": object["kind"],
        "metadata": {"name": "example", "generation": 2},
        "status": {"observedGeneration": observed},
    });
    if metadata["deletionTimestamp"].is_string() {
        state["metadata"]["deletionTimestamp"] = metadata["deletionTimestamp"].clone();
    }
    let conditions = status["conditions"].as_array().into_iter().flatten().map(|condition| {
        let part = |field: &str| condition[field].clone();
        json!({"type": part("type"), "status": part("status"), "reason": part("reason"), "message": "as in the story"})
    });
    state["status"]["conditions"] = conditions.collect();
    state
}
