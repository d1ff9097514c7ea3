//! Which part of a database a peer may see and write.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::{Change, DecodeError, Name, Record, Value, binary, limits};

/// The part of a database that a peer may see and write: collections, fields of them, and
/// a condition that a record has to meet. Whatever isn't named is outside.
///
/// ```
/// use blaze_codec::{Condition, Rule, Scope, record};
///
/// let scope = Scope::new()
///     .with("tags".parse()?, Rule::all())
///     .with("notes".parse()?, Rule::all().only(["text".parse()?]).when(
///         Condition::is("owner".parse()?, "anna"),
///     ));
/// let notes = scope.rule("notes").unwrap();
/// let mine = record! { "owner" => "anna", "text" => "hi" };
/// assert!(notes.meets(|field| mine.get(field)));
/// assert!(notes.shows("text") && !notes.shows("owner"));
/// assert!(scope.rule("salaries").is_none());
/// # Ok::<(), blaze_codec::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    rules: BTreeMap<Name, Rule>,
}

/// What a peer may see and write of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    fields: Option<BTreeSet<Name>>,
    condition: Option<Condition>,
}

/// What a record has to meet. A field that is missing meets nothing but a [`Self::Not`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// The field has this value.
    Is(Name, Value),
    /// The field has one of these values.
    In(Name, Vec<Value>),
    /// The field is an array that has this value.
    Has(Name, Value),
    /// The field is less than this value, and of its kind.
    Below(Name, Value),
    /// The field is greater than this value, and of its kind.
    Above(Name, Value),
    /// All of these are met.
    All(Vec<Condition>),
    /// One of these is met.
    Any(Vec<Condition>),
    /// This isn't met.
    Not(Box<Condition>),
}

/// Why a scope can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// Its conditions lie within each other too deep.
    #[error("conditions lie within each other more than {max} deep")]
    TooDeep {
        /// How deep they may.
        max: usize,
    },
    /// It takes too many bytes.
    #[error("a scope of {found} bytes is too long, at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
}

const FIELDS: &str = "fields";
const WHERE: &str = "where";

impl Scope {
    /// How deep conditions may lie within each other.
    pub const DEPTH_MAX: usize = 16;
    /// The most bytes that one takes when a peer is told of it.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// A scope of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a collection, by this rule.
    #[must_use]
    pub fn with(mut self, collection: Name, rule: Rule) -> Self {
        self.rules.insert(collection, rule);
        self
    }

    /// The rule for a collection; `None` if it is outside.
    pub fn rule(&self, collection: &str) -> Option<&Rule> {
        self.rules.get(collection)
    }

    /// The rules, in the order of the collections' names.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (&Name, &Rule)> {
        self.rules.iter()
    }

    /// The same without conditions: what a peer is told, so that it sends nothing that it may
    /// not write. Conditions may name what it may not see.
    #[must_use]
    pub fn told(&self) -> Self {
        let told = |rule: &Rule| Rule { fields: rule.fields.clone(), condition: None };
        Self { rules: self.rules.iter().map(|(name, rule)| (name.clone(), told(rule))).collect() }
    }

    /// Whether it can be told, and judged in bounded time.
    ///
    /// # Errors
    ///
    /// [`ScopeError`] names the limit that it breaks.
    pub fn check(&self) -> Result<(), ScopeError> {
        let conditions = self.rules.values().filter_map(|rule| rule.condition.as_ref());
        let (depth, max) = (conditions.map(Condition::depth).max(), Self::DEPTH_MAX);
        if depth > Some(max) {
            return Err(ScopeError::TooDeep { max });
        }
        let (found, max) = (self.encode().len(), Self::BYTES_MAX);
        if found > max { Err(ScopeError::TooLong { found, max }) } else { Ok(()) }
    }

    /// Its bytes: BlazeBinary of a map, as `FORMAT.md` lays down. Equal scopes have equal
    /// bytes.
    pub fn encode(&self) -> Vec<u8> {
        let rules = self.rules.iter().map(|(name, rule)| (name.clone(), rule.to_value()));
        let mut bytes = Vec::new();
        binary::encode_value(&Value::Map(rules.collect()), &mut bytes);
        bytes
    }

    /// The scope of these bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if they aren't those of a scope, or break a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::check(limits::what::SCOPE_BYTES, bytes.len(), Self::BYTES_MAX)?;
        let malformed = DecodeError::Malformed { what: "scope", at: 0 };
        let Value::Map(rules) = binary::decode_all(bytes)? else { return Err(malformed) };
        let rule = |(name, value): (&Name, &Value)| Some((name.clone(), Rule::of_value(value)?));
        let rules = rules.iter().map(rule).collect::<Option<_>>();
        rules.map(|rules| Self { rules }).ok_or(malformed)
    }

    /// A number that tells it from others: FNV-1a of its bytes, spread to all bits, never 0. Who
    /// sees a database through another scope sees another feed.
    pub fn digest(&self) -> u64 {
        let digest = self.encode().iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // The last bytes hardly reach the upper bits, by which views are told apart.
        digest.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1)
    }
}

