//go:build wasm

// Package tercet writes contracts in Go for the vm_hooks host functions, with Solidity's ABI and storage layout.
//
// It is for TinyGo, which makes modules that are small and free of floating point. A contract is
//
//	//export user_entrypoint
//	func entrypoint(length uint32) uint32 {
//		c := tercet.Method(length)
//		switch c.Selector() {
//		case 0x06661abd: // count()
//			c.Give(c.Load(tercet.Number(0)))
//		default:
//			tercet.NoSuchMethod()
//		}
//		return c.Finish()
//	}
//
// and optionally an exported user_constructor, which begins with [Constructor] and runs once, inside the transaction
// that creates the contract.
//
//   - A [Word] is 32 bytes, big-endian: what the ABI, storage and logs are made of. An address is a Word whose
//     first 12 bytes are zero.
//   - Every instance runs one call: memory is never freed, so there is nothing for a garbage collector to do.
//   - Nothing returns an error: what cannot go on reverts, with Error(string), Panic(uint256) or an error of the
//     contract's own, and undoes all that the call has done. A Go panic traps: it reverts without a reason.
//   - Writes to storage are collected and stored by [Call.Finish], or before the contract calls others.
//   - A contract takes no value unless it begins with [Payable], and an unknown method should revert.
//
// Build with TinyGo 0.40 or later:
//
//	tinygo build -target=wasm-unknown -gc=leaking -scheduler=none -panic=trap -no-debug -opt=z -o contract.wasm .
package tercet

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// Solidity's codes for Panic(uint256).
const (
	PanicArithmetic = 0x11
	PanicDivision   = 0x12
)

// AllGas is 63/64 of the gas that is left.
const AllGas = ^uint64(0)

// Word is 32 bytes, big-endian. Calculating treats it as an unsigned number; what does not fit reverts with
// Panic(0x11), a division by zero with Panic(0x12).
type Word [32]byte

// Number returns n as a Word.
func Number(n uint64) (w Word) {
	binary.BigEndian.PutUint64(w[24:], n)
	return w
}

// Constant returns the Word of 4 × 16 hexadecimal digits.
func Constant(a, b, c, d uint64) (w Word) {
	for i, limb := range [4]uint64{a, b, c, d} {
		binary.BigEndian.PutUint64(w[8*i:], limb)
	}
	return w
}

// Keccak returns the hash of data.
func Keccak(data []byte) (w Word) {
	HookNativeKeccak256(at(data), uint32(len(data)), w.at())
	return w
}

// Mapped returns the slot where the mapping at a slot keeps the value of a key: keccak256(key ‖ slot).
func Mapped(key, slot Word) Word {
	var pair [64]byte
	copy(pair[:], key[:])
	copy(pair[32:], slot[:])
	return Keccak(pair[:])
}

// IsZero reports whether all bytes are zero.
func (w Word) IsZero() bool { return w == Word{} }

// Small returns the number as a uint64; a larger one reverts.
func (w Word) Small() uint64 {
	for _, b := range w[:24] {
		if b != 0 {
			Fail("a number is too large")
		}
	}
	return w.limb(3)
}

// Less reports whether w < v.
func (w Word) Less(v Word) bool {
	for i := range 4 {
		if x, y := w.limb(i), v.limb(i); x != y {
			return x < y
		}
	}
	return false
}

// Add returns w + v.
func (w Word) Add(v Word) (out Word) {
	var carry uint64
	for i := 3; i >= 0; i-- {
		var sum uint64
		sum, carry = bits.Add64(w.limb(i), v.limb(i), carry)
		binary.BigEndian.PutUint64(out[8*i:], sum)
	}
	if carry != 0 {
		Panic(PanicArithmetic)
	}
	return out
}

// Sub returns w - v.
func (w Word) Sub(v Word) (out Word) {
	var borrow uint64
	for i := 3; i >= 0; i-- {
		var rest uint64
		rest, borrow = bits.Sub64(w.limb(i), v.limb(i), borrow)
		binary.BigEndian.PutUint64(out[8*i:], rest)
	}
	if borrow != 0 {
		Panic(PanicArithmetic)
	}
	return out
}

