//! The faults that there are.

use crate::routes;
use serde::Serialize;
use std::ops::RangeInclusive;

/// In milliseconds.
pub(super) const STRENGTH: RangeInclusive<u64> = 1..=10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    SlowDependency,
    Errors,
    PoolStarvation,
    CacheFlush,
    CpuBurn,
    NPlusOne,
    MissingIndex,
    SlowQuery,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::SlowDependency,
        Self::Errors,
        Self::PoolStarvation,
        Self::CacheFlush,
        Self::CpuBurn,
        Self::NPlusOne,
        Self::MissingIndex,
        Self::SlowQuery,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SlowDependency => "slow-dependency",
            Self::Errors => "errors",
            Self::PoolStarvation => "pool-starvation",
            Self::CacheFlush => "cache-flush",
            Self::CpuBurn => "cpu-burn",
            Self::NPlusOne => "n-plus-one",
            Self::MissingIndex => "missing-index",
            Self::SlowQuery => "slow-query",
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Self::SlowDependency => "the request waits strength_ms for a service that the shop depends on",
            Self::Errors => "the request fails with status 500",
            Self::PoolStarvation => "the request holds one more database connection for strength_ms",
            Self::CacheFlush => "the request finds the cache emptied of what it reads",
            Self::CpuBurn => "the request computes for strength_ms",
            Self::NPlusOne => "the request asks for each product of its list by a statement of its own",
            Self::MissingIndex => "the request looks through all past sales for a price, which no index knows",
            Self::SlowQuery => "the request waits for a statement that takes strength_ms; about so on SQLite",
        }
    }

    /// What somebody who looks into it should find.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::SlowDependency => "dependency",
            Self::Errors => "errors",
            Self::PoolStarvation => "connection_pool",
            Self::CacheFlush => "cache",
            Self::CpuBurn => "cpu",
            Self::NPlusOne => "n_plus_one",
            Self::MissingIndex => "missing_index",
            Self::SlowQuery => "slow_query",
        }
    }

    /// Whether `strength_ms` means anything.
    pub(super) fn has_strength(self) -> bool {
        match self {
            Self::SlowDependency | Self::PoolStarvation | Self::CpuBurn | Self::SlowQuery => true,
            Self::Errors | Self::CacheFlush | Self::NPlusOne | Self::MissingIndex => false,
        }
    }

    /// Where it can be put.
    pub(super) fn routes(self) -> &'static [&'static str] {
        match self {
            // The only page that reads through a cache.
            Self::CacheFlush => &["/products/{id}"],
            // The pages with a list of products.
            Self::NPlusOne => &["/products", "/search"],
            _ => routes::TEMPLATES,
        }
    }
}
