//! Networks prepared for scoring: one sequential stream of weights, in the order in which a step consumes them.
//!
//! A step is bound by reading its weights: from the second-level cache for one instance, from memory for a fleet with
//! weights of their own. Panels of 16 units with all their gates (`1 + inputs + hidden` rows of 64: bias,
//! `weight_ih`, `weight_hh`) follow each other, then the read-out (`1 + hidden` rows). The memory of an instance stays
//! in single precision, whatever its weights are stored as.

use super::aligned::Aligned;
use super::cells::advance;
use super::element::Element;
use super::level::Kernel;
use super::pack::{PANEL, Plan, UNITS};
use super::vector::Vector;
use super::{Level, Memory, Size, Weights};

/// How far ahead of their use the weights of a fleet are asked for, in bytes: longer than memory's latency at its
/// bandwidth, and shorter than the first-level cache.
const AHEAD: usize = 4096;

/// A network prepared for scoring, its weights stored as `f32` or [`Bf16`](super::Bf16).
#[derive(Clone)]
pub struct Packed<E: Element> {
    plan: Plan,
    values: Aligned<E>,
}

impl<E: Element + PartialEq> PartialEq for Packed<E> {
    fn eq(&self, other: &Self) -> bool {
        self.plan == other.plan && self.values[..] == other.values[..]
    }
}

impl<E: Element> std::fmt::Debug for Packed<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed").field("size", &self.plan.size).finish_non_exhaustive()
    }
}

/// Rows that a product sums over, made even.
fn pairs(rows: usize) -> usize {
    rows.div_ceil(2)
}

impl<E: Element> Packed<E> {
    /// Packs weights, rounding them to what `E` can hold.
    #[must_use]
    pub fn new(weights: &Weights) -> Self {
        let plan = Plan::new(weights.size);
        let mut values = Aligned::zeroed(Self::read_out(plan) + 2 * pairs(1 + plan.hidden) * plan.outputs);
        Self::places(plan, |there, here| values[here] = E::store(weights.values[there]));
        Self { plan, values }
    }

    /// The weights, widened.
    #[must_use]
    pub fn weights(&self) -> Weights {
        let mut values = vec![0.0; self.plan.size.parameters()];
        Self::places(self.plan, |there, here| values[there] = self.values[here].load());
        Weights { size: self.plan.size, values }
    }

    /// Sizes.
    #[must_use]
    pub fn size(&self) -> Size {
        self.plan.size
    }

    /// Bytes of its weights, padding included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.values.len() * size_of::<E>()
    }

    /// Where the read-out begins.
    fn read_out(plan: Plan) -> usize {
        plan.panels() * 2 * pairs(1 + plan.size.inputs + plan.hidden) * PANEL
    }

    /// Calls `pair` with the place of every parameter in [`Weights::values`] and here.
    fn places(plan: Plan, mut pair: impl FnMut(usize, usize)) {
        let panel = 2 * pairs(1 + plan.size.inputs + plan.hidden) * PANEL;
        plan.places(|there, at| {
            let place = |row: usize, column, width| row / 2 * 2 * width + E::place(row % 2, column, width);
            let here = if at < plan.read_out() {
                let within = at % plan.panel();
                at / plan.panel() * panel + place(within / PANEL, within % PANEL, PANEL)
            } else {
                let within = at - plan.read_out();
                Self::read_out(plan) + place(within / plan.outputs, within % plan.outputs, plan.outputs)
            };
            pair(there, here);
        });
    }

    /// Takes one frame of inputs and gives the outputs, as [`Weights::step`] does.
    pub fn step(&self, inputs: &[f32], memory: &mut Memory, outputs: &mut [f32]) {
        self.step_at(Level::best(), inputs, memory, outputs);
    }

    /// [`Self::step`] with chosen instructions.
    pub fn step_at(&self, level: Level, inputs: &[f32], memory: &mut Memory, outputs: &mut [f32]) {
        let mut room = std::mem::take(&mut memory.room);
        level.run(Stream::<E, false> {
            seat: &mut Seat { network: self, inputs, memory, outputs },
            room: &mut room,
        });
        memory.room = room;
    }

    /// Asks for the first weights.
    #[inline(always)]
    fn prefetch<V: Vector>(&self, v: V) {
        for line in (0..AHEAD).step_by(64) {
            v.prefetch(self.values.as_ptr().cast::<u8>().wrapping_add(line));
        }
    }
}

