package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/vm"
)

// Development is what clients may do to a development chain beside editing its state, for which the server sends
// transactions. Times are Unix seconds. The functions are called by several goroutines.
type Development struct {
	// Mine makes blocks, each interval seconds after the one before it, or as fast as it goes for an interval of 0.
	Mine func(ctx context.Context, blocks, interval uint64) error
	// Shift moves the clock on and returns by how many seconds it is ahead of the machine's.
	Shift func(seconds uint64) (ahead int64, err error)
	// SetTime sets the clock and returns the same.
	SetTime func(unix uint64) (ahead int64, err error)
	// SetNext gives the next block with more than edits its timestamp; the clock goes on from there.
	SetNext func(unix uint64) error
	// Snapshot marks the newest block and names it by a number that rises.
	Snapshot func(ctx context.Context) (id uint64, err error)
	// Revert goes back to a snapshot and forgets it and the later ones; false if there is none of that name.
	Revert func(id uint64) (found bool, err error)
	// Reset goes back to block 0.
	Reset func() error
}

// developer serves a development chain.
type developer struct {
	s     *Server
	chain *Development
	// instance names the process to clients that notice restarts.
	instance common.Hash
	editor   *sender
	// requests is held for reading by requests at work, and for writing while the chain goes back: they never see
	// half of it. It is the one lock of the server that is held across I/O, on development chains only.
	requests sync.RWMutex
}

// newDeveloper is nil on a chain that is not for development.
func newDeveloper(s *Server) (*developer, error) {
	if s.cfg.Development == nil {
		return nil, nil
	}
	key, err := ledger.EditorKey()
	if err != nil {
		return nil, fmt.Errorf("making the editor's key: %w", err)
	}
	d := &developer{s: s, chain: s.cfg.Development, editor: newSender(s, key)}
	rand.Read(d.instance[:]) // never fails
	return d, nil
}

// register adds the methods of development chains.
func (d *developer) register(apis map[string]any) {
	if d != nil {
		apis["evm"], apis["hardhat"], apis["anvil"] = &evmAPI{d}, &hardhatAPI{d}, &anvilAPI{d}
	}
}

// Rewound announces that the chain went back: the block at height is the head, and what is known of later ones
// is forgotten.
func (s *Server) Rewound(height uint64) {
	s.recent.rewind(height)
	s.cache.clear()
	s.filters.rewind(height + 1)
	s.hub.rewind(height + 1)
}

// hold is a request's right to see a chain that does not go back meanwhile. A nil one is for other chains.
type hold struct {
	requests *sync.RWMutex
	once     sync.Once
}

// hold waits while the chain goes back. The receiver is nil on other chains.
func (d *developer) hold() *hold {
	if d == nil {
		return nil
	}
	d.requests.RLock()
	return &hold{requests: &d.requests}
}

func (h *hold) release() {
	if h != nil {
		h.once.Do(h.requests.RUnlock)
	}
}

// alone runs a change of the chain while no other request is at work.
func (d *developer) alone(ctx context.Context, change func() error) error {
	about := requestOf(ctx)
	about.idle()
	defer about.waiting(ctx)()
	d.requests.Lock()
	defer d.requests.Unlock()
	return change()
}

// edit changes the state by a transaction, and returns when it is executed.
func (d *developer) edit(ctx context.Context, edits ...ledger.Edit) error {
	data, to := ledger.EncodeEdits(edits), ledger.EditAddress()
	if err := d.tryEdit(ctx, data); err != nil {
		return err
	}
	_, err := d.editor.send(ctx, to, nil, data)
	return err
}

// tryEdit says why the edits would fail.
func (d *developer) tryEdit(ctx context.Context, data []byte) error {
	from, to := ledger.EditorAddress(), ledger.EditAddress()
	q, err := d.s.question(&callArgs{From: &from, To: &to}, nil, nil)
	if err != nil {
		return err
	}
	q.msg.Data, q.msg.Gas = data, d.s.cfg.Genesis.TxGasCap
	res, err := d.s.call(ctx, q)
	if err != nil {
		return err
	}
	if reason, err := abi.UnpackRevert(res.Output); res.Outcome == vm.Revert && err == nil {
		return errors.New(reason)
	}
	return failure(res.Outcome, res.Output)
}

