//! Schemas of all kinds of types, and state that is read by a later form of its type.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

fn schema<T: DeserializeOwned>() -> Schema {
    Schema::of::<T>().unwrap()
}

/// Writes a value as one type and reads it as another.
fn evolve<Old: Serialize + DeserializeOwned, New: DeserializeOwned>(value: &Old) -> Result<New, SchemaError> {
    let written = Schema::from_json(&schema::<Old>().to_json())?;
    written.migration_to(&schema::<New>())?;
    decode_with(&written, &postcard::to_stdvec(value).unwrap())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    item: String,
    amount: f64,
    tags: Vec<String>,
    note: Option<String>,
}

fn order() -> Order {
    Order {
        id: 7,
        item: "tea".into(),
        amount: 1.5,
        tags: vec!["a".into(), "b".into()],
        note: Some("n".into()),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Event {
    Nothing,
    Count(u32),
    Pair(i8, char),
    Placed { order: Order, at: (i64, bool) },
    Nested(Box<Event>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    value: i32,
    children: Vec<Tree>,
    parent: Option<Box<Tree>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Expression {
    Add(Box<Expression>, Box<Expression>),
    Negate { of: Box<Term> },
    Literal(i64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Term {
    Parenthesis(Expression),
    Variable(String, BTreeMap<String, Order>),
}

#[test]
fn a_schema_says_what_a_type_consists_of() {
    assert_eq!(
        schema::<(u64, (), Event)>().to_string(),
        "(u64, (), Event)\n\
         enum Event { Nothing, Count(u32), Pair(i8, char), Placed { order: Order, at: (i64, bool) }, Nested(Event) }\n\
         struct Order { id: u64, item: String, amount: f64, tags: Vec<String>, note: Option<String> = default }"
    );
}

#[test]
fn recursive_types_come_to_an_end() {
    assert_eq!(
        schema::<Tree>().to_string(),
        "Tree\nstruct Tree { value: i32, children: Vec<Tree>, parent: Option<Tree> = default }"
    );
    let text = schema::<Expression>().to_string();
    assert!(
        text.contains("enum Expression { Add(Expression, Expression), Negate { of: Term }, Literal(i64) }"),
        "{text}"
    );
    assert!(
        text.contains("enum Term { Parenthesis(Expression), Variable(String, Map<String, Order>) }"),
        "{text}"
    );
}

#[test]
fn types_of_one_name_are_told_apart() {
    mod other {
        #[derive(serde::Serialize, serde::Deserialize)]
        pub struct Order {
            pub x: bool,
        }
    }
    #[derive(Serialize, Deserialize)]
    struct Pair<A, B>(A, B);
    assert_eq!(
        schema::<Pair<Pair<u8, Order>, other::Order>>().to_string().lines().collect::<Vec<_>>(),
        [
            "Pair",
            "struct Order { id: u64, item: String, amount: f64, tags: Vec<String>, note: Option<String> = default }",
            "struct Order#2 { x: bool }",
            "struct Pair(Pair#2, Order#2)",
            "struct Pair#2(u8, Order)",
        ]
    );
}

#[test]
fn a_schema_survives_as_json() {
    for schema in [schema::<Event>(), schema::<Expression>(), schema::<HashMap<u8, Result<(), i8>>>()] {
        assert_eq!(Schema::from_json(&schema.to_json()).unwrap(), schema);
    }
    let newer = schema::<u8>().to_json().replace("\"format\":1", "\"format\":9,\"more\":0");
    assert_eq!(Schema::from_json(&newer), Err(SchemaError::TooNew { found: 9 }));
    let dangling = r#"{"format":1,"root":{"type":"Gone"},"types":{}}"#;
    assert!(Schema::from_json(dangling).unwrap_err().to_string().contains("Gone"));
    assert!(matches!(Schema::from_json("{"), Err(SchemaError::Parse(_))));
}

#[test]
fn names_of_fields_and_variants_include_their_aliases() {
    #[derive(Serialize, Deserialize)]
    struct Renamed {
        first: u8,
        #[serde(alias = "amount", alias = "aaa", default)]
        quantity: u16,
        last: u32,
    }
    #[derive(Serialize, Deserialize)]
    enum Kind {
        A,
        #[serde(alias = "B", alias = "Z")]
        Beta(u8),
        C {
            #[serde(alias = "w")]
            v: u8,
        },
    }
    let text = schema::<(Renamed, Kind)>().to_string();
    assert!(text.contains("{ first: u8, aaa or amount or quantity: u16 = default, last: u32 }"), "{text}");
    assert!(text.contains("enum Kind { A, B or Beta or Z(u8), C { v or w: u8 } }"), "{text}");
}

#[test]
fn a_field_may_come_go_and_move() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newer {
        tags: Vec<String>,
        #[serde(default)]
        priority: u8,
        #[serde(alias = "item")]
        article: String,
        discount: Option<f32>,
        id: u64,
    }
    let read: Newer = evolve(&order()).unwrap();
    let expected = Newer { tags: order().tags, priority: 0, article: "tea".into(), discount: None, id: 7 };
    assert_eq!(read, expected);
}

#[test]
fn a_field_without_default_is_refused_with_both_schemas_shown() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Order {
        id: u64,
        customer: String,
    }
    let error = evolve::<super::tests::Order, Order>(&order()).unwrap_err().to_string();
    assert!(error.contains("Order.customer: the field is new: give it #[serde(default)]"), "{error}");
    assert!(error.contains("struct Order { id: u64, item: String, amount: f64"), "{error}");
    assert!(error.contains("struct Order { id: u64, customer: String }"), "{error}");
}

#[test]
fn integers_widen_but_do_not_narrow() {
    assert_eq!(evolve::<_, u64>(&200u8).unwrap(), 200);
    assert_eq!(evolve::<_, i64>(&u32::MAX).unwrap(), i64::from(u32::MAX));
    assert_eq!(evolve::<_, i128>(&i64::MIN).unwrap(), i128::from(i64::MIN));
    assert_eq!(evolve::<_, f64>(&-5i32).unwrap(), -5.0);
    assert_eq!(evolve::<_, f64>(&1.5f32).unwrap(), 1.5);
    assert_eq!(evolve::<_, (Option<u32>, String)>(&(3u16, 'x')).unwrap(), (Some(3), "x".to_string()));
    for refused in [
        evolve::<_, u32>(&1u64).map(|_| ()),
        evolve::<_, i32>(&1u32).map(|_| ()),
        evolve::<_, u64>(&1i32).map(|_| ()),
        evolve::<_, f64>(&1i64).map(|_| ()),
        evolve::<_, u8>(&Some(1u8)).map(|_| ()),
        evolve::<_, String>(&1u8).map(|_| ()),
        evolve::<_, (u8, u8)>(&(1u8, 2u8, 3u8)).map(|_| ()),
    ] {
        assert!(matches!(refused, Err(SchemaError::Incompatible { .. })), "{refused:?}");
    }
}

#[test]
fn enums_grow_and_their_variants_are_found_by_name() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Old {
        Stop,
        Go(u8),
        Turn { by: i16 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum New {
        Pause(String),
        #[serde(alias = "Go")]
        Drive(u32),
        Turn {
            by: i32,
            #[serde(default)]
            fast: bool,
        },
        Stop,
    }
    let read: Vec<New> = evolve(&vec![Old::Stop, Old::Go(3), Old::Turn { by: -4 }]).unwrap();
    assert_eq!(read, [New::Stop, New::Drive(3), New::Turn { by: -4, fast: false }]);
    let error = evolve::<Vec<New>, Vec<Old>>(&vec![New::Stop]).unwrap_err().to_string();
    assert!(error.contains("[]::Pause: the variant is gone"), "{error}");
}

#[test]
fn wrapping_a_value_in_a_struct_of_its_own_changes_nothing() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Id(u32);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer(Id);
    assert_eq!(evolve::<_, Outer>(&5u32).unwrap(), Outer(Id(5)));
    assert_eq!(evolve::<_, u64>(&Outer(Id(5))).unwrap(), 5);
    assert_eq!(evolve::<_, Option<Id>>(&Outer(Id(5))).unwrap(), Some(Id(5)));
}

#[test]
fn a_type_that_asks_what_comes_next_is_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Loose {
        A(u8),
        B(String),
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        order: Order,
    }
    for refused in [Schema::of::<Loose>(), Schema::of::<serde_json::Value>(), Schema::of::<Flat>()] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("cannot be kept as state"), "{text}");
    }
}

/// A type that takes only text of its own form.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Plate(String);

impl TryFrom<String> for Plate {
    type Error = String;
    fn try_from(text: String) -> Result<Plate, String> {
        if text.starts_with("B-") { Ok(Plate(text)) } else { Err(format!("{text} is no plate")) }
    }
}

impl Clone for Plate {
    fn clone(&self) -> Self {
        Plate(self.0.clone())
    }
}

impl From<Plate> for String {
    fn from(plate: Plate) -> String {
        plate.0
    }
}

#[test]
fn a_type_that_refuses_made_up_values_is_opaque_and_fits_only_itself() {
    let opaque = schema::<Plate>();
    assert!(opaque.is_opaque());
    assert_eq!(opaque.migration_to(&schema::<Plate>()), Ok(Migration::Same));
    let error = opaque.migration_to(&schema::<String>()).unwrap_err().to_string();
    assert!(error.contains("an opaque type cannot change"), "{error}");
    assert_eq!(evolve::<_, Plate>(&Plate("B-1".into())).unwrap(), Plate("B-1".into()));
}

#[test]
fn a_type_that_panics_at_made_up_values_is_opaque_too() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(from = "String", into = "String")]
    struct Code(u32);
    impl From<String> for Code {
        fn from(text: String) -> Code {
            Code(text.strip_prefix("code ").unwrap().parse().unwrap())
        }
    }
    impl From<Code> for String {
        fn from(code: Code) -> String {
            format!("code {}", code.0)
        }
    }
    assert!(schema::<Code>().is_opaque());
    assert_eq!(evolve::<_, Code>(&Code(7)).unwrap(), Code(7));
}

