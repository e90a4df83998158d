//! The contract on what a person's details come from: copies, which get a number, and members, who
//! change their own.

use roster::domain::account::{Account, Copied, LoginState, Revision, TransactionKind};
use roster::domain::profile::SelfServiceField;
use roster::domain::profile::{PostalAddress, Profile};
use roster::domain::self_service::{Override, Overrides, ProfileChange};
use roster::plan::Plan;
use roster::store::{Receipt, Refusal, Store};
use roster_test_support::plans::{
    account, acme, addresses, alice, at, by_member, cases_unassigned, commit, content, create,
    create_copy, create_in, delete, done, email, find, full_content, have, moving, organization,
    people, put_domain, put_domain_in, put_self_service, seeing, switch, update,
};

use crate::Bench;
use crate::contract::contract;

/// Creates alice in a group whose members may change these of their details.
async fn member(store: &impl Store, details: &[SelfServiceField]) -> Account {
    done(commit(store, put_self_service("users", details)).await);
    alice(store).await
}

async fn copies(store: &impl Store, plans: &[Plan]) -> Vec<Account> {
    store.commit(plans, at(0)).await.unwrap().into_iter().map(account).collect()
}

fn phone(number: &str) -> ProfileChange {
    ProfileChange::Phone(Some(number.to_owned()))
}

/// What a planner writes when the `User` declares this profile: the member's values hold where it
/// declares what it did.
fn declare(account: &Account, profile: &Profile) -> Plan {
    update(account, |content| {
        content.member = content.member.still_holding(profile, "alice@acme.example");
        content.profile = content.member.over(profile.clone());
    })
}

