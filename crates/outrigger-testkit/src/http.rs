//! A small HTTP/1.1 client and server over std, for the tests' side of a conversation.

mod client;
mod message;
mod server;

pub use client::{delete, get, post, put, request};
pub use message::{Request, Response};
pub use server::Server;
