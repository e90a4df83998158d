//! What people really type, paste and mount is judged as the table in `corpus.txt` says.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;

use roster::domain::email::{Domain, Email};
use roster::domain::organization::{CustomerId, LoginName};
use roster::domain::password::{Password, PasswordContext};
use roster::domain::text::{readable, to_ascii_letters};
use roster::domain::time_zone;
use roster_test_support::corpus::{Form, Verdict, forms};

/// What the code makes of a form: what it is kept as, or why it is refused.
fn judged(form: &Form) -> Result<String, String> {
    match form.kind {
        "name" | "phone" | "street" | "locality" | "region" | "postalCode" | "role" | "team" => {
            readable(form.text()).map(|()| form.text().to_owned()).map_err(|why| why.to_string())
        }
        "zone" => time_zone::known(form.text())
            .map(|()| form.text().to_owned())
            .map_err(|why| why.to_string()),
        "email" => {
            Email::parse(form.text()).map(|email| email.to_string()).map_err(|why| why.to_string())
        }
        "domain" => Domain::parse(form.text())
            .map(|domain| domain.to_string())
            .map_err(|why| why.to_string()),
        "username" => to_ascii_letters(form.text()).map_err(|why| why.to_string()),
        "password" => {
            let login_name = LoginName::new("alice", &CustomerId::parse("acme").unwrap());
            let email = Email::parse("alice@acme.example").unwrap();
            let password = Password::parse(
                &form.bytes,
                &PasswordContext { login_name: &login_name, email: &email },
            );
            let told = |unmet: Vec<_>| {
                unmet.iter().map(ToString::to_string).collect::<Vec<String>>().join("; ")
            };
            password.map(|_| String::new()).map_err(told)
        }
        kind => panic!("there is no kind {kind}"),
    }
}

#[test]
fn every_form_is_judged_as_the_table_says() {
    let forms = forms();
    let mut wrong = vec![];
    for form in &forms {
        let judged = judged(form);
        let is_right = match (&form.verdict, &judged) {
            (Verdict::Taken, Ok(_)) => true,
            (Verdict::As(text), Ok(kept)) => text == kept,
            (Verdict::Unseen, Err(why)) => {
                why.starts_with("has only characters that nobody sees: U+")
            }
            (Verdict::Refused(words), Err(why)) => why.contains(words),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{form:?}: {judged:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    forms.iter().for_each(|form| *by_kind.entry(form.kind).or_default() += 1);
    assert!(forms.len() >= 500 && by_kind.len() == 13, "{by_kind:?}");
}

#[test]
fn no_refusal_tells_anything_of_a_password() {
    for form in forms().iter().filter(|form| form.kind == "password") {
        let Err(told) = judged(form) else { continue };
        let text = String::from_utf8_lossy(&form.bytes);
        let parts = text
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|part| part.chars().count() > 4);
        for part in parts.filter(|part| *part != "alice" && *part != "short") {
            assert!(!told.contains(part), "{told} tells {part}");
        }
    }
}
