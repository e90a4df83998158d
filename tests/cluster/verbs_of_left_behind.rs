//! Who may do what with an account that was left behind: everybody who was authorized for what they
//! ask for, whatever the account has.

use roster_test_support::cluster::{
    Operator, Organization, Requester, With, domain, eventually, group, passed, refused, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::verbs::{bind, may};

const OLD: &str = "nine wet lanterns over quartz";
const NEW: &str = "seven dry harbours by starlight";
const OURS: &str = "roster.rs/account";

fn secret(name: &str, password: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "roster.rs/password",
        "stringData": {"password": password},
    })
}

/// Somebody who may write Users and has these verbs, each on its object.
fn with_verbs(
    organization: &Organization,
    number: usize,
    verbs: &[(&str, &str, &str)],
) -> Requester {
    let name = format!("{}-{number}", organization.name);
    let rule = |(verb, resource, name): &(&str, &str, &str)| {
        let names: Vec<&str> = Some(*name).filter(|name| !name.is_empty()).into_iter().collect();
        json!({"apiGroups": ["roster.rs"], "resources": [resource], "resourceNames": names, "verbs": [verb]})
    };
    bind(
        &name,
        Some(&organization.name),
        number,
        &json!(verbs.iter().map(rule).collect::<Vec<_>>()),
    );
    for (verb, resource, object) in verbs {
        let need = format!("{verb} {resource}/{object}").trim_end_matches('/').to_owned();
        eventually("the right is known", || may(&[&name], &organization.name, &need).then_some(()));
    }
    organization.as_member("somebody", &["editors", &name])
}

/// An organization with an account in control that its User left behind, and nobody else in control
/// unless `root` is.
struct LeftBehind {
    organization: Organization,
    operator: Operator,
    id: String,
    before: Value,
}

impl LeftBehind {
    #[track_caller]
    fn new(leave: fn(&Organization), others: &[Value]) -> Self {
        let organization = CLUSTER.organization();
        let admin = organization.admin();
        for object in
            [domain("acme.example"), secret("ceo", OLD), secret("new", NEW), secret("bad", "short")]
        {
            passed(admin.create(&object));
        }
        let operator = Operator::start(&organization);
        let ceo = asks_for("administrators")
            .with("/spec/email", "ceo@acme.example")
            .with("/spec/passwordSecretRef/name", "ceo");
        for user in others.iter().chain([&ceo.with("/spec/deletionPolicy", "Retain")]) {
            passed(admin.create(user));
            organization.until_ready("User", user["metadata"]["name"].as_str().expect("a name"));
        }
        let ceo = organization.until_ready("User", "ceo");
        let id = ceo["status"]["accountId"].as_str().expect("an account").to_owned();
        leave(&organization);
        passed(admin.delete("User", "ceo"));
        organization.until_gone("User", "ceo");
        let mut left = Self { organization, operator, id, before: Value::Null };
        left.before = left.account();
        left
    }

    /// What the store has of the account.
    #[track_caller]
    fn account(&self) -> Value {
        let login = format!("ceo.{}", self.organization.name);
        let mut accounts = self.operator.users();
        accounts.retain(|account| account["loginName"] == login.as_str());
        accounts.pop().expect("the account is there")
    }

    fn logs_in(&self, password: &str) -> bool {
        self.operator
            .roster(&["login", &format!("ceo.{}", self.organization.name)], password)
            .success
    }

    /// Somebody creates a User, which has nothing of the account for this reason, and deletes it
    /// again.
    #[track_caller]
    fn waits(&self, who: &Requester, user: &Value, reason: &str) {
        passed(who.create(user));
        let name = user["metadata"]["name"].as_str().expect("a name");
        let said = self.organization.until_reason("User", name, reason);
        assert_eq!(
            (&said["status"]["state"], &said["status"]["accountId"]),
            (&json!("Pending"), &Value::Null),
            "{said:#}"
        );
        assert_eq!(self.account(), self.before, "{said:#}");
        assert_eq!((self.logs_in(NEW), self.logs_in(OLD)), (false, true), "{said:#}");
        passed(self.organization.admin().delete("User", name));
        self.organization.until_gone("User", name);
        assert_eq!(self.account(), self.before);
    }

    /// Somebody creates a User, which has the account with all that it asks for.
    #[track_caller]
    fn has_it(&self, who: &Requester, user: &Value, event: &str) {
        passed(who.create(user));
        let name = user["metadata"]["name"].as_str().expect("a name");
        let ready = self.organization.until_ready("User", name);
        assert_eq!(ready["status"]["accountId"], self.id.as_str());
        self.organization.until_event(event);
        let account = self.account();
        assert_eq!(
            (&account["email"], &account["group"]),
            (&user["spec"]["email"], &user["spec"]["groupRef"]["name"])
        );
        assert_eq!((self.logs_in(NEW), self.logs_in(OLD)), (true, false));
    }
}

/// A User of the account's name that asks for everything else than the account has.
fn asks_for(group: &str) -> Value {
    let user = user("ceo")
        .with("/spec/email", "eve@acme.example")
        .with("/spec/passwordSecretRef/name", "new");
    user.with("/spec/groupRef/name", group)
}

fn root() -> Value {
    user("root").with("/spec/groupRef/name", "administrators")
}

const RETAINED: fn(&Organization) = |_| {};

/// Its finalizer is taken off: the store takes it for the User's that isn't there any more, as in
/// another cluster.
const LOST: fn(&Organization) = |organization| {
    let released =
        json!({"metadata": {"annotations": {"roster.rs/release": "true"}, "finalizers": null}});
    passed(
        organization
            .as_member("rosa", &["administrators", "releasers"])
            .patch("User", "ceo", &released),
    );
};

