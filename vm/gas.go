package vm

import "github.com/tercet-chain/tercet/vm/meter"

// maxGas is the most that a frame counts in ink, well within an int64. What it is given beyond comes back
// untouched.
const maxGas = 1 << 49

// Prices of the EVM in gas. Changing one is a fork.
const (
	gasWarm        = 100  // EIP-2929: an account or slot that the transaction has touched
	gasColdAccount = 2600 // EIP-2929
	gasColdSlot    = 2100 // EIP-2929

	gasStoreSet   = 20_000 // EIP-2200: from zero, the first change in the transaction
	gasStoreReset = 2_900  // EIP-2929: 5,000 less the cold slot; from another value
	// EIP-2200: with no more than the stipend left, nothing is stored: what receives value cannot re-enter.
	gasStoreSentry = 2_300

	gasCallValue  = 9_000  // CALL with a value
	gasNewAccount = 25_000 // that makes an account (EIP-161)
	gasStipend    = 2_300  // that the callee has for it
	gasCreate     = 32_000 // CREATE and CREATE2
	gasInitWord   = 2      // EIP-3860: per word of the code that creates

	gasLog      = 375 // and as much for each topic
	gasLogByte  = 8
	gasKeccak   = 30
	gasHashWord = 6 // also of CREATE2's code
	gasCopyWord = 3

	gasDiv     = 5 // DIV and MOD
	gasAddMod  = 8 // ADDMOD
	gasExp     = 10
	gasExpByte = 50 // EIP-160

	gasTransient = 100 // EIP-1153
)

// Prices of our own in ink.
const (
	// inkMulMod is twice MULMOD's price: a division of 512 bits takes 150 ns.
	inkMulMod = 16 * meter.InkPerGas
	// inkHost is for entering a host function, 35 to 60 ns.
	inkHost = 6 * meter.InkPerGas
	// inkCachedSlot is for a slot that the frame has read or written before.
	inkCachedSlot = 10 * meter.InkPerGas
	// inkNewSlot is for one that it writes without having read it: an entry of 72 bytes. With the flush a blind
	// write costs 100 more than SSTORE.
	inkNewSlot = gasWarm * meter.InkPerGas
)

// words is the number of words that n bytes occupy.
func words(n int) uint64 { return (uint64(n) + 31) / 32 }

// memoryGas is what memory of n bytes costs in the EVM. It bounds the results that a transaction's frames can
// hold at the same time, since linear memory is not priced by its square. n is at most that of a linear memory.
func memoryGas(n int) uint64 {
	w := words(n)
	return gasCopyWord*w + w*w/512
}

// storeGas is the price of a write (EIP-2200, EIP-2929; refunds of EIP-3529 are left out).
func storeGas(s Stored, changed bool) uint64 {
	var gas uint64
	if s.Cold {
		gas = gasColdSlot
	}
	switch {
	case !changed || s.Original != s.Current:
		return gas + gasWarm
	case s.Original == [32]byte{}:
		return gas + gasStoreSet
	default:
		return gas + gasStoreReset
	}
}

func accountGas(cold bool) uint64 {
	if cold {
		return gasColdAccount
	}
	return gasWarm
}

// fund gives a frame its ink: a tranche for the contract's counter, the rest in reserve. Both count what
// instructions cost, which is 1<<shift ink for each ink of the price list.
func (r *running) fund(ink uint64) {
	units := ink >> r.shift
	tranche := min(units, r.w.tranche)
	r.reserve = units - tranche
	r.counter.Set(tranche)
}

// left is the ink that the frame has. The counter is below zero only where refill looks at it.
func (r *running) left() uint64 { return (r.reserve + r.counter.Get()) << r.shift }

// enlarge makes instructions cost what they do with a memory of so many pages.
func (r *running) enlarge(pages uint32) {
	if shift := meter.LargeShift(r.module.version, pages); shift != r.shift {
		left := r.left()
		r.shift = shift
		r.fund(left)
	}
}

// gasLeft is what the frame has, in whole gas.
func (r *running) gasLeft() uint64 { return r.left() / meter.InkPerGas }

// payInk takes ink, or ends the frame.
func (r *running) payInk(ink uint64) {
	if tranche, units := r.counter.Get(), (ink+1<<r.shift-1)>>r.shift; units <= tranche {
		r.counter.Set(tranche - units)
		return
	}
	left := r.left()
	if ink > left {
		panic(errOutOfGas)
	}
	r.pause()
	r.fund(left - ink)
}

// payGas takes gas, or ends the frame.
func (r *running) payGas(gas uint64) {
	if gas > maxGas {
		panic(errOutOfGas)
	}
	r.payInk(gas * meter.InkPerGas)
}

// refund gives back what a nested frame has left: no more than it was given, stipend included.
func (r *running) refund(gas uint64) {
	if gas > maxGas {
		panic("vm: a nested frame returned more gas than there is")
	}
	r.fund(r.left() + gas*meter.InkPerGas)
}
