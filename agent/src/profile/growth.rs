//! Which functions use more CPU than usual.
//!
//! A function's figure is its inclusive one: its own time and that of what it calls, once for each stack however often it
//! stands there. `main` and the runtime's loops grow with whatever grows below them, so a function of whose growth most
//! comes from one thing that it calls is passed through to that. What was named is taken out before the next one is looked
//! for, so that each line tells of another part of the growth. One of the standard library's, or one without a path, is told
//! with whoever called it, since that is where something can be done.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::compare::{Comparison, Pair};

/// A function and the processors that it uses, with what it calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Who called it, of a function that many call: the nearest first.
    #[serde(default)]
    pub(crate) callers: Vec<String>,
    /// Before, unless there is no profile of then.
    #[serde(default)]
    pub(crate) before: Option<f64>,
    /// During the incident.
    pub(crate) during: f64,
}

impl Function {
    pub(crate) fn growth(&self) -> f64 {
        self.during - self.before.unwrap_or(0.0)
    }
}

/// The most functions that are named.
const MAX_FUNCTIONS: usize = 5;
/// A function is passed through if one thing that it calls accounts for this share of its growth.
const PASS_THROUGH: f64 = 0.8;
/// A caller is named if it accounts for this share of the growth.
const MAIN_CALLER: f64 = 0.5;
/// What grew by less than this part of a processor is not worth a word,
const LEAST_PROCESSORS: f64 = 0.02;
/// nor what grew by less than this share of all that is used.
const LEAST_SHARE: f64 = 0.05;
/// How many standard deviations of the number of samples it has to have grown by. Samples come by chance: their number
/// varies as that of a Poisson process.
const LEAST_DEVIATIONS: f64 = 4.0;

/// The functions that grew most, the strongest first; without a profile of before, those that use most.
pub(crate) fn functions(comparison: &Comparison) -> Vec<Function> {
    let mut stacks: Vec<(&[u32], Pair)> = comparison.stacks.iter().map(|(stack, pair)| (&**stack, *pair)).collect();
    let (_, used) = comparison.processors();
    let mut found = Vec::new();
    while found.len() < MAX_FUNCTIONS {
        let Some((function, pair)) = strongest(comparison, &stacks) else { break };
        let (before, during) = comparison.rates(pair);
        let growth = during - before.unwrap_or(0.0);
        if growth < LEAST_PROCESSORS || growth < LEAST_SHARE * used || !is_clear(comparison, pair) {
            break;
        }
        let name = comparison.names.get(function as usize).cloned().unwrap_or_default();
        let callers = if is_common(&name) { callers(comparison, &stacks, function, growth) } else { Vec::new() };
        stacks.retain(|(stack, _)| !stack.contains(&function));
        found.push(Function { name, callers, before, during });
    }
    found
}

/// The function that grew most of those that are not passed through.
fn strongest(comparison: &Comparison, stacks: &[(&[u32], Pair)]) -> Option<(u32, Pair)> {
    let mut whole: HashMap<u32, Pair> = HashMap::new();
    let mut calls: HashMap<(u32, u32), Pair> = HashMap::new();
    // The last stack that each function was seen in.
    let mut seen: HashMap<u32, usize> = HashMap::new();
    for (number, (stack, pair)) in stacks.iter().enumerate() {
        let mut callee = None;
        // From the leaf, so that a function that calls itself counts by its innermost call.
        for function in stack.iter().rev() {
            if seen.insert(*function, number) != Some(number) {
                whole.entry(*function).or_default().add(*pair);
                if let Some(callee) = callee {
                    calls.entry((*function, callee)).or_default().add(*pair);
                }
            }
            callee = Some(*function);
        }
    }
    let growth = |pair: Pair| {
        let (before, during) = comparison.rates(pair);
        during - before.unwrap_or(0.0)
    };
    let mut most_by_one: HashMap<u32, f64> = HashMap::new();
    for ((function, _), pair) in calls {
        let most = most_by_one.entry(function).or_default();
        *most = most.max(growth(pair));
    }
    let is_passed =
        |function: u32, pair: Pair| most_by_one.get(&function).is_some_and(|most| *most >= PASS_THROUGH * growth(pair));
    let name = |function: u32| comparison.names.get(function as usize);
    whole
        .into_iter()
        .filter(|(function, pair)| growth(*pair) > 0.0 && !is_passed(*function, *pair))
        .max_by(|a, b| growth(a.1).total_cmp(&growth(b.1)).then_with(|| name(b.0).cmp(&name(a.0))))
}

