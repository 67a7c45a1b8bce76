//! Contracts in Rust for the vm_hooks host functions, with Solidity's ABI and storage layout.
//!
//! No dependencies, no allocator crate, no `std`. A contract is
//!
//! ```ignore
//! #![no_std]
//! use tercet::*;
//!
//! #[no_mangle]
//! pub extern "C" fn user_entrypoint(len: usize) -> u32 {
//!     let args = Args::method(len);
//!     match args.selector() {
//!         0x06661abd => give(load(Word::from(0))), // count()
//!         _ => no_such_method(),
//!     }
//!     finish()
//! }
//! ```
//!
//! and optionally `user_constructor(len: usize) -> u32`, whose arguments are `Args::constructor(len)`; it runs
//! once, inside the transaction that creates the contract.
//!
//! - A [`Word`] is 32 bytes, big-endian: what the ABI, storage and logs are made of. An address is a word whose
//!   first 12 bytes are zero.
//! - Every instance runs one call: memory starts as zeros and is never freed.
//! - Nothing returns an error: what cannot go on reverts, with `Error(string)`, `Panic(uint256)` or an error of
//!   the contract's own, and undoes all that the call has done. A Rust panic traps: it reverts without a reason.
//! - Writes to storage are collected and stored by [`finish`], or before the contract calls others.
//! - A contract takes no value unless it begins with [`Args::payable`], and an unknown method should revert.
//!
//! Build with Debian's packages cargo, rustc, libstd-rust-dev-wasm32 and lld-14; the template's
//! `.cargo/config.toml` has the flags.
#![no_std]

use core::arch::wasm32;
use core::cmp::Ordering;
use core::ops::{Add, Div, Mul, Rem, Sub};

/// The host functions: pointers to 20 bytes for addresses, to 32 big-endian bytes for numbers.
pub mod hooks {
    #[link(wasm_import_module = "vm_hooks")]
    extern "C" {
        pub fn read_args(dest: *mut u8);
        pub fn write_result(data: *const u8, len: usize);
        pub fn exit_early(status: u32);
        pub fn storage_load_bytes32(key: *const u8, dest: *mut u8);
        pub fn storage_cache_bytes32(key: *const u8, value: *const u8);
        pub fn storage_flush_cache(clear: u32);
        pub fn transient_load_bytes32(key: *const u8, dest: *mut u8);
        pub fn transient_store_bytes32(key: *const u8, value: *const u8);
        pub fn call_contract(to: *const u8, data: *const u8, len: usize, value: *const u8, gas: u64, returned: *mut usize) -> u32;
        pub fn delegate_call_contract(to: *const u8, data: *const u8, len: usize, gas: u64, returned: *mut usize) -> u32;
        pub fn static_call_contract(to: *const u8, data: *const u8, len: usize, gas: u64, returned: *mut usize) -> u32;
        pub fn create1(code: *const u8, len: usize, value: *const u8, address: *mut u8, returned: *mut usize);
        pub fn create2(code: *const u8, len: usize, value: *const u8, salt: *const u8, address: *mut u8, returned: *mut usize);
        pub fn read_return_data(dest: *mut u8, offset: usize, size: usize) -> usize;
        pub fn return_data_size() -> usize;
        pub fn emit_log(data: *const u8, len: usize, topics: usize);
        pub fn account_balance(address: *const u8, dest: *mut u8);
        pub fn account_codehash(address: *const u8, dest: *mut u8);
        pub fn account_code(address: *const u8, offset: usize, size: usize, dest: *mut u8) -> usize;
        pub fn account_code_size(address: *const u8) -> usize;
        pub fn block_basefee(dest: *mut u8);
        pub fn block_coinbase(dest: *mut u8);
        pub fn block_gas_limit() -> u64;
        pub fn block_number() -> u64;
        pub fn block_timestamp() -> u64;
        pub fn chainid() -> u64;
        pub fn contract_address(dest: *mut u8);
        pub fn msg_sender(dest: *mut u8);
        pub fn msg_value(dest: *mut u8);
        pub fn msg_reentrant() -> u32;
        pub fn tx_origin(dest: *mut u8);
        pub fn tx_gas_price(dest: *mut u8);
        pub fn tx_ink_price() -> u32;
        pub fn evm_gas_left() -> u64;
        pub fn evm_ink_left() -> u64;
        pub fn native_keccak256(data: *const u8, len: usize, dest: *mut u8);
        pub fn pay_for_memory_grow(pages: u32);
        pub fn math_div(a: *mut u8, b: *const u8);
        pub fn math_mod(a: *mut u8, b: *const u8);
        pub fn math_pow(a: *mut u8, b: *const u8);
        pub fn math_add_mod(a: *mut u8, b: *const u8, m: *const u8);
        pub fn math_mul_mod(a: *mut u8, b: *const u8, m: *const u8);
    }
}

