// A notary for evidence: who had which file when, what became of it, and who vouches for it.
//
// What is submitted is a hash and some words about it; the words are in the log only, the hash, its submitter
// and the time in one slot. A Merkle root anchors any number of hashes at the price of one. k of n registered
// attesters certify a hash, for good. Evidence is never changed: its submitter supersedes it, and both know.
#include "tercet.h"

// Slots.
#define CONFIG number(0)    // bytes 0–3: threshold, 4–7: number of attesters, 12–31: admin
#define ATTESTERS number(1) // mapping(address => bool)
#define EVIDENCE number(2)  // mapping(hash => record, supersedes, supersededBy); zero where there is none
#define ATTESTED number(3)  // mapping(hash => mapping(address => bool))
#define ANCHORS number(4)   // mapping(root => record)

// A record: bytes 0–3 count attestations, the first bit says certified, 4–11: time, 12–31: submitter.
enum { CERTIFIED_BIT = 1u << 31 };

CONSTANT(ZERO, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000);

// Submitted(bytes32,address,string)
CONSTANT(SUBMITTED, 0x1c5a1130841a51cb, 0x93fb5ff4077371ed, 0x9d8a5080c0255248, 0xde35a575491f8388);
// Superseded(bytes32,bytes32,address)
CONSTANT(SUPERSEDED, 0xf24ef8379bdff4b1, 0x6914a6a4798602f3, 0x71ef07edbe7cce3b, 0xdd06a3d612941e17);
// Attested(bytes32,address,uint32)
CONSTANT(ATTESTED_BY, 0xa0cb52f0eb090aef, 0x834a58aba2e61a07, 0xda33f6713308bb49, 0x0fb803e30f946124);
// Certified(bytes32,uint32)
CONSTANT(CERTIFIED, 0x69b3c6192fe026e5, 0x02f37355d4807d9e, 0xc2e5cce0534b1f22, 0x101914d05a43f800);
// Anchored(bytes32,address,string)
CONSTANT(ANCHORED, 0xcae51d14a041cce2, 0x9e7f4c7fb0e7ec9e, 0xc5db4b1cd18cd590, 0x2a96c13b69f2434a);
// AttesterAdded(address)
CONSTANT(ATTESTER_ADDED, 0x6ba7a3f25b8b53ec, 0xc6d1367a381fde6e, 0x7bd6ae793acb6b3f, 0x4726c425fc0caec7);
// AttesterRemoved(address)
CONSTANT(ATTESTER_REMOVED, 0x368846ed588a2fb1, 0x2b4fabffde520ad5, 0x37df26ea80ad789b, 0x60afc37c5cc7fe6b);
// ThresholdSet(uint32)
CONSTANT(THRESHOLD_SET, 0xab9e934c4c385fe1, 0xd9531a45a1c293cc, 0x6ad8cc41a8e6e0fd, 0xe5b574ee95a8dacc);
// AdminTransferred(address,address)
CONSTANT(ADMIN_TRANSFERRED, 0xf8ccb027dfcd135e, 0x000e9d45e6cc2d66, 0x2578a8825d4c45b5, 0xe32e0adf67e79ec6);

enum {
	ZERO_HASH = 0xf1ae58d5,          // ZeroHash()
	ZERO_ADDRESS = 0xd92e233d,       // ZeroAddress()
	EMPTY_BATCH = 0xc2e5347d,        // EmptyBatch()
	ALREADY_SUBMITTED = 0xc0817a0f,  // AlreadySubmitted(bytes32)
	NOT_SUBMITTED = 0x5bbd621f,      // NotSubmitted(bytes32)
	NOT_SUBMITTER = 0xd4bae604,      // NotSubmitter(bytes32,address)
	ALREADY_SUPERSEDED = 0x3af3a708, // AlreadySuperseded(bytes32,bytes32)
	NOT_ATTESTER = 0x14817f2f,       // NotAttester(address)
	ALREADY_ATTESTED = 0xe7ddafdd,   // AlreadyAttested(bytes32,address)
	OWN_EVIDENCE = 0x74027a8f,       // OwnEvidence(bytes32,address)
	ALREADY_ATTESTER = 0x7232dadf,   // AlreadyAttester(address)
	BAD_THRESHOLD = 0xb8f1f4df,      // BadThreshold(uint256,uint256)
	NOT_ADMIN = 0x17a84242,          // NotAdmin(address)
	ALREADY_ANCHORED = 0x30d23813,   // AlreadyAnchored(bytes32)
	NOT_ANCHORED = 0xf6a92d60,       // NotAnchored(bytes32)
};

