//! Dense sums of products and their solution: what ridge regression needs.
//!
//! `unsafe` for one call: the foreign kernel takes pointers and strides, which are checked against the slices first.
#![allow(unsafe_code)]

/// `sum += aᵀ b` for row-major `a` (rows × n) and `b` (rows × m), through `scratch`.
///
/// Products are formed in `f32` over one block of rows and summed over blocks in `f64`.
pub(crate) fn add_cross(
    sum: &mut [f64],
    (a, n): (&[f32], usize),
    (b, m): (&[f32], usize),
    scratch: &mut Vec<f32>,
) {
    let rows = a.len() / n.max(1);
    scratch.clear();
    scratch.resize(n * m, 0.0);
    multiply((a, [1, n]), (b, [m, 1]), [n, rows, m], scratch);
    for (total, part) in sum.iter_mut().zip(scratch.iter()) {
        *total += f64::from(*part);
    }
}

/// `c += a b` for `a` of shape m × k and `b` of shape k × n, each with row and column strides; `c` is row-major.
pub(crate) fn multiply(
    (a, a_strides): (&[f32], [usize; 2]),
    (b, b_strides): (&[f32], [usize; 2]),
    [m, k, n]: [usize; 3],
    c: &mut [f32],
) {
    let reach = |rows: usize, columns: usize, strides: [usize; 2]| match (rows, columns) {
        (0, _) | (_, 0) => 0,
        _ => (rows - 1) * strides[0] + (columns - 1) * strides[1] + 1,
    };
    assert!(reach(m, k, a_strides) <= a.len() && reach(k, n, b_strides) <= b.len() && m * n <= c.len());
    let [ra, ca] = a_strides.map(usize::cast_signed);
    let [rb, cb] = b_strides.map(usize::cast_signed);
    // SAFETY: the assertion above keeps every element read and written within its slice, `c` is borrowed mutably.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            ra,
            ca,
            b.as_ptr(),
            rb,
            cb,
            1.0,
            c.as_mut_ptr(),
            n.cast_signed(),
            1,
        );
    }
}

/// Solves `(g + ridge I) w = c` in place of `c` (n × m, row-major) for a positive semidefinite `g` (n × n), by
/// Cholesky's method. `g` is overwritten.
pub(crate) fn solve_ridge(g: &mut [f64], n: usize, ridge: f64, c: &mut [f64]) {
    let m = c.len() / n.max(1);
    for i in 0..n {
        g[i * n + i] += ridge;
    }
    for i in 0..n {
        for j in 0..=i {
            let (row_i, row_j) = (&g[i * n..i * n + j], &g[j * n..j * n + j]);
            let rest = g[i * n + j] - row_i.iter().zip(row_j).map(|(a, b)| a * b).sum::<f64>();
            // Rounding may eat a pivot that the ridge should have kept.
            g[i * n + j] = if i == j { rest.max(ridge * 1e-6).sqrt() } else { rest / g[j * n + j] };
        }
    }
    for i in 0..n {
        let (above, here) = c.split_at_mut(i * m);
        eliminate(&mut here[..m], (0..i).map(|k| (g[i * n + k], &above[k * m..(k + 1) * m])), g[i * n + i]);
    }
    for i in (0..n).rev() {
        let (here, below) = c.split_at_mut((i + 1) * m);
        let rows = (i + 1..n).map(|k| (g[k * n + i], &below[(k - i - 1) * m..(k - i) * m]));
        eliminate(&mut here[i * m..], rows, g[i * n + i]);
    }
}

fn eliminate<'a>(row: &mut [f64], others: impl Iterator<Item = (f64, &'a [f64])>, pivot: f64) {
    for (factor, other) in others {
        row.iter_mut().zip(other).for_each(|(x, y)| *x -= factor * y);
    }
    row.iter_mut().for_each(|x| *x /= pivot);
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    #[test]
    fn regression_recovers_its_weights() {
        let (mut rng, n, m, rows) = (Rng::new(1), 7, 3, 300);
        let truth: Vec<f32> = (0..n * m).map(|_| rng.normal() as f32).collect();
        let x: Vec<f32> = (0..rows * n).map(|_| rng.normal() as f32).collect();
        let mut y = vec![0.0; rows * m];
        multiply((&x, [n, 1]), (&truth, [m, 1]), [rows, n, m], &mut y);
        let (mut g, mut c, mut scratch) = (vec![0.0; n * n], vec![0.0; n * m], Vec::new());
        for block in 0..3 {
            let (x, y) = (&x[block * 100 * n..][..100 * n], &y[block * 100 * m..][..100 * m]);
            add_cross(&mut g, (x, n), (x, n), &mut scratch);
            add_cross(&mut c, (x, n), (y, m), &mut scratch);
        }
        solve_ridge(&mut g, n, 1e-6, &mut c);
        assert!(c.iter().zip(&truth).all(|(found, truth)| (found - f64::from(*truth)).abs() < 1e-4));
    }

    #[test]
    fn a_singular_system_has_a_finite_answer() {
        let (mut g, mut c) = (vec![1.0; 9], vec![1.0, 1.0, 1.0]);
        solve_ridge(&mut g, 3, 1e-9, &mut c);
        assert!(c.iter().all(|x| x.is_finite()) && (c.iter().sum::<f64>() - 1.0).abs() < 1e-3);
    }
}
