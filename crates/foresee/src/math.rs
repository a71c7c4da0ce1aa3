//! The few functions of probability that the rest stands on.

/// Standard normal distribution function, to 1e-7: Abramowitz and Stegun, formula 26.2.17.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    if z.is_nan() {
        return 0.5;
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = series * (-0.5 * z * z).exp() * 0.398_942_280_401_432_7;
    if z > 0.0 { 1.0 - tail } else { tail }
}

/// Probability that a Wiener process with drift `mu` and diffusion `sigma` per root second has risen by `rise`
/// within `t` seconds:
///
/// F(t) = Φ((μt − h) / σ√t) + exp(2μh / σ²) Φ(−(μt + h) / σ√t),
///
/// the inverse Gaussian distribution (Folks and Chhikara, "The inverse Gaussian distribution and its statistical
/// application", JRSS B 40, 1978), defective for μ < 0.
#[must_use]
pub fn first_passage(t: f64, rise: f64, mu: f64, sigma: f64) -> f64 {
    if rise <= 0.0 {
        return 1.0;
    }
    if t <= 0.0 {
        return 0.0;
    }
    let scale = sigma * t.sqrt();
    if scale <= 1e-9 * rise {
        return f64::from(u8::from(mu * t >= rise));
    }
    let direct = normal_cdf((mu * t - rise) / scale);
    let exponent = 2.0 * mu * rise / (sigma * sigma);
    let reflected = -(mu * t + rise) / scale;
    // The factor overflows where its partner underflows: bound the partner by exp(-z²/2)/2 first.
    let bound = exponent - 0.5 * reflected * reflected;
    let second =
        if bound < -30.0 || reflected < -35.0 { 0.0 } else { exponent.exp() * normal_cdf(reflected) };
    (direct + second.min(1.0)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    #[test]
    fn normal_cdf_knows_its_table() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.841_344_75), (-1.959_964, 0.025), (3.0, 0.998_650_1)] {
            assert!((normal_cdf(z) - p).abs() < 2e-7, "{z}");
        }
    }

    #[test]
    fn first_passage_agrees_with_simulation() {
        let mut rng = Rng::new(1);
        let (rise, mu, sigma, t, steps) = (10.0, 0.1, 1.0, 60.0, 6000);
        let dt: f64 = t / f64::from(steps);
        let hits = (0..1500).filter(|_| {
            let mut x = 0.0;
            (0..steps).any(|_| {
                x += mu * dt + sigma * dt.sqrt() * rng.normal();
                x >= rise
            })
        });
        let share = hits.count() as f64 / 1500.0;
        assert!((share - first_passage(t, rise, mu, sigma)).abs() < 0.05, "{share}");
    }

    #[test]
    fn first_passage_survives_extremes() {
        assert_eq!(first_passage(10.0, 1.0, 1.0, 0.0), 1.0);
        assert_eq!(first_passage(0.5, 1.0, 1.0, 0.0), 0.0);
        for sigma in [1e-6, 1e-3, 1.0, 1e6] {
            for mu in [-1e3, 0.0, 1e-9, 1e3] {
                assert!((0.0..=1.0).contains(&first_passage(7.0, 2.0, mu, sigma)));
            }
        }
    }
}
