package state

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

var (
	// ErrPruned is returned for heights older than the undo records.
	ErrPruned = errors.New("state at this height is no longer kept")
	// ErrFuture is returned for heights that have not been applied.
	ErrFuture = errors.New("state at this height is not executed yet")
	// ErrInvalidChange is returned for changes that cannot be part of a state; nothing was applied.
	ErrInvalidChange = errors.New("invalid state change")
)

// head is what the writer has published.
type head struct {
	height uint64
	root   common.Hash
	some   bool // whether there is a state at all
}

// State holds every account and value of a chain at its newest height, commits to it and remembers
// the last [UndoBlocks] blocks. One goroutine may call [State.Apply] (or, once, [State.Load]) while
// any number call the other methods.
//
// During Apply, Account may answer with the new block's values before Height and Root name it. Who
// serves a published height asks [State.AccountAt] and [State.Prove] for that height.
type State struct {
	head atomic.Pointer[head]

	// treeMu guards tree and view. Apply holds it throughout, so that a proof sees tree, table and undo
	// records of one height. Taken before mu.
	treeMu sync.RWMutex
	tree   *Tree

	// viewMu guards view; taken under treeMu, and held while a view is built, so that each is built once.
	viewMu sync.Mutex
	view   *oldView // of the height that was last asked for

	// mu guards the fields below for who does not hold treeMu. It is held for microseconds.
	mu     sync.RWMutex
	tables tables
	undos  []*undo // of the newest blocks, oldest first
	tip    uint64  // height that the tables show
}

// New returns the empty state, before block 0.
func New() *State {
	s := &State{tree: NewTree(), tables: newTables()}
	s.head.Store(new(head))
	return s
}

// Root returns the root at [State.Height].
func (s *State) Root() common.Hash { return s.head.Load().root }

// Height returns the newest height whose root is known.
func (s *State) Height() uint64 { return s.head.Load().height }

// Len returns the number of keys. It waits for a running Apply.
func (s *State) Len() int {
	s.treeMu.RLock()
	defer s.treeMu.RUnlock()
	return s.tree.Len()
}

// Apply writes the changes of a block, sorted by path and each path once, and returns the new root.
// The first block of an empty state may have any height, afterwards heights follow each other. Errors
// wrap [ErrInvalidChange] and leave the state as it was. The changes are copied.
func (s *State) Apply(height uint64, changes []ledger.Change) (common.Hash, error) {
	was := s.head.Load()
	if was.some && height != was.height+1 {
		return common.Hash{}, fmt.Errorf("%w: block %d on top of %d", ErrInvalidChange, height, was.height)
	}
	if err := check(changes); err != nil {
		return common.Hash{}, fmt.Errorf("applying block %d: %w", height, err)
	}
	s.treeMu.Lock()
	defer s.treeMu.Unlock()
	s.view = nil
	root := s.tree.Apply(s.write(height, was.some, changes))
	s.head.Store(&head{height: height, root: root, some: true})
	return root, nil
}

// check refuses changes that would break the tables. That Path is the hash of Key is the executor's
// promise; Load checks it.
func check(changes []ledger.Change) error {
	for i := range changes {
		c := &changes[i]
		if i > 0 && compare(&changes[i-1].Path, &c.Path) >= 0 {
			return fmt.Errorf("%w: change %d is not in path order", ErrInvalidChange, i)
		}
		if len(c.Key) == 0 {
			return fmt.Errorf("%w: change %d has no key", ErrInvalidChange, i)
		}
		if err := checkValue(c); err != nil {
			return fmt.Errorf("%w: change %d: %w", ErrInvalidChange, i, err)
		}
	}
	return nil
}

// checkValue refuses values that the kind of their key cannot have.
func checkValue(c *ledger.Change) error {
	var err error
	if _, ok := ledger.ParseAccountKey(c.Key); ok {
		_, err = ledger.DecodeAccount(c.Value)
	} else if _, _, ok := ledger.ParseStorageKey(c.Key); ok {
		_, err = ledger.DecodeSlot(c.Value)
	} else if _, ok := ledger.ParseCodeKey(c.Key); ok && len(c.Value) > 0 {
		_, err = ledger.DecodeActivation(c.Value)
	}
	return err
}

// write records the old values, updates the tables and returns the tree's updates.
func (s *State) write(height uint64, record bool, changes []ledger.Change) []Update {
	updates := make([]Update, len(changes))
	u := &undo{entries: make([]undoEntry, 0, len(changes)), blob: make([]byte, 0, 64*len(changes))}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		if record {
			u.add(c, func(dst []byte) []byte { return s.tables.appendValue(dst, c.Key, &c.Path) })
		}
		updates[i] = Update{Path: c.Path, Value: c.Value, ref: s.tables.store(c)}
	}
	if record {
		if len(s.undos) == UndoBlocks {
			copy(s.undos, s.undos[1:])
			s.undos = s.undos[:UndoBlocks-1]
		}
		s.undos = append(s.undos, u)
	}
	s.tip = height
	return updates
}

