package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// checkedHeights is how many of the newest blocks Open checks for links: what a journal of
// blocksBuffer can lose, many times over, for about a third of a second.
const checkedHeights = 65_536

// Open opens or creates the databases in dir and checks them. It starts nothing but LevelDB's own
// compaction. A bad or missing state.ldb or index.ldb is moved aside and opened empty, and what fails
// to be ordered blocks ≥ state ≥ index likewise; the caller makes them again from the blocks. Damage
// of blocks.ldb fails with [CorruptError], except for missing heights: those are reported by
// [Store.Gap], and the store ends below them.
func Open(dir string, opts Options) (*Store, error) {
	if opts.Genesis == nil || opts.Logger == nil {
		return nil, errors.New("opening the store: genesis and logger are required")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, lock: lock, failed: make(chan struct{}), recent: newRecent()}
	if err := s.open(dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(dir string) error {
	var err error
	if s.blocks, err = s.openDatabase(dir, blocksName, blocksBuffer); err != nil {
		return err
	}
	if err := errors.Join(s.checkBlocks(), s.findEvidence()); err != nil {
		return err
	}
	if s.state, err = s.openDerived(dir, stateName, stateBuffer, s.checkState); err != nil {
		return err
	}
	s.index, err = s.openDerived(dir, indexName, indexBuffer, s.checkIndex)
	return err
}

// openDatabase opens one database and checks its schema and chain.
func (s *Store) openDatabase(dir, name string, buffer int) (*database, error) {
	path := filepath.Join(dir, name)
	files, err := storage.OpenFile(path, false)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if s.opts.Wrap != nil {
		files = s.opts.Wrap(name, files)
	}
	if err := checkManifest(name, files); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), files.Close())
	}
	db, err := leveldb.Open(files, dbOptions(buffer))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, explain(name, err)), files.Close())
	}
	d := &database{name: name, db: db, files: files}
	if err := s.checkSchema(d); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), d.close())
	}
	return d, nil
}

// checkManifest refuses tables and journals without a manifest, and removes what a crash in the middle
// of creating an empty database leaves: LevelDB would refuse it for ever.
func checkManifest(name string, files storage.Storage) error {
	if _, err := files.GetMeta(); !errors.Is(err, os.ErrNotExist) {
		return nil // present, or for LevelDB to judge
	}
	found, err := files.List(storage.TypeAll)
	if err != nil {
		return explain(name, err)
	}
	for _, fd := range found {
		if fd.Type == storage.TypeTable || fd.Type == storage.TypeJournal {
			return corruptf(name, "%d files and no manifest", len(found))
		}
	}
	for _, fd := range found {
		if err := files.Remove(fd); err != nil {
			return explain(name, err)
		}
	}
	return nil
}

// checkSchema refuses a newer schema and another chain, and marks an empty database.
func (s *Store) checkSchema(d *database) error {
	chain := s.opts.Genesis.Commitment()
	v, err := d.get(metaKey(metaSchema))
	if errors.Is(err, ErrNotFound) {
		if empty, err := d.isEmpty(); err != nil {
			return err
		} else if !empty {
			return corruptf(d.name, "no schema version beside other keys")
		}
		var b leveldb.Batch
		b.Put(metaKey(metaSchema), binary.BigEndian.AppendUint32(nil, schemaVersion))
		b.Put(metaKey(metaChain), chain[:])
		return explain(d.name, d.db.Write(&b, &opt.WriteOptions{Sync: true}))
	}
	if err != nil {
		return err
	}
	if len(v) != 4 || binary.BigEndian.Uint32(v) == 0 {
		return corruptf(d.name, "schema version %x", v)
	}
	if n := binary.BigEndian.Uint32(v); n > schemaVersion {
		return fmt.Errorf("%s has schema %d, this program knows %d: %w", d.name, n, schemaVersion, ErrSchemaNewer)
	}
	got, err := d.get(metaKey(metaChain))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, chain[:]) {
		return fmt.Errorf("%s has genesis commitment %x, configured is %s: %w", d.name, got, chain, ErrWrongChain)
	}
	return nil
}

func (d *database) isEmpty() (bool, error) {
	it := d.db.NewIterator(nil, nil)
	defer it.Release()
	return !it.First(), explain(d.name, it.Error())
}

