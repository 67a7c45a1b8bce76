package meter

// effort estimates what compiling a function takes. wazero 1.12.0 needs time for each basic block and each edge
// between two, for each pair of those, for each value that is live over one, and for each mutable global at each
// call. The prices of activation were fitted to modules that are hard to compile for their size.
type effort struct {
	points int // basic blocks and edges
	calls  int // with those of refill
	checks int // of addresses and divisors
	live   int // values that are live over points
	joined int // values that differ between the ways to a block
	locals []lifetime
}

// lifetime is what is known of a local so far.
type lifetime struct {
	// first and last are the points between which it is live, −1 when it is not used; set is the point where it was
	// set last.
	first, last, set int
	// joins are how many ends of blocks may have to join different values of it, if somebody reads it.
	joins int
}

// Points of what makes several.
const (
	pointsOfCharge = 2 // before the call of refill, and after it
	pointsOfLoop   = 2
	pointsOfBranch = 3 // br_if
	pointsOfBulk   = 6

	checksOfDivision = 2
)

func (e *effort) reset(locals, params int) {
	*e = effort{locals: e.locals[:0]}
	for i := range locals {
		l := lifetime{first: -1, last: -1, set: -1}
		if i < params {
			l.first, l.last = 0, 0
		}
		e.locals = append(e.locals, l)
	}
}

// pass adds points that a number of operands is live over.
func (e *effort) pass(points, operands int) {
	e.points += points
	e.live += points * operands
}

func (e *effort) touch(local uint32) *lifetime {
	l := &e.locals[local]
	if l.first < 0 {
		l.first = e.points
	}
	l.last = e.points
	return l
}

func (e *effort) get(local uint32) {
	l := e.touch(local)
	e.joined += l.joins
	l.joins = 0
}

func (e *effort) write(local uint32) { e.touch(local).set = e.points }

func (e *effort) call(t *functionType) {
	e.calls++
	e.live += 2 * len(t.params)
}

// join ends a block that began at a point, and to whose end there are several ways.
func (e *effort) join(begin int) {
	for i := range e.locals {
		if l := &e.locals[i]; l.set >= begin {
			l.joins++
		}
	}
}

// loop ends a loop that began at a point: what is used in it is live all over it.
func (e *effort) loop(begin int) {
	for i := range e.locals {
		if l := &e.locals[i]; l.last >= begin {
			l.first, l.last = min(l.first, begin), e.points
		}
	}
}

// gas is the price of compiling the function, which has a number of bytes in a module with a number of mutable
// globals.
func (e *effort) gas(p *activationPrices, bytes, globals int) uint64 {
	live := e.live
	for _, l := range e.locals {
		live += l.last - l.first
	}
	// Nothing here overflows: a body has less than 2^20 points, 2^10 locals, 2^16 operands; a module 2^10 globals.
	points := uint64(e.points)
	return p.function + p.local*uint64(len(e.locals)) + p.bodyByte*uint64(bytes) + p.point*points + points*points*p.pointPairs/100 +
		p.live*uint64(live) + p.call*uint64(e.calls) + p.callGlobal*uint64(e.calls)*uint64(globals) + p.check*uint64(e.checks) + p.join*uint64(e.joined)
}