/// One instance's part in a step of many: its network, its frame, what it remembers, and where its outputs go.
pub struct Seat<'a, E: Element> {
    /// The network; each instance may have its own, of its own size.
    pub network: &'a Packed<E>,
    /// One frame of inputs.
    pub inputs: &'a [f32],
    /// Memory, moved on by the step.
    pub memory: &'a mut Memory,
    /// As many outputs as the network gives.
    pub outputs: &'a mut [f32],
}

/// Steps every instance once, each through its own network. The weights of the next instance are fetched while one is
/// computed, so that a fleet whose weights do not fit a cache runs at the speed of memory.
pub fn step_all<E: Element>(seats: &mut [Seat<E>]) {
    step_all_at(Level::best(), seats);
}

/// [`step_all`] with chosen instructions.
pub fn step_all_at<E: Element>(level: Level, seats: &mut [Seat<E>]) {
    level.run(Fleet { seats });
}

struct Fleet<'a, 'b, E: Element> {
    seats: &'a mut [Seat<'b, E>],
}

impl<E: Element> Kernel for Fleet<'_, '_, E> {
    #[inline(always)]
    fn run<V: Vector>(self, v: V) {
        let mut room = Vec::new();
        for n in 0..self.seats.len() {
            if let Some(next) = self.seats.get(n + 1) {
                next.network.prefetch(v);
                for values in [next.inputs, &next.memory.hidden, &next.memory.cell] {
                    for line in values.chunks(16) {
                        v.prefetch(line.as_ptr().cast());
                    }
                }
            }
            Stream::<E, true> { seat: &mut self.seats[n], room: &mut room }.run(v);
        }
    }
}

/// One step; `FETCH` asks for weights ahead of their use.
struct Stream<'a, 'b, E: Element, const FETCH: bool> {
    seat: &'a mut Seat<'b, E>,
    room: &'a mut Vec<f32>,
}

impl<E: Element, const FETCH: bool> Kernel for Stream<'_, '_, E, FETCH> {
    #[inline(always)]
    fn run<V: Vector>(self, v: V) {
        let Seat { network, inputs, memory, outputs } = self.seat;
        let (plan, Size { inputs: width, hidden, outputs: given }) = (network.plan, network.plan.size);
        assert!(inputs.len() == width && memory.hidden.len() == hidden && outputs.len() == given);
        // What is multiplied: 1 for the bias, the inputs, the hidden states, zeros.
        let rows = 2 * pairs(1 + width + plan.hidden);
        let room = self.room;
        room.clear();
        room.push(1.0);
        room.extend_from_slice(inputs);
        room.extend_from_slice(&memory.hidden);
        room.resize(rows, 0.0);
        for (panel, weights) in network.values.chunks_exact(rows * PANEL).take(plan.panels()).enumerate() {
            let mut sums = [0.0; PANEL];
            let x = &room[..];
            all_columns::<V, E, FETCH>(v, Rows { weights, width: PANEL, x }, 0, &mut sums);
            let units = panel * UNITS..hidden.min((panel + 1) * UNITS);
            advance(v, &sums, &mut memory.cell[units.clone()], &mut memory.hidden[units]);
        }
        room.truncate(1);
        room.extend_from_slice(&memory.hidden);
        room.resize(2 * pairs(1 + plan.hidden), 0.0);
        let read_out = &network.values[Packed::<E>::read_out(plan)..];
        for (block, outputs) in outputs.chunks_mut(PANEL).enumerate() {
            let (mut sums, first) = ([0.0; PANEL], block * PANEL);
            let columns = PANEL.min(plan.outputs - first);
            let rows = Rows { weights: read_out, width: plan.outputs, x: room };
            all_columns::<V, E, FETCH>(v, rows, first, &mut sums[..columns]);
            outputs.copy_from_slice(&sums[..outputs.len()]);
        }
    }
}

