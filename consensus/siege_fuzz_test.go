package consensus_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// chaotic feeds one replica inputs that bytes choose, all of them verified but
// otherwise arbitrary: two blocks per view and parent, votes and certificates
// for any of them, answers nobody asked for, verdicts, time, restarts. A quorum
// that contradicts itself may make it stop with a fault; nothing may make it
// panic, sign two votes that exclude each other, deliver a height twice or
// out of order, or remember without bound.
func chaotic(t *testing.T, data []byte) {
	next := func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	}
	shape := [][2]uint64{{1, 0}, {2, 1}, {3, 0}, {16, 4}}[next(4)]
	r := newRig(t, 4, 3, shape[0], shape[1])
	r.build = next(2) == 0
	verdicts := []consensus.Verdict{consensus.Valid, consensus.Valid, consensus.Valid, consensus.Invalid, consensus.Missing, 0}
	r.judge = func(consensus.JudgeRequest) consensus.Verdict { return verdicts[next(len(verdicts))] }
	known := map[uint64][]*consensus.Proposal{}
	pick := func(v uint64) *consensus.Proposal {
		if list := known[v]; len(list) > 0 && next(4) > 0 {
			return list[next(len(list))]
		}
		var parent *consensus.Proposal
		back := uint64(1 + next(3)*next(2))
		if v > back {
			if list := known[v-back]; len(list) > 0 {
				parent = list[next(len(list))]
			}
		}
		kind := next(8)
		p := r.block(v, parent, func(b *consensus.Block) {
			switch kind {
			case 0:
				b.Data = make([]byte, next(2)<<16)
			case 1:
				b.Header.TimeMs += 1 << next(63)
			case 2:
				b.Header.ParentView = b.Header.View + uint64(next(3))
			case 3:
				b.Header.ParentHash[0]++
			}
		})
		if len(known[v]) < 3 {
			known[v] = append(known[v], p)
		}
		return p
	}
	kinds := []consensus.Kind{consensus.Notarize, consensus.Nullify, consensus.Finalize}
	var votes []consensus.Vote
	for range 300 {
		if len(data) == 0 || r.fault != "" {
			break
		}
		view := r.core.Snapshot().View
		v := max(view+uint64(next(6)), 3) - 2
		from := next(4)
		if from == 3 {
			from = 0
		}
		kind := kinds[next(3)]
		hash := common.Hash{}
		if kind != consensus.Nullify {
			hash = pick(v).Hash()
		}
		switch next(14) {
		case 0, 1, 2:
			if p := pick(v); p.LeaderVote.Signer != 3 {
				q := &consensus.Proposal{Block: p.Block, LeaderVote: p.LeaderVote}
				if next(2) == 0 {
					q.Justify.Nullifications = []*consensus.Cert{r.cert(consensus.Nullify, max(v, 2)-1, common.Hash{}, 0, 1, 2)}
				}
				r.receive(from, q)
			}
		case 3, 4, 5:
			r.receive(from, r.vote(kind, v, hash, next(3)))
		case 6, 7:
			r.receive(from, r.cert(kind, v, hash, 0, 1, 2))
		case 8:
			r.receive(from, &consensus.BlockResponse{Proposals: []*consensus.Proposal{pick(v)}})
		case 9:
			p := pick(v)
			r.receive(from, &consensus.BlockResponse{Blocks: []*consensus.Block{&p.Block}, Finalization: r.cert(consensus.Finalize, v, p.Hash(), 0, 1, 2)})
		case 10:
			r.receive(from, &consensus.Status{View: v, FinHeight: uint64(next(20)), FinView: v - 1, Observer: next(2) == 0})
			r.receive(from, &consensus.CertRequest{From: v, To: v + uint64(next(200))})
			r.receive(from, &consensus.BlockRequest{Hash: hash, From: uint64(next(4)), Count: uint64(next(255))})
		case 11:
			r.pass(time.Duration(next(200)) * 10 * time.Millisecond)
		case 12:
			r.step(consensus.Demand{AtUnixMs: uint64(next(3)) * (wallStart + 5000)})
			r.step(consensus.Executed{Tip: r.core.Snapshot().Final})
			r.step(consensus.PeerDown{Peer: from})
			r.step(consensus.Stale{From: from, View: uint64(next(10))})
			for _, list := range known {
				if len(list) > 0 && list[0].Block.Header.View == v {
					r.step(consensus.Judged{Hash: list[0].Hash(), Verdict: verdicts[next(5)]})
				}
			}
		case 13:
			votes = append(votes, r.sentVotes()...)
			r.cfg.Tip = r.core.Snapshot().Final
			r.restart(r.log)
		}
	}
	noConflicts(t, r.cfg.Schedule(), append(votes, r.sentVotes()...))
	for i := 1; i < len(r.final); i++ {
		if r.final[i].Block.Header.Height != r.final[i-1].Block.Header.Height+1 || r.final[i].Block.Header.ParentHash != r.final[i-1].Hash {
			t.Fatalf("delivered height %d after %d", r.final[i].Block.Header.Height, r.final[i-1].Block.Header.Height)
		}
	}
	if views, blocks, fetches, own := r.core.Sizes(); views > 1300 || blocks > 1300 || fetches > 64 || own > 2500 {
		t.Fatalf("%d views, %d blocks, %d fetches, %d own votes after 300 inputs", views, blocks, fetches, own)
	}
}

func FuzzCore_Step_lyingQuorum(f *testing.F) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 5))
		data := make([]byte, 1500)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			data = data[:4096]
		}
		chaotic(t, data)
	})
}
