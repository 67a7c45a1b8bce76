package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/tercet-chain/tercet/ledger"
)

// Names of the databases below the data directory.
const (
	blocksName = "blocks.ldb"
	stateName  = "state.ldb"
	indexName  = "index.ldb"
)

// schemaVersion of all three databases.
const schemaVersion = 1

// Write buffers: LevelDB allocates them on open, so larger ones cost resident memory at once.
const (
	blocksBuffer = 8 << 20
	stateBuffer  = 16 << 20
	indexBuffer  = 8 << 20
)

const (
	tableBytes     = 16 << 20 // fewer, larger tables: less compaction for sequential heights
	cacheBytes     = 8 << 20  // of blocks, per database; hot data are cached above
	level0Slowdown = 16
	level0Pause    = 24
	bloomBits      = 10
)

// Options say what Open needs to know.
type Options struct {
	// Genesis of the chain; a database of another one is refused. Required.
	Genesis *ledger.Genesis
	// Logger receives what Open repaired. Required.
	Logger *slog.Logger
	// Wrap, if set, is put between LevelDB and the files of the named database: fault injection.
	Wrap func(name string, s storage.Storage) storage.Storage
	// OnSync, if set, is told how long each synced write took. It may be called concurrently.
	OnSync func(took time.Duration)
}

// database is one LevelDB with its name and files.
type database struct {
	name  string
	db    *leveldb.DB
	files storage.Storage
}

// Store is the three databases of a chain. Methods are safe for concurrent use; CommitBlocks,
// FlushState, IndexBlocks and AddEvidence each expect one caller at a time.
type Store struct {
	opts   Options
	lock   *os.File
	blocks *database
	state  *database
	index  *database
	gap    *GapError // found by Open, immutable

	tip      atomic.Pointer[uint64] // nil: no blocks
	finalTip atomic.Pointer[uint64] // nil: no finalization
	execTip  atomic.Pointer[uint64] // nil: no ExecCert
	tipHash  common.Hash            // owned by the caller of CommitBlocks
	// evidenceNext is the sequence number of the next proof, owned by the caller of AddEvidence.
	evidenceNext uint64
	marker       atomic.Pointer[chained]
	progress     atomic.Pointer[uint64] // nil: nothing indexed
	runNext      uint64                 // sequence number of the next run, owned by the caller of IndexBlocks
	failed       chan struct{}          // closed by the first failed write
	failOnce     sync.Once
	closeOnce    sync.Once

	// recentMu guards the positions of committed blocks which index.ldb does not hold yet, so that they
	// are found from the moment of their commit.
	recentMu sync.RWMutex
	recent   recent
	codes    codes
	failure  atomic.Pointer[error]
}

// chained is a marker with its place in the chain of markers.
type chained struct {
	Marker
	seq  uint64
	hash [32]byte
}

func dbOptions(buffer int) *opt.Options {
	return &opt.Options{
		WriteBuffer:            buffer,
		BlockCacheCapacity:     cacheBytes,
		CompactionTableSize:    tableBytes,
		WriteL0SlowdownTrigger: level0Slowdown,
		WriteL0PauseTrigger:    level0Pause,
		Filter:                 filter.NewBloomFilter(bloomBits),
		Compression:            opt.NoCompression,
		// Without StrictJournal: it refuses the torn tail that every kill leaves. Open's own checks find
		// what a damaged journal loses.
		Strict: opt.DefaultStrict &^ opt.StrictJournal,
		// An iterator over old heights must not drive compactions.
		DisableSeeksCompaction: true,
	}
}

// fail latches the first error of a write and returns it: after a failed write or fsync LevelDB may
// lose writes that it acknowledges later, so that nothing may be written any more.
func (s *Store) fail(err error) error {
	s.failOnce.Do(func() {
		s.failure.Store(&err)
		close(s.failed)
	})
	return s.Err()
}

// Failed is closed after the first failed write. The node must stop then; [Store.Err] says why.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err returns the latched error of the first failed write, nil if there is none.
func (s *Store) Err() error {
	if e := s.failure.Load(); e != nil {
		return *e
	}
	return nil
}

// write writes a batch or latches.
func (s *Store) write(d *database, b *leveldb.Batch, sync bool, doing string) error {
	if err := s.Err(); err != nil {
		return err
	}
	began := time.Now()
	err := d.db.Write(b, &opt.WriteOptions{Sync: sync})
	if err == nil {
		if sync && s.opts.OnSync != nil {
			s.opts.OnSync(time.Since(began))
		}
		return nil
	}
	if errors.Is(err, leveldb.ErrClosed) {
		return ErrClosed
	}
	return s.fail(fmt.Errorf("%s: %w", doing, explain(d.name, err)))
}

func (d *database) get(key []byte) ([]byte, error) {
	v, err := d.db.Get(key, nil)
	if err != nil {
		return nil, explain(d.name, err)
	}
	return v, nil
}

// Close closes the databases and gives up the directory. Calls after it fail with [ErrClosed].
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() {
		for _, d := range []*database{s.index, s.state, s.blocks} {
			err = errors.Join(err, d.close())
		}
		err = errors.Join(err, unlock(s.lock))
	})
	return err
}

func (d *database) close() error {
	if d == nil {
		return nil
	}
	err := errors.Join(d.db.Close(), d.files.Close())
	if err != nil {
		return fmt.Errorf("closing %s: %w", d.name, err)
	}
	return nil
}
