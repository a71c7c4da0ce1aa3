//! The standard normal distribution, both ways.

/// Probability below `z`, to 1.2e-7 (Numerical Recipes, `erfcc`).
pub(super) fn cdf(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    const C: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let polynomial = C.iter().rev().fold(0.0, |sum, c| sum * t + c);
    let tail = 0.5 * t * (polynomial - x * x).exp();
    if z > 0.0 { 1.0 - tail } else { tail }
}

/// The `z` below which a probability lies, by halving: exact to what [`cdf`] is.
pub(super) fn quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..44 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_values() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.959_964, 0.025), (3.0, 0.998_650_1)] {
            assert!((cdf(z) - p).abs() < 2e-7, "{z}");
            assert!((quantile(p) - z).abs() < 1e-4, "{p}");
        }
    }
}
