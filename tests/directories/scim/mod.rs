//! A real SCIM server, alone and behind a proxy that changes what it seems to be, and hostile ones.

mod batches;
mod failures;
mod hostile;
mod import;
mod lists;
mod members;
mod peer;
mod people;
mod proxy;
mod quirks;
mod real;
mod rights;
mod tls;
mod variants;

use std::sync::Arc;

use reqwest::{Client, Method};
use roster::provisioning::Entry;
pub(crate) use roster_test_support::scim_server::ScimServer;
use serde_json::{Value, json};

pub(crate) use self::people::{PersonExt, entry, gone, person};
pub(crate) use self::proxy::{Act, Asked, Proxy};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Somebody else who uses the server, with plain requests.
pub(crate) struct Somebody {
    server: Arc<ScimServer>,
    client: Client,
}

impl Somebody {
    pub(crate) fn at(server: &Arc<ScimServer>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { server: server.clone(), client }
    }

    /// Asks for something and returns the status and the body.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}/v2{path}", self.server.port());
        let mut request = self.client.request(method, url).bearer_auth(self.server.token());
        if let Some(body) = body {
            request =
                request.header("Content-Type", "application/scim+json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// Creates a User or a Group and returns its id.
    pub(crate) async fn post(&self, path: &str, mut body: Value) -> String {
        let kind = if path == "/Users" { "User" } else { "Group" };
        body["schemas"] = json!([format!("urn:ietf:params:scim:schemas:core:2.0:{kind}")]);
        let (status, created) = self.ask(Method::POST, path, Some(body)).await;
        assert_eq!(status, 201, "{created}");
        created["id"].as_str().unwrap().to_owned()
    }

    /// Changes parts of a resource.
    pub(crate) async fn patch(&self, path: &str, operations: Value) {
        let body = patch(operations);
        let (status, answer) = self.ask(Method::PATCH, path, Some(body)).await;
        assert!(matches!(status, 200 | 204), "{status} {answer}");
    }

    /// Returns everything of a kind.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let (status, list) = self.ask(Method::GET, &format!("{path}?count=1000"), None).await;
        assert_eq!(status, 200, "{list}");
        let all = list["Resources"].as_array().cloned().unwrap_or_default();
        assert_eq!(all.len() as u64, list["totalResults"].as_u64().unwrap());
        all
    }

    /// Returns the entries of an account.
    pub(crate) async fn entries_of(&self, entry: &Entry) -> Vec<Value> {
        let account = entry.account.to_string();
        self.all("/Users").await.into_iter().filter(|user| user["externalId"] == *account).collect()
    }

    /// Returns the one entry of an account.
    pub(crate) async fn entry_of(&self, entry: &Entry) -> Value {
        let mut found = self.entries_of(entry).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    /// Returns the names of the groups that an entry is in, sorted.
    pub(crate) async fn groups_of(&self, id: &Value) -> Vec<String> {
        let has = |group: &&Value| {
            group["members"]
                .as_array()
                .is_some_and(|members| members.iter().any(|it| it["value"] == *id))
        };
        let groups = self.all("/Groups").await;
        let mut names: Vec<String> = groups
            .iter()
            .filter(has)
            .map(|group| group["displayName"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Returns the groups of an organization.
    pub(crate) async fn groups_in(&self, organization: &str) -> Vec<Value> {
        let start = format!("{organization}/");
        let is_in = |group: &Value| {
            group["externalId"].as_str().is_some_and(|name| name.starts_with(&start))
        };
        self.all("/Groups").await.into_iter().filter(is_in).collect()
    }
}

pub(crate) fn patch(operations: Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}

/// Returns a server's description of itself.
pub(crate) fn abilities(patch: bool, bulk: usize, filter: bool, etag: bool) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": patch },
        "bulk": { "supported": bulk > 0, "maxOperations": bulk, "maxPayloadSize": 1_048_576 },
        "filter": { "supported": filter, "maxResults": 1000 },
        "etag": { "supported": etag },
    })
}
