//! How long a server takes to answer: the same requests again and again over one connection.
//!
//! `cargo run --release -p foretwin-engine --example latency -- REPETITIONS URL...`

use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let repetitions: usize = args.next().ok_or("usage: latency REPETITIONS URL...")?.parse()?;
    let http = ureq::Agent::new_with_defaults();
    for url in args {
        let (mut took_ms, mut bytes) = (Vec::new(), 0);
        for _ in 0..repetitions.max(1) {
            let begun = Instant::now();
            bytes = http.get(&url).call()?.body_mut().read_to_vec()?.len();
            took_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        took_ms.sort_by(f64::total_cmp);
        let at = |share: f64| took_ms[((took_ms.len() - 1) as f64 * share) as usize];
        println!("median {:.2} ms, 99th percentile {:.2} ms, {bytes} bytes: {url}", at(0.5), at(0.99));
    }
    Ok(())
}