// ---- Records ----

static u32 u32_at(word w, u32 i) { return __builtin_bswap32(((const u32 *)w)[i]); }

static word with_u32(word w, u32 i, u32 n) {
	u32 *out = (u32 *)copy(w);
	out[i] = __builtin_bswap32(n);
	return (word)out;
}

static word account_in(word w) {
	u32 *out = (u32 *)copy(w);
	out[0] = out[1] = out[2] = 0;
	return (word)out;
}

static word time_in(word w) { return number((u64)u32_at(w, 1) << 32 | u32_at(w, 2)); }

static word certified_in(word w) { return number(u32_at(w, 0) >> 31); }

// An account's record of this moment.
static word record(word account) {
	u64 t = block_timestamp();
	return with_u32(with_u32(account, 1, (u32)(t >> 32)), 2, (u32)t);
}

static word evidence_slot(word hash) { return mapped(hash, EVIDENCE); }
static word supersedes_slot(word evidence) { return next(evidence, 1); }
static word superseded_by_slot(word evidence) { return next(evidence, 2); }

static word submitted(word hash, word slot) {
	word r = load(slot);
	if (is_zero(r)) revert1(NOT_SUBMITTED, hash);
	return r;
}

static void not_superseded(word hash, word slot) {
	word by = load(superseded_by_slot(slot));
	if (!is_zero(by)) revert2(ALREADY_SUPERSEDED, hash, by);
}

// ---- Submitting ----

static void log_words(word topic0, word key, word account, span metadata) {
	encoding e = log_begin(topic0, 3, 1);
	put(e, key), put(e, account), put_bytes(e, metadata);
	log_end(e);
}

static void enter(word hash, word by, span metadata) {
	if (is_zero(hash)) revert0(ZERO_HASH);
	word slot = evidence_slot(hash);
	if (!is_zero(load(slot))) revert1(ALREADY_SUBMITTED, hash);
	store(slot, record(by));
	log_words(SUBMITTED, hash, by, metadata);
}

static void submit_batch(void) {
	span hashes = arg_words(0), metadata = arg_bytes(1);
	word by = sender();
	if (!hashes.len) revert0(EMPTY_BATCH);
	for (u32 i = 0; i < hashes.len; i++) enter(word_at(hashes, i), by, metadata);
}

static void supersede(void) {
	word old = arg(0), new = arg(1), by = sender(), old_slot = evidence_slot(old);
	if (!equal(account_in(submitted(old, old_slot)), by)) revert2(NOT_SUBMITTER, old, by);
	not_superseded(old, old_slot);
	enter(new, by, arg_bytes(2));
	store(superseded_by_slot(old_slot), new);
	store(supersedes_slot(evidence_slot(new)), old);
	encoding e = log_begin(SUPERSEDED, 4, 0);
	put(e, old), put(e, new), put(e, by);
	log_end(e);
}

// ---- Attesting ----

static bool is_attester(word account) { return !is_zero(load(mapped(account, ATTESTERS))); }

