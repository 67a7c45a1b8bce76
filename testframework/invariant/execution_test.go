package invariant_test

import (
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/testframework/invariant"
)

// ward is four nodes with their executors; validator 3 may lie, and Dmax is 2.
type ward struct{ *invariant.Execution }

func newWard() ward { return ward{invariant.NewExecution(newCourt().Committee, 4, 2)} }

// header is the result of a block, or with a twist another one.
func header(height uint64, twist byte) common.Hash { return common.Hash{byte(height), twist} }

func outcome(height uint64, twist byte) *ledger.ExecResult {
	return &ledger.ExecResult{Height: height, HeaderHash: header(height, twist)}
}

// execute has nodes execute the next block, which all find at a height.
func (w ward) execute(height uint64, twist byte, nodes ...int) (err error) {
	for _, n := range nodes {
		err = errors.Join(err, w.Executed(n, n != 3, header(height, twist)))
	}
	return err
}

// certificate has validators sign, and names some as signers.
func (w ward) certificate(height uint64, twist byte, signed []int, named byte) *ledger.ExecCert {
	for _, i := range signed {
		w.Signed(i, outcome(height, twist))
	}
	return &ledger.ExecCert{ExecResult: *outcome(height, twist), Bitmap: []byte{named}}
}

func TestExecution(t *testing.T) {
	three := []int{0, 1, 2}
	for _, tt := range []struct {
		name string
		do   func(w ward) error
		want string // the rule that is broken, "" for none
	}{
		{"as it should be", func(w ward) error {
			err := w.execute(1, 0, three...)
			return errors.Join(err, w.Said(0, outcome(1, 0)), w.Saw(0, w.certificate(1, 0, three, 0b0111)), w.Said(0, outcome(1, 0)))
		}, ""},
		{"correct nodes differ", func(w ward) error {
			return errors.Join(w.execute(1, 0, 0), w.execute(1, 1, 1))
		}, "execution"},
		{"a liar differs", func(w ward) error {
			return errors.Join(w.execute(1, 0, 0), w.execute(1, 1, 3))
		}, ""},
		{"a broken executor differs", func(w ward) error {
			w.Diverged(1, 1)
			return errors.Join(w.execute(1, 0, 0), w.execute(1, 1, 1), w.Said(1, outcome(1, 1)))
		}, ""},
		{"a vote for the result of another", func(w ward) error {
			return errors.Join(w.execute(1, 0, 0), w.Said(0, outcome(1, 1)))
		}, "execution"},
		{"a vote for what is not executed", func(w ward) error { return w.Said(0, outcome(1, 0)) }, "execution"},
		{"a certificate that two signed", func(w ward) error {
			return errors.Join(w.execute(1, 0, three...), w.Saw(0, w.certificate(1, 0, []int{0, 1}, 0b0111)))
		}, "execution"},
		{"a certificate that others signed", func(w ward) error {
			return errors.Join(w.execute(1, 0, three...), w.Saw(0, w.certificate(1, 0, three, 0b1011)))
		}, "execution"},
		{"a certificate of mixed results", func(w ward) error {
			w.certificate(1, 1, []int{2}, 0)
			return errors.Join(w.execute(1, 0, three...), w.Saw(0, w.certificate(1, 0, []int{0, 1}, 0b0111)))
		}, "execution"},
		{"a certificate of a wrong result", func(w ward) error {
			return errors.Join(w.execute(1, 0, 0), w.Saw(0, w.certificate(1, 1, three, 0b0111)))
		}, "execution"},
		{"a certificate ahead", func(w ward) error { return w.Saw(0, w.certificate(1, 0, three, 0b0111)) }, "execution"},
		{"a vote in quarantine", func(w ward) error {
			w.Diverged(2, 2)
			err := errors.Join(w.execute(1, 0, 0, 1), w.execute(1, 1, 2), w.Said(2, outcome(1, 1)))
			return errors.Join(err, w.Saw(2, w.certificate(1, 0, []int{0, 1, 3}, 0b1011)), w.Said(2, outcome(1, 1)))
		}, "execution"},
		{"a vote of the next process", func(w ward) error {
			w.Diverged(2, 2)
			err := errors.Join(w.execute(1, 0, 0, 1), w.execute(1, 1, 2))
			err = errors.Join(err, w.Saw(2, w.certificate(1, 0, []int{0, 1, 3}, 0b1011)))
			w.Started(2, 1)
			return errors.Join(err, w.Said(2, outcome(1, 1)))
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(newWard()); broken(err) != tt.want {
				t.Errorf("breaks %q, want %q: %v", broken(err), tt.want, err)
			}
		})
	}
}

func TestExecution_Ordered(t *testing.T) {
	for _, tt := range []struct {
		name      string
		watermark uint64 // of block 5, whose parent has 2
		cert      func(w ward) *ledger.ExecCert
		txs       int
		want      string
	}{
		{"the parent's", 2, nil, 0, ""},
		{"the parent's, with transactions", 2, nil, 1, "dmax"},
		{"higher", 3, func(w ward) *ledger.ExecCert { return w.certificate(3, 0, []int{0, 1, 2}, 0b0111) }, 1, ""},
		{"lower", 1, nil, 0, "dmax"},
		{"its own height", 5, func(w ward) *ledger.ExecCert { return w.certificate(5, 0, []int{0, 1, 2}, 0b0111) }, 0, "dmax"},
		{"higher without proof", 3, nil, 0, "dmax"},
		{"higher with the proof of another height", 4, func(w ward) *ledger.ExecCert { return w.certificate(3, 0, []int{0, 1, 2}, 0b0111) }, 0, "dmax"},
		{"higher with a made-up proof", 3, func(w ward) *ledger.ExecCert { return w.certificate(3, 0, []int{3}, 0b0111) }, 0, "dmax"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard()
			two := w.certificate(2, 0, []int{0, 1, 2}, 0b0111)
			for height, mark := range []uint64{0, 0, 0, 2} {
				if err := w.Ordered(uint64(height)+1, mark, map[uint64]*ledger.ExecCert{2: two}[mark], 0); err != nil {
					t.Fatal(err)
				}
			}
			var cert *ledger.ExecCert
			if tt.cert != nil {
				cert = tt.cert(w)
			}
			if err := w.Ordered(5, tt.watermark, cert, tt.txs); broken(err) != tt.want {
				t.Errorf("breaks %q, want %q: %v", broken(err), tt.want, err)
			}
		})
	}
}

func TestExecution_Spare_countsSoundExecutors(t *testing.T) {
	w := newWard() // three are able
	w.Diverged(3, 3)
	if w.Spare() != 0 {
		t.Error("a liar counts twice")
	}
	if w.Diverged(1, 1); w.Spare() != -1 {
		t.Error("two sound executors of four are enough")
	}
}
