package consensus_test

import (
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

var (
	blockA = common.Hash{0xA}
	blockB = common.Hash{0xB}
)

// terms of three views: 1-3, 4-6, 7-9.
func rules(signed func(r *consensus.Rules)) *consensus.Rules {
	r := consensus.NewRules(consensus.Schedule{Validators: 4, Term: 3})
	if signed != nil {
		signed(r)
	}
	return r
}

func TestRuleS2_mayNullify(t *testing.T) {
	for name, c := range map[string]struct {
		signed func(r *consensus.Rules)
		view   uint64
		want   bool
	}{
		"nothing signed":            {nil, 5, true},
		"notarized the view":        {func(r *consensus.Rules) { r.Notarized(5, blockA) }, 5, true},
		"nullified the view":        {func(r *consensus.Rules) { r.Nullified(5) }, 5, false},
		"nullified below":           {func(r *consensus.Rules) { r.Nullified(4) }, 5, true},
		"nullified above":           {func(r *consensus.Rules) { r.Nullified(6) }, 5, true},
		"finalized the view":        {func(r *consensus.Rules) { r.Finalized(5, blockA) }, 5, false},
		"finalized above in term":   {func(r *consensus.Rules) { r.Finalized(6, blockA) }, 5, false},
		"finalized below in term":   {func(r *consensus.Rules) { r.Finalized(4, blockA) }, 5, true},
		"finalized the term before": {func(r *consensus.Rules) { r.Finalized(3, blockA) }, 5, true},
		"finalized the term after":  {func(r *consensus.Rules) { r.Finalized(7, blockA) }, 5, true},
		"finalized high, then low":  {func(r *consensus.Rules) { r.Finalized(6, blockA); r.Finalized(4, blockA) }, 5, false},
	} {
		if got := rules(c.signed).MayNullify(c.view); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestRuleS3_mayFinalize(t *testing.T) {
	for name, c := range map[string]struct {
		signed func(r *consensus.Rules)
		want   bool
	}{
		"nothing signed":            {nil, true},
		"finalized before (S1)":     {func(r *consensus.Rules) { r.Finalized(5, blockB) }, false},
		"finalized others":          {func(r *consensus.Rules) { r.Finalized(4, blockB); r.Finalized(6, blockB) }, true},
		"nullified the view":        {func(r *consensus.Rules) { r.Nullified(5) }, false},
		"nullified below in term":   {func(r *consensus.Rules) { r.Nullified(4) }, false},
		"nullified above in term":   {func(r *consensus.Rules) { r.Nullified(6) }, true},
		"nullified above and below": {func(r *consensus.Rules) { r.Nullified(6); r.Nullified(4) }, false},
		"nullified the term before": {func(r *consensus.Rules) { r.Nullified(3) }, true},
		"nullified the term after":  {func(r *consensus.Rules) { r.Nullified(7) }, true},
		"notarized another":         {func(r *consensus.Rules) { r.Notarized(5, blockB) }, true},
	} {
		if got := rules(c.signed).MayFinalize(5); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestRuleS4_mayNotarize(t *testing.T) {
	covered := func(views ...uint64) func(uint64) bool {
		return func(x uint64) bool { return slices.Contains(views, x) }
	}
	notarized := func(v uint64, h common.Hash) map[uint64]common.Hash { return map[uint64]common.Hash{v: h} }
	for name, c := range map[string]struct {
		signed    func(r *consensus.Rules)
		view, pv  uint64
		parent    common.Hash
		knowledge consensus.Knowledge
		want      bool
	}{
		"first view on genesis":              {nil, 1, 0, genesis, consensus.Knowledge{FinalHash: genesis}, true},
		"first view on another genesis":      {nil, 1, 0, blockA, consensus.Knowledge{FinalHash: genesis}, false},
		"voted before (S1)":                  {func(r *consensus.Rules) { r.Notarized(1, blockB) }, 1, 0, genesis, consensus.Knowledge{FinalHash: genesis}, false},
		"nullified before":                   {func(r *consensus.Rules) { r.Nullified(1) }, 1, 0, genesis, consensus.Knowledge{FinalHash: genesis}, false},
		"start on a notarized view":          {nil, 4, 3, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(3, blockA)}, true},
		"start on one not notarized":         {nil, 4, 3, blockA, consensus.Knowledge{FinalHash: genesis}, false},
		"start on an own vote alone":         {func(r *consensus.Rules) { r.Notarized(3, blockA) }, 4, 3, blockA, consensus.Knowledge{FinalHash: genesis}, false},
		"start on another than notarized":    {nil, 4, 3, blockB, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(3, blockA)}, false},
		"start over covered views":           {nil, 4, 1, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(1, blockA), Covered: covered(2, 3)}, true},
		"start over a gap at the end":        {nil, 4, 1, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(1, blockA), Covered: covered(2)}, false},
		"start over a gap at the begin":      {nil, 4, 1, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(1, blockA), Covered: covered(3)}, false},
		"start on the tip":                   {nil, 4, 3, blockA, consensus.Knowledge{FinalView: 3, FinalHash: blockA}, true},
		"start on another of the tip's view": {nil, 4, 3, blockB, consensus.Knowledge{FinalView: 3, FinalHash: blockA}, false},
		"start below the tip": {
			nil, 4, 1, blockA,
			consensus.Knowledge{FinalView: 2, FinalHash: blockB, Notarized: notarized(1, blockA), Covered: covered(2, 3)},
			false,
		},
		"start on genesis above a tip": {nil, 4, 0, genesis, consensus.Knowledge{FinalView: 2, FinalHash: blockB, Covered: covered(1, 2, 3)}, false},
		"start on its own view":        {nil, 4, 4, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(4, blockA)}, false},
		"start on a later view":        {nil, 4, 5, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(5, blockA)}, false},
		"inner on a notarized view":    {nil, 5, 4, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(4, blockA)}, true},
		"inner on an own vote":         {func(r *consensus.Rules) { r.Notarized(4, blockA) }, 5, 4, blockA, consensus.Knowledge{FinalHash: genesis}, true},
		"inner on no evidence":         {nil, 5, 4, blockA, consensus.Knowledge{FinalHash: genesis}, false},
		"inner on no hash":             {nil, 5, 4, common.Hash{}, consensus.Knowledge{FinalHash: genesis}, false},
		"inner on another own vote":    {func(r *consensus.Rules) { r.Notarized(4, blockB) }, 5, 4, blockA, consensus.Knowledge{FinalHash: genesis}, false},
		"inner, own vote lost": {
			func(r *consensus.Rules) { r.Notarized(4, blockA) }, 5, 4, blockA,
			consensus.Knowledge{FinalHash: genesis, Notarized: notarized(4, blockB)},
			false,
		},
		"inner over a covered view": {
			nil, 6, 4, blockA,
			consensus.Knowledge{FinalHash: genesis, Notarized: notarized(4, blockA), Covered: covered(5)},
			false,
		},
		"inner on the tip":          {nil, 5, 4, blockA, consensus.Knowledge{FinalView: 4, FinalHash: blockA}, true},
		"inner on another than tip": {nil, 5, 4, blockB, consensus.Knowledge{FinalView: 4, FinalHash: blockA}, false},
		"inner, voted before (S1)":  {func(r *consensus.Rules) { r.Notarized(5, blockB) }, 5, 4, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(4, blockA)}, false},
		"inner, nullified before":   {func(r *consensus.Rules) { r.Nullified(5) }, 5, 4, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(4, blockA)}, false},
		"inner, nullified below":    {func(r *consensus.Rules) { r.Nullified(4) }, 5, 4, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(4, blockA)}, true},
		"inner, finalized the view": {func(r *consensus.Rules) { r.Finalized(5, blockB) }, 5, 4, blockA, consensus.Knowledge{FinalHash: genesis, Notarized: notarized(4, blockA)}, true},
	} {
		h := &consensus.Header{View: c.view, ParentView: c.pv, ParentHash: c.parent}
		if got := rules(c.signed).MayNotarize(h, c.knowledge); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestConflict_pairs(t *testing.T) {
	s := consensus.Schedule{Validators: 4, Term: 3}
	v := func(kind consensus.Kind, view uint64, h common.Hash) consensus.Vote {
		return consensus.Vote{Kind: kind, View: view, Hash: h, Signer: 1}
	}
	other := v(consensus.Notarize, 5, blockB)
	other.Signer = 2
	epoch := v(consensus.Notarize, 5, blockB)
	epoch.Epoch = 1
	for name, c := range map[string]struct {
		a, b consensus.Vote
		want bool
	}{
		"two notarize":            {v(consensus.Notarize, 5, blockA), v(consensus.Notarize, 5, blockB), true},
		"the same twice":          {v(consensus.Notarize, 5, blockA), v(consensus.Notarize, 5, blockA), false},
		"notarize in two views":   {v(consensus.Notarize, 5, blockA), v(consensus.Notarize, 6, blockB), false},
		"two finalize":            {v(consensus.Finalize, 5, blockA), v(consensus.Finalize, 5, blockB), true},
		"two nullify":             {v(consensus.Nullify, 5, common.Hash{}), v(consensus.Nullify, 5, common.Hash{}), false},
		"two signers":             {v(consensus.Notarize, 5, blockA), other, false},
		"two epochs":              {v(consensus.Notarize, 5, blockA), epoch, false},
		"nullify and finalize":    {v(consensus.Nullify, 5, common.Hash{}), v(consensus.Finalize, 5, blockA), true},
		"finalize later in term":  {v(consensus.Nullify, 4, common.Hash{}), v(consensus.Finalize, 6, blockA), true},
		"finalize before nullify": {v(consensus.Nullify, 6, common.Hash{}), v(consensus.Finalize, 5, blockA), false},
		"finalize in next term":   {v(consensus.Nullify, 6, common.Hash{}), v(consensus.Finalize, 7, blockA), false},
		"notarize and nullify":    {v(consensus.Notarize, 5, blockA), v(consensus.Nullify, 5, common.Hash{}), false},
		"notarize and finalize":   {v(consensus.Notarize, 5, blockA), v(consensus.Finalize, 5, blockB), false},
		"view 0":                  {v(consensus.Notarize, 0, blockA), v(consensus.Notarize, 0, blockB), false},
	} {
		if consensus.Conflict(s, &c.a, &c.b) != c.want || consensus.Conflict(s, &c.b, &c.a) != c.want {
			t.Errorf("%s: want %v both ways", name, c.want)
		}
	}
}
