//! The goods of a new shop and the orders of its past, the same in every shop: tests and load can count on them.

use super::{Database, Either, Write, now_ms, run};
use fastrand::Rng;
use serde::Serialize;

pub(crate) const PRODUCTS: usize = 10_000;
/// Orders of the past, from which the shop learns what is bought together.
const PAST_ORDERS: i64 = 24_000;
/// A statement's rows come as one JSON text, which takes many times its length while it is read.
const ROWS_AT_A_TIME: usize = 1_000;
/// The user of the past orders. Its password hash fits no password.
const PAST_USER: i64 = 1;
const SEED: u64 = 7;
/// One product in so many is a last piece that is never delivered again.
const LAST_PIECE_EVERY: i64 = 97;
const LAST_PIECES: i64 = 3;

#[derive(Serialize)]
struct Product {
    id: i64,
    category_id: usize,
    name: String,
    description: String,
    price_cents: i64,
    stock: i64,
    restock_to: i64,
}

struct PastOrder {
    id: i64,
    items: Vec<PastItem>,
}

/// Product, quantity, unit price.
type PastItem = (i64, i64, i64);

/// Fills an empty database; leaves any other alone.
pub(crate) async fn fill(db: &Database) -> sqlx::Result<()> {
    let mut write = db.write().await?;
    if let Either::Postgres(connection) = write.connection() {
        // Another shop may start on the same database.
        sqlx::query("LOCK TABLE products IN EXCLUSIVE MODE").execute(connection).await?;
    }
    let filled = "SELECT EXISTS (SELECT 1 FROM products)";
    let filled: bool = run!(write, |db| sqlx::query_scalar(filled).fetch_one(db).await)?;
    if filled {
        return Ok(());
    }
    let mut random = Rng::with_seed(SEED);
    let products = products(&mut random);
    let past = past_orders(&mut random, &products);

    // All or nothing: a kill in the middle leaves an empty database, which the next start fills.
    insert_products(&mut write, &products).await?;
    insert_past_orders(&mut write, &past).await?;
    // The planner's statistics: without them it walks the joins of the past orders from the wrong end.
    run!(write, |db| sqlx::query("ANALYZE").execute(db).await.map(drop))?;
    write.commit().await
}

/// Runs an insertion that reads its rows from `rows (value)`, which is what the JSON array holds.
macro_rules! insert {
    ($write:expr, $insertion:literal, $rows:expr) => {{
        let insertion = $write.pick(
            concat!($insertion, " FROM json_each($1) AS rows"),
            concat!($insertion, " FROM json_array_elements($1::json) AS rows (value)"),
        );
        let rows = json($rows)?;
        run!($write, |db| sqlx::query(insertion).bind(rows).execute(db).await.map(drop))
    }};
}

async fn insert_products(write: &mut Write<'_>, products: &[Product]) -> sqlx::Result<()> {
    let categories: Vec<(usize, &str)> = (1..).zip(CATEGORIES.iter().map(|(name, _)| *name)).collect();
    insert!(write, "INSERT INTO categories (id, name) SELECT CAST(value ->> 0 AS BIGINT), value ->> 1", &categories)?;
    for products in products.chunks(ROWS_AT_A_TIME) {
        insert!(
            write,
            "INSERT INTO products (id, category_id, name, description, price_cents, stock, restock_to)
             SELECT CAST(value ->> 'id' AS BIGINT), CAST(value ->> 'category_id' AS BIGINT), value ->> 'name',
                    value ->> 'description', CAST(value ->> 'price_cents' AS BIGINT), CAST(value ->> 'stock' AS BIGINT),
                    CAST(value ->> 'restock_to' AS BIGINT)",
            &products
        )?;
    }
    Ok(())
}

