//! Any bytes as a page: the counts add up, and the families survive being written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| outrigger_exposition::fuzz_one(data));