contract! {
    async fn a_copy_gets_the_lowest_number_that_is_free(bench) {
        let store = bench.store();
        people(store, [("a", "a@acme.example"), ("ab", "ab@acme.example")]).await;
        let plans = [create_copy("x", "a@acme.example"), create_copy("y", "a@acme.example"), create_copy("z", "ab@acme.example")];
        let [x, y, z] = copies(store, &plans).await.try_into().unwrap();
        assert_eq!(x.content.email.as_str(), "a@acme.example (Copy 1)");
        assert_eq!(y.content.email.as_str(), "a@acme.example (Copy 2)");
        assert_eq!(z.content.email.as_str(), "ab@acme.example (Copy 1)");
        cases_unassigned(commit(store, delete(&x)).await, x.id);
        let freed = account(commit(store, create_copy("w", "a@acme.example")).await);
        assert_eq!(freed.content.email.as_str(), "a@acme.example (Copy 1)");
        assert_eq!(find(store, "w").await, Some(freed));
    }

    async fn a_copy_of_a_copy_replaces_the_number(bench) {
        let store = bench.store();
        people(store, [("a", "a@acme.example")]).await;
        let [copy] = copies(store, &[create_copy("x", "a@acme.example")]).await.try_into().unwrap();
        let second = account(commit(store, create_copy("y", copy.content.email.as_str())).await);
        assert_eq!(second.content.email.as_str(), "a@acme.example (Copy 2)");
        let third = account(commit(store, create_copy("z", "a@acme.example (Copy 70)")).await);
        assert_eq!(third.content.email.as_str(), "a@acme.example (Copy 3)");
    }

    async fn three_hundred_copies_in_one_commit_get_the_numbers_from_one_on(bench) {
        let store = bench.store();
        people(store, [("a", "a@acme.example")]).await;
        let plans: Vec<Plan> = (0..300).map(|number| create_copy(&format!("c{number}"), "a@acme.example")).collect();
        let numbers: Vec<Option<u32>> = copies(store, &plans).await.iter().map(|copy| copy.content.email.copy_number()).collect();
        assert_eq!(numbers, (1..=300).map(Some).collect::<Vec<_>>());
        for number in [7, 250, 41] {
            let gone = find(store, &format!("c{}", number - 1)).await.unwrap();
            cases_unassigned(commit(store, delete(&gone)).await, gone.id);
        }
        let plans = ["x", "y", "z", "w"].map(|name| create_copy(name, "a@acme.example"));
        let numbers: Vec<Option<u32>> = copies(store, &plans).await.iter().map(|copy| copy.content.email.copy_number()).collect();
        assert_eq!(numbers, [7, 41, 250, 301].map(Some));
    }

    async fn a_refused_copy_takes_no_number(bench) {
        let store = bench.store();
        let [a] = people(store, [("a", "a@acme.example")]).await;
        let newer = account(commit(store, update(&a, |_| ())).await);
        let plans = [seeing(create_copy("x", "a@acme.example"), &[&a]), seeing(create_copy("y", "a@acme.example"), &[&newer])];
        let answers = store.commit(&plans, at(0)).await.unwrap();
        assert_eq!(answers[0], Err(Refusal::Stale));
        assert_eq!(account(answers[1].clone()).content.email.copy_number(), Some(1));
    }

    async fn numbers_are_counted_in_each_organization_by_itself(bench) {
        let store = bench.store();
        people(store, [("a", "a@acme.example")]).await;
        account(commit(store, create_copy("x", "a@acme.example")).await);
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        let mut placeholder = content("a@acme.example");
        placeholder.email = placeholder.email.placeholder(1);
        let elsewhere = account(commit(store, create_in(organization("other", "other"), "x", placeholder)).await);
        assert_eq!(elsewhere.content.email.copy_number(), Some(1));
    }

    async fn the_address_of_a_copy_needs_a_listed_domain_and_counts_to_it(bench) {
        let store = bench.store();
        people(store, [("a", "a@eu.acme.example")]).await;
        account(commit(store, create_copy("x", "a@eu.acme.example")).await);
        let counts = store.counts(&roster_test_support::plans::nobody_leaves(&["acme"])).await.unwrap();
        assert_eq!(counts["acme"].email_domains, [("eu.acme.example".to_owned(), 2)].into());
        done(commit(store, put_domain("acme", "acme.example")).await);
        assert_eq!(commit(store, create_copy("y", "a@eu.acme.example")).await, Err(Refusal::DomainNotAllowed));
    }

    async fn a_copy_that_gets_an_address_frees_its_number_and_never_gets_another_one(bench) {
        let store = bench.store();
        people(store, [("a", "a@acme.example")]).await;
        let [x, y] = copies(store, &[create_copy("x", "a@acme.example"), create_copy("y", "a@acme.example")]).await.try_into().unwrap();
        account(commit(store, update(&x, |content| content.email = email("x@acme.example"))).await);
        let y = account(commit(store, update(&y, |content| content.role = Some("Driver".to_owned()))).await);
        assert_eq!(y.content.email.copy_number(), Some(2));
        let z = account(commit(store, create_copy("z", "a@acme.example")).await);
        assert_eq!(z.content.email.copy_number(), Some(1));
    }

    async fn what_was_copied_is_kept_with_the_account(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let created = account(commit(store, create_in(acme(), "a", full_content("a@acme.example"))).await);
        let copied: Copied = created.content.copied.clone().unwrap();
        let renamed = account(commit(store, update(&created, |content| content.role = None)).await);
        assert_eq!(renamed.content.copied, Some(copied));
    }

    async fn a_member_changes_what_the_group_lists_and_owns_the_value(bench) {
        let store = bench.store();
        let details = [SelfServiceField::Name, SelfServiceField::Phone, SelfServiceField::Address, SelfServiceField::TimeZone, SelfServiceField::Notifications];
        let alice = member(store, &details).await;
        let place = PostalAddress { street: vec!["1 Main St".to_owned()], ..PostalAddress::default() };
        let changes = [
            ProfileChange::Name("Al".to_owned()),
            phone("1"),
            phone("2"),
            ProfileChange::Address(Some(place.clone())),
            ProfileChange::TimeZone(Some("America/Phoenix".to_owned())),
            ProfileChange::Notifications(["CaseAssigned".to_owned()].into()),
        ];
        let changed = account(commit(store, by_member(&alice, &changes)).await);
        assert_eq!(changed.content.profile, Profile {
            display_name: "Al".to_owned(),
            phone: Some("2".to_owned()),
            address: Some(place),
            time_zone: Some("America/Phoenix".to_owned()),
            notifications: ["CaseAssigned".to_owned()].into(),
        });
        assert_eq!(changed.content.member.display_name, Some(Override { value: "Al".to_owned(), base: "Alice Smith".to_owned() }));
        assert_eq!(changed.content.member.phone, Some(Override { value: Some("2".to_owned()), base: None }));
        assert_eq!((changed.owner.clone(), changed.transaction.clone()), (alice.owner, alice.transaction));
        assert_eq!(find(store, "alice").await, Some(changed));
    }

    async fn a_member_changes_nothing_that_the_group_does_not_list(bench) {
        let store = bench.store();
        let alice = member(store, &[SelfServiceField::Phone, SelfServiceField::Password]).await;
        for changes in [&[ProfileChange::Name("Al".to_owned())][..], &[phone("1"), ProfileChange::TimeZone(None)], &[ProfileChange::Email(email("al@acme.example"))]] {
            assert_eq!(commit(store, by_member(&alice, changes)).await, Err(Refusal::NotSelfService));
        }
        assert_eq!(find(store, "alice").await, Some(alice.clone()));
        done(commit(store, put_self_service("users", &[])).await);
        assert_eq!(commit(store, by_member(&alice, &[phone("1")])).await, Err(Refusal::NotSelfService));
    }

    async fn withdrawing_self_service_leaves_what_members_changed(bench) {
        let store = bench.store();
        let alice = member(store, &[SelfServiceField::Phone]).await;
        let changed = account(commit(store, by_member(&alice, &[phone("1")])).await);
        done(commit(store, put_self_service("users", &[])).await);
        assert_eq!(find(store, "alice").await, Some(changed));
    }

    async fn what_a_group_lists_is_in_force_for_the_plans_after_it_in_the_same_commit(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        let plans = [by_member(&alice, &[phone("1")]), put_self_service("users", &[SelfServiceField::Phone]), by_member(&alice, &[phone("2")]), put_self_service("users", &[]), by_member(&alice, &[phone("3")])];
        let answers: Vec<Option<Refusal>> = store.commit(&plans, at(0)).await.unwrap().into_iter().map(Result::err).collect();
        assert_eq!(answers, [Some(Refusal::NotSelfService), None, None, None, Some(Refusal::NotSelfService)]);
        assert_eq!(find(store, "alice").await.unwrap().content.profile.phone.as_deref(), Some("2"));
    }

    async fn a_disabled_member_changes_nothing(bench) {
        let store = bench.store();
        let alice = member(store, &[SelfServiceField::Phone]).await;
        let disabled = account(commit(store, switch(&alice, TransactionKind::Disable)).await);
        assert_eq!(disabled.content.lifecycle, LoginState::Disabled);
        assert_eq!(commit(store, by_member(&disabled, &[phone("1")])).await, Err(Refusal::NotSelfService));
        assert_eq!(find(store, "alice").await, Some(disabled));
    }

    async fn a_member_is_known_by_their_account_in_their_organization_only(bench) {
        let store = bench.store();
        let alice = member(store, &[SelfServiceField::Phone]).await;
        let elsewhere = Account { namespace: "other".to_owned(), ..alice.clone() };
        assert_eq!(commit(store, by_member(&elsewhere, &[phone("1")])).await, Err(Refusal::Stale));
        cases_unassigned(commit(store, delete(&alice)).await, alice.id);
        assert_eq!(commit(store, by_member(&alice, &[phone("1")])).await, Err(Refusal::Stale));
    }

    async fn a_members_new_address_is_listed_and_nobody_elses(bench) {
        let store = bench.store();
        done(commit(store, put_self_service("users", &[SelfServiceField::Email, SelfServiceField::Phone])).await);
        let [alice, bob] = people(store, [("alice", "alice@acme.example"), ("bob", "bob@acme.example")]).await;
        let to = |address: &str| [phone("1"), ProfileChange::Email(email(address))];
        for (address, refusal) in [("alice@nowhere.example", Refusal::DomainNotAllowed), ("bob@acme.example", Refusal::EmailTaken)] {
            assert_eq!(commit(store, by_member(&alice, &to(address))).await, Err(refusal));
            assert_eq!(find(store, "alice").await.as_ref(), Some(&alice), "whole or not at all");
        }
        let changed = account(commit(store, by_member(&alice, &to("al@eu.acme.example"))).await);
        assert_eq!(changed.content.member.email, Some(Override { value: "al@eu.acme.example".to_owned(), base: "alice@acme.example".to_owned() }));
        account(commit(store, update(&bob, |content| content.email = email("alice@acme.example"))).await);
        have(&addresses(store).await, &[("alice", "al@eu.acme.example"), ("bob", "alice@acme.example")]);
        assert_eq!(commit(store, by_member(&changed, &to("alice@acme.example"))).await, Err(Refusal::EmailTaken));
    }

    async fn a_member_keeps_an_address_whose_domain_is_not_listed_any_more(bench) {
        let store = bench.store();
        done(commit(store, put_self_service("users", &[SelfServiceField::Email, SelfServiceField::Phone])).await);
        let [alice] = people(store, [("alice", "alice@eu.acme.example")]).await;
        done(commit(store, put_domain("acme", "acme.example")).await);
        account(commit(store, by_member(&alice, &[phone("1"), ProfileChange::Email(email("alice@eu.acme.example"))])).await);
    }

    async fn a_members_value_stays_until_its_field_is_declared_anew(bench) {
        let store = bench.store();
        let alice = member(store, &[SelfServiceField::Name, SelfServiceField::Phone]).await;
        let changed = account(commit(store, by_member(&alice, &[phone("1"), ProfileChange::Name("Al".to_owned())])).await);
        let renamed = Profile { display_name: "Alice Jones".to_owned(), ..alice.content.profile.clone() };
        let after = account(commit(store, declare(&changed, &renamed)).await);
        assert_eq!((after.content.profile.display_name.as_str(), after.content.profile.phone.as_deref()), ("Alice Jones", Some("1")));
        let again = Profile { phone: Some("9".to_owned()), ..renamed };
        let after = account(commit(store, declare(&after, &again)).await);
        assert_eq!((after.content.profile, after.content.member), (again, Overrides::default()));
    }

    async fn a_member_who_goes_back_to_the_declared_value_owns_it_no_more(bench) {
        let store = bench.store();
        let alice = member(store, &[SelfServiceField::Phone]).await;
        let changed = account(commit(store, by_member(&alice, &[phone("1")])).await);
        let back = account(commit(store, by_member(&changed, &[ProfileChange::Phone(None)])).await);
        assert_eq!(back.content, alice.content);
    }

    async fn a_plan_from_before_a_member_changed_something_is_stale(bench) {
        let store = bench.store();
        let alice = member(store, &[SelfServiceField::Phone]).await;
        let [bob] = people(store, [("bob", "bob@acme.example")]).await;
        let before = [update(&alice, |content| content.role = None), delete(&alice), moving(delete(&bob), &[(&alice, "bob@acme.example")]), seeing(create("new", "new@acme.example"), &[&alice])];
        let plans: Vec<Plan> = [by_member(&alice, &[phone("1")])].into_iter().chain(before).collect();
        let answers: Vec<Option<Refusal>> = store.commit(&plans, at(0)).await.unwrap().into_iter().map(Result::err).collect();
        let stale = Some(Refusal::Stale);
        assert_eq!(answers, [None, stale, stale, stale, stale]);
        assert_eq!(find(store, "alice").await.unwrap().revision, Revision(2));
    }

    async fn a_member_who_changes_nothing_writes_nothing(bench) {
        let store = bench.store();
        let alice = member(store, &[SelfServiceField::Phone]).await;
        for changes in [&[][..], &[ProfileChange::Phone(None)], &[phone("1"), ProfileChange::Phone(None)]] {
            assert_eq!(commit(store, by_member(&alice, changes)).await, Ok(Receipt::Account(Box::new(alice.clone()))));
        }
        assert_eq!(find(store, "alice").await, Some(alice));
    }
}
