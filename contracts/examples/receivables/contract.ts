// Receivables for supply-chain finance: an invoice becomes a claim that is split, passed on and sold for tokens.
//
// A supplier drafts an invoice and its debtor accepts it. The holder of what is accepted may split it into parts,
// transfer it, or ask a price for it; whoever finances it pays that price and becomes the holder in one step. The
// debtor settles an invoice with one payment, and each holder of a part claims its share from it.
//
//   - An invoice exists once: its id is the hash of issuer and number, also after it was cancelled.
//   - What is not split of an invoice sums to its amount, at any time.
//   - The contract holds as many tokens as there are unclaimed parts of settled invoices.
import {
  add, arg, argAddress, argBytes, argU64, argWords, begin, beginConstructor, block_timestamp, account_code_size, call, compare,
  end, Encoding, error, event, give, giveEncoding, keccak, keccak2, mapped, next, noSuchMethod, NO_SELECTOR, number, read,
  return_data_size, returned, revertSame, selector, self, sender, Span, word, Word, write,
} from "../../sdk/assemblyscript/tercet";

// Slots. A record is a mapping's value of four: a head, the amount, the debtor (of a part: its invoice's id), the
// price asked.
function TOKEN(): Word { return number(0); } // address
function RECORDS(): Word { return number(1); } // mapping(id => record)

// The head's bytes: 0 state, 1 whether it is a part, 2 whether the invoice is settled, 3 whether a price is asked,
// 4–11 when it is due, in Unix seconds, 12–31 the holder.
const PART: usize = 1, SETTLED: usize = 2, ASKED: usize = 3, DUE: usize = 4, HOLDER: usize = 12;

const DRAFTED: u8 = 1, ACCEPTED: u8 = 2, SPLIT: u8 = 3, CLAIMED: u8 = 4, CANCELLED: u8 = 5;

const MAX_PARTS: u32 = 32; // of one split; each costs three slots

const INVOICE_EXISTS: u32 = 0x6917c242; // InvoiceExists(bytes32)
const NO_SUCH_RECEIVABLE: u32 = 0x42195943; // NoSuchReceivable(bytes32)
const WRONG_STATE: u32 = 0x2b3263b3; // WrongState(bytes32,uint8)
const NOT_DEBTOR: u32 = 0x08d27593; // NotDebtor(bytes32,address)
const NOT_HOLDER: u32 = 0x2e207437; // NotHolder(bytes32,address)
const NOT_INVOICE: u32 = 0x5f027497; // NotInvoice(bytes32)
const ZERO_AMOUNT: u32 = 0x1f2a2005; // ZeroAmount()
const ZERO_ADDRESS: u32 = 0xd92e233d; // ZeroAddress()
const DUE_IN_PAST: u32 = 0xbde22263; // DueInPast(uint64)
const BAD_PARTS: u32 = 0xa1ede1fe; // BadParts(uint256)
const SUM_DIFFERS: u32 = 0x5241164b; // SumDiffers(uint256,uint256)
const NOT_OFFERED: u32 = 0x84e34fbc; // NotOffered(bytes32)
const PRICE_DIFFERS: u32 = 0xcfa92b05; // PriceDiffers(uint256,uint256)
const ALREADY_SETTLED: u32 = 0xb196a44a; // AlreadySettled(bytes32)
const NOT_SETTLED: u32 = 0x1d46cb05; // NotSettled(bytes32)
const NOT_A_CONTRACT: u32 = 0x8a8b41ec; // NotAContract(address)
const TOKEN_REFUSED: u32 = 0x5619382c; // TokenRefused()

