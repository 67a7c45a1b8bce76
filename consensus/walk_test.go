package consensus_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// walk is a random walk of honest votes over the rules, with everything else
// as bad as it can be: f validators vote for everything, any certificate that
// can exist is known to whoever is asked, leaders propose any block on any
// parent, and timers fire at any time. Agreement must hold on what the honest
// votes alone allow.
type walk struct {
	rng          *rand.Rand
	s            consensus.Schedule
	honest, need int // honest validators, and honest votes that make a certificate
	views        uint64
	mutant       string
	rules        []*consensus.Rules
	blocks       []walkBlock
	byView       map[uint64][]int
	notarized    map[int]int // honest votes by block
	finalized    map[int]int
	nullified    map[uint64]int
	did          map[deed]bool
	finals       int
}

// deed is one vote of one validator, for a view or a block.
type deed struct {
	who  int
	kind consensus.Kind
	what int
}

type walkBlock struct {
	header consensus.Header
	hash   common.Hash
	parent int // -1: genesis
}

func newWalk(seed uint64, n int, term, views uint64, mutant string) *walk {
	w := &walk{
		rng: rand.New(rand.NewPCG(seed, 3)), s: consensus.Schedule{Validators: n, Term: term}, views: views, mutant: mutant,
		honest: n - consensus.Faulty(n), need: consensus.Quorum(n) - consensus.Faulty(n), byView: map[uint64][]int{},
		notarized: map[int]int{}, finalized: map[int]int{}, nullified: map[uint64]int{}, did: map[deed]bool{},
	}
	for range w.honest {
		w.rules = append(w.rules, consensus.NewRules(w.s))
	}
	for v := uint64(1); v <= views; v++ {
		for range 1 + w.rng.IntN(3) {
			w.propose(v)
		}
	}
	return w
}

func (w *walk) propose(v uint64) {
	parent := -1
	if v == w.s.Start(v) {
		if k := len(w.blocks); k > 0 && w.rng.IntN(8) > 0 {
			if parent = k - 1 - w.rng.IntN(min(k, 6)); w.blocks[parent].header.View >= v {
				parent = -1
			}
		}
	} else {
		before := w.byView[v-1]
		if len(before) == 0 {
			return
		}
		parent = before[w.rng.IntN(len(before))]
	}
	b := walkBlock{parent: parent, header: consensus.Header{View: v, ParentHash: genesis, TimeMs: uint64(len(w.blocks))}}
	if parent >= 0 {
		b.header.ParentHash, b.header.ParentView = w.blocks[parent].hash, w.blocks[parent].header.View
	}
	b.hash = b.header.Hash()
	w.byView[v] = append(w.byView[v], len(w.blocks))
	w.blocks = append(w.blocks, b)
}

// knowledge is all that certificates can prove now. Evidence of a view is
// ambiguous for nobody: two notarized blocks of a view would be a violation.
func (w *walk) knowledge() consensus.Knowledge {
	k := consensus.Knowledge{FinalHash: genesis, Notarized: map[uint64]common.Hash{}}
	for i, top := range slices.Backward(w.blocks) {
		if w.notarized[i] < w.need {
			continue
		}
		for at := i; at >= 0 && w.s.TermOf(w.blocks[at].header.View) == w.s.TermOf(top.header.View); at = w.blocks[at].parent {
			if _, known := k.Notarized[w.blocks[at].header.View]; !known {
				k.Notarized[w.blocks[at].header.View] = w.blocks[at].hash
			}
		}
	}
	k.Covered = func(x uint64) bool {
		for u := w.s.Start(x); u <= x; u++ {
			if w.nullified[u] >= w.need {
				return true
			}
		}
		return w.mutant == "no skip certificate"
	}
	return k
}

func (w *walk) mayNotarize(i int, b *walkBlock, k consensus.Knowledge) bool {
	switch w.mutant {
	case "no parent certificate":
		if b.parent >= 0 && b.header.View == w.s.Start(b.header.View) {
			k.Notarized[b.header.ParentView] = b.header.ParentHash
		}
	case "no parent evidence":
		if b.header.View != w.s.Start(b.header.View) {
			k.Notarized[b.header.ParentView] = b.header.ParentHash
		}
	case "double vote":
		fresh := consensus.NewRules(w.s)
		return fresh.MayNotarize(&b.header, k)
	}
	return w.rules[i].MayNotarize(&b.header, k)
}