// openDerived opens state.ldb or index.ldb. One that is damaged or does not fit the blocks is moved
// aside; newer schemas and failing disks are errors.
func (s *Store) openDerived(dir, name string, buffer int, check func(*database) error) (*database, error) {
	path := filepath.Join(dir, name)
	_, statErr := os.Stat(path)
	d, err := s.openDatabase(dir, name, buffer)
	if err == nil {
		if err = check(d); err == nil {
			if _, some := s.Tip(); some && errors.Is(statErr, os.ErrNotExist) {
				s.opts.Logger.Info("database is missing and starts empty", "database", name)
			}
			return d, nil
		}
		err = errors.Join(err, d.close())
	}
	var corrupt *CorruptError
	if !(errors.As(err, &corrupt) && corrupt.Database == name) && !errors.Is(err, ErrOrder) && !errors.Is(err, ErrWrongChain) {
		return nil, err
	}
	aside := fmt.Sprintf("%s.bad-%s", path, time.Now().UTC().Format("20060102T150405.000000000"))
	s.opts.Logger.Warn("database is moved aside and starts empty", "database", name, "to", aside, "error", err)
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("moving %s aside: %w", path, err)
	}
	if d, err = s.openDatabase(dir, name, buffer); err != nil {
		return nil, err
	}
	if err := check(d); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// checkBlocks finds the tip. It walks back over the newest blocks to see that their heights follow each
// other and that each header names its parent's hash.
func (s *Store) checkBlocks() error {
	start, limit := tableRange(tableHeader)
	it := s.blocks.db.NewIterator(&util.Range{Start: start, Limit: limit}, &opt.ReadOptions{DontFillCache: true})
	defer it.Release()
	var tip *uint64
	var hash, tipHash, parent common.Hash
	var above uint64
	n := 0
	for ok := it.Last(); ok && n < checkedHeights; ok = it.Prev() {
		height, valid := parseHeight(it.Key())
		if !valid {
			return corruptf(blocksName, "header key %x", it.Key())
		}
		up := parent
		var err error
		if hash, parent, err = headerLink(it.Value()); err != nil {
			return corruptf(blocksName, "header %d: %w", height, err)
		}
		switch {
		case tip == nil:
			tip, tipHash = &height, hash
		case height+1 != above:
			s.gap = &GapError{First: height + 1, Last: above - 1}
			tip, tipHash = &height, hash
		case hash != up:
			return corruptf(blocksName, "header %d has hash %s, header %d names %s as its parent", height, hash, above, up)
		}
		above = height
		n++
	}
	if err := it.Error(); err != nil {
		return explain(blocksName, err)
	}
	if s.gap != nil {
		s.opts.Logger.Warn("blocks are missing, the store ends below them", "first", s.gap.First, "last", s.gap.Last)
	}
	if tip == nil {
		return nil
	}
	if _, err := s.body(*tip); err != nil {
		return fmt.Errorf("reading the newest block %d: %w", *tip, err)
	}
	s.tip.Store(tip)
	s.tipHash = tipHash
	return s.findCertified(*tip)
}

// headerLink returns the hash of an encoded header and of its parent, which is the first field.
func headerLink(header []byte) (hash, parent common.Hash, err error) {
	fields, _, err := rlp.SplitList(header)
	if err != nil {
		return hash, parent, err
	}
	p, _, err := rlp.SplitString(fields)
	if err != nil {
		return hash, parent, err
	}
	if len(p) != common.HashLength {
		return hash, parent, fmt.Errorf("parent hash of %d bytes", len(p))
	}
	return crypto.Keccak256Hash(header), common.Hash(p), nil
}

// findCertified finds the highest finalization and ExecCert up to the tip.
func (s *Store) findCertified(tip uint64) error {
	final, err := s.highest(tableFinalization, tip)
	if err != nil {
		return err
	}
	exec, err := s.highest(tableExecCert, tip)
	if err != nil {
		return err
	}
	s.finalTip.Store(final)
	s.execTip.Store(exec)
	return nil
}

func (s *Store) highest(table byte, tip uint64) (*uint64, error) {
	start, limit := heightKey(table, 0), append(heightKey(table, tip), 0)
	it := s.blocks.db.NewIterator(&util.Range{Start: start, Limit: limit}, nil)
	defer it.Release()
	if !it.Last() {
		return nil, explain(blocksName, it.Error())
	}
	height, ok := parseHeight(it.Key())
	if !ok {
		return nil, corruptf(blocksName, "key %x", it.Key())
	}
	return &height, nil
}

// Gap returns the missing heights that Open found, the lowest of several, or nil. [Store.Tip] is below
// them: committing from there on, with blocks from peers, closes the gap.
func (s *Store) Gap() *GapError { return s.gap }
