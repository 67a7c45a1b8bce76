package vm

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/vm/meter"
)

// Block is what contracts see of the block that they run in.
type Block struct {
	ChainID uint64
	// Number is the height, Time in Unix seconds, GasLimit in gas.
	Number, Time, GasLimit uint64
	Coinbase               common.Address
	BaseFee                uint256.Int // in wei
}

// Env is the context of one frame, as values.
type Env struct {
	// Block is shared by the frames of a block and must not be modified.
	Block    *Block
	Origin   common.Address
	GasPrice uint256.Int // in wei
	// Contract is the account whose storage and balance the frame has: under DELEGATECALL the caller's.
	Contract common.Address
	Caller   common.Address
	Value    uint256.Int // in wei
	// Static forbids every change of state (EIP-214).
	Static bool
	// Reentrant says that Contract has another frame further down the stack. Frames of delegate calls do not
	// count: code behind a proxy has not been re-entered.
	Reentrant bool
	// Depth is the number of frames below this one, 0 for a transaction's own.
	Depth int
}

// Account is what a contract can ask about an address. Code is found by its hash.
type Account struct {
	Balance uint256.Int
	// CodeHash as EIP-1052 says: zero for an absent account, the hash of nothing for one without code.
	CodeHash common.Hash
	CodeSize int
}

// Stored is what decides the price of a write to storage (EIP-2200, EIP-2929).
type Stored struct {
	// Original is the slot's value before the transaction, Current before the write.
	Original, Current common.Hash
	// Cold says that the transaction had not touched the slot.
	Cold bool
}

// State is what a frame reads and writes of contracts' own. Every change is undone by whoever started the
// frame when its outcome is not [Success]. Implementations: the journal of ledger/exec, the maps of tests.
type State interface {
	// Load reads a slot and says whether the transaction had not touched it before (EIP-2929).
	Load(contract common.Address, slot common.Hash) (value common.Hash, cold bool)
	// Store writes a slot.
	Store(contract common.Address, slot, value common.Hash) Stored
	// LoadTransient and StoreTransient are for storage that ends with the transaction (EIP-1153).
	LoadTransient(contract common.Address, slot common.Hash) common.Hash
	StoreTransient(contract common.Address, slot, value common.Hash)
	// Log emits a log of at most 4 topics. The slices are the callee's.
	Log(contract common.Address, topics []common.Hash, data []byte)
}

// World is the other accounts, and how to run their code.
type World interface {
	// Account reads an account and says whether the transaction had not touched it before (EIP-2929).
	Account(address common.Address) (a Account, cold bool)
	// Code returns code by its hash, nil when there is none. It must not be modified.
	Code(hash common.Hash) []byte
	// Call runs a nested call. The gas is already taken from the caller.
	Call(c Call) Answer
	// Create runs a nested creation. The gas is already taken from the caller.
	Create(c Create) (common.Address, Answer)
}

// CallKind is how a call treats context.
type CallKind uint8

// The kinds of calls.
const (
	PlainCall CallKind = iota
	DelegateCall
	StaticCall
)

// Call is a nested call.
type Call struct {
	Kind CallKind
	// From is the frame that calls. It must not be kept.
	From *Env
	To   common.Address
	// Value in wei: what a plain call transfers.
	Value uint256.Int
	// Input must not be kept or modified.
	Input []byte
	// Gas for the frame, the stipend of 2,300 included, in gas.
	Gas uint64
}

// Create is a nested creation: CREATE, or CREATE2 when Salt is there.
type Create struct {
	From *Env
	// Code is what a creation transaction would carry as its data.
	Code  []byte
	Value uint256.Int
	Salt  *common.Hash
	Gas   uint64
}

// Outcome is how a frame ended.
type Outcome uint8

// The outcomes. All but Success undo the frame's changes; all but Success and Revert use all its gas.
const (
	// Success is user_entrypoint's 0, or exit_early(0).
	Success Outcome = iota
	// Revert is any other status; the output is the contract's own.
	Revert
	// OutOfGas is the end of the gas limit.
	OutOfGas
	// Trapped is an instruction or host function that cannot go on: unreachable, a division by zero, an
	// access outside memory, a write in a static frame, the stack's end.
	Trapped
	// TooDeep is a frame too many, or one more page than a transaction's frames may have open; no
	// contract sees it but as a failed call, with the gas returned.
	TooDeep
	// NoBalance is a value that the caller does not have; like TooDeep the gas is returned.
	NoBalance
)

// Answer is what a nested call gives back.
type Answer struct {
	Outcome Outcome
	// Output is return or revert data; the callee's, not to be modified.
	Output []byte
	// GasLeft in gas.
	GasLeft uint64
}

// Frame is one call to run.
type Frame struct {
	Env
	// CodeHash names the code; World has it.
	CodeHash common.Hash
	// Metering is the version that the code was activated under; zero stands for the first.
	Metering meter.Version
	// Constructor runs user_constructor instead of user_entrypoint; a module without one does nothing then,
	// and reverts if there is Input.
	Constructor bool
	Input       []byte
	Gas         uint64 // in gas
	State       State
	World       World
}
