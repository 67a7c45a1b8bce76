package exec_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// tracer records everything.
func tracer() *exec.Tracer {
	return &exec.Tracer{Budget: &exec.TraceBudget{Left: 64 << 20}, Logs: true}
}

// trace calls a puppet and returns the trace.
func (c *chain) trace(m *exec.Message) (*exec.TraceFrame, *exec.CallResult) {
	c.t.Helper()
	t := tracer()
	m.Tracer = t
	res := c.call(m)
	return t.Root(), res
}

// outline is a trace in a line: kind, recipient's first byte, value, outcome, logs and their positions, calls.
func outline(f *exec.TraceFrame) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %x>%x", f.Kind, f.From[0], f.To[0])
	if !f.Value.IsZero() {
		fmt.Fprintf(&b, " %s", f.Value.Dec())
	}
	if f.Outcome != vm.Success {
		fmt.Fprintf(&b, " !%d", f.Outcome)
	}
	for _, l := range f.Logs {
		fmt.Fprintf(&b, " %s@%d#%d", l.Data, l.Position, l.Index)
	}
	for _, c := range f.Calls {
		fmt.Fprintf(&b, " (%s)", outline(c))
	}
	return b.String()
}

func TestTracer_frames(t *testing.T) {
	_, from := testKey(t, 0)
	me := fmt.Sprintf("%x", from[0])
	hash := common.BytesToAddress([]byte{2})
	for _, tt := range []struct {
		name  string
		to    *common.Address
		value uint64
		data  []byte
		want  string
	}{
		{"transfer", &nobody, 5, nil, "CALL ME>99 5"},
		{"the chain's own contract", &hash, 0, []byte("abc"), "CALL ME>0"},
		{"call", &puppetA, 7, script{}.log("a").call(puppetB, 3, allGas, script{}.log("b")).log("c"), "CALL ME>aa 7 a@0#0 c@1#2 (CALL aa>bb 3 b@0#1)"},
		{"static call", &puppetA, 0, script{}.static(puppetB, allGas, script{}.load(1)), "CALL ME>aa (STATICCALL aa>bb)"},
		{"write in a static call", &puppetA, 0, script{}.static(puppetB, 100_000, script{}.store(1, 1)), "CALL ME>aa (STATICCALL aa>bb !3)"},
		{"delegate call", &puppetA, 7, script{}.delegate(puppetB, allGas, script{}.log("b")), "CALL ME>aa 7 (DELEGATECALL aa>bb 7 b@0#0)"},
		{"precompile and nobody", &puppetA, 0, script{}.call(hash, 0, allGas, nil).call(nobody, 1, allGas, nil), "CALL ME>aa (CALL aa>0) (CALL aa>99 1)"},
		{"failed precompile", &puppetA, 0, script{}.call(common.BytesToAddress([]byte{9}), 0, 1000, nil), "CALL ME>aa (CALL aa>0 !3)"},
		{
			"undone logs", &puppetA, 0, script{}.log("a").call(puppetB, 0, allGas, script{}.log("b").call(puppetA, 0, allGas, script{}.log("c")).revert()).log("d"),
			"CALL ME>aa a@0#0 d@1#1 (CALL aa>bb !1 (CALL bb>aa))",
		},
		{"all is undone", &puppetA, 0, script{}.log("a").call(puppetB, 0, allGas, script{}.log("b")).revert(), "CALL ME>aa !1 (CALL aa>bb)"},
		{"no balance", &puppetA, 0, script{}.call(puppetB, 5000, allGas, nil), "CALL ME>aa (CALL aa>bb 5000 !5)"},
		{"out of gas", &puppetA, 0, script{}.call(puppetB, 0, 30_000, script{}.burn()), "CALL ME>aa (CALL aa>bb !2)"},
		{"trap", &puppetA, 0, script{}.trap(), "CALL ME>aa !3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := puppets(t)
			m := c.message(tt.to, tt.value, tt.data)
			plain := c.call(m)
			root, res := c.trace(m)
			if !reflect.DeepEqual(plain, res) {
				t.Errorf("without a tracer %+v, with one %+v", plain, res)
			}
			if got, want := outline(root), strings.ReplaceAll(tt.want, "ME", me); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if root.Gas != m.Gas || root.GasUsed != res.GasUsed || string(root.Input) != string(tt.data) || string(root.Output) != string(res.Output) && res.Outcome != vm.Trapped {
				t.Errorf("%+v is of %+v", root, res)
			}
			if root.Calls != nil {
				if f := root.Calls[0]; f.GasUsed > f.Gas || f.Gas == 0 || f.GasUsed == 0 && f.Outcome != vm.NoBalance && len(f.Input) > 0 {
					t.Errorf("nested %+v", f)
				}
			}
		})
	}
}

