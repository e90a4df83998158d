//! Whatever is special about a server: what takes rights away arrives there, or the delivery ends
//! in an error.

use std::sync::{Arc, Mutex};

use roster::provisioning::{Directory, DirectoryError, Entry};
use serde_json::{Value, json};

use super::peer::Peer;
use super::{Proxy, entry, gone, person};

/// Somebody at a server with a quirk.
struct Somewhere {
    quirks: &'static str,
    peer: Arc<Mutex<Peer>>,
    proxy: Proxy,
    directory: Directory,
    alice: Entry,
}

impl Somewhere {
    async fn with(quirks: &'static str) -> Self {
        let (peer, proxy) = Peer::start(quirks).await;
        let directory = Directory::open(&proxy.address()).unwrap();
        Self { quirks, peer, proxy, directory, alice: entry("acme", person("acme", "alice")) }
    }

    fn user(&self) -> Option<Value> {
        self.peer.lock().unwrap().user("alice.acme").cloned()
    }

    fn groups(&self) -> Vec<String> {
        self.peer.lock().unwrap().groups_of("alice.acme")
    }

    fn edit(&self, edit: impl FnOnce(&mut Value)) {
        self.peer.lock().unwrap().edit("alice.acme", edit);
    }

    /// Brings what alice is to be now, and keeps what the store would keep.
    async fn provision(&mut self) -> Result<bool, DirectoryError> {
        self.alice.compares = false;
        let brought = self.directory.provision(&self.alice).await?;
        self.alice.handle = brought.handle;
        self.alice.was_confirmed = true;
        Ok(brought.wrote)
    }

    /// Deletes alice.
    async fn delete(&self) -> Result<bool, DirectoryError> {
        let mut leaving = gone(&self.alice);
        leaving.handle.clone_from(&self.alice.handle);
        leaving.was_confirmed = self.alice.was_confirmed;
        let brought = self.directory.provision(&leaving).await?;
        assert_eq!(brought.handle, None);
        Ok(brought.wrote)
    }

    /// Compares three times, the last one after a restart: nothing is written.
    async fn check_rest(&mut self, what: &str) {
        self.proxy.forget();
        self.alice.compares = true;
        for turn in 0..3 {
            if turn == 2 {
                self.directory = Directory::open(&self.proxy.address()).unwrap();
            }
            let brought = self.directory.provision(&self.alice).await.unwrap();
            assert_eq!(brought.handle, self.alice.handle, "{}, {what}", self.quirks);
            assert!(
                !brought.wrote && self.proxy.writes().is_empty(),
                "{}, {what}: {:#?}",
                self.quirks,
                self.proxy.writes()
            );
        }
    }

    /// Compares: what differs is said, and nothing is written.
    async fn check_drift(&mut self) {
        self.proxy.forget();
        self.alice.compares = true;
        assert_eq!(
            self.directory.provision(&self.alice).await,
            Err(DirectoryError::Drifted),
            "{}",
            self.quirks
        );
        assert!(self.proxy.writes().is_empty(), "{:#?}", self.proxy.writes());
    }

    /// Takes alice's rights away one by one, and returns the first error there is.
    async fn live(&mut self) -> Result<(), DirectoryError> {
        let quirks = self.quirks;
        self.provision().await?;
        assert!(self.groups().contains(&"acme/people".to_owned()), "{quirks}: she is in her group");
        self.check_rest("created").await;
        self.alice.person.as_mut().unwrap().permissions = vec!["cases:read".to_owned()];
        self.provision().await?;
        assert!(
            !self.user().unwrap().to_string().contains("cases:write"),
            "{quirks}: the permission is gone"
        );
        self.check_rest("a permission less").await;
        self.alice.person.as_mut().unwrap().group = "leads".to_owned();
        self.provision().await?;
        assert_eq!(self.groups(), ["acme/leads"], "{quirks}: the former group is left");
        self.check_rest("another group").await;
        self.alice.person.as_mut().unwrap().active = false;
        assert!(self.provision().await?, "{quirks}");
        assert_eq!(self.user().unwrap()["active"], false, "{quirks}: she is disabled");
        self.check_rest("disabled").await;
        self.alice.person.as_mut().unwrap().active = true;
        self.provision().await?;
        assert_eq!(self.user().unwrap()["active"], true, "{quirks}: she is enabled");
        self.check_rest("enabled").await;
        assert!(self.delete().await?, "{quirks}");
        assert_eq!(self.user(), None, "{quirks}: she is deleted");
        Ok(())
    }
}

