package vm

import (
	"bytes"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
)

// view is a part of the contract's memory. Every pointer and length of a host function passes here, as the i32
// that it is.
func (r *running) view(pointer, length uint64) []byte {
	b, ok := r.memory.Read(uint32(pointer), uint32(length))
	if !ok {
		panic(errTrap)
	}
	return b
}

func (r *running) hash(pointer uint64) common.Hash { return common.Hash(r.view(pointer, 32)) }

func (r *running) address(pointer uint64) common.Address { return common.Address(r.view(pointer, 20)) }

func (r *running) word(pointer uint64) (v uint256.Int) {
	v.SetBytes32(r.view(pointer, 32))
	return v
}

func (r *running) putWord(pointer uint64, v *uint256.Int) {
	v.PutUint256(r.view(pointer, 32))
}

// readArgs (dest) copies the input.
func (r *running) readArgs(s []uint64) {
	r.payGas(gasCopyWord * words(len(r.Input)))
	copy(r.view(s[0], uint64(len(r.Input))), r.Input)
}

// writeResult (data, len) sets the output; the last one wins.
func (r *running) writeResult(s []uint64) {
	data := r.view(s[0], s[1])
	r.payGas(memoryGas(len(data)))
	r.result = bytes.Clone(data)
}

// exitEarly (status) ends the frame as if the entry point had returned the status.
func (r *running) exitEarly(s []uint64) {
	r.status = s[0]
	panic(errExit)
}

// readReturnData (dest, offset, size) copies what there is, and returns how much that is.
func (r *running) readReturnData(s []uint64) {
	data := part(r.returned, s[1], s[2])
	r.payGas(gasCopyWord * words(len(data)))
	s[0] = uint64(copy(r.view(s[0], uint64(len(data))), data))
}

func (r *running) returnDataSize(s []uint64) { s[0] = uint64(len(r.returned)) }

// part is the bytes of data at an offset, at most size of them.
func part(data []byte, offset, size uint64) []byte {
	from := min(uint64(uint32(offset)), uint64(len(data)))
	return data[from:min(from+uint64(uint32(size)), uint64(len(data)))]
}

// emitLog (data, len, topics) logs; the data begins with the topics.
func (r *running) emitLog(s []uint64) {
	n := uint64(uint32(s[2]))
	if r.Static || n > 4 {
		panic(errTrap)
	}
	data := r.view(s[0], s[1])
	if uint64(len(data)) < 32*n {
		panic(errTrap)
	}
	r.payGas(gasLog + gasLog*n + gasLogByte*(uint64(len(data))-32*n))
	topics := make([]common.Hash, n)
	for i := range topics {
		topics[i] = common.Hash(data[:32])
		data = data[32:]
	}
	r.State.Log(r.Contract, topics, bytes.Clone(data))
}

// keccak (data, len, dest) hashes.
func (r *running) keccak(s []uint64) {
	data, dest := r.view(s[0], s[1]), r.view(s[2], 32)
	r.payGas(gasKeccak + gasHashWord*words(len(data)))
	h := r.w.hasher
	h.Reset()
	h.Write(data)
	h.Read(dest) //nolint:errcheck // a sponge never runs dry
}

func (r *running) msgReentrant(s []uint64) {
	s[0] = 0
	if r.Reentrant {
		s[0] = 1
	}
}
