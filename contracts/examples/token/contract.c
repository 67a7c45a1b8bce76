// An ERC-20 token for organisations: permits (EIP-2612), roles, frozen accounts, a pause, minting and burning.
//
// Errors are those of ERC-6093 and of OpenZeppelin's contracts, roles and their events those of its
// AccessControl. A transfer reads and writes two slots, reads a third, whether the token is paused, and
// emits one log: an account's frozen flag is the top bit of its balance.
#include "tercet.h"

// Slots.
#define BALANCES number(0)   // mapping(address => uint256): the top bit says that the account is frozen
#define ALLOWANCES number(1) // mapping(address => mapping(address => uint256))
#define SUPPLY number(2)     // uint256, less than 2^255
#define NAME number(3)       // string of at most 31 bytes
#define SYMBOL number(4)     // string of at most 31 bytes
#define PAUSED number(5)     // bool
#define ROLES number(6)      // mapping(address => uint256): bit i is the i-th of the roles below
#define NONCES number(7)     // mapping(address => uint256)

enum { ADMIN = 1, MINTER = 2, FREEZER = 4, PAUSER = 8 };

CONSTANT(ZERO, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000);
CONSTANT(ONES, 0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff);

// MINTER_ROLE
CONSTANT(MINTER_ROLE, 0x9f2df0fed2c77648, 0xde5860a4cc508cd0, 0x818c85b8b8a1ab4c, 0xeeef8d981c8956a6);
// FREEZER_ROLE
CONSTANT(FREEZER_ROLE, 0x92de27771f92d694, 0x2691d73358b3a467, 0x3e4880de8356f8f2, 0xcf452be87e02d363);
// PAUSER_ROLE
CONSTANT(PAUSER_ROLE, 0x65d7a28e3265b37a, 0x6474929f336521b3, 0x32c1681b933f6cb9, 0xf3376673440d862a);

// Transfer(address,address,uint256)
CONSTANT(TRANSFER, 0xddf252ad1be2c89b, 0x69c2b068fc378daa, 0x952ba7f163c4a116, 0x28f55a4df523b3ef);
// Approval(address,address,uint256)
CONSTANT(APPROVAL, 0x8c5be1e5ebec7d5b, 0xd14f71427d1e84f3, 0xdd0314c0f7b2291e, 0x5b200ac8c7c3b925);
// RoleGranted(bytes32,address,address)
CONSTANT(ROLE_GRANTED, 0x2f8788117e7eff1d, 0x82e926ec794901d1, 0x7c78024a50270940, 0x304540a733656f0d);
// RoleRevoked(bytes32,address,address)
CONSTANT(ROLE_REVOKED, 0xf6391f5c32d9c69d, 0x2a47ea670b442974, 0xb53935d1edc7fd64, 0xeb21e047a839171b);
// Paused(address)
CONSTANT(PAUSED_BY, 0x62e78cea01bee320, 0xcd4e420270b5ea74, 0x000d11b0c9f74754, 0xebdbfc544b05a258);
// Unpaused(address)
CONSTANT(UNPAUSED_BY, 0x5db9ee0a495bf2e6, 0xff9c91a7834c1ba4, 0xfdd244a5e8aa4e53, 0x7bd38aeae4b073aa);
// Frozen(address,address)
CONSTANT(FROZEN, 0xf0906ec3b3af5007, 0xc736f1174c73ff02, 0x2e930e45637fbdbc, 0x797f05ea613474de);
// Unfrozen(address,address)
CONSTANT(UNFROZEN, 0x295f47d48ca3de5c, 0x5214af57c8985924, 0x3090803a47bbca8a, 0x4bbe6231a77067b4);

// EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)
CONSTANT(DOMAIN_TYPE, 0x8b73c3c69bb8fe3d, 0x512ecc4cf759cc79, 0x239f7b179b0ffaca, 0xa9a75d522b39400f);
// Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)
CONSTANT(PERMIT_TYPE, 0x6e71edae12b1b97f, 0x4d1f60370fef1010, 0x5fa2faae0126114a, 0x169c64845d6126c9);
// 1
CONSTANT(VERSION_HASH, 0xc89efdaa54c0f20c, 0x7adf612882df0950, 0xf5a951637e0307cd, 0xcb4c672f298b8bc6);

