//! What leaves the agent: `/metrics`, the page for people, and OTLP.

pub(crate) mod html;
pub(crate) mod otlp;
pub(crate) mod page;
