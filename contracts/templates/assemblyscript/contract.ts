// A counter: anybody may increment it, and whoever created it may set it.
//
// Selectors of methods and errors are the first 4 bytes of keccak256 of the signature beside them, an
// event's topic is all 32. abi.json tells clients the same.
import {
  add, arg, begin, beginConstructor, end, error, event, give, noSuchMethod, number, read, selector, sender, word, Word, write,
} from "./tercet";

function COUNT(): Word { return number(0); } // slot of a uint256
function OWNER(): Word { return number(1); } // slot of an address

const NOT_OWNER: u32 = 0x245aecd3; // NotOwner(address)

function CHANGED(): Word { // Changed(address,uint256)
  return word(0xb52dda022b6c1a1f, 0x40905a85f257f689, 0xaa5d69d850e49cf9, 0x39d688fbe5af5946);
}

function change(count: Word): void {
  write(COUNT(), count);
  event(CHANGED(), 2, 1).put(sender()).put(count).log();
}

function set(): void {
  if (!sender().equals(read(OWNER()))) error(NOT_OWNER, 1).put(sender()).revert();
  change(arg(0));
}

export function user_constructor(len: u32): u32 { // constructor(uint256)
  beginConstructor(len);
  write(OWNER(), sender());
  write(COUNT(), arg(0));
  return end();
}

export function user_entrypoint(len: u32): u32 {
  begin(len);
  switch (selector()) {
    case 0x06661abd: give(read(COUNT())); break; // count()
    case 0x8da5cb5b: give(read(OWNER())); break; // owner()
    case 0xd09de08a: change(add(read(COUNT()), number(1))); break; // increment()
    case 0x60fe47b1: set(); break; // set(uint256)
    default: noSuchMethod();
  }
  return end();
}
