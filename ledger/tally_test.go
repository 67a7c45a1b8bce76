package ledger_test

import (
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

// bench is a node with a [ledger.Tally] among four validators, three of whom are a quorum. Its blocks are
// 100 ms apart, so that every one is a checkpoint. Nothing here checks signatures: votes have none.
type bench struct {
	*ledger.Tally
	height uint64
}

func newBench() *bench { return &bench{Tally: ledger.NewTally(4, 3, 0, 0)} }

// outcome is what a correct execution of a block gives, or with a twist another one.
func outcome(height uint64, twist byte) ledger.ExecResult {
	return ledger.ExecResult{Height: height, HeaderHash: common.Hash{byte(height), twist}, TimeMs: 100 * height}
}

func (b *bench) execute(twist byte) {
	b.height++
	b.Executed(outcome(b.height, twist))
}

// vote counts one and returns what it completes.
func (b *bench) vote(height uint64, twist byte, signer uint16) *ledger.ExecCert {
	return b.Add(&ledger.ExecVote{ExecResult: outcome(height, twist), Signer: signer})
}

// toSign are the heights that the node signs.
func (b *bench) toSign() (heights []uint64) {
	for _, r := range b.ToSign() {
		heights = append(heights, r.Height)
	}
	return heights
}

func TestTally_Add_countsEachResultByItself(t *testing.T) {
	b := newBench()
	b.execute(0)
	for _, v := range []struct {
		signer uint16
		twist  byte
	}{{0, 0}, {0, 0}, {0, 1}, {1, 0}, {2, 1}} {
		if c := b.vote(1, v.twist, v.signer); c != nil {
			t.Fatalf("the vote of %d completes a certificate by %v", v.signer, c.Signers())
		}
	}
	c := b.vote(1, 0, 3)
	if c == nil || c.ExecResult != outcome(1, 0) || !slices.Equal(c.Signers(), []int{0, 1, 3}) {
		t.Errorf("three equal votes make %+v", c)
	}
}

func TestTally_Wants_withinTheWindow(t *testing.T) {
	b := newBench()
	for range 300 {
		b.execute(0)
	}
	b.Certify(60)
	for height, want := range map[uint64]bool{44: false, 60: false, 61: true, 300: true, 300 + ledger.ExecWindow: true, 301 + ledger.ExecWindow: false} {
		if got := b.Wants(&ledger.ExecVote{ExecResult: outcome(height, 0)}); got != want {
			t.Errorf("wants a vote of height %d: %t", height, got)
		}
		if got := b.WantsCert(height); got != want {
			t.Errorf("wants a certificate of height %d: %t", height, got)
		}
	}
	b.vote(200, 0, 1)
	for range ledger.ExecWindow {
		b.execute(0)
	}
	if b.Held() != 0 {
		t.Errorf("%d votes are held from below the window", b.Held())
	}
}

func TestTally_Learn_holdsWhatIsAhead(t *testing.T) {
	b := newBench()
	b.execute(0)
	if b.Learn(&ledger.ExecCert{ExecResult: outcome(3, 0)}) || b.Due() != nil {
		t.Error("a certificate of a block that is not executed is taken")
	}
	if got := b.toSign(); len(got) != 0 {
		t.Errorf("signs %v although a certificate covers it", got)
	}
	b.execute(0)
	b.execute(0)
	if c := b.Due(); c == nil || c.Height != 3 || b.Due() != nil {
		t.Errorf("due is %+v, want the certificate of 3 once", c)
	}
	b.Certify(3)
	if b.Learn(&ledger.ExecCert{ExecResult: outcome(2, 0)}) || b.Certified() != 3 {
		t.Error("a certificate below the certified height is taken")
	}
}

func TestTally_ToRepeat_theNewest(t *testing.T) {
	b := newBench()
	for range 6 {
		b.execute(0)
	}
	lacking, ok := b.Lacking()
	if got := b.ToRepeat(); !slices.Equal(got, []uint64{3, 4, 5, 6}) || !ok || lacking != 1 {
		t.Errorf("repeats %v and lacks %d", got, lacking)
	}
	b.Certify(6)
	if _, ok := b.Lacking(); ok || len(b.ToRepeat()) != 0 || len(b.toSign()) != 0 {
		t.Error("something is left after the newest is certified")
	}
}

// TestIncident18_divergentExecutor_isQuarantined gives a node a certificate that contradicts its own result:
// it signs nothing after that, neither anew nor again, and goes on counting the votes of others.
func TestIncident18_divergentExecutor_isQuarantined(t *testing.T) {
	b := newBench()
	b.execute(0)
	b.execute(7)
	own, cert := outcome(2, 7), &ledger.ExecCert{ExecResult: outcome(2, 0)}
	if got := b.toSign(); !slices.Equal(got, []uint64{1, 2}) || b.Quarantined() {
		t.Fatalf("signs %v before it knows", got)
	}
	if !b.Learn(cert) || b.Agrees(cert, &own) {
		t.Fatal("another result counts as the same")
	}
	b.execute(7)
	if got := b.toSign(); len(got) != 0 {
		t.Errorf("signs %v in quarantine", got)
	}
	if got := b.ToRepeat(); len(got) != 0 {
		t.Errorf("repeats %v in quarantine", got)
	}
	if d := b.Divergence(); d == nil || *d != (ledger.Divergence{Height: 2, Have: own, Certified: cert.ExecResult}) {
		t.Errorf("reports %+v", d)
	}
	later := outcome(3, 7)
	b.Agrees(&ledger.ExecCert{ExecResult: outcome(3, 0)}, &later)
	if b.Divergence().Height != 2 {
		t.Error("a later difference replaces the first one")
	}
	b.vote(3, 0, 1)
	b.vote(3, 0, 2)
	if c := b.vote(3, 0, 3); c == nil {
		t.Error("the votes of others no longer count")
	}
}
