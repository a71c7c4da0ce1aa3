//! The short notation that shapes are written in, and its translation to JSON Schema.
//!
//! `"id: string, score: number?, risks: [Risk], note?: string"`: a question mark behind the type says that null may stand
//! there, one behind the name that the member may be absent. A capital letter begins the name of another shape; `'a'|'b'`
//! are the words of an enumeration. More members than these may come with later versions.

use serde_json::{Value, json};

/// The schema of an object with these members.
pub(crate) fn object(fields: &str) -> Value {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for field in fields.split(',').map(str::trim).filter(|field| !field.is_empty()) {
        let (name, kind) = field.split_once(':').unwrap_or((field, "any"));
        let optional = name.ends_with('?');
        let name = name.trim_end_matches('?');
        properties.insert(name.to_owned(), schema(kind.trim()));
        if !optional {
            required.push(name.to_owned());
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The schema of a type.
pub(crate) fn schema(kind: &str) -> Value {
    if let Some(inner) = kind.strip_suffix('?') {
        return match schema(inner) {
            Value::Object(mut plain) if plain.get("type").is_some_and(Value::is_string) => {
                plain["type"] = json!([plain["type"], "null"]);
                if let Some(words) = plain.get_mut("enum").and_then(Value::as_array_mut) {
                    words.push(Value::Null);
                }
                Value::Object(plain)
            }
            other => json!({"anyOf": [other, {"type": "null"}]}),
        };
    }
    if let Some(inner) = kind.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return json!({"type": "array", "items": schema(inner)});
    }
    if kind.starts_with('\'') {
        let words: Vec<&str> = kind.split('|').map(|word| word.trim_matches('\'')).collect();
        return json!({"type": "string", "enum": words});
    }
    match kind {
        "any" => json!({}),
        "span" => json!({"oneOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 2_592_000},
                                   {"type": "string", "pattern": "^[0-9]{1,6}[smh]?$"}],
                         "description": "seconds, or text such as 15m, 6h or 7d; at most 30 days"}),
        "factor" => json!({"type": "number", "minimum": 0.01, "maximum": 100}),
        "change" => json!({"type": "string", "examples": ["1.5x", "512MiB"],
                           "description": "a factor such as 1.5x, or an amount such as 512MiB"}),
        "string" | "number" | "integer" | "boolean" | "object" | "array" => json!({"type": kind}),
        name => json!({"$ref": format!("#/components/schemas/{name}")}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_nulls_lists_words_and_shapes_are_translated() {
        let found = object("a: string, b?: number?, c: [Risk], d: Risk?, e: 'x'|'y'");
        assert_eq!(found["required"], json!(["a", "c", "d", "e"]));
        let properties = &found["properties"];
        assert_eq!(properties["b"], json!({"type": ["number", "null"]}));
        assert_eq!(properties["c"]["items"]["$ref"], "#/components/schemas/Risk");
        assert_eq!(properties["d"]["anyOf"][1], json!({"type": "null"}));
        assert_eq!(properties["e"]["enum"], json!(["x", "y"]));
        assert_eq!(schema("'x'|'y'?")["enum"], json!(["x", "y", null]));
    }
}
