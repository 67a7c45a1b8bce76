package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/node/pipeline"
	"github.com/tercet-chain/tercet/node/rpc"
)

const (
	// maxMined bounds the blocks of one request: they take a millisecond or two each, and the answer has to be
	// there before the server gives up on it.
	maxMined = 10_000
	// maxSnapshots bounds those that nobody went back to; the oldest make room.
	maxSnapshots = 16_384
	// maxAhead keeps the shift of the clock a time.Duration, whose range is 292 years.
	maxAhead = 280 * 365 * 24 * time.Hour
	// finalWait is how long a snapshot waits for its block to be stored as final.
	finalWait = 5 * time.Second
)

// errMined refuses too many blocks at once.
var errMined = fmt.Errorf("at most %d blocks are mined at once: ask several times", maxMined)

// development is what testers do to a development chain: time, empty blocks, and going back.
type development struct {
	n *Node
	// stopped is the timestamp that the next block takes, Unix seconds; 0: that of the clock.
	stopped atomic.Int64

	// mining is held while blocks are asked for, or a snapshot or a way back is made, for as long as that takes. A
	// transaction does not wait for it.
	mining    sync.Mutex
	snapshots []snapshot // guarded by mining; by id
	lastID    uint64     // guarded by mining
}

// snapshot is a place to go back to.
type snapshot struct {
	id, height uint64
	hash       common.Hash
	wall       time.Time // the clock at that time
	stopped    int64     // the timestamp of the next block, if it was given
}

// newDevelopment sets the clock of a chain that has gone on in time: it never runs behind the newest block.
func newDevelopment(n *Node) *development {
	d := &development{n: n}
	d.catchUp()
	return d
}

// catchUp moves a clock that is behind the newest block forward.
func (d *development) catchUp() {
	head := time.UnixMilli(int64(d.n.Newest().TimeMs))
	if behind := head.Sub(d.n.engine().Wall()); behind > 0 {
		d.n.engine().ShiftClock(d.n.engine().Shift() + behind)
	}
}

// methods are what the server offers; nil on other chains.
func (d *development) methods() *rpc.Development {
	if d == nil {
		return nil
	}
	return &rpc.Development{
		Mine: d.mine, Shift: d.shift, SetTime: d.setTime, SetNext: d.setNext,
		Snapshot: d.snapshot, Revert: d.revert, Reset: d.reset,
	}
}

// executed lets the clock go on when the block has come for which it was stopped: the first that has more in it
// than edits. The receiver is nil on other chains.
func (d *development) executed(b *ledger.Block) {
	if d == nil || d.stopped.Load() == 0 {
		return
	}
	edits := len(b.Transactions) > 0
	for _, tx := range b.Transactions {
		edits = edits && tx.From() == ledger.EditorAddress()
	}
	if !edits {
		d.goOn()
	}
}

// goOn lets a stopped clock run from where it stands.
func (d *development) goOn() {
	if at := d.stopped.Swap(0); at != 0 {
		d.n.engine().ShiftClock(time.Until(time.Unix(at, 0)))
	}
}

// mine makes blocks and returns when they are executed.
func (d *development) mine(ctx context.Context, blocks, interval uint64) error {
	if blocks > maxMined {
		return errMined
	}
	d.mining.Lock()
	defer d.mining.Unlock()
	if interval == 0 || blocks == 0 {
		return d.mineNow(ctx, blocks)
	}
	for i := range blocks {
		if i > 0 {
			if err := d.setNext(d.n.Head().Header.Time + interval); err != nil {
				return err
			}
		}
		if err := d.mineNow(ctx, 1); err != nil {
			return err
		}
	}
	return nil
}

// mineNow makes blocks with what is in the pool, as fast as it goes. The caller holds mining.
func (d *development) mineNow(ctx context.Context, blocks uint64) error {
	until := d.n.pipeline().Ordered() + blocks
	d.n.pipeline().Want(until)
	return d.await(ctx, until)
}