/// Pairs of rows of weights, and what the rows are multiplied by.
#[derive(Clone, Copy)]
struct Rows<'a, E> {
    weights: &'a [E],
    width: usize,
    x: &'a [f32],
}

/// Sums of the columns from `first` on: as many as `sums` holds, a multiple of 16.
#[inline(always)]
fn all_columns<V: Vector, E: Element, const FETCH: bool>(
    v: V,
    rows: Rows<E>,
    first: usize,
    sums: &mut [f32],
) {
    let (vectors, mut done) = (sums.len() / V::LANES, 0);
    while done < vectors {
        let (column, sums) = (first + done * V::LANES, &mut sums[done * V::LANES..]);
        done += match vectors - done {
            // Eight sums of eight lanes: a whole panel, read in order, in sixteen registers.
            8.. if V::LANES == 8 => columns::<V, E, FETCH, 8>(v, rows, column, sums),
            4.. => columns::<V, E, FETCH, 4>(v, rows, column, sums),
            3 => columns::<V, E, FETCH, 3>(v, rows, column, sums),
            2 => columns::<V, E, FETCH, 2>(v, rows, column, sums),
            _ => columns::<V, E, FETCH, 1>(v, rows, column, sums),
        };
    }
}

/// Sums of N vectors of columns; gives N.
#[inline(always)]
fn columns<V: Vector, E: Element, const FETCH: bool, const N: usize>(
    v: V,
    rows: Rows<E>,
    column: usize,
    sums: &mut [f32],
) -> usize {
    // Two sums for each column hide the latency of addition, where there are registers for them.
    let apart = V::WIDE || N < 4;
    let (mut even, mut odd) = ([v.splat(0.0); N], [v.splat(0.0); N]);
    for (pair, x) in rows.weights.chunks_exact(2 * rows.width).zip(rows.x.chunks_exact(2)) {
        if FETCH {
            let ahead = pair.as_ptr().cast::<u8>().wrapping_add(2 * column * size_of::<E>() + AHEAD);
            for line in (0..N * V::LANES * 2 * size_of::<E>()).step_by(64) {
                v.prefetch(ahead.wrapping_add(line));
            }
        }
        let (first, second) = (v.splat(x[0]), v.splat(x[1]));
        for n in 0..N {
            let [low, high] = E::read(v, pair, column + n * V::LANES, rows.width);
            even[n] = v.fma(low, first, even[n]);
            if apart {
                odd[n] = v.fma(high, second, odd[n]);
            } else {
                even[n] = v.fma(high, second, even[n]);
            }
        }
    }
    for n in 0..N {
        v.write(sums, n * V::LANES, v.add(even[n], odd[n]));
    }
    N
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network's step: inputs, memory, outputs.
    type Step<'a> = dyn FnMut(&[f32], &mut Memory, &mut [f32]) + 'a;
    use crate::lstm::Bf16;
    use foretwin_core::Rng;

    const SIZES: [[usize; 3]; 4] = [[3, 5, 2], [38, 64, 38], [7, 33, 100], [2, 16, 1]];

    fn setting([inputs, hidden, outputs]: [usize; 3], seed: u64) -> (Weights, Vec<f32>) {
        let (size, mut rng) = (Size { inputs, hidden, outputs }, Rng::new(seed));
        let mut weights = Weights::new(size, seed);
        for value in &mut weights.values[size.bias().start..] {
            *value = 0.3 * rng.normal() as f32;
        }
        (weights, (0..20 * inputs).map(|_| rng.normal() as f32).collect())
    }

    /// Outputs of twenty steps.
    fn run(size: Size, inputs: &[f32], mut step: impl FnMut(&[f32], &mut Memory, &mut [f32])) -> Vec<f32> {
        let (mut memory, mut outputs) = (Memory::new(size.hidden), Vec::new());
        for x in inputs.chunks(size.inputs) {
            let mut out = vec![0.0; size.outputs];
            step(x, &mut memory, &mut out);
            outputs.extend(out);
        }
        outputs
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn packed_networks_step_as_stored_ones_do() {
        for sizes in SIZES {
            let (weights, inputs) = setting(sizes, 5);
            let packed = Packed::<f32>::new(&weights);
            assert_eq!(packed.weights(), weights);
            let rounded = Packed::<Bf16>::new(&weights);
            let wide = rounded.weights();
            for level in Level::all() {
                let run = |step: &mut Step<'_>| run(weights.size, &inputs, step);
                let stored = run(&mut |x, memory, out| weights.step_at(Level::PORTABLE, x, memory, out));
                let here = run(&mut |x, memory, out| packed.step_at(level, x, memory, out));
                assert!(distance(&stored, &here) < 1e-5, "{} {sizes:?}", level.name());
                // Rounding happens once, in the weights; all that follows is the same.
                let stored = run(&mut |x, memory, out| wide.step_at(Level::PORTABLE, x, memory, out));
                let here = run(&mut |x, memory, out| rounded.step_at(level, x, memory, out));
                assert!(distance(&stored, &here) < 1e-5, "{} {sizes:?} bf16", level.name());
            }
        }
    }

    /// A sum over k weights with relative errors within 2^-8 and zero mean errs by about 2^-8 sqrt(k / 3) |w x|; the
    /// bound is for these sizes, with room.
    #[test]
    fn bf16_errs_little() {
        let (weights, inputs) = setting([38, 64, 38], 9);
        let rounded = Packed::<Bf16>::new(&weights);
        let exact = run(weights.size, &inputs, |x, memory, out| weights.step(x, memory, out));
        let near = run(weights.size, &inputs, |x, memory, out| rounded.step(x, memory, out));
        let scale = (exact.iter().map(|y| y * y).sum::<f32>() / exact.len() as f32).sqrt();
        let error = distance(&exact, &near) / scale;
        println!("bf16: largest error {error:.1e} of the outputs' deviation");
        assert!(error < 0.03 && error > 0.0);
        assert!(rounded.bytes() * 2 <= Packed::<f32>::new(&weights).bytes());
    }

    #[test]
    fn a_fleet_of_different_networks_is_stepped_as_each_alone() {
        let settings: Vec<_> = SIZES.iter().enumerate().map(|(n, sizes)| setting(*sizes, n as u64)).collect();
        let networks: Vec<_> = settings.iter().map(|(weights, _)| Packed::<Bf16>::new(weights)).collect();
        let mut memories: Vec<_> =
            networks.iter().map(|network| Memory::new(network.size().hidden)).collect();
        let mut outputs: Vec<_> = networks.iter().map(|network| vec![0.0; network.size().outputs]).collect();
        for round in 0..3 {
            let parts = networks.iter().zip(&settings).zip(memories.iter_mut().zip(&mut outputs));
            let mut seats: Vec<_> = parts
                .map(|((network, (_, inputs)), (memory, outputs))| {
                    let inputs = &inputs[round * network.size().inputs..][..network.size().inputs];
                    Seat { network, inputs, memory, outputs }
                })
                .collect();
            step_all(&mut seats);
        }
        for (n, network) in networks.iter().enumerate() {
            let width = network.size().inputs;
            let alone = run(network.size(), &settings[n].1[..3 * width], |x, memory, out| {
                network.step(x, memory, out);
            });
            assert_eq!(outputs[n], alone[alone.len() - outputs[n].len()..]);
        }
    }
}