/// Who called a common function for most of its growth: the first function on the way up that is not common, and before it
/// the one that this calls, if that has no path. In a build without full debug information it is one of the same file that
/// was inlined. If no such function stands out, one of a library that is generic over the service's own code tells where that
/// is; else the nearest caller that stands out is named.
fn callers(comparison: &Comparison, stacks: &[(&[u32], Pair)], function: u32, growth: f64) -> Vec<String> {
    let mut callers: BTreeMap<(Option<&str>, &str), Pair> = BTreeMap::new();
    let mut generic = callers.clone();
    let mut nearest: BTreeMap<&str, Pair> = BTreeMap::new();
    for (stack, pair) in stacks {
        let above = stack.iter().rev().skip_while(|frame| **frame != function).skip(1);
        let (mut below, mut is_first, mut is_generic) = (None, true, false);
        for name in above.filter_map(|frame| comparison.names.get(*frame as usize)).map(String::as_str) {
            if !is_common(name) {
                callers.entry((below, name)).or_default().add(*pair);
                break;
            }
            if !is_generic && is_generic_over_code(name) {
                generic.entry((below, name)).or_default().add(*pair);
                is_generic = true;
            }
            // Closures and bodies of async functions are of whoever calls them.
            if !name.starts_with('{') {
                below = Some(name).filter(|name| !is_of_library(name));
                if std::mem::take(&mut is_first) {
                    nearest.entry(name).or_default().add(*pair);
                }
            }
        }
    }
    let by = |pair: Pair| {
        let (before, during) = comparison.rates(pair);
        during - before.unwrap_or(0.0)
    };
    let stands_out = |pair: Pair| by(pair) >= MAIN_CALLER * growth;
    for callers in [callers, generic] {
        let main = callers.into_iter().max_by(|a, b| by(a.1).total_cmp(&by(b.1)));
        if let Some(((below, name), _)) = main.filter(|(_, pair)| stands_out(*pair)) {
            return below.into_iter().chain([name]).map(str::to_owned).collect();
        }
    }
    let nearest = nearest.into_iter().find(|(_, pair)| stands_out(*pair));
    nearest.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// A function of a library that all use, or one whose name has no path, as those of C and of inlined code have none.
fn is_common(name: &str) -> bool {
    is_of_library(name) || !path(name).contains(['.', ':'])
}

/// A common function that was made for a type or closure of code that is not common: `poll<shop::Burn>`.
fn is_generic_over_code(name: &str) -> bool {
    let mut parts = name.split(['<', '>', ',', ' ', '&', '(', ')', '[', ']']);
    parts.next();
    parts.any(|part| part.contains("::") && !part.starts_with("::") && !is_of_library(part))
}

/// A function of a standard library or runtime.
fn is_of_library(name: &str) -> bool {
    let path = path(name);
    let module = path.split("::").next().unwrap_or_default();
    let is_rust = ["core", "std", "alloc", "hashbrown", "compiler_builtins", "tokio"].contains(&module);
    is_rust || path.starts_with("runtime.")
}

/// A name without what it is generic over.
fn path(name: &str) -> &str {
    let name = name.trim_start_matches(['<', '&', '(', '[', '*']).trim_start_matches("dyn ").trim_start_matches("mut ");
    name.split(['<', ' ']).next().unwrap_or_default()
}

/// The growth is more than chance.
fn is_clear(comparison: &Comparison, pair: Pair) -> bool {
    let during = pair.during / comparison.period.during.max(1.0);
    if !comparison.has_before() {
        return during >= LEAST_DEVIATIONS;
    }
    let scale = comparison.seconds.during / comparison.seconds.before;
    let before = pair.before / comparison.period.before.max(1.0);
    // With another period the same time is another number of samples.
    let expected = before * scale * comparison.period.before / comparison.period.during.max(1.0);
    during - expected > LEAST_DEVIATIONS * (during + expected * scale + 1.0).sqrt()
}