func TestTracer_creations(t *testing.T) {
	c := puppets(t)
	_, from := testKey(t, 0)
	code, _, err := vm.ParseCreation(packed(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	root, res := c.trace(c.message(nil, 3, packed(t, script{}.log("new"))))
	if root.Kind != exec.FrameCreate || root.To != crypto.CreateAddress(from, 0) || root.To != res.Created ||
		string(root.Output) != string(code) || string(root.Input) != string(packed(t, script{}.log("new"))) || len(root.Logs) != 1 {
		t.Errorf("creation %s to %s, %d bytes", outline(root), root.To, len(root.Output))
	}
	root, _ = c.trace(c.message(nil, 0, []byte{0x60, 0x80}))
	if root.Outcome != vm.Revert || root.To != crypto.CreateAddress(from, 0) || len(root.Output) == 0 {
		t.Errorf("EVM bytecode: %+v", root)
	}
	both := script{}.create(1, packed(t, nil)).create2(2, 5, packed(t, nil)).create2(2, 5, packed(t, nil))
	root, _ = c.trace(c.message(&puppetA, 0, both))
	second := crypto.CreateAddress2(puppetA, word(5), crypto.Keccak256(packed(t, nil)))
	if len(root.Calls) != 3 || root.Calls[0].Kind != exec.FrameCreate || root.Calls[0].To != crypto.CreateAddress(puppetA, 1) {
		t.Fatalf("%s", outline(root))
	}
	if f := root.Calls[1]; f.Kind != exec.FrameCreate2 || f.To != second || f.From != puppetA || f.Value != wei(2) || f.Collision || string(f.Output) != string(code) {
		t.Errorf("%+v", f)
	}
	if f := root.Calls[2]; !f.Collision || f.Outcome != vm.Trapped || f.GasUsed != f.Gas {
		t.Errorf("a second time: %s", outline(f))
	}
}

func TestTracer_topOnly(t *testing.T) {
	c := puppets(t)
	m := c.message(&puppetA, 0, script{}.log("a").call(puppetB, 0, allGas, script{}.log("b").call(puppetA, 0, allGas, nil)).log("c"))
	m.Tracer = &exec.Tracer{Budget: &exec.TraceBudget{Left: 1 << 20}, TopOnly: true, Logs: true}
	res := c.call(m)
	if root := m.Tracer.Root(); len(root.Calls) != 0 || len(root.Logs) != 2 || root.GasUsed != res.GasUsed || root.Logs[1].Index != 2 {
		t.Errorf("%s", outline(root))
	}
}

// TestTracer_whenTooLarge ends what records more than its budget, whatever it is that is too much.
func TestTracer_whenTooLarge(t *testing.T) {
	storm := script{}
	for range 100 {
		storm = storm.call(nobody, 0, 0, nil)
	}
	flood := script{}
	for range 100 {
		flood = flood.log(strings.Repeat("x", 100), 1, 2)
	}
	for name, data := range map[string]script{
		"calls": storm, "logs": flood, "output": script{}.output(strings.Repeat("x", 10_000)),
		"input": append(script{}.exit(0), make([]byte, 10_000)...), "recursion": script{}.recurse(),
	} {
		t.Run(name, func(t *testing.T) {
			c := puppets(t)
			m := c.message(&puppetA, 0, data)
			budget := &exec.TraceBudget{Left: 8 << 10}
			m.Tracer = &exec.Tracer{Budget: budget, Logs: true}
			if _, err := exec.Call(t.Context(), c.worker, exec.BlockOf(c.genesis, c.parent), m, c); !errors.Is(err, exec.ErrTraceTooLarge) || budget.Left < 0 {
				t.Errorf("%v, %d left", err, budget.Left)
			}
			m.Tracer = nil
			if res := c.call(m); res.Outcome != vm.Success {
				t.Errorf("the worker is broken: %+v", res.Outcome)
			}
		})
	}
}

// TestTracer_deepest records a recursion to the last frame that there may be.
func TestTracer_deepest(t *testing.T) {
	c := puppets(t)
	m := c.message(&puppetA, 0, script{}.recurse())
	m.Gas = 1 << 40
	root, res := c.trace(m)
	got := (&answer{t, res.Output}).number(4)
	depth, last := uint64(1), root
	for len(last.Calls) > 0 {
		depth, last = depth+1, last.Calls[0]
	}
	if depth != got+1 || last.Outcome != vm.TooDeep || last.GasUsed != 0 {
		t.Errorf("the trace is %d deep and ends with %s, the contract says %d", depth, outline(last), got)
	}
}

// TestReplay executes blocks again: with drops, codes that the block itself creates, and what an earlier
// transaction made warm or changed.
func TestReplay(t *testing.T) {
	c := puppets(t)
	key, from := testKey(t, 0)
	other, _ := testKey(t, 1)
	before := c.clone()
	at := crypto.CreateAddress(from, 0)
	tx := func(nonce uint64, to common.Address, data []byte) *ledger.Transaction {
		return sign(t, c.genesis, key, &types.LegacyTx{Nonce: nonce, To: &to, Gas: 1_000_000, Data: data})
	}
	txs := []*ledger.Transaction{
		c.sign(0, nil, 5, 10_000_000, packed(t, script{}.store(1, 1))),
		sign(t, c.genesis, key, &types.LegacyTx{Nonce: 9, To: &nobody, Gas: 21_000}), // dropped
		tx(1, at, script{}.store(1, 7).log("hello", 5)),
		sign(t, c.genesis, other, &types.LegacyTx{Nonce: 0, To: &nobody, Gas: 21_000, Value: big.NewInt(3)}),
		sign(t, c.genesis, other, &types.LegacyTx{Nonce: 0, To: &nobody, Gas: 21_000}), // dropped
		tx(2, puppetA, script{}.create(0, packed(t, script{}.store(2, 2))).call(at, 0, allGas, script{}.load(1).log("deep"))),
		tx(3, puppetA, script{}.store(5, 5).trap()),
		tx(4, nobody, nil),
	}
	res := c.block(txs...)
	if len(res.Receipts) != 6 || len(res.Drops) != 2 {
		t.Fatalf("%d receipts, %d drops", len(res.Receipts), len(res.Drops))
	}
	block := exec.BlockOf(c.genesis, c.parent)
	for last := range res.Transactions {
		var traced *exec.Tracer
		receipts, err := exec.Replay(t.Context(), c.worker, block, res.Transactions, last, before, func(i int) *exec.Tracer {
			if i != last {
				return nil
			}
			traced = tracer()
			return traced
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range receipts {
			want := res.Receipts[i]
			if r.GasUsed != want.GasUsed || r.Status != want.Status || r.CumulativeGasUsed != want.CumulativeGasUsed || r.Bloom != want.Bloom || len(r.Logs) != len(want.Logs) {
				t.Errorf("up to %d, receipt %d is %+v, want %+v", last, i, r, want)
			}
		}
		root, want := traced.Root(), res.Receipts[last]
		if root.GasUsed != want.GasUsed || (root.Outcome == vm.Success) != (want.Status == 1) || root.Gas != res.Transactions[last].Gas() {
			t.Errorf("frame %+v of %+v", root, want)
		}
		if last == 3 {
			if f := root.Calls[1]; f.To != at || len(f.Logs) != 1 || f.Logs[0].Index != 1 || common.Hash(f.Output) != word(7) {
				t.Errorf("%s", outline(root))
			}
		}
	}
	// What does not fit is not a block.
	if _, err := exec.Replay(t.Context(), c.worker, block, txs, 1, before, func(int) *exec.Tracer { return nil }); err == nil || !strings.Contains(err.Error(), "does not fit: nonce too high") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := exec.Replay(ctx, c.worker, block, res.Transactions, 5, before, func(int) *exec.Tracer { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
