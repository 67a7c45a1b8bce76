package sim

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"
)

// This file says what the scenarios of the Twins method are and numbers them.
//
// # Model
//
// A twin is a second instance with the key and the identity of a validator: both run the honest code, and
// together they equivocate, vote twice and forget, as a liar can (Bano et al., “Twins: BFT Systems Made
// Robust”, OPODIS 2021). A scenario names the validators that have a twin and, for each of the first views,
// a partition of the instances into groups: what is said about a view reaches the speaker's group of that
// view only. Whatever a liar can do in so few views by telling some this and others that, some scenario
// does, without anybody having thought of it.
//
// Scenarios that differ by who plays a role only are one: a validator and its twin, and validators that
// lead none of the views and have a twin, or have none. The index of a scenario counts one of each.

// TwinsOptions say which scenarios there are.
type TwinsOptions struct {
	// Validators is n, Twins how many of them have a twin.
	Validators, Twins int
	// Views is how many views have partitions, Parts the most groups that a partition has.
	Views, Parts int
	// Term is T, Window is W.
	Term, Window uint64
	// Late has FINALIZE votes and finalizations travel within the groups of the next view, which begins
	// when they are sent. Then a block can have a quorum's FINALIZE votes of which nobody sees all.
	Late bool
}

// DefaultTwinsOptions are those of the release gate: one liar of four.
func DefaultTwinsOptions() TwinsOptions {
	return TwinsOptions{Validators: 4, Twins: 1, Views: 4, Parts: 2, Term: 1, Late: true}
}

// Limits of a scope: every scenario has a number below 2^62, and the tables behind the numbers stay small.
const (
	maxTwinInstances = 16
	maxTwinViews     = 16
	maxTwinTable     = 1 << 23 // partitions times symmetries
	maxTwinCount     = 1 << 62
)

func (o TwinsOptions) validate() error {
	switch {
	case o.Validators < 1 || o.Twins < 0 || o.Twins > o.Validators || o.Validators+o.Twins > maxTwinInstances:
		return fmt.Errorf("%d validators of which %d have a twin: want at least one, and at most %d instances", o.Validators, o.Twins, maxTwinInstances)
	case o.Views < 1 || o.Views > maxTwinViews:
		return fmt.Errorf("partitions in %d views: want 1 to %d", o.Views, maxTwinViews)
	case o.Parts < 1:
		return fmt.Errorf("partitions of at most %d groups: want at least one", o.Parts)
	case o.Term < 1:
		return fmt.Errorf("a term of %d views: want at least one", o.Term)
	}
	return nil
}

// Twins is the set of all scenarios of some options. It is immutable and safe for concurrent use.
type Twins struct {
	options TwinsOptions
	classes []twinClass
	count   uint64
}

// twinClass are the scenarios in which the same validators have twins.
type twinClass struct {
	twinned []int  // validators, ascending
	first   uint64 // index of the first scenario
	orbits  *orbits
}

// NewTwins prepares the scenarios of some options.
func NewTwins(o TwinsOptions) (*Twins, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	t := &Twins{options: o}
	for _, twinned := range o.twinned() {
		orbits, err := newOrbits(o.roles(twinned), o.Validators+o.Twins, o.Parts, o.Views)
		if err != nil {
			return nil, err
		}
		t.classes = append(t.classes, twinClass{twinned: twinned, first: t.count, orbits: orbits})
		count := orbits.count()
		if count >= maxTwinCount-t.count {
			return nil, fmt.Errorf("%+v has more than 2^62 scenarios: want fewer views or parts", o)
		}
		t.count += count
	}
	return t, nil
}

// leaders is how many validators lead a term that the views touch: those with the lowest indices.
func (o TwinsOptions) leaders() int {
	terms := (uint64(o.Views) + o.Term - 1) / o.Term
	return int(min(terms, uint64(o.Validators)))
}

// twinned lists who can have twins, one of each kind: any leaders, and the first of the others.
func (o TwinsOptions) twinned() [][]int {
	var all [][]int
	leaders := o.leaders()
	for set := range 1 << leaders {
		var chosen []int
		for i := range leaders {
			if set>>i&1 != 0 {
				chosen = append(chosen, i)
			}
		}
		others := o.Twins - len(chosen)
		if others < 0 || others > o.Validators-leaders {
			continue
		}
		for i := range others {
			chosen = append(chosen, leaders+i)
		}
		all = append(all, chosen)
	}
	return all
}

