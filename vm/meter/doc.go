// Package meter rewrites WebAssembly modules so that they pay gas for what they do and behave alike everywhere.
//
// [Rewrite] decodes a module, validates it, and encodes another one in the same pass. The result does what the
// original does, except that
//
//   - before a basic block runs, its price is taken from a counter, the exported global tercet_gas. A block is
//     a run of instructions that is entered at its head and left at its end only: it starts at a function's
//     entry, after loop, if and else, after every branch, and after the end of what is branched to. A counter
//     below zero calls the imported tercet.refill, which grants another part of the frame's gas or does not
//     return. The counter holds a small part only, so that a guest is never long away from its host. In a
//     function it is a local, which goes to the global before a call and at the end and is read back after a
//     call; where a function traps the global is behind, and nobody asks: who traps pays for all;
//   - memory.copy and memory.fill pay for each byte, and memory.grow asks the imported tercet.grow;
//   - a function that calls takes its words from the exported global tercet_stack and gives them back on every
//     way out; without enough of them it traps, and where the stack is deeper than it was, it pays for that;
//   - only user_entrypoint, user_constructor and memory are exported. A start function runs at the head of the
//     two functions, so that it pays and can be refused gas like everything else;
//   - rem is division, multiplication and subtraction, because wazero 1.12.0 miscompiles it on arm64;
//   - an ordered comparison of what may be an and with what may be 0 is kept apart from a branch behind it, because
//     wazero 1.12.0 miscompiles the three together, and otherwise on arm64 than on amd64;
//   - code that cannot run is gone: functions that nothing reaches, instructions after a branch.
//
// What cannot be made deterministic or cheap to compile is refused with a [RefusedError]. Prices are in ink, of
// which 10,000 are one gas; each [Version] has its table of them and never changes.
//
// Sources: the WebAssembly core specification 1.0 and its validation algorithm (appendix A.3), the proposals for
// sign extension, mutable globals and bulk memory.
package meter
