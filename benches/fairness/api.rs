//! An API server in a few lines: objects that the operator patches, and the news of each change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::http::{Method, Request, Response};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::client::Body;
use roster::controller::cluster_event::{CachedSecret, ClusterEvent};
use roster::domain::object_key::{Kind, ObjectKey};
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;
use tower::Service;

/// Objects by their path, which the operator and its users change.
#[derive(Clone)]
pub(crate) struct Api {
    objects: Arc<Mutex<HashMap<String, Value>>>,
    versions: Arc<Mutex<u64>>,
    news: Arc<Mutex<Sender<ClusterEvent>>>,
}

impl Api {
    pub(crate) fn new(news: Sender<ClusterEvent>) -> Self {
        Self { objects: Arc::default(), versions: Arc::default(), news: Arc::new(Mutex::new(news)) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// Puts an object in place of the one before, as `kubectl apply` does, and tells of it.
    pub(crate) async fn apply(&self, plural: &str, mut object: Value) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        let path = path(&namespace, plural, &name);
        {
            let mut objects = self.objects.lock().unwrap();
            let before = objects.get(&path);
            let generation = before
                .map_or(0, |before| before["metadata"]["generation"].as_i64().unwrap_or_default());
            if let Some(status) =
                before.map(|before| before["status"].clone()).filter(|status| !status.is_null())
            {
                object["status"] = status;
            }
            object["metadata"]["generation"] = json!(generation + 1);
            object["metadata"]["uid"] = json!(format!("uid of {path}"));
            object["metadata"]["finalizers"] = json!(["roster.rs/account"]);
            object["metadata"]["resourceVersion"] = json!(self.next_version());
            objects.insert(path, object.clone());
        }
        let sender = self.news.lock().unwrap().clone();
        sender.send(news(plural, &object).unwrap()).await.unwrap();
    }

    /// Returns everything that there is of a kind, as a list tells it.
    pub(crate) fn list(&self, plural: &str) -> Vec<ClusterEvent> {
        let objects = self.objects.lock().unwrap();
        let of_kind =
            objects.iter().filter(|(path, _)| path.split('/').rev().nth(1) == Some(plural));
        let mut sorted: Vec<_> = of_kind.collect();
        sorted.sort_by_key(|(path, _)| path.as_str());
        sorted.into_iter().map(|(_, object)| news(plural, object).unwrap()).collect()
    }

    /// Tells another operator from now on.
    pub(crate) fn tell(&self, news: Sender<ClusterEvent>) {
        *self.news.lock().unwrap() = news;
    }

    fn next_version(&self) -> String {
        let mut versions = self.versions.lock().unwrap();
        *versions += 1;
        versions.to_string()
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let path = path.strip_suffix("/status").unwrap_or(path);
        let mut objects = self.objects.lock().unwrap();
        let missing = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404});
        match *method {
            Method::GET => objects.get(path).map_or((404, missing), |object| (200, object.clone())),
            Method::POST => (201, serde_json::from_slice(body).unwrap_or_default()),
            Method::PATCH => {
                let Some(object) = objects.get_mut(path) else { return (404, missing) };
                let steps: json_patch::Patch = serde_json::from_slice(body).unwrap();
                if json_patch::patch(object, &steps).is_err() {
                    let why = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422});
                    return (422, why);
                }
                object["metadata"]["resourceVersion"] = json!(self.next_version());
                let plural = path.rsplit('/').nth(1).unwrap();
                let _ = self.news.lock().unwrap().try_send(news(plural, object).unwrap());
                (200, object.clone())
            }
            _ => (404, missing),
        }
    }
}

impl Service<Request<Body>> for Api {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap_or_default();
            // As long as a server in the same network takes.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            let (code, object) = api.answer(&parts.method, parts.uri.path(), &body);
            let answer =
                Response::builder().status(code).header("content-type", "application/json");
            Ok(answer.body(Body::from(object.to_string().into_bytes())).unwrap())
        })
    }
}

fn path(namespace: &str, plural: &str, name: &str) -> String {
    match plural {
        "secrets" => format!("/api/v1/namespaces/{namespace}/secrets/{name}"),
        "namespaces" => format!("/api/v1/namespaces/{name}"),
        _ => format!("/apis/roster.rs/v1alpha1/namespaces/{namespace}/{plural}/{name}"),
    }
}

fn news(plural: &str, object: &Value) -> Result<ClusterEvent, serde_json::Error> {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    Ok(match plural {
        "users" => ClusterEvent::User(serde_json::from_value(object.clone())?),
        "usergroups" => ClusterEvent::Group(serde_json::from_value(object.clone())?),
        "orgemaildomains" => ClusterEvent::Domain(serde_json::from_value(object.clone())?),
        "namespaces" => {
            ClusterEvent::Namespace(Box::new(serde_json::from_value::<Namespace>(object.clone())?))
        }
        _ => ClusterEvent::Secret {
            key: ObjectKey::new(Kind::Secret, text("namespace"), text("name")),
            seen: CachedSecret { uid: text("uid"), resource_version: text("resourceVersion") },
        },
    })
}
