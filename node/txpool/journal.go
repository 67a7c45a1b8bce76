package txpool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/ledger"
)

// A journal is a file of records after journalMagic, each
//
//	be32 length ‖ be32 CRC-32C of the transaction ‖ encoded transaction
const (
	journalMagic  = "TERCETP1"
	journalHeader = 8
)

const (
	// journalQueue is how many transactions may wait to be written; what finds it full is not.
	journalQueue = 16384
	// journalInterval is the least time between two writes: under load, many transactions share one.
	journalInterval = 5 * time.Millisecond
	// journalRest is the least time between two attempts to make the file shorter, and after a failure to
	// write: in between, what does not fit is not written.
	journalRest = 10 * time.Second
)

// JournalConfig says what a journal is of.
type JournalConfig struct {
	// Path of the file. Its directory exists and belongs to this process.
	Path string
	// MaxBytes of the file, and twice that while it is rewritten.
	MaxBytes int
	// Admit is told of each transaction that an earlier process left. It checks everything.
	Admit func(raw []byte)
	// Waits reports whether a transaction still waits: what does not is left out when the file is rewritten.
	Waits  func(common.Hash) bool
	Logger *slog.Logger
}

// Journal keeps the transactions that clients gave to this node across a restart, until they are executed. It is
// no promise: what it writes is not synced, so that a kill loses the last milliseconds and a power
// cut more, and its size is bounded. Other nodes' transactions are theirs to keep.
type Journal struct {
	cfg JournalConfig
	// in: sent by Offer's callers, received by Run, never closed; what finds it full is not written.
	in chan *ledger.Transaction

	// Owned by Run.
	file   *os.File // nil until something is written
	size   int
	resume time.Time // before it, no rewriting
	wrote  time.Time // when something was written last
	batch  bytes.Buffer
}

// NewJournal starts nothing.
func NewJournal(cfg JournalConfig) *Journal {
	return &Journal{cfg: cfg, in: make(chan *ledger.Transaction, journalQueue)}
}

// Offer notes a transaction that a client gave to this node. It never blocks.
func (j *Journal) Offer(tx *ledger.Transaction) {
	select {
	case j.in <- tx:
	default:
	}
}

// Run admits what an earlier process left, then writes what is offered until ctx ends. A disk that fails costs
// the journal, not the node: whatever else the node writes says whether it must stop.
func (j *Journal) Run(ctx context.Context) error {
	n, err := j.reload()
	if err != nil {
		j.cfg.Logger.Warn("transactions of an earlier run may be lost", "file", j.cfg.Path, "error", err)
	} else if n > 0 {
		j.cfg.Logger.Info("transactions of an earlier run were read", "file", j.cfg.Path, "transactions", n)
	}
	j.try("rewriting", j.rewrite)
	for {
		select {
		case <-ctx.Done():
			j.batch.Reset()
			for range len(j.in) { // nobody offers any more
				j.append((<-j.in).Raw())
			}
			j.try("writing", j.flush)
			if j.file != nil {
				_ = j.file.Close() // nothing is promised about what is in it
			}
			return nil
		case tx := <-j.in:
			j.collect(ctx, tx)
			j.try("writing", j.flush)
			j.wrote = time.Now()
		}
	}
}

// try does something to the file. After a failure nothing is tried for a while, and the file is made anew then.
func (j *Journal) try(doing string, do func() error) {
	if err := do(); err != nil {
		j.cfg.Logger.Warn("waiting transactions are not kept for a restart", "doing", doing, "file", j.cfg.Path, "error", err)
		j.resume = time.Now().Add(journalRest)
		j.size = j.cfg.MaxBytes
	}
}