impl Rule {
    /// All of a collection.
    pub const fn all() -> Self {
        Self { fields: None, condition: None }
    }

    /// The same, but of each record only these fields.
    #[must_use]
    pub fn only(self, fields: impl IntoIterator<Item = Name>) -> Self {
        Self { fields: Some(fields.into_iter().collect()), ..self }
    }

    /// The same, but only records that meet a condition.
    #[must_use]
    pub fn when(self, condition: Condition) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// The fields that are within; `None` if all are.
    pub const fn fields(&self) -> Option<&BTreeSet<Name>> {
        self.fields.as_ref()
    }

    /// The condition, if there is one.
    pub const fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// Whether a field is within.
    pub fn shows(&self, field: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.contains(field))
    }

    /// Whether a record of these fields is within.
    pub fn meets<'v>(&self, field: impl Fn(&str) -> Option<&'v Value>) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.is_met(&field))
    }

    /// A field of a change that isn't within, if there is one.
    pub fn hidden_field<'c>(&self, change: &'c Change) -> Option<&'c Name> {
        let fields = self.fields.as_ref()?;
        let hidden = |name: &&Name| !fields.contains(*name);
        match change {
            Change::Insert(record) => record.names().iter().find(hidden),
            Change::Update(fields) => fields.iter().map(|(name, _)| name).find(hidden),
            Change::Delete => None,
        }
    }

    /// What of a change is within; `None` if nothing is.
    pub fn part_of(&self, change: Change) -> Option<Change> {
        if self.hidden_field(&change).is_none() {
            return Some(change);
        }
        match change {
            Change::Insert(record) => {
                let shown = record.into_iter().filter(|(name, _)| self.shows(name));
                Some(Change::Insert(shown.collect::<Record>()))
            }
            Change::Update(mut fields) => {
                fields.retain(|(name, _)| self.shows(name));
                (!fields.is_empty()).then_some(Change::Update(fields))
            }
            Change::Delete => Some(Change::Delete),
        }
    }

    fn to_value(&self) -> Value {
        let mut parts = Vec::new();
        if let Some(fields) = &self.fields {
            let fields = fields.iter().map(|field| Value::from(field.as_str()));
            parts.push((name(FIELDS), Value::Array(fields.collect())));
        }
        let condition = self.condition.as_ref().map(Condition::to_value);
        parts.extend(condition.map(|condition| (name(WHERE), condition)));
        Value::Map(parts.into_iter().collect())
    }

    fn of_value(value: &Value) -> Option<Self> {
        let Value::Map(parts) = value else { return None };
        if parts.names().iter().any(|part| *part != FIELDS && *part != WHERE) {
            return None;
        }
        let fields = match parts.get(FIELDS) {
            None => None,
            Some(Value::Array(fields)) => {
                Some(fields.iter().map(name_of).collect::<Option<BTreeSet<_>>>()?)
            }
            Some(_) => return None,
        };
        let condition = parts.get(WHERE).map(|value| Condition::of_value(value, 1));
        let condition = condition.map_or(Some(None), |condition| condition.map(Some))?;
        Some(Self { fields, condition })
    }
}

impl Condition {
    /// That a field has a value.
    pub fn is(field: Name, value: impl Into<Value>) -> Self {
        Self::Is(field, value.into())
    }