// Mul returns w · v.
func (w Word) Mul(v Word) (out Word) {
	var digits [16]uint32 // in base 2^32, the lowest first, so that no product needs more than 64 bits
	for i := range 8 {
		var carry uint64
		for j := range 8 {
			t := w.digit(i)*v.digit(j) + uint64(digits[i+j]) + carry
			digits[i+j], carry = uint32(t), t>>32
		}
		digits[i+8] = uint32(carry)
	}
	for i, d := range digits {
		if i < 8 {
			binary.BigEndian.PutUint32(out[28-4*i:], d)
		} else if d != 0 {
			Panic(PanicArithmetic)
		}
	}
	return out
}

// Div returns w / v, rounded down.
func (w Word) Div(v Word) Word {
	if v.IsZero() {
		Panic(PanicDivision)
	}
	HookMathDiv(w.at(), v.at())
	return w
}

// Mod returns the rest of w / v.
func (w Word) Mod(v Word) Word {
	if v.IsZero() {
		Panic(PanicDivision)
	}
	HookMathMod(w.at(), v.at())
	return w
}

func (w *Word) at() unsafe.Pointer { return unsafe.Pointer(w) }

func (w *Word) address() unsafe.Pointer { return unsafe.Pointer(&w[12]) }

func (w *Word) limb(i int) uint64 { return binary.BigEndian.Uint64(w[8*i:]) }

func (w *Word) digit(i int) uint64 { return uint64(binary.BigEndian.Uint32(w[28-4*i:])) }

func at(data []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(data)) }

// Call is the call that the contract answers. Argument i counts the 32-byte heads from 0.
type Call struct {
	data      []byte
	args      []byte // data behind the selector
	unflushed bool
}

// Method begins a call of a method that takes no value.
func Method(length uint32) *Call {
	refuseValue()
	return Payable(length)
}

// Payable begins a call of a method that takes value.
func Payable(length uint32) *Call {
	if length < 4 {
		NoSuchMethod()
	}
	return read(length, 4)
}

// Constructor begins the call that creates the contract.
func Constructor(length uint32) *Call {
	refuseValue()
	return read(length, 0)
}

func read(length, selector uint32) *Call {
	data := make([]byte, length)
	HookReadArgs(at(data))
	return &Call{data: data, args: data[selector:]}
}

func refuseValue() {
	if v := Value(); !v.IsZero() {
		Fail("the contract takes no value")
	}
}

// Value returns the value of the call, in wei.
func Value() (w Word) {
	HookMsgValue(w.at())
	return w
}

// Sender returns the caller's address.
func Sender() (w Word) {
	HookMsgSender(w.address())
	return w
}

// Self returns the contract's own address.
func Self() (w Word) {
	HookContractAddress(w.address())
	return w
}

// Selector returns the first four bytes of the calldata.
func (c *Call) Selector() uint32 { return binary.BigEndian.Uint32(c.data) }

// Word returns argument i.
func (c *Call) Word(i int) Word {
	if len(c.args)/32 <= i {
		Fail("the calldata is too short")
	}
	return Word(c.args[32*i:])
}

// Address returns argument i.
func (c *Call) Address(i int) Word {
	w := c.Word(i)
	if [12]byte(w[:]) != [12]byte{} {
		Fail("an address has more than 20 bytes")
	}
	return w
}

// Uint64 returns argument i.
func (c *Call) Uint64(i int) uint64 {
	return c.Word(i).Small()
}

// Bool returns argument i.
func (c *Call) Bool(i int) bool {
	n := c.Uint64(i)
	if n > 1 {
		Fail("a boolean is neither 0 nor 1")
	}
	return n == 1
}

// Bytes returns argument i, bytes or a string. It must not be modified.
func (c *Call) Bytes(i int) []byte {
	tail, n := c.tail(i)
	if n > uint64(len(tail)) {
		Fail("a length points outside the calldata")
	}
	return tail[:n]
}

// Words returns argument i, an array.
func (c *Call) Words(i int) []Word {
	tail, n := c.tail(i)
	if n > uint64(len(tail)/32) {
		Fail("a length points outside the calldata")
	}
	words := make([]Word, n)
	for k := range words {
		words[k] = Word(tail[32*k:])
	}
	return words
}

// tail returns the length that argument i points to, and all that follows it.
func (c *Call) tail(i int) ([]byte, uint64) {
	offset := c.Uint64(i)
	if size := uint64(len(c.args)); offset > size || size-offset < 32 {
		Fail("an offset points outside the calldata")
	}
	tail := c.args[offset:]
	return tail[32:], Word(tail).Small()
}

// Load reads storage.
func (c *Call) Load(slot Word) (w Word) {
	HookStorageLoadBytes32(slot.at(), w.at())
	return w
}

