use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::api::Reason;
use crate::api::lenient::{Field, Unreadable, UnreadableField};
use crate::api::user::{
    DeletionPolicy, DeletionProtection, GroupRef, PermissionSource, PermissionsSpec, ProfileSpec,
    SourceMode, UserRef,
};
use crate::domain::account::{Credential, Revision, Source, Transaction, TransactionKind};
use crate::domain::email::Domain;
use crate::domain::group::GroupContent;
use crate::domain::password::{PasswordHash, Requirement};
use crate::domain::permission;
use crate::domain::profile::{Profile, SelfServiceField};
use crate::plan::in_flight::{DirectoryProblem, DirectoryState};
use crate::plan::{Deleting, FinalizerAction, Listing, OrganizationRecord, Plan};

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@acme.example")).unwrap()
}

/// A User that asks for an account in an organization that lists acme.example.
fn snapshot() -> UserSnapshot {
    let acme = CustomerId::parse("acme").unwrap();
    let listing =
        Listing { domain: Domain::parse("acme.example").unwrap(), include_subdomains: false };
    let spec = UserSpec {
        username: None,
        email: Some("alice@acme.example".to_owned()),
        profile: Some(ProfileSpec {
            display_name: Some("Alice".to_owned()),
            ..ProfileSpec::default()
        }),
        role: None,
        teams: vec![],
        group_ref: GroupRef::default(),
        permissions: None,
        copy_of: None,
        adopt: None,
        state: DesiredState::Enabled,
        password_secret_ref: None,
        charge_approved: true,
        deletion_protection: DeletionProtection::Enabled,
        deletion_policy: DeletionPolicy::Delete,
    };
    UserSnapshot {
        meta: Meta {
            namespace: "acme".to_owned(),
            name: "alice".to_owned(),
            uid: "uid".to_owned(),
            generation: 1,
            has_finalizer: true,
            ..Meta::default()
        },
        spec: Arc::new(spec),
        email: Ok(email("alice")),
        now: Timestamp::UNIX_EPOCH,
        not_adoptable: None,
        former: None,
        abandoned: None,
        held_up: false,
        departure: None,
        password: PasswordFacts::NotReferenced,
        directories: Directories::new(),
        telling: ReportContext::default(),
        status_account_id: None,
        organization: Arc::new(OrganizationFacts {
            namespace: "acme".to_owned(),
            customer_id: Ok(acme.clone()),
            record: OrganizationRecord {
                claimed: Some(acme),
                listings: [("acme".to_owned(), listing)].into(),
                ..OrganizationRecord::default()
            },
            deleting_groups: BTreeSet::new(),
            deleting_listings: BTreeSet::new(),
            deleting_users: Deleting::default(),
        }),
        account: None,
        login_holder: None,
        contest: EmailConflict::default(),
        relatives: Arc::default(),
        heirs: vec![],
        control: AdminCoverage::default(),
    }
}

fn edited(snapshot: &UserSnapshot, edit: impl FnOnce(&mut UserSpec)) -> UserSnapshot {
    let mut spec = snapshot.spec.as_ref().clone();
    edit(&mut spec);
    UserSnapshot { spec: Arc::new(spec), ..snapshot.clone() }
}

/// Returns the snapshot after its plan was committed.
fn applied(snapshot: &UserSnapshot) -> UserSnapshot {
    let Some(Plan::Account(plan)) = decide(snapshot).plan else { panic!("nothing is planned") };
    let AccountPlan { owner, change, .. } = *plan;
    let account = match change {
        AccountChange::Create { id, transaction, login_name, content, password } => Some(Account {
            id: id.unwrap_or(AccountId(Uuid::from_u128(1))),
            namespace: "acme".to_owned(),
            revision: Revision(1),
            owner,
            login_name,
            content,
            created: Timestamp::UNIX_EPOCH,
            cloned: None,
            transaction: Transaction {
                id: transaction,
                kind: TransactionKind::Create,
                revision: Revision(1),
                started: Timestamp::UNIX_EPOCH,
                deadline: Timestamp::UNIX_EPOCH,
                completed: Some(Timestamp::UNIX_EPOCH),
            },
            credential: password.map(Credential::of_secret),
            confirmed: BTreeMap::new(),
        }),
        AccountChange::Update { from, content, transaction, password, .. } => {
            snapshot.account.clone().map(|account| {
                let (last, revision) = (account.transaction.clone(), Revision(from.0 + 1));
                let begun = transaction.map(|(id, kind)| Transaction {
                    id,
                    kind,
                    revision,
                    ..last.clone()
                });
                let credential = password.map(Credential::of_secret).or(account.credential.clone());
                Account {
                    revision,
                    owner,
                    content,
                    credential,
                    transaction: begun.unwrap_or(last),
                    ..account
                }
            })
        }
        AccountChange::Delete { .. } | AccountChange::Release { .. } => None,
    };
    UserSnapshot { account, ..snapshot.clone() }
}

/// Deciding once more on what the store then has plans nothing, and blocks for the same
/// reasons.
#[track_caller]
fn check_settles(snapshot: &UserSnapshot) -> UserSnapshot {
    let after = applied(snapshot);
    assert_eq!(decide(&after).plan, None);
    assert_eq!(decide(&after).blocked, decide(snapshot).blocked);
    after
}

#[track_caller]
fn check_blocked(snapshot: &UserSnapshot, reasons: &[Reason]) {
    let decision = decide(snapshot);
    assert_eq!(decision.blocked.iter().map(Blocked::reason).collect::<Vec<_>>(), reasons);
    assert_eq!(decision.plan, None);
}

#[test]
fn a_new_user_and_every_edit_of_it_settle_after_one_plan() {
    let created = check_settles(&snapshot());
    let granted = edited(&created, |spec| {
        spec.permissions = Some(PermissionsSpec { grants: vec!["a".to_owned()], from: None });
    });
    let granted = check_settles(&granted);
    let disabled = check_settles(&edited(&granted, |spec| spec.state = DesiredState::Disabled));
    let revoked = check_settles(&edited(&disabled, |spec| spec.permissions = None));
    assert!(revoked.account.unwrap().content.grants.is_empty());
}