// await waits until a block is executed.
func (d *development) await(ctx context.Context, height uint64) error {
	for {
		head := d.n.Newest()
		if head.Height() >= height {
			return nil
		}
		select {
		case <-head.Changed():
		case <-d.n.stopping:
			return errors.New("the node stops")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// shift moves the clock on.
func (d *development) shift(seconds uint64) (ahead int64, err error) {
	now := d.n.engine().Wall()
	if seconds > uint64(maxAhead/time.Second) {
		return 0, errTooFar
	}
	return d.set(now.Add(time.Duration(seconds) * time.Second))
}

var errTooFar = fmt.Errorf("the clock goes at most %d years ahead", maxAhead/(365*24*time.Hour))

// setTime sets the clock.
func (d *development) setTime(unix uint64) (ahead int64, err error) {
	if newest := d.n.Head().Header.Time; unix < newest {
		return 0, fmt.Errorf("timestamp %d is before that of the newest block, %d", unix, newest)
	}
	if unix > math.MaxInt64/1000 {
		return 0, errTooFar
	}
	return d.set(time.Unix(int64(unix), 0))
}

func (d *development) set(now time.Time) (ahead int64, err error) {
	by := time.Until(now)
	if by > maxAhead {
		return 0, errTooFar
	}
	d.stopped.Store(0)
	d.n.engine().ShiftClock(by)
	return int64(by.Round(time.Second) / time.Second), nil
}

// setNext stops the clock at the timestamp of the next block.
func (d *development) setNext(unix uint64) error {
	if newest := d.n.Head().Header.Time; unix < newest {
		return fmt.Errorf("timestamp %d is lower than the previous block's timestamp %d", unix, newest)
	}
	if unix > math.MaxInt64/1000 || time.Until(time.Unix(int64(unix), 0)) > maxAhead {
		return errTooFar
	}
	d.stopped.Store(int64(unix))
	d.n.engine().StopClock(int64(unix) * 1000)
	return nil
}

// snapshot marks the newest block.
func (d *development) snapshot(ctx context.Context) (id uint64, err error) {
	d.mining.Lock()
	defer d.mining.Unlock()
	header, err := d.final(ctx)
	if err != nil {
		return 0, err
	}
	if len(d.snapshots) == maxSnapshots {
		d.snapshots = slices.Delete(d.snapshots, 0, 1)
	}
	d.lastID++
	d.snapshots = append(d.snapshots, snapshot{
		id: d.lastID, height: header.height, hash: header.hash, wall: d.n.engine().Wall(), stopped: d.stopped.Load(),
	})
	return d.lastID, nil
}

type position struct {
	height uint64
	hash   common.Hash
}

// final is the newest block, from which consensus can go on because it is stored with its own finalization. One
// that became final with its successor only gets that one.
func (d *development) final(ctx context.Context) (position, error) {
	ctx, cancel := context.WithTimeout(ctx, finalWait)
	defer cancel()
	for {
		header := d.n.Head().Header
		at := position{header.Number.Uint64(), header.Hash()}
		if at.height == 0 {
			return at, nil
		}
		_, err := d.n.store.Finalization(at.height)
		if !errors.Is(err, store.ErrNotFound) {
			return at, err
		}
		if err := d.mineNow(ctx, 1); err != nil {
			return position{}, err
		}
	}
}

// revert goes back to a snapshot.
func (d *development) revert(id uint64) (found bool, err error) {
	d.mining.Lock()
	defer d.mining.Unlock()
	i, found := slices.BinarySearchFunc(d.snapshots, id, func(s snapshot, id uint64) int { return cmp.Compare(s.id, id) })
	if !found {
		return false, nil
	}
	s := d.snapshots[i]
	if err := d.goBack(s.height, s.hash); err != nil {
		return false, err
	}
	clear(d.snapshots[i:])
	d.snapshots = d.snapshots[:i]
	d.stopped.Store(s.stopped)
	d.n.engine().ShiftClock(time.Until(s.wall))
	d.catchUp()
	if s.stopped != 0 {
		d.n.engine().StopClock(s.stopped * 1000)
	}
	return true, nil
}

// reset goes back to block 0 and to the time of the machine.
func (d *development) reset() error {
	d.mining.Lock()
	defer d.mining.Unlock()
	header, err := d.n.store.Header(0)
	if err != nil {
		return fmt.Errorf("reading block 0: %w", err)
	}
	if err := d.goBack(0, header.Hash()); err != nil {
		return err
	}
	d.snapshots = nil
	d.stopped.Store(0)
	d.n.engine().ShiftClock(0)
	return nil
}

// goBack makes a block the newest one, which takes what came after it off the disk. The line is stopped
// meanwhile; if it cannot go on, the node stops. The caller holds mining.
func (d *development) goBack(height uint64, hash common.Hash) error {
	n, old := d.n, d.n.line.Load()
	if n.Newest().Height() == height && n.pipeline().Ordered() == height {
		n.pool.Clear()
		return nil
	}
	for _, part := range []struct{ stop, done chan struct{} }{{old.stopEngine, old.engineDone}, {old.stopPipeline, old.pipelineDone}} {
		close(part.stop)
		select {
		case <-part.done:
		case <-n.stopping:
			return errors.New("the node stops")
		}
	}
	next, err := d.rewind(old, height, hash)
	if err != nil {
		err = fmt.Errorf("going back to block %d: %w", height, err)
		old.failed = err
	} else {
		n.pool.Clear()
		n.line.Store(next)
		n.rpc.Rewound(height)
	}
	close(old.replaced)
	return err
}

// rewind takes blocks off the disk and begins a new line. A crash in it leaves the old chain, perhaps with an empty
// journal, or the new one: index and state may always be behind the blocks, and only the last step takes
// blocks.
func (d *development) rewind(old *line, height uint64, hash common.Hash) (*line, error) {
	n := d.n
	header, err := n.store.Header(height)
	if err != nil {
		return nil, err
	}
	if got := header.Hash(); got != hash {
		return nil, fmt.Errorf("it has the hash %s, not %s", got, hash)
	}
	var changes []ledger.Change // nil: make the state again from the blocks
	if height >= n.state.Oldest() {
		if changes, err = n.state.Rewind(height); err != nil {
			return nil, err
		}
		if n.state.Root() != header.Root {
			return nil, fmt.Errorf("the state has the root %s, not %s", n.state.Root(), header.Root)
		}
	}
	if err := n.store.RewindDerived(height, changes); err != nil {
		return nil, err
	}
	if err := errors.Join(old.close(), removeLog(n.cfg.Home)); err != nil {
		return nil, err
	}
	if err := n.store.RewindBlocks(height); err != nil {
		return nil, err
	}
	recovered := &pipeline.Recovered{State: n.state, Tip: header, GenesisHash: old.pipeline.GenesisHash()}
	if changes == nil {
		again, err := pipeline.Recover(n.genesis, n.store, n.worker, n.log)
		if err != nil {
			return nil, err
		}
		n.state.Adopt(again.State)
	}
	return n.newLine(recovered)
}

// removeLog removes the safety journal of a development chain. A crash leaves it whole or not at all.
func removeLog(home string) error {
	dir := config.WALDir(home)
	aside := dir + ".old"
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("removing the safety journal: %w", err)
	}
	if err := os.Rename(dir, aside); err != nil {
		return fmt.Errorf("removing the safety journal: %w", err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("removing the safety journal: %w", err)
	}
	return nil
}
