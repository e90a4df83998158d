//! Objects to make requests with, and what to expect of the answers.

use std::fmt::Debug;

use serde_json::{Value, json};

use super::Refusal;

/// Returns a `User` that is complete and whose charge is approved.
pub fn user(name: &str) -> Value {
    json!({
        "apiVersion": "roster.rs/v1alpha1", "kind": "User", "metadata": {"name": name},
        "spec": {"email": format!("{name}@acme.example"), "profile": {"displayName": name}, "chargeApproved": true},
    })
}

/// Returns a `UserGroup` with an empty spec.
pub fn group(name: &str) -> Value {
    json!({"apiVersion": "roster.rs/v1alpha1", "kind": "UserGroup", "metadata": {"name": name}, "spec": {}})
}

/// Returns an `OrgEmailDomain` that lists a domain.
pub fn domain(domain: &str) -> Value {
    json!({
        "apiVersion": "roster.rs/v1alpha1", "kind": "OrgEmailDomain", "metadata": {"name": domain},
        "spec": {"domain": domain},
    })
}

/// Returns a condition of an object's status; null where it isn't there.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

/// Changes of an object, written in one line.
pub trait With {
    /// Sets the value at a JSON pointer such as `/spec/email`, with the objects that lead there.
    #[must_use]
    fn with(self, pointer: &str, value: impl Into<Value>) -> Value;

    /// Takes away what is at a JSON pointer.
    #[must_use]
    fn without(self, pointer: &str) -> Value;
}

impl With for Value {
    fn with(mut self, pointer: &str, value: impl Into<Value>) -> Value {
        let mut place = &mut self;
        for key in pointer.split('/').skip(1) {
            let key = key.replace("~1", "/");
            if place.is_null() {
                *place = json!({});
            }
            place = place
                .as_object_mut()
                .expect("only objects lead to the place")
                .entry(key)
                .or_insert(Value::Null);
        }
        *place = value.into();
        self
    }

    fn without(mut self, pointer: &str) -> Value {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        self.pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .expect("the parent is there")
            .remove(key);
        self
    }
}

/// Expects a refusal whose message contains a text.
#[track_caller]
pub fn refused<T: Debug>(answer: Result<T, Refusal>, text: &str) {
    match answer {
        Err(refusal) if refusal.message.contains(text) => {}
        Err(refusal) => panic!("refused, but for another reason than {text:?}:\n{refusal:?}"),
        Ok(object) => panic!("not refused; expected {text:?}:\n{object:#?}"),
    }
}

/// Expects that a request passes, and returns what came of it.
#[track_caller]
pub fn passed<T>(answer: Result<T, Refusal>) -> T {
    answer.unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
}
