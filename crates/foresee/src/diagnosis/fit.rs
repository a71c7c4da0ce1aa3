//! Weights from diagnoses whose true cause became known.

use super::rank::{FEATURES, Weights, softmax};

/// One diagnosis with its truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// Features of every suspect.
    pub suspects: Vec<[f64; FEATURES]>,
    /// Which of them was the cause; none where the cause was not among them.
    pub cause: Option<usize>,
    /// How much the lesson counts.
    pub weight: f64,
}

/// Coefficients: the features, and "unknown".
const WIDTH: usize = FEATURES + 1;
/// Steps of Newton's method; a concave likelihood with a ridge needs few.
const STEPS: usize = 50;

/// The weights of largest penalised likelihood of a conditional logit; `ridge` pulls them towards 0. The features are
/// weighed on lessons whose cause is among the suspects, as to which of these it is; then all of them are scaled, and
/// "unknown" is set, so that probabilities are as high as the lessons say.
#[must_use]
pub fn fit(lessons: &[Lesson], ridge: f64) -> Weights {
    let found: Vec<Lesson> = lessons.iter().filter(|lesson| lesson.cause.is_some()).cloned().collect();
    let mut at = [0.0; WIDTH];
    at[FEATURES] = f64::NEG_INFINITY;
    climb(&found, &mut at, (&[0, 1, 2, 3, 4, 5], ridge));
    let mut features = [0.0; FEATURES];
    features.copy_from_slice(&at[..FEATURES]);
    // One feature is left: the utility so far.
    let utilities: Vec<Lesson> = lessons.iter().map(|lesson| reduced(lesson, &features)).collect();
    let mut at = [0.0; WIDTH];
    at[0] = 1.0;
    climb(&utilities, &mut at, (&[0, FEATURES], ridge));
    Weights { features: features.map(|weight| at[0] * weight), unknown: at[FEATURES] }
}

fn reduced(lesson: &Lesson, weights: &[f64; FEATURES]) -> Lesson {
    let utility = |x: &[f64; FEATURES]| {
        let mut only = [0.0; FEATURES];
        only[0] = x.iter().zip(weights).map(|(x, weight)| x * weight).sum();
        only
    };
    Lesson { suspects: lesson.suspects.iter().map(utility).collect(), ..*lesson }
}

/// Moves the coefficients in `free` to the largest penalised likelihood, the others kept.
fn climb(lessons: &[Lesson], at: &mut [f64; WIDTH], (free, ridge): (&[usize], f64)) {
    for _ in 0..STEPS {
        let (mut gradient, mut curvature) = slope(lessons, at, ridge);
        for kept in (0..WIDTH).filter(|column| !free.contains(column)) {
            gradient[kept] = 0.0;
            curvature.iter_mut().for_each(|row| row[kept] = 0.0);
            curvature[kept] = [0.0; WIDTH];
            curvature[kept][kept] = 1.0;
        }
        let Some(step) = solve(curvature, gradient) else { return };
        let size = step.iter().map(|change| change.abs()).fold(0.0, f64::max);
        // Far from the optimum a whole step may overshoot.
        let share = if size > 1.0 { 1.0 / size } else { 1.0 };
        free.iter().for_each(|&column| at[column] += share * step[column]);
        if size < 1e-9 {
            return;
        }
    }
}

/// Gradient and negated Hessian of the penalised log-likelihood.
fn slope(lessons: &[Lesson], at: &[f64; WIDTH], ridge: f64) -> ([f64; WIDTH], [[f64; WIDTH]; WIDTH]) {
    let mut gradient = at.map(|weight| if weight.is_finite() { -2.0 * ridge * weight } else { 0.0 });
    let mut curvature = [[0.0; WIDTH]; WIDTH];
    (0..WIDTH).for_each(|one| curvature[one][one] = 2.0 * ridge);
    for lesson in lessons {
        let mut rows: Vec<[f64; WIDTH]> = lesson.suspects.iter().map(row).collect();
        rows.push(std::array::from_fn(|column| f64::from(u8::from(column == FEATURES))));
        let mut chance: Vec<f64> = rows.iter().map(|row| utility(row, at)).collect();
        softmax(&mut chance);
        let mean: [f64; WIDTH] =
            std::array::from_fn(|column| rows.iter().zip(&chance).map(|(row, p)| p * row[column]).sum());
        let truth = rows[lesson.cause.unwrap_or(rows.len() - 1)];
        for one in 0..WIDTH {
            gradient[one] += lesson.weight * (truth[one] - mean[one]);
            for other in 0..WIDTH {
                let spread = rows.iter().zip(&chance).map(|(row, p)| p * row[one] * row[other]).sum::<f64>();
                curvature[one][other] += lesson.weight * (spread - mean[one] * mean[other]);
            }
        }
    }
    (gradient, curvature)
}

/// What a row does not have does not count, not even where the weight is infinite.
fn utility(row: &[f64; WIDTH], at: &[f64; WIDTH]) -> f64 {
    row.iter().zip(at).filter(|(x, _)| **x != 0.0).map(|(x, weight)| x * weight).sum()
}

fn row(features: &[f64; FEATURES]) -> [f64; WIDTH] {
    std::array::from_fn(|column| features.get(column).copied().unwrap_or(0.0))
}

/// Gaussian elimination with partial pivoting; none where the matrix is singular.
fn solve(mut matrix: [[f64; WIDTH]; WIDTH], mut right: [f64; WIDTH]) -> Option<[f64; WIDTH]> {
    for column in 0..WIDTH {
        let pivot =
            (column..WIDTH).max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-12 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let pivot = matrix[column];
        for below in column + 1..WIDTH {
            let factor = matrix[below][column] / pivot[column];
            matrix[below].iter_mut().zip(pivot).for_each(|(one, above)| *one -= factor * above);
            right[below] -= factor * right[column];
        }
    }
    let mut solution = [0.0; WIDTH];
    for one in (0..WIDTH).rev() {
        let known: f64 = (one + 1..WIDTH).map(|at| matrix[one][at] * solution[at]).sum();
        solution[one] = (right[one] - known) / matrix[one][one];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    /// Lessons drawn from known weights: the fit finds them again.
    #[test]
    fn known_weights_are_found() {
        let truth = Weights { features: [2.0, 0.0, 1.0, -1.0, 0.5, 0.0], unknown: 1.0 };
        let mut rng = Rng::new(1);
        let mut lessons = Vec::new();
        for _ in 0..4000 {
            let suspects: Vec<[f64; FEATURES]> =
                (0..5).map(|_| std::array::from_fn(|_| rng.uniform())).collect();
            let utility =
                |x: &[f64; FEATURES]| x.iter().zip(&truth.features).map(|(x, w)| x * w).sum::<f64>();
            let mut chance: Vec<f64> = suspects.iter().map(utility).collect();
            chance.push(truth.unknown);
            softmax(&mut chance);
            let mut left = rng.uniform();
            let drawn = chance.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            let cause = drawn.filter(|at| *at < suspects.len());
            lessons.push(Lesson { suspects, cause, weight: 1.0 });
        }
        let found = fit(&lessons, 1e-6);
        for (found, truth) in found.features.iter().zip(&truth.features) {
            assert!((found - truth).abs() < 0.25, "{found} for {truth}");
        }
        assert!((found.unknown - truth.unknown).abs() < 0.25, "{}", found.unknown);
    }
}