#[test]
fn what_can_not_be_meant_is_told_unless_it_is_in_force_from_before() {
    let old = edited(&snapshot(), |spec| {
        (spec.role, spec.teams) =
            (Some(" ".to_owned()), vec!["a".to_owned(), "\u{3164}".to_owned()]);
        let profile = spec.profile.as_mut().unwrap();
        profile.display_name = Some("\u{200b}".to_owned());
        profile.phone = Some("\u{2800}".to_owned());
        profile.time_zone = Some("America/Pheonix".to_owned());
        profile.notifications = vec!["\u{ad}".to_owned()];
        let (street, region) =
            (vec!["1 Main Street".to_owned(), "\u{feff}".to_owned()], Some("\u{3000}".to_owned()));
        profile.address = Some(crate::api::user::Address { street, region, ..Default::default() });
    });
    let told = |snapshot: &UserSnapshot| {
        let wrong = unreadable::wrong_values(&snapshot.spec, snapshot.account.as_ref());
        wrong
            .into_iter()
            .map(|wrong| format!("{} {}", wrong.path, wrong.problem.unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(&old),
        [
            "spec.profile.displayName has only characters that nobody sees: U+200B",
            "spec.profile.phone has only characters that nobody sees: U+2800",
            "spec.profile.address.street[1] has only characters that nobody sees: U+FEFF",
            "spec.profile.address.region has only characters that nobody sees: U+3000",
            "spec.profile.notifications[0] has only characters that nobody sees: U+00AD",
            "spec.role has only characters that nobody sees: U+0020",
            "spec.teams[1] has only characters that nobody sees: U+3164",
            "spec.profile.timeZone (\"America/Pheonix\") isn't a name of the IANA time zone database (America/Phoenix?)",
        ]
    );
    // As an older version left it.
    let old = applied(&old);
    assert_eq!(told(&old), Vec::<String>::new());
    let edit = edited(&old, |spec| {
        spec.role = Some("\u{2003}".to_owned());
        spec.profile.as_mut().unwrap().time_zone = Some("Mars/Phobos".to_owned());
    });
    assert_eq!(told(&edit).len(), 2);
}

#[test]
fn what_is_asked_for_in_another_order_is_the_same() {
    let two = |names: [&str; 2]| {
        edited(&snapshot(), |spec| spec.teams = names.map(str::to_owned).to_vec())
    };
    assert_eq!(decide(&two(["a", "b"])), decide(&two(["b", "a"])));
}

#[test]
fn a_new_user_is_blocked_by_everything_that_is_wrong_in_the_order_ready_names_it() {
    let wrong = edited(&snapshot(), |spec| {
        spec.charge_approved = false;
        spec.group_ref.name = "nowhere".to_owned();
    });
    let other = Email::parse("alice@other.example").unwrap();
    let wrong = UserSnapshot { email: Ok(other), ..wrong };
    check_blocked(
        &wrong,
        &[Reason::ChargeNotApproved, Reason::GroupNotFound, Reason::DomainNotAllowed],
    );
}

#[test]
fn a_refused_part_keeps_its_value_and_the_others_apply() {
    let account = applied(&snapshot());
    let edit = edited(&account, |spec| {
        spec.group_ref.name = "nowhere".to_owned();
        spec.state = DesiredState::Disabled;
    });
    let after = check_settles(&edit).account.unwrap();
    assert_eq!(
        (after.content.group.as_str(), after.content.lifecycle),
        ("users", LoginState::Disabled)
    );
}

#[test]
fn an_account_whose_spec_waits_follows_again_once_it_is_on_no_loop() {
    let mut paused = edited(&applied(&snapshot()), |spec| spec.state = DesiredState::Disabled);
    paused.meta = Meta { paused: true, generation: 2, ..paused.meta };
    let source = |kept| Some(Source::Inherited { from: "bob".to_owned(), kept });
    paused.account.as_mut().unwrap().content.source = source(Some(Permissions::new()));
    let decision = decide(&paused);
    assert_eq!(decision.blocked, [Blocked::Paused]);
    let account = applied(&paused).account.unwrap();
    assert_eq!(
        (account.content.source, account.content.lifecycle),
        (source(None), LoginState::Enabled)
    );
    assert_eq!(account.owner.generation, 1);
}

/// Returns the snapshot while the last transaction of its account is in flight.
fn in_flight(mut snapshot: UserSnapshot, kind: TransactionKind) -> UserSnapshot {
    let account = snapshot.account.as_mut().unwrap();
    account.transaction = Transaction { kind, completed: None, ..account.transaction.clone() };
    snapshot
}

fn with_password(snapshot: &UserSnapshot, text: &str) -> UserSnapshot {
    let set = SecretPassword {
        hash: PasswordHash::from_stored(text.to_owned()),
        version: text.to_owned(),
    };
    UserSnapshot { password: PasswordFacts::New(set), ..snapshot.clone() }
}

fn begun(snapshot: &UserSnapshot) -> Option<TransactionKind> {
    let Some(Plan::Account(plan)) = decide(snapshot).plan else { return None };
    let AccountChange::Update { transaction, .. } = plan.change else { panic!("not an update") };
    transaction.map(|(_, kind)| kind)
}

#[test]
fn a_new_account_waits_for_its_password_and_an_existing_one_keeps_what_it_has() {
    for (facts, reason) in [
        (PasswordFacts::SecretMissing, Reason::PasswordSecretNotFound),
        (PasswordFacts::KeyMissing("password".to_owned()), Reason::PasswordSecretNotFound),
        (PasswordFacts::Rejected(vec![Requirement::MinimumLength]), Reason::PasswordRejected),
    ] {
        check_blocked(&UserSnapshot { password: facts.clone(), ..snapshot() }, &[reason]);
        let set = applied(&with_password(&snapshot(), "first"));
        let decision = decide(&UserSnapshot { password: facts, ..set });
        assert_eq!((decision.plan, decision.blocked[0].reason()), (None, reason));
    }
    check_blocked(
        &UserSnapshot { password: PasswordFacts::Pending, ..snapshot() },
        &[Reason::Create],
    );
    let account = applied(&with_password(&snapshot(), "first")).account.unwrap();
    assert_eq!(account.credential.unwrap().from_secret.unwrap().version, "first");
}

#[test]
fn who_keeps_a_password_is_told_so_whatever_became_of_the_secret() {
    for (facts, what) in [
        (
            PasswordFacts::SecretMissing,
            "there is no Secret alice-password of type roster.rs/password",
        ),
        (
            PasswordFacts::KeyMissing("password".to_owned()),
            "the Secret alice-password has no key password",
        ),
        (
            PasswordFacts::Rejected(vec![Requirement::MinimumLength]),
            "the password in the Secret alice-password must have",
        ),
    ] {
        let named = edited(&snapshot(), |spec| {
            let (name, key) = ("alice-password".to_owned(), "password".to_owned());
            spec.password_secret_ref =
                Some(crate::api::user::PasswordSecretRef { name, key, confirmation_key: None });
        });
        let said = |snapshot: &UserSnapshot| {
            decide(&UserSnapshot { password: facts.clone(), ..snapshot.clone() }).blocked[0]
                .to_string()
        };
        let (without, with) = (said(&named), said(&applied(&with_password(&named, "first"))));
        assert!(without.starts_with(what) && !without.contains("in force"), "{without}");
        assert_eq!(
            with,
            format!("{without}. The password that was set before stays in force until then")
        );
    }
}

#[test]
fn disabling_goes_before_a_new_password_and_a_new_password_before_enabling() {
    let account = applied(&with_password(&snapshot(), "first"));
    let disabled =
        edited(&with_password(&account, "second"), |spec| spec.state = DesiredState::Disabled);
    assert_eq!(
        (begun(&disabled), decide(&disabled).requeue),
        (Some(TransactionKind::Disable), true)
    );
    let next = applied(&disabled);
    assert_eq!(begun(&next), Some(TransactionKind::PasswordChange));
    let enabled =
        edited(&with_password(&applied(&next), "third"), |spec| spec.state = DesiredState::Enabled);
    assert_eq!(begun(&enabled), Some(TransactionKind::PasswordChange));
    let next = UserSnapshot { password: PasswordFacts::Same, ..applied(&enabled) };
    assert_eq!(begun(&next), Some(TransactionKind::Enable));
    assert_eq!(decide(&applied(&next)), Decision::default());
}

#[test]
fn while_a_transaction_is_in_flight_what_takes_away_is_applied_and_the_rest_waits() {
    let mut account = applied(&edited(&snapshot(), |spec| {
        let grants = vec!["cases:read".to_owned(), "orders:read".to_owned()];
        spec.permissions = Some(PermissionsSpec { grants, from: None });
    }));
    account.meta.generation = 2;
    let edit = edited(&in_flight(account, TransactionKind::Create), |spec| {
        spec.role = Some("Dispatcher".to_owned());
        let grants = vec!["invoices:read".to_owned(), "orders:read".to_owned()];
        spec.permissions = Some(PermissionsSpec { grants, from: None });
    });
    assert_eq!(decide(&edit).blocked, [Blocked::QueuedBehindTransaction(TransactionKind::Create)]);
    let after = applied(&edit);
    let taken = after.account.clone().unwrap();
    assert_eq!(taken.content.grants, permission::parse_all(&["orders:read".to_owned()]));
    assert_eq!((taken.content.role.as_deref(), taken.owner.generation), (None, 1));
    let waits = decide(&after);
    assert_eq!((waits.plan, waits.blocked), (None, decide(&edit).blocked));
    let mut over = after;
    over.account.as_mut().unwrap().transaction.completed = Some(Timestamp::UNIX_EPOCH);
    let done = check_settles(&over).account.unwrap();
    assert_eq!((done.content.role.as_deref(), done.owner.generation), (Some("Dispatcher"), 2));
}

#[test]
fn a_move_to_a_group_that_gives_less_does_not_wait_and_one_to_a_group_that_gives_more_does() {
    let mut account = applied(&snapshot());
    let permissions = permission::parse_all(&["cases:read".to_owned()]);
    let dispatchers = GroupContent { permissions, ..GroupContent::default() };
    Arc::make_mut(&mut account.organization)
        .record
        .groups
        .insert("dispatchers".to_owned(), dispatchers);
    let to = |from: &UserSnapshot, group: &str| {
        edited(from, |spec| group.clone_into(&mut spec.group_ref.name))
    };
    let in_dispatchers =
        in_flight(applied(&to(&account, "dispatchers")), TransactionKind::PasswordChange);
    assert_eq!(applied(&to(&in_dispatchers, "users")).account.unwrap().content.group, "users");
    assert_eq!(decide(&to(&in_dispatchers, "administrators")).plan, None);
    assert_eq!(decide(&to(&in_flight(account, TransactionKind::Create), "dispatchers")).plan, None);
}

#[test]
fn disabling_supersedes_what_is_in_flight_and_enabling_waits() {
    let account = in_flight(applied(&snapshot()), TransactionKind::PasswordChange);
    let disabled = edited(&account, |spec| spec.state = DesiredState::Disabled);
    assert_eq!(begun(&disabled), Some(TransactionKind::Disable));
    let disabling = in_flight(applied(&disabled), TransactionKind::Disable);
    let enabled = edited(&disabling, |spec| spec.state = DesiredState::Enabled);
    assert_eq!(decide(&enabled).plan, None);
    assert_eq!(
        decide(&enabled).blocked,
        [Blocked::QueuedBehindTransaction(TransactionKind::Disable)]
    );
}

#[test]
fn a_user_whose_deletion_is_held_up_is_disabled_meanwhile() {
    let mut going = edited(&applied(&snapshot()), |spec| {
        spec.deletion_protection = DeletionProtection::Disabled
    });
    going.meta.deleting = true;
    going.held_up = true;
    assert_eq!(begun(&going), Some(TransactionKind::Disable));
    let Decision { blocked, finalizer: hold, .. } = decide(&going);
    assert_eq!(
        (blocked.iter().map(Blocked::reason).collect::<Vec<_>>(), hold),
        (vec![Reason::StoreUnavailable], FinalizerAction::Keep)
    );
    let disabled = applied(&going);
    assert_eq!(decide(&disabled), decide(&UserSnapshot { held_up: false, ..disabled.clone() }));
    assert_eq!(applied(&disabled).account, None);
}

#[test]
fn what_takes_rights_away_does_not_wait_for_an_address_that_is_held_up() {
    let account = applied(&snapshot());
    let mut edited = edited(&account, |spec| spec.state = DesiredState::Disabled);
    edited.email = Email::parse("other@acme.example");
    let before = account.account.as_ref().unwrap().content.email.clone();
    assert_ne!(
        applied(&edited).account.unwrap().content.email,
        before,
        "at first all of it is tried"
    );
    edited.held_up = true;
    let disabled = applied(&edited);
    let content = &disabled.account.as_ref().unwrap().content;
    assert_eq!((content.lifecycle, &content.email), (LoginState::Disabled, &before));
    assert!(decide(&edited).requeue && !decide(&edited).blocked.is_empty());
    assert_ne!(applied(&disabled).account.unwrap().content.email, before);
}

#[test]
fn a_retained_account_is_released_once_nothing_is_in_flight_whatever_the_protection() {
    let mut user =
        edited(&applied(&snapshot()), |spec| spec.deletion_policy = DeletionPolicy::Retain);
    user.meta.deleting = true;
    let waits = decide(&in_flight(user.clone(), TransactionKind::Create));
    assert_eq!((waits.plan, waits.finalizer), (None, FinalizerAction::Keep));
    let decision = decide(&user);
    let Some(Plan::Account(plan)) = decision.plan else { panic!("it is released") };
    assert_eq!(
        (matches!(plan.change, AccountChange::Release { .. }), decision.finalizer),
        (true, FinalizerAction::Remove)
    );
    user.account.as_mut().unwrap().owner.uid = String::new();
    user.status_account_id = Some("an account".to_owned());
    assert_eq!(decide(&user), Decision::only_finalizer(FinalizerAction::Remove), "after a crash");
}

#[test]
fn a_user_whose_account_is_deleted_goes_once_every_directory_has_confirmed_and_not_before() {
    let account = applied(&snapshot()).account.unwrap();
    let gone = |completed| DeletedAccount {
        account: account.id,
        namespace: account.namespace.clone(),
        owner: account.owner.clone(),
        login_name: account.login_name.clone(),
        cases_unassigned: 0,
        transaction: Transaction {
            kind: TransactionKind::Delete,
            completed,
            ..account.transaction.clone()
        },
        confirmed: BTreeMap::new(),
    };
    let mut user = snapshot();
    user.meta.deleting = true;
    user.status_account_id = Some(account.id.to_string());
    user.departure = Some(gone(None));
    assert_eq!(decide(&user), Decision::default());
    user.departure = Some(gone(Some(Timestamp::UNIX_EPOCH)));
    assert_eq!(
        decide(&user),
        Decision::only_finalizer(FinalizerAction::Remove),
        "though protected: nothing is left to protect"
    );
}

#[test]
fn an_account_is_adopted_only_where_nobody_owns_it_and_with_the_charge_approved() {
    let mut orphan = applied(&snapshot()).account.unwrap();
    orphan.owner = Owner { name: "alicia".to_owned(), uid: "gone".to_owned(), generation: 9 };
    let adopts = edited(&snapshot(), |spec| spec.adopt = Some(orphan.id.to_string()));
    let owned = UserSnapshot {
        not_adoptable: Some(NotAdoptable::Owned("alicia".to_owned())),
        ..adopts.clone()
    };
    check_blocked(&owned, &[Reason::NotAdoptable]);
    check_blocked(&adopts, &[Reason::NotAdoptable]);
    let found = UserSnapshot { account: Some(orphan), ..adopts };
    check_blocked(
        &edited(&found, |spec| spec.charge_approved = false),
        &[Reason::ChargeNotApproved],
    );
    let Some(Plan::Account(plan)) = decide(&found).plan else { panic!("it is taken over") };
    assert!(matches!(plan.change, AccountChange::Update { adopts: true, .. }));
    check_settles(&found);
}

#[test]
fn the_account_for_a_directorys_entry_is_created_with_the_id_that_the_entry_knows() {
    let id = AccountId(Uuid::from_u128(77));
    let entry = edited(&snapshot(), |spec| spec.adopt = Some(format!("entry/{id}")));
    let Some(Plan::Account(plan)) = decide(&entry).plan else { panic!("it is created") };
    assert!(matches!(plan.change, AccountChange::Create { id: Some(given), .. } if given == id));
    check_blocked(
        &edited(&entry, |spec| spec.charge_approved = false),
        &[Reason::ChargeNotApproved],
    );
    let known = UserSnapshot { not_adoptable: Some(NotAdoptable::IdKnown), ..entry.clone() };
    check_blocked(&known, &[Reason::NotAdoptable]);
    let mut account = applied(&snapshot()).account.unwrap();
    account.id = id;
    assert_eq!(decide(&UserSnapshot { account: Some(account), ..entry.clone() }).blocked, []);
    let another = UserSnapshot { account: applied(&snapshot()).account, ..entry };
    check_blocked(&another, &[Reason::NotAdoptable]);
}

#[test]
fn an_account_that_the_status_names_and_that_is_not_the_one_found_is_lost() {
    let mut user = applied(&snapshot());
    user.status_account_id = Some("00000000-0000-7000-8000-000000000009".to_owned());
    user.account.as_mut().unwrap().owner.uid = "another".to_owned();
    check_blocked(&user, &[Reason::AccountLost]);
    user.account = None;
    check_blocked(&user, &[Reason::AccountLost]);
}

#[test]
fn a_user_that_was_put_back_after_its_account_went_gets_no_other_by_itself() {
    for fate in [Fate::Deleted, Fate::Owned("bob".to_owned())] {
        let former = Some(("an account".to_owned(), fate.clone()));
        let user = UserSnapshot { former, ..snapshot() };
        check_blocked(&user, &[Reason::AccountLost]);
        assert_eq!(
            decide(&user).blocked,
            [Blocked::AccountLost { account: "an account".to_owned(), fate }]
        );
        let mut another = applied(&snapshot());
        another.former = user.former;
        another.account.as_mut().unwrap().owner.uid = "another".to_owned();
        check_blocked(&another, &[Reason::AccountLost]);
    }
}

#[test]
fn nothing_is_written_before_the_finalizer_is_on() {
    let mut unheld = snapshot();
    unheld.meta.has_finalizer = false;
    assert_eq!(decide(&unheld), Decision::only_finalizer(FinalizerAction::Add));
}

#[test]
fn a_late_deletion_of_an_old_user_never_hits_the_account_of_a_new_one() {
    let mut old = edited(&applied(&snapshot()), |spec| {
        spec.deletion_protection = DeletionProtection::Disabled
    });
    old.meta.deleting = true;
    assert!(matches!(decide(&old).plan, Some(Plan::Account(_))));
    old.meta.uid = "another".to_owned();
    assert_eq!(decide(&old), Decision::only_finalizer(FinalizerAction::Remove));
}

#[test]
fn an_account_that_was_left_behind_is_taken_back_only_with_the_charge_approved() {
    let mut another = applied(&snapshot());
    another.meta.uid = "another".to_owned();
    assert!(matches!(decide(&another).plan, Some(Plan::Account(_))));
    check_blocked(
        &edited(&another, |spec| spec.charge_approved = false),
        &[Reason::ChargeNotApproved],
    );
}

/// The account of alice, in control, as a former `User` of hers left it behind; a colleague of
/// hers is in control too.
fn left_behind() -> Account {
    let boss = edited(&with_password(&snapshot(), "first"), |spec| {
        spec.group_ref.name = "administrators".to_owned();
        spec.permissions =
            Some(PermissionsSpec { grants: vec!["orders:read".to_owned()], from: None });
    });
    let mut account = applied(&boss).account.unwrap();
    account.owner = Owner { uid: "gone".to_owned(), ..account.owner };
    account
}

/// A User that asks for everything else than the account that was left behind has, but for the
/// group.
fn another() -> UserSnapshot {
    let control = AdminCoverage { administrators: true, users: true };
    let another = UserSnapshot {
        account: Some(left_behind()),
        control,
        email: Ok(email("eve")),
        ..snapshot()
    };
    let another = with_password(&another, "second");
    edited(&another, |spec| {
        spec.email = Some("eve@acme.example".to_owned());
        spec.group_ref.name = "administrators".to_owned();
    })
}

/// It is taken over with all that is asked for, and nothing is left to do.
#[track_caller]
fn check_taken(snapshot: &UserSnapshot) -> Account {
    let after = UserSnapshot { password: PasswordFacts::Same, ..applied(snapshot) };
    assert_eq!(decide(&after), Decision::default());
    after.account.unwrap()
}

#[test]
fn an_account_that_was_left_behind_is_taken_back_whole_where_everything_is_in_order() {
    let taken = check_taken(&another());
    assert_eq!(
        (taken.owner.uid.as_str(), taken.content.email.as_str()),
        ("uid", "eve@acme.example")
    );
    assert_eq!((taken.content.group.as_str(), taken.content.grants.len()), ("administrators", 0));
    assert_eq!(taken.credential.unwrap().from_secret.unwrap().version, "second");
}

#[test]
fn an_account_that_was_left_behind_in_another_group_is_not_taken_back_whatever_group_is_asked_for()
{
    for group in ["users", "nowhere", "drivers"] {
        let mut wants = edited(&another(), |spec| spec.group_ref.name = group.to_owned());
        Arc::make_mut(&mut wants.organization)
            .record
            .groups
            .insert("drivers".to_owned(), GroupContent::default());
        check_blocked(&wants, &[Reason::NotAdoptable]);
        let text = decide(&wants).blocked[0].to_string();
        let id = left_behind().id;
        assert!(text.contains("in the group administrators"), "{text}");
        assert!(
            text.contains(&format!(
                "spec.adopt {id}, which needs the verb adopt on accounts.roster.rs/{id}"
            )),
            "{text}"
        );
    }
    let disabled = edited(&another(), |spec| {
        (spec.group_ref.name, spec.state) = ("users".to_owned(), DesiredState::Disabled)
    });
    check_blocked(&disabled, &[Reason::NotAdoptable]);
}

#[test]
fn an_account_is_adopted_out_of_any_group() {
    let adopts = edited(&another(), |spec| {
        spec.group_ref.name = "users".to_owned();
        spec.adopt = Some(left_behind().id.to_string());
    });
    assert_eq!(check_taken(&adopts).content.group, "users");
    let entry = edited(&adopts, |spec| spec.adopt = Some(format!("entry/{}", left_behind().id)));
    assert_eq!(check_taken(&entry).content.group, "users");
    let another = edited(&adopts, |spec| {
        spec.adopt = Some("00000000-0000-7000-8000-000000000009".to_owned())
    });
    check_blocked(&another, &[Reason::NotAdoptable]);
}

#[test]
fn nothing_is_applied_to_an_account_of_another_while_a_part_is_refused_or_waits() {
    type Part = (Reason, fn(&mut UserSnapshot));
    fn from(snapshot: &mut UserSnapshot, name: &str, mode: SourceMode) {
        let from = Some(PermissionSource { name: name.to_owned(), mode });
        *snapshot = edited(snapshot, |spec| {
            spec.permissions = Some(PermissionsSpec { grants: vec![], from })
        });
    }
    fn adopts_into(snapshot: &mut UserSnapshot, group: &str) {
        *snapshot = edited(snapshot, |spec| {
            spec.adopt = Some(left_behind().id.to_string());
            spec.group_ref.name = group.to_owned();
        });
    }
    let parts: [Part; 21] = [
        (Reason::ChargeNotApproved, |user| {
            *user = edited(user, |spec| spec.charge_approved = false)
        }),
        (Reason::CustomerIdChanged, |user| {
            Arc::make_mut(&mut user.organization).customer_id =
                Ok(CustomerId::parse("other").unwrap());
        }),
        (Reason::CustomerIdInvalid, |user| {
            Arc::make_mut(&mut user.organization).customer_id = CustomerId::parse("a.b");
        }),
        (Reason::GroupNotFound, |user| adopts_into(user, "nowhere")),
        (Reason::GroupNotFound, |user| {
            Arc::make_mut(&mut user.organization).deleting_groups.insert("users".to_owned());
            adopts_into(user, "users");
        }),
        (Reason::LastAdministrator, |user| {
            user.control.administrators = false;
            adopts_into(user, "users");
        }),
        (Reason::LastAdministrator, |user| {
            user.control.administrators = false;
            *user = edited(user, |spec| spec.state = DesiredState::Disabled);
        }),
        (Reason::DomainNotAllowed, |user| {
            user.email = Ok(Email::parse("eve@other.example").unwrap())
        }),
        (Reason::EmailInvalid, |user| user.email = Email::parse("eve")),
        (Reason::EmailTaken, |user| {
            let mut holder = left_behind();
            holder.id = AccountId(Uuid::from_u128(2));
            user.contest = EmailConflict {
                rivals: vec![EmailHolder {
                    account: Arc::new(holder),
                    asks_for: None,
                    is_declared: true,
                }],
                ends_free: false,
            };
        }),
        (Reason::SourceNotFound, |user| from(user, "bob", SourceMode::Inherit)),
        (Reason::SourceNotFound, |user| from(user, "bob", SourceMode::Clone)),
        (Reason::InheritanceCycle, |user| from(user, "alice", SourceMode::Inherit)),
        (Reason::PasswordSecretNotFound, |user| user.password = PasswordFacts::SecretMissing),
        (Reason::PasswordSecretNotFound, |user| {
            user.password = PasswordFacts::KeyMissing("password".to_owned())
        }),
        (Reason::PasswordRejected, |user| {
            user.password = PasswordFacts::Rejected(vec![Requirement::MinimumLength])
        }),
        (Reason::PasswordChange, |user| user.password = PasswordFacts::Pending),
        (Reason::QueuedBehindTransaction, |user| {
            *user = in_flight(user.clone(), TransactionKind::PasswordChange)
        }),
        (Reason::NotAdoptable, |user| {
            *user = edited(user, |spec| spec.copy_of = Some(UserRef { name: "bob".to_owned() }));
        }),
        (Reason::Paused, |user| user.meta.paused = true),
        // What is in force stands in for it: the group that the account is in too.
        (Reason::UnsupportedValue, |user| *user = misread(user, &[Field::GroupRef])),
    ];
    for (reason, part) in parts {
        let mut user = another();
        part(&mut user);
        check_blocked(&user, &[reason]);
        let disabled = edited(&user, |spec| spec.state = DesiredState::Disabled);
        assert_eq!(decide(&disabled).plan, None, "{reason:?}: not even what takes rights away");
        for (other, another_part) in parts {
            let mut user = user.clone();
            another_part(&mut user);
            assert_eq!(decide(&user).plan, None, "{reason:?} and {other:?}");
        }
    }
}

#[test]
fn what_an_account_of_another_keeps_on_a_loop_is_not_written_for_who_is_yet_to_take_it_over() {
    let mut looped = another();
    let source = Source::Inherited { from: "bob".to_owned(), kept: Some(Permissions::new()) };
    looped.account.as_mut().unwrap().content.source = Some(source);
    looped.meta.paused = true;
    check_blocked(&looped, &[Reason::Paused]);
    looped.meta.paused = false;
    looped.status_account_id = Some("00000000-0000-7000-8000-000000000009".to_owned());
    check_blocked(&looped, &[Reason::AccountLost]);
}

#[test]
fn an_account_in_a_transaction_is_taken_over_at_once_only_where_nothing_of_the_spec_waits_for_it() {
    let control = AdminCoverage { administrators: true, users: true };
    let as_it_is = UserSnapshot {
        account: Some(left_behind()),
        control,
        password: PasswordFacts::Same,
        ..snapshot()
    };
    let as_it_is = edited(&as_it_is, |spec| {
        spec.group_ref.name = "administrators".to_owned();
        spec.permissions =
            Some(PermissionsSpec { grants: vec!["orders:read".to_owned()], from: None });
    });
    let begins = in_flight(as_it_is, TransactionKind::PasswordChange);
    assert_eq!(applied(&begins).account.unwrap().owner.uid, "uid");
    let disabled = edited(&begins, |spec| spec.state = DesiredState::Disabled);
    assert_eq!(applied(&disabled).account.unwrap().content.lifecycle, LoginState::Disabled);
    let renamed = edited(&disabled, |spec| spec.role = Some("Chief".to_owned()));
    check_blocked(&renamed, &[Reason::QueuedBehindTransaction]);
    assert!(decide(&renamed).blocked[0].to_string().contains("nothing is applied before"));
}

#[test]
fn what_takes_two_transactions_is_taken_over_with_the_first_and_goes_on() {
    let mut disabled = another();
    disabled.account.as_mut().unwrap().content.lifecycle = LoginState::Disabled;
    let decision = decide(&disabled);
    assert!(matches!(decision.plan, Some(Plan::Account(_))) && decision.requeue);
    let taken = applied(&disabled);
    assert_eq!(taken.account.as_ref().unwrap().owner.uid, "uid");
    let taken = UserSnapshot { password: PasswordFacts::Same, ..taken };
    assert_eq!(check_settles(&taken).account.unwrap().content.lifecycle, LoginState::Enabled);
    let refused =
        UserSnapshot { email: Ok(Email::parse("eve@other.example").unwrap()), ..disabled };
    check_blocked(&refused, &[Reason::DomainNotAllowed]);
}

#[test]
fn a_copy_takes_back_the_account_that_was_copied() {
    let copied = |from: &str| Copied {
        from: from.to_owned(),
        uid: "uid of bob".to_owned(),
        generation: 1,
        role: Some("Chief".to_owned()),
        teams: BTreeSet::new(),
        profile: Profile::default(),
    };
    let mut copy =
        edited(&another(), |spec| spec.copy_of = Some(UserRef { name: "bob".to_owned() }));
    copy.account.as_mut().unwrap().content.copied = Some(copied("carol"));
    check_blocked(&copy, &[Reason::NotAdoptable]);
    copy.account.as_mut().unwrap().content.copied = Some(copied("bob"));
    assert_eq!(check_taken(&copy).content.role.as_deref(), Some("Chief"));
    let by_itself = edited(&copy, |spec| spec.copy_of = None);
    assert_eq!(
        check_taken(&by_itself).content.role,
        None,
        "nobody was asked whether it may be had"
    );
}

#[test]
fn a_user_without_an_account_is_let_go_at_once_though_protected() {
    let mut user = snapshot();
    user.meta.deleting = true;
    assert_eq!(decide(&user), Decision::only_finalizer(FinalizerAction::Remove));
    user.status_account_id = Some("an account".to_owned());
    check_blocked(&user, &[Reason::DeletionProtected]);
}

#[test]
fn an_address_is_taken_unless_everybody_in_the_way_moves_on() {
    let mut holder = applied(&snapshot()).account.unwrap();
    holder.id = AccountId(Uuid::from_u128(2));
    let rival = |asks_for: Option<&str>| EmailHolder {
        account: Arc::new(holder.clone()),
        asks_for: asks_for.map(email),
        is_declared: true,
    };
    let contested = |asks_for, ends_free| UserSnapshot {
        contest: EmailConflict { rivals: vec![rival(asks_for)], ends_free },
        ..snapshot()
    };
    check_blocked(&contested(None, false), &[Reason::EmailTaken]);
    check_blocked(&contested(Some("bob"), false), &[Reason::EmailTaken]);
    let Some(Plan::Account(plan)) = decide(&contested(Some("bob"), true)).plan else {
        panic!("it moves on")
    };
    assert_eq!(
        plan.moves,
        [AddressMove { account: holder.id, from: holder.revision, to: email("bob") }]
    );
}

#[test]
fn a_user_whose_account_the_store_has_lost_goes_once_directories_have_dropped_it() {
    let lost = AccountId(Uuid::from_u128(9));
    let mut user =
        edited(&snapshot(), |spec| spec.deletion_protection = DeletionProtection::Disabled);
    user.meta.deleting = true;
    user.status_account_id = Some(lost.to_string());
    user.abandoned = Some(lost);
    let problem = Some(DirectoryProblem::Unavailable("it can't be reached".to_owned()));
    let down = DirectoryState { problem, missing: None };
    user.directories =
        [("one".to_owned(), down), ("two".to_owned(), DirectoryState::default())].into();
    let waits = decide(&user);
    assert_eq!((waits.finalizer, waits.deprovisions), (FinalizerAction::Keep, Some(lost)));
    assert!(
        matches!(&waits.blocked[..], [Blocked::DirectoryUnavailable { failing, .. }] if failing.len() == 1)
    );
    user.directories = [("two".to_owned(), DirectoryState::default())].into();
    assert_eq!(decide(&user).blocked, [Blocked::InTransaction(TransactionKind::Delete)]);
    user.directories.clear();
    assert_eq!(decide(&user), Decision::only_finalizer(FinalizerAction::Remove));
    user.directories = [("one".to_owned(), DirectoryState::default())].into();
    let protected = edited(&user, |spec| spec.deletion_protection = DeletionProtection::Enabled);
    assert_eq!(decide(&protected).deprovisions, None, "a protected one keeps its entry");
}

#[test]
fn an_address_that_is_in_force_is_never_refused_whatever_became_of_its_domain() {
    let mut unlisted = applied(&snapshot());
    Arc::make_mut(&mut unlisted.organization).record.listings.clear();
    assert_eq!(decide(&unlisted), Decision::default());
}

/// Returns the snapshot as it is when these fields can't be read, and what is in force stands
/// in for them.
fn misread(snapshot: &UserSnapshot, fields: &[Field]) -> UserSnapshot {
    let field = |field: &Field| {
        UnreadableField::new(*field, format!("spec.{field:?}"), &serde_json::json!("Newer"))
    };
    let unreadable = Unreadable::from(fields.iter().map(field).collect::<Vec<_>>());
    let spec = unreadable::user_in_force(&snapshot.spec, &unreadable, snapshot.account.as_ref());
    UserSnapshot {
        meta: Meta { unreadable, generation: 2, ..snapshot.meta.clone() },
        spec,
        ..snapshot.clone()
    }
}

fn content_of(snapshot: &UserSnapshot) -> AccountSpec {
    snapshot.account.clone().unwrap().content
}

const EVERY_FIELD: [Field; 21] = [
    Field::Spec,
    Field::Username,
    Field::Email,
    Field::Profile,
    Field::ProfilePart(SelfServiceField::Name),
    Field::ProfilePart(SelfServiceField::Phone),
    Field::ProfilePart(SelfServiceField::Address),
    Field::ProfilePart(SelfServiceField::TimeZone),
    Field::ProfilePart(SelfServiceField::Notifications),
    Field::Role,
    Field::Teams,
    Field::GroupRef,
    Field::Permissions,
    Field::Grants,
    Field::From,
    Field::CopyOf,
    Field::Adopt,
    Field::State,
    Field::PasswordSecretRef,
    Field::ChargeApproved,
    Field::DeletionProtection,
];

/// An account with something of everything.
fn rich() -> UserSnapshot {
    let profile = ProfileSpec {
        display_name: Some("Alice".to_owned()),
        phone: Some("1".to_owned()),
        address: Some(crate::api::user::Address {
            country: Some("US".to_owned()),
            ..Default::default()
        }),
        ..profile::spec(Profile::whole())
    };
    applied(&edited(&snapshot(), |spec| {
        spec.profile = Some(profile.clone());
        spec.role = Some("Dispatcher".to_owned());
        spec.teams = vec!["night".to_owned()];
        spec.group_ref.name = "administrators".to_owned();
        spec.permissions =
            Some(PermissionsSpec { grants: vec!["a".to_owned(), "b".to_owned()], from: None });
    }))
}

#[test]
fn whatever_field_is_not_understood_the_others_apply_and_rights_are_taken_away() {
    let before =
        UserSnapshot { control: AdminCoverage { administrators: true, users: true }, ..rich() };
    for field in EVERY_FIELD.into_iter().chain([Field::DeletionPolicy]) {
        let less = edited(&before, |spec| {
            spec.state = DesiredState::Disabled;
            spec.permissions = Some(PermissionsSpec { grants: vec!["b".to_owned()], from: None });
        });
        let misread = misread(&less, &[field]);
        let decision = decide(&misread);
        assert_eq!(
            decision.blocked.first().map(Blocked::reason),
            Some(Reason::UnsupportedValue),
            "{field:?}"
        );
        let after = check_settles(&misread);
        let (was, is) = (content_of(&before), content_of(&after));
        let state_is_known = !misread.meta.unreadable.has(Field::State);
        assert_eq!(is.lifecycle == LoginState::Disabled, state_is_known, "{field:?}");
        assert_eq!(is.grants, permission::parse_all(&["b".to_owned()]), "{field:?}");
        let kept = AccountSpec { lifecycle: was.lifecycle, grants: was.grants.clone(), ..is };
        assert_eq!(kept, was, "nothing else changes with {field:?}");
    }
}

#[test]
fn a_field_that_is_not_understood_keeps_its_value_and_the_members_own() {
    let mut before = rich();
    let account = before.account.as_mut().unwrap();
    let own = crate::domain::self_service::ProfileChange::Phone(Some("2".to_owned()));
    account.content.member.take(&own, &account.content.profile.clone(), "alice@acme.example");
    account.content.profile.phone = Some("2".to_owned());
    assert_eq!(decide(&before).plan, None, "a member's own value stays");
    let nothing = edited(&before, |spec| {
        *spec = UserSpec {
            profile: None,
            role: None,
            teams: vec![],
            group_ref: GroupRef::default(),
            ..spec.clone()
        };
    });
    let fields = [Field::Profile, Field::Role, Field::Teams, Field::GroupRef, Field::Email];
    let after = applied(&misread(&edited(&nothing, |spec| spec.email = None), &fields));
    assert_eq!(content_of(&after), content_of(&before));
    assert_eq!(
        decide(&UserSnapshot { meta: before.meta.clone(), spec: before.spec.clone(), ..after })
            .blocked,
        []
    );
}

#[test]
fn a_state_that_is_not_understood_lets_nobody_in_anew() {
    for state in [DesiredState::Enabled, DesiredState::Disabled] {
        let before = applied(&edited(&snapshot(), |spec| spec.state = state));
        let after = applied(&misread(
            &edited(&before, |spec| spec.state = DesiredState::Enabled),
            &[Field::State],
        ));
        assert_eq!(content_of(&after).lifecycle, content_of(&before).lifecycle);
    }
}

#[test]
fn nothing_comes_through_a_source_that_is_not_understood() {
    let bob = account_of("bob");
    let relative =
        super::super::permission_source::SourceNode { account: Some(bob), declared: None };
    let relatives = Arc::new(SourceGraph::from_iter([("bob".to_owned(), relative)]));
    for mode in [SourceMode::Inherit, SourceMode::Clone] {
        let from = PermissionSource { name: "bob".to_owned(), mode };
        let asks = edited(&snapshot(), |spec| {
            spec.permissions = Some(PermissionsSpec { grants: vec![], from: Some(from.clone()) });
        });
        let before = applied(&UserSnapshot { relatives: relatives.clone(), ..asks });
        assert!(content_of(&before).source.is_some());
        let unknown = edited(&before, |spec| spec.permissions.as_mut().unwrap().from = None);
        let after = check_settles(&misread(&unknown, &[Field::From]));
        assert_eq!(content_of(&after).source, None, "{mode:?}");
    }
}

fn account_of(name: &str) -> Account {
    let account = applied(&snapshot()).account.unwrap();
    let owner = Owner { name: name.to_owned(), uid: format!("uid of {name}"), generation: 1 };
    Account { id: AccountId(Uuid::from_u128(7)), owner, ..account }
}

#[test]
fn no_account_is_made_of_a_spec_that_is_not_understood() {
    for field in EVERY_FIELD.into_iter().chain([Field::DeletionPolicy]) {
        let decision = decide(&misread(&snapshot(), &[field]));
        assert_eq!(
            (decision.plan, decision.blocked[0].reason()),
            (None, Reason::UnsupportedValue),
            "{field:?}"
        );
    }
    let grants = edited(&snapshot(), |spec| {
        spec.permissions = Some(PermissionsSpec {
            grants: vec!["a".to_owned(), "Not One".to_owned()],
            from: None,
        });
    });
    check_blocked(&grants, &[Reason::UnsupportedValue]);
}

#[test]
fn a_grant_that_is_no_permission_is_left_out_and_named() {
    let before = applied(&snapshot());
    let grants = edited(&before, |spec| {
        spec.permissions = Some(PermissionsSpec {
            grants: vec!["a".to_owned(), "Not One".to_owned()],
            from: None,
        });
    });
    let message = decide(&grants).blocked[0].to_string();
    assert!(
        message.contains(r#"spec.permissions.grants is "Not One": it gives no permission"#),
        "{message}"
    );
    assert_eq!(
        content_of(&check_settles(&grants)).grants,
        permission::parse_all(&["a".to_owned()])
    );
}

#[test]
fn a_user_whose_deletion_is_not_understood_stays_and_can_be_disabled() {
    let goes = |snapshot: &UserSnapshot| {
        let mut goes = edited(snapshot, |spec| {
            spec.deletion_protection = DeletionProtection::Disabled;
            spec.state = DesiredState::Disabled;
        });
        goes.meta.deleting = true;
        goes
    };
    let known = goes(&applied(&snapshot()));
    assert_eq!(decide(&known).finalizer, FinalizerAction::Remove);
    for field in [Field::DeletionPolicy, Field::DeletionProtection, Field::Spec] {
        let decision = decide(&misread(&known, &[field]));
        assert_eq!(
            (decision.finalizer, decision.blocked.len()),
            (FinalizerAction::Keep, 1),
            "{field:?}"
        );
        assert_eq!(decision.blocked[0].reason(), Reason::UnsupportedValue);
        if field != Field::Spec {
            assert_eq!(
                content_of(&applied(&misread(&known, &[field]))).lifecycle,
                LoginState::Disabled
            );
        }
        // Nor does a directory drop the entry of an account that the store has lost.
        let lost = UserSnapshot {
            account: None,
            status_account_id: Some("0193".to_owned()),
            ..misread(&known, &[field])
        };
        assert_eq!(decide(&lost), Decision::blocked(decision.blocked[0].clone()));
    }
    for field in [Field::State, Field::From, Field::Email, Field::GroupRef] {
        assert_eq!(
            decide(&misread(&known, &[field])).finalizer,
            FinalizerAction::Remove,
            "{field:?} has no part in it"
        );
    }
    let nothing = UserSnapshot { account: None, ..misread(&known, &[Field::DeletionPolicy]) };
    assert_eq!(
        decide(&nothing),
        Decision::only_finalizer(FinalizerAction::Remove),
        "where there is no account nothing is lost"
    );
}
