//! A server in memory that behaves as real ones do that aren't quite what the RFC says, each in a
//! way of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Act, Asked, Proxy};

/// What a server has, and in which ways it is special.
pub(crate) struct Peer {
    quirks: Vec<(String, String)>,
    users: BTreeMap<String, Value>,
    groups: BTreeMap<String, Value>,
    made: u32,
}

type Refusal = (u16, String, &'static str);
type Answer = Result<(u16, Value), Refusal>;

fn refusal<T>(status: u16, detail: &str, kind: &'static str) -> Result<T, Refusal> {
    Err((status, detail.to_owned(), kind))
}

impl Peer {
    /// Starts one with quirks such as `max_count=10`, separated by spaces.
    pub(crate) async fn start(quirks: &str) -> (Arc<Mutex<Self>>, Proxy) {
        let quirk = |quirk: &str| {
            let (name, value) = quirk.split_once('=').unwrap_or((quirk, ""));
            (name.to_owned(), value.to_owned())
        };
        let quirks = quirks.split_whitespace().map(quirk).collect();
        let peer = Arc::new(Mutex::new(Self {
            quirks,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            made: 0,
        }));
        let of_proxy = peer.clone();
        let proxy = Proxy::alone(move |asked| of_proxy.lock().unwrap().act(asked)).await;
        (peer, proxy)
    }

    fn quirk(&self, name: &str) -> Option<&str> {
        self.quirks.iter().find(|(quirk, _)| quirk == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.quirk(name).is_some()
    }

    /// Returns an entry as the server has it.
    pub(crate) fn user(&self, login_name: &str) -> Option<&Value> {
        self.users.values().find(|user| user["userName"] == login_name && user["gone"].is_null())
    }

    /// Changes an entry behind everybody's back.
    pub(crate) fn edit(&mut self, login_name: &str, edit: impl FnOnce(&mut Value)) {
        edit(self.users.values_mut().find(|user| user["userName"] == login_name).unwrap());
    }

    /// Has another entry, as somebody else makes it.
    pub(crate) fn add(&mut self, user: Value) {
        self.users.insert(user["id"].as_str().unwrap().to_owned(), user);
    }

    /// Has everybody out of every group.
    pub(crate) fn empty_groups(&mut self) {
        self.groups.values_mut().for_each(|group| group["members"] = json!([]));
    }

    /// Has nobody of this login name any more.
    pub(crate) fn forget(&mut self, login_name: &str) {
        self.users.retain(|_, user| user["userName"] != login_name);
        self.empty_groups();
    }

    /// Returns the names of the groups that an entry is in.
    pub(crate) fn groups_of(&self, login_name: &str) -> Vec<String> {
        let Some(id) = self.user(login_name).map(|user| user["id"].clone()) else { return vec![] };
        let names = self.groups.values().filter(|group| has_member(group, &id));
        names.map(|group| group["displayName"].as_str().unwrap().to_owned()).collect()
    }

    fn act(&mut self, asked: &Asked) -> Act {
        match self.answer(asked) {
            Ok((204, _)) => Act::Answer(204, vec![], vec![]),
            Ok((status, body)) => Act::json(status, &body),
            Err((status, detail, kind)) => {
                let mut body = json!({ "status": status.to_string(), "detail": detail });
                if !kind.is_empty() && !self.has("no_scim_type") {
                    body["scimType"] = kind.into();
                }
                Act::json(status, &body)
            }
        }
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.path == "/ServiceProviderConfig" {
            return self.config();
        }
        let mut parts = asked.path.trim_start_matches('/').splitn(2, '/');
        let (kind, id) = (parts.next().unwrap().to_owned(), parts.next());
        match (asked.method.as_str(), id) {
            _ if !["Users", "Groups"].contains(&kind.as_str()) => {
                refusal(404, "no such endpoint", "")
            }
            ("GET", None) => self.list(&kind, &asked.query),
            ("POST", None) => self.create(&kind, asked.body.clone()),
            (_, None) => refusal(405, "no", ""),
            (_, Some(id)) if !self.all(&kind).contains_key(id) => {
                refusal(404, "no such resource", "")
            }
            (_, Some(id)) if !self.all(&kind)[id]["gone"].is_null() => {
                refusal(404, "no such resource", "")
            }
            ("GET", Some(id)) => Ok((200, self.shown(&kind, &self.all(&kind)[id]))),
            ("DELETE", Some(id)) => self.delete(&kind, id),
            ("PUT", Some(_)) if self.has("no_put") => refusal(501, "PUT isn't implemented", ""),
            ("PATCH", Some(_)) if self.has("no_patch") => {
                refusal(501, "PATCH isn't implemented", "")
            }
            ("PUT", Some(id)) => {
                let mut whole = asked.body.clone();
                whole["id"] = id.into();
                self.put(&kind, id, whole)
            }
            (_, Some(id)) => {
                let mut changed = self.all(&kind)[id].clone();
                for operation in asked.body["Operations"].as_array().unwrap() {
                    self.patch(&mut changed, operation)?;
                }
                let answer = self.put(&kind, id, changed)?;
                Ok(if self.has("patch_204") { (204, Value::Null) } else { answer })
            }
        }
    }

    fn all(&self, kind: &str) -> &BTreeMap<String, Value> {
        if kind == "Users" { &self.users } else { &self.groups }
    }

    fn all_mut(&mut self, kind: &str) -> &mut BTreeMap<String, Value> {
        if kind == "Users" { &mut self.users } else { &mut self.groups }
    }

    fn config(&self) -> Answer {
        if let Some(status) = self.quirk("spc") {
            return refusal(status.parse().unwrap(), "no", "");
        }
        let says = |it: bool| {
            if self.has("spc_strings") { Value::from(it.to_string()) } else { it.into() }
        };
        let most = self
            .quirk("max_count")
            .filter(|_| !self.has("unannounced"))
            .map_or(200, |most| most.parse().unwrap());
        let most =
            if self.has("spc_strings") { Value::from(most.to_string()) } else { most.into() };
        Ok((
            200,
            json!({
                "patch": { "supported": says(!self.has("no_patch")) },
                "bulk": { "supported": says(false), "maxOperations": 0, "maxPayloadSize": 0 },
                "filter": { "supported": says(true), "maxResults": most },
                "etag": { "supported": says(false) },
            }),
        ))
    }

    fn list(&self, kind: &str, query: &str) -> Answer {
        let parameter = |name: &str| {
            query.split('&').find_map(|part| part.strip_prefix(&format!("{name}="))).map(decoded)
        };
        let count: usize = parameter("count").map_or(100, |count| count.parse().unwrap());
        let start: usize = parameter("startIndex").map_or(1, |start| start.parse().unwrap());
        if let Some(most) = self.quirk("max_count").filter(|most| count > most.parse().unwrap()) {
            let named = if self.has("unannounced") { "fewer" } else { most };
            return refusal(
                400,
                &format!("Limit count exceeded, set a count <= {named}"),
                "invalidValue",
            );
        }
        let filter = parameter("filter");
        let mut found = vec![];
        for resource in self.all(kind).values() {
            if filter.as_ref().map_or(Ok(true), |filter| self.meets(resource, filter))? {
                found.push(resource);
            }
        }
        if filter.is_some() && found.is_empty() && self.has("missing_404") {
            return refusal(404, "Resource not found", "");
        }
        let page: Vec<Value> =
            found.iter().skip(start - 1).take(count).map(|it| self.shown(kind, it)).collect();
        let total = if self.has("string_total") {
            Value::from(found.len().to_string())
        } else {
            found.len().into()
        };
        let mut body = json!({ "totalResults": total, "startIndex": start, "Resources": page });
        if page.is_empty() && self.has("no_resources") {
            body.as_object_mut().unwrap().remove("Resources");
        }
        if self.has("no_total") {
            body.as_object_mut().unwrap().remove("totalResults");
        }
        Ok((200, body))
    }

    fn meets(&self, resource: &Value, filter: &str) -> Result<bool, Refusal> {
        if self.has("eq_only") && (filter.contains(" or ") || !filter.contains(" eq ")) {
            return refusal(400, "Only eq with and is supported", "invalidFilter");
        }
        let one = |condition: &str| {
            let mut words = condition.splitn(3, ' ');
            let (path, operator) = (words.next().unwrap(), words.next().unwrap());
            let wanted: String =
                words.next().map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default();
            let values: Vec<&Value> = match path.split_once('.') {
                Some((list, part)) => {
                    resource[list].as_array().into_iter().flatten().map(|it| &it[part]).collect()
                }
                None => vec![&resource[path]],
            };
            values.iter().filter_map(|value| value.as_str()).any(|value| match operator {
                "eq" => value == wanted,
                "sw" => value.starts_with(&wanted),
                _ => true,
            })
        };
        Ok(filter.split(" or ").any(one))
    }

    fn create(&mut self, kind: &str, mut body: Value) -> Answer {
        self.check(kind, &mut body)?;
        let name = if kind == "Users" { "userName" } else { "displayName" };
        if self.all(kind).values().any(|other| other[name] == body[name]) {
            return refusal(409, "exists", "uniqueness");
        }
        if kind == "Groups" && body["members"].is_array() {
            if self.has("refuse_members") {
                return refusal(400, "members can't be given on creation", "invalidValue");
            }
            if self.has("ignore_members") {
                body.as_object_mut().unwrap().remove("members");
            }
        }
        self.made += 1;
        let id = (1000 + self.made).to_string();
        body["id"] = id.clone().into();
        let shown = self.shown(kind, &body);
        self.all_mut(kind).insert(id, body);
        Ok((if self.has("post_200") { 200 } else { 201 }, shown))
    }

    fn put(&mut self, kind: &str, id: &str, mut body: Value) -> Answer {
        self.check(kind, &mut body)?;
        if kind == "Users" {
            for attribute in self
                .quirk("stubborn")
                .into_iter()
                .flat_map(|all| all.split(','))
                .map(str::to_owned)
                .collect::<Vec<_>>()
            {
                body[attribute.as_str()] = self.users[id][attribute.as_str()].clone();
            }
        }
        let shown = self.shown(kind, &body);
        self.all_mut(kind).insert(id.to_owned(), body);
        Ok((200, shown))
    }

    fn delete(&mut self, kind: &str, id: &str) -> Answer {
        if kind == "Users" && self.has("soft_delete") {
            let user = self.users.get_mut(id).unwrap();
            (user["active"], user["gone"]) = (false.into(), true.into());
            return Ok((204, Value::Null));
        }
        if kind == "Users" && self.has("undying") {
            return Ok((204, Value::Null));
        }
        self.all_mut(kind).remove(id);
        for group in self.groups.values_mut() {
            if let Some(members) = group["members"].as_array_mut() {
                members.retain(|member| member["value"] != id);
            }
        }
        Ok((204, Value::Null))
    }

    /// Refuses what the server doesn't take, and changes what it keeps in its own way.
    fn check(&self, kind: &str, body: &mut Value) -> Result<(), Refusal> {
        let all = body.as_object_mut().unwrap();
        if kind == "Groups" {
            if self.has("no_group_external_id") {
                all.remove("externalId");
            }
            return Ok(());
        }
        let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        if self.has("names")
            && !(text(&all["name"]["givenName"]) && text(&all["name"]["familyName"]))
        {
            return refusal(
                400,
                "name.givenName and name.familyName are required",
                "invalidSyntax",
            );
        }
        if let Some(name) = self
            .quirk("refuse")
            .into_iter()
            .flat_map(|all| all.split(','))
            .find(|name| all.contains_key(*name))
        {
            return refusal(400, &format!("unsupported attribute {name}"), "invalidSyntax");
        }
        if self.has("email_name") && !all["userName"].as_str().unwrap().contains('@') {
            return refusal(400, "userName has to be an email address", "invalidValue");
        }
        if self.has("lower_phone") {
            for phone in
                all.get_mut("phoneNumbers").and_then(Value::as_array_mut).into_iter().flatten()
            {
                let digits = phone["value"].as_str().unwrap().replace(' ', "");
                phone["value"] = digits.into();
            }
        }
        if self.has("lower") {
            for email in all.get_mut("emails").and_then(Value::as_array_mut).into_iter().flatten() {
                email["type"] = "Work".into();
            }
        }
        for name in self.quirk("drop").into_iter().flat_map(|all| all.split(',')) {
            all.remove(name);
        }
        Ok(())
    }

    fn patch(&self, resource: &mut Value, operation: &Value) -> Result<(), Refusal> {
        let all = resource.as_object_mut().unwrap();
        let (op, path, value) = (
            operation["op"].as_str().unwrap(),
            operation["path"].as_str().unwrap(),
            &operation["value"],
        );
        if let Some(filter) =
            path.strip_prefix("members[value eq ").and_then(|rest| rest.strip_suffix(']'))
        {
            let id: Value = serde_json::from_str(filter).unwrap();
            if !self.has("clinging")
                && let Some(members) = all.get_mut("members").and_then(Value::as_array_mut)
            {
                members.retain(|member| member["value"] != id);
            }
            return Ok(());
        }
        match (op, path.split_once('.')) {
            ("remove", None) => drop(all.remove(path)),
            ("replace", Some((name, part))) => {
                all.entry(name).or_insert_with(|| json!({}))[part] = value.clone()
            }
            ("add", None) if value.is_array() => {
                let mut has = all.get(path).and_then(Value::as_array).cloned().unwrap_or_default();
                for one in value.as_array().unwrap() {
                    match has.iter().any(|it| it["value"] == one["value"]) {
                        true if self.has("no_dup") => {
                            return refusal(500, "member is there already", "");
                        }
                        true => {}
                        false => has.push(one.clone()),
                    }
                }
                all.insert(path.to_owned(), has.into());
            }
            _ => drop(all.insert(path.to_owned(), value.clone())),
        }
        Ok(())
    }

    fn shown(&self, kind: &str, resource: &Value) -> Value {
        let mut shown = resource.clone();
        let number = |id: &Value| id.as_str().unwrap().parse::<u64>().unwrap();
        if kind == "Users" {
            let groups = self.groups.values().filter(|group| has_member(group, &resource["id"]));
            let groups: Vec<Value> = groups
                .map(|group| json!({ "value": group["id"], "display": group["displayName"] }))
                .collect();
            if !groups.is_empty() && !self.has("no_groups") {
                shown["groups"] = groups.into();
            }
            shown.as_object_mut().unwrap().remove("password");
            if self.has("string_active") && shown["active"].is_boolean() {
                shown["active"] = if shown["active"] == true { "True" } else { "False" }.into();
            }
        } else {
            if self.has("hidden_group_external_id") {
                shown.as_object_mut().unwrap().remove("externalId");
            }
            if self.has("null_members") && shown["members"].as_array().is_none_or(Vec::is_empty) {
                shown["members"] = Value::Null;
            }
            if self.has("int_id") {
                for member in shown["members"].as_array_mut().into_iter().flatten() {
                    member["value"] = number(&member["value"]).into();
                }
            }
        }
        if self.has("int_id") {
            shown["id"] = number(&resource["id"]).into();
        }
        shown
    }
}

fn has_member(group: &Value, id: &Value) -> bool {
    group["members"]
        .as_array()
        .is_some_and(|members| members.iter().any(|member| member["value"] == *id))
}

/// Takes the escapes out of a part of a query.
fn decoded(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
