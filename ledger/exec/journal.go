package exec

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// journal is the state of a block in the making, over the parent's, with what is needed to undo the
// changes of a frame. Plain transfers write accounts without recording anything: they change nothing
// before they are known to succeed.
type journal struct {
	state Reader

	// index of an address in touched.
	index   map[common.Address]int32
	touched []touched
	// slotIndex of a storage slot in slots; made when the first contract runs, as all that follows.
	slotIndex map[slotKey]int32
	slots     []slot
	// codes that creations of this block stored, by hash in codeIndex.
	codes     []storedCode
	codeIndex map[common.Hash]int32
	// sizes of codes that contracts asked for: the parent's state reads and hashes all of it to know.
	sizes map[common.Hash]int

	// Of the transaction at hand, reset by begin.
	number    uint32                  // of transactions begun: what was warm for another one is cold
	transient map[slotKey]common.Hash // nil before the first write
	logs      []*types.Log
	undo      undo
	firstLog  uint    // its number in the block
	tracer    *Tracer // nil unless somebody wants to know
}

// touched is an account that was read.
type touched struct {
	address common.Address
	// changed says that account may differ from the parent's state.
	changed bool
	// compare says that it may have changed back, too. A transfer's accounts cannot: a sender's nonce only
	// grows, and so does the balance of an account that never sends.
	compare bool
	// warm is the number of the last transaction that touched the account in the sense of EIP-2929.
	warm uint32
	// account as it is now.
	account ledger.Account
}

type slotKey struct {
	contract common.Address
	slot     common.Hash
}

// slot is a storage slot that was read.
type slot struct {
	key slotKey
	// parent is the value in the parent's state, original before the transaction seen, current now.
	parent, original, current common.Hash
	// seen is the number of the last transaction that used the slot, warm of the last that touched it in
	// the sense of EIP-2929.
	seen, warm uint32
}

// storedCode is code of a creation, with what activating it gave.
type storedCode struct {
	ledger.Code
	activation ledger.Activation
}

// undo holds what a transaction's frames have changed, in order. Lists of several kinds need no order
// among each other: what one of them restores, no other does.
type undo struct {
	accounts     []accountUndo
	slots        []slotUndo
	transient    []transientUndo
	warmAccounts []int32
	warmSlots    []int32
}

type accountUndo struct {
	touched int32
	was     ledger.Account
}

type slotUndo struct {
	slot int32
	was  common.Hash
}

type transientUndo struct {
	key slotKey
	was common.Hash
}

// snapshot is a place to go back to: how long everything was.
type snapshot struct {
	accounts, slots, transient, warmAccounts, warmSlots, logs, codes int
}

// newJournal has room for the accounts of txs transfers.
func newJournal(state Reader, txs int) journal {
	return journal{
		state:   state,
		index:   make(map[common.Address]int32, 2*txs),
		touched: make([]touched, 0, 2*txs),
	}
}

// begin starts a transaction that runs code.
func (j *journal) begin() {
	if j.slotIndex == nil {
		j.slotIndex = make(map[slotKey]int32)
		j.codeIndex = make(map[common.Hash]int32)
		j.sizes = make(map[common.Hash]int)
	}
	j.number++        // at most MaxBlockTransactions
	j.transient = nil // clearing one that was large once would take as long in every transaction after
	j.logs = nil      // the receipt has them
	u := &j.undo
	u.accounts, u.slots, u.transient = u.accounts[:0], u.slots[:0], u.transient[:0]
	u.warmAccounts, u.warmSlots = u.warmAccounts[:0], u.warmSlots[:0]
}

func (j *journal) snapshot() snapshot {
	u := &j.undo
	return snapshot{
		accounts: len(u.accounts), slots: len(u.slots), transient: len(u.transient),
		warmAccounts: len(u.warmAccounts), warmSlots: len(u.warmSlots), logs: len(j.logs), codes: len(j.codes),
	}
}

// revert undoes everything since the snapshot, newest first.
func (j *journal) revert(s snapshot) {
	u := &j.undo
	for i := len(u.accounts) - 1; i >= s.accounts; i-- {
		j.touched[u.accounts[i].touched].account = u.accounts[i].was
	}
	for i := len(u.slots) - 1; i >= s.slots; i-- {
		j.slots[u.slots[i].slot].current = u.slots[i].was
	}
	for i := len(u.transient) - 1; i >= s.transient; i-- {
		j.transient[u.transient[i].key] = u.transient[i].was
	}
	for _, i := range u.warmAccounts[s.warmAccounts:] {
		j.touched[i].warm = 0
	}
	for _, i := range u.warmSlots[s.warmSlots:] {
		j.slots[i].warm = 0
	}
	for i := range j.codes[s.codes:] {
		delete(j.codeIndex, j.codes[s.codes+i].Hash)
	}
	u.accounts, u.slots, u.transient = u.accounts[:s.accounts], u.slots[:s.slots], u.transient[:s.transient]
	u.warmAccounts, u.warmSlots = u.warmAccounts[:s.warmAccounts], u.warmSlots[:s.warmSlots]
	j.logs, j.codes = j.logs[:s.logs], j.codes[:s.codes]
}

// load returns the place of an account in touched, reading it from the parent's state at the first use.
func (j *journal) load(a common.Address) int32 {
	i, ok := j.index[a]
	if !ok {
		// A block's gas and its number of transactions bound the length far below 2^31.
		i = int32(len(j.touched))
		j.touched = append(j.touched, touched{address: a, account: j.state.Account(a)})
		j.index[a] = i
	}
	return i
}

