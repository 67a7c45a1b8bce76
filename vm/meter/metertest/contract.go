package metertest

import "math/rand/v2"

// observers are host functions with which a contract shows what its program did.
var observers = [...]struct {
	name string
	Type
}{
	{"contract_address", Type{[]byte{I32}, nil}},
	{"call_contract", Type{[]byte{I32, I32, I32, I32, I64, I32}, []byte{I32}}},
	{"read_return_data", Type{[]byte{I32, I32, I32}, []byte{I32}}},
	{"storage_flush_cache", Type{[]byte{I32}, nil}},
	{"emit_log", Type{[]byte{I32, I32, I32}, nil}},
	{"write_result", Type{[]byte{I32, I32}, nil}},
}

// Where an observed program keeps what it does not touch itself, but for wild addresses.
const (
	selfAddress = 0xff00
	returnSize  = 0xff20
	callStatus  = 0xff24
	noValue     = 0xff40
	observed    = 0x8100 // bytes of memory that are the result
)

// RandomContract returns the program of a seed as a contract that shows what it did. With calldata it first calls
// itself with a byte less. Then it runs the program, stores what that has written to storage, logs, and returns
// the memory that programs use, with the program's result at its beginning. It reverts when that is a multiple of 8.
func RandomContract(seed uint64) *Module {
	return generate(&choices{next: rand.New(rand.NewPCG(seed, 0)).IntN}, true)
}

func (p *program) observers() {
	m := &p.module
	for _, o := range observers {
		m.Imports = append(m.Imports, Import{"vm_hooks", o.name, uint32(len(m.Types))})
		m.Types = append(m.Types, o.Type)
	}
}

// observe makes a function that runs the program the entrypoint.
func (p *program) observe() {
	m := &p.module
	entry := m.Exports[0].Index
	first := uint32(len(hostCalls))
	const length, result = 0, 1
	c := Code{}.Get(length).If(0x40)
	c = c.Const32(selfAddress).Call(first)
	c = c.Const32(callStatus).Const32(selfAddress).Const32(0).Get(length).Const32(1).Op(0x6b).Const32(noValue).Const64(1 << 40).Const32(returnSize)
	c = c.Call(first+1).Access(0x36, 2, 0)
	c = c.Const32(0x7000).Const32(0).Const32(0x1000).Call(first + 2).Op(0x1a).End()
	c = c.Get(length).Call(entry).Set(result)
	c = c.Const32(0).Get(result).Access(0x36, 2, 0)
	c = c.Const32(0).Call(first + 3)
	c = c.Const32(0).Const32(64).Const32(1).Call(first + 4)
	c = c.Const32(0).Const32(observed).Call(first + 5)
	c = c.Get(result).Const32(7).Op(0x71, 0x45).End()
	m.Exports[0].Index = uint32(len(m.Imports) + len(m.Funcs))
	m.Funcs = append(m.Funcs, Func{0, []byte{I32}, c})
}