// An attestation and a certification stay, whatever becomes of the attester or the threshold.
static void attest(void) {
	word hash = arg(0), by = sender(), slot = evidence_slot(hash), r = submitted(hash, slot);
	word mark = mapped(by, mapped(hash, ATTESTED));
	if (!is_attester(by)) revert1(NOT_ATTESTER, by);
	if (equal(account_in(r), by)) revert2(OWN_EVIDENCE, hash, by);
	if (!is_zero(load(mark))) revert2(ALREADY_ATTESTED, hash, by);
	not_superseded(hash, slot);
	u32 count = u32_at(r, 0) + 1, n = count & ~CERTIFIED_BIT; // fewer than 2^31 transactions fit a chain
	bool reached = count == n && n >= u32_at(load(CONFIG), 0);
	store(mark, number(true));
	store(slot, with_u32(r, 0, reached ? count | CERTIFIED_BIT : count));
	encoding e = log_begin(ATTESTED_BY, 3, 1);
	put(e, hash), put(e, by), put(e, number(n));
	log_end(e);
	if (!reached) return;
	e = log_begin(CERTIFIED, 2, 1);
	put(e, hash), put(e, number(n));
	log_end(e);
}

// ---- Anchoring ----

static void anchor(void) {
	word root = arg(0), by = sender(), slot = mapped(root, ANCHORS);
	if (is_zero(root)) revert0(ZERO_HASH);
	if (!is_zero(load(slot))) revert1(ALREADY_ANCHORED, root);
	store(slot, record(by));
	log_words(ANCHORED, root, by, arg_bytes(1));
}

static word anchored(word root) {
	word r = load(mapped(root, ANCHORS));
	if (is_zero(r)) revert1(NOT_ANCHORED, root);
	return r;
}

// The tree is that of OpenZeppelin's merkle-tree for a single bytes32: a leaf is hashed twice, pairs are sorted.
static void verify_leaf(void) {
	word root = arg(0), node = arg(1);
	span proof = arg_words(2);
	anchored(root);
	node = keccak(keccak(node, 32), 32);
	for (u32 i = 0; i < proof.len; i++) {
		word other = word_at(proof, i);
		node = compare(node, other) < 0 ? keccak2(node, other) : keccak2(other, node);
	}
	give(number(equal(node, root)));
}

// ---- Queries ----

static void give_evidence(void) {
	word hash = arg(0), slot = evidence_slot(hash), r = submitted(hash, slot);
	encoding e = encode(NO_SELECTOR, 6);
	put(e, account_in(r)), put(e, time_in(r)), put(e, number(u32_at(r, 0) & ~CERTIFIED_BIT)), put(e, certified_in(r));
	put(e, load(supersedes_slot(slot))), put(e, load(superseded_by_slot(slot)));
	give_encoding(e);
}

static void give_latest(void) {
	word hash = arg(0), by = hash;
	submitted(hash, evidence_slot(hash));
	for (; !is_zero(by); by = load(superseded_by_slot(evidence_slot(hash)))) hash = by;
	give(hash);
}

static void give_anchor(void) {
	word r = anchored(arg(0));
	encoding e = encode(NO_SELECTOR, 2);
	put(e, account_in(r)), put(e, time_in(r));
	give_encoding(e);
}

// ---- Administration ----

static void log_account(word topic0, word account) {
	encoding e = log_begin(topic0, 2, 0);
	put(e, account);
	log_end(e);
}

static void log_threshold(u32 threshold) {
	encoding e = log_begin(THRESHOLD_SET, 1, 1);
	put(e, number(threshold));
	log_end(e);
}

static word administered(void) {
	word config = load(CONFIG), by = sender();
	if (!equal(account_in(config), by)) revert1(NOT_ADMIN, by);
	return config;
}

// configure stores how many of how many attesters certify; more than there are never could.
static void configure(word config, u32 threshold, u32 attesters) {
	if (!threshold || threshold > attesters) revert2(BAD_THRESHOLD, number(threshold), number(attesters));
	store(CONFIG, with_u32(with_u32(config, 0, threshold), 1, attesters));
}

