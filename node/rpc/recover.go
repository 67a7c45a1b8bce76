package rpc

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/tercet-chain/tercet/ledger"
)

// maxRecoveries bounds the transactions that wait for a worker: 40 ms of work for one.
const maxRecoveries = 1024

// recoverer decodes transactions on as many workers as there are processors: a signature's recovery
// takes 40 µs, and handlers without a bound would take the processors away from consensus.
type recoverer struct {
	// jobs is filled by handlers, which refuse when it is full, and emptied by run; never closed.
	jobs chan recovery
}

type recovery struct {
	raw []byte
	// done has room for the one result; the worker sends, nobody closes.
	done chan recovered
}

type recovered struct {
	tx  *ledger.Transaction
	err error
}

func newRecoverer() *recoverer {
	return &recoverer{jobs: make(chan recovery, maxRecoveries)}
}

func (r *recoverer) run(ctx context.Context, chainID uint64, limits ledger.Limits) error {
	var workers errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case job := <-r.jobs:
					tx, err := ledger.DecodeTransaction(job.raw, chainID, limits)
					job.done <- recovered{tx, err}
				}
			}
		})
	}
	return workers.Wait()
}

// decode waits its turn for a worker. It keeps raw.
func (r *recoverer) decode(ctx context.Context, raw []byte) (*ledger.Transaction, error) {
	job := recovery{raw, make(chan recovered, 1)}
	select {
	case r.jobs <- job:
	default:
		return nil, busy("%d transactions wait for the check of their signature", maxRecoveries)
	}
	select {
	case result := <-job.done:
		return result.tx, result.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
