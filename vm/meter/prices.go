package meter

// Version names the rules of a rewriting: what is accepted, the prices, the shape of the result. It is stored
// with the code that was activated under it, and what it means never changes.
type Version uint16

// Current is the version for new code.
const Current Version = 1

// InkPerGas is how many units of the counter are one gas.
const InkPerGas = 10_000

// Class is a group of instructions that cost the same.
type Class uint8

// The classes. Free instructions only give a program its structure.
const (
	Free         Class = iota
	Move               // constants, locals; a compiler may have to move them in memory
	Simple             // arithmetic and comparisons of a cycle or two, select
	Mul                //
	Div                //
	Rem                //
	Load               // may wait for the last cache: 20 ns
	Store              //
	Global             // globals, memory.size
	Branch             // br, br_if, if, return: mispredicted, and with the charge of the block that follows
	BranchTable        // mispredicted
	Call               // with the callee's entry and exit
	CallIndirect       //
	Bulk               // memory.copy, memory.fill
	Grow               // memory.grow, beside what the host takes for its pages
	Classes            // how many there are
)

func (c Class) String() string {
	return [Classes]string{
		"free", "move", "simple", "mul", "div", "rem", "load", "store", "global", "branch", "branch table", "call",
		"indirect call", "bulk", "grow",
	}[c]
}

// prices are in ink. The slowest class runs at 100 million gas a second or more, so that 1,000 ink are at most
// a nanosecond's worth.
type prices struct {
	class [Classes]uint32 // below 2^17, see priceBytes
	// entry is for a function's entry, local for each of its locals.
	entry, local uint16
	// copied and filled are for a byte of memory.copy and memory.fill.
	copied, filled uint16
	step           uint64 // for wordsPerStep of the stack
	page           uint64 // for a page of memory, zeroed
	smallPages     uint32 // up to which instructions cost this, and
	largeShift     uint   // how often it doubles beyond
	instance       uint64 // for an instance of a module
	element        uint64 // for an entry of its table
	filledElement  uint64 // for a function that is put into one
	imported       uint64 // for a function that it imports
	global         uint64 // for a global
	activation     activationPrices
}

// activationPrices are in gas.
type activationPrices struct {
	module   uint64 // for any module
	byte     uint64 // for a byte of the module as it came
	global   uint64 // for a global
	function uint64 // for a function
	local    uint64 // for each of its locals, used or not
	// For a rewritten function, see effort.
	bodyByte   uint64
	point      uint64
	pointPairs uint64 // for 100 pairs of points
	live       uint64 // for a value over a point
	call       uint64
	callGlobal uint64 // for a mutable global, for each call
	check      uint64
	join       uint64
}

// versions are the prices by version; 0 is none.
var versions = [...]prices{
	1: {
		class: [Classes]uint32{
			Free:         0,
			Move:         300,
			Simple:       500,
			Mul:          1000,
			Div:          10_000,
			Rem:          15_000,
			Load:         20_000,
			Store:        3000,
			Global:       1000,
			Branch:       4000,
			BranchTable:  10_000,
			Call:         8000,
			CallIndirect: 12_000,
			Bulk:         12_000,
			Grow:         100_000,
		},
		entry:    2000,
		local:    200,
		copied:   200,
		filled:   200,
		step:     50_000_000,
		page:     10_000_000,
		instance: 5_000_000,
		// The second cache of a processor has 1 to 2 MiB. A load that misses it waits for up to 150 ns.
		smallPages: 24,
		largeShift: 3,
		// With wazero 1.12.0 an instance takes 120 ns for a function in its table, 55 ns for an import, 100 ns for
		// a global.
		element:       5000,
		filledElement: 120_000,
		imported:      60_000,
		global:        100_000,
		activation: activationPrices{
			module:     100_000,
			byte:       10,
			global:     100,
			function:   1000,
			local:      10,
			bodyByte:   10,
			point:      300,
			pointPairs: 70,
			live:       100,
			call:       500,
			callGlobal: 80,
			check:      1000,
			join:       1000,
		},
	},
}
