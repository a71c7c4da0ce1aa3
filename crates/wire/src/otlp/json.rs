//! The JSON form of OTLP.

use super::message::{Metric, Request};
use crate::Error;
use crate::series::Room;

pub(super) fn request(text: &[u8]) -> Result<Request, Error> {
    // `{},` is three bytes and becomes a message of hundreds: what there may be at most is counted before it is made.
    let (mut objects, mut elements) = (0, 0);
    for byte in text {
        objects += usize::from(*byte == b'{');
        elements += usize::from(*byte == b',');
    }
    Room::new().take(size_of::<Metric>() * objects + 32 * elements, "OTLP metrics as JSON")?;
    serde_json::from_slice(text).map_err(|error| Error::invalid("OTLP metrics as JSON", error))
}
