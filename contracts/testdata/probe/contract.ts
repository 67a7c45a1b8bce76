// Everything of the SDK that the examples may not use, one method each.
import {
  add, arg, argAddress, argBool, argBytes, argU64, argWords, begin, call, compare, divide, Encoding, end, error, event, give,
  giveEncoding, mapped, modulo, mul, noSuchMethod, NO_SELECTOR, number, read, returned, revertSame, selector, sender, staticCall,
  sub, word, Word, write,
} from "./tercet";

function NOTE(): Word { // Note(address,bytes,uint256[])
  return word(0x3dbc6851ff1b0590, 0x62bd6593dbf232e9, 0x2b23cb1ce75563d2, 0xa336a76b358ac0fb);
}

const ODD: u32 = 0xefa04712, KEEP: u32 = 0x2ea3f0bf, KEPT: u32 = 0x89b75816;

function kept(key: Word): Word {
  return mapped(key, number(5));
}

function echo(): void {
  const e = new Encoding(NO_SELECTOR, 6).bytes(argBytes(0)).words(argWords(1)).put(argAddress(2));
  giveEncoding(e.put(number(u64(argBool(3)))).put(number(argU64(4))).bytes(argBytes(5)));
}

// relay writes, then asks another contract for what it has, or lets it write, and reads again.
function relay(): void {
  const to = argAddress(0), key = arg(1), n = arg(2);
  write(kept(key), n);
  if (argBool(3)) {
    if (!staticCall(to, new Encoding(KEPT, 1).put(key))) revertSame();
    give(returned(0));
  } else {
    if (!call(to, new Encoding(KEEP, 2).put(key).put(add(n, number(1))), number(0))) revertSame();
    give(read(kept(key)));
  }
}

export function user_entrypoint(len: u32): u32 {
  begin(len);
  switch (selector()) {
    case 0x771602f7: give(add(arg(0), arg(1))); break;
    case 0xb67d77c5: give(sub(arg(0), arg(1))); break;
    case 0xc8a4ac9c: give(mul(arg(0), arg(1))); break;
    case 0xf88e9fbf: give(divide(arg(0), arg(1))); break;
    case 0xbaaf073d: give(modulo(arg(0), arg(1))); break;
    case 0xf360234c: give(number(compare(arg(0), arg(1)) + 1)); break;
    case 0x6e229258: echo(); break;
    case 0x48c28c21: error(ODD, 2).put(arg(0)).bytes(argBytes(1)).revert(); break;
    case 0x9a8b056b: event(NOTE(), 2, 2).put(sender()).bytes(argBytes(0)).words(argWords(1)).log(); break;
    case 0xb0e47629: relay(); break;
    case KEEP: write(kept(arg(0)), arg(1)); break;
    case KEPT: give(read(kept(arg(0)))); break;
    default: noSuchMethod();
  }
  return end();
}