// Store writes storage.
func (c *Call) Store(slot, value Word) {
	HookStorageCacheBytes32(slot.at(), value.at())
	c.unflushed = true
}

// Give makes a Word what the call returns.
func (c *Call) Give(w Word) { HookWriteResult(w.at(), 32) }

// Finish stores what was written. It returns what an entry point returns.
func (c *Call) Finish() uint32 {
	if c.unflushed {
		HookStorageFlushCache(0)
		c.unflushed = false
	}
	return 0
}

// Call runs a method of another contract and reports whether it succeeded. What this call has written is stored
// first, and read anew afterwards: the other contract may call back.
func (c *Call) Call(to Word, e *Encoding, value Word, gas uint64) bool {
	var length uint32
	HookStorageFlushCache(1)
	c.unflushed = false
	return HookCallContract(to.address(), at(e.out), uint32(len(e.out)), value.at(), gas, unsafe.Pointer(&length)) == 0
}

// StaticCall is like [Call.Call] for a method that changes nothing.
func (c *Call) StaticCall(to Word, e *Encoding, gas uint64) bool {
	var length uint32
	c.Finish()
	return HookStaticCallContract(to.address(), at(e.out), uint32(len(e.out)), gas, unsafe.Pointer(&length)) == 0
}

// Returned returns Word i of what the last call returned.
func Returned(i int) (w Word) {
	if HookReadReturnData(w.at(), uint32(32*i), 32) != 32 {
		Fail("the called contract returned too little")
	}
	return w
}

// RevertSame ends the call with the error of the call that failed.
func RevertSame() {
	data := make([]byte, HookReturnDataSize())
	HookReadReturnData(at(data), 0, uint32(len(data)))
	revert(data)
}

// Encoding is a result, an error, a log or a call. It is filled head by head; what is dynamic goes behind the heads.
type Encoding struct {
	out  []byte
	base int // offsets count from here
	head int // the next head
}

// Result begins an encoding of so many heads without a selector.
func Result(heads int) *Encoding { return &Encoding{out: make([]byte, 32*heads)} }

// Encode begins an encoding of so many heads after a selector: a call or an error.
func Encode(selector uint32, heads int) *Encoding {
	e := &Encoding{out: make([]byte, 4+32*heads), base: 4, head: 4}
	binary.BigEndian.PutUint32(e.out, selector)
	return e
}

// Event begins a log of so many topics and heads of data: put the other topics, then the data, then [Encoding.Log].
func Event(topic0 Word, topics, heads int) *Encoding {
	e := &Encoding{out: make([]byte, 32*(topics+heads)), base: 32 * topics}
	return e.Put(topic0)
}

// Put fills the next head.
func (e *Encoding) Put(w Word) *Encoding {
	copy(e.out[e.head:], w[:])
	e.head += 32
	return e
}

// PutBytes fills the next head with bytes or a string.
func (e *Encoding) PutBytes(data []byte) *Encoding {
	e.Put(Number(uint64(len(e.out) - e.base)))
	length := Number(uint64(len(data)))
	e.out = append(e.out, length[:]...)
	e.out = append(e.out, data...)
	e.out = append(e.out, make([]byte, -len(data)&31)...)
	return e
}

// PutWords fills the next head with an array.
func (e *Encoding) PutWords(words []Word) *Encoding {
	e.Put(Number(uint64(len(e.out) - e.base)))
	length := Number(uint64(len(words)))
	e.out = append(e.out, length[:]...)
	for _, w := range words {
		e.out = append(e.out, w[:]...)
	}
	return e
}

// Give makes this what the call returns.
func (e *Encoding) Give() { HookWriteResult(at(e.out), uint32(len(e.out))) }

// Revert ends the call with this as the contract's own error.
func (e *Encoding) Revert() { revert(e.out) }

// Log emits this log.
func (e *Encoding) Log() { HookEmitLog(at(e.out), uint32(len(e.out)), uint32(e.base/32)) }

// Fail reverts with Error(string).
func Fail(why string) { Encode(0x08c379a0, 1).PutBytes([]byte(why)).Revert() }

// Panic reverts with Panic(uint256).
func Panic(code uint64) { Encode(0x4e487b71, 1).Put(Number(code)).Revert() }

// NoSuchMethod reverts a call whose selector the contract does not know.
func NoSuchMethod() { Fail("no such method") }

func revert(data []byte) {
	HookWriteResult(at(data), uint32(len(data)))
	HookExitEarly(1)
	panic("exit_early returned")
}
