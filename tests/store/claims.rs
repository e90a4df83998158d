//! Who works on a store: what is promised to operators that claim it, in both databases.

use roster::domain::account::DirectoryAck;
use roster::plan::{ConfirmPlan, Plan};
use roster::store::claims::{Claim, ClaimError, ClaimGrant, CommitPosition};
use roster::store::sql::SqlStore;
use roster::store::{Store, StoreError};
use roster_test_support::application::Application;
use roster_test_support::plans::{alice, at, put_domain, put_domain_in, revisions, update};
use roster_test_support::postgres::Database;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::Place;

/// A sentence about a store that several open by its address.
macro_rules! claims {
    ($(async fn $sentence:ident($place:ident) $body:block)+) => {
        $(mod $sentence {
            use super::*;

            async fn sentence($place: &impl Place) $body

            #[tokio::test]
            async fn in_sqlite() {
                sentence(&<TempDir as Place>::new().await).await;
            }

            #[tokio::test]
            async fn in_postgres() {
                sentence(&<Database as Place>::new().await).await;
            }
        })+
    };
}

fn of<const N: usize>(namespaces: [&str; N], holder: &str) -> Claim {
    Claim {
        namespaces: namespaces.into_iter().map(str::to_owned).collect(),
        holder: holder.to_owned(),
        cluster: "one".to_owned(),
        known: CommitPosition::default(),
        accept_cluster: false,
        supersede: false,
        directories: None,
    }
}

/// A claim of an operator that was given directories.
fn with<const N: usize>(directories: [&str; N], claim: Claim) -> Claim {
    Claim { directories: Some(directories.into_iter().map(str::to_owned).collect()), ..claim }
}

#[track_caller]
fn other_directories(claimed: Result<(SqlStore, ClaimGrant), ClaimError>, says: [&str; 2]) {
    let refused = match claimed.map(|(_, reign)| reign) {
        Err(refused @ ClaimError::OtherDirectories { .. }) => refused.to_string(),
        other => panic!("not refused because of its directories: {other:?}"),
    };
    let cure = [
        "give all of them the same --directory",
        "to change them, stop all operators of the store first, or, where one was killed and is gone for good, start this one once \
         with --supersede",
    ];
    assert!(says.into_iter().chain(cure).all(|part| refused.contains(part)), "{refused}");
}

/// Whether nothing is left of a confirmation but the directory's own key of the entry.
fn is_forgotten(known: &DirectoryAck) -> bool {
    known.revision.0 == 0 && known.fingerprint.is_none()
}

/// Returns the directories that the store has in use.
async fn directories(place: &impl Place) -> Vec<String> {
    let mut application = Application::open(&place.url()).await;
    let rows =
        application.rows("SELECT name FROM directories WHERE in_use ORDER BY name", &[]).await;
    application.close().await;
    rows.iter().filter_map(|row| row.text(0)).collect()
}

async fn claim(place: &impl Place, claim: &Claim) -> Result<(SqlStore, ClaimGrant), ClaimError> {
    let mut store = SqlStore::open(&place.url_to_create()).await.unwrap();
    let reign = store.claim(claim, at(0).now).await?;
    Ok((store, reign))
}

/// Everything that an operator writes which works in `acme`.
async fn writes(store: &SqlStore) -> [Result<(), StoreError>; 3] {
    writes_in(store, "acme").await
}

/// Everything that an operator writes which works in a namespace.
async fn writes_in(store: &SqlStore, namespace: &str) -> [Result<(), StoreError>; 3] {
    let now = at(1).now;
    let before = store.calendar().await.unwrap().zone;
    let zone = if before.is_some_and(|zone| zone.name() == "Europe/Berlin") {
        "America/Phoenix"
    } else {
        "Europe/Berlin"
    };
    let other = format!("directory {zone}");
    [
        store.commit(&[put_domain_in(namespace, "acme", "acme.example")], at(1)).await.map(|_| ()),
        store.set_directories(&[other].into(), now).await,
        store.close_months(&zone.parse().unwrap(), now).await.map(|_| ()),
    ]
}

async fn stands(store: &SqlStore) {
    stands_in(store, "acme").await;
}

async fn stands_in(store: &SqlStore, namespace: &str) {
    writes_in(store, namespace).await.into_iter().for_each(|written| written.unwrap());
    store.self_service_changes(0).await.unwrap();
    store.check_claim().await.unwrap();
}

