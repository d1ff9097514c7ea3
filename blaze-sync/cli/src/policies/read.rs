//! A file of policies, read strictly: what isn't understood is an error, for what is left out by
//! mistake would be shown, or hidden.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use blaze_sync::{Condition, Name, Rule, Scope, ScopeError, Value, check_policy_name};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::rows::{integer_problem, without_place};

const FIELDS: &str = "fields";
const WHERE: &str = "where";
const ANY: &str = "$any";
const NOT: &str = "$not";
/// The conditions on a field.
const OPERATORS: [&str; 4] = ["$in", "$has", "$below", "$above"];
/// What stands beside fields.
const BESIDE: &str = "beside fields there are \"$any\": [{...}, ...] and \"$not\": {...}";
/// What a field may be held to.
const ON_A_FIELD: &str = "on a field there are a value, \"$in\": [values], \"$has\": value, \
                          \"$below\": value and \"$above\": value";

/// The policies of a text.
///
/// # Errors
///
/// A sentence that says where what is wrong, and what is allowed there.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, Arc<Scope>>, String> {
    if let Some(problem) = integer_problem(text.as_bytes()) {
        return Err(problem);
    }
    // The one error that has its place in the whole text.
    let whole = serde_json::from_str::<&RawValue>(text).map_err(|error| error.to_string())?;
    let policies = object(whole, r#"policies by their names, such as {"anna": {"notes": {}}}"#)?;
    let parsed = policies.into_iter().map(|(name, raw)| {
        check_policy_name(&name).map_err(|error| error.to_string())?;
        let scope = scope(raw).map_err(|problem| format!("policy {name:?}{problem}"))?;
        Ok((name, Arc::new(scope)))
    });
    parsed.collect()
}

/// What a problem is preceded by has no colon yet, as it may be in a collection.
fn scope(raw: &RawValue) -> Result<Scope, String> {
    let what = r#"collections by their names, such as {"notes": {}}"#;
    let collections = object(raw, what).map_err(|problem| format!(": {problem}"))?;
    let mut scope = Scope::new();
    for (collection, raw) in collections {
        let placed = |problem: String| format!(", collection {collection:?}: {problem}");
        let name = named(&collection).map_err(placed)?;
        scope = scope.with(name, rule(raw).map_err(placed)?);
    }
    scope.check().map_err(|error| format!(": {error}"))?;
    Ok(scope)
}

fn rule(raw: &RawValue) -> Result<Rule, String> {
    let what = r#"what is seen of it: {} for all, or "fields" and "where""#;
    let mut rule = Rule::all();
    for (part, raw) in object(raw, what)? {
        match part.as_str() {
            FIELDS => rule = rule.only(fields(raw)?),
            WHERE => {
                let conditions =
                    conditions(raw, 1).map_err(|problem| format!("where: {problem}"))?;
                if !conditions.is_empty() {
                    rule = rule.when(all(conditions));
                }
            }
            other => {
                return Err(format!("there is no {other:?}; there are \"fields\" and \"where\""));
            }
        }
    }
    Ok(rule)
}

fn fields(raw: &RawValue) -> Result<Vec<Name>, String> {
    let names = serde_json::from_str::<Vec<String>>(raw.get());
    let expected =
        |_| r#"fields: expected an array of names, such as ["text", "owner"]"#.to_owned();
    let name = |field: &String| named(field).map_err(|problem| format!("fields: {problem}"));
    names.map_err(expected)?.iter().map(name).collect()
}

