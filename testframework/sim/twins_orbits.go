package sim

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sort"
)

// orbits numbers the sequences of partitions of some instances, counting those once that symmetries of the
// instances take to each other. Of each such orbit it keeps the sequence that is least in lexicographic
// order. A sequence is least if its first partition is least under all symmetries, the second one under
// those that leave the first as it is, and so on; so a walk down the stabilizers finds the n-th one.
type orbits struct {
	length     int
	partitions [][]uint8  // lexicographic
	moves      [][]uint16 // by symmetry: where it takes each partition
	known      map[string]*stabilizer
	top        *stabilizer
}

// stabilizer is a group of symmetries that leave a prefix as it is.
type stabilizer struct {
	elements []uint16
	branches []branch
	// before has, by length of a sequence and branch, how many least sequences begin with an earlier one;
	// the last entry counts all.
	before [][]uint64
}

// branch is a partition that is least in its orbit, and what leaves it too as it is.
type branch struct {
	partition uint16
	then      *stabilizer
}

func newOrbits(roles [][][]int, instances, parts, length int) (*orbits, error) {
	o := &orbits{length: length, partitions: partitionsOf(instances, parts), known: map[string]*stabilizer{}}
	if len(o.partitions) > maxTwinTable {
		return nil, fmt.Errorf("%d partitions of %d instances: want fewer instances or parts", len(o.partitions), instances)
	}
	symmetries := symmetriesOf(roles, instances, maxTwinTable/len(o.partitions))
	if symmetries == nil || len(o.partitions) > 1<<16 {
		return nil, fmt.Errorf("%d partitions of %d instances have too many symmetries: want fewer instances or parts", len(o.partitions), instances)
	}
	index := make(map[string]uint16, len(o.partitions))
	for i, p := range o.partitions {
		index[string(p)] = uint16(i)
	}
	all := make([]uint16, len(symmetries))
	for i, s := range symmetries {
		all[i] = uint16(i)
		move := make([]uint16, len(o.partitions))
		moved := make([]uint8, instances)
		for j, p := range o.partitions {
			for from, to := range s {
				moved[to] = p[from]
			}
			rename(moved)
			move[j] = index[string(moved)]
		}
		o.moves = append(o.moves, move)
	}
	o.top = o.stabilizer(all)
	for r := range length {
		if !o.extend(r + 1) {
			return nil, fmt.Errorf("more than 2^62 sequences of %d of %d partitions", length, len(o.partitions))
		}
	}
	return o, nil
}

// rename numbers groups in the order of their first members.
func rename(groups []uint8) {
	var names [maxTwinInstances]uint8
	used := uint8(0)
	for i, g := range groups {
		if names[g] == 0 {
			used++
			names[g] = used
		}
		groups[i] = names[g] - 1
	}
}

// partitionsOf lists all ways to put instances into at most some groups, up to about a limit.
func partitionsOf(instances, parts int) [][]uint8 {
	var all [][]uint8
	current := make([]uint8, instances)
	var choose func(i int, used uint8)
	choose = func(i int, used uint8) {
		if len(all) > maxTwinTable {
			return
		}
		if i == instances {
			all = append(all, slices.Clone(current))
			return
		}
		for g := uint8(0); g <= used && int(g) < parts; g++ {
			current[i] = g
			choose(i+1, max(used, g+1))
		}
	}
	choose(0, 0)
	return all
}

// symmetriesOf lists the permutations of instances that keep roles, nil when there are more than a limit.
func symmetriesOf(roles [][][]int, instances, limit int) [][]uint8 {
	identity := make([]uint8, instances)
	for i := range identity {
		identity[i] = uint8(i)
	}
	all := [][]uint8{identity}
	for _, units := range roles {
		var more [][]uint8
		for _, order := range orders(len(units), limit) {
			for swaps := range 1 << swappable(units) {
				for _, base := range all {
					if len(more) == min(limit, 1<<16) {
						return nil
					}
					p := slices.Clone(base)
					for i, to := range order {
						for j, instance := range units[i] {
							p[instance] = uint8(units[to][j^swaps>>i&(len(units[to])-1)])
						}
					}
					more = append(more, p)
				}
			}
		}
		all = more
	}
	return all
}

// swappable is how many of the units are a validator and its twin.
func swappable(units [][]int) int {
	if len(units) > 0 && len(units[0]) == 2 {
		return len(units)
	}
	return 0
}

// orders lists the permutations of the numbers below n, one more than a limit at the most.
func orders(n, limit int) [][]int {
	all := [][]int{{}}
	for i := range n {
		var more [][]int
		for _, p := range all {
			for at := range i + 1 {
				if len(more) <= limit {
					more = append(more, slices.Insert(slices.Clone(p), at, i))
				}
			}
		}
		all = more
	}
	return all
}

// stabilizer finds or makes the one of some symmetries, with all below it.
func (o *orbits) stabilizer(elements []uint16) *stabilizer {
	key := make([]byte, 0, 2*len(elements))
	for _, e := range elements {
		key = binary.BigEndian.AppendUint16(key, e)
	}
	if s := o.known[string(key)]; s != nil {
		return s
	}
	s := &stabilizer{elements: elements, before: [][]uint64{nil}}
	o.known[string(key)] = s
	for p := range o.partitions {
		least := true
		var keep []uint16
		for _, e := range elements {
			switch to := int(o.moves[e][p]); {
			case to < p:
				least = false
			case to == p:
				keep = append(keep, e)
			}
		}
		if least {
			s.branches = append(s.branches, branch{uint16(p), o.stabilizer(keep)})
		}
	}
	return s
}

// sequences is how many least sequences of a length there are.
func (s *stabilizer) sequences(length int) uint64 {
	if length == 0 {
		return 1
	}
	return s.before[length][len(s.branches)]
}

// extend counts the sequences of one more view, and reports whether the number is within bounds.
func (o *orbits) extend(length int) bool {
	for _, s := range o.known { // In any order: only shorter sequences are looked at.
		before, total, over := make([]uint64, len(s.branches)+1), uint64(0), uint64(0)
		for i, b := range s.branches {
			before[i] = total
			var carry uint64
			total, carry = bits.Add64(total, b.then.sequences(length-1), 0)
			over |= carry
		}
		if over != 0 || total >= maxTwinCount {
			return false
		}
		before[len(s.branches)] = total
		s.before = append(s.before, before)
	}
	return true
}

func (o *orbits) count() uint64 { return o.top.sequences(o.length) }

// at returns one least sequence of partitions, in lexicographic order.
func (o *orbits) at(rank uint64) [][]uint8 {
	sequence := make([][]uint8, 0, o.length)
	s := o.top
	for left := o.length; left > 0; left-- {
		before := s.before[left]
		i := sort.Search(len(s.branches), func(i int) bool { return before[i+1] > rank })
		rank -= before[i]
		sequence = append(sequence, o.partitions[s.branches[i].partition])
		s = s.branches[i].then
	}
	return sequence
}
