package vm

import (
	"bytes"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
)

// What a call returns to the contract: 0 for success.
const (
	statusReverted = 1
	statusFailed   = 2 // it ran out of gas, trapped, went too deep, or the value was not there
)

// callContract (address, data, len, value, gas, lenDest) returns a status.
func (r *running) callContract(s []uint64) {
	c := Call{Kind: PlainCall, To: r.address(s[0]), Input: r.view(s[1], s[2]), Value: r.word(s[3])}
	if r.Static && !c.Value.IsZero() {
		panic(errTrap)
	}
	r.call(s, c, s[4], s[5])
}

// delegateCall (address, data, len, gas, lenDest) returns a status.
func (r *running) delegateCall(s []uint64) {
	c := Call{Kind: DelegateCall, To: r.address(s[0]), Input: r.view(s[1], s[2])}
	r.call(s, c, s[3], s[4])
}

// staticCall (address, data, len, gas, lenDest) returns a status.
func (r *running) staticCall(s []uint64) {
	c := Call{Kind: StaticCall, To: r.address(s[0]), Input: r.view(s[1], s[2])}
	r.call(s, c, s[3], s[4])
}

// call pays, passes on at most all but a 64th of what is left (EIP-150), and keeps what comes back.
func (r *running) call(s []uint64, c Call, gas, lengthDest uint64) {
	length := r.view(lengthDest, 4)
	account, cold := r.World.Account(c.To)
	price := accountGas(cold)
	if !c.Value.IsZero() {
		price += gasCallValue
		if account.CodeHash == (common.Hash{}) {
			price += gasNewAccount
		}
	}
	r.payGas(price)
	c.From, c.Gas = &r.Env, min(gas, r.allButA64th())
	r.payGas(c.Gas)
	if !c.Value.IsZero() {
		c.Gas += gasStipend
	}
	answer := Answer{Outcome: TooDeep, GasLeft: c.Gas}
	if r.Depth < maxCallDepth {
		answer = r.World.Call(c)
	}
	r.resume(answer)
	switch answer.Outcome {
	case Success:
		r.returned, s[0] = answer.Output, 0
	case Revert:
		r.returned, s[0] = answer.Output, statusReverted
	default:
		r.returned, s[0] = nil, statusFailed
	}
	binary.LittleEndian.PutUint32(length, uint32(len(r.returned)))
}

func (r *running) allButA64th() uint64 {
	left := r.gasLeft()
	return left - left/64
}

// resume goes on after a nested frame, unless the transaction cannot.
func (r *running) resume(a Answer) {
	if r.w.failed != nil {
		panic(errAborted)
	}
	r.refund(a.GasLeft)
	r.pause()
}

// create1 (code, len, endowment, addressDest, lenDest) is CREATE.
func (r *running) create1(s []uint64) {
	r.create(s[0], s[1], s[2], nil, s[3], s[4])
}

// create2 (code, len, endowment, salt, addressDest, lenDest) is CREATE2.
func (r *running) create2(s []uint64) {
	salt := r.hash(s[3])
	r.create(s[0], s[1], s[2], &salt, s[4], s[5])
}

func (r *running) create(code, size, endowment uint64, salt *common.Hash, addressDest, lengthDest uint64) {
	c := Create{From: &r.Env, Code: r.view(code, size), Value: r.word(endowment), Salt: salt}
	address, length := r.view(addressDest, 20), r.view(lengthDest, 4)
	if r.Static || len(c.Code) > MaxCreation {
		panic(errTrap)
	}
	price := gasCreate + gasInitWord*words(len(c.Code))
	if salt != nil {
		price += gasHashWord * words(len(c.Code))
	}
	r.payGas(price)
	c.Code = bytes.Clone(c.Code) // it is stored
	c.Gas = r.allButA64th()
	r.payGas(c.Gas)
	var created common.Address
	answer := Answer{Outcome: TooDeep, GasLeft: c.Gas}
	if r.Depth < maxCallDepth {
		created, answer = r.World.Create(c)
	}
	r.resume(answer)
	r.returned = nil
	switch answer.Outcome {
	case Success:
		copy(address, created[:])
	case Revert:
		r.returned = answer.Output
		clear(address)
	default:
		clear(address)
	}
	binary.LittleEndian.PutUint32(length, uint32(len(r.returned)))
}

// accountBalance (address, dest).
func (r *running) accountBalance(s []uint64) {
	dest := r.view(s[1], 32)
	balance := r.account(s[0]).Balance
	balance.PutUint256(dest)
}

// accountCodeHash (address, dest).
func (r *running) accountCodeHash(s []uint64) {
	dest := r.view(s[1], 32)
	hash := r.account(s[0]).CodeHash
	copy(dest, hash[:])
}

// accountCodeSize (address) returns a size.
func (r *running) accountCodeSize(s []uint64) {
	s[0] = uint64(uint32(r.account(s[0]).CodeSize))
}

// accountCode (address, offset, size, dest) copies what there is, and returns how much that is. It pays for all of
// the code: that has to be read and hashed for any part of it.
func (r *running) accountCode(s []uint64) {
	account := r.account(s[0])
	r.payGas(gasCopyWord * words(account.CodeSize))
	var code []byte
	if account.CodeSize > 0 {
		code = part(r.World.Code(account.CodeHash), s[1], s[2])
	}
	s[0] = uint64(copy(r.view(s[3], uint64(len(code))), code))
}

// account reads an account and pays for it.
func (r *running) account(pointer uint64) Account {
	a, cold := r.World.Account(r.address(pointer))
	r.payGas(accountGas(cold))
	return a
}
