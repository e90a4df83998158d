//! `roster import --directory`: the people of a real SCIM server, who keep their entries.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Output;
use std::sync::Arc;

use roster_test_support::scim_server::ScimServer;
use serde_json::{Value, json};

use roster_test_support::plans;

use crate::Place;

/// A server with these entries, and a store that knows nothing of them.
struct Brownfield {
    place: Place,
    server: Arc<ScimServer>,
}

impl Brownfield {
    async fn with(entries: &[Value]) -> Self {
        let brownfield = Self { place: Place::filled().await, server: ScimServer::start() };
        for entry in entries {
            brownfield.posted("Users", entry);
        }
        brownfield
    }

    fn posted(&self, path: &str, resource: &Value) -> String {
        posted(&self.server, path, resource)
    }

    fn entries(&self) -> Vec<Value> {
        entries(&self.server)
    }

    fn import(&self, arguments: &[&str]) -> Output {
        let address = self.server.address();
        self.place.roster(
            &[&["import", "--directory", &address, "--organization", "acme"], arguments].concat(),
            "",
        )
    }

    #[track_caller]
    fn imported(&self, arguments: &[&str]) -> (String, Vec<Value>, String) {
        let output = self.import(arguments);
        let (text, notes) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(0), "{text}{notes}");
        let documents = serde_saphyr::from_multiple(&text).unwrap();
        (text, documents, notes)
    }
}