#[tokio::test]
async fn every_revocation_arrives_at_servers_with_a_way_of_their_own() {
    for quirks in [
        "",
        "max_count=100",
        "max_count=20",
        "max_count=60 unannounced",
        "eq_only",
        "missing_404",
        "ignore_members",
        "refuse_members",
        "patch_204",
        "string_active",
        "int_id",
        "string_total",
        "no_total",
        "no_resources",
        "spc=403",
        "spc=404",
        "spc=500",
        "spc_strings",
        "no_group_external_id",
        "hidden_group_external_id",
        "no_put",
        "null_members",
        "soft_delete",
        "no_scim_type",
        "lower",
        "lower_phone",
        "drop=phoneNumbers,timezone",
        "drop=entitlements,roles",
        "no_dup",
        "post_200",
        "no_patch",
        "no_groups",
        "no_groups no_group_external_id",
        "lower patch_204",
    ] {
        let mut somewhere = Somewhere::with(quirks).await;
        assert_eq!(somewhere.live().await, Ok(()), "{quirks}");
    }
}

#[tokio::test]
async fn who_cannot_be_brought_is_said_to_be_refused() {
    for (quirks, words) in [
        ("names", "givenName"),
        ("refuse=phoneNumbers", "phoneNumbers"),
        ("email_name", "email address"),
        ("drop=externalId", "externalId"),
        ("drop=active", "inactive"),
        ("stubborn=active", "inactive"),
        ("stubborn=entitlements", "entitlements"),
        ("clinging", "acme/people"),
        ("clinging no_groups", "acme/people"),
        ("undying stubborn=active", "inactive"),
    ] {
        let error = Somewhere::with(quirks).await.live().await.unwrap_err();
        assert!(
            matches!(&error, DirectoryError::Refused(why) if why.contains(words)),
            "{quirks}: {error}"
        );
    }
}

#[tokio::test]
async fn a_deletion_that_a_server_only_says_it_did_is_not_believed() {
    let mut somewhere = Somewhere::with("undying stubborn=active").await;
    somewhere.provision().await.unwrap();
    let error = somewhere.delete().await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Refused(why) if why.contains("still shows")),
        "{error}"
    );
    // One that keeps the entry without letting anybody in has done enough.
    let mut somewhere = Somewhere::with("undying").await;
    somewhere.provision().await.unwrap();
    somewhere.delete().await.unwrap();
    assert_eq!(somewhere.user().unwrap()["active"], false);
}

#[tokio::test]
async fn an_entry_that_lost_its_external_id_is_found_by_the_servers_own_key() {
    let lose = |somewhere: &Somewhere| {
        somewhere.edit(|user| drop(user.as_object_mut().unwrap().remove("externalId")))
    };
    let mut somewhere = Somewhere::with("").await;
    somewhere.provision().await.unwrap();
    lose(&somewhere);
    somewhere.alice.person.as_mut().unwrap().active = false;
    assert_eq!(somewhere.provision().await, Ok(true));
    let user = somewhere.user().unwrap();
    assert_eq!(
        (&user["active"], &user["externalId"]),
        (&json!(false), &json!(somewhere.alice.account.to_string()))
    );
    lose(&somewhere);
    assert_eq!(somewhere.delete().await, Ok(true));
    assert_eq!(somewhere.user(), None);
    // The server says itself that it is gone.
    assert_eq!(somewhere.delete().await, Ok(false));
}

#[tokio::test]
async fn an_entry_that_was_confirmed_and_is_not_shown_is_not_taken_for_gone() {
    let mut somewhere = Somewhere::with("").await;
    somewhere.provision().await.unwrap();
    somewhere.edit(|user| drop(user.as_object_mut().unwrap().remove("externalId")));
    somewhere.alice.handle = None;
    let error = somewhere.delete().await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::NotShown(why) if why.contains("externalId")),
        "{error}"
    );
    assert_eq!(somewhere.user().unwrap()["active"], true);
    // Nobody said that it was ever there.
    somewhere.alice.was_confirmed = false;
    assert_eq!(somewhere.delete().await, Ok(false));
}

#[tokio::test]
async fn who_is_to_be_disabled_and_is_not_shown_is_neither_made_again_nor_said_to_be_disabled() {
    let mut somewhere = Somewhere::with("").await;
    somewhere.provision().await.unwrap();
    somewhere.edit(|user| drop(user.as_object_mut().unwrap().remove("externalId")));
    somewhere.edit(|user| user["userName"] = "alice.renamed".into());
    somewhere.alice.handle = None;
    somewhere.alice.person.as_mut().unwrap().active = false;
    let error = somewhere.provision().await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::NotShown(why) if why.contains("disabled once")),
        "{error}"
    );
    assert_eq!(somewhere.user(), None);
    let account = somewhere.alice.account.to_string();
    somewhere
        .peer
        .lock()
        .unwrap()
        .edit("alice.renamed", |user| user["externalId"] = account.into());
    assert_eq!(somewhere.provision().await, Ok(true));
    assert_eq!(somewhere.user().unwrap()["active"], false);
}

#[tokio::test]
async fn an_entry_that_became_somebody_elses_is_left_to_them() {
    let mut somewhere = Somewhere::with("").await;
    somewhere.provision().await.unwrap();
    somewhere.edit(|user| user["externalId"] = "somebody else".into());
    somewhere.proxy.forget();
    for error in [somewhere.provision().await.unwrap_err(), somewhere.delete().await.unwrap_err()] {
        assert!(
            matches!(&error, DirectoryError::Refused(why) if why.contains("somebody else")),
            "{error}"
        );
    }
    assert_eq!(somewhere.proxy.writes().len(), 0);
}

