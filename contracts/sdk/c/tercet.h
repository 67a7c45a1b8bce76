// tercet.h: contracts in C for the vm_hooks host functions, with Solidity's ABI and storage layout.
//
// One header, nothing to link. A contract is
//
//	#include "tercet.h"
//	ENTRYPOINT {
//		switch (selector()) {
//		case 0x06661abd: return give(load(number(0))); // count()
//		}
//		no_such_method();
//	}
//
// and optionally CONSTRUCTOR { … }, which runs once, inside the transaction that creates the contract.
//
//   - A word is a reference to 32 bytes, big-endian: what the ABI, storage and logs are made of. Words
//     do not change; calculating makes new ones. An address is a word whose first 12 bytes are zero.
//   - Every instance runs one call: memory starts as zeros, alloc() never frees, statics start anew.
//   - Nothing returns an error: what cannot go on reverts, with Error(string), Panic(uint256) or an
//     error of the contract's own, and undoes all that the call has done.
//   - Writes to storage are collected and stored when the call succeeds, or before it calls others.
//   - A contract takes no value unless it says PAYABLE_ENTRYPOINT, and an unknown method reverts.
//
// Build with Debian's packages clang-14 and lld-14:
//
//	clang-14 --target=wasm32 -O2 -mcpu=mvp -nostdlib -fno-builtin -Wl,--no-entry -Wl,--strip-all \
//		-Wl,-z,stack-size=16384 -Wl,--stack-first -I where-this-file-is -o contract.wasm contract.c
#ifndef TERCET_H
#define TERCET_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u64 __attribute__((aligned(1))) loose; // at any address
typedef _Bool bool;
enum { false, true };

typedef union {
	u8 b[32];
	loose q[4];
} bytes32;
typedef const bytes32 *word;

// Bytes, or words, somewhere in memory.
typedef struct {
	const u8 *at;
	u32 len;
} span;

// Functions are called rather than repeated, and loops are not unrolled: contracts stay small.
#define FUNC static __attribute__((unused, noinline))
#define SMALL static __attribute__((unused, always_inline)) inline
#define NORETURN static __attribute__((unused, noinline, noreturn))
#define LOOP _Pragma("clang loop unroll(disable)")

// ---- Host functions (pointers to 20 bytes for addresses, to 32 big-endian bytes for numbers) ----

#define HOOK(name) __attribute__((import_module("vm_hooks"), import_name(#name))) extern

HOOK(read_args) void read_args(void *dest);
HOOK(write_result) void write_result(const void *data, u32 len);
HOOK(exit_early) void exit_early(u32 status);
HOOK(storage_load_bytes32) void storage_load_bytes32(const void *key, void *dest);
HOOK(storage_cache_bytes32) void storage_cache_bytes32(const void *key, const void *value);
HOOK(storage_flush_cache) void storage_flush_cache(u32 clear);
HOOK(transient_load_bytes32) void transient_load_bytes32(const void *key, void *dest);
HOOK(transient_store_bytes32) void transient_store_bytes32(const void *key, const void *value);
HOOK(call_contract) u32 call_contract(const void *to, const void *data, u32 len, const void *value, u64 gas, u32 *returned);
HOOK(delegate_call_contract) u32 delegate_call_contract(const void *to, const void *data, u32 len, u64 gas, u32 *returned);
HOOK(static_call_contract) u32 static_call_contract(const void *to, const void *data, u32 len, u64 gas, u32 *returned);
HOOK(create1) void create1(const void *code, u32 len, const void *value, void *address, u32 *returned);
HOOK(create2) void create2(const void *code, u32 len, const void *value, const void *salt, void *address, u32 *returned);
HOOK(read_return_data) u32 read_return_data(void *dest, u32 offset, u32 size);
HOOK(return_data_size) u32 return_data_size(void);
HOOK(emit_log) void emit_log(const void *data, u32 len, u32 topics);
HOOK(account_balance) void account_balance(const void *address, void *dest);
HOOK(account_codehash) void account_codehash(const void *address, void *dest);
HOOK(account_code) u32 account_code(const void *address, u32 offset, u32 size, void *dest);
HOOK(account_code_size) u32 account_code_size(const void *address);
HOOK(block_basefee) void block_basefee(void *dest);
HOOK(block_coinbase) void block_coinbase(void *dest);
HOOK(block_gas_limit) u64 block_gas_limit(void);
HOOK(block_number) u64 block_number(void);
HOOK(block_timestamp) u64 block_timestamp(void);
HOOK(chainid) u64 chainid(void);
HOOK(contract_address) void contract_address(void *dest);
HOOK(msg_sender) void msg_sender(void *dest);
HOOK(msg_value) void msg_value(void *dest);
HOOK(msg_reentrant) u32 msg_reentrant(void);
HOOK(tx_origin) void tx_origin(void *dest);
HOOK(tx_gas_price) void tx_gas_price(void *dest);
HOOK(tx_ink_price) u32 tx_ink_price(void);
HOOK(evm_gas_left) u64 evm_gas_left(void);
HOOK(evm_ink_left) u64 evm_ink_left(void);
HOOK(native_keccak256) void native_keccak256(const void *data, u32 len, void *dest);
HOOK(pay_for_memory_grow) void pay_for_memory_grow(u32 pages);
HOOK(math_div) void math_div(void *a, const void *b);
HOOK(math_mod) void math_mod(void *a, const void *b);
HOOK(math_pow) void math_pow(void *a, const void *b);
HOOK(math_add_mod) void math_add_mod(void *a, const void *b, const void *m);
HOOK(math_mul_mod) void math_mul_mod(void *a, const void *b, const void *m);

