package exec

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// edit executes the edits of a transaction of the editor on a development chain, all or none. No contract may
// call it: a test that passes there would mean nothing elsewhere.
func edit(m *machine, input []byte) ([]byte, vm.Outcome) {
	if m.origin != ledger.EditorAddress() || len(m.open) > 0 {
		return vm.Reason("only transactions of the editor's account edit the state"), vm.Revert
	}
	edits, err := ledger.DecodeEdits(input)
	if err != nil {
		return vm.Reason(err.Error()), vm.Revert
	}
	for i := range edits {
		if refusal := m.edit(&edits[i]); refusal != nil {
			return refusal, vm.Revert
		}
	}
	return nil, vm.Success
}

// edit makes one edit, or returns revert data that says why not.
func (m *machine) edit(e *ledger.Edit) (refusal []byte) {
	switch e.Kind {
	case ledger.EditBalance:
		m.modify(e.Account).Balance = *new(uint256.Int).SetBytes(e.Value)
	case ledger.EditNonce:
		var b [8]byte
		copy(b[8-len(e.Value):], e.Value)
		nonce := binary.BigEndian.Uint64(b[:])
		// A nonce that fell would let transactions be executed twice.
		if have := m.account(e.Account).Nonce; nonce < have {
			return vm.Reason(fmt.Sprintf("new nonce (%d) must not be smaller than the existing nonce (%d)", nonce, have))
		}
		m.modify(e.Account).Nonce = nonce
	case ledger.EditStorage:
		m.Store(e.Account, e.Slot, common.BytesToHash(e.Value))
	case ledger.EditCode:
		return m.editCode(e.Account, e.Value)
	}
	return nil
}

// editCode gives an account code without running a constructor.
func (m *machine) editCode(a common.Address, code []byte) (refusal []byte) {
	if len(code) == 0 {
		m.modify(a).CodeHash = common.Hash{}
		return nil
	}
	stored, args, err := vm.ParseCreation(code)
	if err != nil || len(args) > 0 {
		stored = code // activating it says what is wrong
	}
	hash, answer := m.activate(&vm.Env{}, stored, math.MaxUint64)
	if answer.Outcome != vm.Success {
		return append([]byte{}, answer.Output...)
	}
	m.modify(a).CodeHash = hash
	return nil
}
