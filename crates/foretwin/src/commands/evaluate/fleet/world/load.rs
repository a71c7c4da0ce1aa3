//! What people ask of a workload: working days, nights, weekends, campaigns, and crowds that come at once.

use super::chance::Chance;

/// Minutes of a day.
pub const DAY: u32 = 1440;

/// The demand on all instances of one workload.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Requests per second and instance at the busiest hour of an ordinary day.
    peak: f64,
    /// Hour, width in hours and height of the humps of a day; the night is what remains.
    humps: [(f64, f64, f64); 2],
    night: f64,
    weekend: f64,
    /// What is different about today; carried over from day to day in part.
    mood: f64,
    /// How fast a crowd comes, and how much of it is left.
    crowd: f64,
    arriving: f64,
}

impl Demand {
    pub fn new(peak: f64, chance: &mut Chance) -> Self {
        let (morning, evening) = (chance.between(8.5, 12.0), chance.between(14.0, 21.0));
        Self {
            peak,
            humps: [
                (morning, chance.between(1.5, 3.0), chance.between(0.5, 1.0)),
                (evening, chance.between(1.5, 3.5), chance.between(0.5, 1.0)),
            ],
            night: chance.between(0.05, 0.4),
            weekend: chance.between(0.35, 1.15),
            mood: 0.0,
            crowd: 0.0,
            arriving: 0.0,
        }
    }

    /// Requests per second and instance over an ordinary day, about.
    pub fn usual(&self) -> f64 {
        self.peak * (0.5 + 0.5 * self.night)
    }

    /// Requests per second and instance in this minute.
    pub fn step(&mut self, minute: u32, chance: &mut Chance) -> f64 {
        let of_day = minute % DAY;
        if of_day == 0 {
            self.mood = 0.6 * self.mood + 0.09 * chance.normal();
        }
        // Once in three weeks something is talked about: a crowd within minutes, gone within hours.
        if chance.happens(1.0 / 30_000.0) {
            self.arriving = chance.between(0.15, 0.6);
        }
        let come = self.arriving * 0.2;
        self.arriving -= come;
        self.crowd = (self.crowd + come) * 0.988;
        let hour = f64::from(of_day) / 60.0;
        let hump = |&(centre, width, height): &(f64, f64, f64)| {
            let mut off = (hour - centre).abs();
            off = off.min(24.0 - off) / width;
            height / (1.0 + off * off * off * off)
        };
        let shape = self.night + (1.0 - self.night) * self.humps.iter().map(hump).sum::<f64>().min(1.0);
        let free = (minute / DAY) % 7 >= 5;
        let week = if free { self.weekend } else { 1.0 };
        self.peak * shape * week * self.mood.exp() * (1.0 + self.crowd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_nights_and_weeks_have_ends() {
        let mut chance = Chance::new(3, 1);
        let mut demand = Demand::new(100.0, &mut chance);
        let all: Vec<f64> = (0..7 * DAY).map(|minute| demand.step(minute, &mut chance)).collect();
        let (low, high) = all.iter().fold((f64::MAX, 0.0f64), |(l, h), &x| (l.min(x), h.max(x)));
        assert!(low > 0.0 && high < 400.0 && high > 1.5 * low, "{low} {high}");
    }
}
