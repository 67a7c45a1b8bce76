package wal

import (
	"fmt"
	"os"

	"github.com/ethereum/go-ethereum/common"
)

// NetworkOf returns the genesis hash of the log in dir, which may be in use. It writes nothing. Without a log it fails with
// [ErrMissing].
func NetworkOf(dir string) (common.Hash, error) {
	numbers, err := listSegments(osFS{}, dir)
	if err != nil {
		return common.Hash{}, err
	}
	if len(numbers) == 0 {
		return common.Hash{}, fmt.Errorf("%w in %s", ErrMissing, dir)
	}
	f, err := os.Open(segmentPath(dir, numbers[0]))
	if err != nil {
		return common.Hash{}, fmt.Errorf("opening the write-ahead log: %w", err)
	}
	defer f.Close()
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, 0); err != nil {
		return common.Hash{}, fmt.Errorf("reading the write-ahead log: %w", err)
	}
	h, err := decodeHeader(b)
	return h.network, err
}
