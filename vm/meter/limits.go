package meter

// Limits of one module. They bound the time and memory that a compiler spends on any module that is accepted;
// together with the activation gas they make a compile bomb cost what it takes.
const (
	// MaxModuleBytes is the size of a module, decompressed. Whoever decompresses one MUST stop there.
	MaxModuleBytes = 128 << 10
	// MaxPages is what the memories of a module, and of a whole transaction, can have: 8 MiB.
	MaxPages = 128
	// StackWords is what a transaction's frames have for their functions' locals and operands; tercet_stack
	// starts with it.
	StackWords = 128 << 10

	// GasExport and StackExport are the counters' names.
	GasExport   = reservedPrefix + "gas"
	StackExport = reservedPrefix + "stack"

	minFrameWords = 128 // of a function that calls: at most 1,024 of them are open

	maxFunctions   = 4096
	maxLocals      = 1024     // with the parameters
	maxAllLocals   = 64 << 10 // of all functions together
	maxBodyBytes   = 64 << 10
	maxNesting     = 256      // of blocks in a function
	maxControl     = 4096     // block, loop, if, br_if and br_table in a function
	maxTargets     = 4096     // of a function's br_tables
	maxLocalsLoops = 16 << 10 // locals × loops of a function: a compiler looks at each local for each loop
	maxTypes       = 4096
	maxTable       = 4096 // entries
	maxSegments    = 128  // of data, and of elements
	maxGlobals     = 1024
	maxNameBytes   = 512       // of an import, an export or a custom section
	valuesPerWord  = 4         // values of a body that one word of the stack is for, see body.words
	wordsPerStep   = 4096      // of the stack that a module's functions use beyond the first, paid at a time
	reservedPrefix = "tercet_" // of our own names
)