// collect takes a transaction into the batch, alone when nothing was written for journalInterval.
func (j *Journal) collect(ctx context.Context, tx *ledger.Transaction) {
	j.batch.Reset()
	j.append(tx.Raw())
	wait := time.NewTimer(time.Until(j.wrote.Add(journalInterval)))
	defer wait.Stop()
	for range journalQueue {
		select {
		case tx := <-j.in:
			j.append(tx.Raw())
		case <-wait.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (j *Journal) append(raw []byte) {
	if j.batch.Len()+journalHeader+len(raw) > j.cfg.MaxBytes {
		return
	}
	var head [journalHeader]byte
	binary.BigEndian.PutUint32(head[:4], uint32(len(raw)))
	binary.BigEndian.PutUint32(head[4:], crc32.Checksum(raw, castagnoli()))
	j.batch.Write(head[:])
	j.batch.Write(raw)
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // the package keeps it

// flush writes of the batch what there is room for, after making the file shorter if there is too little.
func (j *Journal) flush() error {
	batch := bytes.Clone(j.batch.Bytes())
	if len(batch) > j.room() && !time.Now().Before(j.resume) {
		j.resume = time.Now().Add(journalRest)
		if err := j.rewrite(); err != nil {
			return err
		}
	}
	out := fitting(batch, j.room())
	if len(out) == 0 {
		return nil
	}
	if j.file == nil {
		f, err := os.OpenFile(j.cfg.Path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		j.file, out = f, append([]byte(journalMagic), out...)
	}
	n, err := j.file.Write(out)
	j.size += n
	return err
}

// room is how many bytes of records still fit.
func (j *Journal) room() int {
	if j.file == nil {
		return j.cfg.MaxBytes - j.size - len(journalMagic)
	}
	return j.cfg.MaxBytes - j.size
}

// fitting are the first whole records with at most so many bytes.
func fitting(records []byte, room int) []byte {
	if len(records) <= max(room, 0) {
		return records
	}
	end := 0
	for {
		next := end + journalHeader + int(binary.BigEndian.Uint32(records[end:])) // it does not end before room
		if next > room {
			return records[:end]
		}
		end = next
	}
}

// reload hands over the transactions in the file.
func (j *Journal) reload() (n int, err error) {
	raw, err := readBounded(j.cfg.Path, j.cfg.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	rest, err := Records(raw, func(tx []byte) {
		n++
		j.cfg.Admit(tx)
	})
	if err == nil && rest > 0 {
		j.cfg.Logger.Info("the end of the file was not written completely", "file", j.cfg.Path, "bytes", rest)
	}
	return n, err
}

// rewrite replaces the file in one step by one with the transactions that still wait; without any there is no
// file.
func (j *Journal) rewrite() error {
	if j.file != nil {
		_ = j.file.Close() // it is replaced
		j.file = nil
	}
	j.size = 0
	raw, err := readBounded(j.cfg.Path, j.cfg.MaxBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j.batch.Reset()
	_, _ = Records(raw, func(tx []byte) { // reload has complained
		if j.cfg.Waits(crypto.Keccak256Hash(tx)) {
			j.append(tx)
		}
	})
	if j.batch.Len() == 0 {
		if err := os.Remove(j.cfg.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	made := j.cfg.Path + ".new"
	if err := os.WriteFile(made, append([]byte(journalMagic), j.batch.Bytes()...), 0o600); err != nil {
		return err
	}
	if err := os.Rename(made, j.cfg.Path); err != nil {
		return err
	}
	j.size = len(journalMagic) + j.batch.Len()
	j.file, err = os.OpenFile(j.cfg.Path, os.O_WRONLY|os.O_APPEND, 0o600)
	return err
}

// readBounded reads at most the first max bytes of a file.
func readBounded(path string, most int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, int64(most)))
}

// ErrJournal is for a file that is no journal.
var ErrJournal = errors.New("this is no journal of transactions")

// Records calls f for each whole transaction at the beginning of a journal's bytes, which f may keep, and
// returns how many bytes follow the last one: what a kill cut off, or what comes after damage. Nothing
// says that the transactions are valid.
func Records(journal []byte, f func(raw []byte)) (rest int, err error) {
	if len(journal) == 0 {
		return 0, nil
	}
	b, ok := bytes.CutPrefix(journal, []byte(journalMagic))
	if !ok {
		return len(journal), fmt.Errorf("%w: it begins with %x", ErrJournal, journal[:min(len(journal), len(journalMagic))])
	}
	for len(b) >= journalHeader {
		n, sum := uint64(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
		if n == 0 || n > uint64(len(b)-journalHeader) {
			break
		}
		raw := b[journalHeader : journalHeader+n : journalHeader+n]
		if crc32.Checksum(raw, castagnoli()) != sum {
			break
		}
		f(raw)
		b = b[journalHeader+n:]
	}
	return len(b), nil
}
