//! The document of the API, OpenAPI 3.1, made from the tables of endpoints and shapes.
//!
//! Tests hold it against the router, path by path and method by method, and its shapes against what a node answers.

mod endpoints;
mod examples;
mod notation;
mod parameters;
mod shapes;

use axum::Json;
use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::access::needed;

/// What an answer or a body is.
#[derive(Debug, Clone, Copy)]
enum Sort {
    /// JSON of a shape.
    Json(&'static str),
    Text,
    Octets,
    Events,
    Page,
    /// Of a form, as browsers send it.
    Form,
    /// What a protocol of others wants to hear.
    Foreign,
}

/// An endpoint as the tables have it.
#[derive(Debug, Clone, Copy)]
struct Endpoint {
    method: &'static str,
    path: &'static str,
    about: &'static str,
    /// Names of what may follow the question mark.
    query: &'static [&'static str],
    /// What it takes, and an example.
    body: Option<(Sort, &'static str)>,
    status: &'static str,
    answer: Sort,
}

/// Errors that every endpoint may answer: status and when.
const ERRORS: [(&str, &str); 14] = [
    ("400", "The request is wrong; error.field says where, error.message what would be right"),
    ("401", "A token is needed, or is not known: Authorization: Bearer TOKEN"),
    ("403", "The token lacks the scope"),
    ("404", "There is nothing of that name"),
    ("405", "The path answers other methods; see Allow"),
    ("408", "Not read and answered in time"),
    ("409", "What is asked for does not go with how things stand"),
    ("413", "The body is too large"),
    ("415", "The body is of another content type than this takes"),
    ("421", "A node on loopback answers only to names of loopback"),
    ("422", "What is asked for makes no sense here"),
    ("429", "Too many requests; Retry-After says when to come back"),
    ("500", "The answer could not be made; the node's log says why"),
    ("503", "Not now; Retry-After says when to come back"),
];

/// `GET /api/v1/openapi.json`
pub(crate) async fn show() -> Json<Value> {
    Json(document())
}

/// The whole document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for endpoint in endpoints::all() {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method] = operation(&endpoint);
    }
    let shapes = shapes::SHAPES.iter().map(|(name, about, fields)| {
        let mut shape = notation::object(fields);
        shape["description"] = json!(about);
        ((*name).to_owned(), shape)
    });
    let bearer = json!({"type": "http", "scheme": "bearer", "description":
        "A token of `foretwin token create`. Its scopes are read, write, act and admin; admin includes the others."});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Foretwin",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Telemetry, expectations, risks, verdicts, models and reports of a node. Times are microseconds \
                since the epoch (_us), spans seconds (_s). Ids stand percent-encoded in paths. Lists with limit and cursor \
                come in pages: ask again with next_cursor until it is null.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": shapes.collect::<Map<_, _>>(),
            "responses": ERRORS.iter().map(|(status, about)| (format!("E{status}"), error(about))).collect::<Map<_, _>>(),
            "securitySchemes": {"token": bearer},
        },
    })
}

fn error(about: &str) -> Value {
    let example = json!({"error": {"code": "invalid_request", "field": "horizon",
        "message": "horizon must be seconds above 0 and at most 30 days, such as 3600 or \"1h\""}});
    json!({"description": about, "content": {"application/json":
        {"schema": {"$ref": "#/components/schemas/Error"}, "example": example}}})
}