async fn is_superseded(store: &SqlStore, epoch: i64) {
    is_superseded_in(store, "acme", epoch).await;
}

async fn is_superseded_in(store: &SqlStore, namespace: &str, epoch: i64) {
    for written in writes_in(store, namespace).await {
        assert!(
            matches!(written, Err(StoreError::Superseded { epoch: found }) if found == epoch),
            "{written:?}"
        );
    }
    // It learns of it also where it has nothing to write.
    let looked = store.self_service_changes(0).await;
    assert!(
        matches!(looked, Err(StoreError::Superseded { epoch: found }) if found == epoch),
        "{looked:?}"
    );
    let checked = store.check_claim().await;
    assert!(
        matches!(checked, Err(StoreError::Superseded { epoch: found }) if found == epoch),
        "{checked:?}"
    );
}

#[track_caller]
fn overlapping(claimed: Result<(SqlStore, ClaimGrant), ClaimError>, with: &str, in_what: &str) {
    match claimed.map(|(_, reign)| reign) {
        Err(ClaimError::Overlapping { holder, namespaces }) => {
            assert_eq!((&*holder, &*namespaces), (with, in_what))
        }
        other => panic!("not refused as overlapping: {other:?}"),
    }
}

claims! {
    async fn whoever_claims_the_same_namespaces_takes_the_place_of_the_former(place) {
        let (first, before) = claim(place, &of([], "first")).await.unwrap();
        stands(&first).await;
        let (second, after) = claim(place, &of([], "second")).await.unwrap();
        assert!(after.epoch > before.epoch);
        assert!(!after.rolled_back);
        is_superseded(&first, before.epoch).await;
        stands(&second).await;
    }

    async fn whether_a_claim_stands_is_asked_without_a_write_and_of_no_member(place) {
        let (first, before) = claim(place, &of([], "first")).await.unwrap();
        let mut application = Application::open(&place.url()).await;
        for _ in 0..3 {
            first.check_claim().await.unwrap();
        }
        assert_eq!(application.number("SELECT commits FROM operators").await, 0);
        SqlStore::open_existing(&place.url()).await.unwrap().check_claim().await.unwrap();
        claim(place, &of([], "second")).await.unwrap();
        assert!(matches!(first.check_claim().await, Err(StoreError::Superseded { epoch }) if epoch == before.epoch));
        let looked = first.self_service_changes(0).await;
        assert!(matches!(looked, Err(StoreError::Superseded { .. })), "nobody ever changed anything of themselves: {looked:?}");
        application.close().await;
    }

    async fn operators_of_different_namespaces_work_side_by_side(place) {
        let (first, _) = claim(place, &of(["acme", "bolt"], "first")).await.unwrap();
        let (second, _) = claim(place, &of(["corp"], "second")).await.unwrap();
        let (third, _) = claim(place, &of(["bolt", "acme"], "third")).await.unwrap();
        stands_in(&second, "corp").await;
        stands(&third).await;
        assert!(writes(&first).await.iter().all(Result::is_err));
    }

    async fn an_operator_writes_nothing_where_it_has_not_claimed(place) {
        let (first, _) = claim(place, &of(["acme"], "first")).await.unwrap();
        stands(&first).await;
        let both = [put_domain("mine", "acme.example"), put_domain_in("bolt", "theirs", "bolt.example")];
        let refused = first.commit(&both, at(1)).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Unclaimed { namespace } if namespace == "bolt"), "{refused:?}");
        assert!(refused.is_about_data(), "the rest can be committed without it");
        stands(&first).await;
        let mut application = Application::open(&place.url()).await;
        assert_eq!(application.number("SELECT count(*) FROM domains WHERE name IN ('mine', 'theirs')").await, 0);
        application.close().await;
    }

    async fn namespaces_that_overlap_are_refused_with_whoever_has_them(place) {
        let (first, _) = claim(place, &of(["acme", "bolt"], "first")).await.unwrap();
        overlapping(claim(place, &of(["bolt", "corp"], "second")).await, "first", "the namespaces acme, bolt");
        overlapping(claim(place, &of(["bolt"], "second")).await, "first", "the namespaces acme, bolt");
        overlapping(claim(place, &of([], "second")).await, "first", "the namespaces acme, bolt");
        stands(&first).await;
    }

    async fn operators_beside_each_other_have_the_same_directories(place) {
        let (first, _) = claim(place, &with(["ldap", "scim"], of(["acme"], "first"))).await.unwrap();
        let (second, _) = claim(place, &with(["scim", "ldap"], of(["bolt"], "second"))).await.unwrap();
        let others = "the operator first of the namespace acme, the operator second of the namespace bolt";
        let corp = || of(["corp"], "third");
        other_directories(claim(place, &with(["ldap"], corp())).await, [others, "this one lacks scim;"]);
        other_directories(claim(place, &with(["ldap", "scim", "x"], corp())).await, [others, "only this one has x;"]);
        other_directories(claim(place, &with(["y"], corp())).await, [others, "this one lacks ldap, scim, and only this one has y;"]);
        other_directories(claim(place, &with([], corp())).await, [others, "this one lacks ldap, scim;"]);
        // Nor does one that takes the place of its own predecessor change them for the others, and
        // that one goes on.
        let again = claim(place, &with(["ldap"], of(["acme"], "again"))).await;
        other_directories(again, ["the operator second of the namespace bolt", "lacks scim"]);
        assert_eq!(directories(place).await, ["ldap", "scim"]);
        first.check_claim().await.unwrap();
        second.check_claim().await.unwrap();
        claim(place, &with(["ldap", "scim"], of(["acme"], "again"))).await.unwrap();
    }

    async fn an_operator_that_is_alone_or_takes_its_predecessors_place_changes_the_directories(place) {
        let (mut first, _) = claim(place, &with(["ldap"], of(["acme"], "first"))).await.unwrap();
        let (second, _) = claim(place, &with(["scim"], of(["acme"], "second"))).await.unwrap();
        assert_eq!(directories(place).await, ["scim"]);
        assert!(first.resign().await.is_ok() && second.check_claim().await.is_ok());
        let alice = alice(&second).await;
        assert!(alice.transaction.in_flight(), "it waits for scim");
        let (mut third, _) = claim(place, &with([], Claim { supersede: true, ..of([], "third") })).await.unwrap();
        assert!(directories(place).await.is_empty());
        assert!(!third.list(None).await.unwrap()[0].transaction.in_flight(), "it waited for nothing else");
        third.resign().await.unwrap();
        claim(place, &with(["ldap"], of(["bolt"], "fourth"))).await.unwrap();
        assert_eq!(directories(place).await, ["ldap"]);
    }

    async fn operators_that_were_killed_do_not_keep_each_other_from_new_directories(place) {
        let (first, before) = claim(place, &with(["ldap"], of(["acme"], "first, killed"))).await.unwrap();
        let (second, between) = claim(place, &with(["ldap"], of(["bolt"], "second, killed"))).await.unwrap();
        let again = |namespace: &'static str| with(["scim"], of([namespace], "again"));
        other_directories(claim(place, &again("acme")).await, ["second, killed of the namespace bolt", "only this one has scim"]);
        other_directories(claim(place, &again("bolt")).await, ["first, killed of the namespace acme", "only this one has scim"]);
        let (acme, _) = claim(place, &Claim { supersede: true, ..again("acme") }).await.unwrap();
        let (bolt, _) = claim(place, &again("bolt")).await.unwrap();
        assert_eq!(directories(place).await, ["scim"]);
        // Whoever was alive after all writes nothing more.
        is_superseded(&first, before.epoch).await;
        is_superseded_in(&second, "bolt", between.epoch).await;
        stands(&acme).await;
        stands_in(&bolt, "bolt").await;
    }

    async fn all_namespaces_overlap_with_any(place) {
        let (first, _) = claim(place, &of([], "first")).await.unwrap();
        overlapping(claim(place, &of(["acme"], "second")).await, "first", "all namespaces");
        stands(&first).await;
    }

    async fn whoever_supersedes_ends_every_claim_that_overlaps_and_no_other(place) {
        let (first, before) = claim(place, &of(["acme"], "first")).await.unwrap();
        let (second, between) = claim(place, &of(["bolt"], "second")).await.unwrap();
        let (other, _) = claim(place, &of(["corp"], "other")).await.unwrap();
        let (third, _) = claim(place, &Claim { supersede: true, ..of(["acme", "bolt"], "third") }).await.unwrap();
        is_superseded(&first, before.epoch).await;
        is_superseded_in(&second, "bolt", between.epoch).await;
        stands_in(&other, "corp").await;
        stands(&third).await;
    }

    async fn a_claim_that_was_given_up_is_in_nobodys_way(place) {
        let (mut first, before) = claim(place, &of(["acme", "bolt"], "first")).await.unwrap();
        first.resign().await.unwrap();
        let (second, after) = claim(place, &of(["bolt"], "second")).await.unwrap();
        assert!(after.epoch > before.epoch, "an epoch is never given twice");
        stands_in(&second, "bolt").await;
    }

    async fn whoever_was_superseded_gives_up_nothing_of_its_successor(place) {
        let (mut first, _) = claim(place, &of([], "first")).await.unwrap();
        let (second, _) = claim(place, &of([], "second")).await.unwrap();
        first.resign().await.unwrap();
        stands(&second).await;
    }

    async fn another_cluster_is_refused_until_it_is_accepted(place) {
        let (first, before) = claim(place, &of(["acme"], "first")).await.unwrap();
        let elsewhere = Claim { cluster: "two".to_owned(), ..of(["bolt"], "second") };
        match claim(place, &elsewhere).await.map(|(_, reign)| reign) {
            Err(ClaimError::OtherCluster { found, asked }) => assert_eq!((&*found, &*asked), ("one", "two")),
            other => panic!("another cluster wasn't refused: {other:?}"),
        }
        stands(&first).await;
        let (second, reign) = claim(place, &Claim { accept_cluster: true, ..elsewhere.clone() }).await.unwrap();
        assert_eq!(reign.former_cluster.as_deref(), Some("one"));
        is_superseded(&first, before.epoch).await;
        stands_in(&second, "bolt").await;
        let (_, again) = claim(place, &elsewhere).await.unwrap();
        assert_eq!(again.former_cluster, None);
        assert!(matches!(claim(place, &of(["acme"], "first")).await, Err(ClaimError::OtherCluster { .. })));
    }

    async fn another_cluster_has_directories_brought_everything_again(place) {
        let (first, _) = claim(place, &of([], "first")).await.unwrap();
        let alice = alice(&first).await;
        first.set_directories(&["one".to_owned()].into(), at(0).now).await.unwrap();
        let confirmed = revisions(&[("one", 1)]);
        let confirm = Plan::Confirm(ConfirmPlan { namespace: "acme".to_owned(), account: alice.id, confirmed });
        first.commit(&[confirm], at(0)).await.unwrap().remove(0).unwrap();
        let elsewhere = Claim { cluster: "two".to_owned(), accept_cluster: true, ..of([], "second") };
        let (second, reign) = claim(place, &elsewhere).await.unwrap();
        assert!(!reign.rolled_back, "who knows");
        let found = second.list(None).await.unwrap().remove(0);
        assert!(found.confirmed.values().all(is_forgotten) && found.revision.0 > alice.revision.0 + 1000);
    }

    async fn whoever_works_beside_a_newer_schema_writes_nothing_more(place) {
        let (first, reign) = claim(place, &of([], "first")).await.unwrap();
        stands(&first).await;
        let mut application = Application::open(&place.url()).await;
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'newer', TRUE, '', 0)";
        application.execute(newer, &[]).await.unwrap();
        application.close().await;
        is_superseded(&first, reign.epoch).await;
    }

    async fn members_and_applications_need_no_claim(place) {
        let (first, _) = claim(place, &of([], "first")).await.unwrap();
        alice(&first).await;
        let application = SqlStore::open_existing(&place.url()).await.unwrap();
        let (second, _) = claim(place, &of([], "second")).await.unwrap();
        assert!(application.commit(&[put_domain("bolt", "bolt.example")], at(2)).await.is_ok());
        stands(&second).await;
    }

    async fn a_store_that_was_put_back_is_noticed_by_the_epoch_that_the_cluster_knows(place) {
        let (first, _) = claim(place, &of([], "first")).await.unwrap();
        let alice = alice(&first).await;
        first.set_directories(&["one".to_owned()].into(), at(0).now).await.unwrap();
        let confirmed = revisions(&[("one", 1)]);
        let confirm = Plan::Confirm(ConfirmPlan { namespace: "acme".to_owned(), account: alice.id, confirmed });
        first.commit(&[confirm], at(0)).await.unwrap().remove(0).unwrap();

        let (second, reign) = claim(place, &Claim { known: CommitPosition { epoch: 41, commits: 0 }, ..of([], "second") }).await.unwrap();
        assert_eq!((reign.epoch, reign.rolled_back), (42, true));
        let found = second.list(None).await.unwrap().remove(0);
        assert!(found.confirmed.values().all(is_forgotten), "directories are brought everything again");
        assert!(found.revision.0 > alice.revision.0 + 1000, "and as something newer than whatever they have");
        let (_, reign) = claim(place, &Claim { known: CommitPosition { epoch: 42, commits: 0 }, ..of([], "third") }).await.unwrap();
        assert_eq!((reign.epoch, reign.rolled_back), (43, false));
    }

    async fn a_store_that_was_put_back_under_a_claim_that_stood_already_is_noticed_by_its_commits(place) {
        let (mut first, reign) = claim(place, &of([], "first")).await.unwrap();
        let (tell, told) = watch::channel(CommitPosition::default());
        first.tell_progress(tell);
        assert_eq!(*told.borrow(), CommitPosition { epoch: reign.epoch, commits: 0 });
        let alice = alice(&first).await;
        stands(&first).await;
        let known = *told.borrow();
        assert_eq!((known.epoch, known.commits), (reign.epoch, 5), "each commit is counted and told of");
        let refused = Plan::Confirm(ConfirmPlan { namespace: "other".to_owned(), account: alice.id, confirmed: [].into() });
        first.commit(&[refused], at(0)).await.unwrap().remove(0).unwrap_err();
        assert_eq!(*told.borrow(), known, "what is refused leaves nothing behind");

        // Whoever goes on where all commits are known goes on, and where more are: the answer to
        // one got lost.
        let mut application = Application::open(&place.url()).await;
        application.execute("UPDATE operators SET commits = commits + 1", &[]).await.unwrap();
        stands(&first).await;
        let known = *told.borrow();
        assert_eq!(known.commits, 9);
        application.execute("UPDATE operators SET commits = 8", &[]).await.unwrap();
        is_superseded(&first, reign.epoch).await;
        let (second, after) = claim(place, &Claim { known, ..of([], "second") }).await.unwrap();
        assert_eq!((after.epoch, after.rolled_back), (reign.epoch + 1, true));
        stands(&second).await;
        application.close().await;
    }

    async fn a_claim_that_was_given_up_or_superseded_is_no_sign_of_a_store_that_was_put_back(place) {
        let (mut first, reign) = claim(place, &of(["acme"], "first")).await.unwrap();
        stands(&first).await;
        first.resign().await.unwrap();
        let known = CommitPosition { epoch: reign.epoch, commits: 3 };
        let (second, reign) = claim(place, &Claim { known, ..of(["acme"], "second") }).await.unwrap();
        assert!(!reign.rolled_back);
        stands(&second).await;
        let (third, _) = claim(place, &Claim { supersede: true, ..of(["acme", "bolt"], "third") }).await.unwrap();
        let known = CommitPosition { epoch: reign.epoch, commits: 3 };
        let again = Claim { known, supersede: true, ..of(["acme"], "fourth") };
        let (_, reign) = claim(place, &again).await.unwrap();
        assert!(!reign.rolled_back);
        assert!(writes(&third).await.iter().all(Result::is_err));
    }

    async fn an_epoch_that_no_operator_can_have_written_is_not_taken_over(place) {
        let (first, before) = claim(place, &of([], "first")).await.unwrap();
        stands(&first).await;
        for epoch in [i64::MAX, i64::MAX - 1, i64::MIN, 1 << 40] {
            let known = CommitPosition { epoch, commits: i64::MAX };
            let (store, reign) = claim(place, &Claim { known, ..of([], "next") }).await.unwrap();
            assert!(reign.known_was_ignored && !reign.rolled_back, "{reign:?}");
            assert!((before.epoch..before.epoch + 10).contains(&reign.epoch), "{reign:?}");
            stands(&store).await;
            store.close().await;
        }
        is_superseded(&first, before.epoch).await;
    }

    async fn a_store_that_took_an_absurd_epoch_over_is_cured_by_the_next_claim(place) {
        let (mut first, before) = claim(place, &of(["acme"], "first")).await.unwrap();
        let (beside, _) = claim(place, &of(["bolt"], "beside")).await.unwrap();
        first.resign().await.unwrap();
        for absurd in [i64::MAX, i64::MAX - 1] {
            let mut application = Application::open(&place.url()).await;
            let took_over = format!("UPDATE leadership SET epoch = {absurd}");
            application.execute(&took_over, &[]).await.unwrap();
            application.execute(&format!("UPDATE operators SET epoch = {absurd} WHERE holder <> 'beside'"), &[]).await.unwrap();
            let known = CommitPosition { epoch: absurd, commits: 3 };
            let (next, reign) = claim(place, &Claim { known, ..of(["acme"], "next") }).await.unwrap();
            assert_eq!((reign.absurd_epoch, reign.rolled_back), (Some(absurd), false));
            assert!(before.epoch < reign.epoch && reign.epoch < before.epoch + 5, "above every claim that stands: {reign:?}");
            stands(&next).await;
            stands_in(&beside, "bolt").await;
            assert_eq!(application.number("SELECT epoch FROM leadership").await, reign.epoch);
            application.close().await;
            let (after, reign) = claim(place, &of(["acme"], "after")).await.unwrap();
            assert_eq!(reign.absurd_epoch, None);
            stands(&after).await;
            assert!(writes(&next).await.iter().all(Result::is_err), "whoever worked before is out");
        }
    }

    async fn a_claim_of_the_same_epoch_in_a_store_that_was_put_back_is_another(place) {
        let (first, before) = claim(place, &of([], "first")).await.unwrap();
        // As if it were again what it was before the first claim.
        let mut application = Application::open(&place.url()).await;
        application.execute("DELETE FROM leadership", &[]).await.unwrap();
        application.execute("DELETE FROM operators", &[]).await.unwrap();
        let (second, after) = claim(place, &of([], "third")).await.unwrap();
        assert_eq!(before.epoch, after.epoch);
        is_superseded(&first, before.epoch).await;
        stands(&second).await;
    }
}

