//! The fault switches on the admin listener.

use super::kind::{Kind, STRENGTH};
use super::switches::{Active, Setting, Switches};
use crate::error::{ApiError, Result};
use crate::routes;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Map, Value};

const MAX_BODY_BYTES: usize = 16 * 1024;
const EXAMPLE: &str = r#"such as {"share":0.5,"strength_ms":300,"routes":["/search"]}"#;
const FIELDS: &[&str] = &["share", "strength_ms", "routes"];

/// The routes under `/faults`, to merge into the admin router.
pub(crate) fn router(switches: Switches) -> Router {
    Router::new()
        .route("/faults", get(list))
        .route("/faults/{name}", put(switch_on).delete(switch_off))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(switches)
}

#[derive(Serialize)]
struct List {
    faults: Vec<Switch>,
}

/// A kind of fault, and whether it is on.
#[derive(Serialize)]
struct Switch {
    name: &'static str,
    description: &'static str,
    /// Where it can be put.
    possible_routes: &'static [&'static str],
    active: Option<Active>,
}

async fn list(State(switches): State<Switches>) -> Json<List> {
    let active = switches.active();
    let of = |kind: Kind| active.iter().find(|fault| fault.kind == kind).cloned();
    Json(List { faults: Kind::ALL.into_iter().map(|kind| state(kind, of(kind))).collect() })
}

async fn switch_on(State(switches): State<Switches>, Path(name): Path<String>, body: Bytes) -> Result<Json<Switch>> {
    let kind = named(&name)?;
    let setting = parse(kind, &body)?;
    let active = switches.set(kind, setting).map_err(not_noted)?;
    tracing::warn!(fault = active.id, share = active.setting.share, routes = ?active.setting.routes, "fault on");
    Ok(Json(state(kind, Some(active))))
}

async fn switch_off(State(switches): State<Switches>, Path(name): Path<String>) -> Result<Json<Switch>> {
    let kind = named(&name)?;
    if let Some(ended) = switches.clear(kind).map_err(not_noted)? {
        tracing::warn!(fault = ended.id, "fault off");
    }
    Ok(Json(state(kind, None)))
}

fn state(kind: Kind, active: Option<Active>) -> Switch {
    Switch { name: kind.name(), description: kind.description(), possible_routes: kind.routes(), active }
}

fn named(name: &str) -> Result<Kind> {
    Kind::named(name).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::name).join(", ");
        ApiError::new(StatusCode::NOT_FOUND, "unknown_fault", format!("there is no fault {name:?}; there are {known}"))
    })
}

fn not_noted(error: std::io::Error) -> ApiError {
    let message = format!("the truth file could not be written: {error}");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "truth_file", message)
}

/// Field by field, so that an error can name the field and what to do about it.
fn parse(kind: Kind, body: &[u8]) -> Result<Setting> {
    let fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid("body", format!("{error}; give a JSON object {EXAMPLE}")))?;
    if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(ApiError::invalid(unknown, format!("there is no such field; there are {}", FIELDS.join(", "))));
    }
    Ok(Setting { share: share(&fields)?, strength_ms: strength(kind, &fields)?, routes: routes(kind, &fields)? })
}

