//! In a steady state a tick allocates nothing.
#![allow(unsafe_code)] // An allocator that counts is an allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use foretwin_collect::{Source, groups, machine};
use foretwin_core::Timestamp;

use crate::sinks::Counting;

struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Allocations of this thread so far; other tests run on others.
pub fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

fn count() {
    // A thread that ends has no counter any more.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Reads a source as a second apart, warm-up first; returns allocations and frames of the ticks counted.
fn steady(source: &mut dyn Source, warm_up: i64, ticks: i64) -> (u64, usize) {
    let mut sink = Counting::default();
    let mut read = |second: i64, sink: &mut Counting| {
        source.read(Timestamp(1_700_000_000_000_000 + second * 1_000_000), sink).unwrap();
    };
    (0..warm_up).for_each(|second| read(second, &mut sink));
    let (before, frames) = (allocations(), sink.frames);
    (warm_up..warm_up + ticks).for_each(|second| read(second, &mut sink));
    (allocations() - before, sink.frames - frames)
}

#[test]
fn the_allocator_counts() {
    let before = allocations();
    let text = String::from("counted");
    assert_eq!((allocations() - before, text.len()), (1, 7));
}

/// Devices that other tests or tenants make change the schema, which allocates; a machine is not forever restless.
#[test]
fn the_machine_allocates_nothing() {
    let mut machine = machine::Machine::new("here", &machine::Config::default());
    let counted = (0..3).map(|_| steady(&mut machine, 10, 100)).find(|&(allocations, _)| allocations == 0);
    assert_eq!(counted, Some((0, 100)));
}

#[test]
fn a_fixed_set_of_groups_allocates_nothing() {
    let mut config = groups::Config::default();
    (config.rescan_ms, config.census_ms, config.limits_ms) = (3_600_000, 3_600_000, 3_600_000);
    let mut groups = groups::Groups::new("here", &config).unwrap();
    let counted = (0..3).map(|_| steady(&mut groups, 10, 100)).find(|counted| counted.0 == 0);
    assert_eq!(counted, Some((0, 100 * groups.watched())));
}
