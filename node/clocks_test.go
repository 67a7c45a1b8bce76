package node_test

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/node"
	"github.com/tercet-chain/tercet/p2p"
)

// pair is two nodes that compare clocks; what they send is kept.
type pair struct {
	nodes [2]*node.Clocks
	sent  [2][][]byte // by who sent it
}

func newPair(walls [2]func() time.Time) *pair {
	p := &pair{}
	for i := range p.nodes {
		p.nodes[i] = node.NewClocks(2, walls[i], func(to int, _ consensus.Lane, frame []byte) {
			if to != 1-i {
				panic("a frame for oneself")
			}
			p.sent[i] = append(p.sent[i], frame)
		})
	}
	return p
}

// take returns the only frame that a node sent.
func (p *pair) take(t *testing.T, from int) []byte {
	t.Helper()
	if len(p.sent[from]) != 1 {
		t.Fatalf("node %d sent %d frames, want 1", from, len(p.sent[from]))
	}
	frame := p.sent[from][0]
	p.sent[from] = nil
	return frame
}

func TestClocks_exchange(t *testing.T) {
	ahead := func() time.Time { return time.Now().Add(30 * time.Second) }
	p := newPair([2]func() time.Time{time.Now, ahead})
	p.nodes[0].Peer(1, true)
	ask := p.take(t, 0)
	if err := p.nodes[1].Receive(0, ask); err != nil {
		t.Fatal(err)
	}
	tell := p.take(t, 1)
	early := append([]byte(nil), tell...)
	early[1] ^= 1 // of another question
	if err := p.nodes[0].Receive(1, early); !errors.Is(err, p2p.ErrIgnore) {
		t.Errorf("an answer to no question: %v", err)
	}
	if err := p.nodes[0].Receive(1, tell); err != nil {
		t.Fatal(err)
	}
	if err := p.nodes[0].Receive(1, tell); !errors.Is(err, p2p.ErrIgnore) {
		t.Errorf("an answer that comes again: %v", err)
	}
	if err := p.nodes[1].Receive(0, ask); !errors.Is(err, p2p.ErrIgnore) || len(p.sent[1]) > 0 {
		t.Errorf("asked again at once: %v, %d answers", err, len(p.sent[1]))
	}
	known := p.nodes[0].Known([]string{"a", "b"})
	if len(known) != 1 || known[0].Peer != "b" || known[0].Offset < 29*time.Second || known[0].Offset > 31*time.Second || known[0].Error > time.Second {
		t.Errorf("known: %+v", known)
	}
	p.nodes[0].Peer(1, false)
	if known := p.nodes[0].Known([]string{"a", "b"}); len(known) != 0 || len(p.sent[0]) != 0 {
		t.Errorf("of a peer that is gone: %+v, %d questions", known, len(p.sent[0]))
	}
}

func TestClocks_golden(t *testing.T) {
	p := newPair([2]func() time.Time{time.Now, func() time.Time { return time.UnixMicro(0x0102030405) }})
	ask, _ := hex.DecodeString("50" + "1122334455667788")
	if err := p.nodes[1].Receive(0, ask); err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(p.take(t, 1)), "51"+"1122334455667788"+"0000000102030405"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzClocks_Receive: whatever a peer sends is used, ignored, or its fault.
func FuzzClocks_Receive(f *testing.F) {
	for _, seed := range []string{"", "50", "501122334455667788", "5111223344556677880000000102030405", "511122334455667788ffffffffffffffff", "52"} {
		raw, _ := hex.DecodeString(seed)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p := newPair([2]func() time.Time{time.Now, time.Now})
		p.nodes[0].Peer(1, true)
		err := p.nodes[0].Receive(1, frame)
		if err != nil && !errors.Is(err, p2p.ErrInvalid) && !errors.Is(err, p2p.ErrIgnore) {
			t.Errorf("%x: %v", frame, err)
		}
		if len(frame) != 9 && len(frame) != 17 && !errors.Is(err, p2p.ErrInvalid) {
			t.Errorf("%x is accepted", frame)
		}
	})
}