#[test]
fn an_account_that_was_left_behind_goes_to_who_was_authorized_for_all_that_it_has() {
    let left = LeftBehind::new(RETAINED, &[root(), user("bob")]);
    let (organization, id) = (&left.organization, left.id.as_str());
    let verbs = [
        ("administer", "usergroups", "contractors"),
        ("approve-charge", "users", ""),
        ("set-password", "passwords", "new"),
    ];
    let mallory = with_verbs(organization, 901, &verbs);
    let ada = with_verbs(organization, 902, &[&verbs[..], &[("adopt", "accounts", id)]].concat());
    let hans =
        with_verbs(organization, 903, &[("administer", "usergroups", "users"), verbs[1], verbs[2]]);
    let adam = organization.as_member("adam", &["administrators"]);
    let adopting = |group: &str| asks_for(group).with("/spec/adopt", id);

    // The group that is asked for isn't there, is there, is another, and is given more than once.
    left.waits(&mallory, &asks_for("contractors"), "NotAdoptable");
    left.waits(&hans, &asks_for("users"), "NotAdoptable");
    left.waits(&adam, &asks_for("users"), "NotAdoptable");
    refused(
        mallory.create(&asks_for("administrators")),
        "needs the verb administer on usergroups.roster.rs/administrators",
    );
    refused(
        mallory.create(&adopting("contractors")),
        &format!("needs the verb adopt on accounts.roster.rs/{id}"),
    );
    refused(
        hans.create(&adopting("users")),
        &format!("needs the verb adopt on accounts.roster.rs/{id}"),
    );
    left.waits(&ada, &adopting("contractors"), "GroupNotFound");
    passed(organization.admin().create(&group("contractors")));
    organization.until_ready("UserGroup", "contractors");
    left.waits(&mallory, &asks_for("contractors"), "NotAdoptable");

    // Whatever else of it is refused or waits.
    left.waits(
        &adam,
        &asks_for("administrators").with("/spec/email", "eve@other.example"),
        "DomainNotAllowed",
    );
    left.waits(
        &adam,
        &asks_for("administrators").with("/spec/email", "bob@acme.example"),
        "EmailTaken",
    );
    left.waits(
        &adam,
        &asks_for("administrators").with("/spec/passwordSecretRef/name", "bad"),
        "PasswordRejected",
    );
    left.waits(
        &adam,
        &asks_for("administrators").with("/spec/passwordSecretRef/name", "none"),
        "PasswordSecretNotFound",
    );
    left.waits(
        &adam,
        &asks_for("administrators").with("/spec/chargeApproved", false),
        "ChargeNotApproved",
    );
    let heir = json!({"name": "nobody", "mode": "Inherit"});
    left.waits(
        &adam,
        &asks_for("administrators").with("/spec/permissions/from", heir),
        "SourceNotFound",
    );
    left.waits(&adam, &asks_for("administrators").with("/spec/copyOf/name", "bob"), "NotAdoptable");
    let paused = json!({"roster.rs/paused": "true"});
    left.waits(&adam, &asks_for("administrators").with("/metadata/annotations", paused), "Paused");

    // The User that can't have it gets it by no edit either of who couldn't create it so.
    passed(mallory.create(&asks_for("contractors")));
    organization.until_reason("User", "ceo", "NotAdoptable");
    let moved = json!({"spec": {"groupRef": {"name": "administrators"}}});
    refused(
        mallory.patch("User", "ceo", &moved),
        "needs the verb administer on usergroups.roster.rs/administrators",
    );
    passed(mallory.delete("User", "ceo"));
    organization.until_gone("User", "ceo");
    assert_eq!(left.account(), left.before);

    left.has_it(
        &ada,
        &adopting("contractors").with("/spec/deletionPolicy", "Retain"),
        "AccountTakenBack",
    );
    assert_eq!(left.account()["permissions"], json!([]));
    passed(organization.admin().delete("User", "ceo"));
    organization.until_gone("User", "ceo");
    left.has_it(&mallory, &asks_for("contractors"), "AccountTakenBack");
}

#[test]
fn the_last_administrators_account_goes_to_no_helpdesk() {
    let left = LeftBehind::new(RETAINED, &[user("bob")]);
    let verbs = [
        ("administer", "usergroups", "users"),
        ("approve-charge", "users", ""),
        ("set-password", "passwords", "new"),
    ];
    let hans = with_verbs(&left.organization, 904, &verbs);
    left.waits(&hans, &asks_for("users"), "NotAdoptable");
    let adopting = asks_for("users").with("/spec/adopt", left.id.as_str());
    left.waits(
        &left.organization.as_member("adam", &["administrators"]),
        &adopting,
        "LastAdministrator",
    );
}

#[test]
fn an_account_whose_user_was_lost_goes_to_who_asks_for_its_group_alone() {
    let left = LeftBehind::new(LOST, &[root()]);
    let verbs = [
        ("administer", "usergroups", "users"),
        ("approve-charge", "users", ""),
        ("set-password", "passwords", "new"),
    ];
    left.waits(&with_verbs(&left.organization, 905, &verbs), &asks_for("users"), "NotAdoptable");
    let adam = left.organization.as_member("adam", &["administrators"]);
    left.has_it(&adam, &asks_for("administrators"), "AccountTakenBack");
    let adopted = left.organization.admin().get("User", "ceo").expect("it is there");
    assert_eq!(adopted["metadata"]["finalizers"], json!([OURS]));
}