#[test]
fn types_with_checks_are_traced_where_a_common_value_passes() {
    let text = schema::<(std::num::NonZeroU32, std::net::Ipv4Addr, std::time::Duration)>().to_string();
    assert!(text.starts_with("(u32, (u8, u8, u8, u8), Duration)"), "{text}");
    assert!(text.contains("struct Duration { secs: u64, nanos: u32 }"), "{text}");
}

#[test]
fn damaged_values_are_errors_that_say_where() {
    let written = schema::<Order>();
    let bytes = postcard::to_stdvec(&order()).unwrap();
    for length in 0..bytes.len() {
        assert!(decode_with::<Order>(&written, &bytes[..length]).is_err(), "{length}");
    }
    let long = [bytes.clone(), vec![0]].concat();
    assert!(decode_with::<Order>(&written, &long).unwrap_err().to_string().contains("1 bytes follow it"));
    let error = decode_with::<Order>(&written, &[7, 200, 1]).unwrap_err().to_string();
    assert!(error.contains("in item: 200 bytes expected, 0 are left"), "{error}");
}

fn orders() -> impl Strategy<Value = Order> {
    let tags = prop::collection::vec(".{0,4}", 0..3);
    (any::<u64>(), ".{0,8}", -1e9..1e9f64, tags, prop::option::of(".{0,3}"))
        .prop_map(|(id, item, amount, tags, note)| Order { id, item, amount, tags, note })
}

