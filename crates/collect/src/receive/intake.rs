//! What one instance is sent: its series, in blocks that are merged once nothing new comes.

use std::collections::{HashMap, VecDeque};

use foretwin_core::{Instance, Metric, SchemaId, Timestamp, Value};

use super::block::{Block, Class, Put, is_received};
use super::{Context, Incoming, Past, Taken};
use crate::sink::Sink;

/// Series in one block: what one model may see.
const MOST_COLUMNS: usize = 500;
/// A block as full as this stays as it is.
const FULL: usize = 450;
/// Moments without a new series after which blocks are merged.
const QUIET: u64 = 3;
/// Moments after which an instance is settled: a new schema then costs what was learned.
const SETTLED: u64 = 240;
/// Moments after which a series not seen is left out of a merge.
const FORGET: u64 = 100;
/// Blocks of new series that may be waiting to be merged, of a settled instance.
const MOST_BLOCKS: usize = 6;
/// Times that new series may come at once, and how many moments it takes until they may once more.
const NEW_AT_ONCE: f64 = 64.0;
const NEW_PER_MOMENT: f64 = 0.05;
/// Moments to the next merge at first and at last; each merge doubles them.
const FIRST_PAUSE: u64 = 4;
const LAST_PAUSE: u64 = 2048;

/// Merged blocks that late samples may still belong to.
const MOST_FORMER: usize = 16;

/// One instance under reception.
#[derive(Debug)]
pub(super) struct Intake {
    instance: Instance,
    announced: bool,
    blocks: Vec<Block>,
    /// Blocks that were merged, each with the last moment of which its series stand in it.
    former: VecDeque<(Block, Timestamp)>,
    places: HashMap<String, Place>,
    newest: Timestamp,
    /// How often `newest` has moved on.
    moments: u64,
    /// When a series was new.
    renewed: u64,
    /// Before this there is no merge.
    merge_at: u64,
    pause: u64,
    /// How often new series may still come.
    may_renew: f64,
    /// What was known of families at the last look.
    families: u64,
    pub heard: Timestamp,
}

/// Where a series stands.
#[derive(Debug, Clone)]
struct Place {
    block: SchemaId,
    column: usize,
    last: Timestamp,
    seen: u64,
    /// Sum of the differences so far, of a series that is sent as such.
    total: f64,
}

impl Intake {
    /// Begins where an earlier life of this node left off.
    pub fn new(instance: Instance, past: &dyn Past) -> Self {
        let mut known: Vec<_> =
            past.schemas(&instance.id).into_iter().filter(|(schema, _)| is_received(schema)).collect();
        known.sort_by_key(|(_, newest)| std::cmp::Reverse(*newest));
        let described = past.describes(&instance.id);
        let mut intake = Self {
            // An instance that somebody else describes only gets frames.
            announced: described,
            instance,
            blocks: Vec::new(),
            former: VecDeque::new(),
            places: HashMap::new(),
            newest: known.first().map_or(Timestamp(i64::MIN), |(_, newest)| *newest),
            moments: 0,
            renewed: 0,
            merge_at: 0,
            pause: FIRST_PAUSE,
            may_renew: NEW_AT_ONCE,
            families: 0,
            heard: Timestamp(0),
        };
        for (schema, newest) in known {
            let metrics = &schema.metrics()[1..];
            let block = Block::known(schema.clone(), newest);
            if metrics.iter().all(|metric| intake.places.contains_key(&metric.key())) {
                // It was merged in that life: what was stored there, and comes again, is found there.
                if intake.former.len() < MOST_FORMER {
                    intake.former.push_front((block, newest));
                }
                continue;
            }
            for (at, metric) in metrics.iter().enumerate() {
                let (block, column) = (block.id(), at + 1);
                let place = Place { block, column, last: newest, seen: 0, total: 0.0 };
                intake.places.entry(metric.key()).or_insert(place);
            }
            intake.blocks.push(block);
        }
        intake
    }

    /// How many series it has.
    pub fn series(&self) -> usize {
        self.places.len()
    }

