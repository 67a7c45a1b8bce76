// A counter: anybody may increment it, and whoever created it may set it.
//
// Selectors of methods and errors are the first 4 bytes of keccak256 of the signature beside them, an
// event's topic is all 32. abi.json tells clients the same.
#include "tercet.h"

#define COUNT number(0) // slot of a uint256
#define OWNER number(1) // slot of an address

// Changed(address,uint256)
CONSTANT(CHANGED, 0xb52dda022b6c1a1f, 0x40905a85f257f689, 0xaa5d69d850e49cf9, 0x39d688fbe5af5946);

enum { NOT_OWNER = 0x245aecd3 }; // NotOwner(address)

static void change(word count) {
	store(COUNT, count);
	encoding e = log_begin(CHANGED, 2, 1);
	put(e, sender());
	put(e, count);
	log_end(e);
}

static void set(void) {
	if (!equal(sender(), load(OWNER))) revert1(NOT_OWNER, sender());
	change(arg(0));
}

CONSTRUCTOR { // constructor(uint256)
	store(OWNER, sender());
	store(COUNT, arg(0));
}

ENTRYPOINT {
	switch (selector()) {
	case 0x06661abd: return give(load(COUNT));                    // count()
	case 0x8da5cb5b: return give(load(OWNER));                    // owner()
	case 0xd09de08a: return change(add(load(COUNT), number(1))); // increment()
	case 0x60fe47b1: return set();                                // set(uint256)
	}
	no_such_method();
}
