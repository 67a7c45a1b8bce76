// tercet.ts: contracts in AssemblyScript for the vm_hooks host functions, with Solidity's ABI and storage
// layout. One file, no other package than the compiler. A contract is
//
//   import { begin, end, give, noSuchMethod, number, read, selector } from "./tercet";
//
//   export function user_entrypoint(len: u32): u32 {
//     begin(len);
//     switch (selector()) {
//       case 0x06661abd: give(read(number(0))); break; // count()
//       default: noSuchMethod();
//     }
//     return end();
//   }
//
// and optionally an exported user_constructor(len: u32): u32 between beginConstructor(len) and end(), which
// runs once, inside the transaction that creates the contract.
//
//   - A Word is 32 bytes, big-endian: what the ABI, storage and logs are made of. Words do not change;
//     calculating makes new ones. An address is a Word whose first 12 bytes are zero.
//   - Every instance runs one call: memory starts as zeros and is never freed, globals start anew.
//   - Nothing returns an error: what cannot go on reverts, with Error(string), Panic(uint256) or an error
//     of the contract's own, and undoes all that the call has done.
//   - Writes to storage are collected and stored when the call succeeds, or before it calls others.
//   - A contract takes no value unless it says begin(len, true), and an unknown method should revert.
//
// Build with npm's assemblyscript 0.28:
//
//   asc contract.ts -O3 --noAssert --runtime stub --use abort= -o contract.wasm

// ---- Host functions (pointers to 20 bytes for addresses, to 32 big-endian bytes for numbers) ----

@external("vm_hooks", "read_args") export declare function read_args(dest: usize): void;
@external("vm_hooks", "write_result") export declare function write_result(data: usize, len: u32): void;
@external("vm_hooks", "exit_early") export declare function exit_early(status: u32): void;
@external("vm_hooks", "storage_load_bytes32") export declare function storage_load_bytes32(key: usize, dest: usize): void;
@external("vm_hooks", "storage_cache_bytes32") export declare function storage_cache_bytes32(key: usize, value: usize): void;
@external("vm_hooks", "storage_flush_cache") export declare function storage_flush_cache(clear: u32): void;
@external("vm_hooks", "transient_load_bytes32") export declare function transient_load_bytes32(key: usize, dest: usize): void;
@external("vm_hooks", "transient_store_bytes32") export declare function transient_store_bytes32(key: usize, value: usize): void;
@external("vm_hooks", "call_contract") export declare function call_contract(to: usize, data: usize, len: u32, value: usize, gas: u64, returned: usize): u32;
@external("vm_hooks", "delegate_call_contract") export declare function delegate_call_contract(to: usize, data: usize, len: u32, gas: u64, returned: usize): u32;
@external("vm_hooks", "static_call_contract") export declare function static_call_contract(to: usize, data: usize, len: u32, gas: u64, returned: usize): u32;
@external("vm_hooks", "create1") export declare function create1(code: usize, len: u32, value: usize, address: usize, returned: usize): void;
@external("vm_hooks", "create2") export declare function create2(code: usize, len: u32, value: usize, salt: usize, address: usize, returned: usize): void;
@external("vm_hooks", "read_return_data") export declare function read_return_data(dest: usize, offset: u32, size: u32): u32;
@external("vm_hooks", "return_data_size") export declare function return_data_size(): u32;
@external("vm_hooks", "emit_log") export declare function emit_log(data: usize, len: u32, topics: u32): void;
@external("vm_hooks", "account_balance") export declare function account_balance(address: usize, dest: usize): void;
@external("vm_hooks", "account_codehash") export declare function account_codehash(address: usize, dest: usize): void;
@external("vm_hooks", "account_code") export declare function account_code(address: usize, offset: u32, size: u32, dest: usize): u32;
@external("vm_hooks", "account_code_size") export declare function account_code_size(address: usize): u32;
@external("vm_hooks", "block_basefee") export declare function block_basefee(dest: usize): void;
@external("vm_hooks", "block_coinbase") export declare function block_coinbase(dest: usize): void;
@external("vm_hooks", "block_gas_limit") export declare function block_gas_limit(): u64;
@external("vm_hooks", "block_number") export declare function block_number(): u64;
@external("vm_hooks", "block_timestamp") export declare function block_timestamp(): u64;
@external("vm_hooks", "chainid") export declare function chainid(): u64;
@external("vm_hooks", "contract_address") export declare function contract_address(dest: usize): void;
@external("vm_hooks", "msg_sender") export declare function msg_sender(dest: usize): void;
@external("vm_hooks", "msg_value") export declare function msg_value(dest: usize): void;
@external("vm_hooks", "msg_reentrant") export declare function msg_reentrant(): u32;
@external("vm_hooks", "tx_origin") export declare function tx_origin(dest: usize): void;
@external("vm_hooks", "tx_gas_price") export declare function tx_gas_price(dest: usize): void;
@external("vm_hooks", "tx_ink_price") export declare function tx_ink_price(): u32;
@external("vm_hooks", "evm_gas_left") export declare function evm_gas_left(): u64;
@external("vm_hooks", "evm_ink_left") export declare function evm_ink_left(): u64;
@external("vm_hooks", "native_keccak256") export declare function native_keccak256(data: usize, len: u32, dest: usize): void;
@external("vm_hooks", "pay_for_memory_grow") export declare function pay_for_memory_grow(pages: u32): void;
@external("vm_hooks", "math_div") export declare function math_div(a: usize, b: usize): void;
@external("vm_hooks", "math_mod") export declare function math_mod(a: usize, b: usize): void;
@external("vm_hooks", "math_pow") export declare function math_pow(a: usize, b: usize): void;
@external("vm_hooks", "math_add_mod") export declare function math_add_mod(a: usize, b: usize, m: usize): void;
@external("vm_hooks", "math_mul_mod") export declare function math_mul_mod(a: usize, b: usize, m: usize): void;