func (d *developer) setBalance(ctx context.Context, a common.Address, wei quantity) error {
	return d.edit(ctx, ledger.Edit{Kind: ledger.EditBalance, Account: a, Value: wei.Bytes()})
}

func (d *developer) setNonce(ctx context.Context, a common.Address, nonce quantity) error {
	if !nonce.IsUint64() {
		return invalidParams("a nonce has at most 64 bits")
	}
	if d.s.cfg.Pool.Count(a) > 0 {
		return fmt.Errorf("cannot set the nonce of %s while it has pending transactions: wait for them, or drop them", a)
	}
	return d.edit(ctx, ledger.Edit{Kind: ledger.EditNonce, Account: a, Value: nonce.Bytes()})
}

func (d *developer) setCode(ctx context.Context, a common.Address, code []byte) error {
	return d.edit(ctx, ledger.Edit{Kind: ledger.EditCode, Account: a, Value: code})
}

func (d *developer) setStorageAt(ctx context.Context, a common.Address, slot, value quantity) error {
	return d.edit(ctx, ledger.Edit{Kind: ledger.EditStorage, Account: a, Slot: slot.Bytes32(), Value: value.Bytes()})
}

// mine makes blocks; without a number one.
func (d *developer) mine(ctx context.Context, blocks, interval *quantity, usual uint64) error {
	n, apart := uint64(1), usual
	if blocks != nil {
		if !blocks.IsUint64() {
			return invalidParams("the number of blocks is too large")
		}
		n = blocks.Uint64()
	}
	if interval != nil {
		if !interval.IsUint64() {
			return invalidParams("the interval is too long")
		}
		apart = interval.Uint64()
	}
	about := requestOf(ctx)
	about.idle()
	defer about.waiting(ctx)()
	return d.chain.Mine(ctx, n, apart)
}

func (d *developer) reset(ctx context.Context, options *resetOptions) error {
	if options != nil && options.Forking != nil {
		return invalidParams("there is no forking of other networks here: reset without it goes back to block 0")
	}
	return d.alone(ctx, d.chain.Reset)
}

// resetOptions are those of hardhat_reset.
type resetOptions struct {
	Forking *struct {
		JSONRPCURL string `json:"jsonRpcUrl"`
	} `json:"forking"`
}

func (d *developer) drop(hash common.Hash) bool { return d.s.cfg.Pool.Take(hash, time.Now()) }

// impersonate answers who wants to send as somebody else: a transaction of this chain is what its sender signed, on
// development chains too.
func impersonate() error {
	return &codedError{codeUnsupported, "accounts cannot be impersonated here: every transaction is signed by its sender. " +
		"To look at what a call from another account gives, use eth_call with from; to prepare a state, use anvil_setBalance, anvil_setStorageAt and anvil_setCode"}
}

// automine answers a request to turn automatic mining on or off.
func automine(on bool) error {
	if on {
		return nil
	}
	return &codedError{codeUnsupported, "automine is always on: a transaction is executed as soon as it is there. " +
		"To let several share a block, send them at once"}
}

// codeUnsupported is that of methods which exist and cannot do what is asked (EIP-1474).
const codeUnsupported = -32004

// quantity is a number of up to 256 bits: a JSON number, or a string in hex, with any number of digits, or in
// decimal.
type quantity struct{ uint256.Int }

// maxDigits is more than a number of 256 bits has in decimal.
const maxDigits = 80

// UnmarshalJSON implements [json.Unmarshaler].
func (q *quantity) UnmarshalJSON(b []byte) error {
	text := string(b)
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	digits, base := text, 10
	if strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X") {
		digits, base = text[2:], 16
	}
	v, ok := new(big.Int).SetString(digits, base)
	if !ok || strings.ContainsAny(digits, "+-") || len(digits) > maxDigits || q.SetFromBig(v) {
		return fmt.Errorf("%.100s is not a number from 0 to 2^256-1, in decimal or 0x-hex", b)
	}
	return nil
}
