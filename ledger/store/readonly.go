package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/tercet-chain/tercet/ledger"
)

// Problem is what [OpenReadOnly] found wrong with a database. The node repairs what [Open] says it repairs.
type Problem struct {
	// Database is the name of its directory.
	Database string
	Err      error
}

// OpenReadOnly opens the databases in dir for who looks at what a stopped node has left. It writes nothing,
// moves nothing aside, and takes the directory as Open does. A database that is missing or that Open would
// refuse or make again reads as empty, and is among the problems. Databases of another chain or of a newer
// version are an error.
func OpenReadOnly(dir string, opts Options) (*Store, []Problem, error) {
	if opts.Genesis == nil || opts.Logger == nil {
		return nil, nil, errors.New("opening the store: genesis and logger are required")
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, fmt.Errorf("opening the store: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, nil, err
	}
	s := &Store{opts: opts, lock: lock, failed: make(chan struct{}), recent: newRecent()}
	var problems []Problem
	for _, part := range []struct {
		name  string
		at    **database
		check func(*database) error
	}{
		{blocksName, &s.blocks, func(*database) error { return s.checkBlocks() }},
		{stateName, &s.state, s.checkState},
		{indexName, &s.index, s.checkIndex},
	} {
		problem, err := s.look(dir, part.name, part.at, part.check)
		if err != nil {
			return nil, nil, errors.Join(err, s.Close())
		}
		if problem != nil {
			problems = append(problems, Problem{part.name, problem})
		}
	}
	if s.gap != nil {
		problems = append(problems, Problem{blocksName, s.gap})
	}
	return s, problems, nil
}

// look opens one database, or an empty one in its place and says why.
func (s *Store) look(dir, name string, at **database, check func(*database) error) (problem, err error) {
	problem = s.openLooking(filepath.Join(dir, name), name, at)
	if problem == nil {
		if problem = check(*at); problem == nil {
			return nil, nil
		}
		if err := (*at).close(); err != nil {
			return nil, err
		}
	}
	if errors.Is(problem, ErrWrongChain) || errors.Is(problem, ErrSchemaNewer) {
		*at = nil
		return nil, problem
	}
	files := storage.NewMemStorage()
	db, err := leveldb.Open(files, nil)
	if err != nil {
		return nil, fmt.Errorf("making an empty %s: %w", name, err)
	}
	*at = &database{name: name, db: db, files: files}
	return problem, check(*at)
}

func (s *Store) openLooking(path, name string, at **database) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	files, err := storage.OpenFile(path, true)
	if err != nil {
		return err
	}
	options := dbOptions(0)
	options.ReadOnly, options.ErrorIfMissing = true, true
	db, err := leveldb.Open(files, options)
	if err != nil {
		return errors.Join(explain(name, err), files.Close())
	}
	d := &database{name: name, db: db, files: files}
	_, err = d.get(metaKey(metaSchema))
	if errors.Is(err, ErrNotFound) {
		err = errors.New("it is empty")
	}
	if err == nil {
		err = s.checkSchema(d)
	}
	if err != nil {
		return errors.Join(err, d.close())
	}
	*at = d
	return nil
}

// StateValue returns what the flat state at [Store.StateMarker] has under a raw key, empty for nothing.
func (s *Store) StateValue(key []byte) ([]byte, error) {
	path := ledger.Path(key)
	stored, err := s.state.get(stateKey(&path))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, value, err := decodeStateValue(stored)
	if err != nil {
		return nil, corruptf(stateName, "path %x: %w", path, err)
	}
	return value, nil
}