enum {
	INSUFFICIENT_BALANCE = 0xe450d38c,   // ERC20InsufficientBalance(address,uint256,uint256)
	INVALID_SENDER = 0x96c6fd1e,         // ERC20InvalidSender(address)
	INVALID_RECEIVER = 0xec442f05,       // ERC20InvalidReceiver(address)
	INSUFFICIENT_ALLOWANCE = 0xfb8f41b2, // ERC20InsufficientAllowance(address,uint256,uint256)
	INVALID_APPROVER = 0xe602df05,       // ERC20InvalidApprover(address)
	INVALID_SPENDER = 0x94280d62,        // ERC20InvalidSpender(address)
	EXPIRED_SIGNATURE = 0x62791302,      // ERC2612ExpiredSignature(uint256)
	INVALID_SIGNER = 0x4b800e46,         // ERC2612InvalidSigner(address,address)
	UNAUTHORIZED = 0xe2517d3f,           // AccessControlUnauthorizedAccount(address,bytes32)
	BAD_CONFIRMATION = 0x6697b232,       // AccessControlBadConfirmation()
	UNKNOWN_ROLE = 0x74cc4fed,           // UnknownRole(bytes32)
	ACCOUNT_FROZEN = 0x4f2a367e,         // AccountFrozen(address)
	ENFORCED_PAUSE = 0xd93c0665,         // EnforcedPause()
	EXPECTED_PAUSE = 0x8dfc202b,         // ExpectedPause()
};

// ---- Roles ----

// role_bit is 0 for a role that the token does not have.
static u32 role_bit(word role) {
	if (is_zero(role)) return ADMIN;
	if (equal(role, MINTER_ROLE)) return MINTER;
	if (equal(role, FREEZER_ROLE)) return FREEZER;
	if (equal(role, PAUSER_ROLE)) return PAUSER;
	return 0;
}

static bool has_role(word account, u32 bit) { return small(load(mapped(account, ROLES))) & bit; }

static void only(word account, u32 bit, word role) {
	if (!has_role(account, bit)) revert2(UNAUTHORIZED, account, role);
}

// change_role gives or takes a role and logs it, unless it was so before.
static void change_role(word role, word account, bool has, word by) {
	word slot = mapped(account, ROLES);
	u64 roles = small(load(slot)), bit = role_bit(role);
	if (!bit) revert1(UNKNOWN_ROLE, role);
	if (!(roles & bit) == !has) return;
	store(slot, number(roles ^ bit));
	encoding e = log_begin(has ? ROLE_GRANTED : ROLE_REVOKED, 4, 0);
	put(e, role), put(e, account), put(e, by);
	log_end(e);
}

static void admin_changes_role(bool has) {
	word by = sender();
	only(by, ADMIN, ZERO);
	change_role(arg(0), arg_address(1), has, by);
}

static void renounce_role(void) {
	word by = sender();
	if (!equal(arg_address(1), by)) revert0(BAD_CONFIRMATION);
	change_role(arg(0), by, false, by);
}

// ---- Balances ----

enum { FROZEN_BIT = 0x80 }; // of a balance's first byte

static bool frozen(word held) { return held->b[0] & FROZEN_BIT; }

static word balance_of(word account) {
	bytes32 *w = (bytes32 *)load(mapped(account, BALANCES));
	w->b[0] &= ~FROZEN_BIT;
	return w;
}

// active is the balance in an account's slot; a frozen account reverts.
static word active(word account, word slot) {
	word held = load(slot);
	if (frozen(held)) revert1(ACCOUNT_FROZEN, account);
	return held;
}

static void log_amount(word topic0, word from, word to, word amount) {
	encoding e = log_begin(topic0, 3, 1);
	put(e, from), put(e, to), put(e, amount);
	log_end(e);
}

static void unpaused(void) {
	if (!is_zero(load(PAUSED))) revert0(ENFORCED_PAUSE);
}

static void take(word from, word amount) {
	word slot = mapped(from, BALANCES), held = active(from, slot);
	if (compare(held, amount) < 0) revert3(INSUFFICIENT_BALANCE, from, held, amount);
	store(slot, sub(held, amount));
}

// Balances sum to the supply, so a sum does not reach the frozen bit.
static void bring(word to, word amount) {
	word slot = mapped(to, BALANCES);
	store(slot, add(active(to, slot), amount));
}