// step lets one honest validator do one thing that its rules allow; it reports
// whether it found one.
func (w *walk) step(nullify int) bool {
	k := w.knowledge()
	for range 200 {
		i := w.rng.IntN(w.honest)
		r := w.rules[i]
		switch w.rng.IntN(10) {
		case 0, 1:
			u := 1 + w.rng.Uint64N(w.views)
			if w.rng.IntN(10) >= nullify {
				continue
			}
			if (r.MayNullify(u) || w.mutant == "nullify after finalize") && w.first(i, consensus.Nullify, int(u)) {
				r.Nullified(u)
				w.nullified[u]++
				return true
			}
		case 2, 3, 4:
			b := w.rng.IntN(len(w.blocks))
			v := w.blocks[b].header.View
			if k.Notarized[v] == w.blocks[b].hash && w.notarized[b] >= w.need && (r.MayFinalize(v) || w.ungated(i, v)) && w.first(i, consensus.Finalize, b) {
				r.Finalized(v, w.blocks[b].hash)
				w.finalized[b]++
				return true
			}
		default:
			b := w.rng.IntN(len(w.blocks))
			if w.mayNotarize(i, &w.blocks[b], w.knowledge()) && w.first(i, consensus.Notarize, b) {
				w.rules[i].Notarized(w.blocks[b].header.View, w.blocks[b].hash)
				w.notarized[b]++
				return true
			}
		}
	}
	return false
}

// first reports that the validator has not cast this very vote before.
func (w *walk) first(i int, kind consensus.Kind, what int) bool {
	d := deed{i, kind, what}
	before := w.did[d]
	w.did[d] = true
	return !before
}

// ungated is S3 without the gate: only a NULLIFY of the very view forbids.
func (w *walk) ungated(i int, v uint64) bool {
	return w.mutant == "no gate" && !w.did[deed{i, consensus.Nullify, int(v)}]
}

func (w *walk) extends(child, ancestor int) bool {
	for child >= 0 && child != ancestor {
		child = w.blocks[child].parent
	}
	return child == ancestor
}

// check looks for a violation of agreement.
func (w *walk) check() error {
	for b := range w.blocks {
		if w.finalized[b] < w.need {
			continue
		}
		w.finals++
		v := w.blocks[b].header.View
		for c := range w.blocks {
			if w.notarized[c] >= w.need && w.blocks[c].header.View >= v && !w.extends(c, b) {
				return fmt.Errorf("block %d of view %d is final and block %d of view %d, which does not extend it, is notarized", b, v, c, w.blocks[c].header.View)
			}
		}
	}
	return nil
}

func (w *walk) run() error {
	nullify := w.rng.IntN(10)
	for range int(w.views) * w.honest * 6 {
		if !w.step(nullify) {
			break
		}
		if err := w.check(); err != nil {
			return err
		}
	}
	return nil
}

func TestRules_randomWalks_agree(t *testing.T) {
	finals := 0
	for seed := range uint64(1500) {
		for _, c := range []struct {
			n           int
			term, views uint64
		}{{4, 1, 5}, {4, 2, 6}, {4, 3, 7}, {5, 2, 6}, {7, 2, 6}} {
			w := newWalk(seed, c.n, c.term, c.views, "")
			if err := w.run(); err != nil {
				t.Fatalf("seed %d n=%d T=%d: %v", seed, c.n, c.term, err)
			}
			finals += w.finals
		}
	}
	if finals < 1000 {
		t.Errorf("only %d times was a block final: the walks prove little", finals)
	}
}

// Each rule left out lets some walk fork; otherwise the checker sees nothing.
func TestRules_randomWalks_catchMutants(t *testing.T) {
	for _, mutant := range []string{"nullify after finalize", "no gate", "no parent certificate", "no skip certificate", "no parent evidence", "double vote"} {
		caught := false
		for seed := uint64(0); seed < 4000 && !caught; seed++ {
			for _, term := range []uint64{1, 2, 3} {
				caught = caught || newWalk(seed, 4, term, 5, mutant).run() != nil
			}
		}
		if !caught {
			t.Errorf("%s: no walk forks", mutant)
		}
	}
}
