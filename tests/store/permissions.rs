//! The contract on permissions, one function per sentence: who follows whom, what is written down
//! of it, and who stays in control.

use roster::domain::account::{Account, LoginState, Revision, Source, TransactionKind};
use roster::plan::Plan;
use roster::store::{Receipt, Refusal, Store};
use roster_test_support::plans::{
    account, acme, administrators, at, by_uid, cases_unassigned, cloned, commit, commit_at,
    content, create, create_heir, create_in, create_member, delete, done, drop_domain, drop_group,
    email, find, have, heirs, inherited, kept, lineage, making_keep, moving, organization, people,
    put_domain, put_domain_in, put_group, seeing, switch, update, while_all_leave_but, while_leave,
};

use crate::Bench;
use crate::contract::contract;

/// Creates accounts in `acme`, whose domain it lists, by name and source.
async fn relatives<const N: usize>(
    store: &impl Store,
    relatives: [(&str, Option<Source>); N],
) -> [Account; N] {
    done(commit(store, put_domain("acme", "*.acme.example")).await);
    let plans: Vec<Plan> = relatives.map(|(name, source)| create_heir(acme(), name, source)).into();
    let accounts: Vec<Account> =
        store.commit(&plans, at(0)).await.unwrap().into_iter().map(account).collect();
    accounts.try_into().unwrap()
}

/// Creates accounts in `acme` by name and group.
async fn members<const N: usize>(store: &impl Store, members: [(&str, &str); N]) -> [Account; N] {
    done(commit(store, put_domain("acme", "acme.example")).await);
    let plans =
        members.map(|(name, group)| create_member(name, &format!("{name}@acme.example"), group));
    let accounts: Vec<Account> =
        store.commit(&plans, at(0)).await.unwrap().into_iter().map(account).collect();
    accounts.try_into().unwrap()
}

fn regroup(account: &Account, group: &str) -> Plan {
    update(account, |content| group.clone_into(&mut content.group))
}

fn follow(account: &Account, source: Option<Source>) -> Plan {
    update(account, |content| content.source = source)
}

fn disable(account: &Account) -> Plan {
    switch(account, TransactionKind::Disable)
}

async fn source(store: &impl Store, name: &str) -> Option<Source> {
    find(store, name).await.unwrap().content.source
}

/// The answers that are refusals, in their places.
async fn refusals(store: &impl Store, plans: &[Plan]) -> Vec<Option<Refusal>> {
    store.commit(plans, at(0)).await.unwrap().into_iter().map(Result::err).collect()
}

