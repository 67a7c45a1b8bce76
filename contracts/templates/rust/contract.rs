//! A counter: anybody may increment it, and whoever created it may set it.
//!
//! Selectors of methods and errors are the first 4 bytes of keccak256 of the signature beside them, an event's
//! topic is all 32. abi.json tells clients the same.
#![no_std]

use tercet::*;

const COUNT: Word = Word::new(0, 0, 0, 0); // slot of a uint256
const OWNER: Word = Word::new(0, 0, 0, 1); // slot of an address

const NOT_OWNER: u32 = 0x245aecd3; // NotOwner(address)

// Changed(address,uint256)
const CHANGED: Word = Word::new(0xb52dda022b6c1a1f, 0x40905a85f257f689, 0xaa5d69d850e49cf9, 0x39d688fbe5af5946);

fn change(count: Word) {
    store(COUNT, count);
    Encoding::event(CHANGED, 2, 1).put(sender()).put(count).log();
}

fn set(count: Word) {
    if sender() != load(OWNER) {
        Encoding::new(NOT_OWNER, 1).put(sender()).revert()
    }
    change(count);
}

#[no_mangle]
pub extern "C" fn user_constructor(len: usize) -> u32 {
    let args = Args::constructor(len); // constructor(uint256)
    store(OWNER, sender());
    store(COUNT, args.word(0));
    finish()
}

#[no_mangle]
pub extern "C" fn user_entrypoint(len: usize) -> u32 {
    let args = Args::method(len);
    match args.selector() {
        0x06661abd => give(load(COUNT)),                    // count()
        0x8da5cb5b => give(load(OWNER)),                    // owner()
        0xd09de08a => change(load(COUNT) + Word::from(1)), // increment()
        0x60fe47b1 => set(args.word(0)),                    // set(uint256)
        _ => no_such_method(),
    }
    finish()
}
