//! One customer's way through the shop: pages of products, 3 to 8 of them looked at, 1 to 5 into the cart, checkout.

use crate::client::{Call, Client};
use crate::options::{Options, Weights};
use crate::popularity::Popularity;
use crate::stats::{Outcome, Stats, Step};
use crate::users::{Account, User, Users};
use fastrand::Rng;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

const PAGES: RangeInclusive<u32> = 1..=2;
const VIEWS: RangeInclusive<usize> = 3..=8;
const ADDITIONS: RangeInclusive<usize> = 1..=5;
const MAX_PIECES: u32 = 2;
/// Looks at the order until the shop has said that it is on its way.
const ORDER_LOOKS: u32 = 3;
/// Of the products looked at, so many stood on the page before; the others come by the way that popular things come.
const FROM_PAGE: f64 = 0.3;
/// Nobody thinks longer than so many times the mean.
const LONGEST_THOUGHT: f64 = 5.0;
const WORDS: &[&str] = &[
    "oak",
    "walnut",
    "steel",
    "linen",
    "glass",
    "kettle",
    "mug",
    "lamp",
    "desk",
    "chair",
    "rug",
    "vase",
    "tent",
    "puzzle",
    "folding chair",
    "oak desk",
    "rustic",
    "nordic lamp",
    "leather",
    "wool blanket",
    "bamboo",
    "garden",
    "tea",
    "clock",
];

/// What all journeys share.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) users: Users,
    pub(crate) popularity: Popularity,
    pub(crate) stats: Stats,
    think: Duration,
}

impl World {
    pub(crate) fn new(options: &Options, phases: usize) -> Self {
        Self {
            client: Client::new(options.target.base(), options.timeout),
            users: Users::new(),
            popularity: Popularity::new(options.products, options.zipf),
            stats: Stats::new(phases),
            think: options.think,
        }
    }
}

/// How a journey ends when nothing goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ordered,
    Left,
}

/// A request has failed and has been counted; the customer goes away.
struct Failed;

pub(crate) struct Journey {
    world: Arc<World>,
    phase: usize,
    random: Rng,
    /// When the next request is meant to be sent.
    due: Instant,
    /// What this customer is likely to do.
    weights: Weights,
}

#[derive(Deserialize)]
struct Page {
    products: Vec<Listed>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    id: u32,
}

#[derive(Deserialize)]
struct Product {
    id: u32,
    availability: String,
}

#[derive(Deserialize)]
struct Session {
    token: String,
}

#[derive(Deserialize)]
struct Order {
    id: i64,
    status: String,
}

impl Journey {
    pub(crate) fn new(world: Arc<World>, phase: usize, random: Rng, due: Instant, weights: Weights) -> Self {
        Self { world, phase, random, due, weights }
    }

    /// Goes all the way, and counts how it ended.
    pub(crate) async fn run(mut self) {
        let end = self.shop().await;
        self.world.stats.journey(self.phase, |journeys| match end {
            Ok(End::Ordered) => journeys.ordered += 1,
            Ok(End::Left) => journeys.left += 1,
            Err(Failed) => journeys.failed += 1,
        });
    }

    /// Signs a new user up and in, for later journeys.
    pub(crate) async fn enrol(mut self) {
        if let Ok(user) = self.sign_up().await {
            self.world.users.put_back(user);
        }
    }

    async fn shop(&mut self) -> Result<End, Failed> {
        let seen = self.browse().await?;
        let wanted = self.look_at_products(&seen).await?;
        if wanted.is_empty() {
            return Ok(End::Left);
        }
        let user = self.identify().await?;
        // On failure the user is forgotten: its session may have ended with the shop that gave it.
        let end = self.buy(&user, &wanted).await?;
        self.world.users.put_back(user);
        Ok(end)
    }

    /// Pages of the list, or of results; gives the products on the last.
    async fn browse(&mut self) -> Result<Vec<u32>, Failed> {
        let Weights { browse, search, .. } = self.weights;
        let pages = self.random.u32(PAGES);
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..pages {
            let page: Option<Page> = if self.chance(search, browse + search) {
                let words = WORDS[self.random.usize(..WORDS.len())].replace(' ', "+");
                self.get(Step::Search, &format!("/search?q={words}"), None).await?
            } else {
                let path = match cursor.take() {
                    Some(cursor) => format!("/products?cursor={cursor}"),
                    None => "/products".to_owned(),
                };
                self.get(Step::List, &path, None).await?
            };
            if let Some(page) = page {
                cursor = page.next_cursor;
                seen = page.products.iter().map(|product| product.id).collect();
            }
        }
        Ok(seen)
    }

