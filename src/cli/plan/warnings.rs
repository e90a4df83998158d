//! What `kubectl` prints as warnings when a `User` is applied: the shipped admission policy,
//! evaluated here for manifests that aren't applied with kubectl.

use std::collections::HashMap;

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use kube_cel::KubeCelExt;
use kube_cel::cel::parser::{Expression, Parser};
use kube_cel::cel::{Context, Value as CelValue, to_value};
use regex::Regex;
use serde_json::{Value, json};

use crate::cli::Failure;

/// The only policy of `deploy/policies` whose binding warns.
const POLICY: &str = include_str!("../../../deploy/policies/please-note.yaml");

/// An admission policy that warns, compiled.
pub(super) struct WarningPolicy {
    functions: Context<'static>,
    conditions: Vec<Expression>,
    variables: Vec<(String, Expression)>,
    validations: Vec<(Expression, Expression)>,
}

impl WarningPolicy {
    /// Compiles the shipped policy.
    ///
    /// # Errors
    /// When it isn't a policy, or an expression of it can't be compiled.
    pub(super) fn shipped() -> Result<Self, Failure> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(POLICY)?;
        let policy = documents.into_iter().next().unwrap_or_default();
        let policy: ValidatingAdmissionPolicy = serde_json::from_value(policy)?;
        let spec = policy.spec.unwrap_or_default();
        let mut compiled = Self {
            functions: Context::default().with_all(),
            conditions: vec![],
            variables: vec![],
            validations: vec![],
        };
        for condition in spec.match_conditions.unwrap_or_default() {
            compiled.conditions.push(compile(&condition.expression)?);
        }
        for variable in spec.variables.unwrap_or_default() {
            compiled.variables.push((variable.name, compile(&variable.expression)?));
        }
        for validation in spec.validations.unwrap_or_default() {
            // A constant message is an expression as well: a JSON string is one of CEL.
            let constant = || json!(validation.message).to_string();
            let message = validation.message_expression.clone().unwrap_or_else(constant);
            compiled.validations.push((compile(&validation.expression)?, compile(&message)?));
        }
        Ok(compiled)
    }

    /// Returns the warnings about a `User` that is created, or edited where there is an old one.
    ///
    /// `failurePolicy` is `Ignore`: what can't be evaluated is allowed, which holds for all that
    /// asks the API server's `authorizer` too.
    pub(super) fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        let mut scope = self.functions.new_inner_scope();
        let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
        let request = json!({ "operation": operation });
        for (name, value) in
            [("object", object), ("oldObject", old.unwrap_or(&Value::Null)), ("request", &request)]
        {
            bind(&mut scope, name, value);
        }
        let is = |scope: &Context<'_>, expression, wanted| matches!(scope.resolve(expression), Ok(CelValue::Bool(value)) if value == wanted);
        if !self.conditions.iter().all(|condition| is(&scope, condition, true)) {
            return vec![];
        }
        let mut variables = HashMap::new();
        for (name, expression) in &self.variables {
            if let Ok(value) = scope.resolve(expression) {
                variables.insert(name.clone(), value);
                scope.add_variable_from_value("variables", variables.clone());
            }
        }
        let broken = self.validations.iter().filter(|(allowed, _)| is(&scope, allowed, false));
        let message = |(_, message): &(_, Expression)| match scope.resolve(message) {
            Ok(CelValue::String(text)) => Some(text.to_string()),
            _ => None,
        };
        broken.filter_map(message).collect()
    }
}

/// Compiles an expression.
///
/// The CEL library fails on `object.?field` where the field is missing, and nests the optionals of
/// `object.?one.?two`. Its `object[?'field']`, which means the same, does neither.
fn compile(expression: &str) -> Result<Expression, Failure> {
    let optional_field = Regex::new(r"\.\?([A-Za-z_][A-Za-z0-9_]*)")?;
    let expression = optional_field.replace_all(expression, "[?'$1']");
    Ok(Parser::new().enable_optional_syntax(true).parse(&expression)?)
}

