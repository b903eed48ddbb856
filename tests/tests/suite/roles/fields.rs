//! The root fields of the schema, each with a document that selects it. The code reads the fields from the schema, so a
//! new field needs no change in this file.

use graphql_parser::query::{Type, Value};
use graphql_parser::schema::{
    Definition, Document, Field, InputValue, ObjectType, TypeDefinition, parse_schema,
};
use jishu_tests::global_id;

/// A root field of the schema, with a document that selects it and the roles that may use it.
#[derive(Clone, Debug)]
pub(crate) struct RootField {
    /// The kind of the operation: `query`, `mutation` or `subscription`.
    pub(crate) operation: &'static str,
    /// The root type and the name of the field, such as `Query.learner`.
    pub(crate) name: String,
    /// A document that selects the field, with as few arguments as possible. The ids in it belong to no row.
    pub(crate) document: String,
    /// The roles that the directive `requiresRole` of the field names. Empty if the field has no such directive.
    pub(crate) roles: Vec<String>,
    /// The description of the field in the schema.
    pub(crate) description: String,
}

impl RootField {
    /// Returns whether only some roles may use the field.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.roles.is_empty()
    }
}

/// Returns all fields of the three root types, in the order of the schema.
pub(crate) fn root_fields() -> Vec<RootField> {
    let sdl = jishu_api::graphql::sdl();
    let schema = Sdl { document: parse_schema::<String>(&sdl).unwrap() };
    let mut fields = Vec::new();
    for (operation, root) in [("query", "Query"), ("mutation", "Mutation"), ("subscription", "Subscription")]
    {
        for field in &schema.object(root).fields {
            let arguments = schema.required(&field.arguments);
            let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
            let selection = if schema.is_leaf(named(&field.field_type)) { "" } else { " { __typename }" };
            fields.push(RootField {
                operation,
                name: format!("{root}.{}", field.name),
                document: format!("{operation} {{ {}{arguments}{selection} }}", field.name),
                roles: roles(field),
                description: field.description.clone().unwrap_or_default(),
            });
        }
    }
    fields
}

/// Returns the root fields that only some roles may use.
pub(crate) fn guarded_fields() -> Vec<RootField> {
    root_fields().into_iter().filter(RootField::is_guarded).collect()
}

/// Returns the fields with a guard in all types except the three root types. Only some roles may use these fields.
pub(super) fn nested_guarded_fields() -> Vec<String> {
    let sdl = jishu_api::graphql::sdl();
    let document = parse_schema::<String>(&sdl).unwrap();
    let mut fields = Vec::new();
    for definition in &document.definitions {
        let Definition::TypeDefinition(TypeDefinition::Object(object)) = definition else { continue };
        if !["Query", "Mutation", "Subscription"].contains(&object.name.as_str()) {
            let guarded = object.fields.iter().filter(|field| !roles(field).is_empty());
            fields.extend(guarded.map(|field| format!("{}.{}", object.name, field.name)));
        }
    }
    fields
}

fn roles(field: &Field<'_, String>) -> Vec<String> {
    let directive = field.directives.iter().find(|directive| directive.name == "requiresRole");
    let any_of = directive.and_then(|directive| directive.arguments.iter().find(|(name, _)| name == "anyOf"));
    let Some((_, Value::List(roles))) = any_of else { return Vec::new() };
    roles.iter().map(ToString::to_string).collect()
}

struct Sdl<'a> {
    document: Document<'a, String>,
}

impl<'a> Sdl<'a> {
    fn types(&self) -> impl Iterator<Item = &TypeDefinition<'a, String>> {
        self.document.definitions.iter().filter_map(|definition| match definition {
            Definition::TypeDefinition(definition) => Some(definition),
            _ => None,
        })
    }

    fn object(&self, name: &str) -> &ObjectType<'a, String> {
        let found = self.types().find_map(|definition| match definition {
            TypeDefinition::Object(object) if object.name == name => Some(object),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no type {name}"))
    }

    fn is_leaf(&self, name: &str) -> bool {
        !self.types().any(|definition| match definition {
            TypeDefinition::Object(object) => object.name == name,
            TypeDefinition::Interface(interface) => interface.name == name,
            TypeDefinition::Union(union) => union.name == name,
            _ => false,
        })
    }

    /// Returns values for the arguments or input fields that must be given.
    fn required(&self, values: &[InputValue<'a, String>]) -> String {
        let given = values.iter().filter(|value| {
            matches!(value.value_type, Type::NonNullType(_)) && value.default_value.is_none()
        });
        let given = given.map(|value| format!("{}: {}", value.name, self.value(&value.value_type)));
        given.collect::<Vec<_>>().join(", ")
    }

    fn value(&self, ty: &Type<'a, String>) -> String {
        match ty {
            Type::NonNullType(ty) => self.value(ty),
            Type::ListType(ty) => format!("[{}]", self.value(ty)),
            Type::NamedType(name) => self.value_of(name),
        }
    }

    fn value_of(&self, name: &str) -> String {
        for definition in self.types() {
            match definition {
                TypeDefinition::Enum(enumeration) if enumeration.name == name => {
                    return enumeration.values[0].name.clone();
                }
                TypeDefinition::InputObject(input) if input.name == name => {
                    return format!("{{ {} }}", self.required(&input.fields));
                }
                _ => {}
            }
        }
        match name {
            "ID" => format!("{:?}", global_id("Subject", 999_999)),
            "Int" | "Float" => "1".to_owned(),
            "Boolean" => "true".to_owned(),
            "Decimal" => "\"1.00\"".to_owned(),
            "UUID" => "\"123e4567-e89b-12d3-a456-426614174000\"".to_owned(),
            "DateTime" => "\"2026-11-23T09:30:00Z\"".to_owned(),
            "String" => "\"x\"".to_owned(),
            other => panic!("give a value of the scalar {other}"),
        }
    }
}

/// Returns the name of the type that remains without the wrappers for lists and non-null.
fn named<'t>(ty: &'t Type<'_, String>) -> &'t str {
    match ty {
        Type::NamedType(name) => name,
        Type::ListType(ty) | Type::NonNullType(ty) => named(ty),
    }
}
