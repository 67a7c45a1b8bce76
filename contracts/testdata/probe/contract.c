// Everything of the SDK that the examples may not use, one method each.
#include "tercet.h"

// Note(address,bytes,uint256[])
CONSTANT(NOTE, 0x3dbc6851ff1b0590, 0x62bd6593dbf232e9, 0x2b23cb1ce75563d2, 0xa336a76b358ac0fb);

enum { ODD = 0xefa04712, KEEP = 0x2ea3f0bf, KEPT = 0x89b75816 };

static word kept(word key) { return mapped(key, number(5)); }

static void echo(void) {
	encoding e = encode(NO_SELECTOR, 6);
	put_bytes(e, arg_bytes(0)), put_words(e, arg_words(1)), put(e, arg_address(2));
	put(e, number(arg_bool(3))), put(e, number(arg_u64(4))), put_bytes(e, arg_bytes(5));
	give_encoding(e);
}

static void odd(void) {
	encoding e = encode(ODD, 2);
	put(e, arg(0)), put_bytes(e, arg_bytes(1));
	revert(e);
}

static void note(void) {
	encoding e = log_begin(NOTE, 2, 2);
	put(e, sender()), put_bytes(e, arg_bytes(0)), put_words(e, arg_words(1));
	log_end(e);
}

// relay writes, then asks another contract for what it has, or lets it write, and reads again.
static void relay(void) {
	word to = arg_address(0), key = arg(1), n = arg(2);
	store(kept(key), n);
	if (arg_bool(3)) {
		encoding e = encode(KEPT, 1);
		put(e, key);
		if (!static_call(to, e, ALL_GAS)) revert_same();
		return give(returned(0));
	}
	encoding e = encode(KEEP, 2);
	put(e, key), put(e, add(n, number(1)));
	if (!call(to, e, number(0), ALL_GAS)) revert_same();
	give(load(kept(key)));
}

ENTRYPOINT {
	switch (selector()) {
	case 0x771602f7: return give(add(arg(0), arg(1)));
	case 0xb67d77c5: return give(sub(arg(0), arg(1)));
	case 0xc8a4ac9c: return give(mul(arg(0), arg(1)));
	case 0xf88e9fbf: return give(divide(arg(0), arg(1)));
	case 0xbaaf073d: return give(modulo(arg(0), arg(1)));
	case 0xf360234c: return give(number((u64)(compare(arg(0), arg(1)) + 1)));
	case 0x6e229258: return echo();
	case 0x48c28c21: return odd();
	case 0x9a8b056b: return note();
	case 0xb0e47629: return relay();
	case KEEP: return store(kept(arg(0)), arg(1));
	case KEPT: return give(load(kept(arg(0))));
	}
	no_such_method();
}
