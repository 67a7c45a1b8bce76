//! Everything of the SDK that the examples may not use, one method each.
#![no_std]

use tercet::*;

// Note(address,bytes,uint256[])
const NOTE: Word = Word::new(0x3dbc6851ff1b0590, 0x62bd6593dbf232e9, 0x2b23cb1ce75563d2, 0xa336a76b358ac0fb);

const ODD: u32 = 0xefa04712;
const KEEP: u32 = 0x2ea3f0bf;
const KEPT: u32 = 0x89b75816;

fn kept(key: Word) -> Word {
    mapped(key, Word::from(5))
}

fn echo(args: &Args) {
    Encoding::plain(6)
        .put_bytes(args.bytes(0))
        .put_words(args.words(1))
        .put(args.address(2))
        .put(Word::from(args.boolean(3) as u64))
        .put(Word::from(args.number(4)))
        .put_bytes(args.bytes(5))
        .give()
}

// Writes, then asks another contract for what it has, or lets it write, and reads again.
fn relay(args: &Args) {
    let (to, key, n) = (args.address(0), args.word(1), args.word(2));
    store(kept(key), n);
    if args.boolean(3) {
        if !static_call(to, Encoding::new(KEPT, 1).put(key), ALL_GAS) {
            revert_same()
        }
        return give(returned(0));
    }
    if !call(to, Encoding::new(KEEP, 2).put(key).put(n + Word::from(1)), Word::ZERO, ALL_GAS) {
        revert_same()
    }
    give(load(kept(key)))
}

#[no_mangle]
pub extern "C" fn user_entrypoint(len: usize) -> u32 {
    let args = Args::method(len);
    let two = || (args.word(0), args.word(1));
    match args.selector() {
        0x771602f7 => give(two().0 + two().1),
        0xb67d77c5 => give(two().0 - two().1),
        0xc8a4ac9c => give(two().0 * two().1),
        0xf88e9fbf => give(two().0 / two().1),
        0xbaaf073d => give(two().0 % two().1),
        0xf360234c => give(Word::from((two().0.cmp(&two().1) as i32 + 1) as u64)),
        0x6e229258 => echo(&args),
        0x48c28c21 => Encoding::new(ODD, 2).put(args.word(0)).put_bytes(args.bytes(1)).revert(),
        0x9a8b056b => Encoding::event(NOTE, 2, 2).put(sender()).put_bytes(args.bytes(0)).put_words(args.words(1)).log(),
        0xb0e47629 => relay(&args),
        KEEP => store(kept(two().0), two().1),
        KEPT => give(load(kept(args.word(0)))),
        _ => no_such_method(),
    }
    finish()
}
