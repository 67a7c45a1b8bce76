// The puppet does what its calldata says, one operation after the other, and answers with what it learnt.
// Build, in this directory:
//   clang-14 --target=wasm32 -O2 -mcpu=mvp -nostdlib -fno-builtin -Wl,--no-entry -Wl,--strip-all
//     -Wl,-z,stack-size=8192 -Wl,--stack-first -o puppet.wasm puppet.c
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define HOOK(name) __attribute__((import_module("vm_hooks"), import_name(#name))) extern
HOOK(read_args) void read_args(u8 *);
HOOK(write_result) void write_result(const u8 *, u32);
HOOK(exit_early) void exit_early(u32);
HOOK(storage_load_bytes32) void storage_load_bytes32(const u8 *, u8 *);
HOOK(storage_cache_bytes32) void storage_cache_bytes32(const u8 *, const u8 *);
HOOK(storage_flush_cache) void storage_flush_cache(u32);
HOOK(transient_load_bytes32) void transient_load_bytes32(const u8 *, u8 *);
HOOK(transient_store_bytes32) void transient_store_bytes32(const u8 *, const u8 *);
HOOK(call_contract) u8 call_contract(const u8 *, const u8 *, u32, const u8 *, u64, u32 *);
HOOK(delegate_call_contract) u8 delegate_call_contract(const u8 *, const u8 *, u32, u64, u32 *);
HOOK(static_call_contract) u8 static_call_contract(const u8 *, const u8 *, u32, u64, u32 *);
HOOK(create1) void create1(const u8 *, u32, const u8 *, u8 *, u32 *);
HOOK(create2) void create2(const u8 *, u32, const u8 *, const u8 *, u8 *, u32 *);
HOOK(read_return_data) u32 read_return_data(u8 *, u32, u32);
HOOK(emit_log) void emit_log(const u8 *, u32, u32);
HOOK(account_balance) void account_balance(const u8 *, u8 *);
HOOK(account_codehash) void account_codehash(const u8 *, u8 *);
HOOK(account_code_size) u32 account_code_size(const u8 *);
HOOK(contract_address) void contract_address(u8 *);
HOOK(msg_sender) void msg_sender(u8 *);
HOOK(tx_origin) void tx_origin(u8 *);
HOOK(msg_value) void msg_value(u8 *);
HOOK(msg_reentrant) u32 msg_reentrant(void);
HOOK(evm_gas_left) u64 evm_gas_left(void);
HOOK(block_number) u64 block_number(void);
HOOK(block_timestamp) u64 block_timestamp(void);

enum { SIZE = 20 << 10 };
static u8 in[SIZE], out[SIZE];
static u32 at, end, filled;

static const u8 *take(u32 n) {
	if (n > end - at) __builtin_trap();
	at += n;
	return in + at - n;
}

static u8 *room(u32 n) {
	if (n > SIZE - filled) __builtin_trap();
	filled += n;
	return out + filled - n;
}

static u64 number(u32 bytes) {
	u64 n = 0;
	for (const u8 *p = take(bytes); bytes > 0; bytes--) n = n << 8 | *p++;
	return n;
}

static void put(u64 n, u32 bytes) {
	u8 *p = room(bytes);
	while (bytes > 0) p[--bytes] = n, n >>= 8;
}

static void returned(u32 size) {
	put(size, 4);
	read_return_data(room(size), 0, size);
}

static void call(u8 kind) {
	const u8 *to = take(20), *value = kind == 0 ? take(32) : 0;
	u64 gas = number(8);
	u32 size = number(2), length = 0;
	const u8 *script = take(size);
	u8 status;
	if (kind == 0) status = call_contract(to, script, size, value, gas, &length);
	else if (kind == 1) status = delegate_call_contract(to, script, size, gas, &length);
	else status = static_call_contract(to, script, size, gas, &length);
	put(status, 1);
	returned(length);
}

static void create(u8 salted) {
	const u8 *value = take(32), *salt = salted ? take(32) : 0;
	u32 size = number(4), length = 0;
	const u8 *code = take(size);
	u8 *address = room(20);
	if (salted) create2(code, size, value, salt, address, &length);
	else create1(code, size, value, address, &length);
	returned(length);
}

static void context(void) {
	contract_address(room(20));
	msg_sender(room(20));
	tx_origin(room(20));
	msg_value(room(32));
	put(msg_reentrant(), 1);
	put(block_number(), 8);
	put(block_timestamp(), 8);
}

// recurse calls this contract with the same calldata, and counts how deep that went.
static void recurse(void) {
	static const u8 nothing[32];
	u8 self[20];
	u32 length = 0, depth = 0;
	contract_address(self);
	if (call_contract(self, in, end, nothing, ~0ull, &length) == 0 && length == 4) {
		u8 answer[4];
		read_return_data(answer, 0, 4);
		depth = answer[0] << 24 | answer[1] << 16 | answer[2] << 8 | answer[3];
	}
	filled = 0;
	put(depth + 1, 4);
}

static int run(u32 size) {
	if (size > SIZE) __builtin_trap();
	read_args(in);
	end = size;
	while (at < end) {
		const u8 *a, *b;
		u32 n, m;
		switch (in[at++]) {
		case 'S': a = take(32), b = take(32); storage_cache_bytes32(a, b); storage_flush_cache(0); break;
		case 'C': a = take(32), b = take(32); storage_cache_bytes32(a, b); break;
		case 's': a = take(32); storage_load_bytes32(a, room(32)); break;
		case 'T': a = take(32), b = take(32); transient_store_bytes32(a, b); break;
		case 't': a = take(32); transient_load_bytes32(a, room(32)); break;
		case 'L': n = number(1), m = number(2), a = take(32 * n + m); emit_log(a, 32 * n + m, n); break;
		case 'c': call(0); break;
		case 'd': call(1); break;
		case 'v': call(2); break;
		case 'N': create(0); break;
		case 'M': create(1); break;
		case 'R': write_result(out, filled); return 1;
		case 'X': n = number(1), write_result(out, filled), exit_early(n); break;
		case '!': __builtin_trap();
		case 'B': for (volatile u32 i = 0;; i++) {}
		case 'w': n = number(4); for (volatile u32 i = 0; i < n; i++) {} break;
		case 'g': put(evm_gas_left(), 8); break;
		case 'b': a = take(20); account_balance(a, room(32)); break;
		case 'h': a = take(20); account_codehash(a, room(32)); break;
		case 'z': a = take(20); put(account_code_size(a), 4); break;
		case 'i': context(); break;
		case 'o': n = number(2), a = take(n), b = room(n); for (u32 i = 0; i < n; i++) ((u8 *)b)[i] = a[i]; break;
		case 'r': recurse(); break;
		default: __builtin_trap();
		}
	}
	write_result(out, filled);
	return 0;
}

__attribute__((export_name("user_entrypoint"))) int user_entrypoint(u32 size) { return run(size); }
__attribute__((export_name("user_constructor"))) int user_constructor(u32 size) { return run(size); }