// ---- Words ----

// at is where an object lies in memory.
// @ts-ignore: decorator
@inline
function at<T>(object: T): usize {
  return changetype<usize>(object);
}

// ADDRESS is where the 20 bytes of an address begin in its Word.
const ADDRESS: usize = 12;

// The first field holds the most significant bytes; each is big-endian in memory, so bswap it for calculating.
@unmanaged
export class Word {
  q0: u64;
  q1: u64;
  q2: u64;
  q3: u64;

  get isZero(): bool {
    return (this.q0 | this.q1 | this.q2 | this.q3) == 0;
  }

  // The number as a u64; a larger one reverts.
  get small(): u64 {
    if (this.q0 | this.q1 | this.q2) fail("a number is too large");
    return bswap(this.q3);
  }

  equals(other: Word): bool {
    return ((this.q0 ^ other.q0) | (this.q1 ^ other.q1) | (this.q2 ^ other.q2) | (this.q3 ^ other.q3)) == 0;
  }
}

// word makes a constant from 4 × 16 hexadecimal digits.
export function word(a: u64, b: u64, c: u64, d: u64): Word {
  const w = new Word();
  w.q0 = bswap(a);
  w.q1 = bswap(b);
  w.q2 = bswap(c);
  w.q3 = bswap(d);
  return w;
}

export function number(n: u64): Word {
  const w = new Word();
  w.q3 = bswap(n);
  return w;
}

export function keccak(data: usize, len: u32): Word {
  const hash = new Word();
  native_keccak256(data, len, at(hash));
  return hash;
}

// keccak2 hashes the 64 bytes of both.
export function keccak2(a: Word, b: Word): Word {
  const pair = heap.alloc(64);
  memory.copy(pair, at(a), 32);
  memory.copy(pair + 32, at(b), 32);
  return keccak(pair, 64);
}

export function sender(): Word {
  const w = new Word();
  msg_sender(at(w) + ADDRESS);
  return w;
}

export function self(): Word {
  const w = new Word();
  contract_address(at(w) + ADDRESS);
  return w;
}

export function value(): Word {
  const w = new Word();
  msg_value(at(w));
  return w;
}

// ---- Calculation with Words as unsigned numbers; what does not fit reverts with Panic(0x11) ----

const PANIC_ARITHMETIC: u32 = 0x11; // Solidity's codes
const PANIC_DIVISION: u32 = 0x12;

function limb(w: Word, i: usize): u64 {
  return bswap(load<u64>(at(w) + i));
}

