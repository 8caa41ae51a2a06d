//! One profile, from the order to what is made of it.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::Uri;

use super::baseline::{self, Piece};
use super::exhibit::{self, Exhibit, Note};
use super::fetch::{self, Failure};
use super::{Purpose, pprof};
use crate::client::Client;

/// A profile to be taken.
#[derive(Debug)]
pub(crate) struct Order {
    pub(super) number: u64,
    pub(super) label: String,
    pub(super) url: Uri,
    pub(super) over: Duration,
    pub(super) purpose: Purpose,
    /// What an incident's is compared with.
    pub(super) calm: Vec<Piece>,
    /// All of it is of a process that was replaced since.
    pub(super) is_earlier: bool,
}

/// What came of an order.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(super) number: u64,
    pub(super) label: String,
    pub(super) purpose: Purpose,
    pub(super) at: SystemTime,
    /// What making the pictures took.
    pub(super) making: Option<Duration>,
    pub(super) product: Result<Product, Failure>,
}

#[derive(Debug)]
pub(super) enum Product {
    Calm(Bytes),
    Incident(Box<(Exhibit, Note)>),
}

/// Takes a profile. Decoding and drawing happen in a thread that may block.
pub(crate) async fn take(client: Client, order: Order) -> Taken {
    let Order { number, label, url, over, purpose, calm, is_earlier } = order;
    let fetched = fetch::fetch(&client, &url, over).await;
    let at = SystemTime::now();
    let is_calm = purpose == Purpose::Calm;
    let (product, making) = match fetched {
        Err(failure) => (Err(failure), None),
        Ok(bytes) => {
            let began = Instant::now();
            let made = tokio::task::spawn_blocking(move || make(bytes, is_calm, &calm, is_earlier, at)).await;
            // A panic is a bug, but of one profile: it must not end the agent.
            (made.unwrap_or(Err(Failure::Invalid("it could not be read"))), Some(began.elapsed()))
        }
    };
    Taken { number, label, purpose, at, making, product }
}

pub(super) fn make(
    bytes: Bytes,
    is_calm: bool,
    calm: &[Piece],
    is_earlier: bool,
    at: SystemTime,
) -> Result<Product, Failure> {
    let invalid = |pprof::Malformed(why)| Failure::Invalid(why);
    if is_calm {
        pprof::read(&bytes).map_err(invalid)?;
        if bytes.len() > baseline::MAX_PIECE { Err(Failure::TooLarge) } else { Ok(Product::Calm(bytes)) }
    } else {
        let (exhibit, note) = exhibit::make(bytes, calm, at).map_err(invalid)?;
        Ok(Product::Incident(Box::new((exhibit, Note { calm_of_earlier: is_earlier, ..note }))))
    }
}