function DRAFTED_LOG(): Word { // Drafted(bytes32,address,address,string,uint256,uint64)
  return word(0x12a5dc5f56c189c9, 0x36f7ded62b3d6bc2, 0xb5368fd552958bb4, 0xb815c08d1e111b86);
}
function CANCELLED_LOG(): Word { // Cancelled(bytes32)
  return word(0xbaa1eb22f2a492ba, 0x1a5fea61b8df4d27, 0xc6c8b5f3971e63bb, 0x58fa14ff72eedb70);
}
function ACCEPTED_LOG(): Word { // Accepted(bytes32,address)
  return word(0x9deed34441ca75bb, 0x2dbbe101d2201930, 0xf40e18a9ce521c77, 0xfbdca6690a899967);
}
function SPLIT_LOG(): Word { // Split(bytes32,bytes32[],uint256[])
  return word(0x12f02dd2bb60caf7, 0x6de1b69dfc5c9b3b, 0x53c2010ad354b2c9, 0x9a2d49cd3be4660c);
}
function TRANSFERRED_LOG(): Word { // Transferred(bytes32,address,address)
  return word(0x7b97c62130aa09ac, 0xbbcbf7482630e756, 0x592496f1759eaf70, 0x2f469cf64dfb7794);
}
function OFFERED_LOG(): Word { // Offered(bytes32,address,uint256)
  return word(0xc3353911b7de4a37, 0xe8a101c1f03426e2, 0x38154a54ab4e4ffd, 0x1eec637df8d2253e);
}
function FINANCED_LOG(): Word { // Financed(bytes32,address,address,uint256)
  return word(0x0393a28cd4082da2, 0x5349bb08d404d22e, 0xc66db8e556673c11, 0x68adec37aa13e399);
}
function SETTLED_LOG(): Word { // Settled(bytes32,address,uint256)
  return word(0x16cfaad9ef877ffd, 0xcfedd9eae2009b4d, 0x27454094546f8fab, 0x5fbb10129037afc8);
}
function CLAIMED_LOG(): Word { // Claimed(bytes32,address,uint256)
  return word(0x0508a8b4117d9a7b, 0x3d8f5895f6413e61, 0xb4f9a2df35afbfb4, 0x1e78d0ecfff1843f);
}

// ---- Records ----

// A record as it is being worked on: change the head, then save() it.
@unmanaged
class Receivable {
  constructor(public id: Word, public slot: Word, public head: Word) {}

  get state(): u8 { return load<u8>(changetype<usize>(this.head)); }
  set state(s: u8) { store<u8>(changetype<usize>(this.head), s); }

  flag(at: usize): bool { return load<u8>(changetype<usize>(this.head) + at) != 0; }
  setFlag(at: usize, on: bool): void { store<u8>(changetype<usize>(this.head) + at, on ? 1 : 0); }

  get due(): u64 { return bswap(load<u64>(changetype<usize>(this.head) + DUE)); }
  set due(t: u64) { store<u64>(changetype<usize>(this.head) + DUE, bswap(t)); }

  get holder(): Word {
    const w = new Word();
    memory.copy(changetype<usize>(w) + HOLDER, changetype<usize>(this.head) + HOLDER, 20);
    return w;
  }
  set holder(account: Word) {
    memory.copy(changetype<usize>(this.head) + HOLDER, changetype<usize>(account) + HOLDER, 20);
  }

  get amount(): Word { return read(next(this.slot, 1)); }
  set amount(w: Word) { write(next(this.slot, 1), w); }

  // The debtor of an invoice, the invoice's id of a part.
  get origin(): Word { return read(next(this.slot, 2)); }
  set origin(w: Word) { write(next(this.slot, 2), w); }

  get price(): Word { return read(next(this.slot, 3)); }
  set price(w: Word) { write(next(this.slot, 3), w); }

  get invoice(): Receivable { return this.flag(PART) ? find(this.origin) : this; }

  save(): void { write(this.slot, this.head); }
}

// at is the record of an id, which may not exist.
function at(id: Word): Receivable {
  const slot = mapped(id, RECORDS());
  return new Receivable(id, slot, read(slot));
}

function find(id: Word): Receivable {
  const r = at(id);
  if (r.head.isZero) error(NO_SUCH_RECEIVABLE, 1).put(id).revert();
  return r;
}

function findIn(state: u8): Receivable {
  const r = find(arg(0));
  if (r.state != state) error(WRONG_STATE, 2).put(r.id).put(number(r.state)).revert();
  return r;
}

