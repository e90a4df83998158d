//! The contract, one function per sentence, each kept by every store.

use jiff::Timestamp;
use roster::domain::account::{AccountId, LoginState, Revision, TransactionKind};
use roster::domain::organization::LoginName;
use roster::store::{AccountKey, CommitTime, Counts, OrganizationRecord, Receipt, Refusal, Store};

use crate::Bench;

macro_rules! contract {
    ($(async fn $sentence:ident($bench:ident) $body:block)+) => {
        $(mod $sentence {
            use super::*;

            async fn sentence($bench: &impl Bench) $body

            #[tokio::test]
            async fn in_memory() {
                sentence(&crate::InMemory::default()).await;
            }

            #[tokio::test]
            async fn in_sqlite() {
                sentence(&crate::InSqlite::new().await).await;
            }

            #[tokio::test]
            async fn in_postgres() {
                sentence(&crate::InPostgres::new().await).await;
            }
        })+
    };
}

pub(crate) use contract;
use roster_test_support::plans::{
    account, acme, addresses, alice, at, by_uid, cases_unassigned, commit, commit_at, content,
    create, create_in, create_member, delete, done, drop_domain, drop_group, email, find,
    full_content, have, moving, nobody_leaves, organization, people, presented, put_domain,
    put_domain_in, put_group, record, recreate, refused, switch, update, with_id, with_login,
};

