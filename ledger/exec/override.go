package exec

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
)

// AccountOverride replaces parts of an account; what is nil stays.
type AccountOverride struct {
	Nonce   *uint64
	Balance *uint256.Int
	// Code is code as a chain stores it, or what a creation without arguments would carry; an empty one
	// removes it.
	Code *[]byte
	// State replaces the whole storage, StateDiff single slots; only one of them may be there.
	State, StateDiff map[common.Hash]common.Hash
}

// Overridden is a state with some accounts replaced, for a [Call]. It is a [Reader].
type Overridden struct {
	Reader
	accounts    map[common.Address]ledger.Account
	storage     map[common.Address]storageOverride
	codes       map[common.Hash][]byte
	activations map[string][]byte // by raw key
	gas         uint64            // of the activations
}

// maxOverrideGas bounds what activating all overridden code would cost a transaction: compiling it takes a second or
// two, in which nothing can be cancelled. No single transaction can activate half of it by default.
const maxOverrideGas = 100_000_000

type storageOverride struct {
	slots map[common.Hash]common.Hash
	whole bool
}

// Override lays overrides over a state. Code is activated here, whatever that costs; an error is the
// overrides' fault and says what to do.
func Override(state Reader, overrides map[common.Address]AccountOverride) (*Overridden, error) {
	o := override(state)
	if err := o.add(overrides); err != nil {
		return nil, err
	}
	return o, nil
}

// override overrides nothing yet.
func override(state Reader) *Overridden {
	return &Overridden{
		Reader: state, accounts: make(map[common.Address]ledger.Account),
		storage: make(map[common.Address]storageOverride), codes: make(map[common.Hash][]byte),
		activations: make(map[string][]byte),
	}
}

// add lays more overrides over those that there are.
func (o *Overridden) add(overrides map[common.Address]AccountOverride) error {
	for _, address := range slices.SortedFunc(maps.Keys(overrides), common.Address.Cmp) {
		if err := o.addAccount(address, overrides[address]); err != nil {
			return fmt.Errorf("overriding account %s: %w", address, err)
		}
	}
	return nil
}

func (o *Overridden) addAccount(address common.Address, override AccountOverride) error {
	account := o.Account(address)
	if override.Nonce != nil {
		account.Nonce = *override.Nonce
	}
	if override.Balance != nil {
		account.Balance = *override.Balance
	}
	if override.Code != nil {
		var err error
		if account.CodeHash, err = o.addCode(*override.Code); err != nil {
			return err
		}
	}
	o.accounts[address] = account
	switch {
	case override.State != nil && override.StateDiff != nil:
		return errors.New("it has both state and stateDiff: keep one of them")
	case override.State != nil:
		o.setStorage(address, override.State, true)
	case override.StateDiff != nil:
		o.setStorage(address, override.StateDiff, false)
	}
	return nil
}

// addCode activates code and returns its hash.
func (o *Overridden) addCode(code []byte) (common.Hash, error) {
	if len(code) == 0 {
		return common.Hash{}, nil
	}
	stored, args, err := vm.ParseCreation(code)
	if err != nil || len(args) > 0 {
		stored = code // activating it says what is wrong
	}
	wasm, err := vm.Wasm(stored)
	if err != nil {
		return common.Hash{}, err
	}
	module, err := meter.Rewrite(wasm, meter.Current)
	if err != nil {
		return common.Hash{}, err
	}
	if o.gas += module.ActivationGas; o.gas > maxOverrideGas { // each is far below 2^60
		return common.Hash{}, fmt.Errorf("activating the overridden code would use more than %d gas: override less code in one call", maxOverrideGas)
	}
	hash := crypto.Keccak256Hash(stored)
	o.codes[hash] = stored
	o.activations[string(ledger.CodeKey(hash))] = ledger.EncodeActivation(activationOf(module, len(wasm)))
	return hash, nil
}

// Account implements [Reader].
func (o *Overridden) Account(address common.Address) ledger.Account {
	if a, ok := o.accounts[address]; ok {
		return a
	}
	return o.Reader.Account(address)
}

// Storage implements [Reader].
func (o *Overridden) Storage(contract common.Address, slot common.Hash) common.Hash {
	s := o.storage[contract]
	if value, ok := s.slots[slot]; ok || s.whole {
		return value
	}
	return o.Reader.Storage(contract, slot)
}

// Value implements [Reader].
func (o *Overridden) Value(key []byte) []byte {
	if value, ok := o.activations[string(key)]; ok {
		return value
	}
	return o.Reader.Value(key)
}

// Code implements [Reader].
func (o *Overridden) Code(hash common.Hash) []byte {
	if code, ok := o.codes[hash]; ok {
		return code
	}
	return o.Reader.Code(hash)
}
