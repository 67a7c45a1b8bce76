package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/exec"
	"github.com/tercet-chain/tercet/vm"
)

// caller runs contract calls on workers of its own, so that none of them waits for the execution of blocks or
// is waited for by it. Requests that wait for a worker hold their right to work; they may hold half of all
// such rights, so that the other requests always get on.
type caller struct {
	engine *vm.Engine
	gate   *gate

	mu   sync.Mutex
	idle []*vm.Worker // guarded by mu
}

func newCaller(engine *vm.Engine, calls, requests int) *caller {
	return &caller{engine: engine, gate: newGate(calls, max(1, requests/2-calls))}
}

// onWorker runs a call on a worker, until it ends, ctx ends or its time is over.
func (s *Server) onWorker(ctx context.Context, call func(context.Context, *vm.Worker) error) error {
	defer requestOf(ctx).waiting(ctx)()
	slot := s.caller.gate.enter(ctx)
	if slot == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		return busy("too many contract calls at once")
	}
	defer slot.release()
	worker, err := s.caller.take()
	if err != nil {
		return s.broken(fmt.Errorf("starting a worker for contract calls: %w", err))
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	err = call(limited, worker)
	s.caller.giveBack(worker, err) // not reached by a panic: nobody knows what it left in the worker
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("execution aborted (timeout = %v)", s.cfg.CallTimeout)
	}
	return err
}

// take returns an idle worker or makes one. The slots of the gate bound how many there are.
func (c *caller) take() (*vm.Worker, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		worker := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return worker, nil
	}
	c.mu.Unlock()
	return c.engine.CallWorker()
}

// giveBack keeps a worker for the next call, unless this one has broken it.
func (c *caller) giveBack(worker *vm.Worker, err error) {
	if fault := (*vm.FaultError)(nil); errors.As(err, &fault) {
		_ = worker.Close() // what is wrong with it is reported already
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, worker)
}

// close waits for the calls at work, whose contexts MUST end, lets in no more and closes the workers.
func (c *caller) close() error {
	for range cap(c.gate.slots) {
		c.gate.slots <- struct{}{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, worker := range c.idle {
		errs = append(errs, worker.Close())
	}
	c.idle = nil
	return errors.Join(errs...)
}

// stateReader is the state after the block at a height. It belongs to one call.
type stateReader struct {
	s      *Server
	height uint64
	// err is why something could not be read: what was executed without it is void.
	err error
}

var _ exec.Reader = (*stateReader)(nil)

// Account implements [exec.Reader].
func (r *stateReader) Account(address common.Address) ledger.Account {
	a, err := r.s.cfg.State.AccountAt(r.height, address)
	r.check(err)
	return a
}

// Storage implements [exec.Reader].
func (r *stateReader) Storage(contract common.Address, slot common.Hash) common.Hash {
	value, err := r.s.cfg.State.StorageAt(r.height, contract, slot)
	r.check(err)
	return value
}

// Value implements [exec.Reader].
func (r *stateReader) Value(key []byte) []byte {
	value, err := r.s.cfg.State.ValueAt(r.height, key)
	r.check(err)
	return value
}

// Code implements [exec.Reader].
func (r *stateReader) Code(hash common.Hash) []byte {
	code, err := r.s.cfg.Store.Code(hash)
	r.check(err)
	return code
}

func (r *stateReader) check(err error) {
	if r.err == nil {
		r.err = err
	}
}