    /// Takes what came of it in one request, and hands on the frames that changed.
    pub fn take(&mut self, incoming: &[Incoming], context: &Context<'_>, into: (&mut Taken, &mut dyn Sink)) {
        let (taken, sink) = into;
        self.heard = context.now;
        if self.is_merge_due(context) {
            self.merge(context);
        }
        self.make_room(incoming, context, taken);
        let mut points: Vec<(Timestamp, usize, f64)> = Vec::new();
        for (at, one) in incoming.iter().enumerate() {
            points.extend(one.points.iter().map(|&(time, value)| (time, at, value)));
        }
        // In order of time, so that frames come in order and joining finds the nearest.
        points.sort_by_key(|&(time, at, _)| (time, at));
        for (time, at, value) in points {
            self.point(&incoming[at], (time, value), context, taken);
        }
        if !self.announced {
            sink.instance(&self.instance);
        }
        for block in self.former.iter_mut().map(|(block, _)| block).chain(&mut self.blocks) {
            block.emit((context.taking, context.now), &self.instance.id, sink);
        }
    }

    fn point(
        &mut self,
        one: &Incoming,
        (at, value): (Timestamp, f64),
        context: &Context<'_>,
        taken: &mut Taken,
    ) {
        self.notice(at);
        let Some(place) = self.places.get_mut(&one.key) else { return };
        let newer = at > place.last;
        place.last = place.last.max(at);
        place.seen = self.moments;
        if !value.is_finite() {
            // The series ended, or has no number: nothing to keep, and the next sample is a newer one.
            taken.not_numbers += 1;
            return;
        }
        if one.delta && !newer {
            // It may have been counted before.
            taken.duplicates += 1;
            return;
        }
        place.total += value;
        let value = if one.delta { place.total } else { value };
        // What is of the time before a merge stands where it stood then, with what was there of the same moment.
        let then = self.former.iter_mut().filter(|(_, until)| at <= *until);
        let then =
            then.filter_map(|(block, _)| block.schema.column(&one.key).map(|column| (block, column))).next();
        let now = self.blocks.iter_mut().filter(|block| block.id() == place.block);
        let Some((block, column)) = then.or_else(|| now.map(|block| (block, place.column)).next()) else {
            return;
        };
        let (schema, join_us) = (block.id(), context.config.join_ms as i64 * 1000);
        let value = Value::from_f64(value, block.schema.metrics()[column].storage);
        let put = Put { column, at, value, newer, join_us, now: context.now };
        match block.put(put, |at| context.past.frame(&self.instance.id, schema, at)) {
            true => taken.stored += 1,
            false => taken.duplicates += 1,
        }
    }

    /// Another moment, if it is newer than all before.
    fn notice(&mut self, at: Timestamp) {
        if at > self.newest {
            self.newest = at;
            self.moments += 1;
            self.may_renew = (self.may_renew + NEW_PER_MOMENT).min(NEW_AT_ONCE);
        }
    }

    /// Makes blocks of the series that are new, as far as the limits allow.
    fn make_room(&mut self, incoming: &[Incoming], context: &Context<'_>, taken: &mut Taken) {
        let is_new = |one: &&Incoming| !self.places.contains_key(&one.key);
        let mut fresh: Vec<&Incoming> = incoming.iter().filter(is_new).collect();
        if fresh.is_empty() {
            return;
        }
        // Buckets are left out first; of series that come twice the first counts.
        fresh.sort_by_key(|one| (Class::of(&one.metric) == Class::Buckets, &one.key));
        fresh.dedup_by_key(|one| &one.key);
        let own = context.config.most_series_of_instance.saturating_sub(self.places.len());
        let most = own.min(context.room).min(if self.may_renew < 1.0 { 0 } else { usize::MAX });
        if fresh.len() > most {
            let why = self.limit(context);
            let lost = fresh.split_off(most);
            taken.refuse(lost.iter().map(|one| one.points.len()).sum(), || why);
        }
        if fresh.is_empty() {
            return;
        }
        self.may_renew -= 1.0;
        self.renewed = self.moments;
        for class in [Class::Plain, Class::Buckets] {
            let these: Vec<Metric> = fresh
                .iter()
                .filter(|one| Class::of(&one.metric) == class)
                .map(|one| one.metric.clone())
                .collect();
            for some in these.chunks(MOST_COLUMNS) {
                self.add(Block::new(some.to_vec(), class), &HashMap::new());
            }
        }
    }

    /// Which limit keeps new series out.
    fn limit(&self, context: &Context<'_>) -> String {
        let (id, config) = (&self.instance.id, context.config);
        let own = config.most_series_of_instance;
        if self.may_renew < 1.0 {
            format!("{id}: new series come all the time; keep labels that change out of them")
        } else if own.saturating_sub(self.places.len()) < context.room {
            format!("{id}: more than {own} series (collect.receive.most_series_of_instance)")
        } else {
            format!("more than {} series (collect.receive.most_series)", config.most_series)
        }
    }

