//! The functions and aggregations there are, and what they take.

use crate::expression::Type;

/// A function: name, types of its arguments, how many of them must be there, and its result. With more arguments than
/// types the last type counts.
type Signature = (&'static str, &'static [Type], usize, Type);

const S: Type = Type::Scalar;
const V: Type = Type::Vector;
const M: Type = Type::Matrix;
const T: Type = Type::Text;

/// As many as are given.
const MANY: usize = usize::MAX;

const FUNCTIONS: &[Signature] = &[
    ("abs", &[V], 1, V),
    ("absent", &[V], 1, V),
    ("absent_over_time", &[M], 1, V),
    ("avg_over_time", &[M], 1, V),
    ("ceil", &[V], 1, V),
    ("changes", &[M], 1, V),
    ("clamp", &[V, S, S], 3, V),
    ("clamp_max", &[V, S], 2, V),
    ("clamp_min", &[V, S], 2, V),
    ("count_over_time", &[M], 1, V),
    ("day_of_month", &[V], 0, V),
    ("day_of_week", &[V], 0, V),
    ("delta", &[M], 1, V),
    ("deriv", &[M], 1, V),
    ("exp", &[V], 1, V),
    ("floor", &[V], 1, V),
    ("histogram_quantile", &[S, V], 2, V),
    ("hour", &[V], 0, V),
    ("idelta", &[M], 1, V),
    ("increase", &[M], 1, V),
    ("irate", &[M], 1, V),
    ("label_join", &[V, T], MANY, V),
    ("label_replace", &[V, T, T, T, T], 5, V),
    ("last_over_time", &[M], 1, V),
    ("ln", &[V], 1, V),
    ("log10", &[V], 1, V),
    ("log2", &[V], 1, V),
    ("max_over_time", &[M], 1, V),
    ("min_over_time", &[M], 1, V),
    ("minute", &[V], 0, V),
    ("month", &[V], 0, V),
    ("pi", &[], 0, S),
    ("predict_linear", &[M, S], 2, V),
    ("present_over_time", &[M], 1, V),
    ("quantile_over_time", &[S, M], 2, V),
    ("rate", &[M], 1, V),
    ("resets", &[M], 1, V),
    ("round", &[V, S], 1, V),
    ("scalar", &[V], 1, S),
    ("sgn", &[V], 1, V),
    ("sort", &[V], 1, V),
    ("sort_desc", &[V], 1, V),
    ("sqrt", &[V], 1, V),
    ("stddev_over_time", &[M], 1, V),
    ("stdvar_over_time", &[M], 1, V),
    ("sum_over_time", &[M], 1, V),
    ("time", &[], 0, S),
    ("timestamp", &[V], 1, V),
    ("vector", &[S], 1, V),
    ("year", &[V], 0, V),
];

/// Aggregations, and the type of their parameter.
const AGGREGATIONS: [(&str, Option<Type>); 12] = [
    ("avg", None),
    ("bottomk", Some(S)),
    ("count", None),
    ("count_values", Some(T)),
    ("group", None),
    ("max", None),
    ("min", None),
    ("quantile", Some(S)),
    ("stddev", None),
    ("stdvar", None),
    ("sum", None),
    ("topk", Some(S)),
];

/// The function of that name.
pub(crate) fn function(name: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|signature| signature.0 == name).map(|signature| signature.0)
}

/// The aggregation of that name, and the type of its parameter.
pub(crate) fn aggregation(name: &str) -> Option<(&'static str, Option<Type>)> {
    AGGREGATIONS.into_iter().find(|(known, _)| *known == name)
}

pub(crate) fn result(function: &str) -> Type {
    FUNCTIONS.iter().find(|signature| signature.0 == function).map_or(V, |signature| signature.3)
}

/// What is wrong with the types of arguments.
pub(crate) fn check(name: &'static str, given: &[Type]) -> Result<(), String> {
    let Some(&(_, wanted, least, _)) = FUNCTIONS.iter().find(|signature| signature.0 == name) else {
        return Err(format!("unknown function with name {name:?}"));
    };
    let (least, most) = if least == MANY { (3, MANY) } else { (least, wanted.len()) };
    if given.len() < least || given.len() > most {
        let given = given.len();
        return Err(format!("expected {least} argument(s) in call to {name:?}, got {given}"));
    }
    for (at, &given) in given.iter().enumerate() {
        let Some(&wanted) = wanted.get(at).or(wanted.last()) else { continue };
        if given != wanted {
            let (wanted, given) = (wanted.name(), given.name());
            return Err(format!("expected type {wanted} in call to function {name:?}, got {given}"));
        }
    }
    Ok(())
}