fn operation(endpoint: &Endpoint) -> Value {
    let method = match endpoint.method {
        "get" => Method::GET,
        "delete" => Method::DELETE,
        _ => Method::POST,
    };
    let needs = needed(&method, endpoint.path);
    let in_path = endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters = in_path.map(|name| parameters::parameter(name, "path"));
    let parameters: Vec<Value> =
        parameters.chain(endpoint.query.iter().map(|name| parameters::parameter(name, "query"))).collect();
    let scope = needs.map_or("Needs no token.".to_owned(), |scope| format!("Needs the scope {scope}."));
    let mut operation = json!({
        "operationId": name(endpoint),
        "summary": endpoint.about,
        "description": scope,
        "tags": [tag(endpoint.path)],
        "parameters": parameters,
        "responses": responses(endpoint),
    });
    if needs.is_some() {
        // A node without tokens asks for none.
        operation["security"] = json!([{"token": []}, {}]);
    }
    if let Some((sort, example)) = endpoint.body {
        let mut content = content(sort);
        if let (Sort::Json(_), Ok(example)) = (sort, serde_json::from_str::<Value>(example)) {
            content["application/json"]["example"] = example;
        }
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

fn responses(endpoint: &Endpoint) -> Map<String, Value> {
    let answer = |about: &str| json!({"description": about, "content": content(endpoint.answer)});
    let mut responses = Map::new();
    if matches!(endpoint.answer, Sort::Foreign) {
        let about = "An error as the protocol has it; of access and limits as everywhere here";
        responses.insert("default".into(), json!({"description": about, "content": content(Sort::Foreign)}));
        responses.insert(endpoint.status.to_owned(), answer(endpoint.about));
        responses.insert("204".into(), json!({"description": "Done, and nothing to say"}));
        return responses;
    }
    for (status, _) in ERRORS {
        responses.insert(status.to_owned(), json!({"$ref": format!("#/components/responses/E{status}")}));
    }
    let mut right = answer(endpoint.about);
    if let Some(example) = example(endpoint) {
        right["content"]["application/json"]["example"] = example;
    }
    responses.insert(endpoint.status.to_owned(), right);
    if endpoint.path == "/-/ready" {
        responses.insert("503".into(), answer("What is still missing"));
    }
    responses
}

/// What an endpoint may answer.
fn example(endpoint: &Endpoint) -> Option<Value> {
    let mut all = examples::ANSWERS.iter();
    let (.., text) = all.find(|(method, path, _)| (*method, *path) == (endpoint.method, endpoint.path))?;
    serde_json::from_str(text).ok()
}

fn content(sort: Sort) -> Value {
    let text = json!({"type": "string"});
    match sort {
        Sort::Json(shape) => json!({"application/json": {"schema": notation::schema(shape)}}),
        Sort::Text => json!({"text/plain": {"schema": text}}),
        Sort::Octets => json!({"application/octet-stream": {"schema": {}}}),
        Sort::Events => json!({"text/event-stream": {"schema": text}}),
        Sort::Form => json!({"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}),
        Sort::Foreign => json!({"*/*": {"schema": {}}}),
        Sort::Page => json!({"text/html": {"schema": text}, "text/css": {"schema": text},
                             "text/javascript": {"schema": text}}),
    }
}

/// A name for generated clients.
fn name(endpoint: &Endpoint) -> String {
    let path = endpoint
        .path
        .strip_prefix("/api/v1/")
        .map_or_else(|| format!("node{}", endpoint.path), str::to_owned);
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("{}_{}", endpoint.method, words.collect::<Vec<_>>().join("_"))
}

fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/api/v1").unwrap_or("/node");
    path.split('/').nth(1).unwrap_or("node")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_path_of_the_router_is_documented_and_no_other() {
        let documented: BTreeSet<String> = document()["paths"].as_object().unwrap().keys().cloned().collect();
        let routes = crate::routes();
        let served: BTreeSet<String> = routes.paths().iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(documented, served);
    }

    #[test]
    fn every_shape_that_is_named_is_there_and_every_name_is_one() {
        let document = document();
        let text = document.to_string();
        let named: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let shapes: BTreeSet<&str> = shapes::SHAPES.iter().map(|(name, ..)| *name).collect();
        assert_eq!(named.difference(&shapes).collect::<Vec<_>>(), Vec::<&&str>::new());
        let used = shapes.difference(&named).collect::<Vec<_>>();
        assert!(used.is_empty(), "nobody asks or answers {used:?}");
        let paths = document["paths"].as_object().unwrap();
        let ids: Vec<&str> = paths
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
            .map(|operation| operation["operationId"].as_str().unwrap())
            .collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }

    #[test]
    fn every_parameter_is_described() {
        let document = document();
        for path in document["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                for parameter in operation["parameters"].as_array().unwrap() {
                    assert_ne!(parameter["description"], "", "{parameter}");
                }
            }
        }
    }

    #[test]
    fn examples_of_bodies_are_json() {
        for endpoint in endpoints::all() {
            if let Some((Sort::Json(_), example)) = endpoint.body {
                serde_json::from_str::<Value>(example)
                    .unwrap_or_else(|error| panic!("{}: {error}", endpoint.path));
            }
        }
    }
}