// held is a record in a state that belongs to the sender.
function held(state: u8): Receivable {
  const r = findIn(state), by = sender();
  if (!r.holder.equals(by)) error(NOT_HOLDER, 2).put(r.id).put(by).revert();
  return r;
}

function byDebtor(r: Receivable): Word {
  const by = sender();
  if (!r.origin.equals(by)) error(NOT_DEBTOR, 2).put(r.id).put(by).revert();
  return by;
}

function invoiceId(issuer: Word, text: Span): Word {
  return keccak2(issuer, keccak(text.at, text.len));
}

// ---- The token ----

// Its answer has to be true; its errors are passed on.
function pay(e: Encoding): void {
  if (!call(read(TOKEN()), e, number(0))) revertSame();
  if (return_data_size() != 32 || !returned(0).equals(number(1))) error(TOKEN_REFUSED).revert();
}

function pull(from: Word, to: Word, amount: Word): void {
  pay(new Encoding(0x23b872dd, 3).put(from).put(to).put(amount)); // transferFrom(address,address,uint256)
}

function push(to: Word, amount: Word): void {
  pay(new Encoding(0xa9059cbb, 2).put(to).put(amount)); // transfer(address,uint256)
}

// ---- Methods ----

function draft(): void {
  const issuer = sender(), text = argBytes(0), debtor = argAddress(1), amount = arg(2), due = argU64(3);
  if (debtor.isZero) error(ZERO_ADDRESS).revert();
  if (amount.isZero) error(ZERO_AMOUNT).revert();
  if (due <= block_timestamp()) error(DUE_IN_PAST, 1).put(number(due)).revert();
  const r = at(invoiceId(issuer, text));
  if (!r.head.isZero) error(INVOICE_EXISTS, 1).put(r.id).revert();
  r.state = DRAFTED;
  r.due = due;
  r.holder = issuer;
  r.save();
  r.amount = amount;
  r.origin = debtor;
  event(DRAFTED_LOG(), 4, 3).put(r.id).put(issuer).put(debtor).bytes(text).put(amount).put(number(due)).log();
  give(r.id);
}

function cancel(): void {
  const r = held(DRAFTED);
  r.state = CANCELLED;
  r.save();
  event(CANCELLED_LOG(), 2, 0).put(r.id).log();
}

function accept(): void {
  const r = findIn(DRAFTED), debtor = byDebtor(r);
  r.state = ACCEPTED;
  r.save();
  event(ACCEPTED_LOG(), 3, 0).put(r.id).put(debtor).log();
}

function split(): void {
  const r = held(ACCEPTED), amounts = argWords(1), n = amounts.len;
  if (n < 2 || n > MAX_PARTS) error(BAD_PARTS, 1).put(number(n)).revert();
  const invoice = r.flag(PART) ? r.origin : r.id, children = heap.alloc(32 * n), holder = r.holder;
  let sum = number(0);
  for (let i: u32 = 0; i < n; i++) {
    const amount = amounts.word(i), child = at(keccak2(r.id, number(i)));
    if (amount.isZero) error(ZERO_AMOUNT).revert();
    sum = add(sum, amount);
    child.state = ACCEPTED;
    child.setFlag(PART, true);
    child.due = r.due;
    child.holder = holder;
    child.save();
    child.amount = amount;
    child.origin = invoice;
    memory.copy(children + 32 * i, changetype<usize>(child.id), 32);
  }
  const amount = r.amount;
  if (!sum.equals(amount)) error(SUM_DIFFERS, 2).put(sum).put(amount).revert();
  r.state = SPLIT;
  r.setFlag(ASKED, false);
  r.save();
  const ids = new Span(children, n);
  event(SPLIT_LOG(), 2, 2).put(r.id).words(ids).words(amounts).log();
  giveEncoding(new Encoding(NO_SELECTOR, 1).words(ids));
}

function transfer(): void {
  const r = held(ACCEPTED), from = r.holder, to = argAddress(1);
  if (to.isZero) error(ZERO_ADDRESS).revert();
  r.holder = to;
  r.setFlag(ASKED, false);
  r.save();
  event(TRANSFERRED_LOG(), 4, 0).put(r.id).put(from).put(to).log();
}