static void move(word from, word to, word amount) {
	if (is_zero(from)) revert1(INVALID_SENDER, from);
	if (is_zero(to)) revert1(INVALID_RECEIVER, to);
	unpaused();
	take(from, amount);
	bring(to, amount);
	log_amount(TRANSFER, from, to, amount);
}

static void create(word to, word amount) {
	if (is_zero(to)) revert1(INVALID_RECEIVER, to);
	unpaused();
	word supply = add(load(SUPPLY), amount);
	if (frozen(supply)) panic(PANIC_ARITHMETIC); // 2^255 or more
	store(SUPPLY, supply);
	bring(to, amount);
	log_amount(TRANSFER, ZERO, to, amount);
}

static void destroy(word from, word amount) {
	if (is_zero(from)) revert1(INVALID_SENDER, from);
	unpaused();
	take(from, amount);
	store(SUPPLY, sub(load(SUPPLY), amount));
	log_amount(TRANSFER, from, ZERO, amount);
}

// ---- Allowances ----

static word allowance_slot(word owner, word spender) { return mapped(spender, mapped(owner, ALLOWANCES)); }

static void allow(word owner, word spender, word amount) {
	if (is_zero(owner)) revert1(INVALID_APPROVER, owner);
	if (is_zero(spender)) revert1(INVALID_SPENDER, spender);
	store(allowance_slot(owner, spender), amount);
	log_amount(APPROVAL, owner, spender, amount);
}

// spend uses up an allowance, unless it is all ones: that one is without limit. A frozen spender reverts.
static void spend(word owner, word spender, word amount) {
	word slot = allowance_slot(owner, spender), left = load(slot);
	active(spender, mapped(spender, BALANCES));
	if (equal(left, ONES)) return;
	if (compare(left, amount) < 0) revert3(INSUFFICIENT_ALLOWANCE, spender, left, amount);
	store(slot, sub(left, amount));
}

static void transfer(void) {
	move(sender(), arg_address(0), arg(1));
	give(number(true));
}

static void transfer_from(void) {
	word from = arg_address(0), to = arg_address(1), amount = arg(2);
	spend(from, sender(), amount);
	move(from, to, amount);
	give(number(true));
}

static void approve(void) {
	allow(sender(), arg_address(0), arg(1));
	give(number(true));
}

static void burn_from(void) {
	word from = arg_address(0), amount = arg(1);
	spend(from, sender(), amount);
	destroy(from, amount);
}

// ---- Permits (EIP-2612, EIP-712) ----

static word domain_separator(void) {
	span name = load_short(NAME);
	encoding e = encode(NO_SELECTOR, 5);
	put(e, DOMAIN_TYPE), put(e, keccak(name.at, name.len)), put(e, VERSION_HASH);
	put(e, number(chainid())), put(e, self());
	return keccak(e->out, 5 * 32);
}

// signer is the account that signed a hash, or zero: precompile 1 gives nothing for a bad signature.
static word signer(word hash, word v, word r, word s) {
	encoding e = encode(NO_SELECTOR, 4);
	put(e, hash), put(e, v), put(e, r), put(e, s);
	if (!static_call(number(1), e, ALL_GAS) || return_data_size() != 32) return ZERO;
	return returned(0);
}

// A signature with a high s is as good as its twin: the nonce admits only one of them.
static void permit(void) {
	word owner = arg_address(0), spender = arg_address(1), amount = arg(2), deadline = arg(3);
	if (compare(number(block_timestamp()), deadline) > 0) revert1(EXPIRED_SIGNATURE, deadline);
	word slot = mapped(owner, NONCES), nonce = load(slot);
	encoding e = encode(NO_SELECTOR, 6);
	put(e, PERMIT_TYPE), put(e, owner), put(e, spender), put(e, amount), put(e, nonce), put(e, deadline);
	word content = keccak(e->out, 6 * 32), domain = domain_separator();
	u8 *message = alloc(66);
	message[0] = 0x19, message[1] = 0x01;
	memcpy(message + 2, domain, 32), memcpy(message + 34, content, 32);
	word by = signer(keccak(message, 66), arg(4), arg(5), arg(6));
	if (is_zero(by) || !equal(by, owner)) revert2(INVALID_SIGNER, by, owner);
	store(slot, add(nonce, number(1)));
	allow(owner, spender, amount);
}

// ---- What roles may do ----

static void mint(void) {
	only(sender(), MINTER, MINTER_ROLE);
	create(arg_address(0), arg(1));
}