/// Has a server make something. Returns its id.
pub(crate) fn posted(server: &ScimServer, path: &str, resource: &Value) -> String {
    let schema = format!("urn:ietf:params:scim:schemas:core:2.0:{}", path.trim_end_matches('s'));
    let mut resource = resource.clone();
    resource["schemas"] = json!([schema]);
    let answer = asked(server, "POST", path, Some(&resource));
    answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Returns the people whom a server has.
pub(crate) fn entries(server: &ScimServer) -> Vec<Value> {
    asked(server, "GET", "Users", None)["Resources"].as_array().unwrap().clone()
}

/// Asks a server in the plainest way that there is.
fn asked(server: &ScimServer, method: &str, path: &str, body: Option<&Value>) -> Value {
    let (token, body) = (server.token(), body.map(ToString::to_string).unwrap_or_default());
    let head = format!(
        "{method} /{path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/scim+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    connection.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1)
        .unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// An entry as another software would have made it.
pub(crate) fn entry(user_name: &str, external_id: Option<&str>) -> Value {
    json!({
        "userName": user_name, "displayName": format!("The {user_name}"), "active": true, "externalId": external_id,
        "emails": [{"value": format!("{}@acme.example", user_name.replace([' ', '@'], "_")), "primary": true}],
    })
}

const ID: &str = "0193a4b0-0000-7000-8000-000000000001";

#[tokio::test]
async fn the_people_of_a_directory_become_users_who_take_their_entries_over_once_the_charge_is_approved()
 {
    let mut alice = entry("dave.acme", Some(ID));
    alice["emails"][0]["value"] = "dave@depots.example".into();
    alice["phoneNumbers"] = json!([{"value": "+1 602 555 0101"}]);
    alice["timezone"] = "America/Phoenix".into();
    alice["active"] = false.into();
    let brownfield = Brownfield::with(&[alice]).await;
    let (text, documents, notes) = brownfield.imported(&[]);
    assert_eq!((documents.len(), notes.as_str()), (2, ""), "{text}");
    assert_eq!(documents[0]["spec"]["domain"], "depots.example");
    assert_eq!(
        documents[1]["spec"],
        json!({
            "email": "dave@depots.example", "state": "Disabled", "groupRef": {"name": "users"}, "adopt": format!("entry/{ID}"),
            "profile": {"displayName": "The dave.acme", "phone": "+1 602 555 0101", "timeZone": "America/Phoenix"},
        })
    );
    assert!(
        text.contains(
            "  # chargeApproved: true    # approve: true creates an account and is billed\n"
        ),
        "{text}"
    );
    let refused = brownfield.place.planned(&text, 1);
    assert_eq!(refused["objects"][1]["refused"][0]["reason"], "ChargeNotApproved");
    let approved = text.replace("# chargeApproved: true ", "chargeApproved: true ");
    assert_eq!(brownfield.place.planned(&approved, 0)["objects"][1]["action"], "create");
}

#[tokio::test]
async fn an_entry_without_an_external_id_gets_one_only_when_asked_and_one_of_another_system_keeps_its_own()
 {
    let brownfield = Brownfield::with(&[entry("dave", None), entry("erin", Some("4711"))]).await;
    let before = brownfield.entries();
    let (text, documents, notes) = brownfield.imported(&[]);
    assert!(
        documents.iter().all(|document| document["spec"]["adopt"].is_null()) && notes.is_empty(),
        "{text}"
    );
    assert!(
        text.contains("# Entries without an externalId: 1. Run this again with --link"),
        "{text}"
    );
    assert_eq!(brownfield.entries(), before);
    let (text, documents, notes) = brownfield.imported(&["--link"]);
    let after = brownfield.entries();
    let external_id = |name: &str| {
        let entry = after.iter().find(|entry| entry["userName"] == name).unwrap();
        entry["externalId"].as_str().unwrap().to_owned()
    };
    let adopts = |name: &str| {
        documents.iter().find(|document| document["metadata"]["name"] == name).unwrap()["spec"]["adopt"].clone()
    };
    assert_eq!(
        (adopts("dave"), adopts("erin")),
        (json!(format!("entry/{}", external_id("dave"))), Value::Null),
        "{text}"
    );
    assert_eq!(external_id("erin"), "4711");
    assert!(notes.starts_with("linked: dave (entry ") && notes.lines().count() == 1, "{notes}");
    assert!(text.contains("its externalId is another system's"), "{text}");
    let (again, _, notes) = brownfield.imported(&["--link"]);
    assert_eq!(
        (again.replace("\n", ""), notes.as_str()),
        (text.replace("\n", ""), ""),
        "once is enough"
    );
}

#[tokio::test]
async fn usernames_are_made_valid_and_differ_and_who_cant_be_imported_is_told_why() {
    let mut nobody = entry("Nobody", None);
    nobody["emails"] = json!([]);
    let mut double = entry("double", None);
    double["emails"][0]["value"] = "Dave_Miller@acme.example".into();
    let mut bad = entry("bad", None);
    bad["timezone"] = "somewhere nice".into();
    bad["phoneNumbers"] = json!([{"value": "1".repeat(70)}]);
    let mut letters = entry("日本", None);
    letters["emails"][0]["value"] = "nihon@acme.example".into();
    let entries = [
        entry("Dave Miller", None),
        entry("dave-miller", None),
        entry("kim", None),
        nobody,
        double,
        bad,
        letters,
    ];
    let brownfield = Brownfield::with(&entries).await;
    let (text, documents, _) = brownfield.imported(&[]);
    let names: Vec<[&str; 2]> = documents
        .iter()
        .map(|document| {
            [
                document["metadata"]["name"].as_str().unwrap(),
                document["spec"]["username"].as_str().unwrap_or_default(),
            ]
        })
        .collect();
    // Kim has an account already, of another person as far as anybody knows.
    assert_eq!(
        names,
        [
            ["dave-miller", "dave-miller"],
            ["bad", ""],
            ["dave-miller-2", "dave-miller-2"],
            ["kim-2", "kim-2"]
        ],
        "{text}"
    );
    assert!(
        text.contains("  # Made of the userName Dave Miller.\n  username: dave-miller\n"),
        "{text}"
    );
    for why in [
        "Nobody (entry",
        "it has no email address",
        "double (entry",
        "is that of Dave Miller too",
        "日本 (entry",
        "so no username is made of it",
    ] {
        assert!(
            text.split("# Left out:").nth(1).unwrap().contains(why),
            "{why:?} isn't in: {text}"
        );
    }
    for field in [
        "timeZone is left out, and goes with the take-over: a time zone is",
        "phone is left out, and goes with",
    ] {
        assert!(text.contains(&format!("  # {field}")), "{field:?} isn't in: {text}");
    }
}

#[tokio::test]
async fn what_an_account_has_no_place_for_is_said_to_go_and_the_rest_of_an_address_stays() {
    let mut dave = entry("dave", None);
    dave["emails"] =
        json!([{"value": "home@acme.example"}, {"value": "dave@acme.example", "primary": true}]);
    dave["phoneNumbers"] = json!([{"value": "1", "type": "work"}, {"value": "2", "type": "mobile"}, {"value": "3", "type": "fax"}]);
    dave["addresses"] = json!([{"locality": "Phoenix", "country": "USA", "type": "work"}]);
    let brownfield = Brownfield::with(&[dave]).await;
    let (text, documents, _) = brownfield.imported(&[]);
    let spec = &documents[0]["spec"];
    assert_eq!(
        (&spec["email"], &spec["profile"]["phone"]),
        (&json!("dave@acme.example"), &json!("1"))
    );
    assert_eq!(spec["profile"]["address"], json!({"locality": "Phoenix"}));
    for remark in [
        "  # The directory has 1 more email address, which goes with the take-over.\n  email: ",
        "  # The directory has 2 more phone numbers, which go with the take-over.\n",
        "  # country is left out, and goes with the take-over: ",
    ] {
        assert!(text.contains(remark), "{remark:?} isn't in: {text}");
    }
}

#[tokio::test]
async fn an_entry_in_one_group_that_there_can_be_is_in_it_and_nobody_gets_full_control_by_a_name() {
    let names = ["dave", "erin", "frank", "grace", "carol"];
    let brownfield = Brownfield::with(&names.map(|name| entry(name, None))).await;
    let store = brownfield.place.store().await;
    plans::commit(&store, plans::put_group("owners", true, &[])).await.unwrap();
    store.close().await;
    let entries = brownfield.entries();
    let members = |names: &[&str]| -> Vec<Value> {
        let of = |name: &&str| {
            entries.iter().find(|entry| entry["userName"] == *name).unwrap()["id"].clone()
        };
        names.iter().map(|name| json!({"value": of(name)})).collect()
    };
    let groups = [
        ("Night Drivers", vec!["dave", "erin"]),
        ("acme/mechanics", vec!["erin", "frank"]),
        ("Administrators", vec!["grace"]),
        ("Owners", vec!["carol"]),
        ("other/pilots", vec!["frank"]),
    ];
    for (name, of) in groups {
        brownfield.posted("Groups", &json!({"displayName": name, "members": members(&of)}));
    }
    let (text, documents, _) = brownfield.imported(&[]);
    let group = |name: &str| {
        documents
            .iter()
            .find(|document| document["kind"] == "User" && document["metadata"]["name"] == name)
            .unwrap()["spec"]["groupRef"]["name"]
            .clone()
    };
    assert_eq!(
        names.map(group),
        ["night-drivers", "users", "mechanics", "users", "users"],
        "{text}"
    );
    assert!(
        text.contains(
            "  # In the directory in Night Drivers, acme/mechanics, none of which is clearly the one.\n  groupRef:\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("  # In the directory in Owners, none of which is clearly the one.\n"),
        "{text}"
    );
    let made: Vec<&str> = documents
        .iter()
        .filter(|document| document["kind"] == "UserGroup")
        .map(|document| document["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(made, ["night-drivers"], "the store has the other");
}

#[tokio::test]
async fn entries_of_accounts_are_left_alone() {
    let place = Place::filled().await;
    let store = place.store().await;
    let [judy, kim] =
        [plans::find(&store, "judy").await.unwrap(), plans::find(&store, "kim").await.unwrap()];
    for gone in [&judy, &kim] {
        plans::commit(&store, plans::delete(gone)).await.unwrap();
    }
    let mary = plans::find(&store, "mary").await.unwrap();
    store.close().await;
    let brownfield = Brownfield { place, server: ScimServer::start() };
    // Judy's entry is another organization's, as far as its name tells.
    for (name, id) in [("mary.acme", mary.id), ("kim.acme", kim.id), ("judy.bolt", judy.id)] {
        brownfield.posted("Users", &entry(name, Some(&id.to_string())));
    }
    let (text, documents, _) = brownfield.imported(&["--link"]);
    assert_eq!(documents.iter().filter(|document| !document.is_null()).count(), 0, "{text}");
    assert!(
        text.contains("# Entries of accounts that the store has or had, which aren't here: 2.\n"),
        "{text}"
    );
    assert!(text.contains("its externalId is an account's or was one's"), "{text}");
}

/// What `roster doctor` finds about a directory's entries.
fn doctored(place: &Place, directory: &str, code: i32) -> Vec<Value> {
    let said =
        place.exits(&["doctor", "--store-only", "--directory", directory, "-o", "json"], "", code);
    let said: Value = serde_json::from_str(&said).unwrap();
    let about = ["EntryWithoutAccount", "EntriesOfOthers", "DirectoryUnread"];
    let findings = said["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| about.contains(&finding["finding"].as_str().unwrap()))
        .cloned()
        .collect()
}

#[tokio::test]
async fn entries_that_nobody_declares_are_found_and_what_deleting_them_takes() {
    let place = Place::filled().await;
    let store = place.store().await;
    let kim = plans::find(&store, "kim").await.unwrap();
    let mary = plans::find(&store, "mary").await.unwrap();
    plans::commit(&store, plans::delete(&kim)).await.unwrap();
    store.close().await;
    let brownfield = Brownfield { place, server: ScimServer::start() };
    let post = |name: &str, id: &str, active: bool| {
        let mut entry = entry(name, Some(id));
        entry["active"] = active.into();
        brownfield.posted("Users", &entry)
    };
    post("mary.acme", &mary.id.to_string(), true);
    let gone = post("kim.acme", &kim.id.to_string(), true);
    let unknown = post("zoe.acme", ID, false);
    post("hr", "hr-7", true);
    brownfield
        .posted("Groups", &json!({"displayName": "acme/drivers", "members": [{"value": gone}]}));
    let findings = doctored(&brownfield.place, &brownfield.server.address(), 1);
    let [error, warning, note] = &findings[..] else { panic!("{findings:#?}") };
    let name = note["object"].as_str().unwrap();
    assert_eq!(
        *error,
        json!({
            "severity": "Error", "finding": "EntryWithoutAccount", "organization": null,
            "object": format!("entry {gone} of {name} (kim.acme, account {})", kim.id),
            "what": "its account was deleted, so nobody declares it and roster never deletes it, and whoever has its password may log in",
            "cure": format!(
                "delete {gone} in {name}, unless another store's roster has that account; its membership goes along in acme/drivers"
            ),
        })
    );
    assert_eq!(
        (&warning["severity"], &warning["finding"]),
        (&"Warning".into(), &"EntryWithoutAccount".into())
    );
    let what = warning["what"].as_str().unwrap();
    assert!(
        what.starts_with("the store never had its account") && what.ends_with("it may not log in"),
        "{what}"
    );
    assert!(
        warning["cure"].as_str().unwrap().starts_with(&format!("delete {unknown} in {name}")),
        "{warning}"
    );
    assert_eq!((&note["severity"], &note["finding"]), (&"Note".into(), &"EntriesOfOthers".into()));
    assert!(note["what"].as_str().unwrap().ends_with("alone: 1 (hr)"), "{note}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_asked_is_a_finding_and_one_in_a_folder_is_read() {
    let place = Place::filled().await;
    let [mary] = place
        .accounts()
        .await
        .into_iter()
        .filter(|account| account.owner.name == "mary")
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let folder = place.folder.path().join("directory");
    let url = format!("rehearsal://{}", folder.display());
    let findings = doctored(&place, &url, 1);
    assert!(findings.len() == 1 && findings[0]["finding"] == "DirectoryUnread", "{findings:#?}");
    std::fs::create_dir(&folder).unwrap();
    for (id, active) in [(mary.id.to_string(), true), (ID.to_owned(), true)] {
        let person = json!({"loginName": "somebody.acme", "active": active, "group": "users"});
        let entry = json!({"account": id, "revision": 1, "organization": "acme", "person": person});
        std::fs::write(folder.join(format!("{id}.json")), entry.to_string()).unwrap();
    }
    let findings = doctored(&place, &url, 1);
    assert!(findings.len() == 1 && findings[0]["severity"] == "Error", "{findings:#?}");
    let cure = findings[0]["cure"].as_str().unwrap();
    assert!(
        cure.starts_with(&format!("delete {ID}.json in "))
            && cure.ends_with("goes along in acme/users"),
        "{cure}"
    );
}

/// Answers one request after another by its path, without its query.
fn stub(answer: impl Fn(&str) -> Option<Value> + Send + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().filter_map(Result::ok) {
            let mut request = [0; 4096];
            let Ok(read) = connection.read(&mut request) else { continue };
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = text
                .split_whitespace()
                .nth(1)
                .unwrap_or_default()
                .split('?')
                .next()
                .unwrap_or_default()
                .to_owned();
            let (status, body) =
                answer(&path).map_or(("404 Not Found", json!({})), |body| ("200 OK", body));
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/scim+json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            // Whoever went away needs no answer.
            _ = connection.write_all((head + &body).as_bytes());
        }
    });
    format!("scim+http://127.0.0.1:{port}")
}

#[tokio::test]
async fn a_group_that_cannot_be_read_is_left_out_and_named_and_everybody_else_is_imported() {
    let place = Place::filled().await;
    let address = stub(|path| {
        let alone = |resource: Value| Some(json!({"totalResults": 1, "Resources": [resource]}));
        let mut dave = entry("dave", Some("hr-1"));
        dave["id"] = "1".into();
        match path {
            "/Users" => alone(dave),
            "/Groups" => Some(json!({"totalResults": 2, "Resources": [
                {"id": "g1", "displayName": "odd", "members": "everybody"},
                {"id": "g2", "displayName": "drivers", "members": [{"value": "1"}]},
            ]})),
            _ => None,
        }
    });
    let token = place.folder.path().join("token");
    std::fs::write(&token, "secret").unwrap();
    let url = format!("{address}?token-file={}", token.display());
    let text = place.exits(&["import", "--directory", &url, "--organization", "acme"], "", 0);
    assert!(text.contains("name: drivers") && text.contains("dave@acme.example"), "{text}");
    let left_out = text.split("# Left out:").nth(1).unwrap();
    assert!(
        left_out.contains(
            "- the group odd (entry g1): members isn't a list of objects; nobody is put into it"
        ),
        "{text}"
    );
}
