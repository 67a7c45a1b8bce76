package store

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

// ChainOf returns the genesis commitment of the blocks in the data directory of a node that does not run. It
// writes nothing. Without blocks it fails with [ErrNotFound].
func ChainOf(dir string) (chain common.Hash, err error) {
	path := filepath.Join(dir, blocksName)
	files, err := storage.OpenFile(path, true)
	if err != nil {
		return chain, fmt.Errorf("opening %s: %w: %w", path, ErrNotFound, err)
	}
	db, err := leveldb.Open(files, &opt.Options{ReadOnly: true, ErrorIfMissing: true})
	if err != nil {
		return chain, errors.Join(fmt.Errorf("opening %s: %w", path, explain(blocksName, err)), files.Close())
	}
	d := &database{name: blocksName, db: db, files: files}
	v, err := d.get(metaKey(metaChain))
	if err == nil && len(v) != len(chain) {
		err = corruptf(blocksName, "a genesis commitment of %d bytes", len(v))
	}
	return common.BytesToHash(v), errors.Join(err, d.close())
}
