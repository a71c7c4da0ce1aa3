//! Whoever stops reading has read enough: `foretwin models list | head` ends without a word.

use std::io::ErrorKind;

/// Status of a program that SIGPIPE ends, as shells write it.
const STATUS: u8 = 141;

/// From now on a line that nobody takes ends the program. Not for services: what they print is not what they are for.
pub fn end_quietly() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if text.is_some_and(|text| text.contains("failed printing to") && text.contains("Broken pipe")) {
            std::process::exit(STATUS.into());
        }
        told(panic);
    }));
}

/// The status to end with if an error is only that nobody reads.
pub fn status(error: &anyhow::Error) -> Option<u8> {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == ErrorKind::BrokenPipe).then_some(STATUS)
}