// compare is negative, zero or positive as a is less than, equal to or greater than b.
export function compare(a: Word, b: Word): i32 {
  for (let i: usize = 0; i < 32; i += 8) {
    const x = limb(a, i), y = limb(b, i);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

export function add(a: Word, b: Word): Word {
  const out = new Word();
  let carry: u64 = 0;
  for (let i: usize = 24; i <= 24; i -= 8) {
    const x = limb(a, i), sum = x + limb(b, i), all = sum + carry;
    carry = u64(sum < x) | u64(all < sum);
    store<u64>(at(out) + i, bswap(all));
  }
  if (carry) panic(PANIC_ARITHMETIC);
  return out;
}

export function sub(a: Word, b: Word): Word {
  const out = new Word();
  let borrow: u64 = 0;
  for (let i: usize = 24; i <= 24; i -= 8) {
    const x = limb(a, i), rest = x - limb(b, i), all = rest - borrow;
    borrow = u64(rest > x) | u64(all > rest);
    store<u64>(at(out) + i, bswap(all));
  }
  if (borrow) panic(PANIC_ARITHMETIC);
  return out;
}

function digit(w: Word, i: usize): u64 { // in base 2^32, the lowest first
  return bswap(load<u32>(at(w) + 28 - 4 * i));
}

export function mul(a: Word, b: Word): Word {
  const out = heap.alloc(64); // digits, the highest first; the high half has to stay zero
  for (let i: usize = 0; i < 8; i++) {
    let carry: u64 = 0;
    for (let j: usize = 0; j < 8; j++) {
      const p = out + 4 * (15 - i - j);
      const t = digit(a, i) * digit(b, j) + bswap(load<u32>(p)) + carry;
      store<u32>(p, bswap(<u32>t));
      carry = t >> 32;
    }
    store<u32>(out + 4 * (7 - i), bswap(<u32>carry));
  }
  if (!changetype<Word>(out).isZero) panic(PANIC_ARITHMETIC);
  return changetype<Word>(out + 32);
}

export function divide(a: Word, b: Word): Word {
  if (b.isZero) panic(PANIC_DIVISION);
  const out = copy(a);
  math_div(at(out), at(b));
  return out;
}

export function modulo(a: Word, b: Word): Word {
  if (b.isZero) panic(PANIC_DIVISION);
  const out = copy(a);
  math_mod(at(out), at(b));
  return out;
}

function copy(w: Word): Word {
  return word(bswap(w.q0), bswap(w.q1), bswap(w.q2), bswap(w.q3));
}

// ---- Encoding: results, errors, logs, calls ----

// Bytes, or Words, somewhere in memory.
@unmanaged
export class Span {
  constructor(public at: usize, public len: u32) {}

  // word is the i-th of a span of Words; i < len is the caller's to know.
  word(i: u32): Word {
    return changetype<Word>(this.at + 32 * i);
  }
}

// text is the bytes of an ASCII literal.
export function text(s: string): Span {
  const n = s.length, p = heap.alloc(n);
  for (let i = 0; i < n; i++) store<u8>(p + i, load<u16>(changetype<usize>(s) + 2 * i));
  return new Span(p, n);
}

export const NO_SELECTOR: u32 = 0;

// An encoding is filled head by head; what is dynamic goes behind the heads.
@unmanaged
export class Encoding {
  out: usize; // what is sent begins here: at the selector, the first topic or the first head
  base: usize; // offsets count from here
  head: usize; // the next head
  end: usize;

  // An encoding of so many heads, after a selector unless that is NO_SELECTOR.
  constructor(selector: u32, heads: u32) {
    const p = heap.alloc(8 + 32 * heads);
    store<u32>(p + 4, bswap(selector));
    this.out = selector ? p + 4 : p + 8;
    this.base = this.head = p + 8;
    this.end = p + 8 + 32 * heads;
  }

  get len(): u32 {
    return <u32>(this.end - this.out);
  }

  put(w: Word): Encoding {
    memory.copy(this.head, at(w), 32);
    this.head += 32;
    return this;
  }

  bytes(s: Span): Encoding { // bytes or string
    return this.tail(s, s.len);
  }

  words(s: Span): Encoding { // an array; the length counts Words
    return this.tail(s, 32 * s.len);
  }

  private tail(s: Span, size: u32): Encoding {
    this.put(number(this.end - this.base));
    const padded = (size + 31) & ~31, out = heap.alloc(this.len + 32 + padded), tail = out + this.len;
    memory.copy(out, this.out, this.len);
    memory.copy(tail, at(number(s.len)), 32);
    memory.copy(tail + 32, s.at, size);
    this.base += out - this.out;
    this.head += out - this.out;
    this.out = out;
    this.end = tail + 32 + padded;
    return this;
  }

  // revert ends the call with this as the contract's own error.
  revert(): void {
    write_result(this.out, this.len);
    exit_early(1);
    unreachable();
  }

  // log emits this; its first heads are the topics: see event().
  log(): void {
    emit_log(this.out, this.len, <u32>(this.base - this.out) / 32);
  }
}

// event begins a log of so many topics and heads of data: put() the other topics, then the data, then log().
export function event(topic0: Word, topics: u32, heads: u32): Encoding {
  const e = new Encoding(NO_SELECTOR, topics + heads);
  e.base += 32 * topics;
  return e.put(topic0);
}

// error begins an error of the contract's own: put() its arguments, then revert().
export function error(selector: u32, heads: u32 = 0): Encoding {
  return new Encoding(selector, heads);
}

export function fail(why: string): void {
  error(0x08c379a0, 1).bytes(text(why)).revert(); // Error(string)
}

export function panic(code: u32): void {
  error(0x4e487b71, 1).put(number(code)).revert(); // Panic(uint256)
}

export function noSuchMethod(): void {
  fail("no such method");
}

// give… set what the call returns.
export function give(w: Word): void {
  write_result(at(w), 32);
}

export function giveEncoding(e: Encoding): void {
  write_result(e.out, e.len);
}

export function giveBytes(s: Span): void {
  giveEncoding(new Encoding(NO_SELECTOR, 1).bytes(s));
}

// ---- Calldata: argument i counts the 32-byte heads from 0 ----

let args: usize = 0; // in a method, the selector stands in the 4 bytes before it
let argsLen: u32 = 0;

export function selector(): u32 {
  return bswap(load<u32>(args - 4));
}

export function arg(i: u32): Word {
  if (argsLen / 32 <= i) fail("the calldata is too short");
  return changetype<Word>(args + 32 * i);
}

export function argAddress(i: u32): Word {
  const w = arg(i);
  if (w.q0 || <u32>w.q1) fail("an address has more than 20 bytes");
  return w;
}

export function argU64(i: u32): u64 {
  return arg(i).small;
}

export function argBool(i: u32): bool {
  const n = argU64(i);
  if (n > 1) fail("a boolean is neither 0 nor 1");
  return n == 1;
}

export function argBytes(i: u32): Span { // bytes or string
  return argTail(i, 1);
}

export function argWords(i: u32): Span { // an array; its length counts Words
  return argTail(i, 32);
}

function argTail(i: u32, item: u32): Span {
  const offset = argU64(i);
  if (offset > argsLen || argsLen - offset < 32) fail("an offset points outside the calldata");
  const p = args + <usize>offset, n = changetype<Word>(p).small;
  if (n > (argsLen - <u32>offset - 32) / item) fail("a length points outside the calldata");
  return new Span(p + 32, <u32>n);
}

// ---- Storage ----

let unflushed = false;

// mapped is the slot where the mapping at a slot keeps the value of a key: keccak256(key ‖ slot).
export function mapped(key: Word, slot: Word): Word {
  return keccak2(key, slot);
}

// next is the n-th slot after another, for structs.
export function next(slot: Word, n: u32): Word {
  return add(slot, number(n));
}

export function read(slot: Word): Word {
  const w = new Word();
  storage_load_bytes32(at(slot), at(w));
  return w;
}

export function write(slot: Word, value: Word): void {
  storage_cache_bytes32(at(slot), at(value));
  unflushed = true;
}

// ---- Calling others ----

export const ALL_GAS = u64.MAX_VALUE; // 63/64 of what is left

// call runs a method of another contract and reports whether it succeeded. What this call has written is
// stored first, and read anew afterwards: the other contract may call back.
export function call(to: Word, e: Encoding, value: Word, gas: u64 = ALL_GAS): bool {
  storage_flush_cache(1);
  unflushed = false;
  return call_contract(at(to) + ADDRESS, e.out, e.len, at(value), gas, heap.alloc(4)) == 0;
}

export function staticCall(to: Word, e: Encoding, gas: u64 = ALL_GAS): bool {
  if (unflushed) storage_flush_cache(0);
  unflushed = false;
  return static_call_contract(at(to) + ADDRESS, e.out, e.len, gas, heap.alloc(4)) == 0;
}

// returned is Word i of what the last call returned.
export function returned(i: u32): Word {
  const w = new Word();
  if (read_return_data(at(w), 32 * i, 32) != 32) fail("the called contract returned too little");
  return w;
}

// revertSame ends the call with the error of the call that failed.
export function revertSame(): void {
  const len = return_data_size(), data = heap.alloc(len);
  read_return_data(data, 0, len);
  write_result(data, len);
  exit_early(1);
  unreachable();
}

// ---- Entry ----

export function begin(len: u32, payable: bool = false): void {
  readCall(len, 4, payable);
}

export function beginConstructor(len: u32, payable: bool = false): void {
  readCall(len, 0, payable);
}

function readCall(len: u32, selectorLen: u32, payable: bool): void {
  if (!payable && !value().isZero) fail("the contract takes no value");
  if (len < selectorLen) noSuchMethod();
  args = heap.alloc(8 + len) + 8;
  argsLen = len - selectorLen;
  read_args(args - selectorLen);
}

export function end(): u32 {
  if (unflushed) storage_flush_cache(0);
  return 0;
}
