//! What a shop stands on: SQLite always, Postgres where it is installed. Most tests run on both databases.

use crate::support::{Shop, shop_program};
use outrigger_testkit::{Folder, Postgres, Program};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Makes two tests of each function: one with a shop on SQLite, and one with a shop on Postgres.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&$crate::backend::Backend::sqlite());
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                if let Some(backend) = $crate::backend::Backend::postgres() {
                    super::$test(&backend);
                }
            })+
        }
    };
}
pub(crate) use on_each_database;

pub(crate) enum Backend {
    /// A temporary file.
    Sqlite,
    /// A server that all tests share.
    Postgres(Arc<Postgres>),
}

impl Backend {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite
    }

    /// `None` where it is not installed.
    pub(crate) fn postgres() -> Option<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let postgres = match shared.upgrade() {
            Some(running) => running,
            None => Arc::new(Postgres::start()?),
        };
        *shared = Arc::downgrade(&postgres);
        Some(Self::Postgres(postgres))
    }

    pub(crate) fn shop(&self) -> Shop {
        self.shop_with(&[])
    }

    /// A new shop, on a database of its own.
    pub(crate) fn shop_with(&self, args: &[&str]) -> Shop {
        Shop::run(&self.program().args(args))
    }

    /// A program that begins a new shop.
    fn program(&self) -> Program {
        match self {
            Self::Sqlite => shop_program(),
            Self::Postgres(postgres) => shop_program().args(["--database", &new_database(postgres)]),
        }
    }

    /// A program that begins a new shop, and takes it up again when it is run once more. SQLite's file is in the folder.
    pub(crate) fn lasting_program(&self, folder: &Folder) -> Program {
        match self {
            Self::Sqlite => shop_program().arg("--database").arg(folder.path().join("shop.db")),
            Self::Postgres(_) => self.program(),
        }
    }

    /// The shop's name for the database in its metrics.
    pub(crate) fn system(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }
}

/// The URL of an empty database.
pub(crate) fn new_database(postgres: &Postgres) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("shop_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    postgres.sql(&format!("CREATE DATABASE {name}"));
    format!("postgres://outrigger@127.0.0.1:{}/{name}", postgres.port())
}
