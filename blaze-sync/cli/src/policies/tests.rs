//! What files of policies mean, and what is wrong with others.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use blaze_sync::{Condition, Name, Rule, Scope, Timestamp, Value};

use super::{FILE_BYTES_MAX, HELP, PolicyArgs, read::parse};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn only(text: &str) -> Scope {
    let policies = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(policies.len(), 1, "{text}");
    Scope::clone(policies.values().next().unwrap())
}

/// The condition of a policy's only collection.
fn condition(of: &str) -> Condition {
    let scope = only(&format!(r#"{{"anna": {{"notes": {{"where": {of}}}}}}}"#));
    scope.rule("notes").unwrap().condition().unwrap().clone()
}

fn is(field: &str, value: impl Into<Value>) -> Condition {
    Condition::is(name(field), value)
}

#[test]
fn a_policy_is_collections_with_fields_and_conditions() {
    let text = r#"{"anna": {"notes": {"fields": ["text", "owner"], "where": {"owner": "anna"}}, "tags": {}}}"#;
    let notes = Rule::all().only([name("text"), name("owner")]).when(is("owner", "anna"));
    let expected = Scope::new().with(name("notes"), notes).with(name("tags"), Rule::all());
    assert_eq!(only(text), expected);
    assert_eq!(only(r#"{"none": {}}"#), Scope::new());
    let nothing = only(r#"{"keys": {"notes": {"fields": [], "where": {}}}}"#);
    assert_eq!(nothing, Scope::new().with(name("notes"), Rule::all().only([])));
    assert!(parse(" {} ").unwrap().is_empty());
}

#[test]
fn conditions_are_all_that_stands_there() {
    let values = |values: &[i64]| values.iter().map(|value| Value::Int(*value)).collect::<Vec<_>>();
    assert_eq!(condition(r#"{"n": {"$in": [1, 2]}}"#), Condition::In(name("n"), values(&[1, 2])));
    assert_eq!(condition(r#"{"n": {"$in": []}}"#), Condition::In(name("n"), Vec::new()));
    assert_eq!(condition(r#"{"n": {"$has": "a"}}"#), Condition::Has(name("n"), "a".into()));
    let between = vec![
        Condition::Above(name("at"), Timestamp(5).into()),
        Condition::Below(name("at"), Timestamp(9).into()),
    ];
    let text = r#"{"at": {"$below": {"$timestamp": 9}, "$above": {"$timestamp": 5}}}"#;
    assert_eq!(condition(text), Condition::All(between));
    let text = r#"{"$not": {"state": "sold"}, "$any": [{"a": 1}, {"b": 2, "c": 3.0}], "z": null}"#;
    let either = vec![is("a", 1), Condition::All(vec![is("b", 2), is("c", 3.0)])];
    let expected = vec![
        Condition::Any(either),
        Condition::Not(Box::new(is("state", "sold"))),
        is("z", Value::Null),
    ];
    assert_eq!(condition(text), Condition::All(expected));
}

#[test]
fn values_are_as_they_are_in_json_elsewhere() {
    for text in [
        r#"[1, "a"]"#,
        r#"{"a": 1}"#,
        "{}",
        "true",
        "1.0",
        r#"{"$hex": "00ff"}"#,
        r#"{"$$name": 1}"#,
        r#"{"$uuid": "01890a5d-ac96-774b-bcce-b302099a8057"}"#,
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(condition(&format!(r#"{{"f": {text}}}"#)), Condition::Is(name("f"), value));
    }
    assert_eq!(condition(r#"{"$$any": 1}"#), is("$any", 1), "a field of such a name");
}

#[test]
fn the_order_of_a_file_makes_no_other_policy() {
    let one = only(r#"{"p": {"b": {}, "a": {"where": {"x": 1, "y": 2}, "fields": ["f", "g"]}}}"#);
    let other = only(r#"{"p": {"a": {"fields": ["g", "f"], "where": {"y": 2, "x": 1}}, "b": {}}}"#);
    assert_eq!(one.digest(), other.digest());
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_what_is_allowed() {
    let on_where = |of: &str| format!(r#"{{"anna": {{"notes": {{"where": {of}}}}}}}"#);
    let place = r#"policy "anna", collection "notes": where: "#;
    let deep = format!("{}{{}}{}", r#"{"$not": "#.repeat(1_000), "}".repeat(1_000));
    let long = format!(r#"{{"owner": "{}"}}"#, "x".repeat(Scope::BYTES_MAX));
    let just_too_deep = format!(r#"{}{{"a": 1}}{}"#, r#"{"$not": "#.repeat(16), "}".repeat(16));
    for (text, expected) in [
        (String::new(), "line 1"),
        ("{\n  \"anna\": {\n}".into(), "line 3"),
        (r#"[{"notes": {}}]"#.into(), "expected an object of policies by their names"),
        (r#"{"an na": {}}"#.into(), r#""an na" is no name for a policy"#),
        (r#"{"anna": {}, "anna": {}}"#.into(), r#""anna" comes twice"#),
        (r#"{"anna": ["notes"]}"#.into(), r#"policy "anna": expected an object of collections"#),
        (r#"{"anna": {"": {}}}"#.into(), r#"policy "anna", collection "": "#),
        (
            r#"{"anna": {"notes": true}}"#.into(),
            r#"policy "anna", collection "notes": expected an object of what is seen of it: {} for all, or "fields" and "where"; found true"#,
        ),
        (
            r#"{"anna": {"notes": {"field": []}}}"#.into(),
            r#"collection "notes": there is no "field"; there are "fields" and "where""#,
        ),
        (r#"{"anna": {"notes": {"fields": "text"}}}"#.into(), "fields: expected an array of names"),
        (r#"{"anna": {"notes": {"fields": [""]}}}"#.into(), "fields: "),
        (on_where(r#""owner""#), "where: expected an object of conditions"),
        (on_where(r#"{"$or": []}"#), r#"there is no "$or"; beside fields there are "$any""#),
        (on_where(r#"{"owner": {"$eq": 1}}"#), r#"on a field there are a value, "$in""#),
        (
            on_where(r#"{"owner": {"$in": [], "$eq": 1}}"#),
            r#""owner": there is no "$eq"; on a field"#,
        ),
        (
            on_where(r#"{"owner": {"$in": "anna"}}"#),
            r#""owner": "$in": expected an array of values"#,
        ),
        (on_where(r#"{"n": {"$below": [1]}}"#), "only integers, floats, timestamps and texts"),
        (on_where(r#"{"n": {"$above": null}}"#), "only integers, floats, timestamps and texts"),
        (on_where(r#"{"n": 1, "n": 2}"#), r#""n" comes twice"#),
        (on_where(r#"{"$any": {"n": 1}}"#), r#""$any": expected an array of conditions"#),
        (on_where(r#"{"$any": [{"$not": []}]}"#), r#""$any": "$not": expected an object"#),
        (on_where(r#"{"n": 99999999999999999999}"#), "beyond 64 bits"),
        (on_where(r#"{"n": {"$hex": "zz"}}"#), r#""n": "#),
        (on_where(&deep), "more than 16 deep"),
        (on_where(&just_too_deep), "more than 16 deep"),
        (on_where(&long), "at most 65536 are allowed"),
    ] {
        let error = parse(&text).expect_err(&text);
        assert!(error.contains(expected), "{text}\n{error}");
        let has_place = text.contains("where") && !error.contains("beyond 64 bits");
        let is_whole = error.contains("65536") || error.contains("deep");
        assert!(!has_place || is_whole || error.starts_with(place), "{text}\n{error}");
    }
}

#[test]
fn the_example_in_the_help_is_one() {
    let text = HELP.split_once("\n\n").unwrap().1.split_once("\n\n").unwrap().0;
    let policies = parse(text).unwrap();
    assert_eq!(policies.keys().collect::<Vec<_>>(), ["anna", "kiosk"]);
}

#[test]
fn a_file_that_others_may_write_is_refused_and_so_is_a_large_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.json");
    let open = || PolicyArgs { policies: Some(path.clone()), policy: None }.open();
    let missing = format!("{:#}", open().unwrap_err());
    assert!(missing.contains("policies.json"), "{missing}");
    fs::write(&path, "{}").unwrap();
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = format!("{:#}", open().unwrap_err());
        assert!(error.contains("chmod go-w"), "{error}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    open().unwrap();
    fs::write(&path, " ".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() + 1)).unwrap();
    let error = format!("{:#}", open().unwrap_err());
    assert!(error.contains("more than 4194304 bytes"), "{error}");
}

#[test]
fn a_policy_that_is_not_in_the_file_is_named_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.json");
    fs::write(&path, r#"{"anna": {}, "ben": {}}"#).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let open = |name: &str| {
        PolicyArgs { policies: Some(path.clone()), policy: Some(name.to_owned()) }.open()
    };
    assert_eq!(open("ben").unwrap().others.as_deref(), Some(&Scope::new()));
    let error = format!("{:#}", open("clara").unwrap_err());
    assert!(error.contains(r#"no policy is called "clara""#), "{error}");
    assert!(error.contains("has anna, ben"), "{error}");
}