#[panic_handler]
fn trap(_: &core::panic::PanicInfo) -> ! {
    wasm32::unreachable()
}

// ---- Memory ----

extern "C" {
    static __heap_base: u8; // where the linker ends the contract's own data
}
static mut HEAP_TOP: usize = 0; // 0: nothing was allocated

/// Returns zeros that are never freed, aligned to 8.
pub fn alloc(len: usize) -> &'static mut [u8] {
    // One thread, and no two results overlap.
    unsafe {
        let start = if HEAP_TOP == 0 { (&__heap_base as *const u8 as usize + 7) & !7 } else { HEAP_TOP };
        let (end, have) = (start + ((len + 7) & !7), wasm32::memory_size(0) << 16);
        if end < start || end - start < len {
            wasm32::unreachable()
        }
        if end > have && wasm32::memory_grow(0, (end - have + 0xffff) >> 16) == usize::MAX {
            wasm32::unreachable()
        }
        HEAP_TOP = end;
        core::slice::from_raw_parts_mut(start as *mut u8, len)
    }
}

// ---- Words ----

/// 32 bytes, big-endian. Calculating treats it as an unsigned number; what does not fit reverts with
/// Solidity's `Panic(0x11)`, a division by zero with `Panic(0x12)`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Word(pub [u8; 32]);

const PANIC_ARITHMETIC: u32 = 0x11; // Solidity's codes
const PANIC_DIVISION: u32 = 0x12;

impl Word {
    pub const ZERO: Word = Word([0; 32]);

    /// A constant from 4 × 16 hexadecimal digits.
    pub const fn new(a: u64, b: u64, c: u64, d: u64) -> Word {
        let (limbs, mut out, mut i) = ([a, b, c, d], [0; 32], 0);
        while i < 32 {
            out[i] = (limbs[i / 8] >> (56 - 8 * (i % 8))) as u8;
            i += 1;
        }
        Word(out)
    }
    pub fn address(bytes: &[u8; 20]) -> Word {
        let mut w = Word::ZERO;
        w.0[12..].copy_from_slice(bytes);
        w
    }
    pub fn is_zero(&self) -> bool {
        self.limb(0) | self.limb(1) | self.limb(2) | self.limb(3) == 0
    }
    /// The number as a u64; a larger one reverts.
    pub fn small(&self) -> u64 {
        if self.limb(0) | self.limb(1) | self.limb(2) != 0 {
            fail("a number is too large")
        }
        self.limb(3)
    }
    // limb 0 is the most significant. Unaligned reads inside the array; i < 4 by every caller.
    fn limb(&self, i: usize) -> u64 {
        unsafe { u64::from_be((self.0.as_ptr() as *const u64).add(i).read_unaligned()) }
    }
    fn set_limb(&mut self, i: usize, n: u64) {
        unsafe { (self.0.as_mut_ptr() as *mut u64).add(i).write_unaligned(n.to_be()) }
    }
    fn at(&self) -> *const u8 {
        self.0.as_ptr()
    }
    fn at_mut(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }
    fn bytes20(&self) -> *const u8 {
        unsafe { self.at().add(12) }
    }
}

