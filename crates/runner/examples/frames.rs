//! Prints frames from standard input, one line each: the sequence, the time, and every number with the key of its
//! series; at the end what was lost.

use std::io::Read;

use foretwin_wire::frame::Reader;

fn main() -> std::io::Result<()> {
    let (mut reader, mut input) = (Reader::default(), std::io::stdin().lock());
    let mut piece = [0; 4096];
    loop {
        let length = input.read(&mut piece)?;
        if length == 0 {
            break;
        }
        reader.push(&piece[..length]);
        for frame in reader.by_ref() {
            print!("{} {}", frame.sequence, frame.wall);
            for (field, value) in &frame.values {
                print!(" {}={value:.9}", field.metric().key().trim_start_matches("foretwin."));
            }
            println!();
        }
    }
    eprintln!(
        "lost {}, restarts {}, skipped {} bytes",
        reader.lost(),
        reader.restarts(),
        reader.skipped_bytes()
    );
    Ok(())
}