// ---- Memory ----

extern u8 __heap_base; // where wasm-ld ends the contract's own data
static u32 heap_top;   // 0: nothing was allocated

// alloc returns zeros, aligned to 32 and right behind what it returned last, which it rounds up to 32.
FUNC void *alloc(u32 n) {
	u32 start = heap_top ? heap_top : ((u32)&__heap_base + 31) & ~31u;
	u32 end = start + ((n + 31) & ~31u), have = (u32)__builtin_wasm_memory_size(0) << 16;
	if (end - start < n || end < start) __builtin_trap();
	if (end > have && __builtin_wasm_memory_grow(0, (end - have + 0xffff) >> 16) == (u32)-1) __builtin_trap();
	heap_top = end;
	return (void *)start;
}

// The compiler calls these by itself, too.
__attribute__((weak)) void *memcpy(void *dest, const void *src, unsigned long n) {
	u8 *d = dest;
	const u8 *s = src;
	LOOP for (; n >= 8; n -= 8, d += 8, s += 8) *(loose *)d = *(const loose *)s;
	LOOP for (; n; n--) *d++ = *s++;
	return dest;
}
__attribute__((weak)) void *memset(void *dest, int byte, unsigned long n) {
	u8 *d = dest;
	LOOP for (; n; n--) *d++ = (u8)byte;
	return dest;
}

// ---- Words ----