fn share(fields: &Map<String, Value>) -> Result<f64> {
    match fields.get("share").and_then(Value::as_f64) {
        Some(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(ApiError::invalid("share", "give a number above 0 and up to 1")),
    }
}

fn strength(kind: Kind, fields: &Map<String, Value>) -> Result<Option<u64>> {
    match fields.get("strength_ms") {
        None | Some(Value::Null) if !kind.has_strength() => Ok(None),
        given => match given.and_then(Value::as_u64) {
            Some(strength) if STRENGTH.contains(&strength) => Ok(Some(strength)),
            _ => {
                let (from, to) = (STRENGTH.start(), STRENGTH.end());
                Err(ApiError::invalid(
                    "strength_ms",
                    format!("give a whole number of milliseconds between {from} and {to}"),
                ))
            }
        },
    }
}

fn routes(kind: Kind, fields: &Map<String, Value>) -> Result<Vec<String>> {
    let possible = kind.routes();
    let wrong = |problem: String| {
        ApiError::invalid("routes", format!("{problem}; give a list of one or more of {}", possible.join(", ")))
    };
    let Some(Value::Array(given)) = fields.get("routes") else { return Err(wrong("not a list".to_owned())) };
    if given.is_empty() {
        return Err(wrong("the list is empty".to_owned()));
    }
    let mut chosen: Vec<String> = Vec::new();
    for value in given {
        let Some(route) = value.as_str() else { return Err(wrong(format!("{value} is not a string"))) };
        if !possible.contains(&route) {
            let problem = if routes::TEMPLATES.contains(&route) {
                format!("{} does nothing to {route}", kind.name())
            } else {
                format!("the shop has no route {route:?}")
            };
            return Err(wrong(problem));
        }
        if !chosen.iter().any(|known| known == route) {
            chosen.push(route.to_owned());
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, body: &str) -> std::result::Result<Setting, String> {
        parse(kind, body.as_bytes()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn what_is_asked_is_what_is_set() {
        let setting =
            check(Kind::CpuBurn, r#"{"share":1,"strength_ms":10000,"routes":["/cart","/cart","/orders"]}"#).unwrap();
        let routes = vec!["/cart".to_owned(), "/orders".to_owned()];
        assert_eq!(setting, Setting { share: 1.0, strength_ms: Some(10_000), routes });
        let setting = check(Kind::Errors, r#"{"share":0.01,"routes":["/users"]}"#).unwrap();
        assert_eq!(setting.strength_ms, None);
    }

    #[test]
    fn what_cannot_be_done_names_the_field() {
        for (kind, body, field) in [
            (Kind::Errors, "", "body"),
            (Kind::Errors, "[]", "body"),
            (Kind::Errors, r#"{"share":0.5,"#, "body"),
            (Kind::Errors, r#"{"share":0,"routes":["/cart"]}"#, "share"),
            (Kind::Errors, r#"{"share":1.01,"routes":["/cart"]}"#, "share"),
            (Kind::Errors, r#"{"share":"half","routes":["/cart"]}"#, "share"),
            (Kind::Errors, r#"{"routes":["/cart"]}"#, "share"),
            (Kind::Errors, r#"{"share":1,"strength_ms":0,"routes":["/cart"]}"#, "strength_ms"),
            (Kind::CpuBurn, r#"{"share":1,"routes":["/cart"]}"#, "strength_ms"),
            (Kind::CpuBurn, r#"{"share":1,"strength_ms":10001,"routes":["/cart"]}"#, "strength_ms"),
            (Kind::CpuBurn, r#"{"share":1,"strength_ms":1.5,"routes":["/cart"]}"#, "strength_ms"),
            (Kind::CpuBurn, r#"{"share":1,"strength_ms":-1,"routes":["/cart"]}"#, "strength_ms"),
            (Kind::Errors, r#"{"share":1}"#, "routes"),
            (Kind::Errors, r#"{"share":1,"routes":[]}"#, "routes"),
            (Kind::Errors, r#"{"share":1,"routes":"/cart"}"#, "routes"),
            (Kind::Errors, r#"{"share":1,"routes":[7]}"#, "routes"),
            (Kind::Errors, r#"{"share":1,"routes":["/nowhere"]}"#, "routes"),
            (Kind::CacheFlush, r#"{"share":1,"routes":["/orders"]}"#, "routes"),
            (Kind::Errors, r#"{"share":1,"rate":1,"routes":["/cart"]}"#, "rate"),
        ] {
            let error = check(kind, body).unwrap_err();
            assert!(error.contains(&format!("{field}: ")), "{body}: {error}");
        }
    }
}