async fn insert_past_orders(write: &mut Write<'_>, past: &[PastOrder]) -> sqlx::Result<()> {
    let now = now_ms();
    let user = "INSERT INTO users (id, email, password_hash, created_at) VALUES ($1, 'counter@shop.invalid', '!', $2)";
    run!(write, |db| sqlx::query(user).bind(PAST_USER).bind(now).execute(db).await.map(drop))?;
    for orders in past.chunks(ROWS_AT_A_TIME) {
        let total = |order: &PastOrder| order.items.iter().map(|(_, quantity, price)| quantity * price).sum();
        let totals: Vec<(i64, i64, i64, i64)> =
            orders.iter().map(|order| (order.id, PAST_USER, total(order), now)).collect();
        insert!(
            write,
            "INSERT INTO orders (id, user_id, status, total_cents, created_at, updated_at)
             SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), 'notified', CAST(value ->> 2 AS BIGINT),
                    CAST(value ->> 3 AS BIGINT), CAST(value ->> 3 AS BIGINT)",
            &totals
        )?;
        let items: Vec<(i64, i64, i64, i64)> = orders
            .iter()
            .flat_map(|order| order.items.iter().map(|(id, quantity, price)| (order.id, *id, *quantity, *price)))
            .collect();
        insert!(
            write,
            "INSERT INTO order_items (order_id, product_id, quantity, unit_price_cents)
             SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT),
                    CAST(value ->> 3 AS BIGINT)",
            &items
        )?;
    }
    // Postgres hands out numbers without looking at those that are taken; SQLite looks.
    if let Either::Postgres(connection) = write.connection() {
        for taken in
            ["SELECT setval('users_id_seq', max(id)) FROM users", "SELECT setval('orders_id_seq', max(id)) FROM orders"]
        {
            sqlx::query(taken).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

fn products(random: &mut Rng) -> Vec<Product> {
    (1..).take(PRODUCTS).map(|id| product(random, id)).collect()
}

fn product(random: &mut Rng, id: i64) -> Product {
    let category = random.usize(..CATEGORIES.len());
    let (category_name, nouns) = CATEGORIES[category];
    let noun = pick(random, nouns);
    let (style, material) = (pick(random, STYLES), pick(random, MATERIALS));
    let last_piece = id % LAST_PIECE_EVERY == 0;
    Product {
        id,
        category_id: category + 1,
        name: format!("{style} {material} {noun}"),
        description: format!(
            "A {} {} in {}, {}. From our {} range; {}.",
            style.to_lowercase(),
            noun.to_lowercase(),
            material.to_lowercase(),
            pick(random, PRAISE),
            category_name.to_lowercase(),
            pick(random, SERVICE),
        ),
        price_cents: random.i64(2..=300) * 100 - 1,
        stock: if last_piece { LAST_PIECES } else { random.i64(200..=2_000) },
        restock_to: if last_piece { 0 } else { 1_000 },
    }
}

/// Two to six products in an order, most of them out of one category: people furnish a kitchen, or a garden.
fn past_orders(random: &mut Rng, products: &[Product]) -> Vec<PastOrder> {
    let mut by_category = vec![Vec::new(); CATEGORIES.len()];
    for product in products {
        by_category[product.category_id - 1].push(product);
    }
    (1..=PAST_ORDERS)
        .map(|id| {
            let favourite = random.usize(..CATEGORIES.len());
            let mut items: Vec<PastItem> = Vec::new();
            for _ in 0..random.usize(2..=6) {
                let category = if random.f64() < 0.7 { favourite } else { random.usize(..CATEGORIES.len()) };
                // The square makes the first products of each category the popular ones.
                let place = random.f64().powi(2) * by_category[category].len() as f64;
                let product = by_category[category][place as usize];
                if items.iter().all(|(id, ..)| *id != product.id) {
                    items.push((product.id, random.i64(1..=3), product.price_cents));
                }
            }
            PastOrder { id, items }
        })
        .collect()
}

fn pick<'a>(random: &mut Rng, words: &[&'a str]) -> &'a str {
    words[random.usize(..words.len())]
}

fn json(rows: &impl Serialize) -> sqlx::Result<String> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))
}