/// The conditions in an object, in the order of their fields: who only writes them in another
/// order doesn't make it another policy, by which everything would be exchanged anew.
fn conditions(raw: &RawValue, depth: usize) -> Result<Vec<Condition>, String> {
    let max = Scope::DEPTH_MAX;
    if depth > max {
        return Err(ScopeError::TooDeep { max }.to_string());
    }
    let entries = object(raw, r#"conditions, such as {"owner": "anna"}"#)?;
    let mut found = Vec::with_capacity(entries.len());
    for (entry, raw) in entries {
        let placed = |problem: String| format!("{entry:?}: {problem}");
        match (entry.as_str(), entry.strip_prefix('$')) {
            (ANY, _) => found.push(any(raw, depth + 1).map_err(placed)?),
            (NOT, _) => {
                let inner = conditions(raw, depth + 1).map_err(placed)?;
                found.push(Condition::Not(Box::new(all(inner))));
            }
            (_, Some(field)) if field.starts_with('$') => {
                found.extend(on_field(field, raw).map_err(placed)?);
            }
            (_, Some(_)) => return Err(format!("there is no {entry:?}; {BESIDE}; {ON_A_FIELD}")),
            (field, None) => found.extend(on_field(field, raw).map_err(placed)?),
        }
    }
    Ok(found)
}

fn any(raw: &RawValue, depth: usize) -> Result<Condition, String> {
    let expected = |_| r#"expected an array of conditions, such as [{"owner": "anna"}]"#.to_owned();
    let parts = serde_json::from_str::<Vec<&RawValue>>(raw.get()).map_err(expected)?;
    let parts = parts.into_iter().map(|raw| conditions(raw, depth).map(all));
    Ok(Condition::Any(parts.collect::<Result<_, _>>()?))
}

/// All of them, as shortly as it can be said.
fn all(mut conditions: Vec<Condition>) -> Condition {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => Condition::All(conditions),
    }
}

/// What a field is held to.
fn on_field(field: &str, raw: &RawValue) -> Result<Vec<Condition>, String> {
    let field = named(field)?;
    let entries = if raw.get().starts_with('{') { object(raw, "it")? } else { BTreeMap::new() };
    if !entries.keys().any(|name| OPERATORS.contains(&name.as_str())) {
        let value = value(raw).map_err(|problem| match entries.keys().next() {
            Some(first) if first.starts_with('$') => format!("{problem}; {ON_A_FIELD}"),
            _ => problem,
        })?;
        return Ok(vec![Condition::Is(field, value)]);
    }
    let entries = entries.into_iter();
    entries.map(|(operator, raw)| compared(field.clone(), &operator, raw)).collect()
}

fn compared(field: Name, operator: &str, raw: &RawValue) -> Result<Condition, String> {
    let placed = |problem: String| format!("{operator:?}: {problem}");
    let value = value(raw).map_err(placed)?;
    match (operator, value) {
        ("$in", Value::Array(values)) => Ok(Condition::In(field, values)),
        ("$in", _) => Err(placed("expected an array of values".to_owned())),
        ("$has", value) => Ok(Condition::Has(field, value)),
        ("$below", value) => Ok(Condition::Below(field, ordered(value).map_err(placed)?)),
        ("$above", value) => Ok(Condition::Above(field, ordered(value).map_err(placed)?)),
        _ => Err(format!("there is no {operator:?}; {ON_A_FIELD}")),
    }
}

/// A value that others can be less or greater than.
fn ordered(value: Value) -> Result<Value, String> {
    match value {
        Value::Int(_) | Value::Float(_) | Value::Timestamp(_) | Value::Text(_) => Ok(value),
        _ => Err("only integers, floats, timestamps and texts have an order".to_owned()),
    }
}

fn value(raw: &RawValue) -> Result<Value, String> {
    serde_json::from_str(raw.get()).map_err(|error| without_place(&error))
}

fn named(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

/// The entries of an object.
fn object<'t>(raw: &'t RawValue, what: &str) -> Result<BTreeMap<String, &'t RawValue>, String> {
    if !raw.get().starts_with('{') {
        return Err(format!("expected an object of {what}; found {}", shortened(raw.get())));
    }
    let object = serde_json::from_str::<Object<'t>>(raw.get());
    object.map(|object| object.0).map_err(|error| without_place(&error))
}

/// Enough of a text to find it again.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An object in which no name comes twice: which of two would hold nobody could tell.
struct Object<'t>(BTreeMap<String, &'t RawValue>);

impl<'t> Deserialize<'t> for Object<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'t> Visitor<'t> for ObjectVisitor {
    type Value = Object<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
            if entries.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{name:?} comes twice")));
            }
            entries.insert(name, raw);
        }
        Ok(Object(entries))
    }
}
