//! A real node behind a real socket, asked as clients ask it.

mod bad_requests;
mod server;
mod surface;
