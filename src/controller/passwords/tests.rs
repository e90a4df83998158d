use k8s_openapi::api::core::v1::Secret;

use super::*;
use crate::api::PASSWORD_SECRET;
use crate::domain::password::{PasswordCandidate, PasswordHash};
use crate::hashing::Hashing;

fn key(organization: &str, number: usize) -> ObjectKey {
    ObjectKey::new(crate::domain::object_key::Kind::User, organization, format!("u{number}"))
}

fn question(version: &str, before: Option<&str>) -> PasswordCheck {
    PasswordCheck {
        reference: PasswordSecretRef {
            name: "shared".to_owned(),
            key: "password".to_owned(),
            confirmation_key: None,
        },
        resource_version: version.to_owned(),
        version: version.to_owned(),
        login_name: LoginName::from_stored("alice.acme".to_owned()),
        email: Email::from_stored("alice@acme.example".to_owned()),
        before: before.map(|version| SecretPassword {
            hash: PasswordHash::from_stored("hash".to_owned()),
            version: version.to_owned(),
        }),
        is_same: None,
    }
}

fn ask(passwords: &mut Passwords, key: ObjectKey, question: PasswordCheck, now: Instant) {
    passwords.asked.insert(key.clone(), question);
    passwords.due.enqueue(key, now);
}

fn count(taken: &[(ObjectKey, PasswordCheck)], organization: &str) -> usize {
    taken.iter().filter(|(key, _)| key.namespace == organization).count()
}

#[test]
fn a_password_in_force_is_not_judged_by_rules_that_came_after_it() {
    let hashing =
        Hashing::new(crate::hashing::Cost { memory_kib: 8, passes: 1, lanes: 1 }).unwrap();
    let verdict_of = |entered: &str, again: Option<&str>, before: Option<&str>| {
        let mut question = question("2", before.map(|_| "1"));
        if let (Some(known), Some(before)) = (&mut question.before, before) {
            known.hash =
                hashing.rehash(&PasswordCandidate::new(before.as_bytes()).unwrap()).unwrap();
        }
        question.reference.confirmation_key = again.map(|_| "again".to_owned());
        let value = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        let again = again.map(|again| ("again".to_owned(), value(again)));
        let secret = Secret {
            type_: Some(PASSWORD_SECRET.to_owned()),
            data: Some(
                [("password".to_owned(), value(entered))].into_iter().chain(again).collect(),
            ),
            metadata: kube::api::ObjectMeta {
                resource_version: Some("2".to_owned()),
                ..Default::default()
            },
            ..Secret::default()
        };
        verdict(&hashing, secret, &question)
    };
    for old in [
        "gate Turnip, 41 on\u{ad}ward",
        "\u{feff}gate Turnip, 41 onward",
        "\u{200d}gate Turnip, 41",
        "short",
    ] {
        let entered = format!("{old}\n");
        assert_eq!(verdict_of(&entered, None, Some(old)), CheckResult::Same, "{old:?}");
        assert_eq!(verdict_of(&entered, Some(old), Some(old)), CheckResult::Same, "{old:?}");
        for (again, before) in
            [(None, None), (None, Some("gate Turnip, 41 onward")), (Some("another"), Some(old))]
        {
            let verdict = verdict_of(&entered, again, before);
            assert!(
                matches!(&verdict, CheckResult::Rejected(_)),
                "{old:?} {again:?} {before:?}: {verdict:?}"
            );
        }
    }
}

#[tokio::test]
async fn one_organization_leaves_the_judge_room_for_others() {
    let now = Instant::now();
    let mut passwords = Passwords::default();
    (0..400).for_each(|number| ask(&mut passwords, key("noisy", number), question("1", None), now));
    let taken = passwords.take(now, |_, _| true);
    assert_eq!((taken.len(), passwords.next_due()), (OF_ONE_AT_ONCE, None));
    ask(&mut passwords, key("quiet", 0), question("1", None), now);
    assert_eq!(passwords.next_due(), Some(now));
    assert_eq!(
        count(&passwords.take(now, |_, _| true), "quiet"),
        1,
        "it doesn't wait for one of the noisy ones to end"
    );
    let (first, asked) = taken[0].clone();
    assert!(passwords.on_checked(&first, asked, CheckResult::Same, now));
    assert_eq!(count(&passwords.take(now, |_, _| true), "noisy"), 1);
}

#[tokio::test]
async fn a_version_that_another_one_followed_is_not_judged() {
    let now = Instant::now();
    let mut passwords = Passwords::default();
    ask(&mut passwords, key("acme", 0), question("1", None), now);
    ask(&mut passwords, key("acme", 1), question("2", None), now);
    let taken = passwords.take(now, |_, question| question.resource_version == "2");
    assert_eq!(taken.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [key("acme", 1)]);
    assert_eq!(passwords.next_due(), None);
}

#[tokio::test]
async fn what_was_compared_for_one_is_known_for_all_who_had_theirs_from_the_same_version() {
    let now = Instant::now();
    for (verdict, known) in [
        (CheckResult::Same, true),
        (CheckResult::New(PasswordHash::from_stored("new".to_owned())), false),
    ] {
        let mut passwords = Passwords::default();
        ask(&mut passwords, key("acme", 0), question("2", Some("1")), now);
        let (first, asked) = passwords.take(now, |_, _| true).remove(0);
        assert_eq!(asked.is_same, None);
        assert!(passwords.on_checked(&first, asked, verdict, now));
        let others = [
            (key("acme", 1), "2", Some("1")),
            (key("acme", 2), "2", Some("0")),
            (key("other", 1), "2", Some("1")),
        ];
        for (key, version, before) in others.clone() {
            ask(&mut passwords, key, question(version, before), now);
        }
        let taken: HashMap<_, _> = passwords.take(now, |_, _| true).into_iter().collect();
        let is_same: Vec<_> = others.iter().map(|(key, ..)| taken[key].is_same).collect();
        assert_eq!(is_same, [Some(known), None, None]);
    }
}
