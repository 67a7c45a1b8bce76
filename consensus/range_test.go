package consensus_test

import (
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// chain makes n final blocks, one a view.
func chain(r *rig, n uint64) []*consensus.Proposal {
	var list []*consensus.Proposal
	var parent *consensus.Proposal
	for v := uint64(1); v <= n; v++ {
		parent = r.block(v, parent, nil)
		list = append(list, parent)
	}
	return list
}

// slice answers a range request from the chain, its last block proven by
// itself.
func slice(r *rig, blocks []*consensus.Proposal, from, count uint64) *consensus.BlockResponse {
	m := new(consensus.BlockResponse)
	for h := from; h < from+count && h <= uint64(len(blocks)); h++ {
		m.Blocks = append(m.Blocks, &blocks[h-1].Block)
	}
	last := blocks[from+uint64(len(m.Blocks))-2]
	m.Finalization = r.cert(consensus.Finalize, last.Block.Header.View, last.Hash(), 0, 1, 2)
	return m
}

// asked returns the newest range request and whom it went to.
func (r *rig) asked() (peer int, m *consensus.BlockRequest) {
	for _, s := range r.sent {
		if req, ok := s.Message.(*consensus.BlockRequest); ok && req.Hash == (common.Hash{}) {
			peer, m = s.To, req
		}
	}
	return peer, m
}

// incident 16: peers lie to one that catches up.
func TestIncident16_catchUpWithLyingPeers(t *testing.T) {
	for name, lie := range map[string]func(r *rig, blocks []*consensus.Proposal, req *consensus.BlockRequest) *consensus.BlockResponse{
		"claims without blocks": func(*rig, []*consensus.Proposal, *consensus.BlockRequest) *consensus.BlockResponse { return nil },
		"empty answers": func(*rig, []*consensus.Proposal, *consensus.BlockRequest) *consensus.BlockResponse {
			return &consensus.BlockResponse{}
		},
		"blocks not asked for": func(r *rig, blocks []*consensus.Proposal, req *consensus.BlockRequest) *consensus.BlockResponse {
			return slice(r, blocks, req.From+3, 4)
		},
		"old blocks": func(r *rig, blocks []*consensus.Proposal, _ *consensus.BlockRequest) *consensus.BlockResponse {
			return slice(r, blocks, 1, 1)
		},
		"one block a time": func(r *rig, blocks []*consensus.Proposal, req *consensus.BlockRequest) *consensus.BlockResponse {
			return slice(r, blocks, req.From, 1)
		},
		"more than asked for": func(r *rig, blocks []*consensus.Proposal, req *consensus.BlockRequest) *consensus.BlockResponse {
			return slice(r, blocks, req.From, 300)
		},
		"data that does not fit": func(r *rig, blocks []*consensus.Proposal, req *consensus.BlockRequest) *consensus.BlockResponse {
			m := slice(r, blocks, req.From, req.Count)
			for i, b := range m.Blocks {
				spoilt := *b
				spoilt.Data = []byte("bad")
				m.Blocks[i] = &spoilt
			}
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 4, 3, 1, 0)
			r.judge = func(j consensus.JudgeRequest) consensus.Verdict {
				if len(j.Block.Data) != 0 {
					return consensus.Missing
				}
				return consensus.Valid
			}
			blocks := chain(r, 400)
			begin := r.now
			for range 400 {
				for i, claim := range []uint64{1 << 60, 400, 400} {
					r.receive(i, &consensus.Status{View: 401, FinHeight: claim, FinView: 400, FinHash: blocks[399].Hash()})
				}
				if peer, req := r.asked(); req != nil {
					r.sent = nil
					var m *consensus.BlockResponse
					if peer == 0 {
						m = lie(r, blocks, req)
					} else {
						m = slice(r, blocks, req.From, req.Count)
					}
					if m != nil {
						r.receive(peer, m)
					}
				}
				r.step(consensus.Executed{Tip: r.core.Snapshot().Final})
				if len(r.final) == 400 || r.fault != "" {
					break
				}
				r.pass(20 * time.Millisecond)
			}
			for i, f := range r.final {
				if f.Hash != blocks[i].Hash() {
					t.Fatalf("delivered %s at height %d", f.Hash, i+1)
				}
			}
			if len(r.final) != 400 || r.fault != "" {
				t.Fatalf("delivered %d of 400 blocks, fault %q", len(r.final), r.fault)
			}
			if took := r.now - begin; took > 7*time.Second {
				t.Errorf("caught up after %v with two of three peers honest", took)
			}
		})
	}
}

// A range of another chain needs another quorum's signatures; one that proves
// a block which does not extend the tip is refused.
func TestIncident16_catchUpOnAnotherChain(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	blocks := chain(r, 20)
	other := r.block(9, nil, nil)
	r.receive(1, &consensus.Status{View: 21, FinHeight: 20, FinView: 20})
	r.pass(time.Second)
	m := &consensus.BlockResponse{Blocks: []*consensus.Block{&other.Block}, Finalization: r.cert(consensus.Finalize, 9, other.Hash(), 0)}
	if err := r.try(1, m); err == nil {
		t.Error("a chain that one validator finalized was accepted")
	}
	r.receive(1, slice(r, blocks, 5, 3))
	if len(r.final) != 0 {
		t.Error("delivered blocks that do not follow the tip")
	}
	r.receive(2, slice(r, blocks, 1, 20))
	if len(r.final) != 20 {
		t.Errorf("delivered %d of 20 blocks", len(r.final))
	}
}