    /// Adds a block whose series stand in it from now on, and go on from where they were `before`.
    fn add(&mut self, block: Block, before: &HashMap<String, Place>) {
        for (at, metric) in block.series().iter().enumerate() {
            let key = metric.key();
            let (block, column) = (block.id(), at + 1);
            let fresh = Place { block, column, last: Timestamp(i64::MIN), seen: self.moments, total: 0.0 };
            let place = before.get(&key).map_or(fresh, |place| Place { block, column, ..place.clone() });
            self.places.insert(key, place);
        }
        self.blocks.push(block);
    }

    /// Whether blocks should become one: something is new or known better, nothing more comes, and what was learned
    /// of the old ones is little or what is new is much.
    fn is_merge_due(&self, context: &Context<'_>) -> bool {
        let quiet = self.moments >= self.renewed + QUIET && self.moments >= self.merge_at;
        if !quiet {
            return false;
        }
        let told = self.families != context.families.generation() && self.moments < SETTLED;
        if told && self.blocks.iter().any(|block| context.families.again(block.series()).is_some()) {
            return true;
        }
        [Class::Plain, Class::Buckets].into_iter().any(|class| {
            let small = |block: &&Block| block.class == class && block.series().len() < FULL;
            let sizes: Vec<usize> =
                self.blocks.iter().filter(small).map(|block| block.series().len()).collect();
            let (all, largest): (usize, _) = (sizes.iter().sum(), sizes.iter().max().copied().unwrap_or(0));
            let worth = self.moments < SETTLED || 10 * (all - largest) >= all || sizes.len() > MOST_BLOCKS;
            sizes.len() > 1 && worth
        })
    }

    /// Makes as few blocks as there can be of those that are not full, without the series that are gone.
    fn merge(&mut self, context: &Context<'_>) {
        self.pause = (2 * self.pause).min(LAST_PAUSE);
        self.merge_at = self.moments + self.pause;
        self.families = context.families.generation();
        let (mut merged, mut kept) = (Vec::new(), Vec::new());
        for block in std::mem::take(&mut self.blocks) {
            let other = context.families.again(block.series());
            if block.series().len() >= FULL && other.is_none() {
                kept.push(block);
            } else {
                merged.push((other.unwrap_or_else(|| block.series().to_vec()), block));
            }
        }
        self.blocks = kept;
        let (metrics, before) = self.alive(merged.iter().flat_map(|(metrics, _)| metrics));
        for class in [Class::Plain, Class::Buckets] {
            let of = |metric: &&Metric| Class::of(metric) == class;
            let these: Vec<Metric> = metrics.iter().filter(of).cloned().collect();
            for some in these.chunks(MOST_COLUMNS) {
                let block = Block::new(some.to_vec(), class);
                // What has not changed keeps its frames.
                let same = merged.iter().position(|(_, old)| old.id() == block.id());
                let block = same.map_or(block, |at| merged.swap_remove(at).1);
                self.add(block, &before);
            }
        }
        self.former.extend(merged.into_iter().map(|(_, block)| (block, self.newest)));
        while self.former.len() > MOST_FORMER {
            self.former.pop_front();
        }
    }

    /// Takes series out of their places: those that are not gone, in order of key, and where they were.
    fn alive<'a>(
        &mut self,
        metrics: impl Iterator<Item = &'a Metric>,
    ) -> (Vec<Metric>, HashMap<String, Place>) {
        let (mut alive, mut before) = (Vec::new(), HashMap::new());
        for metric in metrics {
            let key = metric.key();
            let Some(place) = self.places.remove(&key) else { continue };
            if place.seen + FORGET >= self.moments {
                before.insert(key.clone(), place);
                alive.push((key, metric.clone()));
            }
        }
        alive.sort_by(|a, b| a.0.cmp(&b.0));
        (alive.into_iter().map(|(_, metric)| metric).collect(), before)
    }

    /// What a taking handed on is durable.
    pub fn settle(&mut self, taking: u64) {
        self.announced = true;
        let former = self.former.iter_mut().map(|(block, _)| block);
        former.chain(&mut self.blocks).for_each(|block| block.settle(taking));
    }
}