impl From<u64> for Word {
    fn from(n: u64) -> Word {
        let mut w = Word::ZERO;
        w.set_limb(3, n);
        w
    }
}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Word) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word {
    fn cmp(&self, other: &Word) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl Add for Word {
    type Output = Word;
    fn add(mut self, other: Word) -> Word {
        let mut carry = false;
        for i in [3, 2, 1, 0] {
            let (sum, more) = self.limb(i).overflowing_add(other.limb(i));
            let (all, again) = sum.overflowing_add(carry as u64);
            self.set_limb(i, all);
            carry = more | again;
        }
        if carry {
            panic(PANIC_ARITHMETIC)
        }
        self
    }
}

impl Sub for Word {
    type Output = Word;
    fn sub(mut self, other: Word) -> Word {
        let mut borrow = false;
        for i in [3, 2, 1, 0] {
            let (rest, more) = self.limb(i).overflowing_sub(other.limb(i));
            let (all, again) = rest.overflowing_sub(borrow as u64);
            self.set_limb(i, all);
            borrow = more | again;
        }
        if borrow {
            panic(PANIC_ARITHMETIC)
        }
        self
    }
}

impl Mul for Word {
    type Output = Word;
    fn mul(self, other: Word) -> Word {
        // In base 2^32, the lowest digit first, so that no product needs more than 64 bits.
        let digit = |w: &Word, i: usize| w.limb(3 - i / 2) >> (32 * (i % 2)) & 0xffff_ffff;
        let mut out = [0u32; 16];
        for i in 0..8 {
            let mut carry = 0;
            for j in 0..8 {
                let t = digit(&self, i) * digit(&other, j) + out[i + j] as u64 + carry;
                out[i + j] = t as u32;
                carry = t >> 32;
            }
            out[i + 8] = carry as u32;
        }
        if out[8..].iter().any(|&d| d != 0) {
            panic(PANIC_ARITHMETIC)
        }
        let mut product = Word::ZERO;
        for i in 0..4 {
            product.set_limb(3 - i, out[2 * i] as u64 | (out[2 * i + 1] as u64) << 32);
        }
        product
    }
}

impl Div for Word {
    type Output = Word;
    fn div(mut self, other: Word) -> Word {
        if other.is_zero() {
            panic(PANIC_DIVISION)
        }
        unsafe { hooks::math_div(self.at_mut(), other.at()) }
        self
    }
}

impl Rem for Word {
    type Output = Word;
    fn rem(mut self, other: Word) -> Word {
        if other.is_zero() {
            panic(PANIC_DIVISION)
        }
        unsafe { hooks::math_mod(self.at_mut(), other.at()) }
        self
    }
}

pub fn keccak(data: &[u8]) -> Word {
    let mut hash = Word::ZERO;
    unsafe { hooks::native_keccak256(data.as_ptr(), data.len(), hash.at_mut()) }
    hash
}

/// The hash of the 64 bytes of both.
pub fn keccak2(a: Word, b: Word) -> Word {
    let pair = [a, b];
    let mut hash = Word::ZERO;
    unsafe { hooks::native_keccak256(pair[0].at(), 64, hash.at_mut()) }
    hash
}

pub fn sender() -> Word {
    let mut w = Word::ZERO;
    unsafe { hooks::msg_sender(w.at_mut().add(12)) }
    w
}

/// The contract's own address.
pub fn this() -> Word {
    let mut w = Word::ZERO;
    unsafe { hooks::contract_address(w.at_mut().add(12)) }
    w
}

/// The value of the call, in wei.
pub fn value() -> Word {
    let mut w = Word::ZERO;
    unsafe { hooks::msg_value(w.at_mut()) }
    w
}

// ---- Encoding: results, errors, logs, calls ----

/// An encoding is filled head by head; what is dynamic goes behind the heads.
pub struct Encoding {
    out: &'static mut [u8],
    base: usize, // offsets count from here
    head: usize, // the next head
}

impl Encoding {
    /// An encoding of so many heads, without a selector: a result.
    pub fn plain(heads: usize) -> Encoding {
        Encoding { out: alloc(32 * heads), base: 0, head: 0 }
    }
    /// An encoding of so many heads after a selector: a call or an error.
    pub fn new(selector: u32, heads: usize) -> Encoding {
        let out = alloc(4 + 32 * heads);
        out[..4].copy_from_slice(&selector.to_be_bytes());
        Encoding { out, base: 4, head: 4 }
    }
    /// A log of so many topics and heads of data: put the other topics, then the data, then [`Encoding::log`].
    pub fn event(topic0: Word, topics: usize, heads: usize) -> Encoding {
        Encoding { out: alloc(32 * (topics + heads)), base: 32 * topics, head: 0 }.put(topic0)
    }
    pub fn put(mut self, w: Word) -> Encoding {
        self.out[self.head..self.head + 32].copy_from_slice(&w.0);
        self.head += 32;
        self
    }
    /// bytes or string
    pub fn put_bytes(self, s: &[u8]) -> Encoding {
        self.put_tail(s.len(), s)
    }
    /// An array of words.
    pub fn put_words(self, words: &[Word]) -> Encoding {
        // A Word is its bytes.
        self.put_tail(words.len(), unsafe { core::slice::from_raw_parts(words.as_ptr() as *const u8, 32 * words.len()) })
    }
    fn put_tail(self, count: usize, s: &[u8]) -> Encoding {
        let used = self.out.len();
        let offset = used - self.base;
        let mut e = self.put(Word::from(offset as u64));
        let out = alloc(used + 32 + ((s.len() + 31) & !31));
        out[..used].copy_from_slice(e.out);
        out[used..used + 32].copy_from_slice(&Word::from(count as u64).0);
        out[used + 32..used + 32 + s.len()].copy_from_slice(s);
        e.out = out;
        e
    }
    /// Makes this what the call returns.
    pub fn give(self) {
        unsafe { hooks::write_result(self.out.as_ptr(), self.out.len()) }
    }
    /// Ends the call with this as the contract's own error.
    pub fn revert(self) -> ! {
        self.give();
        unsafe { hooks::exit_early(1) }
        wasm32::unreachable()
    }
    /// Emits this log.
    pub fn log(self) {
        unsafe { hooks::emit_log(self.out.as_ptr(), self.out.len(), self.base / 32) }
    }
}

pub fn give(w: Word) {
    unsafe { hooks::write_result(w.at(), 32) }
}

pub fn fail(why: &str) -> ! {
    Encoding::new(0x08c379a0, 1).put_bytes(why.as_bytes()).revert() // Error(string)
}

pub fn panic(code: u32) -> ! {
    Encoding::new(0x4e487b71, 1).put(Word::from(code as u64)).revert() // Panic(uint256)
}

pub fn no_such_method() -> ! {
    fail("no such method")
}

// ---- Calldata ----

/// The arguments of the call; argument i counts the 32-byte heads from 0.
pub struct Args {
    data: &'static [u8],
    start: usize, // behind the selector
}

impl Args {
    pub fn method(len: usize) -> Args {
        refuse_value();
        Args::payable(len)
    }
    /// Of a contract whose methods take value.
    pub fn payable(len: usize) -> Args {
        if len < 4 {
            no_such_method()
        }
        Args::read(len, 4)
    }
    pub fn constructor(len: usize) -> Args {
        refuse_value();
        Args::read(len, 0)
    }
    fn read(len: usize, start: usize) -> Args {
        let data = alloc(len);
        unsafe { hooks::read_args(data.as_mut_ptr()) }
        Args { data, start }
    }
    pub fn selector(&self) -> u32 {
        u32::from_be_bytes([self.data[0], self.data[1], self.data[2], self.data[3]])
    }
    pub fn word(&self, i: usize) -> Word {
        match self.rest().get(32 * i..32 * i + 32) {
            Some(bytes) => word_in(bytes),
            None => fail("the calldata is too short"),
        }
    }
    pub fn address(&self, i: usize) -> Word {
        let w = self.word(i);
        if w.limb(0) != 0 || w.limb(1) >> 32 != 0 {
            fail("an address has more than 20 bytes")
        }
        w
    }
    pub fn number(&self, i: usize) -> u64 {
        self.word(i).small()
    }
    pub fn boolean(&self, i: usize) -> bool {
        match self.number(i) {
            0 => false,
            1 => true,
            _ => fail("a boolean is neither 0 nor 1"),
        }
    }
    /// bytes or string
    pub fn bytes(&self, i: usize) -> &'static [u8] {
        self.tail(i, 1)
    }
    /// An array of words.
    pub fn words(&self, i: usize) -> &'static [Word] {
        let bytes = self.tail(i, 32);
        // A Word is 32 bytes without alignment.
        unsafe { core::slice::from_raw_parts(bytes.as_ptr() as *const Word, bytes.len() / 32) }
    }
    fn rest(&self) -> &'static [u8] {
        &self.data[self.start..]
    }
    fn tail(&self, i: usize, item: u64) -> &'static [u8] {
        let (rest, offset) = (self.rest(), self.number(i));
        if offset > rest.len() as u64 || rest.len() as u64 - offset < 32 {
            fail("an offset points outside the calldata")
        }
        let (count, items) = rest[offset as usize..].split_at(32);
        let n = word_in(count).small();
        if n > items.len() as u64 / item {
            fail("a length points outside the calldata")
        }
        &items[..(n * item) as usize]
    }
}