static void register_attester(word attester) {
	if (is_zero(attester)) revert0(ZERO_ADDRESS);
	if (is_attester(attester)) revert1(ALREADY_ATTESTER, attester);
	store(mapped(attester, ATTESTERS), number(true));
	log_account(ATTESTER_ADDED, attester);
}

static void add_attester(void) {
	word config = administered();
	register_attester(arg_address(0));
	configure(config, u32_at(config, 0), u32_at(config, 1) + 1);
}

static void remove_attester(void) {
	word config = administered(), attester = arg_address(0);
	if (!is_attester(attester)) revert1(NOT_ATTESTER, attester);
	store(mapped(attester, ATTESTERS), ZERO);
	configure(config, u32_at(config, 0), u32_at(config, 1) - 1);
	log_account(ATTESTER_REMOVED, attester);
}

// A threshold beyond 32 bits is refused like any other that is more than the attesters.
static void set_threshold(word config, word threshold) {
	u32 attesters = u32_at(config, 1);
	if (compare(threshold, number(attesters)) > 0) revert2(BAD_THRESHOLD, threshold, number(attesters));
	configure(config, u32_at(threshold, 7), attesters);
	log_threshold(u32_at(threshold, 7));
}

static void transfer_admin(void) {
	word config = administered(), to = arg_address(0), from = account_in(config);
	if (is_zero(to)) revert0(ZERO_ADDRESS);
	store(CONFIG, with_u32(with_u32(to, 0, u32_at(config, 0)), 1, u32_at(config, 1)));
	encoding e = log_begin(ADMIN_TRANSFERRED, 3, 0);
	put(e, from), put(e, to);
	log_end(e);
}

// ---- Entry ----

CONSTRUCTOR { // constructor(address,address[],uint32)
	word admin = arg_address(0);
	span attesters = arg_words(1);
	if (is_zero(admin)) revert0(ZERO_ADDRESS);
	for (u32 i = 0; i < attesters.len; i++) register_attester(as_address(word_at(attesters, i)));
	set_threshold(with_u32(admin, 1, attesters.len), arg(2));
}

ENTRYPOINT {
	switch (selector()) {
	case 0x91571387: return enter(arg(0), sender(), arg_bytes(1));       // submit(bytes32,string)
	case 0x66563316: return submit_batch();                              // submitBatch(bytes32[],string)
	case 0x78b73c94: return supersede();                                 // supersede(bytes32,bytes32,string)
	case 0x23c3617f: return attest();                                    // attest(bytes32)
	case 0x1a8512ea: return anchor();                                    // anchor(bytes32,string)
	case 0xd8e4a88a: return verify_leaf();                               // verifyLeaf(bytes32,bytes32,bytes32[])
	case 0xf5440a53: return give_evidence();                             // evidence(bytes32)
	case 0x79feb107: return give_latest();                               // latest(bytes32)
	case 0xbfd103fb: return give(load(mapped(arg_address(1), mapped(arg(0), ATTESTED)))); // hasAttested(bytes32,address)
	case 0xcf4ff901: return give_anchor();                               // anchorOf(bytes32)
	case 0x02bef847: return add_attester();                              // addAttester(address)
	case 0xcc78fef1: return remove_attester();                           // removeAttester(address)
	case 0x6693f253: return set_threshold(administered(), arg(0));       // setThreshold(uint32)
	case 0x75829def: return transfer_admin();                            // transferAdmin(address)
	case 0xf851a440: return give(account_in(load(CONFIG)));              // admin()
	case 0xb6ebe539: return give(number(is_attester(arg_address(0))));   // isAttester(address)
	case 0x1481103f: return give(number(u32_at(load(CONFIG), 1)));       // attesterCount()
	case 0x42cde4e8: return give(number(u32_at(load(CONFIG), 0)));       // threshold()
	}
	no_such_method();
}
