package vm

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/vm/meter"
)

//go:embed selftest.wasm
var selfTestCode []byte

// selfTest runs a contract and compares what it computes with Go. So an engine that miscompiles, a fallback to
// an interpreter, and a wazero that words its errors differently are found before a block is.
func (e *Engine) selfTest() (err error) {
	w, err := e.Worker()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Prepare(selfTestCode); err != nil {
		return err
	}
	compiled := w.modules[moduleKey{crypto.Keccak256Hash(selfTestCode), meter.Current}].compiled
	instance, err := w.runtime.InstantiateModule(background(), compiled, w.config)
	if err != nil {
		return err
	}
	// The compiler's functions are of wazero's package wazevo.
	if kind := fmt.Sprintf("%T", instance.ExportedFunction(entrypoint)); !e.interpreter && !strings.Contains(kind, "wazevo") {
		return fmt.Errorf("%w: functions are %s", ErrNoCompiler, kind)
	}
	const rounds, enough = 1000, 10_000_000
	got, err := w.selfTestRun(rounds, enough)
	if err != nil {
		return err
	}
	if want := binary.LittleEndian.AppendUint64(nil, selfTestRounds(rounds)); got.Outcome != Success || string(got.Output) != string(want) {
		return fmt.Errorf("it computed %x (outcome %d), and Go %x: do not run contracts on this machine", got.Output, got.Outcome, want)
	}
	spent := enough - got.GasLeft
	for _, tt := range []struct {
		n, gas uint64
		want   Outcome
	}{{rounds, spent - 1, OutOfGas}, {rounds, spent, Success}, {0, enough, Trapped}} {
		got, err := w.selfTestRun(tt.n, tt.gas)
		if err != nil {
			return err
		}
		if got.Outcome != tt.want || got.GasLeft != 0 {
			return fmt.Errorf("with %d rounds and %d gas it ended with outcome %d and %d gas, not %d and 0", tt.n, tt.gas, got.Outcome, got.GasLeft, tt.want)
		}
	}
	return nil
}

// selfTestWorld has one contract.
type selfTestWorld struct{ World }

func (selfTestWorld) Code(common.Hash) []byte { return selfTestCode }

func (w *Worker) selfTestRun(n, gas uint64) (Answer, error) {
	w.Begin()
	return w.Run(background(), &Frame{
		Env:      Env{Block: &Block{}},
		CodeHash: crypto.Keccak256Hash(selfTestCode),
		Input:    binary.LittleEndian.AppendUint64(nil, n),
		Gas:      gas,
		World:    selfTestWorld{},
	})
}

// selfTestRounds is selftest.wat in Go.
func selfTestRounds(n uint64) uint64 {
	x := uint64(0x9e3779b97f4a7c15)
	for ; n != 0; n-- {
		x = x*6364136223846793005 + n
		x ^= bits.RotateLeft64(x, 17)
		// The remainder of a division by −1 is 0, and no trap.
		x -= uint64(int64(x) % int64(n|5))
		x += x % (n | 9)
		x ^= uint64(int64(x) / int64(n|3))
		x += x / (n | 7)
		x += uint64(uint32(int32(x) % int32(n|11)))
		x ^= uint64(int64(x) >> (uint(bits.LeadingZeros64(x)) & 63))
		x += uint64(bits.OnesCount64(x))
	}
	return x
}

// useCache opens the cache and finds the shelf for what this machine compiles.
func (e *Engine) useCache(dir string) (err error) {
	c, err := openCache(dir)
	if err != nil {
		return err
	}
	rewritten, err := meter.Rewrite(selfTestCode, meter.Current)
	if err != nil {
		return err
	}
	w, err := (&Engine{cache: c}).Worker()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := compileSafely(w.runtime, rewritten.Wasm); err != nil {
		return err
	}
	name, code := w.desk.made("")
	if name == "" {
		return errors.New("wazero wrote no file")
	}
	if err := c.identify(w.desk.files, name, code); err != nil {
		return err
	}
	e.cache = c
	return nil
}
