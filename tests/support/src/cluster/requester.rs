//! Somebody who makes requests in an organization.

use std::fmt;

use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::run;

/// Somebody who makes requests in an organization: an administrator, the operator's service account
/// or a person.
#[derive(Clone)]
pub struct Requester {
    client: Client,
    namespace: String,
    dry_run: bool,
}

/// Why the API server refused a request.
#[derive(Clone)]
pub struct Refusal {
    pub code: u16,
    pub message: String,
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

impl From<kube::Error> for Refusal {
    #[track_caller]
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self { code: status.code, message: status.message },
            other => panic!("the API server can't be reached: {other}"),
        }
    }
}

type Answer = Result<Value, Refusal>;

impl Requester {
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), dry_run: false }
    }

    /// Returns the namespace that the requests are about.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the requester's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns the same requester, whose requests are checked but leave nothing behind.
    pub fn dry_run(&self) -> Self {
        Self { dry_run: true, ..self.clone() }
    }

    /// Returns the typed interface to the objects of the organization.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates an object of any kind.
    pub fn create(&self, object: &Value) -> Answer {
        let kind = object["kind"].as_str().expect("a kind");
        let object: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
        answer(run(self.objects(kind).create(&self.post(), &object)))
    }

    /// Replaces an object as `kubectl replace` does.
    pub fn replace(&self, object: &Value) -> Answer {
        let (kind, name) = (
            object["kind"].as_str().expect("a kind"),
            object["metadata"]["name"].as_str().expect("a name"),
        );
        let object: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
        answer(run(self.objects(kind).replace(name, &self.post(), &object)))
    }

    /// Patches an object (JSON Merge Patch).
    pub fn patch(&self, kind: &str, name: &str, patch: &Value) -> Answer {
        answer(run(self.objects(kind).patch(name, &self.patching(), &Patch::Merge(patch))))
    }

    /// Applies an object as `kubectl apply --server-side` does, in a field manager's name.
    pub fn apply(&self, object: &Value) -> Answer {
        let (kind, name) = (
            object["kind"].as_str().expect("a kind"),
            object["metadata"]["name"].as_str().expect("a name"),
        );
        let parameters = PatchParams {
            field_manager: Some("somebody".to_owned()),
            force: true,
            ..self.patching()
        };
        answer(run(self.objects(kind).patch(name, &parameters, &Patch::Apply(object))))
    }

    /// Patches an object (JSON Patch).
    pub fn json_patch(&self, kind: &str, name: &str, operations: Value) -> Answer {
        let operations = serde_json::from_value(operations).expect("a JSON Patch");
        answer(run(self.objects(kind).patch(
            name,
            &self.patching(),
            &Patch::<Value>::Json(operations),
        )))
    }

    /// Patches an object's status (JSON Merge Patch).
    pub fn patch_status(&self, kind: &str, name: &str, status: &Value) -> Answer {
        let patch = json!({"status": status});
        answer(run(self.objects(kind).patch_status(name, &self.patching(), &Patch::Merge(patch))))
    }

    /// Patches a subresource (JSON Merge Patch).
    pub fn patch_subresource(
        &self,
        kind: &str,
        name: &str,
        subresource: &str,
        patch: &Value,
    ) -> Answer {
        answer(run(self.objects(kind).patch_subresource(
            subresource,
            name,
            &self.patching(),
            &Patch::Merge(patch),
        )))
    }

    /// Deletes an object.
    pub fn delete(&self, kind: &str, name: &str) -> Result<(), Refusal> {
        run(self.objects(kind).delete(name, &self.deleting())).map(drop).map_err(Refusal::from)
    }

    /// Deletes all objects of a kind in one request.
    pub fn delete_all(&self, kind: &str) -> Result<(), Refusal> {
        run(self
            .objects(kind)
            .delete_collection(&self.deleting(), &kube::api::ListParams::default()))
        .map(drop)
        .map_err(Refusal::from)
    }

    /// Returns an object, unless it isn't there.
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let object = run(self.objects(kind).get_opt(name)).expect("the object can be read")?;
        Some(serde_json::to_value(object).expect("an object is JSON"))
    }

    fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version, plural) = match kind {
            "User" | "UserGroup" | "OrgEmailDomain" => {
                ("roster.rs", "v1alpha1", format!("{}s", kind.to_lowercase()))
            }
            "Namespace" | "Secret" | "ConfigMap" | "PersistentVolumeClaim" => {
                ("", "v1", format!("{}s", kind.to_lowercase()))
            }
            "Deployment" => ("apps", "v1", "deployments".to_owned()),
            "ClusterRole" | "ClusterRoleBinding" | "RoleBinding" => {
                ("rbac.authorization.k8s.io", "v1", format!("{}s", kind.to_lowercase()))
            }
            _ => panic!("tell the harness about {kind}"),
        };
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(group, version, kind),
            &plural,
        );
        match kind {
            "Namespace" | "ClusterRole" | "ClusterRoleBinding" => {
                Api::all_with(self.client.clone(), &resource)
            }
            _ => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        }
    }

    fn post(&self) -> PostParams {
        PostParams { dry_run: self.dry_run, ..PostParams::default() }
    }

    fn patching(&self) -> PatchParams {
        PatchParams { dry_run: self.dry_run, ..PatchParams::default() }
    }

    fn deleting(&self) -> DeleteParams {
        DeleteParams { dry_run: self.dry_run, ..DeleteParams::default() }
    }
}

fn answer(result: Result<DynamicObject, kube::Error>) -> Answer {
    result
        .map(|object| serde_json::to_value(object).expect("an object is JSON"))
        .map_err(Refusal::from)
}