    fn is_met<'v>(&self, field: &dyn Fn(&str) -> Option<&'v Value>) -> bool {
        match self {
            Self::Is(name, value) => field(name) == Some(value),
            Self::In(name, values) => field(name).is_some_and(|it| values.contains(it)),
            Self::Has(name, value) => match field(name) {
                Some(Value::Array(values)) => values.contains(value),
                _ => false,
            },
            Self::Below(name, value) => order(field(name), value) == Some(Ordering::Less),
            Self::Above(name, value) => order(field(name), value) == Some(Ordering::Greater),
            Self::All(all) => all.iter().all(|condition| condition.is_met(field)),
            Self::Any(any) => any.iter().any(|condition| condition.is_met(field)),
            Self::Not(condition) => !condition.is_met(field),
        }
    }

    /// Whether what it says depends on a field.
    pub fn asks(&self, field: &str) -> bool {
        match self {
            Self::Is(name, _)
            | Self::In(name, _)
            | Self::Has(name, _)
            | Self::Below(name, _)
            | Self::Above(name, _) => *name == *field,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.asks(field)),
            Self::Not(condition) => condition.asks(field),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                1 + parts.iter().map(Self::depth).max().unwrap_or(0)
            }
            Self::Not(condition) => 1 + condition.depth(),
            _ => 1,
        }
    }

    fn to_value(&self) -> Value {
        let parts = |parts: &[Self]| parts.iter().map(Self::to_value).collect::<Vec<_>>();
        let of = |kind: &str, name: &Name, value: Value| -> Vec<Value> {
            vec![kind.into(), name.as_str().into(), value]
        };
        Value::Array(match self {
            Self::Is(name, value) => of("is", name, value.clone()),
            Self::In(name, values) => of("in", name, Value::Array(values.clone())),
            Self::Has(name, value) => of("has", name, value.clone()),
            Self::Below(name, value) => of("below", name, value.clone()),
            Self::Above(name, value) => of("above", name, value.clone()),
            Self::All(all) => vec!["all".into(), Value::Array(parts(all))],
            Self::Any(any) => vec!["any".into(), Value::Array(parts(any))],
            Self::Not(condition) => vec!["not".into(), condition.to_value()],
        })
    }

    fn of_value(value: &Value, depth: usize) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        if depth > Scope::DEPTH_MAX {
            return None;
        }
        let inner = |value: &Value| Self::of_value(value, depth + 1);
        let all = |value: &Value| match value {
            Value::Array(parts) => parts.iter().map(inner).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        match &parts[..] {
            [kind, field, value] => {
                let (field, value) = (name_of(field)?, value.clone());
                Some(match (kind.as_str()?, value) {
                    ("is", value) => Self::Is(field, value),
                    ("in", Value::Array(values)) => Self::In(field, values),
                    ("has", value) => Self::Has(field, value),
                    ("below", value) => Self::Below(field, value),
                    ("above", value) => Self::Above(field, value),
                    _ => return None,
                })
            }
            [kind, parts] => match kind.as_str()? {
                "all" => Some(Self::All(all(parts)?)),
                "any" => Some(Self::Any(all(parts)?)),
                "not" => Some(Self::Not(Box::new(inner(parts)?))),
                _ => None,
            },
            _ => None,
        }
    }
}

/// How a field compares with a value of its kind that has an order.
fn order(field: Option<&Value>, value: &Value) -> Option<Ordering> {
    match (field?, value) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.as_str().cmp(b.as_str())),
        _ => None,
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("it is a name")
}

