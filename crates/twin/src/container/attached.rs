//! The standard output of a container out of the stream it is mixed into with standard error (Docker's API,
//! "Attach to a container", stream format).

use std::io::{self, Read};

/// Takes the frames of a daemon's stream apart; reads of it give only what the container wrote to standard output.
#[derive(Debug)]
pub(crate) struct Attached<R> {
    stream: R,
    header: [u8; 8],
    /// Bytes of the header that are there.
    known: usize,
    /// Bytes left of the present piece.
    left: usize,
}

const STANDARD_OUTPUT: u8 = 1;

impl<R: Read> Attached<R> {
    pub fn new(stream: R) -> Self {
        Self { stream, header: [0; 8], known: 0, left: 0 }
    }

    /// Fills the header of the next piece. A read that times out within it goes on where it stopped.
    fn next_piece(&mut self) -> io::Result<bool> {
        while self.known < 8 {
            match self.stream.read(&mut self.header[self.known..])? {
                0 => return Ok(false),
                read => self.known += read,
            }
        }
        let length = u32::from_be_bytes([self.header[4], self.header[5], self.header[6], self.header[7]]);
        self.left = length as usize;
        Ok(true)
    }
}

impl<R: Read> Read for Attached<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.left == 0 {
                if self.known == 8 {
                    self.known = 0;
                }
                if !self.next_piece()? {
                    return Ok(0);
                }
                continue;
            }
            let most = self.left.min(into.len());
            let read = self.stream.read(&mut into[..most])?;
            self.left -= read;
            if read == 0 || self.header[0] == STANDARD_OUTPUT {
                return Ok(read);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 0, 0, 0][..], &length, content].concat()
    }

    /// Gives a byte at a time, and times out before each.
    struct Halting<'a>(&'a [u8], bool);

    impl Read for Halting<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(&mut into[..1]) }
        }
    }

    #[test]
    fn only_standard_output_comes_through() {
        let bytes = [piece(1, b"ab"), piece(2, b"complaint"), piece(1, b""), piece(1, b"cd")].concat();
        let mut text = String::new();
        Attached::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcd");
        let mut halting = Attached::new(Halting(&bytes, false));
        let (mut got, mut buffer) = (Vec::new(), [0; 16]);
        loop {
            match halting.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => got.extend_from_slice(&buffer[..read]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(got, b"abcd");
    }
}
