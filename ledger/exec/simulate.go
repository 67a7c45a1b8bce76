package exec

import (
	"context"
	"maps"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// Simulation executes blocks that nobody ordered, each on what the one before left. The worker is its own until the
// last call. It is not safe for concurrent use.
type Simulation struct {
	worker *vm.Worker
	state  *Overridden
	// transfers says that values which move are logs.
	transfers bool
	block     *machine // nil between blocks
}

// NewSimulation begins on a state. With transfers, each value that moves is a log, as of [TransferAddress].
func NewSimulation(w *vm.Worker, state Reader, transfers bool) *Simulation {
	return &Simulation{worker: w, state: override(state), transfers: transfers}
}

// Begin begins a block. An error is the overrides' fault.
func (s *Simulation) Begin(ctx context.Context, at vm.Block, overrides map[common.Address]AccountOverride) error {
	if err := s.state.add(overrides); err != nil {
		return err
	}
	m := newMachine(ctx, s.worker, at, s.state, 1)
	m.transfers = s.transfers
	s.block = &m
	return nil
}

// Account is an account as the next message finds it.
func (s *Simulation) Account(a common.Address) ledger.Account { return *s.block.account(a) }

// Message executes a message in the block, whose numbers of logs go on. Its errors are those of [Call], and leave the
// block as it was.
func (s *Simulation) Message(msg *Message) (*CallResult, error) {
	m := s.block
	if err := m.fits(msg); err != nil {
		return nil, err
	}
	res, err := m.ask(msg)
	if err != nil {
		return nil, err
	}
	for _, l := range res.Logs {
		l.Index = m.firstLog
		m.firstLog++
	}
	return res, nil
}

// End ends the block: the next one finds what it changed.
func (s *Simulation) End() {
	s.state.merge(&s.block.journal)
	s.block = nil
}

// merge lays what a block has changed over the state that the block began with.
func (o *Overridden) merge(j *journal) {
	for i := range j.touched {
		if t := &j.touched[i]; t.changed {
			o.accounts[t.address] = t.account
		}
	}
	for i := range j.slots {
		slot := &j.slots[i]
		if slot.current == slot.parent {
			continue
		}
		storage := o.storage[slot.key.contract]
		if storage.slots == nil {
			storage.slots = make(map[common.Hash]common.Hash)
			o.storage[slot.key.contract] = storage
		}
		storage.slots[slot.key.slot] = slot.current
	}
	for i := range j.codes {
		c := &j.codes[i]
		o.codes[c.Hash] = c.Bytes
		o.activations[string(ledger.CodeKey(c.Hash))] = ledger.EncodeActivation(c.activation)
	}
}

// setStorage overrides storage: all of it, or single slots over what is overridden already.
func (o *Overridden) setStorage(address common.Address, slots map[common.Hash]common.Hash, whole bool) {
	storage := o.storage[address]
	if whole || storage.slots == nil {
		o.storage[address] = storageOverride{maps.Clone(slots), whole || storage.whole}
		return
	}
	maps.Copy(storage.slots, slots)
}

// TransferAddress emits the logs of values that move in a [Simulation] (ERC-7528), as if these were tokens (ERC-20). It
// is never modified.
var TransferAddress = common.HexToAddress("0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee")

// transferTopic is the topic of the ERC-20's event. It is never modified.
var transferTopic = crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)"))

// moved logs a value that has moved.
func (m *machine) moved(from, to common.Address, value *uint256.Int) {
	data := value.Bytes32()
	m.logs = append(m.logs, &types.Log{
		Address: TransferAddress, Topics: []common.Hash{transferTopic, common.BytesToHash(from[:]), common.BytesToHash(to[:])}, Data: data[:],
	})
}