// roles groups the instances that may change places: each role is a list of units of the same shape, which
// are a validator or a validator and its twin.
func (o TwinsOptions) roles(twinned []int) [][][]int {
	var roles [][][]int
	var pairs, singles [][]int
	for i := range o.Validators {
		unit := []int{i}
		if j := slices.Index(twinned, i); j >= 0 {
			unit = append(unit, o.Validators+j)
		}
		switch {
		case i < o.leaders():
			roles = append(roles, [][]int{unit})
		case len(unit) == 2:
			pairs = append(pairs, unit)
		default:
			singles = append(singles, unit)
		}
	}
	return append(roles, pairs, singles)
}

// Options are what the scenarios were made from.
func (t *Twins) Options() TwinsOptions { return t.options }

// Count is the number of scenarios that differ.
func (t *Twins) Count() uint64 { return t.count }

// TwinsScenario is one of them.
type TwinsScenario struct {
	// Twinned are the validators that have a twin. The instances are the validators by index, then the
	// twins in this order.
	Twinned []int
	// Groups has, for each view from 1 on, the group of each instance.
	Groups [][]uint8
}

// At returns the scenario with an index below Count.
func (t *Twins) At(index uint64) TwinsScenario {
	if index >= t.count {
		panic(fmt.Sprintf("sim: scenario %d of %d", index, t.count))
	}
	i := sort.Search(len(t.classes), func(i int) bool { return t.classes[i].first > index }) - 1
	c := &t.classes[i]
	return TwinsScenario{Twinned: c.twinned, Groups: c.orbits.at(index - c.first)}
}

// Command is the command line that runs one scenario again.
func (t *Twins) Command(index uint64) string {
	o := t.options
	text := fmt.Sprintf("tercet sim twins --validators %d --twins %d --views %d --term %d --window %d", o.Validators, o.Twins, o.Views, o.Term, o.Window)
	if o.Parts != DefaultTwinsOptions().Parts {
		text += fmt.Sprintf(" --parts %d", o.Parts)
	}
	if !o.Late {
		text += " --late=false"
	}
	return text + fmt.Sprintf(" --index %d", index)
}

// Describe writes a scenario as a table of views by groups; the instances of validator 2 that has a twin
// are 2 and 2'.
func (t *Twins) Describe(index uint64) string {
	s := t.At(index)
	var b strings.Builder
	for v, groups := range s.Groups {
		leader := v / int(t.options.Term) % t.options.Validators
		fmt.Fprintf(&b, "view %d, leader %d:", v+1, leader)
		for g := range slices.Max(groups) + 1 {
			b.WriteString("  {")
			for i, in := range groups {
				if in == g {
					b.WriteString(" " + s.instance(i))
				}
			}
			b.WriteString(" }")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// instance is the name of an instance.
func (s *TwinsScenario) instance(i int) string {
	if n := len(s.Groups[0]) - len(s.Twinned); i >= n {
		return fmt.Sprintf("%d'", s.Twinned[i-n])
	}
	return fmt.Sprint(i)
}

// Sample visits k different indices, all when there are fewer, in an order drawn from a seed.
func (t *Twins) Sample(seed, k uint64) iter.Seq[uint64] {
	pick := t.shuffle(seed)
	return func(yield func(uint64) bool) {
		for i := range min(k, t.count) {
			if !yield(pick(i)) {
				return
			}
		}
	}
}

// shuffle returns a permutation of the indices. It needs no memory: a Feistel network permutes the numbers
// below a power of four, walking on from those beyond the last index.
func (t *Twins) shuffle(seed uint64) func(i uint64) uint64 {
	half := 1
	for half < 31 && uint64(1)<<(2*half) < t.count {
		half++
	}
	return func(i uint64) uint64 {
		x := shuffled(i, seed, half)
		for x >= t.count {
			x = shuffled(x, seed, half)
		}
		return x
	}
}

// shuffled is a permutation of the numbers below 2^(2·half).
func shuffled(x, seed uint64, half int) uint64 {
	mask := uint64(1)<<half - 1
	left, right := x>>half, x&mask
	for round := range uint64(6) {
		var a auditor
		a.mix(seed)
		a.mix(right<<8 | round)
		a.mix(math.MaxUint32)
		left, right = right, left^a.h>>7&mask
	}
	return left<<half | right
}