contract! {
    async fn a_lineage_holds_everybody_on_the_line_and_ends_where_nobody_is_followed(bench) {
        let store = bench.store();
        let [e] = relatives(store, [("e", None)]).await;
        let line = [("a", inherited("b")), ("b", inherited("c")), ("c", inherited("d")), ("d", cloned(&e, &["x"])), ("aside", inherited("b"))];
        relatives(store, line).await;
        assert_eq!(lineage(store, &["a"]).await, ["a", "b", "c", "d"]);
        assert_eq!(lineage(store, &["c", "aside"]).await, ["aside", "b", "c", "d"]);
        assert_eq!(lineage(store, &["e"]).await, ["e"]);
        let found = store.inheritance_chain(&[("acme".to_owned(), "a".to_owned())]).await.unwrap();
        assert_eq!(found.get(&("acme".to_owned(), "d".to_owned())).cloned(), find(store, "d").await);
    }

    async fn a_lineage_goes_round_a_loop_once_whether_it_is_followed_or_not(bench) {
        let store = bench.store();
        let loops = [("a", inherited("b")), ("b", inherited("c")), ("c", inherited("a")), ("heir", inherited("c")), ("self", kept("self", &[])), ("x", kept("y", &[])), ("y", kept("x", &["p"]))];
        relatives(store, loops).await;
        assert_eq!(lineage(store, &["heir"]).await, ["a", "b", "c", "heir"]);
        assert_eq!(lineage(store, &["self"]).await, ["self"]);
        assert_eq!(lineage(store, &["x"]).await, ["x", "y"]);
    }

    async fn a_lineage_longer_than_what_is_inherited_along_is_whole(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let line: Vec<Plan> = (0..50).map(|n| create_heir(acme(), &format!("n{n}"), inherited(&format!("n{}", n + 1)))).collect();
        assert!(store.commit(&line, at(0)).await.unwrap().iter().all(Result::is_ok));
        assert_eq!(lineage(store, &["n0"]).await.len(), 50);
    }

    async fn a_lineage_ends_where_somebody_is_missing_and_never_leaves_the_organization(bench) {
        let store = bench.store();
        relatives(store, [("a", inherited("b")), ("b", inherited("ghost"))]).await;
        let other = organization("other", "other");
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        for (name, source) in [("ghost", None), ("b", inherited("a")), ("only", inherited("a"))] {
            account(commit(store, create_heir(other.clone(), name, source)).await);
        }
        assert_eq!(lineage(store, &["a"]).await, ["a", "b"]);
        assert!(lineage(store, &["ghost", "only"]).await.is_empty());
        assert!(lineage(store, &[]).await.is_empty());
        let both = [("acme".to_owned(), "b".to_owned()), ("other".to_owned(), "only".to_owned())];
        assert_eq!(store.inheritance_chain(&both).await.unwrap().len(), 2);
        assert_eq!(heirs(store, "ghost").await, Some(vec!["b".to_owned()]));
        assert_eq!(heirs(store, "a").await, None, "those of the other organization follow its own");
    }

    async fn names_that_nobody_has_are_no_lineage_whatever_they_contain(bench) {
        let store = bench.store();
        let hostile = ["", "' OR 1=1 --", "\"]", "%", "a\n", "\u{202e}a", "A", "['acme','a']", "💥"];
        relatives(store, [("a", None)]).await;
        assert!(lineage(store, &hostile).await.is_empty());
        for (number, name) in hostile.iter().enumerate() {
            let heir = format!("heir{number}");
            account(commit(store, create_heir(acme(), &heir, inherited(name))).await);
            assert_eq!(lineage(store, &[&heir]).await, std::slice::from_ref(&heir));
            assert_eq!(heirs(store, name).await, Some(vec![heir]));
        }
        assert_eq!(heirs(store, "a").await, None);
    }

    async fn heirs_are_those_who_follow_or_would_if_they_were_on_no_loop(bench) {
        let store = bench.store();
        let [source] = relatives(store, [("source", None)]).await;
        let others = [("z", inherited("source")), ("looped", kept("source", &["p"])), ("a-b", inherited("source")), ("a", inherited("source")), ("clone", cloned(&source, &[])), ("below", inherited("a"))];
        let [z, ..] = relatives(store, others).await;
        assert_eq!(heirs(store, "source").await.unwrap(), ["a", "a-b", "looped", "z"]);
        assert_eq!((heirs(store, "clone").await, heirs(store, "nobody").await), (None, None));
        account(commit(store, follow(&z, inherited("a"))).await);
        assert_eq!(heirs(store, "source").await.unwrap(), ["a", "a-b", "looped"]);
        assert_eq!(heirs(store, "a").await.unwrap(), ["below", "z"]);
        assert!(store.heirs(&[]).await.unwrap().is_empty());
    }

    async fn administrators_may_log_in_and_their_group_has_full_control(bench) {
        let store = bench.store();
        done(commit(store, put_group("chiefs", true, &[])).await);
        done(commit(store, put_group("crew", false, &["a"])).await);
        let [_, chief, off, ..] = members(store, [("root", "administrators"), ("chief", "chiefs"), ("off", "chiefs"), ("c", "crew"), ("u", "users")]).await;
        account(commit(store, disable(&off)).await);
        assert_eq!(administrators(store).await, ["chiefs/chief", "administrators/root"]);
        done(commit(store, put_group("administrators", false, &[])).await);
        assert_eq!(administrators(store).await, ["chiefs/chief"]);
        done(commit(store, put_group("administrators", true, &["a"])).await);
        assert_eq!(administrators(store).await, ["chiefs/chief", "administrators/root"]);
        account(commit(store, regroup(&chief, "crew")).await);
        assert_eq!(administrators(store).await, ["administrators/root"]);
        let asked = ["acme", "empty"].map(str::to_owned);
        let found = store.administrators(&asked).await.unwrap();
        assert_eq!((found.len(), found["empty"].len()), (2, 0));
    }

    async fn those_who_leave_are_not_counted(bench) {
        let store = bench.store();
        people(store, [("a", "a@acme.example"), ("b", "b@acme.example"), ("c", "c@eu.acme.example")]).await;
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        account(commit(store, create_in(organization("other", "other"), "a", content("a@acme.example"))).await);
        let leaving = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let asked = [("acme".to_owned(), leaving(&["a", "c", "nobody", "' OR 1=1 --"])), ("other".to_owned(), leaving(&["b"]))];
        let counts = store.counts(&asked.into()).await.unwrap();
        assert_eq!(counts["acme"].members, [("users".to_owned(), 1)].into());
        assert_eq!(counts["acme"].email_domains, [("acme.example".to_owned(), 1)].into());
        assert_eq!(counts["other"].members, [("users".to_owned(), 1)].into());
    }

    async fn a_plan_made_from_an_account_that_moved_on_is_refused_whole(bench) {
        let store = bench.store();
        let [a, b, c] = people(store, [("a", "a@acme.example"), ("b", "b@acme.example"), ("c", "c@acme.example")]).await;
        let newer = account(commit(store, update(&b, |content| content.role = Some("Driver".to_owned()))).await);
        let before = store.list(None).await.unwrap();
        let edit = || moving(follow(&a, inherited("b")), &[(&c, "moved@acme.example")]);
        let newcomer = || create_heir(acme(), "new", cloned(&b, &[]));
        for plan in [edit(), newcomer(), delete(&a)] {
            refused(store, seeing(plan.clone(), &[&b]), &before).await;
            refused(store, seeing(plan, &[&newer, &b]), &before).await;
        }
        let stranger = Account { namespace: "other".to_owned(), ..newer.clone() };
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        refused(store, seeing(create_heir(organization("other", "other"), "new", None), &[&stranger]), &before).await;
        account(commit(store, seeing(edit(), &[&newer, &a, &newer])).await);
        account(commit(store, seeing(newcomer(), &[&newer])).await);
    }

    async fn a_plan_made_from_an_account_that_is_gone_is_refused(bench) {
        let store = bench.store();
        let [a, b] = people(store, [("a", "a@acme.example"), ("b", "b@acme.example")]).await;
        cases_unassigned(commit(store, delete(&b)).await, b.id);
        let before = store.list(None).await.unwrap();
        refused(store, seeing(follow(&a, cloned(&b, &["p"])), &[&b]), &before).await;
    }

    async fn an_account_that_an_earlier_plan_of_the_commit_moved_on_is_not_as_it_was_seen(bench) {
        let store = bench.store();
        let relatives = relatives(store, [("a", None), ("b", None), ("c", inherited("x")), ("d", None), ("e", None), ("f", None)]).await;
        let [a, b, c, d, e, f] = &relatives;
        let late = |name: &str, seen| seeing(create_heir(acme(), name, None), &[seen]);
        let plans = [
            seeing(follow(a, inherited("b")), &[b]),
            seeing(follow(b, inherited("a")), &[a]),
            making_keep(update(d, |_| ()), &[(c, Some(&["p"]))]),
            late("after-keeping", c),
            late("after-keeping-with", d),
            moving(update(e, |_| ()), &[(f, "moved@acme.example")]),
            late("after-moving", f),
            delete(e),
            late("as-it-was", b),
        ];
        let stale = Some(Refusal::Stale);
        assert_eq!(refusals(store, &plans).await, [None, stale, None, stale, stale, None, stale, stale, None]);
        assert_eq!(source(store, "b").await, None, "of two edits that would close a loop one is refused");
    }

    async fn a_plan_that_is_repeated_moves_nobody_on_for_the_plans_after_it(bench) {
        let store = bench.store();
        let [a, b, c] = relatives(store, [("a", None), ("b", None), ("c", inherited("x"))]).await;
        let first = making_keep(moving(disable(&a), &[(&b, "moved@acme.example")]), &[(&c, Some(&["p"]))]);
        account(commit(store, first.clone()).await);
        let (b, c) = (find(store, "b").await.unwrap(), find(store, "c").await.unwrap());
        let plans = [first.clone(), first, seeing(create_heir(acme(), "new", None), &[&b, &c])];
        assert_eq!(refusals(store, &plans).await, [None, None, None]);
        assert_eq!((find(store, "b").await, find(store, "c").await), (Some(b), Some(c)));
    }

    async fn a_plan_is_made_from_what_earlier_plans_of_its_commit_left_alone(bench) {
        let store = bench.store();
        let [a, b] = people(store, [("a", "a@acme.example"), ("b", "b@acme.example")]).await;
        let refused_one = moving(update(&a, |_| ()), &[(&b, "nobody@nowhere.example")]);
        let plans = [refused_one, seeing(follow(&a, inherited("b")), &[&b])];
        assert_eq!(refusals(store, &plans).await, [Some(Refusal::DomainNotAllowed), None]);
    }

    async fn what_others_keep_is_written_with_the_change_and_moves_them_on(bench) {
        let store = bench.store();
        let [a, b, c] = relatives(store, [("a", None), ("b", inherited("c")), ("c", inherited("a"))]).await;
        let closing = follow(&a, kept("b", &["mine"]));
        let a = account(commit(store, making_keep(closing, &[(&b, Some(&["p"])), (&c, Some(&[]))])).await);
        assert_eq!((source(store, "b").await, source(store, "c").await), (kept("c", &["p"]), kept("a", &[])));
        let (b, c) = (find(store, "b").await.unwrap(), find(store, "c").await.unwrap());
        assert_eq!((a.revision, b.revision, c.revision), (Revision(2), Revision(2), Revision(2)));
        cases_unassigned(commit(store, making_keep(while_leave(delete(&a), &["c"]), &[(&b, None)])).await, a.id);
        assert_eq!((source(store, "b").await, source(store, "c").await), (inherited("c"), kept("a", &[])));
    }

    async fn an_account_keeps_permissions_and_moves_to_another_address_in_one_plan(bench) {
        let store = bench.store();
        let [a, b] = relatives(store, [("a", None), ("b", inherited("a"))]).await;
        let swap = update(&a, |content| {
            content.email = email("b@acme.example");
            content.source = kept("b", &[]);
        });
        let plan = making_keep(moving(swap, &[(&b, "a@acme.example")]), &[(&b, Some(&["p"]))]);
        account(commit(store, seeing(plan, &[&b])).await);
        let b = find(store, "b").await.unwrap();
        assert_eq!((b.content.email, b.content.source), (email("a@acme.example"), kept("a", &["p"])));
        assert!(b.revision > Revision(1));
    }

    async fn nobody_keeps_twice_in_a_plan_or_keeps_what_was_never_inherited(bench) {
        let store = bench.store();
        let sourced = relatives(store, [("a", inherited("b")), ("b", inherited("a")), ("plain", None)]).await;
        let [a, b, plain] = &sourced;
        let [clone] = relatives(store, [("clone", cloned(plain, &["p"]))]).await;
        let before = store.list(None).await.unwrap();
        let nothing: Option<&[&str]> = None;
        for keeps in [vec![(b, Some(&["p"][..])), (b, nothing)], vec![(a, nothing)], vec![(plain, Some(&["p"][..]))], vec![(&clone, nothing)]] {
            refused(store, making_keep(update(a, |_| ()), &keeps), &before).await;
        }
        refused(store, making_keep(while_leave(delete(a), &["b"]), &[(a, None)]), &before).await;
    }

    async fn a_keep_from_an_older_revision_refuses_the_whole_plan(bench) {
        let store = bench.store();
        let [a, b] = relatives(store, [("a", None), ("b", inherited("a"))]).await;
        account(commit(store, update(&b, |content| content.role = Some("Driver".to_owned()))).await);
        let before = store.list(None).await.unwrap();
        refused(store, making_keep(follow(&a, kept("b", &[])), &[(&b, Some(&["p"]))]), &before).await;
        refused(store, making_keep(create_heir(acme(), "new", None), &[(&b, Some(&["p"]))]), &before).await;
    }

    async fn a_clone_has_the_time_of_the_commit_that_took_it_until_another_is_taken(bench) {
        let store = bench.store();
        let [bob, carol] = relatives(store, [("bob", None), ("carol", None)]).await;
        let taken = account(commit_at(store, create_heir(acme(), "a", cloned(&bob, &["p"])), 10).await);
        assert_eq!(taken.cloned, Some(at(10).now));
        let later = account(commit_at(store, update(&taken, |content| content.role = Some("Driver".to_owned())), 20).await);
        let later = account(commit_at(store, disable(&later), 30).await);
        assert_eq!((later.cloned, &later.content.source), (Some(at(10).now), &cloned(&bob, &["p"])));
        let retaken = account(commit_at(store, follow(&later, cloned(&carol, &["p"])), 40).await);
        assert_eq!(retaken.cloned, Some(at(40).now));
        let following = account(commit_at(store, follow(&retaken, inherited("carol")), 50).await);
        assert_eq!(following.cloned, None);
        let again = account(commit_at(store, follow(&following, cloned(&carol, &["p"])), 60).await);
        assert_eq!(again.cloned, Some(at(60).now));
        assert_eq!(find(store, "a").await, Some(again));
    }

    async fn a_clone_outlives_its_source(bench) {
        let store = bench.store();
        let [bob] = relatives(store, [("bob", None)]).await;
        let taken = account(commit_at(store, create_heir(acme(), "a", cloned(&bob, &["p"])), 10).await);
        cases_unassigned(commit(store, delete(&bob)).await, bob.id);
        assert_eq!(find(store, "a").await, Some(taken));
    }

    async fn a_source_is_not_deleted_while_somebody_who_stays_follows_it(bench) {
        let store = bench.store();
        let [bob] = relatives(store, [("bob", None)]).await;
        let [_, heir, looped] = relatives(store, [("clone", cloned(&bob, &[])), ("heir", inherited("bob")), ("looped", kept("bob", &[]))]).await;
        let before = store.list(None).await.unwrap();
        for leaving in [&[][..], &["heir"], &["looped", "clone"]] {
            assert_eq!(commit(store, while_leave(delete(&bob), leaving)).await, Err(Refusal::InUse));
        }
        assert_eq!(store.list(None).await.unwrap(), before);
        account(commit(store, follow(&looped, None)).await);
        cases_unassigned(commit(store, while_leave(delete(&bob), &["heir"])).await, bob.id);
        assert_eq!(source(store, "heir").await, inherited("bob"));
        cases_unassigned(commit(store, delete(&heir)).await, heir.id);
    }

    async fn clones_and_heirs_elsewhere_and_itself_keep_nobody_from_going(bench) {
        let store = bench.store();
        let [bob, own] = relatives(store, [("bob", None), ("own", kept("own", &[]))]).await;
        relatives(store, [("clone", cloned(&bob, &[]))]).await;
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        account(commit(store, create_heir(organization("other", "other"), "heir", inherited("bob"))).await);
        cases_unassigned(commit(store, delete(&bob)).await, bob.id);
        cases_unassigned(commit(store, delete(&own)).await, own.id);
    }

    async fn a_loop_goes_once_all_of_it_leaves(bench) {
        let store = bench.store();
        let [a, b] = relatives(store, [("a", kept("b", &[])), ("b", kept("a", &[]))]).await;
        assert_eq!(refusals(store, &[delete(&a), while_leave(delete(&a), &["a"])]).await, [Some(Refusal::InUse); 2]);
        let all = ["a", "b"];
        let plans = [making_keep(while_leave(delete(&a), &all), &[(&b, None)]), while_leave(delete(&Account { revision: Revision(2), ..b }), &all)];
        assert_eq!(refusals(store, &plans).await, [None, None]);
    }

    async fn the_last_administrator_is_not_deleted_disabled_or_regrouped(bench) {
        let store = bench.store();
        let [root, _] = members(store, [("root", "administrators"), ("u", "users")]).await;
        let both = update(&root, |content| {
            content.lifecycle = LoginState::Disabled;
            "users".clone_into(&mut content.group);
        });
        let before = store.list(None).await.unwrap();
        for plan in [delete(&root), disable(&root), regroup(&root, "users"), both, while_leave(delete(&root), &["root"])] {
            assert_eq!(commit(store, plan).await, Err(Refusal::LastAdministrator));
            assert_eq!(store.list(None).await.unwrap(), before);
        }
        account(commit(store, update(&root, |content| content.role = Some("Driver".to_owned()))).await);
    }

    async fn the_last_group_with_administrators_in_it_keeps_full_control(bench) {
        let store = bench.store();
        done(commit(store, put_group("chiefs", true, &[])).await);
        let [chief, user] = members(store, [("chief", "chiefs"), ("u", "users")]).await;
        assert_eq!(commit(store, put_group("chiefs", false, &["a"])).await, Err(Refusal::LastAdministrator));
        assert_eq!(administrators(store).await, ["chiefs/chief"]);
        done(commit(store, put_group("chiefs", true, &["a"])).await);
        done(commit(store, put_group("administrators", false, &[])).await);
        done(commit(store, drop_group("administrators")).await);
        account(commit(store, regroup(&user, "administrators")).await);
        assert_eq!(commit(store, drop_group("chiefs")).await, Err(Refusal::InUse));
        done(commit(store, put_group("chiefs", false, &[])).await);
        account(commit(store, disable(&chief)).await);
        assert_eq!(commit(store, put_group("administrators", false, &[])).await, Err(Refusal::LastAdministrator));
    }

    async fn a_group_is_not_dropped_with_the_last_administrator_in_it_who_is_to_leave(bench) {
        let store = bench.store();
        done(commit(store, put_group("chiefs", true, &[])).await);
        let [chief, user] = members(store, [("chief", "chiefs"), ("u", "users")]).await;
        let drop = || while_leave(drop_group("chiefs"), &["chief"]);
        assert_eq!(commit(store, while_leave(delete(&chief), &["chief"])).await, Err(Refusal::LastAdministrator));
        assert_eq!(commit(store, drop()).await, Err(Refusal::LastAdministrator));
        assert_eq!(administrators(store).await, ["chiefs/chief"]);
        account(commit(store, regroup(&user, "administrators")).await);
        done(commit(store, drop()).await);
    }

    async fn of_two_administrators_who_go_at_once_one_is_refused(bench) {
        let store = bench.store();
        done(commit(store, put_group("chiefs", true, &[])).await);
        let [a, b, _] = members(store, [("a", "administrators"), ("b", "chiefs"), ("u", "users")]).await;
        let refused = [None, Some(Refusal::LastAdministrator)];
        assert_eq!(refusals(store, &[disable(&a), disable(&b)]).await, refused);
        let a = account(commit(store, switch(&find(store, "a").await.unwrap(), TransactionKind::Enable)).await);
        assert_eq!(refusals(store, &[put_group("chiefs", false, &[]), delete(&a)]).await, refused);
        done(commit(store, put_group("chiefs", true, &[])).await);
        assert_eq!(refusals(store, &[delete(&a), regroup(&b, "users")]).await, refused);
        assert_eq!(administrators(store).await, ["chiefs/b"]);
    }

    async fn an_administrator_who_leaves_is_not_counted_on(bench) {
        let store = bench.store();
        let [a, b, _] = members(store, [("a", "administrators"), ("b", "administrators"), ("u", "users")]).await;
        let lost = Err(Refusal::LastAdministrator);
        for plan in [disable(&a), regroup(&a, "users"), delete(&a)] {
            assert_eq!(commit(store, while_leave(plan, &["b"])).await, lost);
        }
        assert_eq!(commit(store, while_leave(put_group("administrators", false, &[]), &["a", "b"])).await, lost);
        cases_unassigned(commit(store, while_leave(delete(&b), &["b"])).await, b.id);
        assert_eq!(commit(store, delete(&a)).await, lost);
    }

    async fn an_organization_without_an_administrator_is_refused_nothing(bench) {
        let store = bench.store();
        done(commit(store, put_group("chiefs", true, &[])).await);
        let [off, user, _] = members(store, [("off", "users"), ("u", "users"), ("v", "users")]).await;
        let off = account(commit(store, disable(&off)).await);
        let off = account(commit(store, regroup(&off, "administrators")).await);
        let off = account(commit(store, regroup(&off, "chiefs")).await);
        done(commit(store, put_group("administrators", false, &[])).await);
        done(commit(store, put_group("chiefs", false, &[])).await);
        account(commit(store, regroup(&user, "administrators")).await);
        cases_unassigned(commit(store, delete(&off)).await, off.id);
    }

    async fn the_last_user_of_all_may_go_and_so_may_all_who_leave(bench) {
        let store = bench.store();
        let [root, user] = members(store, [("root", "administrators"), ("u", "users")]).await;
        let all = ["root", "u"];
        account(commit(store, while_leave(disable(&root), &all)).await);
        let root = account(commit(store, switch(&find(store, "root").await.unwrap(), TransactionKind::Enable)).await);
        cases_unassigned(commit(store, while_leave(delete(&root), &all)).await, root.id);
        cases_unassigned(commit(store, while_leave(delete(&user), &all)).await, user.id);
        let [again] = members(store, [("again", "administrators")]).await;
        assert_eq!(commit(store, disable(&again)).await, Err(Refusal::LastAdministrator), "who is disabled is still a user");
        cases_unassigned(commit(store, delete(&again)).await, again.id);
    }

    async fn administrators_of_one_organization_keep_no_other_in_control(bench) {
        let store = bench.store();
        let [root, _] = members(store, [("root", "administrators"), ("u", "users")]).await;
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        let mut other = content("root@acme.example");
        "administrators".clone_into(&mut other.group);
        account(commit(store, create_in(organization("other", "other"), "root", other)).await);
        assert_eq!(commit(store, delete(&root)).await, Err(Refusal::LastAdministrator));
    }

    async fn who_has_no_user_keeps_nobody_in_a_namespace_that_goes(bench) {
        let store = bench.store();
        done(commit(store, put_group("chiefs", true, &[])).await);
        let [root, _, _] = members(store, [("root", "chiefs"), ("retained", "users"), ("bob", "users")]).await;
        let heir = create_heir(acme(), "heir", inherited("root"));
        account(commit(store, heir).await);
        let disabled = switch(&root, TransactionKind::Disable);
        let less = [put_group("chiefs", false, &[]), disabled, regroup(&root, "users"), delete(&root)];
        for plan in &less[..3] {
            for last in [&["bob"][..], &["bob", "root"], &["heir"]] {
                let refused = commit(store, while_all_leave_but(plan.clone(), last)).await;
                assert_eq!(refused, Err(Refusal::LastAdministrator), "{last:?}");
            }
        }
        let before = store.list(None).await.unwrap();
        assert_eq!(commit(store, while_all_leave_but(delete(&root), &["bob"])).await, Err(Refusal::LastAdministrator));
        assert_eq!(commit(store, while_all_leave_but(delete(&root), &["heir"])).await, Err(Refusal::InUse));
        // Whoever is in it uses a group as long as the account is there.
        assert_eq!(commit(store, while_all_leave_but(drop_group("chiefs"), &[])).await, Err(Refusal::InUse));
        assert_eq!(commit(store, while_all_leave_but(drop_domain("acme"), &[])).await, Err(Refusal::InUse));
        assert_eq!(store.list(None).await.unwrap(), before);
        cases_unassigned(commit(store, while_all_leave_but(delete(&root), &["nobody", "' OR 1=1 --"])).await, root.id);
        done(commit(store, while_all_leave_but(put_group("chiefs", false, &[]), &["bob"])).await);
    }

    async fn a_group_or_a_domain_goes_while_only_those_use_it_who_leave(bench) {
        let store = bench.store();
        done(commit(store, put_group("crew", false, &[])).await);
        done(commit(store, put_domain("eu", "eu.acme.example")).await);
        let user = |name: &str| create_member(name, &format!("{name}@eu.acme.example"), "crew");
        for name in ["a", "b"] {
            account(commit(store, user(name)).await);
        }
        for plan in [drop_group("crew"), drop_domain("eu")] {
            for leaving in [&[][..], &["a"], &["a", "c"]] {
                assert_eq!(commit(store, while_leave(plan.clone(), leaving)).await, Err(Refusal::InUse));
            }
            done(commit(store, while_leave(plan, &["a", "b"])).await);
        }
        let a = find(store, "a").await.unwrap();
        account(commit(store, update(&a, |content| content.role = Some("Driver".to_owned()))).await);
        let b = find(store, "b").await.unwrap();
        cases_unassigned(commit(store, delete(&b)).await, b.id);
        assert_eq!(commit(store, user("c")).await, Err(Refusal::GroupNotFound));
        assert_eq!(commit(store, create("c", "c@eu.acme.example")).await, Err(Refusal::DomainNotAllowed));
    }

    async fn a_repeated_delete_is_answered_whatever_became_of_its_heirs_and_of_control(bench) {
        let store = bench.store();
        let [root] = members(store, [("root", "administrators")]).await;
        let gone = while_leave(delete(&root), &["root"]);
        let first: Result<Receipt, Refusal> = commit(store, gone.clone()).await;
        cases_unassigned(first.clone(), root.id);
        relatives(store, [("heir", inherited("root")), ("u", None)]).await;
        assert_eq!(commit(store, by_uid(gone, "anybody")).await, first);
        have(&roster_test_support::plans::addresses(store).await, &[("heir", "heir@acme.example"), ("u", "u@acme.example")]);
    }
}

/// A refused plan leaves no trace, and is refused because something moved on.
async fn refused(store: &impl Store, plan: Plan, before: &[Account]) {
    assert_eq!(commit(store, plan).await, Err(Refusal::Stale));
    assert_eq!(store.list(None).await.unwrap(), before);
}
