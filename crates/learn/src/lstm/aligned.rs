//! Arrays that begin at a cache line, so that no vector lies across two.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;

/// A slice in a vector with room to begin at a cache line.
pub(super) struct Aligned<T> {
    room: Vec<T>,
    start: usize,
    length: usize,
}

impl<T: Copy + Default> Aligned<T> {
    pub fn zeroed(length: usize) -> Self {
        let room = vec![T::default(); length + LINE / size_of::<T>()];
        // An allocation does not move with its vector. Where the offset cannot be known, speed is all that is lost.
        let start = room.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        Self { room, start, length }
    }

    /// Makes room for `length` elements; what they are is left open.
    pub fn resize(&mut self, length: usize) {
        if length <= self.room.len() - self.start {
            self.length = length;
        } else {
            *self = Self::zeroed(length);
        }
    }
}

impl<T: Copy + Default> Default for Aligned<T> {
    fn default() -> Self {
        Self::zeroed(0)
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.length);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.room[self.start..self.start + self.length]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.room[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_begin_at_cache_lines_and_grow() {
        let mut array = Aligned::<f32>::zeroed(3);
        for length in [3, 1000, 5] {
            array.resize(length);
            array.fill(7.0);
            let copy = array.clone();
            assert!([array.as_ptr(), copy.as_ptr()].iter().all(|start| start.addr().is_multiple_of(LINE)));
            assert!(copy.len() == length && copy.iter().all(|x| *x == 7.0));
        }
    }
}