static void set_frozen(bool freeze) {
	word by = sender(), account = arg_address(0), slot = mapped(account, BALANCES);
	only(by, FREEZER, FREEZER_ROLE);
	bytes32 *held = (bytes32 *)load(slot);
	if (frozen(held) == freeze) return;
	held->b[0] ^= FROZEN_BIT;
	store(slot, held);
	encoding e = log_begin(freeze ? FROZEN : UNFROZEN, 3, 0);
	put(e, account), put(e, by);
	log_end(e);
}

static void set_paused(bool pause) {
	word by = sender();
	only(by, PAUSER, PAUSER_ROLE);
	if (pause) unpaused();
	else if (is_zero(load(PAUSED))) revert0(EXPECTED_PAUSE);
	store(PAUSED, number(pause));
	encoding e = log_begin(pause ? PAUSED_BY : UNPAUSED_BY, 1, 1);
	put(e, by);
	log_end(e);
}

// ---- Entry ----

CONSTRUCTOR { // constructor(string,string,uint256,address)
	word admin = arg_address(3), by = sender();
	store_short(NAME, arg_bytes(0));
	store_short(SYMBOL, arg_bytes(1));
	change_role(ZERO, admin, true, by);
	change_role(MINTER_ROLE, admin, true, by);
	change_role(FREEZER_ROLE, admin, true, by);
	change_role(PAUSER_ROLE, admin, true, by);
	create(admin, arg(2));
}

ENTRYPOINT {
	switch (selector()) {
	case 0xa9059cbb: return transfer();                                  // transfer(address,uint256)
	case 0x23b872dd: return transfer_from();                             // transferFrom(address,address,uint256)
	case 0x095ea7b3: return approve();                                   // approve(address,uint256)
	case 0x70a08231: return give(balance_of(arg_address(0)));            // balanceOf(address)
	case 0xdd62ed3e: return give(load(allowance_slot(arg_address(0), arg_address(1)))); // allowance(address,address)
	case 0x18160ddd: return give(load(SUPPLY));                          // totalSupply()
	case 0x06fdde03: return give_bytes(load_short(NAME));                // name()
	case 0x95d89b41: return give_bytes(load_short(SYMBOL));              // symbol()
	case 0x313ce567: return give(number(18));                            // decimals()
	case 0xd505accf: return permit();                                    // permit(address,address,uint256,uint256,uint8,bytes32,bytes32)
	case 0x7ecebe00: return give(load(mapped(arg_address(0), NONCES)));  // nonces(address)
	case 0x3644e515: return give(domain_separator());                    // DOMAIN_SEPARATOR()
	case 0x40c10f19: return mint();                                      // mint(address,uint256)
	case 0x42966c68: return destroy(sender(), arg(0));                   // burn(uint256)
	case 0x79cc6790: return burn_from();                                 // burnFrom(address,uint256)
	case 0x8d1fdf2f: return set_frozen(true);                            // freeze(address)
	case 0x45c8b1a6: return set_frozen(false);                           // unfreeze(address)
	case 0xe5839836: return give(number(frozen(load(mapped(arg_address(0), BALANCES))))); // isFrozen(address)
	case 0x8456cb59: return set_paused(true);                            // pause()
	case 0x3f4ba83a: return set_paused(false);                           // unpause()
	case 0x5c975abb: return give(load(PAUSED));                          // paused()
	case 0xa217fddf: return give(ZERO);                                  // DEFAULT_ADMIN_ROLE()
	case 0xd5391393: return give(MINTER_ROLE);                           // MINTER_ROLE()
	case 0x06a85f0f: return give(FREEZER_ROLE);                          // FREEZER_ROLE()
	case 0xe63ab1e9: return give(PAUSER_ROLE);                           // PAUSER_ROLE()
	case 0x91d14854: return give(number(has_role(arg_address(1), role_bit(arg(0))))); // hasRole(bytes32,address)
	case 0x248a9ca3: return give(ZERO);                                  // getRoleAdmin(bytes32)
	case 0x2f2ff15d: return admin_changes_role(true);                    // grantRole(bytes32,address)
	case 0xd547741f: return admin_changes_role(false);                   // revokeRole(bytes32,address)
	case 0x36568abe: return renounce_role();                             // renounceRole(bytes32,address)
	}
	no_such_method();
}
