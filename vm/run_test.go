package vm_test

import (
	"bytes"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/tercet-chain/tercet/vm"
)

func TestWorker_Run_endsAsTheContractEnds(t *testing.T) {
	w := newWorld(t, vm.Config{})
	output := func(s *script, text string) *script {
		at := s.put([]byte(text))
		return s.hook("write_result", at, uint64(len(text)))
	}
	for _, tt := range []struct {
		name    string
		script  *script
		outcome vm.Outcome
		output  string
	}{
		{"nothing", &script{}, vm.Success, ""},
		{"output", output(&script{}, "hello"), vm.Success, "hello"},
		{"the last output wins", output(output(&script{}, "hello"), "bye"), vm.Success, "bye"},
		{"status 1", output(&script{}, "no").do(opStop, 1), vm.Revert, "no"},
		{"status 2", output(&script{}, "no").do(opStop, 2), vm.Revert, "no"},
		{"exit 0", output(&script{}, "yes").hook("exit_early", 0).do(opUnreachable), vm.Success, "yes"},
		{"exit 7", output(&script{}, "no").hook("exit_early", 7).do(opUnreachable), vm.Revert, "no"},
		{"unreachable", output(&script{}, "lost").do(opUnreachable), vm.Trapped, ""},
		{"division by zero", output(&script{}, "lost").do(opDivideByZero), vm.Trapped, ""},
		{"outside memory", output(&script{}, "lost").do(opLoad, 1<<31, 0), vm.Trapped, ""},
		{"indirect call of another type", output(&script{}, "lost").do(opCallIndirect, 0), vm.Trapped, ""},
		{"indirect call of nothing", output(&script{}, "lost").do(opCallIndirect, 1), vm.Trapped, ""},
		{"indirect call outside the table", output(&script{}, "lost").do(opCallIndirect, 2), vm.Trapped, ""},
		{"infinite recursion", output(&script{}, "lost").do(opRecurse), vm.Trapped, ""},
		{"infinite loop", output(&script{}, "lost").do(opSpin), vm.OutOfGas, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := w.send(tt.script)
			if got.Outcome != tt.outcome || string(got.Output) != tt.output {
				t.Errorf("got outcome %d and %q, want %d and %q", got.Outcome, got.Output, tt.outcome, tt.output)
			}
			if spent := got.Outcome != vm.Success && got.Outcome != vm.Revert; (got.GasLeft == 0) != spent {
				t.Errorf("got %d gas left", got.GasLeft)
			}
		})
	}
}

func TestWorker_Run_storageOutlivesTheTransaction(t *testing.T) {
	w := newWorld(t, vm.Config{})
	s := &script{}
	key, value := s.word(1), s.word(42)
	w.ok(s.hook("storage_cache_bytes32", key, value).hook("storage_flush_cache", 0))
	s = &script{}
	key = s.word(1)
	got := w.ok(s.hook("storage_load_bytes32", key, 0).hook("write_result", 0, 32))
	if want := common.LeftPadBytes([]byte{42}, 32); !bytes.Equal(got.Output, want) {
		t.Errorf("got %x, want 42", got.Output)
	}
}
