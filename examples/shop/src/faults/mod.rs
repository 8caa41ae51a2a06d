//! Faults on demand: what can go wrong in a service, switched on at the admin listener, and noted in a truth file.
//!
//! - [`kind`] lists the faults and what may be asked of them.
//! - [`switches`] knows which are on; each change goes to the [`truth`] file first.
//! - [`api`] is the admin listener's side: `GET /faults`, `PUT` and `DELETE /faults/{name}`.
//! - [`inject()`] is the requests' side: one layer round the public routes.
//!
//! None of it is reachable from the public listener.

mod api;
mod inject;
mod kind;
mod switches;
mod truth;

pub(crate) use api::router;
pub(crate) use inject::{CacheFlush, Injector, OneByOne, inject};
pub(crate) use switches::Switches;
pub(crate) use truth::TruthFile;
