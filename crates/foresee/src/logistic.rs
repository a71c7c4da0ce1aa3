//! Logistic regression with offsets and a normal prior, by Newton's method.

use std::rc::Rc;

/// Iterations; it converges in fewer.
const ITERATIONS: usize = 60;

/// Something that happened or not. Most features are nothing, so only the others are kept.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    entries: Vec<(u8, f32)>,
    /// Log odds that are believed without any coefficient.
    pub(crate) offset: f64,
    /// Coefficients of the groups that it belongs to, beyond the features, ascending.
    pub(crate) groups: Rc<[usize]>,
    happened: bool,
    weight: f64,
}

impl Trial {
    pub(crate) fn new(
        features: &[f64],
        (offset, groups): (f64, Rc<[usize]>),
        (happened, weight): (bool, f64),
    ) -> Self {
        let entries = features.iter().enumerate().filter(|(_, x)| **x != 0.0);
        let entries = entries.map(|(i, x)| (i as u8, *x as f32)).collect();
        Self { entries, offset, groups, happened, weight }
    }

    fn odds(&self, beta: &[f64]) -> f64 {
        let own: f64 = self.entries.iter().map(|&(i, x)| f64::from(x) * beta[usize::from(i)]).sum();
        self.offset + own + self.groups.iter().map(|&group| beta[group]).sum::<f64>()
    }
}

pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The coefficients that are likeliest, each with its prior's mean and precision.
pub(crate) fn regress<'a>(
    trials: &(impl Iterator<Item = &'a Trial> + Clone),
    prior: &[(f64, f64)],
) -> Vec<f64> {
    let width = prior.len();
    let mut beta: Vec<f64> = prior.iter().map(|(mean, _)| *mean).collect();
    for _ in 0..ITERATIONS {
        let mut hessian = vec![0.0; width * width];
        let mut gradient = vec![0.0; width];
        for (i, (mean, precision)) in prior.iter().enumerate() {
            hessian[i * width + i] = *precision;
            gradient[i] = precision * (mean - beta[i]);
        }
        for trial in trials.clone() {
            add(trial, &beta, (&mut hessian, &mut gradient));
        }
        let mut step = solve(hessian, gradient);
        // Where the start is far off the curvature is nearly none: no step is longer than one.
        let longest = step.iter().fold(1.0f64, |most, s| most.max(s.abs()));
        step.iter_mut().for_each(|s| *s /= longest);
        beta.iter_mut().zip(&step).for_each(|(b, s)| *b += s);
        if step.iter().all(|s| s.abs() < 1e-7) {
            break;
        }
    }
    beta
}

/// Adds the gradient and the lower half of the curvature of one trial.
fn add(trial: &Trial, beta: &[f64], (hessian, gradient): (&mut [f64], &mut [f64])) {
    let width = beta.len();
    let p = logistic(trial.odds(beta));
    let slack = trial.weight * (f64::from(u8::from(trial.happened)) - p);
    let curve = trial.weight * p * (1.0 - p);
    for (n, &(i, x)) in trial.entries.iter().enumerate() {
        gradient[usize::from(i)] += slack * f64::from(x);
        let (row, curve) = (&mut hessian[usize::from(i) * width..], curve * f64::from(x));
        for &(j, y) in &trial.entries[..=n] {
            row[usize::from(j)] += curve * f64::from(y);
        }
    }
    for (n, &group) in trial.groups.iter().enumerate() {
        gradient[group] += slack;
        let row = &mut hessian[group * width..];
        trial.entries.iter().for_each(|&(j, y)| row[usize::from(j)] += curve * f64::from(y));
        trial.groups[..=n].iter().for_each(|&other| row[other] += curve);
    }
}

/// Solves a positive definite system of which the lower half is given, by Cholesky's method.
fn solve(mut a: Vec<f64>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            let left = a[i * n + j] - known;
            a[i * n + j] = if i == j { left.max(1e-12).sqrt() } else { left / a[j * n + j] };
        }
    }
    for i in 0..n {
        let known: f64 = (0..i).map(|k| a[i * n + k] * b[k]).sum();
        b[i] = (b[i] - known) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[k * n + i] * b[k]).sum();
        b[i] = (b[i] - known) / a[i * n + i];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_by_its_lower_half() {
        let found = solve(vec![4.0, 9.9, 2.0, 5.0], vec![2.0, 9.0]);
        assert!((found[0] + 0.5).abs() < 1e-12 && (found[1] - 2.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn coefficients_and_groups_are_found_and_shrink_to_their_priors() {
        let trial = |n: u32| {
            let (x, group) = (f64::from(n % 10) / 10.0, usize::from(n.is_multiple_of(2)));
            let p = logistic(-1.0 + 3.0 * x + 2.0 * group as f64);
            let happened = f64::from(n * 7919 % 1000) / 1000.0 < p;
            let groups: Vec<usize> = (group == 1).then_some(2).into_iter().collect();
            Trial::new(&[1.0, x], (-1.0, groups.into()), (happened, 1.0))
        };
        let trials: Vec<Trial> = (0..20_000).map(trial).collect();
        let found = regress(&trials.iter(), &[(0.0, 1.0); 3]);
        assert!(found[0].abs() < 0.2 && (found[1] - 3.0).abs() < 0.3, "{found:?}");
        assert!((found[2] - 2.0).abs() < 0.2, "{found:?}");
        let shrunk = regress(&trials[..2].iter(), &[(0.0, 1e9), (5.0, 1e9), (0.0, 1e9)]);
        assert!((shrunk[1] - 5.0).abs() < 1e-6, "{shrunk:?}");
    }
}