// CONSTANT(NAME, …) defines a word by 4 × 16 hexadecimal digits.
#define CONSTANT(name, a, b, c, d)   \
	static const bytes32 name[1] = { \
	    {.q = {__builtin_bswap64(a##ull), __builtin_bswap64(b##ull), __builtin_bswap64(c##ull), __builtin_bswap64(d##ull)}}}

FUNC u64 swap(u64 n) { return __builtin_bswap64(n); } // WebAssembly has no instruction for it
FUNC word number(u64 n) {
	bytes32 *w = alloc(32);
	w->q[3] = swap(n);
	return w;
}
FUNC word copy(const void *at) { return memcpy(alloc(32), at, 32); }
FUNC bool is_zero(word w) { return !(w->q[0] | w->q[1] | w->q[2] | w->q[3]); }
FUNC bool equal(word a, word b) {
	return !((a->q[0] ^ b->q[0]) | (a->q[1] ^ b->q[1]) | (a->q[2] ^ b->q[2]) | (a->q[3] ^ b->q[3]));
}
FUNC word keccak(const void *data, u32 len) {
	bytes32 *hash = alloc(32);
	native_keccak256(data, len, hash);
	return hash;
}
FUNC word keccak2(word a, word b) { // of the 64 bytes of both
	bytes32 *pair = alloc(64);
	pair[0] = *a, pair[1] = *b;
	return keccak(pair, 64);
}
FUNC word sender(void) {
	bytes32 *w = alloc(32);
	msg_sender(w->b + 12);
	return w;
}
FUNC word self(void) {
	bytes32 *w = alloc(32);
	contract_address(w->b + 12);
	return w;
}
FUNC word value(void) { // of the call, in wei
	bytes32 *w = alloc(32);
	msg_value(w);
	return w;
}
FUNC span text(const char *s) {
	u32 n = 0;
	LOOP while (s[n]) n++;
	return (span){(const u8 *)s, n};
}

// ---- Encoding: results, errors, logs, calls ----

// An encoding is filled head by head; what is dynamic goes behind the heads.
typedef struct {
	u8 *out;  // what is sent begins here: at the selector, the first topic or the first head
	u8 *base; // offsets count from here; aligned to 32
	u8 *head; // the next head
	u8 *end;  // aligned to 32
} *encoding;

enum { NO_SELECTOR };

// encode begins an encoding of so many heads, after a selector unless that is NO_SELECTOR.
FUNC encoding encode(u32 selector, u32 heads) {
	encoding e = alloc(sizeof *e);
	u8 *p = alloc(32 + 32 * heads);
	*(u32 *)(p + 28) = __builtin_bswap32(selector);
	e->out = selector ? p + 28 : p + 32;
	e->base = e->head = p + 32;
	e->end = (u8 *)heap_top;
	return e;
}
FUNC void put(encoding e, word w) {
	*(bytes32 *)e->head = *w;
	e->head += 32;
}
FUNC void put_tail(encoding e, span s, u32 item) {
	u32 used = (u32)(e->end - e->out), shift = (u32)e->out % 32;
	put(e, number((u32)(e->end - e->base)));
	u8 *out = (u8 *)alloc(shift + used) + shift; // others may have allocated since, so it moves
	memcpy(out, e->out, used);
	e->base += out - e->out, e->head += out - e->out, e->out = out;
	bytes32 *tail = alloc(32 + s.len * item);
	tail->q[3] = swap(s.len);
	memcpy(tail + 1, s.at, s.len * item);
	e->end = (u8 *)heap_top;
}
FUNC void put_bytes(encoding e, span s) { put_tail(e, s, 1); }  // bytes or string
FUNC void put_words(encoding e, span s) { put_tail(e, s, 32); } // an array; the length counts words

// give… set what the call returns.
FUNC void give_encoding(encoding e) { write_result(e->out, (u32)(e->end - e->out)); }
FUNC void give(word w) { write_result(w, 32); }
FUNC void give_bytes(span s) {
	encoding e = encode(NO_SELECTOR, 1);
	put_bytes(e, s);
	give_encoding(e);
}

// revert ends the call with an error of the contract's own: encode(its selector, …), put(…).
NORETURN void revert(encoding e) {
	give_encoding(e);
	exit_early(1);
	__builtin_unreachable();
}
NORETURN void revert_with(u32 selector, u32 n, word a, word b, word c) {
	encoding e = encode(selector, n);
	if (n > 0) put(e, a);
	if (n > 1) put(e, b);
	if (n > 2) put(e, c);
	revert(e);
}
#define revert0(selector) revert_with(selector, 0, 0, 0, 0)
#define revert1(selector, a) revert_with(selector, 1, a, 0, 0)
#define revert2(selector, a, b) revert_with(selector, 2, a, b, 0)
#define revert3(selector, a, b, c) revert_with(selector, 3, a, b, c)
NORETURN void fail(const char *why) {
	encoding e = encode(0x08c379a0, 1); // Error(string)
	put_bytes(e, text(why));
	revert(e);
}
NORETURN void panic(u32 code) { revert1(0x4e487b71, number(code)); } // Panic(uint256)
NORETURN void no_such_method(void) { fail("no such method"); }

enum { PANIC_ARITHMETIC = 0x11, PANIC_DIVISION = 0x12 }; // Solidity's codes

// log_begin begins a log of so many topics and heads of data: put() the other topics, then the data.
FUNC encoding log_begin(word topic0, u32 topics, u32 heads) {
	encoding e = encode(NO_SELECTOR, topics + heads);
	e->base += 32 * topics;
	put(e, topic0);
	return e;
}
FUNC void log_end(encoding e) { emit_log(e->out, (u32)(e->end - e->out), (u32)(e->base - e->out) / 32); }

// ---- Calculation with words as unsigned numbers; what does not fit reverts with Panic(0x11) ----

FUNC int compare(word a, word b) {
	LOOP for (u32 i = 0; i < 4; i++)
		if (a->q[i] != b->q[i]) return swap(a->q[i]) < swap(b->q[i]) ? -1 : 1;
	return 0;
}
FUNC word add(word a, word b) {
	bytes32 *out = alloc(32);
	u64 carry = 0;
	LOOP for (int i = 3; i >= 0; i--) {
		u64 x = swap(a->q[i]), sum = x + swap(b->q[i]), all = sum + carry;
		carry = (sum < x) | (all < sum);
		out->q[i] = swap(all);
	}
	if (carry) panic(PANIC_ARITHMETIC);
	return out;
}
FUNC word sub(word a, word b) {
	bytes32 *out = alloc(32);
	u64 borrow = 0;
	LOOP for (int i = 3; i >= 0; i--) {
		u64 x = swap(a->q[i]), rest = x - swap(b->q[i]), all = rest - borrow;
		borrow = (rest > x) | (all > rest);
		out->q[i] = swap(all);
	}
	if (borrow) panic(PANIC_ARITHMETIC);
	return out;
}
FUNC u32 digit(word w, u32 i) { // in base 2^32, the lowest first
	return __builtin_bswap32(((const u32 *)w)[7 - i]);
}
FUNC word mul(word a, word b) {
	bytes32 *out = alloc(64); // the high half has to stay zero
	u32 *digits = (u32 *)out;
	LOOP for (u32 i = 0; i < 8; i++) {
		u64 carry = 0;
		LOOP for (u32 j = 0; j < 8; j++) {
			u64 t = (u64)digit(a, i) * digit(b, j) + digits[15 - i - j] + carry;
			digits[15 - i - j] = (u32)t, carry = t >> 32;
		}
		digits[7 - i] = (u32)carry;
	}
	if (!is_zero(out)) panic(PANIC_ARITHMETIC);
	LOOP for (u32 i = 8; i < 16; i++) digits[i] = __builtin_bswap32(digits[i]);
	return out + 1;
}
FUNC word divide(word a, word b) {
	if (is_zero(b)) panic(PANIC_DIVISION);
	a = copy(a);
	math_div((void *)a, b);
	return a;
}
FUNC word modulo(word a, word b) {
	if (is_zero(b)) panic(PANIC_DIVISION);
	a = copy(a);
	math_mod((void *)a, b);
	return a;
}
// small is the number as a u64; a larger one reverts.
FUNC u64 small(word w) {
	if (w->q[0] | w->q[1] | w->q[2]) fail("a number is too large");
	return swap(w->q[3]);
}

// ---- Calldata: argument i counts the 32-byte heads from 0 ----

static u8 *arguments; // aligned to 32; in a method, the selector stands in the 4 bytes before it
static u32 arguments_len;

FUNC u32 selector(void) { return __builtin_bswap32(*(const u32 *)(arguments - 4)); }
FUNC word arg(u32 i) {
	if (arguments_len / 32 <= i) fail("the calldata is too short");
	return (word)(arguments + 32 * i);
}
FUNC word as_address(word w) {
	if (w->q[0] || ((const u32 *)w)[2]) fail("an address has more than 20 bytes");
	return w;
}
FUNC word arg_address(u32 i) { return as_address(arg(i)); }
FUNC u64 arg_u64(u32 i) { return small(arg(i)); }
FUNC bool arg_bool(u32 i) {
	u64 n = arg_u64(i);
	if (n > 1) fail("a boolean is neither 0 nor 1");
	return n;
}
FUNC span arg_tail(u32 i, u32 item) {
	u64 offset = arg_u64(i);
	if (offset > arguments_len || arguments_len - offset < 32) fail("an offset points outside the calldata");
	u32 room = arguments_len - (u32)offset - 32;
	u64 n = small((word)(arguments + offset));
	if (n > room / item) fail("a length points outside the calldata");
	return (span){arguments + offset + 32, (u32)n};
}
FUNC span arg_bytes(u32 i) { return arg_tail(i, 1); }  // bytes or string
FUNC span arg_words(u32 i) { return arg_tail(i, 32); } // an array; its length counts words
SMALL word word_at(span words, u32 i) {                // i < words.len is the caller's to know
	return (word)words.at + i;
}

// ---- Storage ----

static bool unflushed;

// mapped is the slot where the mapping at a slot keeps the value of a key: keccak256(key ‖ slot).
FUNC word mapped(word key, word slot) { return keccak2(key, slot); }
// next is the n-th slot after another, for structs.
FUNC word next(word slot, u32 n) { return add(slot, number(n)); }
FUNC word load(word slot) {
	bytes32 *w = alloc(32);
	storage_load_bytes32(slot, w);
	return w;
}
FUNC void store(word slot, word value) {
	storage_cache_bytes32(slot, value);
	unflushed = true;
}
// A text of at most 31 bytes in one slot, as Solidity keeps it: the bytes, then twice their number.
FUNC void store_short(word slot, span s) {
	bytes32 *w = alloc(32);
	if (s.len > 31) fail("a text has more than 31 bytes");
	memcpy(w, s.at, s.len);
	w->b[31] = (u8)(2 * s.len);
	store(slot, w);
}
FUNC span load_short(word slot) {
	word w = load(slot);
	return (span){w->b, w->b[31] / 2u};
}

// ---- Calling others ----

#define ALL_GAS (~0ull) // 63/64 of what is left

// call runs a method of another contract and reports whether it succeeded. What this call has written is
// stored first, and read anew afterwards: the other contract may call back.
FUNC bool call(word to, encoding e, word value, u64 gas) {
	u32 returned;
	storage_flush_cache(1);
	unflushed = false;
	return !call_contract(to->b + 12, e->out, (u32)(e->end - e->out), value, gas, &returned);
}
FUNC bool static_call(word to, encoding e, u64 gas) {
	u32 returned;
	if (unflushed) storage_flush_cache(0);
	unflushed = false;
	return !static_call_contract(to->b + 12, e->out, (u32)(e->end - e->out), gas, &returned);
}
// returned is word i of what the last call returned.
FUNC word returned(u32 i) {
	bytes32 *w = alloc(32);
	if (read_return_data(w, 32 * i, 32) != 32) fail("the called contract returned too little");
	return w;
}
// revert_same ends the call with the error of the call that failed.
NORETURN void revert_same(void) {
	u32 len = return_data_size();
	u8 *data = alloc(len);
	read_return_data(data, 0, len);
	write_result(data, len);
	exit_early(1);
	__builtin_unreachable();
}

// ---- Entry ----

FUNC void begin(u32 len, u32 selector_len, bool payable) {
	if (!payable && !is_zero(value())) fail("the contract takes no value");
	if (len < selector_len) no_such_method();
	arguments = (u8 *)alloc(32 + len) + 32;
	arguments_len = len - selector_len;
	read_args(arguments - selector_len);
}

#define ENTRY_(name, selector_len, payable)                   \
	static void name##_body(void);                            \
	__attribute__((export_name(#name))) u32 name(u32 len) {   \
		begin(len, selector_len, payable);                    \
		name##_body();                                        \
		if (unflushed) storage_flush_cache(0);                \
		return 0;                                             \
	}                                                         \
	static void name##_body(void)

#define ENTRYPOINT ENTRY_(user_entrypoint, 4, false)
#define PAYABLE_ENTRYPOINT ENTRY_(user_entrypoint, 4, true)
#define CONSTRUCTOR ENTRY_(user_constructor, 0, false)
#define PAYABLE_CONSTRUCTOR ENTRY_(user_constructor, 0, true)

#endif
