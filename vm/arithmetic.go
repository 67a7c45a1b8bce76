package vm

import "github.com/holiman/uint256"

// The math functions replace their first operand; like the EVM's instructions they know no error: what is
// divided by zero, or reduced modulo zero, is zero.

func (r *running) mathDiv(s []uint64) {
	r.payGas(gasDiv)
	a, b := r.word(s[0]), r.word(s[1])
	r.putWord(s[0], a.Div(&a, &b))
}

func (r *running) mathMod(s []uint64) {
	r.payGas(gasDiv)
	a, b := r.word(s[0]), r.word(s[1])
	r.putWord(s[0], a.Mod(&a, &b))
}

func (r *running) mathPow(s []uint64) {
	a, b := r.word(s[0]), r.word(s[1])
	r.payGas(gasExp + gasExpByte*uint64(b.ByteLen()))
	var power uint256.Int
	r.putWord(s[0], power.Exp(&a, &b))
}

func (r *running) mathAddMod(s []uint64) {
	r.payGas(gasAddMod)
	a, b, m := r.word(s[0]), r.word(s[1]), r.word(s[2])
	var sum uint256.Int
	r.putWord(s[0], sum.AddMod(&a, &b, &m))
}

func (r *running) mathMulMod(s []uint64) {
	r.payInk(inkMulMod)
	a, b, m := r.word(s[0]), r.word(s[1]), r.word(s[2])
	var product uint256.Int
	r.putWord(s[0], product.MulMod(&a, &b, &m))
}
