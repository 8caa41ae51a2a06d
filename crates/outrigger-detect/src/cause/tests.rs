use proptest::{collection::vec, prelude::*};

use super::*;

fn rows(requests: f64, costs: &[f64]) -> Vec<Observation> {
    costs.iter().map(|cost| Observation { requests, cost: *cost }).collect()
}

/// 100 requests in each interval, at a usual cost that swings by a tenth.
fn component(usual: f64, callees: &[usize], during: &[f64]) -> Component {
    let before = (0..60).flat_map(|i| rows(100.0, &[usual * (1.0 + 0.1 * f64::from(i % 3 - 1))])).collect();
    Component { callees: callees.to_vec(), before, during: rows(100.0, during) }
}

fn first(components: &[Component]) -> usize {
    rank_components(components, 0)[0].component
}

#[test]
fn the_deepest_component_that_adds_time_comes_first() {
    let page = component(0.1, &[1, 2], &[0.1, 0.4, 0.4]);
    let service = component(0.05, &[3], &[0.05, 0.35, 0.35]);
    let other = component(0.05, &[], &[0.05, 0.06, 0.05]);
    let database = component(0.01, &[], &[0.01, 0.31, 0.31]);
    let ranked = rank_components(&[page, service, other, database], 0);
    assert_eq!(ranked[0].component, 3);
    assert!((ranked[0].own - 30.0).abs() < 1e-9, "{:?}", ranked[0]);
    assert!(ranked.iter().skip(1).all(|suspect| suspect.own < 1.0), "{ranked:?}");
}

#[test]
fn a_component_whose_callees_are_well_is_its_own_cause() {
    let page = component(0.1, &[1], &[0.1, 0.4, 0.4]);
    let service = component(0.05, &[2], &[0.05, 0.35, 0.35]);
    let database = component(0.01, &[], &[0.01, 0.012, 0.012]);
    assert_eq!(first(&[page, service, database]), 1);
}

#[test]
fn noise_and_significance_without_weight_explain_nothing() {
    let page = component(0.1, &[1, 2, 3], &[0.1, 0.2, 0.2]);
    // Half a second now and then, as ever.
    let mut batch = component(0.5, &[], &[0.5, 0.7, 0.7]);
    batch.before = (0..60).flat_map(|i| rows(100.0, &[0.2 + 0.3 * f64::from(i % 3)])).collect();
    // A hundred times its noise, and two milliseconds.
    let mut steady = component(0.001, &[], &[0.001, 0.003, 0.003]);
    steady.before = rows(100.0, &[0.001; 60]);
    let culprit = component(0.05, &[], &[0.05, 0.14, 0.14]);
    assert_eq!(first(&[page, batch, steady, culprit]), 3);
}

#[test]
fn what_was_slow_while_the_target_was_well_is_not_the_cause() {
    let page = component(0.1, &[1, 2], &[0.1, 0.1, 0.3]);
    let slow_since_yesterday = component(0.1, &[], &[0.9, 0.9, 0.9]);
    let culprit = component(0.1, &[], &[0.1, 0.1, 0.3]);
    assert_eq!(first(&[page, slow_since_yesterday, culprit]), 2);
}

#[test]
fn what_the_target_does_not_call_comes_behind() {
    let page = component(0.1, &[1], &[0.3, 0.3]);
    let callee = component(0.1, &[0], &[0.3, 0.3]);
    let stranger = component(0.1, &[], &[0.9, 0.9]);
    let ranked = rank_components(&[page, callee, stranger], 0);
    assert!(!ranked[2].reachable && ranked[2].component == 2, "{ranked:?}");
}

fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..10.0, 1 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)]
}

fn observations() -> impl Strategy<Value = Vec<Observation>> {
    vec((figure(), figure()).prop_map(|(requests, cost)| Observation { requests, cost }), 0..8)
}

fn graph() -> impl Strategy<Value = Vec<Component>> {
    let component = (vec(0_usize..8, 0..4), observations(), observations());
    vec(component.prop_map(|(callees, before, during)| Component { callees, before, during }), 0..7)
}

proptest! {
    #[test]
    fn any_graph_and_any_figures_give_finite_answers(components in graph(), target in 0_usize..8) {
        let ranked = rank_components(&components, target);
        let mut seen: Vec<_> = ranked.iter().map(|suspect| suspect.component).collect();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), ranked.len());
        for suspect in &ranked {
            prop_assert!(suspect.component < components.len());
            prop_assert!(suspect.added.is_finite() && suspect.own.is_finite() && suspect.deviation.is_finite(), "{:?}", suspect);
            prop_assert!(suspect.own >= 0.0, "{:?}", suspect);
        }
    }

    /// Twice the traffic everywhere is no other cause.
    #[test]
    fn the_order_does_not_depend_on_traffic(costs in vec(vec(0.01..2.0, 4), 2..6), factor in 0.5..20.0_f64) {
        let graph = |requests: f64| -> Vec<_> {
            let one = |(index, costs): (usize, &Vec<f64>)| {
                let before = (0..30).flat_map(|i| rows(requests, &[1.0 + 0.01 * f64::from(i % 7)])).collect();
                Component { callees: vec![index + 1], before, during: rows(requests, costs) }
            };
            costs.iter().enumerate().map(one).collect()
        };
        let order = |requests: f64| -> Vec<_> { rank_components(&graph(requests), 0).iter().map(|suspect| suspect.component).collect() };
        prop_assert_eq!(order(64.0), order((64.0 * factor).round()));
    }
}