fn bind(scope: &mut Context<'_>, name: &str, value: &Value) {
    // JSON has nothing that CEL lacks, so this can't fail.
    let value = to_value(value).unwrap_or(CelValue::Null);
    scope.add_variable_from_value(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice(spec: &Value) -> Value {
        json!({"metadata": {"name": "alice"}, "spec": spec})
    }

    #[track_caller]
    fn check(spec: &Value, old: Option<&Value>, expected: &[&str]) {
        let policy = WarningPolicy::shipped().unwrap();
        let warnings = policy.warnings(&alice(spec), old.map(alice).as_ref());
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        for (warning, start) in warnings.iter().zip(expected) {
            assert!(warning.starts_with(start), "{warning}");
        }
    }

    const NO_ACCOUNT: &str = "no account is created for alice until spec.chargeApproved is true; ";

    #[test]
    fn a_new_user_is_told_of_the_charge() {
        let approved = json!({"chargeApproved": true, "permissions": {"grants": ["a"]}});
        check(
            &approved,
            None,
            &["an additional charge applies to alice for every calendar month "],
        );
        check(&json!({}), None, &[NO_ACCOUNT]);
        check(&json!({"permissions": {}}), None, &[NO_ACCOUNT]);
        for permissions in [json!({"grants": ["a"]}), json!({"from": {"name": "bob"}})] {
            let adding = "adding permissions doesn't create an account for alice ";
            check(&json!({"permissions": permissions}), None, &[NO_ACCOUNT, adding]);
        }
    }

    #[test]
    fn an_edit_is_told_what_goes_on() {
        let old = json!({
            "chargeApproved": true, "groupRef": {"name": "drivers"},
            "permissions": {"grants": ["a", "b"], "from": {"name": "bob", "mode": "Inherit"}},
        });
        check(&old, Some(&old), &[]);
        let removed = "removing permissions neither deletes the account of alice ";
        for (pointer, value) in [
            ("/permissions", json!({})),
            ("/permissions/grants", json!(["b"])),
            ("/permissions/from/name", json!("carol")),
            ("/permissions/from/mode", json!("Clone")),
        ] {
            let mut spec = old.clone();
            *spec.pointer_mut(pointer).unwrap() = value;
            check(&spec, Some(&old), &[removed]);
        }
        let left = "leaving the group drivers neither deletes the account of alice ";
        let disabled = "disabling alice doesn't stop its billing; ";
        let spec = json!({"chargeApproved": true, "state": "Disabled"});
        check(&spec, Some(&old), &[removed, left, disabled]);
    }

    #[test]
    fn a_user_that_is_being_deleted_is_told_nothing() {
        let mut old = alice(&json!({"chargeApproved": true, "groupRef": {"name": "drivers"}}));
        let new = alice(&json!({"chargeApproved": true}));
        let policy = WarningPolicy::shipped().unwrap();
        assert_eq!(policy.warnings(&new, Some(&old)).len(), 1);
        old["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(policy.warnings(&new, Some(&old)), [""; 0]);
    }

    #[test]
    fn every_expression_that_needs_no_deletion_can_be_evaluated() {
        let policy = WarningPolicy::shipped().unwrap();
        let mut scope = policy.functions.new_inner_scope();
        let user = alice(&json!({}));
        for (name, value) in
            [("object", &user), ("oldObject", &user), ("request", &json!({"operation": "UPDATE"}))]
        {
            bind(&mut scope, name, value);
        }
        let mut variables = HashMap::new();
        for (name, expression) in &policy.variables {
            variables.insert(name.clone(), scope.resolve(expression).unwrap());
            scope.add_variable_from_value("variables", variables.clone());
        }
        for (allowed, message) in &policy.validations {
            assert!(matches!(scope.resolve(allowed), Ok(CelValue::Bool(_))), "{allowed:?}");
            assert!(matches!(scope.resolve(message), Ok(CelValue::String(_))), "{message:?}");
        }
    }

    #[test]
    fn no_other_policy_warns() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policies");
        let warning = std::fs::read_dir(folder).unwrap().filter_map(|file| {
            let file = file.unwrap();
            // Policies that change objects, in a folder of their own, have no actions.
            if file.path().is_dir() {
                return None;
            }
            let text = std::fs::read_to_string(file.path()).unwrap();
            let warns = text
                .lines()
                .any(|line| line.contains("validationActions") && line.contains("Warn"));
            warns.then(|| file.file_name())
        });
        assert_eq!(warning.collect::<Vec<_>>(), ["please-note.yaml"]);
    }
}