fn word_in(bytes: &[u8]) -> Word {
    let mut w = Word::ZERO;
    w.0.copy_from_slice(bytes);
    w
}

fn refuse_value() {
    if !value().is_zero() {
        fail("the contract takes no value")
    }
}

// ---- Storage ----

static mut UNFLUSHED: bool = false;

/// The slot where the mapping at a slot keeps the value of a key: keccak256(key ‖ slot).
pub fn mapped(key: Word, slot: Word) -> Word {
    keccak2(key, slot)
}

pub fn load(slot: Word) -> Word {
    let mut w = Word::ZERO;
    unsafe { hooks::storage_load_bytes32(slot.at(), w.at_mut()) }
    w
}

pub fn store(slot: Word, value: Word) {
    unsafe {
        hooks::storage_cache_bytes32(slot.at(), value.at());
        UNFLUSHED = true
    }
}

/// Stores what was written; what an entry point returns.
pub fn finish() -> u32 {
    flush(0, false);
    0
}

fn flush(clear: u32, always: bool) {
    unsafe {
        if UNFLUSHED || always {
            hooks::storage_flush_cache(clear)
        }
        UNFLUSHED = false
    }
}

// ---- Calling others ----

/// 63/64 of what is left.
pub const ALL_GAS: u64 = u64::MAX;