// A price of 0 withdraws the offer.
function offer(): void {
  const r = held(ACCEPTED), price = arg(1);
  r.setFlag(ASKED, !price.isZero);
  r.save();
  if (!price.isZero) r.price = price;
  event(OFFERED_LOG(), 3, 1).put(r.id).put(r.holder).put(price).log();
}

// The price is given again, so that nobody pays another one than he saw.
function finance(): void {
  const r = findIn(ACCEPTED), price = arg(1), by = sender(), seller = r.holder;
  if (!r.flag(ASKED)) error(NOT_OFFERED, 1).put(r.id).revert();
  const asked = r.price;
  if (compare(asked, price) != 0) error(PRICE_DIFFERS, 2).put(asked).put(price).revert();
  r.holder = by;
  r.setFlag(ASKED, false);
  r.save();
  event(FINANCED_LOG(), 4, 1).put(r.id).put(seller).put(by).put(price).log();
  pull(by, seller, price);
}

function settle(): void {
  const r = find(arg(0));
  if (r.flag(PART)) error(NOT_INVOICE, 1).put(r.id).revert();
  if (r.flag(SETTLED)) error(ALREADY_SETTLED, 1).put(r.id).revert();
  if (r.state != ACCEPTED && r.state != SPLIT) error(WRONG_STATE, 2).put(r.id).put(number(r.state)).revert();
  const debtor = byDebtor(r), amount = r.amount;
  r.setFlag(SETTLED, true);
  r.save();
  event(SETTLED_LOG(), 3, 1).put(r.id).put(debtor).put(amount).log();
  pull(debtor, self(), amount);
}

function claim(): void {
  const r = held(ACCEPTED), invoice = r.invoice;
  if (!invoice.flag(SETTLED)) error(NOT_SETTLED, 1).put(invoice.id).revert();
  const holder = r.holder, amount = r.amount;
  r.state = CLAIMED;
  r.setFlag(ASKED, false);
  r.save();
  event(CLAIMED_LOG(), 3, 1).put(r.id).put(holder).put(amount).log();
  push(holder, amount);
}

function receivable(): void {
  const r = find(arg(0)), invoice = r.invoice;
  const e = new Encoding(NO_SELECTOR, 8).put(number(r.state)).put(r.holder).put(r.amount).put(invoice.id);
  e.put(invoice.origin).put(number(r.due)).put(number(u64(invoice.flag(SETTLED))));
  giveEncoding(e.put(r.flag(ASKED) ? r.price : number(0)));
}

export function user_constructor(len: u32): u32 { // constructor(address)
  beginConstructor(len);
  const token = argAddress(0);
  if (account_code_size(changetype<usize>(token) + HOLDER) == 0) error(NOT_A_CONTRACT, 1).put(token).revert();
  write(TOKEN(), token);
  return end();
}

export function user_entrypoint(len: u32): u32 {
  begin(len);
  switch (selector()) {
    case 0xe7d9d544: draft(); break; // draft(string,address,uint256,uint64)
    case 0xc4d252f5: cancel(); break; // cancel(bytes32)
    case 0xe4725ba1: accept(); break; // accept(bytes32)
    case 0xa21225bb: split(); break; // split(bytes32,uint256[])
    case 0x79ce9fac: transfer(); break; // transfer(bytes32,address)
    case 0x5d7834de: offer(); break; // offer(bytes32,uint256)
    case 0xfa8cda86: finance(); break; // finance(bytes32,uint256)
    case 0x987757dd: settle(); break; // settle(bytes32)
    case 0xbd66528a: claim(); break; // claim(bytes32)
    case 0x43743ab2: receivable(); break; // receivable(bytes32)
    case 0x9431a7d7: give(invoiceId(argAddress(0), argBytes(1))); break; // invoiceId(address,string)
    case 0x5326ece2: give(keccak2(arg(0), arg(1))); break; // childId(bytes32,uint256)
    case 0xfc0c546a: give(read(TOKEN())); break; // token()
    default: noSuchMethod();
  }
  return end();
}