const CATEGORIES: &[(&str, &[&str])] = &[
    ("Kitchen", &["Kettle", "Saucepan", "Chopping Board", "Colander", "Pepper Mill", "Whisk"]),
    ("Table", &["Plate", "Salad Bowl", "Carafe", "Fork Set", "Butter Dish", "Egg Cup"]),
    ("Coffee and Tea", &["Teapot", "Coffee Grinder", "Mug", "Tea Strainer", "Milk Jug", "Espresso Cup"]),
    ("Baking", &["Cake Tin", "Rolling Pin", "Mixing Bowl", "Bread Basket", "Spatula", "Scale"]),
    ("Living Room", &["Armchair", "Side Table", "Bookshelf", "Footstool", "Sideboard", "Magazine Rack"]),
    ("Bedroom", &["Bed Frame", "Nightstand", "Wardrobe", "Pillow", "Blanket", "Dresser"]),
    ("Bathroom", &["Towel", "Soap Dish", "Bath Mat", "Mirror", "Laundry Basket", "Toothbrush Holder"]),
    ("Office", &["Desk", "Desk Chair", "Pen Tray", "Monitor Stand", "Filing Box", "Notebook"]),
    ("Lighting", &["Floor Lamp", "Desk Lamp", "Pendant", "Lantern", "Candle Holder", "Wall Light"]),
    ("Textiles", &["Rug", "Curtain", "Cushion", "Tablecloth", "Throw", "Apron"]),
    ("Storage", &["Crate", "Shelf Unit", "Hook Rail", "Jar", "Trunk", "Drawer Insert"]),
    ("Garden", &["Trowel", "Watering Can", "Planter", "Bench", "Bird House", "Rake"]),
    ("Balcony", &["Folding Chair", "Flower Box", "Parasol", "Bistro Table", "Wind Chime", "Hammock"]),
    ("Tools", &["Hammer", "Screwdriver", "Spirit Level", "Hand Saw", "Toolbox", "Tape Measure"]),
    ("Outdoor", &["Tent", "Sleeping Bag", "Camping Stove", "Flask", "Head Torch", "Rucksack"]),
    ("Cycling", &["Bicycle Bell", "Pannier", "Saddle", "Bicycle Pump", "Basket", "Lock"]),
    ("Sports", &["Yoga Mat", "Skipping Rope", "Kettlebell", "Racket", "Gym Bag", "Medicine Ball"]),
    ("Toys", &["Building Blocks", "Train Set", "Spinning Top", "Puzzle", "Kite", "Doll House"]),
    ("Games", &["Chess Set", "Dice Cup", "Card Box", "Domino Set", "Backgammon Board", "Marbles"]),
    ("Music", &["Ukulele", "Metronome", "Music Stand", "Tambourine", "Harmonica", "Guitar Stand"]),
    ("Stationery", &["Fountain Pen", "Ink Pot", "Pencil Case", "Letter Opener", "Wall Calendar", "Stapler"]),
    ("Travel", &["Suitcase", "Passport Cover", "Neck Pillow", "Wash Bag", "Travel Clock", "Luggage Tag"]),
    ("Pets", &["Dog Bowl", "Cat Tree", "Leash", "Pet Bed", "Scratching Post", "Aquarium Stand"]),
    ("Decoration", &["Vase", "Picture Frame", "Bookend", "Wall Clock", "Figurine", "Globe"]),
];

const STYLES: &[&str] = &[
    "Compact",
    "Classic",
    "Modern",
    "Rustic",
    "Nordic",
    "Vintage",
    "Slim",
    "Sturdy",
    "Foldable",
    "Handmade",
    "Polished",
    "Matte",
    "Tall",
    "Low",
    "Round",
    "Square",
    "Light",
    "Heavy",
    "Striped",
    "Plain",
    "Curved",
    "Stackable",
    "Painted",
    "Woven",
    "Engraved",
];

const MATERIALS: &[&str] = &[
    "Oak",
    "Walnut",
    "Birch",
    "Bamboo",
    "Steel",
    "Copper",
    "Brass",
    "Iron",
    "Glass",
    "Porcelain",
    "Stoneware",
    "Marble",
    "Linen",
    "Cotton",
    "Wool",
    "Leather",
    "Cork",
    "Rattan",
    "Enamel",
    "Slate",
];

const PRAISE: &[&str] = &[
    "made to be used every day",
    "a gift that lasts",
    "small enough for any home",
    "as good in twenty years as today",
    "the favourite of our own staff",
    "with an edge that pleases the hand",
    "designed in our workshop",
    "a quiet companion",
    "easy to clean",
    "that ages well",
];

const SERVICE: &[&str] = &[
    "delivered within three days",
    "spare parts on request",
    "with a guarantee of five years",
    "packed without plastic",
    "returns are free of charge",
    "repaired by us should it ever break",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_shop_twice() {
        let names = || products(&mut Rng::with_seed(SEED)).into_iter().map(|product| product.name).collect::<Vec<_>>();
        let first = names();
        assert_eq!(first.len(), PRODUCTS);
        assert_eq!(first, names());
    }

    #[test]
    fn past_orders_hold_each_product_at_most_once() {
        let mut random = Rng::with_seed(SEED);
        let products = products(&mut random);
        let past = past_orders(&mut random, &products);
        assert_eq!(past.last().unwrap().id, PAST_ORDERS);
        assert!(past.is_sorted_by(|one, next| one.id + 1 == next.id));
        for order in past {
            let mut ids: Vec<i64> = order.items.iter().map(|(id, ..)| *id).collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert!(count > 0 && ids.len() == count, "order {}", order.id);
        }
    }
}