fn events() -> impl Strategy<Value = Event> {
    let leaf = prop_oneof![
        Just(Event::Nothing),
        any::<u32>().prop_map(Event::Count),
        any::<(i8, char)>().prop_map(|(a, b)| Event::Pair(a, b)),
        (orders(), any::<(i64, bool)>()).prop_map(|(order, at)| Event::Placed { order, at }),
    ];
    leaf.prop_recursive(3, 8, 1, |inner| inner.prop_map(|e| Event::Nested(Box::new(e))))
}

/// Everything that postcard can hold, in one type.
type Everything = (
    (bool, i8, i16, i32, i64, i128),
    (u8, u16, u32, u64, u128, char),
    (BTreeMap<String, Vec<Option<u16>>>, BTreeSet<i32>, Option<Option<u8>>, Result<u8, String>),
    Vec<Event>,
);

fn everything() -> impl Strategy<Value = Everything> {
    (
        any::<(bool, i8, i16, i32, i64, i128)>(),
        any::<(u8, u16, u32, u64, u128, char)>(),
        (
            prop::collection::btree_map(".{0,3}", prop::collection::vec(any::<Option<u16>>(), 0..3), 0..3),
            prop::collection::btree_set(any::<i32>(), 0..4),
            any::<Option<Option<u8>>>(),
            any::<Result<u8, String>>(),
        ),
        prop::collection::vec(events(), 0..4),
    )
}

proptest! {
    #[test]
    fn values_are_read_back_by_their_schema(value in everything()) {
        let bytes = postcard::to_stdvec(&value).unwrap();
        prop_assert_eq!(decode_with::<Everything>(&schema::<Everything>(), &bytes).unwrap(), value);
    }

    #[test]
    fn values_are_skipped_exactly(value in everything(), behind: u64) {
        let bytes = postcard::to_stdvec(&(value, behind)).unwrap();
        let written = schema::<(Everything, u64)>();
        let mut reader = written.reader(&bytes);
        serde::de::IgnoredAny::deserialize(reader.value()).unwrap();
        prop_assert!(reader.rest().is_empty());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = decode_with::<Everything>(&schema::<Everything>(), &bytes);
    }
}