#[tokio::test]
async fn an_entry_that_lost_its_external_id_to_another_one_lets_nobody_in_for_ever() {
    let mut somewhere = Somewhere::with("").await;
    somewhere.provision().await.unwrap();
    let account = somewhere.alice.account.to_string();
    let other = json!({ "id": "9", "userName": "alice2", "externalId": account, "active": true });
    somewhere.peer.lock().unwrap().add(other);
    somewhere.edit(|user| drop(user.as_object_mut().unwrap().remove("externalId")));
    let error = somewhere.provision().await.unwrap_err();
    assert!(matches!(&error, DirectoryError::Refused(why) if why.contains("has to go")), "{error}");
    somewhere.alice.person.as_mut().unwrap().active = false;
    let handle = somewhere.alice.handle.clone();
    somewhere.provision().await.unwrap();
    let user = somewhere.user().unwrap();
    assert_eq!((&user["active"], &user["externalId"]), (&json!(false), &Value::Null));
    assert_eq!(somewhere.peer.lock().unwrap().user("alice2").unwrap()["active"], false);
    somewhere.alice.handle = handle;
    assert_eq!(somewhere.delete().await, Ok(true));
    assert_eq!((somewhere.user(), somewhere.peer.lock().unwrap().user("alice2")), (None, None));
}

#[tokio::test]
async fn an_entry_that_another_account_has_now_is_no_more_to_be_deleted() {
    let mut somewhere = Somewhere::with("").await;
    somewhere.provision().await.unwrap();
    somewhere.edit(|user| user["externalId"] = uuid::Uuid::from_u128(7).to_string().into());
    assert_eq!(somewhere.delete().await, Ok(false));
    assert_eq!(somewhere.user().unwrap()["active"], true);
    // Who is still there misses it.
    let error = somewhere.provision().await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Refused(why) if why.contains("somebody else")),
        "{error}"
    );
}

#[tokio::test]
async fn who_is_disabled_is_told_so_to_a_server_that_shows_it_already() {
    let mut somewhere = Somewhere::with("").await;
    somewhere.provision().await.unwrap();
    somewhere.edit(|user| user["active"] = false.into());
    somewhere.alice.person.as_mut().unwrap().active = false;
    assert_eq!(somewhere.provision().await, Ok(true));
    assert_eq!(somewhere.proxy.asked("PATCH /Users")[0].body["Operations"][0]["path"], "active");
    somewhere.check_rest("disabled").await;
}

#[tokio::test]
async fn what_somebody_changes_is_put_back_beside_what_a_server_does_not_take() {
    let mut somewhere = Somewhere::with("lower_phone").await;
    somewhere.provision().await.unwrap();
    somewhere.check_rest("created").await;
    somewhere.edit(|user| user["displayName"] = "Mallory".into());
    somewhere.check_drift().await;
    assert_eq!(somewhere.provision().await, Ok(true));
    assert_eq!(somewhere.user().unwrap()["displayName"], "alice of acme");
    somewhere.check_rest("put back").await;
    somewhere.edit(|user| user["phoneNumbers"][0]["value"] = "+1".into());
    somewhere.check_drift().await;
    assert_eq!(somewhere.provision().await, Ok(true));
    assert_eq!(somewhere.user().unwrap()["phoneNumbers"][0]["value"], "+49301234567");
    somewhere.check_rest("put back again").await;
}

#[tokio::test]
async fn a_group_of_that_name_that_somebody_else_made_is_not_joined() {
    let mut somewhere = Somewhere::with("").await;
    somewhere.alice.person.as_mut().unwrap().group = "others".to_owned();
    somewhere.provision().await.unwrap();
    let theirs = json!({ "displayName": "acme/people", "members": [] });
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let url = format!("http://127.0.0.1:{}/v2/Groups", somewhere.proxy.port());
    client.post(url).body(theirs.to_string()).send().await.unwrap();
    somewhere.alice.person.as_mut().unwrap().group = "people".to_owned();
    let error = somewhere.provision().await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Refused(why) if why.contains("another group")),
        "{error}"
    );
    assert_eq!(somewhere.groups(), Vec::<String>::new());
}

#[tokio::test]
async fn a_group_or_an_entry_that_somebody_took_away_is_said_and_not_written_by_a_comparison() {
    let mut somewhere = Somewhere::with("").await;
    somewhere.provision().await.unwrap();
    let server = somewhere.peer.clone();
    server.lock().unwrap().empty_groups();
    somewhere.check_drift().await;
    assert_eq!(somewhere.provision().await, Ok(true));
    somewhere.check_rest("in the group again").await;
    server.lock().unwrap().forget("alice.acme");
    somewhere.check_drift().await;
    assert_eq!(somewhere.provision().await, Ok(true));
    somewhere.check_rest("made again").await;
}