contract! {
    async fn a_created_account_is_found_as_its_receipt_says(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let created = account(commit(store, create_in(acme(), "alice", full_content("alice@acme.example"))).await);
        assert_eq!(created.content, full_content("alice@acme.example"));
        assert_eq!(created.revision, Revision(1));
        assert_eq!(created.login_name.as_str(), "alice.acme");
        assert_eq!((created.created, created.transaction.completed), (at(0).now, Some(at(0).now)));
        assert_eq!((created.transaction.kind, created.transaction.deadline), (TransactionKind::Create, at(0).deadline));
        assert_eq!(created.id.0.get_version_num(), 7);
        let keys = [
            AccountKey::Owner { namespace: "acme".to_owned(), name: "alice".to_owned() },
            AccountKey::Email { namespace: "acme".to_owned(), email: email("Alice@ACME.example") },
            AccountKey::Login(LoginName::from_stored("alice.acme".to_owned())),
        ];
        let found = store.find(&keys).await.unwrap();
        assert_eq!(found.len(), 3);
        assert!(keys.iter().all(|key| found[key] == created));
    }

    async fn a_new_account_has_the_id_that_is_asked_for_and_none_is_given_twice_whoever_had_it(bench) {
        let store = bench.store();
        let of = |id| AccountId(uuid::Uuid::from_u128(id));
        let bolt = || organization("bolt", "bolt");
        done(commit(store, put_domain("acme", "acme.example")).await);
        done(commit(store, put_domain_in("bolt", "bolt", "bolt.example")).await);
        let create = || with_id(create("alice", "alice@acme.example"), of(1));
        let alice = account(commit(store, create()).await);
        assert_eq!((alice.id, find(store, "alice").await), (of(1), Some(alice.clone())));
        assert_eq!(account(commit(store, create()).await), alice, "once more");
        let bob = || with_id(roster_test_support::plans::create("bob", "bob@acme.example"), of(1));
        refused(commit(store, bob()).await, Refusal::IdTaken);
        refused(commit(store, with_id(create_in(bolt(), "bob", content("bob@bolt.example")), of(1))).await, Refusal::IdTaken);
        cases_unassigned(commit(store, delete(&alice)).await, alice.id);
        refused(commit(store, bob()).await, Refusal::IdTaken);
        assert_eq!(find(store, "bob").await, None);
        let bob = account(commit(store, with_id(bob(), of(2))).await);
        let carol = roster_test_support::plans::create("carol", "carol@acme.example");
        let dave = with_id(roster_test_support::plans::create("dave", "dave@acme.example"), of(2));
        let answers = store.commit(&[carol, dave], at(0)).await.unwrap();
        assert_eq!((answers[0].is_ok(), &answers[1]), (true, &Err(Refusal::IdTaken)), "among others");
        let known = store.known_ids(&[of(1), of(2), of(3)]).await.unwrap();
        assert_eq!(known, [alice.id, bob.id].into());
        assert!(store.known_ids(&[]).await.unwrap().is_empty());
    }

    async fn a_receipt_tells_no_time_more_exactly_than_the_store_keeps_it(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let now = Timestamp::from_nanosecond(1_800_000_000_123_456_789).unwrap();
        let answers = store.commit(&[create("alice", "alice@acme.example")], CommitTime { now, deadline: now }).await.unwrap();
        let created = account(answers.into_iter().next().unwrap());
        assert_eq!(created.created.as_nanosecond(), 1_800_000_000_123_456_000);
        assert_eq!(find(store, "alice").await, Some(created));
    }

    async fn a_key_without_an_account_is_absent_whatever_it_contains(bench) {
        let store = bench.store();
        alice(store).await;
        let hostile = ["", "bob", "' OR 1=1 --", "\"]", "%", "alice\n", "\u{202e}alice", "ALICE", "alice\0", "\\u0000"];
        let owners = hostile.iter().map(|name| AccountKey::Owner { namespace: "acme".to_owned(), name: (*name).to_owned() });
        let logins = hostile.iter().map(|login| AccountKey::Login(LoginName::from_stored((*login).to_owned())));
        let elsewhere = [
            AccountKey::Owner { namespace: "other".to_owned(), name: "alice".to_owned() },
            AccountKey::Email { namespace: "other".to_owned(), email: email("alice@acme.example") },
        ];
        let keys: Vec<AccountKey> = owners.chain(logins).chain(elsewhere).collect();
        assert!(store.find(&keys).await.unwrap().is_empty());
        assert!(store.find(&[]).await.unwrap().is_empty());
    }

    async fn a_repeated_create_answers_with_the_account_as_it_is_and_writes_nothing(bench) {
        let store = bench.store();
        let first = alice(store).await;
        let renamed = account(commit(store, update(&first, |content| content.role = Some("Driver".to_owned()))).await);
        assert_eq!(account(commit_at(store, create("alice", "alice@acme.example"), 60).await), renamed);
        assert_eq!(store.list(None).await.unwrap(), [renamed]);
    }

    async fn a_late_create_of_a_deleted_account_creates_none(bench) {
        let store = bench.store();
        let first = alice(store).await;
        cases_unassigned(commit(store, delete(&first)).await, first.id);
        refused(commit(store, create("alice", "alice@acme.example")).await, Refusal::Stale);
        assert!(store.list(None).await.unwrap().is_empty());
    }

    async fn the_first_account_claims_the_customer_id(bench) {
        let store = bench.store();
        assert_eq!(record(store, acme()).await, OrganizationRecord::default());
        alice(store).await;
        let known = record(store, acme()).await;
        assert_eq!((known.claimed, known.taken), (Some(acme().customer_id), false));
    }

    async fn a_second_namespace_cannot_claim_a_customer_id(bench) {
        let store = bench.store();
        alice(store).await;
        done(commit(store, put_domain_in("copycat", "d", "copycat.example")).await);
        let copycat = organization("copycat", "acme");
        refused(commit(store, create_in(copycat.clone(), "eve", content("eve@copycat.example"))).await, Refusal::CustomerIdTaken);
        let known = record(store, copycat).await;
        assert_eq!((known.claimed, known.taken), (None, true));
    }

    async fn a_refused_first_account_claims_nothing(bench) {
        let store = bench.store();
        refused(commit(store, create("alice", "alice@acme.example")).await, Refusal::DomainNotAllowed);
        assert_eq!(record(store, acme()).await.claimed, None);
    }

    async fn another_customer_id_later_keeps_new_accounts_out_and_existing_ones_working(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        let renamed = organization("acme", "acme-2");
        refused(commit(store, create_in(renamed, "bob", content("bob@acme.example"))).await, Refusal::CustomerIdChanged);
        let updated = update(&alice, |content| content.role = Some("Driver".to_owned()));
        account(commit(store, presented(updated, organization("acme", "acme-2"))).await);
        assert_eq!(record(store, acme()).await.claimed, Some(acme().customer_id));
    }

    async fn a_second_account_of_the_same_user_name_is_stale(bench) {
        let store = bench.store();
        alice(store).await;
        let second = with_login(recreate("alice", "second@acme.example"), "second");
        refused(commit(store, second).await, Refusal::Stale);
    }

    async fn an_account_needs_a_group_that_is_there(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let crew = || create_member("alice", "alice@acme.example", "crew");
        refused(commit(store, crew()).await, Refusal::GroupNotFound);
        done(commit(store, put_group("crew", false, &[])).await);
        let alice = account(commit(store, crew()).await);
        refused(commit(store, update(&alice, |content| content.group = "ghosts".to_owned())).await, Refusal::GroupNotFound);
        account(commit(store, update(&alice, |content| content.group = "administrators".to_owned())).await);
    }

    async fn an_address_needs_a_listed_domain_when_it_is_taken(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        refused(commit(store, create("bob", "bob@other.example")).await, Refusal::DomainNotAllowed);
        let move_out = update(&alice, |content| content.email = email("alice@other.example"));
        refused(commit(store, move_out.clone()).await, Refusal::DomainNotAllowed);
        done(commit(store, put_domain("other", "other.example")).await);
        account(commit(store, move_out).await);
    }

    async fn an_account_keeps_an_address_whose_domain_is_not_listed_any_more(bench) {
        let store = bench.store();
        let [alice] = people(store, [("alice", "alice@eu.acme.example")]).await;
        done(commit(store, put_domain("acme", "acme.example")).await);
        account(commit(store, update(&alice, |content| content.role = Some("Driver".to_owned()))).await);
    }

    async fn an_address_is_unique_in_its_organization_only(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        refused(commit(store, create("bob", "alice@acme.example")).await, Refusal::EmailTaken);
        let bob = account(commit(store, create("bob", "bob@acme.example")).await);
        let to_alices = update(&bob, |content| content.email = email("alice@acme.example"));
        refused(commit(store, to_alices).await, Refusal::EmailTaken);
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        let twin = create_in(organization("other", "other"), "alice", content("alice@acme.example"));
        account(commit(store, twin).await);
        assert_eq!(find(store, "alice").await, Some(alice));
    }

    async fn a_login_name_is_unique_everywhere(bench) {
        let store = bench.store();
        alice(store).await;
        refused(commit(store, with_login(create("bob", "bob@acme.example"), "alice")).await, Refusal::LoginTaken);
    }

    async fn an_update_is_refused_from_any_revision_but_the_current_one(bench) {
        let store = bench.store();
        let first = alice(store).await;
        let second = account(commit(store, update(&first, |content| content.role = Some("Driver".to_owned()))).await);
        assert_eq!(second.revision, Revision(2));
        refused(commit(store, update(&first, |content| content.role = None)).await, Refusal::Stale);
        assert_eq!(find(store, "alice").await, Some(second));
    }

    async fn an_update_changes_everything_its_user_decides(bench) {
        let store = bench.store();
        let first = alice(store).await;
        let changed = account(commit(store, update(&first, |content| *content = full_content("new@acme.example"))).await);
        assert_eq!(changed.content, full_content("new@acme.example"));
        assert_eq!((changed.id, changed.login_name.clone(), changed.created), (first.id, first.login_name, first.created));
        assert_eq!(changed.transaction, first.transaction);
        assert_eq!(find(store, "alice").await, Some(changed));
    }

    async fn an_update_binds_the_account_to_the_user_that_asked(bench) {
        let store = bench.store();
        let first = alice(store).await;
        let bound = account(commit(store, by_uid(update(&first, |_| ()), "restored")).await);
        assert_eq!(bound.owner.uid, "restored");
        assert_eq!(find(store, "alice").await, Some(bound));
    }

    async fn an_update_never_hits_an_account_of_another_user_name(bench) {
        let store = bench.store();
        let mut first = alice(store).await;
        first.owner.name = "mallory".to_owned();
        refused(commit(store, update(&first, |content| content.role = None)).await, Refusal::Stale);
    }

    async fn a_plan_of_one_organization_changes_no_account_of_another(bench) {
        let store = bench.store();
        let mut first = alice(store).await;
        first.namespace = "other".to_owned();
        refused(commit(store, update(&first, |content| content.role = None)).await, Refusal::Stale);
        refused(commit(store, delete(&first)).await, Refusal::Stale);
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        let robbery = create_in(organization("other", "other"), "eve", content("eve@acme.example"));
        refused(commit(store, moving(robbery, &[(&first, "robbed@acme.example")])).await, Refusal::Stale);
    }

    async fn a_repeated_update_answers_with_the_account_and_writes_nothing(bench) {
        let store = bench.store();
        let first = alice(store).await;
        let disable = switch(&first, TransactionKind::Disable);
        let disabled = account(commit_at(store, disable.clone(), 5).await);
        assert_eq!((disabled.content.lifecycle, disabled.transaction.started), (LoginState::Disabled, at(5).now));
        let enabled = account(commit(store, switch(&disabled, TransactionKind::Enable)).await);
        assert_eq!(account(commit_at(store, disable, 60).await), enabled);
        assert_eq!(find(store, "alice").await, Some(enabled));
    }

    async fn addresses_are_swapped_in_one_plan(bench) {
        let store = bench.store();
        let [alice, bob] = people(store, [("alice", "a@acme.example"), ("bob", "b@acme.example")]).await;
        let to_bobs = update(&alice, |content| content.email = email("b@acme.example"));
        let alice = account(commit(store, moving(to_bobs, &[(&bob, "a@acme.example")])).await);
        assert_eq!(find(store, "alice").await, Some(alice));
        assert_eq!(find(store, "bob").await.map(|bob| bob.revision), Some(Revision(2)));
        have(&addresses(store).await, &[("alice", "b@acme.example"), ("bob", "a@acme.example")]);
    }

    async fn addresses_rotate_and_chain_in_one_plan(bench) {
        let store = bench.store();
        let [a, b, c, d] = people(store, [("a", "a@acme.example"), ("b", "b@acme.example"), ("c", "c@acme.example"), ("d", "d@acme.example")]).await;
        let rotate = update(&a, |content| content.email = email("b@acme.example"));
        account(commit(store, moving(rotate, &[(&b, "c@acme.example"), (&c, "a@acme.example"), (&d, "new@eu.acme.example")])).await);
        have(&addresses(store).await, &[("a", "b@acme.example"), ("b", "c@acme.example"), ("c", "a@acme.example"), ("d", "new@eu.acme.example")]);
        assert_eq!(store.counts(&nobody_leaves(&["acme"])).await.unwrap()["acme"].email_domains["eu.acme.example"], 1);
    }

    async fn a_new_account_takes_an_address_that_another_leaves_in_the_same_plan(bench) {
        let store = bench.store();
        let [alice] = people(store, [("alice", "a@acme.example")]).await;
        account(commit(store, moving(create("bob", "a@acme.example"), &[(&alice, "alice@acme.example")])).await);
        have(&addresses(store).await, &[("alice", "alice@acme.example"), ("bob", "a@acme.example")]);
    }

    async fn a_move_takes_the_address_of_an_account_that_the_same_plan_deletes(bench) {
        let store = bench.store();
        let [alice, bob] = people(store, [("alice", "a@acme.example"), ("bob", "b@acme.example")]).await;
        cases_unassigned(commit(store, moving(delete(&alice), &[(&bob, "a@acme.example")])).await, alice.id);
        have(&addresses(store).await, &[("bob", "a@acme.example")]);
    }

    async fn a_set_of_moves_is_whole_or_not_at_all(bench) {
        let store = bench.store();
        let [a, b, c] = people(store, [("a", "a@acme.example"), ("b", "b@acme.example"), ("c", "c@acme.example")]).await;
        let before = store.list(None).await.unwrap();
        let old_b = account(commit(store, update(&b, |_| ())).await);
        let swap = || update(&a, |content| content.email = email("b@acme.example"));
        for (moves, refusal) in [
            (vec![(&b, "a@acme.example")], Refusal::Stale),
            (vec![(&old_b, "a@acme.example"), (&old_b, "x@acme.example")], Refusal::Stale),
            (vec![(&old_b, "x@acme.example"), (&a, "y@acme.example")], Refusal::Stale),
            (vec![(&old_b, "b@nowhere.example")], Refusal::DomainNotAllowed),
            (vec![(&old_b, "c@acme.example")], Refusal::EmailTaken),
            (vec![(&old_b, "b@acme.example")], Refusal::EmailTaken),
            (vec![(&old_b, "x@acme.example"), (&c, "x@acme.example")], Refusal::EmailTaken),
            (vec![], Refusal::EmailTaken),
        ] {
            refused(commit(store, moving(swap(), &moves)).await, refusal);
            let after = store.list(None).await.unwrap();
            assert_eq!(after.len(), before.len());
            have(&addresses(store).await, &[("a", "a@acme.example"), ("b", "b@acme.example"), ("c", "c@acme.example")]);
            assert!(after.iter().all(|account| account.revision == Revision(if account.id == b.id { 2 } else { 1 })));
        }
    }

    async fn a_deleted_account_is_gone_and_its_names_are_free(bench) {
        let store = bench.store();
        let first = alice(store).await;
        cases_unassigned(commit_at(store, delete(&first), 7).await, first.id);
        assert!(store.list(None).await.unwrap().is_empty());
        assert_eq!(find(store, "alice").await, None);
        let second = account(commit(store, recreate("alice", "alice@acme.example")).await);
        assert_ne!(second.id, first.id);
        refused(commit(store, by_uid(delete(&second), &first.owner.uid)).await, Refusal::Stale);
        assert_eq!(find(store, "alice").await, Some(second));
    }

    async fn deleting_an_account_leaves_its_cases_unassigned_and_says_how_many(bench) {
        let store = bench.store();
        let [alice, bob] = people(store, [("alice", "a@acme.example"), ("bob", "b@acme.example")]).await;
        for (case, owner) in [("1", alice.id), ("2", alice.id), ("3", bob.id)] {
            bench.assign_case(case, owner).await;
        }
        let first = commit_at(store, delete(&alice), 7).await;
        assert_eq!(cases_unassigned(first.clone(), alice.id), 2);
        assert_eq!(bench.case_owner("1").await, None);
        assert_eq!(bench.case_owner("3").await, Some(bob.id));
        assert_eq!(commit_at(store, delete(&alice), 60).await, first, "a repeated delete has the same receipt");
        let Ok(Receipt::Deleted(departure)) = first else { panic!() };
        assert_eq!((departure.transaction.kind, departure.transaction.started), (TransactionKind::Delete, at(7).now));
    }

    async fn a_refused_delete_leaves_the_cases_alone(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        bench.assign_case("1", alice.id).await;
        refused(commit(store, by_uid(delete(&alice), "another")).await, Refusal::Stale);
        account(commit(store, update(&alice, |_| ())).await);
        refused(commit(store, delete(&alice)).await, Refusal::Stale);
        assert_eq!(bench.case_owner("1").await, Some(alice.id));
    }

    async fn a_group_in_use_is_not_dropped_the_default_ones_neither(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        for group in ["crew", "users", "administrators"] {
            done(commit(store, put_group(group, false, &["cases:read"])).await);
        }
        refused(commit(store, drop_group("users")).await, Refusal::InUse);
        done(commit(store, drop_group("administrators")).await);
        let alice = account(commit(store, update(&alice, |content| content.group = "crew".to_owned())).await);
        done(commit(store, drop_group("users")).await);
        refused(commit(store, drop_group("crew")).await, Refusal::InUse);
        cases_unassigned(commit(store, delete(&alice)).await, alice.id);
        done(commit(store, drop_group("crew")).await);
        done(commit(store, drop_group("crew")).await);
        assert!(record(store, acme()).await.groups.is_empty());
    }

    async fn a_look_reads_no_groups_but_those_that_it_is_for(bench) {
        let store = bench.store();
        for name in ["crew", "drivers", "office"] {
            done(commit(store, put_group(name, name == "office", &["cases:read", name])).await);
        }
        let group = |name: &str| ("acme".to_owned(), name.to_owned());
        let wanted = [group("drivers"), group("users"), ("other".to_owned(), "crew".to_owned())].into();
        let looked_at = store.records(&[acme()], &wanted).await.unwrap().remove("acme").unwrap();
        let mut all = record(store, acme()).await;
        all.groups.retain(|name, _| name == "drivers");
        assert_eq!((looked_at.groups.len(), looked_at), (1, all));
        let names = store.group_names(&["acme".to_owned(), "other".to_owned()]).await.unwrap();
        assert_eq!(names["acme"], ["crew", "drivers", "office"].map(str::to_owned).into());
        assert!(names["other"].is_empty());
    }

    async fn a_group_is_put_in_force_and_replaced(bench) {
        let store = bench.store();
        done(commit(store, put_group("crew", false, &["cases:read"])).await);
        done(commit(store, put_group("crew", true, &["orders:read", "a"])).await);
        let groups = record(store, acme()).await.groups;
        assert_eq!(groups.len(), 1);
        assert!(groups["crew"].full_control);
        assert_eq!(groups["crew"].permissions, roster_test_support::plans::permissions(&["a", "orders:read"]));
    }

    async fn a_domain_is_listed_once_per_organization(bench) {
        let store = bench.store();
        done(commit(store, put_domain("first", "acme.example")).await);
        refused(commit(store, put_domain("second", "acme.example")).await, Refusal::DomainTaken);
        refused(commit(store, put_domain("second", "*.acme.example")).await, Refusal::DomainTaken);
        done(commit(store, put_domain("first", "*.acme.example")).await);
        done(commit(store, put_domain_in("other", "first", "acme.example")).await);
        let listings = record(store, acme()).await.listings;
        assert_eq!(listings.len(), 1);
        assert!(listings["first"].include_subdomains);
    }

    async fn a_domain_is_not_dropped_while_it_alone_accepts_an_address(bench) {
        let store = bench.store();
        let [alice] = people(store, [("alice", "alice@eu.acme.example")]).await;
        refused(commit(store, drop_domain("acme")).await, Refusal::InUse);
        done(commit(store, put_domain("us", "us.acme.example")).await);
        done(commit(store, drop_domain("us")).await);
        refused(commit(store, drop_domain("acme")).await, Refusal::InUse);
        done(commit(store, put_domain("eu", "eu.acme.example")).await);
        done(commit(store, drop_domain("acme")).await);
        done(commit(store, drop_domain("acme")).await);
        refused(commit(store, drop_domain("eu")).await, Refusal::InUse);
        account(commit(store, update(&alice, |content| content.role = None)).await);
        refused(commit(store, create("bob", "bob@acme.example")).await, Refusal::DomainNotAllowed);
    }

    async fn plans_of_one_commit_see_each_other_and_are_answered_in_their_places(bench) {
        let store = bench.store();
        let plans = [
            create("alice", "alice@acme.example"),
            put_domain("acme", "acme.example"),
            create("alice", "alice@acme.example"),
            create("bob", "alice@acme.example"),
            put_group("crew", false, &[]),
            create_member("bob", "bob@acme.example", "crew"),
            drop_group("crew"),
            create_in(organization("acme", "acme-2"), "carol", content("carol@acme.example")),
            drop_domain("acme"),
        ];
        let answers = store.commit(&plans, at(0)).await.unwrap();
        let refusals: Vec<Option<Refusal>> = answers.iter().map(|answer| answer.as_ref().err().copied()).collect();
        assert_eq!(refusals, [
            Some(Refusal::DomainNotAllowed),
            None,
            None,
            Some(Refusal::EmailTaken),
            None,
            None,
            Some(Refusal::InUse),
            Some(Refusal::CustomerIdChanged),
            Some(Refusal::InUse),
        ]);
        have(&addresses(store).await, &[("alice", "alice@acme.example"), ("bob", "bob@acme.example")]);
    }

    async fn an_empty_commit_does_nothing(bench) {
        assert!(bench.store().commit(&[], at(0)).await.unwrap().is_empty());
    }

    async fn accounts_are_counted_by_group_and_domain(bench) {
        let store = bench.store();
        people(store, [("a", "a@acme.example"), ("b", "b@acme.example"), ("c", "c@eu.acme.example")]).await;
        let counts = store.counts(&nobody_leaves(&["acme", "empty"])).await.unwrap();
        assert_eq!(counts["acme"].members, [("users".to_owned(), 3)].into());
        assert_eq!(counts["acme"].email_domains, [("acme.example".to_owned(), 2), ("eu.acme.example".to_owned(), 1)].into());
        assert_eq!(counts["empty"], Counts::default());
        assert_eq!(counts.len(), 2);
    }

    async fn accounts_are_listed_by_email(bench) {
        let store = bench.store();
        people(store, [("a", "z@acme.example"), ("b", "b@acme.example"), ("c", "a-b@acme.example"), ("d", "a@acme.example")]).await;
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        account(commit(store, create_in(organization("other", "other"), "a", content("b@acme.example"))).await);
        let list = |namespace| async move {
            let accounts = store.list(namespace).await.unwrap();
            accounts.iter().map(|account| format!("{}/{}", account.namespace, account.content.email)).collect::<Vec<_>>()
        };
        assert_eq!(list(Some("acme")).await, ["acme/a-b@acme.example", "acme/a@acme.example", "acme/b@acme.example", "acme/z@acme.example"]);
        assert_eq!(list(None).await.iter().filter(|line| line.ends_with("/b@acme.example")).collect::<Vec<_>>(), ["acme/b@acme.example", "other/b@acme.example"]);
        assert!(list(Some("empty")).await.is_empty());
    }
}
