//! Owns chance: a seeded generator and what is drawn from it. It knows nothing of agents. The same seed gives the same
//! draws on every machine, so nothing here leans on a platform's own mathematics: only on the four operations and the
//! square root, which are exact everywhere.

use std::f64::consts::{LN_2, SQRT_2};

/// A generator of one night.
#[derive(Debug)]
pub(super) struct Dice(fastrand::Rng);

impl Dice {
    /// The generator of night `night` under a seed.
    pub(super) fn of(seed: u64, night: u64) -> Self {
        // Neighbouring seeds must not give neighbouring nights.
        let mut mixed = fastrand::Rng::with_seed(seed);
        let salt = mixed.u64(..);
        Self(fastrand::Rng::with_seed(
            salt ^ night.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        ))
    }

    /// Evenly between 0 and 1.
    pub(super) fn even(&mut self) -> f64 {
        self.0.f64()
    }

    /// One of `0..n`; 0 for none.
    pub(super) fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { self.0.usize(..n) }
    }

    /// One of `low..=high`.
    pub(super) fn between(&mut self, low: u16, high: u16) -> u16 {
        self.0.u16(low..=high.max(low))
    }

    pub(super) fn happens(&mut self, chance: f64) -> bool {
        self.even() < chance
    }

    /// One of the standard normal distribution, by the polar method.
    pub(super) fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (self.even() * 2.0 - 1.0, self.even() * 2.0 - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * ln(square) / square).sqrt();
            }
        }
    }

    /// One of the gamma distribution of that shape and scale 1 (Marsaglia and Tsang).
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape <= 0.0 {
            return 0.0;
        }
        if shape < 1.0 {
            let boost = exp(ln(self.even().max(f64::MIN_POSITIVE)) / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = 1.0 + c * x;
            if v <= 0.0 {
                continue;
            }
            let v = v * v * v;
            if ln(self.even().max(f64::MIN_POSITIVE)) < 0.5 * x * x + d - d * v + d * ln(v) {
                return d * v;
            }
        }
    }

    /// A chance that is not known well: its mean, and how many observations it is worth.
    pub(super) fn chance(&mut self, mean: f64, weight: f64) -> f64 {
        if mean <= 0.0 || mean >= 1.0 {
            return mean.clamp(0.0, 1.0);
        }
        let yes = self.gamma(mean * weight);
        let no = self.gamma((1.0 - mean) * weight);
        if yes + no > 0.0 {
            return yes / (yes + no);
        }
        // Both are too small to be written down: it happens always or never.
        if self.happens(mean) { 1.0 } else { 0.0 }
    }
}

/// The natural logarithm; for what is not above zero, a very small number.
pub(super) fn ln(x: f64) -> f64 {
    if x <= 0.0 {
        return -745.0;
    }
    let (mut mantissa, mut exponent) = (x, 0.0);
    while mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1.0;
    }
    while mantissa < SQRT_2 * 0.5 {
        mantissa *= 2.0;
        exponent -= 1.0;
    }
    // ln((1 + s) / (1 - s)) = 2 (s + s^3/3 + s^5/5 + ...), and s is at most 0.172 here.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut power = s;
    let mut sum = 0.0;
    for odd in [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0, 21.0] {
        sum += power / odd;
        power *= square;
    }
    2.0 * sum + exponent * LN_2
}

/// The exponential function.
pub(super) fn exp(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let halvings = (x / LN_2).round();
    let rest = x - halvings * LN_2;
    let (mut sum, mut term) = (1.0, 1.0);
    for n in [
        1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0,
    ] {
        term *= rest / n;
        sum += term;
    }
    // An exact power of two, written as its bits: the exponent is between -1011 and 1011.
    sum * f64::from_bits(((halvings as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_what_they_are_called() {
        for x in [1e-9, 0.03, 0.5, 1.0, 1.5, 2.0, 17.3, 1e12] {
            assert!((ln(x) - x.ln()).abs() < 1e-12 * x.ln().abs().max(1.0), "{x}");
        }
        for x in [-30.0, -1.0, 0.0, 0.1, 1.0, 12.5, 40.0] {
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn draws_have_the_mean_and_width_they_should() {
        let mut dice = Dice::of(1, 2);
        let n = 40_000;
        let normal: Vec<f64> = (0..n).map(|_| dice.normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(n);
        let width = normal.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.02 && (width - 1.0).abs() < 0.03, "{mean} {width}");
        let chances: Vec<f64> = (0..n).map(|_| dice.chance(0.1, 8.0)).collect();
        let mean = chances.iter().sum::<f64>() / f64::from(n);
        let width = chances.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n);
        // The variance of a beta distribution is p (1 - p) / (weight + 1).
        assert!(
            (mean - 0.1).abs() < 0.004 && (width - 0.01).abs() < 0.001,
            "{mean} {width}"
        );
    }

    #[test]
    fn a_seed_gives_the_same_draws_for_ever() {
        let mut dice = Dice::of(7, 3);
        let drawn: Vec<usize> = (0..5).map(|_| dice.below(1000)).collect();
        assert_eq!(drawn, [249, 135, 133, 777, 211]);
    }
}
