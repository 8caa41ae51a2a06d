//! The conversation with the server.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Error, Executor, PgPool, Postgres, Row};

use super::findings::{Catalog, Finding, Table, findings};
use super::tree::{self, Node, Relation};
use super::{PlanAdvice, Skip, guard};
use crate::db::ErrorType;
use crate::db::sqlx::error_type;

/// What came of a statement.
pub(super) enum Answer {
    Findings(Vec<Finding>),
    /// By code only: what the server says of it may quote values.
    Failed(ErrorType),
    Skipped(Skip),
}

/// Asks for a statement's plan, on a connection that nobody else wants now. `None` is a text that was not kept as a whole.
pub(super) async fn ask(pool: &PgPool, sql: Option<&str>, settings: &PlanAdvice) -> Answer {
    let Some(sql) = sql else { return Answer::Skipped(Skip::TooLong) };
    let Some(select) = guard::plain_select(sql) else { return Answer::Skipped(Skip::NotAPlainSelect) };
    let Some(mut connection) = idle(pool).await else { return Answer::Skipped(Skip::NoIdleConnection) };
    // The server ends each of a few statements by itself: this is for a server that does not answer.
    let patience = settings.timeout.saturating_mul(2).saturating_add(PATIENCE);
    let error = match tokio::time::timeout(patience, explain(&mut connection, select, settings)).await {
        Ok(Ok((plan, catalog))) => return Answer::Findings(findings(&plan, &catalog)),
        Ok(Err(error)) => error,
        Err(_) => {
            connection.close_on_drop();
            return Answer::Failed(ErrorType::TIMEOUT);
        }
    };
    let healthy = matches!(error, Error::Database(_))
        && matches!(tokio::time::timeout(patience, clean(&mut connection)).await, Ok(Ok(())));
    if !healthy {
        // What state it is in is anybody's guess: nobody else shall have it.
        connection.close_on_drop();
    }
    Answer::Failed(error_type(&error).unwrap_or(ErrorType::OTHER))
}

/// Leaves nothing behind after the server said no.
async fn clean(connection: &mut PgConnection) -> Result<(), Error> {
    run(connection, "ROLLBACK").await?;
    match run(connection, format!("DEALLOCATE {NAME}")).await {
        // It was not even prepared.
        Err(Error::Database(error)) if error.code().as_deref() == Some(NO_SUCH_STATEMENT) => Ok(()),
        done => done,
    }
}

/// An idle connection, soon: the one that the slow statement ran on may be on its way back. It takes no place in the queue
/// of those who wait for one.
async fn idle(pool: &PgPool) -> Option<PoolConnection<Postgres>> {
    for _ in 0..IDLE_TRIES {
        if let Some(connection) = pool.try_acquire() {
            return Some(connection);
        }
        tokio::time::sleep(IDLE_PAUSE).await;
    }
    pool.try_acquire()
}

async fn explain(connection: &mut PgConnection, select: &str, settings: &PlanAdvice) -> Result<(Node, Catalog), Error> {
    run(connection, "BEGIN READ ONLY").await?;
    let timeout = settings.timeout.as_millis().clamp(1, i32::MAX.unsigned_abs().into());
    run(connection, format!("SET LOCAL statement_timeout = {timeout}")).await?;
    // A table that is being altered makes its plan wait, and this connection with it.
    run(connection, format!("SET LOCAL lock_timeout = {}", timeout.min(LOCK_TIMEOUT))).await?;
    // A parameterised statement has no values here: its plan is the one for any values.
    run(connection, "SET LOCAL plan_cache_mode = force_generic_plan").await?;
    run(connection, format!("PREPARE {NAME} AS {select}")).await?;
    let parameters: i32 = sqlx::query_scalar(PARAMETERS).persistent(false).fetch_one(&mut *connection).await?;
    let parameters = usize::try_from(parameters).unwrap_or_default();
    let arguments = if parameters == 0 { String::new() } else { format!("({})", vec!["NULL"; parameters].join(", ")) };
    let analyze = settings.analyze && parameters == 0 && guard::may_run(select);
    let options = if analyze { "FORMAT JSON, VERBOSE, ANALYZE, TIMING OFF" } else { "FORMAT JSON, VERBOSE" };
    let text = {
        let sql = AssertSqlSafe(format!("EXPLAIN ({options}) EXECUTE {NAME}{arguments}"));
        let row = sqlx::query(sql).persistent(false).fetch_one(&mut *connection).await?;
        // JSON is text on the wire.
        row.try_get_unchecked::<String, _>(0)?
    };
    let plan = tree::parse(&text).ok_or_else(|| Error::Protocol("a plan that cannot be read".to_owned()))?;
    let catalog = catalog(connection, &plan, settings).await?;
    run(connection, format!("DEALLOCATE {NAME}")).await?;
    run(connection, "ROLLBACK").await?;
    Ok((plan, catalog))
}

/// Runs one statement. By the extended protocol, which takes no second one with it.
async fn run(connection: &mut PgConnection, sql: impl Into<String>) -> Result<(), Error> {
    let query = sqlx::query(AssertSqlSafe(sql.into())).persistent(false);
    connection.execute(query).await.map(drop)
}

async fn catalog(connection: &mut PgConnection, plan: &Node, settings: &PlanAdvice) -> Result<Catalog, Error> {
    let relations = plan.relations();
    let schemas: Vec<&str> = relations.iter().map(|relation| relation.schema.as_str()).collect();
    let names: Vec<&str> = relations.iter().map(|relation| relation.name.as_str()).collect();
    let tables = sqlx::query(TABLES).persistent(false).bind(schemas).bind(names).fetch_all(&mut *connection).await?;
    let work_mem: f64 = sqlx::query_scalar(WORK_MEM).persistent(false).fetch_one(&mut *connection).await?;
    let tables = tables.iter().map(table).collect::<Result<_, _>>()?;
    Ok(Catalog { tables, work_mem, many_rows: f64::from(settings.many_rows) })
}

fn table(row: &PgRow) -> Result<Table, Error> {
    let relation = Relation { schema: row.try_get(0)?, name: row.try_get(1)? };
    Ok(Table { relation, rows: row.try_get(2)?, indexed: row.try_get(3)? })
}

const PARAMETERS: &str =
    "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'outrigger_plan'";

/// The tables of a plan, their rows as of their last ANALYZE, and the first column of each of their indexes, an expression
/// spelled as `lower(email)`.
const TABLES: &str = "\
    SELECT n.nspname::text, c.relname::text, c.reltuples::float8, ARRAY( \
        SELECT replace(replace(replace(replace(pg_get_indexdef(i.indexrelid, 1, false), '::text', ''), '\"', ''), \
            '((', '('), '))', ')') \
        FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL \
    )::text[] \
    FROM unnest($1::text[], $2::text[]) AS wanted(schema, name) \
    JOIN pg_namespace n ON n.nspname = wanted.schema \
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name";

const WORK_MEM: &str = "SELECT setting::float8 * 1024 FROM pg_settings WHERE name = 'work_mem'";

/// The prepared statement, while a plan is asked for. sqlx's own are called `sqlx_s_...`.
const NAME: &str = "outrigger_plan";
/// SQLSTATE `invalid_sql_statement_name`.
const NO_SUCH_STATEMENT: &str = "26000";
/// How often, and how soon again, an idle connection is looked for.
const IDLE_TRIES: u32 = 10;
const IDLE_PAUSE: Duration = Duration::from_millis(10);
/// Milliseconds.
const LOCK_TIMEOUT: u128 = 100;
/// What the network may take.
const PATIENCE: Duration = Duration::from_secs(2);