// The last block of a range is final through headers that follow it.
func TestCatchUp_rangeProvenByHeaders(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	blocks := chain(r, 6)
	m := slice(r, blocks, 1, 6)
	for _, b := range m.Blocks[4:] {
		m.Headers = append(m.Headers, &b.Header)
	}
	m.Blocks = m.Blocks[:4]
	r.receive(1, m)
	if len(r.final) != 4 {
		t.Fatalf("delivered %d of 4 blocks", len(r.final))
	}
	for i, f := range r.final {
		if f.Finalization != nil {
			t.Errorf("block %d is delivered with the proof of another", i+1)
		}
	}
	r.receive(1, slice(r, blocks, 5, 2))
	if len(r.final) != 6 || r.final[5].Finalization == nil {
		t.Errorf("delivered %d of 6 blocks", len(r.final))
	}
}

// incident 17: what a range brings and what arrives live is delivered once.
func TestIncident17_rangeAndLive_deliverOnce(t *testing.T) {
	r := newRig(t, 4, -1, 1, 0)
	blocks := chain(r, 30)
	for i, p := range blocks {
		v := uint64(i + 1)
		r.receive(1, p)
		r.receive(1, r.cert(consensus.Notarize, v, p.Hash(), 0, 1, 2))
		if i%3 == 0 {
			r.receive(1, r.cert(consensus.Finalize, v, p.Hash(), 0, 1, 2))
		}
		if i%7 == 0 {
			r.receive(2, slice(r, blocks, max(v, 6)-5, 12))
			r.receive(0, slice(r, blocks, 1, v+1))
		}
	}
	for i, f := range r.final {
		if f.Block.Header.Height != uint64(i+1) || f.Hash != blocks[i].Hash() {
			t.Fatalf("delivery %d is height %d", i+1, f.Block.Header.Height)
		}
	}
	if len(r.final) < 28 {
		t.Errorf("delivered %d blocks", len(r.final))
	}
}

// A replica whose blocks always arrive after the next finalization commits
// nevertheless.
func TestCommit_whenBlocksTrailFinalizations(t *testing.T) {
	r := newRig(t, 4, -1, 1, 0)
	blocks := chain(r, 50)
	for i, p := range blocks {
		r.receive(1, r.cert(consensus.Finalize, uint64(i+1), p.Hash(), 0, 1, 2))
		if i >= 2 {
			r.receive(1, blocks[i-2])
		}
	}
	if len(r.final) != 48 {
		t.Errorf("delivered %d of the 48 blocks at hand", len(r.final))
	}
}

// A replica far behind does not keep every live block until it has caught up.
func TestCatchUp_liveBlocksMeanwhile_areBounded(t *testing.T) {
	r := newRig(t, 4, -1, 1, 0)
	blocks := chain(r, 9_000)
	for i := 100; i < len(blocks); i++ {
		v := uint64(i + 1)
		r.receive(1, blocks[i])
		r.receive(1, r.cert(consensus.Notarize, v, blocks[i].Hash(), 0, 1, 2))
		r.receive(1, r.cert(consensus.Finalize, v, blocks[i].Hash(), 0, 1, 2))
	}
	if views, n, _, _ := r.core.Sizes(); n > 2100 || views > 8300 {
		t.Fatalf("%d blocks and %d views in memory", n, views)
	}
	for from := uint64(1); from <= 9_000; from += 200 {
		r.receive(2, slice(r, blocks, from, 200))
	}
	if len(r.final) != 9_000 || r.fault != "" {
		t.Errorf("delivered %d of 9000 blocks, fault %q", len(r.final), r.fault)
	}
}

// One peer cannot make a replica send without end.
func TestBlockRequests_ofOnePeer_areLimited(t *testing.T) {
	r := newRig(t, 4, 3, 1, 0)
	p := r.block(1, nil, func(b *consensus.Block) { b.Data = make([]byte, 60_000) })
	r.receive(0, p)
	commitViews(r, 2, 3, p)
	r.sent, r.serve = nil, nil
	for range 1000 {
		r.receive(1, &consensus.BlockRequest{Hash: p.Hash()})
		r.receive(1, &consensus.BlockRequest{From: 1, Count: 1 << 40})
	}
	bytes := 0
	for _, s := range r.sent {
		if s.Lane == consensus.LaneSync {
			bytes += len(consensus.EncodeMessage(s.Message))
		}
	}
	if bytes+len(r.serve)*r.cfg.MaxBlockBytes > 20*r.cfg.MaxBlockBytes {
		t.Errorf("%d bytes and %d ranges at once", bytes, len(r.serve))
	}
	for _, q := range r.serve {
		if q.Count > 512 {
			t.Errorf("a range of %d blocks", q.Count)
		}
	}
	r.serve = nil
	r.pass(time.Second)
	r.receive(1, &consensus.BlockRequest{From: 1, Count: 8})
	if len(r.serve) != 1 {
		t.Error("not served again a second later")
	}
}