// account reads an account.
func (j *journal) account(a common.Address) *ledger.Account { return &j.touched[j.load(a)].account }

// modify returns an account to write to, and remembers what it was. The pointer is valid until the next
// account is read.
func (j *journal) modify(a common.Address) *ledger.Account {
	i := j.load(a)
	t := &j.touched[i]
	j.undo.accounts = append(j.undo.accounts, accountUndo{i, t.account})
	t.changed, t.compare = true, true
	return &t.account
}

// warm touches an account in the sense of EIP-2929 and says whether it was cold.
func (j *journal) warmAccount(a common.Address) (t *touched, cold bool) {
	i := j.load(a)
	t = &j.touched[i]
	if t.warm == j.number {
		return t, false
	}
	t.warm = j.number
	j.undo.warmAccounts = append(j.undo.warmAccounts, i)
	return t, true
}

// transfer moves value and says whether the sender has it and the recipient can take it.
func (j *journal) transfer(from, to common.Address, value *uint256.Int) bool {
	var sum uint256.Int
	switch _, overflow := sum.AddOverflow(&j.account(to).Balance, value); {
	case j.account(from).Balance.Lt(value):
		return false
	case from == to:
		return true
	case overflow: // only where the sum of all balances is no sum of a genesis
		return false
	}
	j.modify(to).Balance = sum
	sender := j.modify(from)
	sender.Balance.Sub(&sender.Balance, value)
	return true
}

// code returns code by its hash, nil when there is none.
func (j *journal) code(hash common.Hash) []byte {
	if i, ok := j.codeIndex[hash]; ok {
		return j.codes[i].Bytes
	}
	if hash == (common.Hash{}) {
		return nil
	}
	return j.state.Code(hash)
}

// codeSize returns the length of code.
func (j *journal) codeSize(hash common.Hash) int {
	n, ok := j.sizes[hash]
	if !ok {
		n = len(j.code(hash))
		j.sizes[hash] = n
	}
	return n
}

// activation returns what the chain knows about code.
func (j *journal) activation(hash common.Hash) (ledger.Activation, bool) {
	if i, ok := j.codeIndex[hash]; ok {
		return j.codes[i].activation, true
	}
	value := j.state.Value(ledger.CodeKey(hash))
	if len(value) == 0 {
		return ledger.Activation{}, false
	}
	a, err := ledger.DecodeActivation(value)
	if err != nil {
		panic("exec: the state has a valid activation under a code key: " + err.Error())
	}
	return a, true
}

// addCode stores code that the chain does not have.
func (j *journal) addCode(c ledger.Code, a ledger.Activation) {
	j.codeIndex[c.Hash] = int32(len(j.codes)) // as load
	j.codes = append(j.codes, storedCode{c, a})
}

var _ vm.State = (*journal)(nil)

// use returns the place of a slot in slots, reading it from the parent's state at the first use.
func (j *journal) use(contract common.Address, key common.Hash) int32 {
	k := slotKey{contract, key}
	i, ok := j.slotIndex[k]
	if !ok {
		i = int32(len(j.slots)) // as load
		value := j.state.Storage(contract, key)
		j.slots = append(j.slots, slot{key: k, parent: value, current: value})
		j.slotIndex[k] = i
	}
	if s := &j.slots[i]; s.seen != j.number {
		s.seen, s.original = j.number, s.current
	}
	return i
}

// warmSlot touches a slot in the sense of EIP-2929 and says whether it was cold.
func (j *journal) warmSlot(i int32) (cold bool) {
	if j.slots[i].warm == j.number {
		return false
	}
	j.slots[i].warm = j.number
	j.undo.warmSlots = append(j.undo.warmSlots, i)
	return true
}

// Load implements [vm.State].
func (j *journal) Load(contract common.Address, key common.Hash) (value common.Hash, cold bool) {
	i := j.use(contract, key)
	return j.slots[i].current, j.warmSlot(i)
}

// Store implements [vm.State].
func (j *journal) Store(contract common.Address, key, value common.Hash) vm.Stored {
	i := j.use(contract, key)
	s := &j.slots[i]
	stored := vm.Stored{Original: s.original, Current: s.current, Cold: j.warmSlot(i)}
	if s.current != value {
		j.undo.slots = append(j.undo.slots, slotUndo{i, s.current})
		s.current = value
	}
	return stored
}

// LoadTransient implements [vm.State].
func (j *journal) LoadTransient(contract common.Address, key common.Hash) common.Hash {
	return j.transient[slotKey{contract, key}]
}

// StoreTransient implements [vm.State].
func (j *journal) StoreTransient(contract common.Address, key, value common.Hash) {
	k := slotKey{contract, key}
	was := j.transient[k]
	if was == value {
		return
	}
	if j.transient == nil {
		j.transient = make(map[slotKey]common.Hash)
	}
	j.undo.transient = append(j.undo.transient, transientUndo{k, was})
	j.transient[k] = value
}

// Log implements [vm.State]. Where the log is in block and chain is written when its transaction ends.
func (j *journal) Log(contract common.Address, topics []common.Hash, data []byte) {
	j.logs = append(j.logs, &types.Log{Address: contract, Topics: topics, Data: data})
	if j.tracer != nil {
		j.tracer.log(j.logs[len(j.logs)-1], len(j.logs)-1)
	}
}