// Prove proves the value under a raw key, or its absence, against the root of a height, or fails with
// [ErrPruned] or [ErrFuture]. The first proof at a height below the newest costs a few microseconds
// for each key written since, the others no more than a proof at the newest. It waits for a running
// Apply. Safe for concurrent use.
func (s *State) Prove(height uint64, key []byte) (*Proof, error) {
	s.treeMu.RLock()
	defer s.treeMu.RUnlock()
	if err := s.readable(height); err != nil {
		return nil, err
	}
	path := ledger.Path(key)
	v := s.viewAt(height)
	p := &Proof{Height: height, Key: append([]byte(nil), key...)}
	siblings, found := v.siblings(&path)
	if found != nil {
		p.Member = &Opening{Key: p.Key, Value: s.pair(v, found).value, Siblings: siblings}
		return p, nil
	}
	left, right := v.neighbours(&path)
	p.Left, p.Right = s.open(v, left), s.open(v, right)
	return p, nil
}

func (s *State) open(v *oldView, l *leaf) *Opening {
	if l == nil {
		return nil
	}
	pair := s.pair(v, l)
	siblings, _ := v.siblings(&l.path)
	return &Opening{Key: pair.key, Value: pair.value, Siblings: siblings}
}

// pair returns a leaf's key and value, in memory of their own.
func (s *State) pair(v *oldView, l *leaf) item {
	if l.ref&kindMask == kindOld {
		return v.items[l.ref&^kindMask].clone()
	}
	return s.tables.pair(l.ref)
}

// viewAt returns the tree at a readable height; the caller holds treeMu.
func (s *State) viewAt(height uint64) *oldView {
	if height == s.tip {
		return &oldView{view: &view{t: s.tree}, height: height, tip: s.tip}
	}
	s.viewMu.Lock()
	defer s.viewMu.Unlock()
	if s.view == nil || s.view.height != height {
		v := viewAt(s.tree, s.undos[len(s.undos)-int(s.tip-height):])
		v.height, v.tip = height, s.tip
		s.view = v
	}
	return s.view
}

// loadChunk is the number of leaves of the chunks that Load collects.
const loadChunk = 1 << 14

// Load fills an empty state from the flat state of a height in path order and returns its root. next
// returns false after the last change; the change's bytes are read before next is called again. A
// change that cannot be part of a state fails with [ErrInvalidChange], an error of next as it is; the
// state is not usable then.
func (s *State) Load(next func() (ledger.Change, bool, error), height uint64) (common.Hash, error) {
	s.treeMu.Lock()
	defer s.treeMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head.Load().some {
		return common.Hash{}, fmt.Errorf("loading height %d: %w: the state is not empty", height, ErrInvalidChange)
	}
	var chunks [][]leaf
	var last [32]byte
	n := 0
	for {
		c, ok, err := next()
		if err != nil {
			return common.Hash{}, fmt.Errorf("loading height %d: %w", height, err)
		}
		if !ok {
			break
		}
		if err := checkLoaded(&c, &last, n); err != nil {
			return common.Hash{}, fmt.Errorf("loading height %d: %w", height, err)
		}
		if n%loadChunk == 0 {
			chunks = append(chunks, make([]leaf, 0, loadChunk))
		}
		at := len(chunks) - 1
		chunks[at] = append(chunks[at], leaf{path: c.Path, hash: leafHash(&c.Path, c.Value), ref: s.tables.store(&c)})
		last = c.Path
		n++
	}
	s.tree.build(chunks, n)
	s.tip = height
	s.head.Store(&head{height: height, root: s.tree.Root(), some: true})
	return s.tree.Root(), nil
}

func checkLoaded(c *ledger.Change, last *[32]byte, n int) error {
	switch {
	case ledger.Path(c.Key) != c.Path:
		return fmt.Errorf("%w: entry %d: path %x is not the hash of its key", ErrInvalidChange, n, c.Path)
	case n > 0 && compare(last, &c.Path) >= 0:
		return fmt.Errorf("%w: entry %d is not in path order", ErrInvalidChange, n)
	case len(c.Value) == 0:
		return fmt.Errorf("%w: entry %d has no value", ErrInvalidChange, n)
	}
	return check([]ledger.Change{*c})
}