#[tokio::test]
async fn an_operator_that_was_stopped_in_the_middle_of_a_commit_does_not_keep_its_successor_waiting()
 {
    let database = Database::new().await;
    let (first, before) = claim(&database, &of([], "first")).await.unwrap();
    let alice = alice(&first).await;
    // What a commit holds while its process is stopped: a share in what a claim takes whole.
    let mut stopped = database.connect().await;
    sqlx::query("BEGIN").execute(&mut stopped).await.unwrap();
    sqlx::query("SELECT name FROM locks FOR UPDATE").execute(&mut stopped).await.unwrap();
    let begun = std::time::Instant::now();
    let (second, _) = claim(&database, &of([], "second")).await.unwrap();
    assert!(begun.elapsed().as_secs() < 6, "it took {:?}", begun.elapsed());
    is_superseded(&first, before.epoch).await;
    assert!(second.commit(&[update(&alice, |content| content.role = None)], at(1)).await.is_ok());
    assert!(sqlx::query("SELECT 1").execute(&mut stopped).await.is_err(), "its session was ended");
}

#[tokio::test]
async fn two_stores_in_two_schemas_of_one_database_have_nothing_to_do_with_each_other() {
    let database = Database::new().await;
    let mut stopped = database.connect().await;
    for schema in ["here", "there"] {
        sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
            .execute(&mut stopped)
            .await
            .unwrap();
    }
    let at_place = |schema: &str| format!("{}?options=-csearch_path%3D{schema}", database.url());
    let mut here = SqlStore::open(&at_place("here")).await.unwrap();
    here.claim(&of([], "first"), at(0).now).await.unwrap();
    sqlx::query("BEGIN").execute(&mut stopped).await.unwrap();
    sqlx::query("SET LOCAL search_path = here").execute(&mut stopped).await.unwrap();
    sqlx::query("LOCK TABLE locks IN ACCESS EXCLUSIVE MODE").execute(&mut stopped).await.unwrap();
    let begun = std::time::Instant::now();
    let mut there = SqlStore::open(&at_place("there")).await.unwrap();
    there.claim(&of([], "second"), at(0).now).await.unwrap();
    stands(&there).await;
    assert!(begun.elapsed().as_secs() < 5, "it took {:?}", begun.elapsed());
    sqlx::query("ROLLBACK").execute(&mut stopped).await.unwrap();
    stands(&here).await;
}

#[tokio::test]
async fn whoever_has_the_lock_on_a_file_changes_the_directories_of_those_that_are_gone() {
    let place = <TempDir as Place>::new().await;
    claim(&place, &with(["ldap"], of(["acme"], "killed"))).await.unwrap();
    other_directories(
        claim(&place, &with(["scim"], of(["bolt"], "next"))).await,
        ["killed", "scim"],
    );
    let with_lock = Claim { supersede: true, ..of(["bolt"], "next") };
    claim(&place, &with(["scim"], with_lock)).await.unwrap();
    assert_eq!(directories(&place).await, ["scim"]);
}