    /// Looks at some products, and gives those that one may want.
    async fn look_at_products(&mut self, seen: &[u32]) -> Result<Vec<u32>, Failed> {
        let views = self.random.usize(VIEWS);
        let mut wanted = Vec::new();
        for _ in 0..views {
            let id = if !seen.is_empty() && self.chance(FROM_PAGE, 1.0) {
                seen[self.random.usize(..seen.len())]
            } else {
                self.world.popularity.draw(&mut self.random)
            };
            let product: Option<Product> = self.get(Step::Product, &format!("/products/{id}"), None).await?;
            if let Some(product) = product
                && product.availability != "sold_out"
                && !wanted.contains(&product.id)
            {
                wanted.push(product.id);
            }
        }
        Ok(wanted)
    }

    /// Comes with an open session, logs in, or signs up.
    async fn identify(&mut self) -> Result<User, Failed> {
        let Weights { returning, login, signup, .. } = self.weights;
        let known = if self.chance(signup, returning + login + signup) {
            None
        } else {
            self.world.users.take(&mut self.random)
        };
        match known {
            None => self.sign_up().await,
            Some(user) if self.chance(login, returning + login) => self.log_in(user.account).await,
            Some(user) => Ok(user),
        }
    }

    async fn sign_up(&mut self) -> Result<User, Failed> {
        let account = self.world.users.new_account();
        let body = json!({"email": account.email, "password": account.password});
        self.post::<IgnoredAny>(Step::SignUp, "/users", None, body).await?;
        self.log_in(account).await
    }

    async fn log_in(&mut self, account: Account) -> Result<User, Failed> {
        let body = json!({"email": account.email, "password": account.password});
        let session: Session = self.post(Step::LogIn, "/sessions", None, body).await?.ok_or(Failed)?;
        Ok(User { account, token: session.token })
    }

    async fn buy(&mut self, user: &User, wanted: &[u32]) -> Result<End, Failed> {
        let token = Some(user.token.as_str());
        let additions = self.random.usize(ADDITIONS);
        for product_id in wanted.iter().take(additions) {
            let body = json!({"product_id": product_id, "quantity": self.random.u32(1..=MAX_PIECES)});
            self.post::<IgnoredAny>(Step::AddToCart, "/cart/items", token, body).await?;
        }
        self.get::<IgnoredAny>(Step::Cart, "/cart", token).await?;
        let Weights { checkout, abandon, .. } = self.weights;
        if self.chance(abandon, checkout + abandon) {
            return Ok(End::Left);
        }
        // None: something was sold out in the meantime, or another's hand was faster.
        let placed: Option<Order> = self.post(Step::Checkout, "/orders", token, json!({})).await?;
        let Some(order) = placed else { return Ok(End::Left) };
        for _ in 0..ORDER_LOOKS {
            let looked: Option<Order> = self.get(Step::Order, &format!("/orders/{}", order.id), token).await?;
            if looked.is_some_and(|order| order.status == "notified") {
                break;
            }
        }
        Ok(End::Ordered)
    }

    async fn get<T: DeserializeOwned>(
        &mut self,
        step: Step,
        path: &str,
        token: Option<&str>,
    ) -> Result<Option<T>, Failed> {
        self.call(step, Call { method: Method::GET, path, token, body: None }).await
    }

    async fn post<T: DeserializeOwned>(
        &mut self,
        step: Step,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> Result<Option<T>, Failed> {
        self.call(step, Call { method: Method::POST, path, token, body: Some(body) }).await
    }

    /// Sends when it is time to, and counts from then. `None` is a conflict, which customers live with.
    async fn call<T: DeserializeOwned>(&mut self, step: Step, call: Call<'_>) -> Result<Option<T>, Failed> {
        sleep_until(self.due).await;
        let result = self.world.client.send(call, &mut self.random).await;
        let latency = self.due.elapsed();
        let (outcome, value) = match result {
            Err(reason) => (Outcome::NoAnswer(reason), None),
            Ok(answer) if answer.status == StatusCode::CONFLICT => (Outcome::Conflict, None),
            Ok(answer) if !answer.status.is_success() => (Outcome::Status(answer.status.as_u16()), None),
            Ok(answer) => match serde_json::from_slice(&answer.body) {
                Ok(value) => (Outcome::Success, Some(value)),
                Err(_) => (Outcome::NoAnswer(crate::client::NoAnswer::Broken), None),
            },
        };
        self.world.stats.request(self.phase, step, outcome, latency);
        self.due = Instant::now() + self.thought();
        match outcome {
            Outcome::Success | Outcome::Conflict => Ok(value),
            Outcome::Status(_) | Outcome::NoAnswer(_) => Err(Failed),
        }
    }

    fn thought(&mut self) -> Duration {
        let times = -(1.0 - self.random.f64()).ln();
        self.world.think.mul_f64(times.min(LONGEST_THOUGHT))
    }

    /// True with the probability of `part` in `whole`.
    fn chance(&mut self, part: f64, whole: f64) -> bool {
        self.random.f64() * whole < part
    }
}