fn name_of(value: &Value) -> Option<Name> {
    Name::new(value.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, record};

    fn scope() -> Scope {
        let conditions = vec![
            Condition::is(name("owner"), "anna"),
            Condition::In(name("state"), vec!["open".into(), Value::Null]),
            Condition::Not(Box::new(Condition::Has(name("tags"), "secret".into()))),
            Condition::Any(vec![
                Condition::Below(name("at"), Timestamp(7).into()),
                Condition::Above(name("size"), 5.into()),
            ]),
        ];
        let notes = Rule::all().only([name("text"), name("at")]).when(Condition::All(conditions));
        Scope::new().with(name("notes"), notes).with(name("tags"), Rule::all())
    }

    #[test]
    fn bytes_are_the_scope_and_another_scope_has_others() {
        let scope = scope();
        scope.check().unwrap();
        assert_eq!(Scope::decode(&scope.encode()), Ok(scope.clone()));
        assert_ne!(scope.digest(), scope.told().digest());
        assert_eq!(Scope::decode(&scope.told().encode()), Ok(scope.told()));
        assert!(scope.told().rules().all(|(_, rule)| rule.condition().is_none()));
        assert_eq!(
            scope.told().rule("notes").unwrap().fields(),
            scope.rule("notes").unwrap().fields()
        );
        let whole = scope.encode();
        for end in 0..whole.len() {
            assert!(Scope::decode(&whole[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn scopes_that_differ_in_their_last_bytes_only_are_seen_as_other_feeds() {
        let scope = |size: i64| {
            let condition = Condition::Above(name("size"), size.into());
            Scope::new().with(name("notes"), Rule::all().when(condition))
        };
        let view = |size| crate::Incarnation(7).through(scope(size).digest()).view();
        let views: BTreeSet<_> = (0..1_000).map(view).collect();
        assert_eq!(views.len(), 1_000, "a peer would believe that a feed went back");
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        let malformed = [
            Value::from(1),
            record! { "notes" => 1 }.into(),
            record! { "notes" => record! { "field" => Value::Array(vec![]) } }.into(),
            record! { "notes" => record! { "fields" => "text" } }.into(),
            record! { "notes" => record! { "fields" => vec![Value::from("")] } }.into(),
            record! { "notes" => record! { "where" => vec![Value::from("is"), "a".into()] } }.into(),
            record! { "notes" => record! { "where" => vec![Value::from("in"), "a".into(), 1.into()] } }
                .into(),
            record! { "notes" => record! { "where" => vec![Value::from("like"), "a".into(), 1.into()] } }
                .into(),
        ];
        for value in malformed {
            let mut bytes = Vec::new();
            binary::encode_value(&value, &mut bytes);
            assert!(Scope::decode(&bytes).is_err(), "{value:?}");
        }
        let nested = |depth| {
            let not = |inner, _| Condition::Not(Box::new(inner));
            let condition = (1..depth).fold(Condition::is(name("a"), 1), not);
            Scope::new().with(name("notes"), Rule::all().when(condition))
        };
        nested(Scope::DEPTH_MAX).check().unwrap();
        Scope::decode(&nested(Scope::DEPTH_MAX).encode()).unwrap();
        let deep = nested(Scope::DEPTH_MAX + 1);
        assert_eq!(deep.check(), Err(ScopeError::TooDeep { max: Scope::DEPTH_MAX }));
        assert!(Scope::decode(&deep.encode()).is_err());
        let long = Condition::is(name("a"), "x".repeat(Scope::BYTES_MAX));
        let long = Scope::new().with(name("notes"), Rule::all().when(long));
        assert!(matches!(long.check(), Err(ScopeError::TooLong { .. })));
        assert!(Scope::decode(&long.encode()).is_err());
    }

    #[test]
    fn a_condition_is_met_by_values_of_the_record() {
        let all = record! {
            "owner" => "anna", "state" => Value::Null, "tags" => vec![Value::from("a")],
            "at" => Timestamp(6), "size" => 5,
        };
        let scope = scope();
        let meets = |record: &Record| scope.rule("notes").unwrap().meets(|field| record.get(field));
        assert!(meets(&all));
        let but = |field: &str, value: Value| {
            let mut record = all.clone();
            record.insert(name(field), value);
            meets(&record)
        };
        assert!(but("size", 6.into()) && but("tags", "secret".into()));
        assert!(!but("owner", "ben".into()) && !but("state", "shut".into()));
        assert!(!but("tags", vec![Value::from("a"), "secret".into()].into()));
        assert!(
            !but("at", Timestamp(7).into()) && !but("at", 1.into()),
            "another kind has no order"
        );
        let without = |field: &str| {
            let mut record = all.clone();
            record.remove(field);
            meets(&record)
        };
        assert!(without("tags") && !without("owner") && !without("at"));
    }

    #[test]
    fn of_a_change_only_the_fields_within_are_left() {
        let rule = Rule::all().only([name("text")]);
        let part = |change| rule.part_of(change);
        let insert = Change::Insert(record! { "text" => "hi", "owner" => "anna" });
        assert_eq!(rule.hidden_field(&insert), Some(&name("owner")));
        assert_eq!(part(insert), Some(Change::Insert(record! { "text" => "hi" })));
        let update = |fields: &[&str]| {
            Change::Update(fields.iter().map(|field| (name(field), None)).collect())
        };
        assert_eq!(part(update(&["owner", "text"])), Some(update(&["text"])));
        assert_eq!(part(update(&["owner"])), None);
        assert_eq!(part(update(&["text"])), Some(update(&["text"])));
        assert_eq!(part(Change::Delete), Some(Change::Delete));
        assert_eq!(Rule::all().hidden_field(&update(&["owner"])), None);
    }
}