/// Runs a method of another contract and reports whether it succeeded. What this call has written is stored
/// first, and read anew afterwards: the other contract may call back.
pub fn call(to: Word, e: Encoding, value: Word, gas: u64) -> bool {
    let mut len = 0;
    flush(1, true);
    unsafe { hooks::call_contract(to.bytes20(), e.out.as_ptr(), e.out.len(), value.at(), gas, &mut len) == 0 }
}

pub fn static_call(to: Word, e: Encoding, gas: u64) -> bool {
    let mut len = 0;
    flush(0, false);
    unsafe { hooks::static_call_contract(to.bytes20(), e.out.as_ptr(), e.out.len(), gas, &mut len) == 0 }
}

/// Word i of what the last call returned.
pub fn returned(i: usize) -> Word {
    let mut w = Word::ZERO;
    if unsafe { hooks::read_return_data(w.at_mut(), 32 * i, 32) } != 32 {
        fail("the called contract returned too little")
    }
    w
}

/// Ends the call with the error of the call that failed.
pub fn revert_same() -> ! {
    unsafe {
        let data = alloc(hooks::return_data_size());
        hooks::read_return_data(data.as_mut_ptr(), 0, data.len());
        hooks::write_result(data.as_ptr(), data.len());
        hooks::exit_early(1)
    }
    wasm32::unreachable()
}
