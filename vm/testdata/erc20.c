// The transfer of an ERC-20 token, for benchmarks: balances in a Solidity mapping at slot 0, an event, a custom
// error. The constructor gives the deployer everything.
//
//	clang-14 --target=wasm32 -O2 -mcpu=mvp -nostdlib -fno-builtin -Wl,--no-entry -Wl,--strip-all \
//	  -Wl,-z,stack-size=16384 -Wl,--stack-first -o erc20.wasm erc20.c
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define HOOK(name) __attribute__((import_module("vm_hooks"), import_name(#name))) extern
#define EXPORT(name) __attribute__((export_name(#name)))

HOOK(read_args) void read_args(u8 *dest);
HOOK(write_result) void write_result(const u8 *data, u32 len);
HOOK(storage_load_bytes32) void storage_load_bytes32(const u8 *key, u8 *dest);
HOOK(storage_cache_bytes32) void storage_cache_bytes32(const u8 *key, const u8 *value);
HOOK(storage_flush_cache) void storage_flush_cache(u32 clear);
HOOK(native_keccak256) void native_keccak256(const u8 *data, u32 len, u8 *dest);
HOOK(msg_sender) void msg_sender(u8 *dest);
HOOK(msg_value) void msg_value(u8 *dest);
HOOK(emit_log) void emit_log(const u8 *data, u32 len, u32 topics);

// keccak256("Transfer(address,address,uint256)")
static const u8 transfer_event[32] = {
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa,
    0x95, 0x2b, 0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef};

static u8 input[68], mapping[64], slot_from[32], slot_to[32], balance[32], event[128], output[32], value[32];

static void slot_of(const u8 *address, u8 *dest) {
    for (int i = 0; i < 20; i++) mapping[12 + i] = address[i];
    native_keccak256(mapping, 64, dest);
}

// add and sub work on 32 bytes, big-endian, and return the carry.
static u32 add(u8 *a, const u8 *b) {
    u32 carry = 0;
    for (int i = 31; i >= 0; i--) {
        carry += (u32)a[i] + b[i];
        a[i] = (u8)carry;
        carry >>= 8;
    }
    return carry;
}

static u32 sub(u8 *a, const u8 *b) {
    u32 borrow = 0;
    for (int i = 31; i >= 0; i--) {
        u32 d = (u32)a[i] - b[i] - borrow;
        a[i] = (u8)d;
        borrow = d >> 31;
    }
    return borrow;
}

EXPORT(user_constructor) int user_constructor(u32 len) {
    msg_sender(event + 44);
    slot_of(event + 44, slot_from);
    for (int i = 16; i < 32; i++) balance[i] = 0xff;
    storage_cache_bytes32(slot_from, balance);
    storage_flush_cache(0);
    return 0;
}

EXPORT(user_entrypoint) int user_entrypoint(u32 len) {
    if (len != 68) return 1;
    read_args(input);
    if (input[0] != 0xa9 || input[1] != 0x05 || input[2] != 0x9c || input[3] != 0xbb) return 1;
    msg_value(value);
    for (int i = 0; i < 32; i++)
        if (value[i]) return 1;
    const u8 *amount = input + 36;
    msg_sender(event + 44);
    slot_of(event + 44, slot_from);
    storage_load_bytes32(slot_from, balance);
    if (sub(balance, amount)) {
        // InsufficientBalance()
        static const u8 error[4] = {0xf4, 0xd6, 0x78, 0xb8};
        write_result(error, 4);
        return 1;
    }
    storage_cache_bytes32(slot_from, balance);
    slot_of(input + 16, slot_to);
    storage_load_bytes32(slot_to, balance);
    if (add(balance, amount)) return 1;
    storage_cache_bytes32(slot_to, balance);
    for (int i = 0; i < 32; i++) {
        event[i] = transfer_event[i];
        event[64 + i] = input[4 + i];
        event[96 + i] = amount[i];
    }
    emit_log(event, 128, 3);
    storage_flush_cache(0);
    output[31] = 1;
    write_result(output, 32);
    return 0;
}
