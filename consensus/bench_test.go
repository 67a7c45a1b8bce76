package consensus_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/sig"
)

// BenchmarkCore_Step is a follower's share of one block in good times: a
// proposal, and a NOTARIZE and a FINALIZE of every other validator. Signatures
// cost next to nothing here.
func BenchmarkCore_Step(b *testing.B) {
	const views = 64
	for _, n := range []int{4, 16, 100} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			r := newRig(b, n, n-1, 16, 4)
			var inputs []consensus.Input
			add := func(from int, m consensus.Message) {
				decoded, err := consensus.DecodeMessage(consensus.EncodeMessage(m))
				if err != nil {
					b.Fatal(err)
				}
				v, err := r.v.Verify(decoded)
				if err != nil {
					b.Fatal(err)
				}
				inputs = append(inputs, consensus.Received{From: from, Message: v})
			}
			var parent *consensus.Proposal
			for v := uint64(1); v <= views; v++ {
				p := r.block(v, parent, nil)
				leader := r.cfg.Schedule().Leader(v)
				if leader == n-1 {
					continue // Views that the replica leads are skipped by those after it.
				}
				add(leader, p)
				for _, k := range []consensus.Kind{consensus.Notarize, consensus.Finalize} {
					for i := range n - 1 {
						add(i, r.vote(k, v, p.Hash(), i))
					}
				}
				parent = p
				if v == 48 && n == 4 {
					break
				}
			}
			b.ReportAllocs()
			blocks := 0
			for b.Loop() {
				core, err := consensus.New(r.cfg)
				if err != nil {
					b.Fatal(err)
				}
				now := consensus.Instant{Mono: 1, UnixMs: wallStart}
				core.Step(now, consensus.Start{})
				for _, in := range inputs {
					now.Mono += 10 * time.Microsecond
					out := core.Step(now, in)
					for len(out.Judge) > 0 {
						out = core.Step(now, consensus.Judged{Hash: out.Judge[0].Hash, Verdict: consensus.Valid})
					}
				}
				blocks += int(core.Snapshot().Final.Height)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(blocks), "ns/block")
		})
	}
}

// BenchmarkCore_Help is a moment in a view that does not end: every peer tells
// that it is behind and is sent what it may lack, real signatures among it.
func BenchmarkCore_Help(b *testing.B) {
	for _, n := range []int{4, 100} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			r := newRig(b, n, n-1, 16, 4)
			key, err := sig.ParseKeyBytes(binary.BigEndian.AppendUint64(make([]byte, 24), 7))
			if err != nil {
				b.Fatal(err)
			}
			list := []common.Address{key.Address()}
			for i := range n - 1 {
				list = append(list, r.cfg.Committee.Address(i))
			}
			if r.cfg.Committee, err = consensus.NewCommittee(list); err != nil {
				b.Fatal(err)
			}
			self, _ := r.cfg.Committee.Index(key.Address())
			r.cfg.Signer, r.v.Committee = key, r.cfg.Committee
			r.restart(nil)
			if self == 0 {
				b.Fatal("the replica leads the view that is to be stuck")
			}
			r.receive(0, r.block(1, nil, nil))
			r.pass(10 * r.cfg.Timing.Delta)
			behind, err := r.v.Verify(&consensus.Status{})
			if err != nil {
				b.Fatal(err)
			}
			now := consensus.Instant{Mono: r.now, UnixMs: wallStart}
			b.ReportAllocs()
			for b.Loop() {
				now.Mono += r.cfg.Timing.Delta / 4
				for i := range n {
					if i != self {
						r.core.Step(now, consensus.Received{From: i, Message: behind})
					}
				}
			}
		})
	}
}
